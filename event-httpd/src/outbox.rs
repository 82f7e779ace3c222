//! Bytes that wait for one peer: parts of shared buffers, in order, counted but not copied.

use std::collections::VecDeque;
use std::io::{self, IoSlice, Write};
use std::mem;
use std::ops::Range;
use std::rc::Rc;

use crate::buffer::Buffer;
use php_event::Event;

/// The most parts in one system call: Linux takes no more (IOV_MAX).
const SLICES: usize = 1024;

/// Up to this many parts, their list stays on the stack: enough for most pipelines.
const FEW: usize = 64;

/// The same, where a shorter list costs less to make.
const FEWER: usize = 16;

/// A range of a buffer that many peers may share.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    buffer: Rc<Buffer>,
    range: Range<usize>,
}

impl Part {
    /// The first `length` bytes of a buffer, or all of it if it is shorter.
    pub(crate) fn first(buffer: Rc<Buffer>, length: usize) -> Self {
        let range = 0..length.min(buffer.len());
        Self { buffer, range }
    }

    /// What follows the first `start` bytes of a buffer.
    pub(crate) fn from_offset(buffer: Rc<Buffer>, start: usize) -> Self {
        let range = start.min(buffer.len())..buffer.len();
        Self { buffer, range }
    }

    pub(crate) fn len(&self) -> usize {
        self.range.len()
    }

    /// Whether both are ranges of the same buffer.
    #[cfg(test)]
    pub(crate) fn shares_with(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.buffer, &other.buffer)
    }

    /// What follows the first `length` bytes of this part.
    pub(crate) fn without_first(mut self, length: usize) -> Self {
        self.range.start = self.range.end.min(self.range.start + length);
        self
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        self.buffer.get(self.range.clone()).unwrap_or_default()
    }
}

impl From<Rc<Buffer>> for Part {
    fn from(buffer: Rc<Buffer>) -> Self {
        let length = buffer.len();
        Self::first(buffer, length)
    }
}

/// A queue of parts. An empty one that was never used takes no memory: most peers take at once
/// what is sent to them.
#[derive(Debug, Default)]
pub(crate) struct Outbox(Option<Box<Queue>>);

/// Parts, and their total length.
#[derive(Debug, Default)]
struct Queue {
    parts: VecDeque<Part>,
    length: usize,
    blocked: Option<Blocked>,
}

/// The peer has no room for the parts.
#[derive(Debug)]
struct Blocked {
    _write: Event,  // fires when it has
    waiting: usize, // the length of the parts, when it was last counted
}

impl Outbox {
    #[inline(always)] // a tenth of a pipelined request is the call
    pub(crate) fn push(&mut self, part: Part) {
        if part.len() > 0 {
            let queue = self.0.get_or_insert_default();
            queue.length += part.len();
            queue.parts.push_back(part);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |queue| queue.length)
    }

    /// Makes room for that many parts.
    pub(crate) fn reserve(&mut self, parts: usize) {
        self.0.get_or_insert_default().parts.reserve(parts);
    }

    /// Moves the parts of another queue to the end of this one.
    pub(crate) fn append(&mut self, other: &mut Self) {
        if let Some(other) = &mut other.0 {
            let queue = self.0.get_or_insert_default();
            queue.parts.append(&mut other.parts);
            queue.length += mem::take(&mut other.length);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Notes that the peer has no room. `write` fires when it has, and goes with the queue.
    pub(crate) fn block(&mut self, write: Event) {
        self.0.get_or_insert_default().blocked = Some(Blocked {
            _write: write,
            waiting: 0,
        });
    }

    /// Whether the peer has no room.
    pub(crate) fn is_blocked(&self) -> bool {
        self.0.as_ref().is_some_and(|queue| queue.blocked.is_some())
    }

    /// Counts the bytes that wait for room, and returns how many they were before and are now;
    /// `None` if the peer is not blocked.
    pub(crate) fn count_waiting(&mut self) -> Option<(usize, usize)> {
        let queue = self.0.as_mut()?;
        let waiting = &mut queue.blocked.as_mut()?.waiting;
        Some((mem::replace(waiting, queue.length), queue.length))
    }

    /// The bytes that waited for room when they were last counted.
    pub(crate) fn waiting(&self) -> usize {
        let blocked = self.0.as_ref().and_then(|queue| queue.blocked.as_ref());
        blocked.map_or(0, |blocked| blocked.waiting)
    }

    /// The memory that the queue itself takes, without the buffers.
    pub(crate) fn overhead(&self) -> usize {
        let parts = self.0.as_ref().map_or(0, |queue| queue.parts.len());
        parts * size_of::<Part>()
    }

    /// Writes as much as the target takes, and returns how much that was. The rest stays.
    ///
    /// # Errors
    /// Those of the target, except `WouldBlock`.
    pub(crate) fn write_to(&mut self, target: impl Write) -> io::Result<usize> {
        self.0
            .as_mut()
            .map_or(Ok(0), |queue| queue.write_to(target))
    }
}

impl Queue {
    /// Writes the parts, at most `N`, with one call.
    fn write_few<const N: usize>(&self, target: &mut impl Write) -> io::Result<usize> {
        let mut slices = [IoSlice::new(&[]); N];
        for (slice, part) in slices.iter_mut().zip(&self.parts) {
            *slice = IoSlice::new(part.as_slice());
        }
        target.write_vectored(slices.get(..self.parts.len()).unwrap_or(&slices))
    }

    fn write_to(&mut self, mut target: impl Write) -> io::Result<usize> {
        let mut total = 0;
        while let Some(first) = self.parts.front() {
            let result = match self.parts.len() {
                1 => target.write(first.as_slice()),
                count if count <= FEWER => self.write_few::<FEWER>(&mut target),
                count if count <= FEW => self.write_few::<FEW>(&mut target),
                _ => {
                    let parts = self.parts.iter().take(SLICES);
                    let slices = parts
                        .map(|part| IoSlice::new(part.as_slice()))
                        .collect::<Vec<_>>();
                    target.write_vectored(&slices)
                }
            };
            match result {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) if n == self.length => {
                    self.length = 0;
                    match self.parts.len() {
                        1 => drop(self.parts.pop_front()),
                        _ => self.parts.clear(),
                    }
                    return Ok(total + n);
                }
                Ok(n) => {
                    total += n;
                    self.consume(n);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(total)
    }

    fn consume(&mut self, mut n: usize) {
        self.length = self.length.saturating_sub(n);
        while let Some(first) = self.parts.front_mut() {
            let length = first.len();
            if n < length {
                first.range.start += n;
                return;
            }
            n -= length;
            self.parts.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes `room` bytes in all, at most `each` a call.
    struct Narrow {
        each: usize,
        room: usize,
        got: Vec<u8>,
    }

    impl Write for &mut Narrow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let n = bytes.len().min(self.each).min(self.room - self.got.len());
            self.got.extend_from_slice(&bytes[..n]);
            if n == 0 {
                Err(io::ErrorKind::WouldBlock.into())
            } else {
                Ok(n)
            }
        }

        fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
            let joined: Vec<u8> = slices
                .iter()
                .flat_map(|slice| slice.iter().copied())
                .collect();
            self.write(&joined)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn filled(parts: usize) -> (Outbox, Vec<u8>) {
        let mut outbox = Outbox::default();
        let mut all = Vec::new();
        for n in 0..parts {
            let bytes = format!("<part {n}>").into_bytes();
            all.extend_from_slice(&bytes);
            outbox.push(Buffer::uncounted(bytes).into());
        }
        (outbox, all)
    }

    #[test]
    fn whatever_the_target_takes_at_a_time_the_bytes_arrive_in_order() {
        let few = [1, 2, FEW, FEW + 1].map(|parts| (parts, &[1, 7, 8, 9, 1000][..]));
        let many = [SLICES, SLICES + 1, 3 * SLICES].map(|parts| (parts, &[1000, usize::MAX][..]));
        for (parts, sizes) in few.into_iter().chain(many) {
            for &each in sizes {
                let (mut outbox, all) = filled(parts);
                let mut target = Narrow {
                    each,
                    room: usize::MAX,
                    got: Vec::new(),
                };
                assert_eq!(outbox.write_to(&mut target).unwrap(), all.len());
                assert_eq!(target.got, all);
                assert!(outbox.is_empty());
            }
        }
    }

    #[test]
    fn a_full_target_leaves_the_rest_in_the_queue() {
        let (mut outbox, all) = filled(10);
        let mut target = Narrow {
            each: 1000,
            room: 13,
            got: Vec::new(),
        };
        assert_eq!(outbox.write_to(&mut target).unwrap(), 13);
        assert_eq!(outbox.len(), all.len() - 13);
        let mut rest = Narrow {
            each: 5,
            room: usize::MAX,
            got: Vec::new(),
        };
        outbox.write_to(&mut rest).unwrap();
        assert_eq!([target.got, rest.got].concat(), all);
    }

    #[test]
    fn the_first_bytes_of_a_buffer_are_a_part_of_their_own() {
        let whole = Buffer::uncounted(b"head body".to_vec());
        let mut outbox = Outbox::default();
        outbox.push(Part::first(Rc::clone(&whole), 5));
        outbox.push(Part::first(whole, 100));
        let mut target = Narrow {
            each: 1000,
            room: usize::MAX,
            got: Vec::new(),
        };
        outbox.write_to(&mut target).unwrap();
        assert_eq!(target.got, b"head head body");
    }
}

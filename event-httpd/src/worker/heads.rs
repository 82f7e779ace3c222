//! Heads of requests that were accepted before. What the decoder says about a head depends on
//! its bytes alone, so the same bytes need not be decoded again.
//!
//! Heads hold cookies and credentials. Only a few short ones are kept, in this process alone; they
//! are compared and never shown, and overwritten before their memory is freed.

use std::cell::RefCell;
use std::fmt;
use std::hint::black_box;

use super::Worker;
use http_framing::Head;

/// How many heads are kept.
const HEADS: usize = 16;

/// The longest head that is kept: few browsers send more.
const HEAD_MAX: usize = 1024;

/// What a kept head asks for. It has no body, and keeps the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    /// The length of the head.
    pub(crate) length: usize,
    /// Whether it is a `HEAD`.
    pub(crate) head_only: bool,
}

/// The heads that are kept, each in a place that its first bytes choose.
#[derive(Debug, Default)]
pub(super) struct Heads {
    places: RefCell<[Place; HEADS]>,
}

#[derive(Debug, Default)]
struct Place {
    kept: Option<Kept>,
    last: (u64, usize), // hash and length of the last head that was not kept
}

struct Kept {
    bytes: Box<[u8]>,
    head_only: bool,
}

impl fmt::Debug for Kept {
    /// Leaves the bytes out: they hold credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").finish_non_exhaustive()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.bytes.fill(0);
        black_box(&self.bytes); // so that the write is not optimized away
    }
}

impl Heads {
    /// The kept head that `input` starts with.
    fn find(&self, input: &[u8], hash: HeadHash) -> Option<Known> {
        let places = self.places.borrow();
        let kept = places.get(place(hash.0?))?.kept.as_ref()?;
        let length = kept.bytes.len();
        (input.get(..length)? == &*kept.bytes).then_some(Known {
            length,
            head_only: kept.head_only,
        })
    }

    /// Notes an accepted head without a body that keeps the connection. It is kept when the same
    /// has come before, so that heads that come once displace none.
    fn note(&self, bytes: &[u8], hash: HeadHash, head_only: bool) {
        let Some(hash) = hash.0.filter(|_| bytes.len() <= HEAD_MAX) else {
            return;
        };
        if let Some(place) = self.places.borrow_mut().get_mut(place(hash)) {
            let last = (hash, bytes.len());
            if std::mem::replace(&mut place.last, last) == last {
                place.kept = Some(Kept {
                    bytes: bytes.into(),
                    head_only,
                });
            }
        }
    }
}

impl Worker {
    /// Finds a head at the start of `input`, which has this hash, that was accepted before.
    pub(crate) fn known_head(&self, input: &[u8], hash: HeadHash) -> Option<Known> {
        self.heads.find(input, hash)
    }

    /// Notes a head that was accepted and whose bytes are `bytes`, which have this hash.
    pub(crate) fn note_head(&self, bytes: &[u8], hash: HeadHash, head: &Head<'_>, head_only: bool) {
        let bodyless = head.body == http_framing::BodyLength::None;
        // Empty lines before a request count for the decoder.
        if bodyless && head.keep_alive && bytes.first().is_some_and(u8::is_ascii_graphic) {
            self.heads.note(bytes, hash, head_only);
        }
    }
}

/// A hash of the first 32 bytes: method, target, and the start of the first field. Nothing depends
/// on it but how often a head is found. Fewer bytes have none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadHash(Option<u64>);

impl HeadHash {
    #[inline]
    pub(crate) fn of(input: &[u8]) -> Self {
        let start = input.first_chunk::<32>();
        Self(start.map(|start| {
            start.as_chunks::<8>().0.iter().fold(0, |sum, word| {
                let sum = (sum ^ u64::from_le_bytes(*word)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                sum ^ (sum >> 32)
            })
        }))
    }
}

fn place(hash: u64) -> usize {
    (hash & (HEADS as u64 - 1)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(heads: &Heads, input: &[u8]) -> Option<Known> {
        heads.find(input, HeadHash::of(input))
    }

    fn note(heads: &Heads, bytes: &[u8], head_only: bool) {
        heads.note(bytes, HeadHash::of(bytes), head_only);
    }

    const HEAD: &[u8] = b"GET /one HTTP/1.1\r\nHost: 127.0.0.1:9999\r\n\r\n";

    #[test]
    fn a_head_is_known_after_it_came_twice_and_only_with_all_its_bytes() {
        let heads = Heads::default();
        note(&heads, HEAD, true);
        assert_eq!(find(&heads, HEAD), None, "it came once");
        note(&heads, HEAD, true);
        let known = Known {
            length: HEAD.len(),
            head_only: true,
        };
        assert_eq!(find(&heads, HEAD), Some(known));
        assert_eq!(find(&heads, &[HEAD, b"GET"].concat()), Some(known));
        for length in 0..HEAD.len() {
            assert_eq!(
                find(&heads, &HEAD[..length]),
                None,
                "the first {length} bytes"
            );
        }
        for changed in 0..HEAD.len() {
            let mut other = HEAD.to_vec();
            other[changed] ^= 1;
            assert_eq!(find(&heads, &other), None, "byte {changed} differs");
        }
    }

    #[test]
    fn heads_that_come_once_displace_none_and_long_ones_are_not_kept() {
        let heads = Heads::default();
        note(&heads, HEAD, false);
        note(&heads, HEAD, false);
        for n in 0..1000 {
            note(
                &heads,
                format!("GET /{n:04} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").as_bytes(),
                false,
            );
        }
        assert!(find(&heads, HEAD).is_some());
        for (length, kept) in [(HEAD_MAX, true), (HEAD_MAX + 1, false)] {
            let long = vec![if kept { b'a' } else { b'b' }; length];
            note(&heads, &long, false);
            note(&heads, &long, false);
            assert_eq!(find(&heads, &long).is_some(), kept, "{length} bytes");
        }
    }

    #[test]
    fn a_kept_head_is_not_shown() {
        let heads = Heads::default();
        note(&heads, HEAD, false);
        note(&heads, HEAD, false);
        let shown = format!("{heads:?}");
        assert!(!shown.contains("GET") && !shown.contains("71, 69, 84"));
    }
}

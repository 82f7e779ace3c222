//! Frames on a stream: a length, a kind, a number that counts them, and the payload.
//!
//! Bytes in, values out. A frame that is out of order, unknown or too long breaks the line: both
//! ends run the same program, so only a fault can have caused it.

/// Length (8 bytes), number (8 bytes), kind (1 byte), little-endian.
const HEADER: usize = 17;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A message for all other workers.
    Message,
    /// The master asks whether the worker is alive.
    Ping,
    /// The worker is alive.
    Pong,
    /// The worker accepts connections.
    Ready,
    /// The worker has served its number of requests, and asks to be replaced.
    Retire,
    /// The master has replaced the worker, which has to end.
    Replaced,
}

impl Kind {
    pub(crate) const ALL: [Self; 6] = [
        Self::Message,
        Self::Ping,
        Self::Pong,
        Self::Ready,
        Self::Retire,
        Self::Replaced,
    ];

    fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// The header of the frame with that number.
pub(crate) fn header(kind: Kind, number: u64, payload: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER);
    bytes.extend_from_slice(&u64::try_from(payload).unwrap_or(u64::MAX).to_le_bytes());
    bytes.extend_from_slice(&number.to_le_bytes());
    bytes.push(kind as u8);
    bytes
}

/// A frame: what it is, and its payload.
pub(crate) type Frame = (Kind, Vec<u8>);

/// Why the rest of a line cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Broken {
    #[error("frame {0} arrived instead of frame {1}")]
    Order(u64, u64),
    #[error("frame kind {0} is unknown")]
    Kind(u8),
    #[error("a frame has {0} bytes, more than the limit of {1}")]
    Length(u64, usize),
}

/// Splits the bytes of one direction of a line into frames.
#[derive(Debug)]
pub(crate) struct Frames {
    longest: usize,
    next: u64,
    bytes: Vec<u8>,
    start: usize, // of the bytes that no frame has used yet
}

impl Frames {
    pub(crate) fn new(longest: usize) -> Self {
        Self {
            longest,
            next: 0,
            bytes: Vec::new(),
            start: 0,
        }
    }

    /// Adds bytes that were read.
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        if self.start > 0 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// The next frame, if it is complete.
    ///
    /// # Errors
    /// [`Broken`]: the line cannot be used any more.
    pub(crate) fn next(&mut self) -> Result<Option<Frame>, Broken> {
        let rest = self.bytes.get(self.start..).unwrap_or_default();
        let Some((header, rest)) = rest.split_first_chunk::<HEADER>() else {
            return Ok(None);
        };
        let (length, header) = take_u64(header);
        let (number, kind) = take_u64(header);
        let kind = kind.first().copied().unwrap_or_default();
        if number != self.next {
            return Err(Broken::Order(number, self.next));
        }
        let kind = Kind::from_byte(kind).ok_or(Broken::Kind(kind))?;
        let size = usize::try_from(length)
            .ok()
            .filter(|length| *length <= self.longest);
        let size = size.ok_or(Broken::Length(length, self.longest))?;
        let Some(payload) = rest.get(..size) else {
            return Ok(None);
        };
        let payload = payload.to_vec();
        self.next += 1;
        self.start += HEADER + size;
        if self.start == self.bytes.len() {
            self.bytes = Vec::new(); // frees the memory of a long message
            self.start = 0;
        }
        Ok(Some((kind, payload)))
    }
}

fn take_u64(bytes: &[u8]) -> (u64, &[u8]) {
    match bytes.split_first_chunk() {
        Some((number, rest)) => (u64::from_le_bytes(*number), rest),
        None => (0, &[]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream() -> Vec<u8> {
        let mut bytes = Vec::new();
        for (number, kind) in (0..).zip(Kind::ALL) {
            let payload = vec![b'x'; usize::try_from(number).unwrap() * 10];
            bytes.extend(header(kind, number, payload.len()));
            bytes.extend(payload);
        }
        bytes
    }

    fn all(frames: &mut Frames) -> Vec<(Kind, usize)> {
        std::iter::from_fn(|| frames.next().unwrap())
            .map(|(kind, payload)| (kind, payload.len()))
            .collect()
    }

    #[test]
    fn frames_come_out_the_same_however_the_bytes_are_cut() {
        let bytes = stream();
        let whole = Kind::ALL
            .into_iter()
            .zip([0, 10, 20, 30, 40, 50])
            .collect::<Vec<_>>();
        for step in 1..=bytes.len() {
            let mut frames = Frames::new(50);
            let mut got = Vec::new();
            for cut in bytes.chunks(step) {
                frames.extend(cut);
                got.extend(all(&mut frames));
            }
            assert_eq!(got, whole, "cut into {step} bytes");
        }
    }

    #[test]
    fn a_frame_too_long_out_of_order_or_of_no_kind_breaks_the_line() {
        for (bytes, broken) in [
            (header(Kind::Message, 0, 41), Broken::Length(41, 40)),
            (header(Kind::Message, 1, 0), Broken::Order(1, 0)),
            (
                [&header(Kind::Message, 0, 0)[..HEADER - 1], &[9]].concat(),
                Broken::Kind(9),
            ),
        ] {
            let mut frames = Frames::new(40);
            frames.extend(&bytes);
            assert_eq!(frames.next(), Err(broken));
        }
    }
}

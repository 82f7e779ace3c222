//! Frames of the bus between workers: written ones come out again, and any bytes are the frames
//! that the format says, however they are cut.

use arbitrary::Unstructured;

use crate::cuts::same_however_cut;
use crate::frame::{Frames, Kind, header};

pub(crate) const WORDS: &[&[u8]] = &[
    &[0; 17],
    b"\x03\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0abc",
    b"\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x01",
    b"\0\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x05",
    &[0xff; 8],
    b"\x41\0\0\0\0\0\0\0",
    b"\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x06",
];

const LONGEST: usize = 64;

/// The frames, and why the line is broken.
fn read(parts: &mut dyn Iterator<Item = &[u8]>) -> (Vec<(Kind, Vec<u8>)>, Option<String>) {
    let (mut frames, mut got) = (Frames::new(LONGEST), Vec::new());
    for part in parts {
        frames.extend(part);
        loop {
            match frames.next() {
                Ok(Some((kind, payload))) => {
                    assert!(payload.len() <= LONGEST);
                    got.push((kind, payload));
                }
                Ok(None) => break,
                Err(broken) => return (got, Some(broken.to_string())),
            }
        }
    }
    (got, None)
}

/// The frames by the format, and whether what follows them is none.
fn expected(mut bytes: &[u8]) -> (Vec<(Kind, Vec<u8>)>, bool) {
    let mut frames = Vec::new();
    while let Some((header, rest)) = bytes.split_first_chunk::<17>() {
        let number = |at: usize| u64::from_le_bytes(*header[at..].first_chunk().expect("8 bytes"));
        let kind = Kind::ALL.get(usize::from(header[16]));
        let (Some(kind), true) = (kind, number(8) == frames.len() as u64) else {
            return (frames, true);
        };
        let length = usize::try_from(number(0)).unwrap_or(usize::MAX);
        if length > LONGEST {
            return (frames, true);
        }
        let Some((payload, rest)) = rest.split_at_checked(length) else {
            break;
        };
        frames.push((*kind, payload.to_vec()));
        bytes = rest;
    }
    (frames, false)
}

/// What follows the first byte is read as it is, or becomes the payloads of frames.
pub(crate) fn run(input: &[u8]) {
    let Some((choice, rest)) = input.split_first() else {
        return;
    };
    if choice % 2 == 0 {
        let (frames, broken) = same_however_cut(rest, read);
        assert_eq!((frames, broken.is_some()), expected(rest));
        return;
    }
    let (mut rest, mut bytes, mut written) = (Unstructured::new(rest), Vec::new(), Vec::new());
    while let (false, Ok(kind), Ok(length)) = (
        rest.is_empty(),
        rest.choose(&Kind::ALL),
        rest.int_in_range(0..=LONGEST),
    ) {
        let payload = rest.bytes(length.min(rest.len())).unwrap_or_default();
        bytes.extend(header(*kind, written.len() as u64, payload.len()));
        bytes.extend_from_slice(payload);
        written.push((*kind, payload.to_vec()));
    }
    assert_eq!(same_however_cut(&bytes, read), (written, None));
}

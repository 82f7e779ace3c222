//! Frames of the bus between workers: written ones come out again, and any bytes are the same
//! frames however they are cut.

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

/// What stands behind the first byte is read as it is, or becomes the payloads of frames.
pub(crate) fn run(input: &[u8]) {
    let Some((choice, rest)) = input.split_first() else {
        return;
    };
    if choice % 2 == 0 {
        same_however_cut(rest, read);
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

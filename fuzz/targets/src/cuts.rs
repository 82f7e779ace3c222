//! The same bytes, whole and cut.

use std::fmt::Debug;

/// Up to this length, an input is cut in two at every byte.
const EVERY_BYTE_MAX: usize = 96;

/// Otherwise at this many places.
const PLACES: usize = 8;

/// Runs `read` with the whole input, with single bytes, and with the input cut in two at every
/// place, or at some. What it returns is the same each time.
pub(crate) fn same_however_cut<T: PartialEq + Debug>(
    input: &[u8],
    read: impl Fn(&mut dyn Iterator<Item = &[u8]>) -> T,
) -> T {
    let whole = read(&mut [input].into_iter());
    let bytes = read(&mut input.chunks(1));
    assert_eq!(bytes, whole, "single bytes of {}", input.escape_ascii());
    let step = match input.len() {
        0..=EVERY_BYTE_MAX => 1,
        length => length / PLACES,
    };
    for at in (1..input.len()).step_by(step) {
        let (start, end) = input.split_at(at);
        let cut = read(&mut [start, end].into_iter());
        assert_eq!(cut, whole, "cut at {at}: {}", input.escape_ascii());
    }
    whole
}

//! Finding bytes in chunks, in linear time.
//!
//! libevent compares the pattern at each place where its first byte is, which takes the
//! product of both lengths. In one chunk `memmem` finds it, faster and in linear time. Across
//! chunks it is the algorithm of Knuth, Morris and Pratt: it looks at each byte once, and needs no
//! more than the pattern to go from chunk to chunk. Where nothing is matched yet, `memchr` finds
//! the pattern's first byte faster.

use std::collections::TryReserveError;
use std::iter;

use memchr::{memchr, memmem};

/// Where `what` first lies wholly in the first `length` bytes of the chunks. Fails when
/// out of memory.
pub(super) fn find<'c>(
    what: &[u8],
    mut chunks: impl Iterator<Item = &'c [u8]>,
    length: usize,
) -> Result<Option<usize>, TryReserveError> {
    let first = chunks.next().unwrap_or_default();
    if let Some(all) = first.get(..length) {
        return Ok(memmem::find(all, what));
    }
    let pattern = Pattern::new(what)?;
    Ok(pattern.find(iter::once(first).chain(chunks), length))
}

/// What is looked for.
struct Pattern<'a> {
    bytes: &'a [u8],
    /// For each prefix of the pattern, how long the longest one is that it also ends with.
    borders: Vec<usize>,
}

impl<'a> Pattern<'a> {
    /// Fails when out of memory.
    fn new(bytes: &'a [u8]) -> Result<Self, TryReserveError> {
        let mut borders = Vec::new();
        borders.try_reserve_exact(bytes.len())?;
        let mut matched = 0;
        for (at, byte) in bytes.iter().enumerate() {
            if at > 0 {
                matched = step(bytes, &borders, matched, *byte);
            }
            borders.push(matched);
        }
        Ok(Self { bytes, borders })
    }

    /// Where the pattern first lies wholly in the first `length` bytes of the chunks.
    fn find<'c>(&self, chunks: impl Iterator<Item = &'c [u8]>, length: usize) -> Option<usize> {
        let first = *self.bytes.first()?;
        let (mut matched, mut seen) = (0, 0);
        for chunk in chunks {
            let part = super::clip(chunk, length - seen);
            let mut rest = part;
            loop {
                if matched == 0 {
                    let Some(skipped) = memchr(first, rest) else {
                        break;
                    };
                    rest = rest.get(skipped..).unwrap_or_default();
                }
                let Some((byte, after)) = rest.split_first() else {
                    break;
                };
                rest = after;
                matched = step(self.bytes, &self.borders, matched, *byte);
                if matched == self.bytes.len() {
                    return Some(seen + part.len() - rest.len() - matched);
                }
            }
            seen += part.len();
            if seen == length {
                return None;
            }
        }
        None
    }
}

/// How much of the pattern is matched after one more byte, if `matched` bytes were before it.
fn step(pattern: &[u8], borders: &[usize], mut matched: usize, byte: u8) -> usize {
    loop {
        if pattern.get(matched) == Some(&byte) {
            return matched + 1;
        }
        let shorter = matched.checked_sub(1).and_then(|last| borders.get(last));
        match shorter {
            Some(&shorter) => matched = shorter,
            None => return 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    fn find(what: &[u8], chunks: &[&[u8]], length: usize) -> Option<usize> {
        super::find(what, chunks.iter().copied(), length).unwrap()
    }

    #[test]
    fn a_pattern_that_repeats_itself_is_found_where_it_first_is() {
        assert_eq!(find(b"aab", &[b"aaaab"], 5), Some(2));
        assert_eq!(find(b"abab", &[b"abaab", b"ab"], 7), Some(3));
        assert_eq!(find(b"aab", &[b"aaaab"], 4), None);
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_chunks_are_found_as_in_one_slice(
            text in proptest::collection::vec(0..3_u8, 0..60),
            what in proptest::collection::vec(0..3_u8, 1..5),
            cut in prop_oneof![1..7_usize, Just(60)],
            length in 0..60_usize,
        ) {
            let length = length.min(text.len());
            let chunks = text.chunks(cut).collect::<Vec<_>>();
            let expected = text[..length].windows(what.len()).position(|part| part == what);
            prop_assert_eq!(find(&what, &chunks, length), expected);
        }
    }
}

//! Well-formed lines of a head, and their parts.
//!
//! For heads that are accepted. A line that is not well-formed, or has not come to its end, gives
//! `None`: [`syntax`](super::syntax) knows what is wrong with it. A usual line is read eight or
//! sixteen bytes at a time; where that finds an unusual byte, the rest is read byte by byte.

use super::byte_set::{ByteSet, byte_set};
use super::syntax::{is_token, is_token_byte, is_value_byte, trim};
use super::{Method, Version};

/// `method SP request-target SP HTTP-version CR LF` (RFC 9112 §3).
#[derive(Debug)]
pub(super) struct RequestLine<'a> {
    pub(super) method: Method,
    pub(super) target: &'a [u8],
    /// Whether the target has a `#`.
    pub(super) has_fragment: bool,
    pub(super) version: Version,
    /// What follows the line.
    pub(super) rest: &'a [u8],
}

/// `field-name ":" OWS field-value OWS CR LF` (RFC 9112 §5).
#[derive(Debug)]
pub(super) struct FieldLine<'a> {
    pub(super) name: &'a [u8],
    pub(super) value: &'a [u8],
    /// What follows the line.
    pub(super) rest: &'a [u8],
}

impl<'a> RequestLine<'a> {
    /// Reads the line that `bytes` begin with.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let (method, rest) = match bytes {
            [b'G', b'E', b'T', b' ', rest @ ..] => (Method::Get, rest), // most are
            _ => any_method(bytes)?,
        };
        let (target, after) = PLAIN.split(rest)?;
        let has_fragment = after.first() == Some(&b'#');
        let (target, rest) = if has_fragment {
            VISIBLE.split(rest)?
        } else {
            (target, after)
        };
        let (version, rest) = match rest.strip_prefix(b" HTTP/1.1\r\n") {
            Some(rest) => (Version::Http11, rest),
            None => (Version::Http10, rest.strip_prefix(b" HTTP/1.0\r\n")?),
        };
        if target.is_empty() {
            return None;
        }
        Some(Self {
            method,
            target,
            has_fragment,
            version,
            rest,
        })
    }
}

impl<'a> FieldLine<'a> {
    /// Reads the line that `bytes` begin with.
    #[inline]
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let (name, rest) = match bytes.split_at_checked(usual_name_length(bytes))? {
            (name, [b':', rest @ ..]) if !name.is_empty() => (name, rest),
            _ => unusual_name(bytes)?,
        };
        let length = usual_value_length(rest);
        let (value, rest) = match rest.split_at_checked(length)? {
            (value, [b'\r', b'\n', rest @ ..]) => (value, rest),
            _ => unusual_value(rest, length)?,
        };
        let value = match value {
            [b' ', value @ ..] => value,
            value => value,
        };
        // Of the bytes up to the space, a value has only tabs and spaces.
        let value = match value {
            [..=b' ', ..] | [.., ..=b' '] => trim(value),
            value => value,
        };
        Some(Self { name, value, rest })
    }
}

/// Any method, and what follows the space after it.
fn any_method(bytes: &[u8]) -> Option<(Method, &[u8])> {
    let space = bytes.iter().position(|byte| *byte == b' ')?;
    let (name, rest) = bytes.split_at_checked(space)?;
    let method = Method::from_bytes(name);
    if method == Method::Other && !is_token(name) {
        return None;
    }
    Some((method, rest.get(1..)?))
}

/// What a token is made of.
static TOKEN: ByteSet = byte_set!(is_token_byte);

/// What a request target without a fragment is made of.
static PLAIN: ByteSet = byte_set!(is_plain);

const fn is_plain(byte: u8) -> bool {
    is_visible(byte) && byte != b'#'
}

/// What a request target is made of.
static VISIBLE: ByteSet = byte_set!(is_visible);

const fn is_visible(byte: u8) -> bool {
    byte.is_ascii_graphic()
}

/// Any name, and what follows its colon.
#[cold]
fn unusual_name(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (name, rest) = TOKEN.split(bytes)?;
    let rest = rest.strip_prefix(b":")?;
    (!name.is_empty()).then_some((name, rest))
}

/// Any value, of which `length` bytes are well-formed, and what follows its CR LF.
#[cold]
fn unusual_value(bytes: &[u8], length: usize) -> Option<(&[u8], &[u8])> {
    let rest = bytes.get(length..)?;
    let more = rest.iter().position(|byte| !is_value_byte(*byte))?;
    let (value, rest) = bytes.split_at_checked(length + more)?;
    Some((value, rest.strip_prefix(b"\r\n")?))
}

/// The number of letters and hyphens before the first other byte; it may be less near the end of
/// `bytes`.
#[inline]
fn usual_name_length(bytes: &[u8]) -> usize {
    let mut length = 0;
    for word in bytes.as_chunks::<WORD>().0 {
        let others = other_than_letters(u64::from_le_bytes(*word));
        if others != 0 {
            return length + first(others);
        }
        length += WORD;
    }
    length
}

/// The number of bytes before the first control byte; it may be less near the end of `bytes`.
#[inline]
fn usual_value_length(bytes: &[u8]) -> usize {
    let mut length = 0;
    let (blocks, rest) = bytes.as_chunks::<{ 2 * WORD }>();
    for block in blocks {
        // Without a branch for each byte, the compiler uses vector instructions.
        let any = block
            .iter()
            .fold(false, |any, byte| any | (*byte < 0x20) | (*byte == 0x7f));
        if any {
            let [low, high] = block.as_chunks::<WORD>().0 else {
                break;
            };
            return length
                + match controls(u64::from_le_bytes(*low)) {
                    0 => WORD + first(controls(u64::from_le_bytes(*high))),
                    controls => first(controls),
                };
        }
        length += block.len();
    }
    match rest.first_chunk::<WORD>() {
        Some(word) => match controls(u64::from_le_bytes(*word)) {
            0 => length + WORD,
            controls => length + first(controls),
        },
        None => length,
    }
}

const WORD: usize = size_of::<u64>();

/// The number whose bytes are all `byte`.
const fn all(byte: u8) -> u64 {
    u64::from_le_bytes([byte; WORD])
}

/// The place of the first byte whose high bit is set in `mask`.
const fn first(mask: u64) -> usize {
    mask.trailing_zeros() as usize / 8
}

/// The high bits of the bytes of `word` that are neither letters nor hyphens.
const fn other_than_letters(word: u64) -> u64 {
    let lower = (word | all(0x20)) & all(0x7f);
    let from_a = lower + all(0x80 - b'a');
    let behind_z = lower + all(0x80 - b'z' - 1);
    let not_hyphen = ((word ^ all(b'-')) & all(0x7f)) + all(0x7f);
    ((!from_a | behind_z) & not_hyphen | word) & all(0x80)
}

/// The high bits of the control bytes of `word`. Bits after the first may be wrong.
const fn controls(word: u64) -> u64 {
    let delete = word ^ all(0x7f);
    let below_space = word.wrapping_sub(all(b' ')) & !word;
    let is_delete = delete.wrapping_sub(all(1)) & !delete;
    (below_space | is_delete) & all(0x80)
}

//! Text of a request: what came from the wire, and what may be put there.
//!
//! Owns, lends to C: nothing. Runs no user code.

use std::ffi::CString;

use http_framing::is_token;

use crate::error::{Error, Result, c_text};

/// Text from the wire: UTF-8 where it is that, otherwise ISO-8859-1, where every byte is a
/// character.
pub(super) fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().copied().map(char::from).collect(),
    }
}

/// Headers with their values as [`text`].
pub(super) fn texts(headers: Vec<(String, Vec<u8>)>) -> Vec<(String, String)> {
    let texts = headers
        .into_iter()
        .map(|(name, value)| (name, text(&value)));
    texts.collect()
}

/// Refuses what is not a token of RFC 9110 §5.6.2, so that nothing else can hide in a name.
pub(super) fn check_name(call: &'static str, name: &str) -> Result<()> {
    checked_name(call, name).map(drop)
}

/// Refuses a text with a byte that could end its line, or that a peer may read as its end.
pub(super) fn check_line(call: &'static str, what: &str, text: &[u8]) -> Result<()> {
    checked_line(call, what, text).map(drop)
}

/// A header's name for C: a token of RFC 9110 §5.6.2, so that nothing else can hide in it.
pub(super) fn checked_name(call: &'static str, name: &str) -> Result<CString> {
    if !is_token(name.as_bytes()) {
        let reason = format!("{name:?} is not a header name: give letters, digits and dashes");
        return Err(Error::argument(call, reason));
    }
    c_text(call, "header name", name)
}

/// One line of text for C: no byte that could end it, or that a peer may read as its end.
pub(crate) fn checked_line(
    call: &'static str,
    what: &str,
    text: impl AsRef<[u8]>,
) -> Result<CString> {
    let text = text.as_ref();
    let control = |byte: &u8| byte.is_ascii_control() && *byte != b'\t';
    if let Some(byte) = text.iter().find(|byte| control(byte)) {
        let text = String::from_utf8_lossy(text);
        let reason = format!("the {what} {text:?} holds the control byte {byte:#04x}");
        return Err(Error::argument(call, reason));
    }
    c_text(call, what, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_that_is_not_utf8_is_read_as_latin1() {
        assert_eq!(text(b"J\xfcrgen"), "J\u{fc}rgen");
        assert_eq!(text("J\u{fc}rgen".as_bytes()), "J\u{fc}rgen");
    }
}

//! The headers of a request: reading libevent's lists, and what may be put into them.
//!
//! Owns, lends to C: nothing. Runs no user code.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char};

use http_framing::is_token;

use crate::error::{Error, Result, c_text, cvt};
use crate::ffi;

/// Text from the wire: UTF-8 where it is that, otherwise ISO-8859-1, where every byte is a
/// character; null is `None`.
///
/// # Safety
/// `text` is null, or a C string that nobody changes before this returns.
pub(crate) unsafe fn text(text: *const c_char) -> Option<String> {
    if text.is_null() {
        return None;
    }
    // SAFETY: not null; the rest is the caller's duty.
    let bytes = unsafe { CStr::from_ptr(text) }.to_bytes();
    Some(match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().copied().map(char::from).collect(),
    })
}

/// The list's headers in their order, as names and values.
///
/// # Safety
/// `list` is a list of a request that C has not freed.
pub(super) unsafe fn all(list: *mut ffi::evkeyvalq) -> Vec<(String, String)> {
    let mut headers = Vec::new();
    // SAFETY: the caller's duty.
    let mut next = unsafe { (*list).tqh_first };
    while !next.is_null() {
        // SAFETY: an entry of the list, or the null at its end.
        let entry = unsafe { &*next };
        // SAFETY: libevent's own copies, which live as long as the entry.
        let name = unsafe { text(entry.key) };
        // SAFETY: as above.
        let value = unsafe { text(entry.value) };
        headers.push((name.unwrap_or_default(), value.unwrap_or_default()));
        next = entry.next.tqe_next;
    }
    headers
}

/// The value of the first header of that name, whatever its case.
///
/// # Safety
/// As for [`all`].
pub(super) unsafe fn find(list: *mut ffi::evkeyvalq, name: &CStr) -> Option<String> {
    // SAFETY: the caller's duty; `name` lives in the caller's frame.
    let value = unsafe { ffi::evhttp_find_header(list, name.as_ptr()) };
    // SAFETY: libevent's own copy, unchanged until the caller calls C again.
    unsafe { text(value) }
}

/// Appends a header whose name and value were checked.
///
/// # Safety
/// As for [`all`].
pub(super) unsafe fn append(
    call: &'static str,
    list: *mut ffi::evkeyvalq,
    name: &CStr,
    value: &CStr,
) -> Result<()> {
    // SAFETY: the caller's duty; libevent copies both texts.
    let rc = unsafe { ffi::evhttp_add_header(list, name.as_ptr(), value.as_ptr()) };
    cvt(call, rc).map(drop)
}

/// Removes the first header of that name; tells whether there was one.
///
/// # Safety
/// As for [`all`].
pub(super) unsafe fn remove(list: *mut ffi::evkeyvalq, name: &CStr) -> bool {
    // SAFETY: the caller's duty.
    unsafe { ffi::evhttp_remove_header(list, name.as_ptr()) == 0 }
}

/// Refuses what is no token of RFC 9110 §5.6.2, so that nothing else can hide in a name.
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
        let reason = format!("{name:?} is no header name: give letters, digits and dashes");
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

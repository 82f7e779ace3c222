//! An answer's head, before evhttp reads the body by it.
//!
//! Owns: what was changed in a head, until the answer is complete. Lends nothing to C, runs no
//! user code.
//!
//! evhttp (2.1.12) takes the first `Content-Length` of several, signs and blanks in it, and any
//! `Transfer-Encoding` but `chunked` for none: what follows would be read as the next answer. So
//! such a head is refused. Of one without a length it takes the body for empty when there is a
//! `Connection` header with another word than `close`, where RFC 9112 §6.3 has the body end with
//! the connection: it is shown `close` instead.
#![allow(unsafe_code)]

use crate::ffi;
use crate::http::headers;

/// The headers of an answer that were changed for evhttp.
#[derive(Debug, Default)]
pub(crate) struct Changed(Option<Vec<String>>);

/// Looks at a head that was read; `None` refuses it.
///
/// # Safety
/// `raw` is a live request whose answer is being read.
pub(super) unsafe fn checked(raw: *mut ffi::evhttp_request, bodyless: bool) -> Option<Changed> {
    // SAFETY: the caller's duty.
    let list = unsafe { ffi::evhttp_request_get_input_headers(raw) };
    // SAFETY: as above.
    let code = unsafe { ffi::evhttp_request_get_response_code(raw) };
    if !(100..=999).contains(&code) {
        return None;
    }
    // SAFETY: the list of a live request.
    let all = unsafe { headers::all(list) };
    let values = |wanted: &str| -> Vec<String> {
        let named = all
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
        named.map(|(_, value)| value.clone()).collect()
    };
    let (lengths, codings) = (values("Content-Length"), values("Transfer-Encoding"));
    let number = |length: &String| {
        !length.is_empty() && length.bytes().all(|b| b.is_ascii_digit()) && length.len() < 19
    };
    let chunked = |coding: &String| coding.eq_ignore_ascii_case("chunked");
    match (lengths.as_slice(), codings.as_slice()) {
        ([], []) => {}
        ([length], []) if number(length) => return Some(Changed::default()),
        ([], [coding]) if chunked(coding) => return Some(Changed::default()),
        _ => return None,
    }
    let connection = values("Connection");
    let until_close = !bodyless && !matches!(code, 100..=199 | 204 | 304);
    if !until_close || matches!(connection.as_slice(), [word] if word == "close") {
        return Some(Changed::default());
    }
    // SAFETY: the list of a live request.
    unsafe { replace(list, &["close".to_owned()]) };
    Some(Changed(Some(connection)))
}

impl Changed {
    /// Puts back what was changed.
    ///
    /// # Safety
    /// `raw` is live, and its answer was read.
    pub(super) unsafe fn undo(self, raw: *mut ffi::evhttp_request) {
        let Some(values) = self.0 else { return };
        // SAFETY: the caller's duty.
        let list = unsafe { ffi::evhttp_request_get_input_headers(raw) };
        // SAFETY: as above.
        unsafe { replace(list, &values) };
    }
}

/// # Safety
/// `list` is a list of a live request.
unsafe fn replace(list: *mut ffi::evkeyvalq, values: &[String]) {
    // SAFETY: the caller's duty.
    while unsafe { headers::remove(list, c"Connection") } {}
    for value in values {
        if let Ok(value) = headers::checked_line("EventHttpRequest", "header value", value) {
            // SAFETY: as above.
            unsafe { headers::append("EventHttpRequest", list, c"Connection", &value) }.ok();
        }
    }
}

//! The pages that a server answers by itself, or for its user, when something went wrong.
//!
//! Owns, lends to C: nothing. Runs no user code.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::ptr;

use super::headers;
use http_framing::reason_phrase;

use crate::ffi;
use crate::flags::HttpMethods;

/// Whether an answer of that status has a body (RFC 9110 §6.4.1).
pub(super) fn has_body(method: HttpMethods, code: u16) -> bool {
    method != HttpMethods::HEAD && !matches!(code, 204 | 205 | 304)
}

/// Answers with a page that gives the reason, or else the status's phrase, and below it a text;
/// the connection is closed behind it. What fails here fails for want of memory, and the
/// connection is closed all the same.
///
/// # Safety
/// `raw` is live, belongs to a connection, and has no reply.
pub(super) unsafe fn send(
    raw: *mut ffi::evhttp_request,
    code: u16,
    reason: Option<&str>,
    text: Option<&str>,
) {
    let reason = reason.unwrap_or_else(|| reason_phrase(code));
    let heading = escaped(reason);
    let text = text.map_or(String::new(), |text| format!("<P>{}</P>\n", escaped(text)));
    let page = format!(
        "<HTML><HEAD>\n<TITLE>{code} {heading}</TITLE>\n</HEAD><BODY>\n\
         <H1>{heading}</H1>\n{text}</BODY></HTML>\n"
    );
    // SAFETY: the caller's duty.
    let output = unsafe { ffi::evhttp_request_get_output_buffer(raw) };
    // SAFETY: the request's own buffer.
    unsafe { ffi::evbuffer_drain(output, usize::MAX) };
    // SAFETY: the caller's duty.
    let list = unsafe { ffi::evhttp_request_get_output_headers(raw) };
    // SAFETY: its list.
    unsafe { ffi::evhttp_clear_headers(list) };
    // SAFETY: the caller's duty.
    let method = HttpMethods::from_bits_retain(unsafe { ffi::evhttp_request_get_command(raw) });
    if has_body(method, code) {
        // SAFETY: as above; libevent copies the page.
        unsafe { ffi::evbuffer_add(output, page.as_ptr().cast(), page.len()) };
    }
    for (name, value) in [(c"Content-Type", c"text/html"), (c"Connection", c"close")] {
        // SAFETY: its list.
        unsafe { headers::append("EventHttp", list, name, value) }.ok();
    }
    let reason = CString::new(reason).unwrap_or_default();
    // SAFETY: the caller's duty; libevent copies the text.
    unsafe { ffi::evhttp_send_reply(raw, code.into(), reason.as_ptr(), ptr::null_mut()) };
}

/// Text for an HTML page.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#039;"),
            char => escaped.push(char),
        }
    }
    escaped
}

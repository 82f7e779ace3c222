//! The pages that a server answers by itself, or for its user, when something went wrong.
//!
//! Owns, lends to C: nothing. Runs no user code.

use std::ffi::CString;

use http_framing::reason_phrase;

use crate::error::Result;
use crate::flags::{HeaderSide, HttpMethods};
use crate::native::evhttp_request::RequestView;

const CALL: &str = "EventHttp";

/// Whether a reply of that status has a body (RFC 9110 §6.4.1).
pub(super) fn has_body(method: HttpMethods, code: u16) -> bool {
    method != HttpMethods::HEAD && !matches!(code, 204 | 205 | 304)
}

/// Replies with a page that gives the reason, or else the status's phrase, and below it a text;
/// evhttp closes the connection afterwards. What fails here fails for lack of memory, and the
/// connection is closed all the same. The request has no reply yet.
pub(super) fn send(request: RequestView<'_>, code: u16, reason: Option<&str>, text: Option<&str>) {
    let reason = reason.unwrap_or_else(|| reason_phrase(code));
    let heading = escaped(reason);
    let text = text.map_or(String::new(), |text| format!("<P>{}</P>\n", escaped(text)));
    let page = format!(
        "<HTML><HEAD>\n<TITLE>{code} {heading}</TITLE>\n</HEAD><BODY>\n\
         <H1>{heading}</H1>\n{text}</BODY></HTML>\n"
    );
    request.output(CALL).drain(usize::MAX).ok();
    if has_body(request.method(), code) {
        request.output(CALL).add(page.as_bytes()).ok();
    }
    let mut headers = request.headers(HeaderSide::Output);
    headers.clear();
    headers.add(CALL, c"Content-Type", c"text/html").ok();
    announce_close(CALL, &request).ok();
    request.send_reply(code, &CString::new(reason).unwrap_or_default());
}

/// Says that the connection closes after the reply.
pub(super) fn announce_close(call: &'static str, request: &RequestView<'_>) -> Result<()> {
    // evhttp removes `Connection` from the reply to a proxy's request, unless that asked for
    // `keep-alive`; it closes all the same.
    forget_keep_alive(request);
    let mut asked = request.headers(HeaderSide::Input);
    while asked.remove(c"Proxy-Connection") {}
    asked.add(call, c"Proxy-Connection", c"keep-alive")?;
    let mut headers = request.headers(HeaderSide::Output);
    while headers.remove(c"Connection") {}
    headers.add(call, c"Connection", c"close")
}

/// Keeps evhttp from adding `Connection: keep-alive` to the reply: it does that for HTTP/1.0 clients
/// that ask to be kept, whatever the reply says.
pub(super) fn forget_keep_alive(request: &RequestView<'_>) {
    let mut asked = request.headers(HeaderSide::Input);
    while asked.remove(c"Connection") {}
}

/// Whether the reply says that the connection closes.
pub(super) fn says_close(request: &RequestView<'_>) -> bool {
    let headers = request.headers(HeaderSide::Output);
    let connection = headers.find(c"Connection");
    connection.is_some_and(|value| value.eq_ignore_ascii_case(b"close"))
}

/// Whether evhttp closes the connection after the reply. To HTTP/1.0 it does so without a word.
pub(super) fn closes(request: &RequestView<'_>, is_1_0: bool) -> bool {
    says_close(request) || (is_1_0 && !asks_to_be_kept(request))
}

/// Whether evhttp takes the request for one that asks to keep the connection. It looks at that for
/// HTTP/1.0 only.
pub(super) fn asks_to_be_kept(request: &RequestView<'_>) -> bool {
    const WORD: &[u8] = b"keep-alive";
    let headers = request.headers(HeaderSide::Input);
    let connection = headers.find(c"Connection");
    let start = connection.and_then(|value| value.get(..WORD.len()));
    start.is_some_and(|start| start.eq_ignore_ascii_case(WORD))
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

//! What the server writes: the tutorial's answer, refusals, and the operator's own lines.
//!
//! Everything is appended to a buffer the caller keeps, so that pipelined answers leave together.

use std::io::Write as _;
use std::str::FromStr;

use super::{Refusal, syntax};

/// The interim answer a peer waits for when its head says so (RFC 9110 §15.2.1).
///
/// See [`Head::expects_continue`](super::Head::expects_continue).
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Appends the head of a 200, in the tutorial's words: `length` bytes of body are to follow.
///
/// The lines and their order are the tutorial's to the byte, `Content-Length` without a space
/// after its colon; `date` (an IMF-fixdate) and `extra` come after them. `Connection: close`
/// stands where the connection will not be kept.
///
/// # Examples
/// ```
/// use php_event::codec::response::answer_head;
///
/// let mut out = Vec::new();
/// answer_head(&mut out, true, 65, None, &["X-Served-By: one".parse()?]);
/// assert_eq!(
///     out,
///     b"HTTP/1.1 200 OK\r\nAccept: application/json, text/plain, */*\r\n\
///       Connection: keep-alive\r\nContent-Length:65\r\nX-Served-By: one\r\n\r\n"
/// );
/// # Ok::<(), php_event::codec::response::FieldLineError>(())
/// ```
pub fn answer_head(
    out: &mut Vec<u8>,
    keep_alive: bool,
    length: u64,
    date: Option<&str>,
    extra: &[FieldLine],
) {
    out.extend_from_slice(
        b"HTTP/1.1 200 OK\r\nAccept: application/json, text/plain, */*\r\nConnection: ",
    );
    out.extend_from_slice(connection(keep_alive));
    out.extend_from_slice(b"\r\nContent-Length:");
    // Writing into a Vec can't fail.
    let _ = write!(out, "{length}");
    out.extend_from_slice(b"\r\n");
    date_line(out, date);
    for line in extra {
        out.extend_from_slice(line.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends a 202 without a body: the message was taken (RFC 9110 §15.3.3).
///
/// # Examples
/// ```
/// use php_event::codec::response::accepted;
///
/// let mut out = Vec::new();
/// accepted(&mut out, true, None);
/// assert_eq!(
///     out,
///     b"HTTP/1.1 202 Accepted\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n"
/// );
/// ```
pub fn accepted(out: &mut Vec<u8>, keep_alive: bool, date: Option<&str>) {
    out.extend_from_slice(b"HTTP/1.1 202 Accepted\r\nConnection: ");
    out.extend_from_slice(connection(keep_alive));
    out.extend_from_slice(b"\r\nContent-Length: 0\r\n");
    date_line(out, date);
    out.extend_from_slice(b"\r\n");
}

/// Appends the answer to a request that is refused: the reason as a line of text, and the end of
/// the connection.
///
/// With `head_only`, for a `HEAD` request, the text is left out, not its length.
///
/// # Examples
/// ```
/// use php_event::codec::{Refusal, Status, response};
///
/// let refusal = Refusal::new(Status::BadRequest, "the Host field is empty");
/// let mut out = Vec::new();
/// response::refusal(&mut out, &refusal, "Sun, 06 Nov 1994 08:49:37 GMT", false);
/// assert_eq!(
///     out,
///     b"HTTP/1.1 400 Bad Request\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
///       Content-Type: text/plain; charset=utf-8\r\nContent-Length: 41\r\n\
///       Connection: close\r\n\r\n400 Bad Request: the Host field is empty\n"
/// );
/// ```
pub fn refusal(out: &mut Vec<u8>, refusal: &Refusal, date: &str, head_only: bool) {
    let status = refusal.status();
    let separators = "000 : \n".len();
    let length = separators + status.phrase().len() + refusal.reason().len();
    // Writing into a Vec can't fail.
    let _ = write!(
        out,
        "HTTP/1.1 {status}\r\nDate: {date}\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n",
    );
    if !head_only {
        let _ = writeln!(out, "{refusal}");
    }
}

fn date_line(out: &mut Vec<u8>, date: Option<&str>) {
    if let Some(date) = date {
        out.extend_from_slice(b"Date: ");
        out.extend_from_slice(date.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}

const fn connection(keep_alive: bool) -> &'static [u8] {
    if keep_alive { b"keep-alive" } else { b"close" }
}

/// A header line of the operator's, checked once and kept as it goes on the wire.
///
/// # Examples
/// ```
/// use php_event::codec::response::FieldLine;
///
/// let line: FieldLine = "Cache-Control:  no-store ".parse()?;
/// assert_eq!(line.as_bytes(), b"Cache-Control: no-store\r\n");
/// assert!("Connection: close".parse::<FieldLine>().is_err());
/// # Ok::<(), php_event::codec::response::FieldLineError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FieldLine(Box<[u8]>);

impl FieldLine {
    /// `Name: value` with the CR LF that ends it.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl FromStr for FieldLine {
    type Err = FieldLineError;

    /// Reads `Name: value` (RFC 9110 §5); white space around the value is dropped.
    ///
    /// # Errors
    /// [`FieldLineError`] when it could break the answer's framing, or is the server's to send.
    fn from_str(line: &str) -> Result<Self, FieldLineError> {
        let Some((name, value)) = line.split_once(':') else {
            return Err(FieldLineError::NoColon(line.to_owned()));
        };
        if !syntax::is_token(name.as_bytes()) {
            return Err(FieldLineError::Name(name.to_owned()));
        }
        let value = value.trim_matches([' ', '\t']);
        if !value.bytes().all(syntax::is_value_byte) {
            return Err(FieldLineError::Value(value.to_owned()));
        }
        const FRAMING: [&str; 3] = ["Content-Length", "Transfer-Encoding", "Connection"];
        if FRAMING
            .iter()
            .any(|framing| name.eq_ignore_ascii_case(framing))
        {
            return Err(FieldLineError::Framing(name.to_owned()));
        }
        if name.eq_ignore_ascii_case("Date") {
            return Err(FieldLineError::Date(line.to_owned()));
        }
        Ok(Self(format!("{name}: {value}\r\n").into_bytes().into()))
    }
}

/// Why a header line from the command line is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FieldLineError {
    /// There is no colon.
    #[error("{0:?} is not a header line: write it as 'Name: value'")]
    NoColon(String),
    /// The name is not a token.
    #[error(
        "{0:?} is not a header name: use letters, digits and hyphens, and no space before the colon"
    )]
    Name(String),
    /// The value has a line break, a NUL or another control byte.
    #[error("the header value {0:?} has a line break or another control character: remove it")]
    Value(String),
    /// The field frames the answer.
    #[error("{0:?} frames the answer, and the server sets it itself: leave it out")]
    Framing(String),
    /// The field is the server's clock.
    #[error("{0:?} would not move with the clock: use --date, which adds the current date")]
    Date(String),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Status;

    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = b"before|".to_vec();
        write(&mut out);
        let text = String::from_utf8(out).expect("only text is written");
        text.strip_prefix("before|").expect("it appends").to_owned()
    }

    #[test]
    fn a_kept_answer_has_the_tutorials_bytes() {
        assert_eq!(
            written(|out| answer_head(out, true, 65, None, &[])),
            "HTTP/1.1 200 OK\r\nAccept: application/json, text/plain, */*\r\n\
             Connection: keep-alive\r\nContent-Length:65\r\n\r\n"
        );
    }

    #[test]
    fn a_last_answer_with_everything_says_close_and_keeps_the_order() {
        let extra = ["A: 1".parse().unwrap(), "B:2".parse().unwrap()];
        assert_eq!(
            written(|out| answer_head(out, false, u64::MAX, Some(DATE), &extra)),
            format!(
                "HTTP/1.1 200 OK\r\nAccept: application/json, text/plain, */*\r\n\
                 Connection: close\r\nContent-Length:18446744073709551615\r\n\
                 Date: {DATE}\r\nA: 1\r\nB: 2\r\n\r\n"
            )
        );
    }

    #[test]
    fn an_accepted_message_is_answered_without_a_body() {
        assert_eq!(
            written(|out| accepted(out, false, Some(DATE))),
            format!(
                "HTTP/1.1 202 Accepted\r\nConnection: close\r\nContent-Length: 0\r\n\
                 Date: {DATE}\r\n\r\n"
            )
        );
    }

    #[test]
    fn a_refusals_length_is_the_length_of_its_text_for_every_status() {
        for status in [
            Status::BadRequest,
            Status::RequestTimeout,
            Status::ContentTooLarge,
            Status::UriTooLong,
            Status::ExpectationFailed,
            Status::RequestHeaderFieldsTooLarge,
            Status::InternalServerError,
            Status::NotImplemented,
            Status::ServiceUnavailable,
            Status::HttpVersionNotSupported,
        ] {
            let refused = Refusal::new(status, "why");
            let answer = written(|out| refusal(out, &refused, DATE, false));
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            assert_eq!(body, format!("{status}: why\n"));
            assert!(
                head.starts_with(&format!("HTTP/1.1 {status}\r\n")),
                "{head}"
            );
            assert!(
                head.contains(&format!("\r\nContent-Length: {}\r\n", body.len())),
                "{head}"
            );
            let head_alone = written(|out| refusal(out, &refused, DATE, true));
            assert_eq!(head_alone, format!("{head}\r\n\r\n"));
        }
    }

    #[test]
    fn a_header_line_is_trimmed_and_kept_as_it_goes_on_the_wire() {
        for (line, wire) in [
            ("A: 1", "A: 1\r\n"),
            ("A:1", "A: 1\r\n"),
            ("A: \t 1\t2 ", "A: 1\t2\r\n"),
            ("A:", "A: \r\n"),
            ("X-Name: Jos\u{e9}: x", "X-Name: Jos\u{e9}: x\r\n"),
        ] {
            assert_eq!(
                line.parse::<FieldLine>().unwrap().as_bytes(),
                wire.as_bytes()
            );
        }
    }

    #[test]
    fn a_header_line_that_could_break_the_answer_is_refused_with_a_remedy() {
        for (line, says) in [
            (
                "X-Foo",
                "\"X-Foo\" is not a header line: write it as 'Name: value'",
            ),
            ("", "\"\" is not a header line"),
            (": x", "\"\" is not a header name"),
            ("A : x", "\"A \" is not a header name"),
            (" A: x", "\" A\" is not a header name"),
            ("A\r\nB: x", "\"A\\r\\nB\" is not a header name"),
            ("\u{e9}: x", "\"\u{e9}\" is not a header name"),
            ("A: x\r\nB: y", "\"x\\r\\nB: y\" has a line break"),
            ("A: x\n", "\"x\\n\" has a line break"),
            ("A: \0", "\"\\0\" has a line break"),
            ("A: \u{7f}", "\"\\u{7f}\" has a line break"),
            ("content-length: 3", "\"content-length\" frames the answer"),
            (
                "Transfer-Encoding: chunked",
                "\"Transfer-Encoding\" frames the answer",
            ),
            ("CONNECTION: close", "\"CONNECTION\" frames the answer"),
            ("date: now", "use --date"),
        ] {
            let error = line.parse::<FieldLine>().expect_err(line).to_string();
            assert!(error.contains(says), "{line:?} gave {error}");
        }
    }
}

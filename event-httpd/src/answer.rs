//! The heads that this server writes, apart from refusals: the tutorial's answer, with the
//! operator's own lines.

use std::str::FromStr;

use http_framing::{is_field_value, is_token};

/// Appends the tutorial's 200 head, for a body of `length` bytes.
///
/// The lines and their order are the tutorial's to the byte: `Content-Length` has no space after
/// its colon. `date` (an IMF-fixdate) and `extra` follow. Without `keep_alive` the head says
/// `Connection: close`.
pub(crate) fn answer_head(
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
    decimal(out, length);
    out.extend_from_slice(b"\r\n");
    date_line(out, date);
    field_lines(out, extra);
    out.extend_from_slice(b"\r\n");
}

/// Appends a 202 without a body: the message was accepted (RFC 9110 §15.3.3).
pub(crate) fn accepted(
    out: &mut Vec<u8>,
    keep_alive: bool,
    date: Option<&str>,
    extra: &[FieldLine],
) {
    out.extend_from_slice(b"HTTP/1.1 202 Accepted\r\nConnection: ");
    out.extend_from_slice(connection(keep_alive));
    out.extend_from_slice(b"\r\nContent-Length: 0\r\n");
    date_line(out, date);
    field_lines(out, extra);
    out.extend_from_slice(b"\r\n");
}

/// Appends the operator's lines.
pub(crate) fn field_lines(out: &mut Vec<u8>, lines: &[FieldLine]) {
    for line in lines {
        out.extend_from_slice(line.as_bytes());
    }
}

/// Appends a number. `write!` takes ten times as many instructions.
pub(crate) fn decimal(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20]; // as many as the largest number has
    let mut start = digits.len();
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
        start -= 1;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(start..).unwrap_or_default());
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

/// A header line from the operator, checked once and kept in wire format.
///
/// # Examples
/// ```
/// use event_httpd::FieldLine;
///
/// let line: FieldLine = "Cache-Control:  no-store ".parse()?;
/// assert_eq!(line.as_bytes(), b"Cache-Control: no-store\r\n");
/// assert!("Connection: close".parse::<FieldLine>().is_err());
/// # Ok::<(), event_httpd::FieldLineError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FieldLine(Box<[u8]>);

impl FieldLine {
    /// `Name: value` and CR LF.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl FromStr for FieldLine {
    type Err = FieldLineError;

    /// Parses `Name: value` (RFC 9110 §5) and drops white space around the value.
    ///
    /// # Errors
    /// [`FieldLineError`] when the line could break the framing, or the server itself sends it.
    fn from_str(line: &str) -> Result<Self, FieldLineError> {
        let Some((name, value)) = line.split_once(':') else {
            return Err(FieldLineError::NoColon(line.to_owned()));
        };
        if !is_token(name.as_bytes()) {
            return Err(FieldLineError::Name(name.to_owned()));
        }
        let value = value.trim_matches([' ', '\t']);
        if !is_field_value(value.as_bytes()) {
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

/// Why a header line is not accepted.
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
    #[error("{0:?} frames the answer, so the server sets it itself: leave it out")]
    Framing(String),
    /// The field is the current date.
    #[error("{0:?} would always be the same: use --date, which adds the current date")]
    Date(String),
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_number_is_written_with_all_its_digits_and_no_more() {
        for number in [0, 7, 10, 99, 100, 12_034, u64::MAX] {
            assert_eq!(written(|out| decimal(out, number)), number.to_string());
        }
    }

    #[test]
    fn an_accepted_message_is_answered_without_a_body() {
        assert_eq!(
            written(|out| accepted(out, false, Some(DATE), &[])),
            format!(
                "HTTP/1.1 202 Accepted\r\nConnection: close\r\nContent-Length: 0\r\n\
                 Date: {DATE}\r\n\r\n"
            )
        );
    }

    #[test]
    fn a_header_line_is_trimmed_and_kept_in_wire_format() {
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

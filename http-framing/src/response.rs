//! What any server writes: the interim answer, and the answer to a refused request.

use std::io::Write as _;

use crate::Refusal;

/// The interim answer for `Expect: 100-continue` (RFC 9110 §15.2.1).
///
/// See [`Head::expects_continue`](super::Head::expects_continue).
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Appends the answer to a request that is refused: the reason as a line of text, and the end of
/// the connection.
///
/// `fields` are further header lines, each with its CR LF. With `head_only`, for a `HEAD` request,
/// the text is left out, not its length.
///
/// # Examples
/// ```
/// use http_framing::{Refusal, Status, response};
///
/// let refusal = Refusal::new(Status::BadRequest, "the Host field is empty");
/// let mut out = Vec::new();
/// response::refusal(&mut out, &refusal, "Sun, 06 Nov 1994 08:49:37 GMT", b"", false);
/// assert_eq!(
///     out,
///     b"HTTP/1.1 400 Bad Request\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
///       Content-Type: text/plain; charset=utf-8\r\nContent-Length: 41\r\n\
///       Connection: close\r\n\r\n400 Bad Request: the Host field is empty\n"
/// );
/// ```
pub fn refusal(out: &mut Vec<u8>, refusal: &Refusal, date: &str, fields: &[u8], head_only: bool) {
    let status = refusal.status();
    let separators = "000 : \n".len();
    let length = separators + status.phrase().len() + refusal.reason().len();
    // Writing into a Vec can't fail.
    let _ = write!(
        out,
        "HTTP/1.1 {status}\r\nDate: {date}\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Length: {length}\r\n",
    );
    out.extend_from_slice(fields);
    out.extend_from_slice(b"Connection: close\r\n\r\n");
    if !head_only {
        let _ = writeln!(out, "{refusal}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Status;

    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = b"before|".to_vec();
        write(&mut out);
        let text = String::from_utf8(out).expect("only text is written");
        text.strip_prefix("before|").expect("it appends").to_owned()
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
            let answer = written(|out| refusal(out, &refused, DATE, b"A: 1\r\n", false));
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
            assert!(head.contains("\r\nA: 1\r\nConnection: close"), "{head}");
            let head_alone = written(|out| refusal(out, &refused, DATE, b"A: 1\r\n", true));
            assert_eq!(head_alone, format!("{head}\r\n\r\n"));
        }
    }
}

//! A request head that a server has kept: its line and all its fields.

use std::str;

use crate::syntax;
use crate::{FieldLines, Version};

/// All of a request head, for a server that looks at more than what frames the request.
///
/// # Examples
/// ```
/// use http_framing::{Decoder, Item, Limits, RequestHead};
///
/// let input = b"GET /news?page=2 HTTP/1.1\r\nHost: x\r\nAccept: text/plain\r\n\r\n";
/// let decoded = Decoder::new(Limits::default()).decode(input)?;
/// assert!(matches!(decoded.item, Item::Head(_)));
///
/// let head = RequestHead::read(&input[..decoded.used]).expect("the decoder has taken it");
/// assert_eq!((head.method, head.target), ("GET", "/news?page=2"));
/// assert_eq!(head.field("accept"), Some(&b"text/plain"[..]));
/// # Ok::<(), http_framing::Refusal>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestHead<'a> {
    /// The method as sent.
    pub method: &'a str,
    /// The request target as sent, as in [`Head::target`](crate::Head::target).
    pub target: &'a str,
    /// The version.
    pub version: Version,
    /// The fields, in their order.
    pub fields: FieldLines<'a>,
}

impl<'a> RequestHead<'a> {
    /// Reads the bytes that a [`Decoder`](crate::Decoder) has used for one
    /// [`Item::Head`](crate::Item::Head); `None` for bytes that are not a request head.
    #[must_use]
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut rest = bytes;
        while let Some(next) = rest.strip_prefix(b"\r\n") {
            rest = next; // empty lines before the request (RFC 9112 §2.2)
        }
        let (line, fields) = syntax::split_line(rest)?;
        let line = str::from_utf8(syntax::line_end(line).0).ok()?;
        let mut words = line.split(' ');
        let (method, target) = (words.next()?, words.next()?);
        let version = match words.next()? {
            "HTTP/1.0" => Version::Http10,
            _ => Version::Http11,
        };
        Some(Self {
            method,
            target,
            version,
            fields: FieldLines::new(fields.strip_suffix(b"\r\n").unwrap_or(fields)),
        })
    }

    /// The value of the first field with that name, whose case does not count.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&'a [u8]> {
        self.values(name).next()
    }

    /// The values of all fields with that name, whose case does not count.
    pub fn values<'n>(&self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        self.fields
            .filter(move |(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_has_its_line_and_its_fields_in_order_with_values_trimmed() {
        let head = RequestHead::read(
            b"\r\n\r\nPUT /a?b=c HTTP/1.1\r\nHost: x\r\nA:  1 \r\nEmpty:\r\na: 2\r\n\r\n",
        )
        .unwrap();
        assert_eq!((head.method, head.target), ("PUT", "/a?b=c"));
        assert_eq!(head.version, Version::Http11);
        let fields: Vec<_> = head.fields.collect();
        assert_eq!(
            fields,
            [
                ("Host", &b"x"[..]),
                ("A", b"1"),
                ("Empty", b""),
                ("a", b"2")
            ]
        );
        assert_eq!(head.field("EMPTY"), Some(&b""[..]));
        assert_eq!(head.field("other"), None);
        assert_eq!(head.values("a").collect::<Vec<_>>(), [b"1", b"2"]);
    }

    #[test]
    fn a_head_of_http_1_0_says_so() {
        let head = RequestHead::read(b"GET / HTTP/1.0\r\nHost: x\r\n\r\n").unwrap();
        assert_eq!(head.version, Version::Http10);
    }

    #[test]
    fn bytes_without_a_line_are_no_head() {
        for bytes in [&b""[..], b"\r\n", b"GET", b"GET\r\n", b"GET /\r\n\r\n"] {
            assert_eq!(RequestHead::read(bytes), None);
        }
    }
}

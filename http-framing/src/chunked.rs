//! The chunked transfer coding (RFC 9112 §7.1), a state machine over whatever bytes there are.

use super::{BODY_TOO_LONG, Decoded, Item, Limits, MAX_FIELDS, Refusal, Status, syntax};

/// Bytes of chunk extensions in one body, the semicolons counted. They carry nothing for us and
/// cost a pass; signed uploads use some 90 a chunk, so a body of many small chunks still fits.
const EXTENSION_BYTES_MAX: u16 = 4096;

/// Hexadecimal digits of one chunk size: as many as 64 bits have.
const SIZE_DIGITS_MAX: u8 = 16;

const TRAILERS_TOO_LONG: Refusal = Refusal::new(
    Status::RequestHeaderFieldsTooLarge,
    "the trailer fields are longer than this server takes",
);

/// Where in one chunked body the next byte is.
#[derive(Debug)]
pub(super) struct Decoder {
    /// Of the step at hand: the size read so far, the data still to come, or how many bytes of
    /// the open trailer line have been searched for its end.
    count: u64,
    /// Data that may still come before the body is too long.
    body_left: u64,
    /// Bytes of trailer fields that may still come.
    trailer_left: u32,
    /// Bytes of extensions that may still come.
    extension_left: u16,
    /// The digits of the size, later the trailer fields.
    seen: u8,
    step: Step,
    late: LateField,
}

/// What becomes of a trailer field that may only be in a head, since it frames or routes:
/// `Content-Length`, `Transfer-Encoding` or `Host` (RFC 9110 §6.5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LateField {
    /// Its message is refused: a server behind this one may merge trailers into the head.
    Refused,
    /// It is dropped, as every trailer field.
    Dropped,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Size,
    Extension(Extension),
    SizeLf,
    Data,
    DataCr,
    DataLf,
    Trailers,
}

/// Where in the extensions of a size line (RFC 9112 §7.1.1) the next byte is:
/// `*( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] )`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extension {
    /// After white space that only a semicolon may follow.
    BeforeSemicolon,
    BeforeName,
    Name,
    AfterName,
    BeforeValue,
    Value,
    Quoted,
    Escaped,
    AfterQuoted,
}

impl Extension {
    /// The place after `byte`, or `None` where the grammar has no such byte.
    const fn next(self, byte: u8) -> Option<Self> {
        let token = syntax::is_token_byte(byte);
        Some(match (self, byte) {
            (Self::Quoted, b'"') => Self::AfterQuoted,
            (Self::Quoted, b'\\') => Self::Escaped,
            (Self::Quoted | Self::Escaped, _) if syntax::is_value_byte(byte) => Self::Quoted,
            (Self::Quoted | Self::Escaped, _) => return None,
            (Self::BeforeName | Self::Name, _) if token => Self::Name,
            (Self::BeforeValue | Self::Value, _) if token => Self::Value,
            (Self::BeforeValue, b'"') => Self::Quoted,
            (Self::BeforeName | Self::BeforeValue, b' ' | b'\t') => self,
            (Self::BeforeName | Self::BeforeValue, _) => return None,
            (_, b';') => Self::BeforeName,
            (Self::Name | Self::AfterName, b'=') => Self::BeforeValue,
            (Self::Name | Self::AfterName, b' ' | b'\t') => Self::AfterName,
            (_, b' ' | b'\t') => Self::BeforeSemicolon,
            _ => return None,
        })
    }

    /// Whether the size line may end here.
    const fn may_end(self) -> bool {
        matches!(self, Self::Name | Self::Value | Self::AfterQuoted)
    }
}

impl Decoder {
    pub(super) fn new(limits: &Limits, late: LateField) -> Self {
        Self {
            count: 0,
            body_left: limits.body_size,
            trailer_left: u32::try_from(limits.header_size).unwrap_or(u32::MAX),
            extension_left: EXTENSION_BYTES_MAX,
            seen: 0,
            step: Step::Size,
            late,
        }
    }

    /// Lowers how much data may still come.
    pub(super) const fn limit(&mut self, size: u64) {
        if size < self.body_left {
            self.body_left = size;
        }
    }

    /// Takes framing off the front of `input` until there is data to hand out, or no input.
    pub(super) fn decode<'a>(&mut self, input: &'a [u8]) -> Result<Decoded<'a>, Refusal> {
        let mut rest = input;
        loop {
            match self.step {
                Step::Trailers => return self.trailers(input, rest),
                Step::Data if !rest.is_empty() => {
                    let data = usize::try_from(self.count)
                        .ok()
                        .and_then(|left| rest.get(..left))
                        .unwrap_or(rest);
                    self.count -= data.len() as u64;
                    if self.count == 0 {
                        self.step = Step::DataCr;
                    }
                    let used = input.len() - rest.len() + data.len();
                    return Ok(Decoded {
                        used,
                        item: Item::Body(data),
                    });
                }
                _ => {}
            }
            let Some((byte, tail)) = rest.split_first() else {
                return Ok(Decoded {
                    used: input.len(),
                    item: Item::NeedMore,
                });
            };
            self.step = self.framing(*byte)?;
            rest = tail;
        }
    }

    /// One byte outside of data and trailers.
    fn framing(&mut self, byte: u8) -> Result<Step, Refusal> {
        match (self.step, byte) {
            (Step::Size, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                if self.seen == SIZE_DIGITS_MAX {
                    return Err(Refusal::bad("a chunk size has more than 16 digits"));
                }
                self.seen += 1;
                let digit = (byte as char).to_digit(16).unwrap_or_default();
                self.count = self.count << 4 | u64::from(digit);
                Ok(Step::Size)
            }
            (Step::Size, b';' | b'\r') if self.seen == 0 => {
                Err(Refusal::bad("a chunk has no size"))
            }
            (Step::Size, b'\r') => Ok(Step::SizeLf),
            (Step::Extension(at), b'\r') if at.may_end() => Ok(Step::SizeLf),
            (Step::SizeLf, b'\n') => self.begin(),
            (Step::Size, b';' | b' ' | b'\t') if self.seen > 0 => {
                self.extension(Extension::BeforeSemicolon, byte)
            }
            (Step::Extension(at), byte) => self.extension(at, byte),
            (Step::DataCr, b'\r') => Ok(Step::DataLf),
            (Step::DataLf, b'\n') => {
                self.count = 0;
                self.seen = 0;
                Ok(Step::Size)
            }
            (Step::Size, b'\n') => Err(syntax::BARE_LF),
            (Step::SizeLf | Step::DataLf, _) => Err(syntax::BARE_CR),
            (Step::Size, _) => Err(Refusal::bad("a chunk size is not plain hexadecimal digits")),
            _ => Err(Refusal::bad(
                "a chunk is not followed by CR LF where its size says it ends",
            )),
        }
    }

    /// One byte of the extensions, white space before them included.
    fn extension(&mut self, at: Extension, byte: u8) -> Result<Step, Refusal> {
        let left = self.extension_left.checked_sub(1);
        self.extension_left = left.ok_or(Refusal::bad("the chunk extensions are too long"))?;
        match at.next(byte) {
            Some(next) => Ok(Step::Extension(next)),
            None if byte == b'\n' => Err(syntax::BARE_LF),
            None => Err(Refusal::bad(
                "a chunk size is followed by something that is not a chunk extension",
            )),
        }
    }

    /// The size line is complete: data comes next, or after a size of zero the trailers.
    fn begin(&mut self) -> Result<Step, Refusal> {
        self.body_left = self
            .body_left
            .checked_sub(self.count)
            .ok_or(BODY_TOO_LONG)?;
        if self.count == 0 {
            self.seen = 0;
            return Ok(Step::Trailers);
        }
        Ok(Step::Data)
    }

    /// Checks and drops whole trailer lines up to the empty one (RFC 9112 §7.1.2).
    fn trailers<'a>(
        &mut self,
        input: &'a [u8],
        mut rest: &'a [u8],
    ) -> Result<Decoded<'a>, Refusal> {
        loop {
            let searched = usize::try_from(self.count).unwrap_or(usize::MAX);
            let open = rest.get(searched..).unwrap_or_default();
            let Some((_, tail)) = syntax::split_line(open) else {
                if rest.len() >= self.trailer_left as usize {
                    return Err(TRAILERS_TOO_LONG);
                }
                self.count = rest.len() as u64;
                return Ok(Decoded {
                    used: input.len() - rest.len(),
                    item: Item::NeedMore,
                });
            };
            let len = rest.len() - tail.len();
            self.trailer_left = u32::try_from(len)
                .ok()
                .and_then(|len| self.trailer_left.checked_sub(len))
                .ok_or(TRAILERS_TOO_LONG)?;
            self.count = 0;
            let (line, end) = syntax::line_end(rest.get(..len - 1).unwrap_or_default());
            rest = tail;
            if line.is_empty() {
                end?;
                return Ok(Decoded {
                    used: input.len() - rest.len(),
                    item: Item::End,
                });
            }
            self.trailer(line)?;
            end?;
        }
    }

    fn trailer(&mut self, line: &[u8]) -> Result<(), Refusal> {
        let (name, _) = syntax::field_line(line)?;
        const TOO_LATE: [&[u8]; 3] = [b"content-length", b"transfer-encoding", b"host"];
        if self.late == LateField::Refused
            && TOO_LATE
                .iter()
                .any(|field| name.eq_ignore_ascii_case(field))
        {
            return Err(Refusal::bad(
                "Content-Length, Transfer-Encoding or Host stands in a trailer",
            ));
        }
        self.seen += 1;
        if usize::from(self.seen) > MAX_FIELDS {
            return Err(syntax::TOO_MANY_FIELDS);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The data of a body, the bytes after it, and whether its end has come.
    type Outcome = Result<(Vec<u8>, usize, bool), Refusal>;

    fn decode(limits: Limits, body: &[u8], part: usize) -> Outcome {
        let mut decoder = Decoder::new(&limits, LateField::Refused);
        let (mut data, mut kept, mut used) = (Vec::new(), Vec::new(), 0);
        for part in body.chunks(part) {
            kept.extend_from_slice(part);
            loop {
                let decoded = decoder.decode(&kept)?;
                used += decoded.used;
                match decoded.item {
                    Item::Body(part) => data.extend_from_slice(part),
                    Item::End => return Ok((data, used, true)),
                    _ => {}
                }
                let waits = decoded.item == Item::NeedMore;
                kept.drain(..decoded.used);
                if waits {
                    break;
                }
            }
        }
        Ok((data, used, false))
    }

    /// Decodes in parts of several sizes, which must agree.
    fn outcome(body: &[u8]) -> Outcome {
        let whole = decode(Limits::default(), body, body.len().max(1));
        for part in [1, 2, 3, 7] {
            let cut = decode(Limits::default(), body, part);
            assert_eq!(cut, whole, "{} in parts of {part}", body.escape_ascii());
        }
        whole
    }

    #[track_caller]
    fn refused(body: &[u8], code: u16, reason: &str) {
        let refusal = outcome(body).expect_err(&body.escape_ascii().to_string());
        assert_eq!(
            refusal.status().code(),
            code,
            "{}: {refusal}",
            body.escape_ascii()
        );
        assert!(
            refusal.reason().contains(reason),
            "{}: {refusal}",
            body.escape_ascii()
        );
    }

    #[test]
    fn chunks_are_joined_and_what_follows_the_body_is_left() {
        for (body, data) in [
            ("0\r\n\r\n", ""),
            ("00000\r\n\r\n", ""),
            ("3\r\nabc\r\n0\r\n\r\n", "abc"),
            ("3\r\nabc\r\n02\r\nde\r\n0\r\n\r\n", "abcde"),
            (
                "a\r\n0123456789\r\nB\r\n0123456789a\r\n0\r\n\r\n",
                "01234567890123456789a",
            ),
            ("2\r\n\r\n\r\n0\r\n\r\n", "\r\n"),
            ("0000000000000001\r\na\r\n0\r\n\r\n", "a"),
            ("1;a=b;c=\"d e\"\t;e\r\nx\r\n0;z\r\n\r\n", "x"),
            ("1\r\nx\r\n0\r\nA: b\r\nC:\r\n\r\n", "x"),
        ] {
            let (joined, used, ended) = outcome(format!("{body}GET /").as_bytes()).unwrap();
            assert_eq!(
                (joined, used, ended),
                (data.into(), body.len(), true),
                "{body:?}"
            );
        }
    }

    #[test]
    fn a_body_whose_end_has_not_come_needs_more() {
        let body = b"3;x\r\nabc\r\n0\r\nA: b\r\n\r\n";
        for len in 0..body.len() {
            let (_, _, ended) = outcome(&body[..len]).unwrap();
            assert!(!ended, "{len}");
        }
    }

    #[test]
    fn a_size_is_plain_hexadecimal_digits() {
        let plain = "not plain hexadecimal";
        let extension = "not a chunk extension";
        for (body, reason) in [
            ("\r\n", "no size"),
            (";a\r\n", "no size"),
            ("+1\r\n", plain),
            ("-1\r\n", plain),
            ("0x1\r\n", plain),
            ("1_0\r\n", plain),
            ("g\r\n", plain),
            (" 1\r\n", plain),
            ("1\0\r\n", plain),
            ("1 \r\n", extension),
            ("1\t\r\n", extension),
            ("1 2\r\n", extension),
            ("2 garbage\r\n", extension),
            ("1,1\r\n", plain),
            ("\u{ff11}\r\n", plain),
            ("00000000000000001\r\n", "more than 16 digits"),
            ("1\nx", "LF alone"),
            ("1;a\nx", "LF alone"),
            ("1\rx", "CR is not followed"),
            ("1\r\r\n", "CR is not followed"),
            ("1;a\rb\r\n", "CR is not followed"),
        ] {
            refused(body.as_bytes(), 400, reason);
        }
    }

    #[test]
    fn chunk_extensions_within_the_grammar_are_skipped() {
        for extension in [
            ";a",
            ";a=b",
            ";a=\"b\"",
            ";a=\"\"",
            ";a=\"\\\"\\\\;\t\u{e9}\"",
            ";a;b=c;d=\"e\"",
            " ;ext=1",
            "\t; \tname \t= \tvalue \t;next",
            ";a =b",
            ";a= \"b\" ;c",
            ";!#$%&'*+-.^_`|~=1",
        ] {
            let body = format!("1{extension}\r\nx\r\n0{extension}\r\n\r\n");
            let (data, _, ended) = outcome(body.as_bytes()).expect(extension);
            assert_eq!((data, ended), (b"x".to_vec(), true), "{extension}");
        }
    }

    #[test]
    fn chunk_extensions_outside_the_grammar_are_refused() {
        for extension in [
            ";",
            "; ",
            ";;a",
            ";a;",
            ";a ",
            ";a=",
            ";a= ",
            ";a=b ",
            ";a=b c",
            ";a b",
            ";=b",
            ";a==b",
            ";a=b\"c\"",
            ";a=\"b",
            ";a=\"b\"c",
            ";a=\"b\\",
            ";\"a\"",
            ";a=b,c",
            ";\u{e9}",
            ";a\0",
            ";\u{7f}",
            ";a=\"\0\"",
            ";a=\"\\\u{7f}\"",
            " a",
        ] {
            let body = format!("1{extension}\r\nx\r\n0\r\n\r\n");
            refused(body.as_bytes(), 400, "not a chunk extension");
        }
    }

    #[test]
    fn data_ends_where_its_size_says() {
        let end = "not followed by CR LF";
        for (body, reason) in [
            ("1\r\nab\r\n", end),
            ("3\r\nab\r\n0\r\n\r\n", end),
            ("1\r\na0\r\n\r\n", end),
            ("1\r\na\n0\r\n\r\n", end),
            ("1\r\na\r0\r\n\r\n", "CR is not followed"),
        ] {
            refused(body.as_bytes(), 400, reason);
        }
    }

    #[test]
    fn extensions_at_the_limit_pass_and_one_byte_more_is_refused() {
        let body = |first: usize, second: usize| {
            let extension = |len: usize| format!(";{}", "a".repeat(len - 1));
            format!(
                "1{}\r\nx\r\n0{}\r\n\r\n",
                extension(first),
                extension(second)
            )
        };
        let most = usize::from(EXTENSION_BYTES_MAX);
        assert!(outcome(body(most - 10, 10).as_bytes()).unwrap().2);
        refused(
            body(most - 10, 11).as_bytes(),
            400,
            "extensions are too long",
        );
        refused(body(most + 1, 1).as_bytes(), 400, "extensions are too long");
    }

    #[test]
    fn the_data_of_all_chunks_has_one_limit() {
        let limits = Limits {
            body_size: 4,
            ..Limits::default()
        };
        assert!(
            decode(limits, b"2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n", 99)
                .unwrap()
                .2
        );
        let refusal = decode(limits, b"2\r\nab\r\n3\r\ncde", 99).unwrap_err();
        assert_eq!(refusal.status(), Status::ContentTooLarge);
    }

    #[test]
    fn trailers_are_as_strict_as_fields_and_may_not_frame() {
        for (trailer, reason) in [
            ("A : b\r\n\r\n", "white space before its colon"),
            (" A: b\r\n\r\n", "folded"),
            ("A: b\r\n c\r\n\r\n", "folded"),
            (": b\r\n\r\n", "no name"),
            ("A\r\n\r\n", "no colon"),
            ("A: \0\r\n\r\n", "NUL"),
            ("A: b\n\r\n", "LF alone"),
            ("A: b\r\n\n", "LF alone"),
            ("\n", "LF alone"),
            ("A: b\rC: d\r\n\r\n", "CR is not followed"),
            ("\r\r\n", "CR is not followed"),
            ("Content-Length: 1\r\n\r\n", "in a trailer"),
            ("transfer-encoding: chunked\r\n\r\n", "in a trailer"),
            ("A: b\r\nHOST: x\r\n\r\n", "in a trailer"),
        ] {
            refused(format!("1\r\nx\r\n0\r\n{trailer}").as_bytes(), 400, reason);
        }
    }

    #[test]
    fn trailers_at_the_limit_pass_and_one_byte_more_is_431() {
        let limits = Limits {
            header_size: 40,
            ..Limits::default()
        };
        let body =
            |len: usize| format!("0\r\nA: {}\r\nB: c\r\n\r\n", "a".repeat(len - 13)).into_bytes();
        for part in [1, 3, 99] {
            assert!(decode(limits, &body(40), part).unwrap().2);
            assert_eq!(decode(limits, &body(41), part), Err(TRAILERS_TOO_LONG));
            // Before its line has ended.
            let open = [b"0\r\n".to_vec(), vec![b'a'; 40]].concat();
            assert_eq!(decode(limits, &open, part), Err(TRAILERS_TOO_LONG));
            assert!(decode(limits, &open[..42], part).is_ok());
        }
        let many = |fields| format!("0\r\n{}\r\n", "A: b\r\n".repeat(fields));
        assert!(outcome(many(MAX_FIELDS).as_bytes()).unwrap().2);
        refused(many(MAX_FIELDS + 1).as_bytes(), 431, "more than 100 fields");
    }
}

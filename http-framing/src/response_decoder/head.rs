//! One response head: the status line, and the fields that frame the body.

use std::str;

use memchr::memchr;

use super::super::connection::ConnectionOptions;
use super::super::{MAX_FIELDS, Refusal, Status, Version, request, syntax};
use super::{ResponseBody, ResponseError, ResponseHead};

/// `HTTP/1.1 ` with its space.
const VERSION_LEN: usize = 9;

/// The fields of one head, in their order: an iterator over names and values.
///
/// A name is a token. A value has no white space at its ends and no control byte but HTAB;
/// bytes from 0x80 on are opaque (RFC 9110 §5.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldLines<'a>(&'a [u8]);

impl<'a> FieldLines<'a> {
    /// The fields in whole lines that were checked.
    pub(crate) const fn new(lines: &'a [u8]) -> Self {
        Self(lines)
    }
}

impl<'a> Iterator for FieldLines<'a> {
    type Item = (&'a str, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        // `Lines` has checked each line.
        let (line, rest) = syntax::split_line(self.0)?;
        self.0 = rest;
        let (line, _) = syntax::line_end(line);
        let (name, value) = syntax::field_line(line).ok()?;
        Some((str::from_utf8(name).ok()?, value))
    }
}

/// How far a head that came in parts has been read.
#[derive(Debug)]
pub(super) struct Lines {
    /// Bytes of whole lines, which are checked.
    checked: usize,
    /// Bytes after them in which there is no LF.
    searched: usize,
    fields: usize,
}

impl Lines {
    pub(super) const START: Self = Self {
        checked: 0,
        searched: 0,
        fields: 0,
    };

    /// Checks the lines that are complete; `None` while the empty line has not come.
    pub(super) fn decode<'a>(
        &mut self,
        input: &'a [u8],
        size_max: usize,
    ) -> Result<Option<Found<'a>>, ResponseError> {
        let window = input.get(..size_max).unwrap_or(input);
        if self.checked == 0 {
            check_start(window)?;
        }
        loop {
            let open = window.get(self.checked..).unwrap_or_default();
            let new = open.get(self.searched..).unwrap_or_default();
            let Some(lf) = memchr(b'\n', new) else {
                self.searched = open.len();
                return if input.len() < size_max {
                    Ok(None)
                } else {
                    Err(ResponseError::HeadTooLong)
                };
            };
            let len = self.searched + lf + 1;
            let (line, end) = syntax::line_end(open.get(..len - 1).unwrap_or_default());
            if self.checked == 0 {
                status_line(line)?;
            } else if line.is_empty() {
                end.map_err(of_head)?;
                return Found::read(window.get(..self.checked + len).unwrap_or(window)).map(Some);
            } else {
                syntax::field_line(line).map_err(of_head)?;
                self.fields += 1;
            }
            end.map_err(of_head)?;
            if self.fields > MAX_FIELDS {
                return Err(ResponseError::Head("the response has more than 100 fields"));
            }
            self.checked += len;
            self.searched = 0;
        }
    }
}

/// A whole head, its lines checked.
pub(super) struct Found<'a> {
    pub(super) len: usize,
    pub(super) status: u16,
    version: Version,
    reason: &'a [u8],
    fields: FieldLines<'a>,
}

impl<'a> Found<'a> {
    fn read(head: &'a [u8]) -> Result<Self, ResponseError> {
        let (line, rest) = syntax::split_line(head).unwrap_or((head, &[]));
        let (version, status, reason) = status_line(syntax::line_end(line).0)?;
        let fields = rest.strip_suffix(b"\r\n").unwrap_or(rest);
        Ok(Self {
            len: head.len(),
            status,
            version,
            reason,
            fields: FieldLines(fields),
        })
    }

    pub(super) const fn head(&self, body: ResponseBody, keep_alive: bool) -> ResponseHead<'a> {
        ResponseHead {
            version: self.version,
            status: self.status,
            reason: self.reason,
            fields: self.fields,
            body,
            keep_alive,
        }
    }

    /// How a body is delimited, where there may be one.
    pub(super) fn body(&self, size_max: u64) -> Result<ResponseBody, ResponseError> {
        let length = self.once(
            "content-length",
            "the response has two Content-Length fields",
        )?;
        let coding = self.once(
            "transfer-encoding",
            "the response has two Transfer-Encoding fields",
        )?;
        match (coding, length) {
            (None, None) => Ok(ResponseBody::UntilClose),
            (None, Some(digits)) => match request::content_length(digits, size_max) {
                Ok(length) => Ok(ResponseBody::Length(length)),
                Err(refusal) => Err(of_head(refusal)),
            },
            (Some(_), Some(_)) => Err(ResponseError::Head(
                "the response has both Transfer-Encoding and Content-Length",
            )),
            (Some(_), None) if self.version == Version::Http10 => Err(ResponseError::Head(
                "the response has Transfer-Encoding, which HTTP/1.0 does not have",
            )),
            (Some(coding), None) if coding.eq_ignore_ascii_case(b"chunked") => {
                Ok(ResponseBody::Chunked)
            }
            (Some(_), None) => Err(ResponseError::Head(
                "Transfer-Encoding is not chunked alone",
            )),
        }
    }

    /// RFC 9112 §9.3.
    pub(super) fn keep_alive(&self) -> Result<bool, ResponseError> {
        let mut options = ConnectionOptions::default();
        for (name, value) in self.fields {
            if name.eq_ignore_ascii_case("connection") {
                options.take(value);
            }
        }
        options.keep_alive(self.version).map_err(of_head)
    }

    fn once(&self, wanted: &str, twice: &'static str) -> Result<Option<&'a [u8]>, ResponseError> {
        let mut found = None;
        for (name, value) in self.fields {
            if name.eq_ignore_ascii_case(wanted) && found.replace(value).is_some() {
                return Err(ResponseError::Head(twice));
            }
        }
        Ok(found)
    }
}

/// Refuses what is no HTTP response before its first line has ended.
fn check_start(window: &[u8]) -> Result<(), ResponseError> {
    let start = window.get(..VERSION_LEN).unwrap_or(window);
    let fits = |version: &[u8]| version.starts_with(start);
    if fits(b"HTTP/1.1 ") || fits(b"HTTP/1.0 ") {
        return Ok(());
    }
    Err(ResponseError::Head(
        "the response does not begin with HTTP/1.1 or HTTP/1.0 and a space",
    ))
}

/// Reads a status line, its CR LF taken off (RFC 9112 §4). The space before an empty reason
/// phrase may be missing, which frames nothing and is common.
fn status_line(line: &[u8]) -> Result<(Version, u16, &[u8]), ResponseError> {
    check_start(line)?;
    let (version, rest) = line.split_at_checked(VERSION_LEN).unwrap_or((line, &[]));
    let version = match version {
        b"HTTP/1.0 " => Version::Http10,
        _ => Version::Http11,
    };
    let (digits, reason) = rest.split_at_checked(3).unwrap_or((rest, &[]));
    let reason = match reason {
        [] => reason,
        [b' ', reason @ ..] => reason,
        _ => return Err(NO_STATUS),
    };
    let [
        first @ b'1'..=b'9',
        second @ b'0'..=b'9',
        third @ b'0'..=b'9',
    ] = digits
    else {
        return Err(NO_STATUS);
    };
    let status = [first, second, third]
        .iter()
        .fold(0, |sum, digit| sum * 10 + u16::from(*digit - b'0'));
    if !syntax::is_field_value(reason) {
        return Err(ResponseError::Head("the reason phrase has a control byte"));
    }
    Ok((version, status, reason))
}

const NO_STATUS: ResponseError =
    ResponseError::Head("the status is not three digits from 100 to 999");

/// The grammar of fields is the same in requests.
fn of_head(refusal: Refusal) -> ResponseError {
    match refusal.status() {
        Status::ContentTooLarge => ResponseError::BodyTooLong,
        _ => ResponseError::Head(refusal.reason()),
    }
}

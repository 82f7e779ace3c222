//! The lines of a head, a byte at a time: where a line is wrong, and why.
//!
//! A fault is found at the first byte after which no line can be well-formed, or at the end of the
//! line. The bytes after it do not count. So a head is refused with the same status and the same
//! reason whether it has come whole or in parts.

use super::syntax::{BARE_CR, is_token_byte, is_value_byte};
use super::{Refusal, Status};

const VERSION: &[u8] = b"HTTP/1.1";
const VERSION_UNKNOWN: Refusal = Refusal::new(
    Status::HttpVersionNotSupported,
    "this server speaks HTTP/1.1 and HTTP/1.0",
);
const VERSION_MISSPELT: Refusal =
    Refusal::bad("the request line does not end in one space and HTTP/1.1 or HTTP/1.0");

/// A kind of line: its states are the places where the next byte may be.
pub(super) trait Line: Copy {
    const START: Self;

    /// The place after `byte`.
    fn next(self, byte: u8) -> Result<Self, Refusal>;

    /// Whether the line may end here.
    fn end(self) -> Result<(), Refusal>;

    /// Checks the first bytes of a line.
    fn open(bytes: &[u8]) -> Result<Self, Refusal> {
        let mut bytes = bytes.iter().copied();
        bytes.try_fold(Self::START, Self::next)
    }

    /// Checks a whole line, its CR LF taken off.
    fn whole(bytes: &[u8]) -> Result<(), Refusal> {
        Self::open(bytes)?.end()
    }
}

/// `method SP request-target SP HTTP-version` (RFC 9112 §3), except the form of the target.
#[derive(Clone, Copy, Debug)]
pub(super) enum RequestLine {
    Start,
    /// After 0x16, with which a TLS handshake begins.
    TlsRecord,
    Method,
    TargetStart,
    Target,
    /// With the bytes of the version that have come.
    Version(usize),
}

impl Line for RequestLine {
    const START: Self = Self::Start;

    fn next(self, byte: u8) -> Result<Self, Refusal> {
        match (self, byte) {
            (Self::Start, 0x16) => Ok(Self::TlsRecord),
            (Self::TlsRecord, 0x03) => Err(Refusal::bad(
                "this is a TLS handshake, and this port speaks plain HTTP",
            )),
            (Self::TlsRecord, _) => Err(CONTROL_BYTE),
            (_, b'\t') => Err(Refusal::bad("the request line has a tab")),
            (_, byte) if !is_value_byte(byte) => Err(control_byte(byte)),
            (Self::Start, b' ') => Err(Refusal::bad("the request line begins with a space")),
            (Self::Start | Self::Method, byte) if is_token_byte(byte) => Ok(Self::Method),
            (Self::Method, b' ') => Ok(Self::TargetStart),
            (Self::Start | Self::Method, _) => Err(Refusal::bad(
                "the method has a byte that no method may have",
            )),
            (Self::TargetStart, b' ') => {
                Err(Refusal::bad("the request line has two spaces in a row"))
            }
            (Self::Target, b' ') => Ok(Self::Version(0)),
            (Self::TargetStart | Self::Target, 0x80..) => Err(Refusal::bad(
                "the request target has a byte that is not ASCII: it must be percent-encoded",
            )),
            (Self::TargetStart | Self::Target, _) => Ok(Self::Target),
            (Self::Version(len), byte) => version(len, byte),
        }
    }

    fn end(self) -> Result<(), Refusal> {
        match self {
            Self::Start | Self::TlsRecord | Self::Method => {
                Err(Refusal::bad("the request line is a single word"))
            }
            Self::TargetStart | Self::Target => Err(Refusal::bad(
                "the request line has no HTTP version after its target",
            )),
            Self::Version(len) if len == VERSION.len() => Ok(()),
            Self::Version(_) => Err(VERSION_MISSPELT),
        }
    }
}

/// The first digit that 1.0 and 1.1 do not have decides: what comes after it is not looked at,
/// so `HTTP/2x` is refused as HTTP/2 is.
fn version(len: usize, byte: u8) -> Result<RequestLine, Refusal> {
    match (VERSION.get(len), byte) {
        (Some(b'1'), b'1') => {}
        (Some(b'1'), b'0') if len + 1 == VERSION.len() => {}
        (Some(b'1'), b'0'..=b'9') => return Err(VERSION_UNKNOWN),
        (Some(wanted), byte) if *wanted == byte => {}
        _ => return Err(VERSION_MISSPELT),
    }
    Ok(RequestLine::Version(len + 1))
}

/// `field-name ":" OWS field-value OWS` (RFC 9112 §5).
#[derive(Clone, Copy, Debug)]
pub(super) enum FieldLine {
    Start,
    Name,
    /// In white space after the name.
    Blank,
    Value,
}

impl Line for FieldLine {
    const START: Self = Self::Start;

    fn next(self, byte: u8) -> Result<Self, Refusal> {
        match (self, byte) {
            (Self::Start, b' ' | b'\t') => Err(Refusal::bad(
                "a field line begins with white space: folded lines are obsolete",
            )),
            (_, byte) if !is_value_byte(byte) => Err(control_byte(byte)),
            (Self::Value, _) | (Self::Name, b':') => Ok(Self::Value),
            (Self::Start, b':') => Err(Refusal::bad("a field line has no name before its colon")),
            (Self::Blank, b':') => Err(Refusal::bad("a field has white space before its colon")),
            (Self::Name | Self::Blank, b' ' | b'\t') => Ok(Self::Blank),
            (Self::Start | Self::Name, byte) if is_token_byte(byte) => Ok(Self::Name),
            (Self::Start | Self::Name | Self::Blank, _) => Err(Refusal::bad(
                "a field name has a byte that no name may have",
            )),
        }
    }

    fn end(self) -> Result<(), Refusal> {
        match self {
            Self::Value => Ok(()),
            Self::Start | Self::Name | Self::Blank => {
                Err(Refusal::bad("a field line has no colon"))
            }
        }
    }
}

const CONTROL_BYTE: Refusal = Refusal::bad("the head has a control byte");

const fn control_byte(byte: u8) -> Refusal {
    match byte {
        b'\r' => BARE_CR,
        0 => Refusal::bad("the head has a NUL byte"),
        _ => CONTROL_BYTE,
    }
}

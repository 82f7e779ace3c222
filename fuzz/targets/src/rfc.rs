//! Messages as RFC 9112 has them, read once whole lines are there: what the decoders are compared
//! with. What they refuse though the RFC lets a recipient repair it is refused here, too.

use http_framing::{Limits, MAX_FIELDS, Version, is_field_value, is_token};

/// How far a part of a stream has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Complete,
    Open,
    Refused,
}

/// The first line of a head, its fields, and what follows it.
pub(crate) struct Head<'a> {
    pub(crate) line: &'a [u8],
    pub(crate) fields: Vec<(&'a [u8], &'a [u8])>,
    pub(crate) rest: &'a [u8],
}

/// A head of at most `most` bytes.
pub(crate) fn head(input: &[u8], most: usize) -> Result<Head<'_>, End> {
    let (window, behind) = input.split_at(most.min(input.len()));
    let missing = if behind.is_empty() && input.len() < most {
        End::Open
    } else {
        End::Refused
    };
    let mut rest = window;
    let first = line(&mut rest).ok_or(missing)?.ok_or(End::Refused)?;
    let mut fields = Vec::new();
    loop {
        let line = line(&mut rest).ok_or(missing)?.ok_or(End::Refused)?;
        if line.is_empty() {
            let used = window.len() - rest.len();
            let rest = &input[used..];
            return Ok(Head {
                line: first,
                fields,
                rest,
            });
        }
        fields.push(field(line).ok_or(End::Refused)?);
        if fields.len() > MAX_FIELDS {
            return Err(End::Refused);
        }
    }
}

/// A line without its CR LF: `None` while its end is missing, `Some(None)` for a bare LF.
fn line<'a>(rest: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let at = rest.iter().position(|byte| *byte == b'\n')?;
    let (line, tail) = rest.split_at(at);
    *rest = &tail[1..];
    Some(line.strip_suffix(b"\r"))
}

/// `field-name ":" OWS field-value OWS`.
fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    (is_token(name) && is_field_value(value)).then(|| (name, value.trim_ascii()))
}

impl<'a> Head<'a> {
    fn values(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let named = self
            .fields
            .iter()
            .filter(move |(other, _)| other.eq_ignore_ascii_case(name.as_bytes()));
        named.map(|(_, value)| *value)
    }

    /// The value of a field that may be there once.
    pub(crate) fn once(&self, name: &str) -> Result<Option<&'a [u8]>, End> {
        let mut values = self.values(name);
        match (values.next(), values.next()) {
            (value, None) => Ok(value),
            _ => Err(End::Refused),
        }
    }

    /// §9.3, with a `Connection` that is a list of tokens (RFC 9110 §7.6.1).
    pub(crate) fn keep_alive(&self, version: Version) -> Result<bool, End> {
        let mut options = Vec::new();
        for value in self.values("Connection") {
            let elements = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
            options.extend(elements.filter(|element| !element.is_empty()));
        }
        if !options.iter().all(|option| is_token(option)) {
            return Err(End::Refused);
        }
        let has = |word: &[u8]| options.iter().any(|one| one.eq_ignore_ascii_case(word));
        Ok(!has(b"close") && (version == Version::Http11 || has(b"keep-alive")))
    }

    /// The length in `Content-Length`, `None` for chunks, or neither (§6.3).
    pub(crate) fn length(&self, version: Version, most: u64) -> Result<Option<Option<u64>>, End> {
        match (
            self.once("Transfer-Encoding")?,
            self.once("Content-Length")?,
        ) {
            (None, None) => Ok(None),
            (None, Some(digits)) => {
                let length = number(digits).filter(|length| *length <= most);
                length.map(|length| Some(Some(length))).ok_or(End::Refused)
            }
            (Some(coding), None)
                if version == Version::Http11 && coding.eq_ignore_ascii_case(b"chunked") =>
            {
                Ok(Some(None))
            }
            _ => Err(End::Refused),
        }
    }
}

/// A decimal number, with any zeros before it.
pub(crate) fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
    match &digits[zeros..] {
        [] => Some(0),
        digits => str::from_utf8(digits).ok()?.parse().ok(),
    }
}

/// What has come of a body, and how many bytes it took if it is complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Body {
    pub(crate) content: Vec<u8>,
    pub(crate) used: usize,
    pub(crate) end: End,
}

/// How long the parts of a chunked body may be, and whether its trailer may have a field that
/// belongs into the head.
#[derive(Clone, Copy)]
pub(crate) struct ChunkRules {
    pub(crate) limits: Limits,
    pub(crate) takes_late_fields: bool,
}

/// A body in chunks (§7.1).
pub(crate) fn chunked(input: &[u8], rules: ChunkRules) -> Body {
    let (mut rest, mut content) = (input, Vec::new());
    let end = chunks(&mut rest, &mut content, rules).map_or_else(|end| end, |()| End::Complete);
    let used = match end {
        End::Complete => input.len() - rest.len(),
        End::Open | End::Refused => 0,
    };
    Body { content, used, end }
}

fn chunks(rest: &mut &[u8], content: &mut Vec<u8>, rules: ChunkRules) -> Result<(), End> {
    let mut extension_bytes = 0;
    loop {
        let line = line(rest).ok_or(End::Open)?.ok_or(End::Refused)?;
        let size = size(line, &mut extension_bytes).ok_or(End::Refused)?;
        if size == 0 {
            return trailers(rest, rules);
        }
        if size > rules.limits.body_size - content.len() as u64 {
            return Err(End::Refused);
        }
        let size = usize::try_from(size).expect("within the limit");
        let Some((data, tail)) = rest.split_at_checked(size) else {
            content.extend_from_slice(rest);
            return Err(End::Open);
        };
        content.extend_from_slice(data);
        *rest = match tail {
            [b'\r', b'\n', tail @ ..] => tail,
            [] | [b'\r'] => return Err(End::Open),
            _ => return Err(End::Refused),
        };
    }
}

/// The number in a size line whose extensions are well-formed.
fn size(line: &[u8], extension_bytes: &mut usize) -> Option<u64> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit());
    let (digits, extensions) = line.split_at(digits.count());
    *extension_bytes += extensions.len();
    if digits.is_empty() || digits.len() > 16 || *extension_bytes > 4096 {
        return None;
    }
    let mut rest = extensions;
    while !rest.is_empty() {
        rest = white(rest).strip_prefix(b";")?;
        rest = token(white(rest))?;
        if let Some(value) = white(rest).strip_prefix(b"=") {
            let value = white(value);
            rest = match value.strip_prefix(b"\"") {
                Some(quoted) => after_quoted(quoted)?,
                None => token(value)?,
            };
        }
    }
    u64::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()
}

fn white(bytes: &[u8]) -> &[u8] {
    let count = bytes.iter().take_while(|byte| b" \t".contains(byte));
    &bytes[count.count()..]
}

/// What follows a token.
fn token(bytes: &[u8]) -> Option<&[u8]> {
    let length = bytes.iter().take_while(|byte| is_token(&[**byte])).count();
    (length > 0).then(|| &bytes[length..])
}

/// What follows a quoted string, whose first quote is not there any more.
fn after_quoted(mut rest: &[u8]) -> Option<&[u8]> {
    loop {
        rest = match rest {
            [b'"', tail @ ..] => return Some(tail),
            [b'\\', byte, tail @ ..] | [byte, tail @ ..]
                if is_field_value(&[b'x', *byte, b'x']) =>
            {
                tail
            }
            _ => return None,
        };
    }
}

fn trailers(rest: &mut &[u8], rules: ChunkRules) -> Result<(), End> {
    const OF_THE_HEAD: [&[u8]; 3] = [b"Content-Length", b"Transfer-Encoding", b"Host"];
    let (mut count, whole) = (0, *rest);
    loop {
        let missing = if whole.len() < rules.limits.header_size {
            End::Open
        } else {
            End::Refused
        };
        let line = line(rest).ok_or(missing)?.ok_or(End::Refused)?;
        if whole.len() - rest.len() > rules.limits.header_size {
            return Err(End::Refused);
        }
        if line.is_empty() {
            return Ok(());
        }
        let (name, _) = field(line).ok_or(End::Refused)?;
        let is_late = OF_THE_HEAD.iter().any(|one| name.eq_ignore_ascii_case(one));
        count += 1;
        if count > MAX_FIELDS || is_late && !rules.takes_late_fields {
            return Err(End::Refused);
        }
    }
}

//! The table of HTTP/1.1 requests in `tests/http_cases`, read for every server that takes them.
//!
//! `tests/http_cases/README.md` describes the format.

use std::collections::BTreeSet;

/// One stream of bytes that a client sends, and what a server must make of it.
#[derive(Clone, Debug)]
pub struct Case {
    /// Unique in the table.
    pub name: String,
    /// The RFC and its section.
    pub rfc: String,
    /// What the client sends.
    pub bytes: Vec<u8>,
    /// A part of what `http_framing` says about the refusal, if the row gives it.
    pub says: Option<String>,
    /// What happens to each request in it, in order.
    pub verdicts: Vec<Verdict>,
    /// The same for servers that differ, by their names in the table.
    others: Vec<(String, Vec<Verdict>)>,
}

/// What happens to one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is served, and the connection stays.
    Keep(Body),
    /// It is served, and the connection ends.
    Close(Body),
    /// It is refused with this status, and the connection ends.
    Refused(u16),
    /// Its end has not come.
    More,
}

/// The body of a request that is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// The decoded content, which may be empty.
    Content(Vec<u8>),
    /// The request is a HEAD: it has no content, and neither has its answer.
    Head,
}

impl Body {
    /// The content; empty for a HEAD.
    pub fn content(&self) -> &[u8] {
        match self {
            Self::Content(content) => content,
            Self::Head => b"",
        }
    }
}

impl Case {
    /// What the server of that name in the table makes of the bytes.
    pub fn verdicts_of(&self, server: &str) -> &[Verdict] {
        let other = self.others.iter().find(|(name, _)| name == server);
        other.map_or(&self.verdicts, |(_, verdicts)| verdicts)
    }

    /// The status of the refusal, if the bytes are refused.
    pub fn refusal(&self) -> Option<u16> {
        match self.verdicts.last() {
            Some(Verdict::Refused(status)) => Some(*status),
            _ => None,
        }
    }

    /// Whether the last request is not complete.
    pub fn is_open(&self) -> bool {
        self.verdicts.last() == Some(&Verdict::More)
    }
}

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../../tests/http_cases/", $name, ".txt")))),*]
    };
}

/// The whole table.
pub fn all() -> Vec<Case> {
    let files = files![
        "chunks",
        "codings",
        "connection",
        "expectations",
        "fields",
        "hosts",
        "lengths",
        "limits",
        "request_lines",
        "streams",
        "targets",
        "trailers",
    ];
    let mut cases = Vec::new();
    for (file, text) in files {
        let mut frame = Frame::default();
        for (index, line) in text.lines().enumerate() {
            let place = format!("{file}.txt:{}", index + 1);
            read_line(line, &mut frame, &mut cases).unwrap_or_else(|fault| {
                panic!("{place}: {fault}: {line}");
            });
        }
    }
    let mut names = BTreeSet::new();
    for case in &cases {
        assert!(names.insert(&case.name), "two cases {:?}", case.name);
    }
    cases
}

/// Every place at which a stream of at most `longest` bytes can be cut in two, and the cases that
/// have it.
pub fn at_every_cut(longest: usize) -> impl Iterator<Item = (usize, Vec<Case>)> {
    let mut cases = all();
    cases.retain(|case| case.bytes.len() <= longest);
    (1..longest).map_while(move |at| {
        cases.retain(|case| at < case.bytes.len());
        (!cases.is_empty()).then(|| (at, cases.clone()))
    })
}

/// What the rows below it have in common.
#[derive(Default)]
struct Frame {
    rfc: String,
    lines: Vec<u8>,
    closed: bool, // a row has followed
}

fn read_line(line: &str, frame: &mut Frame, cases: &mut Vec<Case>) -> Result<(), String> {
    if line.is_empty() || line.starts_with('#') {
        return Ok(());
    }
    if let Some(section) = line.strip_prefix("RFC ") {
        frame.rfc = section.to_owned();
        return Ok(());
    }
    if let Some(rest) = line.strip_prefix('>') {
        if frame.closed {
            frame.lines.clear();
            frame.closed = false;
        }
        let text = rest.strip_prefix(' ').unwrap_or(rest);
        let (text, end) = match text.strip_suffix("\\-") {
            Some(text) => (text, ""),
            None => (text, "\r\n"),
        };
        // `$` stays for the rows.
        frame.lines.extend(unescape(text)?);
        frame.lines.extend(end.bytes());
        return Ok(());
    }
    if let Some(row) = line.strip_prefix("    ") {
        let (server, verdicts) = row.split_once(": ").ok_or("no server")?;
        let case = cases.last_mut().ok_or("no case before it")?;
        if server == "says" {
            case.says = Some(verdicts.to_owned());
            return Ok(());
        }
        case.others
            .push((server.to_owned(), read_verdicts(verdicts)?));
        return Ok(());
    }
    frame.closed = true;
    let (name, rest) = line.split_once(' ').ok_or("no verdict")?;
    let (verdicts, bytes) = rest.trim_start().split_once(' ').unwrap_or((rest, ""));
    let place = frame.lines.iter().position(|byte| *byte == b'$');
    let place = place.ok_or("the frame has no $")?;
    let mut all = frame.lines.clone();
    all.splice(place..=place, unescape(bytes.trim_start_matches(' '))?);
    if frame.rfc.is_empty()
        || !name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    {
        return Err("no section, or a name of other letters".to_owned());
    }
    cases.push(Case {
        name: name.to_owned(),
        rfc: frame.rfc.clone(),
        bytes: all,
        verdicts: read_verdicts(verdicts.trim())?,
        says: None,
        others: Vec::new(),
    });
    Ok(())
}

fn read_verdicts(text: &str) -> Result<Vec<Verdict>, String> {
    let verdict = |text: &str| {
        let (word, body) = text.split_once(':').unwrap_or((text, ""));
        let body = Body::Content(unescape(body)?);
        Ok(match word {
            "keep" => Verdict::Keep(body),
            "close" => Verdict::Close(body),
            "head" => Verdict::Keep(Body::Head),
            "head-close" => Verdict::Close(Body::Head),
            "more" => Verdict::More,
            status => Verdict::Refused(status.parse().map_err(|_| "no such verdict")?),
        })
    };
    let verdicts: Vec<Verdict> = text
        .split(',')
        .map(verdict)
        .collect::<Result<_, String>>()?;
    let (_, before) = verdicts.split_last().ok_or("no verdict")?;
    if before
        .iter()
        .any(|verdict| !matches!(verdict, Verdict::Keep(_)))
    {
        return Err("something follows the end".to_owned());
    }
    Ok(verdicts)
}

/// Replaces the escapes that README.md lists.
fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        bytes.extend(before.bytes());
        let mut chars = after.chars();
        let letter = chars.next().ok_or("a backslash at the end")?;
        rest = chars.as_str();
        match letter {
            'r' => bytes.push(b'\r'),
            'n' => bytes.push(b'\n'),
            't' => bytes.push(b'\t'),
            's' => bytes.push(b' '),
            '\\' => bytes.push(b'\\'),
            'x' => {
                let digits = rest.get(..2).ok_or("no two digits")?;
                bytes.push(u8::from_str_radix(digits, 16).map_err(|_| "no two digits")?);
                rest = &rest[2..];
            }
            '{' => {
                let (inside, after) = rest.split_once('}').ok_or("no }")?;
                let (count, part) = inside.split_once(':').ok_or("no count")?;
                let count = count.parse().map_err(|_| "no count")?;
                bytes.extend(unescape(part)?.repeat(count));
                rest = after;
            }
            _ => return Err(format!("no such escape: \\{letter}")),
        }
    }
    bytes.extend(rest.bytes());
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_a_name_a_section_and_a_verdict() {
        let cases = all();
        assert!(cases.len() >= 900, "{} cases", cases.len());
        for case in &cases {
            assert!(case.rfc.contains('§'), "{case:?}");
            assert!(!case.verdicts.is_empty(), "{case:?}");
        }
    }

    #[test]
    fn a_row_is_put_into_its_frame_with_its_escapes_replaced() {
        let (mut frame, mut cases) = (Frame::default(), Vec::new());
        for line in [
            "RFC 9112 §5",
            "> GET / HTTP/1.1",
            "> $\\-",
            ">",
            "a_row  keep:x\\x2cy,400  A:\\s\\x00\\{3:ab}\\r\\n",
            "    other: 400",
            "    says: no reason",
        ] {
            read_line(line, &mut frame, &mut cases).unwrap();
        }
        let [case] = cases.as_slice() else {
            panic!("{cases:?}");
        };
        assert_eq!(case.bytes, b"GET / HTTP/1.1\r\nA: \0ababab\r\n\r\n");
        let kept = Verdict::Keep(Body::Content(b"x,y".to_vec()));
        assert_eq!(case.verdicts, [kept, Verdict::Refused(400)]);
        assert_eq!(case.verdicts_of("other"), [Verdict::Refused(400)]);
        assert_eq!(case.verdicts_of("another"), case.verdicts);
        assert_eq!(case.says.as_deref(), Some("no reason"));
    }

    #[test]
    fn a_row_that_cannot_be_read_is_reported() {
        for line in [
            "row",
            "Row 400",
            "row what",
            "row close,400",
            "row 400 \\q",
            "    x: 400",
        ] {
            let mut frame = Frame {
                rfc: "9112 §5".to_owned(),
                lines: b"$".to_vec(),
                closed: false,
            };
            assert!(
                read_line(line, &mut frame, &mut Vec::new()).is_err(),
                "{line}"
            );
        }
    }
}

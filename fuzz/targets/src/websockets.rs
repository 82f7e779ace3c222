//! WebSocket frames: a client's messages arrive as they were sent, pings and a close frame are
//! answered, and any bytes are the same events however they are cut.

use arbitrary::{Result, Unstructured};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hub_protocol::websocket::{Connection, Event, Opening, text_frame};

use crate::cuts::same_however_cut;

pub(crate) const WORDS: &[&[u8]] = &[
    b"\x81\x82\0\0\0\0hi",
    b"\x01\x81\0\0\0\0a",
    b"\x80\x81\0\0\0\0b",
    b"\x00\x80\0\0\0\0",
    b"\x82\x80\0\0\0\0",
    b"\x89\x80\0\0\0\0",
    b"\x8a\x81\0\0\0\0x",
    b"\x88\x80\0\0\0\0",
    b"\x88\x82\0\0\0\0\x03\xe8",
    b"\x81\xfe\0\x7e\0\0\0\0",
    b"\x81\xff\0\0\0\0\0\x01\0\0\0\0\0\0",
    b"\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\x01\x81\0\0\0\0\xc3",
    b"\x80\x81\0\0\0\0\xa9",
    b"\xc1\x80\0\0\0\0",
    b"\x83\x80\0\0\0\0",
    b"\x81\x01a",
    b"websocket",
    b"dGhlIHNhbXBsZSBub25jZQ==",
    b"dGhlIHNhbXBsZSBub25jZ",
    b"dGhl",
    b" , ",
    b"upgrade",
];

const MESSAGE_MAX: usize = 256;

/// The events, the code of a failure, and the answers.
type Read = (Vec<Event>, Option<u16>, Vec<u8>);

fn read(parts: &mut dyn Iterator<Item = &[u8]>) -> Read {
    let (mut connection, mut events, mut output) =
        (Connection::new(MESSAGE_MAX), Vec::new(), Vec::new());
    for mut part in parts {
        loop {
            let answered = output.len();
            match connection.receive(&mut part, &mut output) {
                Ok(Some(event)) => {
                    let wants_answer = matches!(event, Event::Ping | Event::Closed { .. });
                    assert_eq!(output.len() > answered, wants_answer, "{event:?}");
                    events.push(event);
                }
                Ok(None) => break,
                Err(failure) => {
                    assert!(matches!(failure.code(), 1002 | 1007 | 1009), "{failure}");
                    assert!(!connection.is_open());
                    assert_eq!(connection.receive(&mut part, &mut output), Ok(None));
                    return (events, Some(failure.code()), output);
                }
            }
        }
        assert!(part.is_empty());
    }
    (events, None, output)
}

/// Reads a server's frame off the front of `got`: its first byte, its payload, and how long it is.
pub(crate) fn server_frame(got: &[u8]) -> Option<(u8, &[u8], usize)> {
    let (&[first, second], rest) = got.split_first_chunk()?;
    let (length, start) = match second {
        126 => (u64::from(u16::from_be_bytes(*rest.first_chunk()?)), 4),
        127 => (u64::from_be_bytes(*rest.first_chunk()?), 10),
        length => {
            assert!(length < 126, "a frame of a server is not masked");
            (u64::from(length), 2)
        }
    };
    let end = start + usize::try_from(length).expect("a length");
    Some((first, got.get(start..end)?, end))
}

/// A client's frame; `fin` says that it ends its message.
fn frame(
    u: &mut Unstructured<'_>,
    fin: bool,
    opcode: u8,
    payload: &[u8],
    output: &mut Vec<u8>,
) -> Result<()> {
    output.push(u8::from(fin) << 7 | opcode);
    match u8::try_from(payload.len()) {
        Ok(length @ ..126) => output.push(0x80 | length),
        _ => {
            output.push(0x80 | 126);
            let length = u16::try_from(payload.len()).expect("short");
            output.extend_from_slice(&length.to_be_bytes());
        }
    }
    let mask: [u8; 4] = u.arbitrary()?;
    output.extend_from_slice(&mask);
    let masked = payload.iter().zip(mask.iter().cycle());
    output.extend(masked.map(|(byte, mask)| byte ^ mask));
    Ok(())
}

/// What a client sends, and what comes of it.
#[derive(Default)]
struct Sent {
    bytes: Vec<u8>,
    events: Vec<Event>,
    failure: Option<u16>,
    answers: Vec<u8>,
}

/// Messages in fragments, with pings between them. At the end there may be one that is too long,
/// or a close frame and a message after it.
fn messages(u: &mut Unstructured<'_>) -> Result<Sent> {
    let mut sent = Sent::default();
    let Sent {
        bytes,
        events,
        answers,
        ..
    } = &mut sent;
    let end = u.int_in_range(0..=3)?;
    while !u.is_empty() {
        let is_text: bool = u.arbitrary()?;
        let length = u.int_in_range(0..=MESSAGE_MAX)?.min(u.len());
        let content = String::from_utf8_lossy(u.bytes(length)?).into_owned();
        let mut end = content.len().min(MESSAGE_MAX);
        while !content.is_char_boundary(end) {
            end -= 1;
        }
        let content = &content[..end];
        let (mut rest, mut opcode) = (content.as_bytes(), if is_text { 1 } else { 2 });
        while u.ratio(1, 3)? {
            let (part, tail) = rest.split_at(u.int_in_range(0..=rest.len())?);
            frame(u, false, opcode, part, bytes)?;
            (rest, opcode) = (tail, 0);
            if u.arbitrary()? {
                frame(u, true, 9, b"ping", bytes)?;
                events.push(Event::Ping);
                answers.extend_from_slice(b"\x8a\x04ping");
            }
            if u.is_empty() {
                break;
            }
        }
        frame(u, true, opcode, rest, bytes)?;
        events.push(match is_text {
            true => Event::Text(content.to_owned()),
            false => Event::Binary(content.as_bytes().to_vec()),
        });
    }
    match end {
        0 => {
            frame(u, true, 2, &[0; MESSAGE_MAX + 1], bytes)?;
            sent.failure = Some(1009);
        }
        1 => {
            frame(u, true, 8, &1000_u16.to_be_bytes(), bytes)?;
            frame(u, true, 1, b"late", bytes)?;
            events.push(Event::Closed { code: Some(1000) });
            answers.extend_from_slice(b"\x88\x02\x03\xe8");
        }
        _ => {}
    }
    Ok(sent)
}

/// The start of a frame of text that a server sends.
fn text_header(length: usize) -> Vec<u8> {
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(length @ ..126), _) => vec![0x81, length],
        (_, Ok(length)) => [&[0x81, 126], &length.to_be_bytes()[..]].concat(),
        _ => [&[0x81, 127], &(length as u64).to_be_bytes()[..]].concat(),
    }
}

/// Only an opening with a key of 16 bytes is accepted, whatever the other fields are.
fn open(field: &[u8]) {
    let good = Opening {
        upgrade: Some(b"websocket"),
        connection: Some(b"keep-alive, Upgrade"),
        version: Some(b"13"),
        key: Some(b"dGhlIHNhbXBsZSBub25jZQ=="),
    };
    let nonce = STANDARD.decode(field.trim_ascii());
    let field = Some(field);
    let is_key = nonce.is_ok_and(|nonce| nonce.len() == 16);
    let keyed = Opening { key: field, ..good };
    assert_eq!(keyed.accept().is_ok(), is_key);
    for spoilt in [
        Opening {
            upgrade: field,
            ..good
        },
        Opening {
            connection: field,
            ..good
        },
        Opening {
            version: field,
            ..good
        },
    ] {
        let lists = |list: Option<&[u8]>, word: &[u8]| {
            let list = list.unwrap_or_default();
            list.to_ascii_lowercase()
                .windows(word.len())
                .any(|part| part == word)
        };
        let may_be = lists(spoilt.upgrade, b"websocket")
            && lists(spoilt.connection, b"upgrade")
            && lists(spoilt.version, b"13");
        assert!(may_be || spoilt.accept().is_err());
    }
}

pub(crate) fn run(input: &[u8]) {
    let Some((choice, rest)) = input.split_first() else {
        return;
    };
    match choice % 3 {
        0 => {
            same_however_cut(rest, read);
        }
        1 => {
            if let Ok(sent) = messages(&mut Unstructured::new(rest)) {
                let (events, failure, answers) = same_however_cut(&sent.bytes, read);
                assert_eq!((events, failure), (sent.events, sent.failure));
                match failure {
                    None => assert_eq!(answers, sent.answers),
                    Some(_) => assert!(answers.starts_with(&sent.answers)),
                }
            }
        }
        _ => {
            open(rest);
            if let Ok(text) = str::from_utf8(rest) {
                let mut bytes = Vec::new();
                text_frame(text, &mut bytes);
                assert_eq!(bytes, [&text_header(rest.len()), rest].concat());
            }
        }
    }
}

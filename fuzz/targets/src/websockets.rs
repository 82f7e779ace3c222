//! WebSocket frames: a client's messages arrive as they were sent, and any bytes are the same
//! events however they are cut.

use arbitrary::{Result, Unstructured};
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
];

const MESSAGE_MAX: usize = 256;

/// The events, the code of a failure, and the answers.
type Read = (Vec<Event>, Option<u16>, Vec<u8>);

fn read(parts: &mut dyn Iterator<Item = &[u8]>) -> Read {
    let (mut connection, mut events, mut output) =
        (Connection::new(MESSAGE_MAX), Vec::new(), Vec::new());
    for mut part in parts {
        loop {
            match connection.receive(&mut part, &mut output) {
                Ok(Some(event)) => events.push(event),
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

/// Messages in fragments, with pings between them, and the events that they are.
fn messages(u: &mut Unstructured<'_>) -> Result<(Vec<u8>, Vec<Event>)> {
    let (mut bytes, mut events) = (Vec::new(), Vec::new());
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
            frame(u, false, opcode, part, &mut bytes)?;
            (rest, opcode) = (tail, 0);
            if u.arbitrary()? {
                frame(u, true, 9, b"ping", &mut bytes)?;
                events.push(Event::Ping);
            }
            if u.is_empty() {
                break;
            }
        }
        frame(u, true, opcode, rest, &mut bytes)?;
        events.push(match is_text {
            true => Event::Text(content.to_owned()),
            false => Event::Binary(content.as_bytes().to_vec()),
        });
    }
    Ok((bytes, events))
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
            if let Ok((bytes, events)) = messages(&mut Unstructured::new(rest)) {
                let (got, failure, _) = same_however_cut(&bytes, read);
                assert_eq!((got, failure), (events, None));
            }
        }
        _ => {
            let opening = Opening {
                upgrade: Some(rest),
                connection: Some(rest),
                version: Some(b"13"),
                key: Some(rest),
            };
            opening.accept().ok();
            if let Ok(text) = str::from_utf8(rest) {
                let mut bytes = Vec::new();
                text_frame(text, &mut bytes);
                assert!(bytes.ends_with(rest));
            }
        }
    }
}

//! The cases of the Autobahn test suite's sections 1 to 7, 9 and 10, as data, and the opening
//! handshake.

use proptest::prelude::*;
use test_support::websocket::{
    BINARY, CLOSE, ClientFrame, PING, PONG, TEXT, UTF8_SEQUENCES, close, fragments, frame, last,
    part, reserved,
};

use super::*;

/// What a server that echoes messages sends.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Answer {
    Text(Vec<u8>),
    Binary(Vec<u8>),
    Pong(Vec<u8>),
    /// The code; none without a body.
    Close(Option<u16>),
}

/// Sends `input` to a server that echoes, in pieces of `chop` bytes.
fn echo(input: &[u8], chop: usize, message_max: usize) -> Vec<Answer> {
    let pieces: Vec<_> = input.chunks(chop).collect();
    echo_parts(&pieces, message_max)
}

fn echo_parts(pieces: &[&[u8]], message_max: usize) -> Vec<Answer> {
    let mut connection = Connection::new(message_max);
    let mut output = Vec::new();
    for mut piece in pieces.iter().copied() {
        loop {
            match connection.receive(&mut piece, &mut output) {
                Ok(Some(Event::Text(text))) => text_frame(&text, &mut output),
                Ok(Some(Event::Binary(bytes))) => {
                    put(
                        Frame::message(bytes, OpCode::Data(Data::Binary), true),
                        &mut output,
                    );
                }
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(_) => {
                    // Nothing comes of a connection that has failed.
                    assert_eq!(connection.receive(&mut piece, &mut output), Ok(None));
                }
            }
        }
        assert!(piece.is_empty());
    }
    answers(&output)
}

/// Takes a server's bytes apart.
fn answers(mut bytes: &[u8]) -> Vec<Answer> {
    let mut answers = Vec::new();
    while let [first, second, rest @ ..] = bytes {
        let (length, rest) = match *second {
            126 => (
                usize::from(u16::from_be_bytes(rest[..2].try_into().unwrap())),
                &rest[2..],
            ),
            127 => (
                u64::from_be_bytes(rest[..8].try_into().unwrap()) as usize,
                &rest[8..],
            ),
            length => (usize::from(length), rest),
        };
        let payload = rest[..length].to_vec();
        bytes = &rest[length..];
        answers.push(match first {
            0x81 => Answer::Text(payload),
            0x82 => Answer::Binary(payload),
            0x8a => Answer::Pong(payload),
            0x88 => Answer::Close(
                payload
                    .first_chunk()
                    .map(|code: &[u8; 2]| u16::from_be_bytes(*code)),
            ),
            other => panic!("the server sent a frame {other:#x}"),
        });
    }
    assert!(bytes.is_empty());
    answers
}

/// One case: its number in the suite, what the client sends and what the server answers.
struct Case(&'static str, Vec<ClientFrame>, Vec<Answer>);

impl Case {
    /// Runs the case with the bytes in one piece, in pieces of 1 and of 7 bytes.
    fn run(&self) {
        let Self(number, frames, expected) = self;
        let input: Vec<u8> = frames.iter().flat_map(ClientFrame::bytes).collect();
        for chop in [input.len().max(1), 1, 7] {
            assert_eq!(
                echo(&input, chop, 1 << 20),
                *expected,
                "case {number}, pieces of {chop}"
            );
        }
    }
}

/// A case that the client ends with a close frame, which is answered.
fn passes(number: &'static str, mut frames: Vec<ClientFrame>, mut answers: Vec<Answer>) {
    frames.push(close(1000, ""));
    answers.push(Answer::Close(Some(1000)));
    Case(number, frames, answers).run();
}

/// A case in which the server fails the connection with `code` after `answers`, and answers
/// nothing that follows.
fn fails(number: &'static str, code: u16, mut frames: Vec<ClientFrame>, mut answers: Vec<Answer>) {
    frames.push(frame(PING, ""));
    answers.push(Answer::Close(Some(code)));
    Case(number, frames, answers).run();
}

fn text(payload: impl AsRef<[u8]>) -> Answer {
    Answer::Text(payload.as_ref().to_vec())
}

fn pong(payload: impl AsRef<[u8]>) -> Answer {
    Answer::Pong(payload.as_ref().to_vec())
}

#[test]
fn autobahn_1_messages_of_every_length_form_are_echoed() {
    let numbers = [
        "1.1.1",
        "1.1.2",
        "1.1.3",
        "1.1.4",
        "1.1.5",
        "1.1.6",
        "1.1.7 and 8",
    ];
    for (number, length) in numbers
        .into_iter()
        .zip([0, 125, 126, 127, 128, 65535, 65536])
    {
        let payload = vec![b'*'; length];
        passes(number, vec![frame(TEXT, &payload)], vec![text(&payload)]);
        let payload = vec![0xfe; length];
        let answer = Answer::Binary(payload.clone());
        passes(number, vec![frame(BINARY, &payload)], vec![answer]);
    }
}

#[test]
fn autobahn_2_pings_are_answered_and_pongs_are_not() {
    passes("2.1", vec![frame(PING, "")], vec![pong("")]);
    passes(
        "2.2",
        vec![frame(PING, "Hello, world!")],
        vec![pong("Hello, world!")],
    );
    let binary = [0, 0xff, 0xfe, 0xfd, 0xfc, 0xfb, 0, 0xff];
    passes("2.3", vec![frame(PING, binary)], vec![pong(binary)]);
    passes(
        "2.4 and 6",
        vec![frame(PING, [0xfe; 125])],
        vec![pong([0xfe; 125])],
    );
    fails("2.5", 1002, vec![frame(PING, [0xfe; 126])], vec![]);
    passes("2.7", vec![frame(PONG, "")], vec![]);
    passes("2.8", vec![frame(PONG, "unsolicited")], vec![]);
    passes(
        "2.9",
        vec![frame(PONG, "unsolicited"), frame(PING, "ping")],
        vec![pong("ping")],
    );
    let payloads: Vec<_> = (0..10).map(|number| format!("payload-{number}")).collect();
    passes(
        "2.10 and 11",
        payloads
            .iter()
            .map(|payload| frame(PING, payload))
            .collect(),
        payloads.iter().map(pong).collect(),
    );
}

#[test]
fn autobahn_3_reserved_bits_fail_the_connection() {
    let hello = || frame(TEXT, "Hello, world!");
    fails("3.1", 1002, vec![reserved(1, hello())], vec![]);
    for (number, rsv) in [("3.2", 2), ("3.3", 3), ("3.4", 4)] {
        let frames = vec![hello(), reserved(rsv, hello())];
        fails(number, 1002, frames, vec![text("Hello, world!")]);
    }
    fails(
        "3.5",
        1002,
        vec![reserved(5, frame(BINARY, [0, 0xff]))],
        vec![],
    );
    fails(
        "3.6",
        1002,
        vec![reserved(6, frame(PING, "Hello, world!"))],
        vec![],
    );
    fails("3.7", 1002, vec![reserved(7, close(1000, ""))], vec![]);
}

#[test]
fn autobahn_4_reserved_opcodes_fail_the_connection() {
    let hello = || frame(TEXT, "Hello, world!");
    let data = [
        (3, ""),
        (4, "reserved"),
        (5, ""),
        (6, "reserved"),
        (7, "reserved"),
    ];
    let control = [
        (11, ""),
        (12, "reserved"),
        (13, ""),
        (14, "reserved"),
        (15, "reserved"),
    ];
    for (opcode, payload) in data.into_iter().chain(control) {
        fails(
            "4.1.1, 2 and 4.2.1, 2",
            1002,
            vec![frame(opcode, payload)],
            vec![],
        );
        let frames = vec![hello(), frame(opcode, payload)];
        fails(
            "4.1.3 to 5 and 4.2.3 to 5",
            1002,
            frames,
            vec![text("Hello, world!")],
        );
    }
}

#[test]
fn autobahn_5_fragments_are_joined_or_refused() {
    let (one, two) = ("fragment1", "fragment2");
    fails("5.1", 1002, vec![part(PING, one), last(two)], vec![]);
    fails("5.2", 1002, vec![part(PONG, one), last(two)], vec![]);
    let joined = || text("fragment1fragment2");
    passes("5.3 to 5", vec![part(TEXT, one), last(two)], vec![joined()]);
    passes(
        "5.6 to 8",
        vec![part(TEXT, one), frame(PING, "ping payload"), last(two)],
        vec![pong("ping payload"), joined()],
    );
    for stray in [last("stray"), part(0, "stray")] {
        let frames = vec![stray.clone(), frame(TEXT, "Hello, world!")];
        fails("5.9 to 14", 1002, frames, vec![]);
        let mut frames = vec![stray.clone(), part(TEXT, two), last("fragment3")];
        frames.extend(frames.clone());
        fails("5.16 and 17", 1002, frames, vec![]);
    }
    let frames = vec![
        part(TEXT, one),
        last(two),
        part(0, "three"),
        frame(TEXT, "four"),
    ];
    fails("5.15", 1002, frames, vec![joined()]);
    fails(
        "5.18",
        1002,
        vec![part(TEXT, one), frame(TEXT, two)],
        vec![],
    );
    passes(
        "5.19 and 20",
        vec![
            part(TEXT, "1"),
            part(0, "2"),
            frame(PING, "pongme 1!"),
            part(0, "3"),
            part(0, "4"),
            frame(PING, "pongme 2!"),
            last("5"),
        ],
        vec![pong("pongme 1!"), pong("pongme 2!"), text("12345")],
    );
}

/// Texts besides [`UTF8_SEQUENCES`] that are valid.
const VALID: &[&[u8]] = &[
    b"",                                 // 6.1
    "Hello-µ@ßöäüàá-UTF-8!!".as_bytes(), // 6.2
    b"\xef\xbf\xbe",                     // 6.22: code points that are no characters
    b"\xf0\x9f\xbf\xbe",
    b"\xf0\x9f\xbf\xbf",
    b"\xf0\xaf\xbf\xbe",
    b"\xf0\xbf\xbf\xbf",
    b"\xf1\x8f\xbf\xbe",
    b"\xf1\x9f\xbf\xbf",
    b"\xf2\xaf\xbf\xbe",
    b"\xf2\xbf\xbf\xbf",
    b"\xf3\x8f\xbf\xbe",
    b"\xf3\xbf\xbf\xbf",
    b"\xf4\x8f\xbf\xbe",
    b"\xef\xbf\xb9", // 6.23
    b"\xef\xbf\xba",
    b"\xef\xbf\xbb",
    b"\xef\xbf\xbc",
];

/// The same that are not.
const INVALID: &[&[u8]] = &[
    b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited", // 6.3
    b"\xc0\xe0\x80\xf0\x80\x80\xdf\xef\xbf\xf7\xbf\xbf",               // a part of 6.15
];

/// All sequences of [`UTF8_SEQUENCES`] that are valid, or that are not.
fn sequences(valid: bool) -> impl Iterator<Item = &'static [u8]> {
    let all = UTF8_SEQUENCES.iter().flat_map(|(_, all)| *all).copied();
    all.filter(move |bytes| str::from_utf8(bytes).is_ok() == valid)
}

/// The message in frames of one byte each.
fn in_bytes(payload: &[u8]) -> Vec<ClientFrame> {
    let mut frames = vec![part(TEXT, "")];
    frames.extend(payload.iter().map(|byte| part(0, [*byte])));
    frames.push(last(""));
    frames
}

#[test]
fn autobahn_6_valid_utf8_is_echoed_however_it_is_fragmented() {
    for payload in sequences(true).chain(VALID.iter().copied()) {
        passes(
            "6.2 and others",
            vec![frame(TEXT, payload)],
            vec![text(payload)],
        );
        passes("6.2.3 and others", in_bytes(payload), vec![text(payload)]);
    }
    let frames = vec![part(TEXT, ""), part(0, "middle"), last("")];
    passes("6.1.3", frames, vec![text("middle")]);
}

#[test]
fn autobahn_6_invalid_utf8_fails_the_connection() {
    for payload in sequences(false).chain(INVALID.iter().copied()) {
        fails("6.3 and others", 1007, vec![frame(TEXT, payload)], vec![]);
        fails("6.3.2 and others", 1007, in_bytes(payload), vec![]);
    }
}

#[test]
fn autobahn_6_6_prefixes_of_a_text_are_valid_where_a_character_ends() {
    let whole = "κόσμε";
    for length in 1..=whole.len() {
        let prefix = &whole.as_bytes()[..length];
        if whole.is_char_boundary(length) {
            passes("6.6", vec![frame(TEXT, prefix)], vec![text(prefix)]);
        } else {
            fails("6.6", 1007, vec![frame(TEXT, prefix)], vec![]);
        }
    }
}

#[test]
fn autobahn_6_4_an_invalid_fragment_fails_before_the_message_ends() {
    let frames = [part(TEXT, "κόσμε"), part(0, b"\xf4\x90\x80\x80")];
    let input: Vec<u8> = frames.iter().flat_map(ClientFrame::bytes).collect();
    assert_eq!(echo(&input, input.len(), 1024), [Answer::Close(Some(1007))]);
}

#[test]
fn autobahn_7_1_nothing_is_answered_after_a_close_frame() {
    let closed = || vec![Answer::Close(Some(1000))];
    let after: [ClientFrame; 5] = [
        close(1000, ""),
        frame(PING, ""),
        frame(TEXT, "late"),
        last("late"),
        frame(CLOSE, ""),
    ];
    for frame in after {
        Case("7.1.2 to 4", vec![close(1000, ""), frame], closed()).run();
    }
    let frames = vec![part(TEXT, "fragment1"), close(1000, ""), last("fragment2")];
    Case("7.1.5", frames, closed()).run();
    let message = vec![b'*'; 256 * 1024];
    passes("7.1.6", vec![frame(TEXT, &message)], vec![text(&message)]);
}

#[test]
fn autobahn_7_3_close_frames_of_every_length_are_answered() {
    Case("7.3.1", vec![frame(CLOSE, "")], vec![Answer::Close(None)]).run();
    fails("7.3.2", 1002, vec![frame(CLOSE, "a")], vec![]);
    let closed = vec![Answer::Close(Some(1000))];
    Case("7.3.3", vec![close(1000, "")], closed.clone()).run();
    Case("7.3.4", vec![close(1000, "Hello World!")], closed.clone()).run();
    Case("7.3.5", vec![close(1000, [b'*'; 123])], closed).run();
    fails("7.3.6", 1002, vec![close(1000, [b'*'; 124])], vec![]);
    fails(
        "7.5.1",
        1007,
        vec![close(1000, b"\xce\xba\xed\xa0\x80")],
        vec![],
    );
}

#[test]
fn autobahn_7_7_valid_close_codes_are_echoed_and_others_are_refused() {
    let valid = [
        1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999,
    ];
    for code in valid {
        Case(
            "7.7",
            vec![close(code, "")],
            vec![Answer::Close(Some(code))],
        )
        .run();
    }
    let invalid = [
        0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65535,
    ];
    for code in invalid {
        Case(
            "7.9 and 7.13",
            vec![close(code, "")],
            vec![Answer::Close(Some(1002))],
        )
        .run();
    }
}

#[test]
fn autobahn_9_large_messages_are_echoed() {
    let large = 16 << 20;
    let message = vec![b'*'; 4 << 20];
    // 9.1 and 9.2: in one frame.
    let input = frame(TEXT, &message).bytes();
    assert_eq!(echo(&input, 64 * 1024, large), [text(&message)]);
    let input = frame(BINARY, &message).bytes();
    assert_eq!(
        echo(&input, 64 * 1024, large),
        [Answer::Binary(message.clone())]
    );
    // 9.3 and 9.4: in fragments. 9.5 and 9.6: in pieces.
    let message = &message[..1 << 20];
    for size in [64, 4096, 256 * 1024] {
        let mut frames = vec![part(TEXT, "")];
        frames.extend(message.chunks(size).map(|fragment| part(0, fragment)));
        frames.push(last(""));
        let input: Vec<u8> = frames.iter().flat_map(ClientFrame::bytes).collect();
        assert_eq!(echo(&input, 64 * 1024, large), [text(message)]);
        let input = frame(TEXT, message).bytes();
        assert_eq!(echo(&input, size, large), [text(message)]);
    }
    // 9.7 and 9.8: many of them.
    for length in [0, 16, 64, 256, 1024, 4096] {
        let input = frame(TEXT, vec![b'*'; length]).bytes().repeat(100);
        assert_eq!(
            echo(&input, 1000, large),
            vec![text(vec![b'*'; length]); 100]
        );
    }
}

#[test]
fn autobahn_10_a_message_in_fragments_of_1300_bytes_is_echoed() {
    let message = vec![b'*'; 65536];
    let frames = fragments(TEXT, &message, 1300);
    passes("10.1.1", frames, vec![text(&message)]);
}

#[test]
fn unmasked_frame_fails_the_connection() {
    assert_eq!(
        echo(&[0x81, 2, b'h', b'i'], 4, 1024),
        [Answer::Close(Some(1002))]
    );
}

#[test]
fn message_at_the_limit_is_taken_and_one_byte_more_fails() {
    let input = frame(TEXT, [b'*'; 100]).bytes();
    assert_eq!(echo(&input, 1, 100), [text([b'*'; 100])]);
    // The head of the frame is enough to refuse it.
    let input = &frame(TEXT, [b'*'; 101]).bytes()[..6];
    assert_eq!(echo(input, 1, 100), [Answer::Close(Some(1009))]);
    let frames = [part(TEXT, [b'*'; 60]), part(0, [b'*'; 41])];
    let input: Vec<u8> = frames.iter().flat_map(ClientFrame::bytes).collect();
    assert_eq!(echo(&input, 200, 100), [Answer::Close(Some(1009))]);
}

#[test]
fn frame_that_announces_the_largest_length_fails() {
    let mut input = vec![0x82, 0x80 | 127];
    input.extend([0xff; 12]);
    assert_eq!(echo(&input, 100, 1 << 20), [Answer::Close(Some(1009))]);
}

#[test]
fn close_by_the_server_waits_for_the_answer() {
    let mut connection = Connection::new(1024);
    let mut output = Vec::new();
    connection.close(1001, "bye", &mut output);
    assert!(!connection.is_open());
    assert_eq!(answers(&output), [Answer::Close(Some(1001))]);
    // A second call and a ping add nothing.
    connection.close(1001, "bye", &mut output);
    let bytes = [frame(PING, "late").bytes(), close(1001, "").bytes()].concat();
    let mut input = bytes.as_slice();
    assert_eq!(
        connection.receive(&mut input, &mut output),
        Ok(Some(Event::Ping))
    );
    let closed = Event::Closed { code: Some(1001) };
    assert_eq!(
        connection.receive(&mut input, &mut output),
        Ok(Some(closed))
    );
    assert_eq!(connection.receive(&mut input, &mut output), Ok(None));
    assert_eq!(answers(&output), [Answer::Close(Some(1001))]);
}

#[test]
fn long_reason_of_a_close_frame_is_cut_at_a_character() {
    let mut output = Vec::new();
    close_frame(1008, &"é".repeat(100), &mut output);
    assert_eq!(output[1], 2 + 122);
    assert!(str::from_utf8(&output[4..]).is_ok());
}

#[test]
fn ping_frame_has_no_payload() {
    let mut output = Vec::new();
    ping_frame(&mut output);
    assert_eq!(output, [0x89, 0]);
}

fn opening() -> Opening<'static> {
    Opening {
        upgrade: Some(b"websocket"),
        connection: Some(b"Upgrade"),
        version: Some(b"13"),
        key: Some(b"dGhlIHNhbXBsZSBub25jZQ=="),
    }
}

#[test]
fn opening_with_all_fields_is_accepted() {
    assert_eq!(opening().accept().unwrap(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

#[test]
fn opening_with_a_missing_or_wrong_field_is_refused() {
    let wrong = [
        Opening {
            upgrade: None,
            ..opening()
        },
        Opening {
            upgrade: Some(b"h2c"),
            ..opening()
        },
        Opening {
            connection: Some(b"keep-alive"),
            ..opening()
        },
        Opening {
            key: None,
            ..opening()
        },
        Opening {
            key: Some(b"dGhlIHNhbXBsZSBub25j"),
            ..opening()
        },
        Opening {
            key: Some(b"not base64, not base64!"),
            ..opening()
        },
    ];
    for opening in wrong {
        assert_eq!(opening.accept().unwrap_err().status(), Status::BadRequest);
    }
}

#[test]
fn opening_with_another_version_is_answered_with_426() {
    for version in [None, Some(b"8".as_slice()), Some(b"130")] {
        let refusal = Opening {
            version,
            ..opening()
        }
        .accept()
        .unwrap_err();
        assert_eq!(refusal.status().code(), 426);
    }
}

/// A frame that a client may send: a text or a part of one, or a control frame.
fn any_frame() -> impl Strategy<Value = ClientFrame> {
    let payload = || proptest::collection::vec(any::<u8>(), 0..20);
    prop_oneof![
        "\\PC{0,60}".prop_map(|text| frame(TEXT, text)),
        "\\PC{0,60}".prop_map(|text| part(TEXT, text)),
        "\\PC{0,60}".prop_map(last),
        payload().prop_map(|bytes| frame(BINARY, bytes)),
        payload().prop_map(|bytes| frame(PING, bytes)),
        payload().prop_map(|bytes| frame(PONG, bytes)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn frames_are_answered_alike_wherever_they_are_split(
        frames in proptest::collection::vec(any_frame(), 1..6),
    ) {
        let input: Vec<u8> = frames.iter().flat_map(ClientFrame::bytes).collect();
        let whole = echo(&input, input.len(), 200);
        for split in 1..input.len() {
            let (first, second) = input.split_at(split);
            prop_assert_eq!(echo_parts(&[first, second], 200), whole.clone(), "at {}", split);
        }
        prop_assert_eq!(echo(&input, 1, 200), whole);
    }
}

proptest! {
    #[test]
    fn any_bytes_make_answers_that_do_not_depend_on_the_pieces(
        input in proptest::collection::vec(any::<u8>(), 0..300),
        chop in 1usize..20,
    ) {
        prop_assert_eq!(echo(&input, chop, 200), echo(&input, 1000, 200));
    }
}

#[test]
fn memory_of_a_message_is_counted_until_it_is_complete() {
    let mut connection = Connection::new(1 << 20);
    let mut receive = |frame: ClientFrame| {
        let bytes = frame.bytes();
        let (mut rest, mut output) = (&bytes[..], Vec::new());
        while connection
            .receive(&mut rest, &mut output)
            .unwrap()
            .is_some()
        {}
        connection.memory()
    };
    assert_eq!(receive(frame(PING, "ping")), 0);
    let begun = receive(part(TEXT, [b'a'; 10_000]));
    assert!((20_000..21_000).contains(&begun), "{begun}");
    let pinged = (0..1000).map(|_| receive(frame(PING, "ping"))).last();
    assert_eq!(pinged, Some(begun), "what a ping took is free again");
    let more = receive(part(0, [b'a'; 10_000]));
    assert!((40_000..41_000).contains(&more), "{more}");
    assert!(receive(last("a")) < 100);
    assert_eq!(receive(close(1000, "")), 0);
}

//! The cases of the Autobahn test suite, sections 1 to 7, 9 and 10, through a running hub.
//!
//! Where the suite expects an echo, the client subscribes to a topic and publishes to it: the update
//! comes back. A message that is no update, such as an empty one, is refused with 400 and the socket
//! stays. The hub takes no binary messages, so these end the socket with 1003 once they are whole.
//!
//! | section | cases |
//! |---|---:|
//! | 1 framing | 16 |
//! | 2 pings and pongs | 11 |
//! | 3 reserved bits | 7 |
//! | 4 opcodes | 10 |
//! | 5 fragments | 20 |
//! | 6 UTF-8 | 145 |
//! | 7 closing | 37 |
//! | 9 limits and performance | 54 |
//! | 10 autofragmentation | 1 |

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use serde_json::Value;
use test_support::websocket::{
    BINARY, CLOSE, ClientFrame, PING, PONG, TEXT, UTF8_SEQUENCES, close, fragments, frame, last,
    part, reserved,
};

use super::support::{PATH, bearer, full_token, get, open_hub};
use super::support_http::{LIMIT, Server};
use super::websocket::OPENING;

/// The longest case that is also sent byte by byte, and cut in two at every byte.
const BYTEWISE_MAX: usize = 600;
const CUT_MAX: usize = 100;

/// A message with that data, whose update comes back.
fn message(data: impl AsRef<[u8]>) -> Vec<u8> {
    [br#"{"topics":["a"],"data":""#, data.as_ref(), br#""}"#].concat()
}

/// Such a message of that length, and its data.
fn message_of(length: usize) -> (Vec<u8>, String) {
    let data = "*".repeat(length - message("").len());
    (message(&data), data)
}

/// What the hub does.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    /// It answers, and closes when the client does.
    Stays(Answers),
    /// It ends the socket with that code.
    Fails(u16),
    /// It answers the client's close frame with that code, or without one.
    Closes(Option<u16>),
}

/// What comes back. Updates are told after everything that is answered at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Answers {
    data: Vec<String>,
    pongs: Vec<Vec<u8>>,
    refused: usize,
}

/// One case of the suite.
struct Case {
    id: String,
    frames: Vec<ClientFrame>,
    outcome: Outcome,
    /// In pieces of how many bytes it is sent.
    chop: usize,
}

#[derive(Default)]
struct Cases(Vec<Case>);

impl Cases {
    fn add(&mut self, id: impl Into<String>, frames: Vec<ClientFrame>, outcome: Outcome) {
        self.0.push(Case {
            id: id.into(),
            frames,
            outcome,
            chop: usize::MAX,
        });
    }

    /// A case whose message comes back with that data.
    fn echo(&mut self, id: impl Into<String>, frames: Vec<ClientFrame>, data: &str) {
        self.stay(id, frames, &[data], &[]);
    }

    fn stay(
        &mut self,
        id: impl Into<String>,
        frames: Vec<ClientFrame>,
        data: &[&str],
        pongs: &[&[u8]],
    ) {
        let answers = Answers {
            data: data.iter().map(|data| (*data).to_owned()).collect(),
            pongs: pongs.iter().map(|pong| pong.to_vec()).collect(),
            refused: 0,
        };
        self.add(id, frames, Outcome::Stays(answers));
    }

    /// A case whose messages are no updates.
    fn refuse(&mut self, id: impl Into<String>, frames: Vec<ClientFrame>, refused: usize) {
        let answers = Answers {
            refused,
            ..Answers::default()
        };
        self.add(id, frames, Outcome::Stays(answers));
    }

    fn fail(&mut self, id: impl Into<String>, code: u16, frames: Vec<ClientFrame>) {
        self.add(id, frames, Outcome::Fails(code));
    }

    /// Sends the last case in pieces of that many bytes.
    fn chopped(&mut self, bytes: usize) {
        self.0.last_mut().unwrap().chop = bytes;
    }
}

fn framing() -> Cases {
    let mut cases = Cases::default();
    for (n, length) in (1..).zip([0, 125, 126, 127, 128, 65535, 65536, 65536]) {
        let id = format!("1.1.{n}");
        if length == 0 {
            cases.refuse(id, vec![frame(TEXT, "")], 1);
        } else {
            let (text, data) = message_of(length);
            cases.echo(id, vec![frame(TEXT, text)], &data);
        }
        let binary = frame(BINARY, vec![0xfe; length]);
        let chop = if n == 8 { 997 } else { usize::MAX };
        cases.chopped(chop);
        cases.fail(format!("1.2.{n}"), 1003, vec![binary]);
        cases.chopped(chop);
    }
    cases
}

fn pings() -> Cases {
    let mut cases = Cases::default();
    let hello = b"Hello, world!";
    let binary = [0, 0xff, 0xfe, 0xfd, 0xfc, 0xfb, 0, 0xff];
    let long = [0xfe; 125];
    cases.stay("2.1", vec![frame(PING, "")], &[], &[b""]);
    cases.stay("2.2", vec![frame(PING, hello)], &[], &[hello]);
    cases.stay("2.3", vec![frame(PING, binary)], &[], &[&binary]);
    cases.stay("2.4", vec![frame(PING, long)], &[], &[&long]);
    cases.fail("2.5", 1002, vec![frame(PING, [0xfe; 126])]);
    cases.stay("2.6", vec![frame(PING, long)], &[], &[&long]);
    cases.chopped(1);
    cases.stay("2.7", vec![frame(PONG, "")], &[], &[]);
    cases.stay("2.8", vec![frame(PONG, "unsolicited")], &[], &[]);
    let frames = vec![frame(PONG, "unsolicited"), frame(PING, "ping")];
    cases.stay("2.9", frames, &[], &[b"ping"]);
    let pings: Vec<_> = (0..10).map(|n| format!("payload-{n}")).collect();
    let pongs: Vec<_> = pings.iter().map(String::as_bytes).collect();
    let frames: Vec<_> = pings.iter().map(|ping| frame(PING, ping)).collect();
    cases.stay("2.10", frames.clone(), &[], &pongs);
    cases.stay("2.11", frames, &[], &pongs);
    cases.chopped(1);
    cases
}

fn reserved_bits() -> Cases {
    let mut cases = Cases::default();
    let hello = || frame(TEXT, message("Hello"));
    let then = |bad: ClientFrame| vec![hello(), bad, frame(PING, "")];
    cases.fail("3.1", 1002, vec![reserved(1, hello())]);
    cases.fail("3.2", 1002, then(reserved(2, hello())));
    cases.fail("3.3", 1002, then(reserved(3, hello())));
    cases.fail("3.4", 1002, then(reserved(4, hello())));
    cases.chopped(1);
    cases.fail("3.5", 1002, vec![reserved(5, frame(BINARY, "x"))]);
    cases.fail("3.6", 1002, vec![reserved(6, frame(PING, "x"))]);
    cases.fail("3.7", 1002, vec![reserved(7, close(1000, ""))]);
    cases
}

fn opcodes() -> Cases {
    let mut cases = Cases::default();
    for (kind, first) in [(1, 3), (2, 11)] {
        for n in 1..=5 {
            let payload = if n % 2 == 0 { "reserved" } else { "" };
            let mut frames = vec![frame(first + n - 1, payload), frame(PING, "")];
            if n > 2 {
                frames.insert(0, frame(TEXT, message("Hello")));
            }
            cases.fail(format!("4.{kind}.{n}"), 1002, frames);
        }
    }
    cases
}

fn fragmentation() -> Cases {
    let mut cases = Cases::default();
    let whole = message("fragment1fragment2");
    let (one, two) = whole.split_at(30);
    let text = || vec![part(TEXT, one), last(two)];
    let stray = |fin: bool| ClientFrame {
        fin,
        ..last("non-continuation payload")
    };
    cases.fail("5.1", 1002, vec![part(PING, one), last(two)]);
    cases.fail("5.2", 1002, vec![part(PONG, one), last(two)]);
    for id in ["5.3", "5.4", "5.5"] {
        cases.echo(id, text(), "fragment1fragment2");
    }
    cases.chopped(1);
    for id in ["5.6", "5.7", "5.8"] {
        let frames = vec![part(TEXT, one), frame(PING, "ping"), last(two)];
        cases.stay(id, frames, &["fragment1fragment2"], &[b"ping"]);
    }
    cases.chopped(1);
    for n in 9..=14 {
        let frames = vec![stray(n < 12), frame(TEXT, message("Hello"))];
        cases.fail(format!("5.{n}"), 1002, frames);
        cases.chopped(if n % 3 == 2 { 1 } else { usize::MAX });
    }
    let again = [text(), vec![stray(false), frame(TEXT, message("x"))]].concat();
    cases.fail("5.15", 1002, again);
    for (id, fin) in [("5.16", false), ("5.17", true)] {
        let once = [vec![stray(fin)], text()].concat();
        cases.fail(id, 1002, [once.clone(), once].concat());
    }
    cases.fail("5.18", 1002, vec![part(TEXT, one), frame(TEXT, two)]);
    for id in ["5.19", "5.20"] {
        let mut frames = fragments(TEXT, &whole, 12);
        frames.insert(2, frame(PING, "pongme 1!"));
        frames.insert(4, frame(PING, "pongme 2!"));
        cases.stay(
            id,
            frames,
            &["fragment1fragment2"],
            &[b"pongme 1!", b"pongme 2!"],
        );
    }
    cases.chopped(1);
    cases
}

fn utf8() -> Cases {
    let mut cases = Cases::default();
    cases.refuse("6.1.1", vec![frame(TEXT, "")], 1);
    cases.refuse("6.1.2", vec![part(TEXT, ""), part(0, ""), last("")], 1);
    let frames = vec![part(TEXT, ""), part(0, message("middle")), last("")];
    cases.echo("6.1.3", frames, "middle");
    let text = "Hello-µ@ßöäüàá-UTF-8!!";
    let whole = message(text);
    let bad = message(b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited");
    cases.echo("6.2.1", vec![frame(TEXT, &whole)], text);
    let (one, two) = whole.split_at(31); // between two characters
    cases.echo("6.2.2", vec![part(TEXT, one), last(two)], text);
    cases.echo("6.2.3", fragments(TEXT, &whole, 1), text);
    cases.echo("6.2.4", fragments(TEXT, &whole, 1), text);
    cases.chopped(1);
    cases.fail("6.3.1", 1007, vec![frame(TEXT, &bad)]);
    cases.fail("6.3.2", 1007, fragments(TEXT, &bad, 1));
    // The connection fails before the message or the frame ends.
    for (n, chop) in (1..).zip([usize::MAX, usize::MAX, 1, 1]) {
        let sequence = "κόσμε".as_bytes();
        let frames = match n % 2 {
            1 => vec![part(TEXT, sequence), part(0, b"\xf4\x90\x80\x80")],
            _ => vec![part(TEXT, sequence), part(0, b"\xf4\x90"), part(0, b"\x80")],
        };
        cases.fail(format!("6.4.{n}"), 1007, frames);
        cases.chopped(chop);
    }
    let kosme = "κ\u{1f79}σμε"; // eleven bytes
    for length in 1..=kosme.len() {
        let data = &kosme.as_bytes()[..length];
        add_sequence(&mut cases, format!("6.6.{length}"), data);
    }
    for (section, sequences) in UTF8_SEQUENCES {
        for (n, data) in (1..).zip(*sequences) {
            add_sequence(&mut cases, format!("6.{section}.{n}"), data);
        }
    }
    let planes = (0..17_u32).flat_map(|plane| [plane << 16 | 0xfffe, plane << 16 | 0xffff]);
    for (section, codes) in [
        (22, planes.collect()),
        (23, Vec::from_iter(0xfff9..=0xffff)),
    ] {
        for (n, code) in (1..).zip(codes) {
            let data = char::from_u32(code).unwrap().to_string();
            add_sequence(&mut cases, format!("6.{section}.{n}"), data.as_bytes());
        }
    }
    cases
}

fn add_sequence(cases: &mut Cases, id: String, data: &[u8]) {
    let frames = vec![frame(TEXT, message(data))];
    match str::from_utf8(data) {
        Ok("\0") => cases.refuse(id, frames, 1), // JSON has to escape it
        Ok(text) => cases.echo(id, frames, text),
        Err(_) => cases.fail(id, 1007, frames),
    }
}

fn closing() -> Cases {
    let mut cases = Cases::default();
    cases.echo("7.1.1", vec![frame(TEXT, message("Hello"))], "Hello");
    for (id, late) in [
        ("7.1.2", frame(CLOSE, "")),
        ("7.1.3", frame(PING, "")),
        ("7.1.4", frame(TEXT, message("Hello"))),
    ] {
        cases.add(id, vec![close(1000, ""), late], Outcome::Closes(Some(1000)));
    }
    let frames = vec![part(TEXT, "fragment1"), close(1000, ""), last("fragment2")];
    cases.add("7.1.5", frames, Outcome::Closes(Some(1000)));
    let (text, _) = message_of(256 << 10);
    let frames = vec![frame(TEXT, text), close(1000, ""), frame(PING, "")];
    cases.add("7.1.6", frames, Outcome::Closes(Some(1000)));
    cases.add("7.3.1", vec![frame(CLOSE, "")], Outcome::Closes(None));
    cases.fail("7.3.2", 1002, vec![frame(CLOSE, "a")]);
    for (id, reason) in [
        ("7.3.3", ""),
        ("7.3.4", "Hello World!"),
        ("7.3.5", &"*".repeat(123)),
    ] {
        let frames = vec![close(1000, reason)];
        cases.add(id, frames, Outcome::Closes(Some(1000)));
    }
    cases.fail("7.3.6", 1002, vec![close(1000, [b'*'; 124])]);
    cases.fail("7.5.1", 1007, vec![close(1000, b"\xce\xba\xed\xa0\x80")]);
    let valid = [
        1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999,
    ];
    for (n, code) in (1..).zip(valid) {
        let frames = vec![close(code, "")];
        cases.add(format!("7.7.{n}"), frames, Outcome::Closes(Some(code)));
    }
    let invalid = [0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999];
    for (n, code) in (1..).zip(invalid) {
        cases.fail(format!("7.9.{n}"), 1002, vec![close(code, "")]);
    }
    cases.fail("7.13.1", 1002, vec![close(5000, "")]);
    cases.fail("7.13.2", 1002, vec![close(65535, "")]);
    cases
}

fn limits() -> Cases {
    let mut cases = Cases::default();
    let sizes = [64 << 10, 256 << 10, 1 << 20, 4 << 20, 8 << 20, 16 << 20];
    for (n, size) in (1..).zip(sizes) {
        let (text, data) = message_of(size);
        cases.echo(format!("9.1.{n}"), vec![frame(TEXT, &text)], &data);
        cases.fail(format!("9.2.{n}"), 1003, vec![frame(BINARY, text)]);
    }
    let (text, data) = message_of(4 << 20);
    for n in 1..=9 {
        let size = 64 << (2 * (n - 1));
        let frames = fragments(TEXT, &text, size);
        cases.echo(format!("9.3.{n}"), frames, &data);
        let frames = fragments(BINARY, &text, size);
        cases.fail(format!("9.4.{n}"), 1003, frames);
    }
    let (text, data) = message_of(1 << 20);
    for n in 1..=6 {
        let chop = 64 << (n - 1);
        cases.echo(format!("9.5.{n}"), vec![frame(TEXT, &text)], &data);
        cases.chopped(chop);
        cases.fail(format!("9.6.{n}"), 1003, vec![frame(BINARY, &text)]);
        cases.chopped(chop);
    }
    for (n, size) in (1..).zip([0, 16, 64, 256, 1024, 4096]) {
        let id = format!("9.7.{n}");
        if size < 64 {
            let frames = vec![frame(TEXT, "*".repeat(size)); 1000];
            cases.refuse(id, frames, 1000);
        } else {
            let (text, data) = message_of(size);
            let frames = vec![frame(TEXT, text); 1000];
            cases.stay(id, frames, &[&*data; 1000], &[]);
        }
        let frames = vec![frame(BINARY, vec![0xfe; size]); 1000];
        cases.fail(format!("9.8.{n}"), 1003, frames);
    }
    cases
}

fn autofragmentation() -> Cases {
    let mut cases = Cases::default();
    let (text, data) = message_of(65536);
    cases.echo("10.1.1", fragments(TEXT, &text, 1300), &data);
    cases
}

fn start() -> Server {
    open_hub(&[
        "--max-body-size",
        "17MiB",
        "--max-queue",
        "64MiB",
        "--history",
        "0",
    ])
}

struct Socket(TcpStream);

impl Socket {
    fn open(server: &Server) -> Self {
        let mut socket = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
        socket.set_nodelay(true).unwrap();
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        let lines = format!("{OPENING}{}", bearer(&full_token()));
        let request = get(&format!("{PATH}?topic=a"), &lines);
        socket.write_all(request.as_bytes()).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.extend(Self::exactly::<1>(&mut socket));
        }
        assert!(head.starts_with(b"HTTP/1.1 101"));
        Self(socket)
    }

    fn exactly<const N: usize>(socket: &mut TcpStream) -> [u8; N] {
        let mut bytes = [0; N];
        socket.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// The opcode and the payload of the next frame, which is whole and not masked.
    fn next(&mut self) -> (u8, Vec<u8>) {
        let [first, length] = Self::exactly::<2>(&mut self.0);
        assert_eq!(first & 0xf0, 0x80, "one whole frame");
        let length = match length {
            126 => u16::from_be_bytes(Self::exactly(&mut self.0)).into(),
            127 => u64::from_be_bytes(Self::exactly(&mut self.0)),
            length => length.into(),
        };
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        self.0.read_exact(&mut payload).unwrap();
        (first & 0x0f, payload)
    }

    /// The code of the close frame that comes next, after which the connection ends.
    fn expect_close(&mut self) -> Option<u16> {
        loop {
            let (opcode, payload) = self.next();
            if opcode == CLOSE {
                let code = payload.first_chunk::<2>();
                self.expect_end();
                return code.map(|code| u16::from_be_bytes(*code));
            }
        }
    }

    fn expect_end(&mut self) {
        match self.0.read(&mut [0]) {
            Ok(0) => {}
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
            other => panic!("{other:?} behind the close frame"),
        }
    }

    /// Takes as much as `expected` has.
    fn take_like(&mut self, expected: &Answers) -> Answers {
        let mut answers = Answers::default();
        let count = |answers: &Answers| answers.data.len() + answers.pongs.len() + answers.refused;
        let mut published = 0;
        while count(&answers) < count(expected) || published < answers.data.len() {
            let (opcode, payload) = self.next();
            if opcode == PONG {
                answers.pongs.push(payload);
                continue;
            }
            assert_eq!(opcode, TEXT);
            let mut json: Value = serde_json::from_slice(&payload).unwrap();
            match (json["data"].take(), json.get("refused")) {
                (Value::String(data), _) => answers.data.push(data),
                (_, Some(status)) if *status == 400 => answers.refused += 1,
                _ => published += usize::from(json["published"].is_string()),
            }
        }
        answers
    }
}

impl Case {
    fn run(&self, server: &Server) {
        let bytes: Vec<u8> = self.frames.iter().flat_map(ClientFrame::bytes).collect();
        let chop = self.chop.min(bytes.len());
        self.attempt(server, &bytes.chunks(chop).collect::<Vec<_>>());
        if bytes.len() <= BYTEWISE_MAX {
            self.attempt(server, &bytes.chunks(1).collect::<Vec<_>>());
        }
        if bytes.len() <= CUT_MAX {
            for at in 1..bytes.len() {
                self.attempt(server, &<[&[u8]; 2]>::from(bytes.split_at(at)));
            }
        }
    }

    fn attempt(&self, server: &Server, pieces: &[&[u8]]) {
        let mut socket = Socket::open(server);
        for (n, piece) in pieces.iter().enumerate() {
            if n > 0 && pieces.len() == 2 {
                thread::sleep(Duration::from_micros(100)); // so that it is read by itself
            }
            if socket.0.write_all(piece).is_err() {
                break; // the hub has failed the connection already
            }
        }
        let got = match &self.outcome {
            Outcome::Stays(expected) => {
                let answers = socket.take_like(expected);
                socket.0.write_all(&close(1000, "").bytes()).unwrap();
                assert_eq!(socket.expect_close(), Some(1000), "case {}", self.id);
                Outcome::Stays(answers)
            }
            Outcome::Fails(_) => Outcome::Fails(socket.expect_close().unwrap()),
            Outcome::Closes(_) => Outcome::Closes(socket.expect_close()),
        };
        let pieces = pieces.len();
        assert!(got == self.outcome, "case {} in {pieces} pieces", self.id);
    }
}

#[track_caller]
fn run(cases: Cases) {
    let server = start();
    for case in &cases.0 {
        case.run(&server);
    }
}

#[test]
fn every_case_of_the_suite_is_there_once() {
    let sections = [
        (1, 16, framing()),
        (2, 11, pings()),
        (3, 7, reserved_bits()),
        (4, 10, opcodes()),
        (5, 20, fragmentation()),
        (6, 145, utf8()),
        (7, 37, closing()),
        (9, 54, limits()),
        (10, 1, autofragmentation()),
    ];
    for (section, count, cases) in sections {
        let ids: BTreeSet<_> = cases.0.iter().map(|case| &*case.id).collect();
        assert_eq!(
            (ids.len(), cases.0.len()),
            (count, count),
            "section {section}"
        );
        let begin = format!("{section}.");
        assert!(ids.iter().all(|id| id.starts_with(&begin)), "{ids:?}");
    }
}

#[test]
fn autobahn_1_messages_of_every_length_form_come_back() {
    run(framing());
}

#[test]
fn autobahn_2_pings_are_answered_and_pongs_are_not() {
    run(pings());
}

#[test]
fn autobahn_3_reserved_bits_fail_the_connection() {
    run(reserved_bits());
}

#[test]
fn autobahn_4_reserved_opcodes_fail_the_connection() {
    run(opcodes());
}

#[test]
fn autobahn_5_fragments_are_joined_or_refused() {
    run(fragmentation());
}

#[test]
fn autobahn_6_text_is_utf8() {
    run(utf8());
}

#[test]
fn autobahn_7_close_frames_are_answered() {
    run(closing());
}

#[test]
fn autobahn_9_large_and_many_messages_come_back() {
    run(limits());
}

#[test]
fn autobahn_10_a_message_in_fragments_of_1300_bytes_comes_back() {
    run(autofragmentation());
}

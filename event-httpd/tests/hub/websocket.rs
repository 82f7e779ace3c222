//! WebSocket: updates as JSON, publishing, pings and close codes.

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use test_support::websocket::{BINARY, CLOSE, PING, PONG, TEXT, frame};

use super::support::{
    KEY, PATH, Publisher, Subscriber, ask, bearer, full_token, get, hub, now, open_hub, signed,
    token,
};
use super::support_broadcast::counter;
use super::support_http::{Client, Server, until};

pub(super) const OPENING: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

pub(super) struct Socket(Client);

impl Socket {
    #[track_caller]
    pub(super) fn open(server: &Server, query: &str, lines: &str) -> Self {
        let mut client = server.connect();
        client.send(get(
            &format!("{PATH}?{query}"),
            &format!("{OPENING}{lines}"),
        ));
        let head = client.answer_to_head();
        assert_eq!(head.status, 101, "{head:?}");
        let accept = head.field("Sec-WebSocket-Accept");
        assert_eq!(accept, Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        assert_eq!(head.field("Upgrade"), Some("websocket"));
        assert_eq!(head.field("Connection"), Some("Upgrade"));
        Self(client)
    }

    pub(super) fn send(&mut self, opcode: u8, payload: &[u8]) {
        self.0.send(frame(opcode, payload).bytes());
    }

    /// The next frame, which is whole and not masked.
    #[track_caller]
    pub(super) fn frame(&mut self) -> (u8, Vec<u8>) {
        let head = self.0.take_exactly(2);
        assert_eq!(head[0] & 0xf0, 0x80, "one whole frame");
        let length = match head[1] {
            126 => {
                let bytes = self.0.take_exactly(2);
                usize::from(u16::from_be_bytes(bytes.try_into().unwrap()))
            }
            length @ 0..126 => usize::from(length),
            _ => panic!("a frame longer than this test expects"),
        };
        (head[0] & 0x0f, self.0.take_exactly(length))
    }

    #[track_caller]
    pub(super) fn expect_json(&mut self, expected: &Value) {
        let (opcode, payload) = self.frame();
        let got: Value = serde_json::from_slice(&payload).unwrap();
        assert_eq!((opcode, &got), (TEXT, expected));
    }

    /// Takes a close frame with that code.
    #[track_caller]
    pub(super) fn expect_close(&mut self, code: u16) {
        let (opcode, payload) = self.frame();
        assert_eq!((opcode, &payload[..2]), (CLOSE, &code.to_be_bytes()[..]));
    }
}

#[test]
fn a_websocket_receives_updates_and_publishes_with_its_token() {
    let server = open_hub(&[]);
    let mut stream = Subscriber::to(&server, "topic=a");
    let mut socket = Socket::open(&server, "topic=a", &bearer(&full_token()));
    let mut anonymous = Socket::open(&server, "topic=a", "");
    let mut publisher = Publisher::connect(&server);
    publisher.publish(&[
        ("topic", "a"),
        ("id", "1"),
        ("data", "by POST"),
        ("private", ""),
    ]);
    socket.expect_json(&json!({"id": "1", "topics": ["a"], "data": "by POST", "private": true}));
    socket.send(
        TEXT,
        br#"{"topics": ["a"], "data": "by message", "id": "2", "type": "t"}"#,
    );
    let update = json!({"id": "2", "topics": ["a"], "data": "by message", "type": "t"});
    socket.expect_json(&update);
    socket.expect_json(&json!({ "published": "2" }));
    anonymous.expect_json(&update);
    stream.expect("id: 2\nevent: t\ndata: by message\n\n");
}

#[test]
fn a_message_that_may_not_be_published_is_refused_and_the_socket_stays() {
    let server = open_hub(&["--max-queue", "16KiB"]);
    let mut stream = Subscriber::to(&server, "topic=a&topic=b");
    let mut anonymous = Socket::open(&server, "topic=a", "");
    let mut other = Socket::open(&server, "topic=a", &bearer(&token(&["b"], &[])));
    let refused = |socket: &mut Socket, text: &str, status: u16| {
        socket.send(TEXT, text.as_bytes());
        let (opcode, payload) = socket.frame();
        let got: Value = serde_json::from_slice(&payload).unwrap();
        assert_eq!((opcode, &got["refused"]), (TEXT, &json!(status)), "{got}");
        assert!(got["reason"].as_str().unwrap().len() > 10, "{got}");
    };
    let message = r#"{"topics": ["a"], "data": "x"}"#;
    refused(&mut anonymous, message, 403);
    refused(&mut other, message, 403);
    refused(&mut other, "no JSON", 400);
    refused(&mut other, r#"{"topics": []}"#, 400);
    let long = format!(r#"{{"topics": ["b"], "data": "{}"}}"#, "\\n".repeat(3000));
    refused(&mut other, &long, 413);
    other.send(TEXT, br#"{"topics": ["b"], "data": "x", "id": "1"}"#);
    other.expect_json(&json!({ "published": "1" }));
    stream.expect_update("1", "x");
    stream.expect_silence();
    server.process().signal(Signal::SIGUSR1);
    let counters = server.line("counters");
    assert_eq!(counter(&counters, "refusals"), 5, "{counters}");
}

#[test]
fn messages_that_arrive_with_the_request_that_opens_a_websocket_are_taken_behind_it() {
    // The answer comes at once, when the store has told the history, and from the master.
    for (query, options) in [
        ("topic=a", &[][..]),
        ("topic=a&lastEventID=earliest", &[]),
        ("topic=a&lastEventID=earliest", &["--workers", "2"]),
    ] {
        let server = open_hub(options);
        Publisher::connect(&server).publish(&[("topic", "a"), ("id", "1"), ("data", "1")]);
        let request = get(
            &format!("{PATH}?{query}"),
            &format!("{OPENING}{}", bearer(&full_token())),
        );
        let message = frame(TEXT, br#"{"topics": ["a"], "data": "2", "id": "2"}"#).bytes();
        let (begin, rest) = message.split_at(9);
        let mut client = server.connect();
        client.send([request.as_bytes(), begin].concat());
        let head = client.answer_to_head();
        assert_eq!(head.status, 101, "{head:?}");
        let mut socket = Socket(client);
        if query.contains("earliest") {
            socket.expect_json(&json!({"id": "1", "topics": ["a"], "data": "1"}));
        }
        socket
            .0
            .send([rest, &frame(PING, b"behind").bytes()].concat());
        let mut got: Vec<_> = (0..3).map(|_| socket.frame()).collect();
        let pong = got.iter().position(|(opcode, _)| *opcode == PONG).unwrap();
        assert_eq!(got.remove(pong).1, b"behind");
        let texts = got
            .iter()
            .map(|(_, payload)| serde_json::from_slice(payload).unwrap());
        let expected = [
            json!({"id": "2", "topics": ["a"], "data": "2"}),
            json!({ "published": "2" }),
        ];
        assert_eq!(
            texts.collect::<Vec<Value>>(),
            expected,
            "{query} {options:?}"
        );
    }
}

#[test]
fn a_websocket_gets_the_history_that_it_asks_for() {
    let server = open_hub(&["--workers", "2"]);
    let mut publisher = Publisher::connect(&server);
    for id in ["1", "2", "3"] {
        publisher.publish(&[("topic", "a"), ("id", id), ("data", id)]);
    }
    let mut socket = Socket::open(&server, "topic=a&lastEventID=1", "");
    for id in ["2", "3"] {
        socket.expect_json(&json!({"id": id, "topics": ["a"], "data": id}));
    }
    publisher.publish(&[("topic", "a"), ("id", "4"), ("data", "4")]);
    socket.expect_json(&json!({"id": "4", "topics": ["a"], "data": "4"}));
}

#[test]
fn pings_go_both_ways_and_a_peer_that_answers_none_is_cut_off() {
    let server = open_hub(&["--heartbeat", "200ms"]);
    let mut socket = Socket::open(&server, "topic=a", "");
    for _ in 0..5 {
        assert_eq!(socket.frame().0, PING);
        socket.send(PONG, b"");
    }
    socket.send(PING, b"hello");
    assert_eq!(socket.frame(), (PONG, b"hello".to_vec()));
    for _ in 0..2 {
        assert_eq!(socket.frame().0, PING);
    }
    socket.expect_close(1001);
    socket.0.expect_close();
}

#[test]
fn sockets_with_unfinished_messages_are_limited_together_and_the_longest_go_first() {
    let server = open_hub(&["--max-queue-total", "8MiB"]);
    let begin = |length: u64| {
        let mut socket = Socket::open(&server, "topic=a", "");
        let mut fragment = vec![TEXT, 0xff];
        fragment.extend(length.to_be_bytes());
        fragment.resize(fragment.len() + 4 + length as usize, 0); // not masked by a mask of zeros
        socket.0.send(fragment);
        socket
    };
    let mut short = begin(1000);
    let long: Vec<_> = (0..20).map(|_| begin(512 << 10)).collect();
    let line = server.line("cut off");
    assert!(line.contains("--max-queue-total"), "{line}");
    assert!(counter(&line, "waiting") >= 512 << 10, "{line}");
    short.send(PING, b"there");
    assert_eq!(short.frame(), (PONG, b"there".to_vec()));
    drop(long);
    until("nothing waits any more", || {
        server.process().signal(Signal::SIGUSR1);
        let log = server.log();
        let line = log.iter().rfind(|line| line.contains("counters"))?;
        (counter(line, "queue_bytes") < 64 << 10).then_some(())
    });
}

#[test]
fn a_broken_protocol_ends_the_socket_with_the_code_that_says_why() {
    let server = open_hub(&["--max-body-size", "1KiB"]);
    let open = || Socket::open(&server, "topic=a", "");
    let mut unmasked = open();
    unmasked.0.send([0x81, 2, b'h', b'i']);
    unmasked.expect_close(1002);
    let mut reserved = open();
    reserved.send(0x40 | TEXT, b"x");
    reserved.expect_close(1002);
    let mut binary = open();
    binary.send(BINARY, b"x");
    binary.expect_close(1003);
    let mut invalid = open();
    invalid.send(TEXT, b"\xff");
    invalid.expect_close(1007);
    let mut long = open();
    long.send(TEXT, &[b'x'; 2000]);
    long.expect_close(1009);
    let mut good = open();
    good.send(CLOSE, &1000_u16.to_be_bytes());
    good.expect_close(1000);
    good.0.expect_close();
}

#[test]
fn an_expired_token_and_a_stopping_hub_end_the_socket_with_a_code() {
    let server = hub(&[]);
    let claims = json!({ "mercure": { "subscribe": ["*"] }, "exp": now() + 2 });
    let mut expiring = Socket::open(&server, "topic=a", &bearer(&signed(&claims, KEY)));
    let mut lasting = Socket::open(&server, "topic=a", &bearer(&full_token()));
    expiring.expect_close(1008);
    server.process().signal(Signal::SIGTERM);
    lasting.expect_close(1001);
    drop((expiring, lasting));
    assert!(server.end().0.success());
}

#[test]
fn a_request_that_opens_no_websocket_is_refused_with_the_reason() {
    let server = open_hub(&[]);
    let target = format!("{PATH}?topic=a");
    let request = |from: &str, to: &str| get(&target, &OPENING.replace(from, to));
    let answer = ask(&server, &request("Version: 13", "Version: 12"));
    assert_eq!(answer.status, 426, "{answer:?}");
    assert_eq!(answer.field("Sec-WebSocket-Version"), Some("13"));
    for (from, to) in [
        ("dGhlIHNhbXBsZSBub25jZQ==", "short"),
        ("Connection: Upgrade", "Connection: keep-alive"),
    ] {
        assert_eq!(ask(&server, &request(from, to)).status, 400);
    }
    let cookie = format!("Cookie: mercureAuthorization={}\r\n", full_token());
    let foreign = format!("{OPENING}{cookie}Origin: https://evil.example\r\n");
    assert_eq!(ask(&server, &get(&target, &foreign)).status, 403);
    let own = format!("{cookie}Origin: http://localhost\r\n");
    drop(Socket::open(&server, "topic=a", &own));
}

#[test]
fn an_upgrade_over_http_1_0_is_ignored() {
    let server = open_hub(&[]);
    let mut client = server.connect();
    let request = get(&format!("{PATH}?topic=a"), OPENING);
    client.send(request.replace("HTTP/1.1", "HTTP/1.0"));
    let head = client.answer_to_head();
    assert_eq!(head.status, 200, "{head:?}");
    assert_eq!(head.field("Content-Type"), Some("text/event-stream"));
    Publisher::connect(&server).publish(&[("topic", "a"), ("id", "1"), ("data", "x")]);
    assert_eq!(client.take_exactly(15), b"id: 1\ndata: x\n\n");
}

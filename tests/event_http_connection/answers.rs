//! Answers that RFC 9110 and RFC 9112 allow, or forbid, and that a client must tell apart:
//! interim ones, early ones, those of servers that end the connection in odd ways.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use php_event::{EventBase, EventHttpRequest, HttpError};
use test_support::{run, time_factor};

use super::OVER;
use super::over::{answered_with, connect, exchange, serve};
use crate::server::{Peer, cue};
use crate::transport::Transport;
use crate::{GET, Log, OUT, POST, Told, noting, request, until_stopped};

fn ok(body: &str) -> (Told, Option<HttpError>) {
    (Told::Answer(200, body.to_owned()), None)
}

/// A POST whose body is more than all buffers on the way can hold.
fn upload(base: &EventBase) -> (EventHttpRequest, std::rc::Rc<std::cell::RefCell<Vec<Told>>>) {
    let (request, told) = request(base);
    let body = vec![b'x'; 30 << 20];
    request.get_output_buffer().add(body).unwrap();
    (request, told)
}

#[test]
fn fields_of_interim_answers_do_not_count_for_the_final_one() {
    let base = EventBase::new().unwrap();
    let server = super::over::answering(
        "HTTP/1.1 100 Continue\r\nContent-Length: 5\r\nSet-Cookie: a=b\r\n\r\n\
         HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\nLink: </a>\r\n\r\n\
         HTTP/1.1 200 OK\r\nX-Own: 1\r\n\r\nhello and more",
    );
    let connection = connect(&base, server.port());
    let (request, told) = request(&base);
    connection.make_request(&request, GET, "/").unwrap();
    until_stopped(&base);
    assert_eq!(told.take(), [ok("hello and more").0]);
    let own = [("X-Own".to_owned(), "1".to_owned())];
    assert_eq!(request.get_input_headers().unwrap(), own);
}

#[test]
fn interim_answer_and_final_answer_that_come_with_the_end_are_read() {
    let bytes = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
    assert_eq!(answered_with(bytes), ok("hi"));
}

/// With libevent 6 MB of these became 123 MB, in ever longer turns of the loop.
#[test]
fn endless_interim_answers_fail_the_request_early() {
    for interim in [
        format!("HTTP/1.1 100 Continue\r\n{}\r\n", "a: b\r\n".repeat(5000)),
        format!("HTTP/1.1 102 Wait\r\n{}\r\n", "a: b\r\n".repeat(99)),
        "HTTP/1.1 102 Wait\r\n\r\n".to_owned(),
    ] {
        let (sent, all_sent) = mpsc::channel();
        let server = serve(move |listener| {
            let mut peer = Peer::accept(&listener);
            peer.read_request();
            let mut count = 0;
            while peer.try_write(&interim) {
                count += interim.len();
            }
            sent.send(count).unwrap();
        });
        let base = EventBase::new().unwrap();
        let connection = connect(&base, server.port());
        let (request, told) = request(&base);
        connection.make_request(&request, GET, "/").unwrap();
        until_stopped(&base);
        assert_eq!(told.take(), [Told::Null]);
        let error = request.error();
        assert!(
            matches!(error, Some(HttpError::InvalidHeader(_))),
            "{error:?}"
        );
        assert_eq!(request.get_input_headers().unwrap(), []);
        run(&base); // closes the connection
        server.done();
        // What the system's buffers hold, at most.
        assert!(all_sent.recv().unwrap() < 16 << 20);
    }
}

#[test]
fn trailer_fields_are_not_among_the_headers() {
    let base = EventBase::new().unwrap();
    let server = super::over::answering(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
         2\r\nhi\r\n0\r\nSet-Cookie: evil=1\r\nContent-Length: 9\r\nX-Sum: 99\r\n\r\n",
    );
    let connection = connect(&base, server.port());
    let (request, told) = request(&base);
    connection.make_request(&request, GET, "/").unwrap();
    until_stopped(&base);
    assert_eq!(told.take(), [ok("hi").0]);
    let own = [("Transfer-Encoding".to_owned(), "chunked".to_owned())];
    assert_eq!(request.get_input_headers().unwrap(), own);
}

/// RFC 9110 §10.1.1: a client does not wait for ever.
#[test]
fn body_is_sent_after_a_while_though_the_server_does_not_ask_for_it() {
    let base = EventBase::new().unwrap();
    let server = serve(|listener| {
        let mut peer = Peer::accept(&listener);
        peer.read_request();
        assert_eq!(peer.read_exactly(5), b"five.");
        peer.reply("got 5");
        peer.end();
    });
    let connection = connect(&base, server.port());
    let (request, told) = request(&base);
    request.add_header("Expect", "100-continue", OUT).unwrap();
    request.get_output_buffer().add("five.").unwrap();
    let start = Instant::now();
    connection.make_request(&request, POST, "/").unwrap();
    until_stopped(&base);
    assert_eq!(told.take(), [ok("got 5").0]);
    let waited = start.elapsed();
    assert!((Duration::from_millis(900)..Duration::from_secs(20)).contains(&waited));
    drop(connection);
    server.done();
}

#[test]
fn answer_that_comes_while_the_body_is_being_sent_is_read_and_ends_the_connection() {
    for keeps in [true, false] {
        let base = EventBase::new().unwrap();
        let (is_told, told_it) = cue();
        let server = serve(move |listener| {
            let mut peer = Peer::accept(&listener);
            peer.read_head();
            let connection = if keeps { "" } else { "Connection: close\r\n" };
            let head = "HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\n";
            peer.write(format!("{head}{connection}\r\nlarge"));
            told_it.recv().unwrap(); // a client whose bytes are all taken may keep the connection
            peer.await_close();
            let mut peer = Peer::accept(&listener);
            assert!(peer.read_request().starts_with("GET /next "));
            peer.reply("next");
            peer.end();
        });
        let connection = connect(&base, server.port());
        let (large, told) = upload(&base);
        connection.make_request(&large, POST, "/").unwrap();
        let (next, last) = request(&base);
        connection.make_request(&next, GET, "/next").unwrap();
        until_stopped(&base);
        assert_eq!(told.take(), [Told::Answer(413, "large".to_owned())]);
        is_told.send(()).unwrap();
        until_stopped(&base);
        assert_eq!(last.take(), [ok("next").0]);
        drop(connection);
        server.done();
    }
}

/// The server closes with unread bytes, which resets the connection: what it has sent before
/// was received.
#[test]
fn answer_that_comes_before_a_reset_is_read() {
    for _ in 0..20 {
        let base = EventBase::new().unwrap();
        let server = serve(|listener| {
            let mut peer = Peer::accept(&listener);
            peer.read_head();
            peer.write("HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\n\r\nlarge");
        });
        let connection = connect(&base, server.port());
        let (request, told) = upload(&base);
        connection.make_request(&request, POST, "/").unwrap();
        until_stopped(&base);
        let answer = Told::Answer(413, "large".to_owned());
        assert_eq!((told.take(), request.error()), (vec![answer], None));
        server.done();
    }
}

#[test]
fn reset_connection_gives_null_and_the_reason() {
    let base = EventBase::new().unwrap();
    let server = serve(|listener| {
        let mut peer = Peer::accept(&listener);
        peer.read_head();
        peer.reset();
    });
    let connection = connect(&base, server.port());
    let (request, told) = request(&base);
    connection.make_request(&request, GET, "/").unwrap();
    until_stopped(&base);
    assert_eq!(told.take(), [Told::Null]);
    let reset = HttpError::Broken(std::io::ErrorKind::ConnectionReset);
    assert_eq!(request.error(), Some(reset));
}

/// Reading and writing both count: a body that takes longer than the time for silence goes out.
#[test]
fn slow_upload_is_not_taken_for_silence() {
    let base = EventBase::new().unwrap();
    let server = serve(|listener| {
        let mut peer = Peer::accept(&listener);
        let head = peer.read_head();
        let mut left: usize = 30 << 20;
        assert!(head.contains(&format!("\r\nContent-Length: {left}\r\n")));
        while left > 0 {
            let piece = left.min(3 << 20);
            peer.read_exactly(piece);
            left -= piece;
            std::thread::sleep(time_factor() * Duration::from_millis(100));
        }
        peer.reply("all");
        peer.end();
    });
    let connection = connect(&base, server.port());
    connection
        .set_timeout(Some(time_factor() * Duration::from_millis(700)))
        .unwrap();
    let (request, told) = upload(&base);
    connection.make_request(&request, POST, "/").unwrap();
    until_stopped(&base);
    assert_eq!((told.take(), request.error()), (vec![ok("all").0], None));
    drop(connection);
    server.done();
}

#[test]
fn answer_a_byte_at_a_time_is_read() {
    let base = EventBase::new().unwrap();
    let server = serve(|listener| {
        let mut peer = Peer::accept(&listener);
        peer.read_request();
        let chunked = "HTTP/1.1 103 Hints\r\nA: b\r\n\r\n\
            HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x\r\nhi\r\n0\r\nA: b\r\n\r\n";
        for byte in chunked.bytes() {
            peer.write([byte]);
            std::thread::sleep(Duration::from_micros(200));
        }
        peer.read_request();
        peer.reply("kept");
        peer.end();
    });
    let connection = connect(&base, server.port());
    let log = Log::default();
    connection
        .make_request(&noting(&log, "first"), GET, "/")
        .unwrap();
    let (second, told) = request(&base);
    connection.make_request(&second, GET, "/").unwrap();
    until_stopped(&base);
    assert_eq!(log.take(), ["first 200"]);
    assert_eq!(told.take(), [ok("kept").0]);
    drop(connection);
    server.done();
}

#[test]
fn body_that_ends_with_the_connection_is_cut_over_tls_without_a_close_notify() {
    let base = EventBase::new().unwrap();
    let server = serve(|listener| {
        let mut peer = Peer::accept(&listener);
        peer.read_request();
        peer.write("HTTP/1.1 200 OK\r\n\r\nwhole?");
    });
    let connection = connect(&base, server.port());
    let (request, told) = request(&base);
    connection.make_request(&request, GET, "/").unwrap();
    until_stopped(&base);
    if OVER == Transport::Tcp {
        assert_eq!((told.take(), request.error()), (vec![ok("whole?").0], None));
    } else {
        assert_eq!(told.take(), [Told::Null]);
        let error = request.error();
        assert!(matches!(error, Some(HttpError::Tls(_))), "{error:?}");
    }
    server.done();
}

/// The upgrade that was asked for is the answer; what follows it is not HTTP.
#[test]
fn switched_protocol_is_an_answer_only_if_the_request_asked_for_it() {
    let switch = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\n\r\n\u{1}\u{2}hi";
    let (told, error) = answered_with(switch);
    assert!(
        matches!(error, Some(HttpError::InvalidHeader(_))),
        "{error:?}"
    );
    assert_eq!(told, Told::Null);
    let base = EventBase::new().unwrap();
    let server = super::over::answering(switch);
    let connection = connect(&base, server.port());
    let (request, told) = request(&base);
    request.add_header("Upgrade", "websocket", OUT).unwrap();
    request.add_header("Connection", "Upgrade", OUT).unwrap();
    connection.make_request(&request, GET, "/").unwrap();
    until_stopped(&base);
    assert_eq!(told.take(), [Told::Answer(101, String::new())]);
}

/// As servers in bug reports answer.
#[test]
fn odd_answers_are_read_or_refused_as_the_grammar_says() {
    let answer = |code, body: &str| (Told::Answer(code, body.to_owned()), None);
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (bytes, expected) in [
        (
            "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
            answer(204, ""),
        ),
        (
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n",
            answer(304, ""),
        ),
        ("HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", ok("ok")),
        ("HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok", ok("ok")),
        (
            "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nok",
            ok("ok"),
        ),
        (
            "HTTP/1.1 999 Request denied\r\nContent-Length: 2\r\n\r\nok",
            answer(999, "ok"),
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok\r\n",
            ok("ok"),
        ),
        (
            "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\nok",
            ok("ok"),
        ),
        (&format!("{chunked}2;x=y\r\nok\r\n0\r\n\r\n"), ok("ok")),
        (&format!("{chunked}2\r\nok\r\n0;a=\"b\"\r\n\r\n"), ok("ok")),
        (
            &format!("{chunked}00000002\r\nok\r\n0000\r\n\r\n"),
            ok("ok"),
        ),
    ] {
        assert_eq!(answered_with(bytes), expected, "{bytes}");
    }
    for bytes in [
        "http/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
        "ICY 200 OK\r\n\r\nok",
        "HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
        "HTTP/1.1 200 OK\r\nX-Long: a\r\n  b\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nX-A : 1\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\n: 1\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 2\r\n\r\nok",
        "\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ] {
        let (told, error) = answered_with(bytes);
        let is_invalid = matches!(error, Some(HttpError::InvalidHeader(_)));
        assert!(told == Told::Null && is_invalid, "{bytes}: {error:?}");
    }
    let head = EventHttpRequest::CMD_HEAD;
    for fields in ["Transfer-Encoding: chunked", "Content-Length: 9"] {
        let bytes = format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n");
        assert_eq!(exchange(head, bytes), ok(""), "{fields}");
    }
}

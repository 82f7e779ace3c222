//! What the completion callback is told of each way for an answer to come or not to come.

use std::io::ErrorKind;
use std::time::Duration;

use php_event::{EventBase, EventHttpRequest, HttpError};

use super::over::{answered_with, answering, connect, connect_to, exchange, serve};
use crate::server::{Peer, refusing};
use crate::{GET, Log, Told, noting, request, until_stopped};
use test_support::{limited, time_factor};

const TOO_LONG: (Told, Option<HttpError>) = (Told::Null, Some(HttpError::TooLong));
const EOF: (Told, Option<HttpError>) = (Told::Null, Some(HttpError::Eof));

/// The head is refused, for some reason.
#[track_caller]
fn assert_invalid_head((told, error): (Told, Option<HttpError>), what: &str) {
    let is_invalid = matches!(error, Some(HttpError::InvalidHeader(_)));
    assert!(told == Told::Null && is_invalid, "{what}: {error:?}");
}

fn ok(body: &str) -> (Told, Option<HttpError>) {
    (Told::Answer(200, body.to_owned()), None)
}

#[test]
fn body_ends_by_its_length_its_chunks_or_the_connection() {
    let head = "HTTP/1.1 200 OK\r\n";
    for rest in [
        "Content-Length: 3\r\n\r\nabc",
        "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n",
        "Transfer-Encoding: Chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nX-Trailer: 1\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n3 ;x\r\nabc\r\n0 ; y = \"z\"\r\n\r\n",
        "\r\nabc",
        "Connection: close\r\n\r\nabc",
    ] {
        assert_eq!(answered_with(format!("{head}{rest}")), ok("abc"), "{rest}");
    }
}

/// libevent takes such a body for empty: RFC 9112 §6.3 has it end with the connection.
#[test]
fn body_without_a_length_is_read_whatever_the_connection_header_says() {
    for connection in ["keep-alive", "Upgrade", "close, x"] {
        let base = EventBase::new().unwrap();
        let server = answering(format!(
            "HTTP/1.1 200 OK\r\nConnection: {connection}\r\nX: y\r\n\r\nabc"
        ));
        let conn = connect(&base, server.port());
        let (request, told) = request(&base);
        conn.make_request(&request, GET, "/").unwrap();
        until_stopped(&base);
        assert_eq!(told.take(), [ok("abc").0]);
        let side = EventHttpRequest::INPUT_HEADER;
        let header = request.find_header("Connection", side).unwrap();
        assert_eq!(header.as_deref(), Some(connection)); // as it came
        assert_eq!(request.get_input_headers().unwrap().len(), 2);
    }
}

#[test]
fn answers_without_a_body_have_none() {
    let head = EventHttpRequest::CMD_HEAD;
    let length = "Content-Length: 3\r\n\r\n";
    let answer = exchange(head, format!("HTTP/1.1 200 OK\r\n{length}"));
    assert_eq!(answer, ok(""));
    for code in [204, 304] {
        let answer = answered_with(format!("HTTP/1.1 {code} X\r\n\r\n"));
        assert_eq!(answer, (Told::Answer(code, String::new()), None));
    }
}

#[test]
fn bytes_after_the_length_are_not_part_of_the_body() {
    let answer = answered_with("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef");
    assert_eq!(answer, ok("abc"));
}

/// With libevent alone they are the start of the next answer.
#[test]
fn bytes_after_an_answer_are_not_the_next_one() {
    let base = EventBase::new().unwrap();
    let smuggled = "HTTP/1.1 500 Smuggled\r\nContent-Length: 0\r\n\r\n";
    let server = serve(move |listener| {
        let mut peer = Peer::accept(&listener);
        peer.read_request();
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na";
        peer.write(format!("{head}{smuggled}"));
        assert!(peer.await_close());
        let mut peer = Peer::accept(&listener);
        peer.read_request();
        peer.reply("b");
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
    assert_eq!(told.take(), [ok("b").0]);
    drop(connection);
    server.done();
}

/// libevent takes each answer below 200 but 100 for the last one.
#[test]
fn interim_answers_are_skipped_and_the_connection_stays() {
    let base = EventBase::new().unwrap();
    let server = serve(|listener| {
        let mut peer = Peer::accept(&listener);
        peer.read_request();
        peer.write("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n");
        peer.write("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Wait\r\n\r\n");
        peer.reply("a");
        peer.read_request();
        peer.reply("b");
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
    assert_eq!(told.take(), [ok("b").0]);
    drop(connection);
    server.done();
}

#[test]
fn unasked_continue_is_skipped() {
    let base = EventBase::new().unwrap();
    let server = serve(|listener| {
        let mut peer = Peer::accept(&listener);
        peer.read_request();
        let last = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
        peer.write(format!("HTTP/1.1 100 Continue\r\n\r\n{last}"));
        assert!(peer.await_close());
    });
    let connection = connect(&base, server.port());
    let (request, told) = request(&base);
    connection.make_request(&request, GET, "/").unwrap();
    until_stopped(&base);
    assert_eq!(told.take(), [ok("abc").0]);
    drop(connection);
    server.done();
}

#[test]
fn early_close_gives_null() {
    for bytes in [
        "",
        "HTTP/1.1 200",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n",
    ] {
        assert_eq!(answered_with(bytes), EOF, "{bytes}");
    }
}

#[test]
fn unparsable_answer_gives_null() {
    for bytes in [
        "hello\r\n\r\n",
        "FTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1\r\n\r\n",
        "HTTP/1.1 abc OK\r\n\r\n",
        "HTTP/1.1 0 OK\r\n\r\n",
        "HTTP/1.1 -200 OK\r\n\r\n",
        "HTTP/1.1 99 OK\r\n\r\n",
        "HTTP/1.1 1000 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\n folded: first\r\n\r\n",
    ] {
        assert_invalid_head(answered_with(bytes), bytes);
    }
}

/// libevent takes the first length, signs in it, and an unknown coding for none.
#[test]
fn answer_of_uncertain_length_gives_null() {
    for headers in [
        "Content-Length: 3\r\nContent-Length: 3",
        "Content-Length: 3\r\nContent-Length: 2",
        "Content-Length: +3",
        "Content-Length: -3",
        "Content-Length: 3, 3",
        "Content-Length: 0x3",
        "Content-Length:",
        "Content-Length: 3\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    ] {
        let bytes = format!("HTTP/1.1 200 OK\r\n{headers}\r\n\r\nabc");
        assert_invalid_head(answered_with(bytes), headers);
    }
    let bytes = "HTTP/1.1 200 OK\r\nContent-Length: 9999999999999999999999\r\n\r\nabc";
    assert_eq!(answered_with(bytes), TOO_LONG);
}

/// libevent takes signs, `0x`, and anything after a blank or a NUL.
#[test]
fn malformed_chunks_give_null() {
    for chunk in [
        "x\r\n",
        "-1\r\n",
        "+2\r\nok\r\n0\r\n\r\n",
        "0x2\r\nok\r\n0\r\n\r\n",
        "2 garbage\r\nok\r\n0\r\n\r\n",
        "2\0\r\nok\r\n0\r\n\r\n",
        "2;=x\r\nok\r\n0\r\n\r\n",
        "ffffffffffffffffff\r\n",
    ] {
        let bytes = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}");
        let (told, error) = answered_with(bytes);
        let is_malformed = matches!(error, Some(HttpError::InvalidBody(_)));
        assert!(told == Told::Null && is_malformed, "{chunk}: {error:?}");
    }
}

/// One request with limits; `bytes` come as the answer.
fn limited_to(
    headers: Option<usize>,
    body: Option<usize>,
    bytes: impl AsRef<[u8]>,
) -> (Told, Option<HttpError>) {
    let base = EventBase::new().unwrap();
    let server = answering(bytes);
    let connection = connect(&base, server.port());
    connection.set_max_headers_size(headers).unwrap();
    connection.set_max_body_size(body).unwrap();
    let (request, told) = request(&base);
    connection.make_request(&request, GET, "/").unwrap();
    until_stopped(&base);
    (told.take().remove(0), request.error())
}

#[test]
fn limits_hold_to_the_byte() {
    let with_length = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
    let chunked =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n";
    let until_close = "HTTP/1.1 200 OK\r\n\r\nabc";
    for bytes in [with_length, chunked, until_close] {
        assert_eq!(limited_to(None, Some(3), bytes), ok("abc"), "{bytes}");
        assert_eq!(limited_to(None, Some(2), bytes), TOO_LONG, "{bytes}");
    }
    assert_eq!(
        limited_to(None, Some(0), "HTTP/1.1 204 None\r\n\r\n").1,
        None
    );
    let head = with_length.len() - "abc".len(); // with its line ends
    assert_eq!(limited_to(Some(head), None, with_length), ok("abc"));
    let longer = limited_to(Some(head - 1), None, with_length);
    assert_invalid_head(longer, "one byte more");
}

#[test]
fn limits_are_there_from_the_start() {
    let head = format!("HTTP/1.1 200 OK\r\nX: {}\r\n", "x".repeat(65_536));
    assert_invalid_head(answered_with(format!("{head}\r\n")), "a long head");
    let length = 64 * 1024 * 1024 + 1;
    let bytes = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
    assert_eq!(answered_with(bytes), TOO_LONG);
}

/// libevent collects such a line for ever.
#[test]
fn endless_size_of_a_chunk_gives_null() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let bytes = format!("{head}{}", "0".repeat(200_000));
    let (told, error) = limited_to(Some(1000), Some(1000), bytes);
    let is_malformed = matches!(error, Some(HttpError::InvalidBody(_)));
    assert!(told == Told::Null && is_malformed, "{error:?}");
}

#[test]
fn refused_connection_gives_an_object_without_a_code_from_the_loop() {
    let base = EventBase::new().unwrap();
    let (_socket, port) = refusing();
    let connection = connect(&base, port);
    let log = Log::default();
    let (last, told) = request(&base);
    connection
        .make_request(&noting(&log, "first"), GET, "/")
        .unwrap();
    connection.make_request(&last, GET, "/").unwrap();
    assert_eq!((log.take(), told.take()), (vec![], vec![])); // not before the loop
    until_stopped(&base);
    assert_eq!(log.take(), ["first 0"]);
    assert_eq!(told.take(), [Told::Answer(0, String::new())]);
    assert_eq!(
        last.error(),
        Some(HttpError::NotConnected(ErrorKind::ConnectionRefused))
    );
}

/// As libevent does; the others do not wait for retries of their own.
#[test]
fn last_retry_fails_all_that_wait() {
    let base = EventBase::new().unwrap();
    let (_socket, port) = refusing();
    let connection = connect(&base, port);
    connection.set_retries(Some(1)).unwrap();
    let delay = |time| {
        connection
            .set_retry_delay(Duration::from_millis(time))
            .unwrap()
    };
    delay(1);
    let (first, _told) = request(&base);
    let log = Log::default();
    connection.make_request(&first, GET, "/").unwrap();
    connection
        .make_request(&noting(&log, "second"), GET, "/")
        .unwrap();
    until_stopped(&base);
    delay(3_600_000);
    base.exit(Some(Duration::from_millis(200))).unwrap();
    limited(|| base.dispatch()).unwrap();
    assert_eq!(log.take(), ["second 0"]);
}

/// No TCP connection goes to a broadcast address: the kernel says so at once.
#[test]
fn unreachable_address_gives_an_object_without_a_code_from_the_loop() {
    let base = EventBase::new().unwrap();
    let connection = connect_to(&base, None, "255.255.255.255", 80);
    for retries in [0, 1] {
        connection.set_retries(Some(retries)).unwrap();
        connection
            .set_retry_delay(Duration::from_millis(1))
            .unwrap();
        let (request, told) = request(&base);
        connection.make_request(&request, GET, "/").unwrap();
        assert_eq!(told.take(), []);
        until_stopped(&base);
        assert_eq!(told.take(), [Told::Answer(0, String::new())]);
        let error = request.error();
        assert!(
            matches!(error, Some(HttpError::NotConnected(_))),
            "{error:?}"
        );
    }
}

#[test]
fn silence_gives_null_when_the_time_is_over() {
    for bytes in ["", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na"] {
        let base = EventBase::new().unwrap();
        let server = serve(move |listener| {
            let mut peer = Peer::accept(&listener);
            peer.read_request();
            peer.write(bytes);
            assert!(peer.await_close());
        });
        let connection = connect(&base, server.port());
        connection
            .set_timeout(Some(Duration::from_millis(50) * time_factor()))
            .unwrap();
        let (request, told) = request(&base);
        connection.make_request(&request, GET, "/").unwrap();
        until_stopped(&base);
        assert_eq!(told.take(), [Told::Null]);
        assert_eq!(request.error(), Some(HttpError::Timeout));
        server.done();
    }
}

#[test]
fn failure_of_one_request_does_not_harm_the_next() {
    let base = EventBase::new().unwrap();
    let server = serve(|listener| {
        for answer in [
            "nonsense\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nb",
        ] {
            let mut peer = Peer::accept(&listener);
            peer.read_request();
            peer.write(answer);
            peer.end();
        }
    });
    let connection = connect(&base, server.port());
    let log = Log::default();
    connection
        .make_request(&noting(&log, "first"), GET, "/")
        .unwrap();
    let (second, told) = request(&base);
    connection.make_request(&second, GET, "/").unwrap();
    until_stopped(&base);
    assert_eq!(log.take(), ["first null"]);
    assert_eq!(told.take(), [ok("b").0]);
    drop(connection);
    server.done();
}

#[test]
fn failed_request_may_be_made_again() {
    let base = EventBase::new().unwrap();
    let server = serve(|listener| {
        let mut peer = Peer::accept(&listener);
        peer.read_request();
        drop(peer);
        let mut peer = Peer::accept(&listener);
        peer.read_request();
        peer.reply("b");
        peer.end();
    });
    let connection = connect(&base, server.port());
    let (request, told) = request(&base);
    for _ in 0..2 {
        connection.make_request(&request, GET, "/").unwrap();
        until_stopped(&base);
    }
    assert_eq!(told.take(), [Told::Null, ok("b").0]);
    assert_eq!(request.error(), None);
    drop(connection);
    server.done();
}

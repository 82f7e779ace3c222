//! How much a request may bring, and how long it may take.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::OVER;
use crate::{Client, Kept, Server, buffer, error, get, say};
use php_event::{Event, EventHttpRequest};
use test_support::LIMIT;

fn echo() -> Server {
    Server::with(OVER, |request| {
        let length = request.get_input_buffer().length();
        say(request, length.to_string());
    })
}

fn post(length: usize) -> String {
    let body = "b".repeat(length);
    format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{body}")
}

fn chunked(length: usize) -> String {
    let body = "b".repeat(length);
    format!(
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n"
    )
}

/// A head of exactly so many bytes.
fn head(length: usize) -> String {
    let fixed = "GET / HTTP/1.1\r\nHost: x\r\nA: \r\n\r\n".len();
    let filling = "a".repeat(length - fixed);
    format!("GET / HTTP/1.1\r\nHost: x\r\nA: {filling}\r\n\r\n")
}

#[test]
fn a_body_at_the_limit_is_served_and_one_past_it_gets_a_413() {
    let server = echo();
    server.http.set_max_body_size(Some(10)).unwrap();
    assert_eq!(server.ask(post(10)).body, "10");
    assert_eq!(server.ask(chunked(10)).body, "10");
    for request in [post(11), chunked(11)] {
        let answer = server.ask(request);
        assert_eq!(
            (answer.status, answer.header("Connection")),
            (413, Some("close"))
        );
    }
}

#[test]
fn a_body_that_is_only_announced_too_long_gets_a_413_at_once() {
    let server = echo();
    server.http.set_max_body_size(Some(10)).unwrap();
    for expect in ["", "Expect: 100-continue\r\n"] {
        let request = format!("POST / HTTP/1.1\r\nHost: x\r\n{expect}Content-Length: 11\r\n\r\n");
        assert_eq!(server.ask(request).status, 413);
    }
}

#[test]
fn a_limit_of_zero_bytes_refuses_every_body_and_none_refuses_nothing() {
    let server = echo();
    server.http.set_max_body_size(Some(0)).unwrap();
    assert_eq!(server.ask(post(0)).body, "0");
    assert_eq!(server.ask(post(1)).status, 413);
    server.http.set_max_body_size(None).unwrap();
    assert_eq!(server.ask(post(3_000_000)).body, "3000000");
}

#[test]
fn a_mebibyte_of_body_and_16_kib_of_head_are_the_limits_at_first() {
    let server = echo();
    assert_eq!(server.ask(post(1 << 20)).body, "1048576");
    assert_eq!(
        server
            .ask("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1048577\r\n\r\n")
            .status,
        413
    );
    assert_eq!(server.ask(head(16 * 1024)).status, 200);
    assert_eq!(server.ask(head(16 * 1024 + 1)).status, 400);
}

#[test]
fn a_head_at_the_limit_is_served_and_one_past_it_gets_a_400() {
    let server = echo();
    server.http.set_max_headers_size(Some(200)).unwrap();
    assert_eq!(server.ask(head(200)).status, 200);
    let answer = server.ask(head(201));
    assert_eq!(
        (answer.status, answer.header("Connection")),
        (400, Some("close"))
    );
    let unended = &head(300)[..250];
    assert_eq!(
        server.ask(unended).status,
        400,
        "before the line is complete"
    );
    server.http.set_max_headers_size(None).unwrap();
    assert_eq!(server.ask(head(100_000)).status, 200);
    server.http.set_max_headers_size(Some(0)).unwrap();
    assert_eq!(server.ask(get("/")).status, 400);
}

#[test]
fn limits_hold_for_connections_from_then_on() {
    let server = echo();
    let mut client = Client::new(OVER, server.address);
    client.send(post(11));
    let (mut client, body) = server.serve(move |_| {
        let body = client.answer().body;
        (client, body)
    });
    assert_eq!(body, "11");
    server.http.set_max_body_size(Some(10)).unwrap();
    client.send(post(11));
    assert_eq!(server.serve(move |_| client.answer()).body, "11");
    assert_eq!(server.ask(post(11)).status, 413);
}

/// What a client gets that sends this, and then nothing for too long.
fn silent_after(sent: &'static str) -> String {
    let server = echo();
    server
        .http
        .set_timeout(Some(Duration::from_millis(500)))
        .unwrap();
    server.ask_all(sent)
}

#[test]
fn a_silent_client_is_closed_without_a_word() {
    assert_eq!(silent_after(""), "");
    assert_eq!(silent_after("GET / HT"), "");
    assert_eq!(silent_after("GET / HTTP/1.1\r\nHost: x\r\n"), "");
    assert_eq!(
        silent_after("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab"),
        ""
    );
}

#[test]
fn an_idle_connection_is_closed_after_its_answer() {
    let rest = silent_after("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(
        rest.starts_with("HTTP/1.1 200 OK\r\n") && rest.ends_with("\r\n\r\n0"),
        "{rest}"
    );
}

/// A connection whose request waits, and which may be silent for 20 ms from now on.
fn impatient(server: &Server, kept: &Kept) -> (Client, EventHttpRequest) {
    let mut client = Client::new(OVER, server.address);
    client.send(get("/"));
    server.until(|| !kept.borrow().is_empty());
    let request = kept.borrow_mut().pop().unwrap();
    set_timeout(&request, 20);
    (client, request)
}

fn set_timeout(request: &EventHttpRequest, milliseconds: u64) {
    let connection = request.get_connection().expect("it was closed");
    connection
        .set_timeout(Some(Duration::from_millis(milliseconds)))
        .unwrap();
}

/// Turns the loop for ten times as long.
fn be_silent(server: &Server) {
    server.base.exit(Some(Duration::from_millis(200))).unwrap();
    server.base.dispatch().unwrap();
}

#[test]
fn a_late_reply_is_not_limited_by_the_time() {
    let (server, kept) = Server::keeping(OVER);
    let (mut client, request) = impatient(&server, &kept);
    be_silent(&server);
    set_timeout(&request, 10_000);
    say(&request, "late");
    assert_eq!(server.serve(move |_| client.answer()).body, "late");
}

#[test]
fn a_late_reply_has_no_time_limit_when_a_close_callback_is_set() {
    let (server, kept) = Server::keeping(OVER);
    let (mut client, request) = impatient(&server, &kept);
    let connection = request.get_connection().unwrap();
    connection.set_close_callback(|_| {}).unwrap();
    be_silent(&server);
    set_timeout(&request, 10_000);
    say(&request, "late");
    assert_eq!(server.serve(move |_| client.answer()).body, "late");
}

#[test]
fn a_chunked_reply_is_not_limited_by_the_silence_of_its_client() {
    let (server, kept) = Server::keeping(OVER);
    let (mut client, request) = impatient(&server, &kept);
    set_timeout(&request, 10_000);
    request.send_reply_start(200, "OK").unwrap();
    let output = request.get_buffer_event().unwrap().output();
    for part in ["a", "b", "c"] {
        set_timeout(&request, 10_000);
        request.send_reply_chunk(&buffer(part)).unwrap();
        server.until(|| output.length() == 0);
        set_timeout(&request, 20);
        be_silent(&server);
    }
    set_timeout(&request, 1_000);
    request.send_reply_end().unwrap();
    // And the time counts again from then on.
    let (body, closed) = server.serve(move |_| (client.answer().body, client.is_closed()));
    assert_eq!((body.as_str(), closed), ("abc", true));
}

/// How long a client may be silent in the next three tests.
const PATIENCE: Duration = Duration::from_millis(500);

/// A request that waits on a connection which has had the time from its first byte on.
fn waiting(client: &mut Client, server: &Server, kept: &Kept) -> EventHttpRequest {
    client.send(get("/"));
    server.until(|| !kept.borrow().is_empty());
    kept.borrow_mut().pop().unwrap()
}

/// Turns the loop for twice as long.
fn try_patience(server: &Server) {
    server.base.exit(Some(2 * PATIENCE)).unwrap();
    server.base.dispatch().unwrap();
}

#[test]
fn a_late_reply_has_no_time_limit_either_when_its_client_sends_ahead() {
    for has_begun in [false, true] {
        let (server, kept) = Server::keeping(OVER);
        server.http.set_timeout(Some(PATIENCE)).unwrap();
        let mut client = Client::new(OVER, server.address);
        let request = waiting(&mut client, &server, &kept);
        if has_begun {
            request.send_reply_start(200, "OK").unwrap();
        } else {
            let connection = request.get_connection().unwrap();
            connection.set_close_callback(|_| {}).unwrap();
        }
        client.send(get("/next"));
        try_patience(&server);
        if has_begun {
            request.send_reply_chunk(&buffer("late")).unwrap();
            request.send_reply_end().unwrap();
        } else {
            say(&request, "late");
        }
        let body = server.serve(move |_| client.answer()).body;
        assert_eq!(body, "late", "{has_begun}");
    }
}

#[test]
fn a_client_may_be_silent_once_its_time_limit_is_taken_away() {
    let (server, kept) = Server::keeping(OVER);
    server.http.set_timeout(Some(PATIENCE)).unwrap();
    let mut client = Client::new(OVER, server.address);
    let request = waiting(&mut client, &server, &kept);
    request.get_connection().unwrap().set_timeout(None).unwrap();
    say(&request, "first");
    let mut client = server.serve(move |_| {
        assert_eq!(client.answer().body, "first");
        client.send("GET / HT");
        client
    });
    try_patience(&server);
    client.send("TP/1.1\r\nHost: x\r\n\r\n");
    server.until(|| !kept.borrow().is_empty());
    say(&kept.borrow_mut().pop().unwrap(), "second");
    assert_eq!(server.serve(move |_| client.answer()).body, "second");
}

#[test]
fn a_client_may_read_late_once_its_time_limit_is_taken_away() {
    const LONG: usize = 30_000_000;
    let (server, kept) = Server::keeping(OVER);
    server.http.set_timeout(Some(PATIENCE)).unwrap();
    let mut client = Client::new(OVER, server.address);
    let request = waiting(&mut client, &server, &kept);
    say(&request, "first");
    let mut client = server.serve(move |_| {
        assert_eq!(client.answer().body, "first");
        client
    });
    let request = waiting(&mut client, &server, &kept);
    request.get_connection().unwrap().set_timeout(None).unwrap();
    say(&request, "~".repeat(LONG));
    try_patience(&server);
    let body = server.serve(move |_| client.answer()).body;
    assert_eq!(body.len(), LONG);
}

#[test]
fn a_client_that_does_not_take_its_answer_is_closed() {
    let closed = Rc::new(Cell::new(false));
    let told = closed.clone();
    let server = Server::with(OVER, move |request| {
        let connection = request.get_connection().unwrap();
        connection
            .set_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        let told = told.clone();
        connection
            .set_close_callback(move |_| told.set(true))
            .unwrap();
        say(request, "a".repeat(30_000_000));
    });
    let mut client = Client::new(OVER, server.address);
    client.send(get("/"));
    server.until(|| closed.get());
    let taken = client.rest().len();
    assert!(taken < 30_000_000, "{taken}");
}

#[test]
fn a_time_of_zero_is_refused() {
    let server = Server::new(OVER);
    for time in [Duration::ZERO, Duration::from_nanos(999)] {
        let text = error(server.http.set_timeout(Some(time)));
        assert!(
            text.starts_with("EventHttp::setTimeout: a time below a microsecond"),
            "{text}"
        );
    }
    server.http.set_timeout(Some(Duration::MAX)).unwrap();
    server.http.set_timeout(None).unwrap();
}

#[test]
fn without_a_limit_a_client_has_all_its_requests_answered() {
    let server = echo();
    server.http.set_timeout(None).unwrap();
    server.serve(|address| {
        let mut client = Client::new(OVER, address);
        for length in [0, 1, 2] {
            client.send(post(length));
            assert_eq!(client.answer().body, length.to_string());
        }
    });
}

#[test]
fn without_a_limit_a_silent_client_stays() {
    let server = echo();
    server.http.set_timeout(None).unwrap();
    let mut client = Client::new(OVER, server.address);
    server.base.exit(Some(LIMIT / 100)).unwrap();
    server.base.dispatch().unwrap();
    client.send(get("/"));
    assert_eq!(server.serve(move |_| client.answer()).status, 200);
}

#[test]
fn a_head_that_comes_a_byte_at_a_time_is_cut_off_at_its_deadline() {
    let server = Server::with(OVER, |request| say(request, "answered"));
    let limit = Duration::from_millis(400);
    server.http.set_header_timeout(Some(limit)).unwrap();
    let taken = server.serve(|address| {
        let mut client = Client::new(OVER, address);
        client.send(get("/"));
        assert_eq!(client.answer().body, "answered");
        let start = Instant::now();
        while client.try_send(b"a") && start.elapsed() < LIMIT / 2 {
            std::thread::sleep(Duration::from_millis(5));
        }
        start.elapsed()
    });
    assert!(taken >= limit && taken < LIMIT / 2, "{taken:?}");
}

#[test]
fn a_body_and_a_reply_may_take_longer_than_a_head() {
    let (server, kept) = Server::keeping(OVER);
    let limit = Duration::from_millis(300);
    server.http.set_header_timeout(Some(limit)).unwrap();
    let answer = Event::timer(&server.base, move |timer| {
        for request in kept.take() {
            say(&request, "answered");
        }
        timer.add(Some(limit * 4)).unwrap();
    });
    let answer = answer.unwrap();
    answer.add(Some(limit * 4)).unwrap();
    let bodies = server.serve(move |address| {
        let mut client = Client::new(OVER, address);
        client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\na");
        std::thread::sleep(limit * 2);
        let next = get("/");
        client.send("b".to_owned() + &next[..9]); // a part of the next head waits for the answer
        let first = client.answer().body;
        client.send(&next[9..]);
        [first, client.answer().body]
    });
    assert_eq!(bodies, ["answered"; 2]);
}

#[test]
fn a_connection_without_a_byte_has_no_deadline_for_its_head() {
    let server = Server::with(OVER, |request| say(request, "answered"));
    let limit = Duration::from_millis(300);
    server.http.set_header_timeout(Some(limit)).unwrap();
    let answer = server.serve(move |address| {
        let mut client = Client::new(OVER, address);
        std::thread::sleep(limit * 3);
        client.send(get("/"));
        client.answer().body
    });
    assert_eq!(answer, "answered");
}

/// Lets the server read what has been sent.
fn turn(server: &Server) {
    server.base.exit(Some(Duration::from_millis(50))).unwrap();
    server.base.dispatch().unwrap();
}

#[test]
fn a_head_timeout_holds_for_the_next_head_of_an_open_connection() {
    let server = echo();
    let mut client = server.serve(|address| {
        let mut client = Client::new(OVER, address);
        client.send(get("/"));
        assert_eq!(client.answer().status, 200);
        client
    });
    let limit = Duration::from_millis(300);
    server.http.set_header_timeout(Some(limit)).unwrap();
    let taken = server.serve(move |_| {
        let start = Instant::now();
        client.send("GET");
        assert_eq!(client.rest(), "");
        start.elapsed()
    });
    assert!(taken >= limit && taken < LIMIT / 2, "{taken:?}");
}

#[test]
fn a_head_that_has_begun_keeps_its_deadline_when_the_timeout_changes() {
    let server = echo();
    let limit = Duration::from_millis(400);
    server.http.set_header_timeout(Some(limit)).unwrap();
    let (start, mut client) = (Instant::now(), Client::new(OVER, server.address));
    client.send("GET");
    turn(&server);
    server.http.set_header_timeout(None).unwrap();
    assert_eq!(server.serve(move |_| client.rest()), "");
    let taken = start.elapsed();
    assert!(taken >= limit && taken < LIMIT / 2, "{taken:?}");
}

#[test]
fn a_body_rate_holds_for_a_body_that_has_begun_without_one() {
    let server = echo();
    server.http.set_min_body_rate(None).unwrap();
    let mut client = Client::new(OVER, server.address);
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\na");
    turn(&server);
    let per = Duration::from_millis(400);
    server.http.set_min_body_rate(Some((500, per))).unwrap();
    let taken = server.serve(move |_| {
        let start = Instant::now();
        while client.try_send(b"a") && start.elapsed() < LIMIT / 2 {
            std::thread::sleep(Duration::from_millis(5));
        }
        start.elapsed()
    });
    assert!(taken >= per && taken < LIMIT / 2, "{taken:?}");
}

/// Sends `start`, then `piece` every `pause` until the server closes; how long that took, and what
/// came back.
fn trickle(
    address: std::net::SocketAddr,
    start: &str,
    piece: &[u8],
    pause: Duration,
) -> (Duration, String) {
    let mut client = Client::new(OVER, address);
    client.send(start);
    let begun = Instant::now();
    while begun.elapsed() < LIMIT / 2 && client.try_send(piece) {
        std::thread::sleep(pause);
    }
    let taken = begun.elapsed();
    (
        taken,
        if taken < LIMIT / 2 {
            client.rest()
        } else {
            String::new()
        },
    )
}

#[test]
fn a_body_that_comes_a_byte_at_a_time_is_cut_off() {
    let per = Duration::from_millis(400);
    for start in [
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\n",
    ] {
        let server = echo();
        server.http.set_min_body_rate(Some((500, per))).unwrap();
        let pause = Duration::from_millis(5);
        let (taken, answer) = server.serve(move |address| trickle(address, start, b"a", pause));
        assert!(taken >= per && taken < LIMIT / 2, "{taken:?}");
        assert_eq!(answer, "");
    }
}

#[test]
fn a_body_that_keeps_the_least_rate_is_served_however_long_it_takes() {
    let server = echo();
    let per = Duration::from_millis(400);
    server.http.set_min_body_rate(Some((500, per))).unwrap();
    let body = server.serve(move |address| {
        let mut client = Client::new(OVER, address);
        client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10000\r\n\r\n");
        for _ in 0..10 {
            client.send("a".repeat(1000));
            std::thread::sleep(per / 3);
        }
        client.answer().body
    });
    assert_eq!(body, "10000");
}

#[test]
fn without_a_least_rate_a_body_may_trickle() {
    let server = echo();
    server.http.set_min_body_rate(None).unwrap();
    let body = server.serve(move |address| {
        let mut client = Client::new(OVER, address);
        client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n");
        for _ in 0..5 {
            std::thread::sleep(Duration::from_millis(150));
            client.send("a");
        }
        client.answer().body
    });
    assert_eq!(body, "5");
}

#[test]
fn a_body_behind_a_request_that_waits_for_its_reply_is_not_late() {
    let (server, kept) = Server::keeping(OVER);
    let per = Duration::from_millis(300);
    server.http.set_min_body_rate(Some((100, per))).unwrap();
    let answer = Event::timer(&server.base, move |timer| {
        for request in kept.take() {
            let length = request.get_input_buffer().length();
            say(&request, length.to_string());
        }
        timer.add(Some(per * 4)).unwrap();
    });
    let answer = answer.unwrap();
    answer.add(Some(per * 4)).unwrap();
    let bodies = server.serve(move |address| {
        let mut client = Client::new(OVER, address);
        let post = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 300\r\n\r\n";
        client.send(get("/") + post + "a");
        let first = client.answer().body;
        client.send("a".repeat(299));
        [first, client.answer().body]
    });
    assert_eq!(bodies, ["0", "300"]);
}

#[test]
fn a_rate_over_no_time_is_refused() {
    let server = Server::new(OVER);
    let text = error(server.http.set_min_body_rate(Some((1, Duration::ZERO))));
    assert!(
        text.starts_with("EventHttp::setMinBodyRate: a time below a microsecond"),
        "{text}"
    );
}

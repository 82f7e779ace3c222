//! What a refused request does to its neighbours. `tests/http_cases` has the requests that libevent
//! would accept and RFC 9112 does not.

use std::cell::Cell;
use std::rc::Rc;

use super::OVER;
use crate::{Client, Server, get, say};

/// A request that must not be reached through another.
const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n";

/// A head of these lines after the first and `Host`.
fn head(line: &str, fields: &[&str]) -> String {
    let mut head = format!("{line}\r\nHost: x\r\n");
    for field in fields {
        head.extend([field, "\r\n"]);
    }
    head + "\r\n"
}

const POST: &str = "POST / HTTP/1.1";

#[test]
fn a_bad_request_after_good_ones_is_refused_in_its_turn() {
    let calls = Rc::new(Cell::new(0));
    let count = calls.clone();
    let server = Server::with(OVER, move |request| {
        count.set(count.get() + 1);
        say(request, "served");
    });
    let chunked = head(POST, &["Transfer-Encoding: chunked"]);
    for bad in [
        "GET / HTTP/1.1\r\n\r\n".to_owned(),
        format!("{chunked}3\r\nabc\r\nx\r\n"),
    ] {
        calls.set(0);
        let rest = server.ask_all(get("/").repeat(3) + &bad + HIDDEN);
        assert_eq!(rest.matches("HTTP/1.1 200 OK").count(), 3, "{rest}");
        assert_eq!(
            rest.matches("HTTP/1.1 400 Bad Request").count(),
            1,
            "{rest}"
        );
        assert!(
            rest.find("400 Bad").unwrap() > rest.rfind("200 OK").unwrap(),
            "{rest}"
        );
        assert_eq!(calls.get(), 3);
    }
}

#[test]
fn the_page_for_a_bad_chunk_says_what_was_wrong() {
    let server = Server::with(OVER, |request| say(request, "served"));
    let answer = server.ask(head(POST, &["Transfer-Encoding: chunked"]) + "-1\r\n");
    assert_eq!(answer.status, 400);
    assert!(
        answer.body.contains("<P>") && answer.body.contains("chunk"),
        "{}",
        answer.body
    );
}

#[test]
fn a_body_that_evhttp_would_not_read_hides_no_request() {
    let calls = Rc::new(Cell::new(0));
    let count = calls.clone();
    let server = Server::with(OVER, move |request| {
        assert_eq!(request.get_uri().unwrap().as_deref(), Some("/"));
        count.set(count.get() + 1);
        say(request, "served");
    });
    let length = HIDDEN.len();
    let rest = server.ask_all(format!(
        "HEAD / HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{HIDDEN}{HIDDEN}"
    ));
    assert_eq!(
        (rest.matches("HTTP/1.1").count(), calls.get()),
        (1, 1),
        "{rest}"
    );
}

#[test]
fn trailers_are_read_over_and_empty_lines_before_a_request_too() {
    let server = Server::with(OVER, |request| {
        assert_eq!(
            request.find_header("Late", super::requests::INPUT).unwrap(),
            None
        );
        say(request, "served");
    });
    let post = head(POST, &["Transfer-Encoding: chunked"]);
    let requests = format!("\r\n{post}0\r\nLate: yes\r\n\r\n\r\n\r\n{}", get("/"));
    let bodies = server.serve(move |address| {
        let mut client = Client::new(OVER, address);
        client.send(requests);
        [client.answer().body, client.answer().body]
    });
    assert_eq!(bodies, ["served"; 2]);
}

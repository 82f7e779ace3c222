//! What libevent would accept and RFC 9112 does not, as raw bytes: each row gets a 400 and the
//! end, and no closure is called.

use std::cell::Cell;
use std::rc::Rc;

use super::OVER;
use crate::{Client, Server, get, say};

/// A request that must not be reached through another.
const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n";

/// Sends bytes with a good request behind them, in one piece and byte by byte, and checks that
/// all that comes back is one 400, and that no closure was called.
#[track_caller]
fn refused_as(status: u16, bytes: &str) {
    let calls = Rc::new(Cell::new(0));
    let count = calls.clone();
    let server = Server::with(OVER, move |request| {
        count.set(count.get() + 1);
        say(request, "served");
    });
    let whole = bytes.to_owned() + HIDDEN;
    let rest = server.ask_all(&whole);
    assert!(
        rest.starts_with(&format!("HTTP/1.1 {status} ")),
        "{bytes:?}: {rest}"
    );
    let answers = rest.lines().filter(|line| line.starts_with("HTTP/1."));
    assert_eq!(answers.count(), 1, "{bytes:?}: {rest}");
    assert!(
        rest.contains("\r\nConnection: close\r\n"),
        "{bytes:?}: {rest}"
    );
    let pieces = bytes.to_owned();
    let rest = server.serve(move |address| {
        let mut client = Client::new(OVER, address);
        client.0.set_nodelay(true).unwrap();
        for byte in pieces.as_bytes() {
            use std::io::Write;
            if client.0.write_all(&[*byte]).is_err() {
                break; // refused in the middle
            }
        }
        client.rest()
    });
    assert!(
        rest.is_empty() || rest.starts_with(&format!("HTTP/1.1 {status} ")),
        "{bytes:?}: {rest}"
    );
    assert_eq!(calls.get(), 0, "{bytes:?}");
}

#[track_caller]
fn refused(bytes: &str) {
    refused_as(400, bytes);
}

/// A head of these lines behind the first and `Host`.
fn head(line: &str, fields: &[&str]) -> String {
    let mut head = format!("{line}\r\nHost: x\r\n");
    for field in fields {
        head.extend([field, "\r\n"]);
    }
    head + "\r\n"
}

const POST: &str = "POST / HTTP/1.1";

#[test]
fn two_lengths_are_refused() {
    refused(&(head(POST, &["Content-Length: 5", "Content-Length: 0"]) + "abcde"));
    refused(&(head(POST, &["Content-Length: 5", "Content-Length: 5"]) + "abcde"));
    refused(&(head(POST, &["Content-Length: 5, 5"]) + "abcde"));
}

#[test]
fn a_length_with_a_sign_or_a_space_is_refused() {
    for length in ["+5", "-5", "5 5", "0x5", "5a", "", "５"] {
        refused(&(head(POST, &[&format!("Content-Length: {length}")]) + "abcde"));
    }
}

#[test]
fn a_length_beside_a_coding_is_refused() {
    let both = ["Content-Length: 5", "Transfer-Encoding: chunked"];
    refused(&(head(POST, &both) + "0\r\n\r\n"));
    let both = ["Transfer-Encoding: chunked", "Content-Length: 5"];
    refused(&(head(POST, &both) + "0\r\n\r\n"));
}

#[test]
fn a_coding_other_than_exactly_chunked_is_refused() {
    for coding in [
        "gzip",
        "identity",
        "gzip, chunked",
        "chunked, chunked",
        "xchunked",
        "chunked\u{b}",
        "",
    ] {
        refused(&(head(POST, &[&format!("Transfer-Encoding: {coding}")]) + "0\r\n\r\n"));
    }
    let twice = ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"];
    refused(&(head(POST, &twice) + "0\r\n\r\n"));
}

#[test]
fn a_coding_in_http_1_0_is_refused() {
    refused(&(head("POST / HTTP/1.0", &["Transfer-Encoding: chunked"]) + "0\r\n\r\n"));
}

#[test]
fn a_space_before_the_colon_is_refused() {
    refused(&(head(POST, &["Content-Length : 5"]) + "abcde"));
    refused(&head("GET / HTTP/1.1", &["A\t: b"]));
    refused(&head("GET / HTTP/1.1", &[": b"]));
}

#[test]
fn no_host_and_two_hosts_are_refused() {
    refused("GET / HTTP/1.1\r\n\r\n");
    refused("GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n");
    refused("GET / HTTP/1.1\r\nHost: x\r\nhost: y\r\n\r\n");
    refused("GET / HTTP/1.1\r\nHost: x y\r\n\r\n");
    refused("GET / HTTP/1.1\r\nHost: x/\r\n\r\n");
}

#[test]
fn nul_and_control_bytes_are_refused() {
    for byte in ["\0", "\u{1}", "\u{1b}", "\u{7f}", "\u{b}", "\r"] {
        refused(&head("GET / HTTP/1.1", &[&format!("A: b{byte}c")]));
        refused(&head("GET / HTTP/1.1", &[&format!("A{byte}: b")]));
        refused(&head(&format!("GET /{byte} HTTP/1.1"), &[]));
        refused(&head(&format!("GE{byte}T / HTTP/1.1"), &[]));
    }
}

#[test]
fn bare_line_feeds_are_refused() {
    refused("GET / HTTP/1.1\nHost: x\n\n");
    refused("GET / HTTP/1.1\r\nHost: x\nA: b\r\n\r\n");
    refused("GET / HTTP/1.1\r\nHost: x\r\nA: b\n\r\n");
    refused("GET / HTTP/1.1\r\nHost: x\r\n\n");
}

#[test]
fn folded_lines_are_refused() {
    refused("GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n");
    refused("GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n\tc\r\n\r\n");
    refused("GET / HTTP/1.1\r\n Host: x\r\n\r\n");
}

#[test]
fn a_chunk_size_other_than_plain_hex_is_refused() {
    let post = head(POST, &["Transfer-Encoding: chunked"]);
    for size in [
        "-1",
        "+5",
        "0x5",
        " 5",
        "5 ",
        "g",
        "",
        "5\u{1}",
        "\t5",
        "00000000000000000000005",
    ] {
        refused(&format!("{post}{size}\r\nabcde\r\n0\r\n\r\n"));
    }
    refused(&format!("{post}5\r\nabcdefg\r\n0\r\n\r\n"));
    refused(&format!("{post}5\nabcde\r\n0\r\n\r\n"));
    refused(&format!("{post}5\r\nabcde\n0\r\n\r\n"));
    refused(&format!("{post}5\r\nabcde\r\n0\r\nA : b\r\n\r\n"));
    refused(&format!("{post}5\r\nabcde\r\n0\r\nA: b\n\r\n"));
}

#[test]
fn a_chunk_longer_than_any_gets_a_413() {
    let post = head(POST, &["Transfer-Encoding: chunked"]);
    refused_as(
        413,
        &format!("{post}ffffffffffffffff\r\nabcde\r\n0\r\n\r\n"),
    );
    refused_as(413, &head(POST, &["Content-Length: 99999999999999999999"]));
}

#[test]
fn an_encoded_nul_in_a_path_is_refused() {
    refused(&head("GET /%00 HTTP/1.1", &[]));
    refused(&head("GET /hidden%00x HTTP/1.1", &[]));
    let server = Server::with(OVER, |request| say(request, "served"));
    assert_eq!(server.ask(get("/?%00")).body, "served");
}

#[test]
fn a_malformed_request_line_is_refused() {
    for line in [
        "GET /",
        "GET / HTTP/2.0",
        "GET / HTTP/0.9",
        "GET / HTTP/1.1 x",
        "GET  / HTTP/1.1",
        "GET / http/1.1",
        "GET / HTTP/1.10",
        "GET / HTTP/1.2",
        " GET / HTTP/1.1",
        "GET x HTTP/1.1",
        "/ HTTP/1.1 GET",
        "G@T / HTTP/1.1",
    ] {
        refused(&head(line, &[]));
    }
    refused("x\r\n\r\n");
    refused(&head("CONNECT x:80 HTTP/1.1", &[]));
    refused(&head("GET / HTTP/1.1", &["no colon"]));
}

#[test]
fn an_expectation_of_something_else_gets_a_417() {
    refused_as(
        417,
        &(head(POST, &["Expect: tea", "Content-Length: 5"]) + "abcde"),
    );
}

#[test]
fn lines_and_fields_without_end_are_refused() {
    refused(&format!(
        "GET /{} HTTP/1.1\r\nHost: x\r\n\r\n",
        "a".repeat(9000)
    ));
    refused(&head("GET / HTTP/1.1", &["A: b"; 101]));
    refused(&head(
        "GET / HTTP/1.1",
        &[&format!("A: {}", "b".repeat(17_000))],
    ));
    let post = head(POST, &["Transfer-Encoding: chunked"]);
    refused(&format!(
        "{post}5;{}\r\nabcde\r\n0\r\n\r\n",
        "x".repeat(20_000)
    ));
    refused(&format!("{post}0\r\nA: {}\r\n\r\n", "b".repeat(20_000)));
}

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

/// No peer can send the mark that the gate puts into a request.
#[test]
fn the_gate_s_own_mark_is_refused_like_any_bad_name() {
    refused(&head("GET / HTTP/1.1", &["refused by the gate: x"]));
    let post = head(POST, &["Transfer-Encoding: chunked"]);
    refused(&format!("{post}0\r\nrefused by the gate: x\r\n\r\n"));
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
fn white_space_around_values_makes_no_other_request() {
    let server = Server::with(OVER, |request| {
        let length = request.get_input_buffer().length();
        say(request, format!("{length}"));
    });
    let chunks = format!("{:x}\r\n{HIDDEN}\r\n0\r\n\r\n", HIDDEN.len());
    let answer = server.ask(head(POST, &["Transfer-Encoding:\tchunked \t"]) + &chunks);
    assert_eq!(answer.body, HIDDEN.len().to_string());
    let answer = server.ask(head(POST, &["Content-Length: \t5\t"]) + "abcde");
    assert_eq!(answer.body, "5");
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

//! What a good request is answered, and what becomes of its connection.

use std::time::Duration;

use super::support_http::{Client, GET, LAST, Server, table, until};
use test_support::raise_descriptor_limit;

/// The tutorial's answer to the first request, byte for byte.
const TUTORIAL: &str = "HTTP/1.1 200 OK\r\n\
    Accept: application/json, text/plain, */*\r\n\
    Connection: keep-alive\r\n\
    Content-Length:65\r\n\
    \r\n\
    {\"5\":{\"pending\":true,\"data\":{}},\"6\":{\"pending\":true,\"data\":null}}";

fn connect(server: &Server, count: usize) -> Vec<Client> {
    (0..count).map(|_| server.connect()).collect()
}

#[test]
fn the_first_request_is_answered_with_the_tutorials_bytes() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    // The second answer follows the first at once: there is no byte between them, nor after.
    for _ in 0..2 {
        client.send(GET);
        let bytes = client.take_exactly(TUTORIAL.len());
        assert_eq!(String::from_utf8_lossy(&bytes), TUTORIAL);
    }
    client.send(LAST);
    let bytes = client.take_exactly(TUTORIAL.len() - "keep-alive".len() + "close".len());
    assert_eq!(
        String::from_utf8_lossy(&bytes),
        TUTORIAL.replace("keep-alive", "close")
    );
    client.expect_close();
}

#[test]
fn the_table_lists_the_listener_and_every_open_connection_oldest_first() {
    raise_descriptor_limit();
    for count in [1, 3, 50, 300] {
        let server = Server::start(&[]);
        let mut clients = connect(&server, count);
        let all = table(6..6 + count as u64);
        // The last first: by then every connection before it has been accepted, whether or not
        // it has asked for anything.
        for client in clients.iter_mut().rev() {
            let answer = client.ask();
            assert_eq!(
                String::from_utf8_lossy(&answer.body),
                all,
                "{count} connections"
            );
            assert_eq!(
                answer.field("Content-Length"),
                Some(all.len().to_string().as_str())
            );
        }
    }
}

#[test]
fn a_connection_that_ends_leaves_the_table_and_its_number_is_never_used_again() {
    let server = Server::start(&[]);
    let mut kept = server.connect(); // 6
    kept.ask();
    let mut next = 7;
    type End = fn(Client);
    let ends: [(&str, End); 5] = [
        ("FIN", drop),
        ("RST", Client::reset),
        ("FIN after a part of a request", |mut client| {
            client.send(b"GET / HT")
        }),
        ("RST after a part of a request", |mut client| {
            client.send(b"GET / HT");
            client.reset();
        }),
        ("Connection: close", |mut client| {
            client.send(LAST);
            client.answer().numbers();
            client.expect_close();
        }),
    ];
    for (how, end) in ends {
        let clients = connect(&server, 20);
        let mut last = server.connect();
        let all = [5, 6]
            .into_iter()
            .chain(next..next + 21)
            .collect::<Vec<_>>();
        assert_eq!(last.ask().numbers(), all, "{how}");
        let mut stay = Vec::new();
        for (index, client) in clients.into_iter().enumerate() {
            if index % 3 == 0 {
                stay.push(client)
            } else {
                end(client)
            }
        }
        let mut left = vec![5, 6];
        left.extend((0..20).step_by(3).map(|index| next + index));
        left.push(next + 20);
        until(how, || (kept.ask().numbers() == left).then_some(()));
        drop((stay, last));
        until(how, || (kept.ask().numbers() == [5, 6]).then_some(()));
        next += 21;
    }
}

#[test]
fn connections_that_come_and_go_do_not_disturb_the_others() {
    let server = Server::start(&[]);
    let mut clients = connect(&server, 30);
    let mut random = fastrand::Rng::with_seed(1);
    for _ in 0..500 {
        let index = random.usize(..clients.len());
        match random.u8(..3) {
            0 => clients[index] = server.connect(),
            1 => std::mem::replace(&mut clients[index], server.connect()).reset(),
            _ => {}
        }
        let numbers = clients[index].ask().numbers();
        assert!(numbers.len() > 30, "{numbers:?}");
    }
    let numbers = until("only the open connections", || {
        Some(clients[0].ask().numbers()).filter(|numbers| numbers.len() == 31)
    });
    for client in &mut clients {
        assert_eq!(client.ask().numbers(), numbers);
    }
}

#[test]
fn head_is_answered_with_the_head_alone() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    for _ in 0..3 {
        client.send(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
        let head = client.answer_to_head();
        assert_eq!(head.head, client.ask().head);
    }
    client.send(b"HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let head = client.answer_to_head();
    assert_eq!(head.field("Connection"), Some("close"));
    assert_eq!(head.length(), Some(65));
    client.expect_close();
}

#[test]
fn every_method_and_path_gets_the_same_answer() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    let methods = [
        "GET",
        "POST",
        "PUT",
        "DELETE",
        "PATCH",
        "OPTIONS",
        "TRACE",
        "PROPFIND",
        "get",
        "head",
        "X",
        "!#$%&'*+-.^_`|~0",
    ];
    let long = format!("/{}", "a".repeat(8000));
    let targets = [
        "/",
        "/index.php?a=b&c[]=d",
        "/%00/..//.;x=1",
        "//x",
        "http://example.com/",
        "HTTP://example.com:80/a?b",
        "http://[::1]:9999/",
        &long,
    ];
    for method in methods {
        for target in targets {
            client.send(format!("{method} {target} HTTP/1.1\r\nHost: x\r\n\r\n"));
            assert_eq!(
                client.answer().body,
                table([6]).as_bytes(),
                "{method} {target}"
            );
        }
    }
    client.send(b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(client.answer().status, 200);
}

#[test]
fn unusual_but_valid_requests_are_answered() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    for request in [
        "GET / HTTP/1.1\r\nHost: example.com:8080\r\n\r\n",
        "GET / HTTP/1.1\r\nhOsT:x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost:\t x \t\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
        "GET / HTTP/1.1\r\nA:\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nA: b: c, \"d\"\tä\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nA: 1\r\nA: 2\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\n!#$%&'*+-.^_`|~: 1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nConnection: ,keep-alive,, foo\r\n\r\n",
        // RFC 9112 §2.2: at least one empty line before a request is skipped.
        "\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    ] {
        client.send(request);
        let answer = client.answer();
        assert_eq!(answer.status, 200, "{request:?}");
        assert_eq!(
            answer.field("Connection"),
            Some("keep-alive"),
            "{request:?}"
        );
    }
}

#[test]
fn the_connection_is_kept_or_closed_as_version_and_field_say() {
    let server = Server::start(&[]);
    let cases = [
        ("1.1", "", true),
        ("1.1", "Connection: keep-alive\r\n", true),
        ("1.1", "Connection: closed\r\n", true),
        ("1.1", "Keep-Alive: timeout=5\r\n", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "connection:CLOSE\r\n", false),
        ("1.1", "Connection: keep-alive, close\r\n", false),
        ("1.1", "Connection: close, keep-alive\r\n", false),
        ("1.1", "Connection: foo ,\tClose\t,bar\r\n", false),
        (
            "1.1",
            "Connection: keep-alive\r\nConnection: close\r\n",
            false,
        ),
        ("1.0", "", false),
        ("1.0", "Connection: close\r\n", false),
        ("1.0", "Connection: foo\r\n", false),
        ("1.0", "Connection: keep-alive, close\r\n", false),
        ("1.0", "Connection: keep-alive\r\n", true),
        ("1.0", "Connection: foo, Keep-Alive\r\n", true),
    ];
    for (number, (version, lines, kept)) in (6..).zip(cases) {
        let mut client = server.connect();
        client.send(format!("GET / HTTP/{version}\r\nHost: x\r\n{lines}\r\n"));
        let answer = client.answer();
        assert!(answer.numbers().contains(&number), "{version} {lines:?}");
        let connection = if kept { "keep-alive" } else { "close" };
        assert_eq!(
            answer.field("Connection"),
            Some(connection),
            "{version} {lines:?}"
        );
        if kept {
            client.ask();
        } else {
            client.expect_close();
        }
    }
}

#[test]
fn http_1_0_needs_no_host() {
    let server = Server::start(&[]);
    for head in [
        "GET / HTTP/1.0\r\n\r\n",
        "POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi",
    ] {
        let mut client = server.connect();
        client.send(head);
        assert_eq!(client.answer().status, 200);
        client.expect_close();
    }
}

#[test]
fn requests_after_the_last_are_not_answered() {
    let server = Server::start(&[]);
    for last in [LAST, b"GET / HTTP/1.0\r\n\r\n"] {
        let mut client = server.connect();
        client.send([GET, last, GET, GET, b"garbage\0"].concat());
        assert_eq!(client.answer().field("Connection"), Some("keep-alive"));
        assert_eq!(client.answer().field("Connection"), Some("close"));
        client.expect_close();
    }
    assert_eq!(server.until_entries(2).len(), 2);
}

#[test]
fn a_client_that_has_ended_its_half_still_gets_its_answers() {
    let server = Server::start(&[]);
    for count in [1, 2, 500] {
        let mut client = server.connect();
        client.send(GET.repeat(count));
        client.half_close();
        for _ in 0..count {
            assert_eq!(client.answer().status, 200);
        }
        client.expect_close();
    }
    server.until_entries(2);
}

#[test]
fn a_client_that_ends_its_half_within_a_request_is_let_go() {
    let server = Server::start(&[]);
    for part in [
        "",
        "\r\n",
        "G",
        "GET / HTTP/1.1\r\nHost: x\r\n\r",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabcd",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    ] {
        let mut client = server.connect();
        client.send(part);
        client.half_close();
        let rest = client.rest();
        let refusals = rest.windows(9).filter(|part| part == b"HTTP/1.1 ").count();
        assert!(
            rest.is_empty() || refusals == 1 && rest.starts_with(b"HTTP/1.1 400 "),
            "{part:?} gave {}",
            rest.escape_ascii()
        );
    }
    server.until_entries(2);
}

#[test]
fn a_silent_client_gets_nothing() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    client.expect_silence(Duration::from_millis(200));
    client.send(b"\r\n");
    client.expect_silence(Duration::from_millis(200));
    client.ask();
}

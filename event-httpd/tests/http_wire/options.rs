//! What the options add: header lines, dates, the echo, log formats.

use std::io::Read as _;
use std::process::Stdio;
use std::thread;

use nix::sys::signal::Signal;

use super::support_http::{
    Address, Client, GET, Process, Response, Server, event_httpd, printed, table, until,
};

#[track_caller]
fn first_answer(server: &Server) -> Response {
    let mut client = server.connect();
    let answer = client.ask();
    assert_eq!(answer.body, table([6]).as_bytes());
    answer
}

const TUTORIAL_LINES: &str = "HTTP/1.1 200 OK\r\n\
    Accept: application/json, text/plain, */*\r\n\
    Connection: keep-alive\r\n\
    Content-Length:65\r\n";

#[test]
fn header_lines_follow_the_tutorials_in_their_order() {
    let server = Server::start(&[
        "--header",
        "Cache-Control: no-store",
        "--header",
        "X-B:2",
        "--header",
        "X-A: a, \"b\": c",
    ]);
    let lines = "Cache-Control: no-store\r\nX-B: 2\r\nX-A: a, \"b\": c\r\n\r\n";
    assert_eq!(
        first_answer(&server).head,
        format!("{TUTORIAL_LINES}{lines}")
    );
    let mut client = server.connect();
    client.send("HEAD / HTTP/1.0\r\n\r\n");
    let head = client.answer_to_head();
    assert!(head.head.ends_with(lines), "{head:?}");
    client.expect_close();
}

#[test]
fn refusals_have_the_header_lines_too() {
    let server = Server::start(&["--header", "A: 1", "--header", "B: 2"]);
    for (request, status) in [
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("HEAD / HTTP/3.0\r\nHost: x\r\n\r\n", 505),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n",
            413,
        ),
    ] {
        let mut client = server.connect();
        client.send(request);
        let refusal = client.answer_to_head();
        assert_eq!(refusal.status, status, "{refusal:?}");
        assert_eq!(refusal.field("A"), Some("1"), "{refusal:?}");
        assert_eq!(refusal.field("B"), Some("2"), "{refusal:?}");
    }
}

#[test]
fn answers_have_a_date_where_asked() {
    let server = Server::start(&["--date", "--header", "A: b"]);
    let answer = first_answer(&server);
    answer.assert_dated();
    let date = answer.field("Date").unwrap();
    assert_eq!(
        answer.head,
        format!("{TUTORIAL_LINES}Date: {date}\r\nA: b\r\n\r\n")
    );
    let server = Server::start(&[]);
    assert_eq!(first_answer(&server).field("Date"), None);
}

#[test]
fn the_date_moves_with_the_clock() {
    let server = Server::start(&["--date"]);
    let mut client = server.connect();
    let first = client.ask();
    until("another date", || {
        let next = client.ask();
        next.assert_dated();
        (next.field("Date") != first.field("Date")).then_some(())
    });
}

#[test]
fn what_arrives_is_printed_where_asked() {
    let mut command = event_httpd(["serve", "--listen", "127.0.0.1:0", "--echo"]);
    command.stdout(Stdio::piped());
    let mut server = Server::run(command);
    let stdout = server.stdout();
    let mut client = server.connect();
    let requests: [&[u8]; 3] = [
        GET,
        b"POST /\x25 HTTP/1.1\r\nHost: x\r\nA: \xc3\xa4\xff\r\nContent-Length: 4\r\n\r\n\x00\xff\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
    ];
    for request in requests {
        client.send(request);
        assert_eq!(client.answer().status, 200);
    }
    let expected = requests.concat();
    assert_eq!(
        printed(stdout, expected.len()),
        String::from_utf8_lossy(&expected)
    );
}

#[test]
fn nothing_is_printed_unless_asked() {
    let mut command = event_httpd(["serve", "--listen", "127.0.0.1:0"]);
    command.stdout(Stdio::piped());
    let mut server = Server::run(command);
    let stdout = server.stdout();
    server.connect().ask();
    server.stop();
    assert_eq!(printed(stdout, 1000), "");
}

#[test]
fn an_echo_whose_reader_has_left_is_switched_off() {
    let mut command = event_httpd(["serve", "--listen", "127.0.0.1:0", "--echo"]);
    let (reader, writer) = std::io::pipe().unwrap();
    command.stdout(writer);
    let server = Server::run(command);
    drop(reader);
    let mut client = server.connect();
    for _ in 0..100 {
        client.ask();
    }
    let (status, log) = server.stop();
    assert_eq!(status.code(), Some(0), "{log:#?}");
    assert!(
        log.len() < 10,
        "a line for each request that was not printed: {log:#?}"
    );
}

#[test]
fn an_echo_to_a_full_disk_is_switched_off() {
    let mut command = event_httpd(["serve", "--listen", "127.0.0.1:0", "--echo"]);
    command.stdout(
        std::fs::File::options()
            .write(true)
            .open("/dev/full")
            .unwrap(),
    );
    let server = Server::run(command);
    let mut client = server.connect();
    for _ in 0..100 {
        client.ask();
    }
    let (status, _) = server.stop();
    assert_eq!(status.code(), Some(0));
}

#[test]
fn the_log_can_be_json_line_by_line() {
    let server = Server::start(&["--log-format", "json"]);
    let mut client = Client::connect(server.address()).unwrap();
    client.ask();
    let (status, log) = server.stop();
    assert_eq!(status.code(), Some(0));
    assert!(log.len() >= 2, "{log:#?}");
    for line in log {
        let value: serde_json::Value = serde_json::from_str(&line).unwrap_or_else(|error| {
            panic!("{line:?}: {error}");
        });
        assert!(value.is_object(), "{line:?}");
    }
}

#[test]
fn the_text_log_has_no_escapes_where_there_is_no_terminal() {
    let server = Server::start(&["-v", "--log-format", "text"]);
    server.connect().ask();
    // What a peer sends does not reach the log as it is.
    let mut client = server.connect();
    client.send("GET /\x1b[31m\n HTTP/1.1\r\n\r\n");
    assert_eq!(client.answer().status, 400);
    drop(client);
    let (_, log) = server.stop();
    for line in log {
        assert!(!line.contains('\x1b'), "{line:?}");
    }
}

/// Starts a server whose stderr is a pipe that nobody reads, and which logs every connection.
fn with_unread_log(options: &[&str]) -> (Process, std::io::PipeReader, Address) {
    let directory = tempfile::tempdir().unwrap().keep();
    let path = directory.join("socket");
    let listen = format!("unix:{}", path.display());
    let mut arguments = vec!["serve", "-v", "--listen", &listen];
    arguments.extend(options);
    let mut command = event_httpd(arguments);
    let (reader, writer) = std::io::pipe().unwrap();
    command.stderr(writer);
    let process = Process::spawn(command);
    let address = Address::Unix(path);
    // The socket's path is there before the socket listens.
    until("the server listens", || Client::connect(&address).ok());
    (process, reader, address)
}

#[test]
fn an_unread_log_does_not_block_the_server_and_dropped_lines_are_counted() {
    for format in ["text", "json"] {
        let (mut process, mut reader, address) = with_unread_log(&["--log-format", format]);
        for _ in 0..2000 {
            Client::connect(&address).unwrap().ask(); // two lines of 100 bytes each
        }
        process.signal(Signal::SIGTERM);
        let log = thread::spawn(move || {
            let mut log = String::new();
            reader.read_to_string(&mut log).map(|_count| log)
        });
        assert_eq!(process.end().code(), Some(0), "{format}");
        drop(process);
        let log = log.join().unwrap().unwrap();
        let told = "log lines were dropped: nobody read them";
        assert!(log.contains(told), "{format}: {}", log.len());
        assert!(log.lines().count() > 400, "what fits is there: {log}");
        if format == "json" {
            for line in log.lines() {
                serde_json::from_str::<serde_json::Value>(line).expect(line);
            }
        }
    }
}

#[test]
fn an_unread_echo_does_not_block_the_server_and_dropped_bytes_are_counted() {
    for workers in [&[][..], &["--workers", "1"]] {
        let mut options = vec!["serve", "--echo", "--listen", "127.0.0.1:0"];
        options.extend(workers);
        let mut command = event_httpd(options);
        let (mut reader, writer) = std::io::pipe().unwrap();
        command.stdout(writer);
        let server = Server::run(command);
        let mut client = server.connect();
        let request = [
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n".as_slice(),
            &[b'x'; 100_000],
        ]
        .concat();
        for _ in 0..40 {
            client.send(&request);
            assert_eq!(client.answer().status, 200);
        }
        server.line("--echo has dropped ");
        drop(client);
        let printed = thread::spawn(move || {
            let mut printed = Vec::new();
            reader.read_to_end(&mut printed).map(|_count| printed)
        });
        let (status, _log) = server.stop();
        assert_eq!(status.code(), Some(0));
        let printed = printed.join().unwrap().unwrap();
        assert!(printed.len() > 1 << 20, "{} were printed", printed.len());
        assert!(printed.starts_with(b"POST / HTTP/1.1\r\n"));
    }
}

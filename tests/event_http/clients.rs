//! Real clients: curl and ab.

use std::process::Command;

use super::OVER;
use crate::{Server, buffer, say};

/// What a program says, and whether it is content.
fn run(server: &Server, program: &'static str, arguments: Vec<String>) -> (bool, String) {
    server.serve(move |_| {
        let output = Command::new(program)
            .args(&arguments)
            .output()
            .unwrap_or_else(|error| panic!("{program}: {error}; install.sh --tests has it"));
        let text = [output.stdout, output.stderr].concat();
        (
            output.status.success(),
            String::from_utf8_lossy(&text).into_owned(),
        )
    })
}

fn curl(server: &Server, arguments: &[&str], path: &str) -> (bool, String) {
    let mut all: Vec<String> = ["--silent", "--show-error", "--insecure", "--max-time", "20"]
        .map(String::from)
        .into();
    all.extend(arguments.iter().map(|argument| String::from(*argument)));
    all.push(format!("{}://{}{path}", OVER.scheme(), server.address));
    run(server, "curl", all)
}

/// Answers `/chunks` in chunks, and everything else with what came.
fn echo() -> Server {
    let server = Server::with(OVER, |request| {
        let method = request.get_command().unwrap();
        let body = request.get_input_buffer();
        request
            .add_header(
                "Method",
                format!("{method:?}"),
                php_event::HeaderSide::Output,
            )
            .unwrap();
        request.send_reply(200, "OK", Some(&body)).unwrap();
    });
    let chunks = |request: &php_event::EventHttpRequest| {
        request.send_reply_start(200, "OK").unwrap();
        for n in 0..100 {
            request.send_reply_chunk(&buffer(format!("{n},"))).unwrap();
        }
        request.send_reply_end().unwrap();
    };
    server.http.set_callback("/chunks", chunks).unwrap();
    server
}

#[test]
fn curl_gets_what_it_posts() {
    let server = echo();
    let posted = "field=value&other=1";
    assert_eq!(
        curl(&server, &["--data", posted], "/"),
        (true, posted.to_owned())
    );
    let chunked = ["--header", "Transfer-Encoding: chunked", "--data", posted];
    assert_eq!(curl(&server, &chunked, "/"), (true, posted.to_owned()));
    assert_eq!(
        curl(&server, &["--http1.0", "--data", posted], "/"),
        (true, posted.to_owned())
    );
    assert_eq!(
        curl(&server, &["--request", "PUT", "--data", "x"], "/"),
        (true, "x".to_owned())
    );
}

#[test]
fn curl_reads_chunks_and_heads() {
    let server = echo();
    let whole: String = (0..100).map(|n| format!("{n},")).collect();
    assert_eq!(curl(&server, &[], "/chunks"), (true, whole.clone()));
    assert_eq!(curl(&server, &["--http1.0"], "/chunks"), (true, whole));
    let (well, head) = curl(&server, &["--head"], "/");
    assert!(
        well && head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains("HEAD"),
        "{head}"
    );
}

#[test]
fn curl_waits_for_the_100_and_sends_megabytes() {
    let server = echo();
    server.http.set_max_body_size(None).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    let body = "0123456789".repeat(300_000);
    std::fs::write(file.path(), &body).unwrap();
    let data = format!("@{}", file.path().display());
    let (well, echoed) = curl(
        &server,
        &["--header", "Expect: 100-continue", "--data-binary", &data],
        "/",
    );
    assert!(well && echoed == body, "{} bytes", echoed.len());
}

#[test]
fn curl_reuses_its_connection() {
    let server = Server::with(OVER, |request| {
        let (_, port) = request.get_connection().unwrap().get_peer().unwrap();
        say(request, format!("{port}\n"));
    });
    let second = format!("{}://{}/second", OVER.scheme(), server.address);
    let (well, ports) = curl(&server, &[&second], "/first");
    let ports: Vec<_> = ports.lines().collect();
    assert!(
        well && ports.len() == 2 && ports[0] == ports[1],
        "{ports:?}"
    );
}

#[test]
fn ab_has_all_its_requests_answered() {
    for keep_alive in [true, false] {
        let server = Server::with(OVER, |request| say(request, "hello"));
        let mut arguments = vec!["-q".to_owned(), "-n2000".to_owned(), "-c20".to_owned()];
        if keep_alive {
            arguments.push("-k".to_owned());
        }
        arguments.push(format!("{}://{}/", OVER.scheme(), server.address));
        let (well, report) = run(&server, "ab", arguments);
        assert!(well, "{report}");
        let count = |name: &str| {
            let line = report.lines().find(|line| line.starts_with(name));
            line.map(|line| line.split_whitespace().last().unwrap().to_owned())
        };
        assert_eq!(
            count("Complete requests:").as_deref(),
            Some("2000"),
            "{report}"
        );
        assert_eq!(count("Failed requests:").as_deref(), Some("0"), "{report}");
        let kept = if keep_alive { Some("2000") } else { None };
        assert_eq!(count("Keep-Alive requests:").as_deref(), kept, "{report}");
    }
}

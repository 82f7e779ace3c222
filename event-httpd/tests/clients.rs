//! Programs that people use: curl, ab, wrk, nc.

mod support_http;

use std::io::{ErrorKind, Write};
use std::process::{Command, Stdio};

use test_support::spawn;

use support_http::{Process, Server, output, printed, table};

/// A program that the tests call; they install nothing.
#[track_caller]
fn tool(name: &str) -> Command {
    let mut probe = Command::new(name);
    probe
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    match spawn(&mut probe) {
        Ok(mut child) => {
            child.kill().ok();
            child.wait().ok();
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            panic!("{name} is missing; `sh vendor/libevent/install.sh --tests` installs it");
        }
        Err(error) => panic!("{name} does not start: {error}"),
    }
    let mut command = Command::new(name);
    command.stdin(Stdio::null());
    command
}

/// Runs a program that must succeed; what it printed.
#[track_caller]
fn run(command: Command) -> String {
    let name = format!("{command:?}");
    let output = output(command);
    let (stdout, stderr) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(
        output.status.success(),
        "{name}: {}\n{stdout}\n{stderr}",
        output.status
    );
    stdout.into_owned()
}

#[track_caller]
fn curl(arguments: &[&str]) -> String {
    let mut command = tool("curl");
    // No configuration and no proxy of the tester's.
    command.args([
        "-q",
        "--silent",
        "--show-error",
        "--noproxy",
        "*",
        "--max-time",
        "15",
    ]);
    command.args(arguments);
    run(command)
}

#[test]
fn curl_gets_the_table_by_every_kind_of_request() {
    let server = Server::start(&[]);
    let url = format!("http://{}/a?b=c", server.address());
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("body");
    std::fs::write(&file, vec![b'a'; 1_000_000]).unwrap();
    let file = file.to_str().unwrap();
    let from_file = format!("@{file}");
    let cases: [&[&str]; 11] = [
        &[],
        &["--http1.0"],
        &["--data", "a=b"],
        &["--data-binary", &from_file],
        &[
            "--data-binary",
            &from_file,
            "--header",
            "Expect: 100-continue",
        ],
        &[
            "--data-binary",
            &from_file,
            "--header",
            "Transfer-Encoding: chunked",
        ],
        &["--form", &format!("file={from_file}")],
        &["--upload-file", file],
        &["--request", "DELETE"],
        &["--request", "OPTIONS", "--request-target", "*"],
        &["--header", "Connection: close", "--compressed"],
    ];
    for (number, arguments) in (6..).zip(cases) {
        server.until_entries(2);
        // `until_entries` has used one number by then, and may have used more.
        let printed = curl(&[&[url.as_str(), "--fail"], arguments].concat());
        assert!(
            printed.starts_with(r#"{"5":{"pending":true,"data":{}},""#),
            "{arguments:?}"
        );
        assert!(
            printed.ends_with(r#":{"pending":true,"data":null}}"#),
            "{arguments:?}"
        );
        assert!(
            printed.len() >= table([number]).len(),
            "{arguments:?}: {printed}"
        );
    }
}

#[test]
fn curl_gets_the_head_alone() {
    let server = Server::start(&[]);
    let printed = curl(&["--head", &format!("http://{}/", server.address())]);
    assert_eq!(
        printed,
        "HTTP/1.1 200 OK\r\nAccept: application/json, text/plain, */*\r\n\
         Connection: keep-alive\r\nContent-Length:65\r\n\r\n"
    );
}

#[test]
fn curl_uses_one_connection_for_two_urls() {
    let server = Server::start(&[]);
    let url = format!("http://{}/", server.address());
    let body = table([6]);
    assert_eq!(
        curl(&["--write-out", "|%{http_code} %{num_connects}\n", &url, &url]),
        format!("{body}|200 1\n{body}|200 0\n")
    );
    // HTTP/1.0 closes, so the second needs one of its own.
    let printed = curl(&["--http1.0", "--write-out", "|%{num_connects}\n", &url, &url]);
    assert_eq!(printed.matches("|1\n").count(), 2, "{printed}");
}

#[test]
fn curl_reads_a_refusal_while_it_still_sends() {
    let server = Server::start(&[]);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("body");
    std::fs::write(&file, vec![b'a'; 8_000_000]).unwrap();
    let url = format!("http://{}/", server.address());
    for header in [
        "Expect:",
        "Expect: 100-continue",
        "Transfer-Encoding: chunked",
    ] {
        let printed = curl(&[
            "--upload-file",
            file.to_str().unwrap(),
            "--header",
            header,
            "--write-out",
            "|%{http_code}",
            &url,
        ]);
        assert!(printed.ends_with("|413"), "{header}: {printed}");
        assert!(printed.len() > "|413".len() + 10, "{header}: no reason");
    }
}

#[test]
fn curl_speaks_over_ipv6_and_unix_sockets() {
    let server = Server::start(&["--listen", "[::1]:0"]);
    assert_eq!(
        curl(&["--globoff", &format!("http://{}/", server.address())]),
        table([6])
    );
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket").display().to_string();
    let _server = Server::start(&["--listen", &format!("unix:{path}")]);
    assert_eq!(curl(&["--unix-socket", &path, "http://x/"]), table([6]));
}

/// The number that `ab` prints after a label; 0 if it leaves the line out.
fn reported(report: &str, label: &str) -> u64 {
    let Some(line) = report.lines().find(|line| line.starts_with(label)) else {
        return 0;
    };
    let number = line[label.len()..].split_whitespace().next().unwrap();
    number.parse().unwrap_or_else(|_| panic!("{line}"))
}

#[test]
fn ab_has_no_failure_with_and_without_keep_alive() {
    let server = Server::start(&[]);
    for (keep_alive, requests) in [(true, 20_000), (false, 5000)] {
        let mut command = tool("ab");
        // -l: the table is as long as there are connections.
        command.args(["-q", "-l", "-c", "64", "-n", &requests.to_string()]);
        if keep_alive {
            command.arg("-k");
        }
        command.arg(format!("http://{}/", server.address()));
        let report = run(command);
        assert_eq!(
            reported(&report, "Complete requests:"),
            requests,
            "{report}"
        );
        assert_eq!(reported(&report, "Failed requests:"), 0, "{report}");
        assert_eq!(reported(&report, "Write errors:"), 0, "{report}");
        assert_eq!(reported(&report, "Non-2xx responses:"), 0, "{report}");
        let kept = if keep_alive { requests } else { 0 };
        assert_eq!(reported(&report, "Keep-Alive requests:"), kept, "{report}");
        server.until_entries(2);
    }
}

#[test]
fn wrk_has_no_failure() {
    let server = Server::start(&[]);
    let mut command = tool("wrk");
    command.args([
        "-t1",
        "-c64",
        "-d2s",
        &format!("http://{}/", server.address()),
    ]);
    let report = run(command);
    assert!(report.contains(" requests in "), "{report}");
    assert!(!report.contains(" 0 requests in "), "{report}");
    assert!(!report.contains("Socket errors"), "{report}");
    assert!(!report.contains("Non-2xx"), "{report}");
    server.until_entries(2);
}

#[track_caller]
fn nc(arguments: &[&str], input: &[u8]) -> String {
    let mut command = tool("nc");
    let (reader, mut writer) = std::io::pipe().unwrap();
    command.args(arguments).stdin(reader);
    writer.write_all(input).unwrap(); // little enough for the pipe
    drop(writer);
    run(command)
}

#[test]
fn nc_gets_the_tutorials_answer() {
    let server = Server::start(&[]);
    let port = server.port().to_string();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket").display().to_string();
    let _unix = Server::start(&["--listen", &format!("unix:{path}")]);
    for arguments in [&["127.0.0.1", port.as_str()][..], &["-U", &path]] {
        assert_eq!(
            nc(arguments, support_http::LAST),
            "HTTP/1.1 200 OK\r\nAccept: application/json, text/plain, */*\r\n\
             Connection: close\r\nContent-Length:65\r\n\r\n"
                .to_owned()
                + &table([6])
        );
    }
}

#[test]
fn nc_that_types_a_request_by_hand_is_answered_once() {
    let server = Server::start(&[]);
    let mut other = server.connect();
    other.ask();
    let mut command = tool("nc");
    command
        .args(["127.0.0.1", &server.port().to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut nc = Process::spawn(command);
    let mut stdin = nc.stdin();
    for line in [
        "GET / HTTP/1.1\r\n",
        "Host: x\r\n",
        "Connection: close\r\n",
        "\r\n",
    ] {
        stdin.write_all(line.as_bytes()).unwrap();
        other.ask();
    }
    drop(stdin);
    let answer = printed(nc.stdout(), usize::MAX);
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(
        answer.ends_with(&format!("\r\n\r\n{}", table([6, 7]))),
        "{answer}"
    );
    assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
    assert!(nc.end().success());
}

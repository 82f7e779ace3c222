//! The HTTP examples, spoken to by curl.

use std::process::Command;

#[cfg(feature = "openssl")]
use crate::support::outcome;
use crate::support::{Server, talk};

/// What curl prints, which must not fail.
fn curl(server: &Server, path: &str, arguments: &[&str]) -> String {
    let url = format!("http://{}{path}", server.address);
    let mut curl = Command::new("curl");
    curl.args(["-sS", "--noproxy", "*", "--max-time", "20"]);
    talk(curl.args(arguments).arg(url), b"")
}

#[test]
fn http_server_answers_its_routes() {
    let server = Server::start_with("http_server", &["0"]);
    assert_eq!(curl(&server, "/", &[]), "it works\n");
    assert_eq!(curl(&server, "/hello", &[]), "hello, whoever you are\n");
    assert_eq!(curl(&server, "/hello?a=b&name=you", &[]), "hello, you\n");
    assert_eq!(curl(&server, "/echo", &["-d", "this text"]), "this text");
    assert_eq!(curl(&server, "/late", &[]), "at last\n");
    let code = curl(
        &server,
        "/nowhere",
        &["-o", "/dev/null", "-w", "%{http_code}"],
    );
    assert_eq!(code, "404");
}

#[test]
fn http_server_sends_a_body_in_chunks() {
    let server = Server::start_with("http_server", &["0"]);
    let answer = curl(&server, "/count", &["-i", "--raw"]);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("Transfer-Encoding: chunked"), "{head}");
    assert_eq!(body, "2\r\n1\n\r\n2\r\n2\n\r\n2\r\n3\n\r\n0\r\n\r\n");
    assert_eq!(curl(&server, "/count", &[]), "1\n2\n3\n");
}

#[test]
fn http_server_outlives_clients_that_go_before_their_answer() {
    let server = Server::start_with("http_server", &["0"]);
    let none = server.descriptors();
    for path in ["late", "count"] {
        let mut client = server.connect();
        client.send(format!("GET /{path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
        client.reset();
    }
    assert!(server.comes_to_hold(none));
    assert_eq!(curl(&server, "/late", &[]), "at last\n");
    assert!(server.falls_asleep());
}

#[test]
#[cfg(feature = "openssl")]
fn http_client_prints_an_answer_or_why_there_is_none() {
    let server = Server::start_with("http_server", &["0"]);
    let (host, port) = server.address.rsplit_once(':').unwrap();
    let get = |path| outcome("http_client", &[host, port, path]);
    let (success, printed, errors) = get("/hello?name=you");
    assert!(success, "{errors}");
    assert!(printed.starts_with("200\n"), "{printed}");
    assert!(printed.contains("Content-Type: text/plain; charset=utf-8\n"));
    assert!(printed.ends_with("\n\nhello, you\n\n"), "{printed}");
    let (_, printed, _) = get("/count");
    assert!(printed.ends_with("\n\n1\n2\n3\n\n"), "{printed}");
    assert!(get("/nowhere").1.starts_with("404\n"));
    drop(server.process);
    let cause = "no connection could be made: connection refused\n";
    let nobody = (false, String::new(), cause.into());
    assert_eq!(outcome("http_client", &[host, port, "/"]), nobody);
}

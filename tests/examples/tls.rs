//! The examples that speak TLS, spoken to by `openssl s_client` and curl.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use crate::support::{Program, Server, outcome, talk};
use test_support::tls::{Authority, Folder};

/// A certificate for this machine, its key, and its authority's certificate.
struct Paths {
    folder: Folder,
}

impl Paths {
    fn new() -> Self {
        let (folder, authority) = (Folder::new(), Authority::new());
        authority
            .sign(&["localhost", "127.0.0.1"])
            .save(&folder, "server");
        authority.save(&folder, "authority");
        Self { folder }
    }

    fn path(&self, name: &str) -> String {
        let path: &Path = self.folder.path();
        path.join(name).to_str().unwrap().to_owned()
    }

    fn start(&self, example: &str, arguments: &[&str]) -> Server {
        let (cert, key) = (self.path("server.crt"), self.path("server.key"));
        Server::start_with(example, &[&[cert.as_str(), &key], arguments].concat())
    }

    /// A client that wants the right certificate.
    fn s_client(&self, server: &Server, arguments: &[&str]) -> Program {
        let mut client = Command::new("openssl");
        client.args(["s_client", "-quiet", "-verify_return_error"]);
        client.args(["-verify_hostname", "localhost", "-CAfile"]);
        client.arg(self.path("authority.crt"));
        client.args(["-connect", &server.address]).args(arguments);
        Program::start(client.stderr(Stdio::null()))
    }

    /// What curl prints, which wants the right certificate, too.
    fn curl(&self, server: &Server, path: &str, arguments: &[&str]) -> String {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--noproxy", "*", "--max-time", "120", "--cacert"]);
        curl.arg(self.path("authority.crt")).args(arguments);
        talk(curl.arg(format!("https://{}{path}", server.address)), b"")
    }
}

#[test]
fn echo_tls_answers_s_client_in_both_versions() {
    let paths = Paths::new();
    let mut server = paths.start("echo_tls", &["127.0.0.1:0"]);
    for (option, version) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let mut client = paths.s_client(&server, &[option]);
        client.say(b"through TLS\n");
        client.expect("through TLS\n");
        client.say(b"twice\n");
        client.expect("twice\n");
        assert_eq!(server.printed_line(), version);
        drop(client); // killed, so that it does not end the session in TLS
        assert!(server.printed_line().contains("unexpected eof"));
    }
}

#[test]
fn echo_tls_reports_why_a_client_is_refused_and_serves_the_next() {
    let paths = Paths::new();
    let mut server = paths.start("echo_tls", &["127.0.0.1:0"]);
    let none = server.descriptors();
    server.connect().send(b"no TLS at all, but plain text\n");
    let told = server.printed_line();
    assert!(
        told.contains("version number") || told.contains("packet"),
        "{told}"
    );
    assert!(server.comes_to_hold(none));
    assert!(server.falls_asleep());
    let mut client = paths.s_client(&server, &[]);
    client.say(b"with TLS\n");
    client.expect("with TLS\n");
}

#[test]
fn tls_proxy_gives_curl_what_the_plain_server_behind_it_answers() {
    let paths = Paths::new();
    let behind = Server::start_with("http_server", &["0"]);
    let proxy = paths.start("tls_proxy", &[&behind.address, "127.0.0.1:0"]);
    let none = proxy.descriptors();
    let curl = |path: &str, arguments: &[&str]| paths.curl(&proxy, path, arguments);
    assert_eq!(curl("/", &[]), "it works\n");
    assert_eq!(curl("/count", &[]), "1\n2\n3\n");
    let body = "0123456789abcdef".repeat(50_000);
    std::fs::write(paths.path("body"), &body).unwrap();
    let file = format!("@{}", paths.path("body"));
    assert!(curl("/echo", &["--data-binary", &file]) == body);
    assert!(proxy.comes_to_hold(none));
    assert!(proxy.falls_asleep());
}

#[test]
fn tls_proxy_passes_all_that_comes_before_the_end() {
    let (paths, body) = (Paths::new(), "0123456789abcdef".repeat(1 << 20));
    let behind = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = behind.local_addr().unwrap().to_string();
    let proxy = paths.start("tls_proxy", &[&address, "127.0.0.1:0"]);
    let answer = format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{body}");
    let serving = thread::spawn(move || {
        let mut client = BufReader::new(behind.accept().unwrap().0);
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            client.read_line(&mut line).unwrap();
        }
        client.get_mut().write_all(answer.as_bytes()).unwrap();
    });
    // Slower than the proxy, so that much is on its way when the server ends.
    let got = paths.curl(&proxy, "/", &["--limit-rate", "30M"]);
    serving.join().unwrap();
    assert!(got == body, "{} bytes", got.len());
}

#[test]
fn tls_proxy_closes_a_client_when_its_backend_is_down() {
    let paths = Paths::new();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = closed.local_addr().unwrap().to_string();
    drop(closed);
    let proxy = paths.start("tls_proxy", &[&address, "127.0.0.1:0"]);
    drop(proxy.connect().leave()); // to whom an alert may come
    assert!(proxy.falls_asleep());
}

#[test]
fn http_client_gets_the_page_of_s_server_if_its_certificate_is_right() {
    let paths = Paths::new();
    let mut server = Command::new("openssl");
    server.args(["s_server", "-accept", "127.0.0.1:0", "-www"]);
    server.args(["-cert", &paths.path("server.crt")]);
    server.args(["-key", &paths.path("server.key")]);
    let mut server = Program::start(server.stderr(Stdio::null()));
    let ready = loop {
        let line = server.line();
        if let Some(address) = line.strip_prefix("ACCEPT ") {
            break address.trim_end().to_owned();
        }
    };
    let (host, port) = ready.rsplit_once(':').unwrap();
    let authority = paths.path("authority.crt");
    let (success, printed, errors) = outcome("http_client", &[host, port, "/", &authority]);
    assert!(success, "{errors}");
    assert!(printed.starts_with("200\n"), "{printed}");
    assert!(printed.contains("s_server -accept"), "{printed}");
    let (success, printed, errors) = outcome("http_client", &[host, port, "/", "tls"]);
    assert!(!success && printed.is_empty(), "{printed}");
    assert!(errors.contains("certificate verify failed"), "{errors}");
}

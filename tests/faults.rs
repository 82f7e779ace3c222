//! Programs on the library while one system call, or one allocation inside libevent, fails: they
//! go on, or give up with a message. No peer gets a wrong byte, hangs, or sees a crash.
//!
//! The programs are the examples, as servers and as clients.
#![cfg(feature = "openssl")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::sync::{LazyLock, OnceLock};
use std::thread;

use openssl::ssl::{
    HandshakeError, SslAcceptor, SslConnector, SslFiletype, SslMethod, SslVerifyMode,
};
use test_support::dns::{self, Reply, ips};
use test_support::faults::{Outcome, Run, explore, explore_last, explore_lasting, limit};
use test_support::tls::server_file;

const SAID: &[u8] = b"said over an encrypted line";

/// An example. `cargo test` builds them, unless it is told which tests to run.
fn example(name: &str) -> Command {
    let test = std::env::current_exe().unwrap();
    let path = test.parent().unwrap().with_file_name("examples").join(name);
    assert!(
        path.exists(),
        "{} is missing: cargo build --examples",
        path.display()
    );
    Command::new(path)
}

/// A server that is to send bytes back, possibly over TLS, on a unix socket.
fn echo(run: &Run, mut command: Command, tls: bool) -> Result<Outcome, String> {
    let socket = run.path("socket");
    command.arg(format!("unix:{}", socket.display()));
    let mut program = run.start(command);
    let mut served = 0;
    for attempt in run.tries() {
        let Some(stream) = program.connect(&socket)? else {
            return program.end();
        };
        let echoed = if tls {
            echoed_over_tls(run, stream)?
        } else {
            echoed(run, stream)?
        };
        if !SAID.starts_with(&echoed) {
            return Err(format!("wrong bytes: {}", echoed.escape_ascii()));
        }
        served += usize::from(echoed == SAID);
        if !run.has_fault() && served != attempt + 1 {
            return Err(format!("only {}", echoed.escape_ascii()));
        }
        if served == 2 {
            break;
        }
    }
    if served == 0 && !run.is_endless() {
        return Err("nobody is served afterwards".to_owned());
    }
    program.rest_and_end()
}

/// Says something, and reads until all of it has come back.
fn echoed(run: &Run, mut stream: impl Read + Write) -> Result<Vec<u8>, String> {
    stream.write_all(SAID).ok();
    run.read_all(stream.take(SAID.len() as u64))
}

/// The same over TLS; nothing if there is no handshake.
fn echoed_over_tls(run: &Run, stream: UnixStream) -> Result<Vec<u8>, String> {
    over_tls(run, stream, SAID, SAID.len())
}

/// Says something over TLS, and reads so much, or up to the end.
fn over_tls<S: Read + Write>(
    run: &Run,
    stream: S,
    said: &[u8],
    length: usize,
) -> Result<Vec<u8>, String> {
    static CONNECTOR: LazyLock<SslConnector> = LazyLock::new(|| {
        let mut connector = SslConnector::builder(SslMethod::tls()).unwrap();
        connector.set_verify(SslVerifyMode::NONE);
        connector.build()
    });
    let ssl = CONNECTOR.configure().unwrap().verify_hostname(false);
    match ssl.connect("localhost", stream) {
        Ok(mut stream) => {
            stream.write_all(said).ok();
            let mut heard = Vec::new();
            let mut part = [0; 64];
            while heard.len() < length {
                match stream.ssl_read(&mut part) {
                    Ok(count) => heard.extend_from_slice(&part[..count]),
                    Err(error) if error.io_error().is_some_and(is_timeout) && !run.is_endless() => {
                        return Err("a connection hangs".to_owned());
                    }
                    Err(_) => break, // closed
                }
            }
            Ok(heard)
        }
        Err(HandshakeError::WouldBlock(_)) if !run.is_endless() => {
            Err("a handshake hangs".to_owned())
        }
        Err(_) => Ok(Vec::new()),
    }
}

fn is_timeout(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::WouldBlock
}

fn certified(name: &str) -> Command {
    let mut command = example(name);
    command.args([server_file(), server_file()]);
    command
}

/// A server in this process that says a line to everyone who has asked, for TLS or without.
fn answering(tls: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).unwrap();
        acceptor.set_certificate_chain_file(server_file()).unwrap();
        let file = SslFiletype::PEM;
        acceptor.set_private_key_file(server_file(), file).unwrap();
        let acceptor = acceptor.build();
        for stream in listener.incoming() {
            let (stream, acceptor) = (stream.unwrap(), acceptor.clone());
            limit(&stream);
            thread::spawn(move || {
                if tls {
                    acceptor.accept(stream).map(answer).ok();
                } else {
                    answer(stream);
                }
            });
        }
    });
    address.port().to_string()
}

fn answer(mut stream: impl Read + Write) {
    let mut request = Vec::new();
    let mut part = [0; 1024];
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read(&mut part) {
            Ok(0) | Err(_) => return,
            Ok(count) => request.extend_from_slice(&part[..count]),
        }
    }
    let body = String::from_utf8_lossy(SAID);
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(answer.as_bytes()).ok();
    // The client ends the connection.
    stream.read_to_end(&mut request).ok();
}

/// A client that ends by itself: it prints exactly this, or gives up. Where there is no memory any
/// more, it may have to be told to: libevent tries again and again to make room for what TLS brings.
fn client(run: &Run, command: Command, printed: &str) -> Result<Outcome, String> {
    let mut program = run.start(command);
    if run.is_out_of_memory() && !program.ends_by_itself() {
        program.terminate();
        return program.end().map(|_told| Outcome::GaveUp);
    }
    let stdout = run.path("stdout");
    let outcome = program.end()?;
    let stdout = std::fs::read_to_string(stdout).unwrap();
    match outcome {
        Outcome::Served if stdout == printed => Ok(outcome),
        Outcome::GaveUp if stdout.is_empty() || printed.starts_with(&stdout) => Ok(outcome),
        _ => Err(format!("{outcome:?}, and it printed {stdout:?}")),
    }
}

#[test]
// Skipped under Valgrind and ASan: another library is loaded before theirs.
fn a_server_of_events_survives_every_call_that_fails() {
    explore("echo_events", |run| {
        echo(run, example("echo_events"), false)
    });
}

#[test]
// Skipped under Valgrind and ASan: another library is loaded before theirs.
fn a_server_of_buffer_events_survives_every_call_that_fails() {
    explore("echo_buffer_events", |run| {
        echo(run, example("echo_buffer_events"), false)
    });
}

#[test]
// Skipped under Valgrind and ASan: another library is loaded before theirs.
fn a_tls_server_survives_every_call_that_fails() {
    explore("echo_tls", |run| echo(run, certified("echo_tls"), true));
}

/// libevent watches the socket anew at the end of a handshake, and ignores that the kernel refuses.
#[test]
// Skipped under Valgrind and ASan: another library is loaded before theirs.
fn a_connection_that_cannot_be_watched_after_its_handshake_ends() {
    explore_lasting("echo_tls, watching", "epoll_ctl", |run| {
        echo(run, certified("echo_tls"), true)
    });
}

#[test]
// Skipped under Valgrind and ASan: another library is loaded before theirs.
fn an_http_client_survives_every_call_that_fails() {
    let port = answering(false);
    explore("http_client", |run| {
        let mut command = example("http_client");
        command.args(["127.0.0.1", &port, "/"]);
        client(run, command, &printed())
    });
}

#[test]
// Skipped under Valgrind and ASan: another library is loaded before theirs.
fn an_http_client_over_tls_survives_every_call_that_fails() {
    let port = answering(true);
    explore("http_client over TLS", |run| {
        let mut command = example("http_client");
        command.args(["127.0.0.1", &port, "/"]).arg(server_file());
        client(run, command, &printed())
    });
}

/// Three requests on a connection: a route, a body that is sent back, and a reply in pieces.
const REQUESTS: &str = "GET /hello?name=you HTTP/1.1\r\nHost: h\r\n\r\n\
     POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nsaid\
     GET /count HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";

/// The replies without their dates, as far as they came.
fn replies(run: &Run, mut stream: TcpStream, tls: bool) -> Result<String, String> {
    let replies = if tls {
        over_tls(run, stream, REQUESTS.as_bytes(), usize::MAX)?
    } else {
        stream.write_all(REQUESTS.as_bytes()).ok();
        run.read_all(stream)?
    };
    let replies = String::from_utf8(replies).map_err(|error| error.to_string())?;
    let lines = replies.split_inclusive('\n');
    Ok(lines.filter(|line| !line.starts_with("Date: ")).collect())
}

/// A server of the example, possibly over TLS. `whole` is what comes without a fault.
fn http(run: &Run, whole: &OnceLock<String>, tls: bool) -> Result<Outcome, String> {
    let mut command = example("http_server");
    command.arg("0");
    if tls {
        command.args([server_file(), server_file()]);
    }
    let mut program = run.start(command);
    let mut is_served = false;
    for _ in run.tries() {
        let Some(stream) = program.connect_to_logged()? else {
            return program.end();
        };
        let got = replies(run, stream, tls)?;
        let is_whole =
            got.contains("hello, you\n") && got.contains("said") && got.ends_with("0\r\n\r\n");
        if !run.has_fault() && !is_whole {
            return Err(format!("only {got:?}"));
        }
        let whole = whole.get_or_init(|| got.clone());
        let (_, rest) = got.split_at(common(&got, whole));
        if !rest.is_empty() && !rest.starts_with("HTTP/1.1 5") {
            return Err(format!("wrong bytes: {got:?}"));
        }
        is_served = got == *whole;
        if is_served {
            break;
        }
    }
    if !is_served && !run.is_endless() {
        return Err("nobody is served afterwards".to_owned());
    }
    program.rest_and_end()
}

#[test]
// Skipped under Valgrind and ASan: another library is loaded before theirs.
fn an_http_server_survives_every_call_that_fails() {
    let whole = OnceLock::new();
    explore("http_server", |run| http(run, &whole, false));
}

#[test]
// Skipped under Valgrind and ASan: another library is loaded before theirs.
fn an_http_server_over_tls_survives_every_call_that_fails() {
    let whole = OnceLock::new();
    explore("http_server over TLS", |run| http(run, &whole, true));
}

/// The length of what is the same, without a reply that differs later.
fn common(got: &str, whole: &str) -> usize {
    if whole.starts_with(got) {
        return got.len();
    }
    let same = got.bytes().zip(whole.bytes());
    let length = same.take_while(|(one, other)| one == other).count();
    got.get(..length)
        .and_then(|same| same.rfind("HTTP/1.1 "))
        .unwrap_or(0)
}

/// What the example prints of an answer.
fn printed() -> String {
    let body = String::from_utf8_lossy(SAID);
    format!("200\nContent-Length: {}\n\n{body}\n", body.len())
}

#[test]
// Skipped under Valgrind and ASan: another library is loaded before theirs.
fn a_dns_lookup_survives_every_call_that_fails() {
    let server = dns::Server::always(Reply::Addresses(ips(&["192.0.2.1"])));
    let address = server.address();
    explore("dns", |run| {
        let mut command = example("dns");
        command.args([&format!("@{address}"), "host.example"]);
        let outcome = run.start(command).end()?;
        let printed = std::fs::read_to_string(run.path("stdout")).unwrap();
        match outcome {
            // A lookup may fail, but may not give another address.
            Outcome::Served if printed == "host.example: [192.0.2.1]\n" => Ok(outcome),
            Outcome::Served if run.has_fault() && !printed.contains('[') => Ok(outcome),
            Outcome::GaveUp if !printed.contains('[') => Ok(outcome),
            _ => Err(format!("{outcome:?}, and it printed {printed:?}")),
        }
    });
}

/// libevent ignores it when it connects, and the client would wait for an answer it cannot see.
#[test]
// Skipped under Valgrind and ASan: another library is loaded before theirs.
fn an_http_client_whose_socket_cannot_be_watched_gives_up() {
    let port = answering(false);
    explore_last("http_client, watching", "epoll_ctl", 20, |run| {
        let mut command = example("http_client");
        command.args(["127.0.0.1", &port, "/"]);
        client(run, command, &printed())
    });
}

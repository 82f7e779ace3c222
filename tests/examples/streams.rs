//! The examples that pass bytes from one peer to another.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;

use crate::support::{LIMIT, Program, Server, nc, noise};

/// A client of the chat, and what the server calls it.
fn join(server: &Server, others: usize) -> (Program, String) {
    let mut client = Program::start(&mut nc(server));
    let line = client.line();
    let (name, rest) = line.split_once(", ").unwrap();
    assert_eq!(rest, format!("with {others} others\n"));
    (client, name.strip_prefix("you are ").unwrap().to_owned())
}

#[test]
fn chat_passes_each_line_to_all_others() {
    let server = Server::start_with("chat", &["127.0.0.1:0"]);
    let (mut one, name) = join(&server, 0);
    let (mut two, other_name) = join(&server, 1);
    let (mut three, _) = join(&server, 2);
    assert_ne!(name, other_name);
    one.say(b"from one\nhalf a ");
    two.expect("from one\n");
    three.expect("from one\n");
    two.say(b"\nfrom two\n");
    one.expect("\nfrom two\n"); // its own did not come back
    three.expect("\nfrom two\n");
    assert_eq!(three.leave(), "");
    one.say(b"line\n");
    two.expect("half a line\n");
    assert_eq!(two.leave(), "");
    assert_eq!(one.leave(), "");
    assert_eq!(join(&server, 0).0.leave(), "");
}

#[test]
fn chat_does_not_keep_a_client_whose_line_never_ends() {
    let server = Server::start_with("chat", &["127.0.0.1:0"]);
    let mut client = server.connect();
    client.0.write_all(&[b'x'; 70_000]).ok(); // it may not take all of them
    let mut greeting = Vec::new();
    let read = client.0.read_to_end(&mut greeting);
    assert!(read.is_ok() || read.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset));
    assert_eq!(join(&server, 0).0.leave(), "");
}

/// A proxy in front of a server that is the test.
fn proxy() -> (Server, TcpListener) {
    let upstream = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = upstream.local_addr().unwrap().to_string();
    let proxy = Server::start_with("uppercase_proxy", &[&address, "127.0.0.1:0"]);
    (proxy, upstream)
}

fn accept(listener: &TcpListener) -> TcpStream {
    let (stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream
}

#[test]
fn uppercase_proxy_changes_what_passes_in_both_directions() {
    let (proxy, upstream) = proxy();
    let mut client = Program::start(&mut nc(&proxy));
    client.say(b"Is it you?\n");
    let mut server = accept(&upstream);
    let mut bytes = [0; 11];
    server.read_exact(&mut bytes).unwrap();
    assert_eq!(bytes, *b"IS IT YOU?\n");
    server.write_all("yes, \u{e9}\n".as_bytes()).unwrap();
    client.expect("YES, \u{e9}\n");
    client.say(b"bye\n");
    assert_eq!(client.leave(), "");
    let mut rest = String::new();
    server.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "BYE\n", "what came before the end is passed on");
}

#[test]
fn uppercase_proxy_passes_megabytes_and_both_sides_ends() {
    let (proxy, upstream) = proxy();
    let none = proxy.descriptors();
    let sent = noise(4 << 20);
    for client_sends in [true, false] {
        let client = proxy.connect().0;
        let server = accept(&upstream);
        let (mut from, mut to) = if client_sends {
            (client, server)
        } else {
            (server, client)
        };
        let bytes = sent.clone();
        let writing = thread::spawn(move || {
            from.write_all(&bytes).unwrap();
            from.shutdown(Shutdown::Write).unwrap();
            from // not closed before all is read
        });
        let mut passed = Vec::new();
        to.read_to_end(&mut passed).unwrap();
        drop(writing.join().unwrap());
        assert!(
            passed == sent.to_ascii_uppercase(),
            "{} bytes",
            passed.len()
        );
        drop(to);
        assert!(proxy.comes_to_hold(none));
        assert!(proxy.falls_asleep());
    }
}

#[test]
fn uppercase_proxy_closes_a_client_when_its_backend_is_down() {
    let (proxy, upstream) = proxy();
    drop(upstream);
    assert_eq!(proxy.connect().leave(), "");
    assert!(proxy.falls_asleep());
}

//! Where it listens: TCP over IPv4 and IPv6, unix sockets, ports shared on purpose.

use std::fs;
use std::os::unix::fs::FileTypeExt;

use nix::sys::signal::Signal;

use super::support_http::{
    Address, Client, GET, LAST, Server, event_httpd, output, shell, table, until,
};

#[test]
fn port_0_takes_a_free_port_and_names_it() {
    let (one, two) = (Server::start(&[]), Server::start(&[]));
    assert_ne!(one.port(), 0);
    assert_ne!(one.address(), two.address());
    one.connect().ask();
    two.connect().ask();
}

#[test]
fn ipv6_is_listened_on_and_named_in_brackets() {
    let server = Server::start(&["--listen", "[::1]:0"]);
    assert!(server.line("listening on ").contains("listening on [::1]:"));
    let mut client = server.connect();
    assert_eq!(client.ask().body, table([6]).as_bytes());
}

#[test]
fn every_address_is_listened_on_where_asked() {
    let server = Server::start(&["--listen", "0.0.0.0:0"]);
    assert!(
        server
            .line("listening on ")
            .contains("listening on 0.0.0.0:")
    );
    server.connect().ask();
}

#[test]
fn a_unix_socket_is_served_like_tcp() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let listen = format!("unix:{}", path.display());
    let server = Server::start(&["--listen", &listen]);
    assert!(
        server
            .line("listening on ")
            .contains(&format!("listening on {listen}"))
    );
    assert_eq!(*server.address(), Address::Unix(path.clone()));
    assert!(fs::metadata(&path).unwrap().file_type().is_socket());

    let mut one = server.connect();
    assert_eq!(one.ask().body, table([6]).as_bytes());
    let mut two = server.connect();
    assert_eq!(two.ask().body, table([6, 7]).as_bytes());
    drop(one);
    server.until_entries(3);
    two.send(GET.repeat(300));
    two.half_close();
    for _ in 0..300 {
        assert_eq!(two.answer().status, 200);
    }
    two.expect_close();

    let mut bad = server.connect();
    bad.send([b"GET / HTTP/1.1\r\n\r\n", LAST].concat());
    assert_eq!(bad.answer().status, 400);
    bad.expect_close();
    drop(bad);

    let (status, _) = server.stop();
    assert_eq!(status.code(), Some(0));
    // It can be started again in the same place.
    let server = Server::start(&["--listen", &listen]);
    server.connect().ask();
}

#[test]
fn a_unix_socket_left_by_a_killed_server_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let listen = format!("unix:{}", path.display());
    let server = Server::start(&["--listen", &listen]);
    server.process().signal(Signal::SIGKILL);
    server.end();
    assert!(path.exists());
    let server = Server::start(&["--listen", &listen]);
    server.connect().ask();
    server.stop();
    assert!(!path.exists(), "it is removed at the end");
}

#[test]
fn a_unix_socket_in_use_is_not_taken_over() {
    let directory = tempfile::tempdir().unwrap();
    let listen = format!("unix:{}", directory.path().join("socket").display());
    let server = Server::start(&["--listen", &listen]);
    let second = output(event_httpd(["serve", "--listen", &listen]));
    assert_eq!(second.status.code(), Some(1));
    server.connect().ask();
}

#[test]
fn a_port_is_shared_only_if_both_servers_ask_for_it() {
    let first = Server::start(&["--share-port"]);
    let address = first.address().to_string();
    let strict = output(event_httpd(["serve", "--listen", &address]));
    assert_eq!(strict.status.code(), Some(1), "{strict:?}");
    let second = Server::start(&["--listen", &address, "--share-port"]);
    assert_eq!(second.address(), first.address());
    // The kernel deals connections out to both: each has its own table.
    let mut clients = Vec::new();
    until("a connection for each", || {
        let mut client = first.connect();
        let numbers = client.ask().numbers();
        clients.push(client);
        (numbers.len() < clients.len() + 1 && numbers.len() > 2).then_some(())
    });

    let first = Server::start(&[]);
    let address = first.address().to_string();
    let second = output(event_httpd(["serve", "--listen", &address, "--share-port"]));
    assert_eq!(second.status.code(), Some(1), "{second:?}");
}

#[test]
fn a_small_backlog_loses_no_client() {
    let server = Server::start(&["--backlog", "1"]);
    for _ in 0..50 {
        server.connect().ask();
    }
}

#[test]
fn a_name_is_listened_on_at_each_of_its_addresses() {
    use std::net::{SocketAddr, ToSocketAddrs};
    let known: Vec<SocketAddr> = ("localhost", 0).to_socket_addrs().unwrap().collect();
    for workers in [&[][..], &["--workers", "2"]] {
        let options = [workers, &["--listen", "localhost:0"]].concat();
        let server = Server::start(&options);
        let line = server.line("listening on ");
        let port = server.port();
        for address in &known {
            let address = SocketAddr::new(address.ip(), port);
            assert!(
                line.contains(&address.to_string()),
                "no {address} in {line}"
            );
            let mut client = Client::connect(&Address::Tcp(address)).unwrap();
            assert_eq!(client.ask().status, 200);
        }
    }
}

#[test]
fn the_file_of_a_unix_socket_has_the_mode_and_group_that_are_wanted() {
    use std::os::unix::fs::MetadataExt;
    let directory = tempfile::tempdir().unwrap();
    let own = fs::metadata(directory.path()).unwrap().gid();
    let group = if own == 0 { 7 } else { own };
    for (index, (umask, mode)) in [("077", 0o666), ("000", 0o600), ("022", 0o660)]
        .iter()
        .enumerate()
    {
        let path = directory.path().join(index.to_string());
        let mut command = shell(&format!("umask {umask};"));
        command.args(["serve", "--listen", &format!("unix:{}", path.display())]);
        command.args(["--socket-mode", &format!("{mode:o}")]);
        command.args(["--socket-group", &group.to_string()]);
        let server = Server::run(command);
        let file = fs::metadata(&path).unwrap();
        assert_eq!((file.mode() & 0o777, file.gid()), (*mode, group));
        server.connect().ask();
    }
}

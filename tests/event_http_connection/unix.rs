//! Servers behind a unix socket.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;

use php_event::{EventBase, EventHttpConnection, HttpError};
use test_support::LIMIT;

use crate::{GET, Told, request, until_stopped};

#[test]
fn unix_socket_is_a_server_like_any_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("web.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let thread = std::thread::spawn(move || {
        let (mut peer, _) = listener.accept().unwrap();
        peer.set_read_timeout(Some(LIMIT)).unwrap();
        for _ in 0..2 {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                peer.read_exact(&mut byte).unwrap();
                head.push(byte[0]);
            }
            assert_eq!(head, b"GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n");
            peer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                .unwrap();
        }
    });
    let base = EventBase::new().unwrap();
    let address = format!("unix:{}", path.display());
    let connection = EventHttpConnection::new(&base, None, &address, 0).unwrap();
    assert_eq!(connection.get_peer().unwrap(), (address, 0));
    let (request, told) = request(&base);
    for _ in 0..2 {
        connection.make_request(&request, GET, "/a").unwrap();
        until_stopped(&base);
    }
    assert_eq!(
        told.take(),
        [(); 2].map(|()| Told::Answer(200, "ok".to_owned()))
    );
    thread.join().unwrap();
}

#[test]
fn unix_socket_without_a_listener_gives_an_object_without_a_code() {
    let folder = tempfile::tempdir().unwrap();
    let base = EventBase::new().unwrap();
    let address = format!("unix:{}", folder.path().join("none").display());
    let connection = EventHttpConnection::new(&base, None, &address, 0).unwrap();
    let (request, told) = request(&base);
    connection.make_request(&request, GET, "/").unwrap();
    assert_eq!(told.take(), []);
    until_stopped(&base);
    assert_eq!(told.take(), [Told::Answer(0, String::new())]);
    let error = HttpError::NotConnected(std::io::ErrorKind::NotFound);
    assert_eq!(request.error(), Some(error));
}

#[test]
fn unix_socket_with_a_port_an_ip_address_or_tls_is_refused() {
    let base = EventBase::new().unwrap();
    let refused = |address, port, reason: &str| {
        let error = EventHttpConnection::new(&base, None, address, port).unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
    };
    refused("unix:/run/web.sock", 80, "give 0");
    refused("unix:", 0, "empty");
    refused("unix:a\0b", 0, "NUL");
    let connection = EventHttpConnection::new(&base, None, "unix:/run/web.sock", 0).unwrap();
    let error = connection.set_local_address("127.0.0.1").unwrap_err();
    assert!(error.to_string().contains("no IP address"), "{error}");
    #[cfg(feature = "openssl")]
    {
        use php_event::EventSslContext;
        let context = EventSslContext::new(EventSslContext::TLS_CLIENT_METHOD, &[]).unwrap();
        let error = EventHttpConnection::with_ssl(&base, None, "unix:/a", 0, &context).unwrap_err();
        assert!(error.to_string().contains("certificate"), "{error}");
    }
}

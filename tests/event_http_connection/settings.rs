//! The setters, and what they are good for.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use php_event::{Error, EventBase, EventHttpConnection, HttpError};

use super::OVER;
use super::over::{connect, serve};
use crate::server::{Listener, Peer, refusing};
use crate::{GET, Log, Told, noting, request, until_stopped};
use test_support::run;

/// §20.1: PHP's `getPeer` fills nothing.
#[test]
fn peer_and_base_are_those_that_were_given() {
    let base = EventBase::new().unwrap();
    let connection = connect(&base, 8080);
    assert_eq!(
        connection.get_peer().unwrap(),
        ("127.0.0.1".to_owned(), 8080)
    );
    assert_eq!(connection.get_base(), base);
    assert_eq!(connection.clone(), connection);
    assert_ne!(connect(&base, 8080), connection);
}

#[test]
fn setters_refuse_what_makes_no_sense() {
    let base = EventBase::new().unwrap();
    let connection = connect(&base, 9);
    for (call, error) in [
        (
            "setTimeout",
            connection.set_timeout(Some(Duration::ZERO)).unwrap_err(),
        ),
        (
            "setLocalAddress",
            connection.set_local_address("localhost").unwrap_err(),
        ),
        (
            "setLocalAddress",
            connection.set_local_address("::1").unwrap_err(),
        ),
        (
            "setLocalAddress",
            connection.set_local_address("").unwrap_err(),
        ),
    ] {
        assert!(matches!(error, Error::Argument { .. }), "{error}");
        assert_eq!(error.call(), format!("EventHttpConnection::{call}"));
    }
}

/// Which address the server sees.
fn seen_by_the_server(prepare: impl Fn(&php_event::EventHttpConnection)) -> std::net::SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let base = EventBase::new().unwrap();
    let connection = connect(&base, port);
    prepare(&connection);
    let silent = noting(&Log::default(), "");
    connection.make_request(&silent, GET, "/").unwrap();
    listener.accept().unwrap().1
}

/// A port that no other test is given meanwhile: the system hands out none below 32,768 by itself.
pub(crate) fn free_port() -> u16 {
    let is_free = |port: &u16| std::net::TcpListener::bind(("0.0.0.0", *port)).is_ok();
    std::iter::repeat_with(|| fastrand::u16(20_000..32_768))
        .take(1000)
        .find(is_free)
        .expect("a free port")
}

#[test]
fn local_address_and_port_are_used() {
    let seen = seen_by_the_server(|connection| connection.set_local_address("127.0.0.2").unwrap());
    assert_eq!(seen.ip().to_string(), "127.0.0.2");
    let port = free_port();
    let seen = seen_by_the_server(|connection| {
        connection.set_local_address("127.0.0.3").unwrap();
        connection.set_local_port(port).unwrap();
    });
    assert_eq!(seen.to_string(), format!("127.0.0.3:{port}"));
}

/// PHP needs an address as well.
#[test]
fn local_port_needs_no_address() {
    let port = free_port();
    let seen = seen_by_the_server(|connection| connection.set_local_port(port).unwrap());
    assert_eq!(seen.to_string(), format!("127.0.0.1:{port}"));
}

#[test]
fn local_address_that_cannot_be_used_is_an_error_and_the_request_is_as_before() {
    let base = EventBase::new().unwrap();
    let connection = connect(&base, 9);
    connection.set_local_address("192.0.2.1").unwrap(); // nobody's
    let request = php_event::EventHttpRequest::new(|_| panic!("called")).unwrap();
    let error = connection.make_request(&request, GET, "/").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrNotAvailable, "{error}");
    assert_eq!(request.get_output_headers().unwrap(), []);
    assert!(request.get_connection().is_none());
    assert_eq!(request.error(), None);
    run(&base);
    let (_socket, port) = refusing();
    let other = connect(&base, port);
    let (again, told) = crate::request(&base);
    other.make_request(&again, GET, "/").unwrap();
    until_stopped(&base);
    assert_eq!(told.take().len(), 1);
}

/// Without its zone the system would not even look for the address.
#[test]
fn local_address_keeps_the_zone_of_its_interface() {
    let base = EventBase::new().unwrap();
    let connection = EventHttpConnection::new(&base, None, "::1", 9).unwrap();
    for address in ["fe80::1%lo", "[fe80::1%lo]", "fe80::1%1"] {
        connection.set_local_address(address).unwrap();
        let request = php_event::EventHttpRequest::new(|_| panic!("called")).unwrap();
        let error = connection.make_request(&request, GET, "/").unwrap_err();
        assert_eq!(
            error.kind(),
            ErrorKind::AddrNotAvailable,
            "{address}: {error}"
        );
    }
    let text = connection
        .set_local_address("fe80::1%none")
        .unwrap_err()
        .to_string();
    assert!(text.contains("none"), "{text}");
}

#[test]
fn setters_on_a_connection_that_is_there_take_effect() {
    let base = EventBase::new().unwrap();
    let server = serve(|listener| {
        let mut peer = Peer::accept(&listener);
        peer.read_request();
        peer.reply("abc");
        peer.read_request();
        peer.reply("abc");
        peer.end();
    });
    let connection = connect(&base, server.port());
    let (request, told) = request(&base);
    connection.make_request(&request, GET, "/").unwrap();
    until_stopped(&base);
    connection.set_max_body_size(Some(2)).unwrap();
    connection.set_timeout(None).unwrap();
    connection.set_local_address("127.0.0.2").unwrap(); // PHP: the process ends
    connection.set_local_port(0).unwrap();
    connection.set_retries(Some(1)).unwrap();
    connection.make_request(&request, GET, "/").unwrap();
    until_stopped(&base);
    assert_eq!(
        told.take(),
        [Told::Answer(200, "abc".to_owned()), Told::Null]
    );
    assert_eq!(request.error(), Some(HttpError::TooLong));
    drop(connection);
    server.done();
}

#[test]
fn retries_wait_longer_each_time_and_come_to_an_end() {
    let base = EventBase::new().unwrap();
    let (_socket, port) = refusing();
    let connection = connect(&base, port);
    connection.set_retries(Some(2)).unwrap();
    connection
        .set_retry_delay(Duration::from_millis(20))
        .unwrap();
    let (request, told) = request(&base);
    for _ in 0..2 {
        // With libevent alone the second one would wait for ever.
        let start = Instant::now();
        connection.make_request(&request, GET, "/").unwrap();
        until_stopped(&base);
        assert!(start.elapsed() >= Duration::from_millis(55)); // 20 + 40, by a coarse clock
    }
    assert_eq!(
        told.take(),
        [
            Told::Answer(0, String::new()),
            Told::Answer(0, String::new())
        ]
    );
}

#[test]
fn retry_finds_a_server_that_has_come() {
    let (socket, port) = refusing();
    let base = EventBase::new().unwrap();
    let connection = connect(&base, port);
    connection.set_retries(None).unwrap();
    connection
        .set_retry_delay(Duration::from_millis(5))
        .unwrap();
    let (request, told) = request(&base);
    request.get_output_buffer().add("kept").unwrap();
    connection.make_request(&request, crate::POST, "/").unwrap();
    base.exit(Some(Duration::from_millis(50))).unwrap();
    crate::limited(|| base.dispatch()).unwrap();
    assert_eq!(told.take(), []);
    socket.listen(8).unwrap();
    let thread = std::thread::spawn(move || {
        let mut peer = Peer::accept(&Listener::new(socket.into(), OVER));
        let request = peer.read_request();
        peer.reply("at last");
        peer.end();
        request
    });
    until_stopped(&base);
    assert_eq!(told.take(), [Told::Answer(200, "at last".to_owned())]);
    drop(connection);
    assert!(thread.join().unwrap().ends_with("\r\n\r\nkept"));
}

/// With libevent alone the pending retry would connect a second time, and end the process.
#[test]
fn cancelled_while_a_retry_waits_nothing_is_left() {
    let base = EventBase::new().unwrap();
    let (_socket, port) = refusing();
    let connection = connect(&base, port);
    connection.set_retries(None).unwrap();
    connection
        .set_retry_delay(Duration::from_secs(3600))
        .unwrap();
    let request = php_event::EventHttpRequest::new(|_| panic!("called")).unwrap();
    connection.make_request(&request, GET, "/").unwrap();
    base.exit(Some(Duration::from_millis(20))).unwrap();
    crate::limited(|| base.dispatch()).unwrap();
    request.cancel().unwrap();
    assert_eq!(run(&base), php_event::LoopEnd::NoEvents);
}

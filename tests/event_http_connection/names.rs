//! Names, which are looked up through a DNS base.

use std::net::{Ipv6Addr, SocketAddr};

use php_event::{
    DnsError, DnsFlags, Error, EventBase, EventDnsBase, EventHttpConnection, EventHttpRequest,
    HttpError,
};
use socket2::{Domain, Socket, Type};

use super::OVER;
use super::over::{connect_to, serve};
use super::settings::free_port;
use crate::server::Peer;
use crate::{GET, Log, Told, noting, request, until_stopped};
use test_support::dns::{Reply, Server as NameServer};
use test_support::run;

fn dns(base: &EventBase, server: &NameServer) -> EventDnsBase {
    let dns = EventDnsBase::new(base, DnsFlags::empty()).unwrap();
    dns.add_nameserver_ip(&server.address()).unwrap();
    dns
}

/// A name of whose addresses the first cannot be reached, and on the second nobody listens.
#[test]
fn name_is_resolved_and_its_addresses_are_tried_one_after_the_other() {
    let addresses = ["255.255.255.255", "127.0.0.9", "127.0.0.1"].map(|ip| ip.parse().unwrap());
    let names = NameServer::always(Reply::Addresses(addresses.to_vec()));
    let server = serve(|listener| {
        let mut peer = Peer::accept(&listener);
        let port = listener.local_addr().port();
        let request = peer.read_request();
        assert!(
            request.contains(&format!("\r\nHost: web.test.:{port}\r\n")),
            "{request}"
        );
        peer.reply("found");
        peer.end();
    });
    let base = EventBase::new().unwrap();
    let dns = dns(&base, &names);
    let connection = connect_to(&base, Some(&dns), "web.test.", server.port());
    drop(dns); // the connection keeps it
    expect_found(&base, &connection);
    assert_eq!(names.asked().len(), 2); // of each kind one
    assert_eq!(connection.get_peer().unwrap().0, "web.test.");
    drop(connection);
    server.done();
}

/// Makes a request, and expects what the servers here answer.
#[track_caller]
fn expect_found(base: &EventBase, connection: &EventHttpConnection) {
    let (request, told) = request(base);
    connection.make_request(&request, GET, "/").unwrap();
    until_stopped(base);
    assert_eq!(told.take(), [Told::Answer(200, "found".to_owned())]);
}

/// What has a resolver of its own: of the addresses nobody listens on the first.
#[test]
fn known_addresses_are_tried_one_after_the_other_for_each_connection() {
    let addresses = ["127.0.0.9", "127.0.0.1"].map(|ip| ip.parse().unwrap());
    let server = serve(|listener| {
        for _ in 0..2 {
            let mut peer = Peer::accept(&listener);
            let port = listener.local_addr().port();
            let request = peer.read_request();
            let host = format!("\r\nHost: web.test:{port}\r\n");
            assert!(request.contains(&host), "{request}");
            peer.reply("found");
            peer.end();
        }
    });
    let base = EventBase::new().unwrap();
    let (name, port) = ("web.test", server.port());
    let connection = OVER.known(&base, name, &addresses, port);
    let connection = connection.unwrap();
    assert_eq!(connection.get_peer().unwrap(), (name.to_owned(), port));
    for _ in 0..2 {
        expect_found(&base, &connection);
    }
    drop(connection);
    server.done();
}

/// On the second address nobody listens.
#[test]
fn request_after_a_cancelled_one_tries_the_addresses_from_the_first_on() {
    let addresses = ["127.0.0.1", "127.0.0.9"].map(|ip| ip.parse().unwrap());
    let server = serve(|listener| {
        let mut peer = Peer::accept(&listener);
        while peer.read_request().is_empty() {
            peer = Peer::accept(&listener); // that was the cancelled one's
        }
        peer.reply("found");
        peer.end();
    });
    let base = EventBase::new().unwrap();
    let connection = OVER.known(&base, "web.test", &addresses, server.port());
    let connection = connection.unwrap();
    let (cancelled, _) = request(&base);
    connection.make_request(&cancelled, GET, "/").unwrap();
    cancelled.free();
    expect_found(&base, &connection);
    drop(connection);
    server.done();
}

/// The system has no socket for the first address, as for IPv6 where that is switched off.
#[test]
fn address_that_cannot_be_tried_is_passed_over() {
    let addresses = ["::1", "127.0.0.1"].map(|ip| ip.parse().unwrap());
    let server = serve(|listener| {
        let mut peer = Peer::accept(&listener);
        peer.read_request();
        peer.reply("found");
        peer.end();
    });
    let taken = Socket::new(Domain::IPV6, Type::STREAM, None).unwrap();
    taken.set_only_v6(true).unwrap();
    let port = free_port();
    let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
    taken.bind(&any.into()).unwrap();
    taken.listen(1).unwrap();
    let base = EventBase::new().unwrap();
    let connection = OVER.known(&base, "web.test", &addresses, server.port());
    let connection = connection.unwrap();
    connection.set_local_port(port).unwrap();
    expect_found(&base, &connection);
    drop(connection);
    server.done();
}

#[test]
fn known_addresses_are_refused_with_a_bad_name_or_none_at_all() {
    let base = EventBase::new().unwrap();
    let ip = "127.0.0.1".parse().unwrap();
    for (name, addresses) in [("a\r\nX: y", &[ip][..]), ("a\0", &[ip]), ("a.test", &[])] {
        let made = OVER.known(&base, name, addresses, 80);
        assert!(matches!(made, Err(Error::Argument { .. })), "{made:?}");
    }
    let connection = OVER.known(&base, "a.test", &[ip], 80).unwrap();
    let error = connection.set_local_address("::1").unwrap_err();
    assert!(
        error.to_string().contains("a.test has no address"),
        "{error}"
    );
}

/// §13: null; §20.19: and never before `make_request` has returned.
#[test]
fn name_that_does_not_exist_fails_all_that_wait_from_the_loop() {
    let names = NameServer::always(Reply::Code(3));
    let base = EventBase::new().unwrap();
    let dns = dns(&base, &names);
    let connection = connect_to(&base, Some(&dns), "no.test.", 80);
    let log = Log::default();
    let (last, told) = request(&base);
    connection
        .make_request(&noting(&log, "first"), GET, "/")
        .unwrap();
    connection.make_request(&last, GET, "/").unwrap();
    assert_eq!((log.take(), told.take()), (vec![], vec![]));
    until_stopped(&base);
    assert_eq!(log.take(), ["first null"]);
    assert_eq!(told.take(), [Told::Null]);
    assert_eq!(
        last.error(),
        Some(HttpError::NotResolved(DnsError::NotFound))
    );
}

#[test]
fn silent_name_server_fails_within_the_connections_time() {
    let names = NameServer::always(Reply::Silence);
    let base = EventBase::new().unwrap();
    let dns = dns(&base, &names);
    let connection = connect_to(&base, Some(&dns), "slow.test.", 80);
    let time = std::time::Duration::from_millis(50);
    connection.set_timeout(Some(time)).unwrap();
    let (request, told) = request(&base);
    connection.make_request(&request, GET, "/").unwrap();
    until_stopped(&base);
    assert_eq!(told.take(), [Told::Null]);
    assert_eq!(
        request.error(),
        Some(HttpError::NotResolved(DnsError::Timeout))
    );
}

#[test]
fn cancelled_or_dropped_during_the_lookup_nothing_is_reported() {
    let names = NameServer::always(Reply::Held(vec!["127.0.0.1".parse().unwrap()]));
    let base = EventBase::new().unwrap();
    let dns = dns(&base, &names);
    let request = EventHttpRequest::new(|_| panic!("called")).unwrap();
    let connection = connect_to(&base, Some(&dns), "a.test.", 80);
    connection.make_request(&request, GET, "/").unwrap();
    request.cancel().unwrap();
    connection.make_request(&request, GET, "/").unwrap();
    drop((connection, dns));
    names.release();
    run(&base);
    assert_eq!(request.error(), Some(HttpError::Cancelled));
}

#[test]
fn dns_base_without_a_server_is_an_error_at_once() {
    let base = EventBase::new().unwrap();
    let dns = EventDnsBase::new(&base, DnsFlags::empty()).unwrap();
    let connection = connect_to(&base, Some(&dns), "a.test.", 80);
    let request = EventHttpRequest::new(|_| panic!("called")).unwrap();
    let error = connection.make_request(&request, GET, "/").unwrap_err();
    assert!(error.to_string().contains("no name server"), "{error}");
    assert!(request.get_connection().is_none());
}

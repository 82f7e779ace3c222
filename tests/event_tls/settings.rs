//! Versions, ciphers, protocols, and the calls and layerings that TLS refuses.

use std::cell::Cell;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

use php_event::{
    Callbacks, Event, EventBase, EventBufferEvent, EventSslContext, FilterResult, Filters, LoopEnd,
    RateLimit, SslVersion,
};

use crate::peers::{
    ACCEPTING, CONNECTED, CONNECTING, ERROR, NO_OPTIONS, World, context, handshake, refused,
    sockets,
};
use test_support::{poll, run};

fn named(
    base: &EventBase,
    world: &World,
    server: &EventSslContext,
    client: &EventSslContext,
) -> (EventBufferEvent, EventBufferEvent) {
    let _ = world;
    let (server, client) = sockets(base, server, client);
    client.set_ssl_host("localhost").unwrap();
    (server, client)
}

#[test]
fn connection_that_does_not_read_is_pending_until_the_handshake_is_over() {
    for is_filter in [false, true] {
        let (base, world) = (EventBase::new().unwrap(), World::new());
        let (far, near) = UnixStream::pair().unwrap();
        let context = world.server();
        let server = EventBufferEvent::ssl_socket(&base, far, &context, ACCEPTING, NO_OPTIONS);
        server.as_ref().unwrap().enable(Event::READ).unwrap();
        let context = world.client();
        let client = match is_filter {
            false => EventBufferEvent::ssl_socket(&base, near, &context, CONNECTING, NO_OPTIONS),
            true => {
                let under = EventBufferEvent::new(&base, near, NO_OPTIONS).unwrap();
                EventBufferEvent::create_ssl_filter(&under, &context, CONNECTING, NO_OPTIONS)
            }
        };
        let client = client.unwrap();
        client.set_ssl_host("localhost").unwrap();
        assert!(client.is_pending(), "{client:?}");
        let stop = Callbacks::new().on_event(|bev, what| {
            assert_eq!(what, CONNECTED);
            bev.base().stop().unwrap();
        });
        client.set_callbacks(stop).unwrap();
        assert_eq!(run(&base), LoopEnd::Stop);
        client.disable(Event::READ).unwrap(); // libevent goes on watching the socket
        poll(&base);
        assert!(!client.is_pending(), "{client:?}");
    }
}

#[test]
fn connection_speaks_the_version_of_its_context() {
    for (version, name) in [
        (EventSslContext::TLS1_2_VERSION, "TLSv1.2"),
        (EventSslContext::TLS1_3_VERSION, "TLSv1.3"),
    ] {
        let base = EventBase::new().unwrap();
        let world = World::new();
        let server = world.server();
        server.set_min_proto_version(version).unwrap();
        server.set_max_proto_version(version).unwrap();
        let (server, client) = named(&base, &world, &server, &world.client());
        let asked = Rc::new(Cell::new(0));
        for (end, ours) in [(&server, true), (&client, false)] {
            let asked = asked.clone();
            assert_eq!(end.ssl_get_protocol().unwrap(), None);
            assert_eq!(end.ssl_get_cipher_name().unwrap(), None);
            assert_eq!(end.ssl_get_cipher_version().unwrap(), None);
            assert_eq!(end.ssl_get_cipher_info().unwrap(), None);
            assert_eq!(end.ssl_get_alpn().unwrap(), None);
            let note = Callbacks::new().on_event(move |bev, what| {
                if what == CONNECTED {
                    asked.set(asked.get() + 1);
                    assert_eq!(bev.ssl_get_protocol().unwrap().unwrap(), name);
                    let cipher = bev.ssl_get_cipher_name().unwrap().unwrap();
                    let info = bev.ssl_get_cipher_info().unwrap().unwrap();
                    assert!(info.starts_with(&cipher) && !info.ends_with('\n'), "{info}");
                    assert_eq!(bev.ssl_get_cipher_version().unwrap().unwrap(), name);
                    let late = refused(bev.set_ssl_host("example.com"));
                    assert!(late.contains(if ours { "server" } else { "handshake is over" }));
                }
                if asked.get() == 2 || what != CONNECTED {
                    bev.free();
                }
            });
            end.set_callbacks(note).unwrap();
        }
        run(&base);
        assert_eq!(asked.get(), 2, "{name}");
    }
}

#[test]
fn disjoint_versions_are_an_error_on_both_sides() {
    let base = EventBase::new().unwrap();
    let world = World::new();
    let (server, client) = (world.server(), world.client());
    server.set_min_proto_version(SslVersion::Tls1_3).unwrap();
    client.set_max_proto_version(SslVersion::Tls1_2).unwrap();
    let (server, client) = named(&base, &world, &server, &client);
    let outcome = handshake(&base, server, client);
    outcome.assert_server_refuses("unsupported protocol", "protocol version");
    assert_eq!(outcome.client.0, [ERROR]);
}

#[test]
fn servers_first_protocol_that_the_client_offers_is_chosen() {
    let base = EventBase::new().unwrap();
    let world = World::new();
    let (server, client) = (world.server(), world.client());
    server.set_alpn_protocols(&["h2", "http/1.1"]).unwrap();
    client.set_alpn_protocols(&["spdy", "http/1.1"]).unwrap();
    let (server, client) = named(&base, &world, &server, &client);
    let found = Rc::new(Cell::new(0));
    for end in [&server, &client] {
        let found = found.clone();
        let look = Callbacks::new().on_event(move |bev, what| {
            if what == CONNECTED {
                assert_eq!(bev.ssl_get_alpn().unwrap().as_deref(), Some("http/1.1"));
                found.set(found.get() + 1);
            }
            if found.get() == 2 || what != CONNECTED {
                bev.free();
            }
        });
        end.set_callbacks(look).unwrap();
    }
    run(&base);
    assert_eq!(found.get(), 2);
}

#[test]
fn contexts_of_the_wrong_role_and_without_certificate_are_refused() {
    let base = EventBase::new().unwrap();
    let world = World::new();
    let bare = context(EventSslContext::TLS_SERVER_METHOD, &[]);
    for (context, state, why) in [
        (
            world.server(),
            EventBufferEvent::SSL_CONNECTING,
            "is for servers",
        ),
        (
            world.client(),
            EventBufferEvent::SSL_ACCEPTING,
            "is for clients",
        ),
        (bare, EventBufferEvent::SSL_ACCEPTING, "needs a certificate"),
        (world.client(), EventBufferEvent::SSL_OPEN, "SSL_OPEN"),
    ] {
        let (socket, _other) = UnixStream::pair().unwrap();
        let made = EventBufferEvent::ssl_socket(&base, socket, &context, state, NO_OPTIONS);
        let error = refused(made);
        assert!(error.contains("EventBufferEvent::sslSocket"), "{error}");
        assert!(error.contains(why), "{error}");
        let (one, _other) = EventBufferEvent::create_pair(&base, NO_OPTIONS).unwrap();
        let made = EventBufferEvent::create_ssl_filter(&one, &context, state, NO_OPTIONS);
        let error = refused(made);
        assert!(
            error.contains("EventBufferEvent::createSslFilter"),
            "{error}"
        );
        assert!(error.contains(why), "{error}");
        one.write("still usable").unwrap();
    }
}

#[test]
fn calls_that_tls_does_not_support_are_refused() {
    let base = EventBase::new().unwrap();
    let world = World::new();
    let (server, client) = world.connect(&base, crate::peers::Wire::Sockets, NO_OPTIONS);
    for bev in [&server, &client] {
        let error = refused(bev.ssl_renegotiate());
        assert!(
            error.contains("EventBufferEvent::sslRenegotiate"),
            "{error}"
        );
        let error = refused(bev.set_rate_limit(Some(RateLimit::new())));
        assert!(error.contains("can be limited"), "{error}");
        assert!(refused(bev.set_priority(0)).contains("priority"));
        assert!(refused(bev.ssl_shutdown()).contains("handshake is not over"));
        bev.set_timeouts(Some(Duration::from_secs(9)), None)
            .unwrap();
        bev.set_watermark(Event::READ, 1, 100).unwrap();
    }
    let (plain, _other) = EventBufferEvent::create_pair(&base, NO_OPTIONS).unwrap();
    assert!(refused(plain.ssl_shutdown()).contains("no TLS"));
    assert!(refused(plain.set_allow_ssl_dirty_shutdown(true)).contains("no TLS"));
    assert_eq!(plain.ssl_error().unwrap(), None);
    assert_eq!(plain.ssl_get_protocol().unwrap(), None);
    assert!(refused(plain.ssl_renegotiate()).contains("renegotiation is off"));
}

#[test]
fn tls_filter_is_refused_on_top_of_closures_and_allowed_below_them() {
    let base = EventBase::new().unwrap();
    let world = World::new();
    let copy = || {
        Filters::new().on_input(|from, to, _, _| {
            to.add_buffer(from).unwrap();
            FilterResult::Ok
        })
    };
    let (one, _other) = EventBufferEvent::create_pair(&base, NO_OPTIONS).unwrap();
    let under = EventBufferEvent::create_filter(&one, copy(), NO_OPTIONS).unwrap();
    let state = EventBufferEvent::SSL_CONNECTING;
    let made = EventBufferEvent::create_ssl_filter(&under, &world.client(), state, NO_OPTIONS);
    assert!(refused(made).contains("run inside OpenSSL"));

    let (server, client) = world.connect(&base, crate::peers::Wire::Sockets, NO_OPTIONS);
    let taken = EventBufferEvent::create_filter(&server, copy(), NO_OPTIONS).unwrap();
    let made = EventBufferEvent::create_ssl_filter(&server, &world.client(), state, NO_OPTIONS);
    assert!(refused(made).contains("on top of it already"));
    let got = Rc::new(Cell::new(0));
    let count = got.clone();
    let ends = client.clone();
    let take = Callbacks::new().on_read(move |bev| {
        count.set(count.get() + bev.read(100).unwrap().unwrap().len());
        if count.get() == 5 {
            ends.free();
            bev.free();
        }
    });
    taken.set_callbacks(take).unwrap();
    taken.enable(Event::READ).unwrap();
    client.write("hello").unwrap();
    drop(server);
    run(&base);
    assert_eq!(got.get(), 5);
}

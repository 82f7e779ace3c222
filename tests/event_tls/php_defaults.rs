//! Contexts with PECL's defaults, for embedders.

use std::net::TcpListener;
use std::os::unix::net::UnixStream;

use php_event::{
    EventBase, EventBufferEvent, EventSslContext, SslMethod, SslOption, SslState, SslValue,
};
use test_support::tls::{Authority, Identity};

use crate::peers::{
    ACCEPTING, CONNECTED, CONNECTING, ERROR, NO_OPTIONS, Outcome, Wire, World, context, handshake,
    join, refused, sockets,
};

fn client(options: &[(SslOption, SslValue)]) -> EventSslContext {
    php(EventSslContext::TLS_CLIENT_METHOD, options)
}

fn php(method: SslMethod, options: &[(SslOption, SslValue)]) -> EventSslContext {
    EventSslContext::with_php_defaults(method, options).unwrap()
}

/// A handshake with a server that has this certificate; the client was told no host.
fn meet(world: &World, identity: &Identity, client: &EventSslContext) -> Outcome {
    let base = EventBase::new().unwrap();
    let (server, client) = sockets(&base, &world.server_as(identity, &[]), client);
    handshake(&base, server, client)
}

#[test]
fn no_server_is_verified_unless_an_option_asks_for_it() {
    let world = World::new();
    let verify = (EventSslContext::OPT_VERIFY_PEER, true.into());
    let trusted = world.authority.save(&world.folder, "trusted");
    let trusting = (EventSslContext::OPT_CA_FILE, trusted.as_path().into());
    let known = world.authority.sign(&["example.com"]);
    for identity in [
        Identity::self_signed(&["example.com"]),
        Identity::self_signed_expired(&[]),
        Authority::new().sign(&["localhost"]),
    ] {
        meet(&world, &identity, &client(&[])).assert_established();
        meet(&world, &identity, &client(std::slice::from_ref(&trusting))).assert_established();
        let strict = client(&[trusting.clone(), verify.clone()]);
        meet(&world, &identity, &strict).assert_client_refuses("certificate verify failed");
    }
    // No host name is compared, and the system's authorities are not asked.
    meet(&world, &known, &client(&[trusting, verify.clone()])).assert_established();
    let alone = client(&[verify]);
    meet(&world, &known, &alone).assert_client_refuses("unable to get local issuer");
}

#[test]
fn host_is_compared_where_that_is_asked_for() {
    let world = World::new();
    let trusted = world.authority.save(&world.folder, "trusted");
    let client = client(&[
        (EventSslContext::OPT_CA_FILE, trusted.as_path().into()),
        (EventSslContext::OPT_VERIFY_PEER, true.into()),
    ]);
    client.set_verify_host(true).unwrap();
    let identity = world.authority.sign(&["example.com"]);
    meet(&world, &identity, &client).assert_client_refuses("call set_ssl_host");
}

#[test]
fn client_certificate_is_required_only_where_peers_are_verified() {
    let world = World::new();
    let files = world
        .authority
        .sign(&["localhost"])
        .save(&world.folder, "own");
    let require = (EventSslContext::OPT_REQUIRE_CLIENT_CERT, true.into());
    let server = |verify: bool| {
        let options = [
            (EventSslContext::OPT_LOCAL_CERT, files.both.as_path().into()),
            require.clone(),
            (EventSslContext::OPT_VERIFY_PEER, verify.into()),
        ];
        php(EventSslContext::TLS_SERVER_METHOD, &options)
    };
    let outcome = |verify: bool| {
        let base = EventBase::new().unwrap();
        let (server, client) = sockets(&base, &server(verify), &client(&[]));
        handshake(&base, server, client)
    };
    outcome(false).assert_established();
    let why = "peer did not return a certificate";
    outcome(true).assert_server_refuses(why, "certificate required");
}

#[test]
fn server_without_a_certificate_is_made_and_its_handshake_fails() {
    let bare = php(EventSslContext::TLS_SERVER_METHOD, &[]);
    for wire in [Wire::Sockets, Wire::FiltersOnPair] {
        let base = EventBase::new().unwrap();
        let (server, client) = join(&base, wire, &bare, &client(&[]), NO_OPTIONS);
        let outcome = handshake(&base, server, client);
        outcome.assert_server_refuses("no shared cipher", "handshake failure");
        assert_eq!(outcome.client.0, [ERROR]);
    }
    let world = World::new();
    let files = world
        .authority
        .sign(&["localhost"])
        .save(&world.folder, "late");
    bare.set_local_cert(&files.both).unwrap();
    let base = EventBase::new().unwrap();
    let (server, client) = sockets(&base, &bare, &client(&[]));
    handshake(&base, server, client).assert_established();
}

#[test]
fn session_answers_as_pecl_before_the_handshake() {
    let base = EventBase::new().unwrap();
    let world = World::new();
    for (context, state) in [
        (client(&[]), CONNECTING),
        (php(EventSslContext::TLS_SERVER_METHOD, &[]), ACCEPTING),
    ] {
        let (socket, _peer) = UnixStream::pair().unwrap();
        for tls in [
            EventBufferEvent::ssl_unconnected(&base, &context, state, NO_OPTIONS).unwrap(),
            EventBufferEvent::ssl_socket(&base, socket, &context, state, NO_OPTIONS).unwrap(),
        ] {
            let some = |text: &str| Some(text.to_owned());
            assert_eq!(tls.ssl_get_protocol().unwrap(), some("TLSv1.3"));
            assert_eq!(tls.ssl_get_cipher_name().unwrap(), some("(NONE)"));
            assert_eq!(tls.ssl_get_cipher_version().unwrap(), some("(NONE)"));
            assert_eq!(tls.ssl_get_cipher_info().unwrap(), None);
            assert_eq!(tls.ssl_get_alpn().unwrap(), None);
        }
    }
    let strict = world.client();
    let tls = EventBufferEvent::ssl_unconnected(&base, &strict, CONNECTING, NO_OPTIONS).unwrap();
    assert_eq!(tls.ssl_get_protocol().unwrap(), None);
    assert_eq!(tls.ssl_get_cipher_name().unwrap(), None);
}

#[test]
fn either_side_can_be_made_without_a_descriptor_and_connected() {
    let world = World::new();
    for state in [CONNECTING, ACCEPTING] {
        let base = EventBase::new().unwrap();
        let (server, client) = (world.server(), world.client());
        let (near, far, other) = match state == CONNECTING {
            true => (&client, &server, ACCEPTING),
            false => (&server, &client, CONNECTING),
        };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = EventBufferEvent::ssl_unconnected(&base, near, state, NO_OPTIONS).unwrap();
        assert_eq!(near.fd(), None);
        near.enable(php_event::Event::READ).unwrap();
        near.connect(&listener.local_addr().unwrap().to_string())
            .unwrap();
        let (socket, _address) = listener.accept().unwrap();
        let far = EventBufferEvent::ssl_socket(&base, socket, far, other, NO_OPTIONS).unwrap();
        far.enable(php_event::Event::READ).unwrap();
        let outcome = match state == CONNECTING {
            true => handshake(&base, far, near),
            false => {
                far.set_ssl_host("localhost").unwrap();
                handshake(&base, near, far)
            }
        };
        outcome.assert_established();
        assert!(outcome.client.0.contains(&CONNECTED));
    }
}

#[test]
fn unconnected_one_of_the_wrong_side_is_refused() {
    let base = EventBase::new().unwrap();
    let world = World::new();
    let make = |context: &EventSslContext, state: SslState| {
        refused(EventBufferEvent::ssl_unconnected(
            &base, context, state, NO_OPTIONS,
        ))
    };
    assert!(make(&world.client(), ACCEPTING).contains("is for clients"));
    assert!(make(&world.server(), CONNECTING).contains("is for servers"));
    assert!(make(&world.client(), EventBufferEvent::SSL_OPEN).contains("SSL_OPEN"));
    let bare = context(EventSslContext::TLS_SERVER_METHOD, &[]);
    assert!(make(&bare, ACCEPTING).contains("needs a certificate"));
}

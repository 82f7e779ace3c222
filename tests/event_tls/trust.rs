//! Which certificates are accepted, and the errors for the others.

use php_event::{EventBase, EventBufferEvent, EventSslContext};

use crate::peers::{CONNECTED, ERROR, Outcome, World, context, handshake, sockets};
use test_support::tls::{Authority, Identity};

const REFUSED: &str = "certificate verify failed";

/// A handshake of `client`, which expects `host`, with a server that has this certificate.
fn meet(
    world: &World,
    identity: &Identity,
    client: &EventSslContext,
    host: Option<&str>,
) -> Outcome {
    let base = EventBase::new().unwrap();
    let (server, client) = sockets(&base, &world.server_as(identity, &[]), client);
    if let Some(host) = host {
        client.set_ssl_host(host).unwrap();
    }
    handshake(&base, server, client)
}

#[test]
fn right_name_and_authority_are_accepted() {
    let world = World::new();
    let identity = world.authority.sign(&["localhost", "*.example.com"]);
    meet(&world, &identity, &world.client(), Some("localhost")).assert_established();
    meet(&world, &identity, &world.client(), Some("a.example.com")).assert_established();
}

#[test]
fn wrong_host_is_refused_with_its_reason() {
    let world = World::new();
    let identity = world.authority.sign(&["localhost"]);
    let outcome = meet(&world, &identity, &world.client(), Some("example.com"));
    outcome.assert_client_refuses(REFUSED);
    outcome.assert_client_refuses("hostname mismatch");
    assert!(
        outcome.server.1[0].contains("bad certificate"),
        "{outcome:?}"
    );
}

#[test]
fn unnamed_host_is_refused_with_a_hint() {
    let world = World::new();
    let identity = world.authority.sign(&["localhost"]);
    let outcome = meet(&world, &identity, &world.client(), None);
    outcome.assert_client_refuses("call set_ssl_host");
}

#[test]
fn numeric_host_must_be_in_the_certificate() {
    let world = World::new();
    let identity = world.authority.sign(&["localhost", "127.0.0.1"]);
    meet(&world, &identity, &world.client(), Some("127.0.0.1")).assert_established();
    let outcome = meet(&world, &identity, &world.client(), Some("127.0.0.2"));
    outcome.assert_client_refuses("IP address mismatch");
    let outcome = meet(&world, &identity, &world.client(), Some("::1"));
    outcome.assert_client_refuses("IP address mismatch");
}

#[test]
fn expired_certificate_is_refused() {
    let world = World::new();
    let identity = world.authority.sign_expired(&["localhost"]);
    let outcome = meet(&world, &identity, &world.client(), Some("localhost"));
    outcome.assert_client_refuses("certificate has expired");
}

#[test]
fn unknown_authority_is_refused() {
    let world = World::new();
    let identity = Authority::new().sign(&["localhost"]);
    let outcome = meet(&world, &identity, &world.client(), Some("localhost"));
    outcome.assert_client_refuses("unable to get local issuer");
}

#[test]
fn self_signed_certificate_is_accepted_only_where_allowed() {
    let world = World::new();
    let identity = Identity::self_signed(&["localhost"]);
    let strict = context(EventSslContext::TLS_CLIENT_METHOD, &[]);
    let outcome = meet(&world, &identity, &strict, Some("localhost"));
    outcome.assert_client_refuses("self-signed certificate");
    let lax = context(
        EventSslContext::TLS_CLIENT_METHOD,
        &[(EventSslContext::OPT_ALLOW_SELF_SIGNED, true.into())],
    );
    meet(&world, &identity, &lax, Some("localhost")).assert_established();
    let outcome = meet(&world, &identity, &lax, Some("example.com"));
    outcome.assert_client_refuses("hostname mismatch");
}

#[test]
fn client_that_does_not_verify_needs_no_host() {
    let world = World::new();
    let identity = Identity::self_signed(&["example.com"]);
    let client = world.client_with(&[(EventSslContext::OPT_VERIFY_PEER, false.into())]);
    meet(&world, &identity, &client, None).assert_established();
    meet(&world, &identity, &client, Some("localhost")).assert_established();
}

#[test]
fn client_that_ignores_host_names_still_verifies() {
    let world = World::new();
    let client = world.client();
    client.set_verify_host(false).unwrap();
    let known = world.authority.sign(&["example.com"]);
    meet(&world, &known, &client, None).assert_established();
    let unknown = Authority::new().sign(&["example.com"]);
    let outcome = meet(&world, &unknown, &client, None);
    outcome.assert_client_refuses(REFUSED);
}

/// A handshake with a server that requires a certificate, under TLS 1.2, where a refusal ends
/// the client's handshake, and TLS 1.3, where it comes after the client has finished.
fn certify(identity: impl Fn(&World) -> Option<Identity>) -> [Outcome; 2] {
    [
        EventSslContext::TLS1_2_VERSION,
        EventSslContext::TLS1_3_VERSION,
    ]
    .map(|version| {
        let world = World::new();
        let trusted = world.authority.save(&world.folder, "authority");
        let server = world.server_as(
            &world.authority.sign(&["localhost"]),
            &[
                (EventSslContext::OPT_CA_FILE, trusted.as_path().into()),
                (EventSslContext::OPT_VERIFY_PEER, true.into()),
                (EventSslContext::OPT_REQUIRE_CLIENT_CERT, true.into()),
            ],
        );
        server.set_max_proto_version(version).unwrap();
        let client = match identity(&world) {
            Some(identity) => {
                let files = identity.save(&world.folder, "client");
                let both = files.both.as_path().into();
                world.client_with(&[(EventSslContext::OPT_LOCAL_CERT, both)])
            }
            None => world.client(),
        };
        let base = EventBase::new().unwrap();
        let (server, client) = sockets(&base, &server, &client);
        client.set_ssl_host("localhost").unwrap();
        handshake(&base, server, client)
    })
}

#[test]
fn client_certificate_that_is_required_and_right_is_accepted() {
    for outcome in certify(|world| Some(world.authority.sign(&[]))) {
        outcome.assert_established();
    }
}

#[test]
fn client_without_a_required_certificate_is_refused() {
    let [old, new] = certify(|_| None);
    let why = "peer did not return a certificate";
    old.assert_server_refuses(why, "handshake failure");
    new.assert_server_refuses(why, "certificate required");
    assert_eq!(old.client.0, [ERROR]);
    assert_eq!(new.client.0, [CONNECTED, ERROR]); // the client had finished before
}

#[test]
fn client_certificate_of_another_authority_is_refused() {
    for outcome in certify(|_| Some(Authority::new().sign(&[]))) {
        outcome.assert_server_refuses(REFUSED, "unknown ca");
    }
}

#[test]
fn context_dropped_before_its_connections_still_verifies() {
    let base = EventBase::new().unwrap();
    let world = World::new();
    let identity = Identity::self_signed(&["localhost"]);
    let server = world.server_as(&identity, &[]);
    let client = context(
        EventSslContext::TLS_CLIENT_METHOD,
        &[(EventSslContext::OPT_ALLOW_SELF_SIGNED, true.into())],
    );
    let (server_end, client_end) = sockets(&base, &server, &client);
    client_end.set_ssl_host("localhost").unwrap();
    drop((server, client, world));
    handshake(&base, server_end, client_end).assert_established();
}

#[test]
fn host_can_be_named_only_on_the_client_side_of_tls() {
    let base = EventBase::new().unwrap();
    let world = World::new();
    let (server, client) = sockets(&base, &world.server(), &world.client());
    let error = server.set_ssl_host("localhost").unwrap_err().to_string();
    assert!(error.contains("a server does not choose"), "{error}");
    for bad in ["", "a b", ".example.com", "a\0b", "a..b"] {
        let error = client.set_ssl_host(bad).unwrap_err().to_string();
        assert!(error.contains("EventBufferEvent::set_ssl_host"), "{error}");
    }
    let (plain, _) = EventBufferEvent::create_pair(&base, crate::peers::NO_OPTIONS).unwrap();
    let error = plain.set_ssl_host("localhost").unwrap_err().to_string();
    assert!(error.contains("speaks no TLS"), "{error}");
}

#[test]
fn host_named_last_counts() {
    let world = World::new();
    let names = ["localhost", "127.0.0.1"];
    for (first, last) in [(names[0], names[1]), (names[1], names[0])] {
        let base = EventBase::new().unwrap();
        let identity = world.authority.sign(&[last]);
        let (server, client) = sockets(&base, &world.server_as(&identity, &[]), &world.client());
        client.set_ssl_host(first).unwrap();
        client.set_ssl_host(last).unwrap();
        handshake(&base, server, client).assert_established();
    }
}

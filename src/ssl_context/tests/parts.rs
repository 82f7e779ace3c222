//! Units: roles, host names, the list of protocols, OpenSSL's options.

use std::net::{Ipv4Addr, Ipv6Addr};

use openssl::error::ErrorStack;
use openssl::ssl::{SslContextBuilder, SslMethod, SslMode, SslOptions, SslSessionCacheMode};

use super::super::alpn::common;
use super::super::host::Host;
use super::super::options::Options;
use super::super::queue;
use super::super::settings::{Defaults, Kind, Settings};
use super::*;
use crate::Error;

#[track_caller]
fn state_of(result: crate::Result<Ssl>) -> String {
    let error = result.expect_err("it was made");
    assert!(matches!(error, Error::State { .. }), "{error:?}");
    assert_eq!(error.call(), CALL);
    error.to_string()
}

#[test]
fn a_context_makes_sessions_of_its_own_side_only() {
    let (_folder, server, _trusted) = localhost();
    let client = client(&[]);
    assert!(state_of(server.connecting(CALL, None)).contains("TLS_CLIENT_METHOD"));
    assert!(state_of(client.accepting(CALL)).contains("TLS_SERVER_METHOD"));
}

#[test]
fn a_server_without_a_certificate_makes_no_session() {
    let (folder, files) = (Folder::new(), Identity::self_signed(&[]));
    let files = files.save(&folder, "own");
    let context = server(&[]);
    assert!(state_of(context.accepting(CALL)).contains("OPT_LOCAL_CERT"));
    context.set_local_pk(&files.key).unwrap();
    assert!(state_of(context.accepting(CALL)).contains("OPT_LOCAL_CERT"));
    context.set_local_cert(&files.cert).unwrap();
    context.accepting(CALL).unwrap();
}

#[test]
fn an_invalid_host_is_refused_before_openssl_sees_it() {
    let context = client(&[]);
    let error = context.connecting(CALL, Some("a\0b")).err().unwrap();
    assert!(matches!(error, Error::Argument { .. }), "{error:?}");
    assert!(
        error.to_string().contains(r#""a\0b" is not a host name"#),
        "{error}"
    );
    assert!(ErrorStack::get().errors().is_empty());
    context.connecting(CALL, Some("localhost")).unwrap();
}

#[test]
fn host_names_and_addresses_are_distinguished() {
    let label = "x".repeat(63);
    let longest = [&*label, &label, &label, &label[2..]].join(".");
    assert_eq!(longest.len(), 253);
    let with_dot = format!("{longest}.");
    for (host, expected) in [
        ("localhost", Host::Name("localhost")),
        ("a_b.example-1.com.", Host::Name("a_b.example-1.com")),
        ("xn--bcher-kva.example", Host::Name("xn--bcher-kva.example")),
        (&longest, Host::Name(&longest)),
        (&with_dot, Host::Name(&longest)),
        ("127.0.0.1", Host::Address(Ipv4Addr::LOCALHOST.into())),
        ("::1", Host::Address(Ipv6Addr::LOCALHOST.into())),
        ("[::1]", Host::Address(Ipv6Addr::LOCALHOST.into())),
        ("::1%lo", Host::Address(Ipv6Addr::LOCALHOST.into())),
        ("[::1%lo]", Host::Address(Ipv6Addr::LOCALHOST.into())),
        ("127.1", Host::Name("127.1")), // not an address; no certificate names it
    ] {
        assert_eq!(Host::read(CALL, host).unwrap(), expected);
    }
    let too_long = format!("{longest}x");
    for host in [
        "",
        ".",
        "..",
        ".example.com",
        "a..b",
        "a.b..",
        "*.example.com",
        "a b",
        "a\0b",
        "bücher.example",
        "[::1",
        "::1]",
        "[localhost]",
        "localhost%lo",
        "a/b",
        "a:80",
        "a@b",
        &too_long,
    ] {
        let error = Host::read(CALL, host).unwrap_err();
        assert!(
            matches!(error, Error::Argument { .. }),
            "{host:?}: {error:?}"
        );
    }
}

#[test]
fn a_truncated_list_of_protocols_matches_up_to_the_cut() {
    for (ours, offered, chosen) in [
        (&b"\x02h2\x01a"[..], &b"\x01a\x02h2"[..], Some(&b"h2"[..])),
        (b"\x02h2\x01a", b"\x01a", Some(b"a")),
        (b"\x02h2", b"\x01a", None),
        (b"\x02h2", b"", None),
        (b"", b"\x02h2", None),
        (b"\x02h2", b"\x02h2\xff", Some(b"h2")),
        (b"\x02h2", b"\x03h2", None),
        (b"\x02h2", b"\xff\x02h2", None),
        (b"\x02h2", b"\x03h2c", None),
    ] {
        assert_eq!(common(ours, offered), chosen, "{offered:?}");
    }
}

#[test]
fn openssl_options_are_the_safe_ones() {
    let kind = Kind {
        is_server: true,
        defaults: Defaults::Strict,
    };
    let settings = Settings::load(kind, Options::default()).unwrap();
    let mut builder = SslContextBuilder::new(SslMethod::tls_server()).unwrap();
    builder.clear_options(SslOptions::all()); // as the system's configuration might
    settings.set_basics(&mut builder).unwrap();
    let on = SslOptions::NO_COMPRESSION
        | SslOptions::NO_RENEGOTIATION
        | SslOptions::NO_SSLV2
        | SslOptions::NO_SSLV3;
    assert!(builder.options().contains(on), "{:?}", builder.options());
    let off = SslOptions::DONT_INSERT_EMPTY_FRAGMENTS | SslOptions::CIPHER_SERVER_PREFERENCE;
    assert!(
        !builder.options().intersects(off),
        "{:?}",
        builder.options()
    );
    let mode = builder.set_mode(SslMode::empty());
    assert!(mode.contains(SslMode::RELEASE_BUFFERS), "{mode:?}");
    assert!(!mode.contains(SslMode::ENABLE_PARTIAL_WRITE), "{mode:?}");
    let cache = builder.set_session_cache_mode(SslSessionCacheMode::OFF);
    assert_eq!(cache, SslSessionCacheMode::OFF);
}

#[test]
fn openssl_errors_do_not_leave_their_call() {
    let junk = || openssl::x509::X509::from_pem(b"junk").unwrap_err();
    junk().put();
    let found = queue::clean(|| {
        let found = ErrorStack::get().errors().len();
        junk().put();
        found
    });
    assert_eq!(found, 0);
    assert!(ErrorStack::get().errors().is_empty());
}

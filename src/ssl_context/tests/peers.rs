//! Clients that verify servers: authorities, dates, host names, self-signed certificates.

use std::path::Path;
use std::process::Command;

use openssl::ssl::NameType;

use super::*;

const ALLOW: Entry = (EventSslContext::OPT_ALLOW_SELF_SIGNED, SslValue::Bool(true));
const UNVERIFIED: Entry = (EventSslContext::OPT_VERIFY_PEER, SslValue::Bool(false));

#[test]
fn a_server_of_a_trusted_authority_with_the_right_name_is_accepted() {
    let (folder, authority) = (Folder::new(), Authority::new());
    let names = ["localhost", "*.example.com", "127.0.0.1", "::1"];
    let server = server(&[own(&folder, &authority.sign(&names), "server")]);
    let client = client(&[trusting(&folder, &authority)]);
    let name = |text: &'static str| Some(text);
    for (host, told) in [
        ("localhost", name("localhost")),
        ("LocalHost", name("LocalHost")),
        ("localhost.", name("localhost")),
        ("www.example.com", name("www.example.com")),
        ("127.0.0.1", None),
        ("::1", None),
        ("[::1]", None),
        ("::1%lo", None),
    ] {
        let (connected, accepted) = agreed(reach(&client, host, &server));
        assert_eq!(connected.ssl().version_str(), "TLSv1.3", "{host}");
        let heard = accepted.ssl().servername(NameType::HOST_NAME);
        assert_eq!(heard, told, "{host}");
    }
}

#[test]
fn a_certificate_for_another_host_is_refused_unless_names_are_ignored() {
    let (folder, authority) = (Folder::new(), Authority::new());
    let names = ["example.com", "lo*.example.com", "10.0.0.1"];
    let server = server(&[own(&folder, &authority.sign(&names), "server")]);
    let client = client(&[trusting(&folder, &authority)]);
    for (host, cause) in [
        ("localhost", "hostname mismatch"),
        ("www.example.com", "hostname mismatch"),
        ("local.example.com", "hostname mismatch"), // no wildcard inside a label
        ("127.0.0.1", "IP address mismatch"),
        ("::1", "IP address mismatch"),
    ] {
        client_refused(reach(&client, host, &server), cause);
    }
    client.set_verify_host(false).unwrap();
    agreed(reach(&client, "localhost", &server));
    client.set_verify_host(true).unwrap();
    client_refused(reach(&client, "localhost", &server), "hostname mismatch");
}

#[test]
fn the_common_name_counts_where_there_are_no_alternative_names() {
    let (folder, authority) = (Folder::new(), Authority::new());
    let server = server(&[own(
        &folder,
        &authority.sign_common_name("localhost"),
        "server",
    )]);
    let client = client(&[trusting(&folder, &authority)]);
    agreed(reach(&client, "localhost", &server));
    client_refused(reach(&client, "example.com", &server), "hostname mismatch");
}

#[test]
fn without_a_host_name_every_certificate_is_refused_unless_names_are_ignored() {
    let (_folder, server, trusted) = localhost();
    let connect = |context: &EventSslContext| {
        let client = context.connecting(CALL, None).unwrap();
        meet(client, server.accepting(CALL).unwrap())
    };
    let context = client(std::slice::from_ref(&trusted));
    client_refused(connect(&context), "hostname mismatch");
    context.set_verify_host(false).unwrap();
    let (_connected, accepted) = agreed(connect(&context));
    assert_eq!(accepted.ssl().servername(NameType::HOST_NAME), None);
    let context = client(&[]);
    context.set_verify_host(false).unwrap();
    client_refused(connect(&context), "unable to get local issuer");
}

#[test]
fn a_server_of_an_unknown_authority_is_refused_by_default() {
    let (folder, server, _trusted) = localhost();
    let cause = "unable to get local issuer certificate";
    let stranger = trusting(&folder, &Authority::new());
    for options in [&[][..], &[stranger], &[ALLOW]] {
        client_refused(reach(&client(options), "localhost", &server), cause);
    }
}

#[test]
fn an_expired_certificate_is_refused() {
    let (folder, authority) = (Folder::new(), Authority::new());
    let expired = authority.sign_expired(&["localhost"]);
    let server = server(&[own(&folder, &expired, "server")]);
    let client = client(&[trusting(&folder, &authority)]);
    let cause = "certificate has expired";
    client_refused(reach(&client, "localhost", &server), cause);
}

#[test]
fn a_client_that_does_not_verify_accepts_any_server() {
    let (folder, authority) = (Folder::new(), Authority::new());
    let expired = authority.sign_expired(&["example.com"]);
    let server = server(&[own(&folder, &expired, "server")]);
    let client = client(&[UNVERIFIED]);
    let (connected, accepted) = match reach(&client, "localhost", &server) {
        (Ok(connected), Ok(accepted)) => (connected, accepted),
        refused => panic!("{refused:?}"),
    };
    assert!(connected.ssl().peer_certificate().is_some());
    let heard = accepted.ssl().servername(NameType::HOST_NAME);
    assert_eq!(heard, Some("localhost"));
}

#[test]
fn authorities_in_a_directory_are_trusted() {
    let (folder, authority) = (Folder::new(), Authority::new());
    let server = server(&[own(&folder, &authority.sign(&["localhost"]), "server")]);
    let dir = authority.save_hashed(&folder, "cas");
    let client = client(&[(EventSslContext::OPT_CA_PATH, dir.into())]);
    agreed(reach(&client, "localhost", &server));
}

#[test]
fn every_certificate_of_a_file_of_authorities_is_trusted() {
    let (folder, one, two) = (Folder::new(), Authority::new(), Authority::new());
    let file = folder.write("cas", [one.0.cert_pem(), two.0.cert_pem()].concat());
    let client = client(&[(EventSslContext::OPT_CA_FILE, file.into())]);
    for authority in [one, two] {
        let server = server(&[own(&folder, &authority.sign(&["localhost"]), "server")]);
        agreed(reach(&client, "localhost", &server));
    }
}

/// Set where a test runs with its own authorities as the system's.
const SYSTEM: &str = "PHP_EVENT_TEST_AUTHORITIES";

#[test]
fn given_authorities_replace_the_systems() {
    let Some(dir) = std::env::var_os(SYSTEM) else {
        let (folder, authority) = (Folder::new(), Authority::new());
        authority.save(&folder, "ca");
        authority.sign(&["localhost"]).save(&folder, "server");
        again_with(&folder);
        return;
    };
    let file = Path::new(&dir).join("server.pem");
    let server = server(&[(EventSslContext::OPT_LOCAL_CERT, file.into())]);
    agreed(reach(&client(&[]), "localhost", &server));

    let folder = Folder::new();
    let other = client(&[trusting(&folder, &Authority::new())]);
    let cause = "unable to get local issuer certificate";
    client_refused(reach(&other, "localhost", &server), cause);
}

/// Runs that test in a process that takes the folder for the system's.
fn again_with(folder: &Folder) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let name = "given_authorities_replace_the_systems";
    command.args([name, "--test-threads=1"]);
    command.env("SSL_CERT_FILE", folder.path().join("ca.crt"));
    command.env("SSL_CERT_DIR", folder.path());
    command.env(SYSTEM, folder.path());
    let output = command.output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.contains(" 1 passed"), "{stdout}");
}

#[test]
fn a_chain_is_sent_with_the_certificate_and_may_be_too_long() {
    let (folder, authority) = (Folder::new(), Authority::new());
    let middle = authority.intermediate();
    let leaf = middle.sign(&["localhost"]);
    let chain = [leaf.cert_pem(), middle.0.cert_pem(), leaf.key_pem()].concat();
    let file = folder.write("server.pem", chain);
    let server = server(&[(EventSslContext::OPT_LOCAL_CERT, file.into())]);
    let trusted = trusting(&folder, &authority);
    let depth = |depth: i32| {
        let option = (EventSslContext::OPT_VERIFY_DEPTH, depth.into());
        client(&[trusted.clone(), option])
    };
    let unlimited = client(std::slice::from_ref(&trusted));
    for context in [unlimited, depth(1), depth(i32::MAX)] {
        agreed(reach(&context, "localhost", &server));
    }
    let cause = "certificate chain too long";
    client_refused(reach(&depth(0), "localhost", &server), cause);
}

#[test]
fn a_self_signed_server_is_accepted_only_where_allowed() {
    let folder = Folder::new();
    let itself = Identity::self_signed(&["localhost"]);
    let server = server(&[own(&folder, &itself, "server")]);
    client_refused(reach(&client(&[]), "localhost", &server), "self");
    for options in [
        vec![ALLOW],
        vec![(EventSslContext::OPT_VERIFY_PEER, true.into()), ALLOW],
    ] {
        agreed(reach(&client(&options), "localhost", &server));
    }
    // A given authority turns it off, in either order; the certificate itself may be given.
    let stranger = trusting(&folder, &Authority::new());
    for options in [[ALLOW, stranger.clone()], [stranger, ALLOW]] {
        client_refused(reach(&client(&options), "localhost", &server), "self");
    }
    let known = folder.write("known.crt", itself.cert_pem());
    let known = client(&[(EventSslContext::OPT_CA_FILE, known.into())]);
    agreed(reach(&known, "localhost", &server));
}

#[test]
fn an_unknown_authority_is_accepted_where_self_signed_is_allowed_and_it_is_sent() {
    let (folder, authority) = (Folder::new(), Authority::new());
    let leaf = authority.sign(&["localhost"]);
    let chain = [leaf.cert_pem(), authority.0.cert_pem(), leaf.key_pem()].concat();
    let file = folder.write("server.pem", chain);
    let server = server(&[(EventSslContext::OPT_LOCAL_CERT, file.into())]);
    agreed(reach(&client(&[ALLOW]), "localhost", &server));
    client_refused(reach(&client(&[]), "localhost", &server), "self");
}

#[test]
fn allowing_self_signed_certificates_still_checks_dates_and_names() {
    let folder = Folder::new();
    let client = client(&[ALLOW]);
    let named = server(&[own(
        &folder,
        &Identity::self_signed(&["example.com"]),
        "named",
    )]);
    client_refused(reach(&client, "localhost", &named), "hostname mismatch");

    let expired = Identity::self_signed_expired(&["localhost"]);
    let expired = server(&[own(&folder, &expired, "expired")]);
    let cause = "certificate has expired";
    client_refused(reach(&client, "localhost", &expired), cause);
}

/// PHP reads freed memory here: its verify callback uses the context object.
#[test]
fn a_context_dropped_before_its_connections_still_verifies_them() {
    let (folder, itself) = (Folder::new(), Identity::self_signed(&["localhost"]));
    let sides = {
        let server = server(&[own(&folder, &itself, "server")]);
        server.set_alpn_protocols(&["h2"]).unwrap();
        let client = client(&[ALLOW]);
        client.set_alpn_protocols(&["h2"]).unwrap();
        let near = client.connecting(CALL, Some("localhost")).unwrap();
        (near, server.accepting(CALL).unwrap())
    };
    let (connected, _accepted) = agreed(meet(sides.0, sides.1));
    assert_eq!(connected.ssl().selected_alpn_protocol(), Some(&b"h2"[..]));
}

//! What the two sides agree on: versions, ciphers, application protocols; no renegotiation.

use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};

use super::*;
use crate::SslVersion;

/// OpenSSL 3 speaks TLS 1.0 and 1.1 only at this level.
const OLD: &str = "DEFAULT:@SECLEVEL=0";

fn between(context: &EventSslContext, min: SslVersion, max: SslVersion) {
    context.set_min_proto_version(min).unwrap();
    context.set_max_proto_version(max).unwrap();
}

#[test]
fn the_highest_common_version_is_spoken() {
    use SslVersion::{Tls1, Tls1_1, Tls1_2, Tls1_3};
    let (folder, authority) = (Folder::new(), Authority::new());
    let ciphers = (EventSslContext::OPT_CIPHERS, OLD.into());
    let ours = own(&folder, &authority.sign(&["localhost"]), "server");
    let server = server(&[ours, ciphers.clone()]);
    let client = client(&[trusting(&folder, &authority), ciphers]);
    for ((client_min, client_max), (server_min, server_max), spoken) in [
        ((Tls1_2, Tls1_3), (Tls1_2, Tls1_3), Some("TLSv1.3")),
        ((Tls1_2, Tls1_2), (Tls1_2, Tls1_3), Some("TLSv1.2")),
        ((Tls1_2, Tls1_3), (Tls1_2, Tls1_2), Some("TLSv1.2")),
        ((Tls1, Tls1_1), (Tls1, Tls1_3), Some("TLSv1.1")),
        ((Tls1, Tls1), (Tls1, Tls1_3), Some("TLSv1")),
        ((Tls1_3, Tls1_3), (Tls1_2, Tls1_2), None),
        ((Tls1_2, Tls1_2), (Tls1_3, Tls1_3), None),
        ((Tls1, Tls1_1), (Tls1_2, Tls1_3), None),
    ] {
        client.set_min_proto_version(Tls1).unwrap();
        server.set_min_proto_version(Tls1).unwrap();
        between(&client, Tls1, Tls1_3);
        between(&server, Tls1, Tls1_3);
        client.set_max_proto_version(client_max).unwrap();
        client.set_min_proto_version(client_min).unwrap();
        server.set_max_proto_version(server_max).unwrap();
        server.set_min_proto_version(server_min).unwrap();
        let sides = reach(&client, "localhost", &server);
        match spoken {
            Some(version) => assert_eq!(agreed(sides).0.ssl().version_str(), version),
            None => {
                sides.0.expect_err("the client went on");
                sides.1.expect_err("the server went on");
            }
        }
    }
}

#[test]
fn versions_before_tls_1_2_are_refused_by_default() {
    let (folder, authority) = (Folder::new(), Authority::new());
    let ciphers = (EventSslContext::OPT_CIPHERS, OLD.into());
    let ours = own(&folder, &authority.sign(&["localhost"]), "server");
    let server = server(&[ours, ciphers.clone()]);
    let client = client(&[trusting(&folder, &authority), ciphers]);
    between(&client, SslVersion::Tls1, SslVersion::Tls1_1);
    let sides = reach(&client, "localhost", &server);
    server_refused(sides, "unsupported protocol");
    server.set_min_proto_version(SslVersion::Tls1).unwrap();
    let (connected, _accepted) = agreed(reach(&client, "localhost", &server));
    assert_eq!(connected.ssl().version_str(), "TLSv1.1");
}

#[test]
fn an_option_excludes_the_version_in_its_name() {
    type Class = EventSslContext;
    let (folder, authority) = (Folder::new(), Authority::new());
    let ours = own(&folder, &authority.sign(&["localhost"]), "server");
    let ciphers = (EventSslContext::OPT_CIPHERS, OLD.into());
    let client = client(&[trusting(&folder, &authority), ciphers.clone()]);
    for (option, version, spoken) in [
        (Class::OPT_NO_TLSv1, SslVersion::Tls1, "TLSv1"),
        (Class::OPT_NO_TLSv1_1, SslVersion::Tls1_1, "TLSv1.1"),
        (Class::OPT_NO_TLSv1_2, SslVersion::Tls1_2, "TLSv1.2"),
    ] {
        client.set_min_proto_version(SslVersion::Tls1).unwrap();
        client.set_max_proto_version(version).unwrap();
        client.set_min_proto_version(version).unwrap();
        let serve = |excluded: bool| {
            let excluded = (option, excluded.into());
            let context = server(&[ours.clone(), ciphers.clone(), excluded]);
            context.set_min_proto_version(SslVersion::Tls1).unwrap();
            reach(&client, "localhost", &context)
        };
        assert_eq!(agreed(serve(false)).0.ssl().version_str(), spoken);
        let sides = serve(true);
        sides.0.expect_err("the client went on");
        sides.1.expect_err("the server went on");
    }
}

#[test]
#[expect(deprecated, reason = "what they do is the test")]
fn the_methods_named_after_a_version_speak_every_version() {
    let (folder, authority) = (Folder::new(), Authority::new());
    let ours = own(&folder, &authority.sign(&["localhost"]), "server");
    let trusted = trusting(&folder, &authority);
    for (near, far) in [
        (
            EventSslContext::TLSv11_CLIENT_METHOD,
            EventSslContext::TLSv11_SERVER_METHOD,
        ),
        (
            EventSslContext::TLSv12_CLIENT_METHOD,
            EventSslContext::TLSv12_SERVER_METHOD,
        ),
    ] {
        let client = EventSslContext::new(near, std::slice::from_ref(&trusted)).unwrap();
        let server = EventSslContext::new(far, std::slice::from_ref(&ours)).unwrap();
        let (connected, _accepted) = agreed(reach(&client, "localhost", &server));
        assert_eq!(connected.ssl().version_str(), "TLSv1.3");
    }
}

#[test]
fn a_setter_affects_only_connections_made_after_it() {
    let (_folder, server, trusted) = localhost();
    let client = client(&[trusted]);
    let before = client.connecting(CALL, Some("localhost")).unwrap();
    client.set_max_proto_version(SslVersion::Tls1_2).unwrap();
    let (old, _accepted) = agreed(meet(before, server.accepting(CALL).unwrap()));
    assert_eq!(old.ssl().version_str(), "TLSv1.3");
    let (new, _accepted) = agreed(reach(&client, "localhost", &server));
    assert_eq!(new.ssl().version_str(), "TLSv1.2");
}

#[test]
fn a_certificate_set_later_is_sent_from_then_on() {
    let (folder, authority) = (Folder::new(), Authority::new());
    let client = client(&[trusting(&folder, &authority)]);
    let server = server(&[]);
    for host in ["one.example", "two.example"] {
        let files = authority.sign(&[host]).save(&folder, host);
        server.set_local_cert(files.both).unwrap();
        agreed(reach(&client, host, &server));
    }
    client_refused(reach(&client, "one.example", &server), "hostname mismatch");

    let files = authority.sign(&["three.example"]).save(&folder, "three");
    let later = super::server(&[]);
    later.set_local_pk(&files.key).unwrap();
    later.set_local_cert(&files.cert).unwrap();
    agreed(reach(&client, "three.example", &later));
}

#[test]
fn the_clients_preferred_cipher_is_chosen_unless_the_server_insists() {
    const A: &str = "ECDHE-ECDSA-AES128-GCM-SHA256";
    const B: &str = "ECDHE-ECDSA-AES256-GCM-SHA384";
    let (folder, authority) = (Folder::new(), Authority::new());
    let ours = own(&folder, &authority.sign(&["localhost"]), "server");
    let ciphers = |list: String| (EventSslContext::OPT_CIPHERS, list.into());
    let client = client(&[trusting(&folder, &authority), ciphers(format!("{A}:{B}"))]);
    client.set_max_proto_version(SslVersion::Tls1_2).unwrap();
    for (list, insists, spoken) in [
        (format!("{B}:{A}"), false, Some(A)),
        (format!("{B}:{A}"), true, Some(B)),
        (B.to_owned(), false, Some(B)),
        ("ECDHE-ECDSA-CHACHA20-POLY1305".to_owned(), false, None),
    ] {
        let preference = EventSslContext::OPT_CIPHER_SERVER_PREFERENCE;
        let server = server(&[ours.clone(), ciphers(list), (preference, insists.into())]);
        let sides = reach(&client, "localhost", &server);
        match spoken {
            Some(name) => {
                let (connected, _accepted) = agreed(sides);
                assert_eq!(connected.ssl().current_cipher().unwrap().name(), name);
            }
            None => server_refused(sides, "no shared cipher"),
        }
    }
}

#[test]
fn the_servers_preferred_protocol_that_the_client_offers_is_chosen() {
    let (_folder, server, trusted) = localhost();
    let client = client(&[trusted]);
    let none: &[&str] = &[];
    for (ours, offered, chosen) in [
        (&["h2", "http/1.1"][..], &["http/1.1", "h2"][..], Some("h2")),
        (&["h2", "http/1.1"], &["http/1.1"], Some("http/1.1")),
        (&["h2"], none, None),
        (none, &["h2"], None),
        (none, none, None),
    ] {
        server.set_alpn_protocols(ours).unwrap();
        client.set_alpn_protocols(offered).unwrap();
        let (connected, accepted) = agreed(reach(&client, "localhost", &server));
        for side in [connected, accepted] {
            let agreed = side.ssl().selected_alpn_protocol();
            assert_eq!(agreed, chosen.map(str::as_bytes), "{ours:?} {offered:?}");
        }
    }
    server.set_alpn_protocols(&["h2", "http/1.1"]).unwrap();
    client.set_alpn_protocols(&["http/1.0", "h"]).unwrap();
    let sides = reach(&client, "localhost", &server);
    server_refused(sides, "no application protocol");
}

/// What `openssl s_client` prints, and the server's side of the connection.
fn s_client(server: &EventSslContext, arguments: &[&str], input: &str) -> (String, Side) {
    let folder = Folder::new();
    let path = folder.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let mut command = Command::new("openssl");
    command
        .args(["s_client", "-unix"])
        .arg(&path)
        .args(arguments);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = test_support::spawn(&mut command).expect("no openssl program");
    let (stream, _address) = listener.accept().unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let accepted = done(server.accepting(CALL).unwrap().accept(stream));
    let accepted = accepted.and_then(|mut stream| {
        stdin.write_all(input.as_bytes()).unwrap();
        let end = stream.read_to_end(&mut Vec::new());
        end.map(|_length| stream).map_err(|error| error.to_string())
    });
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (String::from_utf8_lossy(&text).into_owned(), accepted)
}

#[test]
fn renegotiation_is_refused() {
    let (_folder, server, _trusted) = localhost();
    let (said, accepted) = s_client(&server, &["-tls1_2"], "R\n");
    assert!(said.contains("RENEGOTIATING"), "{said}");
    assert!(said.contains("no renegotiation"), "{said}");
    let end = accepted.expect_err("the client came to terms");
    assert!(end.contains("alert handshake failure"), "{end}");
}

#[test]
fn a_server_sends_clients_the_authorities_it_trusts() {
    let (folder, authority) = (Folder::new(), Authority::new());
    let ours = own(&folder, &authority.sign(&["localhost"]), "server");
    let verify = (EventSslContext::OPT_VERIFY_PEER, true.into());
    let telling = server(&[ours.clone(), trusting(&folder, &authority), verify.clone()]);
    let (said, _accepted) = s_client(&telling, &[], "Q\n");
    let name = authority.0.cert.subject_name().entries().next().unwrap();
    let name = name.data().to_string().unwrap();
    let (_before, names) = said
        .split_once("Acceptable client certificate CA names\n")
        .expect("no names told");
    assert!(names.lines().next().unwrap().ends_with(&name), "{said}");

    let silent = server(&[ours, verify]);
    let (said, _accepted) = s_client(&silent, &[], "Q\n");
    assert!(
        said.contains("No client certificate CA names sent"),
        "{said}"
    );
}

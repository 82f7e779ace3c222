//! Servers that verify clients: required, missing and untrusted certificates; resumed sessions.

use super::*;
use crate::SslVersion;

const VERIFY: Entry = (EventSslContext::OPT_VERIFY_PEER, SslValue::Bool(true));
const REQUIRE: Entry = (
    EventSslContext::OPT_REQUIRE_CLIENT_CERT,
    SslValue::Bool(true),
);
const ALLOW: Entry = (EventSslContext::OPT_ALLOW_SELF_SIGNED, SslValue::Bool(true));
const ONCE: Entry = (
    EventSslContext::OPT_VERIFY_CLIENT_ONCE,
    SslValue::Bool(true),
);

const BOTH: [SslVersion; 2] = [SslVersion::Tls1_2, SslVersion::Tls1_3];

/// Clients without a certificate, with a trusted, an untrusted and a self-signed one.
struct Clients {
    folder: Folder,
    own: Entry,
    trusted: Entry,
    without: EventSslContext,
    known: EventSslContext,
    stranger: EventSslContext,
    itself: EventSslContext,
}

impl Clients {
    fn new(version: SslVersion) -> Self {
        let (folder, authority) = (Folder::new(), Authority::new());
        let trusted = trusting(&folder, &authority);
        let make = |name: &str, identity: Option<Identity>| {
            let mut options = vec![trusted.clone()];
            options.extend(identity.map(|identity| own(&folder, &identity, name)));
            let context = client(&options);
            context.set_max_proto_version(version).unwrap();
            context
        };
        Self {
            own: own(&folder, &authority.sign(&["localhost"]), "server"),
            without: make("without", None),
            known: make("known", Some(authority.sign(&[]))),
            stranger: make("stranger", Some(Authority::new().sign(&[]))),
            itself: make("itself", Some(Identity::self_signed(&[]))),
            trusted,
            folder,
        }
    }

    fn server(&self, options: &[Entry]) -> EventSslContext {
        assert!(self.folder.path().exists());
        server(&[options, std::slice::from_ref(&self.own)].concat())
    }
}

#[test]
fn a_server_asks_no_client_for_a_certificate_by_default() {
    for version in BOTH {
        let clients = Clients::new(version);
        let plain = clients.server(std::slice::from_ref(&clients.trusted));
        for client in [&clients.without, &clients.known, &clients.stranger] {
            let (_connected, accepted) = agreed(reach(client, "localhost", &plain));
            assert!(accepted.ssl().peer_certificate().is_none());
        }
    }
}

#[test]
fn a_verifying_server_accepts_no_certificate_and_refuses_an_untrusted_one() {
    for version in BOTH {
        let clients = Clients::new(version);
        for options in [
            vec![VERIFY, clients.trusted.clone()],
            vec![VERIFY, clients.trusted.clone(), ONCE],
        ] {
            let verifying = clients.server(&options);
            agreed(reach(&clients.without, "localhost", &verifying));
            let (_connected, accepted) = agreed(reach(&clients.known, "localhost", &verifying));
            assert!(accepted.ssl().peer_certificate().is_some());
            for client in [&clients.stranger, &clients.itself] {
                let sides = reach(client, "localhost", &verifying);
                server_refused(sides, "certificate verify failed");
            }
        }
    }
}

#[test]
fn a_server_that_requires_a_certificate_refuses_a_client_without_one() {
    for version in BOTH {
        let clients = Clients::new(version);
        for options in [
            vec![VERIFY, REQUIRE, clients.trusted.clone()],
            vec![REQUIRE, clients.trusted.clone()], // in PHP this alone has no effect
        ] {
            let requiring = clients.server(&options);
            agreed(reach(&clients.known, "localhost", &requiring));
            let sides = reach(&clients.without, "localhost", &requiring);
            server_refused(sides, "peer did not return a certificate");
            let sides = reach(&clients.stranger, "localhost", &requiring);
            server_refused(sides, "certificate verify failed");
        }
    }
}

#[test]
fn a_server_without_authorities_trusts_only_self_signed_certificates_if_allowed() {
    for version in BOTH {
        let clients = Clients::new(version);
        let verifying = clients.server(&[VERIFY]);
        for client in [&clients.known, &clients.stranger, &clients.itself] {
            let sides = reach(client, "localhost", &verifying);
            server_refused(sides, "certificate verify failed");
        }
        let allowing = clients.server(&[REQUIRE, ALLOW]);
        agreed(reach(&clients.itself, "localhost", &allowing));
        // It sends its authority's certificate with its own, since it has it as a trusted one.
        agreed(reach(&clients.known, "localhost", &allowing));
        let sides = reach(&clients.stranger, "localhost", &allowing);
        server_refused(sides, "certificate verify failed");
    }
}

#[test]
#[allow(
    unsafe_code,
    reason = "OpenSSL cannot tell which context a session is of"
)]
fn a_verified_client_resumes_its_session_until_the_server_is_changed() {
    let clients = Clients::new(SslVersion::Tls1_2);
    let requiring = clients.server(&[REQUIRE, clients.trusted.clone()]);
    let (connected, _accepted) = agreed(reach(&clients.known, "localhost", &requiring));
    let session = connected.ssl().session().unwrap().to_owned();
    let resume = || {
        let mut client = clients.known.connecting(CALL, Some("localhost")).unwrap();
        // SAFETY: the session comes from a connection of the same context, unchanged since.
        unsafe { client.set_session(&session) }.unwrap();
        let sides = meet(client, requiring.accepting(CALL).unwrap());
        agreed(sides).0.ssl().session_reused()
    };
    assert!(resume());
    requiring.set_verify_host(true).unwrap(); // rebuilt, with new ticket keys
    assert!(!resume());
}

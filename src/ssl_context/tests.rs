//! The effect of a context on connections: handshakes over a socket pair.

mod clients;
mod parts;
mod peers;
mod versions;

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use openssl::ssl::{HandshakeError, Ssl, SslStream};
use openssl::x509::X509VerifyResult;

use test_support::tls::{Authority, Folder, Identity};

use super::{EventSslContext, SslOption, SslValue};

/// The call that errors name.
const CALL: &str = "EventBufferEvent::sslSocket";

/// Longer than any handshake takes, even under Valgrind.
const LIMIT: Duration = Duration::from_secs(30);

type Entry = (SslOption, SslValue);
type Side = Result<SslStream<UnixStream>, String>;

fn server(options: &[Entry]) -> EventSslContext {
    EventSslContext::new(EventSslContext::TLS_SERVER_METHOD, options).unwrap()
}

fn client(options: &[Entry]) -> EventSslContext {
    EventSslContext::new(EventSslContext::TLS_CLIENT_METHOD, options).unwrap()
}

/// The option for a file with certificate and key.
fn own(folder: &Folder, identity: &Identity, name: &str) -> Entry {
    let file = identity.save(folder, name).both;
    (EventSslContext::OPT_LOCAL_CERT, file.into())
}

/// The option that trusts this authority only.
fn trusting(folder: &Folder, authority: &Authority) -> Entry {
    let file = authority.save(folder, "ca");
    (EventSslContext::OPT_CA_FILE, file.into())
}

/// A server context with a certificate for `localhost`, and the option that trusts it.
fn localhost() -> (Folder, EventSslContext, Entry) {
    let (folder, authority) = (Folder::new(), Authority::new());
    let context = server(&[own(&folder, &authority.sign(&["localhost"]), "server")]);
    let trusted = trusting(&folder, &authority);
    (folder, context, trusted)
}

/// Connects two sides: a handshake, and a byte each way, since under TLS 1.3 a client finishes
/// before the server has verified its certificate.
fn meet(client: Ssl, server: Ssl) -> (Side, Side) {
    let (near, far) = UnixStream::pair().unwrap();
    for stream in [&near, &far] {
        stream.set_read_timeout(Some(LIMIT)).unwrap();
    }
    thread::scope(|scope| {
        let accepted = scope.spawn(|| {
            let mut stream = done(server.accept(far))?;
            let mut byte = [0];
            stream.read_exact(&mut byte).map_err(|e| e.to_string())?;
            stream.write_all(&byte).map_err(|e| e.to_string())?;
            Ok(stream)
        });
        let connected = done(client.connect(near)).and_then(|mut stream| {
            stream.write_all(b"!").map_err(|e| e.to_string())?;
            let mut byte = [0];
            stream.read_exact(&mut byte).map_err(|e| e.to_string())?;
            Ok(stream)
        });
        (connected, accepted.join().unwrap())
    })
}

/// The result of a handshake; an error has OpenSSL's text and the verification's result.
fn done(handshake: Result<SslStream<UnixStream>, HandshakeError<UnixStream>>) -> Side {
    handshake.map_err(|error| error.to_string())
}

/// A handshake of a client that expects `host`.
fn reach(client: &EventSslContext, host: &str, server: &EventSslContext) -> (Side, Side) {
    let client = client.connecting(CALL, Some(host)).unwrap();
    meet(client, server.accepting(CALL).unwrap())
}

/// Both sides of a handshake that must have succeeded.
#[track_caller]
fn agreed(sides: (Side, Side)) -> (SslStream<UnixStream>, SslStream<UnixStream>) {
    match sides {
        (Ok(client), Ok(server)) => {
            assert_eq!(client.ssl().verify_result(), X509VerifyResult::OK);
            (client, server)
        }
        (client, server) => panic!("client: {client:?}\nserver: {server:?}"),
    }
}

/// Asserts that the client refused the server, for this reason.
#[track_caller]
fn client_refused(sides: (Side, Side), cause: &str) {
    says(&sides.0.expect_err("the client went on"), cause);
    sides.1.expect_err("the server went on");
}

/// Asserts that the server refused the client, for this reason.
#[track_caller]
fn server_refused(sides: (Side, Side), cause: &str) {
    says(&sides.1.expect_err("the server went on"), cause);
    sides.0.expect_err("the client went on");
}

/// Ignores case, in which the versions of OpenSSL differ.
#[track_caller]
fn says(text: &str, cause: &str) {
    let text = text.to_lowercase();
    assert!(text.contains(&cause.to_lowercase()), "{text}");
}

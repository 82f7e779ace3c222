//! What a context means to connections: handshakes over a pair of sockets, with the entry
//! points that connections use.

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

/// What the tests' connections call themselves in errors.
const CALL: &str = "EventBufferEvent::sslSocket";

/// Far more than a handshake takes, also under Valgrind on a busy machine.
const LIMIT: Duration = Duration::from_secs(30);

type Entry = (SslOption, SslValue);
type Side = Result<SslStream<UnixStream>, String>;

fn server(options: &[Entry]) -> EventSslContext {
    EventSslContext::new(EventSslContext::TLS_SERVER_METHOD, options).unwrap()
}

fn client(options: &[Entry]) -> EventSslContext {
    EventSslContext::new(EventSslContext::TLS_CLIENT_METHOD, options).unwrap()
}

/// The option that names a file with certificate and key.
fn own(folder: &Folder, identity: &Identity, name: &str) -> Entry {
    let file = identity.save(folder, name).both;
    (EventSslContext::OPT_LOCAL_CERT, file.into())
}

/// The option that trusts an authority and no other.
fn trusting(folder: &Folder, authority: &Authority) -> Entry {
    let file = authority.save(folder, "ca");
    (EventSslContext::OPT_CA_FILE, file.into())
}

/// A server's context with a certificate for `localhost`, and the option that trusts it.
fn localhost() -> (Folder, EventSslContext, Entry) {
    let (folder, authority) = (Folder::new(), Authority::new());
    let context = server(&[own(&folder, &authority.sign(&["localhost"]), "server")]);
    let trusted = trusting(&folder, &authority);
    (folder, context, trusted)
}

/// Connects two sides: a handshake, and a byte each way, since under TLS 1.3 a client is done
/// before the server has judged its certificate.
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

/// A handshake's end; of a failure, OpenSSL's words and what the verification found.
fn done(handshake: Result<SslStream<UnixStream>, HandshakeError<UnixStream>>) -> Side {
    handshake.map_err(|error| error.to_string())
}

/// A client that knows the host meets a server.
fn reach(client: &EventSslContext, host: &str, server: &EventSslContext) -> (Side, Side) {
    let client = client.connecting(CALL, Some(host)).unwrap();
    meet(client, server.accepting(CALL).unwrap())
}

/// Both sides, which must have come to an understanding.
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

/// Why the client did not go on with the server.
#[track_caller]
fn client_refused(sides: (Side, Side), cause: &str) {
    says(&sides.0.expect_err("the client went on"), cause);
    sides.1.expect_err("the server went on");
}

/// Why the server did not go on with the client.
#[track_caller]
fn server_refused(sides: (Side, Side), cause: &str) {
    says(&sides.1.expect_err("the server went on"), cause);
    sides.0.expect_err("the client went on");
}

/// OpenSSL's versions differ in capital letters.
#[track_caller]
fn says(text: &str, cause: &str) {
    let text = text.to_lowercase();
    assert!(text.contains(&cause.to_lowercase()), "{text}");
}

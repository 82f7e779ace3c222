//! The client and the scripted servers of the cases around this file.

use php_event::{EventBase, EventDnsBase, EventHttpConnection, HttpError, HttpMethods};

use super::OVER;
use crate::server::{Listener, Peer, Server};
use crate::{GET, Told, request, until_stopped};

pub(crate) fn connect(base: &EventBase, port: u16) -> EventHttpConnection {
    connect_to(base, None, "127.0.0.1", port)
}

pub(crate) fn connect_to(
    base: &EventBase,
    dns: Option<&EventDnsBase>,
    address: &str,
    port: u16,
) -> EventHttpConnection {
    OVER.connection(base, dns, address, port).unwrap()
}

/// A server that follows a script.
pub(crate) fn serve(script: impl FnOnce(Listener) + Send + 'static) -> Server {
    Server::new(OVER, script)
}

/// A server that reads one request, answers with `bytes`, and closes.
pub(crate) fn answering(bytes: impl AsRef<[u8]>) -> Server {
    let bytes = bytes.as_ref().to_vec();
    serve(move |listener| {
        let mut peer = Peer::accept(&listener);
        peer.read_request();
        peer.write(&bytes);
        peer.end();
    })
}

/// Makes one request of a server that answers with `bytes` and then closes; what the callback
/// was told, and why.
pub(crate) fn answered_with(bytes: impl AsRef<[u8]>) -> (Told, Option<HttpError>) {
    exchange(GET, bytes)
}

pub(crate) fn exchange(method: HttpMethods, bytes: impl AsRef<[u8]>) -> (Told, Option<HttpError>) {
    let base = EventBase::new().unwrap();
    let server = answering(bytes);
    let connection = connect(&base, server.port());
    let (request, told) = request(&base);
    connection.make_request(&request, method, "/").unwrap();
    until_stopped(&base);
    let told = told.take();
    assert_eq!(told.len(), 1);
    (told[0].clone(), request.error())
}

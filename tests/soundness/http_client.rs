//! The completion callback of a client's request, as a class for the cases, and what only a
//! client's requests and connections have.
//!
//! The close callback of a connection is no class: what it waits for takes several turns of
//! the loop (a connection that comes about, and ends), where the cases want it in the next.
//! `tests/event_http_connection/closing.rs` has its cases.

use std::rc::{Rc, Weak};

use php_event::{EventBase, EventHttpConnection, EventHttpRequest};

use crate::Class;

thread_local! {
    /// A port where nobody listens: the kernel says so at once.
    static REFUSING: (socket2::Socket, u16) = refusing();
}

/// A request, with the connection that it is made over.
pub(crate) struct Completion;

/// The same with TLS, to an address that the system refuses at once.
#[cfg(feature = "openssl")]
pub(crate) struct TlsCompletion;

/// Both of them: dropping a request alone does not end it, dropping its connection does.
#[derive(Debug)]
pub(crate) struct Both {
    request: EventHttpRequest,
    connection: EventHttpConnection,
}

#[derive(Clone, Debug)]
pub(crate) struct Handle(Rc<Both>);

impl PartialEq for Handle {
    fn eq(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Handle {}

fn refusing() -> (socket2::Socket, u16) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let any: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
    socket.bind(&any.into()).unwrap();
    let port = socket.local_addr().unwrap().as_socket().unwrap().port();
    (socket, port)
}

/// A request whose closure is the callback, and its connection.
fn make(connection: EventHttpConnection, mut callback: impl FnMut(&Handle) + 'static) -> Handle {
    Handle(Rc::new_cyclic(|both: &Weak<Both>| {
        let both = Weak::clone(both);
        let told = move |answer: Option<&EventHttpRequest>| {
            assert!(answer.is_some());
            if let Some(both) = both.upgrade() {
                callback(&Handle(both));
            }
        };
        Both {
            request: EventHttpRequest::new(told).unwrap(),
            connection,
        }
    }))
}

fn fire(handle: &Handle) {
    let Both {
        request,
        connection,
    } = &*handle.0;
    connection
        .make_request(request, EventHttpRequest::CMD_GET, "/")
        .unwrap();
}

/// The methods that do not depend on the connection.
macro_rules! of_request {
    () => {
        fn fire(handle: &Handle) {
            fire(handle);
        }

        fn disarm(handle: &Handle) {
            handle.0.request.cancel().unwrap();
        }

        fn free(handle: &Handle) {
            handle.0.request.free();
        }

        /// A request's closure stays the one that it was made with.
        fn replace(_: &Handle, _: &EventBase, _: impl FnMut(&Handle) + 'static) -> bool {
            false
        }
    };
}

impl Class for Completion {
    type Handle = Handle;

    fn make(base: &EventBase, callback: impl FnMut(&Handle) + 'static) -> Handle {
        let port = REFUSING.with(|(_, port)| *port);
        let connection = EventHttpConnection::new(base, None, "127.0.0.1", port).unwrap();
        make(connection, callback)
    }

    of_request!();
}

#[cfg(feature = "openssl")]
impl Class for TlsCompletion {
    type Handle = Handle;

    fn make(base: &EventBase, callback: impl FnMut(&Handle) + 'static) -> Handle {
        use php_event::EventSslContext;
        let context = EventSslContext::new(EventSslContext::TLS_CLIENT_METHOD, &[]).unwrap();
        let nowhere = "255.255.255.255";
        let connection = EventHttpConnection::with_ssl(base, None, nowhere, 443, &context);
        make(connection.unwrap(), callback)
    }

    of_request!();
}

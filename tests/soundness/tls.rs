//! The event callback of a TLS `EventBufferEvent`, as a class for the cases: a handshake that
//! fails, which needs no peer with a loop. The read and write callbacks need an established
//! session: `tests/event_tls/ending.rs` tests them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::Write as _;
use std::os::fd::RawFd;
use std::os::unix::net::UnixStream;

use php_event::{
    BufferEventOptions, Callbacks, Event, EventBase, EventBufferEvent, EventSslContext,
};

use crate::Class;
use test_support::pair;
use test_support::tls::{Folder, Identity};

thread_local! {
    static CONTEXT: EventSslContext = context();
    /// The peer of each object, by the number of its descriptor.
    static PEERS: RefCell<HashMap<RawFd, UnixStream>> = RefCell::default();
}

fn context() -> EventSslContext {
    let folder = Folder::new();
    let files = Identity::self_signed(&["localhost"]).save(&folder, "server");
    let certificate = (EventSslContext::OPT_LOCAL_CERT, files.both.as_path().into());
    EventSslContext::new(EventSslContext::TLS_SERVER_METHOD, &[certificate]).unwrap()
}

fn callbacks(mut callback: impl FnMut(&EventBufferEvent) + 'static) -> Callbacks {
    Callbacks::new().on_event(move |bev, what| {
        assert!(what.contains(EventBufferEvent::ERROR), "{what:?}");
        callback(bev);
    })
}

/// A server whose peer speaks no TLS.
pub(crate) struct TlsError;

impl Class for TlsError {
    type Handle = EventBufferEvent;

    fn make(
        base: &EventBase,
        callback: impl FnMut(&EventBufferEvent) + 'static,
    ) -> EventBufferEvent {
        let (ours, theirs) = pair();
        let state = EventBufferEvent::SSL_ACCEPTING;
        let options = BufferEventOptions::empty();
        let bev = CONTEXT.with(|context| {
            EventBufferEvent::ssl_socket(base, ours, context, state, options).unwrap()
        });
        bev.disable(Event::READ | Event::WRITE).unwrap(); // the handshake would begin at once
        bev.set_callbacks(callbacks(callback)).unwrap();
        PEERS.with_borrow_mut(|peers| peers.insert(bev.fd().unwrap(), theirs));
        bev
    }

    fn fire(bev: &EventBufferEvent) {
        PEERS.with_borrow_mut(|peers| {
            let peer = peers.get_mut(&bev.fd().unwrap()).unwrap();
            peer.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
        });
        bev.enable(Event::READ).unwrap();
    }

    fn disarm(bev: &EventBufferEvent) {
        bev.disable(Event::READ | Event::WRITE).unwrap();
    }

    fn free(bev: &EventBufferEvent) {
        bev.free();
    }

    fn replace(
        bev: &EventBufferEvent,
        _base: &EventBase,
        callback: impl FnMut(&EventBufferEvent) + 'static,
    ) -> bool {
        bev.set_callbacks(callbacks(callback)).unwrap();
        true
    }
}

//! TLS buffer events across `fork`: a session is one process's, a copy of it is never used.

use std::cell::RefCell;
use std::io::{ErrorKind, Read as _};
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use php_event::{
    BufferEventOptions, Callbacks, Event, EventBase, EventBufferEvent, EventSslContext, LoopEnd,
};

use crate::child::{How, poll, run_once, succeeds};
use test_support::tls::{Folder, Identity};
use test_support::{dup, fill, take_filling};

/// A server and a client of one process.
struct Both {
    base: EventBase,
    server: EventBufferEvent,
    client: EventBufferEvent,
    heard: Rc<RefCell<Vec<u8>>>,
}

impl Both {
    fn new() -> Self {
        let base = EventBase::new().unwrap();
        let folder = Folder::new();
        let files = Identity::self_signed(&["localhost"]).save(&folder, "server");
        let certificate = (EventSslContext::OPT_LOCAL_CERT, files.both.as_path().into());
        let trusted = (EventSslContext::OPT_CA_FILE, files.cert.as_path().into());
        let method = EventSslContext::TLS_SERVER_METHOD;
        let server = EventSslContext::new(method, &[certificate]).unwrap();
        let method = EventSslContext::TLS_CLIENT_METHOD;
        let client = EventSslContext::new(method, &[trusted]).unwrap();
        let (one, other) = UnixStream::pair().unwrap();
        let make = |socket, context, state| {
            let options = BufferEventOptions::empty();
            EventBufferEvent::ssl_socket(&base, socket, context, state, options).unwrap()
        };
        let server = make(one, &server, EventBufferEvent::SSL_ACCEPTING);
        let client = make(other, &client, EventBufferEvent::SSL_CONNECTING);
        client.set_ssl_host("localhost").unwrap();
        let heard = Rc::new(RefCell::new(Vec::new()));
        let all = heard.clone();
        let takes = Callbacks::new()
            .on_read(move |bev| all.borrow_mut().extend(bev.read(99).unwrap().unwrap()))
            .on_event(|bev, what| {
                assert_eq!(what, EventBufferEvent::CONNECTED, "{:?}", bev.ssl_error());
            });
        client.set_callbacks(takes).unwrap();
        client.enable(Event::READ).unwrap();
        server.enable(Event::READ).unwrap();
        Self {
            base,
            server,
            client,
            heard,
        }
    }

    #[track_caller]
    fn works(&self) {
        self.server.write("hello").unwrap();
        while *self.heard.borrow() != b"hello" {
            run_once(&self.base);
        }
        self.heard.borrow_mut().clear();
    }
}

pub(crate) fn tls_dropped_in_a_child_says_no_goodbye_for_its_parent() {
    for how in How::BOTH {
        for orphaned in [true, false] {
            let both = Both::new();
            both.works();
            let mut both = Some(both);
            let child = how.child(|| {
                let Both {
                    base,
                    server,
                    client,
                    ..
                } = both.take().unwrap();
                if orphaned {
                    drop((server, client));
                    base.re_init().unwrap();
                } else {
                    base.re_init().unwrap();
                    drop((server, client));
                }
                assert_eq!(base.dispatch().unwrap(), LoopEnd::NoEvents);
            });
            succeeds(child);
            both.unwrap().works();
        }
    }
}

/// A `close_notify` that waits for room in the socket is the parent's to send.
pub(crate) fn close_notify_that_waits_is_not_sent_by_a_child() {
    for how in How::BOTH {
        for adopts in [true, false] {
            let both = Both::new();
            both.works();
            let (base, server, client) = (both.base, both.server, both.client);
            client.disable(Event::READ).unwrap();
            let filling = fill(dup(server.fd().unwrap()));
            server.free();
            poll(&base);
            let end = dup(client.fd().unwrap());
            let mut parents = Some((base, client));
            let child = how.child(|| {
                let (base, client) = parents.take().unwrap();
                take_filling(end.try_clone().unwrap(), filling); // now there is room
                if adopts {
                    base.re_init().unwrap();
                    assert_eq!(base.dispatch().unwrap(), LoopEnd::NoEvents);
                }
                drop((base, client));
            });
            succeeds(child);
            let (base, client) = parents.unwrap();
            let nothing = UnixStream::from(end).read(&mut [0]).unwrap_err();
            assert_eq!(nothing.kind(), ErrorKind::WouldBlock, "the child has sent");
            let ends = Rc::new(RefCell::new(Vec::new()));
            let list = ends.clone();
            let watches = Callbacks::new().on_event(move |bev, what| {
                list.borrow_mut().push(what);
                bev.free();
            });
            client.set_callbacks(watches).unwrap();
            client.enable(Event::READ).unwrap();
            assert_eq!(base.dispatch().unwrap(), LoopEnd::NoEvents);
            let end = EventBufferEvent::READING | EventBufferEvent::EOF;
            assert_eq!(*ends.borrow(), [end]);
        }
    }
}

//! Peers that send thousands of messages that are no data.

use std::cell::Cell;
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use php_event::{Callbacks, Event, EventBase, EventBufferEvent};

use crate::peers::{ACCEPTING, CONNECTING, NO_OPTIONS, World};
use test_support::tls::Flooder;

#[test]
fn peer_that_changes_its_keys_without_end_leaves_turns_to_others() {
    for (state, is_filter) in [
        (CONNECTING, false),
        (CONNECTING, true),
        (ACCEPTING, false),
        (ACCEPTING, true),
    ] {
        let (base, world) = (EventBase::new().unwrap(), World::new());
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (context, peer) = if state == CONNECTING {
            let identity = world.authority.sign(&["localhost"]);
            (world.client(), Flooder::server(&identity, theirs))
        } else {
            (world.server(), Flooder::client(theirs))
        };
        let tls = if is_filter {
            let under = EventBufferEvent::new(&base, ours, NO_OPTIONS).unwrap();
            EventBufferEvent::create_ssl_filter(&under, &context, state, NO_OPTIONS).unwrap()
        } else {
            EventBufferEvent::ssl_socket(&base, ours, &context, state, NO_OPTIONS).unwrap()
        };
        if state == CONNECTING {
            tls.set_ssl_host("localhost").unwrap();
        }
        let got = Rc::new(Cell::new(false));
        let note = got.clone();
        let reads = Callbacks::new().on_read(move |bev| {
            assert_eq!(bev.read(9).unwrap().as_deref(), Some(&b"hello"[..]));
            note.set(true);
        });
        tls.set_callbacks(reads).unwrap();
        tls.enable(Event::READ).unwrap();
        peer.flood(&base, b"hello", || got.get());
    }
}

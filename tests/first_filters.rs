//! The first TLS filters of a process.
#![cfg(feature = "openssl")]

use std::sync::Barrier;
use std::thread;

use php_event::{BufferEventOptions, EventBase, EventBufferEvent, EventSslContext};
use test_support::poll;

const THREADS: usize = 16;

/// libevent makes the table that all of them use, without a lock of its own. If two threads make one at
/// once, AddressSanitizer reports the first as leaked.
#[test]
fn the_first_filters_of_several_threads_share_one_table() {
    let start = Barrier::new(THREADS);
    thread::scope(|threads| {
        for _ in 0..THREADS {
            threads.spawn(|| {
                let base = EventBase::new().unwrap();
                let none = BufferEventOptions::empty();
                let (under, peer) = EventBufferEvent::create_pair(&base, none).unwrap();
                let method = EventSslContext::TLS_CLIENT_METHOD;
                let context = EventSslContext::new(method, &[]).unwrap();
                let state = EventBufferEvent::SSL_CONNECTING;
                start.wait();
                let tls = EventBufferEvent::create_ssl_filter(&under, &context, state, none);
                tls.unwrap().set_ssl_host("localhost").unwrap();
                peer.enable(php_event::Event::READ).unwrap();
                poll(&base);
            });
        }
    });
}

//! `is_pending`: whether anything may still come.

use std::net::TcpListener;

use php_event::{AddressFamily, Event, EventBase, EventBufferEvent, LoopEnd};

use super::{PLAIN, connected, got};
use test_support::{new_base, run};

fn pair(base: &EventBase) -> (EventBufferEvent, EventBufferEvent) {
    EventBufferEvent::create_pair(base, PLAIN).unwrap()
}

#[test]
fn one_that_reads_is_pending_until_it_is_disabled_or_freed() {
    let base = new_base();
    let ((socket, _peer), (half, _other)) = (connected(&base), pair(&base));
    for bev in [socket, half] {
        assert!(!bev.is_pending(), "{bev:?}");
        bev.enable(Event::READ).unwrap();
        assert!(bev.is_pending(), "{bev:?}");
        bev.disable(Event::READ).unwrap();
        assert!(!bev.is_pending(), "{bev:?}");
        bev.enable(Event::READ).unwrap();
        bev.free();
        assert!(!bev.is_pending());
    }
}

#[test]
fn one_whose_output_waits_is_pending_until_it_is_sent() {
    let base = new_base();
    let ((socket, peer), (half, other)) = (connected(&base), pair(&base));
    for bev in [&socket, &half] {
        bev.write("output").unwrap();
        assert!(bev.is_pending(), "{bev:?}");
    }
    other.enable(Event::READ).unwrap();
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(got(&peer), "output");
    for bev in [&socket, &half] {
        assert!(!bev.is_pending(), "{bev:?}");
    }
}

#[test]
fn one_that_connects_is_pending_until_it_is_connected() {
    type Connect = fn(&EventBufferEvent, u16) -> php_event::Result<()>;
    let connects: [Connect; 2] = [
        |bev, port| bev.connect(&format!("127.0.0.1:{port}")),
        |bev, port| bev.connect_host(None, "127.0.0.1", port, AddressFamily::UNSPEC),
    ];
    let base = new_base();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    for connect in connects {
        let bev = EventBufferEvent::unconnected(&base, PLAIN).unwrap();
        assert!(!bev.is_pending());
        connect(&bev, port).unwrap();
        assert!(bev.is_pending());
        assert_eq!(run(&base), LoopEnd::NoEvents);
        assert!(bev.fd().is_some() && !bev.is_pending());
    }
}

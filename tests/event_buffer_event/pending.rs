//! `is_pending`: whether anything may still come.

use std::cell::Cell;
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

use php_event::{
    AddressFamily, BufferEventOptions, Callbacks, Event, EventBase, EventBufferEvent, LoopEnd,
};

use super::{PLAIN, connected, got};
use test_support::{new_base, run};

fn pair(base: &EventBase) -> (EventBufferEvent, EventBufferEvent) {
    EventBufferEvent::create_pair(base, PLAIN).unwrap()
}

#[test]
fn one_that_reads_is_pending_until_it_is_disabled_or_freed() {
    let base = new_base();
    let ((socket, _peer), (half, _other)) = (connected(&base), pair(&base));
    for bev in [&socket, &half] {
        assert!(!bev.is_pending(), "{bev:?}");
        bev.enable(Event::READ).unwrap();
        assert!(bev.is_pending(), "{bev:?}");
        bev.disable(Event::READ).unwrap();
        assert!(!bev.is_pending(), "{bev:?}");
        bev.enable(Event::READ).unwrap();
    }
    for bev in [socket, half] {
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

#[test]
fn one_that_has_no_socket_is_pending_only_for_its_timeout() {
    let base = new_base();
    let refused = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = refused.local_addr().unwrap().to_string();
    drop(refused);
    let [fresh, late, failed] =
        [(); 3].map(|()| EventBufferEvent::unconnected(&base, PLAIN).unwrap());
    for bev in [&fresh, &late, &failed] {
        bev.enable(Event::READ).unwrap();
        bev.write("output").unwrap();
        assert!(!bev.is_pending(), "{bev:?}");
    }
    late.set_timeouts(Some(Duration::from_millis(1)), None)
        .unwrap();
    failed.connect(&address).unwrap();
    assert!(late.is_pending() && failed.is_pending());
    base.exit(Some(Duration::from_millis(100))).unwrap();
    run(&base);
    assert!(!late.is_pending() && !failed.is_pending());
}

#[test]
fn half_of_a_pair_is_pending_while_there_is_another_or_a_timeout() {
    let base = new_base();
    for waits in [false, true] {
        let (half, other) = pair(&base);
        half.enable(Event::READ).unwrap();
        half.write("output").unwrap();
        let wait = |time| half.set_timeouts(Some(time), Some(time)).unwrap();
        if waits {
            wait(Duration::from_secs(3600));
        }
        assert!(half.is_pending());
        drop(other);
        base.r#loop(EventBase::LOOP_NONBLOCK).unwrap(); // its end waits there
        assert_eq!(half.is_pending(), waits);
        if waits {
            wait(Duration::from_millis(1));
        }
        base.exit(Some(Duration::from_millis(100))).unwrap();
        run(&base);
        assert!(!half.is_pending(), "{half:?}");
    }
}

#[test]
fn one_whose_writing_is_disabled_is_not_pending_for_its_output() {
    let base = new_base();
    let ((socket, _peer), (half, _other)) = (connected(&base), pair(&base));
    for bev in [&socket, &half] {
        bev.write("output").unwrap();
        bev.disable(Event::WRITE).unwrap();
        assert!(!bev.is_pending(), "{bev:?}");
    }
}

#[test]
fn one_that_is_full_is_pending_until_it_is_disabled() {
    let base = new_base();
    let (socket, mut peer) = connected(&base);
    socket.set_watermark(Event::READ, 0, 4).unwrap();
    socket.enable(Event::READ).unwrap();
    peer.write_all(b"more than that").unwrap();
    base.exit(Some(Duration::from_millis(50))).unwrap();
    run(&base);
    assert!(socket.is_pending(), "{socket:?}");
    socket.disable(Event::READ).unwrap();
    assert!(!socket.is_pending(), "{socket:?}");
}

#[test]
fn one_that_is_owed_a_deferred_callback_is_pending_until_it_has_run() {
    let base = new_base();
    let (far, near) = UnixStream::pair().unwrap();
    let bev = EventBufferEvent::new(&base, near, BufferEventOptions::DEFER_CALLBACKS).unwrap();
    let told = Rc::new(Cell::new(false));
    let tell = Rc::clone(&told);
    bev.set_callbacks(Callbacks::new().on_event(move |_bev, _what| tell.set(true)))
        .unwrap();
    bev.enable(Event::READ).unwrap();
    drop(far); // its end disables READ, and puts the callback off
    let (seen, late) = (bev.clone(), Rc::clone(&told));
    let look = Event::timer(&base, move |_timer| {
        assert!(!late.get(), "the callback was not put off");
        assert!(seen.is_pending(), "{seen:?}");
    })
    .unwrap();
    look.add(Some(Duration::ZERO)).unwrap();
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert!(told.get() && !bev.is_pending(), "{bev:?}");
}

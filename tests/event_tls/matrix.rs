//! Every combination of callbacks that are set and not set, plain and with TLS.

use std::cell::Cell;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

use php_event::{Callbacks, Event, EventBase, EventBufferEvent, LoopEnd};
use test_support::{Seen, poll, run, run_once};

use crate::peers::{ACCEPTING, CONNECTED, CONNECTING, NO_OPTIONS, WIRES, Wire, World, join};

/// How long a loop runs in which nothing should happen.
const TIME: Duration = Duration::from_millis(20);

/// Whether the read, write and event callback are set.
type Set = [bool; 3];

fn sets() -> impl Iterator<Item = Set> {
    (0..8).map(|bits| [bits & 1 != 0, bits & 2 != 0, bits & 4 != 0])
}

/// Callbacks that record their name; those of `set` only.
fn some(set: Set, seen: &Seen<String>) -> Callbacks {
    let [reads, writes, events] = [0; 3].map(|_| seen.clone());
    let mut callbacks = Callbacks::new();
    if set[0] {
        callbacks = callbacks.on_read(move |_| reads.note("read".to_owned()));
    }
    if set[1] {
        callbacks = callbacks.on_write(move |_| writes.note("write".to_owned()));
    }
    if set[2] {
        callbacks = callbacks.on_event(move |_, what| events.note(format!("{what:?}")));
    }
    callbacks
}

/// Runs the loop until nothing happens any more. It has to wait then, not to spin: the timer that
/// ends the wait is all that a turn has to do. Turns are counted, for the processor time would
/// depend on what else the machine does.
#[track_caller]
fn rests(base: &EventBase, what: &str) {
    for _ in 0..40 {
        poll(base); // comes back, or the test's time limit ends it
    }
    let over = Rc::new(Cell::new(false));
    let ends = over.clone();
    let timer = Event::timer(base, move |_| ends.set(true)).unwrap();
    timer.add(Some(TIME)).unwrap();
    let mut turns = 0;
    while !over.get() {
        run_once(base);
        turns += 1;
    }
    assert_eq!(turns, 1, "{what}: the loop did not wait");
}

/// A connection that succeeds, carries bytes both ways, and ends.
#[test]
fn loop_rests_whichever_callbacks_of_a_connection_are_set() {
    let world = World::new();
    let (server_context, client_context) = (world.server(), world.client());
    for wire in WIRES {
        for set in sets() {
            let what = format!("{wire:?} {set:?}");
            let base = EventBase::new().unwrap();
            let (server, client) = join(&base, wire, &server_context, &client_context, NO_OPTIONS);
            client.set_ssl_host("localhost").unwrap();
            let seen = Seen::new();
            client.set_callbacks(some(set, &seen)).unwrap();
            client.enable(Event::READ | Event::WRITE).unwrap();
            server.write("hello").unwrap();
            client.write("hello").unwrap();
            rests(&base, &what);
            assert_eq!(
                client.read(9).unwrap().as_deref(),
                Some(&b"hello"[..]),
                "{what}"
            );
            server.free();
            rests(&base, &what);
            let seen = seen.take();
            let has = |name: &str| seen.iter().any(|note| note.contains(name));
            assert_eq!(
                [has("read"), has("write"), has("CONNECTED")],
                set,
                "{what} {seen:?}"
            );
            assert_eq!(has("EOF"), set[2], "{what} {seen:?}");
            client.free();
            assert_eq!(run(&base), LoopEnd::NoEvents, "{what}");
        }
    }
}

/// A handshake that fails, and a connection that is cut.
#[test]
fn loop_rests_whichever_callbacks_of_a_failing_connection_are_set() {
    let world = World::new();
    for state in [CONNECTING, ACCEPTING] {
        for set in sets() {
            for bytes in [&b"no TLS here, but some bytes\r\n"[..], b""] {
                let what = format!("{state:?} {set:?} {bytes:?}");
                let base = EventBase::new().unwrap();
                let context = match state == CONNECTING {
                    true => world.client(),
                    false => world.server(),
                };
                let (socket, mut peer) = UnixStream::pair().unwrap();
                let tls = EventBufferEvent::ssl_socket(&base, socket, &context, state, NO_OPTIONS);
                let tls = tls.unwrap();
                let seen = Seen::new();
                tls.set_callbacks(some(set, &seen)).unwrap();
                tls.enable(Event::READ | Event::WRITE).unwrap();
                std::io::Write::write_all(&mut peer, bytes).unwrap();
                if bytes.is_empty() {
                    drop(peer);
                }
                rests(&base, &what);
                let errors = seen
                    .take()
                    .iter()
                    .filter(|note| note.contains("ERROR"))
                    .count();
                assert_eq!(errors, usize::from(set[2]), "{what}");
                assert!(
                    tls.ssl_error().unwrap().is_some() || bytes.is_empty(),
                    "{what}"
                );
            }
        }
    }
}

#[test]
fn callbacks_taken_away_inside_one_of_them_leave_the_loop_at_rest() {
    for wire in WIRES {
        let base = EventBase::new().unwrap();
        let (server, client) = World::new().connect(&base, wire, NO_OPTIONS);
        let seen = Seen::new();
        let note = seen.clone();
        let once = Callbacks::new().on_event(move |bev, what| {
            note.note(what);
            bev.set_callbacks(Callbacks::new()).unwrap();
        });
        client.set_callbacks(once).unwrap();
        rests(&base, &format!("{wire:?}"));
        server.free();
        rests(&base, &format!("{wire:?}"));
        assert_eq!(seen.take(), [CONNECTED], "{wire:?}");
    }
    assert!(WIRES.contains(&Wire::Sockets));
}

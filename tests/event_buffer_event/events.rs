//! What the event callback is told, and what state it leaves.

use std::cell::{Cell, RefCell};
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::rc::Rc;
use std::time::{Duration, Instant};

use php_event::{Callbacks, Event, EventBase, EventBufferEvent, LoopEnd};
use socket2::SockRef;

use super::{BOTH, PLAIN, connected, got, notes, send, text};
use test_support::{Seen, ms, new_base, poll, run};

/// A pair of TCP sockets.
fn tcp() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

/// Notes each event's number and the error number that goes with it.
fn numbers(seen: &Seen<(i16, i32)>) -> Callbacks {
    let seen = seen.clone();
    Callbacks::new().on_event(move |_bev, what| {
        let errno = io::Error::last_os_error().raw_os_error().unwrap();
        seen.note((what.bits(), if what.bits() & 32 == 0 { 0 } else { errno }));
    })
}

#[test]
fn the_end_of_the_input_is_17_after_the_data_and_an_answer_still_goes_out() {
    let base = new_base();
    let (bev, peer) = connected(&base);
    let seen = Seen::new();
    let note = seen.clone();
    bev.set_callbacks(notes(&seen).on_read(move |_| note.note("read".to_owned())))
        .unwrap();
    bev.enable(Event::READ).unwrap();
    send(&peer, "question");
    peer.shutdown(Shutdown::Write).unwrap();
    assert_eq!(
        run(&base),
        LoopEnd::NoEvents,
        "nothing is pending after the end"
    );
    assert_eq!(seen.take(), ["read", "event 17"]);
    assert_eq!(bev.get_enabled().unwrap(), Event::WRITE);
    assert_eq!(text(bev.read(99).unwrap()), "question");
    bev.write("answer").unwrap();
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(got(&peer), "answer");
    assert_eq!(seen.take(), ["write"]);
}

#[test]
fn a_reset_is_33_with_its_error_number() {
    let (base, seen) = (new_base(), Seen::new());
    let (ours, theirs) = tcp();
    let bev = EventBufferEvent::new(&base, ours, PLAIN).unwrap();
    bev.set_callbacks(numbers(&seen)).unwrap();
    bev.enable(Event::READ).unwrap();
    SockRef::from(&theirs)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(theirs);
    run(&base);
    assert_eq!(seen.take(), [(33, libc::ECONNRESET)]);
    assert_eq!(bev.get_enabled().unwrap(), Event::WRITE);
}

#[test]
fn a_closed_peer_is_event_34_when_writing_and_the_output_stays() {
    let (base, seen) = (new_base(), Seen::new());
    let (bev, peer) = connected(&base);
    bev.set_callbacks(numbers(&seen)).unwrap();
    peer.shutdown(Shutdown::Both).unwrap();
    bev.write("hello").unwrap();
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(seen.take(), [(34, libc::EPIPE)]);
    assert!(bev.get_enabled().unwrap().is_empty());
    assert_eq!(bev.output().length(), 5);
}

#[test]
fn deferred_the_error_number_is_still_the_right_one() {
    let (base, seen) = (new_base(), Seen::new());
    let (bev, peer) = super::with_options(&base, EventBufferEvent::OPT_DEFER_CALLBACKS);
    bev.set_callbacks(numbers(&seen)).unwrap();
    peer.shutdown(Shutdown::Both).unwrap();
    bev.write("hello").unwrap();
    run(&base);
    assert_eq!(seen.take(), [(34, libc::EPIPE)]);
}

#[test]
fn a_read_timeout_is_65_and_disables_reading_until_enabled_again() {
    let (base, seen) = (new_base(), Seen::new());
    let (bev, _peer) = connected(&base);
    bev.set_callbacks(notes(&seen)).unwrap();
    bev.set_timeouts(ms(5), None).unwrap();
    for _ in 0..2 {
        bev.enable(Event::READ).unwrap();
        assert_eq!(run(&base), LoopEnd::NoEvents);
        assert_eq!(seen.take(), ["event 65"]);
        assert_eq!(bev.get_enabled().unwrap(), Event::WRITE);
    }
}

#[test]
fn a_write_timeout_is_66_and_disables_writing() {
    let (base, seen) = (new_base(), Seen::new());
    let (bev, _peer) = connected(&base);
    bev.set_callbacks(notes(&seen)).unwrap();
    bev.set_timeouts(None, ms(5)).unwrap();
    assert_eq!(
        run(&base),
        LoopEnd::NoEvents,
        "no time runs while nothing is to be written"
    );
    bev.write(vec![0; 10 << 20]).unwrap(); // more than the socket takes
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(seen.take(), ["event 66"]);
    assert!(bev.get_enabled().unwrap().is_empty());
    assert!(bev.output().length() > 0);
}

#[test]
fn arriving_bytes_restart_the_timeout() {
    const TIME: Duration = Duration::from_millis(50);
    let (base, seen) = (test_support::precise_base(), Seen::new());
    let (bev, peer) = connected(&base);
    let (sent, told) = (Rc::new(Cell::new(Instant::now())), Rc::new(Cell::new(None)));
    let arrived = Rc::new(Cell::new(sent.get())); // when the last that was read was sent
    let (last, note, end) = (sent.clone(), seen.clone(), told.clone());
    let read = arrived.clone();
    let mut left = 4;
    send(&peer, "x");
    let tick = Event::timer(&base, move |_| {
        last.set(Instant::now());
        send(&peer, "x");
    })
    .unwrap();
    bev.set_callbacks(
        Callbacks::new()
            .on_read(move |bev| {
                note.note(text(bev.read(9).unwrap()));
                read.set(sent.get());
                left -= 1;
                if left > 0 {
                    tick.add(Some(TIME / 3)).unwrap();
                }
            })
            .on_event(move |_, what| end.set(Some((what.bits(), Instant::now())))),
    )
    .unwrap();
    bev.set_timeouts(Some(TIME), None).unwrap();
    bev.enable(Event::READ).unwrap();
    assert_eq!(run(&base), LoopEnd::NoEvents);
    let (what, when) = told.get().unwrap();
    assert_eq!(what, 65);
    let waited = when - arrived.get();
    assert!(!seen.take().is_empty() && waited >= TIME, "{waited:?}");
}

#[test]
fn no_time_or_zero_waits_for_ever() {
    let (base, seen) = (new_base(), Seen::new());
    let (bev, _peer) = connected(&base);
    bev.set_callbacks(notes(&seen)).unwrap();
    bev.set_timeouts(ms(1), ms(1)).unwrap();
    bev.set_timeouts(Some(Duration::ZERO), Some(Duration::from_nanos(999)))
        .unwrap();
    bev.enable(Event::READ).unwrap();
    let stop = stop_after(&base, 20);
    assert_eq!(run(&base), LoopEnd::Stop);
    bev.set_timeouts(None, Some(Duration::MAX)).unwrap();
    stop.add(ms(20)).unwrap();
    assert_eq!(run(&base), LoopEnd::Stop);
    assert!(seen.take().is_empty());
}

fn stop_after(base: &EventBase, time: u64) -> Event {
    let own = base.clone();
    let stop = Event::timer(base, move |_| own.stop().unwrap()).unwrap();
    stop.add(ms(time)).unwrap();
    stop
}

/// The usual server of PHP's manual: it answers each line, and goes at the end.
#[test]
fn an_echo_server_over_tcp_serves_and_ends() {
    let base = new_base();
    let (ours, mut client) = tcp();
    client
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    let bev = EventBufferEvent::new(&base, ours, EventBufferEvent::OPT_CLOSE_ON_FREE).unwrap();
    bev.set_callbacks(
        Callbacks::new()
            .on_read(|bev| bev.output().add_buffer(&bev.input()).unwrap())
            .on_event(|bev, what| {
                assert_eq!(what, EventBufferEvent::READING | EventBufferEvent::EOF);
                bev.free();
            }),
    )
    .unwrap();
    bev.enable(BOTH).unwrap();
    let sent = (0..20_000).map(|n| format!("{n}\n")).collect::<String>();
    let answer = std::thread::scope(|scope| {
        let sent = &sent;
        let peer = scope.spawn(move || {
            let mut writer = client.try_clone().unwrap();
            let reader = std::thread::spawn(move || {
                let mut answer = vec![0; 108_890];
                client.read_exact(&mut answer).unwrap();
                client.shutdown(Shutdown::Both).unwrap();
                answer
            });
            writer.write_all(sent.as_bytes()).unwrap();
            reader.join().unwrap()
        });
        assert_eq!(run(&base), LoopEnd::NoEvents);
        peer.join().unwrap()
    });
    assert!(answer == sent.as_bytes());
    assert_eq!(bev.fd(), None);
}

#[test]
fn freed_in_a_callback_of_another_before_its_own_it_hears_nothing() {
    let base = new_base();
    let seen = Seen::new();
    let pair = [connected(&base), connected(&base)];
    let handles = Rc::new(RefCell::new(
        pair.iter().map(|(bev, _)| bev.clone()).collect::<Vec<_>>(),
    ));
    for (bev, peer) in &pair {
        let (note, all) = (seen.clone(), handles.clone());
        bev.set_callbacks(Callbacks::new().on_event(move |_, what| {
            note.note(what.bits());
            for bev in all.take() {
                bev.free();
            }
        }))
        .unwrap();
        bev.enable(Event::READ).unwrap();
        peer.shutdown(Shutdown::Write).unwrap();
    }
    poll(&base);
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(seen.take(), [17]);
}

//! Ends, errors and timeouts, and the state that they leave.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use php_event::{
    BufferEventFlags, Callbacks, Event, EventBase, EventBufferEvent, EventFlags, Filters, LoopEnd,
};
use test_support::{Seen, ms, run};

use super::{ALL, BOTH, EOF, LARGE, Link, Transport, event, notes, text};

const READ_TIMEOUT: BufferEventFlags = EventBufferEvent::READING.union(EventBufferEvent::TIMEOUT);
const WRITE_TIMEOUT: BufferEventFlags = EventBufferEvent::WRITING.union(EventBufferEvent::TIMEOUT);

#[test]
fn end_of_the_input_comes_after_the_data_and_an_answer_still_goes_out() {
    for transport in ALL {
        let (link, seen) = (Link::new(transport), Seen::new());
        let note = seen.clone();
        let callbacks = notes(&seen).on_read(move |_| note.note("read".to_owned()));
        link.near.set_callbacks(callbacks).unwrap();
        link.near.enable(Event::READ).unwrap();
        link.send("question");
        link.half_close();
        link.settle();
        assert_eq!(
            seen.take(),
            ["read".to_owned(), event(EOF)],
            "{transport:?}"
        );
        let enabled = link.near.get_enabled().unwrap();
        assert_eq!(enabled, Event::WRITE, "{transport:?}");
        assert_eq!(
            text(link.near.read(99).unwrap()),
            "question",
            "{transport:?}"
        );
        link.near.write("answer").unwrap();
        link.until(|| link.received() == 6);
        link.settle();
        assert_eq!(link.got(), "answer", "{transport:?}");
        assert_eq!(seen.take(), ["write"], "{transport:?}");
    }
}

#[test]
fn output_that_waits_at_the_end_of_the_input_is_sent() {
    for transport in ALL {
        let link = Link::new(transport);
        link.stop_reading();
        link.near.enable(Event::READ).unwrap();
        link.near.write(vec![b'x'; LARGE]).unwrap();
        link.settle();
        link.half_close();
        link.settle();
        link.resume_reading();
        link.until(|| link.received() == LARGE);
    }
}

#[test]
fn broken_connection_is_an_error_and_disables_reading() {
    for transport in ALL {
        if transport == Transport::Pair {
            continue; // a pair cannot break
        }
        let (link, seen) = (Link::new(transport), Seen::new());
        let note = seen.clone();
        let events = Callbacks::new().on_event(move |_, what| note.note(what));
        link.near.set_callbacks(events).unwrap();
        link.near.enable(Event::READ).unwrap();
        link.cut();
        link.settle();
        let [what] = seen.take()[..] else {
            panic!("{transport:?}: not one event");
        };
        let ends = EventBufferEvent::ERROR | EventBufferEvent::EOF;
        assert!(what.intersects(ends), "{transport:?}: {what:?}");
        let enabled = link.near.get_enabled().unwrap();
        assert!(!enabled.contains(Event::READ), "{transport:?}");
        assert_eq!(run(&link.base), LoopEnd::NoEvents, "{transport:?}");
    }
}

#[test]
fn truncated_tls_connection_is_an_error_with_its_reason() {
    for transport in ALL {
        if !transport.is_tls() || transport.is_on_pair() {
            continue;
        }
        let (link, seen) = (Link::new(transport), Seen::new());
        let note = seen.clone();
        let events = Callbacks::new().on_event(move |bev, what| {
            note.note((what, bev.ssl_error().unwrap()));
        });
        link.near.set_callbacks(events).unwrap();
        link.near.enable(Event::READ).unwrap();
        link.shut_down(std::net::Shutdown::Write);
        link.until(|| seen.len() > 0);
        link.settle();
        let [(what, Some(reason))] = &seen.take()[..] else {
            panic!("{transport:?}: not one event with a reason");
        };
        assert!(
            what.contains(EventBufferEvent::ERROR),
            "{transport:?}: {what:?}"
        );
        assert!(reason.contains("unexpected eof"), "{transport:?}: {reason}");
    }
}

#[test]
fn writing_to_a_closed_peer_is_an_error() {
    for transport in ALL {
        if !transport.has_socket() {
            continue; // the one below reports it
        }
        let (link, seen) = (Link::new(transport), Seen::new());
        let note = seen.clone();
        let events = Callbacks::new().on_event(move |_, what| note.note(what));
        link.near.set_callbacks(events).unwrap();
        link.cut();
        link.settle();
        while seen.len() == 0 {
            link.near.write("hello").unwrap();
            link.settle();
        }
        let seen = seen.take();
        assert!(
            seen[0].contains(EventBufferEvent::WRITING),
            "{transport:?} {seen:?}"
        );
        assert!(
            seen[0].contains(EventBufferEvent::ERROR),
            "{transport:?} {seen:?}"
        );
        assert_eq!(seen.len(), 1, "{transport:?} {seen:?}");
        let enabled = link.near.get_enabled().unwrap();
        assert!(!enabled.contains(Event::WRITE), "{transport:?}");
    }
}

#[test]
fn read_timeout_disables_reading_until_it_is_enabled_again() {
    for transport in ALL {
        let (link, seen) = (Link::new(transport), Seen::new());
        link.near.set_callbacks(notes(&seen)).unwrap();
        link.near.set_timeouts(ms(5), None).unwrap();
        for _ in 0..2 {
            link.near.enable(Event::READ).unwrap();
            link.until(|| seen.len() > 0);
            std::thread::sleep(Duration::from_millis(12)); // longer than two more timeouts
            link.settle();
            assert_eq!(seen.take(), [event(READ_TIMEOUT)], "{transport:?}");
            assert_eq!(
                link.near.get_enabled().unwrap(),
                Event::WRITE,
                "{transport:?}"
            );
        }
        link.near.enable(Event::READ).unwrap();
        link.near.set_timeouts(None, None).unwrap();
        link.send("still there");
        link.until(|| seen.len() > 0);
        assert_eq!(seen.take(), ["read still there"], "{transport:?}");
    }
}

#[test]
fn write_timeout_disables_writing() {
    for transport in ALL {
        if !transport.has_socket() && transport != Transport::Pair {
            continue; // a filter has passed it on
        }
        let (link, seen) = (Link::new(transport), Seen::new());
        let note = seen.clone();
        let events = Callbacks::new().on_event(move |_, what| note.note(what));
        link.near.set_callbacks(events).unwrap();
        link.near.set_timeouts(None, ms(5)).unwrap();
        link.settle();
        std::thread::sleep(Duration::from_millis(12));
        link.settle();
        assert!(
            seen.take().is_empty(),
            "{transport:?}: nothing waits to be written"
        );
        link.stop_reading();
        link.near.write(vec![b'x'; LARGE]).unwrap();
        link.until(|| seen.len() > 0);
        std::thread::sleep(Duration::from_millis(12));
        link.settle();
        assert_eq!(seen.take(), [WRITE_TIMEOUT], "{transport:?}");
        assert!(link.near.get_enabled().unwrap().is_empty(), "{transport:?}");
        assert!(link.near.output().length() > 0, "{transport:?}");
        link.resume_reading();
        link.near.enable(Event::WRITE).unwrap();
        link.near.set_timeouts(None, None).unwrap();
        link.until(|| link.received() == LARGE);
    }
}

#[test]
fn no_timeout_is_reported_after_the_end() {
    for transport in ALL {
        for filters in 0..3 {
            let (link, seen) = (Link::new(transport), Seen::new());
            let mut top = link.near.clone();
            for _ in 0..filters {
                top = EventBufferEvent::create_filter(&top, Filters::new(), super::PLAIN).unwrap();
            }
            top.set_callbacks(notes(&seen)).unwrap();
            top.set_timeouts(ms(30), None).unwrap();
            top.enable(Event::READ).unwrap();
            link.half_close();
            link.until(|| seen.len() > 0);
            std::thread::sleep(Duration::from_millis(40));
            link.settle();
            assert_eq!(seen.take(), [event(EOF)], "{transport:?}, {filters}");
            let enabled = top.get_enabled().unwrap();
            assert_eq!(enabled, Event::WRITE, "{transport:?}, {filters}");
        }
    }
}

#[test]
fn no_write_timeout_is_reported_once_all_is_written() {
    for transport in ALL {
        let (link, seen) = (Link::new(transport), Seen::new());
        let note = seen.clone();
        let events = Callbacks::new().on_event(move |_, what| note.note(what));
        link.near.set_callbacks(events).unwrap();
        link.stop_reading();
        link.near.disable(Event::WRITE).unwrap();
        link.near.write("waits").unwrap();
        link.near.set_timeouts(None, ms(30)).unwrap();
        link.near.enable(Event::WRITE).unwrap();
        link.resume_reading();
        link.until(|| link.received() == 5);
        std::thread::sleep(Duration::from_millis(40));
        link.settle();
        assert_eq!(seen.take(), [], "{transport:?}");
    }
}

/// A peer that sends and does not read.
#[test]
fn arriving_data_does_not_start_the_write_timeout_again() {
    for transport in ALL {
        if !transport.has_socket() && transport != Transport::Pair {
            continue; // a filter has passed it on
        }
        let (link, seen) = (Link::new(transport), Seen::new());
        let note = seen.clone();
        let callbacks = Callbacks::new()
            .on_read(|bev| drop(bev.read(9).unwrap()))
            .on_event(move |_, what| note.note(what));
        link.near.set_callbacks(callbacks).unwrap();
        link.near.enable(BOTH).unwrap();
        link.stop_reading();
        link.near.set_timeouts(None, ms(60)).unwrap();
        link.near.write(vec![b'x'; LARGE]).unwrap();
        let peer = link.far.clone();
        let chatter = Event::timer(&link.base, move |event| {
            peer.write("x").unwrap();
            event.add(ms(10)).unwrap();
        });
        let chatter = chatter.unwrap();
        chatter.add(ms(10)).unwrap();
        link.until(|| seen.len() > 0);
        assert_eq!(seen.take(), [WRITE_TIMEOUT], "{transport:?}");
    }
}

/// Disables and enables that direction in turn, every 10 ms, while the result lives.
fn switching(base: &EventBase, bev: &EventBufferEvent, direction: EventFlags) -> Event {
    let bev = bev.clone();
    let switch = Event::timer(base, move |event| {
        match bev.get_enabled().unwrap().contains(direction) {
            true => bev.disable(direction),
            false => bev.enable(direction),
        }
        .unwrap();
        event.add(ms(10)).unwrap();
    });
    let switch = switch.unwrap();
    switch.add(ms(10)).unwrap();
    switch
}

#[test]
fn switching_reading_does_not_start_the_write_timeout_again() {
    for transport in ALL {
        if !transport.has_socket() && transport != Transport::Pair {
            continue; // a filter has passed it on
        }
        for has_filter in [false, true] {
            let (link, seen) = (Link::new(transport), Seen::new());
            let mut top = link.near.clone();
            if has_filter {
                top.set_watermark(Event::WRITE, 0, 1).unwrap(); // the rest waits in the filter
                top = EventBufferEvent::create_filter(&top, Filters::new(), super::PLAIN).unwrap();
            }
            let note = seen.clone();
            let events = Callbacks::new().on_event(move |_, what| note.note(what));
            top.set_callbacks(events).unwrap();
            link.stop_reading();
            top.set_timeouts(None, ms(60)).unwrap();
            top.write(vec![b'x'; LARGE]).unwrap();
            let _switch = switching(&link.base, &top, Event::READ);
            link.until(|| seen.len() > 0);
            assert_eq!(seen.take(), [WRITE_TIMEOUT], "{transport:?}, {has_filter}");
        }
    }
}

#[test]
fn switching_writing_does_not_start_the_read_timeout_again() {
    for transport in ALL {
        for filters in 0..2 {
            let (link, seen) = (Link::new(transport), Seen::new());
            let mut top = link.near.clone();
            for _ in 0..filters {
                top = EventBufferEvent::create_filter(&top, Filters::new(), super::PLAIN).unwrap();
            }
            let note = seen.clone();
            let events = Callbacks::new().on_event(move |_, what| note.note(what));
            top.set_callbacks(events).unwrap();
            top.set_timeouts(ms(60), None).unwrap();
            top.enable(Event::READ).unwrap();
            let _switch = switching(&link.base, &top, Event::WRITE);
            link.until(|| seen.len() > 0);
            assert_eq!(seen.take(), [READ_TIMEOUT], "{transport:?}, {filters}");
        }
    }
}

#[test]
fn arriving_data_starts_the_read_timeout_again() {
    const TIME: Duration = Duration::from_millis(50);
    for transport in ALL {
        let link = Link::new(transport);
        let told = Rc::new(Cell::new(None));
        let last = Rc::new(Cell::new(Instant::now()));
        let (end, read) = (told.clone(), last.clone());
        let peer = link.far.clone();
        let again = Event::timer(&link.base, move |_| peer.write("x").unwrap()).unwrap();
        let mut left = 4;
        let callbacks = Callbacks::new()
            .on_read(move |bev| {
                bev.read(9).unwrap();
                read.set(Instant::now());
                left -= 1;
                if left > 0 {
                    again.add(Some(TIME / 3)).unwrap();
                }
            })
            .on_event(move |_, what| end.set(Some((what, Instant::now()))));
        link.near.set_callbacks(callbacks).unwrap();
        link.near.set_timeouts(Some(TIME), None).unwrap();
        link.near.enable(Event::READ).unwrap();
        link.send("x");
        link.until(|| told.get().is_some());
        let (what, when) = told.get().unwrap();
        assert_eq!(what, READ_TIMEOUT, "{transport:?}");
        let slack = Duration::from_millis(5); // between the read and its callback
        assert!(when - last.get() + slack >= TIME, "{transport:?}");
    }
}

#[test]
fn no_timeout_and_zero_wait_for_ever() {
    for transport in ALL {
        let (link, seen) = (Link::new(transport), Seen::new());
        link.near.set_callbacks(notes(&seen)).unwrap();
        for times in [
            (Some(Duration::ZERO), Some(Duration::from_nanos(999))),
            (None, Some(Duration::MAX)),
        ] {
            link.near.set_timeouts(ms(1), ms(1)).unwrap();
            link.near.set_timeouts(times.0, times.1).unwrap();
            link.near.enable(Event::READ).unwrap();
            link.base.exit(ms(10)).unwrap();
            run(&link.base);
            assert!(seen.take().is_empty(), "{transport:?}");
        }
    }
}

#[test]
fn echo_of_megabytes_arrives_whole_and_the_end_after_it() {
    for transport in ALL {
        let link = Link::new(transport);
        let echoes = Callbacks::new()
            .on_read(|bev| bev.output().add_buffer(&bev.input()).unwrap())
            .on_event(|bev, what| {
                assert_eq!(what, EOF);
                bev.free();
            });
        link.near.set_callbacks(echoes).unwrap();
        link.near.enable(BOTH).unwrap();
        let sent: String = (0..300_000).map(|n| format!("{n}\n")).collect();
        link.send(&sent);
        link.until(|| link.received() == sent.len());
        assert!(link.got() == sent, "{transport:?}");
        link.end();
        link.settle();
        assert_eq!(link.near.fd(), None, "{transport:?}");
    }
}

#[test]
fn freed_in_a_callback_of_another_it_gets_no_event() {
    for transport in ALL {
        let one = Link::new(transport);
        let other = Link::with(&one.base, transport, super::PLAIN);
        let seen = Seen::new();
        let handles = vec![one.near.clone(), other.near.clone()];
        let handles = Rc::new(RefCell::new(handles));
        for link in [&one, &other] {
            let (note, all) = (seen.clone(), handles.clone());
            let frees = Callbacks::new().on_event(move |_, what| {
                note.note(what);
                for bev in all.take() {
                    bev.free();
                }
            });
            link.near.set_callbacks(frees).unwrap();
            link.half_close();
        }
        for link in [&one, &other] {
            link.near.enable(Event::READ).unwrap();
        }
        one.settle();
        assert_eq!(seen.take(), [EOF], "{transport:?}");
    }
}

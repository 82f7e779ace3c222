//! What only `Event` has: moving between bases, `detach`, `active`, data, sources.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

use php_event::stream::{
    Stream, StreamContext, fclose, fread, fwrite, stream_set_blocking, stream_socket_accept,
    stream_socket_client, stream_socket_get_name, stream_socket_server,
};
use php_event::{Error, Event, EventBase, EventConfig, EventFlags, LoopEnd, MAX_TIMEOUT};

use crate::{Class, Timer};
use test_support::{
    Bomb, Drops, Readable, Token, base_with, event_calls, pair, panic_of, poll, run, run_once,
};

/// As `classes!`, for the cases that every kind of event has.
macro_rules! kinds {
    ($($module:ident: $kind:ty),+ $(,)?) => {$(
        mod $module {
            kinds!($kind =>
                moved_to_another_base_inside_its_own_callback_runs_there,
                moved_to_another_base_outlives_the_first,
                detached_runs_without_a_handle_and_is_freed_when_not_pending,
                detached_and_still_pending_is_freed_with_the_last_handle_of_its_base,
                detached_and_still_pending_is_freed_by_freeing_its_base,
                detached_when_not_pending_is_dropped,
                detached_and_deleted_by_another_handle_is_freed_with_that_handle,
                detached_and_freed_by_another_handle_is_freed_at_once,
                detached_from_inside_its_callback_runs_again,
                detached_in_a_dropped_base_is_dropped,
                detached_and_moved_inside_its_callback_leaves_the_first_bases_keeping,
                every_method_of_a_freed_event_says_so,
                event_of_a_freed_base_answers_that_it_was_freed,
            );
        }
    )+};
    ($kind:ty => $($case:ident),+ $(,)?) => {$(
        #[test]
        fn $case() {
            let _turn = <$kind as crate::Class>::turn();
            crate::event::$case::<$kind>();
        }
    )+};
}

kinds! {
    descriptor: crate::Descriptor,
    persistent_descriptor: crate::PersistentDescriptor,
    timer: crate::Timer,
    persistent_timer: crate::PersistentTimer,
    signal_thrice: crate::SignalThrice,
}

trait Kind: Class<Handle = Event> {}
impl<C: Class<Handle = Event>> Kind for C {}

/// An event that counts its calls and deletes itself after `left` of them.
fn counted<K: Kind>(base: &EventBase, drops: &Drops, left: usize) -> (Event, Rc<Cell<usize>>) {
    let (token, calls) = (drops.token(), Rc::new(Cell::new(0)));
    let count = calls.clone();
    let event = K::make(base, move |event| {
        token.hold();
        count.set(count.get() + 1);
        if count.get() >= left {
            event.del().unwrap();
        } else {
            K::fire(event);
        }
    });
    (event, calls)
}

fn moved_to_another_base_inside_its_own_callback_runs_there<K: Kind>() {
    let (first, second) = (EventBase::new().unwrap(), EventBase::new().unwrap());
    let (drops, calls) = (Drops::default(), Rc::new(Cell::new(0)));
    let (token, count, to) = (
        drops.token(),
        calls.clone(),
        Cell::new(Some(second.clone())),
    );
    let event = K::make(&first, move |event| {
        token.hold();
        count.set(count.get() + 1);
        event.del().unwrap();
        if let Some(to) = to.take() {
            to.set(event).unwrap();
            K::fire(event);
        }
    });
    K::fire(&event);
    assert_eq!(run(&first), LoopEnd::NoEvents);
    assert_eq!(calls.get(), 1);
    drop(first);
    assert_eq!(run(&second), LoopEnd::NoEvents);
    assert_eq!(calls.get(), 2);
    drop(second);
    assert!(!event.is_pending());
    drop(event);
    assert_eq!(drops.count(), 1);
}

fn moved_to_another_base_outlives_the_first<K: Kind>() {
    let (first, second) = (EventBase::new().unwrap(), EventBase::new().unwrap());
    let drops = Drops::default();
    let (event, calls) = counted::<K>(&first, &drops, 2);
    K::fire(&event);
    let error = second.set(&event).unwrap_err().to_string();
    assert_eq!(
        error,
        "EventBase::set: the event is pending; delete it first"
    );
    event.del().unwrap();
    second.set(&event).unwrap();
    drop(first);
    K::fire(&event);
    assert_eq!(run(&second), LoopEnd::NoEvents);
    assert_eq!(calls.get(), 2);
}

fn detached_runs_without_a_handle_and_is_freed_when_not_pending<K: Kind>() {
    let base = EventBase::new().unwrap();
    let drops = Drops::default();
    let (event, calls) = counted::<K>(&base, &drops, 4);
    K::fire(&event);
    event.detach();
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!((calls.get(), drops.count()), (4, 1));
}

fn detached_and_still_pending_is_freed_with_the_last_handle_of_its_base<K: Kind>() {
    let base = EventBase::new().unwrap();
    let drops = Drops::default();
    let (event, calls) = counted::<K>(&base, &drops, 1);
    K::fire(&event);
    event.detach();
    let clone = base.clone();
    drop(base);
    assert_eq!(drops.count(), 0);
    drop(clone);
    assert_eq!((calls.get(), drops.count()), (0, 1));
}

fn detached_and_still_pending_is_freed_by_freeing_its_base<K: Kind>() {
    let base = EventBase::new().unwrap();
    let drops = Drops::default();
    let (event, _) = counted::<K>(&base, &drops, 1);
    event.set_data(base.clone()); // what the base keeps, keeps the base
    K::fire(&event);
    event.detach();
    assert_eq!(drops.count(), 0);
    base.free().unwrap();
    assert_eq!(drops.count(), 1);
}

fn detached_when_not_pending_is_dropped<K: Kind>() {
    let base = EventBase::new().unwrap();
    let drops = Drops::default();
    let (event, _) = counted::<K>(&base, &drops, 1);
    event.detach();
    assert_eq!(drops.count(), 1);
}

fn detached_and_deleted_by_another_handle_is_freed_with_that_handle<K: Kind>() {
    let base = EventBase::new().unwrap();
    let drops = Drops::default();
    let (event, _) = counted::<K>(&base, &drops, 1);
    K::fire(&event);
    event.clone().detach();
    event.clone().detach();
    event.del().unwrap();
    assert_eq!(drops.count(), 0);
    drop(event);
    assert_eq!(drops.count(), 1);
}

fn detached_and_freed_by_another_handle_is_freed_at_once<K: Kind>() {
    let base = EventBase::new().unwrap();
    let drops = Drops::default();
    let (event, _) = counted::<K>(&base, &drops, 1);
    K::fire(&event);
    event.clone().detach();
    event.free();
    assert_eq!(drops.count(), 1);
    assert_eq!(run(&base), LoopEnd::NoEvents);
}

fn detached_from_inside_its_callback_runs_again<K: Kind>() {
    let base = EventBase::new().unwrap();
    let (drops, calls) = (Drops::default(), Rc::new(Cell::new(0)));
    let slot = Rc::new(RefCell::new(None));
    let (token, count, own) = (drops.token(), calls.clone(), slot.clone());
    let event = K::make(&base, move |event| {
        token.hold();
        count.set(count.get() + 1);
        event.del().unwrap();
        if let Some(own) = own.take() {
            K::fire(event);
            Event::detach(own);
        }
    });
    K::fire(&event);
    slot.replace(Some(event));
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!((calls.get(), drops.count()), (2, 1));
}

fn detached_in_a_dropped_base_is_dropped<K: Kind>() {
    let base = EventBase::new().unwrap();
    let drops = Drops::default();
    let (event, _) = counted::<K>(&base, &drops, 1);
    K::fire(&event);
    drop(base);
    event.detach();
    assert_eq!(drops.count(), 1);
}

fn detached_and_moved_inside_its_callback_leaves_the_first_bases_keeping<K: Kind>() {
    let (first, second) = (EventBase::new().unwrap(), EventBase::new().unwrap());
    let drops = Drops::default();
    let (token, to) = (drops.token(), Cell::new(Some(second.clone())));
    let event = K::make(&first, move |event| {
        token.hold();
        event.del().unwrap();
        if let Some(to) = to.take() {
            to.set(event).unwrap();
            K::fire(event);
            event.clone().detach();
        }
    });
    K::fire(&event);
    event.detach();
    assert_eq!(run(&first), LoopEnd::NoEvents);
    first.free().unwrap();
    assert_eq!(drops.count(), 0);
    assert_eq!(run(&second), LoopEnd::NoEvents);
    assert_eq!(drops.count(), 1);
}

fn every_method_of_a_freed_event_says_so<K: Kind>() {
    let base = EventBase::new().unwrap();
    let drops = Drops::default();
    let (event, _) = counted::<K>(&base, &drops, 1);
    K::fire(&event);
    event.set_data(drops.count());
    event.free();
    event.free();
    for (method, result) in event_calls(&event, &base) {
        let error = result.unwrap_err();
        assert!(
            matches!(
                error,
                Error::Freed {
                    object: "event",
                    ..
                }
            ),
            "{method}: {error}"
        );
    }
    assert!(!event.is_pending() && !event.pending(EventFlags::all()));
    assert_eq!(event.data::<usize>(), None);
    event.set_data(1_usize);
    assert_eq!(event.data::<usize>(), None);
    let json = serde_json::to_string(&event).unwrap();
    assert_eq!(json, r#"{"pending":null,"data":null}"#);
    event.clone().detach();
    assert!(format!("{event:?}").contains("pending: false"));
    assert_eq!(run(&base), LoopEnd::NoEvents);
}

fn event_of_a_freed_base_answers_that_it_was_freed<K: Kind>() {
    let (base, other) = (EventBase::new().unwrap(), EventBase::new().unwrap());
    let drops = Drops::default();
    let (event, _) = counted::<K>(&base, &drops, 1);
    K::fire(&event);
    base.free().unwrap();
    for to in [&base, &other] {
        for (method, result) in event_calls(&event, to) {
            let error = result.unwrap_err();
            assert!(
                matches!(error, Error::Freed { object: "base", .. }),
                "{method}: {error}"
            );
        }
    }
    assert!(!event.is_pending() && !event.pending(EventFlags::all()));
    event.clone().detach();
    drop(base);
    event.free();
    assert_eq!(drops.count(), 1);
    assert!(matches!(
        event.add(None),
        Err(Error::Freed {
            object: "event",
            ..
        })
    ));
}

#[test]
fn active_on_its_own_event_runs_it_again() {
    let base = EventBase::new().unwrap();
    let (drops, calls) = (Drops::default(), Rc::new(Cell::new(0)));
    let (token, count) = (drops.token(), calls.clone());
    let event = Event::new(
        &base,
        Readable::new(),
        Event::READ,
        move |_, what, event| {
            token.hold();
            count.set(count.get() + 1);
            if count.get() < 5 {
                assert!(!event.is_pending());
                event.active(Event::WRITE).unwrap();
                event.active(Event::TIMEOUT).unwrap();
                assert!(event.is_pending());
            } else {
                assert_eq!(what, Event::WRITE | Event::TIMEOUT);
            }
        },
    )
    .unwrap();
    event.active(Event::READ).unwrap();
    event.clone().detach();
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(calls.get(), 5);
    event.active(Event::READ).unwrap();
    event.active(Event::READ).unwrap();
    drop(event);
    assert_eq!((poll(&base), drops.count()), (LoopEnd::NoEvents, 1));
}

#[test]
fn active_refuses_what_is_no_reason_to_run() {
    let base = EventBase::new().unwrap();
    let event = Event::timer(&base, |_| {}).unwrap();
    for what in [
        EventFlags::empty(),
        Event::SIGNAL,
        Event::PERSIST,
        Event::READ | Event::ET,
        EventFlags::from_bits_retain(0x40),
    ] {
        assert!(
            matches!(event.active(what), Err(Error::Argument { .. })),
            "{what:?}"
        );
    }
    assert!(!event.is_pending());
}

/// The callback ran because of the old source; the event now waits for another.
#[test]
fn source_replaced_inside_the_callback_is_open_until_it_returns() {
    let base = EventBase::new().unwrap();
    let (first, mut first_peer) = pair();
    let (second, mut second_peer) = pair();
    first_peer.write_all(b"1").unwrap();
    second_peer.write_all(b"2").unwrap();
    let (second, got, its_base) = (Cell::new(Some(second)), Rc::default(), base.clone());
    let log: Rc<RefCell<Vec<u8>>> = Rc::clone(&got);
    let event = Event::new(&base, first, Event::READ, move |mut source, _, event| {
        let (next, log) = (second.take().unwrap(), log.clone());
        let inner = log.clone();
        event
            .set(&its_base, next, Event::READ, move |mut source, _, _| {
                let mut byte = [0];
                source.read_exact(&mut byte).unwrap();
                inner.borrow_mut().push(byte[0]);
            })
            .unwrap();
        event.add(None).unwrap();
        let mut byte = [0];
        source.read_exact(&mut byte).unwrap();
        log.borrow_mut().push(byte[0]);
    })
    .unwrap();
    event.add(None).unwrap();
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(*got.borrow(), b"12");
    assert_eq!(
        first_peer.read(&mut [0]).unwrap(),
        0,
        "the old source is open"
    );
}

/// The numbers of many new descriptors, and the means to close them.
fn strangers() -> (Vec<RawFd>, Vec<Readable>) {
    let all = (0..64).map(|_| Readable::new()).collect::<Vec<_>>();
    let fds = all.iter().map(|source| source.as_fd().as_raw_fd());
    (fds.collect(), all)
}

#[test]
fn stream_closed_by_another_handle_keeps_its_number_while_an_event_watches_it() {
    let base = EventBase::new().unwrap();
    let context = StreamContext::default();
    let listener = stream_socket_server("tcp://127.0.0.1:0", &context).unwrap();
    let address = stream_socket_get_name(&listener, false).unwrap();
    let limit = Duration::from_secs(10);
    let peer = stream_socket_client(&address, limit, &context).unwrap();
    let stream = stream_socket_accept(&listener, limit).unwrap();
    stream_set_blocking(&stream, false).unwrap();

    let (number, calls) = (stream.as_fd().as_raw_fd(), Rc::new(Cell::new(0)));
    let (count, handle) = (calls.clone(), stream.clone());
    let what = Event::READ | Event::PERSIST;
    let event = Event::new(&base, stream, what, move |stream: &Stream, _, _| {
        assert_eq!(stream.as_fd().as_raw_fd(), number);
        assert!(matches!(fread(stream, 10), Err(Error::Freed { .. })));
        assert!(matches!(fwrite(stream, "x"), Err(Error::Freed { .. })));
        count.set(count.get() + 1);
    })
    .unwrap();
    event.add(None).unwrap();
    assert_eq!(poll(&base), LoopEnd::Passed);
    assert_eq!(calls.get(), 0);

    fclose(&handle).unwrap();
    assert!(matches!(fclose(&handle), Err(Error::Freed { .. })));
    drop(handle);
    let (fds, strangers) = strangers();
    assert!(!fds.contains(&number), "the number was given to a stranger");
    poll(&base);
    assert_eq!(calls.get(), 1, "the close itself is seen");
    assert_eq!(fread(&peer, 10).unwrap(), b"", "the peer sees the end");
    event.free();
    assert_eq!(run(&base), LoopEnd::NoEvents);
    drop(strangers);
}

#[test]
fn listener_closed_by_another_handle_accepts_nothing_and_ends_with_its_event() {
    let base = EventBase::new().unwrap();
    let context = StreamContext::default();
    let listener = stream_socket_server("tcp://127.0.0.1:0", &context).unwrap();
    let address = stream_socket_get_name(&listener, false).unwrap();
    let (number, handle) = (listener.as_fd().as_raw_fd(), listener.clone());
    let event = Event::new(&base, listener, Event::READ, |listener, _, _| {
        let accepted = stream_socket_accept(listener, Duration::ZERO);
        assert!(matches!(accepted, Err(Error::Freed { .. })));
    })
    .unwrap();
    event.add(None).unwrap();
    fclose(&handle).unwrap();
    drop(handle);
    let (fds, _strangers) = strangers();
    assert!(!fds.contains(&number), "the number was given to a stranger");
    let limit = Duration::from_secs(10);
    let waiting = stream_socket_client(&address, limit, &context).unwrap();
    assert_eq!(run(&base), LoopEnd::NoEvents);
    drop(event);
    let refused = stream_socket_client(&address, limit, &context).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    assert_eq!(
        fread(&waiting, 1).unwrap_err().kind(),
        std::io::ErrorKind::ConnectionReset
    );
}

/// Descriptors come and go, each under an event that is gone with it; the numbers are used
/// again and again, and no event hears of another's.
#[test]
fn numbers_used_again_reach_only_the_event_that_owns_them() {
    let base = EventBase::new().unwrap();
    let drops = Drops::default();
    for round in 0..20 {
        let mut events = Vec::new();
        let mut peers = Vec::new();
        let heard = Rc::new(RefCell::new(Vec::new()));
        for id in 0..10_u8 {
            let (ours, theirs) = pair();
            let (token, heard) = (drops.token(), heard.clone());
            let what = Event::READ | Event::PERSIST;
            let event = Event::new(&base, ours, what, move |mut source, _, _| {
                token.hold();
                let mut byte = [0];
                source.read_exact(&mut byte).unwrap();
                assert_eq!(byte[0], id);
                heard.borrow_mut().push(id);
            })
            .unwrap();
            event.add(None).unwrap();
            events.push(event);
            peers.push(theirs);
        }
        for (id, peer) in peers.iter_mut().enumerate() {
            peer.write_all(&[u8::try_from(id).unwrap()]).unwrap();
        }
        let mut index = round;
        events.retain(|_| {
            index += 1;
            index % 2 == 0
        });
        poll(&base);
        assert_eq!(heard.borrow().len(), events.len());
        drop(events);
        assert_eq!(poll(&base), LoopEnd::NoEvents);
    }
    assert_eq!(drops.count(), 200);
}

#[test]
fn regular_file_and_directory_under_epoll_are_refused_with_the_remedy() {
    for (path, kind) in [("Cargo.toml", "regular file"), ("src", "directory")] {
        let base = base_with("epoll");
        let drops = Drops::default();
        let token = drops.token();
        let file = File::open(path).unwrap();
        let event = Event::new(&base, file, Event::READ, move |_, _, _| token.hold()).unwrap();
        let error = event.add(None).unwrap_err();
        assert!(matches!(error, Error::Argument { .. }));
        let text = error.to_string();
        assert!(
            text.starts_with(&format!("Event::add: epoll cannot watch a {kind}")),
            "{text}"
        );
        assert!(
            text.contains(r#"EventConfig::avoid_method("epoll")"#),
            "{text}"
        );
        assert!(!event.is_pending());
        assert_eq!(run(&base), LoopEnd::NoEvents);
        drop(event);
        assert_eq!(drops.count(), 1);

        let base = base_with("poll");
        let calls = Rc::new(Cell::new(0));
        let count = calls.clone();
        let file = File::open(path).unwrap();
        let event = Event::new(&base, file, Event::READ, move |_, _, _| {
            count.set(count.get() + 1);
        });
        let event = event.unwrap();
        event.add(None).unwrap();
        assert_eq!(run(&base), LoopEnd::NoEvents);
        assert_eq!(calls.get(), 1);
    }
}

#[test]
fn longest_and_shortest_times_are_neither_negative_nor_lost() {
    for method in Event::get_supported_methods() {
        let base = base_with(method);
        let (calls, own) = (Rc::new(Cell::new(0)), base.clone());
        let never = [
            Duration::MAX,
            MAX_TIMEOUT,
            MAX_TIMEOUT + Duration::from_nanos(1),
        ]
        .map(|time| {
            let calls = calls.clone();
            let event = Event::timer(&base, move |_| calls.set(calls.get() + 100)).unwrap();
            event.add(Some(time)).unwrap();
            event
        });
        let idle = Event::new(&base, pair().0, Event::PERSIST, |_, _, _| {
            panic!("too early")
        });
        let idle = idle.unwrap();
        idle.add(Some(Duration::MAX)).unwrap();
        base.exit(Some(Duration::MAX)).unwrap();

        for time in [
            Duration::ZERO,
            Duration::from_nanos(1),
            Duration::from_nanos(999),
        ] {
            let count = calls.clone();
            let event = Event::timer(&base, move |_| count.set(count.get() + 1)).unwrap();
            event.add(Some(time)).unwrap();
            event.detach();
        }
        while calls.get() < 3 {
            assert_eq!(run_once(&base), LoopEnd::Passed);
        }
        let last = Event::timer(&base, move |_| own.stop().unwrap()).unwrap();
        last.add(Some(Duration::from_millis(2))).unwrap();
        assert_eq!(run(&base), LoopEnd::Stop, "{method}");
        assert_eq!(calls.get(), 3, "{method}");
        assert!(never.iter().all(Event::is_pending));

        base.exit(Some(Duration::from_nanos(1))).unwrap();
        assert_eq!(run(&base), LoopEnd::Exit, "{method}");
    }
}

#[test]
fn data_that_contains_its_own_event_is_an_error_and_the_event_still_works() {
    let base = EventBase::new().unwrap();
    let drops = Drops::default();
    let (event, calls) = counted::<Timer>(&base, &drops, 1);
    event.set_data(vec![event.clone()]);
    for _ in 0..2 {
        let error = serde_json::to_string(&event).unwrap_err().to_string();
        assert!(error.contains("contains the event itself"), "{error}");
    }
    assert_eq!(event.data::<Vec<Event>>().unwrap()[0], event);
    event.set_data("plain");
    let json = serde_json::to_string(&event).unwrap();
    assert_eq!(json, r#"{"pending":false,"data":"plain"}"#);
    Timer::fire(&event);
    run(&base);
    assert_eq!(calls.get(), 1);
    drop(event);
    assert_eq!(drops.count(), 1, "its data kept the event");
}

#[test]
fn data_in_a_cycle_through_two_events_is_an_error_and_free_breaks_it() {
    let base = EventBase::new().unwrap();
    let drops = Drops::default();
    let (one, _) = counted::<Timer>(&base, &drops, 1);
    let (other, _) = counted::<Timer>(&base, &drops, 1);
    one.set_data(other.clone());
    other.set_data(one.clone());
    for event in [&one, &other] {
        let error = serde_json::to_string(event).unwrap_err().to_string();
        assert!(error.contains("contains the event itself"), "{error}");
    }
    one.free();
    let json = serde_json::to_string(&other).unwrap();
    assert_eq!(
        json,
        r#"{"pending":false,"data":{"pending":null,"data":null}}"#
    );
    drop((one, other));
    assert_eq!(drops.count(), 2);
}

#[test]
fn data_that_panics_while_it_is_written_leaves_the_event_usable() {
    struct Fails;
    impl serde::Serialize for Fails {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            panic!("unwritable")
        }
    }
    let base = EventBase::new().unwrap();
    let event = Event::timer(&base, |_| {}).unwrap();
    event.set_data(Fails);
    for _ in 0..2 {
        assert_eq!(panic_of(|| serde_json::to_string(&event)), "unwritable");
    }
    event.set_data(7);
    assert!(serde_json::to_string(&event).is_ok());
}

#[test]
fn data_replaced_while_it_is_written_lives_until_it_is_written() {
    struct Replaces(
        Event,
        Drops,
        #[allow(dead_code, reason = "its drop counts")] Token,
    );
    impl serde::Serialize for Replaces {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            self.0.set_data(());
            assert_eq!(self.1.count(), 0);
            serializer.serialize_str("old")
        }
    }
    let base = EventBase::new().unwrap();
    let (event, drops) = (Event::timer(&base, |_| {}).unwrap(), Drops::default());
    event.set_data(Replaces(event.clone(), drops.clone(), drops.token()));
    let json = serde_json::to_string(&event).unwrap();
    assert_eq!(json, r#"{"pending":false,"data":"old"}"#);
    assert_eq!(drops.count(), 1);
}

#[test]
fn data_whose_drop_panics_is_replaced_and_the_event_is_usable() {
    struct Data(Bomb);
    impl serde::Serialize for Data {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            self.0.hold();
            serializer.serialize_unit()
        }
    }
    let base = EventBase::new().unwrap();
    let drops = Drops::default();
    let (event, calls) = counted::<Timer>(&base, &drops, 1);
    event.set_data(Data(Bomb("data")));
    assert_eq!(panic_of(|| event.set_data(1)), "data");
    assert_eq!(event.data().as_deref(), Some(&1));
    event.set_data(Data(Bomb("data")));
    Timer::fire(&event);
    run(&base);
    assert_eq!(panic_of(|| event.free()), "data");
    assert_eq!((calls.get(), drops.count()), (1, 1));
    event.free();
}

/// With libevent's list of changes, the end of an event reached epoll only after its source was
/// closed: the duplicate kept it registered, and the next file with the number was called.
#[test]
fn changelist_flag_leaves_no_event_of_a_closed_duplicate() {
    let config = EventConfig::new().unwrap();
    config.set_flags(EventBase::EPOLL_USE_CHANGELIST).unwrap();
    let base = EventBase::with_config(&config).unwrap();
    let (mut ours, theirs) = pair();
    let (_duplicate, number) = (theirs.try_clone().unwrap(), theirs.as_raw_fd());
    let event = Event::new(&base, theirs, Event::READ | Event::PERSIST, |_, _, _| {}).unwrap();
    event.add(None).unwrap();
    poll(&base);
    drop(event);
    let (a, b) = pair();
    let (silent, _peer) = if a.as_raw_fd() == number {
        (a, b)
    } else {
        (b, a)
    };
    let calls = Rc::new(Cell::new(0));
    let count = calls.clone();
    let what = Event::READ | Event::PERSIST;
    let event = Event::new(&base, silent, what, move |_, _, _| {
        count.set(count.get() + 1)
    });
    let event = event.unwrap();
    event.add(None).unwrap();
    ours.write_all(b"for the duplicate").unwrap();
    for _ in 0..10 {
        poll(&base);
    }
    assert_eq!(calls.get(), 0);
}

/// A socket that does something whenever it is asked for its descriptor.
struct Meddling {
    socket: UnixStream,
    asked: Rc<Cell<u32>>,
    work: Box<dyn Fn()>,
}

impl Meddling {
    fn new(work: impl Fn() + 'static) -> (Self, Rc<Cell<u32>>) {
        let asked = Rc::new(Cell::new(0));
        let this = Self {
            socket: pair().0,
            asked: asked.clone(),
            work: Box::new(work),
        };
        (this, asked)
    }
}

impl AsFd for Meddling {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.asked.set(self.asked.get() + 1);
        (self.work)();
        self.socket.as_fd()
    }
}

#[test]
fn source_is_asked_for_its_descriptor_once() {
    let base = EventBase::new().unwrap();
    let (source, asked) = Meddling::new(|| {});
    let event = Event::new(&base, source, Event::WRITE, |_, _, _| {}).unwrap();
    for _ in 0..2 {
        event.add(None).unwrap();
        poll(&base);
    }
    let (source, again) = Meddling::new(|| {});
    event
        .set(&base, source, Event::WRITE, |_, _, _| {})
        .unwrap();
    event.add(None).unwrap();
    event.del().unwrap();
    drop(event);
    assert_eq!((asked.get(), again.get()), (1, 1));
}

#[test]
fn source_that_frees_the_event_or_the_base_when_asked_is_harmless() {
    let base = EventBase::new().unwrap();
    let event = Event::timer(&base, |_| {}).unwrap();
    let own = event.clone();
    let (source, _) = Meddling::new(move || own.free());
    let error = event
        .set(&base, source, Event::READ, |_, _, _| {})
        .unwrap_err();
    assert!(
        matches!(
            error,
            Error::Freed {
                object: "event",
                ..
            }
        ),
        "{error}"
    );

    let event = Event::timer(&base, |_| {}).unwrap();
    let (own, of) = (event.clone(), base.clone());
    let (source, _) = Meddling::new(move || own.set_timer(&of, |_| {}).unwrap());
    event
        .set(&base, source, Event::WRITE, |_, _, _| {})
        .unwrap();
    event.add(None).unwrap();
    assert_eq!(run(&base), LoopEnd::NoEvents);

    let (source, _) = Meddling::new(|| panic!("asked"));
    assert_eq!(
        panic_of(|| event.set(&base, source, Event::READ, |_, _, _| {})),
        "asked"
    );
    event.add(None).unwrap(); // on its former source
    assert_eq!(run(&base), LoopEnd::NoEvents);
    event.free(); // the source holds it

    for set in [false, true] {
        let base = EventBase::new().unwrap();
        let event = Event::timer(&base, |_| {}).unwrap();
        let own = base.clone();
        let (source, _) = Meddling::new(move || own.free().unwrap());
        let result = if set {
            event.set(&base, source, Event::READ, |_, _, _| {})
        } else {
            Event::new(&base, source, Event::READ, |_, _, _| {}).map(drop)
        };
        let error = result.unwrap_err();
        assert!(
            matches!(error, Error::Freed { object: "base", .. }),
            "{error}"
        );
    }
}

//! `EventBase`: how loops run and end, priorities, times, and what calls on a freed base return.
#![allow(
    unsafe_code,
    reason = "a descriptor of a certain number is made by hand"
)]

use std::cell::Cell;
use std::fs::File;
use std::io::Write as _;
use std::net::TcpListener;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use php_event::{
    AddressFamily, BufferEventOptions, Callbacks, DnsError, Error, Event, EventBase,
    EventBufferEvent, EventConfig, EventDnsBase, EventFeatures, EventFlags, EventHttp,
    EventHttpConnection, EventHttpRequest, EventListener, ListenerFlags, ListenerTarget,
    LookupOptions, LoopEnd, LoopFlags, RateLimit, Result,
};
use test_support::{
    NEVER, NOW, Seen, alone, base_with, limited, ms, new_base, noting, poll, precise_base, run,
    run_as,
};

const BOTH: LoopFlags = EventBase::LOOP_ONCE.union(EventBase::LOOP_NONBLOCK);

/// A timer that runs `f` in the next turn.
fn soon(base: &EventBase, f: impl FnMut(&Event) + 'static) -> Event {
    let event = Event::timer(base, f).unwrap();
    event.add(NOW).unwrap();
    event
}

/// A timer that notes `name` when it fires `after` so many milliseconds.
fn later(base: &EventBase, seen: &Seen<&'static str>, name: &'static str, after: u64) -> Event {
    let event = noting(base, seen, name);
    event.add(ms(after)).unwrap();
    event
}

/// A timer that never fires, and keeps the loop from ending without events.
fn never(base: &EventBase) -> Event {
    let event = Event::timer(base, |_event| {}).unwrap();
    event.add(Some(NEVER)).unwrap();
    event
}

/// A persistent event that notes every pass.
fn always(base: &EventBase, seen: &Seen<&'static str>) -> Event {
    let (note, (ours, theirs)) = (seen.clone(), UnixStream::pair().unwrap());
    let event = Event::new(base, ours, Event::WRITE | Event::PERSIST, move |_, _, _| {
        let _open = &theirs;
        note.note("ready");
    });
    let event = event.unwrap();
    event.add(None).unwrap();
    event
}

/// Three timers that are due in one pass; the first to run does `act`.
fn three(
    base: &EventBase,
    seen: &Seen<&'static str>,
    act: fn(&EventBase) -> Result<()>,
) -> [Event; 3] {
    [(); 3].map(|()| {
        let (this, note) = (base.clone(), seen.clone());
        soon(base, move |_event| {
            if note.len() == 0 {
                act(&this).unwrap();
            }
            note.note("one of three");
        })
    })
}

#[test]
fn the_constants_have_the_numbers_of_php() {
    let loops = [EventBase::LOOP_ONCE, EventBase::LOOP_NONBLOCK];
    assert_eq!(loops.map(|flag| flag.bits()), [1, 2]);
    let flags = [
        EventBase::NOLOCK,
        EventBase::IGNORE_ENV,
        EventBase::STARTUP_IOCP,
        EventBase::NO_CACHE_TIME,
        EventBase::EPOLL_USE_CHANGELIST,
        EventBase::PRECISE_TIMER,
    ];
    assert_eq!(flags.map(|flag| flag.bits()), [1, 2, 4, 8, 16, 32]);
}

#[test]
fn a_base_without_a_config_uses_epoll_and_reports_its_features() {
    let base = new_base();
    assert_eq!(base.get_method(), "epoll");
    let expected = EventFeatures::ET | EventFeatures::O1 | EventFeatures::EARLY_CLOSE;
    assert_eq!(base.get_features(), expected);
    assert_eq!(base.get_features().bits(), 11);
}

#[test]
fn a_clone_is_the_same_base_and_another_base_is_not() {
    let base = new_base();
    assert_eq!(base, base.clone());
    assert_ne!(base, new_base());
    let _event = soon(&base.clone(), |_event| {});
    assert_eq!(poll(&base), LoopEnd::Passed);
}

#[test]
fn no_descriptor_left_for_a_base_is_an_error_not_an_abort() {
    alone(&[], || {
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        let lowest_free = File::open("/dev/null").unwrap().as_raw_fd().cast_unsigned();
        let room_for_two = u64::from(lowest_free) + 2;
        setrlimit(Resource::RLIMIT_NOFILE, room_for_two, hard).unwrap();
        let error = EventBase::new().unwrap_err();
        assert!(matches!(error, Error::Io { .. }), "{error}");
        assert!(
            error.to_string().starts_with("EventBase::__construct: "),
            "{error}"
        );
        setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
        EventBase::new().unwrap();
    });
}

/// The number of a descriptor that `select` has no room for.
const HIGH: i32 = 1024;

/// Sees to it that there may be descriptors past what `select` can watch.
fn allow_high_descriptors() {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, soft.max(hard.min(2048)), hard).unwrap();
}

#[test]
fn a_descriptor_that_select_cannot_watch_is_refused() {
    alone(&[], || {
        allow_high_descriptors();
        let (select, epoll) = (base_with("select"), base_with("epoll"));
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let duplicate = |source: BorrowedFd<'_>| {
            let number = fcntl(source, FcntlArg::F_DUPFD_CLOEXEC(HIGH)).unwrap();
            // SAFETY: `fcntl` made the descriptor for us.
            unsafe { OwnedFd::from_raw_fd(number) }
        };
        let high = || duplicate(ours.as_fd());
        let refused = |result: Result<()>| {
            let error = result.unwrap_err();
            assert!(matches!(error, Error::Argument { .. }), "{error}");
            assert!(error.to_string().contains("descriptor 1024"), "{error}");
        };
        let ignore = |_: &OwnedFd, _: EventFlags, _: &Event| {};
        refused(Event::new(&select, high(), Event::READ, ignore).map(drop));
        let timer = noting(&select, &Seen::new(), "timer");
        refused(timer.set(&select, high(), Event::READ, ignore));
        let plain = BufferEventOptions::empty();
        refused(EventBufferEvent::new(&select, high(), plain).map(drop));
        let http = EventHttp::new(&select).unwrap();
        refused(http.accept(duplicate(listener.as_fd())));
        let (none, target) = (ListenerFlags::empty(), duplicate(listener.as_fd()));
        let target = ListenerTarget::socket(target);
        refused(EventListener::new(&select, |_, _, _| {}, none, -1, target).map(drop));
        let event = Event::new(&epoll, high(), Event::WRITE, ignore).unwrap();
        refused(select.set(&event));
        event.add(None).unwrap();
        assert_eq!(run(&epoll), LoopEnd::NoEvents);
    });
}

#[test]
fn sockets_that_the_library_opens_are_refused_where_select_cannot_watch_them() {
    alone(&[], || {
        allow_high_descriptors();
        let base = base_with("select");
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = server.local_addr().unwrap().port();
        let dns = EventDnsBase::new(&base, EventDnsBase::DISABLE_WHEN_INACTIVE).unwrap();
        dns.add_nameserver_ip("127.0.0.1").unwrap();
        let mut taken = vec![File::open("/dev/null").unwrap()];
        while taken.last().unwrap().as_raw_fd() < HIGH {
            taken.push(File::open("/dev/null").unwrap());
        }
        let refused = |result: Result<()>| {
            let text = result.unwrap_err().to_string();
            assert!(text.contains("allow the base epoll or poll"), "{text}");
        };
        let plain = BufferEventOptions::empty();
        let bev = EventBufferEvent::unconnected(&base, plain).unwrap();
        refused(bev.connect(&format!("127.0.0.1:{port}")));
        let told = Seen::new();
        let note = told.clone();
        let later = EventBufferEvent::unconnected(&base, plain).unwrap();
        let tells = Callbacks::new().on_event(move |_, what| note.note(what));
        later.set_callbacks(tells).unwrap();
        later
            .connect_host(None, "127.0.0.1", port, AddressFamily::INET)
            .unwrap();
        run(&base);
        assert_eq!(told.take(), [EventBufferEvent::ERROR]);
        let request = EventHttpRequest::new(|_| panic!("called")).unwrap();
        let client = EventHttpConnection::new(&base, None, "127.0.0.1", port).unwrap();
        refused(client.make_request(&request, EventHttpRequest::CMD_GET, "/"));
        let (none, any) = (ListenerFlags::empty(), "127.0.0.1:0");
        refused(EventListener::new(&base, |_, _, _| {}, none, -1, any).map(drop));
        let http = EventHttp::new(&base).unwrap();
        refused(http.bind("127.0.0.1", 0).map(drop));
        let told = Seen::new();
        let note = told.clone();
        let found = dns.resolve("host.example", LookupOptions::default(), move |found| {
            note.note(found.map(drop).unwrap_err());
        });
        if found.is_ok() {
            run(&base);
            assert_eq!(told.take(), [DnsError::NoSocket]);
        }
        drop(taken);
        bev.connect(&format!("127.0.0.1:{port}")).unwrap();
    });
}

#[test]
fn a_select_base_without_descriptors_that_it_can_watch_is_an_error() {
    alone(&[], || {
        allow_high_descriptors();
        let mut taken = vec![File::open("/dev/null").unwrap()];
        while taken.last().unwrap().as_raw_fd() < HIGH {
            taken.push(File::open("/dev/null").unwrap());
        }
        let config = EventConfig::new().unwrap();
        config.avoid_method("epoll").unwrap();
        config.avoid_method("poll").unwrap();
        let error = EventBase::with_config(&config).unwrap_err();
        assert!(matches!(error, Error::State { .. }), "{error}");
        assert!(error.to_string().contains("epoll or poll"), "{error}");
        assert!(EventBase::new().is_ok());
        drop(taken);
        assert!(EventBase::with_config(&config).is_ok());
    });
}

#[test]
fn priority_counts_from_1_to_255_are_accepted_and_others_refused() {
    let base = new_base();
    for n in [1, 2, 3, 128, 255] {
        base.priority_init(n).unwrap();
    }
    for n in [i32::MIN, -1, 0, 256, i32::MAX] {
        let error = base.priority_init(n).unwrap_err();
        assert!(matches!(error, Error::Argument { .. }), "{n}: {error}");
        assert_eq!(error.call(), "EventBase::priorityInit");
        assert!(error.to_string().contains(&n.to_string()), "{error}");
    }
}

#[test]
fn more_urgent_events_run_first_and_a_new_event_is_in_the_middle() {
    let (base, seen) = (new_base(), Seen::new());
    base.priority_init(3).unwrap();
    let patient = later(&base, &seen, "patient", 0);
    let _middle = later(&base, &seen, "middle", 0);
    let urgent = later(&base, &seen, "urgent", 0);
    patient.set_priority(2).unwrap();
    urgent.set_priority(0).unwrap();
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(seen.take(), ["urgent", "middle", "patient"]);
}

#[test]
fn an_urgent_event_that_comes_back_at_once_starves_the_others_until_it_stops() {
    let (base, seen) = (new_base(), Seen::new());
    base.priority_init(2).unwrap();
    let note = seen.clone();
    let urgent = soon(&base, move |event| {
        note.note("urgent");
        if note.len() < 4 {
            event.add(NOW).unwrap();
        }
    });
    urgent.set_priority(0).unwrap();
    let _patient = later(&base, &seen, "patient", 0);
    run(&base);
    assert_eq!(
        seen.take(),
        ["urgent", "urgent", "urgent", "urgent", "patient"]
    );
}

#[test]
fn priority_init_with_pending_events_leaves_them_pending() {
    let (base, seen) = (new_base(), Seen::new());
    let event = later(&base, &seen, "fired", 0);
    base.priority_init(5).unwrap();
    assert!(event.is_pending());
    run(&base);
    assert_eq!(seen.take(), ["fired"]);
}

#[test]
fn fewer_priorities_than_an_event_has_are_refused() {
    let base = new_base();
    base.priority_init(5).unwrap();
    let event = Event::timer(&base, |_event| {}).unwrap();
    event.set_priority(4).unwrap();
    let error = base.priority_init(4).unwrap_err();
    assert!(matches!(error, Error::Argument { .. }), "{error}");
    assert!(error.to_string().contains("priority 4"), "{error}");
    base.priority_init(5).unwrap();
}

/// libevent assigns the events of a buffer event anew, with the middle priority of that time,
/// and asserts on one that the base lacks.
#[test]
fn fewer_priorities_than_libevents_own_events_have_are_refused() {
    type Work = fn(&EventBufferEvent);
    let cases: [(&str, Work); 3] = [
        ("limited", |bev| {
            let limit = RateLimit::new().read(1, 1);
            bev.set_rate_limit(Some(limit)).unwrap();
        }),
        ("connected", |bev| bev.connect("127.0.0.1:9").unwrap()),
        ("closed", |bev| bev.close().unwrap()),
    ];
    for (what, work) in cases {
        let base = new_base();
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let bev = match what {
            "connected" => EventBufferEvent::unconnected(&base, BufferEventOptions::empty()),
            _ => EventBufferEvent::new(&base, theirs, BufferEventOptions::empty()),
        };
        let bev = bev.unwrap();
        base.priority_init(200).unwrap();
        work(&bev);
        let error = base.priority_init(2).unwrap_err();
        assert!(matches!(error, Error::Argument { .. }), "{what}: {error}");
        assert!(error.to_string().contains("priority 100"), "{error}");
        base.priority_init(101).unwrap();
        bev.set_timeouts(ms(1), None).unwrap();
        bev.enable(Event::READ).ok(); // refused once closed
        ours.write_all(b"hello").ok();
        base.exit(ms(20)).unwrap();
        run(&base);
    }
}

#[test]
fn priority_init_while_an_event_is_active_is_refused() {
    let (base, seen) = (new_base(), Seen::new());
    let event = noting(&base, &seen, "ran");
    event.active(Event::TIMEOUT).unwrap();
    let error = base.priority_init(2).unwrap_err();
    assert!(matches!(error, Error::State { .. }), "{error}");
    run(&base);
    assert_eq!(seen.take(), ["ran"]);
    base.priority_init(2).unwrap();
}

#[test]
fn an_empty_base_ends_every_kind_of_loop_at_once() {
    let base = new_base();
    let unknown = LoopFlags::from_bits_retain(8);
    for flags in [
        LoopFlags::empty(),
        EventBase::LOOP_ONCE,
        EventBase::LOOP_NONBLOCK,
        BOTH,
        unknown,
    ] {
        assert_eq!(run_as(&base, flags), LoopEnd::NoEvents, "{flags:?}");
    }
    assert_eq!(limited(|| base.dispatch()).unwrap(), LoopEnd::NoEvents);
    // With NO_EXIT_ON_EMPTY it makes one pass.
    let stay = LoopFlags::NO_EXIT_ON_EMPTY | EventBase::LOOP_NONBLOCK;
    assert_eq!(run_as(&base, stay), LoopEnd::Passed);
}

#[test]
fn loop_once_waits_for_one_turn_and_runs_every_active_event() {
    let (base, seen) = (precise_base(), Seen::new());
    let start = Instant::now();
    let _first = later(&base, &seen, "first", 30);
    let _never = never(&base);
    assert_eq!(run_as(&base, EventBase::LOOP_ONCE), LoopEnd::Passed);
    assert!(start.elapsed() >= Duration::from_millis(30));
    assert_eq!(seen.take(), ["first"]);

    let three = three(&base, &seen, |_base| Ok(()));
    assert_eq!(run_as(&base, EventBase::LOOP_ONCE), LoopEnd::Passed);
    assert_eq!(seen.len(), 3);
    assert!(three.iter().all(|event| !event.is_pending()));
}

#[test]
fn a_non_blocking_loop_runs_until_a_poll_finds_no_work() {
    let (base, seen) = (new_base(), Seen::new());
    let note = seen.clone();
    let _again = soon(&base, move |event| {
        note.note("again");
        if note.len() < 3 {
            event.add(NOW).unwrap();
        }
    });
    let _never = never(&base);
    assert_eq!(run_as(&base, EventBase::LOOP_NONBLOCK), LoopEnd::Passed);
    assert_eq!(seen.take(), ["again"; 3]);
}

#[test]
fn both_flags_together_make_exactly_one_pass() {
    let (base, seen) = (new_base(), Seen::new());
    let always = always(&base, &seen);
    for _ in 0..2 {
        assert_eq!(run_as(&base, BOTH), LoopEnd::Passed);
        assert_eq!(seen.take(), ["ready"]);
    }
    always.del().unwrap();
    let _never = never(&base);
    assert_eq!(run_as(&base, BOTH), LoopEnd::Passed); // nothing is ready: it does not wait
    assert_eq!(seen.len(), 0);
}

#[test]
fn a_loop_returns_how_it_ended() {
    type Act = fn(&EventBase) -> Result<()>;
    let cases: [(&str, Act, LoopEnd, bool, bool); 4] = [
        ("nothing", |_| Ok(()), LoopEnd::NoEvents, false, false),
        ("stop", EventBase::stop, LoopEnd::Stop, true, false),
        ("exit", |base| base.exit(None), LoopEnd::Exit, false, true),
        (
            "exit in a while",
            |base| base.exit(ms(1)),
            LoopEnd::Exit,
            false,
            true,
        ),
    ];
    // One base for all: each loop forgets how the one before it ended.
    let base = new_base();
    assert!(!base.got_stop() && !base.got_exit());
    for (what, act, end, stop, exit) in cases {
        let this = base.clone();
        let _event = soon(&base, move |_event| {
            assert!(!this.got_stop() && !this.got_exit(), "{what}");
            act(&this).unwrap();
        });
        assert_eq!(run(&base), end, "{what}");
        assert_eq!((base.got_stop(), base.got_exit()), (stop, exit), "{what}");
    }
}

#[test]
fn exit_in_a_callback_lets_the_others_of_the_pass_run() {
    let (base, seen) = (new_base(), Seen::new());
    let _three = three(&base, &seen, |base| base.exit(None));
    let _never = never(&base);
    assert_eq!(run(&base), LoopEnd::Exit);
    assert_eq!(seen.len(), 3);
}

#[test]
fn stop_in_a_callback_leaves_the_others_active_to_run_first_next_time() {
    let (base, seen) = (new_base(), Seen::new());
    let three = three(&base, &seen, EventBase::stop);
    assert_eq!(run(&base), LoopEnd::Stop);
    assert_eq!(seen.take().len(), 1);
    assert_eq!(three.iter().filter(|event| event.is_pending()).count(), 2);

    seen.note("next time");
    let _newcomer = later(&base, &seen, "newcomer", 0);
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(
        seen.take(),
        ["next time", "one of three", "one of three", "newcomer"]
    );
}

/// A buffer event whose read and write callbacks are due in the same turn.
fn two_at_once(base: &EventBase, callbacks: Callbacks) -> (EventBufferEvent, EventBufferEvent) {
    let pair = EventBufferEvent::create_pair(base, BufferEventOptions::empty()).unwrap();
    pair.0.set_callbacks(callbacks).unwrap();
    pair.0.enable(Event::READ).unwrap();
    pair.1.enable(Event::READ).unwrap();
    pair.1.write("to be read").unwrap();
    pair.0.write("to be written").unwrap();
    pair
}

#[test]
fn what_is_due_in_the_turn_that_interrupt_ends_is_called_in_the_next_loop() {
    let (base, seen) = (new_base(), Seen::new());
    let (reads, writes) = (seen.clone(), seen.clone());
    let read = move |_bev: &EventBufferEvent| {
        reads.note("read");
        EventBase::interrupt();
    };
    let callbacks = Callbacks::new().on_read(read);
    let _pair = two_at_once(&base, callbacks.on_write(move |_bev| writes.note("write")));
    assert_eq!(run_as(&base, EventBase::LOOP_NONBLOCK), LoopEnd::Stop);
    assert_eq!(seen.take(), ["read"]);
    run_as(&base, EventBase::LOOP_NONBLOCK);
    assert_eq!(seen.take(), ["write"]);
}

#[test]
fn interrupt_ends_the_inner_loop_alone() {
    let (base, inner, seen) = (new_base(), new_base(), Seen::new());
    let noted = seen.clone();
    let _outer = soon(&base, move |_event| {
        let _interrupts = soon(&inner, |_event| EventBase::interrupt());
        assert_eq!(run(&inner), LoopEnd::Stop);
        noted.note("outer");
    });
    let _later = later(&base, &seen, "later", 1);
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(seen.take(), ["outer", "later"]);
}

#[test]
fn interrupt_outside_of_callbacks_does_nothing() {
    let (base, seen) = (new_base(), Seen::new());
    let (first, second) = (seen.clone(), seen.clone());
    let callbacks = Callbacks::new().on_read(move |_bev| first.note("read"));
    let _pair = two_at_once(&base, callbacks.on_write(move |_bev| second.note("write")));
    EventBase::interrupt();
    run_as(&base, EventBase::LOOP_NONBLOCK);
    assert_eq!(seen.take(), ["read", "write"]);
    assert!(!base.got_stop());
}

#[test]
fn interrupt_ends_the_loop_that_runs_when_the_event_has_moved_to_another_base() {
    let (base, other, seen) = (new_base(), new_base(), Seen::new());
    let _moves = soon(&base, move |event| {
        other.set(event).unwrap();
        EventBase::interrupt();
    });
    let later = later(&base, &seen, "later", 1);
    assert_eq!(run(&base), LoopEnd::Stop);
    assert!(later.is_pending());
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(seen.take(), ["later"]);
}

#[test]
fn interrupt_stands_while_the_callback_writes_and_runs_other_loops() {
    let (base, other, seen) = (new_base(), new_base(), Seen::new());
    let noted = seen.clone();
    let (bev, _peer) = EventBufferEvent::create_pair(&base, BufferEventOptions::empty()).unwrap();
    let _interrupts = soon(&base, move |_event| {
        EventBase::interrupt();
        bev.write("ends nothing").unwrap();
        let _inner = later(&other, &noted, "inner", 0);
        assert_eq!(run(&other), LoopEnd::NoEvents);
    });
    let _later = later(&base, &seen, "later", 1);
    assert_eq!(run(&base), LoopEnd::Stop);
    assert_eq!(seen.take(), ["inner"]);
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(seen.take(), ["later"]);
}

#[test]
fn a_panic_after_interrupt_comes_out_of_the_loop() {
    let base = new_base();
    let _timer = soon(&base, |_event| {
        EventBase::interrupt();
        panic!("after interrupt");
    });
    let ended = catch_unwind(AssertUnwindSafe(|| run(&base)));
    assert_eq!(
        ended.unwrap_err().downcast_ref::<&str>(),
        Some(&"after interrupt")
    );
}

#[test]
fn exit_before_the_loop_makes_one_short_pass() {
    let (base, seen) = (new_base(), Seen::new());
    let always = always(&base, &seen);
    base.exit(None).unwrap();
    assert!(!base.got_exit()); // it tells how the last loop ended
    assert_eq!(run(&base), LoopEnd::Exit);
    assert!(base.got_exit());
    assert_eq!(seen.take(), ["ready"]);
    assert!(always.is_pending());
}

#[test]
fn stop_before_the_loop_has_no_effect_on_it() {
    let (base, seen) = (new_base(), Seen::new());
    let _event = later(&base, &seen, "ran", 0);
    base.stop().unwrap();
    assert!(base.got_stop());
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert!(!base.got_stop());
    assert_eq!(seen.take(), ["ran"]);
}

#[test]
fn exit_after_a_time_keeps_the_loop_alive_and_ends_it_then() {
    let base = precise_base();
    let start = Instant::now();
    base.exit(ms(30)).unwrap();
    assert_eq!(run(&base), LoopEnd::Exit); // no event is pending
    assert!(start.elapsed() >= Duration::from_millis(30));

    base.exit(NOW).unwrap();
    assert_eq!(run(&base), LoopEnd::Exit);
}

#[test]
fn an_exit_time_left_over_ends_a_later_loop() {
    // On a machine so slow that a time has come before its loop, the next try has longer ones.
    for [sooner, later] in [[20, 40], [200, 400], [2_000, 4_000]] {
        let base = precise_base();
        let start = Instant::now();
        base.exit(ms(later)).unwrap();
        base.exit(ms(sooner)).unwrap(); // beside the first, not in its place
        let this = base.clone();
        let _stop = soon(&base, move |_event| this.stop().unwrap());
        let _never = never(&base);
        assert_eq!(run(&base), LoopEnd::Stop);
        let in_time = [sooner, later].iter().all(|&at| {
            let in_time = start.elapsed() < Duration::from_millis(at);
            if in_time {
                assert_eq!(run(&base), LoopEnd::Exit);
                assert!(start.elapsed() >= Duration::from_millis(at));
            }
            in_time
        });
        if in_time {
            return;
        }
    }
    panic!("too slow to tell");
}

#[test]
fn resume_lets_an_urgent_event_run_before_the_rest_of_the_pass() {
    for (resume, order) in [
        (false, ["patient", "patient", "urgent"]),
        (true, ["patient", "urgent", "patient"]),
    ] {
        let (base, seen) = (new_base(), Seen::new());
        base.priority_init(2).unwrap();
        let urgent = noting(&base, &seen, "urgent");
        urgent.set_priority(0).unwrap();
        let _patient = [0, 1].map(|_| {
            let (base_, note, urgent) = (base.clone(), seen.clone(), urgent.clone());
            soon(&base, move |_event| {
                if note.len() == 0 {
                    urgent.add(NOW).unwrap();
                    if resume {
                        base_.resume().unwrap();
                    }
                }
                note.note("patient");
            })
        });
        run(&base);
        assert_eq!(seen.take(), order, "resume: {resume}");
    }
}

#[test]
fn resume_outside_of_a_loop_does_nothing() {
    let (base, seen) = (new_base(), Seen::new());
    base.resume().unwrap();
    let _event = later(&base, &seen, "ran", 0);
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(seen.take(), ["ran"]);
}

#[test]
fn a_loop_inside_its_own_callback_is_refused_and_the_outer_one_continues() {
    let (base, seen) = (new_base(), Seen::new());
    let (this, note) = (base.clone(), seen.clone());
    let _nested = soon(&base, move |_event| {
        for nested in [this.r#loop(BOTH), this.dispatch()] {
            let error = nested.unwrap_err();
            assert!(matches!(error, Error::State { .. }), "{error}");
            note.note("refused");
        }
    });
    let _later = later(&base, &seen, "later", 1);
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(seen.take(), ["refused", "refused", "later"]);
}

#[test]
fn a_loop_of_another_base_runs_inside_a_callback() {
    let (base, other, seen) = (new_base(), new_base(), Seen::new());
    let _inner = later(&other, &seen, "inner", 0);
    let note = seen.clone();
    let _outer = soon(&base, move |_event| {
        assert_eq!(run(&other), LoopEnd::NoEvents);
        note.note("outer");
    });
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(seen.take(), ["inner", "outer"]);
}

#[test]
fn timers_of_different_times_run_earliest_first() {
    let (base, seen) = (new_base(), Seen::new());
    let _timers = [("third", 400), ("first", 1), ("second", 200)]
        .map(|(name, after)| later(&base, &seen, name, after));
    thread::sleep(Duration::from_millis(500)); // all are due in one pass
    run(&base);
    assert_eq!(seen.take(), ["first", "second", "third"]);
}

#[test]
fn a_panic_in_a_callback_deletes_its_event_and_comes_out_of_the_loop() {
    let (base, seen) = (new_base(), Seen::new());
    let (_theirs, ours) = UnixStream::pair().unwrap();
    let panics = Event::new(&base, ours, Event::WRITE | Event::PERSIST, |_, _, _| {
        panic!("on purpose");
    });
    let panics = panics.unwrap();
    panics.add(None).unwrap();
    panics.active(Event::WRITE).unwrap();
    let next = noting(&base, &seen, "next");
    next.active(Event::TIMEOUT).unwrap();
    let caught = catch_unwind(AssertUnwindSafe(|| run(&base))).unwrap_err();
    assert_eq!(caught.downcast_ref(), Some(&"on purpose"));
    assert!(base.got_stop() && !base.got_exit());
    assert!(!panics.is_pending());
    assert!(next.is_pending());
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(seen.take(), ["next"]);
}

#[test]
fn a_moved_event_fires_in_its_new_base_with_the_middle_priority() {
    let (former, base, seen) = (new_base(), new_base(), Seen::new());
    former.priority_init(3).unwrap();
    base.priority_init(5).unwrap();
    let event = noting(&former, &seen, "moved");
    event.set_priority(0).unwrap();
    base.set(&event).unwrap();
    former.free().unwrap(); // no longer the event's base
    let urgent = later(&base, &seen, "urgent", 0);
    urgent.set_priority(1).unwrap();
    let patient = later(&base, &seen, "patient", 0);
    patient.set_priority(3).unwrap();
    event.add(NOW).unwrap();
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(seen.take(), ["urgent", "moved", "patient"]);
}

#[test]
fn a_pending_or_freed_event_is_not_moved() {
    let (former, base, seen) = (new_base(), new_base(), Seen::new());
    let event = later(&former, &seen, "stayed", 0);
    let error = base.set(&event).unwrap_err();
    assert!(matches!(error, Error::State { .. }), "{error}");
    assert_eq!(error.call(), "EventBase::set");
    assert_eq!(run(&base), LoopEnd::NoEvents);
    run(&former);
    assert_eq!(seen.take(), ["stayed"]);

    event.free();
    let error = base.set(&event).unwrap_err();
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
}

/// The times that a callback reads before and after it sleeps.
fn times_around_a_sleep(base: &EventBase, update: bool) -> [SystemTime; 2] {
    let times = Rc::new(Cell::new(None));
    let (this, out) = (base.clone(), Rc::clone(&times));
    let _event = soon(base, move |_event| {
        let before = this.get_time_of_day_cached().unwrap();
        thread::sleep(Duration::from_millis(20));
        if update {
            this.update_cache_time().unwrap();
        }
        out.set(Some([before, this.get_time_of_day_cached().unwrap()]));
    });
    run(base);
    times.get().expect("the timer did not fire")
}

#[test]
fn the_cached_time_stands_still_within_a_pass() {
    let [before, after] = times_around_a_sleep(&new_base(), false);
    assert_eq!(before, after);
}

#[test]
fn the_cached_time_moves_on_when_updated_or_not_cached() {
    let config = EventConfig::new().unwrap();
    config.set_flags(EventBase::NO_CACHE_TIME).unwrap();
    let uncached = EventBase::with_config(&config).unwrap();
    for (what, base, update) in [
        ("update_cache_time", new_base(), true),
        ("NO_CACHE_TIME", uncached, false),
    ] {
        let [before, after] = times_around_a_sleep(&base, update);
        assert!(after > before + Duration::from_millis(5), "{what}"); // the clock may be coarse
    }
}

#[test]
fn the_cached_time_outside_of_a_loop_is_now() {
    let base = new_base();
    let before = SystemTime::now();
    base.update_cache_time().unwrap(); // allowed here, and no cache is left by it
    thread::sleep(Duration::from_millis(2));
    let time = base.get_time_of_day_cached().unwrap();
    assert!(time >= before + Duration::from_millis(1)); // microseconds are cut
    assert!(time <= SystemTime::now());
}

#[test]
fn a_time_set_in_a_slow_callback_counts_from_the_pass_unless_the_clock_was_read() {
    const SLOW: Duration = Duration::from_millis(50);
    for update in [false, true] {
        let (base, seen) = (precise_base(), Seen::new());
        let slept = Rc::new(Cell::new(None));
        let timer = noting(&base, &seen, "timer");
        let awake = noting(&base, &seen, "awake");
        let (this, after) = (base.clone(), Rc::clone(&slept));
        let (timer_, awake_) = (timer.clone(), awake.clone());
        let _slow = soon(&base, move |_event| {
            thread::sleep(SLOW);
            after.set(Some(Instant::now()));
            if update {
                this.update_cache_time().unwrap();
            }
            timer_.add(Some(SLOW)).unwrap();
            awake_.add(NOW).unwrap(); // without it the loop would wait SLOW once more
        });
        assert_eq!(run_as(&base, EventBase::LOOP_ONCE), LoopEnd::Passed);
        run_as(&base, EventBase::LOOP_ONCE);
        if update {
            run(&base);
            assert!(slept.get().unwrap().elapsed() >= SLOW);
        }
        assert_eq!(seen.len(), 2, "update: {update}");
    }
}

#[test]
fn re_init_without_a_fork_does_nothing() {
    let (base, seen) = (new_base(), Seen::new());
    let always = always(&base, &seen);
    let _timer = later(&base, &seen, "timer", 1);
    base.re_init().unwrap();
    poll(&base);
    always.del().unwrap();
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(seen.take(), ["ready", "timer"]);
}

#[test]
fn calls_that_would_break_a_running_loop_are_refused() {
    type Act = fn(&EventBase) -> Result<()>;
    let cases: [(&str, Act); 3] = [
        ("EventBase::free", EventBase::free),
        ("EventBase::reInit", EventBase::re_init),
        ("EventBase::priorityInit", |base| base.priority_init(2)),
    ];
    for (call, act) in cases {
        let (base, seen) = (new_base(), Seen::new());
        let (this, note) = (base.clone(), seen.clone());
        let _event = soon(&base, move |_event| note.note(act(&this).unwrap_err()));
        let _later = soon(&base, |_event| {});
        assert_eq!(run(&base), LoopEnd::NoEvents, "{call}");
        let errors = seen.take();
        assert!(
            matches!(errors[..], [Error::State { .. }]),
            "{call}: {errors:?}"
        );
        assert_eq!(errors[0].call(), call);
        act(&base).unwrap(); // nothing stands in its way any more
    }
}

#[test]
fn a_freed_base_answers_every_call_with_an_error_and_twice_freed_is_harmless() {
    type Act = fn(&EventBase) -> Result<()>;
    let cases: [(&str, Act); 14] = [
        ("EventBase::priorityInit", |base| base.priority_init(2)),
        ("EventBase::loop", |base| base.r#loop(BOTH).map(drop)),
        ("EventBase::dispatch", |base| base.dispatch().map(drop)),
        ("EventBase::exit", |base| base.exit(None)),
        ("EventBase::stop", EventBase::stop),
        ("EventBase::resume", EventBase::resume),
        ("EventBase::set", |base| {
            base.set(&Event::timer(&new_base(), |_event| {})?)
        }),
        ("EventBase::getTimeOfDayCached", |base| {
            base.get_time_of_day_cached().map(drop)
        }),
        ("EventBase::updateCacheTime", EventBase::update_cache_time),
        ("EventBase::reInit", EventBase::re_init),
        ("Event::timer", |base| {
            Event::timer(base, |_event| {}).map(drop)
        }),
        ("Event::signal", |base| {
            Event::signal(base, libc::SIGUSR1, |_, _| {}).map(drop)
        }),
        ("Event::__construct", |base| {
            let (stream, _) = UnixStream::pair().unwrap();
            Event::new(base, stream, Event::READ, |_, _, _| {}).map(drop)
        }),
        ("Event::setTimer", |base| {
            Event::timer(&new_base(), |_event| {})?.set_timer(base, |_event| {})
        }),
    ];
    let base = new_base();
    assert!(!base.is_freed());
    base.free().unwrap();
    assert!(base.is_freed());
    base.free().unwrap();
    for (call, act) in cases {
        let error = act(&base).expect_err(call);
        assert!(
            matches!(error, Error::Freed { object: "base", .. }),
            "{call}: {error:?}"
        );
        assert_eq!(
            error.to_string(),
            format!("{call}: the base was already freed")
        );
    }
    // Calls that can't fail answer for the base as it was.
    assert_eq!(base.get_method(), "epoll");
    assert_eq!(base.get_features().bits(), 11);
    assert!(!base.got_stop() && !base.got_exit());
}

#[test]
fn events_of_a_freed_base_are_not_pending_and_can_only_be_freed_or_moved() {
    let (base, seen) = (new_base(), Seen::new());
    let event = later(&base, &seen, "fired", 0);
    let detached = Rc::new(());
    let held = Rc::clone(&detached);
    let later = Event::timer(&base, move |_event| drop(Rc::clone(&held))).unwrap();
    later.add(Some(NEVER)).unwrap();
    later.detach();
    assert_eq!(Rc::strong_count(&detached), 2);
    base.free().unwrap();
    assert_eq!(
        Rc::strong_count(&detached),
        1,
        "detached events go with the base"
    );
    assert!(!event.is_pending());
    for result in [event.add(NOW), event.del(), event.set_priority(0)] {
        let error = result.unwrap_err();
        assert!(
            matches!(error, Error::Freed { object: "base", .. }),
            "{error}"
        );
    }
    event.free();
    assert_eq!(seen.len(), 0);
}

#[test]
fn as_json_a_base_is_an_empty_object() {
    let base = new_base();
    assert_eq!(serde_json::to_string(&base).unwrap(), "{}");
    base.free().unwrap();
    assert_eq!(serde_json::to_string(&base).unwrap(), "{}");
    assert!(format!("{base:?}").contains("EventBase"));
}

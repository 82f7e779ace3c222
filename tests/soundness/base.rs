//! What only bases have: orders of dropping, `free`, priorities, threads.

use std::cell::{Cell, RefCell};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use php_event::{
    BufferEventOptions, Callbacks, Error, Event, EventBase, EventBufferEvent, EventConfig, LoopEnd,
};
use proptest::prelude::*;
use serde::{Serialize, Serializer};

use crate::{Class, Descriptor, PersistentDescriptor, Timer};
use test_support::{
    Drops, OnDrop, alone, base_calls, limited, panic_of, poll, run, run_once, signals_turn,
};

/// One of the twenty in `base_and_children_are_dropped_in_any_order`.
#[derive(Clone, Copy, Debug)]
struct Child {
    kind: u8,
    pending: bool,
    fate: Fate,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Plain,
    Detached,
    /// Its data holds the base.
    HoldsBase,
    /// Its closure holds the base.
    CapturesBase,
    /// Its data holds the child before it.
    HoldsSibling,
}

fn child() -> impl Strategy<Value = Child> {
    let fate = prop_oneof![
        Just(Fate::Plain),
        Just(Fate::Detached),
        Just(Fate::HoldsBase),
        Just(Fate::CapturesBase),
        Just(Fate::HoldsSibling),
    ];
    (0..3_u8, any::<bool>(), fate).prop_map(|(kind, pending, fate)| Child {
        kind,
        pending,
        fate,
    })
}

const CHILDREN: usize = 20;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    /// `order` names each child and, as the number past the last, the base's own handle;
    /// before the drop number `turn`, the loop runs once if the base is still there.
    #[test]
    fn base_and_children_are_dropped_in_any_order(
        children in prop::collection::vec(child(), CHILDREN),
        order in Just((0..=CHILDREN).collect::<Vec<_>>()).prop_shuffle(),
        turn in 0..=CHILDREN,
    ) {
        let drops = Drops::default();
        let mut base = Some(EventBase::new().unwrap());
        let mut events: Vec<Option<Event>> = Vec::new();
        for child in &children {
            let own = base.as_ref().unwrap();
            let (token, held) = (drops.token(), (child.fate == Fate::CapturesBase).then(|| own.clone()));
            let callback = move |_: &Event| {
                token.hold();
                assert!(held.as_ref().is_none_or(|base| !base.got_exit()));
            };
            let event = match child.kind {
                0 => Timer::make(own, callback),
                1 => Descriptor::make(own, callback),
                _ => PersistentDescriptor::make(own, callback),
            };
            if child.pending {
                event.add(Some(Duration::from_millis(5))).unwrap();
            }
            match child.fate {
                Fate::HoldsBase => event.set_data(own.clone()),
                Fate::HoldsSibling => event.set_data(events.last().cloned().flatten()),
                _ => {}
            }
            if child.fate == Fate::Detached {
                event.clone().detach();
            }
            events.push(Some(event));
        }
        for (step, which) in order.into_iter().enumerate() {
            if let (true, Some(base)) = (step == turn, &base) {
                poll(base);
            }
            if which == CHILDREN {
                base = None;
            } else {
                events[which] = None;
            }
        }
        prop_assert_eq!(drops.count(), CHILDREN);
    }
}

#[test]
fn freed_base_answers_that_it_was_freed_whatever_is_called() {
    let base = EventBase::new().unwrap();
    let drops = Drops::default();
    let token = drops.token();
    let event = Timer::make(&base, move |_| token.hold());
    Timer::fire(&event);
    let clone = base.clone();
    base.free().unwrap();
    base.free().unwrap();
    for (method, result) in base_calls(&clone) {
        let error = result.unwrap_err();
        assert!(
            matches!(error, Error::Freed { object: "base", .. }),
            "{method}: {error}"
        );
    }
    assert!(matches!(base.re_init(), Err(Error::Freed { .. })));
    assert!(!base.got_exit() && !base.got_stop());
    assert!(!base.get_method().is_empty());
    assert_eq!(base.get_features(), clone.get_features());
    assert_eq!(serde_json::to_string(&base).unwrap(), "{}");
    assert!(base == clone);
    drop((base, clone));
    drop(event);
    assert_eq!(drops.count(), 1);
}

#[test]
fn freed_inside_a_callback_is_refused_and_the_loop_continues() {
    let base = EventBase::new().unwrap();
    let (own, refused) = (base.clone(), Rc::new(Cell::new(false)));
    let seen = refused.clone();
    let event = Timer::make(&base, move |_| {
        seen.set(matches!(own.free(), Err(Error::State { .. })));
        assert!(matches!(own.re_init(), Err(Error::State { .. })));
    });
    Timer::fire(&event);
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert!(refused.get());
    base.free().unwrap();
}

#[test]
fn base_freed_in_a_callback_of_another_base_is_freed() {
    let (outer, inner) = (EventBase::new().unwrap(), EventBase::new().unwrap());
    let (drops, own) = (Drops::default(), inner.clone());
    let token = drops.token();
    let detached = Timer::make(&inner, move |_| token.hold());
    Timer::fire(&detached);
    detached.detach();
    let event = Timer::make(&outer, move |_| own.free().unwrap());
    Timer::fire(&event);
    assert_eq!(run(&outer), LoopEnd::NoEvents);
    assert_eq!(drops.count(), 1);
    assert!(matches!(inner.dispatch(), Err(Error::Freed { .. })));
}

#[test]
fn handles_of_a_base_are_the_same_base() {
    let (mut one, mut other) = (EventBase::new().unwrap(), EventBase::new().unwrap());
    let clone = one.clone();
    assert!(clone == one && one != other);
    std::mem::swap(&mut one, &mut other);
    assert!(clone == other && one != other);
    clone.exit(None).unwrap();
    assert_eq!(run(&other), LoopEnd::Exit);
    assert!(clone.got_exit() && !one.got_exit());
}

#[test]
fn fewer_priorities_than_an_event_has_are_refused() {
    let base = EventBase::new().unwrap();
    base.priority_init(10).unwrap();
    let event = Timer::make(&base, |_| {}); // of priority 5
    let error = base.priority_init(5).unwrap_err();
    assert!(matches!(error, Error::Argument { .. }));
    assert!(error.to_string().contains("has priority 5"), "{error}");
    event.set_priority(9).unwrap();
    event.set_priority(0).unwrap();
    assert!(base.priority_init(9).is_err());
    for priority in [-1, 10, i32::MAX, i32::MIN] {
        assert!(matches!(
            event.set_priority(priority),
            Err(Error::Argument { .. })
        ));
    }
    for number in [i32::MIN, -1, 0, 256, i32::MAX] {
        assert!(matches!(
            base.priority_init(number),
            Err(Error::Argument { .. })
        ));
    }
    base.priority_init(10).unwrap();
    base.priority_init(255).unwrap();
    Timer::fire(&event);
    assert!(matches!(base.priority_init(255), Ok(())));
    assert_eq!(run(&base), LoopEnd::NoEvents);
}

#[test]
fn event_moved_from_a_base_of_many_priorities_gets_one_that_the_new_base_has() {
    let (many, few) = (EventBase::new().unwrap(), EventBase::new().unwrap());
    many.priority_init(255).unwrap();
    let calls = Rc::new(Cell::new(0));
    let count = calls.clone();
    let event = Timer::make(&many, move |_| count.set(count.get() + 1));
    event.set_priority(254).unwrap();
    few.set(&event).unwrap();
    Timer::fire(&event);
    run(&few);
    event.set_timer(&many, |_| {}).unwrap();
    event.set_priority(254).unwrap();
    let count = calls.clone();
    event
        .set_timer(&few, move |_| count.set(count.get() + 1))
        .unwrap();
    Timer::fire(&event);
    run(&few);
    assert_eq!(calls.get(), 2);
}

/// The time of `exit` is an event of libevent's own, and has a priority as others have.
#[test]
fn fewer_priorities_while_an_exit_is_due_are_refused() {
    let base = EventBase::new().unwrap();
    base.priority_init(255).unwrap();
    base.exit(Some(Duration::from_millis(1))).unwrap();
    assert!(matches!(base.priority_init(1), Err(Error::Argument { .. })));
    assert_eq!(run(&base), LoopEnd::Exit);
}

#[test]
fn priorities_inside_a_callback_are_refused() {
    let base = EventBase::new().unwrap();
    let (own, seen) = (base.clone(), Rc::new(RefCell::new(String::new())));
    let text = seen.clone();
    let event = Timer::make(&base, move |_| {
        text.replace(own.priority_init(3).unwrap_err().to_string());
    });
    Timer::fire(&event);
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert!(
        seen.borrow().contains("inside a callback"),
        "{}",
        seen.borrow()
    );
    base.priority_init(3).unwrap();
}

#[test]
fn priorities_while_events_are_active_are_refused() {
    let base = EventBase::new().unwrap();
    let event = Timer::make(&base, |_| {});
    event.active(Event::TIMEOUT).unwrap();
    assert!(matches!(base.priority_init(3), Err(Error::State { .. })));
    assert_eq!(run(&base), LoopEnd::NoEvents);
    base.priority_init(3).unwrap();
}

#[test]
fn config_is_used_again_and_outlived_by_its_bases() {
    let config = EventConfig::new().unwrap();
    config.avoid_method("epoll").unwrap();
    config
        .set_max_dispatch_interval(Some(Duration::MAX), Some(u32::MAX), i32::MIN)
        .unwrap();
    let bases = [(); 2].map(|()| EventBase::with_config(&config).unwrap());
    let clone = config.clone();
    drop(config);
    let last = EventBase::with_config(&clone).unwrap();
    drop(clone);
    for base in bases.iter().chain([&last]) {
        let event = Timer::make(base, |_| {});
        Timer::fire(&event);
        assert_eq!(run(base), LoopEnd::NoEvents);
    }
    let impossible = EventConfig::new().unwrap();
    for method in Event::get_supported_methods() {
        impossible.avoid_method(method).unwrap();
    }
    let error = EventBase::with_config(&impossible).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("EventBase::__construct failed"),
        "{error}"
    );
}

#[test]
fn supported_methods_may_be_asked_for_by_many_threads_at_once() {
    let here = Event::get_supported_methods();
    let threads = [(); 8].map(|()| {
        thread::spawn(|| {
            (0..100)
                .map(|_| Event::get_supported_methods())
                .collect::<Vec<_>>()
        })
    });
    for thread in threads {
        assert!(
            limited(|| thread.join().unwrap())
                .iter()
                .all(|there| *there == here)
        );
    }
    assert!(here.iter().any(|method| method == "poll"));
}

#[test]
fn bases_of_many_threads_run_at_once() {
    let threads = [(); 4].map(|()| {
        thread::spawn(|| {
            for round in 0..50 {
                let base = EventBase::new().unwrap();
                let (drops, calls) = (Drops::default(), Rc::new(Cell::new(0)));
                for n in 0..8 {
                    let (token, count) = (drops.token(), calls.clone());
                    let callback = move |event: &Event| {
                        token.hold();
                        count.set(count.get() + 1);
                        event.del().unwrap();
                        assert!(n != 7 || round % 10 != 9, "every tenth round");
                    };
                    let event = if n % 2 == 0 {
                        Timer::make(&base, callback)
                    } else {
                        PersistentDescriptor::make(&base, callback)
                    };
                    event.add(Some(Duration::from_millis(1))).unwrap();
                    event.detach();
                }
                if round % 10 == 9 {
                    assert_eq!(panic_of(|| base.dispatch()), "every tenth round");
                }
                assert_eq!(base.dispatch().unwrap(), LoopEnd::NoEvents);
                assert_eq!((calls.get(), drops.count()), (8, 8));
            }
        })
    });
    for thread in threads {
        limited(|| thread.join()).unwrap();
    }
}

thread_local! {
    static KEPT: RefCell<Vec<(EventBase, Event)>> = const { RefCell::new(Vec::new()) };
}

#[test]
fn handles_in_a_threads_variables_are_freed_when_it_ends() {
    let (done, wait) = std::sync::mpsc::channel();
    let thread = thread::spawn(move || {
        KEPT.with_borrow_mut(Vec::clear); // first, so that it goes last
        let base = EventBase::new().unwrap();
        let told = OnDrop(move || done.send(()).unwrap());
        let event = PersistentDescriptor::make(&base, move |_| told.hold());
        PersistentDescriptor::fire(&event);
        run_once(&base);
        KEPT.with_borrow_mut(|kept| kept.push((base, event)));
    });
    limited(|| thread.join()).unwrap();
    assert!(wait.recv().is_ok());
}

#[test]
fn loop_in_the_destructor_of_a_threads_variable_runs() {
    struct RunsLate(Option<EventBase>);
    impl Drop for RunsLate {
        fn drop(&mut self) {
            let base = self.0.take().unwrap();
            let calls = Rc::new(Cell::new(0));
            let count = calls.clone();
            let event = Timer::make(&base, move |_| count.set(count.get() + 1));
            Timer::fire(&event);
            assert_eq!(base.dispatch().unwrap(), LoopEnd::NoEvents);
            assert_eq!(calls.get(), 1);
        }
    }
    thread_local!(static LATE: RefCell<Option<RunsLate>> = const { RefCell::new(None) });
    let thread = thread::spawn(|| {
        LATE.with_borrow_mut(|late| assert!(late.is_none())); // first, so that it goes last
        let base = EventBase::new().unwrap();
        run(&base);
        LATE.set(Some(RunsLate(Some(base))));
    });
    limited(|| thread.join()).unwrap();
}

type End = fn(EventBase);

/// Ways in which a base lets go of what is detached.
const ENDS: [(&str, End); 2] = [
    ("dropped", |base| drop(base)),
    ("freed", |base| base.free().unwrap()),
];

/// A detached event, or a detached buffer event, whose closure calls `captured`.
fn detach(base: &EventBase, buffer_event: bool, mut captured: impl FnMut() + 'static) {
    if buffer_event {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let bev = EventBufferEvent::new(base, ours, BufferEventOptions::empty()).unwrap();
        bev.set_callbacks(Callbacks::new().on_read(move |_| captured()))
            .unwrap();
        bev.detach();
    } else {
        let timer = Event::timer(base, move |_| captured()).unwrap();
        timer.add(Some(Duration::from_secs(3600))).unwrap();
        timer.detach();
    }
}

#[test]
fn detached_objects_all_end_with_their_base_when_destructors_panic() {
    alone(&[], || {
        std::panic::set_hook(Box::new(|_| {}));
        let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
        let before = descriptors();
        for (end, work) in ENDS {
            let (base, drops) = (EventBase::new().unwrap(), Drops::default());
            for n in 0..20 {
                let (token, bomb) = (drops.token(), OnDrop(move || assert!(n % 4 > 1, "bomb")));
                detach(&base, n % 2 == 0, move || {
                    token.hold();
                    bomb.hold();
                });
            }
            let text = panic_of(|| work(base));
            assert_eq!(text, "bomb", "{end}");
            assert_eq!(drops.count(), 20, "{end}");
            assert_eq!(descriptors(), before, "{end}");
        }
    });
}

#[test]
fn detached_objects_that_hold_their_base_end_when_it_is_freed() {
    alone(&[], || {
        let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
        let before = descriptors();
        for buffer_event in [false, true] {
            let (base, drops) = (EventBase::new().unwrap(), Drops::default());
            let (token, own) = (drops.token(), base.clone());
            detach(&base, buffer_event, move || {
                token.hold();
                own.stop().unwrap();
            });
            base.free().unwrap();
            assert_eq!(drops.count(), 1);
            drop(base);
            assert_eq!(descriptors(), before);
        }
    });
}

#[test]
fn base_freed_again_in_the_captured_drop_of_a_detached_event_is_freed_once() {
    let _turn = signals_turn();
    let (base, freed) = (EventBase::new().unwrap(), Rc::new(Cell::new(false)));
    let (own, seen) = (RefCell::new(Some(base.clone())), freed.clone());
    let again = OnDrop(move || {
        if let Some(base) = own.take() {
            seen.set(base.free().is_ok());
        }
    });
    let detached = Event::signal(&base, libc::SIGUSR1, move |_, _| again.hold()).unwrap();
    detached.add(None).unwrap();
    detached.detach();
    let other = Event::signal(&base, libc::SIGUSR2, |_, _| {}).unwrap();
    other.add(None).unwrap();
    base.free().unwrap();
    assert!(freed.get());
    assert!(!other.is_pending());
}

#[test]
fn event_whose_closure_and_data_panic_when_dropped_raises_the_first_panic() {
    struct Data(OnDrop<fn()>);
    impl Serialize for Data {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            self.0.hold();
            serializer.serialize_unit()
        }
    }
    let ends: [fn(Event); 3] = [
        drop,
        |event| event.free(),
        |event| {
            let base = event.base();
            event.set_timer(&base, |_| {}).unwrap();
        },
    ];
    for end in ends {
        let base = EventBase::new().unwrap();
        let closure = OnDrop(|| panic!("closure"));
        let event = Event::timer(&base, move |_| closure.hold()).unwrap();
        event.set_data(Data(OnDrop(|| panic!("data"))));
        assert_eq!(panic_of(|| end(event)), "closure");
    }
}

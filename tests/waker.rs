//! `Event::waker`: an event that other threads fire.

use std::cell::{Cell, RefCell};
use std::fs;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use php_event::{Error, Event, EventBase, LoopEnd, Waker};
use test_support::alone;
use test_support::{Drops, base_with, limited, panic_of, poll, run, run_once};

/// An added event that counts its calls.
fn counting(base: &EventBase) -> (Event, Waker, Rc<Cell<usize>>) {
    let calls = Rc::new(Cell::new(0));
    let count = calls.clone();
    let (event, waker) = Event::waker(base, move |_| count.set(count.get() + 1)).unwrap();
    event.add(None).unwrap();
    (event, waker, calls)
}

fn is_freed(waker: &Waker) -> bool {
    let freed = "Waker::wake: the event was already freed";
    waker.wake().is_err_and(|error| error.to_string() == freed)
}

#[test]
fn a_sleeping_loop_is_woken_by_another_thread_and_runs_the_closure_in_its_own() {
    const ROUNDS: usize = 100;
    for method in Event::get_supported_methods() {
        let base = base_with(method);
        let (ask, asked) = mpsc::channel();
        let here = thread::current().id();
        let mut rounds = 0;
        let (event, waker) = Event::waker(&base, move |event| {
            assert_eq!(thread::current().id(), here);
            rounds += 1;
            if rounds == ROUNDS {
                event.del().unwrap();
            }
            ask.send(()).ok(); // and to sleep
        })
        .unwrap();
        event.add(None).unwrap();
        let other = thread::spawn(move || {
            for _ in 0..ROUNDS {
                waker.wake().unwrap();
                asked.recv().unwrap();
            }
        });
        assert_eq!(run(&base), LoopEnd::NoEvents, "{method}");
        limited(|| other.join()).unwrap();
    }
}

#[test]
fn wakes_before_the_loop_runs_are_one() {
    let base = EventBase::new().unwrap();
    let (_event, waker, calls) = counting(&base);
    let others = [0; 4].map(|_| {
        let waker = waker.clone();
        thread::spawn(move || (0..1_000).for_each(|_| waker.wake().unwrap()))
    });
    others.into_iter().for_each(|other| other.join().unwrap());
    run_once(&base);
    assert_eq!(calls.get(), 1);
    poll(&base);
    assert_eq!(calls.get(), 1);
    waker.wake().unwrap();
    run_once(&base);
    assert_eq!(calls.get(), 2);
}

#[test]
fn a_wake_during_the_closure_calls_it_again() {
    let base = EventBase::new().unwrap();
    let own: Rc<RefCell<Option<Waker>>> = Rc::default();
    let (mine, calls) = (own.clone(), Rc::new(Cell::new(0)));
    let count = calls.clone();
    let (event, waker) = Event::waker(&base, move |event| {
        count.set(count.get() + 1);
        match count.get() {
            3 => event.del().unwrap(),
            _ => mine.borrow().as_ref().unwrap().wake().unwrap(),
        }
    })
    .unwrap();
    own.replace(Some(waker.clone()));
    event.add(None).unwrap();
    waker.wake().unwrap();
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(calls.get(), 3);
}

#[test]
fn messages_of_many_threads_all_arrive() {
    const THREADS: usize = 8;
    const EACH: usize = 2_000;
    let base = EventBase::new().unwrap();
    let (sender, receiver) = mpsc::channel::<usize>();
    let (calls, sum) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let (count, total, mut left) = (calls.clone(), sum.clone(), THREADS * EACH);
    let (event, waker) = Event::waker(&base, move |event| {
        count.set(count.get() + 1);
        for n in receiver.try_iter() {
            total.set(total.get() + n);
            left -= 1;
        }
        if left == 0 {
            event.del().unwrap();
        }
    })
    .unwrap();
    event.add(None).unwrap();
    let others = [0; THREADS].map(|_| {
        let (sender, waker) = (sender.clone(), waker.clone());
        thread::spawn(move || {
            for n in 0..EACH {
                sender.send(n).unwrap();
                waker.wake().unwrap();
            }
        })
    });
    assert_eq!(run(&base), LoopEnd::NoEvents);
    others.into_iter().for_each(|other| other.join().unwrap());
    assert_eq!(sum.get(), THREADS * EACH * (EACH - 1) / 2);
    assert!((1..=THREADS * EACH).contains(&calls.get()));
}

#[test]
fn an_event_that_is_not_added_is_called_once_it_is() {
    let base = EventBase::new().unwrap();
    let (event, waker, calls) = counting(&base);
    event.del().unwrap();
    waker.wake().unwrap();
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(calls.get(), 0);
    event.add(None).unwrap();
    run_once(&base);
    assert_eq!(calls.get(), 1);
}

#[test]
fn a_time_that_passes_without_a_wake_calls_it_too() {
    let base = EventBase::new().unwrap();
    let (event, _waker, calls) = counting(&base);
    event.add(Some(Duration::from_millis(1))).unwrap();
    run_once(&base);
    run_once(&base);
    assert_eq!(calls.get(), 2);
}

#[test]
fn a_wake_after_the_event_was_freed_is_an_error() {
    let base = EventBase::new().unwrap();
    let (event, waker, _calls) = counting(&base);
    event.free();
    assert!(is_freed(&waker));
    let (event, waker, _calls) = counting(&base);
    drop(base);
    waker.clone().wake().unwrap(); // the event keeps its base
    drop(event);
    assert!(is_freed(&waker) && is_freed(&waker.clone()));
    let other = thread::spawn(move || is_freed(&waker));
    assert!(other.join().unwrap());
}

#[test]
fn set_disconnects_an_event_from_its_waker() {
    let base = EventBase::new().unwrap();
    let (event, waker, calls) = counting(&base);
    event.del().unwrap();
    event.set_timer(&base, |_| {}).unwrap();
    assert!(is_freed(&waker));
    event.add(Some(Duration::ZERO)).unwrap();
    run_once(&base);
    assert_eq!(calls.get(), 0);
}

#[test]
fn an_event_freed_in_its_own_closure_ends_when_that_returns() {
    let base = EventBase::new().unwrap();
    let drops = Drops::default();
    let token = drops.token();
    let own: Rc<RefCell<Option<Waker>>> = Rc::default();
    let mine = own.clone();
    let (event, waker) = Event::waker(&base, move |event| {
        token.hold();
        event.free();
        mine.borrow().as_ref().unwrap().wake().unwrap();
    })
    .unwrap();
    own.replace(Some(waker.clone()));
    event.add(None).unwrap();
    waker.wake().unwrap();
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(drops.count(), 1);
    assert!(is_freed(&waker));
}

#[test]
fn a_panic_in_the_closure_comes_out_of_the_loop_and_the_waker_works_on() {
    let base = EventBase::new().unwrap();
    let mut first = true;
    let calls = Rc::new(Cell::new(0));
    let count = calls.clone();
    let (event, waker) = Event::waker(&base, move |_event| {
        if std::mem::take(&mut first) {
            panic!("woken");
        }
        count.set(count.get() + 1);
    })
    .unwrap();
    event.add(None).unwrap();
    waker.wake().unwrap();
    assert_eq!(panic_of(|| run_once(&base)), "woken");
    assert_eq!(run(&base), LoopEnd::NoEvents); // deleted, as any event is
    event.add(None).unwrap();
    poll(&base);
    assert_eq!(calls.get(), 0, "the wake was left over");
    waker.wake().unwrap();
    run_once(&base);
    assert_eq!(calls.get(), 1);
}

#[test]
fn threads_that_wake_a_freed_event_get_an_error() {
    for _ in 0..50 {
        let base = EventBase::new().unwrap();
        let (event, waker, calls) = counting(&base);
        let started = Arc::new(AtomicBool::new(false));
        let others = [0; 2].map(|_| {
            let (waker, started) = (waker.clone(), started.clone());
            thread::spawn(move || {
                while waker.wake().is_ok() {
                    started.store(true, Ordering::Relaxed);
                }
                is_freed(&waker)
            })
        });
        while !started.load(Ordering::Relaxed) {
            poll(&base);
        }
        run_once(&base);
        drop((event, base));
        assert!(calls.get() >= 1);
        assert!(
            others
                .map(|other| other.join().unwrap())
                .iter()
                .all(|ok| *ok)
        );
    }
}

#[test]
fn its_descriptor_closes_with_the_last_of_event_and_wakers() {
    alone(&[], || {
        let descriptors = || fs::read_dir("/proc/self/fd").unwrap().count();
        let base = EventBase::new().unwrap();
        let before = descriptors();
        let (event, waker) = Event::waker(&base, |_| {}).unwrap();
        assert!(descriptors() > before);
        drop(event);
        assert!(descriptors() > before);
        let other = thread::spawn(move || drop(waker));
        other.join().unwrap();
        assert_eq!(descriptors(), before);
        let (event, waker) = Event::waker(&base, |_| {}).unwrap();
        event.add(None).unwrap();
        drop(waker);
        assert!(descriptors() > before);
        drop(event);
        assert_eq!(descriptors(), before);
    });
}

#[test]
fn a_waker_without_a_descriptor_or_a_base_is_an_error() {
    alone(&[], || {
        let base = EventBase::new().unwrap();
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, 0, hard).unwrap();
        let error = Event::waker(&base, |_| {}).unwrap_err();
        setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
        assert!(
            error
                .to_string()
                .starts_with("Event::waker: Too many open files"),
            "{error}"
        );
        assert!(matches!(error, Error::Io { .. }), "{error:?}");
        base.free().unwrap();
        let error = Event::waker(&base, |_| {}).unwrap_err();
        assert!(
            matches!(error, Error::Freed { object: "base", .. }),
            "{error}"
        );
        assert_eq!(error.call(), "Event::waker");
    });
}

#[test]
fn a_waker_implements_debug() {
    let base = EventBase::new().unwrap();
    let (event, waker, _calls) = counting(&base);
    assert_eq!(format!("{waker:?}"), "Waker { heard: true, .. }");
    drop(event);
    assert_eq!(format!("{waker:?}"), "Waker { heard: false, .. }");
}

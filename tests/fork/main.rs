//! Bases and events across `fork`. No harness: it has threads, and a fork wants none.
//!
//! Each case runs in this process alone, under an alarm that ends it if it hangs, and must
//! leave neither a child nor a descriptor behind. Children tell by their exit code. A case
//! whose child keeps memory for ever, as documented, has `foreign` in its name, for leak
//! checkers to skip: `--skip foreign`.

mod buffer_event;
mod child;
mod dns;
mod http;
mod http_client;
mod listener;
#[cfg(feature = "openssl")]
mod tls;

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{ExitCode, exit};
use std::rc::Rc;
use std::time::{Duration, Instant};
use std::{env, thread};

use buffer_event::{
    buffer_events_are_refused_in_a_child_until_re_init,
    foreign_buffer_events_dropped_in_a_child_leave_the_parents_alone,
    orphaned_buffer_events_are_freed_by_re_init,
};
use child::{
    AN_HOUR, How, LIMIT_SECONDS, Watch, bases, descriptors, open_files, poll, reap, run_once,
    succeeds, until_alone,
};
use dns::{
    dns_base_and_lookup_dropped_in_a_child_leave_the_parents_alone,
    dns_base_in_a_child_is_refused_and_after_re_init_shut_down,
    foreign_dns_base_dropped_with_its_base_in_a_child_leaves_the_parents_alone,
};
use http::{
    foreign_http_dropped_in_a_child_leaves_the_parents_alone,
    http_is_refused_in_a_child_until_re_init, orphaned_http_is_freed_by_re_init,
};
use http_client::{
    foreign_http_client_dropped_in_a_child_leaves_the_parents_alone,
    http_client_is_refused_in_a_child_and_after_re_init_begins_anew,
    http_client_of_a_child_is_left_to_it_by_its_own_child,
    orphaned_http_client_is_freed_by_re_init,
};
use listener::{
    every_call_on_a_listener_in_a_child_is_refused_until_re_init,
    foreign_listeners_dropped_in_a_child_leave_the_parents_alone,
    forked_in_a_burst_and_freed_the_child_takes_none_of_the_parents_connections,
    forked_in_a_burst_the_child_takes_none_of_the_parents_connections,
    orphaned_listeners_are_freed_by_re_init_and_keep_their_sockets_open_until_then,
};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, raise};
use nix::unistd::{alarm, pause};
use php_event::process::{Exit, Fork, Wait, Waited, fork, getpid, kill, wait};
use php_event::{Error, Event, EventBase, EventConfig, LoopEnd};
use test_support::{OnDrop, Readable, base_calls, event_calls, pair, set_disposition};
#[cfg(feature = "openssl")]
use tls::{
    close_notify_that_waits_is_not_sent_by_a_child,
    tls_dropped_in_a_child_says_no_goodbye_for_its_parent,
};

macro_rules! cases {
    ($($case:ident),+ $(,)?) => { &[$((stringify!($case), $case as fn())),+] };
}

#[cfg(feature = "openssl")]
const TLS_CASES: &[(&str, fn())] = cases![
    close_notify_that_waits_is_not_sent_by_a_child,
    tls_dropped_in_a_child_says_no_goodbye_for_its_parent,
];
#[cfg(not(feature = "openssl"))]
const TLS_CASES: &[(&str, fn())] = &[];

const CASES: &[(&str, fn())] = cases![
    foreign_handles_dropped_in_a_child_leave_the_parents_events_alone,
    re_initialized_and_dropped_in_a_child_leaves_the_parents_events_alone,
    every_call_in_a_child_is_refused_until_re_init,
    child_after_re_init_works_on_its_own,
    grandchild_is_refused_until_its_own_re_init,
    orphans_are_freed_by_re_init_and_keep_their_sources_open_until_then,
    foreign_orphans_of_a_base_that_is_dropped_too_are_kept_for_ever,
    signal_event_dropped_in_a_child_gives_the_signal_back_at_re_init,
    signal_event_dropped_in_a_child_leaves_the_signal_to_another,
    signals_of_a_re_initialized_child_have_their_former_effect_in_its_own_children,
    signal_to_a_child_before_re_init_has_its_former_effect,
    signals_that_a_child_took_otherwise_stay_taken_in_its_own_children,
    signals_after_re_init_go_to_the_process_that_they_are_sent_to,
    new_base_in_a_child_takes_the_signals_and_the_old_one_waits,
    forked_inside_a_callback_the_child_leaves_the_loop_and_the_parent_continues,
    forked_inside_a_captured_drop_the_child_leaves_the_loop_and_loses_nothing,
    forked_inside_a_nested_loop_the_child_leaves_both_loops,
    forked_inside_a_callback_that_panics_the_child_gets_the_panic,
    fork_inside_a_callback_is_refused,
    fork_with_a_second_thread_is_refused,
    re_init_without_a_fork_changes_nothing,
    re_init_with_a_second_thread_is_refused,
    wait_returns_the_child_and_its_exit_status,
    buffered_output_is_written_once,
    base_without_descriptors_left_is_an_error,
    foreign_buffer_events_dropped_in_a_child_leave_the_parents_alone,
    buffer_events_are_refused_in_a_child_until_re_init,
    orphaned_buffer_events_are_freed_by_re_init,
    foreign_http_client_dropped_in_a_child_leaves_the_parents_alone,
    http_client_is_refused_in_a_child_and_after_re_init_begins_anew,
    http_client_of_a_child_is_left_to_it_by_its_own_child,
    orphaned_http_client_is_freed_by_re_init,
    dns_base_in_a_child_is_refused_and_after_re_init_shut_down,
    dns_base_and_lookup_dropped_in_a_child_leave_the_parents_alone,
    foreign_dns_base_dropped_with_its_base_in_a_child_leaves_the_parents_alone,
    foreign_listeners_dropped_in_a_child_leave_the_parents_alone,
    every_call_on_a_listener_in_a_child_is_refused_until_re_init,
    orphaned_listeners_are_freed_by_re_init_and_keep_their_sockets_open_until_then,
    forked_in_a_burst_the_child_takes_none_of_the_parents_connections,
    forked_in_a_burst_and_freed_the_child_takes_none_of_the_parents_connections,
    waker_of_the_parent_is_refused_in_a_child_and_a_new_one_works,
    foreign_http_dropped_in_a_child_leaves_the_parents_alone,
    http_is_refused_in_a_child_until_re_init,
    orphaned_http_is_freed_by_re_init,
];

fn main() -> ExitCode {
    let args = env::args().skip(1).collect::<Vec<_>>();
    let (mut filters, mut skipped, mut rest) = (Vec::new(), Vec::new(), args.iter());
    while let Some(arg) = rest.next() {
        match arg.as_str() {
            "--skip" => skipped.extend(rest.next()),
            "--test-threads" | "--format" | "--color" => {
                rest.next();
            }
            arg if arg.starts_with('-') => {}
            _ => filters.push(arg),
        }
    }
    let among = |name: &str, list: &[&String]| list.iter().any(|part| name.contains(part.as_str()));
    let chosen = CASES.iter().chain(TLS_CASES).filter(|(name, _)| {
        (filters.is_empty() || among(name, &filters)) && !among(name, &skipped)
    });
    let chosen = chosen.collect::<Vec<_>>();
    if args.iter().any(|arg| arg == "--list") {
        chosen.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    println!("\nrunning {} tests", chosen.len());
    let (start, mut failed) = (Instant::now(), Vec::new());
    for (name, case) in &chosen {
        alarm::set(LIMIT_SECONDS);
        let before = descriptors();
        let result = catch_unwind(AssertUnwindSafe(|| {
            case();
            assert_eq!(
                wait(Wait::NoHang).unwrap(),
                Waited::NoChild,
                "a child is left"
            );
            assert_eq!(descriptors(), before, "descriptors are left");
        }));
        alarm::cancel();
        println!(
            "test {name} ... {}",
            if result.is_ok() { "ok" } else { "FAILED" }
        );
        if result.is_err() {
            failed.push(name);
        }
    }
    for name in &failed {
        println!("    {name}");
    }
    println!(
        "\ntest result: {}. {} passed; {} failed; 0 ignored; 0 measured; {} filtered out; finished in {:.2}s\n",
        if failed.is_empty() { "ok" } else { "FAILED" },
        chosen.len() - failed.len(),
        failed.len(),
        CASES.len() + TLS_CASES.len() - chosen.len(),
        start.elapsed().as_secs_f64()
    );
    if failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

// Skipped under Valgrind and ASan: the forked child keeps memory, as documented.
fn foreign_handles_dropped_in_a_child_leave_the_parents_events_alone() {
    for how in How::BOTH {
        for base in bases() {
            let mut watch = Watch::new(base);
            watch.works();
            let detached = Event::timer(&watch.base, |_| {}).unwrap();
            detached.add(Some(AN_HOUR)).unwrap();
            detached.detach();
            let mut watch = Some(watch);
            let events_first = how.child(|| {
                let Watch {
                    base,
                    read,
                    timer,
                    signal,
                    ..
                } = watch.take().unwrap();
                drop((read, timer, signal));
                drop(base);
            });
            watch.as_mut().unwrap().works();
            succeeds(events_first);
            let base_first = how.child(|| {
                let Watch {
                    base,
                    read,
                    timer,
                    signal,
                    ..
                } = watch.take().unwrap();
                drop(base);
                drop((read, timer, signal));
            });
            succeeds(base_first);
            let freed = how.child(|| {
                let watch = watch.take().unwrap();
                watch.events().into_iter().for_each(Event::free);
                assert!(matches!(watch.base.free(), Err(Error::Forked { .. })));
            });
            succeeds(freed);
            watch.unwrap().works();
        }
    }
}

fn re_initialized_and_dropped_in_a_child_leaves_the_parents_events_alone() {
    for how in How::BOTH {
        for base in bases() {
            let mut watch = Some(Watch::new(base));
            let child = how.child(|| {
                let watch = watch.take().unwrap();
                watch.base.re_init().unwrap();
                watch.read.del().unwrap();
                watch.read.add(None).unwrap();
                watch.read.free();
                drop(watch);
            });
            watch.as_mut().unwrap().works();
            succeeds(child);
            let mut watch = watch.unwrap();
            watch.works();
            let child = how.child(|| {
                watch.base.re_init().unwrap();
                watch.base.free().unwrap();
            });
            succeeds(child);
            watch.works();
        }
    }
}

fn every_call_in_a_child_is_refused_until_re_init() {
    for how in How::BOTH {
        let mut watch = Watch::new(EventBase::new().unwrap());
        let child = how.child(|| {
            let (base, fresh) = (&watch.base, EventBase::new().unwrap());
            let mut calls = base_calls(base);
            calls.push(("free", base.free()));
            for event in watch.events() {
                calls.extend(event_calls(event, base));
                calls.extend(event_calls(event, &fresh));
                assert!(event.is_pending());
            }
            for (method, result) in calls {
                let error = result.unwrap_err();
                assert!(matches!(error, Error::Forked { .. }), "{method}: {error}");
                assert!(error.to_string().contains("call re_init()"), "{error}");
            }
            assert!(!base.got_exit() && !base.got_stop());
            assert_eq!(base.get_method(), fresh.get_method());
            base.re_init().unwrap();
            for event in watch.events() {
                event.del().unwrap();
                event.add(Some(AN_HOUR)).unwrap();
                assert!(event.is_pending());
            }
            base.update_cache_time().unwrap();
            base.free().unwrap();
        });
        succeeds(child);
        watch.works();
    }
}

fn child_after_re_init_works_on_its_own() {
    for how in How::BOTH {
        for base in bases() {
            let mut watch = Watch::new(base);
            let (mut theirs, ours) = pair();
            let child = how.child(|| {
                watch.base.re_init().unwrap();
                // Both processes have the sockets: the parent waits for word of this.
                watch.works();
                watch.works();
                watch.read.del().unwrap();
                theirs.write_all(b"!").unwrap();
                watch.read.add(None).unwrap();
                let fresh = Event::new(&watch.base, Readable::new(), Event::READ, |_, _, _| {});
                fresh.unwrap().add(None).unwrap();
                poll(&watch.base);
            });
            let told = Event::new(&watch.base, ours, Event::READ, |_, _, _| {}).unwrap();
            told.add(None).unwrap();
            watch.read.del().unwrap(); // the child reads its byte alone
            run_once(&watch.base);
            assert!(!told.is_pending());
            succeeds(child);
            assert_eq!(watch.heard.take(), [""; 0]);
            watch.read.add(None).unwrap();
            watch.works();
        }
    }
}

fn grandchild_is_refused_until_its_own_re_init() {
    for how in How::BOTH {
        let mut watch = Watch::new(EventBase::new().unwrap());
        let child = how.child(|| {
            watch.base.re_init().unwrap();
            watch.works();
            let grandchild = how.child(|| {
                assert!(matches!(watch.read.del(), Err(Error::Forked { .. })));
                watch.base.re_init().unwrap();
                watch.works();
            });
            succeeds(grandchild);
            watch.works();
        });
        succeeds(child);
        watch.works();
    }
}

fn orphans_are_freed_by_re_init_and_keep_their_sources_open_until_then() {
    for how in How::BOTH {
        for base in bases() {
            let mut watch = Some(Watch::new(base));
            let child = how.child(|| {
                let Watch {
                    base,
                    read,
                    timer,
                    signal,
                    mut peer,
                    drops,
                    heard,
                } = watch.take().unwrap();
                let clone = read.clone();
                timer.free();
                drop((read, timer, signal));
                assert_eq!(drops.count(), 0);
                drop(clone);
                assert_eq!(drops.count(), 0);
                peer.write_all(b"!").unwrap(); // its source is open still
                base.re_init().unwrap();
                assert_eq!(drops.count(), 3);
                poll(&base);
                assert_eq!(heard.take(), [""; 0]);
                assert_eq!(base.dispatch().unwrap(), LoopEnd::NoEvents);
                Watch::new(base).works();
            });
            succeeds(child);
            let mut watch = watch.unwrap();
            run_once(&watch.base); // the byte that the child wrote
            assert_eq!(watch.heard.take(), ["read"]);
            watch.works();
        }
    }
}

// Skipped under Valgrind and ASan: the forked child keeps memory, as documented.
fn foreign_orphans_of_a_base_that_is_dropped_too_are_kept_for_ever() {
    for how in How::BOTH {
        let mut watch = Some(Watch::new(EventBase::new().unwrap()));
        let child = how.child(|| {
            let Watch {
                base,
                read,
                timer,
                signal,
                drops,
                ..
            } = watch.take().unwrap();
            let number = descriptors();
            drop((read, base, timer, signal));
            assert_eq!((drops.count(), descriptors()), (0, number));
            let mut fresh = Watch::new(EventBase::new().unwrap());
            fresh.works();
        });
        succeeds(child);
        watch.unwrap().works();
    }
}

/// The signal's former effect here is to be ignored.
fn signal_event_dropped_in_a_child_gives_the_signal_back_at_re_init() {
    for how in How::BOTH {
        for base in bases() {
            let event = Event::signal(&base, libc::SIGUSR2, |_, _| panic!("not raised here"));
            let event = Cell::new(Some(event.unwrap()));
            let former = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
            let former = set_disposition(Signal::SIGUSR2, &former);
            let lent = event.take().unwrap();
            lent.add(None).unwrap();
            event.set(Some(lent));
            let child = how.child(|| {
                drop(event.take());
                base.re_init().unwrap();
                raise(Signal::SIGUSR2).unwrap();
                poll(&base);
                let other = EventBase::new().unwrap();
                let event = Event::signal(&other, libc::SIGUSR1, |_, _| {}).unwrap();
                event.add(None).unwrap(); // the signals are anyone's again
            });
            succeeds(child);
            drop(event.take());
            set_disposition(Signal::SIGUSR2, &former);
        }
    }
}

fn signal_event_dropped_in_a_child_leaves_the_signal_to_another() {
    for how in How::BOTH {
        for base in bases() {
            let heard = Rc::new(Cell::new(0));
            let count = heard.clone();
            let stays = Event::signal(&base, libc::SIGUSR2, move |_, _| count.set(count.get() + 1));
            let stays = stays.unwrap();
            let goes = Event::signal(&base, libc::SIGUSR2, |_, _| panic!("it was dropped"));
            let goes = Cell::new(Some(goes.unwrap()));
            stays.add(None).unwrap();
            let lent = goes.take().unwrap();
            lent.add(None).unwrap();
            goes.set(Some(lent));
            let child = how.child(|| {
                drop(goes.take());
                base.re_init().unwrap();
                let other = EventBase::new().unwrap();
                let rival = Event::signal(&other, libc::SIGUSR1, |_, _| {}).unwrap();
                assert!(rival.add(None).is_err(), "`stays` has the signals");
                raise(Signal::SIGUSR2).unwrap();
                run_once(&base);
                assert_eq!(heard.get(), 1);
                stays.del().unwrap();
                rival.add(None).unwrap();
            });
            succeeds(child);
        }
    }
}

/// libevent's handler, left in place, would write the signal into the pipe of the child.
fn signals_of_a_re_initialized_child_have_their_former_effect_in_its_own_children() {
    for how in How::BOTH {
        for base in bases() {
            let watch = Watch::new(base);
            let child = how.child(|| {
                watch.base.re_init().unwrap();
                let grandchild = how.child(|| raise(Signal::SIGUSR1).unwrap());
                assert_eq!(reap(grandchild).to_string(), "SIGUSR1");
                poll(&watch.base);
                assert_eq!(watch.heard.take(), [""; 0], "the child's base got it");
            });
            succeeds(child);
        }
    }
}

fn signal_to_a_child_before_re_init_has_its_former_effect() {
    for how in How::BOTH {
        for _ in 0..20 {
            let mut watch = Watch::new(EventBase::new().unwrap());
            let (mut word, mut heard) = UnixStream::pair().unwrap();
            let child = how.child(|| {
                word.write_all(b"!").unwrap();
                loop {
                    pause();
                }
            });
            if how == How::Raw {
                heard.read_exact(&mut [0]).unwrap(); // the fork is over
            }
            kill(child, libc::SIGUSR1).unwrap(); // perhaps before the child has run at all
            assert_eq!(reap(child).to_string(), "SIGUSR1");
            poll(&watch.base);
            assert_eq!(watch.heard.take(), [""; 0], "the parent's base got it");
            watch.works();
        }
    }
}

fn signals_that_a_child_took_otherwise_stay_taken_in_its_own_children() {
    for how in How::BOTH {
        let mut watch = Watch::new(EventBase::new().unwrap());
        let child = how.child(|| {
            let ignore = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
            set_disposition(Signal::SIGUSR1, &ignore);
            succeeds(how.child(|| raise(Signal::SIGUSR1).unwrap()));
        });
        succeeds(child);
        watch.works();
    }
}

fn signals_after_re_init_go_to_the_process_that_they_are_sent_to() {
    for how in How::BOTH {
        for base in bases() {
            let watch = Watch::new(base);
            let parent = getpid();
            let child = how.child(|| {
                watch.base.re_init().unwrap();
                kill(getpid(), libc::SIGUSR1).unwrap();
                run_once(&watch.base);
                assert_eq!(watch.heard.take(), ["signal"]);
                kill(parent, libc::SIGUSR1).unwrap();
                kill(parent, libc::SIGUSR1).unwrap();
                poll(&watch.base);
                assert_eq!(watch.heard.take(), [""; 0]);
            });
            run_once(&watch.base);
            succeeds(child);
            poll(&watch.base);
            let heard = watch.heard.take();
            assert!(!heard.is_empty() && heard.len() <= 2, "{heard:?}");
            assert!(heard.iter().all(|name| *name == "signal"));
        }
    }
}

fn new_base_in_a_child_takes_the_signals_and_the_old_one_waits() {
    for how in How::BOTH {
        let mut watch = Watch::new(EventBase::new().unwrap());
        let child = how.child(|| {
            let mut fresh = Watch::new(EventBase::new().unwrap());
            fresh.works();
            let error = watch.base.re_init().unwrap_err();
            assert!(matches!(error, Error::State { .. }), "{error}");
            assert!(error.to_string().contains("another base has signal events"));
            assert!(matches!(watch.signal.del(), Err(Error::Forked { .. })));
            fresh.works();
            drop(fresh);
            watch.base.re_init().unwrap();
            watch.works();
        });
        succeeds(child);
        watch.works();
    }
}

fn forked_inside_a_callback_the_child_leaves_the_loop_and_the_parent_continues() {
    for base in bases() {
        let (forked, calls) = (Rc::new(Cell::new(None)), Rc::new(Cell::new(0)));
        let events = [0; 2].map(|_| {
            let (forked, calls) = (forked.clone(), calls.clone());
            let event = Event::timer(&base, move |event| {
                calls.set(calls.get() + 1);
                if forked.get().is_none() {
                    forked.set(Some(How::Raw.fork()));
                    if forked.get() == Some(Fork::Child) {
                        assert!(matches!(event.add(None), Err(Error::Forked { .. })));
                    }
                }
            });
            event.unwrap()
        });
        for event in &events {
            event.add(Some(Duration::ZERO)).unwrap();
        }
        let end = base.dispatch();
        let Some(Fork::Parent(child)) = forked.get() else {
            let as_due = catch_unwind(AssertUnwindSafe(|| {
                assert!(matches!(end, Err(Error::Forked { .. })));
                assert_eq!(calls.get(), 1, "the parent's other event ran here");
                assert!(matches!(base.dispatch(), Err(Error::Forked { .. })));
                base.re_init().unwrap();
                assert_eq!(base.dispatch().unwrap(), LoopEnd::NoEvents);
                assert_eq!(calls.get(), 2);
                drop(events);
                Watch::new(base).works();
            }));
            exit(i32::from(as_due.is_err()));
        };
        assert_eq!(end.unwrap(), LoopEnd::NoEvents);
        assert_eq!(calls.get(), 2);
        succeeds(child);
        Watch::new(base).works();
    }
}

/// The first callback drops its event, and the destructor of what that captured forks.
fn forked_inside_a_captured_drop_the_child_leaves_the_loop_and_loses_nothing() {
    let base = EventBase::new().unwrap();
    let (forked, calls) = (Rc::new(Cell::new(None)), Rc::new(Cell::new(0)));
    let slots = [0; 2].map(|_| {
        let slot = Rc::new(RefCell::new(None));
        let (own, result, calls) = (Rc::downgrade(&slot), forked.clone(), calls.clone());
        let last = OnDrop(move || {
            if result.get().is_none() {
                result.set(Some(How::Raw.fork()));
            }
        });
        let event = Event::timer(&base, move |_| {
            last.hold();
            calls.set(calls.get() + 1);
            drop(own.upgrade().unwrap().take());
        })
        .unwrap();
        event.add(Some(Duration::ZERO)).unwrap();
        slot.replace(Some(event));
        slot
    });
    let end = base.dispatch();
    let Some(Fork::Parent(child)) = forked.get() else {
        let as_due = catch_unwind(AssertUnwindSafe(|| {
            assert!(matches!(end, Err(Error::Forked { .. })));
            assert_eq!(calls.get(), 1, "the parent's other event ran here");
            base.re_init().unwrap();
            assert_eq!(base.dispatch().unwrap(), LoopEnd::NoEvents);
            assert_eq!(calls.get(), 2);
        }));
        exit(i32::from(as_due.is_err()));
    };
    assert_eq!(end.unwrap(), LoopEnd::NoEvents);
    assert_eq!(calls.get(), 2);
    assert!(slots.iter().all(|slot| slot.borrow().is_none()));
    succeeds(child);
}

fn forked_inside_a_nested_loop_the_child_leaves_both_loops() {
    let (outer, inner) = (EventBase::new().unwrap(), EventBase::new().unwrap());
    let forked = Rc::new(Cell::new(None));
    let (result, nested) = (forked.clone(), inner.clone());
    let refused = Rc::new(Cell::new(false));
    let told = refused.clone();
    let event = Event::timer(&outer, move |_| {
        let result = result.clone();
        let innermost = Event::timer(&nested, move |_| result.set(Some(How::Raw.fork()))).unwrap();
        innermost.add(Some(Duration::ZERO)).unwrap();
        told.set(matches!(nested.dispatch(), Err(Error::Forked { .. })));
    })
    .unwrap();
    event.add(Some(Duration::ZERO)).unwrap();
    let end = outer.dispatch();
    let Some(Fork::Parent(child)) = forked.get() else {
        exit(i32::from(
            !(refused.get() && matches!(end, Err(Error::Forked { .. }))),
        ));
    };
    assert_eq!(end.unwrap(), LoopEnd::NoEvents);
    assert!(!refused.get());
    succeeds(child);
}

fn forked_inside_a_callback_that_panics_the_child_gets_the_panic() {
    let base = EventBase::new().unwrap();
    let forked = Rc::new(Cell::new(None));
    let result = forked.clone();
    let event = Event::timer(&base, move |_| {
        result.set(Some(How::Raw.fork()));
        if result.get() == Some(Fork::Child) {
            std::panic::resume_unwind(Box::new("the child's")); // without a word on stderr
        }
    })
    .unwrap();
    event.add(Some(Duration::ZERO)).unwrap();
    let end = catch_unwind(AssertUnwindSafe(|| base.dispatch()));
    let Some(Fork::Parent(child)) = forked.get() else {
        let passed = end.is_err_and(|payload| payload.downcast_ref() == Some(&"the child's"));
        exit(i32::from(!passed || base.re_init().is_err()));
    };
    assert_eq!(end.unwrap().unwrap(), LoopEnd::NoEvents);
    succeeds(child);
}

fn fork_inside_a_callback_is_refused() {
    let base = EventBase::new().unwrap();
    let refusal = Rc::new(RefCell::new(String::new()));
    let text = refusal.clone();
    let event = Event::timer(&base, move |_| {
        text.replace(fork().unwrap_err().to_string());
    })
    .unwrap();
    event.add(Some(Duration::ZERO)).unwrap();
    assert_eq!(base.dispatch().unwrap(), LoopEnd::NoEvents);
    assert!(
        refusal.borrow().contains("not possible inside a callback"),
        "{refusal:?}"
    );
    succeeds(How::Ours.child(|| {}));
}

fn fork_with_a_second_thread_is_refused() {
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let second = thread::spawn(move || ended.recv());
    let error = fork().unwrap_err();
    assert!(matches!(error, Error::State { .. }));
    assert!(
        error.to_string().contains("more than one thread"),
        "{error}"
    );
    drop(end);
    second.join().unwrap().unwrap_err();
    until_alone();
    succeeds(How::Ours.child(|| {}));
}

fn re_init_without_a_fork_changes_nothing() {
    for base in bases() {
        let mut watch = Watch::new(base);
        let before = open_files();
        watch.base.re_init().unwrap();
        assert_eq!(open_files(), before);
        watch.works();
    }
}

/// libevent closes its signal pair twice there, and in between another thread could get the
/// number.
fn re_init_with_a_second_thread_is_refused() {
    for how in How::BOTH {
        let mut watch = Watch::new(EventBase::new().unwrap());
        let child = how.child(|| {
            let (end, ended) = std::sync::mpsc::channel::<()>();
            let second = thread::spawn(move || ended.recv());
            let error = watch.base.re_init().unwrap_err();
            assert!(matches!(error, Error::State { .. }), "{error}");
            assert!(
                error.to_string().contains("more than one thread"),
                "{error}"
            );
            drop(end);
            second.join().unwrap().unwrap_err();
            until_alone();
            watch.base.re_init().unwrap();
            watch.works();
        });
        succeeds(child);
        watch.works();
    }
}

fn waker_of_the_parent_is_refused_in_a_child_and_a_new_one_works() {
    for how in How::BOTH {
        let base = EventBase::new().unwrap();
        let calls = Rc::new(Cell::new(0));
        let counting = |base: &EventBase| {
            let count = calls.clone();
            Event::waker(base, move |_event| count.set(count.get() + 1)).unwrap()
        };
        let (event, waker) = counting(&base);
        event.add(None).unwrap();
        let child = how.child(|| {
            let error = waker.wake().unwrap_err();
            assert!(matches!(error, Error::State { .. }), "{error}");
            assert!(error.to_string().contains("Event::waker"), "{error}");
            assert!(matches!(
                Event::waker(&base, |_| {}),
                Err(Error::Forked { .. })
            ));
            event.free();
            base.re_init().unwrap();
            let (event, waker) = counting(&base);
            event.add(None).unwrap();
            waker.wake().unwrap();
            run_once(&base);
            assert_eq!(calls.get(), 1);
        });
        succeeds(child);
        poll(&base);
        assert_eq!(calls.get(), 0, "the child woke the parent");
        waker.wake().unwrap();
        run_once(&base);
        assert_eq!(calls.get(), 1);
    }
}

fn wait_returns_the_child_and_its_exit_status() {
    for how in [Wait::Block, Wait::NoHang] {
        assert_eq!(wait(how).unwrap(), Waited::NoChild);
    }
    let (mut word, mut heard) = UnixStream::pair().unwrap();
    let child = match How::Ours.fork() {
        Fork::Parent(pid) => pid,
        Fork::Child => {
            drop(word);
            exit(3 + i32::try_from(heard.read(&mut [0]).unwrap()).unwrap())
        }
    };
    assert_eq!(wait(Wait::NoHang).unwrap(), Waited::Running);
    word.write_all(b"!").unwrap();
    let end = reap(child);
    assert_eq!(
        (end, end.to_string().as_str()),
        (Exit::Code(4), "exit code 4")
    );

    for (signal, name) in [(libc::SIGKILL, "SIGKILL"), (libc::SIGTERM, "SIGTERM")] {
        let child = How::Ours.child(|| {
            loop {
                pause();
            }
        });
        kill(child, 0).unwrap();
        kill(child, signal).unwrap();
        let end = reap(child);
        let number = signal;
        assert_eq!(
            end,
            Exit::Signal {
                number,
                core: false
            }
        );
        assert_eq!(end.to_string(), name);
        assert!(kill(child, 0).is_err(), "it is reaped");
    }
    assert_eq!(wait(Wait::NoHang).unwrap(), Waited::NoChild);
}

/// The child's standard output is a pipe; what it leaves in the buffer comes once, though
/// both it and its own child write out their buffers at their end.
fn buffered_output_is_written_once() {
    let (read, write) = nix::unistd::pipe().unwrap();
    let child = How::Ours.child(|| {
        nix::unistd::dup2_stdout(&write).unwrap();
        print!("once, ");
        let grandchild = How::Ours.child(|| print!("then the child, "));
        succeeds(grandchild);
        print!("then the parent");
    });
    drop(write);
    succeeds(child);
    let mut text = String::new();
    File::from(read).read_to_string(&mut text).unwrap();
    assert_eq!(text, "once, then the child, then the parent");
}

/// libevent would end the process.
fn base_without_descriptors_left_is_an_error() {
    let child = How::Ours.child(|| {
        let config = EventConfig::new().unwrap();
        config.set_flags(EventBase::PRECISE_TIMER).unwrap();
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, 64, hard).unwrap();
        let mut taken = Vec::new();
        while let Ok(file) = File::open("/dev/null") {
            taken.push(file);
        }
        for left in 0..6 {
            for _ in 0..20 {
                match EventBase::with_config(&config) {
                    Ok(base) => {
                        assert!(left >= 4, "made with {left} descriptors left");
                        poll(&base);
                    }
                    Err(error) => {
                        assert!(left < 4, "{error}");
                        assert_eq!(error.call(), "EventBase::__construct");
                        assert!(error.to_string().contains("Too many open files"), "{error}");
                    }
                }
            }
            taken.pop();
        }
    });
    succeeds(child);
}

//! Nothing that safe code does to a handle, in a callback or out of it, may reach freed
//! memory, leak, drop twice, or let a panic pass through C.
//!
//! The first half is one set of cases for every class with a callback: a class joins by
//! implementing [`Class`] and by a line in `classes!`. What only events and bases have is
//! in `soundness/`.

#![allow(clippy::duplicate_mod, reason = "each case is run over each transport")]

mod base;
mod buffer;
mod buffer_event;
mod destructors;
mod dns;
mod event;
mod http_client;
mod http_requests;
mod json;
mod kinds;
mod listener;
mod monkey;
mod signal;
mod subscriber;
#[cfg(feature = "openssl")]
mod tls;
#[path = "../event_http/transport.rs"]
mod transport;

/// The cases of `EventHttp` over plain TCP.
#[path = "."]
mod over_tcp {
    const OVER: crate::transport::Transport = crate::transport::Transport::Tcp;

    mod http;
}

/// The same over TLS.
#[cfg(feature = "openssl")]
#[path = "."]
mod over_tls {
    const OVER: crate::transport::Transport = crate::transport::Transport::Tls;

    mod http;
}

use std::cell::{Cell, RefCell};
use std::fmt::{self, Debug, Write as _};
use std::panic::panic_any;
use std::rc::Rc;
use std::sync::MutexGuard;

use buffer_event::{BufferEnd, BufferRead, BufferWrite, QueuedEnd, QueuedRead, QueuedWrite};
use http_client::Completion;
#[cfg(feature = "openssl")]
use http_client::TlsCompletion;
use kinds::{Descriptor, PersistentDescriptor, PersistentTimer, SignalThrice, Timer};
use listener::{Accept, Failure};
use php_event::{EventBase, LoopEnd};
use test_support::{Bomb, Drops, OnDrop, panic_of, run, run_once};
#[cfg(feature = "openssl")]
use tls::TlsError;

/// A class with a callback, as the cases see it.
trait Class {
    type Handle: Clone + Debug + Eq + 'static;

    /// How many calls one [`fire`](Self::fire) owes: a signal raised three times owes three.
    const OWED: usize = 1;

    /// What keeps other tests away, where the class uses something that the process has once.
    fn turn() -> Option<MutexGuard<'static, ()>> {
        None
    }

    /// Makes one that waits for nothing yet.
    fn make(base: &EventBase, callback: impl FnMut(&Self::Handle) + 'static) -> Self::Handle;

    /// Makes it wait, and what it waits for happen: its callback runs in the next pass.
    fn fire(handle: &Self::Handle);

    /// Makes it wait for nothing.
    fn disarm(handle: &Self::Handle);

    /// Frees it before its last handle goes.
    fn free(handle: &Self::Handle);

    /// Gives one that waits for nothing another callback; `false` where the class has no
    /// such method.
    fn replace(
        handle: &Self::Handle,
        base: &EventBase,
        callback: impl FnMut(&Self::Handle) + 'static,
    ) -> bool;
}

/// Lists the classes; each gets a module with all the cases of `cases!`.
macro_rules! classes {
    ($($module:ident: $class:ident),+ $(,)?) => {$(
        mod $module {
            cases!(crate::$class);
        }
    )+};
}

/// Lists the cases, functions generic over the class.
macro_rules! cases {
    ($class:ty) => {
        cases!($class:
            dropped_inside_its_own_callback_is_freed_once,
            freed_inside_its_own_callback_is_freed_when_it_returns,
            freed_twice_inside_its_own_callback_and_dropped_is_freed_once,
            disarmed_inside_its_own_callback_is_not_called_again,
            fired_again_inside_its_own_callback_runs_again,
            disarmed_and_fired_again_inside_its_own_callback_runs_again,
            replaced_inside_its_own_callback_drops_the_old_closure_when_it_returns,
            replaced_outside_of_the_loop_drops_the_old_closure_at_once,
            siblings_dropped_in_a_callback_of_the_same_pass_do_not_run,
            siblings_freed_in_a_callback_of_the_same_pass_do_not_run,
            siblings_disarmed_in_a_callback_of_the_same_pass_do_not_run,
            siblings_disarmed_and_fired_again_in_a_callback_run_once,
            base_handle_dropped_while_the_loop_runs_is_freed_after_it,
            outlives_every_handle_of_its_base,
            never_armed_and_dropped_frees_its_closure_once,
            runs_as_often_as_is_owed,
            kept_inside_its_own_closure_is_freed_by_free,
            freed_while_it_is_shown_is_freed_at_once,
            handles_are_the_same_object_and_may_be_swapped,
            panic_in_a_callback_comes_out_of_the_loop_and_the_others_run_later,
            panic_after_the_handle_was_dropped_frees_it_once,
            panic_in_a_captured_drop_inside_its_own_callback_comes_out_of_the_loop,
            panic_in_a_captured_drop_during_another_callback_comes_out_of_the_loop,
            panic_in_the_callback_and_in_a_captured_drop_passes_the_first_on,
            panic_after_free_and_in_a_captured_drop_passes_the_first_on,
            panic_whose_payload_panics_when_dropped_does_not_replace_the_first,
            panic_in_a_nested_loop_passes_through_both_loops,
            nested_loop_of_the_same_base_is_refused_and_the_outer_goes_on,
            nested_loop_inside_a_captured_drop_runs_while_a_panic_waits,
            captured_drop_may_use_the_siblings_and_the_base,
        );
    };
    ($class:ty: $($case:ident),+ $(,)?) => {$(
        #[test]
        fn $case() {
            let _turn = <$class as crate::Class>::turn();
            crate::$case::<$class>();
        }
    )+};
}

classes! {
    descriptor: Descriptor,
    persistent_descriptor: PersistentDescriptor,
    timer: Timer,
    persistent_timer: PersistentTimer,
    signal_thrice: SignalThrice,
    buffer_read: BufferRead,
    buffer_write: BufferWrite,
    buffer_end: BufferEnd,
    accept: Accept,
    accept_failure: Failure,
    http_completion: Completion,
}

/// Lists classes whose callbacks wait in a queue of libevent's, from which nothing but their
/// end takes them: the cases that hold for them.
macro_rules! queued_classes {
    ($($module:ident: $class:ident),+ $(,)?) => {$(
        mod $module {
            cases!(crate::$class:
                dropped_inside_its_own_callback_is_freed_once,
                freed_inside_its_own_callback_is_freed_when_it_returns,
                freed_twice_inside_its_own_callback_and_dropped_is_freed_once,
                disarmed_inside_its_own_callback_is_not_called_again,
                fired_again_inside_its_own_callback_runs_again,
                replaced_inside_its_own_callback_drops_the_old_closure_when_it_returns,
                replaced_outside_of_the_loop_drops_the_old_closure_at_once,
                siblings_dropped_in_a_callback_of_the_same_pass_do_not_run,
                siblings_freed_in_a_callback_of_the_same_pass_do_not_run,
                base_handle_dropped_while_the_loop_runs_is_freed_after_it,
                outlives_every_handle_of_its_base,
                runs_as_often_as_is_owed,
                kept_inside_its_own_closure_is_freed_by_free,
                freed_while_it_is_shown_is_freed_at_once,
                panic_in_a_callback_comes_out_of_the_loop_and_the_others_run_later,
                panic_after_the_handle_was_dropped_frees_it_once,
                panic_in_a_captured_drop_inside_its_own_callback_comes_out_of_the_loop,
                panic_in_the_callback_and_in_a_captured_drop_passes_the_first_on,
                panic_after_free_and_in_a_captured_drop_passes_the_first_on,
                panic_in_a_nested_loop_passes_through_both_loops,
                nested_loop_of_the_same_base_is_refused_and_the_outer_goes_on,
                captured_drop_may_use_the_siblings_and_the_base,
            );
        }
    )+};
}

queued_classes! {
    queued_read: QueuedRead,
    queued_write: QueuedWrite,
    queued_end: QueuedEnd,
}

#[cfg(feature = "openssl")]
queued_classes! {
    tls_error: TlsError,
}

#[cfg(feature = "openssl")]
classes! {
    https_completion: TlsCompletion,
}

/// Handles that callbacks reach without counting on them.
type Shared<C> = Rc<RefCell<Vec<<C as Class>::Handle>>>;

fn dropped_inside_its_own_callback_is_freed_once<C: Class>() {
    let base = EventBase::new().unwrap();
    let (drops, calls) = (Drops::default(), Rc::new(Cell::new(0)));
    let slot = Rc::new(RefCell::new(None));
    let (token, seen, count, own) = (drops.token(), drops.clone(), calls.clone(), slot.clone());
    let handle = C::make(&base, move |_| {
        token.hold();
        count.set(count.get() + 1);
        drop(own.take());
        assert_eq!(seen.count(), 0, "dropped under the running closure");
    });
    C::fire(&handle);
    slot.replace(Some(handle));
    run_once(&base);
    assert_eq!((calls.get(), drops.count()), (1, 1));
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!((calls.get(), drops.count()), (1, 1));
}

fn freed_inside_its_own_callback_is_freed_when_it_returns<C: Class>() {
    let base = EventBase::new().unwrap();
    let (drops, calls) = (Drops::default(), Rc::new(Cell::new(0)));
    let (token, seen, count) = (drops.token(), drops.clone(), calls.clone());
    let handle = C::make(&base, move |this| {
        token.hold();
        count.set(count.get() + 1);
        C::free(this);
        assert_eq!(seen.count(), 0, "dropped under the running closure");
    });
    C::fire(&handle);
    run_once(&base);
    assert_eq!((calls.get(), drops.count()), (1, 1));
    assert_eq!(run(&base), LoopEnd::NoEvents);
    drop(handle);
    assert_eq!((calls.get(), drops.count()), (1, 1));
}

fn freed_twice_inside_its_own_callback_and_dropped_is_freed_once<C: Class>() {
    let base = EventBase::new().unwrap();
    let drops = Drops::default();
    let slot = Rc::new(RefCell::new(None));
    let (token, own) = (drops.token(), slot.clone());
    let handle = C::make(&base, move |this| {
        token.hold();
        C::free(this);
        drop(own.take());
        C::free(this);
    });
    C::fire(&handle);
    slot.replace(Some(handle));
    run_once(&base);
    assert_eq!(drops.count(), 1);
}

fn disarmed_inside_its_own_callback_is_not_called_again<C: Class>() {
    let base = EventBase::new().unwrap();
    let (drops, calls) = (Drops::default(), Rc::new(Cell::new(0)));
    let (token, count) = (drops.token(), calls.clone());
    let handle = C::make(&base, move |this| {
        token.hold();
        count.set(count.get() + 1);
        C::disarm(this);
    });
    C::fire(&handle);
    run_once(&base);
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(calls.get(), 1);
    C::fire(&handle);
    run_once(&base);
    assert_eq!((calls.get(), drops.count()), (2, 0));
    drop(handle);
    assert_eq!(drops.count(), 1);
}

fn fired_again_inside_its_own_callback_runs_again<C: Class>() {
    let base = EventBase::new().unwrap();
    let (drops, calls) = (Drops::default(), Rc::new(Cell::new(0)));
    let (token, count) = (drops.token(), calls.clone());
    let handle = C::make(&base, move |this| {
        token.hold();
        count.set(count.get() + 1);
        if count.get() < 4 {
            C::fire(this);
        } else {
            C::disarm(this);
        }
    });
    C::fire(&handle);
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!((calls.get(), drops.count()), (4, 0));
    drop(handle);
    assert_eq!(drops.count(), 1);
}

fn disarmed_and_fired_again_inside_its_own_callback_runs_again<C: Class>() {
    let base = EventBase::new().unwrap();
    let calls = Rc::new(Cell::new(0));
    let count = calls.clone();
    let handle = C::make(&base, move |this| {
        count.set(count.get() + 1);
        C::disarm(this);
        if count.get() == 1 {
            C::fire(this);
        }
    });
    C::fire(&handle);
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(calls.get(), 2);
}

fn replaced_inside_its_own_callback_drops_the_old_closure_when_it_returns<C: Class>() {
    let base = EventBase::new().unwrap();
    let (old, new, news) = (
        Drops::default(),
        Drops::default(),
        Rc::new(Cell::new(false)),
    );
    let replaceable = Rc::new(Cell::new(true));
    let (token, seen, next, ran) = (old.token(), old.clone(), new.clone(), news.clone());
    let (can, its_base) = (replaceable.clone(), base.clone());
    let handle = C::make(&base, move |this| {
        token.hold();
        C::disarm(this);
        let (token, ran) = (next.token(), ran.clone());
        can.set(C::replace(this, &its_base, move |this| {
            token.hold();
            ran.set(true);
            C::disarm(this);
        }));
        assert_eq!(seen.count(), 0, "dropped under the running closure");
    });
    C::fire(&handle);
    run_once(&base);
    if replaceable.get() {
        assert_eq!((old.count(), new.count()), (1, 0));
        C::fire(&handle);
        assert_eq!(run(&base), LoopEnd::NoEvents);
        assert!(news.get());
    }
    drop(handle);
    assert_eq!((old.count(), new.count()), (1, 1));
}

fn replaced_outside_of_the_loop_drops_the_old_closure_at_once<C: Class>() {
    let base = EventBase::new().unwrap();
    let (old, new) = (Drops::default(), Drops::default());
    let token = old.token();
    let handle = C::make(&base, move |_| token.hold());
    let token = new.token();
    if C::replace(&handle, &base, move |_| token.hold()) {
        assert_eq!((old.count(), new.count()), (1, 0));
    }
    drop(handle);
    assert_eq!((old.count(), new.count()), (1, 1));
}

/// Three that are active in one pass; the first to run does `work` to the others. Returns
/// the number of calls, and leaves the handles to the caller.
fn siblings<C: Class>(
    base: &EventBase,
    drops: &Drops,
    work: impl Fn(Vec<C::Handle>, &Shared<C>) + 'static,
) -> (usize, Shared<C>) {
    let (calls, done) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(false)));
    let work = Rc::new(work);
    let all: Shared<C> = Rc::default();
    for _ in 0..3 {
        let (token, calls, done) = (drops.token(), calls.clone(), done.clone());
        let (work, list) = (work.clone(), Rc::downgrade(&all));
        let handle = C::make(base, move |this| {
            token.hold();
            calls.set(calls.get() + 1);
            if !done.replace(true) {
                let list = list.upgrade().unwrap();
                let others = list.take().into_iter().filter(|other| other != this);
                let others = others.collect::<Vec<_>>();
                list.borrow_mut().push(this.clone());
                work(others, &list);
            }
            C::disarm(this);
        });
        all.borrow_mut().push(handle);
    }
    for handle in all.borrow().iter() {
        C::fire(handle);
    }
    run_once(base);
    assert_eq!(run(base), LoopEnd::NoEvents);
    (calls.get(), all)
}

fn siblings_dropped_in_a_callback_of_the_same_pass_do_not_run<C: Class>() {
    let (base, drops) = (EventBase::new().unwrap(), Drops::default());
    let seen = drops.clone();
    let (calls, all) = siblings::<C>(&base, &drops, move |others, _| {
        drop(others);
        assert_eq!(seen.count(), 2);
    });
    assert_eq!((calls, drops.count()), (1, 2));
    drop(all);
    assert_eq!(drops.count(), 3);
}

fn siblings_freed_in_a_callback_of_the_same_pass_do_not_run<C: Class>() {
    let (base, drops) = (EventBase::new().unwrap(), Drops::default());
    let seen = drops.clone();
    let (calls, all) = siblings::<C>(&base, &drops, move |others, list| {
        others.iter().for_each(C::free);
        assert_eq!(seen.count(), 2);
        list.borrow_mut().extend(others);
    });
    assert_eq!((calls, drops.count()), (1, 2));
    drop(all);
    assert_eq!(drops.count(), 3);
}

fn siblings_disarmed_in_a_callback_of_the_same_pass_do_not_run<C: Class>() {
    let (base, drops) = (EventBase::new().unwrap(), Drops::default());
    let (calls, all) = siblings::<C>(&base, &drops, |others, list| {
        others.iter().for_each(C::disarm);
        list.borrow_mut().extend(others);
    });
    assert_eq!((calls, drops.count()), (1, 0));
    drop(all);
    assert_eq!(drops.count(), 3);
}

fn siblings_disarmed_and_fired_again_in_a_callback_run_once<C: Class>() {
    let (base, drops) = (EventBase::new().unwrap(), Drops::default());
    let (calls, all) = siblings::<C>(&base, &drops, |others, list| {
        for other in &others {
            C::disarm(other);
            C::fire(other);
        }
        list.borrow_mut().extend(others);
    });
    assert_eq!((calls, drops.count()), (3, 0));
    drop(all);
    assert_eq!(drops.count(), 3);
}

fn base_handle_dropped_while_the_loop_runs_is_freed_after_it<C: Class>() {
    let base = EventBase::new().unwrap();
    let (drops, calls) = (Drops::default(), Rc::new(Cell::new(0)));
    let only = Rc::new(RefCell::new(None));
    let (token, count, taken) = (drops.token(), calls.clone(), only.clone());
    let handle = C::make(&base, move |this| {
        token.hold();
        count.set(count.get() + 1);
        drop(taken.take());
        C::disarm(this);
        if count.get() < 3 {
            C::fire(this);
        }
    });
    C::fire(&handle);
    only.replace(Some(base.clone()));
    let end = test_support::limited(move || base.dispatch()); // the last handle goes in here
    assert_eq!(end.unwrap(), LoopEnd::NoEvents);
    assert_eq!((calls.get(), drops.count()), (3, 0));
    drop(handle);
    assert_eq!(drops.count(), 1);
}

fn outlives_every_handle_of_its_base<C: Class>() {
    let base = EventBase::new().unwrap();
    let drops = Drops::default();
    let handles = [(); 3].map(|()| {
        let token = drops.token();
        C::make(&base, move |_| token.hold())
    });
    C::fire(&handles[0]);
    drop(base);
    C::fire(&handles[1]);
    C::disarm(&handles[0]);
    C::free(&handles[0]);
    assert_eq!(drops.count(), 1);
    drop(handles);
    assert_eq!(drops.count(), 3);
}

fn never_armed_and_dropped_frees_its_closure_once<C: Class>() {
    let base = EventBase::new().unwrap();
    let drops = Drops::default();
    let token = drops.token();
    drop(C::make(&base, move |_| token.hold()));
    assert_eq!(drops.count(), 1);
}

fn runs_as_often_as_is_owed<C: Class>() {
    let base = EventBase::new().unwrap();
    let (drops, calls) = (Drops::default(), Rc::new(Cell::new(0)));
    let (token, count) = (drops.token(), calls.clone());
    let handle = C::make(&base, move |this| {
        token.hold();
        count.set(count.get() + 1);
        if count.get() == C::OWED {
            C::disarm(this);
        }
    });
    C::fire(&handle);
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!((calls.get(), drops.count()), (C::OWED, 0));
}

/// A handle inside its own closure is a cycle that nobody breaks, as documented; `free` does.
fn kept_inside_its_own_closure_is_freed_by_free<C: Class>() {
    let base = EventBase::new().unwrap();
    let drops = Drops::default();
    let own: Rc<RefCell<Option<C::Handle>>> = Rc::default();
    let (token, mine) = (drops.token(), own.clone());
    let handle = C::make(&base, move |this| {
        token.hold();
        assert!(mine.borrow().as_ref() == Some(this));
        C::disarm(this);
    });
    own.replace(Some(handle.clone()));
    drop(own);
    C::fire(&handle);
    run_once(&base);
    assert_eq!(drops.count(), 0);
    C::free(&handle);
    assert_eq!(drops.count(), 1);
}

/// Frees an object when it is written to, after so many pieces.
struct Frees<'a, C: Class>(&'a C::Handle, usize);

impl<C: Class> fmt::Write for Frees<'_, C> {
    fn write_str(&mut self, _: &str) -> fmt::Result {
        match self.1.checked_sub(1) {
            Some(left) => self.1 = left,
            None => C::free(self.0),
        }
        Ok(())
    }
}

fn freed_while_it_is_shown_is_freed_at_once<C: Class>() {
    let base = EventBase::new().unwrap();
    for pieces in 0.. {
        let drops = Drops::default();
        let token = drops.token();
        let handle = C::make(&base, move |_| token.hold());
        let mut frees = Frees::<C>(&handle, pieces);
        write!(frees, "{handle:?}").unwrap();
        if frees.1 > 0 {
            return; // it is shown in fewer pieces
        }
        frees.write_str("the end").unwrap();
        assert_eq!(drops.count(), 1);
    }
}

fn handles_are_the_same_object_and_may_be_swapped<C: Class>() {
    let bases = [EventBase::new().unwrap(), EventBase::new().unwrap()];
    let (drops, calls) = (Drops::default(), Rc::new(Cell::new([0, 0])));
    let [mut first, mut second] = [0, 1].map(|i| {
        let (token, calls) = (drops.token(), calls.clone());
        C::make(&bases[i], move |this| {
            token.hold();
            let mut now = calls.get();
            now[i] += 1;
            calls.set(now);
            let (mut one, mut other) = (this.clone(), this.clone());
            std::mem::swap(&mut one, &mut other);
            C::disarm(&one);
        })
    });
    let clone = first.clone();
    assert!(clone == first && first != second);
    std::mem::swap(&mut first, &mut second);
    assert!(clone == second && first != second);
    C::fire(&second);
    run_once(&bases[0]);
    C::fire(&first);
    run_once(&bases[1]);
    assert_eq!(calls.get(), [1, 1]);
    drop((first, second));
    assert_eq!(drops.count(), 1);
    drop(clone);
    assert_eq!(drops.count(), 2);
}

/// Three that are active in one run_once, of which the first to run panics.
fn panic_in_a_callback_comes_out_of_the_loop_and_the_others_run_later<C: Class>() {
    let base = EventBase::new().unwrap();
    let (drops, calls, done) = (
        Drops::default(),
        Rc::new(Cell::new(0)),
        Rc::new(Cell::new(false)),
    );
    let handles = [(); 3].map(|()| {
        let (token, calls, done) = (drops.token(), calls.clone(), done.clone());
        C::make(&base, move |this| {
            token.hold();
            calls.set(calls.get() + 1);
            C::disarm(this);
            if !done.replace(true) {
                panic!("the first of {}", 3);
            }
        })
    });
    handles.iter().for_each(C::fire);
    assert_eq!(panic_of(|| run_once(&base)), "the first of 3");
    assert!(base.got_stop() && !base.got_exit());
    assert_eq!((calls.get(), drops.count()), (1, 0));
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!((calls.get(), drops.count()), (3, 0));
    assert!(!base.got_stop());
    handles.iter().for_each(C::fire);
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(calls.get(), 6);
    drop(handles);
    assert_eq!(drops.count(), 3);
}

fn panic_after_the_handle_was_dropped_frees_it_once<C: Class>() {
    let base = EventBase::new().unwrap();
    let (drops, calls) = (Drops::default(), Rc::new(Cell::new(0)));
    let slot = Rc::new(RefCell::new(None));
    let (token, count, own) = (drops.token(), calls.clone(), slot.clone());
    let handle = C::make(&base, move |_| {
        token.hold();
        count.set(count.get() + 1);
        drop(own.take());
        panic!("gone");
    });
    C::fire(&handle);
    slot.replace(Some(handle));
    assert_eq!(panic_of(|| run_once(&base)), "gone");
    assert_eq!((calls.get(), drops.count()), (1, 1));
    assert_eq!(run(&base), LoopEnd::NoEvents);
}

fn panic_in_a_captured_drop_inside_its_own_callback_comes_out_of_the_loop<C: Class>() {
    let base = EventBase::new().unwrap();
    let (drops, calls) = (Drops::default(), Rc::new(Cell::new(0)));
    let slot = Rc::new(RefCell::new(None));
    let (token, count, own) = (drops.token(), calls.clone(), slot.clone());
    let bomb = Bomb("a captured value");
    let handle = C::make(&base, move |_| {
        token.hold();
        bomb.hold();
        count.set(count.get() + 1);
        drop(own.take());
    });
    let count = calls.clone();
    let other = C::make(&base, move |this| {
        count.set(count.get() + 10);
        C::disarm(this);
    });
    C::fire(&handle);
    slot.replace(Some(handle));
    assert_eq!(panic_of(|| run_once(&base)), "a captured value");
    assert!(base.got_stop());
    assert_eq!((calls.get(), drops.count()), (1, 1));
    C::fire(&other);
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(calls.get(), 11);
}

fn panic_in_a_captured_drop_during_another_callback_comes_out_of_the_loop<C: Class>() {
    let base = EventBase::new().unwrap();
    let drops = Drops::default();
    let slot = Rc::new(RefCell::new(None));
    let (token, bomb) = (drops.token(), Bomb("another's value"));
    slot.replace(Some(C::make(&base, move |_| {
        token.hold();
        bomb.hold();
    })));
    let (token, victim, calls) = (drops.token(), slot.clone(), Rc::new(Cell::new(0)));
    let count = calls.clone();
    let handle = C::make(&base, move |this| {
        token.hold();
        count.set(count.get() + 1);
        C::disarm(this);
        drop(victim.take());
    });
    C::fire(slot.borrow().as_ref().unwrap());
    C::disarm(slot.borrow().as_ref().unwrap());
    C::fire(&handle);
    assert_eq!(panic_of(|| run_once(&base)), "another's value");
    assert_eq!((calls.get(), drops.count()), (1, 1));
    C::fire(&handle);
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(calls.get(), 2);
}

fn panic_in_the_callback_and_in_a_captured_drop_passes_the_first_on<C: Class>() {
    let base = EventBase::new().unwrap();
    let drops = Drops::default();
    let slot = Rc::new(RefCell::new(None));
    let (token, own, bomb) = (drops.token(), slot.clone(), Bomb("second"));
    let handle = C::make(&base, move |_| {
        token.hold();
        bomb.hold();
        drop(own.take());
        panic!("first");
    });
    C::fire(&handle);
    slot.replace(Some(handle));
    assert_eq!(panic_of(|| run_once(&base)), "first");
    assert_eq!(drops.count(), 1);
    assert_eq!(run(&base), LoopEnd::NoEvents);
}

/// Other than in the case above, the handle outlives the callback, and the captured value
/// panics during another panic, too.
fn panic_after_free_and_in_a_captured_drop_passes_the_first_on<C: Class>() {
    let base = EventBase::new().unwrap();
    let drops = Drops::default();
    let (token, second) = (drops.token(), OnDrop(|| panic!("second")));
    let handle = C::make(&base, move |this| {
        token.hold();
        second.hold();
        C::free(this);
        panic!("first");
    });
    C::fire(&handle);
    assert_eq!(panic_of(|| run_once(&base)), "first");
    assert_eq!(drops.count(), 1);
    assert_eq!(run(&base), LoopEnd::NoEvents);
}

fn panic_whose_payload_panics_when_dropped_does_not_replace_the_first<C: Class>() {
    let base = EventBase::new().unwrap();
    let drops = Drops::default();
    let slot = Rc::new(RefCell::new(None));
    let (token, own) = (drops.token(), slot.clone());
    let second = OnDrop(|| panic_any(OnDrop(|| panic_any(())))); // the third is never dropped
    let handle = C::make(&base, move |_| {
        token.hold();
        second.hold();
        drop(own.take());
        panic!("first");
    });
    C::fire(&handle);
    slot.replace(Some(handle));
    assert_eq!(panic_of(|| run_once(&base)), "first");
    assert_eq!(drops.count(), 1);
    assert_eq!(run(&base), LoopEnd::NoEvents);
}

fn panic_in_a_nested_loop_passes_through_both_loops<C: Class>() {
    let (outer, inner) = (EventBase::new().unwrap(), EventBase::new().unwrap());
    let drops = Drops::default();
    let (token, nested, reached) = (drops.token(), inner.clone(), Rc::new(Cell::new(false)));
    let after = reached.clone();
    let handle = C::make(&outer, move |this| {
        token.hold();
        C::disarm(this);
        let token = token.twin();
        let innermost = Timer::make(&nested, move |_| {
            token.hold();
            panic!("innermost");
        });
        Timer::fire(&innermost);
        run_once(&nested);
        after.set(true);
    });
    C::fire(&handle);
    assert_eq!(panic_of(|| run_once(&outer)), "innermost");
    assert!(!reached.get(), "the outer callback went on after the panic");
    assert!(outer.got_stop() && inner.got_stop());
    assert_eq!(drops.count(), 1);
    assert_eq!(run(&outer), LoopEnd::NoEvents);
    assert_eq!(run(&inner), LoopEnd::NoEvents);
    drop(handle);
    assert_eq!(drops.count(), 2);
}

fn nested_loop_of_the_same_base_is_refused_and_the_outer_goes_on<C: Class>() {
    let base = EventBase::new().unwrap();
    let (own, refusal) = (base.clone(), Rc::new(RefCell::new(String::new())));
    let text = refusal.clone();
    let handle = C::make(&base, move |this| {
        C::disarm(this);
        text.replace(own.dispatch().unwrap_err().to_string());
    });
    C::fire(&handle);
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(
        *refusal.borrow(),
        "EventBase::dispatch: this base's loop is already running"
    );
}

/// A destructor that turns a loop while a panic is on its way to another: its callbacks run,
/// and a level-triggered event does not spin it.
fn nested_loop_inside_a_captured_drop_runs_while_a_panic_waits<C: Class>() {
    let (outer, inner) = (EventBase::new().unwrap(), EventBase::new().unwrap());
    let calls = Rc::new(Cell::new(0));
    let count = calls.clone();
    let nested = PersistentDescriptor::make(&inner, move |this| {
        count.set(count.get() + 1);
        PersistentDescriptor::disarm(this);
    });
    PersistentDescriptor::fire(&nested);
    let slot = Rc::new(RefCell::new(None));
    let (own, base) = (slot.clone(), inner.clone());
    let last = OnDrop(move || assert_eq!(run(&base), LoopEnd::NoEvents));
    let handle = C::make(&outer, move |_| {
        last.hold();
        drop(own.take());
        panic!("waits");
    });
    C::fire(&handle);
    slot.replace(Some(handle));
    assert_eq!(panic_of(|| run_once(&outer)), "waits");
    assert_eq!(calls.get(), 1);
}

fn captured_drop_may_use_the_siblings_and_the_base<C: Class>() {
    let base = EventBase::new().unwrap();
    let (drops, calls) = (Drops::default(), Rc::new(Cell::new(0)));
    let (token, count) = (drops.token(), calls.clone());
    let sibling = C::make(&base, move |this| {
        token.hold();
        count.set(count.get() + 1);
        C::disarm(this);
    });
    let slot = Rc::new(RefCell::new(None));
    let (own, fired, its_base, token) =
        (slot.clone(), sibling.clone(), base.clone(), drops.token());
    let last = OnDrop(move || {
        C::disarm(&fired);
        C::fire(&fired);
        drop(C::make(&its_base, |_| {}));
        its_base.resume().unwrap();
    });
    let handle = C::make(&base, move |_| {
        token.hold();
        last.hold();
        drop(own.take());
    });
    C::fire(&sibling);
    C::fire(&handle);
    slot.replace(Some(handle));
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert!(calls.get() >= 1);
    assert_eq!(drops.count(), 1);
    drop(sibling);
    assert_eq!(drops.count(), 2);
}

//! The kinds of `Event`, as classes for the cases.

use std::ffi::c_short;
use std::sync::MutexGuard;
use std::time::Duration;

use nix::sys::signal::{Signal, raise};
use php_event::{Event, EventBase, EventFlags};

use crate::Class;
use test_support::{Readable, signals_turn};

/// What tells one kind of event from another.
pub(crate) trait Kind {
    const OWED: usize = 1;

    fn turn() -> Option<MutexGuard<'static, ()>> {
        None
    }

    fn make(base: &EventBase, callback: impl FnMut(&Event) + 'static) -> Event;

    fn fire(event: &Event);

    fn replace(event: &Event, base: &EventBase, callback: impl FnMut(&Event) + 'static) -> bool;
}

impl<K: Kind> Class for K {
    type Handle = Event;

    const OWED: usize = <K as Kind>::OWED;

    fn turn() -> Option<MutexGuard<'static, ()>> {
        <K as Kind>::turn()
    }

    fn make(base: &EventBase, callback: impl FnMut(&Event) + 'static) -> Event {
        <K as Kind>::make(base, callback)
    }

    fn fire(event: &Event) {
        <K as Kind>::fire(event);
    }

    fn disarm(event: &Event) {
        event.del().unwrap();
    }

    fn free(event: &Event) {
        event.free();
    }

    fn replace(event: &Event, base: &EventBase, callback: impl FnMut(&Event) + 'static) -> bool {
        <K as Kind>::replace(event, base, callback)
    }
}

/// An event with these flags, on a descriptor that is always ready.
pub(crate) struct OnSource<const WHAT: c_short>;

/// Runs once.
pub(crate) type Descriptor = OnSource<{ Event::READ.bits() }>;

/// Stays pending.
pub(crate) type PersistentDescriptor = OnSource<{ Event::READ.union(Event::PERSIST).bits() }>;

/// Does not look at its source, and times out again and again.
pub(crate) type PersistentTimer = OnSource<{ Event::PERSIST.bits() }>;

impl<const WHAT: c_short> OnSource<WHAT> {
    const WHAT: EventFlags = EventFlags::from_bits_retain(WHAT);
}

impl<const WHAT: c_short> Kind for OnSource<WHAT> {
    fn make(base: &EventBase, mut callback: impl FnMut(&Event) + 'static) -> Event {
        let callback = move |_: &Readable, _, event: &Event| callback(event);
        Event::new(base, Readable::new(), Self::WHAT, callback).unwrap()
    }

    fn fire(event: &Event) {
        if Self::WHAT.contains(Event::READ) {
            event.add(None).unwrap();
        } else {
            event.add(Some(Duration::from_millis(1))).unwrap();
            event.active(Event::TIMEOUT).unwrap(); // so that several run in one pass
        }
    }

    fn replace(event: &Event, base: &EventBase, mut f: impl FnMut(&Event) + 'static) -> bool {
        let callback = move |_: &Readable, _, event: &Event| f(event);
        event
            .set(base, Readable::new(), Self::WHAT, callback)
            .unwrap();
        true
    }
}

pub(crate) struct Timer;

impl Kind for Timer {
    fn make(base: &EventBase, callback: impl FnMut(&Event) + 'static) -> Event {
        Event::timer(base, callback).unwrap()
    }

    fn fire(event: &Event) {
        event.add_timer(Some(Duration::ZERO)).unwrap();
    }

    fn replace(event: &Event, base: &EventBase, callback: impl FnMut(&Event) + 'static) -> bool {
        event.set_timer(base, callback).unwrap();
        true
    }
}

/// A signal event whose signal came three times before the loop saw it.
pub(crate) struct SignalThrice;

impl Kind for SignalThrice {
    const OWED: usize = 3;

    fn turn() -> Option<MutexGuard<'static, ()>> {
        Some(signals_turn())
    }

    fn make(base: &EventBase, mut callback: impl FnMut(&Event) + 'static) -> Event {
        Event::signal(base, libc::SIGUSR1, move |_, event| callback(event)).unwrap()
    }

    fn fire(event: &Event) {
        event.add_signal(None).unwrap();
        for _ in 0..<Self as Kind>::OWED {
            raise(Signal::SIGUSR1).unwrap();
        }
    }

    fn replace(_: &Event, _: &EventBase, _: impl FnMut(&Event) + 'static) -> bool {
        false
    }
}

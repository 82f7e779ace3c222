//! A clock that stands still until it is moved, in the place of event-httpd's.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use php_event::{Event, Result};

thread_local! {
    static NOW: Cell<Instant> = Cell::new(Instant::now());
    static ALARMS: RefCell<Vec<Weak<Inner>>> = RefCell::default();
}

/// The current time.
pub(crate) fn now() -> Instant {
    NOW.get()
}

/// Moves the clock. The alarms that are due then fire in the next turn of their loops.
pub(crate) fn pass(time: Duration) {
    NOW.set(now() + time);
    let mut alarms = ALARMS.take();
    alarms.retain(|alarm| alarm.strong_count() > 0);
    alarms
        .iter()
        .filter_map(Weak::upgrade)
        .for_each(|alarm| alarm.fire());
    ALARMS.set(alarms);
}

/// A timer.
#[derive(Debug)]
pub(crate) struct Alarm(Rc<Inner>);

#[derive(Debug)]
struct Inner {
    timer: Event,
    due: Cell<Option<Instant>>,
}

impl Alarm {
    pub(crate) fn new(timer: Event) -> Self {
        let due = Cell::default();
        let inner = Rc::new(Inner { timer, due });
        ALARMS.with_borrow_mut(|alarms| alarms.push(Rc::downgrade(&inner)));
        Self(inner)
    }

    pub(crate) fn set(&self, after: Duration) -> Result<()> {
        if after.is_zero() {
            self.0.due.set(None);
            return self.0.timer.active(Event::TIMEOUT);
        }
        self.0.due.set(now().checked_add(after));
        Ok(())
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.due.get().is_some()
    }

    pub(crate) fn free(&self) {
        self.0.due.set(None);
        self.0.timer.free();
    }
}

impl Inner {
    /// Fires if it is due.
    fn fire(&self) {
        if self.due.get().is_some_and(|due| due <= now()) {
            self.due.set(None);
            self.timer.active(Event::TIMEOUT).expect("an event");
        }
    }
}

//! What callbacks report, in order.

use std::cell::RefCell;
use std::rc::Rc;

use php_event::{Event, EventBase};

/// What happened, in order, as told by callbacks.
pub struct Seen<T>(Rc<RefCell<Vec<T>>>);

impl<T> Clone for Seen<T> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<T> Seen<T> {
    pub fn new() -> Self {
        Self(Rc::default())
    }

    pub fn note(&self, what: T) {
        self.0.borrow_mut().push(what);
    }

    pub fn len(&self) -> usize {
        self.0.borrow().len()
    }

    /// What was noted since the last look.
    pub fn take(&self) -> Vec<T> {
        self.0.take()
    }
}

/// A timer that notes `name` when it fires. It is not added.
pub fn noting<T: Copy + 'static>(base: &EventBase, seen: &Seen<T>, name: T) -> Event {
    let seen = seen.clone();
    Event::timer(base, move |_event| seen.note(name)).expect("no timer")
}

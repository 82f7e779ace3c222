//! What stands behind a PHP object: a value of the library's, and the way back to the object.

use std::any::Any;
use std::cell::Cell;
use std::ptr::NonNull;
use std::rc::Rc;
use std::time::Duration;

use crate::bridge::{self, Class, RawObject};
use crate::call::{Value, seconds};

/// What a class keeps for each of its objects.
pub(crate) trait Object: Any {
    /// The class.
    fn class(&self) -> Class;

    /// Whether it may still call: the collector leaves such an object alone.
    fn is_pending(&self) -> bool {
        false
    }

    /// Does this at once; false where the method itself has to be called.
    fn quick(&self, _what: Quick) -> bool {
        false
    }

    /// An event's property `pending`; none where PHP gets null.
    fn pending(&self) -> Option<bool> {
        None
    }
}

/// The methods that programs call most.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Quick {
    /// `Event::add`
    Add(Option<Duration>),
    /// `Event::del`
    Del,
}

impl Quick {
    /// As C numbers them: 0 deletes, 1 adds without a time, 2 with one.
    pub(crate) fn of(number: i32, time: f64) -> Self {
        match number {
            0 => Self::Del,
            1 => Self::Add(None),
            _ => Self::Add(Some(seconds(time))),
        }
    }
}

/// A PHP object as closures know it. It has an address only while the object is there.
#[derive(Clone, Default)]
pub(crate) struct Identity(Rc<Cell<Option<NonNull<RawObject>>>>);

/// What became of a call of PHP code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Called {
    /// It returned.
    Returned,
    /// It threw, or the script ends: the loop must stop.
    Ended,
    /// There was nothing to call any more.
    NotCallable,
}

impl Identity {
    pub(crate) fn set(&self, object: Option<NonNull<RawObject>>) {
        self.0.set(object);
    }

    pub(crate) fn raw(&self) -> Option<NonNull<RawObject>> {
        self.0.get()
    }

    /// Calls the callable in a slot.
    pub(crate) fn call<const N: usize>(&self, slot: u32, arguments: [Value; N]) -> Called {
        bridge::call(self, slot, None, arguments)
    }

    /// Calls an element of the list of callables in a slot.
    pub(crate) fn call_item<const N: usize>(
        &self,
        slot: u32,
        item: usize,
        arguments: [Value; N],
    ) -> Called {
        bridge::call(self, slot, Some(item), arguments)
    }
}

/// A counted handle of an object's value.
#[derive(Clone)]
pub(crate) struct Held {
    identity: Identity,
    object: Rc<dyn Object>,
}

impl Held {
    pub(crate) fn new(identity: &Identity, object: impl Object) -> Self {
        let identity = identity.clone();
        let object = Rc::new(object);
        Self { identity, object }
    }

    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    pub(crate) fn class(&self) -> Class {
        self.object.class()
    }

    pub(crate) fn is_pending(&self) -> bool {
        self.object.is_pending()
    }

    pub(crate) fn quick(&self, what: Quick) -> bool {
        self.object.quick(what)
    }

    pub(crate) fn pending(&self) -> Option<bool> {
        self.object.pending()
    }

    /// The value, if it is of this type.
    pub(crate) fn value<T: Object>(&self) -> Option<Rc<T>> {
        let object: Rc<dyn Any> = Rc::clone(&self.object) as Rc<dyn Any>;
        object.downcast().ok()
    }
}

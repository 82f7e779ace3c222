//! What stands behind a PHP object: a value of the library's, and the way back to the object.

use std::cell::{Cell, OnceCell};
use std::ptr::NonNull;
use std::rc::{Rc, Weak};

use crate::bridge::{self, Class, RawObject};
use crate::call::Value;
use crate::classes::{AnyObject, Variant};

/// What a class keeps for each of its objects.
pub(crate) trait Object: Sized {
    /// How many PHP values an object of its class keeps in slots.
    const SLOTS: u32 = 0;

    /// Whether it may still call: the collector leaves such an object alone.
    fn is_pending(&self) -> bool {
        false
    }
}

/// The Rust half of a PHP object.
pub(crate) struct Half {
    /// The PHP object, from the time it has this half until it is freed.
    object: Cell<Option<NonNull<RawObject>>>,
    /// None while its constructor runs.
    value: OnceCell<AnyObject>,
}

impl Half {
    pub(crate) fn any(&self) -> Option<&AnyObject> {
        self.value.get()
    }

    /// The value, if it is of this type.
    pub(crate) fn value<T: Variant>(&self) -> Option<&T> {
        self.any().and_then(T::of)
    }

    pub(crate) fn set_object(&self, object: Option<NonNull<RawObject>>) {
        self.object.set(object);
    }
}

/// A counted handle of a half. C has one for each object.
#[derive(Clone)]
pub(crate) struct Held(pub(crate) Rc<Half>);

impl Held {
    pub(crate) fn new(value: impl Variant) -> Self {
        let held = Self::empty(None);
        held.fill(value);
        held
    }

    /// A half whose value is made next, by what needs its identity.
    pub(crate) fn empty(object: Option<NonNull<RawObject>>) -> Self {
        Self(Rc::new(Half {
            object: Cell::new(object),
            value: OnceCell::new(),
        }))
    }

    /// Gives an empty half its value.
    pub(crate) fn fill(&self, value: impl Variant) {
        self.0.value.set(value.into_any()).ok(); // a half that has a value keeps it
    }

    pub(crate) fn identity(&self) -> Identity {
        Identity(Rc::downgrade(&self.0))
    }

    pub(crate) fn class(&self) -> Option<Class> {
        self.0.any().map(AnyObject::class)
    }
}

/// A PHP object as closures know it. It has an address only while the object is there.
#[derive(Clone, Default)]
pub(crate) struct Identity(Weak<Half>);

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
    pub(crate) fn raw(&self) -> Option<NonNull<RawObject>> {
        self.0.upgrade()?.object.get()
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

//! The Rust half of a PHP object: a value of the library's, and the way back to the object.

use std::cell::{Cell, OnceCell};
use std::ptr::NonNull;
use std::rc::{Rc, Weak};

use crate::bridge::{self, Class, RawObject};
use crate::call::{Part, Value};
use crate::classes::event::EventValue;
use crate::classes::{AnyObject, HalfVariant};

/// What a class keeps for each of its objects.
pub(crate) trait Object: Sized {
    /// How many PHP values an object of its class keeps in slots.
    const SLOTS: u32 = 0;

    /// Whether it may still call: the collector leaves such an object alone.
    fn is_pending(&self) -> bool {
        false
    }
}

/// The way to a PHP object. It has an address only while the object is there.
#[derive(Default)]
pub(crate) struct Link(Cell<Option<NonNull<RawObject>>>);

impl Link {
    pub(crate) fn new(object: Option<NonNull<RawObject>>) -> Self {
        Self(Cell::new(object))
    }

    pub(crate) fn set(&self, object: Option<NonNull<RawObject>>) {
        self.0.set(object);
    }

    pub(crate) fn get(&self) -> Option<NonNull<RawObject>> {
        self.0.get()
    }

    /// Calls the callable in a slot.
    pub(crate) fn call<const N: usize>(&self, slot: u32, arguments: [Part; N]) -> Called {
        bridge::call_with_parts(self, slot, arguments)
    }
}

/// The Rust half of a PHP object, but for an event.
pub(crate) struct Half {
    /// Leads to the PHP object from the time it has this half until it is freed.
    link: Link,
    /// None while its constructor runs.
    value: OnceCell<AnyObject>,
}

impl Half {
    pub(crate) fn any(&self) -> Option<&AnyObject> {
        self.value.get()
    }

    /// The value, if it is of this type.
    pub(crate) fn value<T: HalfVariant>(&self) -> Option<&T> {
        self.any().and_then(T::of_any)
    }
}

/// A counted handle of the Rust half of a PHP object. C has one for each object.
#[derive(Clone)]
pub(crate) enum Held {
    /// An event has all of it in its own memory.
    Event(EventValue),
    Other(Rc<Half>),
}

impl Held {
    pub(crate) fn new(value: impl HalfVariant) -> Self {
        let held = Self::empty(None);
        held.fill(value);
        held
    }

    /// A half whose value is made next, by what needs its identity.
    pub(crate) fn empty(object: Option<NonNull<RawObject>>) -> Self {
        Self::Other(Rc::new(Half {
            link: Link::new(object),
            value: OnceCell::new(),
        }))
    }

    /// Gives an empty half its value.
    pub(crate) fn fill(&self, value: impl HalfVariant) {
        if let Self::Other(half) = self {
            half.value.set(value.into_any()).ok(); // a half that has a value keeps it
        }
    }

    /// The object for closures. An event has none: it keeps its link itself.
    pub(crate) fn identity(&self) -> Identity {
        match self {
            Self::Event(_) => Identity::default(),
            Self::Other(half) => Identity(Rc::downgrade(half)),
        }
    }

    /// Where the PHP object is kept.
    pub(crate) fn link(&self) -> &Link {
        match self {
            Self::Event(event) => event.link(),
            Self::Other(half) => &half.link,
        }
    }

    pub(crate) fn class(&self) -> Option<Class> {
        match self {
            Self::Event(_) => Some(Class::Event),
            Self::Other(half) => half.any().map(AnyObject::class),
        }
    }

    pub(crate) fn is_pending(&self) -> bool {
        match self {
            Self::Event(event) => event.is_pending(),
            Self::Other(half) => half.any().is_some_and(AnyObject::is_pending),
        }
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
    /// It threw, or the script ends, and so does the loop.
    Ended,
    /// There was nothing to call any more.
    NotCallable,
}

impl Identity {
    pub(crate) fn raw(&self) -> Option<NonNull<RawObject>> {
        self.0.upgrade()?.link.get()
    }

    /// Calls the callable in a slot.
    pub(crate) fn call<const N: usize>(&self, slot: u32, arguments: [Value; N]) -> Called {
        bridge::call(self, slot, None, arguments)
    }

    /// The same with arguments that need no memory, which is quicker.
    pub(crate) fn call_with_parts<const N: usize>(
        &self,
        slot: u32,
        arguments: [Part; N],
    ) -> Called {
        match self.0.upgrade() {
            Some(half) => half.link.call(slot, arguments),
            None => Called::NotCallable,
        }
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

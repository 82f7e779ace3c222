//! Handles as C has them: a pointer for each object, and the class that says to what.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::mem::ManuallyDrop;
use std::rc::Rc;

use php_event::EventWith;

use super::{Class, RawObject};
use crate::classes::event::EventValue;
use crate::object::{Half, Held};

/// A handle as C has it, with the class of its object.
#[derive(Clone, Copy)]
pub(super) struct RawHeld {
    pub(super) class: u32,
    pub(super) handle: *mut c_void,
}

impl RawObject {
    pub(super) fn held(&self) -> RawHeld {
        RawHeld {
            class: self.class,
            handle: self.handle,
        }
    }
}

impl Held {
    /// The handle for C, which gives it back by `php_event_free`.
    pub(super) fn into_raw(self) -> RawHeld {
        let class = self.class().map_or(u32::MAX, |class| class as u32);
        let handle = match self {
            Self::Event(event) => event.0.into_raw(),
            Self::Other(half) => Rc::into_raw(half).cast(),
        };
        RawHeld {
            class,
            handle: handle.cast_mut(),
        }
    }

    /// The object of a handle; null is none. A count of its own: what a method runs may make C
    /// give the handle back.
    ///
    /// # Safety
    /// The handle is null, or `into_raw` gave it, of an object of that class, and `from_raw` has not
    /// taken it back.
    pub(super) unsafe fn of_raw(raw: RawHeld) -> Option<Self> {
        if raw.handle.is_null() {
            return None;
        }
        // SAFETY: not null, hence a handle that `into_raw` gave and C still has.
        let kept = ManuallyDrop::new(unsafe { Self::from_raw(raw) }); // C keeps its count
        Some(Self::clone(&kept))
    }

    /// Takes a handle back.
    ///
    /// # Safety
    /// `into_raw` gave it, of an object of that class, and it is not used again.
    pub(super) unsafe fn from_raw(raw: RawHeld) -> Self {
        let handle = raw.handle.cast_const();
        if raw.class == Class::Event as u32 {
            // SAFETY: by this function's duty, an event's count that is taken back once.
            return Self::Event(EventValue(unsafe { EventWith::from_raw(handle) }));
        }
        // SAFETY: by this function's duty, a half's count that is taken back once.
        Self::Other(unsafe { Rc::from_raw(handle.cast::<Half>()) })
    }
}

//! Room for an `event` in the memory of what owns it.
//!
//! Owns that memory, which `OwnedEvent` lends to C. Runs no user code.
#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::marker::PhantomPinned;
use std::mem::MaybeUninit;
use std::ops::Deref;
use std::ptr::NonNull;
use std::rc::Rc;

use crate::ffi;
use crate::runtime::error::{Error, Result};

/// The size of an `event` in libevent 2.1.
const EVENT_SIZE: usize = 128;

/// Room for an `event` in the memory of what owns it, where one piece less is allocated.
///
/// C writes there while Rust has references to what is around it: hence the cell, and the marker,
/// which keeps a `&mut` of what is around it from claiming that memory for itself.
pub(crate) struct EventMemory {
    room: UnsafeCell<[MaybeUninit<u64>; EVENT_SIZE / 8]>,
    _pinned: PhantomPinned,
}

impl EventMemory {
    pub(crate) const fn new() -> Self {
        Self {
            room: UnsafeCell::new([const { MaybeUninit::uninit() }; EVENT_SIZE / 8]),
            _pinned: PhantomPinned,
        }
    }

    /// Refuses a libevent whose events are larger.
    pub(crate) fn suffices(call: &'static str) -> Result<()> {
        // SAFETY: takes nothing, and returns a constant of the library.
        let size = unsafe { ffi::event_get_struct_event_size() };
        if size <= EVENT_SIZE {
            return Ok(());
        }
        Err(Error::Call {
            call,
            cause: Some(
                format!("an event of this libevent takes {size} bytes, more than {EVENT_SIZE}")
                    .into(),
            ),
        })
    }

    /// Where C finds the event.
    pub(super) fn raw(&self) -> NonNull<ffi::event> {
        NonNull::from(&self.room).cast()
    }
}

/// A value behind room for its event, in one piece of memory.
pub(crate) struct WithEvent<T: ?Sized> {
    memory: EventMemory,
    value: T,
}

impl<T> WithEvent<T> {
    /// Writes the value where it stays. `Rc::new` would make both elsewhere, and copy them.
    pub(crate) fn new(make: impl FnOnce() -> T) -> Rc<Self> {
        let mut rc = Rc::new(MaybeUninit::<Self>::uninit()); // `new_uninit` works its size out each time
        let Some(place) = Rc::get_mut(&mut rc) else {
            let memory = EventMemory::new(); // not reached: this is the only count
            return Rc::new(Self {
                memory,
                value: make(),
            });
        };
        // SAFETY: a field of the memory that `rc` has.
        let value = unsafe { &raw mut (*place.as_mut_ptr()).value };
        // SAFETY: the same, and nothing is there yet.
        unsafe { value.write(make()) };
        // SAFETY: the value was written in the line before, and the room needs none.
        unsafe { rc.assume_init() }
    }

    /// Where the event is.
    pub(crate) fn memory(&self) -> &EventMemory {
        &self.memory
    }
}

impl<T: ?Sized> Deref for WithEvent<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.value
    }
}

#[cfg(test)]
mod tests {
    use super::{EVENT_SIZE, EventMemory};
    use crate::ffi;

    #[test]
    fn an_event_of_libevent_just_fits_into_its_memory() {
        EventMemory::suffices("a test").unwrap();
        // SAFETY: takes nothing.
        assert_eq!(unsafe { ffi::event_get_struct_event_size() }, EVENT_SIZE);
        assert_eq!(size_of::<EventMemory>(), EVENT_SIZE);
    }
}

//! Room for an `event` in the memory of what owns it.
//!
//! Owns that memory, which `OwnedEvent` lends to C. Runs no user code.
#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::marker::PhantomPinned;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

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

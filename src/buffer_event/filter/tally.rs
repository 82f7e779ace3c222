//! How much a filter's closure takes.
//!
//! Owns: the counts, and which buffer user code is changing. Lends C a [`Tally`] while a closure runs.
//! Runs no user code.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::c_void;
use std::ptr;

use crate::ffi;
use crate::native::evbuffer::BufferView;

/// What a running closure has done to its source. Lengths do not tell: where a high mark keeps
/// bytes back, as many come in as it takes out.
#[derive(Default)]
pub(super) struct Tally {
    taken: Cell<usize>,
    put_back: Cell<usize>,
}

thread_local! {
    /// The address of the buffer that user code is about to change, until it has changed.
    static CHANGING: Cell<usize> = const { Cell::new(0) };
}

/// To be called before user code changes a buffer that may be a closure's source. What is added
/// otherwise has come from below.
pub(in super::super) fn begin_change(buffer: &BufferView<'_>) {
    CHANGING.set(buffer.address());
}

/// To be called after the change: one that changes nothing runs no callback.
pub(in super::super) fn end_change() {
    CHANGING.set(0);
}

impl Tally {
    fn changed(&self, added: usize, taken: usize, is_own: bool) {
        self.taken.set(self.taken.get() + taken);
        if is_own {
            self.put_back.set(self.put_back.get() + added);
        }
    }

    /// Whether nothing was taken, or as much was put back.
    pub(super) fn took_nothing(&self) -> bool {
        self.taken.get() <= self.put_back.get()
    }

    /// Counts from 0, until the result is dropped, by a panic too.
    pub(super) fn count<'a>(&'a self, source: &'a BufferView<'a>) -> Counting<'a> {
        self.taken.set(0);
        self.put_back.set(0);
        end_change();
        // SAFETY: the entry point takes its argument for a `Tally`, which the result borrows
        // until it has ended the registration.
        let watched = unsafe { source.watch(on_source_change, self.arg()) };
        watched.ok(); // without memory only the lengths are compared
        Counting {
            tally: self,
            source,
        }
    }

    fn arg(&self) -> *mut c_void {
        ptr::from_ref(self).cast_mut().cast()
    }
}

/// Ends the count of a [`Tally`] when it goes.
pub(super) struct Counting<'a> {
    tally: &'a Tally,
    source: &'a BufferView<'a>,
}

impl Drop for Counting<'_> {
    fn drop(&mut self) {
        self.source.unwatch(on_source_change, self.tally.arg());
    }
}

/// # Safety
/// Registered only by [`Tally::count`], with that [`Tally`].
unsafe extern "C" fn on_source_change(
    source: *mut ffi::evbuffer,
    info: *const ffi::evbuffer_cb_info,
    arg: *mut c_void,
) {
    // SAFETY: `Counting` borrows the tally until it has ended the registration.
    let tally = unsafe { &*arg.cast::<Tally>() };
    // SAFETY: libevent passes a record that lives until this returns.
    let info = unsafe { &*info };
    let is_own = CHANGING.get() == source.addr();
    if is_own {
        end_change();
    }
    tally.changed(info.n_added, info.n_deleted, is_own);
}

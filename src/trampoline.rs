//! Every function that C calls, and what they share.
//!
//! Owns: the panic that waits for its Rust caller, and how deep this thread is in loops.
//! Lent to C: nothing of its own. A class lends one weak count of its `Inner` with
//! [`lend`] and takes it back with [`reclaim`] once libevent has forgotten it.
//! Runs user code: closures and what they captured, always inside [`guard`].
//!
//! The entry points stand in a file for each class; this one has the machinery.
#![allow(unsafe_code)]

mod buffer;
mod buffer_event;
mod dns;
mod event;
mod http;
mod listener;
mod process;
#[cfg(feature = "openssl")]
mod tls;

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::mem::{self, ManuallyDrop};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::{Rc, Weak};

#[cfg(test)]
pub(crate) use buffer::on_change;
pub(crate) use buffer::{on_file_free, on_reference_free};
pub(crate) use buffer_event::{
    on_bev_event, on_bev_read, on_bev_write, on_filter_end, on_filter_input, on_filter_output,
};
pub(crate) use dns::{on_ipv4_answer, on_ipv6_answer};
pub(crate) use event::on_event;
pub(crate) use http::{
    on_accept_error, on_answer, on_answer_error, on_answer_head, on_bufferevent, on_client_close,
    on_client_input, on_client_turn, on_close, on_complete, on_input, on_request, on_turn,
};
pub(crate) use listener::{on_accept, on_accept_failure};
pub(crate) use process::{on_fatal, on_fork_child, on_log};
#[cfg(feature = "openssl")]
pub(crate) use tls::on_session_end;

use crate::{base, log};

type Payload = Box<dyn Any + Send>;

thread_local! {
    // Not dropped with its thread: the destructor of another of its variables may run a loop.
    static PANIC: RefCell<Option<ManuallyDrop<Payload>>> = const { RefCell::new(None) };
    static LOOPS: Cell<usize> = const { Cell::new(0) };
}

/// A user closure that may replace or drop its own slot while it runs.
pub(crate) struct Slot<F: ?Sized> {
    f: RefCell<Option<Box<F>>>,
    edits: Cell<u64>, // `call` puts the closure back only if `set` has not moved this
}

impl<F: ?Sized> Slot<F> {
    pub(crate) fn new(f: Box<F>) -> Self {
        Self {
            f: RefCell::new(Some(f)),
            edits: Cell::new(0),
        }
    }

    /// A slot whose closure is set later.
    pub(crate) fn empty() -> Self {
        Self {
            f: RefCell::new(None),
            edits: Cell::new(0),
        }
    }

    /// Replaces the closure and gives back the old one, for the caller to drop when no
    /// borrow is held: its captured values may run user code.
    #[must_use]
    pub(crate) fn set(&self, f: Option<Box<F>>) -> Option<Box<F>> {
        self.edits.set(self.edits.get() + 1);
        self.f.replace(f)
    }

    /// Runs the closure outside of any borrow, and tells whether it did. A closure that is
    /// running is not entered again: the inner call does nothing.
    pub(crate) fn call(&self, run: impl FnOnce(&mut F)) -> bool {
        let Some(f) = self.f.take() else { return false };
        let mut taken = PutBack {
            slot: self,
            edits: self.edits.get(),
            f: Some(f),
        };
        if let Some(f) = taken.f.as_mut() {
            run(f);
        }
        true
    }
}

/// Puts a closure back when its call ends, by a panic too.
struct PutBack<'a, F: ?Sized> {
    slot: &'a Slot<F>,
    edits: u64,
    f: Option<Box<F>>,
}

impl<F: ?Sized> Drop for PutBack<'_, F> {
    fn drop(&mut self) {
        if self.slot.edits.get() == self.edits {
            self.slot.f.replace(self.f.take());
        }
    }
}

/// Gives C a weak count of `inner`, as the argument of a callback.
pub(crate) fn lend<T>(inner: &Rc<T>) -> *mut c_void {
    Weak::into_raw(Rc::downgrade(inner)).cast_mut().cast()
}

/// The object that C's argument stands for, unless it is already on its way out.
///
/// # Safety
/// `arg` comes from [`lend`] with the same `T`, and [`reclaim`] has not taken it back.
unsafe fn upgrade<T>(arg: *mut c_void) -> Option<Rc<T>> {
    // SAFETY: the caller's duty; `ManuallyDrop` leaves C's count where it is.
    let lent = ManuallyDrop::new(unsafe { Weak::from_raw(arg.cast_const().cast::<T>()) });
    lent.upgrade()
}

/// Takes back what [`lend`] gave.
///
/// # Safety
/// `arg` comes from [`lend`] with the same `T`, once for each `lend`, and C has forgotten it.
pub(crate) unsafe fn reclaim<T>(arg: *mut c_void) {
    // SAFETY: the caller's duty.
    drop(unsafe { Weak::from_raw(arg.cast_const().cast::<T>()) });
}

/// Whether a panic is on its way to its Rust caller, and nothing of the user's runs.
fn panic_waits() -> bool {
    PANIC.with_borrow(Option::is_some)
}

/// Runs user code above C frames: no panic passes, the loop stops on the first. Tells
/// whether the code panicked.
fn guard(base: &base::Inner, f: impl FnOnce()) -> bool {
    if panic_waits() {
        return false; // nothing of the user's runs between a panic and its re-raise
    }
    if base.is_foreign() {
        base.stop();
        return false;
    }
    let run = || {
        log::flush();
        f();
    };
    catch(base, run)
}

/// Ends the life of something whose destructor may be the user's. It runs even while a
/// panic waits, since the memory must go; a second panic is dropped, not passed on.
fn release<T>(base: &base::Inner, last: T) {
    let waiting = PANIC.take(); // a loop that the destructor turns must run its callbacks, or spins
    catch(base, || drop(last));
    if waiting.is_some() {
        if let Some(second) = PANIC.take() {
            let dropped = catch_unwind(AssertUnwindSafe(|| drop(ManuallyDrop::into_inner(second))));
            dropped.map_err(mem::forget).ok(); // a third's destructor could go on like this
        }
        PANIC.set(waiting);
    }
}

/// Keeps a panic for [`resume`] and stops the loop; tells whether there was one.
fn catch(base: &base::Inner, f: impl FnOnce()) -> bool {
    let caught = catch_unwind(AssertUnwindSafe(f));
    let panicked = caught.is_err();
    if let Err(payload) = caught {
        base.stop();
        // None waits: neither `guard` nor `release` runs us then.
        PANIC.set(Some(ManuallyDrop::new(payload)));
    }
    if base.is_foreign() {
        base.stop(); // it forked, and this child must not serve the parent's loop
    }
    panicked
}

/// Last step of every method that lets C run callbacks: raises the panic that one of them
/// caught, in the frame of the Rust caller.
pub(crate) fn resume() {
    if let Some(payload) = PANIC.take() {
        resume_unwind(ManuallyDrop::into_inner(payload));
    }
}

/// Whether this thread is inside a loop, that is, whether the caller is a callback.
pub(crate) fn in_loop() -> bool {
    LOOPS.get() > 0
}

/// Counts a running loop, for as long as it lives.
pub(crate) struct LoopScope(());

impl LoopScope {
    pub(crate) fn enter() -> Self {
        LOOPS.set(LOOPS.get() + 1);
        Self(())
    }
}

impl Drop for LoopScope {
    fn drop(&mut self) {
        LOOPS.set(LOOPS.get() - 1);
    }
}

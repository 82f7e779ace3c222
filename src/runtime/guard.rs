//! User code above C frames, and the panic that waits for its Rust caller.
//!
//! Owns: that panic. Lends C nothing. Runs user code: closures in [`guard()`], destructors in
//! [`release`].

use std::any::Any;
use std::cell::RefCell;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;

use super::{discard, log};

type Payload = Box<dyn Any + Send>;

thread_local! {
    // Not dropped with its thread: the destructor of another of its variables may run a loop.
    static PANIC: RefCell<Option<ManuallyDrop<Payload>>> = const { RefCell::new(None) };
}

/// The loop that callbacks run in.
pub(crate) trait Loop {
    /// Ends the loop after the running callback. Touches this process's memory only.
    fn stop(&self);
    /// Whether this process is a forked child that does not own the loop.
    fn is_foreign(&self) -> bool;
}

impl<L: Loop + ?Sized> Loop for Rc<L> {
    fn stop(&self) {
        (**self).stop();
    }

    fn is_foreign(&self) -> bool {
        (**self).is_foreign()
    }
}

/// Whether a panic waits for [`resume`]. No user closure runs until then.
pub(crate) fn panic_waits() -> bool {
    PANIC.with_borrow(Option::is_some)
}

/// Runs user code above C frames: no panic passes, the loop stops on the first. Tells
/// whether the code panicked.
pub(crate) fn guard(base: &impl Loop, f: impl FnOnce()) -> bool {
    if panic_waits() {
        return false;
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

/// Drops a value whose destructor may run user code. It runs even while a panic waits, since
/// the memory must be freed; a second panic is dropped, not passed on.
pub(crate) fn release<T>(base: &impl Loop, last: T) {
    let waiting = PANIC.take(); // a loop that the destructor turns must run its callbacks, or spins
    catch(base, || drop(last));
    if waiting.is_some() {
        if let Some(second) = PANIC.take() {
            discard(ManuallyDrop::into_inner(second));
        }
        PANIC.set(waiting);
    }
}

/// Keeps a panic for [`resume`] and stops the loop; tells whether there was one.
fn catch(base: &impl Loop, f: impl FnOnce()) -> bool {
    let caught = catch_unwind(AssertUnwindSafe(f));
    let panicked = caught.is_err();
    if let Err(payload) = caught {
        base.stop();
        // No panic waits: `guard` and `release` have seen to that.
        PANIC.set(Some(ManuallyDrop::new(payload)));
    }
    if base.is_foreign() {
        base.stop(); // the code forked: this child must not serve the parent's loop
    }
    panicked
}

/// Last step of every method that lets C run callbacks: raises the panic that one of them
/// ended in, in the frame of the Rust caller.
pub(crate) fn resume() {
    if let Some(payload) = PANIC.take() {
        resume_unwind(ManuallyDrop::into_inner(payload));
    }
}

//! User code above C frames, and the failure that waits for its caller: a panic, or an error of
//! another language.
//!
//! Owns: that failure. Lends C nothing. Runs user code: closures in [`guard()`], destructors in
//! [`release`].

use std::any::Any;
use std::cell::Cell;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;

use super::waiting::{self, Waiting};
use super::{discard, in_loop, log, memory};

type Payload = Box<dyn Any + Send>;

/// Why no closure runs until the caller of the C code has control again.
enum Failure {
    /// [`resume`] raises it.
    Panic(ManuallyDrop<Payload>),
    /// An embedder keeps it, and raises it.
    Foreign,
}

thread_local! {
    // Not dropped with its thread: the destructor of another of its variables may run a loop.
    static FAILURE: Cell<Option<Failure>> = const { Cell::new(None) };
}

fn keep_failure(failure: Failure) {
    Waiting::Failure.begin();
    FAILURE.set(Some(failure));
}

fn take_failure() -> Option<Failure> {
    if !Waiting::Failure.is() {
        return None;
    }
    Waiting::Failure.end();
    FAILURE.take()
}

/// Has [`guard()`] stop the loop of the running callback, and no other closure run until
/// [`resume`], as after a panic. Does nothing outside of callbacks.
pub(crate) fn interrupt() {
    if in_loop() && !failure_waits() {
        keep_failure(Failure::Foreign);
    }
}

/// A failure that waits for a frame further up. It waits again when this is dropped.
pub(crate) struct Aside(Option<Failure>);

/// To be called before C code that may call back: its closures run although a failure waits. A loop
/// that calls none would lose its events, or spin.
#[inline]
pub(crate) fn set_aside() -> Aside {
    let is_for_others = failure_waits() && in_loop();
    Aside(is_for_others.then(take_failure).flatten())
}

impl Drop for Aside {
    #[inline]
    fn drop(&mut self) {
        if let Some(failure) = self.0.take() {
            keep_failure(failure);
        }
    }
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

/// Whether a failure waits for [`resume`]. No user closure runs until then.
#[inline]
pub(crate) fn failure_waits() -> bool {
    Waiting::Failure.is()
}

/// Runs user code above C frames: no panic passes, the loop stops on the first. Tells
/// whether the code panicked.
#[inline]
pub(crate) fn guard(base: &impl Loop, f: impl FnOnce()) -> bool {
    let mut is_inside_unchecked = false;
    if waiting::any() {
        if let Some(panicked) = see_to_waiting(base) {
            return panicked;
        }
        is_inside_unchecked = memory::begin_checked();
    }
    let panicked = if base.is_foreign() {
        base.stop();
        false
    } else {
        catch(base, f)
    };
    if is_inside_unchecked {
        memory::end_checked();
    }
    panicked
}

/// Does what must be done before user code runs; the result of [`guard()`] if none may.
#[cold]
fn see_to_waiting(base: &impl Loop) -> Option<bool> {
    if failure_waits() {
        return Some(false);
    }
    if base.is_foreign() {
        return None; // which `guard` sees to
    }
    catch(base, log::flush).then_some(true)
}

/// Drops a value whose destructor may run user code. It runs even while a failure waits, since
/// the memory must be freed; a second panic is dropped, not passed on.
pub(crate) fn release<T>(base: &impl Loop, last: T) {
    let waiting = take_failure(); // or a failure of the destructor could not be told from it
    catch(base, || drop(last));
    if let Some(first) = waiting {
        if let Some(Failure::Panic(second)) = take_failure() {
            discard(ManuallyDrop::into_inner(second));
        }
        keep_failure(first);
    }
}

/// Keeps a panic for [`resume`]; returns whether there was one. Stops the loop on any failure.
#[inline]
fn catch(base: &impl Loop, f: impl FnOnce()) -> bool {
    let caught = catch_unwind(AssertUnwindSafe(f));
    let panicked = caught.is_err();
    if let Err(payload) = caught {
        // No panic waits: `guard` and `release` have seen to that.
        keep_failure(Failure::Panic(ManuallyDrop::new(payload)));
    }
    // If the code forked, this child must not serve the parent's loop.
    if failure_waits() || base.is_foreign() {
        base.stop();
    }
    panicked
}

/// Last step of every method that lets C run callbacks: raises the panic that one of them
/// ended in, in the frame of the Rust caller.
#[inline]
pub(crate) fn resume() {
    if let Some(Failure::Panic(payload)) = take_failure() {
        resume_unwind(ManuallyDrop::into_inner(payload));
    }
}

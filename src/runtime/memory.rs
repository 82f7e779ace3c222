//! libevent's allocations.
//!
//! libevent does not check all of them: it goes on with a null pointer, or without some bytes.
//! Where that is so, an allocation that fails ends the process with a message, as one of Rust's does.
//! Elsewhere libevent tells, and the call that needed memory returns an error.
//!
//! Lends C three functions, for the life of the process. Runs no user code.
#![allow(unsafe_code)]

use std::alloc::{Layout, handle_alloc_error};
use std::cell::Cell;
use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, Ordering};

use super::waiting::Waiting;
use crate::ffi;

/// Allocations of this size are for the user's bytes, not for libevent's structures. They do not end
/// the process, except in calls that `unchecked` wraps.
const LARGE: usize = 64 * 1024;

/// Set with the first object for which the loop runs C that does not check its allocations.
static IN_LOOPS: AtomicBool = AtomicBool::new(false);

thread_local! {
    static FAILURES: Cell<u32> = const { Cell::new(0) };
}

/// Has libevent allocate here.
pub(super) fn install() {
    // SAFETY: functions of this crate. libevent has used C's `malloc` until now, as these do, unless
    // C code has given it functions in this process, which it must not, as SAFETY.md says.
    unsafe { ffi::event_set_mem_functions(Some(allocate), Some(reallocate), Some(libc::free)) };
}

/// Calls C that does not check its allocations: one that fails ends the process. Those of closures
/// that it calls are their own, see [`begin_checked`].
pub(crate) fn unchecked<T>(call: impl FnOnce() -> T) -> T {
    if Waiting::Unchecked.is() {
        return call();
    }
    Waiting::Unchecked.begin();
    let result = call();
    Waiting::Unchecked.end();
    result
}

/// Code of the user's begins, which checks its allocations. Tells whether that is inside of C that does
/// not: [`end_checked`] must follow then.
#[cold]
pub(super) fn begin_checked() -> bool {
    let is_inside_unchecked = Waiting::Unchecked.is();
    if is_inside_unchecked {
        Waiting::Unchecked.end();
    }
    is_inside_unchecked
}

/// The code has returned to C that does not check its allocations.
#[cold]
pub(super) fn end_checked() {
    Waiting::Unchecked.begin();
}

/// Calls C that does not tell when an allocation fails; returns whether one has.
pub(crate) fn untold<T>(call: impl FnOnce() -> T) -> (T, bool) {
    let before = FAILURES.get();
    let result = call();
    (result, FAILURES.get() != before)
}

/// From now on small allocations that fail end the process, on every thread: for an HTTP server, a
/// pair or a filter, the loop runs C that does not check its own.
pub(crate) fn unchecked_from_now_on() {
    IN_LOOPS.store(true, Ordering::Relaxed);
}

/// What was allocated; libevent never asks for 0 bytes.
fn checked(pointer: *mut c_void, size: usize) -> *mut c_void {
    if pointer.is_null() {
        failed(size);
    }
    pointer
}

#[cold]
fn failed(size: usize) {
    FAILURES.set(FAILURES.get().wrapping_add(1));
    let is_in_loop = || IN_LOOPS.load(Ordering::Relaxed) && size < LARGE;
    if Waiting::Unchecked.is() || is_in_loop() {
        handle_alloc_error(Layout::array::<u8>(size).unwrap_or(Layout::new::<u8>()));
    }
}

/// # Safety
/// As C's `malloc`.
unsafe extern "C" fn allocate(size: usize) -> *mut c_void {
    // SAFETY: takes a number.
    checked(unsafe { libc::malloc(size) }, size)
}

/// # Safety
/// As C's `realloc`.
unsafe extern "C" fn reallocate(old: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: the caller gives what C's `realloc` needs.
    checked(unsafe { libc::realloc(old, size) }, size)
}

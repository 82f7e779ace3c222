//! The weak counts that C holds.
//!
//! Lends C one weak count for each [`lend`]. Runs no user code.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::rc::{Rc, Weak};

/// A weak count of a `T` that C holds as the argument of a callback. Whoever owns this drops it
/// after C has forgotten the argument.
pub(crate) struct Lent<T> {
    arg: *mut c_void,
    _count: PhantomData<Weak<T>>,
}

impl<T> Lent<T> {
    pub(crate) fn new(inner: &Rc<T>) -> Self {
        Self {
            arg: lend(inner),
            _count: PhantomData,
        }
    }

    /// For C, which may use it until this is dropped; callbacks [`upgrade`] it.
    pub(crate) fn arg(&self) -> *mut c_void {
        self.arg
    }

    pub(crate) fn into_any(self) -> AnyLent {
        AnyLent {
            arg: ManuallyDrop::new(self).arg,
            reclaim: reclaim::<T>,
        }
    }
}

impl<T> Drop for Lent<T> {
    fn drop(&mut self) {
        // SAFETY: lent in `new`, taken back only here; the owner drops this after C has
        // forgotten `arg`.
        unsafe { reclaim::<T>(self.arg) };
    }
}

/// A weak count that C holds, of any type.
pub(crate) struct AnyLent {
    arg: *mut c_void,
    reclaim: unsafe fn(*mut c_void),
}

impl AnyLent {
    /// For C, which may use it until this is dropped; callbacks [`upgrade`] it.
    pub(crate) fn arg(&self) -> *mut c_void {
        self.arg
    }
}

impl Drop for AnyLent {
    fn drop(&mut self) {
        // SAFETY: `arg` was lent in `Lent::new` with the type that `reclaim` is for, and is taken
        // back only here; the owner drops this after C has forgotten `arg`.
        unsafe { (self.reclaim)(self.arg) };
    }
}

/// Gives C a weak count of `inner`, as the argument of a callback.
pub(crate) fn lend<T>(inner: &Rc<T>) -> *mut c_void {
    Weak::into_raw(Rc::downgrade(inner)).cast_mut().cast()
}

/// The object behind C's argument; `None` once its last strong count is gone.
///
/// # Safety
/// `arg` comes from [`lend`] with the same `T`, and [`reclaim`] has not taken it back.
pub(crate) unsafe fn upgrade<T>(arg: *mut c_void) -> Option<Rc<T>> {
    // SAFETY: `arg` is a weak count of a `T` that C still holds, which `# Safety` asks for;
    // `ManuallyDrop` leaves that count with C.
    let lent = ManuallyDrop::new(unsafe { Weak::from_raw(arg.cast_const().cast::<T>()) });
    lent.upgrade()
}

/// Takes back what [`lend`] gave.
///
/// # Safety
/// `arg` comes from [`lend`] with the same `T`, once for each `lend`, and C has forgotten it.
pub(crate) unsafe fn reclaim<T>(arg: *mut c_void) {
    // SAFETY: `# Safety` says that C gives its count of a `T` up, and does so once.
    drop(unsafe { Weak::from_raw(arg.cast_const().cast::<T>()) });
}

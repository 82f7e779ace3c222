//! Descriptors that PHP lends, and what keeps them open.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::c_void;
use std::os::fd::{AsFd, BorrowedFd, RawFd};
use std::ptr::NonNull;
use std::rc::Rc;

use php_event::{EventBase, EventFlags, EventWith, Handler};

use super::{RawObject, bridge_hold, bridge_hold_object, bridge_release};
use crate::call::Descriptor;

/// An event on a descriptor that PHP lends.
///
/// The event's object holds the stream or socket in a slot, so that PHP does not close the
/// descriptor while the event is there. A program that closes it itself, by `fclose` or
/// `socket_close`, gets what it gets under PECL: the event watches nothing, or, when it is added
/// again, whatever has the number then.
pub(crate) fn lent_event<H: Handler>(
    base: &EventBase,
    descriptor: i32,
    what: EventFlags,
    handler: H,
) -> php_event::Result<EventWith<H>> {
    // SAFETY: the object's slot keeps the descriptor open; what a program that closes it by itself
    // gets is said above, and no memory depends on it: epoll watches numbers.
    unsafe { EventWith::descriptor(base, descriptor, what, handler) }
}

/// Runs `work` on a descriptor that PHP lends for the length of this call.
pub(crate) fn lend<T>(descriptor: i32, work: impl FnOnce(BorrowedFd<'_>) -> T) -> T {
    // SAFETY: not negative, since C refuses such numbers. The argument of the running method keeps
    // a stream or socket open; a bare number is the program's word that it is open, and a wrong
    // one makes the system call fail.
    work(unsafe { BorrowedFd::borrow_raw(descriptor) })
}

/// Closes a descriptor that PHP has given up, or did not take.
pub(crate) fn close(descriptor: i32) {
    // SAFETY: a number that a program gave with OPT_CLOSE_ON_FREE, or that a listener made for a
    // callback that did not run or threw. A program that has closed its number gets what it gets
    // under PECL. No `OwnedFd`: a debug build aborts where that finds its number closed.
    unsafe { libc::close(descriptor) };
}

/// The PHP value that a descriptor argument was read from.
#[derive(Clone, Copy)]
pub(crate) struct Lender(pub(super) *mut c_void);

/// A count of a PHP value.
pub(crate) struct HeldValue {
    held: *mut c_void,
    /// Whether a stream or Socket is closed when this goes.
    close: Cell<bool>,
}

impl HeldValue {
    pub(crate) fn new(lender: &Lender) -> Self {
        // SAFETY: the value of an argument, which C keeps for the length of the call.
        let held = unsafe { bridge_hold(lender.0) };
        let close = Cell::new(false);
        Self { held, close }
    }

    pub(crate) fn of_object(object: NonNull<RawObject>) -> Self {
        // SAFETY: an object that is there: a call and an identity have no address of any other.
        let held = unsafe { bridge_hold_object(object.as_ptr()) };
        let close = Cell::new(false);
        Self { held, close }
    }
}

impl Drop for HeldValue {
    /// A destructor that throws ends the loop, as a callback does.
    fn drop(&mut self) {
        // SAFETY: what `new` got, given back once.
        let ends_loop = unsafe { bridge_release(self.held, self.close.get()) };
        if ends_loop {
            EventBase::interrupt();
        }
    }
}

/// A descriptor of PHP's, held open by a count of the stream or socket that it belongs to.
pub(crate) struct LentSocket {
    number: RawFd,
    /// Whether it is a bare number, which no stream or Socket would close.
    bare: bool,
    held: HeldValue,
}

impl LentSocket {
    /// None for a dead socket.
    pub(crate) fn new(descriptor: Descriptor, lender: &Lender) -> Option<Self> {
        Some(Self {
            number: descriptor.number()?,
            bare: matches!(descriptor, Descriptor::Number(_)),
            held: HeldValue::new(lender),
        })
    }

    /// Makes something that uses the descriptor. With `close` the stream or Socket, or the bare
    /// number, is closed when the last user goes. Where making it fails, it is left as it was.
    pub(crate) fn lend_to<T>(
        self,
        close: bool,
        make: impl FnOnce(Rc<Self>) -> php_event::Result<T>,
    ) -> php_event::Result<T> {
        let this = Rc::new(self);
        let made = make(Rc::clone(&this))?;
        this.held.close.set(close);
        Ok(made)
    }

    /// Has the stream, Socket or bare number closed when the last user goes.
    pub(crate) fn close_at_end(&self) {
        self.held.close.set(true);
    }
}

impl AsFd for LentSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: not negative, since C refuses such numbers; the held value keeps a stream or
        // socket open, unless the program closes it itself, as `lent_event` says.
        unsafe { BorrowedFd::borrow_raw(self.number) }
    }
}

impl Drop for LentSocket {
    fn drop(&mut self) {
        if self.bare && self.held.close.get() {
            close(self.number);
        }
    }
}

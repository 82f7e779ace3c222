//! What all handles of one listener share, and how it ends.
//!
//! Owns: the `evconnlistener`, its socket, its two closures, and the timer of a pause.
//! Lent to C: one weak count of [`Inner`], from `EventListener::make` to [`Inner::release`].
//! Runs user code: destructors of the socket and of what the closures captured, when
//! nothing is borrowed.
#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::net::SocketAddr;
use std::os::fd::{AsFd, RawFd};
use std::ptr;
use std::rc::Rc;

use super::EventListener;
use crate::error::{Error, Result};
use crate::stream::Stream;
use crate::trampoline::{self, Slot};
use crate::{Event, base, ffi};

pub(super) type Accept = dyn FnMut(&EventListener, Stream, Option<SocketAddr>);
pub(super) type Failure = dyn FnMut(&EventListener);

pub(crate) struct Inner {
    pub(super) raw: Cell<*mut ffi::evconnlistener>, // null once freed
    pub(super) arg: Cell<*mut c_void>,              // the weak count lent to C
    pub(crate) fd: RawFd,
    pub(super) socket: RefCell<Option<Box<dyn AsFd>>>, // keeps `fd` open until freed
    pub(super) pause: RefCell<Option<Event>>,          // ends a pause after a failure
    pub(crate) enabled: Rc<Cell<bool>>, // as libevent has it; a burst looks at it to the end
    pub(super) failing: Cell<bool>,     // a failure was logged, and nothing accepted since
    pub(crate) accept: Slot<Accept>,
    pub(crate) failure: Slot<Failure>,
    pub(crate) blocking: bool,
    pub(crate) base: Rc<base::Inner>, // keeps the base alive longer than `raw`
}

/// What a freed listener leaves.
struct Remains {
    raw: *mut ffi::evconnlistener,
    arg: *mut c_void,
    accept: Option<Box<Accept>>,
    failure: Option<Box<Failure>>,
    socket: Option<Box<dyn AsFd>>,
    pause: Option<Event>,
}

impl Remains {
    fn free(self) {
        // A free inside the accept closure deletes the event only when the closure has
        // returned: the number could be another socket's by then.
        // SAFETY: made by `evconnlistener_new`, and whoever frees it here took it out first.
        unsafe { ffi::evconnlistener_disable(self.raw) };
        // SAFETY: as above; while a callback runs, libevent counts on it to the end of that.
        unsafe { ffi::evconnlistener_free(self.raw) };
        // SAFETY: lent in `make`; a freed listener calls nothing any more.
        unsafe { trampoline::reclaim::<Inner>(self.arg) };
        drop((self.accept, self.failure, self.socket, self.pause));
    }
}

/// A listener that was dropped in a forked child before its base could free it.
impl base::Orphan for Remains {
    fn free(self: Box<Self>, _base: &base::Inner) {
        Remains::free(*self);
    }
}

impl Inner {
    /// The listener for C, if it and its base may be used.
    pub(super) fn usable(&self, call: &'static str) -> Result<*mut ffi::evconnlistener> {
        self.not_freed(call)?;
        self.base.usable(call)?;
        Ok(self.raw.get())
    }

    pub(super) fn not_freed(&self, call: &'static str) -> Result<()> {
        if self.raw.get().is_null() {
            return Err(Error::Freed {
                call,
                object: "listener",
            });
        }
        Ok(())
    }

    /// Notes that a connection was accepted: a later failure is news.
    pub(crate) fn works(&self) {
        self.failing.set(false);
    }

    /// Ends the listener; harmless a second time. In a forked child the base keeps it instead.
    pub(super) fn release(&self) {
        let raw = self.raw.replace(ptr::null_mut());
        if raw.is_null() {
            return;
        }
        let remains = Remains {
            raw,
            arg: self.arg.replace(ptr::null_mut()),
            accept: self.accept.set(None),
            failure: self.failure.set(None),
            socket: self.socket.take(),
            pause: self.pause.take(),
        };
        if self.base.is_foreign() {
            self.base.adopt(Box::new(remains));
        } else {
            self.enabled.set(false);
            remains.free();
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.release();
    }
}

//! What all handles of one listener share, and how it ends.
//!
//! Owns: the `evconnlistener`, its socket, its two closures, and the timer of a pause.
//! Lent to C: one weak count of [`Inner`], until the listener is freed.
//! Runs user code: destructors of the socket and of what the closures captured, when
//! nothing is borrowed.

use std::cell::{Cell, Ref, RefCell};
use std::net::SocketAddr;
use std::os::fd::{AsFd, RawFd};
use std::rc::Rc;

use super::EventListener;
use crate::error::{Error, Result};
use crate::native::evconnlistener::OwnedListener;
use crate::runtime::{Ending, Slot};
use crate::stream::Stream;
use crate::{Event, base};

pub(super) type Accept = dyn FnMut(&EventListener, Stream, Option<SocketAddr>);
pub(super) type Failure = dyn FnMut(&EventListener);

pub(crate) struct Inner {
    pub(super) native: RefCell<Option<OwnedListener<Inner>>>, // none once freed
    pub(super) fd: RawFd,
    pub(super) socket: RefCell<Option<Box<dyn AsFd>>>, // keeps `fd` open until freed
    pub(super) pause: RefCell<Option<Event>>,          // ends a pause after a failure
    pub(super) enabled: Rc<Cell<bool>>, // as libevent has it; outlives a burst of accepts
    pub(super) failing: Cell<bool>,     // a failure was logged, and nothing accepted since
    pub(super) accept: Slot<Accept>,
    pub(super) failure: Slot<Failure>,
    pub(super) blocking: bool,
    pub(super) base: Rc<base::Inner>, // keeps the base alive longer than `native`
}

/// What is left of a listener after its last handle has gone, or after `free`.
struct Remains {
    listener: OwnedListener<Inner>,
    accept: Option<Box<Accept>>,
    failure: Option<Box<Failure>>,
    socket: Option<Box<dyn AsFd>>,
    pause: Option<Event>,
}

impl base::Remains for Remains {
    fn free(self, _base: &base::Inner) {
        let Self {
            listener,
            accept,
            failure,
            socket,
            pause,
        } = self;
        drop(listener); // first: it uses the socket, and may call the closures
        let mut ending = Ending::default();
        ending.drop(accept);
        ending.drop(failure);
        ending.drop(socket);
        ending.drop(pause);
        ending.finish();
    }
}

impl Inner {
    /// The listener, if it and its base may be used. No user code runs while it is borrowed.
    pub(super) fn usable(&self, call: &'static str) -> Result<Ref<'_, OwnedListener<Self>>> {
        let native = self.native(call)?;
        self.base.usable(call)?;
        Ok(native)
    }

    /// The listener, unless it was freed. No user code runs while it is borrowed.
    pub(super) fn native(&self, call: &'static str) -> Result<Ref<'_, OwnedListener<Self>>> {
        let freed = Error::Freed {
            call,
            object: "listener",
        };
        Ref::filter_map(self.native.borrow(), Option::as_ref).map_err(|_none| freed)
    }

    /// Notes that a connection was accepted: the next failure is logged.
    pub(super) fn note_success(&self) {
        self.failing.set(false);
    }

    /// Ends the listener, unless it was freed. In a forked child the base keeps it instead.
    pub(super) fn release(&self) {
        let Some(listener) = self.native.take() else {
            return;
        };
        if !self.base.is_foreign() {
            self.enabled.set(false);
        }
        self.base.end(Remains {
            listener,
            accept: self.accept.set(None),
            failure: self.failure.set(None),
            socket: self.socket.take(),
            pause: self.pause.take(),
        });
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.release();
    }
}

//! The socket of a buffer event.
//!
//! Owns: what the user gave, and so its descriptor. Lends C the descriptor's number.
//! Runs user code: `as_fd`, once, before anything else is done with the socket; the destructor
//! of what the user gave.
#![allow(unsafe_code)]

use std::any::Any;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::rc::Rc;

use socket2::SockRef;

use crate::error::{Error, Result};

/// A socket, and the descriptor that its `as_fd` has named.
pub(crate) struct Source {
    fd: RawFd,
    _owner: Box<dyn Any>,
}

impl Source {
    pub(crate) fn new(owner: impl AsFd + 'static) -> Rc<Self> {
        Rc::new(Self {
            fd: owner.as_fd().as_raw_fd(),
            _owner: Box::new(owner),
        })
    }

    /// Takes the user's socket, and switches it to non-blocking.
    pub(super) fn non_blocking(call: &'static str, owner: impl AsFd + 'static) -> Result<Rc<Self>> {
        let source = Self::new(owner);
        SockRef::from(&*source)
            .set_nonblocking(true)
            .map_err(|error| Error::io(call, error))?;
        Ok(source)
    }

    pub(super) fn fd(&self) -> RawFd {
        self.fd
    }
}

impl AsFd for Source {
    /// Runs no user code: the type that the user gave may answer differently each time.
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: `_owner` has named the descriptor as its own, and keeps it open until it is
        // dropped with `self`.
        unsafe { BorrowedFd::borrow_raw(self.fd) }
    }
}

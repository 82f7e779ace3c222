//! A `close_notify` that finds no room in the socket when its connection ends.
//!
//! Owns nothing, lends C nothing, runs no user code.

use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use super::super::outliving::LastWork;
use crate::buffer::send;
use crate::flags::EventFlags;

/// What is left of the record, which the peer has to get before the socket is closed. If that
/// does not happen, it gets no `close_notify`.
pub(crate) struct UnsentNotify {
    record: Vec<u8>,
    due: Instant,
}

impl UnsentNotify {
    /// Sends a record as far as it goes at once. Returns what is left, if the socket has no room
    /// for it now. It may wait for room for as long as `limit`.
    pub(crate) fn of(record: Vec<u8>, socket: BorrowedFd<'_>, limit: Duration) -> Option<Self> {
        let due = Instant::now().checked_add(limit)?;
        Self { record, due }.proceed(socket)
    }
}

impl LastWork for UnsentNotify {
    fn waits_for(&self) -> EventFlags {
        EventFlags::WRITE
    }

    fn due(&self) -> Instant {
        self.due
    }

    fn proceed(mut self, socket: BorrowedFd<'_>) -> Option<Self> {
        while !self.record.is_empty() {
            match send(socket, &[IoSlice::new(&self.record)]) {
                Ok(sent) => drop(self.record.drain(..sent)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Some(self),
                Err(_) => return None, // the peer has closed
            }
        }
        None
    }
}

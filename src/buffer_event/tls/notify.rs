//! A `close_notify` that finds no room in the socket when its connection ends.
//!
//! Owns nothing, lends C nothing, runs no user code.

use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;

use super::super::outliving::LastWork;
use crate::buffer::send;
use crate::flags::EventFlags;

/// What is left of the record, which the peer has to get before the socket is closed. If that
/// does not happen, it gets no `close_notify`.
pub(crate) struct UnsentNotify(Vec<u8>);

impl UnsentNotify {
    /// Sends a record as far as it goes at once. Returns what is left, if the socket has no room
    /// for it now.
    pub(crate) fn of(mut record: Vec<u8>, socket: BorrowedFd<'_>) -> Option<Self> {
        while !record.is_empty() {
            match send(socket, &[IoSlice::new(&record)]) {
                Ok(sent) => drop(record.drain(..sent)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Some(Self(record));
                }
                Err(_) => return None, // the peer has closed
            }
        }
        None
    }
}

impl LastWork for UnsentNotify {
    const WAITS_FOR: EventFlags = EventFlags::WRITE;

    fn proceed(self, socket: BorrowedFd<'_>) -> Option<Self> {
        Self::of(self.0, socket)
    }
}

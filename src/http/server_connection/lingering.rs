//! A server's connection that ends while its peer may still be sending.
//!
//! A socket that is closed with unread bytes, or that gets more of them afterwards, resets the
//! connection, and the reset can overtake the answer (RFC 9112 section 9.6). So the server ends
//! its writing side only, and reads on for a while.
//!
//! Owns nothing, lends C nothing, runs no user code.

use std::io::{ErrorKind, Read};
use std::net::Shutdown;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use socket2::SockRef;

use crate::buffer_event::outliving::LastWork;
use crate::flags::EventFlags;

/// For how long the peer may go on.
pub(super) const LINGERING_MAX: Duration = Duration::from_secs(5);

/// How much is read in one turn of the loop, at most.
const READS_MAX: usize = 16;

/// Reads and drops what comes, until the peer ends.
pub(super) struct Lingering;

impl Lingering {
    /// Ends the writing side. Returns nothing if the peer has ended, too.
    pub(super) fn begin(socket: BorrowedFd<'_>) -> Option<Self> {
        SockRef::from(&socket).shutdown(Shutdown::Write).ok()?;
        Self.proceed(socket)
    }
}

impl LastWork for Lingering {
    const WAITS_FOR: EventFlags = EventFlags::READ;

    fn proceed(self, socket: BorrowedFd<'_>) -> Option<Self> {
        let mut dropped = [0; 4096];
        for _ in 0..READS_MAX {
            match (&*SockRef::from(&socket)).read(&mut dropped) {
                Ok(1..) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => return None,
            }
        }
        Some(self)
    }
}

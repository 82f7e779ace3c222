//! How a server's connection ends whose peer may still be sending.
//!
//! A socket that is closed with unread bytes, or that gets more of them afterwards, resets the
//! connection, and the reset can overtake the answer (RFC 9112 section 9.6). So the server ends
//! its writing side only, and reads on for a while. A TLS peer is told first that no more comes.
//!
//! Owns nothing, lends C nothing, runs no user code.

use std::io::{ErrorKind, Read};
use std::net::Shutdown;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use socket2::SockRef;

#[cfg(feature = "openssl")]
use crate::buffer_event::UnsentNotify;
use crate::buffer_event::outliving::LastWork;
use crate::flags::EventFlags;

/// For how long the peer may go on.
pub(super) const LINGERING_MAX: Duration = Duration::from_secs(5);

/// How much is read in one turn of the loop, at most.
const READS_MAX: usize = 16;

/// What is left to do when the connection has ended.
pub(super) enum Ending {
    /// Has a `close_notify` to send, and then perhaps lingers.
    #[cfg(feature = "openssl")]
    Telling {
        notify: UnsentNotify,
        lingers: Option<Duration>,
    },
    /// Reads and drops what comes, until the peer ends.
    Lingering { due: Instant },
}

impl Ending {
    /// Ends the writing side, and drops what has come. Returns nothing if the peer has ended, too.
    pub(super) fn lingering(socket: BorrowedFd<'_>, limit: Duration) -> Option<Self> {
        SockRef::from(&socket).shutdown(Shutdown::Write).ok()?;
        let due = Instant::now().checked_add(limit)?;
        drop_input(socket).then_some(Self::Lingering { due })
    }
}

impl LastWork for Ending {
    fn waits_for(&self) -> EventFlags {
        match self {
            #[cfg(feature = "openssl")]
            Self::Telling { notify, .. } => notify.waits_for(),
            Self::Lingering { .. } => EventFlags::READ,
        }
    }

    fn due(&self) -> Instant {
        match self {
            #[cfg(feature = "openssl")]
            Self::Telling { notify, .. } => notify.due(),
            Self::Lingering { due } => *due,
        }
    }

    fn proceed(self, socket: BorrowedFd<'_>) -> Option<Self> {
        match self {
            #[cfg(feature = "openssl")]
            Self::Telling { notify, lingers } => match notify.proceed(socket) {
                Some(notify) => Some(Self::Telling { notify, lingers }),
                None => Self::lingering(socket, lingers?),
            },
            Self::Lingering { .. } => drop_input(socket).then_some(self),
        }
    }
}

/// Drops what has come. Returns whether the peer has not ended.
fn drop_input(socket: BorrowedFd<'_>) -> bool {
    let mut dropped = [0; 4096];
    for _ in 0..READS_MAX {
        match (&*SockRef::from(&socket)).read(&mut dropped) {
            Ok(1..) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => return false,
        }
    }
    true
}

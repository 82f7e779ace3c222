//! PHP's streams, as far as socket programs use them, under PHP's names.
//!
//! Owns: the descriptor of each [`Stream`], which closes with the last handle or event that
//! holds the stream; the count of resource numbers.
//! Lent to C: nothing. Runs no user code.
//!
//! Descriptors never block. A stream that blocks, as PHP's do at first, waits with `poll` in
//! [`fread`], [`fwrite`] and [`stream_socket_accept`].

mod context;
mod files;
mod sockets;

use std::cell::Cell;
use std::fmt;
use std::io::{self, IoSlice, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::Socket;

pub use context::{ContextOptions, StreamContext, stream_context_create};
pub use files::{READ_MAX, fclose, feof, fread, fwrite, stream_set_blocking, stream_set_timeout};
pub use sockets::{
    stream_socket_accept, stream_socket_client, stream_socket_get_name, stream_socket_pair,
    stream_socket_server, stream_socket_servers, stream_socket_shutdown,
};

use crate::error::{Error, Result};
use crate::process;

/// How long a blocking read or write waits until [`stream_set_timeout`] says otherwise.
///
/// PHP: `default_socket_timeout`.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// The first resource number after those of the standard streams.
static NEXT_ID: AtomicU64 = AtomicU64::new(4);

fn next_id() -> u64 {
    NEXT_ID.fetch_add(1, Ordering::Relaxed)
}

/// A socket, listening or connected, as PHP's stream resource.
///
/// A handle is counted: a clone is the same stream. The descriptor closes with the last
/// handle or event that holds it. `Stream` and `&Stream` are [`Read`] and [`Write`].
///
/// # Examples
/// ```
/// use php_event::stream::{fread, fwrite, stream_socket_pair};
///
/// let (one, other) = stream_socket_pair()?;
/// fwrite(&one, "hello")?;
/// assert_eq!(fread(&other, 100)?, b"hello");
/// # Ok::<(), php_event::EventException>(())
/// ```
/// A stream is read and written like any other in Rust:
/// ```
/// use std::io::{BufRead, BufReader, Write};
/// use php_event::stream::stream_socket_pair;
///
/// let (mut one, other) = stream_socket_pair()?;
/// writeln!(one, "hello")?;
/// let mut line = String::new();
/// BufReader::new(other).read_line(&mut line)?;
/// assert_eq!(line, "hello\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
#[must_use = "a stream closes when its last handle is dropped"]
pub struct Stream(Rc<Inner>);

struct Inner {
    socket: Socket,
    id: u64,
    generation: u32,
    role: Role,
    state: Cell<State>,
    blocking: Cell<bool>,
    timeout: Cell<Timeout>,
}

/// How long reads and writes wait, in whole milliseconds: every stream has one, and few use it.
#[derive(Clone, Copy)]
struct Timeout(u32);

impl From<Duration> for Timeout {
    /// Rounds up. What is too long for the number has no end.
    fn from(time: Duration) -> Self {
        let milliseconds = time.as_nanos().div_ceil(1_000_000);
        Self(u32::try_from(milliseconds).unwrap_or(u32::MAX))
    }
}

impl From<Timeout> for Duration {
    fn from(Timeout(milliseconds): Timeout) -> Self {
        match milliseconds {
            u32::MAX => Self::MAX,
            milliseconds => Self::from_millis(milliseconds.into()),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// A read met the end.
    Ended,
    /// [`fclose`] was called.
    Closed,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Listener,
    Connection,
}

impl Stream {
    fn new(socket: Socket, role: Role) -> Self {
        Self(Rc::new(Inner {
            socket,
            id: next_id(),
            generation: process::generation(),
            role,
            state: Cell::new(State::Open),
            blocking: Cell::new(true),
            timeout: Cell::new(DEFAULT_TIMEOUT.into()),
        }))
    }

    /// Makes a stream of a given socket. It blocks at first.
    pub(crate) fn own(socket: OwnedFd) -> io::Result<Self> {
        let socket = Socket::from(socket);
        let listens = socket.is_listener()?;
        socket.set_nonblocking(true)?;
        let role = if listens {
            Role::Listener
        } else {
            Role::Connection
        };
        Ok(Self::new(socket, role))
    }

    /// Makes a stream of an accepted connection whose descriptor does not block.
    pub(crate) fn accepted(socket: OwnedFd, blocking: bool) -> Self {
        let stream = Self::new(socket.into(), Role::Connection);
        stream.0.blocking.set(blocking);
        stream
    }

    /// PHP's `(int)$stream`: a resource number, counted up in each process and never used
    /// twice.
    ///
    /// # Examples
    /// ```
    /// use php_event::stream::stream_socket_pair;
    /// let (one, other) = stream_socket_pair()?;
    /// assert!(one.id() < other.id());
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[must_use]
    pub fn id(&self) -> u64 {
        self.0.id
    }

    /// Takes the descriptor out of the stream, for a binding to another language or another
    /// library. It does not block, whatever [`stream_set_blocking`] said.
    ///
    /// Beyond PHP. [`EventUtil::create_socket`](crate::EventUtil::create_socket) makes a stream
    /// of a descriptor.
    ///
    /// # Errors
    /// The stream itself, while another handle or an event holds it, too, and after
    /// [`fclose`].
    ///
    /// # Examples
    /// ```
    /// use php_event::stream::{fwrite, stream_socket_pair};
    /// use std::{io::Read, os::unix::net::UnixStream};
    ///
    /// let (one, other) = stream_socket_pair()?;
    /// let clone = one.clone();
    /// let one = one.into_fd().unwrap_err(); // `clone` holds it, too
    /// drop(clone);
    /// let mut one = UnixStream::from(one.into_fd().unwrap());
    /// fwrite(&other, "hello")?;
    /// let mut bytes = [0; 5];
    /// one.read_exact(&mut bytes)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_fd(self) -> Result<OwnedFd, Self> {
        if self.0.state.get() == State::Closed {
            return Err(self);
        }
        match Rc::try_unwrap(self.0) {
            Ok(inner) => Ok(inner.socket.into()),
            Err(shared) => Err(Self(shared)),
        }
    }

    fn open(&self, call: &'static str) -> Result<&Socket> {
        if self.0.state.get() == State::Closed {
            Err(Error::Freed {
                call,
                object: "stream",
            })
        } else {
            Ok(&self.0.socket)
        }
    }

    /// Waits for `flags`, no longer than `timeout`.
    fn wait(&self, flags: PollFlags, timeout: Duration) -> io::Result<()> {
        let until = Instant::now().checked_add(timeout);
        loop {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let left = left.map_or(PollTimeout::NONE, |left| {
                PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
            });
            match poll(&mut [PollFd::new(self.as_fd(), flags)], left) {
                Ok(0) if until.is_some_and(|until| Instant::now() >= until) => {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                Ok(0) | Err(nix::errno::Errno::EINTR) => {}
                Ok(_) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Does `work`. On a blocking stream it waits for `flags` where that would block.
    fn retry<T>(
        &self,
        flags: PollFlags,
        mut work: impl FnMut(&Socket) -> io::Result<T>,
    ) -> io::Result<T> {
        let socket = self.open("stream")?;
        loop {
            match work(socket) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error)
                    if error.kind() == io::ErrorKind::WouldBlock && self.0.blocking.get() =>
                {
                    self.wait(flags, self.0.timeout.get().into())?;
                }
                result => return result,
            }
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.socket.as_fd()
    }
}

impl Read for &Stream {
    /// One read from the descriptor; 0 is the end of the stream.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.retry(PollFlags::POLLIN, |mut socket| socket.read(buffer))?;
        let ended = n == 0 && !buffer.is_empty();
        self.0
            .state
            .set(if ended { State::Ended } else { State::Open });
        Ok(n)
    }
}

impl Write for &Stream {
    /// One write to the descriptor. A peer that is gone is an error, never a signal.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.retry(PollFlags::POLLOUT, |socket| {
            socket.send_with_flags(bytes, libc::MSG_NOSIGNAL)
        })
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.retry(PollFlags::POLLOUT, |socket| {
            socket.send_vectored_with_flags(slices, libc::MSG_NOSIGNAL)
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Stream {
    /// As for `&Stream`.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buffer)
    }
}

impl Write for Stream {
    /// As for `&Stream`.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self).write(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        (&*self).write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("id", &self.0.id)
            .field("fd", &self.0.socket.as_raw_fd())
            .field("closed", &(self.0.state.get() == State::Closed))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_takes_three_words_beside_its_counts() {
        assert_eq!(size_of::<Inner>(), 3 * size_of::<u64>());
    }

    #[test]
    fn a_timeout_is_rounded_up_to_milliseconds_and_a_long_one_has_no_end() {
        let kept = |time: Duration| Duration::from(Timeout::from(time));
        assert_eq!(kept(Duration::ZERO), Duration::ZERO);
        assert_eq!(kept(Duration::from_nanos(1)), Duration::from_millis(1));
        assert_eq!(kept(Duration::from_micros(1001)), Duration::from_millis(2));
        assert_eq!(kept(DEFAULT_TIMEOUT), DEFAULT_TIMEOUT);
        let longest = Duration::from_millis(u64::from(u32::MAX) - 1);
        assert_eq!(kept(longest), longest);
        let longer = longest + Duration::from_nanos(1);
        assert_eq!([kept(longer), kept(Duration::MAX)], [Duration::MAX; 2]);
    }
}

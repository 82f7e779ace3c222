//! PHP's functions on streams as files: reading, writing, closing.

use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::time::Duration;

use super::{Role, State, Stream};
use crate::error::{Error, Result};
use crate::process;

/// The most that one [`fread`] takes: 16 MiB.
pub const READ_MAX: usize = 16 << 20;

/// Reads up to `length` bytes in one read. An empty result is the end of the stream.
///
/// PHP: `fread`, which returns `""` both at the end and when nothing has arrived, reads at
/// most 8192 bytes, and keeps a buffer that events do not see. This keeps no buffer. On a
/// stream that does not block, do not take `WouldBlock` for the end.
///
/// # Errors
/// [`Error::Io`] of kind `WouldBlock` when nothing has arrived on a stream that does not
/// block, `TimedOut` on one that does, `ConnectionReset` when the peer reset the connection;
/// [`Error::Argument`] for a length of 0; [`Error::Freed`] after [`fclose`].
///
/// # Examples
/// ```
/// # use php_event::stream::{fread, fwrite, stream_socket_pair};
/// let (one, other) = stream_socket_pair()?;
/// fwrite(&one, "hello")?;
/// assert_eq!(fread(&other, 100)?, b"hello");
/// # Ok::<(), php_event::EventException>(())
/// ```
pub fn fread(stream: &Stream, length: usize) -> Result<Vec<u8>> {
    const CALL: &str = "fread";
    stream.open(CALL)?;
    if length == 0 {
        return Err(Error::argument(
            CALL,
            "a length of 0 reads nothing; give 1 or more",
        ));
    }
    let mut bytes = vec![0; length.min(READ_MAX)];
    let mut source = stream;
    let n = source
        .read(&mut bytes)
        .map_err(|error| Error::io(CALL, error))?;
    bytes.truncate(n);
    bytes.shrink_to_fit();
    Ok(bytes)
}

/// Writes bytes and returns how many were written: all of them on a stream that blocks, as
/// many as there was room for on one that does not.
///
/// PHP: `fwrite`, which returns 0 when there is no room.
///
/// # Errors
/// [`Error::Io`] of kind `WouldBlock` when there is no room, `BrokenPipe` or
/// `ConnectionReset` when the peer is gone; [`Error::Freed`] after [`fclose`].
///
/// # Examples
/// ```
/// # use php_event::stream::{fwrite, stream_socket_pair};
/// let (one, _other) = stream_socket_pair()?;
/// assert_eq!(fwrite(&one, "hello")?, 5);
/// # Ok::<(), php_event::EventException>(())
/// ```
pub fn fwrite(stream: &Stream, data: impl AsRef<[u8]>) -> Result<usize> {
    const CALL: &str = "fwrite";
    stream.open(CALL)?;
    let (data, mut target) = (data.as_ref(), stream);
    if data.is_empty() {
        return Ok(0);
    }
    let written = if stream.0.blocking.get() {
        target.write_all(data).map(|()| data.len())
    } else {
        target.write(data)
    };
    written.map_err(|error| Error::io(CALL, error))
}

/// Whether the stream is at its end: the peer has closed it and nothing is left to read, or
/// it was closed here. A listener never is. Does not block.
///
/// PHP: `feof`, which throws after [`fclose`].
///
/// # Examples
/// ```
/// # use php_event::stream::{fclose, feof, stream_socket_pair};
/// let (one, other) = stream_socket_pair()?;
/// assert!(!feof(&other));
/// fclose(&one)?;
/// assert!(feof(&other));
/// # Ok::<(), php_event::EventException>(())
/// ```
#[must_use]
pub fn feof(stream: &Stream) -> bool {
    let inner = &stream.0;
    if inner.state.get() != State::Open {
        return true;
    }
    if inner.role != Role::Connection {
        return false;
    }
    match inner.socket.peek(&mut [MaybeUninit::uninit()]) {
        Ok(n) => n == 0,
        Err(error) => !matches!(
            error.kind(),
            io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
        ),
    }
}

/// Closes a stream for all of its handles: the peer sees the end, and reads, writes and a
/// second close return [`Error::Freed`]. The descriptor's number is released with the last
/// handle or event that holds the stream, so that no event watches a reused number. An event
/// that watches the stream fires again; delete it then.
///
/// A listener, or a connection made before a fork, is only released, since a shutdown would
/// end it in the other process too.
///
/// PHP: `fclose`.
///
/// # Errors
/// [`Error::Freed`] the second time.
///
/// # Examples
/// ```
/// # use php_event::stream::{fclose, fwrite, stream_socket_pair};
/// let (one, _other) = stream_socket_pair()?;
/// fclose(&one)?;
/// assert!(fwrite(&one, "more").is_err());
/// # Ok::<(), php_event::EventException>(())
/// ```
pub fn fclose(stream: &Stream) -> Result<()> {
    let socket = stream.open("fclose")?;
    stream.0.state.set(State::Closed);
    if stream.0.role == Role::Connection && stream.0.generation == process::generation() {
        socket.shutdown(Shutdown::Both).ok(); // it fails when the connection has ended already
    }
    Ok(())
}

/// Sets whether reads and writes block, which they do at first.
///
/// PHP: `stream_set_blocking`. Unlike PHP's, it needs no system call.
///
/// # Errors
/// [`Error::Freed`] after [`fclose`].
///
/// # Examples
/// ```
/// # use php_event::stream::{stream_set_blocking, stream_socket_pair};
/// let (one, _other) = stream_socket_pair()?;
/// stream_set_blocking(&one, false)?;
/// # Ok::<(), php_event::EventException>(())
/// ```
pub fn stream_set_blocking(stream: &Stream, enable: bool) -> Result<()> {
    stream.open("stream_set_blocking")?;
    stream.0.blocking.set(enable);
    Ok(())
}

/// Sets how long a read or write of a blocking stream waits.
/// [`DEFAULT_TIMEOUT`](super::DEFAULT_TIMEOUT) applies at first. A part of a millisecond counts as a
/// whole one, and 50 days or more as no limit.
///
/// PHP: `stream_set_timeout`.
///
/// # Errors
/// [`Error::Freed`] after [`fclose`].
///
/// # Examples
/// ```
/// # use php_event::stream::{stream_set_timeout, stream_socket_pair};
/// let (one, _other) = stream_socket_pair()?;
/// stream_set_timeout(&one, std::time::Duration::from_secs(5))?;
/// # Ok::<(), php_event::EventException>(())
/// ```
pub fn stream_set_timeout(stream: &Stream, timeout: Duration) -> Result<()> {
    stream.open("stream_set_timeout")?;
    stream.0.timeout.set(timeout.into());
    Ok(())
}

//! Reading from and writing to descriptors, and Rust's `Read` and `Write`.
//!
//! Owns nothing, lends C nothing. Runs user code: `as_fd` of a user's type, before the buffer is
//! looked at; and as `buffer`.

use std::ffi::c_int;
use std::io::{self, IoSlice, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};

use socket2::SockRef;

use php_event_macros::php;

use super::EventBuffer;
use crate::error::{Error, Result};
use crate::native::evbuffer::End;

/// The most that libevent reads at once.
const READ_MAX: c_int = 4096;

impl EventBuffer {
    /// Writes up to `howmuch` bytes from the front to a descriptor and removes them from the
    /// buffer; `None` writes all. Returns how many were written: one system call may write fewer.
    /// An empty buffer writes none.
    ///
    /// Writing to a socket whose peer is gone is an error and raises no signal. A pipe without a
    /// reader raises `SIGPIPE`, which programs with a Rust `main` ignore.
    ///
    /// libevent: `evbuffer_write_atmost`, with `MSG_NOSIGNAL` for sockets.
    ///
    /// # Errors
    /// [`Error::Io`] of kind `WouldBlock` when there is no room, `BrokenPipe` or
    /// `ConnectionReset` when the peer is gone, or another system error; [`Error::State`] when
    /// the front is frozen. The buffer is unchanged then.
    ///
    /// # Examples
    /// ```
    /// use php_event::EventBuffer;
    /// use std::io::Read;
    /// use std::os::unix::net::UnixStream;
    ///
    /// let (ours, mut theirs) = UnixStream::pair()?;
    /// let buffer = EventBuffer::new()?;
    /// buffer.add("hello")?;
    /// assert_eq!(buffer.write(&ours, Some(4))?, 4);
    /// assert_eq!(buffer.length(), 1);
    /// let mut got = [0; 4];
    /// theirs.read_exact(&mut got)?;
    /// assert_eq!(&got, b"hell");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[php(
        "EventBuffer::write",
        php_note = ", which answers false when nothing was written"
    )]
    #[doc(alias = "evbuffer_write", alias = "evbuffer_write_atmost")]
    pub fn write(&self, fd: impl AsFd, howmuch: Option<usize>) -> Result<usize> {
        let fd = fd.as_fd();
        let max = howmuch.unwrap_or(usize::MAX);
        self.change_bytes(CALL, |view| view.write_with(max, |slices| send(fd, slices)))
    }

    /// Reads once from a descriptor and adds the bytes at the end: up to `howmuch`, and never
    /// more than 4096. Returns how many, 0 at the end of the file.
    ///
    /// # Errors
    /// [`Error::Io`] of kind `WouldBlock` when there is nothing to read yet, or another system
    /// error; [`Error::State`] when the end is frozen.
    ///
    /// # Examples
    /// ```
    /// use php_event::EventBuffer;
    /// use std::io::Write;
    /// use std::os::unix::net::UnixStream;
    ///
    /// let (ours, mut theirs) = UnixStream::pair()?;
    /// ours.set_nonblocking(true)?;
    /// let buffer = EventBuffer::new()?;
    /// let error = buffer.read_from(&ours, None).unwrap_err();
    /// assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
    /// theirs.write_all(b"hello")?;
    /// assert_eq!(buffer.read_from(&ours, None)?, 5);
    /// drop(theirs);
    /// assert_eq!(buffer.read_from(&ours, None)?, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[php(
        "EventBuffer::readFrom",
        php_note = ", with the same limit",
        c = "evbuffer_read"
    )]
    pub fn read_from(&self, fd: impl AsFd, howmuch: Option<usize>) -> Result<usize> {
        let fd = fd.as_fd();
        let howmuch = howmuch.map_or(READ_MAX, |howmuch| {
            c_int::try_from(howmuch).unwrap_or(READ_MAX)
        });
        loop {
            let read = self.change(CALL, |view| {
                if howmuch == 0 {
                    return Ok(Ok(0));
                }
                view.unfrozen(End::Back)?;
                Ok(view.read_from(fd, howmuch))
            })?;
            match read {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result.map_err(|error| Error::io(CALL, error)),
            }
        }
    }
}

/// One write, to a socket without `SIGPIPE`.
pub(crate) fn send(fd: BorrowedFd<'_>, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    loop {
        let sent = SockRef::from(&fd).send_vectored_with_flags(slices, libc::MSG_NOSIGNAL);
        let sent = match sent {
            Err(error) if error.raw_os_error() == Some(libc::ENOTSOCK) => {
                nix::sys::uio::writev(fd, slices).map_err(io::Error::from)
            }
            sent => sent,
        };
        match sent {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

impl Read for &EventBuffer {
    /// Takes bytes from the front; 0 means that the buffer is empty.
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let taken = self.change_bytes("EventBuffer::read", |view| {
            if bytes.is_empty() || view.length() == 0 {
                return Ok(0);
            }
            view.take_into(bytes)
        })?;
        Ok(taken)
    }
}

impl Write for &EventBuffer {
    /// Adds all of the bytes at the end.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.add(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

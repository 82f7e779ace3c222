//! From and to descriptors, and Rust's `Read` and `Write`.
//!
//! Owns, lends to C: nothing. Runs user code: as `buffer`.

use std::ffi::c_int;
use std::io::{self, IoSlice, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};

use socket2::SockRef;

use super::read::clip;
use super::{End, EventBuffer};
use crate::error::{Error, Result};

/// How many chunks one [`EventBuffer::write`] takes, as in libevent.
const CHUNKS_MAX: usize = 128;

/// libevent reads no more at once.
const READ_MAX: c_int = 4096;

impl EventBuffer {
    /// Writes up to `howmuch` bytes from the front to a descriptor, `None` is all, and takes
    /// away those that went; tells how many. It is one write, so it may be fewer. None go
    /// from an empty buffer.
    ///
    /// A socket whose peer is gone is an error, never a signal. A pipe without a reader raises
    /// `SIGPIPE`, as it does everywhere in Rust, which ignores it in programs with a `main` of
    /// Rust.
    ///
    /// PHP: `EventBuffer::write`, which answers false where nothing went.
    /// libevent: `evbuffer_write_atmost`; here the socket is told to raise no signal.
    ///
    /// # Errors
    /// [`Error::Io`] of kind `WouldBlock` when there is no room, `BrokenPipe` or
    /// `ConnectionReset` when the peer is gone, and as the system says; [`Error::State`] when
    /// the front is frozen. The buffer is as before then.
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
    #[doc(
        alias = "EventBuffer::write",
        alias = "evbuffer_write",
        alias = "evbuffer_write_atmost"
    )]
    pub fn write(&self, fd: impl AsFd, howmuch: Option<usize>) -> Result<usize> {
        const CALL: &str = "EventBuffer::write";
        let fd = fd.as_fd();
        self.native(CALL, |buffer| {
            let mut left = howmuch.unwrap_or(usize::MAX);
            let mut slices = Vec::new();
            for chunk in buffer.chunks(0).take(CHUNKS_MAX) {
                let part = clip(chunk, left);
                if part.is_empty() {
                    break;
                }
                left -= part.len();
                slices.push(IoSlice::new(part));
            }
            if slices.is_empty() {
                return Ok(0);
            }
            buffer.unfrozen(End::Front)?;
            let n = send(fd, &slices).map_err(|error| Error::io(CALL, error))?;
            buffer.drain(n)?;
            Ok(n)
        })
    }

    /// Reads once from a descriptor and adds the bytes at the end, up to `howmuch` and never
    /// more than 4096; tells how many, and 0 at the end of the file.
    ///
    /// PHP: `EventBuffer::readFrom`, with the same limit. libevent: `evbuffer_read`.
    ///
    /// # Errors
    /// [`Error::Io`] of kind `WouldBlock` when nothing has come yet, and as the system says;
    /// [`Error::State`] when the end is frozen.
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
    #[doc(alias = "EventBuffer::readFrom", alias = "evbuffer_read")]
    pub fn read_from(&self, fd: impl AsFd, howmuch: Option<usize>) -> Result<usize> {
        const CALL: &str = "EventBuffer::readFrom";
        let fd = fd.as_fd();
        let howmuch = howmuch.map_or(READ_MAX, |howmuch| {
            c_int::try_from(howmuch).unwrap_or(READ_MAX)
        });
        loop {
            let read = self.native_files(CALL, |buffer| {
                if howmuch == 0 {
                    return Ok(Ok(0));
                }
                buffer.unfrozen(End::Back)?;
                Ok(buffer.read_from(fd, howmuch))
            })?;
            match read {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result.map_err(|error| Error::io(CALL, error)),
            }
        }
    }
}

fn send(fd: BorrowedFd<'_>, slices: &[IoSlice<'_>]) -> io::Result<usize> {
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
    /// Takes bytes from the front; none is the end of what is there now.
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let taken = self.native("EventBuffer::read", |buffer| {
            if bytes.is_empty() || buffer.length() == 0 {
                return Ok(0);
            }
            buffer.unfrozen(End::Front)?;
            let mut taken = 0;
            for chunk in buffer.chunks(0) {
                let (_, room) = bytes.split_at_mut(taken);
                if room.is_empty() {
                    break;
                }
                let part = clip(chunk, room.len());
                let (room, _) = room.split_at_mut(part.len());
                room.copy_from_slice(part);
                taken += part.len();
            }
            buffer.drain(taken)?;
            Ok(taken)
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

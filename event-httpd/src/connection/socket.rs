//! The socket of a connection.
//!
//! The library's `Stream` counts its handles, and so lies in memory of its own. A connection is
//! counted itself, and is the only one that has its socket.

use std::io::{self, IoSlice, Read, Write};
use std::net::{IpAddr, Shutdown};
use std::os::fd::{AsFd, BorrowedFd};

use php_event::stream::Stream;
use php_event::{Error, Result};

/// A connected socket, which does not block, and the number of the stream that it was.
#[derive(Debug)]
pub(super) struct Socket {
    socket: socket2::Socket,
    id: u64,
}

impl Socket {
    /// Takes the socket out of a stream.
    ///
    /// # Errors
    /// [`Error::State`] while the stream has another handle.
    pub(super) fn of(stream: Stream) -> Result<Self> {
        let id = stream.id();
        let fd = stream.into_fd().map_err(|_shared| Error::State {
            call: "Stream::into_fd",
            reason: "the stream has another handle",
        })?;
        let socket = fd.into();
        Ok(Self { socket, id })
    }

    /// The stream's number.
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// The address of the peer; `None` on a unix socket.
    pub(super) fn address(&self) -> Option<IpAddr> {
        Some(self.socket.peer_addr().ok()?.as_socket()?.ip())
    }

    /// The peer's address and port, or its path; `None` without either.
    pub(super) fn peer(&self) -> Option<String> {
        let address = self.socket.peer_addr().ok()?;
        match address.as_socket() {
            Some(address) => Some(address.to_string()),
            None => Some(address.as_pathname()?.to_str()?.to_owned()),
        }
    }

    /// Tells the peer that nothing more is sent.
    pub(super) fn end_writing(&self) -> io::Result<()> {
        self.socket.shutdown(Shutdown::Write)
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Read for &Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        uninterrupted(|| (&self.socket).read(buffer))
    }
}

impl Write for &Socket {
    /// A peer that is gone is an error, never a signal.
    #[inline(always)] // a tenth of a delivery is the call
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        uninterrupted(|| self.socket.send_with_flags(bytes, libc::MSG_NOSIGNAL))
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let flags = libc::MSG_NOSIGNAL;
        uninterrupted(|| self.socket.send_vectored_with_flags(slices, flags))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Does `call`, again where a signal has interrupted it.
fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use php_event::stream::stream_socket_pair;

    #[test]
    fn a_stream_with_another_handle_keeps_its_socket() {
        let (one, mut other) = stream_socket_pair().unwrap();
        let clone = one.clone();
        let id = one.id();
        let error = Socket::of(one).unwrap_err();
        assert!(matches!(error, Error::State { .. }), "{error}");
        let socket = Socket::of(clone).unwrap();
        assert_eq!(socket.id(), id);
        (&socket).write_all(b"hello").unwrap();
        let mut bytes = [0; 5];
        other.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"hello");
        drop(socket); // closes it
        assert_eq!(other.read(&mut bytes).unwrap(), 0);
    }
}

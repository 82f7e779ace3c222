//! Standard output and standard error, written without waiting for whoever reads them.
//!
//! A pipe or terminal is opened a second time, as non-blocking: the flag of the inherited
//! descriptor belongs to other processes too. A socket is written with `MSG_DONTWAIT`. Where
//! neither is possible, the descriptor is polled before each write, which may still block when
//! another process fills the pipe between the two. Files and other devices do not block.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Write as _};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::SockRef;

/// The most bytes of a write to a polled descriptor: a pipe with room takes them at once.
const ATOMIC: usize = 4096;

/// An output that never makes its writer wait.
#[derive(Debug)]
pub(crate) struct Output {
    file: File,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Writing does not block.
    Direct,
    /// A socket.
    Socket,
    /// May block: polled first.
    Polled,
}

impl Output {
    /// An output on a standard stream of this process.
    ///
    /// # Errors
    /// The system's, when no descriptor is left.
    pub(crate) fn new(stream: &(impl AsFd + IsTerminal)) -> io::Result<Self> {
        let fd: OwnedFd = stream.as_fd().try_clone_to_owned()?;
        let path = format!("/proc/self/fd/{}", stream.as_fd().as_raw_fd());
        let file = File::from(fd);
        let kind = file.metadata()?.file_type();
        if kind.is_socket() {
            return Ok(Self {
                file,
                kind: Kind::Socket,
            });
        }
        if !kind.is_fifo() && !stream.is_terminal() {
            return Ok(Self {
                file,
                kind: Kind::Direct,
            });
        }
        let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
        let opened = OpenOptions::new()
            .write(true)
            .custom_flags(flags)
            .open(path);
        Ok(match opened {
            Ok(file) => Self {
                file,
                kind: Kind::Direct,
            },
            Err(_) => Self {
                file,
                kind: Kind::Polled,
            },
        })
    }

    /// Writes as much as there is room for now.
    ///
    /// # Errors
    /// `WouldBlock` when there is no room; else the system's.
    pub(crate) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            let written = match self.kind {
                Kind::Direct => (&self.file).write(bytes),
                Kind::Socket => SockRef::from(&self.file)
                    .send_with_flags(bytes, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL),
                Kind::Polled if self.has_room() => {
                    (&self.file).write(bytes.get(..ATOMIC).unwrap_or(bytes))
                }
                Kind::Polled => Err(io::ErrorKind::WouldBlock.into()),
            };
            match written {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                written => return written,
            }
        }
    }

    /// Writes until there is no room, and returns how much was written.
    ///
    /// # Errors
    /// The system's, except `WouldBlock`.
    pub(crate) fn write_some(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.try_write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(bytes.len() - rest.len())
    }

    fn has_room(&self) -> bool {
        self.wait(PollTimeout::ZERO)
    }

    /// Waits until there is room. False when the time is over. An output that fails has room:
    /// writing reports it.
    pub(crate) fn wait(&self, time: PollTimeout) -> bool {
        let mut polled = [PollFd::new(self.file.as_fd(), PollFlags::POLLOUT)];
        poll(&mut polled, time).map_or(true, |ready| ready > 0)
    }
}

impl AsFd for Output {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_full_pipe_or_socket_takes_what_fits_and_then_nothing() {
        let (_reader, writer) = io::pipe().unwrap();
        let (_peer, socket) = UnixStream::pair().unwrap();
        let bytes = vec![b'x'; 4 << 20];
        for fd in [OwnedFd::from(writer), OwnedFd::from(socket)] {
            let output = Output::new(&File::from(fd)).unwrap();
            assert_ne!(output.kind, Kind::Polled);
            let taken = output.write_some(&bytes).unwrap();
            assert!((1..bytes.len()).contains(&taken), "{taken} bytes fit");
            assert_eq!(output.write_some(&bytes).unwrap(), 0);
        }
    }

    #[test]
    fn a_polled_pipe_does_not_block_either() {
        let (_reader, writer) = io::pipe().unwrap();
        let output = Output {
            file: File::from(OwnedFd::from(writer)),
            kind: Kind::Polled,
        };
        let taken = output.write_some(&vec![b'x'; 4 << 20]).unwrap();
        assert!(taken >= ATOMIC, "{taken} bytes fit");
    }

    #[test]
    fn a_pipe_without_a_reader_is_an_error() {
        let (reader, writer) = io::pipe().unwrap();
        let output = Output::new(&File::from(OwnedFd::from(writer))).unwrap();
        drop(reader);
        let error = output.write_some(b"x").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}

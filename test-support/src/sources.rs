//! Descriptors for events.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::thread::sleep;
use std::time::Duration;

use php_event::EventBase;
use socket2::Socket;

/// Two connected sockets that do not block.
pub fn pair() -> (UnixStream, UnixStream) {
    let (one, other) = UnixStream::pair().unwrap();
    one.set_nonblocking(true).unwrap();
    other.set_nonblocking(true).unwrap();
    (one, other)
}

/// A source that always has something to read.
pub struct Readable {
    ours: UnixStream,
    _theirs: UnixStream,
}

impl Readable {
    pub fn new() -> Self {
        let (ours, mut theirs) = pair();
        theirs.write_all(b"!").unwrap();
        Self {
            ours,
            _theirs: theirs,
        }
    }
}

impl AsFd for Readable {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ours.as_fd()
    }
}

/// A source, and something that is dropped with it.
pub struct Owning<S, T>(pub S, pub T);

impl<S: AsFd, T> AsFd for Owning<S, T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A source that frees a base when it is asked for its descriptor.
pub struct FreesBase<S>(pub S, pub EventBase);

impl<S: AsFd> AsFd for FreesBase<S> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.1.free().unwrap();
        self.0.as_fd()
    }
}

/// Another descriptor of an open file, of which only the number is known.
#[allow(unsafe_code, reason = "a buffer event gives no more than the number")]
pub fn dup(fd: RawFd) -> OwnedFd {
    // SAFETY: borrowed for this call only, in which no test closes it.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) };
    fd.try_clone_to_owned().unwrap()
}

/// Fills a socket that does not block with zeros, until it has no room for a single byte. Gives
/// their number.
pub fn fill(socket: impl Into<OwnedFd>) -> usize {
    let mut socket = Socket::from(socket.into());
    let (mut written, mut full) = (0, 0);
    while full < 3 {
        let before = written;
        for size in [1 << 16, 1 << 10, 1] {
            loop {
                match socket.write(&vec![0; size]) {
                    Ok(n) => written += n,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => panic!("{error}"),
                }
            }
        }
        full = if written == before { full + 1 } else { 0 };
        sleep(Duration::from_millis(2)); // TCP may still move some of it to the peer
    }
    written
}

/// Takes `size` bytes that were written with [`fill`] at the other end.
pub fn take_filling(socket: impl Into<OwnedFd>, mut size: usize) {
    let mut socket = Socket::from(socket.into());
    let mut bytes = vec![1; 1 << 16];
    while size > 0 {
        let room = bytes.len().min(size);
        match socket.read(&mut bytes[..room]) {
            Ok(0) => panic!("{size} bytes are missing"),
            Ok(n) => {
                assert!(bytes[..n].iter().all(|byte| *byte == 0));
                size -= n;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                sleep(Duration::from_millis(1));
            }
            Err(error) => panic!("{error}"),
        }
    }
}

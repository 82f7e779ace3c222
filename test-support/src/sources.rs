//! Descriptors for events.

use std::io::Write as _;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

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

//! The client's end of a connection.

use std::cell::Cell;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::rc::Rc;

/// A client. It never blocks.
#[derive(Debug)]
pub struct Peer {
    stream: UnixStream,
    number: Rc<Cell<Option<u64>>>,
}

impl Peer {
    pub(crate) fn new(stream: UnixStream, number: Rc<Cell<Option<u64>>>) -> Self {
        Self { stream, number }
    }

    /// The number of its connection, which it has from the server.
    #[must_use]
    pub fn id(&self) -> Option<u64> {
        self.number.get()
    }

    /// Sends bytes. A server that has closed the connection takes none.
    ///
    /// # Panics
    /// When the socket has no room for all of them.
    pub fn send(&self, bytes: &[u8]) {
        match (&self.stream).write(bytes) {
            Ok(sent) => assert_eq!(sent, bytes.len(), "room for all bytes"),
            Err(error) => assert!(is_end(error.kind()), "{error}"),
        }
    }

    /// Sends no more.
    pub fn end_writing(&self) {
        self.stream.shutdown(Shutdown::Write).ok(); // the server may have closed it
    }

    /// Appends what has arrived, and returns whether that is the end.
    ///
    /// # Panics
    /// When the socket fails.
    pub fn receive(&self, bytes: &mut Vec<u8>) -> bool {
        match (&self.stream).read_to_end(bytes) {
            Ok(_) => true,
            Err(error) if error.kind() == ErrorKind::WouldBlock => false,
            Err(error) => {
                assert!(is_end(error.kind()), "{error}");
                true
            }
        }
    }
}

/// Whether the other end has gone.
fn is_end(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}

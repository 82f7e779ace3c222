//! The other side of a TLS connection: OpenSSL over memory.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};

use openssl::ssl::{ErrorCode, Ssl, SslStream};
use test_support::tls::{renegotiate, update_keys};

use super::sequences::{OURS, PEERS, count};

/// The bytes to and from a peer.
#[derive(Default)]
struct Memory {
    input: VecDeque<u8>,
    output: Vec<u8>,
}

impl Read for Memory {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        match self.input.read(room)? {
            0 => Err(ErrorKind::WouldBlock.into()),
            n => Ok(n),
        }
    }
}

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    Handshake,
    Open,
    /// The other side has sent `close_notify`.
    ToldEnd,
    Failed(String),
}

pub(super) struct Peer {
    stream: SslStream<Memory>,
    pub(super) state: State,
    /// How many bytes it has sent and received.
    pub(super) sent: usize,
    pub(super) received: usize,
    /// It has sent `close_notify`, and sends nothing more.
    pub(super) is_shut: bool,
}

impl Peer {
    /// One that is about to shake hands; `ssl` knows its role.
    pub(super) fn new(ssl: Ssl) -> Self {
        Self {
            stream: SslStream::new(ssl, Memory::default()).expect("a session"),
            state: State::Handshake,
            sent: 0,
            received: 0,
            is_shut: false,
        }
    }

    pub(super) fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.stream.get_mut().output)
    }

    pub(super) fn receive(&mut self, bytes: &[u8]) {
        self.stream.get_mut().input.extend(bytes);
    }

    /// Makes of what has come what can be made of it.
    pub(super) fn advance(&mut self) {
        if self.state == State::Handshake {
            let done = self.stream.do_handshake();
            if self.succeeds(done).is_some() {
                self.state = State::Open;
            }
        }
        let mut part = [0; 16 * 1024];
        while self.state == State::Open {
            let read = self.stream.ssl_read(&mut part);
            match self.succeeds(read) {
                Some(n) => count(&mut self.received, &part[..n], &OURS),
                None => break,
            }
        }
    }

    /// What a call has given; nothing when it has to wait, or has failed.
    fn succeeds<T>(&mut self, result: Result<T, openssl::ssl::Error>) -> Option<T> {
        let error = match result {
            Ok(done) => return Some(done),
            Err(error) => error,
        };
        match error.code() {
            ErrorCode::WANT_READ => {}
            ErrorCode::ZERO_RETURN => self.state = State::ToldEnd,
            _ => self.state = State::Failed(error.to_string()),
        }
        None
    }

    pub(super) fn can_write(&self) -> bool {
        matches!(self.state, State::Open | State::ToldEnd) && !self.is_shut
    }

    pub(super) fn write(&mut self, length: usize) {
        if self.can_write() {
            let written = self.stream.ssl_write(&PEERS[self.sent..][..length]);
            if let Some(n) = self.succeeds(written) {
                self.sent += n;
            }
        }
    }

    /// Sends `close_notify`.
    pub(super) fn shut(&mut self) {
        if self.can_write() {
            self.stream.shutdown().ok();
            self.is_shut = true;
        }
    }

    /// Changes keys; so does the other side.
    pub(super) fn update_keys(&mut self) {
        if self.can_write() && update_keys(self.stream.ssl()) {
            let done = self.stream.do_handshake();
            self.succeeds(done);
        }
    }

    /// Asks for another handshake, which is refused. Whether it has asked.
    pub(super) fn renegotiate(&mut self) -> bool {
        let asks = self.can_write() && renegotiate(self.stream.ssl());
        if asks {
            let done = self.stream.do_handshake();
            self.succeeds(done);
        }
        asks
    }
}

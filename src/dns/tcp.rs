//! A DNS question over TCP: its length and the message out, the same in.
//!
//! Owns: the bytes of both. Lends to C: nothing. Runs no user code.

use std::io::{self, Read};

use socket2::Socket;

use crate::flags::EventFlags;

/// What a conversation has come to.
pub(crate) enum Progress {
    /// The socket must be ready for what the conversation wants.
    Blocked,
    /// The message has come.
    Message(Vec<u8>),
}

/// One question over one connection.
pub(crate) struct Conversation {
    out: Vec<u8>,
    sent: usize,
    input: Vec<u8>,
}

impl Conversation {
    pub(crate) fn new(message: &[u8]) -> Self {
        let length = u16::try_from(message.len()).unwrap_or(u16::MAX); // a query is short
        Self {
            out: [&length.to_be_bytes()[..], message].concat(),
            sent: 0,
            input: Vec::new(),
        }
    }

    /// What the socket must be ready for.
    pub(crate) fn wants(&self) -> EventFlags {
        if self.sent < self.out.len() {
            EventFlags::WRITE
        } else {
            EventFlags::READ
        }
    }

    /// Writes and reads what the socket is ready for.
    pub(crate) fn advance(&mut self, socket: &Socket) -> io::Result<Progress> {
        loop {
            let step = if self.sent < self.out.len() {
                self.send(socket)
            } else {
                self.receive(socket)
            };
            match step {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(Progress::Blocked);
                }
                Err(error) => return Err(error),
            }
            if self.is_complete() {
                return Ok(Progress::Message(self.input.split_off(2)));
            }
        }
    }

    /// A server that is gone is an error, never a signal.
    fn send(&mut self, socket: &Socket) -> io::Result<()> {
        self.sent += socket.send_with_flags(&self.out[self.sent..], libc::MSG_NOSIGNAL)?;
        Ok(())
    }

    /// Reads no more than the message that the length announces.
    fn receive(&mut self, socket: &Socket) -> io::Result<()> {
        let whole = self.announced().map_or(2, |length| 2 + length);
        let missing = (whole - self.input.len()) as u64;
        // What has come before an error is kept.
        let n = socket.take(missing).read_to_end(&mut self.input)?;
        if (n as u64) < missing {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }

    fn announced(&self) -> Option<usize> {
        let length = self.input.first_chunk::<2>()?;
        Some(u16::from_be_bytes(*length).into())
    }

    fn is_complete(&self) -> bool {
        self.announced()
            .is_some_and(|length| self.input.len() == 2 + length)
    }
}

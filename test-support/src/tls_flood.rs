//! A TLS peer that changes its keys thousands of times, and sends a few bytes after that.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::OwnedFd;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use openssl::error::ErrorStack;
use openssl::ssl::{Ssl, SslContext, SslMethod, SslStream, SslVersion};
use php_event::EventBase;

use crate::loops::poll;
use crate::tls::Identity;
use crate::tls_requests::update_own_keys;

/// How many changes of keys there are.
const CHANGES: usize = 5_000;

/// What one turn of a loop may read of one connection.
const TURN_MAX: usize = 16 * 1024;

/// More turns than any of this takes.
const TURNS_MAX: usize = 50_000;

/// A peer on a socket.
pub struct Flooder(SslStream<Wire>);

impl Flooder {
    /// One that accepts.
    pub fn server(identity: &Identity, socket: impl Into<OwnedFd>) -> Self {
        let mut context = SslContext::builder(SslMethod::tls_server()).unwrap();
        context.set_certificate(&identity.cert).unwrap();
        context.set_private_key(&identity.key).unwrap();
        let mut ssl = Ssl::new(&context.build()).unwrap();
        ssl.set_accept_state();
        Self::new(ssl, socket.into())
    }

    /// One that connects, and verifies nothing.
    pub fn client(socket: impl Into<OwnedFd>) -> Self {
        let context = SslContext::builder(SslMethod::tls_client()).unwrap();
        let mut ssl = Ssl::new(&context.build()).unwrap();
        ssl.set_connect_state();
        Self::new(ssl, socket.into())
    }

    fn new(mut ssl: Ssl, socket: OwnedFd) -> Self {
        ssl.set_min_proto_version(Some(SslVersion::TLS1_3)).unwrap();
        fcntl(&socket, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
        let wire = Wire {
            socket: socket.into(),
            held: Vec::new(),
            holds: false,
        };
        Self(SslStream::new(ssl, wire).unwrap())
    }

    /// Shakes hands, changes its keys, and sends `bytes`, all while `base` runs, until `done`. The
    /// loop has to take a share of that in each turn.
    pub fn flood(mut self, base: &EventBase, bytes: &[u8], mut done: impl FnMut() -> bool) {
        for _ in 0..TURNS_MAX {
            if self.0.ssl().is_init_finished() {
                break;
            }
            self.0.do_handshake().ok();
            poll(base);
        }
        self.0.get_mut().holds = true;
        for _ in 0..CHANGES {
            assert!(update_own_keys(self.0.ssl()));
            self.0.do_handshake().unwrap();
        }
        self.0.write_all(bytes).unwrap();
        drop(ErrorStack::get()); // what the handshake has waited for
        let all = self.0.get_ref().held.len();
        for turn in 1..=TURNS_MAX {
            self.0.get_mut().send();
            poll(base);
            if done() {
                return assert!(turn >= all / TURN_MAX, "{all} bytes in {turn} turns");
            }
        }
        panic!("{all} bytes are not read in {TURNS_MAX} turns");
    }
}

/// A socket, and what waits for it.
struct Wire {
    socket: File,
    held: Vec<u8>,
    holds: bool,
}

impl Wire {
    /// Sends as much as the socket takes.
    fn send(&mut self) {
        while !self.held.is_empty() {
            match self.socket.write(&self.held) {
                Ok(sent) => drop(self.held.drain(..sent)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

impl Read for Wire {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        self.socket.read(room)
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.holds {
            true => self.held.write(bytes),
            false => self.socket.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

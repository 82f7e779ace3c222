//! A raw peer that takes messages in the tutorial's bytes and in no others.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::Shutdown;
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};

use crate::support_http::{Address, LIMIT, Server};

/// What stands before a message's length.
pub(crate) const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\n\
    Accept: application/json, text/plain, */*\r\n\
    Connection: keep-alive\r\n\
    Content-Length:";

/// What a sender gets with `--framing http`.
pub(crate) const ACCEPTED: &[u8] =
    b"HTTP/1.1 202 Accepted\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n";

/// A message as its receivers get it.
pub(crate) fn message(body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    [HEAD, body.len().to_string().as_bytes(), b"\r\n\r\n", body].concat()
}

/// A request that has a message for the others.
pub(crate) fn post(body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let head = format!(
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// One connection.
pub(crate) struct Peer {
    socket: Socket,
    /// What was read and not yet taken: `unread[taken..]`.
    unread: Vec<u8>,
    taken: usize,
}

impl Peer {
    #[track_caller]
    pub(crate) fn connect(server: &Server) -> Self {
        Self::try_connect(server.address(), |_socket| Ok(())).expect("the server accepts")
    }

    /// One that has little room for what it does not read.
    #[track_caller]
    pub(crate) fn narrow(server: &Server) -> Self {
        let narrow = |socket: &Socket| socket.set_recv_buffer_size(32 << 10);
        Self::try_connect(server.address(), narrow).expect("the server accepts")
    }

    pub(crate) fn try_connect(
        address: &Address,
        prepare: impl FnOnce(&Socket) -> io::Result<()>,
    ) -> io::Result<Self> {
        let (domain, address) = match address {
            Address::Tcp(address) => (Domain::for_address(*address), SockAddr::from(*address)),
            Address::Unix(path) => (Domain::UNIX, SockAddr::unix(path)?),
        };
        let socket = Socket::new(domain, Type::STREAM, None)?;
        prepare(&socket)?;
        socket.connect(&address)?;
        if domain != Domain::UNIX {
            socket.set_tcp_nodelay(true)?;
            // Thousands of ports in TIME_WAIT would be missed by the next test.
            socket.set_linger(Some(Duration::ZERO))?;
        }
        socket.set_read_timeout(Some(LIMIT))?;
        socket.set_write_timeout(Some(LIMIT))?;
        Ok(Self {
            socket,
            unread: Vec::new(),
            taken: 0,
        })
    }

    pub(crate) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// A second handle of the connection, to send by while this one reads.
    pub(crate) fn sender(&self) -> Socket {
        self.socket.try_clone().unwrap()
    }

    #[track_caller]
    pub(crate) fn send(&self, bytes: impl AsRef<[u8]>) {
        if let Err(error) = (&self.socket).write_all(bytes.as_ref()) {
            panic!("sending fails: {error}; {}", self.waiting());
        }
    }

    pub(crate) fn try_send(&self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        (&self.socket).write_all(bytes.as_ref())
    }

    /// Sends what goes out before nothing more does for so long, or the server ends the
    /// connection; how much that was.
    #[track_caller]
    pub(crate) fn send_until_stuck(&self, bytes: &[u8], stuck: Duration) -> usize {
        self.socket.set_write_timeout(Some(stuck)).unwrap();
        let mut sent = 0;
        while sent < bytes.len() {
            match (&self.socket).write(&bytes[sent..]) {
                Ok(count) => sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if is_end(&error) => break,
                Err(error) => panic!("sending fails: {error}"),
            }
        }
        self.socket.set_write_timeout(Some(LIMIT)).unwrap();
        sent
    }

    /// The end of what this side sends; it still reads.
    #[track_caller]
    pub(crate) fn half_close(&self) {
        self.socket.shutdown(Shutdown::Write).unwrap();
    }

    /// Takes a message, whose head has these four lines and none more; gives its body.
    #[track_caller]
    pub(crate) fn message(&mut self) -> Vec<u8> {
        self.expect(HEAD);
        self.length_and_body()
    }

    /// Takes a message, or the answer to one's own: then it is `None`.
    #[track_caller]
    pub(crate) fn message_or_accepted(&mut self) -> Option<Vec<u8>> {
        const SAME: usize = "HTTP/1.1 20".len();
        self.expect(&HEAD[..SAME]);
        match self.take(1)[0] {
            b'0' => {
                self.expect(&HEAD[SAME + 1..]);
                Some(self.length_and_body())
            }
            _two => {
                self.expect(&ACCEPTED[SAME + 1..]);
                None
            }
        }
    }

    #[track_caller]
    fn length_and_body(&mut self) -> Vec<u8> {
        let mut length = 0_usize;
        loop {
            match self.take(1)[0] {
                digit @ b'0'..=b'9' => length = length * 10 + usize::from(digit - b'0'),
                b'\r' => break,
                other => panic!("{:?} in a length; {}", char::from(other), self.waiting()),
            }
        }
        self.expect(b"\n\r\n");
        self.take(length)
    }

    /// Takes messages until their bodies together have `count` bytes.
    #[track_caller]
    pub(crate) fn messages(&mut self, count: usize) -> Vec<Vec<u8>> {
        let mut left = count;
        let mut bodies = Vec::new();
        while left > 0 {
            let body = self.message();
            left = left.checked_sub(body.len()).expect("no more than was sent");
            bodies.push(body);
        }
        bodies
    }

    /// Takes these bytes.
    #[track_caller]
    pub(crate) fn expect(&mut self, bytes: &[u8]) {
        let taken = self.take(bytes.len());
        assert!(
            taken == bytes,
            "{} came where {} was expected; {}",
            taken.escape_ascii(),
            bytes.escape_ascii(),
            self.waiting()
        );
    }

    /// Takes the next `count` bytes.
    #[track_caller]
    pub(crate) fn take(&mut self, count: usize) -> Vec<u8> {
        while self.unread.len() - self.taken < count {
            match self.read() {
                Ok(0) => panic!("the connection ends; {}", self.waiting()),
                Ok(_) => {}
                Err(error) => panic!("{count} bytes expected: {error}; {}", self.waiting()),
            }
        }
        let bytes = self.unread[self.taken..self.taken + count].to_vec();
        self.taken += count;
        if self.taken == self.unread.len() {
            self.unread = Vec::new();
            self.taken = 0;
        }
        bytes
    }

    /// Takes bytes up to and with this part.
    #[track_caller]
    pub(crate) fn take_through(&mut self, part: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        while !bytes.ends_with(part) {
            bytes.extend(self.take(1));
        }
        bytes
    }

    fn read(&mut self) -> io::Result<usize> {
        self.unread.drain(..self.taken);
        self.taken = 0;
        let mut part = [0; 32 << 10];
        let count = (&self.socket).read(&mut part)?;
        self.unread.extend_from_slice(&part[..count]);
        Ok(count)
    }

    /// Takes what comes until the connection ends, be it by a reset.
    #[track_caller]
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        loop {
            match self.read() {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if is_end(&error) => break,
                Err(error) => panic!("the connection does not end: {error}"),
            }
        }
        self.unread.split_off(0)
    }

    /// Takes what comes until the connection ends in good order.
    pub(crate) fn try_rest(&mut self) -> io::Result<Vec<u8>> {
        while self.read()? > 0 {}
        Ok(self.unread.split_off(0))
    }

    /// The connection ends in good order, and nothing comes before.
    #[track_caller]
    pub(crate) fn expect_close(&mut self) {
        let read = self.read();
        assert!(
            matches!(read, Ok(0)) && self.unread.is_empty(),
            "{read:?}; {}",
            self.waiting()
        );
    }

    /// Nothing comes for so long, and the connection stays.
    #[track_caller]
    pub(crate) fn expect_silence(&mut self, time: Duration) {
        assert_eq!(self.taken, self.unread.len(), "{}", self.waiting());
        self.socket.set_read_timeout(Some(time)).unwrap();
        let read = self.read();
        self.socket.set_read_timeout(Some(LIMIT)).unwrap();
        match read {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            other => panic!("{other:?}; {}", self.waiting()),
        }
    }

    /// Whether bytes have come that were not taken.
    #[track_caller]
    pub(crate) fn has_something(&mut self) -> bool {
        if self.taken == self.unread.len() {
            self.socket.set_nonblocking(true).unwrap();
            let read = self.read();
            self.socket.set_nonblocking(false).unwrap();
            match read {
                Ok(0) => panic!("the connection ends"),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => panic!("reading fails: {error}"),
            }
        }
        self.taken < self.unread.len()
    }

    fn waiting(&self) -> String {
        let unread = &self.unread[self.taken..];
        let shown = &unread[..unread.len().min(300)];
        format!("{} bytes unread: {}", unread.len(), shown.escape_ascii())
    }
}

/// Whether the server has ended the connection by a reset.
fn is_end(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
    )
}

//! A server in a thread that follows a script.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};

use test_support::{LIMIT, limited};

use crate::transport::Transport;

pub(crate) struct Server {
    port: u16,
    thread: Option<JoinHandle<()>>,
}

/// Where a script accepts.
pub(crate) struct Listener {
    socket: TcpListener,
    over: Transport,
}

/// One connection, as the script sees it.
pub(crate) struct Peer {
    pub(crate) stream: Box<dyn Stream>,
    pending: Vec<u8>,
}

/// What carries the bytes.
pub(crate) trait Stream: Read + Write {
    /// Says that nothing more comes.
    fn end_writing(&mut self);

    fn socket(&self) -> &TcpStream;

    /// Whether the client has said that nothing more comes: over TLS, with `close_notify`.
    fn has_ended(&mut self) -> bool;
}

impl Stream for TcpStream {
    fn end_writing(&mut self) {
        self.shutdown(Shutdown::Write).ok();
    }

    fn socket(&self) -> &TcpStream {
        self
    }

    fn has_ended(&mut self) -> bool {
        self.read(&mut [0]).is_ok_and(|n| n == 0)
    }
}

impl Listener {
    pub(crate) fn new(socket: TcpListener, over: Transport) -> Self {
        Self { socket, over }
    }

    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }
}

impl Server {
    /// Runs a script.
    pub(crate) fn new(over: Transport, script: impl FnOnce(Listener) + Send + 'static) -> Self {
        let listener = Listener::new(TcpListener::bind("127.0.0.1:0").unwrap(), over);
        let port = listener.local_addr().port();
        let thread = Some(thread::spawn(move || script(listener)));
        Self { port, thread }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Waits for the end of the script.
    pub(crate) fn done(mut self) {
        limited(|| self.thread.take().unwrap().join()).unwrap();
    }
}

impl Peer {
    pub(crate) fn accept(listener: &Listener) -> Self {
        let (stream, _) = listener.socket.accept().unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream: listener.over.accepted(stream),
            pending: Vec::new(),
        }
    }

    /// The next request with its body, by its `Content-Length`; empty at the end.
    pub(crate) fn read_request(&mut self) -> String {
        loop {
            if let Some(end) = self.request_end() {
                let rest = self.pending.split_off(end);
                let request = std::mem::replace(&mut self.pending, rest);
                return String::from_utf8(request).unwrap();
            }
            let mut piece = [0; 4096];
            let n = self.stream.read(&mut piece).unwrap_or(0);
            if n == 0 {
                return String::from_utf8(std::mem::take(&mut self.pending)).unwrap();
            }
            self.pending.extend_from_slice(&piece[..n]);
        }
    }

    fn request_end(&self) -> Option<usize> {
        let head = self.pending.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
        let text = String::from_utf8_lossy(&self.pending[..head]).to_lowercase();
        if text.contains("expect: 100-continue") {
            return Some(head);
        }
        let length = text
            .lines()
            .find_map(|l| l.strip_prefix("content-length: "));
        let end = head + length.map_or(0, |l| l.parse::<usize>().unwrap());
        (self.pending.len() >= end).then_some(end)
    }

    /// Whether nothing came beyond what was read.
    pub(crate) fn pending_is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// As many bytes as were sent, without any framing.
    pub(crate) fn read_exactly(&mut self, n: usize) -> Vec<u8> {
        while self.pending.len() < n {
            let mut piece = [0; 4096];
            let got = self.stream.read(&mut piece).unwrap();
            assert_ne!(got, 0, "the client closed");
            self.pending.extend_from_slice(&piece[..got]);
        }
        let rest = self.pending.split_off(n);
        std::mem::replace(&mut self.pending, rest)
    }

    /// The head of the next request; its body stays unread.
    pub(crate) fn read_head(&mut self) -> String {
        let head = loop {
            if let Some(end) = self.pending.windows(4).position(|w| w == b"\r\n\r\n") {
                let rest = self.pending.split_off(end + 4);
                break std::mem::replace(&mut self.pending, rest);
            }
            let mut piece = [0; 256];
            let n = self.stream.read(&mut piece).unwrap();
            assert_ne!(n, 0, "the client closed");
            self.pending.extend_from_slice(&piece[..n]);
        };
        String::from_utf8(head).unwrap()
    }

    pub(crate) fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_write(bytes); // the client may be done with us
    }

    /// Tells whether the client still takes it.
    pub(crate) fn try_write(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).is_ok()
    }

    /// Closes so that the client's system sees a reset.
    pub(crate) fn reset(self) {
        let linger = Some(std::time::Duration::ZERO);
        socket2::SockRef::from(self.stream.socket())
            .set_linger(linger)
            .unwrap();
    }

    pub(crate) fn reply(&mut self, body: &str) {
        let length = body.len();
        self.write(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}"
        ));
    }

    /// Says that nothing more comes, and waits for the client's end: a close with unread bytes
    /// would be a reset.
    pub(crate) fn end(mut self) {
        self.stream.end_writing();
        self.await_close();
    }

    /// How much more comes, and whether the client says then that it was all.
    #[cfg_attr(not(feature = "openssl"), allow(dead_code))]
    pub(crate) fn read_rest(&mut self) -> (usize, bool) {
        let mut rest = std::mem::take(&mut self.pending);
        self.stream.read_to_end(&mut rest).ok();
        (rest.len(), self.stream.has_ended())
    }

    /// Whether the client closes without another byte.
    pub(crate) fn await_close(&mut self) -> bool {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).ok();
        rest.is_empty()
    }
}

/// A channel by which a test tells its script to go on, or the script its test.
pub(crate) fn cue<T>() -> (Sender<T>, Receiver<T>) {
    mpsc::channel()
}

/// A port of loopback where nobody listens. The socket keeps it from being given to others.
pub(crate) fn refusing() -> (socket2::Socket, u16) {
    let domain = socket2::Domain::IPV4;
    let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None).unwrap();
    let any: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
    socket.bind(&any.into()).unwrap();
    let port = socket.local_addr().unwrap().as_socket().unwrap().port();
    (socket, port)
}

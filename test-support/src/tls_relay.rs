//! TLS in front of clients that speak none.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::LazyLock;
use std::thread;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use openssl::ssl::{ConnectConfiguration, SslConnector, SslMethod, SslStream, SslVerifyMode};
use socket2::SockRef;

/// A plain connection to a thread that passes everything on over TLS: bytes, and the ends
/// of both sides. A client need not wait for a handshake, which needs the server's loop.
pub fn relayed(server: TcpStream) -> TcpStream {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let far = accept_from(&listener, near.local_addr().unwrap());
    for stream in [&near, &far, &server] {
        stream.set_nodelay(true).unwrap();
    }
    // What lies in the relay is not to hide that a server does not read.
    for stream in [&near, &far] {
        SockRef::from(stream)
            .set_send_buffer_size(64 * 1024)
            .unwrap();
        SockRef::from(stream)
            .set_recv_buffer_size(64 * 1024)
            .unwrap();
    }
    thread::spawn(move || relay(far, server));
    near
}

/// What a client connects with that takes any certificate.
pub fn trusting() -> ConnectConfiguration {
    // Once for the process: it reads the system's certificates.
    static CONNECTOR: LazyLock<SslConnector> = LazyLock::new(|| {
        let mut connector = SslConnector::builder(SslMethod::tls()).unwrap();
        connector.set_verify(SslVerifyMode::NONE);
        connector.build()
    });
    let configuration = CONNECTOR.configure().unwrap();
    configuration.verify_hostname(false)
}

fn relay(client: TcpStream, server: TcpStream) {
    let Ok(mut server) = trusting().connect("localhost", server) else {
        return reset(&client);
    };
    client.set_nonblocking(true).unwrap();
    server.get_ref().set_nonblocking(true).unwrap();
    let mut up = Flow::default();
    let mut down = Flow::default();
    let mut client = client;
    while !(up.over && down.over) {
        let mut moved = false;
        for step in [
            up.fill(&mut client),
            up.empty(&mut server),
            down.fill(&mut server),
            down.empty(&mut client),
        ] {
            match step {
                Ok(some) => moved |= some,
                Err(_) => {
                    reset(&client);
                    return reset(server.get_ref());
                }
            }
        }
        if up.finish() {
            server.shutdown().ok();
            server.get_ref().shutdown(Shutdown::Write).ok();
        }
        if down.finish() {
            client.shutdown(Shutdown::Write).ok();
            if up.waits.is_empty() {
                return; // the server has closed: nothing more will be taken
            }
        }
        if !moved {
            wait(&client, &server);
        }
    }
}

/// One direction.
#[derive(Default)]
struct Flow {
    waits: Vec<u8>,
    ended: bool, // nothing more comes
    over: bool,  // and that was passed on
}

impl Flow {
    fn fill(&mut self, from: &mut impl Read) -> io::Result<bool> {
        if self.ended || !self.waits.is_empty() {
            return Ok(false);
        }
        let mut bytes = [0; 16 * 1024];
        match from.read(&mut bytes) {
            Ok(n) => {
                self.ended = n == 0;
                self.waits.extend_from_slice(&bytes[..n]);
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn empty(&mut self, to: &mut impl Write) -> io::Result<bool> {
        if self.waits.is_empty() {
            return Ok(false);
        }
        match to.write(&self.waits) {
            Ok(n) => {
                self.waits.drain(..n);
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether the end is to be passed on now.
    fn finish(&mut self) -> bool {
        let now = self.ended && self.waits.is_empty() && !self.over;
        self.over |= now;
        now
    }
}

fn wait(client: &TcpStream, server: &SslStream<TcpStream>) {
    let events = PollFlags::POLLIN;
    let mut fds = [client.as_fd(), server.get_ref().as_fd()].map(|fd| PollFd::new(fd, events));
    // An end that was read already, and room to write, are not waited for.
    poll(&mut fds, PollTimeout::from(1_u8)).ok();
    thread::sleep(Duration::from_micros(200));
}

fn reset(stream: &TcpStream) {
    SockRef::from(stream).set_linger(Some(Duration::ZERO)).ok();
}

/// The connection from that address: another program may connect, too, to a port that was its
/// server's before.
fn accept_from(listener: &TcpListener, address: SocketAddr) -> TcpStream {
    loop {
        let (stream, from) = listener.accept().unwrap();
        if from == address {
            return stream;
        }
    }
}

//! `EventHttp` over a socket: its closure sees the requests that the decoder reads, and no other.

use std::cell::{Cell, RefCell};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;
use std::time::Duration;

use http_framing::{BodyLength, Limits, Method};
use php_event::{EventBase, EventHttp, HttpMethods, LoopFlags};
use socket2::SockRef;

use crate::pace::Pace;
use crate::requests::{Got, decode, with_end};

/// Turns of the loop after which nothing is expected any more.
const TURNS: usize = 4;

/// The longest input: all of it fits into the buffers of a socket.
const INPUT_MAX: usize = 4096;

struct Server {
    base: EventBase,
    address: SocketAddr,
    seen: Rc<RefCell<Vec<Vec<u8>>>>,
    work: Rc<Cell<usize>>,
    _http: EventHttp,
}

thread_local! {
    static SERVER: Server = Server::new();
}

impl Server {
    fn new() -> Self {
        let base = EventBase::new().expect("a base");
        let http = EventHttp::new(&base).expect("a server");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
        let address = listener.local_addr().expect("an address");
        http.accept(listener).expect("a server that accepts");
        http.set_allowed_methods(HttpMethods::all())
            .expect("all methods");
        let (seen, work) = (
            Rc::<RefCell<Vec<Vec<u8>>>>::default(),
            Rc::<Cell<usize>>::default(),
        );
        let (requests, count) = (Rc::clone(&seen), Rc::clone(&work));
        http.set_default_callback(move |request| {
            let body = request.get_input_buffer().read(usize::MAX).expect("a body");
            requests.borrow_mut().push(body.unwrap_or_default());
            count.set(count.get() + 1);
            request.send_reply(200, "OK", None).ok();
        })
        .expect("a callback");
        Self {
            base,
            address,
            seen,
            work,
            _http: http,
        }
    }

    /// The bodies of the requests that the closure sees on a connection with these bytes, and whether
    /// the server has ended it.
    fn answer(&self, parts: &mut dyn Iterator<Item = &[u8]>, pace: Pace) -> (Vec<Vec<u8>>, bool) {
        let mut peer = TcpStream::connect(self.address).expect("a connection");
        peer.set_nodelay(true).expect("an option");
        // Reset at its end, so that no port waits.
        SockRef::from(&peer)
            .set_linger(Some(Duration::ZERO))
            .expect("an option");
        for part in parts {
            // The server may have closed it.
            if peer.write_all(part).is_err() {
                break;
            }
            pace.wait(&self.base, || self.turn());
        }
        self.turn();
        peer.set_nonblocking(true).expect("an option");
        let is_open = peer
            .read_to_end(&mut Vec::new())
            .is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
        drop(peer);
        self.turn();
        (self.seen.take(), !is_open)
    }

    /// Runs the loop until nothing happens any more.
    fn turn(&self) {
        let mut idle = 0;
        while idle < TURNS {
            let before = self.work.get();
            self.base
                .r#loop(LoopFlags::NONBLOCK)
                .expect("the loop runs");
            idle = if self.work.get() == before {
                idle + 1
            } else {
                0
            };
        }
    }
}

/// The requests that reach a closure, of those that the decoder has read, and whether the last of
/// them is the last of the connection.
fn shown(got: &[Got]) -> (Vec<Vec<u8>>, bool) {
    let mut shown = Vec::new();
    for got in got {
        let path = got.head.target.split('?').next().unwrap_or_default();
        if path.contains("%00") || got.head.method == Method::Other {
            break;
        }
        let bodiless = matches!(got.head.body, BodyLength::None | BodyLength::Length(0));
        let unread = !bodiless && matches!(got.head.method, Method::Head | Method::Trace);
        if unread {
            shown.push(Vec::new());
            return (shown, true);
        }
        if !got.complete {
            break;
        }
        shown.push(got.body.clone());
        // evhttp answers a target with a scheme as a proxy would, and closes.
        let is_absolute = !got.head.target.starts_with('/') && got.head.target.contains("://");
        if !got.head.keep_alive || is_absolute {
            return (shown, true);
        }
    }
    (shown, false)
}

pub(crate) fn run(input: &[u8]) {
    if input.len() > INPUT_MAX {
        return;
    }
    let stream = with_end(input);
    let (got, _) = decode(Limits::default(), &mut [stream.as_slice()].into_iter());
    let (wanted, is_last) = shown(&got);
    SERVER.with(|server| {
        let third = stream.len() / 3 + 1;
        for (length, pace) in [
            (stream.len(), Pace::Settled),
            (third, Pace::Settled),
            (third, Pace::Turn),
        ] {
            let (seen, has_ended) = server.answer(&mut stream.chunks(length), pace);
            let shown = stream.escape_ascii();
            assert_eq!(seen, wanted, "in parts of {length}, {pace:?}: {shown}");
            assert!(
                has_ended || !is_last,
                "in parts of {length}, {pace:?}: {shown}"
            );
        }
    });
}

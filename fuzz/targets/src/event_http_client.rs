//! `EventHttpConnection` over a socket: its closure gets the response that the decoder reads, or an
//! error, also from the second request on.

use std::cell::RefCell;
use std::io::{ErrorKind, Write};
use std::net::Shutdown;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::rc::Rc;

use http_framing::{Limits, Method};
use php_event::{EventBase, EventHttpConnection, EventHttpRequest, HttpMethods, LoopFlags};

use crate::pace::Pace;
use crate::responses::{Got, Request, decode};

/// Turns of the loop after which nothing happens any more.
const TURNS: usize = 6;

/// The longest input: all of it fits into the buffers of a socket.
const INPUT_MAX: usize = 4096;

/// A response: its status, the names of its fields, and its body.
type Response = (u16, Vec<String>, Vec<u8>);

struct World {
    base: EventBase,
    listener: UnixListener,
    address: String,
}

thread_local! {
    static WORLD: World = World::new();
}

impl World {
    fn new() -> Self {
        let thread = std::thread::current().id();
        let name = format!("fuzzed-client-{}-{thread:?}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).expect("a name");
        let listener = UnixListener::bind_addr(&address).expect("a socket");
        listener.set_nonblocking(true).expect("an option");
        Self {
            base: EventBase::new().expect("a base"),
            listener,
            address: format!("unix:@{name}"),
        }
    }

    fn turn(&self) {
        for _ in 0..TURNS {
            self.base
                .r#loop(LoopFlags::NONBLOCK)
                .expect("the loop runs");
        }
    }

    /// What the closure of a request gets when the server answers with these parts, and then ends
    /// the connection unless the response was complete; and whether the request came over a
    /// connection that was kept.
    fn ask(
        &self,
        connection: &EventHttpConnection,
        peer: &mut Option<UnixStream>,
        method: HttpMethods,
        parts: &[&[u8]],
        pace: Pace,
    ) -> (Option<Response>, bool) {
        let answer = Rc::<RefCell<Option<Option<Response>>>>::default();
        let got = Rc::clone(&answer);
        let request = EventHttpRequest::new(move |response| {
            let response = response.filter(|response| response.error().is_none());
            let before = got.replace(Some(response.map(taken)));
            assert!(before.is_none(), "one answer");
        });
        let request = request.expect("a request");
        connection
            .make_request(&request, method, "/")
            .expect("it is made");
        // A request over a connection that was kept may be repeated over another one.
        let (mut connections, mut was_kept) = (0..2, false);
        loop {
            self.turn();
            if let Some(answer) = answer.take() {
                return (answer, was_kept);
            }
            let first = connections.next().expect("an answer") == 0;
            match self.listener.accept() {
                Ok((stream, _)) => *peer = Some(stream),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::WouldBlock);
                    was_kept = first;
                }
            }
            let mut stream = peer.as_ref().expect("a connection");
            for part in parts {
                stream.write_all(part).ok(); // the client may have closed it
                pace.wait(&self.base, || self.turn());
            }
            if answer.borrow().is_none() {
                stream.shutdown(Shutdown::Write).ok();
                self.turn();
                *peer = None;
            }
        }
    }
}

fn taken(response: &EventHttpRequest) -> Response {
    let fields = response.get_input_headers().expect("fields");
    let body = response.get_input_buffer().read(usize::MAX);
    (
        response.get_response_code().expect("a status"),
        fields.into_iter().map(|(name, _)| name).collect(),
        body.expect("a body").unwrap_or_default(),
    )
}

/// What the decoder reads, and whether it lets the connection be kept; nothing of a response that is
/// refused or not complete.
fn expected(method: Method, stream: &[u8]) -> Option<(Response, bool)> {
    let request = Request {
        method,
        upgrade: false,
    };
    let limits = Limits {
        header_size: INPUT_MAX * 2,
        body_size: INPUT_MAX as u64 * 2,
    };
    let (mut response, mut stays, mut is_complete) = (None, false, false);
    for item in decode(limits, request, &mut [stream].into_iter()) {
        match item {
            Got::Interim(..) | Got::Refused => {}
            Got::Head(status, _, keep_alive, fields) => {
                let names = fields.into_iter().map(|(name, _)| name).collect();
                response = Some((status, names, Vec::new()));
                stays = keep_alive;
            }
            Got::Body(body) => {
                if let Some((_, _, content)) = &mut response {
                    *content = body;
                }
            }
            Got::End => is_complete = true,
        }
    }
    response
        .filter(|_| is_complete)
        .map(|response| (response, stays))
}

/// The first byte chooses the method.
pub(crate) fn run(input: &[u8]) {
    let Some((choice, stream)) = input.split_first() else {
        return;
    };
    if stream.len() > INPUT_MAX {
        return;
    }
    let (method, methods) = match choice % 2 {
        0 => (Method::Get, EventHttpRequest::CMD_GET),
        _ => (Method::Head, EventHttpRequest::CMD_HEAD),
    };
    let (wanted, stays) = expected(method, stream).unzip();
    // Nothing may follow a response.
    let but_last = stream.split_last().map_or(&[][..], |(_, rest)| rest);
    let may_be_kept = stays == Some(true) && expected(method, but_last).is_none();
    WORLD.with(|world| {
        let third = stream.len() / 3 + 1;
        for (length, pace) in [
            (stream.len(), Pace::Settled),
            (third, Pace::Settled),
            (third, Pace::Turn),
        ] {
            let parts: Vec<&[u8]> = stream.chunks(length.max(1)).collect();
            let connection = EventHttpConnection::new(&world.base, None, &world.address, 0);
            let connection = connection.expect("a connection");
            let mut peer = None;
            for round in 0..2 {
                let (answer, was_kept) = world.ask(&connection, &mut peer, methods, &parts, pace);
                let shown = stream.escape_ascii();
                let how = format!("{round}, in parts of {length}, {pace:?}: {shown}");
                assert_eq!(answer, wanted, "{how}");
                assert!(may_be_kept || !was_kept, "{how}");
            }
            drop((connection, peer));
            world.turn();
        }
    });
}

//! `EventHttp` and the server's side of `EventHttpRequest`, against real sockets.

#![allow(clippy::duplicate_mod, reason = "each case is run over each transport")]

mod client;
#[cfg(feature = "openssl")]
mod tls;
mod transport;

/// The cases over plain TCP.
#[path = "."]
mod tcp {
    const OVER: crate::transport::Transport = crate::transport::Transport::Tcp;

    mod cases;
    mod clients;
    mod ends;
    mod gate;
    mod last_answer;
    mod limits;
    mod lingering;
    mod listening;
    mod replies;
    mod requests;
    mod routes;
    mod streams;
}

/// The same over TLS.
#[cfg(feature = "openssl")]
#[path = "."]
mod over_tls {
    const OVER: crate::transport::Transport = crate::transport::Transport::Tls;

    mod cases;
    mod clients;
    mod ends;
    mod gate;
    mod last_answer;
    mod limits;
    mod listening;
    mod replies;
    mod requests;
    mod routes;
    mod streams;
}

use std::cell::RefCell;
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::thread;

use client::{Answer, Client};
use php_event::{Event, EventBase, EventBuffer, EventException, EventHttp, EventHttpRequest};
use test_support::limited;
use transport::Transport;

/// A server on a free port of the loopback, with its base.
pub(crate) struct Server {
    pub(crate) base: EventBase,
    pub(crate) http: EventHttp,
    pub(crate) address: SocketAddr,
    pub(crate) over: Transport,
}

/// Requests that their closures kept.
pub(crate) type Kept = Rc<RefCell<Vec<EventHttpRequest>>>;

impl Server {
    pub(crate) fn new(over: Transport) -> Self {
        let base = EventBase::new().unwrap();
        let http = over.http(&base).unwrap();
        let address = http.bind("127.0.0.1", 0).unwrap();
        Self {
            base,
            http,
            address,
            over,
        }
    }

    /// A server whose every request is answered by `callback`.
    pub(crate) fn with(over: Transport, callback: impl FnMut(&EventHttpRequest) + 'static) -> Self {
        let server = Self::new(over);
        server.http.set_default_callback(callback).unwrap();
        server
    }

    /// A server that keeps all requests, and answers none.
    pub(crate) fn keeping(over: Transport) -> (Self, Kept) {
        let kept = Kept::default();
        let list = Rc::clone(&kept);
        let keep = move |request: &EventHttpRequest| list.borrow_mut().push(request.clone());
        (Self::with(over, keep), kept)
    }

    /// Serves while `work` does something with the address in a thread of its own.
    pub(crate) fn serve<T: Send + 'static>(
        &self,
        work: impl FnOnce(SocketAddr) -> T + Send + 'static,
    ) -> T {
        let address = self.address;
        serve(&self.base, move || work(address))
    }

    /// Serves one request of these bytes, and gives the answer.
    pub(crate) fn ask(&self, request: impl AsRef<[u8]>) -> Answer {
        let (request, over) = (request.as_ref().to_vec(), self.over);
        self.serve(move |address| {
            let mut client = Client::new(over, address);
            client.send(request);
            client.answer()
        })
    }

    /// Serves these bytes, and gives all that comes back until the end.
    pub(crate) fn ask_all(&self, request: impl AsRef<[u8]>) -> String {
        let (request, over) = (request.as_ref().to_vec(), self.over);
        self.serve(move |address| {
            let mut client = Client::new(over, address);
            client.send(request);
            client.rest()
        })
    }

    /// Turns the loop until `done`.
    pub(crate) fn until(&self, done: impl Fn() -> bool) {
        until(&self.base, done);
    }
}

/// Turns the loop until `done`.
pub(crate) fn until(base: &EventBase, done: impl Fn() -> bool) {
    limited(|| {
        while !done() {
            base.r#loop(EventBase::LOOP_ONCE).unwrap();
        }
    });
}

/// Runs the loop while `work` is done in a thread of its own.
pub(crate) fn serve<T: Send + 'static>(
    base: &EventBase,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let thread = thread::spawn(move || {
        let result = catch_unwind(AssertUnwindSafe(work));
        drop(theirs);
        result
    });
    let stop = base.clone();
    let done = Event::new(base, ours, Event::READ, move |_, _, _| stop.stop().unwrap()).unwrap();
    done.add(None).unwrap();
    limited(|| base.dispatch()).unwrap();
    thread
        .join()
        .unwrap()
        .unwrap_or_else(|panic| resume_unwind(panic))
}

/// A request for a path, of HTTP/1.1, whose connection is kept.
pub(crate) fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")
}

/// A buffer that holds `text`.
pub(crate) fn buffer(text: impl AsRef<[u8]>) -> EventBuffer {
    let buffer = EventBuffer::new().unwrap();
    buffer.add(text).unwrap();
    buffer
}

/// Answers 200 with a text.
pub(crate) fn say(request: &EventHttpRequest, text: impl AsRef<[u8]>) {
    request.send_reply(200, "OK", Some(&buffer(text))).unwrap();
}

/// The text of an error.
#[track_caller]
pub(crate) fn error<T>(result: Result<T, EventException>) -> String {
    match result {
        Ok(_) => panic!("it did not fail"),
        Err(error) => error.to_string(),
    }
}

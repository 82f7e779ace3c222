//! `EventHttpConnection` as a client, and the requests that it makes, against scripted servers
//! on loopback and our own `EventHttp`.

#![allow(clippy::duplicate_mod, reason = "each case is run over each transport")]

#[cfg(feature = "openssl")]
mod full_sockets;
mod server;
mod transport;
mod unix;

/// The cases over plain TCP.
#[path = "."]
mod tcp {
    const OVER: crate::transport::Transport = crate::transport::Transport::Tcp;

    mod answers;
    mod closing;
    mod closures;
    mod ends;
    mod failures;
    mod names;
    mod over;
    mod requests;
    mod settings;
}

/// The same over TLS.
#[cfg(feature = "openssl")]
#[path = "."]
mod tls {
    const OVER: crate::transport::Transport = crate::transport::Transport::Tls;

    mod answers;
    mod closing;
    mod closures;
    mod ends;
    mod failures;
    mod names;
    mod over;
    mod requests;
    mod settings;
}

use std::cell::RefCell;
use std::rc::Rc;

use php_event::{EventBase, EventHttpRequest, HeaderSide, HttpMethods};
use test_support::limited;

const GET: HttpMethods = EventHttpRequest::CMD_GET;
const POST: HttpMethods = EventHttpRequest::CMD_POST;
const OUT: HeaderSide = EventHttpRequest::OUTPUT_HEADER;

/// What a completion callback was given.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Told {
    Null,
    Answer(u16, String),
}

/// What completion callbacks were given, and other things that happened, in order.
#[derive(Clone, Default)]
struct Log(Rc<RefCell<Vec<String>>>);

impl Log {
    fn note(&self, what: impl Into<String>) {
        self.0.borrow_mut().push(what.into());
    }

    fn take(&self) -> Vec<String> {
        self.0.take()
    }
}

/// A request that stops the loop and keeps what it was told.
fn request(base: &EventBase) -> (EventHttpRequest, Rc<RefCell<Vec<Told>>>) {
    let told: Rc<RefCell<Vec<Told>>> = Rc::default();
    let (seen, base) = (Rc::clone(&told), base.clone());
    let request = EventHttpRequest::new(move |answer| {
        seen.borrow_mut().push(match answer {
            None => Told::Null,
            Some(answer) => Told::Answer(answer.get_response_code().unwrap(), body(answer)),
        });
        base.stop().unwrap();
    });
    (request.unwrap(), told)
}

/// A request that notes `name` and the response code, or `null`.
fn noting(log: &Log, name: &'static str) -> EventHttpRequest {
    let log = log.clone();
    EventHttpRequest::new(move |answer| {
        let code = answer.map(|answer| answer.get_response_code().unwrap());
        log.note(match code {
            Some(code) => format!("{name} {code}"),
            None => format!("{name} null"),
        });
    })
    .unwrap()
}

/// What the answer's body is.
fn body(answer: &EventHttpRequest) -> String {
    let buffer = answer.get_input_buffer();
    let bytes = buffer.read(buffer.length()).unwrap();
    String::from_utf8(bytes.unwrap_or_default()).unwrap()
}

/// Runs the loop until a callback stops it.
fn until_stopped(base: &EventBase) {
    assert_eq!(
        limited(|| base.dispatch()).unwrap(),
        php_event::LoopEnd::Stop
    );
}

//! A client's end of a connection: requests that wait, the one that is under way, and what
//! closures are to be told.
//!
//! Owns: a buffer event while there is a connection or one is being made; the requests that are
//! under way; a timer.
//! Lent to C: what these lend. Runs user code: none here. The buffer event's callbacks only note
//! what happened, and [`notes`] tells it in a turn of its own.
//!
//! libevent's own HTTP client is not used: it leaves the framing of answers open, and cannot be
//! fixed from outside. One request at a time is sent over a connection, and its answer is read,
//! by [`http_framing::ResponseDecoder`], while the request is being written.

mod connecting;
mod error;
mod exchange;
mod handle;
mod line;
mod message;
mod notes;
mod request;
mod settings;
mod target;

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::rc::{Rc, Weak};
use std::time::Duration;

use super::connection::End;
use super::{EventHttpConnection, connection, request as requests};
use crate::error::Result;
use crate::flags::BufferEventFlags;
use crate::runtime::Ending;
use crate::{Event, EventBufferEvent, Lookup, base};

pub use error::HttpError;
use exchange::{Connection, Exchange, Progress};
use notes::{Note, Notes};
pub(crate) use request::ClientRequest;
use settings::Settings;
use target::Target;

const CALL: &str = "EventHttpConnection::makeRequest";

pub(crate) struct ClientConnection {
    target: Target,
    settings: Cell<Settings>,
    state: RefCell<State>,
    queue: RefCell<VecDeque<Rc<requests::Inner>>>,
    addresses: RefCell<VecDeque<SocketAddr>>, // what a lookup found, and was not tried yet
    retries: Cell<u32>,                       // since the server was last reached
    silence: OnceCell<Event>,                 // ends what takes too long
    notes: Notes,
}

/// What the client is doing. The request that a connection is made for is the first in the queue.
#[derive(Default)]
enum State {
    /// There is no connection, and none is being made.
    #[default]
    Closed,
    /// The host's name is being looked up.
    Resolving(#[allow(dead_code, reason = "held, not read")] Lookup),
    /// The connection is being made: TCP, then the TLS handshake.
    Connecting(EventBufferEvent),
    /// The next attempt to connect waits for this timer.
    Pausing(#[allow(dead_code, reason = "held, not read")] Event),
    /// There is a connection, and no request uses it.
    Ready(EventBufferEvent),
    /// A request is under way.
    Busy(Box<Exchange>),
}

impl connection::Inner {
    /// A connection to a server, which is not made yet.
    fn of_client(call: &'static str, base: &Rc<base::Inner>, target: Target) -> Result<Rc<Self>> {
        base.usable(call)?;
        let client = ClientConnection::new(target);
        let inner = Rc::new(Self::new(base, End::Client(client)));
        if let Some(client) = inner.client() {
            client.notes.prepare(call, &inner)?;
            let weak = Rc::downgrade(&inner);
            let silence = Event::timer_on(call, base, move |_timer| {
                with_client(&weak, ClientConnection::silent);
            })?;
            client.silence.set(silence).ok(); // it is empty: this is called once
        }
        let weak: Weak<Self> = Rc::downgrade(&inner);
        base.disown_in_children(weak);
        Ok(inner)
    }

    /// A client's end, if that is ours.
    pub(crate) fn client(&self) -> Option<&ClientConnection> {
        match &self.end {
            End::Client(client) => Some(client),
            End::Server(_) => None,
        }
    }
}

/// Calls the client's end of a connection that may have gone.
fn with_client(
    weak: &Weak<connection::Inner>,
    work: impl FnOnce(&ClientConnection, &Rc<connection::Inner>),
) {
    if let Some(conn) = weak.upgrade()
        && let Some(client) = conn.client()
    {
        work(client, &conn);
    }
}

impl ClientConnection {
    fn new(target: Target) -> Self {
        Self {
            target,
            settings: Cell::default(),
            state: RefCell::default(),
            queue: RefCell::default(),
            addresses: RefCell::default(),
            retries: Cell::default(),
            silence: OnceCell::new(),
            notes: Notes::default(),
        }
    }

    pub(super) fn peer(&self) -> (String, u16) {
        self.target.peer()
    }

    fn set(&self, change: impl FnOnce(&mut Settings)) {
        let mut settings = self.settings.get();
        change(&mut settings);
        self.settings.set(settings);
    }

    pub(super) fn set_timeout(&self, _: &connection::Inner, timeout: Option<Duration>) {
        self.set(|settings| settings.silence_max = timeout);
        let waits = matches!(&*self.state.borrow(), State::Connecting(_) | State::Busy(_));
        if waits {
            self.expect_a_sign();
        }
    }

    /// From now on the server has the time for silence.
    fn expect_a_sign(&self) {
        let Some(silence) = self.silence.get() else {
            return;
        };
        // Both fail where no loop would run the timer either.
        match self.settings.get().silence_max {
            Some(time) => silence.add(Some(time)).ok(),
            None => silence.del().ok(),
        };
    }

    fn expect_nothing(&self) {
        if let Some(silence) = self.silence.get() {
            silence.del().ok(); // it fails where no loop would run the timer either
        }
    }
}

/// Requests on their way out.
impl ClientConnection {
    /// Queues a request, and begins with it if nothing else is under way.
    fn make(&self, conn: &Rc<connection::Inner>, request: &Rc<requests::Inner>) -> Result<()> {
        self.queue.borrow_mut().push_back(Rc::clone(request));
        while let Err(error) = self.advance(CALL, conn) {
            let Some(first) = self.queue.borrow_mut().pop_front() else {
                break;
            };
            if Rc::ptr_eq(&first, request) {
                return Err(error);
            }
            self.fail(first, HttpError::of_attempt(&error));
        }
        Ok(())
    }

    /// Goes on with the next request, from the loop.
    fn proceed(&self, conn: &Rc<connection::Inner>) {
        while let Err(error) = self.advance(CALL, conn) {
            let Some(first) = self.queue.borrow_mut().pop_front() else {
                break;
            };
            self.fail(first, HttpError::of_attempt(&error));
        }
    }

    /// Does what the first request in the queue needs next, if nothing has to end before.
    fn advance(&self, call: &'static str, conn: &Rc<connection::Inner>) -> Result<()> {
        if conn.base().usable(call).is_err() || self.queue.borrow().is_empty() {
            return Ok(());
        }
        match self.state.take() {
            State::Closed => {}
            // What came would be taken for the answer, and a server that has ended gives none.
            State::Ready(bev) if bev.has_news() => self.close(conn, &bev),
            State::Ready(bev) => {
                self.send(conn, bev, Connection::Kept);
                return Ok(());
            }
            busy => {
                drop(self.state.replace(busy));
                return Ok(());
            }
        }
        let begun = self.connect(call, conn);
        begun.inspect_err(|_| self.forget_attempts())
    }

    /// Sends the first request in the queue.
    fn send(&self, conn: &Rc<connection::Inner>, bev: EventBufferEvent, age: Connection) {
        let Some(request) = self.queue.borrow_mut().pop_front() else {
            drop(self.state.replace(State::Ready(bev)));
            return;
        };
        let settings = self.settings.get();
        let wait = || {
            let weak = Rc::downgrade(conn);
            let timer = Event::timer_on(CALL, conn.base(), move |_timer| {
                with_client(&weak, ClientConnection::continue_without_being_asked);
            })?;
            timer.add(Some(settings.continue_wait()))?;
            Ok(timer)
        };
        match Exchange::begin(bev, age, request, &settings, wait) {
            Ok(exchange) => {
                self.state.replace(State::Busy(Box::new(exchange)));
                self.expect_a_sign();
            }
            Err((bev, request)) => {
                self.close(conn, &bev);
                self.fail(request, HttpError::Buffer);
            }
        }
    }

    fn fail(&self, request: Rc<requests::Inner>, error: HttpError) {
        let outcome = Err(error);
        self.notes.push(Note::Over { request, outcome });
    }

    /// The server has not said `100 Continue` in time.
    fn continue_without_being_asked(&self, conn: &Rc<connection::Inner>) {
        match self.state.take() {
            State::Busy(mut exchange) => match exchange.send_body() {
                Ok(()) => drop(self.state.replace(State::Busy(exchange))),
                Err(error) => self.end_exchange(conn, *exchange, Err(error)),
            },
            other => drop(self.state.replace(other)),
        }
    }
}

/// What the buffer event and the timer tell.
impl ClientConnection {
    /// Bytes have come.
    fn readable(&self, conn: &Rc<connection::Inner>) {
        match self.state.take() {
            State::Busy(mut exchange) => match exchange.read() {
                Ok(Progress::More) => {
                    self.state.replace(State::Busy(exchange));
                    self.expect_a_sign();
                }
                outcome => self.end_exchange(conn, *exchange, outcome),
            },
            // Nobody has asked for them, and the next request must not get them as its answer.
            State::Ready(bev) => self.close(conn, &bev),
            other => drop(self.state.replace(other)),
        }
    }

    /// The connection is established, has ended, or has failed; `os_error` says why it has.
    fn happened(&self, conn: &Rc<connection::Inner>, what: BufferEventFlags, os_error: &io::Error) {
        let is_only_writing =
            what.contains(BufferEventFlags::WRITING) && !what.contains(BufferEventFlags::READING);
        match self.state.take() {
            State::Connecting(bev) if what.contains(BufferEventFlags::CONNECTED) => {
                self.connected(conn, bev);
            }
            State::Connecting(bev) => {
                let error = failure(&bev, what, os_error);
                self.attempt_failed(
                    conn,
                    match error {
                        Some(HttpError::Broken(kind)) => HttpError::NotConnected(kind),
                        Some(error) => error,
                        None => HttpError::NotConnected(io::ErrorKind::ConnectionReset),
                    },
                );
            }
            State::Ready(bev) => self.close(conn, &bev),
            State::Busy(mut exchange) if is_only_writing => {
                match exchange.stop_sending(os_error.kind()) {
                    Ok(()) => drop(self.state.replace(State::Busy(exchange))),
                    Err(error) => self.end_exchange(conn, *exchange, Err(error)),
                }
            }
            State::Busy(mut exchange) => {
                let reason = failure(&exchange.bev, what, os_error);
                let outcome = exchange.end(reason);
                self.end_exchange(conn, *exchange, outcome);
            }
            other => drop(self.state.replace(other)),
        }
    }

    /// The time is over.
    fn silent(&self, conn: &Rc<connection::Inner>) {
        match self.state.take() {
            State::Connecting(_) => {
                let error = HttpError::NotConnected(io::ErrorKind::TimedOut);
                self.attempt_failed(conn, error);
            }
            State::Busy(mut exchange) => {
                if exchange.has_written() {
                    self.state.replace(State::Busy(exchange));
                    self.expect_a_sign();
                } else {
                    self.end_exchange(conn, *exchange, Err(HttpError::Timeout));
                }
            }
            other => drop(self.state.replace(other)),
        }
    }

    /// A request has its answer, or has failed; the connection stays where it may.
    fn end_exchange(
        &self,
        conn: &Rc<connection::Inner>,
        exchange: Exchange,
        outcome: Result<Progress, HttpError>,
    ) {
        if let Err(error) = &outcome
            && exchange.may_be_repeated(error)
        {
            self.queue.borrow_mut().push_front(exchange.request);
            self.close(conn, &exchange.bev);
            return;
        }
        let (bev, request) = (exchange.bev, exchange.request);
        let (outcome, keep_alive) = match outcome {
            Ok(Progress::Complete { answer, keep_alive }) => (Ok(answer), keep_alive),
            Ok(Progress::More) => (Err(HttpError::Eof), false),
            Err(error) => (Err(error), false),
        };
        self.expect_nothing();
        if keep_alive {
            self.state.replace(State::Ready(bev));
        } else {
            self.close(conn, &bev);
        }
        self.notes.push(Note::Over { request, outcome });
    }

    /// Ends an established connection: the close callback runs.
    fn close(&self, conn: &connection::Inner, bev: &EventBufferEvent) {
        self.expect_nothing();
        bev.free();
        if conn.wants_close.get() {
            self.notes.push(Note::Closed);
        } else {
            self.notes.wake();
        }
    }
}

/// Why a connection has failed; `None` when the server closed it.
fn failure(
    bev: &EventBufferEvent,
    what: BufferEventFlags,
    os_error: &io::Error,
) -> Option<HttpError> {
    if !what.contains(BufferEventFlags::ERROR) {
        return None;
    }
    #[cfg(feature = "openssl")]
    if let Ok(Some(reason)) = bev.ssl_error() {
        return Some(HttpError::Tls(reason));
    }
    #[cfg(not(feature = "openssl"))]
    let _ = bev;
    Some(HttpError::Broken(os_error.kind()))
}

/// What ends early.
impl ClientConnection {
    /// Takes a request back, wherever it is: its closure is not called.
    fn withdraw(&self, conn: &connection::Inner, request: &Rc<requests::Inner>) {
        let is = |other: &Rc<requests::Inner>| Rc::ptr_eq(other, request);
        self.notes.remove(request);
        let was_first = self.queue.borrow().front().is_some_and(is);
        self.queue.borrow_mut().retain(|other| !is(other)); // the caller has a count
        match self.state.take() {
            State::Busy(exchange) if is(&exchange.request) => self.close(conn, &exchange.bev),
            making @ (State::Closed
            | State::Connecting(_)
            | State::Resolving(_)
            | State::Pausing(_))
                if was_first =>
            {
                drop(making);
                self.forget_attempts();
            }
            other => drop(self.state.replace(other)),
        }
        if let Some(client) = request.client() {
            client.finish(Err(HttpError::Cancelled));
        }
        self.notes.wake();
    }

    /// The last handle went, and with it what is under way.
    pub(super) fn ends(&self, _: &connection::Inner) {
        let mut requests: Vec<_> = self.queue.take().into();
        requests.extend(self.notes.take_requests());
        match self.state.take() {
            State::Busy(exchange) => {
                let Exchange { bev, request, .. } = *exchange;
                bev.free();
                requests.push(request);
            }
            State::Ready(bev) | State::Connecting(bev) => bev.free(),
            other => drop(other),
        }
        for request in &requests {
            if let Some(client) = request.client() {
                client.finish(Err(HttpError::Cancelled));
            }
        }
        let mut ending = Ending::default(); // no borrow is held: captured values may run user code
        ending.drop_each(requests);
        ending.finish();
    }
}

impl base::Inherited for connection::Inner {
    /// This is a forked child. The connection is the parent's, which waits for the answers.
    fn disown(&self) {
        let Some(client) = self.client() else { return };
        let mut requests = Vec::new();
        match client.state.take() {
            State::Busy(exchange) => {
                client.close(self, &exchange.bev);
                requests.push(exchange.request);
            }
            State::Ready(bev) => client.close(self, &bev),
            making => drop(making),
        }
        client.forget_attempts();
        requests.extend(client.queue.take());
        for request in requests {
            client.fail(request, HttpError::Eof);
        }
    }
}

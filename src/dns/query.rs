//! [`Query`]: one question, which is sent to servers until one of them answers.
//!
//! A query goes out as a datagram. It is asked for again over TCP when the answer is cut, and
//! of another server when none comes in time or the server cannot help.
//!
//! Owns: the socket of the present try, and the event that waits for it.
//! Lent to C: nothing of its own. Runs no user code: what came goes to the lookup.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::mem;
use std::net::SocketAddr;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use socket2::{Socket, Type};

use super::Inner;
use super::error::DnsError;
use super::lookup::Pending;
use super::message::{Case, Family, Message, Reading};
use super::servers::Asked;
use super::tcp::{Conversation, Progress};
use crate::Event;
use crate::flags::EventFlags;

const CALL: &str = "EventDnsBase";

/// The longest datagram that is read whole; servers send 512 bytes to a query like ours.
const DATAGRAM_MAX: usize = 4096;

/// How many datagrams one callback reads, so that a flood leaves the loop to others, too.
const DATAGRAMS_PER_CALL: usize = 16;

/// A question to the servers of a DNS base. Dropped before it has its answer, it is withdrawn.
pub(super) struct Query {
    me: Weak<Self>,
    dns: Weak<Inner>,
    lookup: Weak<Pending>,
    name: String,
    family: Family,
    asked: RefCell<Asked>,
    tries: Cell<usize>,
    failure: Cell<Option<DnsError>>, // why no server has answered so far
    state: RefCell<State>,
    in_flight: RefCell<Option<InFlight>>, // from the first try to the end
}

enum State {
    Waiting,
    Asking(Try),
    Ended,
}

/// A message sent to one server.
struct Try {
    server: usize,
    message: Rc<Message>,
    until: Instant,
    event: Event,
}

impl Query {
    pub(super) fn new(
        dns: &Rc<Inner>,
        lookup: &Rc<Pending>,
        name: &str,
        family: Family,
    ) -> Rc<Self> {
        Rc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            dns: Rc::downgrade(dns),
            lookup: Rc::downgrade(lookup),
            name: name.to_owned(),
            family,
            asked: RefCell::default(),
            tries: Cell::new(0),
            failure: Cell::default(),
            state: RefCell::new(State::Waiting),
            in_flight: RefCell::default(),
        })
    }

    /// Sends the query, now or when fewer of them are out.
    pub(super) fn start(self: &Rc<Self>, dns: &Rc<Inner>) {
        dns.queue
            .borrow_mut()
            .waiting
            .push_back(Rc::downgrade(self));
        dns.send_waiting();
    }

    /// Asks the next server, or the same one again; ends without one to ask.
    fn try_next(&self) {
        let Some(dns) = self.dns.upgrade() else {
            return;
        };
        loop {
            let next = dns.next_server(&self.asked.borrow(), self.tries.get());
            let Some((server, address)) = next else {
                return self.end(Err(self.failure.get().unwrap_or(DnsError::Timeout)));
            };
            self.tries.set(self.tries.get() + 1);
            self.asked.borrow_mut().note(server);
            match self.send(&dns, server, address) {
                Ok(sent) => {
                    self.state.replace(State::Asking(sent));
                    return;
                }
                Err(error) if is_out_of_resources(&error) => {
                    return self.end(Err(DnsError::NoSocket));
                }
                Err(_) => self.note_absence(&dns, server),
            }
        }
    }

    fn send(&self, dns: &Rc<Inner>, server: usize, to: SocketAddr) -> io::Result<Try> {
        let settings = dns.settings.borrow();
        let message = Message::new(&self.name, self.family, settings.randomize_case)?;
        let socket = dns.socket(&settings, to, Type::DGRAM)?;
        socket.send(message.bytes())?;
        let me = Weak::clone(&self.me);
        let arrived = move |socket: &Socket, _what| {
            if let Some(query) = me.upgrade() {
                query.datagrams(socket);
            }
        };
        let event = Event::source_on(CALL, &dns.base, socket, EventFlags::READ, arrived)?;
        event.add(Some(settings.timeout))?;
        Ok(Try {
            server,
            message: Rc::new(message),
            until: after(settings.timeout),
            event,
        })
    }

    /// Reads what has come. The time may be over; if the loop was held up, the answer is there even
    /// so.
    fn datagrams(&self, socket: &Socket) {
        let Some((message, until, event)) = self.present() else {
            return;
        };
        let mut packet = [0; DATAGRAM_MAX];
        for _ in 0..DATAGRAMS_PER_CALL {
            match io::Read::read(&mut &*socket, &mut packet) {
                Ok(n) => match message.read(&packet[..n], Case::Exact) {
                    Reading::Foreign => {}
                    Reading::Unsure => return self.converse(message),
                    Reading::Answer(outcome) => return self.answered(outcome),
                },
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => return self.absent(), // nothing listens there
            }
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() || event.add(Some(left)).is_err() {
            self.silent();
        }
    }

    /// Asks the same server again over TCP.
    fn converse(&self, message: Rc<Message>) {
        self.failure.set(Some(DnsError::Truncated));
        let Some(dns) = self.dns.upgrade() else {
            return;
        };
        let State::Asking(datagram) = self.state.replace(State::Waiting) else {
            return;
        };
        match self.connect(&dns, datagram.server, message) {
            Ok(connected) => drop(self.state.replace(State::Asking(connected))),
            Err(_) => self.exclude(datagram.server),
        }
    }

    fn connect(&self, dns: &Rc<Inner>, server: usize, message: Rc<Message>) -> io::Result<Try> {
        let settings = dns.settings.borrow();
        let to = dns.servers.borrow().address(server);
        let socket = Rc::new(dns.socket(&settings, to, Type::STREAM)?);
        let conversation = Conversation::new(message.bytes());
        let event = self.wait(dns, socket, conversation, settings.timeout)?;
        Ok(Try {
            server,
            message,
            until: after(settings.timeout),
            event,
        })
    }

    /// Waits until the conversation can continue.
    fn wait(
        &self,
        dns: &Rc<Inner>,
        socket: Rc<Socket>,
        conversation: Conversation,
        timeout: Duration,
    ) -> crate::Result<Event> {
        let (me, wants) = (Weak::clone(&self.me), conversation.wants());
        let mut conversation = Some(conversation);
        let ready = move |socket: &Rc<Socket>, _what| {
            if let (Some(query), Some(conversation)) = (me.upgrade(), conversation.take()) {
                query.go_on(socket, conversation);
            }
        };
        let event = Event::source_on(CALL, &dns.base, socket, wants, ready)?;
        event.add(Some(timeout))?;
        Ok(event)
    }

    /// Writes or reads a part of a conversation over TCP. The time may be over, as in
    /// [`datagrams`](Self::datagrams).
    fn go_on(&self, socket: &Rc<Socket>, mut conversation: Conversation) {
        let Some((message, until, _event)) = self.present() else {
            return;
        };
        let Some(dns) = self.dns.upgrade() else {
            return;
        };
        match conversation.advance(socket) {
            Ok(Progress::Blocked) => {
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return self.silent();
                }
                let again = self.wait(&dns, Rc::clone(socket), conversation, left);
                let Ok(again) = again else {
                    return self.broken();
                };
                if let State::Asking(present) = &mut *self.state.borrow_mut() {
                    present.event = again;
                }
            }
            Ok(Progress::Message(packet)) => match message.read(&packet, Case::Any) {
                Reading::Answer(outcome) => self.answered(outcome),
                Reading::Foreign | Reading::Unsure => self.broken(),
            },
            Err(_) => self.broken(),
        }
    }

    /// What the present try is about.
    fn present(&self) -> Option<(Rc<Message>, Instant, Event)> {
        match &*self.state.borrow() {
            State::Asking(present) => Some((
                Rc::clone(&present.message),
                present.until,
                present.event.clone(),
            )),
            State::Waiting | State::Ended => None,
        }
    }

    /// Ends the present try; the server that it went to.
    fn end_try(&self) -> Option<(Rc<Inner>, usize)> {
        let State::Asking(present) = self.state.replace(State::Waiting) else {
            return None;
        };
        Some((self.dns.upgrade()?, present.server))
    }

    /// The server has answered: for good, or with a failure of its own.
    fn answered(&self, outcome: Result<Vec<SocketAddr>, DnsError>) {
        let Some((dns, server)) = self.end_try() else {
            return;
        };
        dns.servers.borrow_mut().note_answer(server);
        match outcome {
            Ok(_) | Err(DnsError::NotFound | DnsError::NoAddress) => self.end(outcome),
            Err(failure) => {
                self.failure.set(Some(failure));
                self.exclude(server);
            }
        }
    }

    /// No answer came in time.
    fn silent(&self) {
        if let Some((dns, server)) = self.end_try() {
            if matches!(self.failure.get(), None | Some(DnsError::Unreachable)) {
                self.failure.set(Some(DnsError::Timeout));
            }
            let settings = dns.settings.borrow();
            let mut servers = dns.servers.borrow_mut();
            servers.note_silence(server, &settings, Instant::now());
            drop((servers, settings));
            self.try_next();
        }
    }

    /// Nothing listens at the server's address.
    fn absent(&self) {
        if let Some((dns, server)) = self.end_try() {
            self.note_absence(&dns, server);
            self.try_next();
        }
    }

    /// A conversation over TCP came to nothing; the answer is still cut.
    fn broken(&self) {
        if let Some((_dns, server)) = self.end_try() {
            self.exclude(server);
        }
    }

    fn note_absence(&self, dns: &Inner, server: usize) {
        let settings = dns.settings.borrow();
        let mut servers = dns.servers.borrow_mut();
        servers.note_absence(server, &settings, Instant::now());
        self.asked.borrow_mut().exclude(server);
        if self.failure.get().is_none() {
            self.failure.set(Some(DnsError::Unreachable));
        }
    }

    /// Goes on without the server.
    fn exclude(&self, server: usize) {
        self.asked.borrow_mut().exclude(server);
        self.try_next();
    }

    fn end(&self, outcome: Result<Vec<SocketAddr>, DnsError>) {
        self.state.replace(State::Ended);
        self.in_flight.take(); // which may send another query
        if let Some(lookup) = self.lookup.upgrade() {
            lookup.answered(self.family, outcome);
        }
    }
}

fn is_out_of_resources(error: &io::Error) -> bool {
    let number = error.raw_os_error();
    matches!(
        number,
        Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ENOBUFS)
    )
}

fn after(time: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(time).unwrap_or(now)
}

/// The queries of a DNS base that are out, and those that wait for them.
#[derive(Default)]
pub(super) struct Queue {
    out: usize,
    waiting: VecDeque<Weak<Query>>,
    sending: bool,
}

/// One of the queries that are out.
struct InFlight(Weak<Inner>);

impl Drop for InFlight {
    fn drop(&mut self) {
        if let Some(dns) = self.0.upgrade() {
            dns.queue.borrow_mut().out -= 1;
            dns.send_waiting();
        }
    }
}

impl Inner {
    /// Sends queries that wait, as long as few enough are out.
    fn send_waiting(self: &Rc<Self>) {
        if mem::replace(&mut self.queue.borrow_mut().sending, true) {
            return; // a query that ends at once sends no other from inside: no deep recursion
        }
        while let Some(query) = self.next_waiting() {
            query.in_flight.replace(Some(InFlight(Rc::downgrade(self))));
            query.try_next();
        }
        self.queue.borrow_mut().sending = false;
    }

    fn next_waiting(&self) -> Option<Rc<Query>> {
        let most = self.settings.borrow().max_inflight;
        let mut queue = self.queue.borrow_mut();
        while queue.out < most && self.is_open() {
            if let Some(query) = queue.waiting.pop_front()?.upgrade() {
                queue.out += 1;
                return Some(query);
            }
        }
        None
    }

    /// The server to ask after `tries` of them.
    fn next_server(&self, asked: &Asked, tries: usize) -> Option<(usize, SocketAddr)> {
        let servers = self.servers.borrow();
        let most = self.settings.borrow().attempts as usize;
        if tries >= most.max(servers.len()) {
            return None;
        }
        let server = servers.next(asked, Instant::now())?;
        Some((server, servers.address(server)))
    }
}

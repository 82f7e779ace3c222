//! Subscribers over WebSocket: they receive updates as JSON, and may publish.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::rate::TokenKey;
use super::reply::Asker;
use super::request::Head;
use super::subscribers::Subscriber;
use super::{Hub, Pending, publishing};
use crate::app::{Answer, Due, Parting, Received};
use crate::buffer::{Account, Buffer};
use crate::time;
use crate::worker::Worker;
use http_framing::Version;
use hub_protocol::token::Grants;
use hub_protocol::websocket::{self, Event, Opening};
use hub_protocol::{Refusal, publish};

/// Pings in a row that a peer may leave unanswered.
const UNANSWERED_MAX: u8 = 2;

/// Close codes (RFC 6455 §7.4.1).
const GOING_AWAY: u16 = 1001;
const NOT_TEXT: u16 = 1003;
const POLICY: u16 = 1008;

/// Registered with IANA as "Service Restart".
const AGAIN: u16 = 1012;

/// Why a hub ends a WebSocket that did nothing wrong, and takes no more of its updates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Farewell {
    Stopping,
    /// It has missed updates.
    Gap,
}

impl Farewell {
    fn code(self) -> u16 {
        match self {
            Self::Stopping => GOING_AWAY,
            Self::Gap => AGAIN,
        }
    }

    fn reason(self) -> &'static str {
        match self {
            Self::Stopping => "the hub is stopping",
            Self::Gap => "updates are missing: connect again",
        }
    }
}

/// What a WebSocket has that other subscribers do not.
#[derive(Debug)]
pub(super) struct Socket {
    frames: RefCell<Option<websocket::Connection>>, // none when nothing more is read
    /// What its token allows to publish.
    publish: Option<Grants>,
    token: TokenKey,
    unanswered: Cell<u8>,         // pings since something was received
    asked: Cell<usize>,           // updates that the store has not answered
    ends: Cell<Option<Farewell>>, // why it ends once the store has answered them
    memory: Cell<usize>,          // of a message that is not complete, as the worker counts it
}

impl Socket {
    pub(super) fn new(message_max: usize, publish: Option<Grants>, token: TokenKey) -> Self {
        Self {
            frames: RefCell::new(Some(websocket::Connection::new(message_max))),
            publish,
            token,
            unanswered: Cell::new(0),
            asked: Cell::new(0),
            ends: Cell::default(),
            memory: Cell::new(0),
        }
    }

    /// The memory of a message that is not complete.
    pub(super) fn memory(&self) -> usize {
        self.memory.get()
    }

    /// Counts that memory.
    fn count_memory(&self, account: &Account) {
        let frames = self.frames.borrow();
        let memory = frames.as_ref().map_or(0, websocket::Connection::memory);
        account.subtract(self.memory.replace(memory));
        account.add(memory);
    }

    /// Drops a message that is not complete: nothing more is read.
    pub(super) fn end(&self, account: &Account) {
        drop(self.frames.take());
        self.count_memory(account);
    }

    /// A close frame, unless one was sent.
    fn close(&self, code: u16, reason: &str) -> Vec<u8> {
        let mut output = Vec::new();
        if let Some(frames) = &mut *self.frames.borrow_mut() {
            frames.close(code, reason, &mut output);
        }
        output
    }

    /// When it ends: at once, or once the store has answered for its updates. Until then it is
    /// refused further ones.
    pub(super) fn parting(&self, why: Farewell) -> Parting {
        if self.asked.get() > 0 {
            self.ends.set(Some(why));
            return Parting::Later;
        }
        Parting::Now(Some(self.farewell(why)))
    }

    fn farewell(&self, why: Farewell) -> Rc<Buffer> {
        Buffer::uncounted(self.close(why.code(), why.reason()))
    }

    /// The store has answered for one of its updates. Returns the last bytes if the end has waited
    /// for this answer.
    fn answered(&self) -> Option<Rc<Buffer>> {
        self.asked.set(self.asked.get().saturating_sub(1));
        let why = self.ends.get().filter(|_| self.asked.get() == 0)?;
        Some(self.farewell(why))
    }
}

/// The fields of a request that open a WebSocket.
pub(super) fn opening<'a>(head: &Head<'a>) -> Opening<'a> {
    Opening {
        // HTTP/1.0 has no upgrades (RFC 9110 §7.8).
        upgrade: head
            .field("Upgrade")
            .filter(|_| head.version() == Version::Http11),
        connection: head.field("Connection"),
        version: head.field("Sec-WebSocket-Version"),
        key: head.field("Sec-WebSocket-Key"),
    }
}

impl Hub {
    /// The answer that opens a WebSocket.
    pub(super) fn switch(
        &self,
        worker: &Worker,
        subscriber: &Subscriber,
        asker: &Asker,
        accept: &str,
    ) -> Answer {
        let reply = self
            .reply(101, asker)
            .field("Upgrade", "websocket")
            .field("Connection", "Upgrade")
            .field("Sec-WebSocket-Accept", accept);
        Answer::Upgrade {
            head: worker.buffer(reply.end()).into(),
            due: self.next_due(time::now(), subscriber.ends),
        }
    }

    /// Takes what a WebSocket has sent.
    pub(super) fn socket_received(&self, worker: &Rc<Worker>, received: &Received<'_>) {
        let Some(subscriber) = self.subscribers.get(received.from) else {
            return;
        };
        let (Some(socket), Some(connection)) =
            (&subscriber.socket, subscriber.connection.upgrade())
        else {
            return;
        };
        socket.unanswered.set(0);
        let (mut input, mut output) = (received.bytes, Vec::new());
        let ends = loop {
            let event = match &mut *socket.frames.borrow_mut() {
                Some(frames) => frames.receive(&mut input, &mut output),
                None => Ok(None), // it has closed
            };
            match event {
                Ok(None) => break false,
                Ok(Some(Event::Ping | Event::Pong)) => {}
                Ok(Some(Event::Text(text))) => {
                    let id = received.from;
                    if let Err((status, reason)) = self.socket_publish(worker, id, socket, &text) {
                        worker.counters().refusals.add(1);
                        refusal(status, &reason, &mut output);
                    }
                }
                Ok(Some(Event::Binary(_))) => {
                    output.extend(socket.close(NOT_TEXT, "only text is understood"));
                    break true;
                }
                Ok(Some(Event::Closed { code })) => {
                    tracing::debug!(id = received.from, code, "the peer closes its WebSocket");
                    break true;
                }
                Err(failure) => {
                    tracing::debug!(id = received.from, "a WebSocket fails: {failure}");
                    break true;
                }
            }
        };
        let output = (!output.is_empty()).then(|| worker.buffer(output));
        if ends {
            socket.end(worker.account());
            connection.end_stream(output);
        } else {
            socket.count_memory(worker.account());
            if let Some(output) = output {
                connection.queue(&output);
            }
        }
        worker.limit_memory();
    }

    fn socket_publish(
        &self,
        worker: &Rc<Worker>,
        id: u64,
        socket: &Socket,
        text: &str,
    ) -> Result<(), (u16, String)> {
        let refused = |refusal: Refusal| (refusal.status().code(), refusal.reason().to_owned());
        if let Some(why) = socket.ends.get() {
            return Err((503, why.reason().to_owned()));
        }
        let grants = socket.publish.as_ref();
        let grants = grants.ok_or_else(|| {
            let reason = "the WebSocket was opened without a token that allows publishing";
            (403, reason.to_owned())
        })?;
        let url = &self.config.url;
        let draft = publish::parse_json(text, &publishing::limits(), url).map_err(refused)?;
        publishing::check(&draft, grants, url).map_err(refused)?;
        if self.rate.take_key(socket.token).is_err() {
            return Err((429, publishing::TOO_FAST.to_owned()));
        }
        let update = publishing::Accepted::new(draft, worker);
        let update = update.ok_or_else(|| (413, publishing::TOO_LONG.to_owned()))?;
        socket.asked.set(socket.asked.get() + 1);
        self.keep(worker, update, |update| Pending::Sender {
            connection: id,
            id: update,
        });
        worker.pace_sender(id);
        Ok(())
    }

    /// The store has an update that came over a WebSocket.
    pub(super) fn socket_stored(&self, worker: &Worker, connection: u64, id: &str) {
        let published = serde_json::json!({ "published": id });
        let mut bytes = Vec::new();
        websocket::text_frame(&published.to_string(), &mut bytes);
        self.socket_answered(worker, connection, bytes);
    }

    /// The store does not confirm an update that came over a WebSocket.
    pub(super) fn socket_refused(&self, worker: &Worker, connection: u64, reason: &str) {
        let mut bytes = Vec::new();
        refusal(503, reason, &mut bytes);
        self.socket_answered(worker, connection, bytes);
    }

    fn socket_answered(&self, worker: &Worker, id: u64, answer: Vec<u8>) {
        worker.deliver_to(id, &worker.buffer(answer));
        let Some(subscriber) = self.subscribers.get(id) else {
            return;
        };
        let last = subscriber.socket.as_ref().and_then(|one| one.answered());
        if let (Some(last), Some(connection)) = (last, subscriber.connection.upgrade()) {
            connection.end_stream(Some(last));
        }
    }

    /// What happens when a WebSocket is due: a ping, or the end if the last ones were not
    /// answered.
    pub(super) fn socket_due(
        &self,
        worker: &Worker,
        subscriber: &Subscriber,
        socket: &Socket,
    ) -> Due {
        let now = time::now();
        let connection = subscriber.connection.upgrade();
        let is_behind = connection.is_some_and(|connection| connection.is_behind());
        let unanswered = socket.unanswered.get();
        if is_behind || self.config.heartbeat.is_none() || worker.is_holding_senders() {
            // It is not pinged, so it has nothing to answer, or its answers are not read.
        } else if unanswered >= UNANSWERED_MAX {
            let bytes = socket.close(GOING_AWAY, "pings were not answered");
            return Due::End(Some(Buffer::uncounted(bytes)));
        } else {
            socket.unanswered.set(unanswered + 1);
        }
        Due::Send(self.ping(), self.next_due(now, subscriber.ends))
    }

    fn ping(&self) -> Rc<Buffer> {
        let make = || {
            let mut bytes = Vec::new();
            websocket::ping_frame(&mut bytes);
            Buffer::uncounted(bytes)
        };
        Rc::clone(self.ping.get_or_init(make))
    }
}

/// Appends the answer to a message that is refused.
fn refusal(status: u16, reason: &str, output: &mut Vec<u8>) {
    let refused = serde_json::json!({ "refused": status, "reason": reason });
    websocket::text_frame(&refused.to_string(), output);
}

/// The last bytes of a subscriber whose token expires.
pub(super) fn expiry(subscriber: &Subscriber) -> Option<Rc<Buffer>> {
    let socket = subscriber.socket.as_ref()?;
    Some(Buffer::uncounted(socket.close(POLICY, "the token expires")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_websocket_that_ends_keeps_no_part_of_a_message() {
        let account = Account::default();
        let socket = Socket::new(1 << 20, None, TokenKey::default());
        let mut part: &[u8] = &[&[0x81, 0xfe, 0xff, 0xff, 0, 0, 0, 0][..], &[b'x'; 1000]].concat();
        let mut frames = socket.frames.borrow_mut();
        let event = frames.as_mut().unwrap().receive(&mut part, &mut Vec::new());
        drop(frames);
        assert_eq!(event, Ok(None));
        socket.count_memory(&account);
        assert!(account.total() >= 1000 && account.total() == socket.memory());
        socket.end(&account);
        assert!(socket.frames.borrow().is_none());
        assert_eq!((account.total(), socket.memory()), (0, 0));
    }
}

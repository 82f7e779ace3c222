//! Messages: from the app and the bus to the connections and the bus.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;

use super::Worker;
use crate::app::Answer;
use crate::buffer::Buffer;
use crate::bus::Uplink;
use crate::connection::Connection;
use php_event::Event;

/// The most bytes that are copied together for the receivers of one turn. Longer messages cost
/// more to copy than to send in parts.
const JOINED_MAX: usize = 64 << 10;

/// A message of this turn for several connections.
pub(crate) struct Message {
    pub(crate) bytes: Rc<Buffer>,
    to: Receivers,
}

/// Who receives a message.
enum Receivers {
    /// All connections but one.
    All { except: Option<u64> },
    /// These, in ascending order of their numbers.
    Only(Vec<Rc<Connection>>),
}

impl Message {
    /// Whether the connection with that number receives it.
    pub(crate) fn is_for(&self, id: u64) -> bool {
        match &self.to {
            Receivers::All { except } => *except != Some(id),
            Receivers::Only(connections) => {
                let found = connections.binary_search_by_key(&id, |connection| connection.id());
                found.is_ok()
            }
        }
    }

    fn except(&self) -> Option<u64> {
        match self.to {
            Receivers::All { except } => except,
            Receivers::Only(_) => None,
        }
    }

    fn only(&self) -> Option<&[Rc<Connection>]> {
        match &self.to {
            Receivers::Only(connections) => Some(connections),
            Receivers::All { .. } => None,
        }
    }
}

/// What waits to be sent, and the event that sends it.
#[derive(Default)]
pub(super) struct Delivery {
    uplink: OnceCell<Uplink>,
    app: OnceCell<Event>,    // made active when the app wants to be woken
    sender: OnceCell<Event>, // made active once a turn, when something is queued
    scheduled: Cell<bool>,
    queued: RefCell<Vec<Rc<Connection>>>,
    messages: RefCell<Vec<Message>>, // of this turn
    waiting: Cell<usize>,            // bytes in all outboxes that their sockets had no room for
    holding_senders: Cell<bool>,
}

impl Delivery {
    pub(super) fn set_uplink(&self, uplink: Uplink) {
        self.uplink.get_or_init(|| uplink);
    }

    pub(super) fn uplink(&self) -> Option<&Uplink> {
        self.uplink.get()
    }

    pub(super) fn set_app(&self, app: Event) {
        self.app.get_or_init(|| app);
    }

    pub(super) fn set_sender(&self, sender: Event) {
        self.sender.get_or_init(|| sender);
    }

    /// Bytes that wait for the sockets of all connections.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.get()
    }

    /// Whether everything published has left this process.
    pub(super) fn is_drained(&self) -> bool {
        self.uplink().is_none_or(Uplink::is_drained)
    }

    /// Drops the handles of connections that would be sent to at the end of this turn.
    pub(super) fn take_queued(&self) {
        drop(self.queued.take());
        drop(self.messages.take());
    }

    /// Makes the sending event active. It runs behind everything that is active in this turn, so
    /// messages that arrived together leave together.
    pub(super) fn end_turn_soon(&self) {
        if !self.scheduled.replace(true)
            && let Some(sender) = self.sender.get()
            && let Err(error) = sender.active(Event::TIMEOUT)
        {
            self.scheduled.set(false); // whatever is queued next tries again
            tracing::error!("{error}");
        }
    }
}

impl Worker {
    /// Queues a message to every connection but one. It is sent at the end of this turn.
    pub(crate) fn deliver(&self, message: &Rc<Buffer>, except: Option<u64>) {
        self.deliver_message(message, Receivers::All { except });
    }

    /// Queues a message to these connections, which stand in ascending order of their numbers. It
    /// is sent at the end of this turn.
    pub(crate) fn deliver_only(&self, message: &Rc<Buffer>, connections: Vec<Rc<Connection>>) {
        self.deliver_message(message, Receivers::Only(connections));
    }

    fn deliver_message(&self, message: &Rc<Buffer>, to: Receivers) {
        let bytes = Rc::clone(message);
        let message = Message { bytes, to };
        self.delivery.messages.borrow_mut().push(message);
        self.delivery.end_turn_soon();
    }

    /// The number of messages that this turn has brought for several connections.
    pub(crate) fn turn_length(&self) -> usize {
        self.delivery.messages.borrow().len()
    }

    /// Calls `work` with the messages that this turn has brought for several connections.
    pub(crate) fn with_turn(&self, work: impl FnOnce(&[Message])) {
        work(&self.delivery.messages.borrow());
    }

    /// Sends the messages of this turn: joined to the connections that receive them all, in parts
    /// to the others.
    fn send_turn(&self) {
        let mut messages = self.delivery.messages.take();
        if messages.is_empty() {
            return;
        }
        match messages.first().and_then(Message::only) {
            Some(connections) if all_have_receivers(&messages, connections) => {
                let joined = self.joined(&messages);
                for connection in connections {
                    send_all_to(connection, joined.as_ref(), &messages);
                }
            }
            _ if messages.iter().any(|message| message.only().is_some()) => {
                self.queue_in_order(&messages);
            }
            _ => {
                let joined = self.joined(&messages);
                let mut senders: Vec<_> = messages.iter().filter_map(Message::except).collect();
                senders.sort_unstable();
                self.admission.for_each(|id, connection| {
                    let joined = joined.as_ref();
                    let joined = joined.filter(|_| senders.binary_search(&id).is_err());
                    send_all_to(connection, joined, &messages);
                });
            }
        }
        messages.clear();
        self.delivery.messages.replace(messages); // keeps its memory
    }

    /// Queues messages with different receivers, one after the other.
    fn queue_in_order(&self, messages: &[Message]) {
        for (index, message) in messages.iter().enumerate() {
            let queue = |connection: &Rc<Connection>| {
                connection.queue_message(index, &message.bytes);
            };
            match &message.to {
                Receivers::Only(connections) => connections.iter().for_each(queue),
                Receivers::All { except } => self.admission.for_each(|id, connection| {
                    if *except != Some(id) {
                        queue(connection);
                    }
                }),
            }
        }
    }

    /// One buffer with all the messages; `None` if it would be too long.
    fn joined(&self, messages: &[Message]) -> Option<Rc<Buffer>> {
        if let [message] = messages {
            return Some(Rc::clone(&message.bytes));
        }
        let length = messages.iter().map(|message| message.bytes.len()).sum();
        if length > JOINED_MAX {
            return None;
        }
        let mut bytes = Vec::with_capacity(length);
        for message in messages {
            bytes.extend_from_slice(&message.bytes);
        }
        Some(self.buffer(bytes))
    }

    /// Queues a message to one connection. It is sent at the end of this turn.
    pub(crate) fn deliver_to(&self, id: u64, message: &Rc<Buffer>) {
        if let Some(connection) = self.admission.get(id) {
            connection.queue(message);
        }
    }

    /// Calls [`App::woken`](crate::app::App::woken) when the current callback is done.
    pub(crate) fn wake_app(&self) {
        if let Some(app) = self.delivery.app.get()
            && let Err(error) = app.active(Event::TIMEOUT)
        {
            tracing::error!("{error}"); // the next call tries again
        }
    }

    /// An open connection.
    pub(crate) fn connection(&self, id: u64) -> Option<Rc<Connection>> {
        self.admission.get(id)
    }

    /// Gives a connection the answer that its request waits for.
    pub(crate) fn reply(&self, id: u64, answer: Answer) {
        if let Some(connection) = self.admission.get(id) {
            connection.reply(answer);
        }
    }

    /// Sends a message to the master's exchange, which passes it on to the other workers or does
    /// with it what the app wants.
    pub(crate) fn publish(&self, message: Rc<Buffer>) {
        let Some(uplink) = self.delivery.uplink() else {
            return;
        };
        uplink.publish(message);
        self.delivery.end_turn_soon();
        if uplink.is_full() {
            self.hold_senders(true);
        }
    }

    /// Stops or starts reading from all connections. They wait while the bus is full.
    fn hold_senders(&self, hold: bool) {
        if self.delivery.holding_senders.replace(hold) != hold {
            self.admission
                .for_each(|_id, connection| connection.senders_held(hold));
        }
    }

    /// Whether no connection is read.
    pub(crate) fn is_holding_senders(&self) -> bool {
        self.delivery.holding_senders.get()
    }

    /// Reads from senders again if the bus has room, and ends a worker that waited for it.
    pub(super) fn resume_senders(&self) {
        if !self.delivery.uplink().is_some_and(Uplink::is_full) {
            self.hold_senders(false);
        }
        self.leave_if_done();
    }

    /// Notes a connection with something to send at the end of this turn.
    pub(crate) fn note_queued(&self, connection: Rc<Connection>) {
        self.delivery.queued.borrow_mut().push(connection);
        self.delivery.end_turn_soon();
    }

    /// Runs behind everything else in this turn of the loop.
    pub(super) fn end_turn(self: &Rc<Self>) {
        self.turn.reset();
        self.send_queued();
    }

    /// Sends what was queued in this turn.
    pub(super) fn send_queued(self: &Rc<Self>) {
        self.delivery.scheduled.set(false);
        self.send_turn();
        let mut queued = self.delivery.queued.take();
        for connection in queued.drain(..) {
            connection.send_queued();
        }
        if self.delivery.queued.borrow().is_empty() {
            self.delivery.queued.replace(queued); // keeps its memory
        }
        if let Some(uplink) = self.delivery.uplink() {
            uplink.flush();
        }
        self.limit_memory();
        self.resume_senders(); // the bus may have taken everything at once
    }

    /// Counts how the bytes that wait in one outbox changed.
    pub(crate) fn note_waiting(&self, before: usize, now: usize) {
        let waiting = &self.delivery.waiting;
        waiting.set((waiting.get() + now).saturating_sub(before));
    }
}

/// Whether each message is for these connections.
fn all_have_receivers(messages: &[Message], connections: &[Rc<Connection>]) -> bool {
    messages.iter().skip(1).all(|message| {
        message.only().is_some_and(|others| {
            others.len() == connections.len()
                && others
                    .iter()
                    .zip(connections)
                    .all(|(one, two)| Rc::ptr_eq(one, two))
        })
    })
}

/// Sends a connection all messages, joined if they are and nothing was queued there before.
fn send_all_to(connection: &Rc<Connection>, joined: Option<&Rc<Buffer>>, messages: &[Message]) {
    let count = messages.len() as u64;
    if !joined.is_some_and(|joined| connection.send_joined(joined, count)) {
        connection.queue_messages(messages);
    }
}

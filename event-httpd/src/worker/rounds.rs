//! Rounds: messages for many receivers leave in slices, one in each turn of the loop.
//!
//! A round takes the messages that are there when it begins, and gives each receiver all of its
//! own at once. Messages that come later wait for the next round, so all receivers see one order.
//! Between two slices the loop serves what is ready, so nobody waits longer than for a slice.
//!
//! Memory: a connection that publishes during a round is not read again before the next round
//! begins. When [`WAITING_MAX`] bytes wait for the next round, no connection and no bus is read, or
//! all of it is sent at once.

use std::cell::{Cell, OnceCell, RefCell};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::rc::{Rc, Weak};
use std::time::Duration;

use super::Worker;
use crate::buffer::Buffer;
use crate::connection::Connection;
use php_event::Event;

/// The receivers of one slice. Sending to one takes about 5 µs, so a slice takes about a
/// millisecond. Each slice costs a turn of the loop, which is 1 % of it.
const SLICE: usize = 192;

/// The bytes of one slice when its messages are long: copying them takes as long.
const SLICE_BYTES: usize = 2 << 20;

/// The most bytes that are copied together for the receivers of one round. Longer messages cost
/// more to copy than to send in parts.
const JOINED_MAX: usize = 64 << 10;

/// The most bytes that wait for the next round, besides what one read of each connection adds.
const WAITING_MAX: usize = 4 << 20;

/// A message for several connections.
pub(crate) struct Message {
    bytes: Rc<Buffer>,
    to: Receivers,
}

/// Who receives a message.
enum Receivers {
    /// All connections but one.
    All { except: Option<u64> },
    /// These, in ascending order of their numbers.
    Only(Vec<Receiver>),
}

/// A connection that receives a message, unless it closes before.
pub(crate) struct Receiver {
    pub(crate) id: u64,
    pub(crate) connection: Weak<Connection>,
}

impl Message {
    pub(super) fn for_all(bytes: Rc<Buffer>, except: Option<u64>) -> Self {
        let to = Receivers::All { except };
        Self { bytes, to }
    }

    pub(super) fn only_for(bytes: Rc<Buffer>, receivers: Vec<Receiver>) -> Self {
        let to = Receivers::Only(receivers);
        Self { bytes, to }
    }

    pub(crate) fn bytes(&self) -> &Rc<Buffer> {
        &self.bytes
    }

    /// Whether the connection with that number receives it.
    pub(crate) fn is_for(&self, id: u64) -> bool {
        match &self.to {
            Receivers::All { except } => *except != Some(id),
            Receivers::Only(list) => list
                .binary_search_by_key(&id, |receiver| receiver.id)
                .is_ok(),
        }
    }

    fn except(&self) -> Option<u64> {
        match self.to {
            Receivers::All { except } => except,
            Receivers::Only(_) => None,
        }
    }

    fn list(&self) -> Option<&[Receiver]> {
        match &self.to {
            Receivers::Only(list) => Some(list),
            Receivers::All { .. } => None,
        }
    }

    /// The memory that it takes.
    fn size(&self) -> usize {
        self.bytes.len() + self.list().map_or(0, size_of_val) + size_of::<Self>()
    }
}

/// Messages in their order, and the number of the first. A worker counts all its messages.
#[derive(Clone, Copy)]
pub(crate) struct Messages<'a> {
    first: u64,
    all: &'a [Message],
}

impl<'a> Messages<'a> {
    /// The number of the first message.
    pub(crate) fn first(self) -> u64 {
        self.first
    }

    /// The number of the message that will follow.
    pub(crate) fn end(self) -> u64 {
        self.first + self.len()
    }

    pub(crate) fn len(self) -> u64 {
        self.all.len() as u64
    }

    /// The messages from that number on.
    pub(crate) fn since(self, number: u64) -> &'a [Message] {
        let skipped = usize::try_from(number.saturating_sub(self.first)).unwrap_or(usize::MAX);
        self.all.get(skipped..).unwrap_or_default()
    }
}

/// The messages that have not reached all their receivers.
#[derive(Default)]
pub(super) struct Rounds {
    queue: RefCell<Queue>,
    next_slice: OnceCell<Event>, // a timer that is due at once: it fires in the next turn
    under_way: Cell<bool>,       // a slice follows by it
    behind: Cell<bool>,          // so much waits for the next round that nothing is read
    held: RefCell<Vec<Weak<Connection>>>, // connections that are not read until it begins
}

#[derive(Default)]
struct Queue {
    messages: Vec<Message>, // of the round that is under way, and behind them those of the next
    first: u64,             // the number of the first message
    waiting: usize,         // the size of those of the next round
    round: Option<Round>,
}

/// A round that is under way.
struct Round {
    length: usize,              // the number of its messages
    joined: Option<Rc<Buffer>>, // all of them, unless that is too long
    slice: usize,               // receivers in a slice
    rest: Rest,
}

/// Who has not had their messages of a round yet.
enum Rest {
    /// All connections from this number on.
    All { from: u64, senders: Vec<u64> },
    /// The receivers from this place in the list on, which all messages have.
    Same(usize),
    /// Receivers of different messages: the number of the next receiver of each message, the
    /// message, and the receiver's place in the list.
    Merged(BinaryHeap<Reverse<(u64, usize, usize)>>),
}

impl Rounds {
    pub(super) fn set_timer(&self, timer: Event) {
        self.next_slice.get_or_init(|| timer);
    }

    /// Drops the handles of connections, and the messages.
    pub(super) fn take(&self) {
        drop(self.queue.take());
        drop(self.held.take());
    }

    /// Has the next slice follow in the next turn. False when that is not possible.
    fn go_on_next_turn(&self) -> bool {
        let Some(timer) = self.next_slice.get() else {
            return false;
        };
        match timer.add(Some(Duration::ZERO)) {
            Ok(()) => self.under_way.set(true),
            Err(error) => tracing::error!("{error}"),
        }
        self.under_way.get()
    }
}

impl Queue {
    fn all(&self) -> Messages<'_> {
        Messages {
            first: self.first,
            all: &self.messages,
        }
    }

    /// Begins a round, if there are messages and none is under way.
    fn begin(&mut self, worker: &Worker) {
        if self.round.is_some() {
            return;
        }
        let Some(first) = self.messages.first() else {
            return;
        };
        let is_like_first = |one: &&Message| one.list().is_some() == first.list().is_some();
        let length = self.messages.iter().take_while(is_like_first).count();
        let (messages, waiting) = self.messages.split_at(length);
        self.waiting = waiting.iter().map(Message::size).sum();
        self.round = Some(Round::new(worker, messages));
    }

    /// Sends the next slice. True when that was the last one of the round.
    fn send_slice(&mut self, worker: &Worker) -> bool {
        let Some(round) = &mut self.round else {
            return false;
        };
        let messages = Messages {
            first: self.first,
            all: self.messages.get(..round.length).unwrap_or_default(),
        };
        if round.send_slice(worker, messages) {
            return false;
        }
        self.first = messages.end();
        let length = round.length;
        self.round = None;
        self.messages.drain(..length);
        true
    }
}

impl Round {
    fn new(worker: &Worker, messages: &[Message]) -> Self {
        let lists = messages.iter().map(Message::list);
        let rest = match messages.first().and_then(Message::list) {
            None => {
                let mut senders: Vec<_> = messages.iter().filter_map(Message::except).collect();
                senders.sort_unstable();
                Rest::All { from: 0, senders }
            }
            Some(list) if lists.flatten().all(|other| are_same(list, other)) => Rest::Same(0),
            Some(_) => {
                let firsts = messages.iter().enumerate().filter_map(|(message, one)| {
                    let receiver = one.list()?.first()?;
                    Some(Reverse((receiver.id, message, 0)))
                });
                Rest::Merged(firsts.collect())
            }
        };
        let length = messages.iter().map(|message| message.bytes.len()).sum();
        let joined = match rest {
            Rest::All { .. } | Rest::Same(_) => joined(worker, messages, length),
            Rest::Merged(_) => None,
        };
        Self {
            length: messages.len(),
            joined,
            slice: (SLICE_BYTES / length.max(1)).clamp(1, SLICE),
            rest,
        }
    }

    /// Sends to the receivers of the next slice. True when others are left.
    fn send_slice(&mut self, worker: &Worker, messages: Messages<'_>) -> bool {
        let joined = self.joined.as_ref();
        match &mut self.rest {
            Rest::All { from, senders } => {
                let first = senders.partition_point(|sender| *sender < *from);
                let mut senders = senders.get(first..).unwrap_or_default();
                let next = worker
                    .admission
                    .visit_from(*from, self.slice, |id, connection| {
                        while let [sender, rest @ ..] = senders
                            && *sender < id
                        {
                            senders = rest;
                        }
                        let joined = joined.filter(|_| senders.first() != Some(&id));
                        send_all_to(connection, joined, messages);
                    });
                *from = next.unwrap_or(u64::MAX);
                next.is_some()
            }
            Rest::Same(place) => {
                let list = messages.all.first().and_then(Message::list);
                let list = list.unwrap_or_default();
                for receiver in list.iter().skip(*place).take(self.slice) {
                    if let Some(connection) = receiver.connection.upgrade() {
                        send_all_to(&connection, joined, messages);
                    }
                }
                *place += self.slice;
                *place < list.len()
            }
            Rest::Merged(next) => {
                queue_slice(next, messages);
                !next.is_empty()
            }
        }
    }
}

/// Whether two lists have the same receivers.
fn are_same(one: &[Receiver], other: &[Receiver]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| one.id == other.id)
}

/// One buffer with all the messages, which have that length; `None` if it would be too long.
fn joined(worker: &Worker, messages: &[Message], length: usize) -> Option<Rc<Buffer>> {
    if let [message] = messages {
        return Some(Rc::clone(&message.bytes));
    }
    if length > JOINED_MAX {
        return None;
    }
    let mut bytes = Vec::with_capacity(length);
    for message in messages {
        bytes.extend_from_slice(&message.bytes);
    }
    Some(worker.buffer(bytes))
}

/// Sends a connection all messages, joined if they are and it has had none of them.
fn send_all_to(connection: &Rc<Connection>, joined: Option<&Rc<Buffer>>, messages: Messages<'_>) {
    if !joined.is_some_and(|joined| connection.send_joined(joined, messages)) {
        connection.queue_messages(messages);
    }
}

/// Queues their messages to the receivers of one slice. They are sent at the end of this turn.
fn queue_slice(next: &mut BinaryHeap<Reverse<(u64, usize, usize)>>, messages: Messages<'_>) {
    let (mut receivers, mut bytes, mut last) = (0, 0, None);
    while let Some(mut top) = next.peek_mut() {
        let Reverse((id, message, place)) = *top;
        if last != Some(id) {
            if receivers == SLICE || bytes >= SLICE_BYTES {
                return;
            }
            receivers += 1;
            last = Some(id);
        }
        let Some(one) = messages.all.get(message) else {
            PeekMut::pop(top);
            continue;
        };
        let list = one.list().unwrap_or_default();
        let connection = list.get(place).map(|receiver| &receiver.connection);
        if let Some(connection) = connection.and_then(Weak::upgrade) {
            connection.queue_message(messages.first + message as u64, &one.bytes);
            bytes += one.bytes.len();
        }
        match list.get(place + 1) {
            Some(receiver) => *top = Reverse((receiver.id, message, place + 1)),
            None => drop(PeekMut::pop(top)),
        }
    }
}

impl Worker {
    /// Adds a message for several connections. The first slice of its round is sent at the end of
    /// this turn, unless another round is under way.
    pub(super) fn add_message(&self, message: Message) {
        let rounds = &self.rounds;
        let queue = &mut *rounds.queue.borrow_mut();
        queue.waiting += message.size();
        queue.messages.push(message);
        if queue.waiting >= WAITING_MAX.min(self.config.max_queue_total() / 8)
            && !rounds.behind.replace(true)
            && let Some(uplink) = self.delivery.uplink()
        {
            uplink.set_reading(false);
        }
        if !rounds.under_way.get() {
            self.delivery.end_turn_soon();
        }
    }

    /// Whether there are messages that have not reached all their receivers.
    pub(crate) fn has_messages(&self) -> bool {
        !self.rounds.queue.borrow().messages.is_empty()
    }

    /// The number of the next message.
    pub(crate) fn next_message(&self) -> u64 {
        self.rounds.queue.borrow().all().end()
    }

    /// Calls `work` with the messages that have not reached all their receivers.
    pub(crate) fn with_messages(&self, work: impl FnOnce(Messages<'_>)) {
        work(self.rounds.queue.borrow().all());
    }

    /// Whether so much waits for the next round that nothing is read until it begins.
    pub(crate) fn is_behind(&self) -> bool {
        self.rounds.behind.get() && !self.is_ending()
    }

    /// A connection has published: while a round is under way, it is not read again before the
    /// next one begins.
    pub(crate) fn pace_sender(&self, id: u64) {
        if self.rounds.under_way.get()
            && !self.is_ending()
            && let Some(connection) = self.connection(id)
        {
            self.hold(&connection);
        }
    }

    /// Has a connection not be read before the next round begins.
    pub(crate) fn hold(&self, connection: &Rc<Connection>) {
        if connection.hold() {
            let held = &mut *self.rounds.held.borrow_mut();
            held.push(Rc::downgrade(connection));
        }
    }

    /// Begins a round at the end of a turn, unless one is under way.
    pub(super) fn begin_round(&self) {
        if !self.rounds.under_way.get() && self.has_messages() {
            self.next_slice();
        }
    }

    /// Sends a slice, and arranges for the next one.
    pub(super) fn next_slice(&self) {
        self.rounds.under_way.set(false);
        if self.send_slice() && !self.rounds.go_on_next_turn() {
            self.finish_rounds();
        }
    }

    /// Sends everything at once if so much waits for the next round that nothing is read: the
    /// messages of a store do not come from connections of this worker that can be held.
    pub(crate) fn catch_up(&self) {
        if self.is_behind() {
            self.finish_rounds();
        }
    }

    /// Sends everything at once. Afterwards no round is under way whose end would release senders.
    pub(super) fn finish_rounds(&self) {
        while self.send_slice() {}
        self.rounds.under_way.set(false);
    }

    /// Sends a slice. True when another is left, of this round or the next.
    fn send_slice(&self) -> bool {
        let (ended, left) = {
            let queue = &mut *self.rounds.queue.borrow_mut();
            queue.begin(self);
            let ended = queue.send_slice(self);
            queue.begin(self);
            (ended, queue.round.is_some())
        };
        if ended {
            self.release_held();
        }
        left
    }

    /// Reads again from all that waited for the next round.
    fn release_held(&self) {
        if self.rounds.behind.replace(false)
            && let Some(uplink) = self.delivery.uplink()
        {
            uplink.set_reading(true);
        }
        for connection in self.rounds.held.take() {
            if let Some(connection) = connection.upgrade() {
                connection.release();
            }
        }
    }
}

#[cfg(test)]
mod tests;

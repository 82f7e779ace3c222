//! The subscribers of a worker: who they are, and who receives an update.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Instant;

use super::message::{Position, Ticket};
use super::socket::{Farewell, Socket};
use super::sources::Place;
use crate::app::Parting;
use crate::buffer::Buffer;
use crate::connection::Connection;
use crate::worker::{Receiver, Worker};
use hub_protocol::token::Grants;
use hub_protocol::{HubUrl, Matcher, Subscriptions, Topic, Update, event_stream, websocket};

/// A connection that receives updates.
#[derive(Debug)]
pub(super) struct Subscriber {
    pub(super) connection: Weak<Connection>,
    pub(super) matchers: Box<[Arc<Matcher>]>,
    /// What it may read besides public updates.
    pub(super) grants: Option<Box<Grants>>,
    /// When its token expires.
    pub(super) ends: Option<Instant>,
    pub(super) progress: Cell<Progress>,
    /// Its id in the events about subscriptions, if there are any.
    pub(super) id: Option<Box<str>>,
    /// Counts it among all subscribers, also before its answer.
    pub(super) _seat: Rc<()>,
    /// Its place among the subscribers of its address, if they are limited.
    pub(super) _place: Option<Place>,
    /// `None` for a stream of events.
    pub(super) socket: Option<Box<Socket>>,
}

/// How far a subscriber is in the order of all updates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// It waits for the store's answer to this request: a page of the history.
    Waiting(Ticket),
    /// It gets the history, and has it up to this position.
    Replaying(Position),
    /// It gets each update as it arrives.
    Live,
    /// It has missed updates, and gets no more.
    Ended,
}

impl Subscriber {
    fn may_read(&self, update: &Update, topics: &[Topic<'_>]) -> bool {
        let grants = || self.grants.as_ref();
        !update.private || grants().is_some_and(|grants| grants.may_read(topics))
    }

    /// Whether it gets this update of the history.
    pub(super) fn wants(&self, update: &Update, hub: &HubUrl) -> bool {
        let topics = topics(update, hub);
        let asks = |topic: &Topic<'_>| self.matchers.iter().any(|one| one.matches(topic));
        topics.iter().any(asks) && self.may_read(update, &topics)
    }
}

impl Subscriber {
    /// Ends the stream, so that the client connects again and learns what is missing.
    pub(super) fn end(&self) {
        self.progress.set(Progress::Ended);
        let socket = self.socket.as_ref();
        let parting = socket.map_or(Parting::Now(None), |one| one.parting(Farewell::Gap));
        if let (Parting::Now(last), Some(connection)) = (parting, self.connection.upgrade()) {
            connection.end_stream(last);
        }
    }
}

fn topics<'a>(update: &'a Update, hub: &'a HubUrl) -> Vec<Topic<'a>> {
    let topics = update.topics.iter();
    topics.map(|topic| hub.topic(topic)).collect()
}

/// An update in the framings that its receivers need. Each is made once, and shared.
pub(super) struct Encoded<'a> {
    worker: &'a Worker,
    update: &'a Update,
    event_stream: Option<Rc<Buffer>>,
    text_frame: Option<Rc<Buffer>>,
}

impl<'a> Encoded<'a> {
    pub(super) fn new(worker: &'a Worker, update: &'a Update) -> Self {
        Self {
            worker,
            update,
            event_stream: None,
            text_frame: None,
        }
    }

    /// Queues the update to a subscriber.
    pub(super) fn queue_to(&mut self, subscriber: &Subscriber) {
        let Some(connection) = subscriber.connection.upgrade() else {
            return;
        };
        let bytes = match &subscriber.socket {
            None => self.event_stream(),
            Some(_) => self.text_frame(),
        };
        connection.queue(bytes);
    }

    fn event_stream(&mut self) -> &Rc<Buffer> {
        let (worker, update) = (self.worker, self.update);
        self.event_stream.get_or_insert_with(|| {
            let mut bytes = Vec::with_capacity(update.data.len() + 128);
            event_stream::encode(update, &mut bytes);
            worker.buffer(bytes)
        })
    }

    fn text_frame(&mut self) -> &Rc<Buffer> {
        let (worker, update) = (self.worker, self.update);
        self.text_frame.get_or_insert_with(|| {
            let mut bytes = Vec::new();
            websocket::text_frame(&update.to_json(), &mut bytes);
            worker.buffer(bytes)
        })
    }
}

/// All subscribers, by the number of their connection.
#[derive(Debug, Default)]
pub(super) struct Subscribers {
    all: RefCell<HashMap<u64, Rc<Subscriber>>>,
    seats: Rc<()>, // each subscriber has a handle
    live: RefCell<Subscriptions<u64>>,
    receivers: RefCell<Vec<u64>>, // of the current update
}

impl Subscribers {
    pub(super) fn len(&self) -> usize {
        self.all.borrow().len()
    }

    /// How many there are with those that wait for their answer.
    pub(super) fn seats_taken(&self) -> usize {
        Rc::strong_count(&self.seats) - 1
    }

    pub(super) fn take_seat(&self) -> Rc<()> {
        Rc::clone(&self.seats)
    }

    /// The matchers of the live ones.
    pub(super) fn live_matchers(&self) -> usize {
        self.live.borrow().len()
    }

    pub(super) fn get(&self, id: u64) -> Option<Rc<Subscriber>> {
        self.all.borrow().get(&id).cloned()
    }

    pub(super) fn insert(&self, id: u64, subscriber: Subscriber) {
        let subscriber = Rc::new(subscriber);
        if subscriber.progress.get() == Progress::Live {
            self.index(id, &subscriber);
        }
        self.all.borrow_mut().insert(id, subscriber);
    }

    /// Passes a subscriber each update that arrives from now on.
    pub(super) fn go_live(&self, id: u64, subscriber: &Subscriber) {
        if subscriber.progress.replace(Progress::Live) != Progress::Live {
            self.index(id, subscriber);
        }
    }

    fn index(&self, id: u64, subscriber: &Subscriber) {
        let mut live = self.live.borrow_mut();
        for matcher in &subscriber.matchers {
            live.insert(id, matcher);
        }
    }

    pub(super) fn remove(&self, id: u64) -> Option<Rc<Subscriber>> {
        let subscriber = self.all.borrow_mut().remove(&id)?;
        if subscriber.progress.get() == Progress::Live {
            let mut live = self.live.borrow_mut();
            for matcher in &subscriber.matchers {
                live.remove(id, matcher);
            }
        }
        Some(subscriber)
    }

    /// Ends the streams of all live subscribers, who have missed something.
    pub(super) fn end_live(&self) {
        self.live.take();
        let all: Vec<_> = self.all.borrow().values().cloned().collect();
        for subscriber in all {
            if subscriber.progress.get() == Progress::Live {
                subscriber.end();
            }
        }
    }

    /// Queues an update to all live subscribers that ask for it and may read it.
    pub(super) fn deliver(&self, worker: &Worker, update: &Update, hub: &HubUrl) {
        let topics = topics(update, hub);
        let receivers = &mut *self.receivers.borrow_mut();
        self.live.borrow().matching(&topics, receivers);
        let all = self.all.borrow();
        let mut encoded = Encoded::new(worker, update);
        let (mut streams, mut sockets) = (Vec::with_capacity(receivers.len()), Vec::new());
        for id in receivers.iter() {
            if let Some(subscriber) = all.get(id)
                && subscriber.may_read(update, &topics)
            {
                let receiver = Receiver {
                    id: *id,
                    connection: Weak::clone(&subscriber.connection),
                };
                match subscriber.socket {
                    None => streams.push(receiver),
                    Some(_) => sockets.push(receiver),
                }
            }
        }
        if !streams.is_empty() {
            worker.deliver_only(encoded.event_stream(), streams);
        }
        if !sockets.is_empty() {
            worker.deliver_only(encoded.text_frame(), sockets);
        }
    }
}

//! Messages: from the app and the bus to the connections and the bus.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use super::Worker;
use super::rounds::{Message, Receiver};
use crate::app::Answer;
use crate::buffer::Buffer;
use crate::bus::Uplink;
use crate::connection::Connection;
use php_event::Event;

/// What waits to be sent, and the event that sends it.
#[derive(Default)]
pub(super) struct Delivery {
    uplink: OnceCell<Uplink>,
    app: OnceCell<Event>,    // made active when the app wants to be woken
    sender: OnceCell<Event>, // made active once a turn, when something is queued
    scheduled: Cell<bool>,
    queued: RefCell<Vec<Rc<Connection>>>,
    waiting: Cell<usize>, // bytes in all outboxes that their sockets had no room for
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
    }

    /// Makes the sending event active. It runs after everything that is active in this turn, so
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
    /// Sends a message to every connection but one, in the next round.
    pub(crate) fn deliver(&self, message: &Rc<Buffer>, except: Option<u64>) {
        self.add_message(Message::for_all(Rc::clone(message), except));
    }

    /// Sends a message to these connections, which are in ascending order of their numbers, in
    /// the next round.
    pub(crate) fn deliver_only(&self, message: &Rc<Buffer>, receivers: Vec<Receiver>) {
        self.add_message(Message::only_for(Rc::clone(message), receivers));
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

    /// Calls [`App::woken`](crate::app::App::woken) in the next turn of the loop.
    pub(crate) fn wake_app_next_turn(&self) {
        if let Some(app) = self.delivery.app.get()
            && let Err(error) = app.add(Some(Duration::ZERO))
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

    /// Runs after everything else in this turn of the loop.
    pub(super) fn end_turn(self: &Rc<Self>) {
        self.turn.reset();
        self.send_queued();
    }

    /// Sends what was queued in this turn, and the first slice of what came for many.
    pub(super) fn send_queued(self: &Rc<Self>) {
        self.delivery.scheduled.set(false);
        self.begin_round();
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

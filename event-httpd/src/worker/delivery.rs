//! Messages: from the app and the bus to the connections and the bus.

use std::cell::{Cell, OnceCell, RefCell};
use std::cmp::Reverse;
use std::rc::Rc;

use super::Worker;
use crate::bus::Uplink;
use crate::connection::Connection;
use crate::outbox::Backlog;
use php_event::Event;

/// What waits to be sent, and the event that sends it.
#[derive(Default)]
pub(super) struct Delivery {
    uplink: OnceCell<Uplink>,
    sender: OnceCell<Event>, // made active once a turn, when something is queued
    scheduled: Cell<bool>,
    queued: RefCell<Vec<Rc<Connection>>>,
    backlog: RefCell<Backlog>,
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

    /// Makes the sending event active. It runs behind everything that is active in this turn, so
    /// messages that arrived together leave together.
    fn send_soon(&self) {
        if !self.scheduled.replace(true)
            && let Some(sender) = self.sender.get()
            && let Err(error) = sender.active(Event::TIMEOUT)
        {
            tracing::error!("{error}");
        }
    }
}

impl Worker {
    /// Queues a message to every connection but one. It is sent at the end of this turn.
    pub(crate) fn deliver(&self, message: &Rc<[u8]>, except: Option<u64>) {
        self.delivery.backlog.borrow_mut().add(message);
        self.admission.for_each(|id, connection| {
            if Some(id) != except {
                connection.queue(message);
            }
        });
    }

    /// Queues a message to one connection. It is sent at the end of this turn.
    pub(crate) fn deliver_to(&self, id: u64, message: &Rc<[u8]>) {
        self.delivery.backlog.borrow_mut().add(message);
        if let Some(connection) = self.admission.get(id) {
            connection.queue(message);
        }
    }

    /// Sends a message to the clients of the other workers.
    pub(crate) fn publish(&self, message: Rc<[u8]>) {
        let Some(uplink) = self.delivery.uplink() else {
            return;
        };
        uplink.publish(message);
        self.delivery.send_soon();
        if uplink.is_full() {
            self.hold_senders(true);
        }
    }

    /// Stops or starts reading from all connections. They wait while the bus is full.
    fn hold_senders(&self, hold: bool) {
        if self.delivery.holding_senders.replace(hold) != hold {
            self.admission
                .for_each(|_id, connection| connection.held(hold));
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
        self.delivery.send_soon();
    }

    /// Sends what was queued in this turn.
    pub(super) fn send_queued(self: &Rc<Self>) {
        self.delivery.scheduled.set(false);
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
        self.cut_off_the_slowest();
        self.resume_senders(); // the bus may have taken everything at once
    }

    /// Counts how the bytes that wait in one outbox changed.
    pub(crate) fn note_waiting(&self, before: usize, now: usize) {
        let waiting = &self.delivery.waiting;
        waiting.set((waiting.get() + now).saturating_sub(before));
    }

    /// Keeps what waits for all readers within `--max-queue-total` by cutting off those that lag
    /// most. A message counts once, however many readers still wait for it.
    fn cut_off_the_slowest(&self) {
        let Some(limit) = self.config.max_queue_total() else {
            return;
        };
        let exceeds = || self.delivery.backlog.borrow_mut().bytes() > limit;
        if !exceeds() {
            return;
        }
        let mut readers = self.admission.all();
        readers.retain(|reader| reader.waiting() > 0);
        readers.sort_by_key(|reader| Reverse(reader.waiting()));
        for reader in readers {
            reader.cut_off("all readers together lag past --max-queue-total");
            if !exceeds() {
                break;
            }
        }
    }
}

//! The store: it keeps updates, and gives all workers the same order. It runs in the master, or
//! in the only process.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use super::history::{History, PageSize};
use super::listing::Active;
use super::message::{Ask, Page, PageEnd, Tell};
use crate::buffer::Buffer;
use crate::bus::{Exchange, Lines};
use crate::config::HubConfig;
use hub_protocol::Update;
use php_event::process::Pid;

/// Who gets a message of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum To {
    /// The worker that asked.
    Asker,
    /// Every worker, the one that asked too.
    Everyone,
}

/// The store in memory.
#[derive(Debug)]
pub(crate) struct MemoryStore {
    config: Arc<HubConfig>,
    history: RefCell<History>,
    active: RefCell<BTreeMap<Pid, BTreeSet<Active>>>, // by worker
}

impl MemoryStore {
    /// `max_queue` is how much may wait for a subscriber.
    pub(crate) fn new(config: Arc<HubConfig>, max_queue: usize) -> Self {
        let page = PageSize::for_queue(max_queue);
        Self {
            history: RefCell::new(History::new(config.history, page)),
            active: RefCell::default(),
            config,
        }
    }

    /// Does what a worker asks, and passes the messages that follow from it to `send`, in order.
    pub(super) fn ask(&self, from: Pid, message: &[u8], mut send: impl FnMut(To, &Rc<Buffer>)) {
        match Ask::decode(message) {
            Some(Ask::Publish(ticket, encoded)) => match Update::decode(encoded) {
                Ok(update) => {
                    send(To::Everyone, &self.keep(&update, encoded));
                    send(To::Asker, &Tell::Stored(ticket).encode());
                }
                Err(error) => tracing::error!("an update cannot be kept: {error}"),
            },
            Some(Ask::Page(ticket, from)) => {
                let history = self.history.borrow();
                let (page, updates) = history.page(&from);
                send(To::Asker, &Tell::Page(ticket, page).encode());
                for update in updates {
                    send(To::Asker, update);
                }
            }
            Some(Ask::Began(active)) => {
                send(To::Everyone, &self.tell_of(&active, true));
                let mut all = self.active.borrow_mut();
                all.entry(from).or_default().insert(active);
            }
            Some(Ask::Ended(subscriber)) => {
                let mut all = self.active.borrow_mut();
                if let Some(own) = all.get_mut(&from) {
                    let ended = Active::take_of(own, subscriber);
                    for one in &ended {
                        send(To::Everyone, &self.tell_of(one, false));
                    }
                }
            }
            Some(Ask::List(ticket)) => self.list(ticket, send),
            None => tracing::error!("a worker sent the store a request of an unknown kind"),
        }
    }

    /// Keeps an update. Returns the message that brings it to workers.
    fn keep(&self, update: &Update, encoded: &[u8]) -> Rc<Buffer> {
        let message = Tell::Update(encoded).encode();
        let mut history = self.history.borrow_mut();
        history.push(&update.id, Rc::clone(&message));
        message
    }

    /// Keeps the event that announces a subscription.
    fn tell_of(&self, subscription: &Active, active: bool) -> Rc<Buffer> {
        let update = subscription.describe(active).event(&self.config.url);
        let mut encoded = Vec::new();
        update.encode(&mut encoded);
        self.keep(&update, &encoded)
    }

    fn list(&self, ticket: u64, mut send: impl FnMut(To, &Rc<Buffer>)) {
        let (all, history) = (self.active.borrow(), self.history.borrow());
        let page = Page {
            count: all.values().map(BTreeSet::len).sum(),
            end: PageEnd::Complete,
            position: 0,
            anchor: history.last_id(),
        };
        send(To::Asker, &Tell::Page(ticket, page).encode());
        for one in all.values().flatten() {
            send(To::Asker, &Tell::Active(&one.encode()).encode());
        }
    }
}

impl Exchange for MemoryStore {
    fn received(&self, from: Pid, message: Vec<u8>, lines: &Lines<'_>) {
        self.ask(from, &message, |to, message| match to {
            To::Asker => lines.send(from, message),
            To::Everyone => lines.send_to_all(None, message),
        });
    }

    fn left(&self, worker: Pid, lines: &Lines<'_>) {
        let left = self.active.borrow_mut().remove(&worker);
        for one in left.iter().flatten() {
            lines.send_to_all(None, &self.tell_of(one, false));
        }
    }
}

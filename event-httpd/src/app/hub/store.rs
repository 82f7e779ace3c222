//! The store: it keeps updates, and gives all workers the same order. It runs in the master, or
//! in the only process.

use std::cell::RefCell;
use std::rc::Rc;

use super::history::History;
use super::message::{Ask, Tell};
use crate::buffer::Buffer;
use crate::bus::{Exchange, Lines};
use crate::config::HistoryLimits;
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
    history: RefCell<History>,
}

impl MemoryStore {
    pub(crate) fn new(limits: HistoryLimits) -> Self {
        Self {
            history: RefCell::new(History::new(limits)),
        }
    }

    /// Does what a worker asks, and passes the messages that follow from it to `send`, in order.
    pub(super) fn ask(&self, message: &[u8], mut send: impl FnMut(To, &Rc<Buffer>)) {
        let mut history = self.history.borrow_mut();
        match Ask::decode(message) {
            Some(Ask::Publish(ticket, encoded)) => match Update::decode(encoded) {
                Ok(update) => {
                    let message = Tell::Update(encoded).encode();
                    send(To::Everyone, &message);
                    history.push(&update.id, message);
                    send(To::Asker, &Tell::Stored(ticket).encode());
                }
                Err(error) => tracing::error!("an update cannot be kept: {error}"),
            },
            Some(Ask::Page(ticket, from)) => {
                let (page, updates) = history.page(&from);
                send(To::Asker, &Tell::Page(ticket, page).encode());
                for update in updates {
                    send(To::Asker, update);
                }
            }
            None => tracing::error!("a worker asked the store for something unknown"),
        }
    }
}

impl Exchange for MemoryStore {
    fn received(&self, from: Pid, message: Vec<u8>, lines: &Lines<'_>) {
        self.ask(&message, |to, message| match to {
            To::Asker => lines.send(from, message),
            To::Everyone => lines.send_to_all(None, message),
        });
    }
}

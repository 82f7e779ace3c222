//! The store of a process that has no master.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use super::message::Ask;
use super::store::MemoryStore;
use crate::buffer::Buffer;
use crate::config::HubConfig;
use php_event::process::Pid;

/// In place of a worker's pid.
const ALONE: Pid = 0;

/// Pages of the history that one turn of the loop answers. Subscribers who want nothing of a long
/// history ask for its pages quickly, and other connections must not wait meanwhile.
const PAGES: usize = 4;

/// The store, and what it reports. That is taken when the current callback is done, as if it came
/// from the master.
#[derive(Debug)]
pub(super) struct LocalStore {
    store: MemoryStore,
    told: RefCell<VecDeque<Rc<Buffer>>>,
    pages: RefCell<VecDeque<Vec<u8>>>, // requests for them
}

impl LocalStore {
    pub(super) fn new(config: Arc<HubConfig>, max_queue: usize) -> Self {
        Self {
            store: MemoryStore::new(config, max_queue),
            told: RefCell::default(),
            pages: RefCell::default(),
        }
    }

    /// Does what is asked. False for a page, which is for [`answer_pages`](Self::answer_pages).
    pub(super) fn ask(&self, ask: &Ask<'_>) -> bool {
        let encoded = ask.encode();
        if let Ask::Page(..) = ask {
            self.pages.borrow_mut().push_back(encoded);
            return false;
        }
        self.answer(&encoded);
        true
    }

    /// Answers as many requests for pages as one turn allows.
    pub(super) fn answer_pages(&self) {
        for _ in 0..PAGES {
            let next = self.pages.borrow_mut().pop_front();
            let Some(page) = next else { break };
            self.answer(&page);
        }
    }

    fn answer(&self, ask: &[u8]) {
        let mut told = self.told.borrow_mut();
        let send = |_to, message: &Rc<Buffer>| told.push_back(Rc::clone(message));
        self.store.ask(ALONE, ask, send);
    }

    /// The next report.
    pub(super) fn take(&self) -> Option<Rc<Buffer>> {
        self.told.borrow_mut().pop_front()
    }

    /// Whether pages are left for the next turn.
    pub(super) fn has_pages(&self) -> bool {
        !self.pages.borrow().is_empty()
    }
}

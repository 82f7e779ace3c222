//! The store in the master, as its workers see it.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::message::{Ask, From, PAGES_UNDER_WAY, Ticket};

/// A worker's requests for pages of the history. Few are under way at a time: subscribers who want
/// nothing of a long history ask for its pages quickly, and everything else that comes over the
/// line must not wait for all of them.
#[derive(Debug, Default)]
pub(super) struct MasterStore {
    asked: RefCell<BTreeSet<Ticket>>,
    waiting: RefCell<BTreeMap<Ticket, From>>, // in the order of the requests
}

impl MasterStore {
    /// What to send the master for this request now.
    pub(super) fn ask<'a>(&self, ask: Ask<'a>) -> Option<Ask<'a>> {
        match ask {
            Ask::Page(ticket, from) if from != From::Latest => {
                self.waiting.borrow_mut().insert(ticket, from);
                self.next_page()
            }
            _ => Some(ask),
        }
    }

    /// The answer to that request has arrived. Returns what to send the master next.
    pub(super) fn answered(&self, ticket: Ticket) -> Option<Ask<'static>> {
        self.asked.borrow_mut().remove(&ticket);
        self.next_page()
    }

    /// Nobody waits for that page any more. If it was requested, it arrives all the same.
    pub(super) fn forget_page(&self, ticket: Ticket) {
        self.waiting.borrow_mut().remove(&ticket);
    }

    fn next_page(&self) -> Option<Ask<'static>> {
        let mut asked = self.asked.borrow_mut();
        if asked.len() >= PAGES_UNDER_WAY {
            return None;
        }
        let (ticket, from) = self.waiting.borrow_mut().pop_first()?;
        asked.insert(ticket);
        Some(Ask::Page(ticket, from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_pages_are_under_way_and_the_others_follow_in_order() {
        let store = MasterStore::default();
        let page = |ticket| Ask::Page(ticket, From::Earliest);
        let most = u64::try_from(PAGES_UNDER_WAY).unwrap();
        for ticket in 0..most {
            assert_eq!(store.ask(page(ticket)), Some(page(ticket)));
        }
        for ticket in most..most + 3 {
            assert_eq!(store.ask(page(ticket)), None);
        }
        for nothing_to_read in [Ask::List(99), Ask::Page(99, From::Latest)] {
            assert_eq!(store.ask(nothing_to_read.clone()), Some(nothing_to_read));
            assert_eq!(store.answered(99), None);
        }
        store.forget_page(most);
        store.forget_page(1);
        assert_eq!(store.answered(1), Some(page(most + 1)));
        assert_eq!(store.answered(0), Some(page(most + 2)));
        assert_eq!(store.answered(2), None);
        assert_eq!(store.ask(page(100)), Some(page(100)));
    }
}

//! Replay: subscribers that begin in the past get the history page by page, as fast as they read.

use std::rc::Rc;

use super::listing::Active;
use super::message::{Ask, From, Page, PageEnd, Position, Ticket};
use super::reply::Asker;
use super::subscribers::{Encoded, Progress, Subscriber};
use super::{Hub, Pending, Store};
use crate::app::Answer;
use crate::worker::Worker;
use hub_protocol::{Forms, Update};

/// A subscriber whose answer waits for the first page.
pub(super) struct Joining {
    pub(super) id: u64,
    pub(super) subscriber: Subscriber,
    pub(super) asker: Asker,
    pub(super) forms: Forms,
    /// The key of the answer that opens a WebSocket.
    pub(super) accept: Option<String>,
    /// Where it begins; `None` with the next update.
    pub(super) from: Option<From>,
}

impl Joining {
    /// For an answer that is given before the first page: what waits for the page, and the id that
    /// the answer names. Nothing was sent yet, so it is the id that was asked for.
    pub(super) fn resuming(&self) -> (Pending, String) {
        match &self.from {
            Some(From::After(id)) => (Pending::Resuming(self.id, Some(id.clone())), id.clone()),
            _ => (Pending::Resuming(self.id, None), String::new()),
        }
    }
}

/// A page whose updates are arriving.
pub(super) struct OpenPage {
    ticket: Ticket,
    missing: usize,
    end: PageEnd,
    position: Position,
    anchor: String,
    updates: Vec<Update>,
    active: Vec<Active>,
}

/// A part of a page.
pub(super) enum Part {
    Update(Update),
    Active(Active),
}

impl Hub {
    /// Asks for the page after a position.
    pub(super) fn ask_for_page(
        &self,
        worker: &Rc<Worker>,
        id: u64,
        subscriber: &Subscriber,
        position: Position,
    ) {
        let ticket = self.new_ticket();
        subscriber.progress.set(Progress::Waiting(ticket));
        let page = Ask::Page(ticket, From::Position(position));
        self.ask_as(worker, ticket, Pending::Reader(id), page);
    }

    /// The next messages of the store are the updates of a page.
    pub(super) fn page_begins(&self, worker: &Rc<Worker>, ticket: Ticket, page: Page<'_>) {
        let open = OpenPage {
            ticket,
            missing: page.count,
            end: page.end,
            position: page.position,
            anchor: page.anchor.to_owned(),
            updates: Vec::new(),
            active: Vec::new(),
        };
        if open.missing == 0 {
            return self.page_ends(worker, open);
        }
        *self.page.borrow_mut() = Some(open);
    }

    /// The next part of the page has arrived. One that cannot be read counts, but is left out.
    pub(super) fn page_part(&self, worker: &Rc<Worker>, part: Option<Part>) {
        let complete = {
            let mut page = self.page.borrow_mut();
            let Some(open) = page.as_mut() else { return };
            match part {
                Some(Part::Update(update)) => open.updates.push(update),
                Some(Part::Active(active)) => open.active.push(active),
                None => {}
            }
            open.missing -= 1;
            if open.missing > 0 {
                return;
            }
            page.take()
        };
        if let Some(open) = complete {
            self.page_ends(worker, open);
        }
    }

    /// The page is complete: its reader gets it, and goes on with the next or goes live.
    fn page_ends(&self, worker: &Rc<Worker>, page: OpenPage) {
        if let Store::Master(store) = &self.store {
            Self::tell_master(worker, store.answered(page.ticket));
        }
        let pending = self.pending.borrow_mut().remove(&page.ticket);
        let id = match pending {
            Some(Pending::Reader(id)) => id,
            Some(Pending::Joining(joining)) => {
                let id = joining.id;
                if worker.connection(id).is_none() {
                    return; // it has closed
                }
                let answer = self.begin(worker, *joining, &page.anchor);
                worker.reply(id, answer);
                id
            }
            Some(Pending::Resuming(id, after)) => {
                if after.is_some_and(|after| after != page.anchor)
                    && let Some(subscriber) = self.subscribers.get(id)
                {
                    tracing::debug!(id, "the update after which it resumes is no longer kept");
                    return subscriber.end(); // the next answer says so
                }
                id
            }
            Some(Pending::Listing(listing)) => {
                return self.listed(worker, &listing, &page.active, &page.anchor);
            }
            Some(Pending::Publisher { .. } | Pending::Sender { .. }) | None => return,
        };
        let Some(subscriber) = self.subscribers.get(id) else {
            return; // it has closed
        };
        let Some(connection) = subscriber.connection.upgrade() else {
            return;
        };
        for update in &page.updates {
            if subscriber.wants(update, &self.config.url) {
                Encoded::new(worker, update).queue_to(&subscriber);
            }
        }
        match page.end {
            PageEnd::Complete => self.subscribers.go_live(id, &subscriber),
            PageEnd::More => {
                subscriber.progress.set(Progress::Replaying(page.position));
                if !connection.tell_when_drained() {
                    self.ask_for_page(worker, id, &subscriber, page.position);
                }
            }
            PageEnd::Gap => {
                tracing::warn!(
                    id,
                    "a subscriber reads the history more slowly than old updates are dropped: it has to connect again"
                );
                worker.counters().evictions.add(1);
                subscriber.end();
            }
        }
    }

    /// Begins a stream after the update with the id `anchor`, if there is one.
    pub(super) fn begin(&self, worker: &Rc<Worker>, joining: Joining, anchor: &str) -> Answer {
        let names_update = !matches!(joining.from, None | Some(From::Latest));
        let begin = names_update.then_some((anchor, joining.forms));
        let (subscriber, asker) = (&joining.subscriber, &joining.asker);
        let answer = match &joining.accept {
            Some(accept) => self.switch(worker, subscriber, asker, accept),
            None => self.stream(worker, subscriber, asker, begin),
        };
        self.announce(worker, &joining.subscriber);
        self.subscribers.insert(joining.id, joining.subscriber);
        answer
    }

    /// The store is away: subscribers that wait for their answer get it now, and their updates
    /// when the store is back.
    pub(super) fn store_is_away(&self, worker: &Rc<Worker>) {
        worker.counters().store_losses.add(1);
        let mut joining = Vec::new();
        for (ticket, pending) in self.pending.borrow_mut().iter_mut() {
            if let Pending::Joining(one) = pending {
                one.subscriber.progress.set(match one.from {
                    Some(From::Latest) => Progress::Live, // from its answer on
                    _ => Progress::Waiting(*ticket),
                });
                let (resuming, anchor) = one.resuming();
                if let Pending::Joining(one) = std::mem::replace(pending, resuming) {
                    joining.push((*ticket, one, anchor));
                }
            }
        }
        for (ticket, one, anchor) in joining {
            let id = one.id;
            let is_open = worker.connection(id).is_some();
            if !is_open || one.from == Some(From::Latest) {
                self.forget_page(ticket);
            }
            if is_open {
                let answer = self.begin(worker, *one, &anchor);
                worker.reply(id, answer);
            }
        }
    }
}

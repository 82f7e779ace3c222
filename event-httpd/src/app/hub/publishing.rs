//! Publishing.

use std::rc::Rc;

use super::framed;
use super::message::{Ask, Reason, Ticket};
use super::reply::Asker;
use super::request::Head;
use super::subscribing::RETRY_AFTER;
use super::{Hub, Pending, unix_time};
use crate::app::{Answer, Request};
use crate::worker::Worker;
use hub_protocol::publish::{self, Draft};
use hub_protocol::token::{Grants, OriginCheck};
use hub_protocol::{HubUrl, Refusal, Topic};

impl Hub {
    /// Takes an update, and answers when the store has it.
    pub(super) fn publish(
        &self,
        worker: &Rc<Worker>,
        request: &Request<'_>,
        head: &Head<'_>,
        asker: &Asker,
    ) -> Result<Answer, Refusal> {
        let config = &self.config;
        let token = config
            .presentation
            .token(&head.presented(), OriginCheck::Required)?
            .ok_or_else(Refusal::token_missing)?;
        let now = unix_time().as_secs();
        let keys = config.keys.current();
        let grants = keys.publishers.verify(token, now, &self.matchers)?;
        if let Err(wait) = self.rate.take(token.as_bytes()) {
            return Ok(self.come_back(worker, asker, (429, TOO_FAST), wait));
        }
        publish::check_content_type(head.field("Content-Type"))?;
        let draft = publish::parse(request.body, &limits(), &config.url)?;
        check(&draft, &grants, &config.url)?;
        let Some(update) = Accepted::new(draft, worker) else {
            worker.counters().refusals.add(1);
            let reply = self.reply(413, asker).text(TOO_LONG);
            return Ok(worker.buffer(reply).into());
        };
        self.keep(worker, update, |id| Pending::Publisher {
            connection: request.from,
            id,
            asker: asker.clone(),
        });
        worker.pace_sender(request.from);
        Ok(Answer::Later)
    }

    /// Gives an update to the store. `pending` makes who waits for it from its id.
    pub(super) fn keep(
        &self,
        worker: &Rc<Worker>,
        update: Accepted,
        pending: impl FnOnce(String) -> Pending,
    ) {
        worker.counters().messages.add(1);
        self.ask(worker, pending(update.id), |ticket| {
            Ask::Publish(ticket, &update.bytes)
        });
    }

    /// The store has an update: its publisher learns the id.
    pub(super) fn stored(&self, worker: &Rc<Worker>, ticket: Ticket) {
        let pending = self.pending.borrow_mut().remove(&ticket);
        match pending {
            Some(Pending::Publisher {
                connection,
                id,
                asker,
            }) => {
                let asker = asker.later(worker);
                let reply = self.reply(200, &asker);
                let bytes = reply.body("text/plain; charset=utf-8", id.as_bytes());
                worker.reply(connection, worker.buffer(bytes).into());
            }
            Some(Pending::Sender { connection, id }) => self.socket_stored(worker, connection, &id),
            Some(_) | None => {}
        }
    }

    /// The store has not done what was asked: who waits for it may try again.
    pub(super) fn refused(&self, worker: &Rc<Worker>, ticket: Ticket, reason: Reason) {
        let pending = self.pending.borrow_mut().remove(&ticket);
        let (connection, asker) = match pending {
            Some(Pending::Publisher {
                connection, asker, ..
            }) => (connection, asker),
            Some(Pending::Listing(listing)) => (listing.connection, listing.asker),
            Some(Pending::Sender { connection, .. }) => {
                worker.counters().refusals.add(1);
                return self.socket_refused(worker, connection, why(reason));
            }
            Some(_) | None => return,
        };
        let asker = asker.later(worker);
        let answer = self.come_back(worker, &asker, (503, why(reason)), RETRY_AFTER);
        worker.reply(connection, answer);
    }
}

/// The limits of an update, whose size as a whole the connection has kept to `--max-body-size`.
pub(super) fn limits() -> publish::Limits {
    publish::Limits {
        body: usize::MAX,
        ..publish::Limits::default()
    }
}

/// Checks that a token allows publishing an update.
pub(super) fn check(draft: &Draft, grants: &Grants, url: &HubUrl) -> Result<(), Refusal> {
    let topics = draft.topics.iter().map(|topic| url.topic(topic));
    grants.check_publish(&topics.collect::<Vec<Topic<'_>>>())
}

/// The text of a reason.
fn why(reason: Reason) -> &'static str {
    match reason {
        Reason::Unavailable => "the store is unavailable",
        Reason::Unconfirmed => "the store is unavailable, and may have stored the update before",
        Reason::QueueFull => "the store is unavailable, and --store-queue has no room",
        Reason::WaitedTooLong => "the store was unavailable for --store-queue-time",
    }
}

/// Why [`Hub::publish`] answers 429.
pub(super) const TOO_FAST: &str = "the token exceeds --publish-rate";

/// Why an update is refused that is longer than the queue of a subscriber.
pub(super) const TOO_LONG: &str = "the update would be longer than --max-queue as an event or as \
                                   a message of a WebSocket, so not every subscriber could read it";

/// An update for which every subscriber's queue has room, as stores take it.
pub(super) struct Accepted {
    id: String,
    bytes: Vec<u8>,
}

impl Accepted {
    /// `None` if it is longer than the queue of a subscriber.
    pub(super) fn new(draft: Draft, worker: &Worker) -> Option<Self> {
        let update = draft.into_update();
        let mut bytes = Vec::with_capacity(update.data.len() + 256);
        update.encode(&mut bytes);
        let most = worker.config().max_queue();
        (!framed::is_longer(&bytes, most)).then_some(Self {
            id: update.id,
            bytes,
        })
    }
}

//! Subscribing.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Instant;

use super::message::{Ask, From};
use super::replay::Joining;
use super::reply::Asker;
use super::request::Head;
use super::subscribers::{Progress, Subscriber};
use super::{Hub, Pending, end_of, unix_time};
use crate::app::{Answer, Request};
use crate::worker::Worker;
use hub_protocol::subscribe::{self, LastEventId};
use hub_protocol::token::{Grants, OriginCheck, Presented};
use hub_protocol::update::EARLIEST;
use hub_protocol::{Forms, Refusal, event_stream};

/// Matchers of one subscriber.
const MATCHERS_MAX: usize = 100;

/// Seconds after which a subscriber that was turned away may try again.
const RETRY_AFTER: &str = "5";

impl Hub {
    /// Begins a stream of updates.
    pub(super) fn subscribe(
        &self,
        worker: &Rc<Worker>,
        request: &Request<'_>,
        head: &Head<'_>,
        asker: &Asker,
    ) -> Result<Answer, Refusal> {
        let (asked, grants) = self.read_subscription(head)?;
        if let Some(turned_away) = self.turn_away(worker, asker) {
            return Ok(turned_away);
        }
        let Some(connection) = worker.connection(request.from) else {
            return Ok(Answer::Later); // it has closed
        };
        let subscriber = Subscriber {
            connection: Rc::downgrade(&connection),
            matchers: asked.matchers.into(),
            ends: end_of(grants.as_ref().and_then(Grants::expires)),
            grants: grants.filter(Grants::reads_private).map(Box::new),
            progress: Cell::new(match asked.last_event_id {
                None => Progress::Live,
                Some(_) => Progress::Replaying(0),
            }),
        };
        let from = match asked.last_event_id {
            None => {
                let answer = self.stream(worker, &subscriber, asker, None);
                self.subscribers.insert(request.from, subscriber);
                return Ok(answer);
            }
            Some(LastEventId::Earliest) => From::Earliest,
            Some(LastEventId::After(id)) => From::After(id),
        };
        let joining = Pending::Joining(Box::new(Joining {
            id: request.from,
            subscriber,
            asker: asker.clone(),
            forms: asked.forms,
        }));
        self.ask(worker, joining, |ticket| Ask::Page(ticket, from).encode());
        Ok(Answer::Later)
    }

    /// The head that a subscription would have.
    pub(super) fn describe(
        &self,
        worker: &Rc<Worker>,
        head: &Head<'_>,
        asker: &Asker,
    ) -> Result<Answer, Refusal> {
        self.read_subscription(head)?;
        let reply = self.reply(200, asker).field("Link", &self.link());
        let bytes = reply.body(event_stream::MEDIA_TYPE, b"");
        Ok(worker.buffer(bytes).into())
    }

    /// What a request asks for, and what its token allows.
    fn read_subscription(
        &self,
        head: &Head<'_>,
    ) -> Result<(subscribe::Request, Option<Grants>), Refusal> {
        let asked = subscribe::parse(
            head.query.as_bytes(),
            head.field("Last-Event-ID"),
            self.config.forms,
            MATCHERS_MAX,
            &self.matchers,
        )?;
        let presented = Presented {
            query: asked.authorization.as_deref(),
            ..head.presented()
        };
        let grants = self.reader(&presented, OriginCheck::NotNeeded)?;
        Ok((asked, grants))
    }

    /// What the token of a subscriber allows; `None` without one.
    pub(super) fn reader(
        &self,
        presented: &Presented<'_>,
        check: OriginCheck,
    ) -> Result<Option<Grants>, Refusal> {
        let token = self.config.presentation.token(presented, check)?;
        match (token, &self.config.subscribers) {
            (Some(token), Some(verifier)) => {
                let now = unix_time().as_secs();
                verifier.verify(token, now, &self.matchers).map(Some)
            }
            // Without a key no token says anything.
            _ if self.config.anonymous => Ok(None),
            _ => Err(Refusal::token_missing()),
        }
    }

    /// The answer to a subscriber for whom there is no room.
    fn turn_away(&self, worker: &Worker, asker: &Asker) -> Option<Answer> {
        let (status, reason) = if worker.is_stopping() {
            (503, "the hub is stopping")
        } else if self.subscribers.len() >= self.config.max_subscribers {
            (429, "the hub has as many subscribers as it takes")
        } else {
            return None;
        };
        worker.counters().refusals.add(1);
        let reply = self.reply(status, asker).field("Retry-After", RETRY_AFTER);
        Some(worker.buffer(reply.text(reason)).into())
    }

    /// The answer that begins a stream. `begin` is there if the request named an update: the id
    /// of the one before the first that is sent, if any, and the forms of the request.
    pub(super) fn stream(
        &self,
        worker: &Worker,
        subscriber: &Subscriber,
        asker: &Asker,
        begin: Option<(&str, Forms)>,
    ) -> Answer {
        let mut reply = self
            .reply(200, asker)
            .field("Content-Type", event_stream::MEDIA_TYPE)
            .field("Cache-Control", "private, no-cache, no-store")
            .field("X-Accel-Buffering", "no") // nginx would wait for more
            .field("Link", &self.link());
        if let Some((anchor, forms)) = begin {
            let anchor = if anchor.is_empty() { EARLIEST } else { anchor };
            if forms.deployed {
                reply = reply.field("Last-Event-ID", anchor);
            }
            if forms.standard {
                reply = reply.field("Mercure-Last-Event-ID", anchor);
            }
        }
        Answer::Stream {
            head: worker.buffer(reply.until_close()).into(),
            due: self.next_due(Instant::now(), subscriber.ends),
        }
    }
}

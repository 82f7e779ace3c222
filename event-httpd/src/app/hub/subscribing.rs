//! Subscribing.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use super::message::{Ask, From};
use super::rate::TokenKey;
use super::replay::Joining;
use super::reply::{Asker, Reply};
use super::request::Head;
use super::socket::{Socket, opening};
use super::subscribers::{Progress, Subscriber};
use super::{Hub, Pending, Presence, end_of, unix_time};
use crate::app::{Answer, Request};
use crate::time;
use crate::worker::Worker;
use hub_protocol::subscribe::{self, LastEventId};
use hub_protocol::token::{Grants, OriginCheck, Presented};
use hub_protocol::update::{EARLIEST, new_id};
use hub_protocol::{Forms, Refusal, event_stream};

/// Matchers of one subscriber.
const MATCHERS_MAX: usize = 100;

/// When a subscriber that was turned away may try again.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Why a subscriber of an address that has many is turned away.
const ADDRESS_FULL: &str = "the address has --subscribers-per-address subscribers";

/// What the token of a subscriber allows.
#[derive(Debug, Default)]
pub(super) struct Allowed {
    pub(super) reading: Option<Grants>,
    publishing: Option<Grants>,
    token: TokenKey,
}

impl Allowed {
    /// When the first of them expires.
    fn expires(&self) -> Option<u64> {
        let both = [&self.reading, &self.publishing].into_iter().flatten();
        both.filter_map(Grants::expires).min()
    }
}

impl Hub {
    /// Begins a stream of updates: of events, or over WebSocket.
    pub(super) fn subscribe(
        &self,
        worker: &Rc<Worker>,
        request: &Request<'_>,
        head: &Head<'_>,
        asker: &Asker,
    ) -> Result<Answer, Refusal> {
        let opening = opening(head);
        let accept = opening
            .is_requested()
            .then(|| opening.accept())
            .transpose()?;
        let check = match accept {
            Some(_) => OriginCheck::Required, // every page may read a WebSocket
            None => OriginCheck::NotNeeded,
        };
        let allowed = self.allowed_by(head, check)?;
        if let Some(turned_away) = self.turn_away(worker, asker) {
            return Ok(turned_away);
        }
        let Some(connection) = worker.connection(request.from) else {
            return Ok(Answer::Later); // it has closed
        };
        let address = self.sources.are_limited().then(|| connection.address());
        let Ok(place) = self.sources.take(address.flatten()) else {
            return Ok(self.come_back(worker, asker, (429, ADDRESS_FULL), RETRY_AFTER));
        };
        let asked = self.asked(head)?;
        let ends = end_of(allowed.expires());
        let socket = accept.as_ref().map(|_| {
            let longest = usize::try_from(worker.config().limits().body_size);
            let socket = Socket::new(
                longest.unwrap_or(usize::MAX),
                allowed.publishing,
                allowed.token,
            );
            Box::new(socket)
        });
        let presence = self.presence();
        let from = match asked.last_event_id {
            None if presence == Presence::Starting => Some(From::Latest),
            None => None,
            Some(LastEventId::Earliest) => Some(From::Earliest),
            Some(LastEventId::After(id)) => Some(From::After(id)),
        };
        let subscriber = Subscriber {
            connection: Rc::downgrade(&connection),
            matchers: asked.matchers.into(),
            ends,
            // Announced subscriptions have payloads, also where nothing private may be read.
            grants: allowed
                .reading
                .filter(|grants| grants.reads_private() || self.config.subscriptions)
                .map(Box::new),
            id: self.config.subscriptions.then(|| new_id().into()),
            progress: Cell::new(match from {
                None => Progress::Live,
                Some(_) => Progress::Replaying(0),
            }),
            _seat: self.subscribers.take_seat(),
            _place: place,
            socket,
        };
        let joining = Joining {
            id: request.from,
            subscriber,
            asker: asker.clone(),
            forms: asked.forms,
            accept,
            from: from.clone(),
        };
        let Some(from) = from else {
            return Ok(self.begin(worker, joining, ""));
        };
        if presence == Presence::Away {
            let (resuming, anchor) = joining.resuming();
            let ticket = self.new_ticket();
            joining.subscriber.progress.set(Progress::Waiting(ticket));
            self.ask_as(worker, ticket, resuming, Ask::Page(ticket, from));
            return Ok(self.begin(worker, joining, &anchor));
        }
        let joining = Pending::Joining(Box::new(joining));
        self.ask(worker, joining, |ticket| Ask::Page(ticket, from));
        Ok(Answer::Later)
    }

    /// The head that a subscription would have.
    pub(super) fn describe(
        &self,
        worker: &Rc<Worker>,
        head: &Head<'_>,
        asker: &Asker,
    ) -> Result<Answer, Refusal> {
        self.allowed_by(head, OriginCheck::NotNeeded)?;
        self.asked(head)?;
        Ok(worker.buffer(self.stream_head(asker).empty()).into())
    }

    /// What a request for a subscription asks for. Compiling its matchers takes time, so this comes
    /// after the checks of who asks and whether there is room.
    fn asked(&self, head: &Head<'_>) -> Result<subscribe::Request, Refusal> {
        let (query, forms) = (head.query.as_bytes(), self.config.forms);
        let last_event_id = head.field("Last-Event-ID");
        subscribe::parse(query, last_event_id, forms, MATCHERS_MAX, &self.matchers)
    }

    /// What the token of a request for a subscription allows.
    fn allowed_by(&self, head: &Head<'_>, check: OriginCheck) -> Result<Allowed, Refusal> {
        let token = subscribe::token(head.query.as_bytes(), self.config.forms);
        let presented = Presented {
            query: token.as_deref(),
            ..head.presented()
        };
        self.allowed(&presented, check)
    }

    /// What the token of a subscriber allows. Where the origin is checked, it may also publish.
    pub(super) fn allowed(
        &self,
        presented: &Presented<'_>,
        check: OriginCheck,
    ) -> Result<Allowed, Refusal> {
        let anonymous = self.config.anonymous;
        let Some(token) = self.config.presentation.token(presented, check)? else {
            return match anonymous {
                true => Ok(Allowed::default()),
                false => Err(Refusal::token_missing()),
            };
        };
        let now = unix_time().as_secs();
        let keys = self.config.keys.current();
        let publishing = match check {
            OriginCheck::Required => keys.publishers.verify(token, now, &self.matchers).ok(),
            OriginCheck::NotNeeded => None,
        };
        let reading = match &keys.subscribers {
            Some(verifier) => match verifier.verify(token, now, &self.matchers) {
                Ok(grants) => Some(grants),
                Err(_) if anonymous && publishing.is_some() => None,
                Err(refusal) => return Err(refusal),
            },
            None => None, // without a key no token says anything, and anybody may subscribe
        };
        Ok(Allowed {
            reading,
            publishing,
            token: self.rate.key(token.as_bytes()),
        })
    }

    /// The answer to a subscriber for whom there is no room.
    fn turn_away(&self, worker: &Worker, asker: &Asker) -> Option<Answer> {
        let (status, reason) = if worker.is_ending() {
            (503, "the hub is stopping")
        } else if self.subscribers.seats_taken() >= self.config.max_subscribers {
            (429, "the hub has as many subscribers as it takes")
        } else {
            return None;
        };
        Some(self.come_back(worker, asker, (status, reason), RETRY_AFTER))
    }

    /// An answer that asks to try again later.
    pub(super) fn come_back(
        &self,
        worker: &Worker,
        asker: &Asker,
        (status, reason): (u16, &str),
        after: Duration,
    ) -> Answer {
        worker.counters().refusals.add(1);
        let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
        let reply = self.reply(status, asker);
        let reply = reply.field("Retry-After", &seconds.to_string());
        worker.buffer(reply.text(reason)).into()
    }

    /// The fields that every stream has.
    fn stream_head<'a>(&self, asker: &'a Asker) -> Reply<'a> {
        self.reply(200, asker)
            .field("Content-Type", event_stream::MEDIA_TYPE)
            .field("Cache-Control", "private, no-cache, no-store")
            .field("X-Accel-Buffering", "no") // nginx would wait for more
            .field("Link", &self.link())
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
        let mut reply = self.stream_head(asker);
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
            due: self.next_due(time::now(), subscriber.ends),
        }
    }
}

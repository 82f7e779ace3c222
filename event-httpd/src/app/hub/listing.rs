//! Active subscriptions: the events about them, and the resources that list them.

use std::collections::BTreeSet;
use std::rc::Rc;

use serde_json::Value;

use super::message::Ask;
use super::reply::Asker;
use super::request::Head;
use super::subscribers::Subscriber;
use super::{Hub, Pending};
use crate::app::{Answer, Request};
use crate::worker::Worker;
use hub_protocol::active::{self, Resource, Subscription};
use hub_protocol::token::{Grants, OriginCheck};
use hub_protocol::update::EARLIEST;
use hub_protocol::{Form, MatcherKind, Refusal};

/// An active subscription, as workers and the store tell of it. Those of a subscriber stand
/// together in their order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Active {
    pub(super) subscriber: String,
    pub(super) kind: MatcherKind,
    pub(super) text: String,
    /// The payload of the subscriber's token, as JSON.
    pub(super) payload: Option<String>,
}

impl Active {
    /// Removes the subscriptions of a subscriber, and returns them.
    pub(super) fn take_of(all: &mut BTreeSet<Self>, subscriber: &str) -> Vec<Self> {
        let first = Self {
            subscriber: subscriber.to_owned(),
            kind: MatcherKind::Exact,
            text: String::new(),
            payload: None,
        };
        let own = all.range(first..);
        let own = own.take_while(|one| one.subscriber == subscriber);
        let own: Vec<_> = own.cloned().collect();
        for one in &own {
            all.remove(one);
        }
        own
    }

    /// What distinguishes it from all others.
    pub(super) fn field(&self) -> Vec<u8> {
        let fields = serde_json::json!([self.subscriber, self.kind.name(), self.text]);
        fields.to_string().into_bytes()
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let kind = self.kind.name();
        let fields = serde_json::json!([self.subscriber, kind, self.text, self.payload]);
        fields.to_string().into_bytes()
    }

    /// `None` for what [`encode`](Self::encode) does not write.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let fields: Value = serde_json::from_slice(bytes).ok()?;
        let text = |index: usize| Some(fields.get(index)?.as_str()?.to_owned());
        Some(Self {
            subscriber: text(0)?,
            kind: match text(1)?.as_str() {
                name if name == MatcherKind::UriTemplate.name() => MatcherKind::UriTemplate,
                name => MatcherKind::from_name(name)?,
            },
            text: text(2)?,
            payload: text(3),
        })
    }

    /// The subscription as the protocol describes it.
    pub(super) fn describe(&self, active: bool) -> Subscription<'_> {
        Subscription {
            kind: self.kind,
            text: &self.text,
            subscriber: &self.subscriber,
            active,
            payload: self.payload.as_deref(),
        }
    }

    fn is_in(&self, resource: &Resource) -> bool {
        match resource {
            Resource::All => true,
            Resource::Matcher { kind, text } => (self.kind, &self.text) == (*kind, text),
            Resource::One {
                kind,
                text,
                subscriber,
            } => (&self.subscriber, self.kind, &self.text) == (subscriber, *kind, text),
        }
    }
}

/// A request whose answer waits for the list.
pub(super) struct Listing {
    pub(super) connection: u64,
    pub(super) asker: Asker,
    path: String,
    resource: Resource,
}

impl Hub {
    /// Tells the store of the subscriptions that begin.
    pub(super) fn announce(&self, worker: &Worker, subscriber: &Subscriber) {
        let Some(id) = &subscriber.id else { return };
        for matcher in &subscriber.matchers {
            let grants = subscriber.grants.as_ref();
            let payload = grants.and_then(|grants| grants.payload(matcher, &self.matchers));
            let active = Active {
                subscriber: id.to_string(),
                kind: matcher.kind(),
                text: matcher.text().to_owned(),
                payload: payload.map(str::to_owned),
            };
            self.tell_store(worker, Ask::Began(active));
        }
    }

    /// Tells the store that the subscriptions of a subscriber end.
    pub(super) fn retract(&self, worker: &Worker, subscriber: &Subscriber) {
        if let Some(id) = &subscriber.id {
            self.tell_store(worker, Ask::Ended(id));
        }
    }

    /// Which subscriptions a path names, if the hub tells of them.
    pub(super) fn listing(&self, path: &str) -> Option<Resource> {
        let config = &self.config;
        if !config.subscriptions {
            return None;
        }
        active::resource(path, config.forms, &config.url)
    }

    /// Answers a request for the list of active subscriptions, or a part of it.
    pub(super) fn list(
        &self,
        worker: &Rc<Worker>,
        request: &Request<'_>,
        head: &Head<'_>,
        resource: Resource,
        asker: &Asker,
    ) -> Result<Answer, Refusal> {
        let url = &self.config.url;
        let allowed = self.allowed(&head.presented(), OriginCheck::NotNeeded)?;
        let grants: Grants = allowed.reading.ok_or_else(Refusal::token_missing)?;
        grants.check_read(&url.topic(head.path))?;
        let listing = Pending::Listing(Box::new(Listing {
            connection: request.from,
            asker: asker.clone(),
            path: head.path.to_owned(),
            resource,
        }));
        self.ask(worker, listing, Ask::List);
        Ok(Answer::Later)
    }

    /// The store has told all active subscriptions.
    pub(super) fn listed(&self, worker: &Worker, listing: &Listing, all: &[Active], last: &str) {
        let asker = listing.asker.later(worker);
        let url = &self.config.url;
        let last = if last.is_empty() { EARLIEST } else { last };
        let mut found = all.iter().filter(|one| one.is_in(&listing.resource));
        let form = match &listing.resource {
            Resource::All if self.config.forms.deployed => Form::Deployed,
            Resource::All => Form::Standard,
            Resource::Matcher { kind, .. } | Resource::One { kind, .. } => match kind {
                MatcherKind::UriTemplate => Form::Deployed,
                MatcherKind::Exact | MatcherKind::UrlPattern => Form::Standard,
            },
        };
        let document = match &listing.resource {
            Resource::One { .. } => found
                .next()
                .map(|one| one.describe(true).resource(url, last)),
            Resource::All | Resource::Matcher { .. } => {
                let found = found.map(|one| one.describe(true));
                Some(active::collection(&listing.path, form, last, found, url))
            }
        };
        let bytes = match document {
            Some(document) => {
                let last = last.replace('\\', "\\\\").replace('"', "\\\"");
                let mut link = format!("{}; last-event-id=\"{last}\"", self.link());
                if form == Form::Standard {
                    link += "; type=\"mercure\"; content-type=\"application/json\"";
                }
                self.reply(200, &asker)
                    .field("Link", &link)
                    .field("Cache-Control", "private, no-cache")
                    .body(active::media_type(form), document.as_bytes())
            }
            None => self.not_found(&asker),
        };
        worker.reply(listing.connection, worker.buffer(bytes).into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscription_is_read_as_it_was_written() {
        let kinds = [
            MatcherKind::Exact,
            MatcherKind::UriTemplate,
            MatcherKind::UrlPattern,
        ];
        for (kind, payload) in kinds.into_iter().zip([None, Some("{\"a\":1}"), Some("2")]) {
            let active = Active {
                subscriber: "urn:uuid:1".to_owned(),
                kind,
                text: "a\"b/é".to_owned(),
                payload: payload.map(str::to_owned),
            };
            assert_eq!(Active::decode(&active.encode()), Some(active));
        }
        for bytes in [&b""[..], b"[]", b"[\"a\",\"b\",\"c\",null]"] {
            assert_eq!(Active::decode(bytes), None);
        }
    }
}

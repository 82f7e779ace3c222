//! Updates and subscriptions, and what clients have to get of them.

use std::cell::OnceCell;
use std::rc::Rc;

use serde_json::{Value, json};

use super::choices::{Data, HUB};
use super::matching::{Pattern, escaped};
use crate::client::Dispatched;

/// An id that the hub may have made. The first client that gets it says what it is.
#[derive(Debug, Default)]
pub(super) struct Id(OnceCell<String>);

impl Id {
    pub(super) fn given(text: &str) -> Self {
        Self(text.to_owned().into())
    }

    pub(super) fn known(&self) -> Option<&str> {
        self.0.get().map(String::as_str)
    }

    /// Checks that it is the same for every client.
    pub(super) fn check(&self, got: &str) {
        let known = self.0.get_or_init(|| {
            let uuid = got.strip_prefix("urn:uuid:").unwrap_or_default();
            assert_eq!(uuid.len(), 36, "an id of the hub: {got}");
            got.to_owned()
        });
        assert_eq!(known, got, "the id");
    }
}

/// A subscription that the hub tells of.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) pattern: Pattern,
    pub(super) subscriber: Rc<Id>,
    pub(super) payload: Option<Value>,
}

impl Active {
    /// Its topic. A subscriber whose id is not known yet has any id.
    fn topic(&self) -> String {
        let text = escaped(self.pattern.text);
        let subscriber = escaped(self.subscriber.known().unwrap_or("urn:uuid:x"));
        match self.pattern.kind.is_standard() {
            true => {
                let kind = self.pattern.kind.name();
                format!("{HUB}/subscriptions/{kind}/{text}/{subscriber}")
            }
            false => format!("{HUB}/subscriptions/{text}/{subscriber}"),
        }
    }

    /// Whether a document may be of it.
    pub(super) fn is_described(&self, got: &Value) -> bool {
        let (text, kind) = (self.pattern.text, self.pattern.kind);
        let is_matched = match kind.is_standard() {
            true => got["match"] == text && got["match_type"] == kind.name(),
            false => got["topic"] == text,
        };
        let is_of = |id| got["subscriber"] == id;
        is_matched
            && got["payload"] == self.payload.clone().unwrap_or_default()
            && self.subscriber.known().is_none_or(is_of)
    }

    /// Checks the document that describes it. Alone, the deployed form has a context.
    pub(super) fn check(&self, got: &Value, is_active: bool, is_alone: bool) {
        self.subscriber
            .check(got["subscriber"].as_str().expect("a subscriber"));
        let (text, kind) = (self.pattern.text, self.pattern.kind);
        let mut wanted = match kind.is_standard() {
            true => json!({ "type": "subscription", "match_type": kind.name(), "match": text }),
            false => json!({ "type": "Subscription", "topic": text }),
        };
        if is_alone && !kind.is_standard() {
            wanted["@context"] = json!("https://mercure.rocks/");
        }
        wanted["id"] = self.topic().into();
        wanted["subscriber"] = self.subscriber.known().into();
        wanted["active"] = is_active.into();
        if let Some(payload) = &self.payload {
            wanted["payload"] = payload.clone();
        }
        assert_eq!(*got, wanted, "a subscription");
    }
}

/// An update, at its place in the hub's order.
#[derive(Debug)]
pub(super) struct Event {
    /// Its place in the order of all.
    pub(super) place: usize,
    pub(super) id: Id,
    pub(super) content: Content,
}

#[derive(Debug)]
pub(super) enum Content {
    Published(Published),
    /// A subscription began or ended.
    Subscription {
        of: Rc<Active>,
        is_active: bool,
    },
}

/// What a publisher said.
#[derive(Debug)]
pub(super) struct Published {
    pub(super) topics: Vec<&'static str>,
    pub(super) data: Data,
    pub(super) is_private: bool,
    pub(super) event_type: Option<&'static str>,
    pub(super) retry: Option<u64>,
}

impl Event {
    pub(super) fn is_private(&self) -> bool {
        match &self.content {
            Content::Published(published) => published.is_private,
            Content::Subscription { .. } => true,
        }
    }

    /// Whether one of its topics is selected by one of these matchers.
    pub(super) fn is_in(&self, patterns: &[Pattern]) -> bool {
        let is_selected = |topic: &str| patterns.iter().any(|one| one.matches(topic));
        match &self.content {
            Content::Published(published) => {
                published.topics.iter().any(|topic| is_selected(topic))
            }
            Content::Subscription { of, .. } => is_selected(&of.topic()),
        }
    }

    fn event_type(&self) -> Option<&'static str> {
        match &self.content {
            Content::Published(published) => published.event_type,
            Content::Subscription { of, .. } => of.pattern.kind.is_standard().then_some("mercure"),
        }
    }

    /// Checks what a client of an event stream dispatches.
    pub(super) fn check_dispatched(&self, got: &Dispatched, retry: Option<u64>) {
        self.id.check(&got.last_event_id);
        assert_eq!(got.event_type, self.event_type().unwrap_or_default());
        match &self.content {
            Content::Published(published) => {
                let data = published.data.text();
                let data = data.replace("\r\n", "\n").replace('\r', "\n");
                assert_eq!(got.data, data, "the data");
                assert_eq!(retry, published.retry);
            }
            Content::Subscription { of, is_active } => {
                let document = serde_json::from_str(&got.data).expect("JSON");
                of.check(&document, *is_active, true);
                assert_eq!(retry, None);
            }
        }
    }

    /// Checks the message of a WebSocket.
    pub(super) fn check_message(&self, got: &Value) {
        let id = got["id"].as_str();
        self.id
            .check(id.unwrap_or_else(|| panic!("{got} instead of {self:?}")));
        let mut wanted = json!({ "id": self.id.known() });
        match &self.content {
            Content::Published(published) => {
                wanted["topics"] = json!(published.topics);
                wanted["data"] = json!(published.data.text());
                if let Some(retry) = published.retry {
                    wanted["retry"] = json!(retry);
                }
            }
            Content::Subscription { of, is_active } => {
                let data = got["data"].as_str().expect("data");
                let document = serde_json::from_str(data).expect("JSON");
                of.check(&document, *is_active, true);
                wanted["topics"] = json!([of.topic()]);
                wanted["data"] = json!(data);
            }
        }
        if self.is_private() {
            wanted["private"] = json!(true);
        }
        if let Some(event_type) = self.event_type() {
            wanted["type"] = json!(event_type);
        }
        assert_eq!(*got, wanted, "a message");
    }

    /// At least, and at most, so many bytes bring it to a client.
    pub(super) fn sizes(&self) -> (usize, usize) {
        match &self.content {
            Content::Published(published) => {
                let (least, most) = published.data.sizes();
                (least, most + 512)
            }
            Content::Subscription { .. } => (100, 2048),
        }
    }
}

//! Active subscriptions: the events that announce them, and the resources that list them.
//!
//! A subscription is described in the form of its matcher: `topic` in the deployed form, `match`
//! and `match_urlpattern` in the standard form.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::update::{HUB_EVENT_TYPE, new_id};
use crate::{Form, Forms, HubUrl, MatcherKind, Update};

/// What a simple expansion of a URI template escapes (RFC 6570 §3.2.2): all but the unreserved
/// characters.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The context of the deployed form's documents (JSON-LD).
const CONTEXT: &str = "https://mercure.rocks/";

/// One subscription of one subscriber.
///
/// # Examples
/// ```
/// use hub_protocol::active::Subscription;
/// use hub_protocol::{HubUrl, MatcherKind};
///
/// let hub = HubUrl::default();
/// let subscription = Subscription {
///     kind: MatcherKind::Exact,
///     text: "a/b",
///     subscriber: "urn:uuid:1",
///     active: true,
///     payload: None,
/// };
/// assert_eq!(
///     subscription.topic(&hub),
///     "/.well-known/mercure/subscriptions/exact/a%2Fb/urn%3Auuid%3A1",
/// );
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Subscription<'a> {
    /// How the text of the matcher is read.
    pub kind: MatcherKind,
    /// The text of the matcher.
    pub text: &'a str,
    /// The subscriber's id, which the hub makes for each connection:
    /// [`new_id`].
    pub subscriber: &'a str,
    /// False once it has ended.
    pub active: bool,
    /// The payload of the subscriber's token, as JSON.
    pub payload: Option<&'a str>,
}

/// A document of one subscription.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(rename = "@context", skip_serializing_if = "Option::is_none")]
    context: Option<&'static str>,
    id: String,
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    topic: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    match_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    r#match: Option<&'a str>,
    subscriber: &'a str,
    active: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<&'a RawValue>,
    #[serde(rename = "lastEventID", skip_serializing_if = "Option::is_none")]
    last_event_id: Option<&'a str>,
}

/// A document of several.
#[derive(Serialize)]
struct Collection<'a> {
    #[serde(rename = "@context", skip_serializing_if = "Option::is_none")]
    context: Option<&'static str>,
    id: &'a str,
    r#type: &'static str,
    #[serde(rename = "lastEventID", skip_serializing_if = "Option::is_none")]
    last_event_id: Option<&'a str>,
    subscriptions: Vec<Document<'a>>,
}

impl<'a> Subscription<'a> {
    /// The form in which the subscription is described.
    #[must_use]
    pub fn form(&self) -> Form {
        match self.kind {
            MatcherKind::UriTemplate => Form::Deployed,
            MatcherKind::Exact | MatcherKind::UrlPattern => Form::Standard,
        }
    }

    /// The topic of its events, which is the path of its resource.
    #[must_use]
    pub fn topic(&self, hub: &HubUrl) -> String {
        let escape = |text| utf8_percent_encode(text, ESCAPED);
        let (text, subscriber) = (escape(self.text), escape(self.subscriber));
        let path = hub.path();
        match self.form() {
            Form::Deployed => format!("{path}/subscriptions/{text}/{subscriber}"),
            Form::Standard => {
                let kind = self.kind.name();
                format!("{path}/subscriptions/{kind}/{text}/{subscriber}")
            }
        }
    }

    /// The JSON document of its events.
    #[must_use]
    pub fn document(&self, hub: &HubUrl) -> String {
        json(&self.describe(hub, true))
    }

    /// The JSON document of its resource: that of its events, in the deployed form with the id of
    /// the last update, which the standard form has in the `Link` field.
    #[must_use]
    pub fn resource(&self, hub: &HubUrl, last_event_id: &str) -> String {
        let deployed = self.form() == Form::Deployed;
        json(&Document {
            last_event_id: deployed.then_some(last_event_id),
            ..self.describe(hub, true)
        })
    }

    /// The event that announces that it began or ended. It is private.
    #[must_use]
    pub fn event(&self, hub: &HubUrl) -> Update {
        Update {
            id: new_id(),
            topics: vec![self.topic(hub)],
            data: self.document(hub),
            private: true,
            event_type: match self.form() {
                Form::Deployed => None,
                Form::Standard => Some(HUB_EVENT_TYPE.to_owned()),
            },
            retry: None,
        }
    }

    fn describe(&self, hub: &HubUrl, alone: bool) -> Document<'a> {
        let text = self.text;
        let deployed = self.form() == Form::Deployed;
        Document {
            context: (deployed && alone).then_some(CONTEXT),
            id: self.topic(hub),
            r#type: if deployed {
                "Subscription"
            } else {
                "subscription"
            },
            topic: deployed.then_some(text),
            match_type: (!deployed).then(|| self.kind.name()),
            r#match: (!deployed).then_some(text),
            subscriber: self.subscriber,
            active: self.active,
            payload: self
                .payload
                .and_then(|text| serde_json::from_str(text).ok()),
            last_event_id: None,
        }
    }
}

/// The media type of a resource in that form.
#[must_use]
pub const fn media_type(form: Form) -> &'static str {
    match form {
        Form::Deployed => "application/ld+json",
        Form::Standard => "application/json",
    }
}

/// The JSON document of a collection.
///
/// `path` is that of the request. `last_event_id` is in the document of the deployed form;
/// the standard form has it in the `Link` field.
#[must_use]
pub fn collection<'a>(
    path: &str,
    form: Form,
    last_event_id: &str,
    subscriptions: impl IntoIterator<Item = Subscription<'a>>,
    hub: &HubUrl,
) -> String {
    let deployed = form == Form::Deployed;
    let subscriptions = subscriptions.into_iter();
    json(&Collection {
        context: deployed.then_some(CONTEXT),
        id: path,
        r#type: if deployed {
            "Subscriptions"
        } else {
            "subscriptions"
        },
        last_event_id: deployed.then_some(last_event_id),
        subscriptions: subscriptions.map(|one| one.describe(hub, false)).collect(),
    })
}

fn json(document: &impl Serialize) -> String {
    // Strings, booleans and JSON always serialize.
    serde_json::to_string(document).unwrap_or_default()
}

/// A resource of the subscription API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resource {
    /// All subscriptions, of one form or of both.
    All,
    /// Those with one matcher.
    Matcher {
        /// How its text is read.
        kind: MatcherKind,
        /// Its text.
        text: String,
    },
    /// The one of a subscriber with a matcher.
    One {
        /// How the matcher's text is read.
        kind: MatcherKind,
        /// The matcher's text.
        text: String,
        /// The subscriber's id.
        subscriber: String,
    },
}

/// The resource that `path` names, if any.
///
/// A path with two segments fits both forms: `{match_type}/{match}` and `{topic}/{subscriber}`.
/// It is the former when the first is the name of a matcher type.
///
/// # Examples
/// ```
/// use hub_protocol::active::{Resource, resource};
/// use hub_protocol::{Forms, HubUrl, MatcherKind};
///
/// let path = "/.well-known/mercure/subscriptions/exact/a%2Fb";
/// let named = Resource::Matcher { kind: MatcherKind::Exact, text: "a/b".to_owned() };
/// assert_eq!(resource(path, Forms::default(), &HubUrl::default()), Some(named));
/// ```
#[must_use]
pub fn resource(path: &str, forms: Forms, hub: &HubUrl) -> Option<Resource> {
    let rest = path
        .strip_prefix(hub.path())?
        .strip_prefix("/subscriptions")?;
    if rest.is_empty() {
        return Some(Resource::All);
    }
    let segments = rest
        .strip_prefix('/')?
        .split('/')
        .map(|segment| percent_decode_str(segment).decode_utf8().ok())
        .collect::<Option<Vec<Cow<'_, str>>>>()?;
    if segments.iter().any(|segment| segment.is_empty()) {
        return None;
    }
    let standard = segments
        .first()
        .and_then(|name| MatcherKind::from_name(name))
        .filter(|_| forms.standard);
    let text = |segment: &Cow<'_, str>| segment.clone().into_owned();
    match (standard, segments.as_slice()) {
        (Some(kind), [_, matcher]) => Some(Resource::Matcher {
            kind,
            text: text(matcher),
        }),
        (Some(kind), [_, matcher, subscriber]) => Some(Resource::One {
            kind,
            text: text(matcher),
            subscriber: text(subscriber),
        }),
        (_, [topic]) if forms.deployed => Some(Resource::Matcher {
            kind: MatcherKind::UriTemplate,
            text: text(topic),
        }),
        (None, [topic, subscriber]) if forms.deployed => Some(Resource::One {
            kind: MatcherKind::UriTemplate,
            text: text(topic),
            subscriber: text(subscriber),
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests;

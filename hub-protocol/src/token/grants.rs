//! What a token allows.

use std::sync::Arc;

use serde_json::Value;

use crate::matcher::EVERYTHING;
use crate::{BearerError, Matcher, MatcherCache, MatcherKind, Refusal, Status, Topic};

/// The `type` of the authorization details that concern hubs.
pub const AUTHORIZATION_DETAIL: &str = "https://mercure.rocks/authorization-detail";

/// The claim of the deployed form, and its name in a namespace of its own (RFC 7519 §4.2).
const MERCURE_CLAIMS: [&str; 2] = ["mercure", "https://mercure.rocks/"];

/// Details in one token, and matchers in all of them.
const DETAILS_MAX: usize = 100;
const MATCHERS_MAX: usize = 1000;

/// What a token allows.
#[derive(Clone, Debug, Default)]
pub struct Grants {
    publish: Vec<Arc<Matcher>>,
    subscribe: Vec<Reading>,
    /// The payload of every subscription, in the deployed form.
    payload: Option<Arc<str>>,
    expires: Option<u64>,
    subject: Option<String>,
}

/// The topics of one authorization detail that may be read.
#[derive(Clone, Debug)]
struct Reading {
    topics: Vec<Arc<Matcher>>,
    payload: Option<Arc<str>>,
}

impl Grants {
    /// Checks that the token allows publishing to all of `topics`.
    ///
    /// # Errors
    /// 403 `insufficient_scope` with the first topic that it does not cover.
    pub fn check_publish(&self, topics: &[Topic<'_>]) -> Result<(), Refusal> {
        let allowed = |topic: &&Topic<'_>| self.publish.iter().any(|one| one.matches(topic));
        match topics.iter().find(|topic| !allowed(topic)) {
            None => Ok(()),
            Some(topic) => Err(insufficient(format!(
                "the token does not allow publishing to {}",
                topic.as_str()
            ))),
        }
    }

    /// Whether the token allows reading a private update with these topics: one of them is
    /// enough.
    #[must_use]
    pub fn may_read(&self, topics: &[Topic<'_>]) -> bool {
        topics.iter().any(|topic| self.covers(topic))
    }

    /// Checks that the token allows reading `topic`, the path of a subscription API resource.
    ///
    /// # Errors
    /// 403 `insufficient_scope`.
    pub fn check_read(&self, topic: &Topic<'_>) -> Result<(), Refusal> {
        if self.covers(topic) {
            Ok(())
        } else {
            Err(insufficient(
                "the token does not allow reading this resource",
            ))
        }
    }

    fn covers(&self, topic: &Topic<'_>) -> bool {
        self.subscribe
            .iter()
            .flat_map(|reading| &reading.topics)
            .any(|matcher| matcher.matches(topic))
    }

    /// Whether the token allows reading anything, so that private updates must be looked at.
    #[must_use]
    pub fn reads_private(&self) -> bool {
        !self.subscribe.is_empty()
    }

    /// The payload of a subscription with `matcher`, as JSON.
    ///
    /// In the standard form it is that of the first detail which covers the matcher's text as if
    /// it were a topic, or has the same matcher.
    #[must_use]
    pub fn payload(&self, matcher: &Matcher, matchers: &MatcherCache) -> Option<&str> {
        let topic = matchers.hub().topic(matcher.text());
        let covers = |own: &Arc<Matcher>| {
            own.matches(&topic) || (own.kind() == matcher.kind() && own.text() == matcher.text())
        };
        self.subscribe
            .iter()
            .find(|reading| reading.topics.iter().any(covers))
            .and_then(|reading| reading.payload.as_deref())
            .or(self.payload.as_deref())
    }

    /// When the token expires, in seconds since 1970: the connection ends then.
    #[must_use]
    pub fn expires(&self) -> Option<u64> {
        self.expires
    }

    /// The token's subject.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    fn new(claims: &Value, expires: Option<u64>) -> Self {
        Self {
            expires,
            subject: claims.get("sub").and_then(Value::as_str).map(str::to_owned),
            ..Self::default()
        }
    }

    /// The grants of `{"mercure": {"publish": […], "subscribe": […], "payload": …}}`.
    pub(super) fn from_mercure_claim(
        claims: &Value,
        expires: Option<u64>,
        matchers: &MatcherCache,
    ) -> Result<Self, String> {
        let mut grants = Self::new(claims, expires);
        let Some(claim) = MERCURE_CLAIMS.iter().find_map(|name| claims.get(name)) else {
            return Ok(grants);
        };
        if !claim.is_object() {
            return Err("the token's claim mercure is not an object".to_owned());
        }
        grants.publish = selectors(claim, "publish", matchers)?;
        let topics = selectors(claim, "subscribe", matchers)?;
        if !topics.is_empty() {
            let payload = None;
            grants.subscribe.push(Reading { topics, payload });
        }
        grants.payload = payload(claim);
        Ok(grants)
    }

    /// The grants of `authorization_details` (RFC 9396).
    pub(super) fn from_authorization_details(
        claims: &Value,
        expires: Option<u64>,
        matchers: &MatcherCache,
    ) -> Result<Self, String> {
        let mut grants = Self::new(claims, expires);
        let details = match claims.get("authorization_details") {
            None => return Ok(grants),
            Some(Value::Array(details)) => details,
            Some(_) => return Err("authorization_details is not a list".to_owned()),
        };
        let ours = |detail: &&Value| {
            detail.get("type").and_then(Value::as_str) == Some(AUTHORIZATION_DETAIL)
        };
        let mut count = 0;
        for (index, detail) in details.iter().filter(ours).enumerate() {
            if index >= DETAILS_MAX {
                return Err(format!("more than {DETAILS_MAX} authorization details"));
            }
            let topics = detail_topics(detail, matchers)?;
            count += topics.len();
            check_count(count)?;
            let actions = detail_actions(detail)?;
            if !detail.get("payload").is_none_or(Value::is_object) {
                return Err("the payload of an authorization detail is not an object".to_owned());
            }
            if actions.publish {
                grants.publish.extend(topics.iter().cloned());
            }
            if actions.subscribe {
                let payload = payload(detail);
                grants.subscribe.push(Reading { topics, payload });
            }
        }
        Ok(grants)
    }
}

fn insufficient(reason: impl Into<std::borrow::Cow<'static, str>>) -> Refusal {
    Refusal::bearer(Status::Forbidden, BearerError::InsufficientScope, reason)
}

fn payload(holder: &Value) -> Option<Arc<str>> {
    let payload = holder.get("payload").filter(|payload| !payload.is_null())?;
    Some(payload.to_string().into())
}

fn check_count(count: usize) -> Result<(), String> {
    if count > MATCHERS_MAX {
        return Err(format!("the token has more than {MATCHERS_MAX} matchers"));
    }
    Ok(())
}

/// The topic selectors of the deployed form.
fn selectors(
    claim: &Value,
    name: &str,
    matchers: &MatcherCache,
) -> Result<Vec<Arc<Matcher>>, String> {
    let list = match claim.get(name) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(list)) => list,
        Some(_) => return Err(format!("the claim mercure.{name} is not a list")),
    };
    check_count(list.len())?;
    list.iter()
        .map(|selector| {
            let text = selector
                .as_str()
                .ok_or_else(|| format!("an entry of mercure.{name} is not a string"))?;
            matchers
                .get(MatcherKind::UriTemplate, text)
                .map_err(|error| format!("in mercure.{name}, {error}"))
        })
        .collect()
}

struct Actions {
    publish: bool,
    subscribe: bool,
}

/// Unknown actions grant nothing.
fn detail_actions(detail: &Value) -> Result<Actions, String> {
    let list = match detail.get("actions") {
        Some(Value::Array(list)) if !list.is_empty() => list,
        _ => return Err("an authorization detail has no actions".to_owned()),
    };
    if !list.iter().all(Value::is_string) {
        return Err("an action of an authorization detail is not a string".to_owned());
    }
    let has = |name| list.iter().any(|action| action.as_str() == Some(name));
    Ok(Actions {
        publish: has("publish"),
        subscribe: has("subscribe"),
    })
}

fn detail_topics(detail: &Value, matchers: &MatcherCache) -> Result<Vec<Arc<Matcher>>, String> {
    let list = match detail.get("topics") {
        Some(Value::Array(list)) if !list.is_empty() => list,
        _ => return Err("an authorization detail has no topics".to_owned()),
    };
    check_count(list.len())?;
    list.iter()
        .map(|object| detail_topic(object, matchers))
        .collect()
}

fn detail_topic(object: &Value, matchers: &MatcherCache) -> Result<Arc<Matcher>, String> {
    let text = object
        .get("match")
        .and_then(Value::as_str)
        .ok_or("a topic of an authorization detail has no match")?;
    let kind = match object.get("match_type") {
        None => Some(MatcherKind::Exact),
        Some(name) => name.as_str().and_then(MatcherKind::from_name),
    };
    // The wildcard is recognized before the type.
    let kind = kind
        .or((text == EVERYTHING).then_some(MatcherKind::Exact))
        .ok_or("a topic of an authorization detail has an unknown match_type")?;
    matchers
        .get(kind, text)
        .map_err(|error| format!("in an authorization detail, {error}"))
}

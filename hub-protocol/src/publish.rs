//! What a publisher sends.

use serde::Deserialize;

use crate::text::is_clean;
use crate::update::{HUB_EVENT_TYPE, check_id, new_id};
use crate::{HubUrl, Refusal, Update, form};

/// The media type of a publisher's request.
pub const MEDIA_TYPE: &str = "application/x-www-form-urlencoded";

/// How much one update may bring. More is answered with 413.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the body.
    pub body: usize,
    /// Topics of one update.
    pub topics: usize,
    /// Bytes of a topic, an id or a type.
    pub text: usize,
}

impl Default for Limits {
    /// 1 MiB, 100 topics, 4 KiB.
    fn default() -> Self {
        Self {
            body: 1024 * 1024,
            topics: 100,
            text: 4096,
        }
    }
}

/// An update that has passed all checks and may lack an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// The canonical topic and then the alternate ones. Never empty.
    pub topics: Vec<String>,
    /// The content.
    pub data: String,
    /// Whether only subscribers whose token allows it receive the update.
    pub private: bool,
    /// The id that the publisher chose.
    pub id: Option<String>,
    /// The type of the event.
    pub event_type: Option<String>,
    /// Milliseconds after which subscribers reconnect.
    pub retry: Option<u64>,
}

impl Draft {
    /// The update, with a new id where the publisher chose none.
    #[must_use]
    pub fn into_update(self) -> Update {
        Update {
            id: self.id.unwrap_or_else(new_id),
            topics: self.topics,
            data: self.data,
            private: self.private,
            event_type: self.event_type,
            retry: self.retry,
        }
    }

    fn check(self, limits: &Limits, hub: &HubUrl) -> Result<Self, Refusal> {
        if self.topics.is_empty() {
            return Err(Refusal::bad("the field \"topic\" is missing"));
        }
        if self.topics.len() > limits.topics {
            return Err(Refusal::too_large(format!(
                "the update has more than {} topics",
                limits.topics
            )));
        }
        for topic in &self.topics {
            check_length("topic", topic, limits)?;
            check_topic(topic, hub)?;
        }
        if let Some(id) = &self.id {
            check_length("id", id, limits)?;
            check_id(id)?;
        }
        if let Some(event_type) = &self.event_type {
            check_length("type", event_type, limits)?;
            if !is_clean(event_type) {
                return Err(Refusal::bad("the type has a control or format character"));
            }
            if event_type == HUB_EVENT_TYPE {
                return Err(Refusal::bad("the type \"mercure\" is reserved for the hub"));
            }
        }
        Ok(self)
    }
}

fn check_length(name: &str, value: &str, limits: &Limits) -> Result<(), Refusal> {
    if value.len() > limits.text {
        return Err(Refusal::too_large(format!(
            "the field {name:?} is longer than {} bytes",
            limits.text
        )));
    }
    Ok(())
}

fn check_topic(topic: &str, hub: &HubUrl) -> Result<(), Refusal> {
    if topic.is_empty() {
        return Err(Refusal::bad("a topic is empty"));
    }
    if topic == "*" {
        return Err(Refusal::bad(
            "the topic \"*\" is reserved for the matcher of all topics",
        ));
    }
    if !is_clean(topic) {
        return Err(Refusal::bad("a topic has a control or format character"));
    }
    if hub.topic(topic).is_reserved() {
        return Err(Refusal::bad(format!(
            "topics under {} are reserved for the hub",
            hub.path()
        )));
    }
    Ok(())
}

/// Checks the `Content-Type` of a publisher's request; parameters are ignored.
///
/// # Errors
/// 400 for a missing or another type.
pub fn check_content_type(value: Option<&[u8]>) -> Result<(), Refusal> {
    let essence = value
        .and_then(|value| value.split(|&byte| byte == b';').next())
        .unwrap_or_default()
        .trim_ascii();
    if essence.eq_ignore_ascii_case(MEDIA_TYPE.as_bytes()) {
        Ok(())
    } else {
        Err(Refusal::bad(
            "the content type must be application/x-www-form-urlencoded",
        ))
    }
}

/// Reads the body of a publisher's `POST`.
///
/// Unknown fields are ignored. If a field other than `topic` is repeated, the first value counts.
/// An empty `id`, `type` or `retry` is ignored.
///
/// # Errors
/// 400 for what is malformed or reserved, 413 for what exceeds `limits`.
///
/// # Examples
/// ```
/// use hub_protocol::{HubUrl, publish};
///
/// let draft = publish::parse(
///     b"topic=https%3A%2F%2Fexample.com%2Ffoo&data=the+content",
///     &publish::Limits::default(),
///     &HubUrl::default(),
/// )?;
/// assert_eq!(draft.topics, ["https://example.com/foo"]);
/// assert_eq!(draft.data, "the content");
/// assert!(draft.into_update().id.starts_with("urn:uuid:"));
/// # Ok::<(), hub_protocol::Refusal>(())
/// ```
pub fn parse(body: &[u8], limits: &Limits, hub: &HubUrl) -> Result<Draft, Refusal> {
    if body.len() > limits.body {
        return Err(Refusal::too_large(format!(
            "the body is longer than {} bytes",
            limits.body
        )));
    }
    let mut topics = Vec::new();
    let (mut data, mut id, mut event_type, mut retry) = (None, None, None, None);
    let mut private = false;
    for pair in form::pairs(body) {
        let (name, value) = pair?;
        let once = match name.as_str() {
            "topic" => {
                topics.push(value);
                continue;
            }
            "private" => {
                private = true;
                continue;
            }
            "data" => &mut data,
            "id" => &mut id,
            "type" => &mut event_type,
            "retry" => &mut retry,
            _ => continue,
        };
        once.get_or_insert(value);
    }
    let filled = |value: &String| !value.is_empty();
    let draft = Draft {
        topics,
        data: data.unwrap_or_default(),
        private,
        id: id.filter(filled),
        event_type: event_type.filter(filled),
        retry: retry
            .filter(filled)
            .as_deref()
            .map(parse_retry)
            .transpose()?,
    };
    draft.check(limits, hub)
}

fn parse_retry(value: &str) -> Result<u64, Refusal> {
    if !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Refusal::bad("the field \"retry\" must have digits alone"));
    }
    value
        .parse()
        .map_err(|_| Refusal::bad("the field \"retry\" is too large"))
}

/// An update as a WebSocket client sends it.
#[derive(Deserialize)]
struct Message {
    topics: Vec<String>,
    #[serde(default)]
    data: String,
    #[serde(default)]
    private: bool,
    id: Option<String>,
    r#type: Option<String>,
    retry: Option<u64>,
}

/// Reads an update that a WebSocket client sends: a JSON object with `topics`, `data`, `private`,
/// `id`, `type` and `retry`, of which only `topics` is required.
///
/// # Errors
/// As [`parse`].
///
/// # Examples
/// ```
/// use hub_protocol::{HubUrl, publish};
///
/// let draft = publish::parse_json(
///     r#"{"topics": ["news"], "data": "hello"}"#,
///     &publish::Limits::default(),
///     &HubUrl::default(),
/// )?;
/// assert_eq!(draft.data, "hello");
/// # Ok::<(), hub_protocol::Refusal>(())
/// ```
pub fn parse_json(text: &str, limits: &Limits, hub: &HubUrl) -> Result<Draft, Refusal> {
    if text.len() > limits.body {
        return Err(Refusal::too_large(format!(
            "the message is longer than {} bytes",
            limits.body
        )));
    }
    // serde would also take an array of the members' values.
    if !text.trim_start().starts_with('{') {
        return Err(Refusal::bad("the message is not a JSON object"));
    }
    let message: Message = serde_json::from_str(text)
        .map_err(|error| Refusal::bad(format!("the message is not an update in JSON: {error}")))?;
    let draft = Draft {
        topics: message.topics,
        data: message.data,
        private: message.private,
        id: message.id,
        event_type: message.r#type,
        retry: message.retry,
    };
    draft.check(limits, hub)
}

#[cfg(test)]
mod tests;

//! Updates: what publishers send, stores keep and subscribers receive.

use serde::Serialize;

use crate::Refusal;
use crate::text::is_clean;

/// One update.
///
/// Its JSON form is what a WebSocket subscriber receives:
/// ```
/// use hub_protocol::Update;
///
/// let update = Update {
///     id: "urn:uuid:5e94c686-2c0b-4f9b-958c-92ccc3bbb4eb".to_owned(),
///     topics: vec!["https://example.com/books/1".to_owned()],
///     data: "{}".to_owned(),
///     private: false,
///     event_type: None,
///     retry: None,
/// };
/// assert_eq!(
///     update.to_json(),
///     r#"{"id":"urn:uuid:5e94c686-2c0b-4f9b-958c-92ccc3bbb4eb","topics":["https://example.com/books/1"],"data":"{}"}"#,
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Update {
    /// Identifies the update: the cursor from which a subscriber resumes.
    pub id: String,
    /// The canonical topic and then the alternate ones. Never empty.
    pub topics: Vec<String>,
    /// The content, in any format.
    pub data: String,
    /// Whether only subscribers whose token allows it receive the update.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub private: bool,
    /// The type of the event, for `addEventListener`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    /// Milliseconds after which the subscriber reconnects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<u64>,
}

/// The id that stands for the beginning of the history; no update has it.
pub const EARLIEST: &str = "earliest";

/// The event type of the updates that the hub itself publishes.
pub const HUB_EVENT_TYPE: &str = "mercure";

/// The first byte of an encoded update.
const VERSION: u8 = 1;
const PRIVATE: u8 = 1;
const HAS_TYPE: u8 = 2;
const HAS_RETRY: u8 = 4;

/// Why bytes are not an encoded update.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes end too early, or continue after the update.
    #[error("the encoded update has the wrong length")]
    Length,
    /// A later version wrote it.
    #[error("the encoded update has an unknown version or flag")]
    Version,
    /// A text is not UTF-8.
    #[error("the encoded update has a text that is not UTF-8")]
    Text,
    /// A value breaks a rule that publishing enforces.
    #[error("the encoded update breaks a rule of the protocol")]
    Rule,
}

/// A new random id, `urn:uuid:` and a version 4 UUID: opaque, so that it says nothing about
/// updates which a subscriber may not read.
#[must_use]
pub fn new_id() -> String {
    uuid::Uuid::new_v4().urn().to_string()
}

/// Checks an id that a publisher chose.
///
/// # Errors
/// 400 when it is empty, begins with `#`, is `earliest`, begins or ends with a space, or has
/// control or format characters.
pub fn check_id(id: &str) -> Result<(), Refusal> {
    if id.is_empty() {
        return Err(Refusal::bad("the id is empty"));
    }
    if id.starts_with('#') {
        return Err(Refusal::bad(
            "the id begins with #, which is reserved for the hub",
        ));
    }
    if id == EARLIEST {
        return Err(Refusal::bad("the id \"earliest\" is reserved"));
    }
    if !is_clean(id) {
        return Err(Refusal::bad("the id has a control or format character"));
    }
    if id.starts_with(' ') || id.ends_with(' ') {
        // A subscriber could not name it in `Last-Event-ID`: HTTP trims the values of fields.
        return Err(Refusal::bad("the id begins or ends with a space"));
    }
    Ok(())
}

impl Update {
    /// Checks what every stored update fulfils: at least one topic, and no text that could break
    /// a line of the event stream.
    ///
    /// The hub's own updates pass, also under the reserved path and type.
    ///
    /// # Errors
    /// 400 with the rule that is broken.
    pub fn check(&self) -> Result<(), Refusal> {
        // The hub may generate ids that begin with #, so `check_id` is for publishers alone.
        if self.id.is_empty() || self.id == EARLIEST || !is_clean(&self.id) {
            return Err(Refusal::bad("the id is not valid"));
        }
        if self.topics.is_empty() {
            return Err(Refusal::bad("the update has no topic"));
        }
        if !self.topics.iter().all(|topic| is_clean(topic)) {
            return Err(Refusal::bad("a topic has a control or format character"));
        }
        if !self.event_type.as_deref().is_none_or(is_clean) {
            return Err(Refusal::bad("the type has a control or format character"));
        }
        Ok(())
    }

    /// The update as one line of JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Strings, booleans and numbers always serialize.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Appends the update in the compact form that stores and the bus between processes use.
    ///
    /// A version, flags, the retry time, and each text with its length as a variable-length
    /// integer.
    pub fn encode(&self, output: &mut Vec<u8>) {
        let mut flags = 0;
        if self.private {
            flags |= PRIVATE;
        }
        if self.event_type.is_some() {
            flags |= HAS_TYPE;
        }
        if self.retry.is_some() {
            flags |= HAS_RETRY;
        }
        output.extend([VERSION, flags]);
        put_text(output, &self.id);
        put_number(output, self.topics.len() as u64);
        for topic in &self.topics {
            put_text(output, topic);
        }
        if let Some(event_type) = &self.event_type {
            put_text(output, event_type);
        }
        if let Some(retry) = self.retry {
            put_number(output, retry);
        }
        put_text(output, &self.data);
    }

    /// Reads what [`Update::encode`] wrote.
    ///
    /// # Errors
    /// For anything else; also when the update breaks a rule that [`Update::check`] knows.
    pub fn decode(input: &[u8]) -> Result<Self, DecodeError> {
        let (&[version, flags], rest) = input.split_first_chunk().ok_or(DecodeError::Length)?;
        if version != VERSION || flags & !(PRIVATE | HAS_TYPE | HAS_RETRY) != 0 {
            return Err(DecodeError::Version);
        }
        let mut reader = Reader(rest);
        let id = reader.text()?;
        // Each topic takes at least one byte.
        let count = reader.number()?;
        if count > reader.0.len() as u64 {
            return Err(DecodeError::Length);
        }
        let topics = (0..count)
            .map(|_| reader.text())
            .collect::<Result<_, _>>()?;
        let event_type = (flags & HAS_TYPE != 0).then(|| reader.text()).transpose()?;
        let retry = (flags & HAS_RETRY != 0)
            .then(|| reader.number())
            .transpose()?;
        let data = reader.text()?;
        if !reader.0.is_empty() {
            return Err(DecodeError::Length);
        }
        let update = Self {
            id,
            topics,
            data,
            private: flags & PRIVATE != 0,
            event_type,
            retry,
        };
        update.check().map_err(|_| DecodeError::Rule)?;
        Ok(update)
    }
}

fn put_number(output: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        output.push(number as u8 | 0x80);
        number >>= 7;
    }
    output.push(number as u8);
}

fn put_text(output: &mut Vec<u8>, text: &str) {
    put_number(output, text.len() as u64);
    output.extend_from_slice(text.as_bytes());
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn number(&mut self) -> Result<u64, DecodeError> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first().ok_or(DecodeError::Length)?;
            self.0 = rest;
            let part = u64::from(byte & 0x7f);
            if part << shift >> shift != part {
                return Err(DecodeError::Length);
            }
            number |= part << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(DecodeError::Length)
    }

    fn text(&mut self) -> Result<String, DecodeError> {
        let length = usize::try_from(self.number()?).map_err(|_| DecodeError::Length)?;
        let (text, rest) = self.0.split_at_checked(length).ok_or(DecodeError::Length)?;
        self.0 = rest;
        let text = str::from_utf8(text).map_err(|_| DecodeError::Text)?;
        Ok(text.to_owned())
    }
}

#[cfg(test)]
pub(crate) mod tests;

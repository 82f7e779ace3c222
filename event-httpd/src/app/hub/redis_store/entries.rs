//! Entries of the stream: their ids are positions, and their fields an update.

use crate::app::hub::message::Position;
use crate::redis::{ServerError, Value};

/// The field with the update's id.
pub(crate) const ID: &str = "id";

/// The field with the encoded update.
pub(crate) const UPDATE: &str = "update";

/// The fields of an entry that has an update, as a command takes them.
pub(crate) fn fields<'a>(id: &'a str, encoded: &'a [u8]) -> [&'a [u8]; 4] {
    [ID.as_bytes(), id.as_bytes(), UPDATE.as_bytes(), encoded]
}

/// An entry of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) position: Position,
    pub(crate) content: Option<Content>,
}

/// What a hub has written into an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) id: String,
    pub(crate) update: Vec<u8>,
}

/// A position as Redis writes it: two numbers and a dash.
pub(crate) fn text_of(position: Position) -> String {
    format!("{}-{}", position >> 64, position & Position::from(u64::MAX))
}

fn position_of(text: &[u8]) -> Option<Position> {
    let (upper, lower) = str::from_utf8(text).ok()?.split_once('-')?;
    let (upper, lower): (u64, u64) = (upper.parse().ok()?, lower.parse().ok()?);
    Some(Position::from(upper) << 64 | Position::from(lower))
}

/// Why a reply has no entries.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(crate) enum ReplyError {
    #[error("{0}")]
    Server(ServerError),
    #[error("a reply is not as expected")]
    Unexpected,
}

/// The entries in a reply to `XRANGE` or `XREVRANGE`.
///
/// # Errors
/// The server's, and [`ReplyError::Unexpected`] for any other reply.
pub(crate) fn of_range(value: Value) -> Result<Vec<Entry>, ReplyError> {
    match value {
        Value::Array(entries) => {
            let entries: Option<Vec<_>> = entries.into_iter().map(entry).collect();
            entries.ok_or(ReplyError::Unexpected)
        }
        Value::ServerError(error) => Err(ReplyError::Server(error)),
        _ => Err(ReplyError::Unexpected),
    }
}

/// The entries in a reply to `XREAD` of one stream.
///
/// # Errors
/// As [`of_range`].
pub(crate) fn of_read(value: Value) -> Result<Vec<Entry>, ReplyError> {
    match value {
        Value::Nil => Ok(Vec::new()),
        Value::Array(streams) => {
            of_range(entries_of_stream(streams).ok_or(ReplyError::Unexpected)?)
        }
        other => of_range(other),
    }
}

fn entries_of_stream(streams: Vec<Value>) -> Option<Value> {
    let [Value::Array(stream)] = <[Value; 1]>::try_from(streams).ok()? else {
        return None;
    };
    let [_key, entries] = <[Value; 2]>::try_from(stream).ok()?;
    Some(entries)
}

fn entry(value: Value) -> Option<Entry> {
    let Value::Array(parts) = value else {
        return None;
    };
    let [id, fields] = <[Value; 2]>::try_from(parts).ok()?;
    let Value::BulkString(id) = id else {
        return None;
    };
    Some(Entry {
        position: position_of(&id)?,
        content: content(fields),
    })
}

fn content(fields: Value) -> Option<Content> {
    let Value::Array(fields) = fields else {
        return None;
    };
    let (mut id, mut update) = (None, None);
    let mut fields = fields.into_iter();
    while let (Some(Value::BulkString(name)), Some(Value::BulkString(value))) =
        (fields.next(), fields.next())
    {
        if name == ID.as_bytes() {
            id = String::from_utf8(value).ok();
        } else if name == UPDATE.as_bytes() {
            update = Some(value);
        }
    }
    Some(Content {
        id: id?,
        update: update?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn array(values: impl IntoIterator<Item = Value>) -> Value {
        Value::Array(values.into_iter().collect())
    }

    fn raw(id: &str, fields: &[&str]) -> Value {
        array([bulk(id), array(fields.iter().map(|text| bulk(text)))])
    }

    #[test]
    fn positions_are_ordered_as_redis_orders_its_ids() {
        let texts = ["0-0", "0-1", "1-0", "1-18446744073709551615", "2-0"];
        let positions = texts.map(|text| position_of(text.as_bytes()).unwrap());
        assert!(positions.is_sorted());
        assert_eq!(positions.map(text_of), texts);
        for text in ["", "1", "-", "1-", "a-0", "1-18446744073709551616"] {
            assert_eq!(position_of(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn entries_are_read_from_both_kinds_of_replies() {
        let entries = || {
            array([
                raw("1-0", &["id", "a", "update", "x", "later", "y"]),
                raw("1-1", &["by", "hand"]),
            ])
        };
        let expected = [
            Entry {
                position: 1 << 64,
                content: Some(Content {
                    id: "a".to_owned(),
                    update: b"x".to_vec(),
                }),
            },
            Entry {
                position: 1 << 64 | 1,
                content: None,
            },
        ];
        assert_eq!(of_range(entries()).unwrap(), expected);
        let read = array([array([bulk("key"), entries()])]);
        assert_eq!(of_read(read).unwrap(), expected);
        assert_eq!(of_read(Value::Nil), Ok(Vec::new()));
        assert_eq!(of_range(array([])), Ok(Vec::new()));
        for other in [Value::Okay, Value::Int(1), array([Value::Nil])] {
            assert_eq!(of_read(other.clone()), Err(ReplyError::Unexpected));
            assert_eq!(of_range(other), Err(ReplyError::Unexpected));
        }
        let error = crate::redis::parse(b"-LOADING later\r\n");
        let text = |result: Result<Vec<Entry>, ReplyError>| result.unwrap_err().to_string();
        assert!(text(of_read(error.clone())).contains("later"));
        assert!(text(of_range(error)).contains("later"));
    }
}

//! Replies that are lists: bulk strings, texts, named numbers, and the server's time.

use crate::redis::Value;

/// The bulk strings in a list; none if it is something else.
pub(crate) fn values(value: Value) -> Vec<Vec<u8>> {
    let Value::Array(values) = value else {
        return Vec::new();
    };
    let bytes = |value| match value {
        Value::BulkString(bytes) => Some(bytes),
        _ => None,
    };
    values.into_iter().filter_map(bytes).collect()
}

/// Those that are text.
pub(crate) fn texts(value: Value) -> Vec<String> {
    let texts = values(value).into_iter();
    texts
        .filter_map(|bytes| String::from_utf8(bytes).ok())
        .collect()
}

/// The number with that name in a list of names, each followed by its value.
pub(crate) fn number_in(value: &Value, name: &str) -> Option<i64> {
    let Value::Array(values) = value else {
        return None;
    };
    let is_named = |text: &Value| *text == Value::BulkString(name.into());
    values.chunks_exact(2).find_map(|pair| match pair {
        [text, Value::Int(number)] if is_named(text) => Some(*number),
        _ => None,
    })
}

/// The milliseconds in a reply to `TIME`.
pub(crate) fn milliseconds_of(value: &Value) -> Option<u64> {
    let [seconds, micros] = <[String; 2]>::try_from(texts(value.clone())).ok()?;
    let (seconds, micros): (u64, u64) = (seconds.parse().ok()?, micros.parse().ok()?);
    seconds.checked_mul(1000)?.checked_add(micros / 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_in_milliseconds_unless_it_is_none() {
        let time = |texts: &[&str]| {
            let bulks = texts.iter().map(|text| Value::BulkString((*text).into()));
            milliseconds_of(&Value::Array(bulks.collect()))
        };
        assert_eq!(time(&["1700000000", "123456"]), Some(1_700_000_000_123));
        assert_eq!(time(&["18446744073709551615", "0"]), None);
        assert_eq!(time(&["1"]), None);
        assert_eq!(time(&["a", "0"]), None);
        assert_eq!(milliseconds_of(&Value::Nil), None);
    }

    #[test]
    fn a_number_is_found_by_the_name_before_it() {
        let text = |text: &str| Value::BulkString(text.into());
        let list = [text("a"), text("b"), text("b"), Value::Int(7)];
        let list = Value::Array(list.into());
        let found = ["a", "b", "c"].map(|name| number_in(&list, name));
        assert_eq!(found, [None, Some(7), None]);
        assert_eq!(number_in(&Value::Nil, "b"), None);
    }
}

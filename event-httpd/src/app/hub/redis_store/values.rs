//! Replies that are lists: bulk strings, texts, and the server's time.

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
}

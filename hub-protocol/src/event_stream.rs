//! Updates as Server-Sent Events.
//!
//! Source: the WHATWG HTML standard, "Server-sent events".

use crate::Update;

/// The media type of the answer.
pub const MEDIA_TYPE: &str = "text/event-stream";

/// A comment, which keeps the connection alive and which clients ignore.
pub const HEARTBEAT: &[u8] = b":\n";

/// Appends `update` as one event.
///
/// Data with line breaks becomes one `data` line per line, whatever the break is (CR, LF or
/// CR LF); the client joins them with LF. The other fields have no line breaks, which
/// [`Update::check`] sees to; should one have some, it ends there.
///
/// # Examples
/// ```
/// use hub_protocol::{Update, event_stream};
///
/// let update = Update {
///     id: "1".to_owned(),
///     topics: vec!["news".to_owned()],
///     data: "two\r\nlines".to_owned(),
///     private: false,
///     event_type: Some("flash".to_owned()),
///     retry: None,
/// };
/// let mut stream = Vec::new();
/// event_stream::encode(&update, &mut stream);
/// assert_eq!(stream, b"id: 1\nevent: flash\ndata: two\ndata: lines\n\n");
/// ```
pub fn encode(update: &Update, output: &mut Vec<u8>) {
    line(output, "id", first_line(&update.id));
    if let Some(event_type) = &update.event_type {
        line(output, "event", first_line(event_type));
    }
    if let Some(milliseconds) = update.retry {
        retry(milliseconds, output);
    }
    let mut rest = update.data.as_str();
    loop {
        let end = rest.find(['\r', '\n']).unwrap_or(rest.len());
        let (text, tail) = rest.split_at_checked(end).unwrap_or((rest, ""));
        line(output, "data", text);
        if tail.is_empty() {
            break;
        }
        rest = tail
            .strip_prefix("\r\n")
            .or_else(|| tail.get(1..))
            .unwrap_or_default();
    }
    output.push(b'\n');
}

/// Appends a line that tells the client after how many milliseconds to reconnect.
pub fn retry(milliseconds: u64, output: &mut Vec<u8>) {
    line(output, "retry", &milliseconds.to_string());
}

fn line(output: &mut Vec<u8>, name: &str, value: &str) {
    output.extend_from_slice(name.as_bytes());
    output.extend_from_slice(b": ");
    output.extend_from_slice(value.as_bytes());
    output.push(b'\n');
}

fn first_line(text: &str) -> &str {
    text.split(['\r', '\n']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests;

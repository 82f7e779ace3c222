//! How much of a subscriber's queue updates take: as events or as messages of a WebSocket,
//! whichever is longer.

/// What an update takes besides its texts.
const FRAMING: usize = 160;

/// Bytes that go before each line of an event.
const LINE: usize = "data: ".len();

/// The length of an encoded update.
pub(super) fn length(encoded: &[u8]) -> usize {
    data_length(encoded) + FRAMING
}

/// The length of data.
pub(super) fn data_length(data: &[u8]) -> usize {
    let breaks = data.iter().filter(|byte| matches!(byte, b'\r' | b'\n'));
    let as_event = LINE * (breaks.count() + 1);
    let as_message: usize = data.iter().map(|byte| escape(*byte)).sum();
    data.len() + as_event.max(as_message)
}

/// The longest that so many bytes of data can be.
pub(super) fn longest(length: usize) -> usize {
    length.saturating_mul(1 + LINE).saturating_add(LINE)
}

/// What JSON adds to a byte.
fn escape(byte: u8) -> usize {
    match byte {
        b'"' | b'\\' | b'\x08' | b'\t' | b'\n' | b'\x0c' | b'\r' => 1, // a backslash
        0..0x20 => "u0000".len(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hub_protocol::{Update, event_stream, websocket};

    #[test]
    fn an_update_is_not_longer_in_either_form_and_one_of_them_has_nearly_its_length() {
        let bytes = (0..0x80).map(|byte| char::from(byte).to_string());
        let others = ["a", "", "\u{e9}\u{1f600}", "{\"a\": \"\\\\\"}", "a\nb"].map(str::to_owned);
        for text in bytes.chain(others) {
            let update = Update {
                id: "urn:uuid:one".to_owned(),
                topics: vec!["https://example.com/books/1".to_owned()],
                data: text.repeat(1000),
                private: true,
                event_type: None,
                retry: None,
            };
            let (mut event, mut message, mut encoded) = (Vec::new(), Vec::new(), Vec::new());
            event_stream::encode(&update, &mut event);
            websocket::text_frame(&update.to_json(), &mut message);
            update.encode(&mut encoded);
            let longer = event.len().max(message.len());
            let counted = length(&encoded);
            assert!(
                (longer..longer + 300).contains(&counted),
                "{text:?}: {counted}, {longer}"
            );
            assert!(data_length(update.data.as_bytes()) <= longest(update.data.len()));
        }
    }
}

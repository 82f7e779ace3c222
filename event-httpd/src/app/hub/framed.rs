//! How much of a subscriber's queue updates take: as events or as messages of a WebSocket,
//! whichever is longer.

/// What an update takes besides its encoded form, with as many topics as it may have.
const FRAMING: usize = 320;

/// Bytes that go before each line of an event.
const LINE: usize = "data: ".len();

/// The length of an encoded update.
pub(super) fn length(encoded: &[u8]) -> usize {
    data_length(encoded) + FRAMING
}

/// Whether an encoded update is longer than `most`.
pub(super) fn is_longer(encoded: &[u8], most: usize) -> bool {
    longest(encoded.len()) > most && length(encoded) > most
}

/// The length of data.
fn data_length(data: &[u8]) -> usize {
    let breaks = data.iter().filter(|byte| matches!(byte, b'\r' | b'\n'));
    let as_event = LINE * (breaks.count() + 1);
    let as_message: usize = data.iter().map(|byte| escape(*byte)).sum();
    data.len() + as_event.max(as_message)
}

/// The longest that so many bytes of an encoded update can be.
fn longest(length: usize) -> usize {
    length
        .saturating_mul(1 + LINE)
        .saturating_add(LINE + FRAMING)
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
    use hub_protocol::publish::Limits;
    use hub_protocol::{Update, event_stream, websocket};

    #[test]
    fn an_update_is_not_longer_in_either_form_and_one_of_them_has_nearly_its_length() {
        let bytes = (0..0x80).map(|byte| char::from(byte).to_string());
        let others = ["a", "", "\u{e9}\u{1f600}", "{\"a\": \"\\\\\"}", "a\nb"].map(str::to_owned);
        let texts: Vec<String> = bytes.chain(others).collect();
        let limits = Limits::default();
        let numbers = texts
            .iter()
            .flat_map(|text| [(text, 1), (text, limits.topics)]);
        for (text, topics) in numbers {
            let update = Update {
                id: "urn:uuid:one".to_owned(),
                topics: vec![text.replace(char::is_control, "x"); topics],
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
                (longer..longer + FRAMING + 6 * topics).contains(&counted),
                "{text:?}: {counted}, {longer}"
            );
            assert!(counted <= longest(encoded.len()));
        }
    }
}

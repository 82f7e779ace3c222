//! The event-stream encoder: a client dispatches what was published, and nothing else.

use arbitrary::{Arbitrary, Unstructured};
use hub_protocol::{Update, event_stream};

use crate::client::{Client, Dispatched};

pub(crate) const WORDS: &[&[u8]] = &[
    b"\n",
    b"\r",
    b"\r\n",
    b"data: x",
    b"id: x",
    b"event: x",
    b"retry: 9",
    b":",
    b" ",
    b"\0",
    "\u{feff}".as_bytes(),
    "\u{2028}".as_bytes(),
    b"a",
];

/// The fields of an update that can be any text.
#[derive(Debug, Arbitrary)]
struct Texts<'a> {
    id: &'a str,
    event_type: Option<&'a str>,
    retry: Option<u64>,
    data: &'a str,
}

pub(crate) fn run(input: &[u8]) {
    let Ok(texts) = Texts::arbitrary_take_rest(Unstructured::new(input)) else {
        return;
    };
    let update = Update {
        id: texts.id.to_owned(),
        topics: vec!["a".to_owned()],
        data: texts.data.to_owned(),
        private: false,
        event_type: texts.event_type.map(str::to_owned),
        retry: texts.retry,
    };
    let mut stream = event_stream::HEARTBEAT.to_vec();
    event_stream::encode(&update, &mut stream);
    stream.extend_from_slice(event_stream::HEARTBEAT);
    let client = Client::read(&stream);
    assert_eq!(client.dispatched.len(), 1, "{update:?}");
    assert_eq!(client.retry, update.retry);
    let lines = update.data.replace("\r\n", "\n").replace('\r', "\n");
    assert_eq!(client.dispatched[0].data, lines);
    if update.check().is_ok() {
        let dispatched = Dispatched {
            event_type: update.event_type.unwrap_or_default(),
            data: lines,
            last_event_id: update.id,
        };
        assert_eq!(client.dispatched, [dispatched]);
    }
}

//! The encoder against a parser written from the standard's text.

use proptest::prelude::*;

use super::*;
use crate::update::tests::any_update;

/// An event as a client dispatches it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Dispatched {
    event_type: String,
    data: String,
    last_event_id: String,
}

/// A client: WHATWG HTML, "Interpreting an event stream".
#[derive(Default)]
struct Client {
    data: String,
    event_type: String,
    last_event_id: String,
    retry: Option<u64>,
    dispatched: Vec<Dispatched>,
}

impl Client {
    fn read(stream: &[u8]) -> Self {
        let text = str::from_utf8(stream).unwrap();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut client = Self::default();
        // Lines end with CR LF, LF or CR; what follows the last one is no line.
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        let mut lines: Vec<_> = text.split('\n').collect();
        lines.pop();
        for line in lines {
            client.line(line);
        }
        client
    }

    fn line(&mut self, line: &str) {
        if line.is_empty() {
            return self.dispatch();
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "event" => self.event_type = value.to_owned(),
            "data" => {
                self.data.push_str(value);
                self.data.push('\n');
            }
            "id" if !value.contains('\0') => self.last_event_id = value.to_owned(),
            "retry" if value.bytes().all(|byte| byte.is_ascii_digit()) => {
                self.retry = value.parse().ok();
            }
            _ => {}
        }
    }

    fn dispatch(&mut self) {
        let mut data = std::mem::take(&mut self.data);
        let event_type = std::mem::take(&mut self.event_type);
        if data.is_empty() {
            return;
        }
        data.pop();
        self.dispatched.push(Dispatched {
            event_type,
            data,
            last_event_id: self.last_event_id.clone(),
        });
    }
}

fn update(data: &str) -> Update {
    Update {
        id: "1".to_owned(),
        topics: vec!["a".to_owned()],
        data: data.to_owned(),
        private: false,
        event_type: None,
        retry: None,
    }
}

fn stream(update: &Update) -> String {
    let mut stream = Vec::new();
    encode(update, &mut stream);
    String::from_utf8(stream).unwrap()
}

proptest! {
    #[test]
    fn client_dispatches_the_update_once_with_line_breaks_as_lf(
        update in any_update(),
        data in "([ -~]|\r|\n|\r\n|:|é|\0|\u{feff}){0,40}",
    ) {
        let update = Update { data, ..update };
        let mut bytes = HEARTBEAT.to_vec();
        encode(&update, &mut bytes);
        bytes.extend_from_slice(HEARTBEAT);
        let client = Client::read(&bytes);
        prop_assert_eq!(client.dispatched, [Dispatched {
            event_type: update.event_type.unwrap_or_default(),
            data: update.data.replace("\r\n", "\n").replace('\r', "\n"),
            last_event_id: update.id,
        }]);
        prop_assert_eq!(client.retry, update.retry);
    }

    #[test]
    fn no_text_injects_another_event_or_field(text in "(\r|\n|data: x|id: x|event: x|retry: 9|:| |a){0,12}") {
        // Checks let no such id and type through; the encoder does not rely on that.
        let update = Update {
            id: text.clone(),
            event_type: Some(text.clone()),
            ..update(&text)
        };
        let client = Client::read(stream(&update).as_bytes());
        prop_assert_eq!(client.dispatched.len(), 1);
        prop_assert_eq!(client.retry, None);
        let lines = text.replace("\r\n", "\n").replace('\r', "\n");
        prop_assert_eq!(&client.dispatched[0].data, &lines);
        let first = lines.split('\n').next().unwrap();
        prop_assert_eq!(client.last_event_id, first);
    }
}

#[test]
fn every_kind_of_line_break_begins_a_data_line() {
    let lines = "id: 1\ndata: a\ndata: b\ndata: c\ndata: \ndata: d\n\n";
    assert_eq!(stream(&update("a\rb\nc\r\n\rd")), lines);
}

#[test]
fn empty_data_is_dispatched() {
    assert_eq!(stream(&update("")), "id: 1\ndata: \n\n");
    assert_eq!(Client::read(b"id: 1\ndata: \n\n").dispatched.len(), 1);
}

#[test]
fn data_that_ends_with_a_line_break_keeps_it() {
    assert_eq!(stream(&update("a\n")), "id: 1\ndata: a\ndata: \n\n");
}

#[test]
fn data_of_a_mebibyte_of_line_breaks_is_encoded() {
    let stream = stream(&update(&"\r".repeat(1 << 20)));
    assert_eq!(
        stream.len(),
        "id: 1\n".len() + ((1 << 20) + 1) * "data: \n".len() + 1
    );
}

#[test]
fn heartbeat_dispatches_nothing() {
    assert!(Client::read(HEARTBEAT).dispatched.is_empty());
}

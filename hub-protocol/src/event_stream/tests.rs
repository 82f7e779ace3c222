//! The encoder against a parser written from the standard's text.

mod client;

use proptest::prelude::*;

use self::client::{Client, Dispatched};
use super::*;
use crate::update::tests::any_update;

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

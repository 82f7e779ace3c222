//! Updates: ids, and the form that stores keep.

use proptest::prelude::*;

use super::*;

pub(crate) fn any_update() -> impl Strategy<Value = Update> {
    (
        "[a-zA-Z0-9:#é-][^\\p{Cc}\\p{Cf}]{0,20}",
        proptest::collection::vec("[^\\p{Cc}\\p{Cf}]{0,30}", 1..4),
        ".{0,40}(\r|\n|\r\n)?.{0,40}",
        any::<bool>(),
        proptest::option::of("[^\\p{Cc}\\p{Cf}]{0,10}"),
        proptest::option::of(any::<u64>()),
    )
        .prop_map(|(id, topics, data, private, event_type, retry)| Update {
            id,
            topics,
            data,
            private,
            event_type,
            retry,
        })
}

proptest! {
    #[test]
    fn decoding_what_was_encoded_gives_the_update(update in any_update()) {
        let mut bytes = Vec::new();
        update.encode(&mut bytes);
        prop_assert_eq!(Update::decode(&bytes), Ok(update));
    }

    #[test]
    fn encoded_update_that_is_cut_or_continued_is_refused(update in any_update(), cut in any::<usize>()) {
        let mut bytes = Vec::new();
        update.encode(&mut bytes);
        prop_assert!(Update::decode(&bytes[..cut % bytes.len()]).is_err());
        bytes.push(0);
        prop_assert_eq!(Update::decode(&bytes), Err(DecodeError::Length));
    }

    #[test]
    fn decoding_any_bytes_does_not_panic_and_gives_valid_updates(
        bytes in proptest::collection::vec(any::<u8>(), 0..60),
    ) {
        let bytes = [[VERSION].as_slice(), &bytes].concat();
        if let Ok(update) = Update::decode(&bytes) {
            prop_assert!(update.check().is_ok());
        }
    }
}

#[test]
fn encoded_update_is_compact() {
    let update = Update {
        id: "1".to_owned(),
        topics: vec!["a".to_owned()],
        data: "x".to_owned(),
        private: true,
        event_type: None,
        retry: Some(300),
    };
    let mut bytes = Vec::new();
    update.encode(&mut bytes);
    assert_eq!(bytes, [1, 1 | 4, 1, b'1', 1, 1, b'a', 0xac, 2, 1, b'x']);
}

#[test]
fn encoded_update_of_another_version_is_refused() {
    assert_eq!(Update::decode(&[2, 0]), Err(DecodeError::Version));
    assert_eq!(Update::decode(&[1, 0x80]), Err(DecodeError::Version));
}

#[test]
fn encoded_update_with_an_impossible_count_or_length_is_refused() {
    let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
    let counted = [[1, 0, 1, b'1'].as_slice(), &huge].concat();
    assert_eq!(Update::decode(&counted), Err(DecodeError::Length));
    let long = [[1, 0].as_slice(), &huge].concat();
    assert_eq!(Update::decode(&long), Err(DecodeError::Length));
    // Ten bytes with more than 64 bits.
    let over = [[1, 0].as_slice(), &[0xff; 9], &[2]].concat();
    assert_eq!(Update::decode(&over), Err(DecodeError::Length));
}

#[test]
fn encoded_update_that_could_break_a_line_is_refused() {
    let update = Update {
        id: "1\ndata: forged".to_owned(),
        topics: vec!["a".to_owned()],
        data: String::new(),
        private: false,
        event_type: None,
        retry: None,
    };
    let mut bytes = Vec::new();
    update.encode(&mut bytes);
    assert_eq!(Update::decode(&bytes), Err(DecodeError::Rule));
}

#[test]
fn ids_of_publishers_are_checked() {
    for id in ["1", "urn:uuid:5e94c686-2c0b-4f9b-958c-92ccc3bbb4eb", "é#"] {
        assert!(check_id(id).is_ok(), "{id:?}");
    }
    for id in [
        "",
        "#1",
        "earliest",
        "a\nb",
        "a\rb",
        "a\0b",
        "a\u{7f}",
        "a\u{85}b",
        "a\u{200b}b",
        "a\u{202e}",
        " a",
        "a ",
    ] {
        assert_eq!(check_id(id).unwrap_err().status().code(), 400, "{id:?}");
    }
}

#[test]
fn new_ids_are_random_uuids() {
    let (one, two) = (new_id(), new_id());
    assert_ne!(one, two);
    assert_eq!(one.len(), "urn:uuid:".len() + 36);
    assert!(one.starts_with("urn:uuid:"));
    assert_eq!(one.as_bytes()[23], b'4', "{one} is version 4");
    assert!(check_id(&one).is_ok());
}

#[test]
fn json_has_every_field_that_is_set() {
    let update = Update {
        id: "1".to_owned(),
        topics: vec!["a".to_owned(), "b".to_owned()],
        data: "line\n\"quote\"".to_owned(),
        private: true,
        event_type: Some("t".to_owned()),
        retry: Some(5),
    };
    assert_eq!(
        update.to_json(),
        r#"{"id":"1","topics":["a","b"],"data":"line\n\"quote\"","private":true,"type":"t","retry":5}"#
    );
}

//! Forms and JSON messages of publishers.

use proptest::prelude::*;

use super::*;
use crate::Status;

fn form(body: &str) -> Result<Draft, Refusal> {
    parse(body.as_bytes(), &Limits::default(), &HubUrl::default())
}

#[track_caller]
fn refused(body: &str, status: Status, reason: &str) {
    let refusal = form(body).unwrap_err();
    assert_eq!((refusal.status(), refusal.reason()), (status, reason));
}

#[test]
fn form_with_every_field_is_read() {
    let draft = form("topic=a&topic=b%20c&data=x%0Ay&private=&id=1&type=t&retry=10").unwrap();
    assert_eq!(
        draft,
        Draft {
            topics: vec!["a".to_owned(), "b c".to_owned()],
            data: "x\ny".to_owned(),
            private: true,
            id: Some("1".to_owned()),
            event_type: Some("t".to_owned()),
            retry: Some(10),
        }
    );
    assert_eq!(draft.into_update().id, "1");
}

#[test]
fn field_without_a_value_counts_as_empty() {
    let draft = form("private&topic=a&id&data").unwrap();
    assert!(draft.private);
    assert_eq!((draft.data.as_str(), draft.id), ("", None));
}

#[test]
fn private_counts_whatever_its_value_is() {
    for body in [
        "topic=a&private=on",
        "topic=a&private=off",
        "topic=a&private=0",
    ] {
        assert!(form(body).unwrap().private, "{body}");
    }
    assert!(!form("topic=a&Private=on").unwrap().private);
}

#[test]
fn unknown_fields_are_ignored_and_the_first_value_counts() {
    let draft = form("topic=a&data=1&data=2&extra=x&%74ype=t").unwrap();
    assert_eq!(
        (draft.data.as_str(), draft.event_type.as_deref()),
        ("1", Some("t"))
    );
}

#[test]
fn empty_id_type_and_retry_are_the_same_as_none() {
    let draft = form("topic=a&id=&type=&retry=").unwrap();
    assert_eq!(
        (draft.id, draft.event_type, draft.retry),
        (None, None, None)
    );
}

#[test]
fn form_without_a_topic_is_refused() {
    refused(
        "data=x",
        Status::BadRequest,
        "the field \"topic\" is missing",
    );
    refused("", Status::BadRequest, "the field \"topic\" is missing");
    refused("topic=&data=x", Status::BadRequest, "a topic is empty");
}

#[test]
fn text_that_is_not_utf8_is_refused() {
    refused(
        "topic=a&data=%FF",
        Status::BadRequest,
        "the field \"data\" is not valid UTF-8",
    );
    refused(
        "topic=a%C3",
        Status::BadRequest,
        "the field \"topic\" is not valid UTF-8",
    );
    refused(
        "%FF=a",
        Status::BadRequest,
        "a field name is not valid UTF-8",
    );
}

#[test]
fn data_may_have_any_character() {
    let draft = form("topic=a&data=%00%0D%0A%E2%80%AE%F0%9F%98%80+%2B").unwrap();
    assert_eq!(draft.data, "\0\r\n\u{202e}😀 +");
}

#[test]
fn topics_that_break_a_line_or_hide_characters_are_refused() {
    for escape in [
        "%0A",
        "%0D",
        "%00",
        "%7F",
        "%C2%85",
        "%E2%80%8B",
        "%E2%80%AE",
        "%EF%BB%BF",
    ] {
        let body = format!("topic=ok&topic=a{escape}b");
        refused(
            &body,
            Status::BadRequest,
            "a topic has a control or format character",
        );
    }
}

#[test]
fn reserved_topics_are_refused_however_they_are_written() {
    refused(
        "topic=%2A",
        Status::BadRequest,
        "the topic \"*\" is reserved for the matcher of all topics",
    );
    let topics = [
        "/.well-known/mercure",
        "/.well-known/mercure/subscriptions/exact/a/b",
        "https://other.example/.well-known/mercure/x",
        "/.well-known/%256Dercure/../mercure/x",
        "/.well-known/./mercure/x",
        "/.well-known/x/%252e%252e/mercure",
        "mercure/x",
        "/.well-known/mercure/../x",
        "/.well-known/mercure/subscriptions/../x",
        "/.well-known/%256Dercure/%252E%252e/x",
        "//other.example/.well-known/mercure/../x",
        "https://other.example:8080/.well-known/mercure/../x",
    ];
    for topic in topics {
        let body = format!("topic=ok&topic={topic}");
        let reason = "topics under /.well-known/mercure are reserved for the hub";
        refused(&body, Status::BadRequest, reason);
    }
    // %25 is a percent sign in a form, so this is the path /.well-known/%6Dercure.
    let reason = "topics under /.well-known/mercure are reserved for the hub";
    refused(
        "topic=/.well-known/%256Dercure/x",
        Status::BadRequest,
        reason,
    );
}

#[test]
fn topics_beside_the_reserved_path_are_taken() {
    for topic in [
        "/.well-known/mercurex",
        "/x/.well-known/mercure",
        "/.well-known/mercurex/../x",
        "https://other.example/x/.well-known/mercure",
        "https://[",
        "a:b",
    ] {
        assert!(form(&format!("topic={topic}")).is_ok(), "{topic}");
    }
}

#[test]
fn reserved_path_follows_the_hubs_url() {
    let hub = HubUrl::parse("https://example.com/hub").unwrap();
    let limits = Limits::default();
    assert!(parse(b"topic=/.well-known/mercure", &limits, &hub).is_ok());
    assert!(parse(b"topic=/hub/x", &limits, &hub).is_err());
    assert!(parse(b"topic=/hub", &limits, &hub).is_err());
}

#[test]
fn ids_and_types_of_the_hub_are_refused() {
    let reason = "the id begins with #, which is reserved for the hub";
    refused("topic=a&id=%231", Status::BadRequest, reason);
    refused(
        "topic=a&id=earliest",
        Status::BadRequest,
        "the id \"earliest\" is reserved",
    );
    let reason = "the id has a control or format character";
    refused("topic=a&id=1%0Adata:x", Status::BadRequest, reason);
    let reason = "the type has a control or format character";
    refused("topic=a&type=t%0Ddata:x", Status::BadRequest, reason);
    let reason = "the type \"mercure\" is reserved for the hub";
    refused("topic=a&type=mercure", Status::BadRequest, reason);
}

#[test]
fn retry_that_is_no_number_is_refused() {
    let reason = "the field \"retry\" must have digits alone";
    for value in ["-1", "%2B1", "1.5", "1%0A", "%D9%A1"] {
        refused(
            &format!("topic=a&retry={value}"),
            Status::BadRequest,
            reason,
        );
    }
    let reason = "the field \"retry\" is too large";
    refused(
        "topic=a&retry=18446744073709551616",
        Status::BadRequest,
        reason,
    );
    assert_eq!(
        form("topic=a&retry=18446744073709551615").unwrap().retry,
        Some(u64::MAX)
    );
}

#[test]
fn limits_are_answered_with_413() {
    let limits = Limits {
        body: 100,
        topics: 2,
        text: 5,
    };
    let hub = HubUrl::default();
    let status = |body: &str| {
        let parsed = parse(body.as_bytes(), &limits, &hub);
        parsed.map(|_| ()).map_err(|refusal| refusal.status())
    };
    let exceeded = Err(Status::ContentTooLarge);
    assert_eq!(status("topic=a&topic=b"), Ok(()));
    assert_eq!(status("topic=a&topic=b&topic=c"), exceeded);
    assert_eq!(status("topic=12345"), Ok(()));
    assert_eq!(status("topic=123456"), exceeded);
    assert_eq!(status("topic=a&id=123456"), exceeded);
    assert_eq!(status("topic=a&type=123456"), exceeded);
    let body = format!("topic=a&data={:x<87}", "");
    assert_eq!((body.len(), status(&body)), (100, Ok(())));
    assert_eq!(status(&(body + "x")), exceeded);
}

#[test]
fn content_type_must_be_the_form() {
    for value in [
        "application/x-www-form-urlencoded",
        "Application/X-WWW-Form-URLencoded; charset=utf-8",
    ] {
        assert!(
            check_content_type(Some(value.as_bytes())).is_ok(),
            "{value}"
        );
    }
    for value in [
        None,
        Some("application/json"),
        Some("multipart/form-data; boundary=x"),
    ] {
        let refusal = check_content_type(value.map(str::as_bytes)).unwrap_err();
        assert_eq!(refusal.status(), Status::BadRequest);
    }
}

#[test]
fn json_message_passes_the_same_checks() {
    let read = |text: &str| parse_json(text, &Limits::default(), &HubUrl::default());
    let draft = read(
        r#"{"topics":["a"],"data":"x","private":true,"id":"1","type":"t","retry":3,"extra":0}"#,
    );
    assert_eq!(draft, form("topic=a&data=x&private&id=1&type=t&retry=3"));
    let wrong = [
        r#"{"topics":[]}"#,
        r#"{"topics":["*"]}"#,
        r#"{"topics":["/.well-known/mercure/x"]}"#,
        r#"{"topics":["a"],"id":""}"#,
        r#"{"topics":["a"],"id":"x\ny"}"#,
        r#"{"topics":["a"],"type":"mercure"}"#,
        r#"{"topics":["a"],"retry":-1}"#,
        r#"{"topics":"a"}"#,
        r#"{"topics":["a"],"data":"\ud800"}"#,
        "[]",
        r#"[["a"],"x",false,null,null,null]"#,
        "null",
        "",
    ];
    for text in wrong {
        assert_eq!(
            read(text).unwrap_err().status(),
            Status::BadRequest,
            "{text}"
        );
    }
}

proptest! {
    #[test]
    fn any_body_is_read_or_refused_and_a_draft_makes_a_valid_update(
        body in "(topic|data|id|type|retry|private|=|&|%[0-9A-F]{2}|\\+|[ -~]){0,20}",
    ) {
        if let Ok(draft) = form(&body) {
            prop_assert!(draft.into_update().check().is_ok());
        }
    }

    #[test]
    fn encoded_text_is_read_as_it_was(data in any::<String>()) {
        let encoded: String = data.bytes().map(|byte| format!("%{byte:02x}")).collect();
        prop_assert_eq!(form(&format!("topic=a&data={encoded}")).unwrap().data, data);
    }
}

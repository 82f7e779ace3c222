//! The hub's URL.

use super::*;

#[test]
fn hub_url_that_is_not_plain_is_refused() {
    let parse = |text| HubUrl::parse(text).map(|_| ());
    assert_eq!(parse("https://example.com:8443/hub"), Ok(()));
    assert!(matches!(parse("/hub"), Err(HubUrlError::Syntax(_))));
    assert_eq!(parse("ftp://example.com/hub"), Err(HubUrlError::Scheme));
    for extra in [
        "https://u@example.com/hub",
        "https://example.com/hub?x",
        "https://example.com/hub#x",
    ] {
        assert_eq!(parse(extra), Err(HubUrlError::Extra), "{extra}");
    }
    for path in [
        "https://example.com",
        "https://example.com/",
        "https://example.com/hub/",
    ] {
        assert_eq!(parse(path), Err(HubUrlError::Path), "{path}");
    }
}

#[test]
fn origin_has_scheme_host_and_port_alone() {
    let origin = |text| HubUrl::parse(text).unwrap().origin();
    assert_eq!(origin("https://Example.com:443/hub"), "https://example.com");
    assert_eq!(
        origin("http://example.com:8080/hub"),
        "http://example.com:8080"
    );
}

#[test]
fn topic_that_is_no_url_reference_is_not_reserved() {
    let hub = HubUrl::default();
    assert!(!hub.topic("https://[").is_reserved());
    assert!(
        hub.topic("").is_reserved(),
        "an empty reference is the hub's URL"
    );
}

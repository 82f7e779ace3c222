//! Access tokens: only what was signed is accepted, it allows what it says, and no other bytes
//! are accepted in its place.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hub_protocol::token::{
    Algorithm, Grants, Key, Keys, OriginCheck, Presentation, Presented, Verifier,
};
use hub_protocol::{Forms, HubUrl, Matcher, MatcherCache, MatcherKind};
use jsonwebtoken::{EncodingKey, Header};
use serde_json::Value;

pub(crate) const WORDS: &[&[u8]] = &[
    b"{\"exp\":1767225700,\"mercure\":{\"publish\":[\"a\"],\"subscribe\":[\"*\"]}}",
    b"{\"exp\":1,\"mercure\":{\"publish\":[\"a\"]}}",
    b"{", b"}", b"[", b"]", b":", b",", b"\"", b"\"mercure\":", b"{\"mercure\":{\"publish\":[\"a\",\"*\"]}}",
    b"{\"mercure\":{\"publish\":[\"https://example.com/{id}\"],\"subscribe\":[\"b\"],\"payload\":{}}}",
    b"{\"exp\":1767225600,\"mercure\":{\"publish\":[\"a\"]}}",
    b"{\"exp\":1767225601,\"nbf\":1767225601,\"mercure\":{\"publish\":[\"a\"]}}",
    b"{\"aud\":[\"https://example.org/hub\"],\"mercure\":{\"publish\":[\"a\"]}}",
    b"{\"exp\":1767225700,\"iss\":\"x\",\"aud\":\"https://example.com/hub\",\"authorization_details\":[\
        {\"type\":\"https://mercure.rocks/authorization-detail\",\"actions\":[\"publish\"],\"topics\":[{\"match\":\"a\"}]},\
        {\"type\":\"https://mercure.rocks/authorization-detail\",\"actions\":[\"subscribe\"],\"topics\":[{\"match\":\"b\"},\
        {\"match\":\"/:id\",\"match_type\":\"urlpattern\"}]}]}",
    b"https://a.example/x", b"https://b.example", b"mercureAuthorization=a.b.c; x=y", b"Bearer a.b.c",
    b"\"publish\":[\"a\"]", b"\"subscribe\":[]", b"\"exp\":1767225700", b"\"exp\":-1", b"\"exp\":1e30", b"\"nbf\":1767225600",
    b"\"aud\":\"https://example.com/hub\"", b"\"iss\":\"x\"", b"\"sub\":\"y\"", b"\"authorization_details\":[",
    b"{\"type\":\"https://mercure.rocks/authorization-detail\",\"actions\":[\"publish\",\"subscribe\"],\"topics\":[{\"match\":\"a\"}]}",
    b"null", b"true", b"0", b"Bearer ", b"eyJhbGciOiJub25lIn0.e30.", b"eyJhbGciOiJIUzI1NiJ9.e30.", b".", b"mercureAuthorization=",
];

const NOW: u64 = 1_767_225_600;
const SECRET: &[u8] = b"!ChangeThisMercureHubJWTSecretKey!";
const HUB: &str = "https://example.com/hub";
const TOPICS: [&str; 4] = ["a", "b", "https://example.com/1", "https://example.com/1/2"];

static VERIFIER: LazyLock<Verifier> = LazyLock::new(|| {
    let key = Key::secret(SECRET, Algorithm::Hs256).expect("a key");
    let mut verifier = Verifier::new(Keys::from(vec![key]));
    verifier.audiences.push(HUB.to_owned());
    verifier
});

/// Whether a token with these claims is for this hub and for this time; a date that is none, or
/// an audience, is not.
fn is_due(claims: &Value, is_standard: bool) -> bool {
    let date = |name| {
        claims
            .get(name)
            .map(|date| date.as_f64().unwrap_or(f64::NAN))
    };
    let expires = date("exp").map_or(!is_standard, |date| date >= NOW as f64 + 1.0);
    let has_begun = date("nbf").is_none_or(|date| date < NOW as f64 + 1.0);
    let is_for_us = match claims.get("aud") {
        None => !is_standard,
        Some(Value::Array(list)) => list.iter().any(|one| one == HUB),
        Some(one) => one == HUB,
    };
    expires && has_begun && is_for_us
}

/// What a token of the standard form says, read without the hub's code.
fn selects_in_details(claims: &Value, action: &str, topic: &str, hub: &HubUrl) -> bool {
    let list = |value: &Value, name: &str| {
        let list = value.get(name).and_then(Value::as_array);
        list.cloned().unwrap_or_default()
    };
    let is_ours = |detail: &Value| {
        detail["type"] == "https://mercure.rocks/authorization-detail"
            && list(detail, "actions").iter().any(|one| one == action)
    };
    let details = list(claims, "authorization_details").into_iter();
    let mut topics = details
        .filter(is_ours)
        .flat_map(|detail| list(&detail, "topics"));
    topics.any(|object| {
        let kind = match object.get("match_type").and_then(Value::as_str) {
            Some("urlpattern") => MatcherKind::UrlPattern,
            _ => MatcherKind::Exact,
        };
        let text = object["match"].as_str().unwrap_or_default();
        let matcher = Matcher::new(kind, text, hub);
        matcher.is_ok_and(|matcher| matcher.matches(&hub.topic(topic)))
    })
}

/// What a token of the deployed form says, read without the hub's code.
fn selects(claims: &Value, action: &str, topic: &str, hub: &HubUrl) -> bool {
    let claim = ["mercure", "https://mercure.rocks/"]
        .iter()
        .find_map(|name| claims.get(name));
    let selectors = claim
        .and_then(|claim| claim.get(action))
        .and_then(Value::as_array);
    selectors
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .any(|text| {
            let matcher = Matcher::new(MatcherKind::UriTemplate, text, hub);
            matcher.is_ok_and(|matcher| matcher.matches(&hub.topic(topic)))
        })
}

fn check(grants: &Grants, claims: &Value, is_standard: bool, hub: &HubUrl) {
    assert!(is_due(claims, is_standard), "{claims}");
    assert!(!is_standard || claims["iss"].is_string(), "{claims}");
    assert!(grants.expires().is_none_or(|expires| expires > NOW));
    let selects = if is_standard {
        selects_in_details
    } else {
        selects
    };
    for text in TOPICS {
        let topic = [hub.topic(text)];
        assert_eq!(
            grants.check_publish(&topic).is_ok(),
            selects(claims, "publish", text, hub),
            "{claims}"
        );
        assert_eq!(
            grants.may_read(&topic),
            selects(claims, "subscribe", text, hub),
            "{claims}"
        );
    }
}

/// A cookie counts only beside a trusted origin, and only the field that is asked for has a token.
fn present(field: &[u8]) {
    let presentation = Presentation::new(Forms::default(), vec!["https://a.example".to_owned()]);
    let (check, field) = (OriginCheck::Required, Some(field));
    for (authorization, cookie) in [(field, None), (None, field)] {
        let presented = Presented {
            authorization,
            cookie,
            origin: Some(b"https://a.example"),
            ..Presented::default()
        };
        if let Ok(Some(token)) = presentation.token(&presented, check) {
            let is_in = |field: &[u8]| {
                let mut parts = field.windows(token.len());
                !token.is_empty() && parts.any(|part| part == token.as_bytes())
            };
            assert!(field.is_some_and(is_in));
        }
    }
    let cookie: Option<&[u8]> = Some(b"mercureAuthorization=a.b.c");
    let of_page = |origin, referer| Presented {
        cookie,
        origin,
        referer,
        ..Presented::default()
    };
    for presented in [
        of_page(field, None),
        of_page(None, field),
        of_page(field, Some(b"https://a.example")),
    ] {
        if presentation.token(&presented, check).is_ok() {
            assert!(may_be_trusted(field.unwrap_or_default()));
        }
    }
}

/// Whether the text can be a URL of `https://a.example`. Escapes, and what is not ASCII, may stand
/// for letters.
fn may_be_trusted(url: &[u8]) -> bool {
    let small = url.to_ascii_lowercase();
    let letters: Vec<u8> = small
        .iter()
        .copied()
        .filter(|byte| !b"\t\r\n".contains(byte))
        .collect();
    let has = |part: &[u8]| letters.windows(part.len()).any(|letters| letters == part);
    has(b"https:") && has(b"a.example") || letters.contains(&b'%') || !letters.is_ascii()
}

/// The same token with another bit, as long as that changes its bytes.
fn spoilt(token: &str, at: usize) -> Option<String> {
    let mut parts: Vec<Vec<u8>> = token
        .split('.')
        .map(|part| URL_SAFE_NO_PAD.decode(part).ok())
        .collect::<Option<_>>()?;
    let length = parts.iter().map(Vec::len).sum::<usize>();
    let mut at = at % (length * 8);
    for part in &mut parts {
        match part.get_mut(at / 8) {
            Some(byte) => {
                *byte ^= 1 << (at % 8);
                break;
            }
            None => at -= part.len() * 8,
        }
    }
    let parts: Vec<String> = parts
        .iter()
        .map(|part| URL_SAFE_NO_PAD.encode(part))
        .collect();
    Some(parts.join("."))
}

pub(crate) fn run(input: &[u8]) {
    let hub = HubUrl::parse(HUB).expect("a URL");
    let matchers = MatcherCache::new(hub.clone(), 200);
    if let Ok(text) = str::from_utf8(input) {
        assert!(
            VERIFIER.verify(text, NOW, &matchers).is_err(),
            "accepted: {text}"
        );
    }
    present(input);
    Key::pem(input).ok();
    Keys::jwks(input).ok();
    let Some((choice, claims)) = input.split_first_chunk::<3>() else {
        return;
    };
    let Ok(claims) = serde_json::from_slice::<Value>(claims) else {
        return;
    };
    let mut header = Header::default();
    let is_standard = choice[0] % 2 == 1;
    header.typ = Some(if is_standard { "at+jwt" } else { "JWT" }.to_owned());
    let key = EncodingKey::from_secret(SECRET).expect("a key");
    let Ok(token) = jsonwebtoken::encode(&header, &claims, &key) else {
        return;
    };
    let at = usize::from(u16::from_le_bytes([choice[1], choice[2]]));
    if let Some(spoilt) = spoilt(&token, at) {
        assert!(
            VERIFIER.verify(&spoilt, NOW, &matchers).is_err(),
            "accepted: {spoilt}"
        );
    }
    let grants = VERIFIER.verify(&token, NOW, &matchers);
    if let Ok(grants) = &grants {
        check(grants, &claims, is_standard, &hub);
    }
}

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

fn check(grants: &Grants, claims: &Value, hub: &HubUrl) {
    assert!(grants.expires().is_none_or(|expires| expires > NOW));
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
    let presentation = Presentation::new(Forms::default(), vec!["https://a.example".to_owned()]);
    let field = Some(input);
    for (authorization, cookie) in [(field, None), (None, field)] {
        let presented = Presented {
            authorization,
            cookie,
            origin: field,
            referer: field,
            ..Presented::default()
        };
        presentation.token(&presented, OriginCheck::Required).ok();
    }
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
    if let (Ok(grants), false) = (&grants, is_standard) {
        check(grants, &claims, &hub);
    }
}

//! Tokens that pass, and every way in which one does not.

mod presented;
mod test_keys;

use jsonwebtoken::{EncodingKey, Header};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{HubUrl, Matcher, MatcherKind, Topic};
use test_keys::*;

const NOW: u64 = 1_767_225_600;
const SECRET: &[u8] = b"!ChangeThisMercureHubJWTSecretKey!";
const HUB: &str = "https://hub.example.com/.well-known/mercure";

fn matchers() -> MatcherCache {
    MatcherCache::new(HubUrl::parse(HUB).unwrap(), 200)
}

fn hs256() -> Verifier {
    let key = Key::secret(SECRET, Algorithm::Hs256).unwrap();
    Verifier {
        audiences: vec![HUB.to_owned()],
        ..Verifier::new(Keys::from(vec![key]))
    }
}

fn header(algorithm: JwtAlgorithm, typ: &str) -> Header {
    let mut header = Header::new(algorithm);
    header.typ = Some(typ.to_owned());
    header
}

use jsonwebtoken::Algorithm as JwtAlgorithm;

/// A token of the deployed form, signed with HS256.
fn token(claims: &Value) -> String {
    let key = EncodingKey::from_secret(SECRET).unwrap();
    jsonwebtoken::encode(&header(JwtAlgorithm::HS256, "JWT"), claims, &key).unwrap()
}

/// A token of the standard form; `claims` replace those that make it valid.
fn access_token(claims: Value) -> String {
    let mut all = json!({
        "iss": "https://example.com",
        "aud": HUB,
        "exp": NOW + 300,
        "authorization_details": [{
            "type": AUTHORIZATION_DETAIL,
            "actions": ["publish", "subscribe"],
            "topics": [{"match": "a"}],
        }],
    });
    for (name, value) in claims.as_object().unwrap() {
        all[name] = value.clone();
    }
    all.as_object_mut()
        .unwrap()
        .retain(|_, value| !value.is_null());
    let key = EncodingKey::from_secret(SECRET).unwrap();
    jsonwebtoken::encode(&header(JwtAlgorithm::HS256, "at+jwt"), &all, &key).unwrap()
}

fn verify(token: &str) -> Result<Grants, Refusal> {
    hs256().verify(token, NOW, &matchers())
}

#[track_caller]
fn invalid(token: &str, reason: &str) {
    invalid_for(&hs256(), token, reason);
}

#[track_caller]
fn invalid_for(verifier: &Verifier, token: &str, reason: &str) {
    let refusal = verifier.verify(token, NOW, &matchers()).unwrap_err();
    assert_eq!(refusal.reason(), reason);
    assert_eq!(refusal.status(), Status::Unauthorized);
    let challenge = refusal.challenge(None).unwrap();
    assert!(
        challenge.starts_with("Bearer error=\"invalid_token\", error_description=\""),
        "{challenge}"
    );
    // Neither the key nor the token is named.
    let secret = str::from_utf8(SECRET).unwrap();
    for text in [
        challenge.as_str(),
        refusal.reason(),
        &format!("{refusal:?}"),
    ] {
        assert!(
            !text.contains(secret) && (token.is_empty() || !text.contains(token)),
            "{text}"
        );
    }
}

fn publishes(grants: &Grants, topics: &[&str]) -> bool {
    let hub = HubUrl::parse(HUB).unwrap();
    let topics: Vec<Topic<'_>> = topics.iter().map(|topic| hub.topic(topic)).collect();
    grants.check_publish(&topics).is_ok()
}

fn reads(grants: &Grants, topics: &[&str]) -> bool {
    let hub = HubUrl::parse(HUB).unwrap();
    let topics: Vec<Topic<'_>> = topics.iter().map(|topic| hub.topic(topic)).collect();
    grants.may_read(&topics)
}

#[test]
fn deployed_claim_grants_what_its_selectors_match() {
    let grants = verify(&token(&json!({
        "mercure": {
            "publish": ["a", "https://example.com/{id}"],
            "subscribe": ["b"],
            "payload": {"user": "x"},
        },
        "sub": "me",
    })))
    .unwrap();
    assert!(publishes(&grants, &["a"]));
    assert!(publishes(&grants, &["a", "https://example.com/1"]));
    assert!(!publishes(&grants, &["a", "b"]));
    assert!(reads(&grants, &["b"]));
    assert!(reads(&grants, &["x", "b"]));
    assert!(!reads(&grants, &["a"]));
    assert_eq!((grants.expires(), grants.subject()), (None, Some("me")));
    let matchers = matchers();
    let any = Matcher::new(MatcherKind::Exact, "anything", matchers.hub()).unwrap();
    assert_eq!(grants.payload(&any, &matchers), Some(r#"{"user":"x"}"#));
}

#[test]
fn deployed_claim_may_have_a_namespace() {
    let grants = verify(&token(
        &json!({"https://mercure.rocks/": {"publish": ["*"]}}),
    ))
    .unwrap();
    assert!(publishes(&grants, &["anything"]));
}

#[test]
fn deployed_token_without_selectors_grants_nothing() {
    for claims in [
        json!({}),
        json!({"mercure": {}}),
        json!({"mercure": {"publish": [], "subscribe": []}}),
        json!({"mercure": {"publish": null}}),
    ] {
        let grants = verify(&token(&claims)).unwrap();
        assert!(!publishes(&grants, &["a"]) && !reads(&grants, &["a"]) && !grants.reads_private());
    }
}

#[test]
fn refused_topic_is_named_and_the_status_is_403() {
    let grants = verify(&token(&json!({"mercure": {"publish": ["a"]}}))).unwrap();
    let hub = HubUrl::parse(HUB).unwrap();
    let refusal = grants
        .check_publish(&[hub.topic("a"), hub.topic("\"b")])
        .unwrap_err();
    assert_eq!(refusal.status(), Status::Forbidden);
    assert_eq!(
        refusal.reason(),
        "the token does not allow publishing to \"b"
    );
    assert_eq!(
        refusal.challenge(Some("https://example.com/meta")).unwrap(),
        "Bearer error=\"insufficient_scope\", error_description=\"the token does not allow \
         publishing to 'b\", resource_metadata=\"https://example.com/meta\""
    );
    let refusal = grants.check_read(&hub.topic("/x")).unwrap_err();
    assert_eq!(refusal.status(), Status::Forbidden);
    let long = "x".repeat(4096);
    let refusal = grants.check_publish(&[hub.topic(&long)]).unwrap_err();
    assert!(refusal.reason().ends_with(&long));
    let challenge = refusal.challenge(None).unwrap();
    assert!(challenge.len() < 400, "{challenge}");
}

#[test]
fn malformed_deployed_claim_is_refused() {
    invalid(
        &token(&json!({"mercure": []})),
        "the token's claim mercure is not an object",
    );
    invalid(
        &token(&json!({"mercure": {"publish": "*"}})),
        "the claim mercure.publish is not a list",
    );
    let entry = "an entry of mercure.subscribe is not a string";
    invalid(&token(&json!({"mercure": {"subscribe": [1]}})), entry);
    let template =
        "in mercure.subscribe, the matcher is not a valid URI template: an expression has no end";
    invalid(&token(&json!({"mercure": {"subscribe": ["{"]}})), template);
    let many = "the token has more than 1000 matchers";
    invalid(
        &token(&json!({"mercure": {"subscribe": vec!["a"; 1001]}})),
        many,
    );
    let long = "in mercure.publish, the matcher is longer than 200 bytes";
    invalid(
        &token(&json!({"mercure": {"publish": ["a".repeat(201)]}})),
        long,
    );
}

#[test]
fn standard_token_grants_what_its_details_say() {
    let detail = |actions: Value, topics: Value| json!({"type": AUTHORIZATION_DETAIL, "actions": actions, "topics": topics});
    let grants = verify(&access_token(json!({"authorization_details": [
        {"type": "https://other.example/detail", "actions": 7},
        detail(json!(["publish"]), json!([{"match": "a"}])),
        detail(json!(["subscribe", "unknown"]), json!([
            {"match": "https://example.com/:id", "match_type": "urlpattern"},
            {"match": "c", "match_type": "exact"},
        ])),
        detail(json!(["unknown"]), json!([{"match": "d"}])),
    ]})))
    .unwrap();
    assert!(
        publishes(&grants, &["a"]) && !publishes(&grants, &["c"]) && !publishes(&grants, &["d"])
    );
    assert!(reads(&grants, &["https://example.com/1"]) && reads(&grants, &["c"]));
    assert!(!reads(&grants, &["a"]) && !reads(&grants, &["d"]));
    assert_eq!(grants.expires(), Some(NOW + 300));
}

#[test]
fn star_in_a_detail_matches_every_topic_whatever_its_type() {
    for topic in [
        json!({"match": "*"}),
        json!({"match": "*", "match_type": "urlpattern"}),
        json!({"match": "*", "match_type": "later"}),
    ] {
        let details =
            json!([{"type": AUTHORIZATION_DETAIL, "actions": ["publish"], "topics": [topic]}]);
        let grants = verify(&access_token(json!({"authorization_details": details}))).unwrap();
        assert!(publishes(&grants, &["anything"]));
    }
}

#[test]
fn standard_token_without_details_grants_nothing() {
    for details in [Value::Null, json!([]), json!([{"type": "other"}])] {
        let grants = verify(&access_token(json!({"authorization_details": details}))).unwrap();
        assert!(!publishes(&grants, &["a"]) && !grants.reads_private());
    }
}

#[test]
fn mercure_claim_of_a_standard_token_counts_for_nothing() {
    let grants = verify(&access_token(json!({
        "authorization_details": [],
        "mercure": {"publish": ["*"], "subscribe": ["*"]},
    })))
    .unwrap();
    assert!(!publishes(&grants, &["a"]) && !grants.reads_private());
}

#[test]
fn one_malformed_detail_refuses_the_whole_token() {
    let good =
        json!({"type": AUTHORIZATION_DETAIL, "actions": ["publish"], "topics": [{"match": "a"}]});
    let bad = |member: &str, value: Value| {
        let mut detail = good.clone();
        detail[member] = value;
        access_token(json!({"authorization_details": [good, detail]}))
    };
    let no_actions = "an authorization detail has no actions";
    for value in [Value::Null, json!([]), json!("publish")] {
        invalid(&bad("actions", value), no_actions);
    }
    invalid(
        &bad("actions", json!(["publish", 1])),
        "an action of an authorization detail is not a string",
    );
    for value in [Value::Null, json!([]), json!({"match": "a"})] {
        invalid(
            &bad("topics", value),
            "an authorization detail has no topics",
        );
    }
    let no_match = "a topic of an authorization detail has no match";
    for value in [json!(["a"]), json!([{}]), json!([{"match": 1}])] {
        invalid(&bad("topics", value), no_match);
    }
    let unknown = "a topic of an authorization detail has an unknown match_type";
    for value in [json!("EXACT"), json!("uritemplate"), json!(1), Value::Null] {
        invalid(
            &bad("topics", json!([{"match": "a", "match_type": value}])),
            unknown,
        );
    }
    let pattern = verify(&bad(
        "topics",
        json!([{"match": "(", "match_type": "urlpattern"}]),
    ));
    assert!(
        pattern
            .unwrap_err()
            .reason()
            .starts_with("in an authorization detail, ")
    );
    let payload = "the payload of an authorization detail is not an object";
    for value in [json!(1), json!([]), json!("x")] {
        invalid(&bad("payload", value), payload);
    }
    invalid(
        &access_token(json!({"authorization_details": {}})),
        "authorization_details is not a list",
    );
    let many = "more than 100 authorization details";
    invalid(
        &access_token(json!({"authorization_details": vec![good.clone(); 101]})),
        many,
    );
}

#[test]
fn payload_is_that_of_the_first_detail_that_covers_the_subscription() {
    let detail = |topics: Value, payload: Value| json!({"type": AUTHORIZATION_DETAIL, "actions": ["subscribe"], "topics": topics, "payload": payload});
    let grants = verify(&access_token(json!({"authorization_details": [
        detail(json!([{"match": "https://example.com/foo"}]), json!({"number": 1})),
        detail(json!([{"match": "https://example.com/bar/:id", "match_type": "urlpattern"}]), json!({"number": 2})),
        detail(json!([{"match": "*"}]), json!({"number": 3})),
    ]})))
    .unwrap();
    let matchers = matchers();
    let payload = |kind, text| {
        let matcher = Matcher::new(kind, text, matchers.hub()).unwrap();
        grants.payload(&matcher, &matchers).map(str::to_owned)
    };
    assert_eq!(
        payload(MatcherKind::Exact, "https://example.com/foo").unwrap(),
        r#"{"number":1}"#
    );
    assert_eq!(
        payload(MatcherKind::UrlPattern, "https://example.com/bar/:id").unwrap(),
        r#"{"number":2}"#
    );
    assert_eq!(
        payload(MatcherKind::Exact, "other").unwrap(),
        r#"{"number":3}"#
    );
}

#[test]
fn expired_token_is_refused_from_its_second_on() {
    for token in [token as fn(&Value) -> String, |claims| {
        access_token(claims.clone())
    }] {
        assert!(verify(&token(&json!({"exp": NOW + 1}))).is_ok());
        invalid(&token(&json!({"exp": NOW})), "the token has expired");
        invalid(&token(&json!({"exp": 0})), "the token has expired");
        invalid(
            &token(&json!({"exp": "tomorrow"})),
            "the token's claim exp is not a date",
        );
        invalid(
            &token(&json!({"exp": -1})),
            "the token's claim exp is not a date",
        );
        assert!(verify(&token(&json!({"exp": NOW as f64 + 1.5}))).is_ok());
    }
    invalid(
        &access_token(json!({"exp": null})),
        "the token has no expiry time",
    );
}

#[test]
fn token_is_refused_before_its_time() {
    assert!(verify(&token(&json!({"nbf": NOW}))).is_ok());
    invalid(
        &token(&json!({"nbf": NOW + 1})),
        "the token is not valid yet",
    );
    invalid(
        &access_token(json!({"nbf": NOW + 1})),
        "the token is not valid yet",
    );
    invalid(
        &token(&json!({"nbf": {}})),
        "the token's claim nbf is not a date",
    );
}

#[test]
fn leeway_allows_for_clocks_that_differ() {
    let verifier = Verifier {
        leeway: 5,
        ..hs256()
    };
    let verify = |claims: Value| verifier.verify(&token(&claims), NOW, &matchers());
    assert!(verify(json!({"exp": NOW - 4})).is_ok());
    assert!(verify(json!({"exp": NOW - 5})).is_err());
    assert!(verify(json!({"nbf": NOW + 5})).is_ok());
    assert!(verify(json!({"nbf": NOW + 6})).is_err());
    assert!(verify(json!({"exp": u64::MAX})).is_ok());
}

#[test]
fn token_for_another_audience_is_refused() {
    let other = "the token is for another audience";
    for token in [token as fn(&Value) -> String, |claims| {
        access_token(claims.clone())
    }] {
        assert!(verify(&token(&json!({"aud": HUB}))).is_ok());
        assert!(verify(&token(&json!({"aud": ["other", HUB]}))).is_ok());
        invalid(&token(&json!({"aud": "other"})), other);
        invalid(&token(&json!({"aud": ["other", 1]})), other);
        invalid(&token(&json!({"aud": []})), other);
        invalid(&token(&json!({"aud": format!("{HUB}/")})), other);
        invalid(
            &token(&json!({"aud": 1})),
            "the token's audience is not a string or a list",
        );
    }
    assert!(verify(&token(&json!({}))).is_ok());
    invalid(
        &access_token(json!({"aud": null})),
        "the token has no audience",
    );
    // Without a resource identifier, only the deployed form works.
    let open = Verifier {
        audiences: vec![],
        ..hs256()
    };
    assert!(
        open.verify(&token(&json!({"aud": "other"})), NOW, &matchers())
            .is_ok()
    );
    invalid_for(&open, &access_token(json!({})), other);
}

#[test]
fn standard_token_needs_a_trusted_issuer() {
    invalid(
        &access_token(json!({"iss": null})),
        "the token has no issuer",
    );
    invalid(
        &access_token(json!({"iss": ["https://example.com"]})),
        "the token has no issuer",
    );
    let key = Key::secret(SECRET, Algorithm::Hs256)
        .unwrap()
        .with_issuer("https://example.com");
    let bound = Verifier {
        audiences: vec![HUB.to_owned()],
        ..Verifier::new(Keys::from(vec![key]))
    };
    assert!(
        bound
            .verify(&access_token(json!({})), NOW, &matchers())
            .is_ok()
    );
    let untrusted = "the token's issuer is not trusted";
    invalid_for(
        &bound,
        &access_token(json!({"iss": "https://evil.example"})),
        untrusted,
    );
    // The deployed form has no issuer.
    assert!(bound.verify(&token(&json!({})), NOW, &matchers()).is_ok());
}

#[test]
fn key_of_one_issuer_verifies_no_token_of_another() {
    let other = b"another secret that has enough bytes!";
    let keys = Keys::from(vec![
        Key::secret(SECRET, Algorithm::Hs256)
            .unwrap()
            .with_issuer("https://a.example"),
        Key::secret(other, Algorithm::Hs256)
            .unwrap()
            .with_issuer("https://example.com"),
    ]);
    let verifier = Verifier {
        audiences: vec![HUB.to_owned()],
        ..Verifier::new(keys)
    };
    // Signed with SECRET, which belongs to a.example, and issued by example.com.
    invalid_for(
        &verifier,
        &access_token(json!({})),
        "the token's signature is not valid",
    );
    let own = access_token(json!({"iss": "https://a.example"}));
    // The last key that is tried is another issuer's: the order does not matter.
    assert!(verifier.verify(&own, NOW, &matchers()).is_ok());
}

#[test]
fn form_that_is_turned_off_is_refused() {
    let only = |deployed, standard| Verifier {
        forms: Forms { deployed, standard },
        ..hs256()
    };
    let (old, new) = (token(&json!({})), access_token(json!({})));
    assert!(only(true, false).verify(&old, NOW, &matchers()).is_ok());
    assert!(only(false, true).verify(&new, NOW, &matchers()).is_ok());
    let reason = "the hub does not accept tokens of the type at+jwt";
    invalid_for(&only(true, false), &new, reason);
    invalid_for(&only(false, true), &old, "the token's type must be at+jwt");
}

#[test]
fn type_is_compared_without_case_and_prefix() {
    for typ in [
        "at+jwt",
        "AT+JWT",
        "application/at+jwt",
        "Application/AT+jwt",
    ] {
        assert_eq!(claims::form(Some(typ)), Form::Standard, "{typ}");
    }
    for typ in [
        None,
        Some("JWT"),
        Some("at+jwt+x"),
        Some("text/at+jwt"),
        Some("application/application/at+jwt"),
    ] {
        assert_eq!(claims::form(typ), Form::Deployed, "{typ:?}");
    }
}

/// A token with this header, signed with HMAC-SHA-256 over `secret` whatever the header says.
fn forged(header: &Value, claims: &Value, secret: &[u8]) -> String {
    let encode =
        |value: &Value| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", encode(header), encode(claims));
    let key = EncodingKey::from_secret(secret).unwrap();
    let signature =
        jsonwebtoken::crypto::sign(message.as_bytes(), &key, JwtAlgorithm::HS256).unwrap();
    format!("{message}.{signature}")
}

use base64::Engine;

#[test]
fn algorithm_none_is_refused() {
    let claims = json!({"mercure": {"publish": ["*"]}});
    let reason = "the token is not a signed JSON Web Token of a known algorithm";
    for name in ["none", "None", "NONE", ""] {
        let signed = forged(&json!({"alg": name, "typ": "JWT"}), &claims, SECRET);
        invalid(&signed, reason);
        let (unsigned, _) = signed.rsplit_once('.').unwrap();
        invalid(&format!("{unsigned}."), reason);
    }
    invalid(&forged(&json!({"typ": "JWT"}), &claims, SECRET), reason);
}

#[test]
fn public_key_is_no_secret() {
    let claims = json!({"mercure": {"publish": ["*"]}});
    for pem in [RSA_PUBLIC, EC_PUBLIC, ED_PUBLIC] {
        let verifier = Verifier::new(Keys::from(vec![Key::pem(pem.as_bytes()).unwrap()]));
        for secret in [pem.as_bytes(), pem.trim_end().as_bytes()] {
            let token = forged(&json!({"alg": "HS256"}), &claims, secret);
            invalid_for(
                &verifier,
                &token,
                "no key of the hub verifies tokens of this algorithm",
            );
        }
        // An operator who configures it as a secret gets an error.
        let error = Key::secret(pem.as_bytes(), Algorithm::Hs256).unwrap_err();
        assert_eq!(error, KeyError::SecretIsPem);
    }
}

#[test]
fn key_material_in_the_token_is_ignored() {
    let own = b"the attacker's own secret, long enough";
    let jwk =
        json!({"kty": "oct", "k": base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(own)});
    let claims = json!({"mercure": {"publish": ["*"]}});
    let header = json!({"alg": "HS256", "jwk": jwk, "jku": "https://evil.example/jwks"});
    invalid(
        &forged(&header, &claims, own),
        "the token's signature is not valid",
    );
}

#[test]
fn critical_header_that_nobody_understands_is_refused() {
    let header = json!({"alg": "HS256", "crit": ["exp"], "exp": 1});
    assert!(verify(&forged(&header, &json!({}), SECRET)).is_err());
}

#[test]
fn secret_verifies_its_own_algorithm_alone() {
    let claims = json!({"mercure": {"publish": ["*"]}});
    let secret = [7; 64];
    let all = [
        (Algorithm::Hs256, JwtAlgorithm::HS256),
        (Algorithm::Hs384, JwtAlgorithm::HS384),
        (Algorithm::Hs512, JwtAlgorithm::HS512),
    ];
    for (own, _) in all {
        let verifier = Verifier::new(Keys::from(vec![Key::secret(&secret, own).unwrap()]));
        for (other, jwt) in all {
            let key = EncodingKey::from_secret(&secret).unwrap();
            let token = jsonwebtoken::encode(&header(jwt, "JWT"), &claims, &key).unwrap();
            let verified = verifier.verify(&token, NOW, &matchers());
            assert_eq!(verified.is_ok(), own == other, "{own:?} {other:?}");
        }
    }
}

#[test]
fn asymmetric_keys_verify_their_own_algorithm_alone() {
    let claims = json!({"mercure": {"publish": ["*"]}});
    let rsa = || EncodingKey::from_rsa_pem(RSA_PRIVATE.as_bytes()).unwrap();
    let signed = [
        (Algorithm::Rs256, JwtAlgorithm::RS256, rsa()),
        (
            Algorithm::Es256,
            JwtAlgorithm::ES256,
            EncodingKey::from_ec_pem(EC_PRIVATE.as_bytes()).unwrap(),
        ),
        (
            Algorithm::EdDsa,
            JwtAlgorithm::EdDSA,
            EncodingKey::from_ed_pem(ED_PRIVATE.as_bytes()).unwrap(),
        ),
    ]
    .map(|(own, jwt, key)| {
        (
            own,
            jsonwebtoken::encode(&header(jwt, "JWT"), &claims, &key).unwrap(),
        )
    });
    let public = [RSA_PUBLIC, RSA_PUBLIC_PKCS1, EC_PUBLIC, ED_PUBLIC];
    for pem in public {
        let key = Key::pem(pem.as_bytes()).unwrap();
        let own = key.algorithms()[0];
        let verifier = Verifier::new(Keys::from(vec![key]));
        for (algorithm, token) in &signed {
            let verified = verifier.verify(token, NOW, &matchers());
            assert_eq!(verified.is_ok(), own == *algorithm, "{own:?} {algorithm:?}");
            // A signature that was changed, and claims that were.
            let mut bytes = token.clone().into_bytes();
            let at = token.rfind('.').unwrap() + 5;
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            assert!(
                verifier
                    .verify(str::from_utf8(&bytes).unwrap(), NOW, &matchers())
                    .is_err()
            );
            let (header, rest) = token.split_once('.').unwrap();
            let (_, signature) = rest.split_once('.').unwrap();
            let changed = format!("{header}.e30.{signature}");
            assert!(verifier.verify(&changed, NOW, &matchers()).is_err());
        }
        // An RSA key has other algorithms, which the hub does not accept.
        for jwt in [
            JwtAlgorithm::RS384,
            JwtAlgorithm::RS512,
            JwtAlgorithm::PS256,
        ] {
            let token = jsonwebtoken::encode(&header(jwt, "JWT"), &claims, &rsa()).unwrap();
            assert!(
                verifier.verify(&token, NOW, &matchers()).is_err(),
                "{jwt:?}"
            );
        }
    }
}

#[test]
fn token_of_another_shape_is_refused() {
    let shape = "the token is not a signed JSON Web Token of a known algorithm";
    for token in ["", ".", "..", "a.b.c", "a.b.c.d", "é.é.é", "\0"] {
        invalid(token, shape);
    }
    let good = token(&json!({}));
    for token in [format!("{good}."), format!(".{good}"), format!("{good} ")] {
        assert!(verify(&token).is_err(), "{token}");
    }
    invalid(&"a".repeat(TOKEN_MAX + 1), "the token is too long");
    invalid(
        &forged(&json!({"alg": "HS256"}), &json!([]), b"wrong"),
        "the token's signature is not valid",
    );
}

#[test]
fn pem_file_with_anything_but_one_public_key_is_refused() {
    for pem in [
        RSA_PRIVATE,
        EC_PRIVATE,
        ED_PRIVATE,
        EC_P384_PUBLIC,
        CERTIFICATE,
        "",
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        &format!("{RSA_PUBLIC}{EC_PUBLIC}"),
        &format!("{RSA_PUBLIC}{RSA_PRIVATE}"),
    ] {
        assert_eq!(
            Key::pem(pem.as_bytes()).unwrap_err(),
            KeyError::Pem,
            "{pem}"
        );
    }
}

#[test]
fn key_is_refused_for_an_algorithm_of_another_kind() {
    let all = [
        (RSA_PUBLIC, Algorithm::Rs256),
        (EC_PUBLIC, Algorithm::Es256),
        (ED_PUBLIC, Algorithm::EdDsa),
    ];
    for (pem, own) in all {
        for (_, algorithm) in all {
            let key = Key::for_algorithm(pem.as_bytes(), algorithm);
            match key {
                Ok(key) => assert_eq!((key.algorithms(), algorithm), ([own].as_slice(), own)),
                Err(error) => assert_eq!(error, KeyError::WrongKind(algorithm)),
            }
        }
    }
    let error = Key::secret(SECRET, Algorithm::Rs256).unwrap_err();
    assert_eq!(error.to_string(), "RS256 needs a public RSA key");
    let error = Key::for_algorithm(RSA_PUBLIC.as_bytes(), Algorithm::Es256).unwrap_err();
    assert_eq!(error.to_string(), "ES256 needs a public EC key on P-256");
    assert_eq!(
        Key::secret(b"", Algorithm::Hs256).unwrap_err(),
        KeyError::Empty
    );
}

#[test]
fn short_secret_is_told() {
    assert!(
        Key::secret(b"!ChangeMe!", Algorithm::Hs256)
            .unwrap()
            .is_short()
    );
    assert!(!Key::secret(&[1; 32], Algorithm::Hs256).unwrap().is_short());
    assert!(Key::secret(&[1; 47], Algorithm::Hs384).unwrap().is_short());
    assert!(Key::secret(&[1; 63], Algorithm::Hs512).unwrap().is_short());
    assert!(!Key::pem(ED_PUBLIC.as_bytes()).unwrap().is_short());
}

#[test]
fn secret_with_something_unseen_at_an_end_is_told() {
    let has_odd_end = |secret: &str| {
        let key = Key::secret(secret.as_bytes(), Algorithm::Hs256);
        key.unwrap().has_odd_end()
    };
    for secret in [
        " secret",
        "secret ",
        "secret\n",
        "\tsecret",
        "\u{feff}secret",
    ] {
        assert!(has_odd_end(secret), "{secret:?}");
    }
    assert!(!has_odd_end("a secret"));
    assert!(!Key::pem(ED_PUBLIC.as_bytes()).unwrap().has_odd_end());
}

#[test]
fn debug_text_of_keys_has_no_secret() {
    let text = format!("{:?}", hs256());
    assert!(!text.contains("Change"), "{text}");
    let bytes = format!("{:?}", SECRET);
    assert!(!text.contains(bytes.trim_matches(['[', ']'])), "{text}");
}

/// The parameters of an RSA key in a set, from the PEM file.
fn rsa_jwk(extra: Value) -> Value {
    let key = jsonwebtoken::DecodingKey::from_rsa_pem(RSA_PUBLIC.as_bytes()).unwrap();
    let jwk = jsonwebtoken::jwk::Jwk::from_decoding_key(&key, None).unwrap();
    let mut jwk = serde_json::to_value(jwk).unwrap();
    for (name, value) in extra.as_object().unwrap() {
        jwk[name] = value.clone();
    }
    jwk
}

fn oct(secret: &[u8], id: &str, extra: Value) -> Value {
    let k = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(secret);
    let mut jwk = json!({"kty": "oct", "k": k, "kid": id});
    for (name, value) in extra.as_object().unwrap() {
        jwk[name] = value.clone();
    }
    jwk
}

fn set(keys: &[Value]) -> Result<Keys, KeyError> {
    Keys::jwks(json!({"keys": keys}).to_string().as_bytes())
}

#[test]
fn key_set_verifies_with_the_key_that_the_token_names() {
    let other = b"another secret that has enough bytes!";
    let keys = set(&[
        rsa_jwk(json!({"kid": "rsa", "use": "sig"})),
        oct(other, "other", json!({})),
        oct(SECRET, "ours", json!({"alg": "HS256"})),
    ])
    .unwrap();
    let verifier = Verifier::new(keys);
    let sign = |kid: Option<&str>| {
        let mut header = header(JwtAlgorithm::HS256, "JWT");
        header.kid = kid.map(str::to_owned);
        jsonwebtoken::encode(
            &header,
            &json!({}),
            &EncodingKey::from_secret(SECRET).unwrap(),
        )
        .unwrap()
    };
    assert!(
        verifier
            .verify(&sign(Some("ours")), NOW, &matchers())
            .is_ok()
    );
    assert!(verifier.verify(&sign(None), NOW, &matchers()).is_ok());
    // An unknown id is ignored: all keys are tried.
    assert!(
        verifier
            .verify(&sign(Some("old")), NOW, &matchers())
            .is_ok()
    );
    invalid_for(
        &verifier,
        &sign(Some("other")),
        "the token's signature is not valid",
    );
    invalid_for(
        &verifier,
        &sign(Some("rsa")),
        "no key of the hub verifies tokens of this algorithm",
    );
}

#[test]
fn key_set_leaves_out_what_the_hub_cannot_use() {
    let keys = set(&[
        rsa_jwk(json!({"use": "enc"})),
        rsa_jwk(json!({"alg": "PS256"})),
        json!({"kty": "EC", "crv": "P-384", "x": "AA", "y": "AA"}),
        json!({"kty": "later", "x": "AA"}),
        oct(SECRET, "1", json!({"alg": "HS384"})),
    ])
    .unwrap();
    let algorithms: Vec<_> = keys.iter().map(Key::algorithms).collect();
    assert_eq!(algorithms, [[Algorithm::Hs384]]);
    assert_eq!(set(&[]).unwrap_err(), KeyError::NoKey);
    assert_eq!(
        set(&[rsa_jwk(json!({"use": "enc"}))]).unwrap_err(),
        KeyError::NoKey
    );
}

#[test]
fn file_that_is_no_key_set_is_refused_with_a_position() {
    let error = Keys::jwks(b"{\"keys\": [{\"kty\": \"oct\", \"k\": \"c2VjcmV0\"").unwrap_err();
    assert!(matches!(error, KeyError::Jwks(_)));
    let text = error.to_string();
    assert!(!text.contains("c2VjcmV0"), "{text}");
    assert!(text.ends_with("; write it as {\"keys\": […]}"), "{text}");
    assert!(Keys::jwks(b"").is_err() && Keys::jwks(b"[]").is_err());
}

#[test]
fn names_of_algorithms_are_those_of_the_header() {
    for name in ["HS256", "HS384", "HS512", "RS256", "ES256", "EdDSA"] {
        assert_eq!(Algorithm::from_name(name).unwrap().name(), name);
    }
    for name in ["none", "hs256", "RS512", ""] {
        assert_eq!(Algorithm::from_name(name), None);
    }
}

#[test]
fn missing_token_is_a_challenge_without_an_error() {
    let refusal = Refusal::token_missing();
    assert_eq!(refusal.status(), Status::Unauthorized);
    assert_eq!(refusal.challenge(None).unwrap(), "Bearer");
    let url = "https://example.com/.well-known/oauth-protected-resource/.well-known/mercure";
    assert_eq!(
        refusal.challenge(Some(url)).unwrap(),
        format!("Bearer resource_metadata=\"{url}\"")
    );
}

proptest! {
    #[test]
    fn changed_token_is_refused(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let good = token(&json!({"mercure": {"publish": ["*"]}}));
        let mut bytes = good.clone().into_bytes();
        let at = at.index(bytes.len());
        prop_assume!(bytes[at] != byte);
        bytes[at] = byte;
        if let Ok(text) = str::from_utf8(&bytes) {
            // The last character of a base64 text may have bits that count for nothing.
            prop_assert!(verify(text).is_err() || at + 1 == good.len());
        }
    }

    #[test]
    fn token_passes_between_its_times_and_not_outside(
        expires in proptest::option::of(-3i64..4),
        begins in proptest::option::of(-3i64..4),
        leeway in 0u64..3,
        standard in any::<bool>(),
    ) {
        let at = |offset: i64| NOW.saturating_add_signed(offset);
        let mut claims = json!({"mercure": {"publish": ["*"]}});
        if let Some(offset) = expires {
            claims["exp"] = at(offset).into();
        }
        if let Some(offset) = begins {
            claims["nbf"] = at(offset).into();
        }
        let token = if standard { access_token(claims) } else { token(&claims) };
        let verifier = Verifier { leeway, ..hs256() };
        // RFC 7519 §4.1.4 and §4.1.5: not on or after `exp`, on or after `nbf`.
        let fits = expires.is_none_or(|offset| NOW < at(offset) + leeway)
            && begins.is_none_or(|offset| NOW + leeway >= at(offset));
        prop_assert_eq!(verifier.verify(&token, NOW, &matchers()).is_ok(), fits);
    }

    #[test]
    fn header_does_not_choose_how_a_token_is_checked(
        algorithm in "(?i:none)|HS256|HS384|HS512|RS256|RS512|PS256|ES256|ES384|EdDSA|.{0,6}",
        key in prop::sample::select(vec![SECRET, b"x", RSA_PUBLIC.as_bytes(), b"another secret"]),
        with_signature in any::<bool>(),
    ) {
        let header = json!({"alg": algorithm, "typ": "JWT"});
        let mut forged = forged(&header, &json!({"mercure": {"publish": ["*"]}}), key);
        if !with_signature {
            forged.truncate(forged.rfind('.').unwrap() + 1);
        }
        // `forged` signs with HS256.
        let good = algorithm == "HS256" && key == SECRET && with_signature;
        prop_assert_eq!(verify(&forged).is_ok(), good);
    }

    #[test]
    fn any_text_is_no_token(text in any::<String>()) {
        prop_assert!(verify(&text).is_err());
    }

    #[test]
    fn any_claims_are_granted_or_refused(claims in any_claims(), standard in any::<bool>()) {
        let token = if standard { access_token(claims) } else { token(&claims) };
        if let Ok(grants) = verify(&token) {
            prop_assert!(!standard || grants.expires().is_some());
        }
    }
}

/// Claims with the names that count and values of every kind.
fn any_claims() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "(\\*|a|exact|urlpattern|publish|subscribe|\\{|\\()".prop_map(Value::from),
        Just(json!(AUTHORIZATION_DETAIL)),
    ];
    let name = "(mercure|publish|subscribe|payload|authorization_details|type|actions|topics|match|match_type|exp|nbf|aud|iss)";
    let value = leaf.prop_recursive(4, 32, 4, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::hash_map(name, inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    });
    proptest::collection::hash_map(name, value, 0..6)
        .prop_map(|map| Value::Object(map.into_iter().collect()))
}

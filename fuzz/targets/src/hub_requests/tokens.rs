//! Tokens with different rights, so that the answer tells which of them counted.

use std::sync::LazyLock;

use hub_protocol::Forms;
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};

pub(super) const SECRET: &str = "!ChangeThisMercureHubJWTSecretKey!";

/// What a token allows to publish, and to read where it is private.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rights {
    /// The topic `a`.
    A,
    /// The topic `b`.
    B,
    Everything,
}

impl Rights {
    pub(super) fn allow(self, topic: &str) -> bool {
        match self {
            Self::A => topic == "a",
            Self::B => topic == "b",
            Self::Everything => true,
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
            Self::Everything => "*",
        }
    }
}

/// How many there are.
pub(super) const TOKENS: usize = 8;

struct Token {
    text: String,
    rights: Option<Rights>,
    is_standard: bool,
}

static ALL: LazyLock<Vec<Token>> = LazyLock::new(|| {
    let mut all = Vec::new();
    for is_standard in [false, true] {
        for rights in [Rights::A, Rights::B, Rights::Everything] {
            all.push(Token {
                text: made(rights, is_standard, SECRET),
                rights: Some(rights),
                is_standard,
            });
        }
        all.push(Token {
            text: made(
                Rights::Everything,
                is_standard,
                "another secret, as long as that",
            ),
            rights: None,
            is_standard,
        });
    }
    all
});

fn made(rights: Rights, is_standard: bool, secret: &str) -> String {
    let (topic, mut header) = (rights.text(), Header::default());
    let claims: Value = match is_standard {
        false => json!({ "mercure": { "publish": [topic], "subscribe": [topic] } }),
        true => {
            header.typ = Some("at+jwt".to_owned());
            json!({
                "exp": 4_102_444_800_u64, // in 2100
                "iss": "https://issuer.example",
                "aud": "http://localhost/.well-known/mercure",
                "authorization_details": [{
                    "type": "https://mercure.rocks/authorization-detail",
                    "actions": ["publish", "subscribe"],
                    "topics": [{ "match": topic }],
                }],
            })
        }
    };
    let key = EncodingKey::from_secret(secret.as_bytes()).expect("a key");
    encode(&header, &claims, &key).expect("a token")
}

/// The token with that number.
pub(super) fn text(number: usize) -> &'static str {
    &ALL[number % TOKENS].text
}

/// What a token allows; nothing if it is none, or none for a hub with these forms.
pub(super) fn rights(token: &str, forms: Forms) -> Option<Rights> {
    let known = ALL.iter().find(|one| one.text == token)?;
    let is_accepted = match known.is_standard {
        true => forms.standard,
        false => forms.deployed,
    };
    known.rights.filter(|_| is_accepted)
}

/// A token with these rights for a hub with these forms.
pub(super) fn of(rights: Rights, forms: Forms) -> &'static str {
    let mut all = ALL.iter();
    let found = all.find(|one| one.rights == Some(rights) && one.is_standard != forms.deployed);
    &found.expect("there is one").text
}

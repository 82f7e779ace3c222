//! Access tokens: JSON Web Tokens that say what a client may publish and read.
//!
//! A key fixes the algorithms that it verifies, so that no token chooses how it is checked.
//! The reasons of refusals come from a fixed set and never contain a key or a token.

mod claims;
mod grants;
mod keys;
mod presented;

use jsonwebtoken::{TokenData, Validation};
use serde_json::Value;

use crate::{BearerError, Form, Forms, MatcherCache, Refusal, Status};

pub use grants::{AUTHORIZATION_DETAIL, Grants};
pub use keys::{Algorithm, Key, KeyError, Keys};
pub use presented::{DEPLOYED_COOKIE, OriginCheck, Presentation, Presented, STANDARD_COOKIE};

/// Bytes of a token: more than any that fits into a request's head.
pub const TOKEN_MAX: usize = 16 * 1024;

/// Checks the tokens of one role, publishers or subscribers.
///
/// # Examples
/// ```
/// use hub_protocol::token::{Algorithm, Key, Keys, Verifier};
/// use hub_protocol::{HubUrl, MatcherCache, Status};
///
/// let key = Key::secret(b"!ChangeThisMercureHubJWTSecretKey!", Algorithm::Hs256)?;
/// let verifier = Verifier::new(Keys::from(vec![key]));
/// let matchers = MatcherCache::new(HubUrl::default(), 2048);
/// let refusal = verifier.verify("no.token", 1_767_225_600, &matchers).unwrap_err();
/// assert_eq!(refusal.status(), Status::Unauthorized);
/// # Ok::<(), hub_protocol::token::KeyError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Verifier {
    keys: Keys,
    /// The forms of token that are accepted.
    pub forms: Forms,
    /// The hub's resource identifiers. A token of the standard form must name one of them in
    /// `aud`; one of the deployed form must do so if it has `aud` and this is not empty.
    pub audiences: Vec<String>,
    /// Seconds by which the clocks of the hub and of the issuer may differ.
    pub leeway: u64,
}

impl Verifier {
    /// A verifier that accepts both forms, for no audience, with a leeway of nothing.
    #[must_use]
    pub fn new(keys: Keys) -> Self {
        Self {
            keys,
            forms: Forms::default(),
            audiences: Vec::new(),
            leeway: 0,
        }
    }

    /// The keys.
    #[must_use]
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// What `token` allows at `now`, in seconds since 1970.
    ///
    /// # Errors
    /// 401 `invalid_token` with the reason.
    pub fn verify(
        &self,
        token: &str,
        now: u64,
        matchers: &MatcherCache,
    ) -> Result<Grants, Refusal> {
        self.check(token, now, matchers).map_err(|reason| {
            Refusal::bearer(Status::Unauthorized, BearerError::InvalidToken, reason)
        })
    }

    fn check(&self, token: &str, now: u64, matchers: &MatcherCache) -> Result<Grants, String> {
        if token.len() > TOKEN_MAX {
            return Err("the token is too long".to_owned());
        }
        let data = self.verify_signature(token)?;
        let form = claims::form(data.header.typ.as_deref());
        if !self.forms.accept(form) {
            return Err(match form {
                Form::Standard => "the hub does not accept tokens of the type at+jwt",
                Form::Deployed => "the token's type must be at+jwt",
            }
            .to_owned());
        }
        let claims = &data.claims;
        let expires = claims::check_times(claims, form, now, self.leeway)?;
        claims::check_audience(claims, form, &self.audiences)?;
        match form {
            Form::Deployed => Grants::from_mercure_claim(claims, expires, matchers),
            Form::Standard => Grants::from_authorization_details(claims, expires, matchers),
        }
    }

    /// The claims of a token that one of the keys signed.
    fn verify_signature(&self, token: &str) -> Result<TokenData<Value>, String> {
        let header = jsonwebtoken::decode_header(token)
            .map_err(|_| "the token is not a signed JSON Web Token of a known algorithm")?;
        let form = claims::form(header.typ.as_deref());
        let issuer = match form {
            // Unverified here: it selects keys, and is verified with them.
            Form::Standard => Some(claims::issuer(token)?),
            Form::Deployed => None,
        };
        let mut reason = "no key of the hub verifies tokens of this algorithm";
        for key in self.keys.candidates(header.kid.as_deref(), header.alg) {
            if !key.belongs_to(issuer.as_deref()) {
                reason = "the token's issuer is not trusted";
                continue;
            }
            let mut validation = Validation::new(header.alg);
            // Times and audience are checked against the caller's clock and by form.
            validation.required_spec_claims.clear();
            validation.validate_exp = false;
            validation.validate_aud = false;
            match jsonwebtoken::decode(token, key.decoding(), &validation) {
                Ok(data) => return Ok(data),
                Err(error) => reason = describe(error.kind()),
            }
        }
        Err(reason.to_owned())
    }
}

fn describe(error: &jsonwebtoken::errors::ErrorKind) -> &'static str {
    use jsonwebtoken::errors::ErrorKind;
    match error {
        ErrorKind::InvalidSignature => "the token's signature is not valid",
        ErrorKind::InvalidAlgorithm | ErrorKind::InvalidAlgorithmName => {
            "no key of the hub verifies tokens of this algorithm"
        }
        ErrorKind::Json(_) | ErrorKind::Utf8(_) => "the token's claims are not JSON",
        _ => "the token is not valid",
    }
}

#[cfg(test)]
mod tests;

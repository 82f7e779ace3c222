//! The claims that every token has, whatever it grants.

use serde_json::Value;

use crate::Form;

/// The form of a token, by the `typ` of its header: `at+jwt` (RFC 9068) is the standard one.
pub(super) fn form(typ: Option<&str>) -> Form {
    let typ = typ.unwrap_or_default().to_ascii_lowercase();
    let typ = typ.strip_prefix("application/").unwrap_or(&typ);
    if typ == "at+jwt" {
        Form::Standard
    } else {
        Form::Deployed
    }
}

/// The issuer that a token names, before its signature is verified.
pub(super) fn issuer(token: &str) -> Result<String, String> {
    let claims: Value = jsonwebtoken::dangerous::insecure_decode_claims(token)
        .map_err(|_| "the token's claims are not JSON")?;
    match claims.get("iss") {
        Some(Value::String(issuer)) => Ok(issuer.clone()),
        _ => Err("the token has no issuer".to_owned()),
    }
}

/// Checks `exp` and `nbf`; returns `exp`.
pub(super) fn check_times(
    claims: &Value,
    form: Form,
    now: u64,
    leeway: u64,
) -> Result<Option<u64>, String> {
    let expires = date(claims, "exp")?;
    match expires {
        None if form == Form::Standard => return Err("the token has no expiry time".to_owned()),
        Some(expires) if expires.saturating_add(leeway) <= now => {
            return Err("the token has expired".to_owned());
        }
        _ => {}
    }
    match date(claims, "nbf")? {
        Some(begins) if begins > now.saturating_add(leeway) => {
            Err("the token is not valid yet".to_owned())
        }
        _ => Ok(expires),
    }
}

/// A NumericDate (RFC 7519 §2), rounded down.
fn date(claims: &Value, name: &str) -> Result<Option<u64>, String> {
    let invalid = || format!("the token's claim {name} is not a date");
    match claims.get(name) {
        None => Ok(None),
        Some(value) => match (value.as_u64(), value.as_f64()) {
            (Some(seconds), _) => Ok(Some(seconds)),
            (None, Some(seconds)) if (0.0..=u64::MAX as f64).contains(&seconds) => {
                Ok(Some(seconds as u64))
            }
            _ => Err(invalid()),
        },
    }
}

/// Checks that `aud` names the hub.
pub(super) fn check_audience(
    claims: &Value,
    form: Form,
    audiences: &[String],
) -> Result<(), String> {
    let named = match claims.get("aud") {
        None if form == Form::Deployed => return Ok(()),
        None => return Err("the token has no audience".to_owned()),
        Some(_) if form == Form::Deployed && audiences.is_empty() => return Ok(()),
        Some(Value::String(audience)) => is_ours(audience, audiences),
        Some(Value::Array(list)) => list
            .iter()
            .any(|audience| audience.as_str().is_some_and(|one| is_ours(one, audiences))),
        Some(_) => return Err("the token's audience is not a string or a list".to_owned()),
    };
    if named {
        Ok(())
    } else {
        Err("the token is for another audience".to_owned())
    }
}

fn is_ours(audience: &str, audiences: &[String]) -> bool {
    audiences.iter().any(|own| own == audience)
}

//! The protected resource metadata of the standard form (RFC 9728).

use crate::config::HubConfig;
use hub_protocol::token::AUTHORIZATION_DETAIL;

/// Where the metadata of any resource begins.
const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// The path of the metadata.
pub(super) fn path(hub: &HubConfig) -> String {
    format!("{WELL_KNOWN}{}", hub.url.path())
}

/// The URL of the metadata.
pub(super) fn url(hub: &HubConfig) -> String {
    hub.url.origin() + &path(hub)
}

/// The metadata as JSON.
pub(super) fn document(hub: &HubConfig) -> Vec<u8> {
    let resource = hub.keys.audience().unwrap_or(hub.url.as_str());
    let mut document = serde_json::json!({
        "resource": resource,
        "authorization_details_types_supported": [AUTHORIZATION_DETAIL],
        "bearer_methods_supported": ["header"],
        "mercure_cookie": hub.presentation.cookies.first(),
    });
    if let Some(members) = document.as_object_mut()
        && hub.subscriptions
    {
        members.insert("mercure_subscriptions".to_owned(), true.into());
    }
    document.to_string().into_bytes()
}

//! The characters that identifiers must not have.

use std::sync::LazyLock;

use regex::Regex;

/// Controls (C0, DEL, C1) would break a line or a header field, format characters (general
/// category `Cf`) are invisible and let one identifier pass for another.
#[allow(clippy::unwrap_used)] // a constant pattern
static FORBIDDEN: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"[\p{Cc}\p{Cf}]").unwrap());

/// Whether `text` may occur in a topic, a matcher, an id or an event type.
pub(crate) fn is_clean(text: &str) -> bool {
    // Most identifiers are printable ASCII.
    text.bytes().all(|byte| matches!(byte, b' '..=b'~')) || !FORBIDDEN.is_match(text)
}

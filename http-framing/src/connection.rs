//! The `Connection` fields of one head (RFC 9110 §7.6.1).

use super::{Refusal, Version, syntax};

/// What the `Connection` fields of one head ask for.
#[derive(Default)]
pub(super) struct ConnectionOptions {
    close: bool,
    keep: bool,
    malformed: bool,
}

impl ConnectionOptions {
    /// Adds one field; empty elements are allowed (RFC 9110 §5.6.1.2).
    pub(super) fn take(&mut self, value: &[u8]) {
        if value == b"keep-alive" {
            self.keep = true; // what nearly every client sends
            return;
        }
        for option in value.split(|byte| *byte == b',').map(syntax::trim) {
            if option.eq_ignore_ascii_case(b"close") {
                self.close = true;
            } else if option.eq_ignore_ascii_case(b"keep-alive") {
                self.keep = true;
            } else if !option.is_empty() && !syntax::is_token(option) {
                self.malformed = true;
            }
        }
    }

    /// Whether the connection is kept (RFC 9112 §9.3).
    pub(super) fn keep_alive(&self, version: Version) -> Result<bool, Refusal> {
        if self.malformed {
            return Err(Refusal::bad("the Connection field is not a list of tokens"));
        }
        Ok(!self.close && (self.keep || version == Version::Http11))
    }
}

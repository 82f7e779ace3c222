//! OpenSSL's error queue, one per thread: our calls find it empty and leave it empty, and the
//! errors of a call become one line of text.
//!
//! Owns nothing, lends nothing to C, runs no user code.

use openssl::error::ErrorStack;

use crate::error::Error;
pub(super) use crate::native::ssl::clean;

/// The error of a failed call, with OpenSSL's reasons as its cause.
pub(super) fn refused(call: &'static str, stack: &ErrorStack) -> Error {
    Error::Call {
        call,
        cause: Some(text(stack).into()),
    }
}

/// The reasons, the root cause first, each once.
pub(super) fn text(stack: &ErrorStack) -> String {
    let mut reasons = Vec::new();
    for error in stack.errors() {
        let reason = match error.reason() {
            Some(reason) => reason.to_owned(),
            None => format!("error {:#x}", error.code()),
        };
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    match reasons.is_empty() {
        true => "OpenSSL gives no cause".to_owned(),
        false => reasons.join(", "),
    }
}

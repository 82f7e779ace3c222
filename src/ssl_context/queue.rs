//! OpenSSL's queue of errors, which each thread has one of: our calls find it empty and leave
//! it so, and what they put there becomes one line of text.
//!
//! Owns nothing, lends nothing to C, runs no user code.

use openssl::error::ErrorStack;

use crate::error::Error;
use crate::native::ssl::clear_errors;

/// Runs `work` with an empty queue, and leaves it empty.
pub(super) fn clean<T>(work: impl FnOnce() -> T) -> T {
    clear_errors();
    let result = work();
    clear_errors();
    result
}

/// Turns what OpenSSL says into a failed call's cause.
pub(super) fn refused(call: &'static str, stack: &ErrorStack) -> Error {
    Error::Call {
        call,
        cause: Some(text(stack).into()),
    }
}

/// The reasons alone, the root cause first, each once.
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

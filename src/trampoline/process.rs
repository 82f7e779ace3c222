//! The entry points that belong to the process, not to a base.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_int};

use crate::{log, process};

/// # Safety
/// Registered only with `event_set_log_callback`, which gives a C string.
pub(crate) unsafe extern "C" fn on_log(severity: c_int, text: *const c_char) {
    if text.is_null() {
        return;
    }
    // SAFETY: libevent passes a NUL-terminated buffer that lives until this returns.
    let text = unsafe { CStr::from_ptr(text) }.to_string_lossy();
    let level = match severity {
        0 => log::Level::Debug,
        1 => log::Level::Message,
        2 => log::Level::Warning,
        _ => log::Level::Error,
    };
    log::park(level, &text);
}

/// libevent cannot go on: says why and aborts, where libevent alone would end the process
/// with an ordinary exit code.
pub(crate) unsafe extern "C" fn on_fatal(code: c_int) {
    use std::io::Write as _;
    let words = log::last_words();
    let words = words.as_deref().unwrap_or("no cause given");
    let _ = writeln!(std::io::stderr(), "libevent: fatal error {code}: {words}");
    std::process::abort();
}

/// After `fork`, in the child, before anything else runs there.
pub(crate) unsafe extern "C" fn on_fork_child() {
    process::next_generation();
}

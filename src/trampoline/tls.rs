//! The entry point of a TLS session's end.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_short, c_void};

use foreign_types::ForeignType;
use openssl::ssl::Ssl;

/// # Safety
/// Registered once for each session, by `Tls::end`, which gives the session away to it.
pub(crate) unsafe extern "C" fn on_session_end(_fd: c_int, _what: c_short, session: *mut c_void) {
    // SAFETY: this function's own duty; the buffer event that used the session is gone.
    drop(unsafe { Ssl::from_ptr(session.cast()) });
}

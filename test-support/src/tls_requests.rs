//! What a peer may ask for in the middle of a TLS connection, and the `openssl` crate has no call
//! for.
#![allow(unsafe_code)]

use std::ffi::c_int;

use foreign_types::ForeignTypeRef;
use openssl::error::ErrorStack;
use openssl::ssl::SslRef;
use openssl_sys::SSL;

unsafe extern "C" {
    fn SSL_key_update(ssl: *mut SSL, kind: c_int) -> c_int;
    fn SSL_renegotiate(ssl: *mut SSL) -> c_int;
}

/// `SSL_KEY_UPDATE_NOT_REQUESTED`.
const UPDATE_NOT_REQUESTED: c_int = 0;

/// `SSL_KEY_UPDATE_REQUESTED`: the other side changes its keys, too.
const UPDATE_REQUESTED: c_int = 1;

/// Changes this side's keys with what is written next, and asks the other side for the same.
/// Whether that is possible: TLS 1.2 does not know it.
pub fn update_keys(ssl: &SslRef) -> bool {
    change_keys(ssl, UPDATE_REQUESTED)
}

/// The same, without asking.
pub(crate) fn update_own_keys(ssl: &SslRef) -> bool {
    change_keys(ssl, UPDATE_NOT_REQUESTED)
}

fn change_keys(ssl: &SslRef, kind: c_int) -> bool {
    // SAFETY: `ssl` is borrowed for this call.
    let done = unsafe { SSL_key_update(ssl.as_ptr(), kind) };
    drop(ErrorStack::get());
    done == 1
}

/// Begins another handshake with what is done next. Whether that is possible: TLS 1.3 does not
/// know it.
pub fn renegotiate(ssl: &SslRef) -> bool {
    // SAFETY: `ssl` is borrowed for this call.
    let done = unsafe { SSL_renegotiate(ssl.as_ptr()) };
    drop(ErrorStack::get());
    done == 1
}

//! The loops in C.
#![allow(unsafe_code)]

use std::ffi::{CString, c_char};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

unsafe extern "C" {
    safe fn twin_fire(units: u64);
    safe fn twin_active(units: u64);
    safe fn twin_timer(units: u64);
    safe fn twin_make(units: u64);
    safe fn twin_buffer(units: u64);
    safe fn twin_search(units: u64);
    safe fn twin_line(units: u64);
    safe fn twin_echo(units: u64);
    fn twin_tls(units: u64, certificate: *const c_char);
    safe fn twin_http_begin() -> u16;
    safe fn twin_http_turn();
    safe fn twin_http_end();
    safe fn twin_refusal(units: u64);
}

pub(crate) fn fire(units: u64) {
    twin_fire(units);
}

pub(crate) fn active(units: u64) {
    twin_active(units);
}

pub(crate) fn timer(units: u64) {
    twin_timer(units);
}

pub(crate) fn make(units: u64) {
    twin_make(units);
}

pub(crate) fn buffer(units: u64) {
    twin_buffer(units);
}

pub(crate) fn search(units: u64) {
    twin_search(units);
}

pub(crate) fn line(units: u64) {
    twin_line(units);
}

pub(crate) fn echo(units: u64) {
    twin_echo(units);
}

/// `certificate` is a file with the certificate and its key.
pub(crate) fn tls(units: u64, certificate: &Path) {
    let path = CString::new(certificate.as_os_str().as_bytes()).unwrap_or_default();
    // SAFETY: `path` outlives the call, which only reads the name.
    unsafe { twin_tls(units, path.as_ptr()) };
}

/// Serves with evhttp as long as `client` runs, which gets the port and what makes a turn.
pub(crate) fn http<T>(client: impl FnOnce(u16, &dyn Fn()) -> T) -> T {
    let result = client(twin_http_begin(), &|| twin_http_turn());
    twin_http_end();
    result
}

pub(crate) fn refusal(units: u64) {
    twin_refusal(units);
}

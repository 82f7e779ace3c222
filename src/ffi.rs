//! libevent's C names, and OpenSSL's in `openssl`. All other files name C symbols through this
//! one. `vendor/libevent` declares libevent's.

pub(crate) use libevent_sys::*;
#[cfg(feature = "openssl")]
pub(crate) use openssl_sys as openssl;

#[cfg(feature = "openssl")]
#[allow(
    unsafe_code,
    reason = "OpenSSL has them, and openssl-sys, which links OpenSSL, does not"
)]
unsafe extern "C" {
    pub(crate) fn RAND_poll() -> std::ffi::c_int;
    pub(crate) fn BIO_up_ref(bio: *mut openssl::BIO) -> std::ffi::c_int;
    pub(crate) fn BIO_get_callback_arg(bio: *const openssl::BIO) -> *mut std::ffi::c_char;
    pub(crate) fn BIO_set_callback_arg(bio: *mut openssl::BIO, arg: *mut std::ffi::c_char);
    pub(crate) fn BIO_set_callback_ex(bio: *mut openssl::BIO, callback: Option<BioCallback>);
    pub(crate) fn SSL_set0_wbio(ssl: *mut openssl::SSL, bio: *mut openssl::BIO);
}

/// `BIO_callback_fn_ex`.
#[cfg(feature = "openssl")]
pub(crate) type BioCallback = unsafe extern "C" fn(
    *mut openssl::BIO,
    std::ffi::c_int,
    *const std::ffi::c_char,
    usize,
    std::ffi::c_int,
    std::ffi::c_long,
    std::ffi::c_int,
    *mut usize,
) -> std::ffi::c_long;

// Declared again, for a fatal error that unwinds.
#[allow(
    unsafe_code,
    reason = "libevent-sys declares both as functions that don't unwind"
)]
unsafe extern "C-unwind" {
    pub(crate) fn event_base_new_with_config(config: *const event_config) -> *mut event_base;
    pub(crate) fn event_set_fatal_callback(
        callback: Option<unsafe extern "C-unwind" fn(std::ffi::c_int)>,
    );
}

/// The bytes that C points to, where C gives null for none.
///
/// # Safety
/// `pointer` is null, or `length` bytes can be read there for as long as `'a` lasts, and
/// nothing writes them meanwhile.
#[allow(
    unsafe_code,
    clippy::disallowed_methods,
    reason = "the one place that checks for null"
)]
pub(crate) unsafe fn bytes<'a>(pointer: *const std::ffi::c_void, length: usize) -> &'a [u8] {
    if pointer.is_null() || length == 0 {
        return &[];
    }
    // SAFETY: not null, and the rest is the caller's duty.
    unsafe { std::slice::from_raw_parts(pointer.cast(), length) }
}

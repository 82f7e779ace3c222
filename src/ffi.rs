//! libevent's C names, and OpenSSL's in `openssl`. Nothing above this file names a C symbol
//! otherwise.
//!
//! Owns nothing: libevent's declarations are made by `vendor/libevent/bindings.sh` and held
//! against the C compiler's view of the headers by `tests/abi.rs`.

pub(crate) use libevent_sys::*;
#[cfg(feature = "openssl")]
pub(crate) use openssl_sys as openssl;

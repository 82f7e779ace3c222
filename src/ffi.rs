//! libevent's C names. Nothing above this file names a C symbol otherwise.
//!
//! Owns nothing: the declarations are made by `vendor/libevent/bindings.sh` and held
//! against the C compiler's view of the headers by `tests/abi.rs`.

pub(crate) use libevent_sys::*;

//! Declarations of libevent 2.1 under their C names, and the library linked.
//!
//! This is the foreign function layer of the crate `php-event`, which is the safe way to use
//! libevent. Everything here is as `unsafe` as it is in C: libevent's documentation says who owns
//! what, and which calls run callbacks.
//!
//! Constants of an enum carry its name in front, as bindgen writes them:
//! `evbuffer_eol_style_EVBUFFER_EOL_LF`. Left out are the calls on libevent's implicit base, those
//! that take a `FILE` or a `va_list`, evtag, evrpc, the DNS server, and
//! `evbuffer_add_buffer_reference`.
//!
//! # Features
//!
//! The default links the system's libevent (2.1.12 or newer, below 2.2), which pkg-config must
//! find, and declares it for 64-bit Linux on x86-64 and aarch64, with glibc or musl.
//!
//! - `openssl`: links `libevent_openssl` too, for the `bufferevent_openssl_…` calls.
//! - `bundled`: builds libevent from the source in crates.io's `libevent-sys`. That is 2.1.12 as
//!   released, without the security fixes of 2026 that distributions have added to their packages.
//!   Needs cmake (3.x) and libclang.
//! - `bindgen`: generates the declarations during the build, for other platforms. Needs libclang.
//!
//! # Threads and forks
//!
//! `libevent_pthreads` is not linked: a base, and all that belongs to it, stays on one thread. A
//! forked child must call `event_reinit` before it uses a base of its parent.
//!
//! # For build scripts
//!
//! The build script of a crate that depends on this one finds `DEP_PHP_EVENT_LIBEVENT_VERSION`
//! (`2.1.12-stable`), `DEP_PHP_EVENT_LIBEVENT_VERSION_NUMBER` (in decimal) and, unless the compiler
//! looks there anyway, `DEP_PHP_EVENT_LIBEVENT_INCLUDE`.
#![no_std]
#![allow(
    missing_debug_implementations,
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    unsafe_code,
    clippy::missing_safety_doc,
    reason = "the names and the duties are C's"
)]

// libevent-sys has linked the libevent that it found or built.
#[cfg(any(feature = "bindgen", feature = "bundled"))]
extern crate upstream as _;

#[cfg(prepared)]
mod bindings {
    include!("../bindings.rs");
}
#[cfg(prepared)]
pub use bindings::*;

#[cfg(not(prepared))]
mod listener;
#[cfg(not(prepared))]
pub use {listener::*, upstream::*};

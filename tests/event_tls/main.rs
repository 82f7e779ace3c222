//! `EventBufferEvent` with TLS: two of ours, and ours against OpenSSL's own programs.
#![cfg(feature = "openssl")]

#[path = "../support/mod.rs"]
mod support;
#[path = "../support_class/mod.rs"]
mod support_class;
#[path = "../support_tls/mod.rs"]
mod support_tls;

mod bytes;
mod ending;
mod pairs;
mod peers;
mod programs;
mod settings;
mod strangers;
mod trust;

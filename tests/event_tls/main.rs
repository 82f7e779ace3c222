//! `EventBufferEvent` with TLS: two of ours, and ours against OpenSSL's own programs.
#![cfg(feature = "openssl")]

mod bytes;
mod ending;
mod pairs;
mod peers;
mod php_defaults;
mod programs;
mod settings;
mod strangers;
mod trust;

//! `EventBufferEvent` with TLS, against itself, OpenSSL's programs and curl.
#![cfg(feature = "openssl")]

mod bytes;
mod ending;
mod floods;
mod full_sockets;
mod matrix;
mod monkey;
mod pairs;
mod peers;
mod php_defaults;
mod programs;
mod settings;
mod strangers;
mod trust;

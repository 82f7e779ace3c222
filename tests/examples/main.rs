//! The examples, run as processes and spoken to over sockets.

mod buffers;
mod dns;
mod echo;
mod events;
mod http;
mod streams;
mod support;
#[cfg(feature = "openssl")]
mod tls;
mod tutorial;

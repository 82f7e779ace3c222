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

#[path = "../support/mod.rs"]
mod support_class;
#[path = "../support_dns/mod.rs"]
mod support_dns;
#[cfg(feature = "openssl")]
#[path = "../support_tls/mod.rs"]
mod support_tls;

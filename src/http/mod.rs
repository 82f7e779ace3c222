//! HTTP: `EventHttp` serves, `EventHttpConnection` asks, `EventHttpRequest` is what passes
//! between the two.

mod headers;
pub(crate) mod request;
pub(crate) mod server;

pub use request::EventHttpRequest;

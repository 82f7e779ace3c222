//! libevent's objects: one file for each, with the raw pointer and every call on it.
//!
//! Each method says which callbacks its call may run; one that says nothing runs none.
//!
//! Knows `ffi`, `runtime` and `flags`, and no class.

pub(crate) mod bufferevent;
#[cfg(feature = "openssl")]
pub(crate) mod bufferevent_ssl;
pub(crate) mod evbuffer;
pub(crate) mod evconnlistener;
mod event;
mod event_base;
mod event_config;
mod event_memory;
pub(crate) mod evhttp;
pub(crate) mod evhttp_connection;
pub(crate) mod evhttp_request;
mod evhttp_uri;
pub(crate) mod evkeyvalq;
pub(crate) mod evutil;
pub(crate) mod random;
mod rate_bucket;
pub(crate) mod socket;
#[cfg(feature = "openssl")]
pub(crate) mod ssl;
mod time;

pub(crate) use event::{OwnedEvent, supported_methods};
pub(crate) use event_base::OwnedBase;
pub(crate) use event_config::OwnedConfig;
pub(crate) use event_memory::{EventMemory, WithEvent};
pub(crate) use rate_bucket::RateBucket;
pub use time::MAX_TIMEOUT;
pub(crate) use time::timeval;

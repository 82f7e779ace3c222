//! event-httpd's connections, driven step by step: a [`Server`] has no listener and handles no
//! signals, its loop turns when the caller says so, and its clock stands still until it is moved.

mod peer;
mod probe;
mod server;
mod time;

pub use peer::Peer;
pub use probe::{Answered, BEAT, Beat, Kind, LAST_BYTES, Probe, Seen, Takes};
pub use server::{Options, Server};

// event-httpd's modules, compiled from their files.
#[allow(dead_code, unused_imports, reason = "the program needs more of it")]
#[path = "../../../event-httpd/src"]
mod event_httpd {
    pub(crate) mod answer;
    pub(crate) mod app;
    pub(crate) mod buffer;
    pub(crate) mod bus;
    pub(crate) mod cli;
    pub(crate) mod config;
    pub(crate) mod connection;
    pub(crate) mod counters;
    pub(crate) mod deadlines;
    pub(crate) mod error;
    pub(crate) mod listener;
    pub(crate) mod log;
    pub(crate) mod outbox;
    pub(crate) mod output;
    pub(crate) mod port_lock;
    pub(crate) mod redis;
    pub(crate) mod signals;
    pub(crate) mod system;
    pub(crate) mod worker;
}
#[allow(unused_imports, reason = "unit tests need the listener")]
use event_httpd::{
    answer, app, buffer, bus, cli, config, connection, counters, deadlines, error, listener, log,
    outbox, output, port_lock, redis, signals, system, worker,
};

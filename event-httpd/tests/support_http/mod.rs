//! A running `event-httpd` and raw clients, for tests from outside.
//!
//! No test sleeps and hopes: it waits for bytes, for a line on stderr, or polls (`until`) what only
//! /proc shows. Every wait fails after `LIMIT`.

#![allow(
    dead_code,
    unused_imports,
    reason = "each test binary uses a part of it"
)]

mod client;
mod process;

use std::thread;
use std::time::{Duration, Instant};

pub(crate) use client::{Client, Response, narrow, refused, table};
pub(crate) use process::{Address, Process, Server, event_httpd, output, printed, shell};

/// The longest wait before a test fails: far more than a loaded machine needs.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// The smallest good request, and a request that asks for the end of the connection.
pub(crate) const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
pub(crate) const LAST: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

/// Polls `look` until it returns something.
#[track_caller]
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(start.elapsed() < LIMIT, "{what}: not within {LIMIT:?}");
        thread::sleep(Duration::from_millis(2));
    }
}

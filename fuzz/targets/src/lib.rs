//! What is fuzzed, as functions of bytes that panic when something is wrong.
//!
//! `cargo fuzz` calls them with what libFuzzer finds (`fuzz/fuzz_targets`), and
//! `tests/bounded.rs` with what a seeded generator makes, on stable and in a few seconds.

mod buffer;
mod bus;
mod chunks;
mod connection;
mod cuts;
mod dns_answers;
mod dns_conversations;
mod event_http;
mod event_http_client;
mod event_http_replies;
mod event_stream;
mod gates;
mod generator;
mod hub;
mod hub_requests;
mod hub_store;
mod lifetimes;
mod matchers;
mod pace;
mod publications;
mod redis_replies;
mod requests;
mod responses;
mod rfc;
mod steps;
#[cfg(feature = "openssl")]
mod tls;
mod tokens;
mod websockets;

use std::sync::Once;

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal};
use test_support::set_disposition;

pub use generator::{Generator, seeds};

// Private modules of other packages, compiled from their files.
/// Who uses handles of every class at random.
#[allow(dead_code, reason = "the tests also go by seeds")]
#[path = "../../../tests/soundness/monkey/cage.rs"]
mod cage;
#[path = "../../../hub-protocol/src/event_stream/tests/client.rs"]
mod client;
use http_framing as codec;
#[allow(dead_code, reason = "event-httpd needs more of it")]
#[path = "../../../event-httpd/src/bus/frame.rs"]
mod frame;
#[allow(dead_code, reason = "EventHttp needs more of it")]
#[path = "../../../src/http"]
mod http {
    pub(crate) mod gate;
    pub(crate) const REFUSED: &[u8] = gate::REFUSED;
}
use http::{REFUSED, gate};
#[allow(dead_code, reason = "lookups need more of it")]
#[path = "../../../src/dns"]
mod dns {
    pub(crate) mod error {
        pub(crate) use php_event::DnsError;
    }
    pub(crate) mod message;
    pub(crate) mod tcp;
}
mod flags {
    pub(crate) use php_event::{AddressFamily, EventFlags};
}
mod native {
    /// The same numbers in each run.
    pub(crate) mod random {
        pub(crate) fn random<const N: usize>() -> std::io::Result<[u8; N]> {
            Ok([7; N])
        }
    }
}
/// Redis's replies, and what the hub's store makes of them.
#[path = "../../../event-httpd/src/redis"]
mod redis {
    pub(crate) use ::redis::{ServerError, Value};
    pub(crate) mod replies;
    #[cfg(test)]
    pub(crate) use replies::parse;
}
#[path = "../../../event-httpd/src/app"]
mod app {
    pub(crate) mod hub {
        pub(crate) mod message {
            pub(crate) type Position = u128;
        }
        pub(crate) mod redis_store {
            pub(crate) mod entries;
            pub(crate) mod values;
        }
    }
}

/// A function of bytes, and the words of which a generator makes inputs for it.
#[derive(Debug)]
pub struct Target {
    /// Its name, which is that of its file in `fuzz/fuzz_targets`.
    pub name: &'static str,
    /// What is fuzzed.
    pub run: fn(&[u8]),
    /// How many bytes at the front choose what it does with the rest.
    choices: usize,
    words: &'static [&'static [u8]],
}

macro_rules! targets {
    ($($(#[$condition:meta])? $name:ident: $module:ident, $choices:literal, $words:expr;)*) => {
        /// All of them.
        pub const TARGETS: &[Target] = &[$($(#[$condition])? Target {
            name: stringify!($name),
            run: $module::run,
            choices: $choices,
            words: $words,
        }),*];

        /// What libFuzzer calls: a function for each, so that a program has the code of one
        /// target only. libFuzzer walks through the counters of all the code after each input.
        pub mod libfuzzer {$(
            $(#[$condition])?
            #[doc = concat!("Runs the target `", stringify!($name), "`.")]
            pub fn $name(input: &[u8]) {
                super::ignore_sigpipe();
                super::$module::run(input);
            }
        )*}
    };
}

targets! {
    buffer: buffer, 0, &[];
    bus: bus, 1, bus::WORDS;
    chunks: chunks, 0, chunks::WORDS;
    connection: connection, 2, connection::WORDS;
    dns: dns_answers, 1, dns_answers::WORDS;
    dns_tcp: dns_conversations, 0, &[];
    event_http: event_http, 0, requests::WORDS;
    event_http_client: event_http_client, 1, responses::WORDS;
    event_http_replies: event_http_replies, 0, &[];
    event_stream: event_stream, 0, event_stream::WORDS;
    gate: gates, 0, requests::WORDS;
    hub: hub, 2, hub::WORDS;
    hub_requests: hub_requests, 2, hub_requests::WORDS;
    hub_store: hub_store, 1, hub_store::WORDS;
    lifetimes: lifetimes, 0, &[];
    matchers: matchers, 0, &[];
    publications: publications, 0, publications::WORDS;
    redis: redis_replies, 1, redis_replies::WORDS;
    request: requests, 0, requests::WORDS;
    response: responses, 1, responses::WORDS;
    #[cfg(feature = "openssl")]
    tls: tls, 0, &[];
    tokens: tokens, 3, tokens::WORDS;
    websocket: websockets, 1, websockets::WORDS;
}

/// The target of that name.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn target(name: &str) -> &'static Target {
    let found = TARGETS.iter().find(|target| target.name == name);
    found.expect("a target of this name")
}

/// libFuzzer's main function is C++'s, and does not ignore `SIGPIPE` as that of a Rust program does.
fn ignore_sigpipe() {
    static IGNORE: Once = Once::new();
    IGNORE.call_once(|| {
        let ignore = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
        set_disposition(Signal::SIGPIPE, &ignore);
    });
}

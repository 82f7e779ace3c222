//! Two hubs that share a store in Redis: whatever becomes of the store and of the connections to
//! it, each subscriber gets every update once and in order, or loses its stream and learns where it
//! goes on; the answer to a publisher is true; and when all is well again, nothing is missing.
//!
//! The first byte chooses the options, the others are steps. The store is one of this module, with
//! what Redis documents of the commands that hubs use.

mod data;
mod play;
mod publisher;
mod redis;
mod script;
mod subscriber;
mod truth;

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::LazyLock;

use fuzz_server::Options;
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::json;

use play::{Choices, Play, QUEUE_MAX};
use redis::Redis;

pub(crate) use script::WORDS;

/// The longest input.
const INPUT_MAX: usize = 400;

/// The key of the hubs.
const KEY: &str = "a secret for tokens, of 32 bytes or more";

/// A token that allows everything.
static TOKEN: LazyLock<String> = LazyLock::new(|| {
    let claims = json!({ "mercure": { "publish": ["*"], "subscribe": ["*"] } });
    let key = EncodingKey::from_secret(KEY.as_bytes()).expect("a key");
    encode(&Header::default(), &claims, &key).expect("a token")
});

thread_local! {
    /// Options that were used before: reading them takes longer than an input.
    static OPTIONS: RefCell<HashMap<u8, Options>> = RefCell::default();
}

/// Bits of the first byte.
const LISTING: u8 = 1;
const QUEUE: u8 = 2;
const SMALL_PAGES: u8 = 4;
const CHOICES: u8 = 7;
/// Redis is older than 7.
const OLD: u8 = 8;

fn options(choice: u8) -> Options {
    let mut arguments = vec![
        format!("--store={}", redis::url()),
        "--store-timeout=2s".to_owned(),
        format!("--publisher-key={KEY}"),
        format!("--subscriber-key={KEY}"),
        "--history=10".to_owned(),
        "--heartbeat=0".to_owned(),
    ];
    if choice & LISTING != 0 {
        arguments.push("--subscriptions".to_owned());
    }
    if choice & QUEUE != 0 {
        arguments.push(format!("--store-queue={QUEUE_MAX}"));
        arguments.push("--store-queue-time=10s".to_owned());
    }
    if choice & SMALL_PAGES != 0 {
        arguments.push("--max-queue=64KiB".to_owned());
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    Options::hub(&arguments)
}

pub(crate) fn run(input: &[u8]) {
    let Some((&first, steps)) = input.split_first() else {
        return;
    };
    if input.len() > INPUT_MAX {
        return;
    }
    fastrand::seed(7); // for the time until the next connection
    let choice = first & CHOICES;
    let options = OPTIONS.with_borrow_mut(|known| {
        let options = known.entry(choice).or_insert_with(|| options(choice));
        options.clone()
    });
    let choices = Choices {
        is_listing: choice & LISTING != 0,
        is_queueing: choice & QUEUE != 0,
    };
    let redis = Redis::new(first & OLD == 0);
    let mut play = Play::new(&options, &TOKEN, choices, redis);
    script::play(&mut play, steps);
    play.finish();
}

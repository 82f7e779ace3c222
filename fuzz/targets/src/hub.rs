//! A whole hub: whatever its clients ask for and publish, however their bytes are cut, each gets
//! the updates that it asks for and may read, whole, once, in the order of all, and nothing else.
//!
//! The first two bytes choose the hub, the others are steps of its clients.

mod action;
mod choices;
mod client;
mod event;
mod matching;
mod model;
mod play;
mod rules;
mod script;

use std::cell::RefCell;
use std::collections::HashMap;

use fuzz_server::{Options, Server};
use hub_protocol::Forms;

use choices::Signer;
use play::Play;
use rules::Rules;

pub(crate) use script::{WORDS, cases};

/// The longest input.
const INPUT_MAX: usize = 1024;

/// What a socket takes before its peer reads: little, and as much as the system lets it.
const SEND_BUFFER: usize = 2 << 10;
const SOCKET_SIZES: [usize; 2] = [32 << 10, 512 << 10];

thread_local! {
    /// Options that were used before: reading them takes longer than an input.
    static OPTIONS: RefCell<HashMap<[u8; 2], Options>> = RefCell::default();
}

/// The options that an input chooses, and whether sockets take little.
fn world(choice: [u8; 2]) -> (Rules, Options, bool) {
    let is = |bit: u8| choice[1] & bit != 0;
    let (protocol, deployed, standard) = [
        ("both", true, true),
        ("deployed", true, false),
        ("standard", false, true),
    ][usize::from(choice[0] % 3)];
    let is_anonymous = is(1);
    let subscribers = match (is(2), is_anonymous && is(4)) {
        (_, true) => None,
        (false, _) => Some(Signer::Publishers),
        (true, _) => Some(Signer::Subscribers),
    };
    let rules = Rules {
        forms: Forms { deployed, standard },
        is_anonymous,
        subscribers,
        has_subscriptions: is(8),
        history: [10_000, 0, 1, 6][usize::from(choice[0] / 3 % 4)],
        max_queue: if is(16) { 16 << 10 } else { 4 << 20 },
        max_subscribers: is(32).then_some(2),
    };
    let options = OPTIONS.with_borrow_mut(|known| {
        let options = known.entry(choice);
        options
            .or_insert_with(|| options_of(&rules, protocol))
            .clone()
    });
    (rules, options, is(64))
}

fn options_of(rules: &Rules, protocol: &str) -> Options {
    let mut arguments = vec![
        format!("--protocol={protocol}"),
        format!("--publisher-key={}", Signer::Publishers.secret()),
        format!("--history={}", rules.history),
        format!("--max-queue={}", rules.max_queue),
        "--heartbeat=0".to_owned(),
    ];
    if let Some(signer) = rules.subscribers {
        arguments.push(format!("--subscriber-key={}", signer.secret()));
    }
    if rules.is_anonymous {
        arguments.push("--anonymous".to_owned());
    }
    if rules.has_subscriptions {
        arguments.push("--subscriptions".to_owned());
    }
    if let Some(max) = rules.max_subscribers {
        arguments.push(format!("--max-subscribers={max}"));
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    Options::hub(&arguments)
}

pub(crate) fn run(input: &[u8]) {
    let Some((choice, steps)) = input.split_first_chunk::<2>() else {
        return;
    };
    if input.len() > INPUT_MAX {
        return;
    }
    let (rules, options, has_little_room) = world(*choice);
    let server = Server::new(&options);
    if has_little_room {
        server.set_send_buffer(SEND_BUFFER);
    }
    let socket_size = SOCKET_SIZES[usize::from(!has_little_room)];
    let mut play = Play::new(&server, &rules, socket_size);
    script::play(&mut play, steps);
    play.finish();
}

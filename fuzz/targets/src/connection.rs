//! A server's connections: whatever two clients send, however it is cut, and whatever heads the
//! server has seen before, each gets the answers to its own requests, in order, and no other byte.
//!
//! The first two bytes choose the server, the others are steps of its clients and its app.

mod model;
mod play;
mod script;

use std::sync::LazyLock;

use fuzz_server::{Kind, Options, Probe, Server, Takes};
use http_framing::Limits;

use model::{HEADER_TIMEOUT, IDLE_TIMEOUT, MAX_QUEUE, Rules};
use play::play;
use script::{Step, cut_anew, op};

/// The longest input.
const INPUT_MAX: usize = 4096;

/// What a socket takes before its peer reads, where that is little.
const SEND_BUFFER: usize = 4096;

pub(crate) const WORDS: &[&[u8]] = &[
    &[op::REQUEST, 0],
    &[op::REQUEST, 1],
    &[op::REQUEST, 1, op::AGAIN, 0, op::AGAIN, 0],
    &[op::REQUEST, 1, op::REQUEST, 2, op::REQUEST, 1],
    &[op::REQUEST, 3, op::REQUEST, 4],
    &[op::REQUEST, 5, op::REQUEST, 6],
    &[op::REQUEST, 7, op::REQUEST, 8],
    &[op::REQUEST, 9, op::REQUEST, 10, op::CUT, op::REQUEST, 16],
    &[op::REQUEST, 11, op::REQUEST, 12],
    &[op::REQUEST, 13],
    &[op::REQUEST, 14],
    &[
        op::REQUEST,
        15,
        op::OTHER,
        op::REQUEST,
        4,
        op::CUT,
        op::OTHER,
    ],
    &[op::REQUEST, 17, op::REQUEST, 13],
    // Its body is refused.
    b"\x01\x3c\0HEAD /p HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n",
    &[op::REQUEST, 18, op::CUT, op::REQUEST, 1, op::CUT],
    &[
        op::HOLD,
        0,
        op::REQUEST,
        1,
        op::MANY,
        0,
        30,
        op::CUT,
        op::REQUEST,
        5,
        op::CUT,
    ],
    &[op::AGAIN, 0],
    &[op::AGAIN, 1],
    &[op::CHANGED, 0, 20, 1],
    &[op::CHANGED, 0, 40, 32],
    &[op::CHANGED, 1, 8, 3],
    &[op::MANY, 0, 1],
    &[op::MANY, 0, 200],
    &[op::MANY, 1, 30],
    &[op::CUT],
    &[op::CUT_INSIDE, 1],
    &[op::CUT_INSIDE, 20],
    &[op::OTHER],
    &[op::SEND, op::OTHER],
    &[op::HOLD, 0],
    &[op::HOLD, 1],
    &[op::REPLY, op::CUT],
    &[op::DELIVER, 9],
    &[op::END_STREAM, op::CUT],
    &[op::END_WRITING],
    &[op::LEAVE],
    &[op::WAIT, 0],
    &[op::WAIT, 1],
    &[op::WAIT, 3],
    &[op::WAIT, 5],
    &[op::WAIT, 6],
    &[op::WAIT, 7],
    &[op::CUT_INSIDE, 20, op::WAIT, 3],
    &[
        op::CUT_INSIDE,
        20,
        op::WAIT,
        1,
        op::CUT_INSIDE,
        1,
        op::WAIT,
        1,
    ],
    &[
        op::HOLD,
        0,
        op::REQUEST,
        1,
        op::MANY,
        0,
        200,
        op::CUT,
        op::WAIT,
        6,
    ],
    &[op::STOP],
    &[op::CUT_INSIDE, 20, op::STOP, op::CUT],
    // A body arrives, too slowly or not.
    b"\x00\x0f\x05\xf0\x02\x01\x03\0abc\x05\xf0\x02",
    b"\x00\x01\x01\x32\0POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\n\x04\0\x28\x05\xf0\x02\x04\0\x28\x05\xf0\x02",
    // The first answers fill the socket.
    &[
        op::HOLD,
        0,
        op::REQUEST,
        1,
        op::MANY,
        0,
        5,
        op::CUT,
        op::STOP,
        op::CUT,
        op::HOLD,
        1,
    ],
    &[
        op::HOLD,
        0,
        op::REQUEST,
        1,
        op::MANY,
        0,
        5,
        op::CUT,
        op::WAIT,
        6,
        op::HOLD,
        1,
    ],
];

/// Inputs that the generator seldom makes.
pub(crate) const CASES: &[&[u8]] = &[
    // More requests than are answered in a turn, of one client and of both.
    b"\0\0\x00\x00\x04\x00\xff\x05",
    b"\0\0\x00\x00\x04\x00\xff\x0e\x07\x00\x00\x04\x00\xff\x05",
    // A server that stops has a connection to accept, and one too many.
    b"\0\x40\xf1\x00\x01\x05",
    b"\0\x40\x00\x01\x0e\xf1",
    // It has a request to read.
    b"\0\x00\x00\x01\x05\x02\x00\x0e\xf1\x05",
    // Requests that come in time.
    b"\0\x00\x00\x01\x05\xf0\x05\x02\x00\x05\xf0\x05\x02\x00\x05\xf0\x05",
    // Messages for a client that does not read, of each kind of app.
    b"\0\x33\x00\x01\x02\x00\x02\x00\x05\x08\x00\x0a\xff\x0a\xff\x05\x0a\xff\x05\x0a\xff\x05\xf0\x06",
    b"\x01\x33\x00\x01\x02\x00\x02\x00\x05\x08\x00\x0a\xff\x0a\xff\x05\x0a\xff\x05\x0a\xff\x05\xf0\x06",
    b"\xe0\x33\x08\x00\x0a\xff\x0a\xff\x05\x0a\xff\x05\x0a\xff\x05\xf0\x06",
    b"\xe0\x23\x08\x00\x0a\xff\x0a\xff\x05\x0a\xff\x05\x0a\xff\x05\xf1\x05\x08\x01",
    // The first answers fill the socket when the server stops.
    b"\0\x27\x08\x00\x00\x01\x04\x00\x05\x05\xf1\x05\x08\x01",
    // A body that comes too slowly, and one that does not.
    b"\x01\0\x00\x0f\x05\xf0\x02\x01\x03\0abc\x05\xf0\x02",
    b"\x02\0\x00\x01\x01\x32\0POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\n\x04\0\x28\x05\xf0\x02\x04\0\x28\x05\xf0\x02",
];

/// An input in which a client sends `bytes`. Their length chooses what the app takes.
pub(crate) fn input_of(bytes: &[u8]) -> Vec<u8> {
    let takes = u8::try_from(bytes.len() % TAKES.len()).unwrap_or_default();
    let [low, high, ..] = bytes.len().to_le_bytes();
    [&[takes, 0, op::BYTES, low, high], bytes].concat()
}

const TAKES: [Takes; 3] = [Takes::Requests, Takes::Bodies, Takes::Whole];

const PLANS: [&[Kind]; 8] = [
    &[Kind::Whole(0)],
    &[Kind::Whole(0), Kind::Later],
    &[Kind::Shared, Kind::Whole(3000), Kind::Later, Kind::Whole(0)],
    &[Kind::Whole(0), Kind::Shared, Kind::Stream],
    &[Kind::Whole(0), Kind::Shared, Kind::Upgrade],
    &[Kind::Later, Kind::Upgrade],
    &[Kind::Later, Kind::Whole(9000), Kind::Stream],
    &[Kind::Whole(5000), Kind::Shared],
];

/// Options of servers with usual and with tight limits, and with a long and a short queue.
static OPTIONS: LazyLock<[[Options; 2]; 2]> = LazyLock::new(|| {
    let header = format!("--header-timeout={}s", HEADER_TIMEOUT.as_secs());
    let idle = format!("--idle-timeout={}s", IDLE_TIMEOUT.as_secs());
    let times: &[&str] = &[&header, &idle, "--grace=1h"];
    let usual: &[&str] = &[];
    let tight: &[&str] = &["--max-header-size=64", "--max-body-size=64"];
    let short: &[&str] = &["--max-queue=64"];
    [usual, tight]
        .map(|limits| [usual, short].map(|queue| Options::serve(&[times, limits, queue].concat())))
});

/// From this first byte on, the app takes what each read returns.
const READS: u8 = 0xe0;

/// What an input chooses.
struct World {
    rules: Rules,
    options: &'static Options,
    send_buffer: Option<usize>,
}

impl World {
    fn new(choice: [u8; 2]) -> Self {
        let takes = match choice[0] {
            READS.. => Takes::Reads,
            number => TAKES[usize::from(number) % TAKES.len()],
        };
        let is = |bit: u8| choice[1] & bit != 0;
        let limits = match is(8) {
            true => Limits {
                header_size: 64,
                body_size: 64,
            },
            false => Limits::default(),
        };
        let has_short_queue = is(16);
        Self {
            rules: Rules {
                takes,
                limits,
                plan: PLANS[usize::from(choice[1]) % PLANS.len()].to_vec(),
                max_queue: if has_short_queue { 64 } else { MAX_QUEUE },
                max_connections: is(64).then_some(1),
            },
            options: &OPTIONS[usize::from(is(8))][usize::from(has_short_queue)],
            send_buffer: is(32).then_some(SEND_BUFFER),
        }
    }

    fn server(&self) -> Server {
        let probe = Probe::new(self.rules.takes, self.rules.plan.clone());
        let server = match self.rules.max_connections {
            Some(most) => Server::listening(self.options, probe, most),
            None => Server::with_probe(self.options, probe),
        };
        if let Some(bytes) = self.send_buffer {
            server.set_send_buffer(bytes);
        }
        server
    }
}

pub(crate) fn run(input: &[u8]) {
    let Some((choice, rest)) = input.split_first_chunk::<2>() else {
        return;
    };
    if input.len() > INPUT_MAX {
        return;
    }
    let world = World::new(*choice);
    let steps = script::read(rest);
    let (rules, seeing) = (&world.rules, world.server());
    if steps.contains(&Step::Stop) {
        return run_until_stop(&world, &steps);
    }
    let fresh = play(&seeing, rules, &steps);
    // A head is known when it has come twice.
    for _ in 0..2 {
        assert_eq!(play(&seeing, rules, &steps), fresh);
    }
    // How much waits for a client depends on how its bytes are cut, and so does whether the other
    // one gets its place.
    let may_be_cut_off = rules.takes != Takes::Requests && !rules.has_long_queue();
    if may_be_cut_off || rules.max_connections.is_some() {
        return;
    }
    let Some(whole) = cut_anew(&steps, usize::MAX) else {
        return;
    };
    let wanted = play(&world.server(), rules, &whole);
    let length: usize = whole.iter().map(Step::length).sum();
    for parts in [1, 2, 9] {
        let steps = cut_anew(&steps, length / parts + 1).expect("it was cut before");
        assert_eq!(play(&seeing, rules, &steps), wanted, "{parts} parts");
    }
}

/// The same where the server stops: once with a server that has seen the heads.
fn run_until_stop(world: &World, steps: &[Step]) {
    let fresh = play(&world.server(), &world.rules, steps);
    let seeing = world.server();
    let others = steps.iter().filter(|step| **step != Step::Stop);
    play(&seeing, &world.rules, &others.cloned().collect::<Vec<_>>());
    assert_eq!(play(&seeing, &world.rules, steps), fresh);
}

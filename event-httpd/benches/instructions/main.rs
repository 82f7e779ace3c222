//! Counts the instructions that `event-httpd` executes in user space for one unit of work, under
//! Callgrind, and compares them with the stored figures.
//!
//! Each row runs twice, with fewer and with more units of work. The difference leaves out the
//! start and the end of the server, and does not depend on how busy the machine is. Where several
//! peers must be served in one turn of the loop, the server is stopped while they write. The last
//! rows are the memory and the start of a server that runs alone.
//!
//! ```sh
//! cargo bench -p event-httpd --bench instructions                 # compares
//! cargo bench -p event-httpd --bench instructions -- --store      # stores what it measures
//! cargo bench -p event-httpd --bench instructions -- fan-out      # rows whose name has this
//! cargo bench -p event-httpd --bench instructions -- --rough      # as CI compares, see `ROUGH_TOLERANCE`
//! ```

#[path = "../support/process.rs"]
mod process;

mod client;
mod footprint;
mod server;
mod stored;

use std::error::Error;
use std::fmt::Write as _;
use std::process::ExitCode;

use client::Peer;
use process::{Processors, Server};
use server::Counted;

/// A row fails when it needs this many per cent more than the stored figure.
const TOLERANCE: f64 = 3.0;

/// The same for a row with thousands of connections, whose figure depends on how many of them the
/// kernel reports at once.
const CROWD_TOLERANCE: f64 = 10.0;

/// The same for the memory at the start, which depends on what the system has in its caches.
const START_TOLERANCE: f64 = 10.0;

/// The same with `--rough`, for a machine of another kind than that of the stored figures: libc has
/// other functions for another processor, and a busy machine serves other connections in one turn.
/// Thousands of connections and memory are not measured then.
const ROUGH_TOLERANCE: f64 = 25.0;

const SHORT: &str = "Host: 127.0.0.1:9999\r\n\r\n";

const BROWSER: &str = "Host: localhost:9999\r\n\
    Connection: keep-alive\r\n\
    sec-ch-ua: \"Chromium\";v=\"130\", \"Not?A_Brand\";v=\"99\"\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n\
    Sec-Fetch-Site: none\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Accept-Language: en-US,en;q=0.9\r\n\
    Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\n\r\n";

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What is measured.
#[derive(Clone, Copy)]
enum Figure {
    /// Instructions for one unit of this work, from runs with that many rounds.
    Instructions(Work, [usize; 2]),
    /// Bytes for a silent connection of this program.
    BytesPerConnection(&'static str),
    /// Bytes in use after the first answer.
    ResidentAtStart,
    /// Microseconds from the start to the first answer. They depend on the machine.
    MicrosecondsToFirstAnswer,
}

/// What clients do with the server.
#[derive(Clone, Copy)]
enum Work {
    /// Requests on one connection, that many written at once, with these fields.
    Requests {
        fields: &'static str,
        unseen: bool,
        at_once: usize,
    },
    /// A connection per request, while that many others stay open. The oldest leaves each time.
    Connections { others: usize },
    /// Messages of all senders in one turn.
    Messages {
        framing: &'static str,
        receivers: usize,
        senders: usize,
    },
}

struct Row {
    name: &'static str,
    goal: u64,
    figure: Figure,
}

impl Row {
    fn tolerance(&self, rough: bool) -> f64 {
        match self.figure {
            _ if rough => ROUGH_TOLERANCE,
            Figure::Instructions(work, _) if work.has_crowd() => CROWD_TOLERANCE,
            Figure::Instructions(..) | Figure::BytesPerConnection(_) => TOLERANCE,
            Figure::ResidentAtStart => START_TOLERANCE,
            Figure::MicrosecondsToFirstAnswer => f64::INFINITY,
        }
    }

    /// Whether it says much on any machine.
    fn is_rough(&self) -> bool {
        matches!(self.figure, Figure::Instructions(work, _) if !work.has_crowd())
    }
}

const fn row(name: &'static str, goal: u64, figure: Figure) -> Row {
    Row { name, goal, figure }
}

const fn requests(fields: &'static str, unseen: bool, at_once: usize) -> Work {
    Work::Requests {
        fields,
        unseen,
        at_once,
    }
}

const fn messages(framing: &'static str, receivers: usize, senders: usize) -> Work {
    Work::Messages {
        framing,
        receivers,
        senders,
    }
}

#[rustfmt::skip]
const ROWS: [Row; 17] = [
    row("request, head seen before, short", 1250, Figure::Instructions(requests(SHORT, false, 1), [200, 1200])),
    row("request, head seen before, browser's", 1350, Figure::Instructions(requests(BROWSER, false, 1), [200, 1200])),
    row("request, head not seen before, short", 2200, Figure::Instructions(requests(SHORT, true, 1), [200, 1200])),
    row("request, head not seen before, browser's", 3500, Figure::Instructions(requests(BROWSER, true, 1), [200, 1200])),
    row("request, pipelined by 16", 400, Figure::Instructions(requests(SHORT, false, 16), [20, 120])),
    row("connection and request, 1 at a time", 7000, Figure::Instructions(Work::Connections { others: 0 }, [100, 600])),
    row("connection and request, 64 at a time", 7000, Figure::Instructions(Work::Connections { others: 63 }, [100, 600])),
    row("connection and request, 4,096 at a time", 27000, Figure::Instructions(Work::Connections { others: 4095 }, [10, 110])),
    row("fan-out to 100, 1 sender", 130, Figure::Instructions(messages("raw", 100, 1), [20, 120])),
    row("fan-out to 100, 16 senders", 50, Figure::Instructions(messages("raw", 100, 16), [10, 60])),
    row("fan-out to 1,000, 16 senders", 15, Figure::Instructions(messages("raw", 1000, 16), [5, 15])),
    row("fan-out to 100, 1 sender, http", 130, Figure::Instructions(messages("http", 100, 1), [20, 120])),
    row("fan-out to 100, 16 senders, http", 50, Figure::Instructions(messages("http", 100, 16), [10, 60])),
    row("bytes for a silent connection, serve", 528, Figure::BytesPerConnection("serve")),
    row("bytes for a silent connection, broadcast", 528, Figure::BytesPerConnection("broadcast")),
    row("bytes in use after the first answer", 3 << 20, Figure::ResidentAtStart),
    row("microseconds to the first answer", 5000, Figure::MicrosecondsToFirstAnswer),
];

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("instructions: {error}");
            ExitCode::FAILURE
        }
    }
}

/// True when no row needs more than is stored.
fn run() -> Result<bool> {
    let arguments = std::env::args().skip(1).collect::<Vec<_>>();
    let has = |option: &str| arguments.iter().any(|argument| argument == option);
    let (store, rough) = (has("--store"), has("--rough"));
    let filter = arguments.iter().find(|argument| !argument.starts_with('-'));
    test_support::raise_descriptor_limit();
    let processors = Processors::take()?;
    let before = stored::read()?;
    let mut table = String::new();
    let mut worse = false;
    for row in &ROWS {
        if filter.is_some_and(|filter| !row.name.contains(filter.as_str())) {
            continue;
        }
        if rough && !row.is_rough() {
            continue;
        }
        let measured = row.measure(processors)?;
        let old = before.get(row.name).copied();
        let change = old.map_or(0.0, |old| (measured / old - 1.0) * 100.0);
        let verdict = match old {
            None => "not stored".to_owned(),
            Some(_) if change > row.tolerance(rough) => {
                worse = true;
                format!("FAILED: {change:+.1} % against the stored figure")
            }
            Some(_) => format!("{change:+.1} %"),
        };
        println!(
            "{:42} {measured:>10.1}  (goal {:>6})  {verdict}",
            row.name, row.goal
        );
        writeln!(table, "{}", stored::line(row.name, row.goal, measured))?;
    }
    if store && filter.is_none() && !rough {
        stored::write(&table)?;
        return Ok(true);
    }
    if worse {
        eprintln!("instructions: more above the stored figures than a row may be");
    }
    Ok(!worse)
}

impl Row {
    fn measure(&self, on: Processors) -> Result<f64> {
        match self.figure {
            Figure::Instructions(work, rounds) => work.instructions(on, rounds),
            Figure::BytesPerConnection(program) => footprint::bytes_per_connection(on, program),
            Figure::ResidentAtStart => footprint::resident_at_start(on),
            Figure::MicrosecondsToFirstAnswer => footprint::microseconds_to_first_answer(on),
        }
    }
}

impl Work {
    /// Whether there are a thousand peers or more.
    fn has_crowd(self) -> bool {
        match self {
            Self::Requests { .. } => false,
            Self::Connections { others } => others >= 1000,
            Self::Messages { receivers, .. } => receivers >= 1000,
        }
    }

    /// Instructions per unit of work.
    fn instructions(self, on: Processors, [few, many]: [usize; 2]) -> Result<f64> {
        let counts = [self.count(on, few)?, self.count(on, many)?];
        let units = self.units() * (many - few);
        Ok(counts[1].saturating_sub(counts[0]) as f64 / units as f64)
    }

    /// Requests or deliveries in one round.
    fn units(self) -> usize {
        match self {
            Self::Requests { at_once, .. } => at_once,
            Self::Connections { .. } => 1,
            Self::Messages {
                receivers, senders, ..
            } => senders * (receivers + senders - 1),
        }
    }

    /// Instructions of a whole run with that many rounds.
    fn count(self, on: Processors, rounds: usize) -> Result<u64> {
        let arguments: &[&str] = match &self {
            Self::Messages { framing, .. } => &["broadcast", "--framing", framing],
            _ => &["serve"],
        };
        let counted = Counted::start(on, arguments)?;
        let server = &counted.server;
        match self {
            Self::Requests {
                fields,
                unseen,
                at_once,
            } => send_requests(server, fields, unseen, at_once, rounds)?,
            Self::Connections { others } => open_connections(server, others, rounds)?,
            Self::Messages {
                framing,
                receivers,
                senders,
            } => send_messages(server, framing, receivers, senders, rounds)?,
        }
        counted.stop()
    }
}

fn request(path: usize, fields: &str) -> String {
    format!("GET /{path:08} HTTP/1.1\r\n{fields}")
}

fn send_requests(
    server: &Server,
    fields: &str,
    unseen: bool,
    at_once: usize,
    rounds: usize,
) -> Result<()> {
    let mut peer = Peer::connect(server.address())?;
    for round in 0..rounds {
        let path = if unseen { round } else { 0 };
        peer.write(request(path, fields).repeat(at_once).as_bytes())?;
        peer.read_answers(at_once)?;
    }
    Ok(())
}

fn open_connections(server: &Server, others: usize, rounds: usize) -> Result<()> {
    let mut peers = std::collections::VecDeque::new();
    for _ in 0..others {
        let mut peer = Peer::connect(server.address())?;
        peer.write(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")?; // it is served when this is answered
        peer.read_head()?;
        peers.push_back(peer);
    }
    for _ in 0..rounds {
        server.pause()?;
        if peers.len() > others {
            peers.pop_front();
        }
        let mut peer = Peer::connect(server.address())?;
        peer.write(request(0, SHORT).as_bytes())?;
        server.resume()?;
        peer.read_answers(1)?;
        peers.push_back(peer);
    }
    Ok(())
}

fn send_messages(
    server: &Server,
    framing: &str,
    receivers: usize,
    senders: usize,
    rounds: usize,
) -> Result<()> {
    let body = "m".repeat(64);
    let message = match framing {
        "http" => format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 64\r\n\r\n{body}"),
        _ => body,
    };
    let own = usize::from(framing == "http"); // the answer to the sender
    let connect = |_| Peer::connect(server.address());
    let mut receiving = (0..receivers).map(connect).collect::<Result<Vec<_>>>()?;
    let mut sending = (0..senders).map(connect).collect::<Result<Vec<_>>>()?;
    for _ in 0..rounds {
        server.pause()?;
        for peer in &mut sending {
            peer.write(message.as_bytes())?;
        }
        server.resume()?;
        for peer in &mut receiving {
            peer.read_answers(senders)?;
        }
        for peer in &mut sending {
            peer.read_answers(senders - 1 + own)?;
        }
    }
    Ok(())
}

//! The parts of the bench: which work is given to which servers, and what is measured.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::Result;
use super::client::{Bounds, Connection, Crowd, Done, GET, HEAD, come_and_go, silent};
use super::fanout::Hall;
use super::figures::{Key, Measure};
use super::process::{Server, until};
use super::servers::{Job, Peer, Servers};
use super::{calls, tail, wrk};

/// Connections with a request under way, where there are more.
const AT_ONCE: usize = 64;

/// Requests written at once by a client that pipelines.
const PIPELINED: usize = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Requests,
    Connections,
    Idle,
    Fanout,
    GrowthRequests,
    GrowthConnections,
    GrowthFanout,
    Memory,
    Start,
    Calls,
    Tail,
    Broadcasts,
}

impl Part {
    pub(crate) const ALL: [Self; 12] = [
        Self::Requests,
        Self::Connections,
        Self::Idle,
        Self::Fanout,
        Self::GrowthRequests,
        Self::GrowthConnections,
        Self::GrowthFanout,
        Self::Memory,
        Self::Start,
        Self::Calls,
        Self::Tail,
        Self::Broadcasts,
    ];

    /// Its name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Connections => "connections",
            Self::Idle => "idle",
            Self::Fanout => "fanout",
            Self::GrowthRequests => "growth-requests",
            Self::GrowthConnections => "growth-connections",
            Self::GrowthFanout => "growth-fanout",
            Self::Memory => "memory",
            Self::Start => "start",
            Self::Calls => "calls",
            Self::Tail => "tail",
            Self::Broadcasts => "broadcasts",
        }
    }

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Requests => "Requests on connections that stay",
            Self::Connections => "A connection for each request",
            Self::Idle => "A connection that comes, asks and goes beside idle ones",
            Self::Fanout => "Messages to all others",
            Self::GrowthRequests => "Growth: a request, by the number of connections",
            Self::GrowthConnections => {
                "Growth: a connection and its request, by the number at a time"
            }
            Self::GrowthFanout => "Growth: a delivery, by the number of receivers",
            Self::Memory => "Memory",
            Self::Start => "Start",
            Self::Calls => "System calls",
            Self::Tail => "Tail: requests by the clock at half load",
            Self::Broadcasts => "Tail: small requests beside large broadcasts",
        }
    }

    /// What a reader must know to read its tables.
    pub(crate) fn explanation(self) -> &'static str {
        match self {
            Self::Requests => {
                "64 connections; the answer is the table of their 64 entries, about 2 KiB, or as many bytes. \
                 The client is wrk, or the bench's own where wrk is not installed."
            }
            Self::Connections => {
                "The client connects, sends one request, takes the answer and closes, 1 or 64 such \
                 connections at a time. The answer is the table, or as many bytes."
            }
            Self::Idle => {
                "One such connection at a time, while 9,500 others (1,000 with `--quick`) are open and silent. \
                 event-httpd and the C program answer with the table of them all, about 350 KB, whose \
                 text changes with every connection; nginx and hyper with at most 4,000 fixed bytes."
            }
            Self::Fanout => {
                "Messages of 64 bytes. Each sender sends one, and the next when everyone has received \
                 them all. Senders receive the others' messages, too; in Redis, as many subscribers stand for them."
            }
            Self::GrowthRequests => {
                "`HEAD` requests, 64 under way at any time, each connection in its turn."
            }
            Self::GrowthConnections => {
                "As above; the answer is the table of all that are open at the time."
            }
            Self::GrowthFanout => "16 senders, messages of 64 bytes.",
            Self::Memory => {
                "Resident memory of the process with 2,000 more connections that have sent nothing, and \
                 before any."
            }
            Self::Start => {
                "From the start of the process to the last byte of its first answer; the median of 21 starts."
            }
            Self::Calls => {
                "Counted by strace while the server works. Where several send, the server is stopped \
                 until all have, so that it finds their messages in one turn of its loop. A delivery is one \
                 message to one receiver."
            }
            Self::Tail => {
                "`HEAD` requests on 64 connections at half the rate that the same server reached just \
                 before, at random intervals. The time is counted from the moment at which a request was due."
            }
            Self::Broadcasts => {
                "One message of 64 bytes after the other to all receivers; meanwhile another client asks, \
                 at random moments, for something small: a request without a body, or Redis's `PING`."
            }
        }
    }

    fn peers(self) -> &'static [Peer] {
        match self {
            Self::Requests | Self::Connections | Self::Idle => &Peer::HTTP,
            Self::GrowthRequests | Self::Tail | Self::Start => &Peer::HTTP,
            Self::GrowthConnections => &Peer::TABLES,
            Self::Fanout | Self::GrowthFanout => &Peer::BROADCAST,
            Self::Broadcasts => &[Peer::Ours, Peer::Redis],
            Self::Memory | Self::Calls => &Peer::ALL,
        }
    }

    /// Its rows.
    fn works(self, quick: bool) -> Vec<Work> {
        let counts: &[usize] = match (self, quick) {
            (Self::GrowthRequests, false) => &[64, 512, 4096, 10_000],
            (Self::GrowthConnections, false) => &[1, 64, 512, 4096],
            (Self::GrowthFanout, false) => &[10, 100, 1000, 10_000],
            (Self::Broadcasts, false) => &[1000, 10_000],
            (Self::GrowthRequests | Self::GrowthConnections, true) => &[64, 1024],
            (Self::GrowthFanout | Self::Broadcasts, true) => &[100, 1000],
            _ => &[],
        };
        let counts = counts.iter().copied();
        match self {
            Self::Requests => vec![
                Work::Requests { pipelined: 1 },
                Work::Requests {
                    pipelined: PIPELINED,
                },
            ],
            Self::Connections => vec![Work::Connections(1), Work::Connections(64)],
            Self::Idle => vec![Work::Idle(if quick { 1000 } else { 9500 })],
            Self::Fanout => vec![
                Work::Fanout(100, 1),
                Work::Fanout(100, 16),
                Work::Fanout(1000, 16),
            ],
            Self::GrowthRequests => counts.map(Work::Crowd).collect(),
            Self::GrowthConnections => counts.map(Work::Connections).collect(),
            Self::GrowthFanout => counts.map(|count| Work::Fanout(count, 16)).collect(),
            Self::Memory => vec![Work::SilentHttp, Work::SilentReceivers],
            Self::Start => vec![Work::Start],
            Self::Calls => vec![
                Work::CallsOfRequests { pipelined: 1 },
                Work::CallsOfRequests {
                    pipelined: PIPELINED,
                },
                Work::CallsOfConnections,
                Work::CallsOfFanout(1),
                Work::CallsOfFanout(16),
            ],
            Self::Tail => vec![Work::HalfLoad],
            Self::Broadcasts => counts.map(Work::BesideBroadcasts).collect(),
        }
    }
}

/// One row: what a server is given to do.
#[derive(Clone, Copy, Debug)]
enum Work {
    Requests { pipelined: usize },
    Connections(usize),
    Idle(usize),
    Fanout(usize, usize),
    Crowd(usize),
    SilentHttp,
    SilentReceivers,
    Start,
    CallsOfRequests { pipelined: usize },
    CallsOfConnections,
    CallsOfFanout(usize),
    HalfLoad,
    BesideBroadcasts(usize),
}

type Values = Vec<(Measure, f64)>;

impl Work {
    fn name(self) -> String {
        match self {
            Self::Requests { pipelined: 1 } | Self::CallsOfRequests { pipelined: 1 } => {
                "request".into()
            }
            Self::Requests { pipelined } | Self::CallsOfRequests { pipelined } => {
                format!("request, pipelined by {pipelined}")
            }
            Self::Connections(count) => {
                format!("connection and request, {} at a time", comma(count))
            }
            Self::Idle(count) => {
                format!("connection and request beside {} idle ones", comma(count))
            }
            Self::Fanout(receivers, senders) => format!(
                "delivery, {} receivers, {senders} senders",
                comma(receivers)
            )
            .replace(" 1 senders", " 1 sender"),
            Self::Crowd(count) => format!("request, {} connections", comma(count)),
            Self::SilentHttp => "HTTP server".into(),
            Self::SilentReceivers => "broadcast".into(),
            Self::Start => "first answer".into(),
            Self::CallsOfConnections => "connection and request".into(),
            Self::CallsOfFanout(senders) => Self::Fanout(100, senders).name(),
            Self::HalfLoad => "request at half load".into(),
            Self::BesideBroadcasts(count) => {
                format!("small request beside broadcasts to {}", comma(count))
            }
        }
    }

    fn job(self) -> Job {
        match self {
            Self::Requests { .. } | Self::Crowd(_) | Self::HalfLoad => {
                Job::Http { connections: 64 }
            }
            Self::Connections(connections) | Self::Idle(connections) => Job::Http { connections },
            Self::SilentHttp | Self::Start => Job::Http { connections: 1 },
            Self::CallsOfRequests { .. } | Self::CallsOfConnections => Job::Http { connections: 1 },
            Self::Fanout(..) | Self::SilentReceivers | Self::CallsOfFanout(_) => Job::Broadcast,
            Self::BesideBroadcasts(_) => Job::BroadcastHttp,
        }
    }

    fn measure(
        self,
        peer: Peer,
        server: &Server,
        scale: Scale,
        servers: &Servers,
    ) -> Result<Values> {
        let address = server.address();
        match self {
            Self::Requests { pipelined } if wrk::is_installed() && !scale.quick => {
                with_processor(server, || {
                    wrk::run(address, AT_ONCE, pipelined, scale.time, servers)
                })
            }
            Self::Requests { pipelined } => {
                let mut crowd = Crowd::open(address, AT_ONCE)?;
                with_processor(server, || {
                    crowd.ask(&GET.repeat(pipelined), pipelined, AT_ONCE, scale.bounds())
                })
            }
            Self::Crowd(count) => {
                let mut crowd = Crowd::open(address, count)?;
                // Once round, so that every connection's memory is there.
                let warm = Bounds {
                    time: scale.time,
                    count,
                };
                crowd.ask(HEAD, 1, AT_ONCE, warm)?;
                with_processor(server, || crowd.ask(HEAD, 1, AT_ONCE, scale.bounds()))
            }
            Self::Connections(at_once) => connections(server, at_once, scale),
            Self::Idle(others) => {
                let _others = silent(server, others)?;
                connections(server, 1, scale)
            }
            Self::Fanout(receivers, senders) => {
                let mut hall = Hall::open(peer, server, receivers, senders)?;
                hall.round(None)?;
                with_processor(server, || hall.rounds(scale.bounds(), None))
            }
            Self::SilentHttp | Self::SilentReceivers => memory(server),
            Self::Start => Ok(Vec::new()),
            Self::CallsOfRequests { pipelined } => {
                let mut crowd = Crowd::open(address, 1)?;
                let bytes = GET.repeat(pipelined);
                system_calls(server, servers, || {
                    Ok(crowd.ask(&bytes, pipelined, 1, COUNTED)?.units)
                })
            }
            Self::CallsOfConnections => system_calls(server, servers, || {
                Ok(come_and_go(address, GET, 1, COUNTED)?.units)
            }),
            Self::CallsOfFanout(senders) => {
                let mut hall = Hall::open(peer, server, 100, senders)?;
                hall.round(None)?;
                let paused = (senders > 1).then_some(server);
                let bounds = Bounds {
                    count: 100_000,
                    ..COUNTED
                };
                system_calls(server, servers, || Ok(hall.rounds(bounds, paused)?.units))
            }
            Self::HalfLoad => half_load(server, scale),
            Self::BesideBroadcasts(receivers) => {
                let bounds = Bounds {
                    time: 4 * scale.time,
                    count: 5000,
                };
                let times = tail::beside_broadcasts(peer, server, receivers, bounds)?;
                Ok(vec![
                    (Measure::P50, times.within(0.5)),
                    (Measure::P99, times.within(0.99)),
                    (Measure::Longest, times.within(1.0)),
                ])
            }
        }
    }
}

/// What strace counts over.
const COUNTED: Bounds = Bounds {
    time: Duration::from_secs(2),
    count: 2000,
};

fn comma(count: usize) -> String {
    super::figures::grouped(count as f64)
}

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    pub(crate) time: Duration,
    pub(crate) repeats: usize,
    pub(crate) quick: bool,
}

impl Scale {
    fn bounds(self) -> Bounds {
        Bounds {
            time: self.time,
            count: 1_000_000,
        }
    }
}

/// Measures a part: each row with each server in turn, in new processes, several times. A figure is
/// the median. Also returns how many measurements have failed.
pub(crate) fn run(part: Part, scale: Scale, servers: &Servers) -> (Vec<(Key, f64)>, usize) {
    let mut figures = Vec::new();
    let mut failed = 0;
    let repeats = match part {
        Part::Calls => 1, // counts differ little
        _ => scale.repeats,
    };
    for work in part.works(scale.quick) {
        let mut values = BTreeMap::<(Measure, Peer), Vec<f64>>::new();
        for _ in 0..repeats {
            for &peer in part.peers() {
                match one(work, peer, scale, servers) {
                    Ok(measured) => {
                        for (measure, value) in measured {
                            values.entry((measure, peer)).or_default().push(value);
                        }
                    }
                    Err(error) => {
                        eprintln!("load: {}, {}: {error}", work.name(), peer.name());
                        failed += 1;
                    }
                }
            }
        }
        for ((measure, peer), mut values) in values {
            values.sort_unstable_by(f64::total_cmp);
            let key = Key {
                part: part.name().into(),
                work: work.name(),
                measure,
                peer,
            };
            figures.push((key, values[values.len() / 2]));
        }
    }
    (figures, failed)
}

/// One row with one server; nothing if it is not installed.
fn one(work: Work, peer: Peer, scale: Scale, servers: &Servers) -> Result<Values> {
    let begun = Instant::now();
    let values = match work {
        Work::Start => start(peer, scale, servers)?,
        _ => match servers.start(peer, work.job())? {
            Some(server) => work.measure(peer, &server, scale, servers)?,
            None => return Ok(Values::new()),
        },
    };
    let seconds = begun.elapsed().as_secs_f64();
    eprintln!("load: {seconds:4.1} s  {}, {}", work.name(), peer.name());
    Ok(values)
}

/// Processor time per unit and units per second of a run.
fn with_processor(server: &Server, run: impl FnOnce() -> Result<Done>) -> Result<Values> {
    let before = server.processor()?;
    let done = run()?;
    let time = server.processor()?.saturating_sub(before);
    let units = done.units.max(1) as f64;
    Ok(vec![
        (Measure::Processor, time.as_secs_f64() * 1e6 / units),
        (Measure::Rate, units / done.time.as_secs_f64()),
        (Measure::Resident, server.memory()? as f64 / 1e6),
    ])
}

fn connections(server: &Server, at_once: usize, scale: Scale) -> Result<Values> {
    let address = server.address();
    let warm = Bounds {
        time: scale.time / 10,
        count: 2 * at_once,
    };
    come_and_go(address, GET, at_once, warm)?;
    with_processor(server, || {
        come_and_go(address, GET, at_once, scale.bounds())
    })
}

fn memory(server: &Server) -> Result<Values> {
    const COUNT: usize = 2000;
    let at_start = server.memory()?;
    let descriptors = server.descriptors()?;
    // What the first connections make a server allocate once does not belong to one.
    drop(silent(server, 16)?);
    until(
        "all are closed",
        || Ok(server.descriptors()? <= descriptors),
    )?;
    let before = server.memory()?;
    let _connections = silent(server, COUNT)?;
    let grown = server.memory()?.saturating_sub(before);
    Ok(vec![
        (Measure::Resident, at_start as f64 / 1e6),
        (Measure::PerConnection, grown as f64 / COUNT as f64),
    ])
}

/// The time to the first answer.
fn start(peer: Peer, scale: Scale, servers: &Servers) -> Result<Values> {
    let mut times = Vec::new();
    for _ in 0..if scale.quick { 5 } else { 21 } {
        let begun = Instant::now();
        let Some(mut server) = servers.launch(peer, Work::Start.job())? else {
            return Ok(Values::new());
        };
        let mut connection = Connection::from(server.first_connection()?);
        connection.send(GET, 1)?;
        connection.finish(&mut [0; 4096])?;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_unstable_by(f64::total_cmp);
    Ok(vec![(Measure::Start, times[times.len() / 2])])
}

fn system_calls(
    server: &Server,
    servers: &Servers,
    work: impl FnOnce() -> Result<usize>,
) -> Result<Values> {
    let (calls, units) = calls::count(server, servers.directory(), work)?;
    Ok(vec![(Measure::Calls, calls as f64 / units.max(1) as f64)])
}

fn half_load(server: &Server, scale: Scale) -> Result<Values> {
    let mut crowd = Crowd::open(server.address(), AT_ONCE)?;
    let most = crowd.ask(HEAD, 1, AT_ONCE, scale.bounds())?;
    let rate = most.units as f64 / most.time.as_secs_f64() / 2.0;
    let times = tail::by_the_clock(&mut crowd, rate, 3 * scale.time)?;
    Ok(vec![
        (Measure::Rate, rate),
        (Measure::P50, times.within(0.5)),
        (Measure::P99, times.within(0.99)),
        (Measure::P999, times.within(0.999)),
    ])
}

//! `benches/RESULTS.md`: the goals beside what is measured, and a table for each measure.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::{fs, io};

use super::Result;
use super::figures::{Figures, Measure, grouped};
use super::parts::Part;
use super::servers::Peer;
use super::{FOLDER, machine};

/// A part's tables, one for each measure: a row for each work, a column for each server.
pub(crate) fn part(part: Part, figures: &Figures) -> Result<String> {
    let mut text = String::new();
    let name = part.name();
    writeln!(text, "## {}\n\n{}", part.title(), part.explanation())?;
    for measure in Measure::ALL {
        let mut works = Vec::new();
        let mut peers = Vec::new();
        for (key, _) in figures.of(name).filter(|(key, _)| key.measure == measure) {
            if !works.contains(&&key.work) {
                works.push(&key.work);
            }
            if !peers.contains(&key.peer) {
                peers.push(key.peer);
            }
        }
        if works.is_empty() {
            continue;
        }
        peers.sort_unstable();
        let names = peers.iter().map(|peer| peer.name()).collect::<Vec<_>>();
        writeln!(text, "\n| {} | {} |", measure.name(), names.join(" | "))?;
        writeln!(text, "|---|{}", "---:|".repeat(peers.len()))?;
        for work in works {
            write!(text, "| {work} |")?;
            for &peer in &peers {
                let value = figures.get(name, work, measure, peer);
                let cell = value.map_or("–".into(), |value| measure.write(value));
                write!(text, " {cell} |")?;
            }
            writeln!(text)?;
        }
    }
    if let Some(note) = figures.note(name) {
        writeln!(text, "\n<sub>{note}</sub>")?;
    }
    Ok(text)
}

const INTRODUCTION: &str = "# What is measured

`cargo bench -p event-httpd --bench load -- --store` writes this page, [`load.tsv`](load.tsv) and
[`load.svg`](load.svg). It takes the instructions from
[`instructions.md`](../event-httpd/benches/instructions.md), which
`cargo bench -p event-httpd --bench instructions -- --store` writes, and those of the
library from [`micro.md`](micro.md).

Each server is one process on one processor, and new for every figure; the client has another
processor. Everything is on one machine, over the loopback device. A figure is the median of three runs of a
second. \"C on libevent\" are [two small programs](../event-httpd/benches/load) that do only what
they must and check nothing: a lower bound, not servers to use. The line below each table says when
and where it was measured.

![Bars: event-httpd beside the others](load.svg)
";

/// The whole page.
pub(crate) fn all(figures: &Figures) -> Result<String> {
    let mut text = String::from(INTRODUCTION);
    writeln!(
        text,
        "\nCompared: {}.\n\n{}",
        machine::versions()?,
        goals(figures)?
    )?;
    if let Some(table) = library()? {
        writeln!(
            text,
            "## The library beside C\n\nInstructions of one operation; [micro.md](micro.md) says how they are counted.\n\n{table}\n"
        )?;
    }
    for each in Part::ALL {
        if figures.note(each.name()).is_some() {
            writeln!(text, "{}", part(each, figures)?)?;
        }
    }
    Ok(text.trim_end().to_owned() + "\n")
}

/// A goal that this bench measures.
struct Goal {
    work: &'static str,
    before: &'static str,
    row: Row,
    bound: Bound,
}

/// Where its figure stands.
#[derive(Clone, Copy)]
struct Row {
    part: Part,
    work: &'static str,
    measure: Measure,
    /// Another row of the part: the figure is the quotient.
    over: Option<&'static str>,
}

#[derive(Clone, Copy)]
enum Bound {
    Most(f64),
    /// So many times what the C program needs.
    OfTwin(f64),
    /// A figure is stated.
    None,
}

/// What two counts or runs of the same may differ by.
const NOISE: f64 = 1.01;

const fn row(part: Part, work: &'static str, measure: Measure) -> Row {
    Row {
        part,
        work,
        measure,
        over: None,
    }
}

const fn growth(part: Part, work: &'static str, over: &'static str) -> Row {
    Row {
        part,
        work,
        measure: Measure::Processor,
        over: Some(over),
    }
}

impl Row {
    fn of(self, figures: &Figures, peer: Peer) -> Option<f64> {
        let get = |work| figures.get(self.part.name(), work, self.measure, peer);
        match self.over {
            None => get(self.work),
            Some(over) => Some(get(self.work)? / get(over)?),
        }
    }

    fn write(self, value: f64) -> String {
        match self.over {
            None => self.measure.write(value),
            Some(_) => format!("{value:.2}"),
        }
    }
}

impl Bound {
    fn name(self, row: Row) -> String {
        match self {
            Self::Most(most) => row.write(most),
            Self::OfTwin(1.0) => "as C".into(),
            Self::OfTwin(factor) => format!("{factor} × C"),
            Self::None => "stated".into(),
        }
    }

    fn verdict(self, ours: Option<f64>, twin: Option<f64>) -> &'static str {
        let bound = match self {
            Self::Most(most) => Some(most),
            Self::OfTwin(factor) => twin.map(|twin| twin * factor * NOISE),
            Self::None => return "",
        };
        match (ours, bound) {
            (Some(ours), Some(bound)) => verdict(ours, bound),
            _ => "not measured",
        }
    }
}

const fn goal(work: &'static str, before: &'static str, row: Row, bound: Bound) -> Goal {
    Goal {
        work,
        before,
        row,
        bound,
    }
}

#[rustfmt::skip]
const GOALS: [Goal; 19] = [
    goal("processor time of a connection beside 9,500 idle ones, µs", "3,500", row(Part::Idle, "connection and request beside 9,500 idle ones", Measure::Processor), Bound::Most(150.0)),
    goal("processor time of a delivery, 100 receivers, 16 senders, µs", "–", row(Part::Fanout, "delivery, 100 receivers, 16 senders", Measure::Processor), Bound::OfTwin(1.05)),
    goal("system calls of a request", "as C", row(Part::Calls, "request", Measure::Calls), Bound::OfTwin(1.0)),
    goal("system calls of a request, pipelined by 16", "as C", row(Part::Calls, "request, pipelined by 16", Measure::Calls), Bound::OfTwin(1.0)),
    goal("system calls of a connection and its request", "as C", row(Part::Calls, "connection and request", Measure::Calls), Bound::OfTwin(1.0)),
    goal("system calls of a delivery, 1 sender", "as C", row(Part::Calls, "delivery, 100 receivers, 1 sender", Measure::Calls), Bound::OfTwin(1.0)),
    goal("system calls of a delivery, 16 senders", "as C", row(Part::Calls, "delivery, 100 receivers, 16 senders", Measure::Calls), Bound::OfTwin(1.0)),
    goal("bytes per silent connection, `serve`", "756", row(Part::Memory, "HTTP server", Measure::PerConnection), Bound::Most(528.0)),
    goal("bytes per silent connection, receiver of `broadcast`", "706", row(Part::Memory, "broadcast", Measure::PerConnection), Bound::Most(528.0)),
    goal("resident at start, MB", "5.7", row(Part::Memory, "HTTP server", Measure::Resident), Bound::Most(3.0)),
    goal("start to first answer, ms", "9.5", row(Part::Start, "first answer", Measure::Start), Bound::Most(5.0)),
    goal("growth: a request with 10,000 connections over one with 64", "–", growth(Part::GrowthRequests, "request, 10,000 connections", "request, 64 connections"), Bound::OfTwin(1.05)),
    goal("growth: a delivery to 10,000 receivers over one to 100", "–", growth(Part::GrowthFanout, "delivery, 10,000 receivers, 16 senders", "delivery, 100 receivers, 16 senders"), Bound::OfTwin(1.05)),
    goal("growth: a connection and its request, 64 at a time over 1 at a time", "–", growth(Part::GrowthConnections, "connection and request, 64 at a time", "connection and request, 1 at a time"), Bound::Most(1.0)),
    goal("growth: the same, 4,096 at a time over 64", "–", growth(Part::GrowthConnections, "connection and request, 4,096 at a time", "connection and request, 64 at a time"), Bound::OfTwin(1.05)),
    goal("99 % of requests at half load answered within, µs", "–", row(Part::Tail, "request at half load", Measure::P99), Bound::OfTwin(1.05)),
    goal("99.9 % of requests at half load answered within, µs", "–", row(Part::Tail, "request at half load", Measure::P999), Bound::OfTwin(1.05)),
    goal("a broadcast to 1,000 receivers holds a small request up for at most, µs", "–", row(Part::Broadcasts, "small request beside broadcasts to 1,000", Measure::Longest), Bound::None),
    goal("the same with 10,000 receivers, µs", "–", row(Part::Broadcasts, "small request beside broadcasts to 10,000", Measure::Longest), Bound::None),
];

/// Rows of `instructions.md`, with what they were and what C needed when the goals were set.
const INSTRUCTIONS: [(&str, &str, &str); 11] = [
    ("request, head seen before, short", "2,663", "812"),
    ("request, head seen before, browser's", "5,122", "–"),
    ("request, head not seen before, short", "2,812", "–"),
    ("request, head not seen before, browser's", "5,115", "–"),
    ("request, pipelined by 16", "1,504–1,610", "430–454"),
    ("connection and request, 1 at a time", "9,510", "10,696"),
    (
        "connection and request, 64 at a time",
        "28,000–38,000",
        "3,502",
    ),
    ("connection and request, 4,096 at a time", "2.54 M", "–"),
    ("fan-out to 100, 1 sender", "883", "44"),
    ("fan-out to 100, 16 senders", "321", "20"),
    ("fan-out to 1,000, 16 senders", "300", "–"),
];

/// The table of goals.
fn goals(figures: &Figures) -> Result<String> {
    let mut text = String::from(
        "## Goals\n\n| work | when the goal was set | C on libevent | goal | measured | |\n|---|---:|---:|---:|---:|---|\n",
    );
    for (work, goal, measured) in instructions()? {
        if work.starts_with("bytes") || work.starts_with("microseconds") {
            continue; // below, beside C
        }
        let known = INSTRUCTIONS.iter().find(|(name, ..)| *name == work);
        let (before, twin) = known.map_or(("–", "–"), |(_, before, twin)| (before, twin));
        let verdict = verdict(measured, goal);
        writeln!(
            text,
            "| instructions: {work} | {before} | {twin} | {} | {} | {verdict} |",
            grouped(goal),
            grouped(measured),
        )?;
    }
    writeln!(
        text,
        "| allocations of a warm request, and per delivery | 1.02 | 0 | 0.05 | \
         `cargo test -p event-httpd --test allocations` asserts it | |"
    )?;
    for goal in &GOALS {
        let (ours, twin) = (
            goal.row.of(figures, Peer::Ours),
            goal.row.of(figures, Peer::Twin),
        );
        let shown = |value: Option<f64>| value.map_or("–".into(), |value| goal.row.write(value));
        writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} |",
            goal.work,
            goal.before,
            shown(twin),
            goal.bound.name(goal.row),
            shown(ours),
            goal.bound.verdict(ours, twin),
        )?;
    }
    Ok(text)
}

/// What `benches/micro.md` says, which the bench `micro` writes.
fn library() -> Result<Option<String>> {
    let text = match fs::read_to_string(format!("{FOLDER}/micro.md")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text?,
    };
    let table = text
        .split_once("<!-- table -->")
        .and_then(|(_, rest)| rest.split_once("<!-- end of table -->"));
    Ok(table.map(|(table, _)| table.trim().to_owned()))
}

fn verdict(measured: f64, goal: f64) -> &'static str {
    if measured <= goal { "met" } else { "not met" }
}

/// The rows of `instructions.md`: name, goal, measured.
fn instructions() -> Result<Vec<(String, f64, f64)>> {
    let text = fs::read_to_string(format!("{FOLDER}/../event-httpd/benches/instructions.md"))?;
    let rows = text.lines().filter_map(|line| {
        let cells = line.split('|').map(str::trim).collect::<Vec<_>>();
        let [_, name, goal, measured, _] = cells[..] else {
            return None;
        };
        Some((name.to_owned(), goal.parse().ok()?, measured.parse().ok()?))
    });
    Ok(rows.collect())
}

/// The figures of a row by server, for a plot.
pub(crate) fn by_server(
    figures: &Figures,
    part: Part,
    work: &str,
    measure: Measure,
) -> BTreeMap<Peer, f64> {
    let of = |peer| Some((peer, figures.get(part.name(), work, measure, peer)?));
    Peer::ALL.into_iter().filter_map(of).collect()
}

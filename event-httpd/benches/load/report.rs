//! `benches/RESULTS.md`: the goals beside what is measured, and a table for each measure.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use super::Result;
use super::figures::{Figures, Measure};
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
`cargo bench -p event-httpd --bench instructions -- --store` writes, and those of the library
from `cargo bench --bench micro`.

Each server is one process on one processor, and new for every figure; the client has another
processor. Everything is on one machine, over the loopback device. A figure is the median of three runs of a
second. \"C on libevent\" are [two small programs](../event-httpd/benches/load) that do no more than
they must and check nothing: the bound, not a server to use. The line below each table says when
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
    part: Part,
    row: &'static str,
    measure: Measure,
    bound: Bound,
}

enum Bound {
    Most(f64),
    /// So many times what the C program needs.
    OfTwin(f64),
}

const fn goal(
    work: &'static str,
    before: &'static str,
    part: Part,
    row: &'static str,
    measure: Measure,
    bound: Bound,
) -> Goal {
    Goal {
        work,
        before,
        part,
        row,
        measure,
        bound,
    }
}

#[rustfmt::skip]
const GOALS: [Goal; 11] = [
    goal("processor time of a connection beside 9,500 idle ones, µs", "3,500", Part::Idle, "connection and request beside 9,500 idle ones", Measure::Processor, Bound::Most(150.0)),
    goal("processor time of a delivery, 100 receivers, 16 senders, µs", "", Part::Fanout, "delivery, 100 receivers, 16 senders", Measure::Processor, Bound::OfTwin(1.05)),
    goal("system calls of a request", "as C", Part::Calls, "request", Measure::Calls, Bound::OfTwin(1.01)),
    goal("system calls of a request, pipelined by 16", "as C", Part::Calls, "request, pipelined by 16", Measure::Calls, Bound::OfTwin(1.01)),
    goal("system calls of a connection and its request", "as C", Part::Calls, "connection and request", Measure::Calls, Bound::OfTwin(1.01)),
    goal("system calls of a delivery, 1 sender", "as C", Part::Calls, "delivery, 100 receivers, 1 sender", Measure::Calls, Bound::OfTwin(1.01)),
    goal("system calls of a delivery, 16 senders", "as C", Part::Calls, "delivery, 100 receivers, 16 senders", Measure::Calls, Bound::OfTwin(1.01)),
    goal("bytes per silent connection, `serve`", "756", Part::Memory, "HTTP server", Measure::PerConnection, Bound::Most(528.0)),
    goal("bytes per silent connection, receiver of `broadcast`", "706", Part::Memory, "broadcast", Measure::PerConnection, Bound::Most(528.0)),
    goal("resident at start, MB", "5.7", Part::Memory, "HTTP server", Measure::Resident, Bound::Most(3.0)),
    goal("start to first answer, ms", "9.5", Part::Start, "first answer", Measure::Start, Bound::Most(5.0)),
];

/// Rows of `instructions.md`, with what they were and what C needed when the goals were set.
const INSTRUCTIONS: [(&str, &str, &str); 9] = [
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
];

/// The table of goals.
fn goals(figures: &Figures) -> Result<String> {
    let mut text = String::from(
        "## Goals\n\n| work | when the goal was set | C on libevent | goal | measured | |\n|---|---:|---:|---:|---:|---|\n",
    );
    for (work, goal, measured) in instructions()? {
        let known = INSTRUCTIONS.iter().find(|(name, ..)| *name == work);
        let (before, twin) = known.map_or(("–", "–"), |(_, before, twin)| (before, twin));
        let verdict = verdict(measured, goal);
        writeln!(
            text,
            "| instructions: {work} | {before} | {twin} | {goal:.0} | {measured:.0} | {verdict} |"
        )?;
    }
    for goal in &GOALS {
        let of = |peer| figures.get(goal.part.name(), goal.row, goal.measure, peer);
        let (ours, twin) = (of(Peer::Ours), of(Peer::Twin));
        let bound = match goal.bound {
            Bound::Most(bound) => Some(bound),
            Bound::OfTwin(factor) => twin.map(|twin| twin * factor),
        };
        let shown =
            |value: Option<f64>| value.map_or("–".into(), |value| goal.measure.write(value));
        let verdict = ours
            .zip(bound)
            .map_or("not measured", |(ours, bound)| verdict(ours, bound));
        let before = if goal.before.is_empty() {
            "–"
        } else {
            goal.before
        };
        writeln!(
            text,
            "| {} | {before} | {} | {} | {} | {verdict} |",
            goal.work,
            shown(twin),
            shown(bound),
            shown(ours)
        )?;
    }
    Ok(text)
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
pub(crate) fn row(
    figures: &Figures,
    part: Part,
    work: &str,
    measure: Measure,
) -> BTreeMap<Peer, f64> {
    let of = |peer| Some((peer, figures.get(part.name(), work, measure, peer)?));
    Peer::ALL.into_iter().filter_map(of).collect()
}

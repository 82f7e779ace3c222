//! Single operations of the library, and the same loops in C on libevent, or on httparse.
//!
//! `benches/micro.rs` counts their instructions, `benches/time.rs` measures their time.
#![allow(missing_docs, reason = "for the two benches beside it")]

mod rows;
mod twin;

use std::error::Error;

use test_support::tls::server_file;

/// Which of the two loops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// On the library.
    Ours,
    /// In C, or on httparse.
    Bare,
}

/// One operation.
#[derive(Debug)]
pub struct Row {
    pub name: &'static str,
    /// The most that ours may take, as a multiple of the bare loop.
    pub goal: f64,
    /// How many units callgrind counts: the difference of the two.
    pub units: [u64; 2],
    work: Work,
}

#[derive(Clone, Copy, Debug)]
enum Work {
    Fire,
    Active,
    Timer,
    Make,
    Buffer,
    Search,
    Line,
    Echo,
    Http,
    Tls,
    Head(usize),
    Refusal,
}

const fn row(name: &'static str, goal: f64, work: Work) -> Row {
    let units = match work {
        Work::Http | Work::Tls => [100, 600],
        _ => [1_000, 6_000],
    };
    Row {
        name,
        goal,
        units,
        work,
    }
}

pub const ROWS: [Row; 14] = [
    row("event firing", 1.10, Work::Fire),
    row("active and firing", 1.25, Work::Active),
    row("timer added and deleted", 1.25, Work::Timer),
    row("timer made and freed", 1.25, Work::Make),
    row("buffer: 14 bytes added and drained", 1.25, Work::Buffer),
    row("buffer: search in 560 bytes", 1.25, Work::Search),
    row("buffer: line added and read", 1.25, Work::Line),
    row("buffer event: echo of 100 bytes", 1.25, Work::Echo),
    row("EventHttp: request, checked", 1.25, Work::Http),
    row("TLS: echo of 100 bytes", 1.25, Work::Tls),
    row("head of 40 bytes, beside httparse", 1.25, Work::Head(40)),
    row("head of 400 bytes, beside httparse", 1.25, Work::Head(400)),
    row(
        "head of 4,000 bytes, beside httparse",
        1.25,
        Work::Head(4_000),
    ),
    row("answer to a refused request", 1.25, Work::Refusal),
];

impl Row {
    /// Does so many units.
    ///
    /// # Errors
    /// What failed on our side; C ends the process.
    pub fn run(&self, side: Side, units: u64) -> Result<(), Box<dyn Error>> {
        match side {
            Side::Ours => self.work.ours(units),
            Side::Bare => self.work.bare(units),
        }
    }
}

impl Work {
    fn ours(self, units: u64) -> rows::Result {
        match self {
            Self::Fire => rows::fire(units),
            Self::Active => rows::active(units),
            Self::Timer => rows::timer(units),
            Self::Make => rows::make(units),
            Self::Buffer => rows::buffer(units),
            Self::Search => rows::search(units),
            Self::Line => rows::line(units),
            Self::Echo => rows::echo(units),
            Self::Http => rows::http(units),
            Self::Tls => rows::tls(units, server_file()),
            Self::Head(length) => rows::decode(units, length),
            Self::Refusal => rows::refusal(units),
        }
    }

    fn bare(self, units: u64) -> rows::Result {
        match self {
            Self::Fire => twin::fire(units),
            Self::Active => twin::active(units),
            Self::Timer => twin::timer(units),
            Self::Make => twin::make(units),
            Self::Buffer => twin::buffer(units),
            Self::Search => twin::search(units),
            Self::Line => twin::line(units),
            Self::Echo => twin::echo(units),
            Self::Http => return twin::http(|port, turn| rows::ask(units, port, turn)),
            Self::Tls => twin::tls(units, server_file()),
            Self::Head(length) => return rows::parse(units, length),
            Self::Refusal => twin::refusal(units),
        }
        Ok(())
    }
}

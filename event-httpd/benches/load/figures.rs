//! What is measured: figures, kept in `benches/load.tsv` between runs of single parts.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::{fs, io};

use super::Result;
use super::servers::Peer;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Measure {
    /// Microseconds of processor time per unit of work.
    Processor,
    /// Units of work per second.
    Rate,
    /// Resident megabytes.
    Resident,
    /// Resident bytes per connection.
    PerConnection,
    /// Milliseconds.
    Start,
    /// System calls per unit of work.
    Calls,
    /// Microseconds within which that part of the requests was answered.
    P50,
    P99,
    P999,
    Longest,
}

impl Measure {
    pub(crate) const ALL: [Self; 10] = [
        Self::Processor,
        Self::Rate,
        Self::Resident,
        Self::PerConnection,
        Self::Start,
        Self::Calls,
        Self::P50,
        Self::P99,
        Self::P999,
        Self::Longest,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Processor => "µs of processor time each",
            Self::Rate => "per second",
            Self::Resident => "resident MB",
            Self::PerConnection => "bytes per connection",
            Self::Start => "ms",
            Self::Calls => "system calls each",
            Self::P50 => "median µs",
            Self::P99 => "99 % within µs",
            Self::P999 => "99.9 % within µs",
            Self::Longest => "longest µs",
        }
    }

    pub(crate) fn write(self, value: f64) -> String {
        match self {
            Self::Rate | Self::PerConnection => grouped(value),
            Self::P50 | Self::P99 | Self::P999 | Self::Longest => grouped(value),
            Self::Calls if value < 0.1 => format!("{value:.4}"),
            Self::Processor if value < 10.0 => format!("{value:.2}"),
            Self::Processor => format!("{value:.1}"),
            Self::Calls | Self::Start | Self::Resident => format!("{value:.2}"),
        }
    }
}

/// A whole number with a comma between thousands.
pub(crate) fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Where a figure belongs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) part: String,
    pub(crate) work: String,
    pub(crate) measure: Measure,
    pub(crate) peer: Peer,
}

/// All figures, in the order in which they were measured, and what is said of each part: when and
/// where it was measured.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    values: Vec<(Key, f64)>,
    notes: BTreeMap<String, String>,
}

impl Figures {
    /// Those of a file; none if there is no file.
    pub(crate) fn read(path: &str) -> Result<Self> {
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            text => text?,
        };
        let mut figures = Self::default();
        for line in text.lines() {
            match line.split('\t').collect::<Vec<_>>()[..] {
                [part, note] => {
                    figures.notes.insert(part.to_owned(), note.to_owned());
                }
                [part, work, measure, peer, value] => {
                    let measure = Measure::ALL.into_iter().find(|m| m.name() == measure);
                    let peer = Peer::ALL.into_iter().find(|p| p.name() == peer);
                    let (Some(measure), Some(peer)) = (measure, peer) else {
                        continue; // of an older version of this bench
                    };
                    let key = Key {
                        part: part.to_owned(),
                        work: work.to_owned(),
                        measure,
                        peer,
                    };
                    figures.values.push((key, value.parse()?));
                }
                _ => return Err(format!("{path}: {line:?}").into()),
            }
        }
        Ok(figures)
    }

    pub(crate) fn write(&self, path: &str) -> Result<()> {
        let mut text = String::new();
        for (part, note) in &self.notes {
            writeln!(text, "{part}\t{note}")?;
        }
        for (key, value) in &self.values {
            let (measure, peer) = (key.measure.name(), key.peer.name());
            writeln!(
                text,
                "{}\t{}\t{measure}\t{peer}\t{value:.4}",
                key.part, key.work
            )?;
        }
        Ok(fs::write(path, text)?)
    }

    /// Replaces a part.
    pub(crate) fn replace(&mut self, part: &str, note: String, values: Vec<(Key, f64)>) {
        self.values.retain(|(key, _)| key.part != part);
        self.values.extend(values);
        self.notes.insert(part.to_owned(), note);
    }

    pub(crate) fn note(&self, part: &str) -> Option<&str> {
        self.notes.get(part).map(String::as_str)
    }

    pub(crate) fn of(&self, part: &str) -> impl Iterator<Item = &(Key, f64)> {
        self.values.iter().filter(move |(key, _)| key.part == part)
    }

    pub(crate) fn get(&self, part: &str, work: &str, measure: Measure, peer: Peer) -> Option<f64> {
        self.of(part)
            .find(|(key, _)| key.work == work && key.measure == measure && key.peer == peer)
            .map(|(_, value)| *value)
    }
}

//! The stored figures: a table in `benches/instructions.md`.

use std::collections::BTreeMap;
use std::{fs, io};

use super::Result;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions.md");

const INTRODUCTION: &str = "# Instructions per unit of work

User-space instructions that `event-httpd` executes, counted by Callgrind as the difference of two
runs. `cargo bench -p event-httpd --bench instructions -- --store` writes this file, and
`.ci/run instructions` fails when a row needs 3 % more than it says, or 10 % with 1,000
connections or more; CI, on whatever processor, fails when one needs 25 % more. A delivery is one
message to one receiver. The last rows are not instructions: of the memory at the start the gate allows
10 % more, and the time to the first answer is only shown.

| work | goal | measured |
|---|---:|---:|
";

/// The figures by the names of their rows.
pub(crate) fn read() -> Result<BTreeMap<String, f64>> {
    let text = match fs::read_to_string(PATH) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        text => text?,
    };
    let mut figures = BTreeMap::new();
    for line in text.lines() {
        let cells = line.split('|').map(str::trim).collect::<Vec<_>>();
        if let [_, name, _, measured, _] = cells[..]
            && let Ok(measured) = measured.parse()
        {
            figures.insert(name.to_owned(), measured);
        }
    }
    Ok(figures)
}

/// One line of the table.
pub(crate) fn line(name: &str, goal: u64, measured: f64) -> String {
    format!("| {name} | {goal} | {measured:.1} |")
}

/// Writes the table. The sections after it are written by hand, and stay.
pub(crate) fn write(table: &str) -> Result<()> {
    let before = fs::read_to_string(PATH).unwrap_or_default();
    let sections = before.find("\n## ").and_then(|start| before.get(start..));
    let sections = sections.unwrap_or_default();
    Ok(fs::write(PATH, format!("{INTRODUCTION}{table}{sections}"))?)
}

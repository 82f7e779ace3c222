//! Counts the instructions that one of each takes in user space, under Callgrind, on the library
//! and in C, and writes the ratios.
//!
//! Each loop runs twice, with fewer and with more units. The difference leaves out the start and
//! the end, and does not depend on how busy the machine is.
//!
//! ```sh
//! cargo bench -p php-event-micro --bench micro              # prints the table
//! cargo bench -p php-event-micro --bench micro -- --store   # writes it to benches/micro.md, too
//! cargo bench -p php-event-micro --bench micro -- buffer    # rows whose name has this
//! ```

use std::error::Error;
use std::fmt::Write as _;
use std::process::{ExitCode, Stdio};
use std::{env, fs};

use php_event_micro::{ROWS, Row, Side};
use test_support::callgrind::Profile;

/// What this program is called with to run one loop.
const ONE: &str = "--one";

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../micro.md");
const BEGIN: &str = "<!-- table -->\n";
const END: &str = "<!-- end of table -->\n";

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let arguments = env::args().skip(1).collect::<Vec<_>>();
    let texts = arguments.iter().map(String::as_str).collect::<Vec<_>>();
    let result = match texts[..] {
        [ONE, side, name, units] => one(side, name, units),
        _ => all(&texts),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("micro: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs one loop, in the process that Callgrind watches.
fn one(side: &str, name: &str, units: &str) -> Result<()> {
    let row = ROWS
        .iter()
        .find(|row| row.name == name)
        .ok_or("no such row")?;
    let side = if side == "ours" {
        Side::Ours
    } else {
        Side::Bare
    };
    row.run(side, units.parse()?)
}

fn all(arguments: &[&str]) -> Result<()> {
    let store = arguments.contains(&"--store");
    let filter = arguments.iter().find(|argument| !argument.starts_with('-'));
    let mut table =
        "| one of | bare | ours | ratio | goal |\n|---|---:|---:|---:|---:|\n".to_owned();
    for row in &ROWS {
        if filter.is_some_and(|filter| !row.name.contains(filter)) {
            continue;
        }
        let (ours, bare) = (count(row, "ours")?, count(row, "bare")?);
        let ratio = ours / bare;
        let (name, goal) = (row.name, row.goal);
        println!("{name:40} {bare:>9.0} {ours:>9.0}  {ratio:.2}  (goal {goal:.2})");
        writeln!(
            table,
            "| {name} | {bare:.0} | {ours:.0} | {ratio:.2} | {goal:.2} |"
        )?;
    }
    if store && filter.is_none() {
        let text = fs::read_to_string(PATH)?;
        let (before, rest) = text.split_once(BEGIN).ok_or("micro.md has no table")?;
        let (_, after) = rest
            .split_once(END)
            .ok_or("micro.md has no end of the table")?;
        fs::write(PATH, format!("{before}{BEGIN}{table}{END}{after}"))?;
    }
    Ok(())
}

/// Instructions per unit.
fn count(row: &Row, side: &str) -> Result<f64> {
    let [few, many] = row.units;
    let counted = |units: u64| -> Result<u64> {
        let profile = Profile::new();
        let status = profile
            .command(env::current_exe()?)
            .args([ONE, side, row.name, &units.to_string()])
            .stdin(Stdio::null())
            .status()
            .map_err(|error| format!("cannot run valgrind: {error}"))?;
        if !status.success() {
            return Err(format!("{} ({side}) ended with {status}", row.name).into());
        }
        Ok(profile.instructions()?)
    };
    let difference = counted(many)?.saturating_sub(counted(few)?);
    Ok(difference as f64 / (many - few) as f64)
}

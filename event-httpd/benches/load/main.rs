//! Compares `event-httpd` with a C program on libevent, nginx, hyper and Redis: processor time per
//! request and per delivery, memory, start, system calls, growth, and how long requests wait.
//!
//! Every figure comes from a new server process on a processor of its own; this program and wrk
//! are on another. Processor time is the kernel's, so a busy machine changes it little, but it does
//! change rates and waiting times. All sockets are on the loopback device.
//!
//! ```sh
//! cargo bench -p event-httpd --bench load                      # all parts, prints tables
//! cargo bench -p event-httpd --bench load -- --quick           # a trial in a minute
//! cargo bench -p event-httpd --bench load -- fanout idle       # single parts
//! cargo bench -p event-httpd --bench load -- --store           # writes what it measures
//! cargo bench -p event-httpd --bench load -- --render          # writes RESULTS.md from stored figures
//! cargo bench -p event-httpd --bench load -- --profile         # the most expensive functions, by Callgrind
//! EVENT_HTTPD=target/release/event-httpd cargo bench …         # another binary
//! ```
//!
//! With `--store`, the figures go to `benches/load.tsv`, and `benches/RESULTS.md` and
//! `benches/load.svg` are made of all that is stored; with `--profile --store`, the tables of
//! `benches/PROFILE.md` are replaced. A server that is not installed is left out.

#[path = "../support/process.rs"]
mod process;

mod calls;
mod client;
mod fanout;
mod figures;
mod machine;
mod parts;
mod plot;
mod profile;
mod report;
mod servers;
mod tail;
mod wrk;

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use figures::Figures;
use parts::{Part, Scale};
use servers::Servers;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Where the stored figures and what is made of them stand.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../benches");

const FULL: Scale = Scale {
    time: Duration::from_secs(1),
    repeats: 3,
    quick: false,
};

const QUICK: Scale = Scale {
    time: Duration::from_millis(200),
    repeats: 1,
    quick: true,
};

struct Arguments {
    parts: Vec<Part>,
    scale: Scale,
    store: bool,
    render: bool,
    profile: bool,
}

fn main() -> ExitCode {
    match arguments().and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn arguments() -> Result<Arguments> {
    let mut arguments = Arguments {
        parts: Vec::new(),
        scale: FULL,
        store: false,
        render: false,
        profile: false,
    };
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--bench" => {} // cargo's
            "--quick" => arguments.scale = QUICK,
            "--store" => arguments.store = true,
            "--render" => arguments.render = true,
            "--profile" => arguments.profile = true,
            name => {
                let part = Part::ALL.into_iter().find(|part| part.name() == name);
                arguments.parts.push(part.ok_or_else(|| {
                    let names = Part::ALL.map(Part::name).join(", ");
                    format!("unknown argument {name:?}; the parts are {names}")
                })?);
            }
        }
    }
    if arguments.scale.quick && arguments.store {
        return Err("--quick is a trial, whose figures are not stored".into());
    }
    if arguments.parts.is_empty() {
        arguments.parts = Part::ALL.to_vec();
    }
    Ok(arguments)
}

fn run(arguments: Arguments) -> Result<()> {
    if arguments.profile {
        test_support::raise_descriptor_limit();
        let note = machine::note()?;
        let tables = profile::tables(&Servers::build()?)?;
        println!("{tables}");
        if arguments.store {
            profile::store(&tables, &note)?;
        }
        return Ok(());
    }
    let path = format!("{FOLDER}/load.tsv");
    let mut figures = Figures::read(&path)?;
    let mut failed = 0;
    if !arguments.render {
        test_support::raise_descriptor_limit();
        let servers = Servers::build()?;
        let note = machine::note()?; // before: a commit may be made meanwhile
        for part in arguments.parts {
            let (values, failures) = parts::run(part, arguments.scale, &servers);
            failed += failures;
            figures.replace(part.name(), note.clone(), values);
            println!("{}", report::part(part, &figures)?);
            if arguments.store {
                figures.write(&path)?; // part by part, so that an end in between loses little
            }
        }
    }
    if arguments.store || arguments.render {
        std::fs::write(format!("{FOLDER}/load.svg"), plot::draw(&figures)?)?;
        std::fs::write(format!("{FOLDER}/RESULTS.md"), report::all(&figures)?)?;
    }
    if failed > 0 {
        return Err(format!("{failed} measurements have failed, and are left out").into());
    }
    Ok(())
}

//! Where `event-httpd` spends its instructions: the ten most expensive functions of each kind of work, by
//! Callgrind, as the difference of two runs.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use test_support::callgrind::Profile;
use test_support::spawn;

use super::client::{Bounds, Crowd, GET, come_and_go};
use super::fanout::Hall;
use super::process::{LIMIT, Server};
use super::servers::{Job, Peer, Servers};
use super::{FOLDER, Result};

/// Functions in a table.
const MOST: usize = 10;

#[derive(Clone, Copy, Debug)]
enum Work {
    Requests { pipelined: usize },
    Connections,
    Fanout,
    Tls,
}

const WORKS: [(&str, Work); 5] = [
    (
        "Keep-alive, the same head again",
        Work::Requests { pipelined: 1 },
    ),
    ("Pipelined by 16", Work::Requests { pipelined: 16 }),
    ("A connection for each request", Work::Connections),
    ("Fan-out, 100 receivers, 16 senders", Work::Fanout),
    (
        "TLS: the library's example `echo_tls`, 64 bytes there and back",
        Work::Tls,
    ),
];

/// Instructions by function and source file.
type Costs = HashMap<(String, String), i64>;

const BEGIN: &str = "<!-- tables -->\n";
const END: &str = "<!-- end of tables -->\n";

/// Replaces the tables in `PROFILE.md`, and leaves what people have written.
pub(crate) fn store(tables: &str, note: &str) -> Result<()> {
    let path = format!("{FOLDER}/PROFILE.md");
    let text = fs::read_to_string(&path)?;
    let parts = text
        .split_once(BEGIN)
        .and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) = parts.ok_or("PROFILE.md has no place for the tables")?;
    Ok(fs::write(
        path,
        format!("{before}{BEGIN}\n<sub>{note}</sub>\n\n{tables}{END}{after}"),
    )?)
}

/// A table for each kind of work.
pub(crate) fn tables(servers: &Servers) -> Result<String> {
    let mut text = String::new();
    for (title, work) in WORKS {
        let (few, units_of_few) = work.run(servers, 1)?;
        let (mut costs, units) = work.run(servers, 4)?;
        for (place, cost) in few {
            *costs.entry(place).or_default() -= cost;
        }
        let units = (units - units_of_few) as f64;
        let total = costs.values().sum::<i64>() as f64;
        let mut costs = costs.into_iter().collect::<Vec<_>>();
        costs.sort_by_key(|(_, cost)| -cost);
        writeln!(
            text,
            "## {title}\n\n{:.0} instructions each.\n",
            total / units
        )?;
        writeln!(
            text,
            "| instructions | part | function | file |\n|---:|---:|---|---|"
        )?;
        for ((function, file), cost) in costs.into_iter().take(MOST) {
            let cost = cost as f64;
            let (each, part) = (cost / units, 100.0 * cost / total);
            writeln!(text, "| {each:.1} | {part:.0} % | `{function}` | {file} |")?;
        }
        writeln!(text)?;
    }
    Ok(text)
}

impl Work {
    /// Costs of a whole run, and the units of work in it.
    fn run(self, servers: &Servers, factor: usize) -> Result<(Costs, usize)> {
        let profile = Profile::new();
        let job = match self {
            Self::Fanout => Job::Broadcast,
            _ => Job::Http { connections: 1 },
        };
        let server = match self {
            Self::Tls => servers.start_tls_under_callgrind(&profile)?,
            _ => servers.start_under_callgrind(job, &profile)?,
        };
        let bounds = |count| Bounds { time: LIMIT, count };
        let units = match self {
            Self::Requests { pipelined } => {
                let mut crowd = Crowd::open(server.address(), 1)?;
                let bytes = GET.repeat(pipelined);
                let count = 500 * factor * pipelined;
                crowd.ask(&bytes, pipelined, 1, bounds(count))?.units
            }
            Self::Connections => come_and_go(server.address(), GET, 1, bounds(300 * factor))?.units,
            Self::Fanout => {
                let mut hall = Hall::open(Peer::Ours, &server, 100, 16)?;
                rounds(&mut hall, &server, 10 * factor)?
            }
            Self::Tls => echo(&server, 300 * factor)?,
        };
        drop(server); // Callgrind writes the profile
        Ok((costs(&profile.text()?)?, units))
    }
}

fn rounds(hall: &mut Hall, server: &Server, count: usize) -> Result<usize> {
    (0..count).map(|_| hall.round(Some(server))).sum()
}

/// Sends lines through openssl's client, each when the last one has come back.
fn echo(server: &Server, count: usize) -> Result<usize> {
    let mut client = spawn(
        Command::new("openssl")
            .args(["s_client", "-quiet", "-connect"])
            .arg(server.address().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null()),
    )?;
    let (mut to, mut from) = client
        .stdin
        .take()
        .zip(client.stdout.take())
        .ok_or("no pipes")?;
    let line = format!("{:m<63}\n", "");
    let mut answer = vec![0; line.len()];
    let echoed = (0..count).try_for_each(|_| {
        to.write_all(line.as_bytes())?;
        from.read_exact(&mut answer)
    });
    client.kill()?;
    client.wait()?;
    Ok(echoed.map(|()| count)?)
}

/// What each function executes itself, by the file of the code, which inlined code keeps.
fn costs(profile: &str) -> Result<Costs> {
    let mut names = BTreeMap::<(char, String), String>::new(); // by kind and number
    let mut costs = Costs::new();
    let (mut object, mut file, mut function) = (String::new(), String::new(), String::new());
    let mut lines = profile.lines();
    while let Some(line) = lines.next() {
        if line.starts_with("calls=") {
            lines.next(); // the cost of what is called
        } else if let Some((key, name)) = line.split_once('=') {
            match key {
                "fn" => function = plain(&resolve(&mut names, 'n', name)),
                "fl" | "fi" | "fe" => file = short(&resolve(&mut names, 'f', name), 3),
                "ob" => object = short(&resolve(&mut names, 'o', name), 1),
                // What is called may be named here for the first time.
                "cfn" => drop(resolve(&mut names, 'n', name)),
                "cfl" | "cfi" => drop(resolve(&mut names, 'f', name)),
                "cob" => drop(resolve(&mut names, 'o', name)),
                _ => {}
            }
        } else if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first))
            && let Some(cost) = line.split(' ').nth(1)
        {
            let place = match (function.starts_with("0x"), file == "???") {
                (true, _) => ("functions without a name".to_owned(), object.clone()),
                (_, true) => (function.clone(), object.clone()),
                _ => (function.clone(), file.clone()),
            };
            *costs.entry(place).or_default() += cost.parse::<i64>()?;
        }
    }
    Ok(costs)
}

/// A name that follows its number, or did earlier.
fn resolve(names: &mut BTreeMap<(char, String), String>, kind: char, text: &str) -> String {
    let (number, name) = text.split_once(' ').unwrap_or((text, ""));
    let known = names.entry((kind, number.to_owned())).or_default();
    if !name.is_empty() {
        name.clone_into(known);
    }
    known.clone()
}

/// A function's path without its hash and type parameters.
fn plain(name: &str) -> String {
    let name = name
        .split("::h")
        .next()
        .filter(|_| has_hash(name))
        .unwrap_or(name);
    let mut depth = 0;
    let mut text = String::new();
    for letter in name.chars() {
        match letter {
            '<' if !text.is_empty() => depth += 1,
            '>' if depth > 0 => depth -= 1,
            _ if depth == 0 => text.push(letter),
            _ => {}
        }
    }
    text.replace("::::", "::")
}

fn has_hash(name: &str) -> bool {
    let hash = name.rsplit("::h").next().unwrap_or_default();
    hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The last parts of a path.
fn short(path: &str, most: usize) -> String {
    let parts = path.rsplit('/').take(most).collect::<Vec<_>>();
    parts.into_iter().rev().collect::<Vec<_>>().join("/")
}

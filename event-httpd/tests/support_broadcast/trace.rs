//! A server under strace: which system calls it makes.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::support_http::{event_httpd, until};

/// `event-httpd` under strace, which is told by `options` and writes to `file`.
///
/// The tracer is its grandchild, so that the command's process is `event-httpd` itself: it gets
/// the signals, and the tracer ends with it.
pub(crate) fn traced(options: &[&str], file: &PathBuf, arguments: Vec<&str>) -> Command {
    let inner = event_httpd(arguments);
    let mut command = Command::new("strace"); // installed by `install.sh --tests`
    command.args(["-D", "-q", "-o"]).arg(file).args(options);
    command
        .arg("--")
        .arg(inner.get_program())
        .args(inner.get_args());
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

/// Where a trace is written to.
pub(crate) struct Trace {
    directory: TempDir,
}

impl Trace {
    pub(crate) fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.directory.path().join("trace")
    }

    /// The system calls from the one that has `begin` in its arguments to the one that has
    /// `end`, in order; that one is not among them.
    #[track_caller]
    pub(crate) fn between(&self, begin: &str, end: &str) -> Vec<String> {
        until(&format!("{end:?} in the trace"), || {
            let text = fs::read_to_string(self.file()).ok()?;
            let mut calls = text.lines().skip_while(|line| !line.contains(begin));
            let mut found = Vec::new();
            loop {
                let call = calls.next()?;
                if call.contains(end) {
                    return Some(found);
                }
                found.push(call.to_owned());
            }
        })
    }
}

/// How many of these calls are counted in each turn of the loop, where any is.
pub(crate) fn in_each_turn(calls: &[String], counted: impl Fn(&str) -> bool) -> Vec<usize> {
    let turns = calls.split(|call| call.starts_with("epoll_"));
    let counts = turns.map(|calls| calls.iter().filter(|call| counted(call)).count());
    counts.filter(|count| *count > 0).collect()
}

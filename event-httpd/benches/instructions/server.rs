//! `event-httpd`, under Callgrind or alone.

use std::process::Command;

use test_support::callgrind::Profile;

use super::Result;
use super::process::{Processors, Server, free_address};

const PROGRAM: &str = env!("CARGO_BIN_EXE_event-httpd");

/// Starts it as it is, and waits until it listens.
pub(crate) fn start(processors: Processors, arguments: &[&str]) -> Result<Server> {
    run(processors, Command::new(PROGRAM), arguments)
}

/// A server whose instructions Callgrind counts.
pub(crate) struct Counted {
    pub(crate) server: Server,
    profile: Profile,
}

impl Counted {
    /// Starts it, and waits until it listens.
    pub(crate) fn start(processors: Processors, arguments: &[&str]) -> Result<Self> {
        let profile = Profile::new();
        let server = run(processors, profile.command(PROGRAM), arguments)
            .map_err(|error| format!("under valgrind: {error}"))?;
        Ok(Self { server, profile })
    }

    /// Ends the server, and returns the instructions that it has executed.
    pub(crate) fn stop(mut self) -> Result<u64> {
        let status = self.server.end()?;
        if !status.success() {
            return Err(format!("the server ended with {status}").into());
        }
        Ok(self.profile.instructions()?)
    }
}

fn run(processors: Processors, mut command: Command, arguments: &[&str]) -> Result<Server> {
    let address = free_address()?;
    command
        .args(arguments)
        .args(["--listen", &address.to_string()])
        .env_clear();
    Server::start(processors, &mut command, address)
}

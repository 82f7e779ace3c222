//! `event-httpd` under Callgrind.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use test_support::callgrind::Profile;

use super::Result;

/// A running server.
pub(crate) struct Server {
    child: Child,
    address: String,
    profile: Profile,
}

impl Server {
    /// Starts it, and waits until it listens.
    pub(crate) fn start(arguments: &[&str]) -> Result<Self> {
        let profile = Profile::new();
        let mut child = profile
            .command(env!("CARGO_BIN_EXE_event-httpd"))
            .args(arguments)
            .args(["--listen", "127.0.0.1:0"])
            .env_clear()
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot run valgrind: {error}"))?;
        let mut log = BufReader::new(child.stderr.take().ok_or("no standard error")?);
        let mut line = String::new();
        let mut text = String::new();
        let address = loop {
            line.clear();
            if log.read_line(&mut line)? == 0 {
                return Err(format!("the server does not start: {text}").into());
            }
            text.push_str(&line);
            if let Some((_, address)) = line.split_once("listening on ") {
                break address
                    .split_whitespace()
                    .next()
                    .unwrap_or_default()
                    .to_owned();
            }
        };
        // Reads the rest of the log, so that the server never waits for room.
        std::thread::spawn(move || log.read_to_end(&mut Vec::new()));
        Ok(Self {
            child,
            address,
            profile,
        })
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    fn pid(&self) -> Result<Pid> {
        Ok(Pid::from_raw(self.child.id().try_into()?))
    }

    /// Stops the process until [`resume`](Self::resume): what peers do meanwhile reaches the
    /// server in one turn of its loop.
    pub(crate) fn pause(&self) -> Result<()> {
        kill(self.pid()?, Signal::SIGSTOP)?;
        match waitpid(self.pid()?, Some(WaitPidFlag::WUNTRACED))? {
            WaitStatus::Stopped(..) => Ok(()),
            status => Err(format!("the server has ended: {status:?}").into()),
        }
    }

    pub(crate) fn resume(&self) -> Result<()> {
        Ok(kill(self.pid()?, Signal::SIGCONT)?)
    }

    /// Ends the server, and returns the instructions that it has executed.
    pub(crate) fn stop(mut self) -> Result<u64> {
        kill(self.pid()?, Signal::SIGTERM)?;
        let status = self.child.wait()?;
        if !status.success() {
            return Err(format!("the server ended with {status}").into());
        }
        Ok(self.profile.instructions()?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended already unless a step failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

//! `event-httpd`, under Callgrind or alone.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use test_support::callgrind::Profile;

use super::Result;

const PROGRAM: &str = env!("CARGO_BIN_EXE_event-httpd");

/// A running server.
pub(crate) struct Server {
    child: Child,
    address: String,
    profile: Option<Profile>, // under Callgrind
}

impl Server {
    /// Starts it under Callgrind, and waits until it listens.
    pub(crate) fn start(arguments: &[&str]) -> Result<Self> {
        let profile = Profile::new();
        let command = profile.command(PROGRAM);
        Self::spawn(command, arguments, Some(profile))
            .map_err(|error| format!("under valgrind: {error}").into())
    }

    /// Starts it as it is, and waits until it listens.
    pub(crate) fn start_alone(arguments: &[&str]) -> Result<Self> {
        Self::spawn(Command::new(PROGRAM), arguments, None)
    }

    fn spawn(mut command: Command, arguments: &[&str], profile: Option<Profile>) -> Result<Self> {
        let mut child = command
            .args(arguments)
            .args(["--listen", "127.0.0.1:0"])
            .env_clear()
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
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

    /// The bytes of memory that the server has in use.
    pub(crate) fn resident(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let kilobytes = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:")?.strip_suffix("kB"))
            .ok_or("the system does not say how much memory the server has")?;
        Ok(kilobytes.trim().parse::<u64>()? * 1024)
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
        let profile = self.profile.as_ref().ok_or("it runs without Callgrind")?;
        Ok(profile.instructions()?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended already unless a step failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

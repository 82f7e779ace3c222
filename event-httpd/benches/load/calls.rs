//! System calls of a server, counted by strace while it works.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use test_support::spawn;

use super::Result;
use super::process::{Server, until};

/// The system calls that the server makes while `work` runs.
pub(crate) fn count(
    server: &Server,
    directory: &Path,
    work: impl FnOnce() -> Result<usize>,
) -> Result<(usize, usize)> {
    let file = directory.join("strace");
    let mut strace = Strace(
        spawn(
            Command::new("strace")
                .args(["-f", "-c", "-U", "name,calls", "-o"])
                .arg(&file)
                .args(["-p", &server.serving()?.to_string()])
                .stdin(Stdio::null())
                .stderr(Stdio::null()),
        )
        .map_err(|error| format!("strace: {error}"))?,
    );
    until("strace is attached", || {
        if let Some(status) = strace.0.try_wait()? {
            return Err(format!("strace ended with {status}").into());
        }
        Ok(server.status("TracerPid:")? != 0)
    })?;
    let units = work()?;
    kill(
        Pid::from_raw(strace.0.id().try_into()?),
        Signal::SIGINT, // detaches, and writes the table
    )?;
    until("strace ends", || Ok(strace.0.try_wait()?.is_some()))?;
    let table = fs::read_to_string(file)?;
    let total = table.lines().find_map(|line| line.strip_prefix("total"));
    Ok((total.ok_or("strace has no total")?.trim().parse()?, units))
}

struct Strace(Child);

impl Drop for Strace {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

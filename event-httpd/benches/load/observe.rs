//! What only this bench asks of a server.

use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::Result;
use super::process::{Server, until};

impl Server {
    /// Open descriptors.
    pub(crate) fn descriptors(&self) -> Result<usize> {
        Ok(fs::read_dir(format!("/proc/{}/fd", self.serving()?))?.count())
    }

    /// Whether a process traces it.
    pub(crate) fn is_traced(&self) -> Result<bool> {
        Ok(self.status("TracerPid:")? != 0)
    }

    /// Stops the process until [`resume`](Self::resume): what peers do meanwhile reaches it in one
    /// turn of its loop.
    pub(crate) fn pause(&self) -> Result<()> {
        let id = self.serving()?;
        kill(Pid::from_raw(id.try_into()?), Signal::SIGSTOP)?;
        until("the server stops", || {
            let stat = fs::read_to_string(format!("/proc/{id}/stat"))?;
            let state = stat
                .rsplit_once(") ")
                .and_then(|(_, rest)| rest.chars().next());
            Ok(matches!(state, Some('T' | 't')))
        })
    }

    pub(crate) fn resume(&self) -> Result<()> {
        let id = self.serving()?;
        Ok(kill(Pid::from_raw(id.try_into()?), Signal::SIGCONT)?)
    }
}

//! Programs under Callgrind, for benches that count instructions.

use std::ffi::OsStr;
use std::io::{Error, ErrorKind, Result};
use std::path::PathBuf;
use std::process::{self, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs};

/// The file that Callgrind writes when its program has ended. It is deleted with this.
pub struct Profile(PathBuf);

impl Profile {
    pub fn new() -> Self {
        static LAST: AtomicU32 = AtomicU32::new(0);
        let number = LAST.fetch_add(1, Ordering::Relaxed);
        let name = format!("callgrind-{}-{number}", process::id());
        Self(env::temp_dir().join(name))
    }

    /// A command that runs a program under Callgrind.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("valgrind");
        command
            .args(["--tool=callgrind", "-q"])
            .arg(format!("--callgrind-out-file={}", self.0.display()))
            .arg(program);
        command
    }

    /// The profile as Callgrind writes it.
    pub fn text(&self) -> Result<String> {
        fs::read_to_string(&self.0)
    }

    /// How many instructions the program has executed in user space.
    pub fn instructions(&self) -> Result<u64> {
        let profile = self.text()?;
        let totals = profile
            .lines()
            .find_map(|line| line.strip_prefix("totals: "));
        let totals = totals.and_then(|totals| totals.trim().parse().ok());
        totals.ok_or_else(|| Error::new(ErrorKind::InvalidData, "the profile has no totals"))
    }
}

impl Drop for Profile {
    fn drop(&mut self) {
        fs::remove_file(&self.0).ok();
    }
}

//! `--echo`: what arrives is printed, as the tutorial's program does.

use std::cell::Cell;
use std::io::{self, Write as _};

/// Standard output, until it fails.
#[derive(Debug)]
pub(super) struct Echo {
    on: Cell<bool>,
}

impl Echo {
    pub(super) fn new(on: bool) -> Self {
        Self { on: Cell::new(on) }
    }

    /// Prints bytes as they are. The first failure switches the echo off.
    pub(super) fn print(&self, bytes: &[u8]) {
        if self.on.get() {
            let mut out = io::stdout().lock();
            if let Err(error) = out.write_all(bytes).and_then(|()| out.flush()) {
                self.on.set(false);
                tracing::warn!("--echo ends: standard output cannot be written: {error}");
            }
        }
    }
}

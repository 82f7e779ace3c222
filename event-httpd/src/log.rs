//! The log on standard error. It never makes the server wait: lines that standard error has no
//! room for are dropped and counted, and the log says so as soon as there is room.

use std::io::{self, IsTerminal as _};
use std::panic;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use nix::poll::PollTimeout;
use tracing::Level;

use crate::config::{LogConfig, LogFormat};
use crate::output::Output;

/// How long the end of the program may wait for whoever reads standard error.
const LAST: Duration = Duration::from_millis(500);

static LOG: OnceLock<Log> = OnceLock::new();

/// Standard error, and what it had no room for.
#[derive(Debug)]
struct Log {
    output: Output,
    format: LogFormat,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    unfinished: Vec<u8>, // the rest of a line of which a part is written
    dropped: u64,        // lines that the log has not told of yet
    dropped_ever: u64,
}

impl Log {
    fn line(&self, line: &[u8]) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.finish(&mut state) || !self.tell_dropped(&mut state) {
            state.dropped += 1;
            state.dropped_ever += 1;
            return;
        }
        if !self.write(&mut state, line) {
            state.dropped += 1;
            state.dropped_ever += 1;
        }
    }

    /// Writes the rest of the last line. False when there is no room for it.
    fn finish(&self, state: &mut State) -> bool {
        let written = self.output.write_some(&state.unfinished);
        state
            .unfinished
            .drain(..written.unwrap_or(state.unfinished.len())); // a failing output has no use for it
        state.unfinished.is_empty()
    }

    /// Writes how many lines were dropped, if any. False when there is no room for it.
    fn tell_dropped(&self, state: &mut State) -> bool {
        if state.dropped == 0 {
            return true;
        }
        let time = humantime::format_rfc3339_micros(SystemTime::now());
        let (count, why) = (state.dropped, "log lines were dropped: nobody read them");
        let note = match self.format {
            LogFormat::Text => format!("{time}  WARN {count} {why}\n"),
            LogFormat::Json => format!(
                "{{\"timestamp\":\"{time}\",\"level\":\"WARN\",\"message\":\"{count} {why}\"}}\n"
            ),
        };
        if self.write(state, note.as_bytes()) {
            state.dropped = 0;
        }
        state.dropped == 0 && state.unfinished.is_empty()
    }

    /// Writes a line, or the beginning of it. False when there is no room at all.
    fn write(&self, state: &mut State, line: &[u8]) -> bool {
        match self.output.write_some(line) {
            Ok(0) => false,
            Ok(written) => {
                state.unfinished = line.get(written..).unwrap_or_default().to_vec();
                true
            }
            Err(_) => true, // a closed standard error is no reason to stop, or to count
        }
    }
}

/// What `tracing` writes a line to.
struct Writer;

impl io::Write for Writer {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Some(log) = LOG.get() {
            log.line(line);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Starts logging, panics included. Only the first call of a process has an effect.
pub fn start(config: LogConfig) {
    let level = match config.verbose() {
        0 => Level::INFO,
        1 => Level::DEBUG,
        _ => Level::TRACE,
    };
    if let Ok(output) = Output::new(&io::stderr()) {
        LOG.get_or_init(|| Log {
            output,
            format: config.format(),
            state: Mutex::default(),
        });
    }
    let builder = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(|| Writer)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false);
    let started = match config.format() {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    if started.is_ok() {
        panic::set_hook(Box::new(|panic| tracing::error!("{panic}")));
    }
}

/// Ends the log of a program that ends: writes what is left, and waits a little for room.
/// `error` is the last line of a program that fails.
pub fn finish(error: Option<&dyn std::error::Error>) {
    let Some(log) = LOG.get() else { return };
    if let Some(error) = error {
        log.line(format!("event-httpd: {error}\n").as_bytes());
    }
    let start = Instant::now();
    loop {
        let left = LAST.saturating_sub(start.elapsed());
        let mut state = log.state.lock().unwrap_or_else(PoisonError::into_inner);
        if log.finish(&mut state) && log.tell_dropped(&mut state) || left.is_zero() {
            return;
        }
        let time = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
        if !log.output.wait(time) {
            return;
        }
    }
}

/// How many lines this process has dropped.
pub(crate) fn dropped() -> u64 {
    LOG.get().map_or(0, |log| {
        let state = log.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.dropped_ever
    })
}

/// Begins anew in a forked process: what its parent owes, its parent writes.
pub(crate) fn forked() {
    if let Some(log) = LOG.get() {
        *log.state.lock().unwrap_or_else(PoisonError::into_inner) = State::default();
    }
}

//! The log on standard error.

use std::io::{self, IsTerminal as _};
use std::panic;

use tracing::Level;

use crate::config::{LogConfig, LogFormat};

/// Starts logging, panics included. Only the first call of a process has an effect.
pub fn start(config: LogConfig) {
    let level = match config.verbose() {
        0 => Level::INFO,
        1 => Level::DEBUG,
        _ => Level::TRACE,
    };
    let builder = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .log_internal_errors(false) // they would panic on a closed standard error
        .with_target(false);
    let started = match config.format() {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    if started.is_ok() {
        panic::set_hook(Box::new(|panic| tracing::error!("{panic}")));
    }
}

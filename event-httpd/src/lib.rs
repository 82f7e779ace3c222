//! `event-httpd`: a server written on the public classes of `php-event` alone.
//!
//! [`Cli`] reads the command line, [`Command`] holds the checked settings, [`run`] carries
//! them out.
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic
    )
)]

mod answer;
mod app;
mod buffer;
mod bus;
mod cli;
mod config;
mod connection;
mod counters;
mod deadlines;
mod error;
mod isolation;
mod listener;
mod log;
mod master;
mod outbox;
mod output;
mod port_lock;
mod redis;
mod signals;
mod system;
mod time;
mod worker;

pub use answer::{FieldLine, FieldLineError};
pub use cli::{Cli, CliError};
pub use config::{
    Command, Config, ConfigError, Deliver, Framing, Hub, HubConfigError, Isolation, Listen,
    ListenError, LogConfig, LogFormat, Program,
};
pub use error::{ServerError, StartFailure};
pub use log::{finish as finish_log, start as start_log};
pub use redis::TargetError;

use listener::Listening;
use worker::Worker;

/// Runs a command until it is done or a signal stops it.
///
/// # Errors
/// [`ServerError::Listen`] when the address is not available; [`ServerError::Workers`] when no
/// worker starts; [`ServerError::Fork`] when a child cannot be forked; [`ServerError::Output`]
/// when standard output cannot be written; [`ServerError::Event`] when libevent fails.
pub fn run(command: Command) -> Result<(), ServerError> {
    signals::unblock();
    match command {
        Command::Server(config) => serve(*config),
        Command::Isolation(settings) => isolation::run(settings),
    }
}

fn serve(config: Config) -> Result<(), ServerError> {
    if let Program::Hub(hub) = config.program() {
        hub.settings().warn();
    }
    let limit = system::raise_descriptor_limit();
    if config.max_connections().is_some_and(|most| most > limit) {
        tracing::warn!("--max-connections is above what the descriptor limit allows: {limit}");
    }
    let max_connections = config.max_connections().unwrap_or(limit).min(limit);
    match config.workers() {
        Some(workers) => master::serve(config, workers, max_connections),
        None => serve_alone(config, max_connections),
    }
}

/// Serves in this process, without a master.
fn serve_alone(config: Config, max_connections: usize) -> Result<(), ServerError> {
    let listening = Listening::on(&config, 1)?;
    let listeners = listening.streams(0);
    listening.close(); // the worker has the only handles now, and drops them when it stops
    let worker = Worker::new(config, max_connections)?;
    worker.run(listeners, || {
        tracing::info!(max_connections, "listening on {}", listening.address());
    })?;
    Ok(())
}

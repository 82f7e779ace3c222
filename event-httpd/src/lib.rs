//! `event-httpd`: a server written on the library's public classes alone.
//!
//! [`Cli`] reads the command line, [`Config`] is what it asks for, [`run`] does it.
#![forbid(unsafe_code)]

mod acceptor;
mod answer;
mod app;
mod bus;
mod cli;
mod config;
mod connection;
mod counters;
mod deadlines;
mod isolation;
mod listener;
mod log;
mod master;
mod outbox;
mod worker;

pub use answer::{FieldLine, FieldLineError};
pub use cli::Cli;
pub use config::{
    Command, Config, Deliver, Framing, Isolation, Listen, LogConfig, LogFormat, Program,
};
pub use log::start as start_log;

use std::io;

use listener::Listening;
use worker::Worker;

/// Why the server could not start or go on; one line for standard error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The address could not be listened on.
    #[error("cannot listen on {address}: {cause}{remedy}")]
    Listen {
        /// The address, as it was given.
        address: String,
        /// What the system says.
        cause: String,
        /// What to do about it, where that is known.
        remedy: &'static str,
    },
    /// No worker could start.
    #[error("the workers cannot start: {0}")]
    Workers(String),
    /// Not every child could be forked; those that were are gone again.
    #[error("only {started} of {wanted} children could be forked: {cause}{remedy}")]
    Fork {
        /// How many were.
        started: u32,
        /// How many were asked for.
        wanted: u32,
        /// What the system says.
        cause: php_event::Error,
        /// What to do about it, where that is known.
        remedy: &'static str,
    },
    /// Standard output, where a program's lines go, takes none.
    #[error("cannot write to standard output: {0}")]
    Output(io::Error),
    /// The loop or an event failed.
    #[error(transparent)]
    Event(#[from] php_event::Error),
}

/// Does what was asked for, until it is done or a signal stops it.
///
/// # Errors
/// [`Failure::Listen`] when the address cannot be had; [`Failure::Fork`] when a child cannot;
/// [`Failure::Output`] when lines for standard output have nowhere to go;
/// [`Failure::Event`] when libevent fails.
pub fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Server(config) => serve(config),
        Command::Isolation(settings) => isolation::run(settings),
    }
}

fn serve(config: Config) -> Result<(), Failure> {
    let room = listener::raise_descriptor_limit();
    if config.max_connections.is_some_and(|wanted| wanted > room) {
        tracing::warn!("--max-connections is more than the descriptor limit allows: {room}");
    }
    let most = config.max_connections.unwrap_or(room).min(room);
    match config.workers {
        Some(workers) => master::serve(config, workers, most),
        None => {
            let listening = Listening::on(&config, 1)?;
            let Some(listener) = listening.stream(0) else {
                return Ok(());
            };
            listening.close(); // the worker's alone now: it lets go when it stops
            let worker = Worker::new(config, most)?;
            worker.run(listener, || {
                tracing::info!(
                    max_connections = most,
                    "listening on {}",
                    listening.address()
                );
            })?;
            Ok(())
        }
    }
}

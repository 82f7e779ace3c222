//! The checked settings that the server runs with.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use clap::ValueEnum;

use crate::answer::FieldLine;
use http_framing::Limits;

/// What one read takes at most; all connections of a worker share the buffer.
pub(crate) const READ_BUFFER: usize = 64 << 10;

/// What `event-httpd` was asked to do.
#[derive(Clone, Debug)]
pub enum Command {
    /// To serve connections.
    Server(Config),
    /// To run the tutorial's third program.
    Isolation(Isolation),
}

impl Command {
    /// How to log.
    #[must_use]
    pub fn log(&self) -> LogConfig {
        match self {
            Self::Server(config) => config.log,
            Self::Isolation(isolation) => isolation.log,
        }
    }
}

/// What a server does with its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// Answers requests with the table of events.
    Serve,
    /// Passes messages on.
    Broadcast {
        /// What a message is.
        framing: Framing,
        /// Who gets it.
        deliver: Deliver,
        /// How many bytes may wait for all peers of a worker together.
        max_queue_total: usize,
    },
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Framing {
    /// What one read returns.
    Raw,
    /// The body of an HTTP request.
    Http,
}

/// Who gets a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Deliver {
    /// Every client but its sender.
    Others,
    /// Its sender, once for each other client of its process, as the tutorial's program does.
    Sender,
    /// Every client.
    Everyone,
}

/// The settings of the tutorial's third program.
#[derive(Clone, Copy, Debug)]
pub struct Isolation {
    /// How many children are forked.
    pub children: u32,
    /// How long a child sleeps at most.
    pub max_sleep: Duration,
    /// How long the parent waits after each child.
    pub interval: Duration,
    /// How to log.
    pub log: LogConfig,
}

/// What a server runs and how; every value is in its range.
#[derive(Clone, Debug)]
pub struct Config {
    /// What it does with its connections.
    pub program: Program,
    /// Where to listen.
    pub listen: Listen,
    /// How many connections may wait to be accepted.
    pub backlog: i32,
    /// Whether other instances may listen on the same port.
    pub share_port: bool,
    /// Header lines for every answer.
    pub headers: Vec<FieldLine>,
    /// Whether every answer has a `Date`.
    pub date: bool,
    /// How many connections are open at most; `None`: as the descriptor limit allows.
    pub max_connections: Option<usize>,
    /// How long a request's head may take from its first byte.
    pub header_timeout: Duration,
    /// How long a connection may be idle, a body may take, a peer may not read.
    pub idle_timeout: Duration,
    /// How long a request's head and body may be.
    pub limits: Limits,
    /// How many bytes may wait for one peer before it is no longer read from.
    pub max_queue: usize,
    /// How long open requests may take after a signal to stop.
    pub grace: Duration,
    /// Whether what arrives is printed to standard output.
    pub echo: bool,
    /// How many workers a master has; `None`: one process, no master.
    pub workers: Option<usize>,
    /// After how many requests or messages a worker is replaced.
    pub worker_max_requests: Option<u64>,
    /// How long a worker may leave heartbeats unanswered.
    pub bus_timeout: Duration,
    /// How to log.
    pub log: LogConfig,
}

impl Config {
    /// How long a message between workers can be: a body, or what one read returns, and the
    /// head it is sent with.
    pub(crate) fn longest_message(&self) -> usize {
        const HEAD: usize = 64 << 10;
        let body = usize::try_from(self.limits.body_size).unwrap_or(usize::MAX);
        let headers = self
            .headers
            .iter()
            .map(|line| line.as_bytes().len())
            .sum::<usize>();
        body.max(READ_BUFFER)
            .saturating_add(HEAD)
            .saturating_add(headers)
    }
}

/// How and how much is logged.
#[derive(Clone, Copy, Debug)]
pub struct LogConfig {
    /// How the log is written.
    pub format: LogFormat,
    /// How much is logged: 0 the events of the server's life, 1 connections, 2 everything.
    pub verbose: u8,
}

/// How the log on standard error is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// A JSON object a line.
    Json,
}

/// An address to listen on.
///
/// ```
/// use event_httpd::Listen;
/// let listen: Listen = "[::1]:9999".parse()?;
/// assert_eq!(listen.to_string(), "[::1]:9999");
/// assert!("127.0.0.1".parse::<Listen>().is_err()); // no port
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// `HOST:PORT`, an IPv6 address in brackets.
    Tcp(String),
    /// `unix:PATH`.
    Unix(String),
}

impl Listen {
    /// The address as the stream functions take it.
    #[must_use]
    pub fn url(&self) -> String {
        match self {
            Self::Tcp(host) => format!("tcp://{host}"),
            Self::Unix(path) => format!("unix://{path}"),
        }
    }
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.is_empty() {
                Err("unix: needs a path".to_owned())
            } else {
                Ok(Self::Unix(path.to_owned()))
            };
        }
        let (host, port) = text.rsplit_once(':').unwrap_or((text, ""));
        if port.parse::<u16>().is_err() || !port.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err("needs a port from 0 to 65535, as in 127.0.0.1:9999".to_owned());
        }
        let bracketed = host.starts_with('[') && host.ends_with(']');
        if host.is_empty() || host.contains(':') && !bracketed {
            return Err("write it as IP:PORT, an IPv6 address in brackets: [::1]:9999".to_owned());
        }
        Ok(Self::Tcp(text.to_owned()))
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host) => f.write_str(host),
            Self::Unix(path) => write!(f, "unix:{path}"),
        }
    }
}

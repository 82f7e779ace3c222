//! The checked settings of the server. Nothing outside this file makes or changes them.

mod hub;
mod keys;

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use nix::sys::stat::Mode;
use nix::unistd::Gid;

use crate::answer::FieldLine;
use crate::cli::{HubArgs, IsolationArgs, Lines, LogArgs, ServerArgs};
use crate::system;
use http_framing::Limits;
pub use hub::HubConfigError;
pub(crate) use hub::{
    Cors, HistoryLimits, HubConfig, LIVENESS, QueueLimits, READINESS, StoreConfig,
};
use php_event::{Address, AddressError};

/// The most bytes that one read takes. All connections of a worker share the buffer.
pub(crate) const READ_BUFFER: usize = 64 << 10;

/// The default of `--bus-timeout`. `--help` names it.
const BUS_TIMEOUT: Duration = Duration::from_secs(5);

/// What `event-httpd` runs.
#[derive(Clone, Debug)]
pub enum Command {
    /// A server.
    Server(Box<Config>),
    /// The tutorial's third program.
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
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Program {
    /// Answers requests with the table of events.
    Serve,
    /// Passes messages on.
    Broadcast {
        /// What a message is.
        framing: Framing,
        /// Who receives it.
        deliver: Deliver,
    },
    /// Takes updates from publishers and passes them to subscribers.
    Hub(Hub),
}

impl Program {
    /// The hub with these options.
    pub(crate) fn hub(args: HubArgs) -> Result<Self, ConfigError> {
        Ok(Self::Hub(Hub(Arc::new(HubConfig::new(args)?))))
    }
}

/// The settings of a hub.
#[derive(Clone, Debug)]
pub struct Hub(Arc<HubConfig>);

impl Hub {
    pub(crate) fn settings(&self) -> &Arc<HubConfig> {
        &self.0
    }
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Framing {
    /// What one read returns.
    Raw,
    /// The body of an HTTP request.
    Http,
}

/// Who receives a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Deliver {
    /// Every client but its sender.
    Others,
    /// Its sender, once for each other client of its process, as in the tutorial's program.
    Sender,
    /// Every client.
    Everyone,
}

/// The settings of the tutorial's third program.
#[derive(Clone, Copy, Debug)]
pub struct Isolation {
    children: u32,
    max_sleep: Duration,
    interval: Duration,
    log: LogConfig,
}

impl Isolation {
    /// How many children are forked.
    #[must_use]
    pub fn children(&self) -> u32 {
        self.children
    }

    /// The longest time that a child sleeps.
    #[must_use]
    pub fn max_sleep(&self) -> Duration {
        self.max_sleep
    }

    /// How long the parent waits after each child.
    #[must_use]
    pub fn interval(&self) -> Duration {
        self.interval
    }
}

impl From<IsolationArgs> for Isolation {
    fn from(args: IsolationArgs) -> Self {
        Self {
            children: args.children,
            max_sleep: args.max_sleep,
            interval: args.interval,
            log: args.log.into(),
        }
    }
}

/// The settings of a server. Every value is in its range.
#[derive(Clone, Debug)]
pub struct Config {
    program: Program,
    listen: Listen,
    socket_mode: Option<Mode>,
    socket_group: Option<Gid>,
    backlog: i32,
    share_port: bool,
    headers: Vec<FieldLine>,
    date: bool,
    max_connections: Option<usize>,
    header_timeout: Duration,
    idle_timeout: Duration,
    limits: Limits,
    max_queue: usize,
    max_queue_total: usize,
    grace: Duration,
    echo: bool,
    workers: Option<usize>,
    worker_max_requests: Option<u64>,
    bus_timeout: Duration,
    log: LogConfig,
}

impl Config {
    /// The settings that the arguments of a command make.
    ///
    /// # Errors
    /// [`ConfigError`] when options contradict each other.
    pub(crate) fn new(program: Program, args: ServerArgs) -> Result<Self, ConfigError> {
        let has_file = args.listen.path().is_some();
        if args.socket_mode.is_some() && !has_file {
            return Err(ConfigError::NoSocketFile("--socket-mode"));
        }
        if args.socket_group.is_some() && !has_file {
            return Err(ConfigError::NoSocketFile("--socket-group"));
        }
        if args.listen.is_unix()
            && let Some(option) = option_for_port(&program, &args)
        {
            return Err(ConfigError::NoPort(option));
        }
        if args.workers.is_none()
            && let Some(option) = option_for_workers(&args)
        {
            return Err(ConfigError::NoWorkers(option));
        }
        Ok(Self {
            program,
            listen: args.listen,
            socket_mode: args.socket_mode,
            socket_group: args.socket_group,
            backlog: args.backlog,
            share_port: args.share_port,
            headers: Lines::all(args.headers),
            date: args.date,
            max_connections: args
                .max_connections
                .map(|n| usize::try_from(n).unwrap_or(usize::MAX)),
            header_timeout: args.header_timeout,
            idle_timeout: args.idle_timeout,
            limits: Limits {
                header_size: args.max_header_size,
                body_size: u64::try_from(args.max_body_size).unwrap_or(u64::MAX),
            },
            max_queue: args.max_queue,
            max_queue_total: args
                .max_queue_total
                .unwrap_or_else(|| default_queue_total(args.workers)),
            grace: args.grace,
            echo: args.echo,
            workers: args.workers,
            worker_max_requests: args.worker_max_requests,
            bus_timeout: args.bus_timeout.unwrap_or(BUS_TIMEOUT),
            log: args.log.into(),
        })
    }

    /// Reads the files again that may change while the server runs: those with the hub's keys.
    /// False when there are none.
    pub(crate) fn reload(&self) -> bool {
        match &self.program {
            Program::Hub(hub) => hub.settings().reload_keys(),
            Program::Serve | Program::Broadcast { .. } => false,
        }
    }

    /// What the server does with its connections.
    #[must_use]
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Where it listens.
    #[must_use]
    pub fn listen(&self) -> &Listen {
        &self.listen
    }

    /// The mode of the unix socket's file; `None` follows the umask.
    pub(crate) fn socket_mode(&self) -> Option<Mode> {
        self.socket_mode
    }

    /// The group of the unix socket's file; `None` is the group of the process.
    pub(crate) fn socket_group(&self) -> Option<Gid> {
        self.socket_group
    }

    /// How many connections may wait to be accepted.
    #[must_use]
    pub fn backlog(&self) -> i32 {
        self.backlog
    }

    /// Whether other instances may listen on the same port.
    #[must_use]
    pub fn share_port(&self) -> bool {
        self.share_port
    }

    /// The operator's header lines, sent with every answer.
    #[must_use]
    pub fn headers(&self) -> &[FieldLine] {
        &self.headers
    }

    /// Whether every answer has a `Date`.
    #[must_use]
    pub fn date(&self) -> bool {
        self.date
    }

    /// How many connections a worker may have open; `None` is what the descriptor limit allows.
    #[must_use]
    pub fn max_connections(&self) -> Option<usize> {
        self.max_connections
    }

    /// How long a request's head may take from its first byte.
    #[must_use]
    pub fn header_timeout(&self) -> Duration {
        self.header_timeout
    }

    /// How long a connection may be idle, a body may take, and a peer may leave its answer unread.
    #[must_use]
    pub fn idle_timeout(&self) -> Duration {
        self.idle_timeout
    }

    /// How long a request's head and body may be.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// How many bytes may wait for one peer.
    #[must_use]
    pub fn max_queue(&self) -> usize {
        self.max_queue
    }

    /// How many bytes may wait for all peers of a worker together.
    #[must_use]
    pub fn max_queue_total(&self) -> usize {
        self.max_queue_total
    }

    /// How long open requests may take after a signal to stop.
    #[must_use]
    pub fn grace(&self) -> Duration {
        self.grace
    }

    /// Whether received bytes are printed to standard output.
    #[must_use]
    pub fn echo(&self) -> bool {
        self.echo
    }

    /// How many workers the master has; `None` is one process without a master.
    #[must_use]
    pub fn workers(&self) -> Option<usize> {
        self.workers
    }

    /// After how many requests or messages a worker is replaced.
    #[must_use]
    pub fn worker_max_requests(&self) -> Option<u64> {
        self.worker_max_requests
    }

    /// How long a worker may leave heartbeats unanswered.
    #[must_use]
    pub fn bus_timeout(&self) -> Duration {
        self.bus_timeout
    }

    /// The longest message between workers: a body, or what one read returns, with its head; or the
    /// id after which a hub's subscriber resumes, which is in the head of its request.
    pub(crate) fn longest_message(&self) -> usize {
        const HEAD: usize = 64 << 10;
        let body = usize::try_from(self.limits.body_size).unwrap_or(usize::MAX);
        let headers = self
            .headers
            .iter()
            .map(|line| line.as_bytes().len())
            .sum::<usize>();
        body.max(READ_BUFFER)
            .max(self.limits.header_size)
            .saturating_add(HEAD)
            .saturating_add(headers)
    }
}

/// Why options do not go together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The option is about the file of a unix socket, and there is none.
    #[error("{0} needs a unix socket with a path, as in --listen unix:/run/app.sock")]
    NoSocketFile(&'static str),
    /// The option is about a port or the addresses of peers, and a unix socket has none.
    #[error("{0} is for a port: give --listen HOST:PORT, or leave it out")]
    NoPort(&'static str),
    /// The option is about workers, and there are none.
    #[error("{0} is for workers: give --workers too, or leave it out")]
    NoWorkers(&'static str),
    /// The options of the hub do not make a hub.
    #[error(transparent)]
    Hub(#[from] HubConfigError),
}

/// The first given option that has no effect on a unix socket.
fn option_for_port(program: &Program, args: &ServerArgs) -> Option<&'static str> {
    let limits_addresses = match program {
        Program::Hub(hub) => hub.settings().subscribers_per_address.is_some(),
        Program::Serve | Program::Broadcast { .. } => false,
    };
    first_given([
        ("--share-port", args.share_port),
        ("--subscribers-per-address", limits_addresses),
    ])
}

/// The first given option that only a server with workers has.
fn option_for_workers(args: &ServerArgs) -> Option<&'static str> {
    first_given([
        ("--worker-max-requests", args.worker_max_requests.is_some()),
        ("--bus-timeout", args.bus_timeout.is_some()),
    ])
}

/// The name of the first option that is given.
fn first_given<const N: usize>(given: [(&'static str, bool); N]) -> Option<&'static str> {
    let mut given = given.into_iter().filter(|(_, is_given)| *is_given);
    given.next().map(|(name, _)| name)
}

/// The part of the memory there is that may wait for peers, in all workers together.
const QUEUE_SHARE: usize = 4;

/// The least and the most that the default of `--max-queue-total` is.
const QUEUE_TOTAL_MIN: usize = 16 << 20;
const QUEUE_TOTAL_MAX: usize = 1 << 30;

/// The default of `--max-queue-total`, which follows the memory there is.
fn default_queue_total(workers: Option<usize>) -> usize {
    let memory = system::memory().unwrap_or(QUEUE_TOTAL_MAX);
    let share = memory / QUEUE_SHARE / workers.unwrap_or(1).max(1);
    share.clamp(QUEUE_TOTAL_MIN, QUEUE_TOTAL_MAX)
}

/// How and how much is logged.
#[derive(Clone, Copy, Debug)]
pub struct LogConfig {
    format: LogFormat,
    verbose: u8,
}

impl LogConfig {
    /// How the log is written.
    #[must_use]
    pub fn format(&self) -> LogFormat {
        self.format
    }

    /// How much is logged: 0 the server's own life, 1 connections too, 2 everything.
    #[must_use]
    pub fn verbose(&self) -> u8 {
        self.verbose
    }
}

impl From<LogArgs> for LogConfig {
    fn from(args: LogArgs) -> Self {
        Self {
            format: args.log_format,
            verbose: args.verbose,
        }
    }
}

/// How the log on standard error is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// A JSON object on each line.
    Json,
}

/// An address to listen on.
///
/// ```
/// use event_httpd::Listen;
/// let listen: Listen = "[::1]:9999".parse()?;
/// assert_eq!(listen.to_string(), "[::1]:9999");
/// assert!("127.0.0.1".parse::<Listen>().is_err()); // no port
/// # Ok::<(), event_httpd::ListenError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen(Address);

/// Why a text is not an address to listen on, and what to write.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.reason())]
pub struct ListenError(#[from] AddressError);

impl Listen {
    /// The address as the stream functions take it.
    #[must_use]
    pub fn url(&self) -> String {
        self.0.to_string()
    }

    /// Whether it is a unix socket.
    #[must_use]
    pub fn is_unix(&self) -> bool {
        self.0.is_unix()
    }

    /// The file of a unix socket.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match &self.0 {
            Address::Path(path) => Some(path),
            _ => None,
        }
    }

    /// The numeric addresses that a name has now; none when the system does not know it.
    pub(crate) fn resolve(&self) -> Vec<String> {
        let addresses = self.0.resolve().unwrap_or_default();
        addresses.iter().map(ToString::to_string).collect()
    }
}

impl FromStr for Listen {
    type Err = ListenError;

    fn from_str(text: &str) -> Result<Self, ListenError> {
        Ok(Self(text.parse()?))
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

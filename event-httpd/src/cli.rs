//! The command line: options, their environment variables, and the help.
//!
//! Turns text into values, and refuses text that is not a value. The structs of options have no doc
//! comments: clap would print those in place of the description of the command.

mod hub;
mod values;

use std::env;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::str::FromStr as _;
use std::time::Duration;

use clap::builder::BoolishValueParser;
use clap::error::ErrorKind;
use clap::{Args, CommandFactory as _, Parser, Subcommand};

use crate::answer::FieldLine;
use crate::config::{Command, Config, ConfigError, Deliver, Framing, Listen, LogFormat, Program};
pub(crate) use hub::{HubArgs, Protocol, Secret};
use nix::sys::stat::Mode;
use nix::unistd::Gid;
pub(crate) use values::Lines;
use values::{group, lines, mode, number, positive_time, size, time, timeout, verbosity, workers};

/// A server built on php-event, PHP's event extension in Rust.
///
/// Each option has an environment variable: EVENT_HTTPD_ and the option's name, such as
/// EVENT_HTTPD_LISTEN. The command line wins. Times are in seconds or have a unit: 10, 10s, 1500ms.
/// Sizes are in bytes or have a unit: 65536, 16KiB, 1MB.
///
/// SIGTERM and SIGINT stop the server within --grace, a second one at once. SIGQUIT stops it when
/// all connections have ended. SIGUSR1 logs the counters. With --workers, SIGHUP and SIGUSR2 start
/// new workers one at a time, and the old ones end within --grace. SIGHUP also makes a hub read its
/// key files again. Without --workers and without such files, it stops the server.
#[derive(Debug, Parser)]
#[command(
    name = "event-httpd",
    version,
    propagate_version = true,
    arg_required_else_help = false
)]
pub struct Cli {
    #[command(subcommand)]
    command: CommandLine,
}

#[derive(Debug, Subcommand)]
#[command(defer = true)] // a program makes no options but its own
enum CommandLine {
    /// Answer every HTTP request with the JSON table of registered events
    ///
    /// The table is an object that has an event for each stream number: the listener's first, then
    /// one for each open connection. Every path and every method but CONNECT get it.
    Serve(ServerArgs),

    /// Pass on what one connection sends to all the others
    ///
    /// With --framing raw, what one read returns is a message, and each receiver gets it as the
    /// body of an HTTP response that answers no request. Use it only with peers that expect this:
    /// not behind a proxy, and not with browsers. With --framing http, the body of each request is
    /// a message, and its sender gets 202. A message for many connections is sent to at most 192 of
    /// them at a time, which takes about a millisecond; all other work is done in between.
    Broadcast {
        #[command(flatten)]
        server: ServerArgs,
        #[command(flatten)]
        broadcast: BroadcastArgs,
    },

    /// Push updates to browsers and other subscribers: a hub that speaks the Mercure protocol
    ///
    /// Subscribers get updates as Server-Sent Events (GET) or over WebSocket, publishers send them
    /// by POST, tokens say who may do what. Updates are kept in memory or in Redis, so a subscriber
    /// that connects again gets what it has missed. docs/hub.md has the rest.
    Hub(Box<HubCommand>),

    /// Show that forked processes share no variables
    ///
    /// Forked children change a variable. The parent prints its own whenever a child has ended,
    /// and never sees the change.
    Isolation(IsolationArgs),
}

#[derive(Args, Debug)]
struct HubCommand {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    hub: HubArgs,
}

#[derive(Args, Debug)]
struct BroadcastArgs {
    /// What a message is: what one read returns, or the body of a request
    #[arg(long, env = "EVENT_HTTPD_FRAMING", default_value = "raw")]
    framing: Framing,

    /// Who receives a message: the others; the sender, as in the tutorial's program (a copy for
    /// each other client of its process); everyone
    #[arg(long, env = "EVENT_HTTPD_DELIVER", default_value = "others")]
    deliver: Deliver,
}

// The options of `isolation`.
#[derive(Args, Debug)]
pub(crate) struct IsolationArgs {
    /// How many children to fork, 10000 at most
    #[arg(long, value_name = "N", env = "EVENT_HTTPD_CHILDREN", default_value_t = 5, value_parser = number::<u32, 0, 10_000>)]
    pub(crate) children: u32,

    /// The longest time that a child sleeps, such as 10 (seconds) or 1500ms; the shortest is a second
    #[arg(long, value_name = "TIME", env = "EVENT_HTTPD_MAX_SLEEP", default_value = "10", value_parser = time)]
    pub(crate) max_sleep: Duration,

    /// How long the parent waits after each child, such as 3 (seconds) or 1500ms
    #[arg(long, value_name = "TIME", env = "EVENT_HTTPD_INTERVAL", default_value = "3", value_parser = time)]
    pub(crate) interval: Duration,

    #[command(flatten)]
    pub(crate) log: LogArgs,
}

// The options that `serve`, `broadcast` and `hub` share.
#[derive(Args, Debug)]
pub(crate) struct ServerArgs {
    /// Where to listen: HOST:PORT, an IPv6 address in brackets, or unix:PATH; a name stands for all
    /// its addresses, port 0 for a free one
    #[arg(
        long,
        value_name = "ADDR",
        env = "EVENT_HTTPD_LISTEN",
        default_value = "127.0.0.1:9999"
    )]
    pub(crate) listen: Listen,

    /// The mode of the unix socket's file, in octal, such as 0660 [default: what the umask allows]
    #[arg(long, value_name = "MODE", env = "EVENT_HTTPD_SOCKET_MODE", value_parser = mode)]
    pub(crate) socket_mode: Option<Mode>,

    /// The group of the unix socket's file, by name or number
    #[arg(long, value_name = "GROUP", env = "EVENT_HTTPD_SOCKET_GROUP", value_parser = group)]
    pub(crate) socket_group: Option<Gid>,

    /// How many connections may wait to be accepted; the system may allow fewer
    #[arg(long, value_name = "N", env = "EVENT_HTTPD_BACKLOG", default_value_t = 102_400, value_parser = number::<i32, 1, { i32::MAX as u64 }>)]
    pub(crate) backlog: i32,

    /// Share the port and its connections with other instances that have this option
    #[arg(long, env = "EVENT_HTTPD_SHARE_PORT", value_parser = BoolishValueParser::new())]
    pub(crate) share_port: bool,

    /// A header line for every answer, such as 'Cache-Control: no-store'; may be repeated, in the
    /// environment as several lines
    #[arg(
        long = "header",
        value_name = "NAME: VALUE",
        env = "EVENT_HTTPD_HEADER",
        value_parser = lines(FieldLine::from_str)
    )]
    pub(crate) headers: Vec<Lines<FieldLine>>,

    /// Send a Date header with every answer; error answers always have one
    #[arg(long, env = "EVENT_HTTPD_DATE", value_parser = BoolishValueParser::new())]
    pub(crate) date: bool,

    /// Stop accepting while a worker has this many open connections [default: what the
    /// descriptor limit allows]
    #[arg(long, value_name = "N", env = "EVENT_HTTPD_MAX_CONNECTIONS", value_parser = number::<u32, 1, { u32::MAX as u64 }>)]
    pub(crate) max_connections: Option<u32>,

    /// How long the head of a request may take, from its first byte to its last
    #[arg(long, value_name = "TIME", env = "EVENT_HTTPD_HEADER_TIMEOUT", default_value = "10s", value_parser = positive_time)]
    pub(crate) header_timeout: Duration,

    /// How long a connection may wait for its next request, a body may take to arrive, and a
    /// peer may leave its answer unread; bodies that are kept (hub, broadcast --framing http) must
    /// also bring 4KiB in each --header-timeout
    #[arg(long, value_name = "TIME", env = "EVENT_HTTPD_IDLE_TIMEOUT", default_value = "75s", value_parser = positive_time)]
    pub(crate) idle_timeout: Duration,

    /// The longest head of a request; its first line may have at most 8KiB
    #[arg(long, value_name = "SIZE", env = "EVENT_HTTPD_MAX_HEADER_SIZE", default_value = "16KiB", value_parser = size)]
    pub(crate) max_header_size: usize,

    /// The longest body of a request
    #[arg(long, value_name = "SIZE", env = "EVENT_HTTPD_MAX_BODY_SIZE", default_value = "1MiB", value_parser = size)]
    pub(crate) max_body_size: usize,

    /// How many bytes may wait for a peer that does not read before the server stops reading from it
    /// (serve), or disconnects it (a receiver of broadcast, a subscriber of hub)
    #[arg(long, value_name = "SIZE", env = "EVENT_HTTPD_MAX_QUEUE", default_value = "4MiB", value_parser = size)]
    pub(crate) max_queue: usize,

    /// How many bytes may wait in a worker for all its peers together, with unfinished requests and
    /// WebSocket messages; bytes that several peers wait for count once; above that, the peers for
    /// which most is waiting are disconnected [default: a quarter of the memory for all workers
    /// together, at most 1GiB for each]
    #[arg(long, value_name = "SIZE", env = "EVENT_HTTPD_MAX_QUEUE_TOTAL", value_parser = size)]
    pub(crate) max_queue_total: Option<usize>,

    /// How long open requests may take after SIGTERM or SIGINT, or when their worker is replaced
    #[arg(long, value_name = "TIME", env = "EVENT_HTTPD_GRACE", default_value = "5s", value_parser = time)]
    pub(crate) grace: Duration,

    /// Print received bytes to standard output, as the tutorial does; when 1MiB is unread there,
    /// more is dropped
    #[arg(long, env = "EVENT_HTTPD_ECHO", value_parser = BoolishValueParser::new())]
    pub(crate) echo: bool,

    /// Run a master with N workers, or with one for each core (auto); without this there is one
    /// process
    #[arg(long, value_name = "N|auto", env = "EVENT_HTTPD_WORKERS", value_parser = workers)]
    pub(crate) workers: Option<usize>,

    /// Replace a worker after this many requests and messages, where a request that publishes is
    /// both; only with --workers
    #[arg(long, value_name = "N", env = "EVENT_HTTPD_WORKER_MAX_REQUESTS", value_parser = number::<u64, 1, { u64::MAX }>)]
    pub(crate) worker_max_requests: Option<u64>,

    /// Kill and replace a worker that leaves the master's heartbeats unanswered for this long;
    /// only with --workers [default: 5s]
    #[arg(long, value_name = "TIME", env = "EVENT_HTTPD_BUS_TIMEOUT", value_parser = timeout)]
    pub(crate) bus_timeout: Option<Duration>,

    #[command(flatten)]
    pub(crate) log: LogArgs,
}

// The options of the log.
#[derive(Args, Debug)]
pub(crate) struct LogArgs {
    /// How the log on standard error is written
    #[arg(
        long,
        value_name = "FORMAT",
        env = "EVENT_HTTPD_LOG_FORMAT",
        default_value = "text"
    )]
    pub(crate) log_format: LogFormat,

    /// Log more: -v each connection, -vv also what libevent reports
    #[arg(short, long, action = clap::ArgAction::Count, env = "EVENT_HTTPD_VERBOSE", value_parser = verbosity)]
    pub(crate) verbose: u8,
}

/// The arguments name nothing to run: they are wrong, or ask for the help or the version.
#[derive(Debug, thiserror::Error)]
#[error("{}; try {help}", one_line(&error.to_string()))]
pub struct CliError {
    error: clap::Error,
    /// What prints the help of the command that was meant.
    help: String,
}

impl CliError {
    /// The exit code: 0 after `--help` and `--version`, 2 after bad usage.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        if self.error.use_stderr() { 2 } else { 0 }
    }

    /// Prints the help or the version to standard output, or one line that names the mistake to
    /// standard error. An output that cannot be written is ignored.
    pub fn print(&self) {
        if self.error.use_stderr() {
            let line = format!("event-httpd: {self}\n");
            io::stderr().write_all(line.as_bytes()).ok();
        } else {
            self.error.print().ok();
        }
    }
}

impl Cli {
    /// Reads the arguments and the environment of the process.
    ///
    /// # Errors
    /// [`CliError`] when they name nothing to run.
    pub fn from_process() -> Result<Command, CliError> {
        let conflict = |error| Self::command().error(ErrorKind::ArgumentConflict, error);
        let command = Self::try_parse().and_then(|cli| cli.into_command().map_err(conflict));
        command.map_err(|error| CliError {
            error,
            help: Self::help_of(env::args_os().nth(1)),
        })
    }

    /// What prints the help of the command that the first argument names, or of the program.
    fn help_of(first: Option<OsString>) -> String {
        let program = Self::command();
        let mut commands = program.get_subcommands().map(clap::Command::get_name);
        let named = first.and_then(|first| commands.find(|name| first == *name));
        match named {
            Some(name) => format!("event-httpd {name} --help"),
            None => "event-httpd --help".to_owned(),
        }
    }

    #[cfg(test)]
    pub(crate) fn parsed_from(arguments: &[&str]) -> Command {
        let name = std::iter::once(&"event-httpd");
        Self::parse_from(name.chain(arguments))
            .into_command()
            .unwrap()
    }

    fn into_command(self) -> Result<Command, ConfigError> {
        Ok(match self.command {
            CommandLine::Serve(args) => server_command(Program::Serve, args)?,
            CommandLine::Broadcast { server, broadcast } => {
                let program = Program::Broadcast {
                    framing: broadcast.framing,
                    deliver: broadcast.deliver,
                };
                server_command(program, server)?
            }
            CommandLine::Hub(command) => {
                let HubCommand { server, hub } = *command;
                server_command(Program::hub(hub)?, server)?
            }
            CommandLine::Isolation(args) => Command::Isolation(args.into()),
        })
    }

    /// Logs a warning for each environment variable that looks like an option's and is not.
    pub fn warn_of_unknown_variables() {
        let names = env::vars_os().map(|(name, _value)| name);
        let ours = names.filter(|name| name.as_encoded_bytes().starts_with(b"EVENT_HTTPD_"));
        let ours = ours.collect::<Vec<_>>();
        if ours.is_empty() {
            return; // most have none, and need not make all options again
        }
        let mut command = Self::command();
        command.build();
        let known = command
            .get_subcommands()
            .flat_map(clap::Command::get_arguments)
            .filter_map(|argument| argument.get_env())
            .collect::<Vec<_>>();
        for name in ours
            .iter()
            .filter(|name| !known.contains(&name.as_os_str()))
        {
            tracing::warn!(
                "{} is not the variable of any option, and has no effect: see --help",
                name.to_string_lossy()
            );
        }
    }
}

fn server_command(program: Program, args: ServerArgs) -> Result<Command, ConfigError> {
    Ok(Command::Server(Box::new(Config::new(program, args)?)))
}

/// clap's paragraph as one line: with its tip, without the usage.
fn one_line(error: &str) -> String {
    let body = error.split("\nUsage:").next().unwrap_or(error);
    let body = body.split("\nFor more information").next().unwrap_or(body);
    let parts = body
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>();
    let text = parts.join("; ").replace(":;", ":"); // a list begins behind a colon
    text.strip_prefix("error: ").unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}

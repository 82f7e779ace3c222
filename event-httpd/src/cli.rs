//! The command line: options, their environment variables, and the help.
//!
//! Turns text into values and refuses what is no value; what values mean together is
//! [`config`](super::config)'s.

use std::io::{self, Write as _};
use std::thread;
use std::time::Duration;

use clap::builder::BoolishValueParser;
use clap::{Args, Parser, Subcommand};

use super::config::{
    Command, Config, Deliver, Framing, Isolation, Listen, LogConfig, LogFormat, Program,
};
use crate::answer::FieldLine;
use http_framing::Limits;

/// A server written on PHP's event extension in Rust.
///
/// Each option can be given in the environment as EVENT_HTTPD_ and its name, for example
/// EVENT_HTTPD_LISTEN; the command line wins. SIGTERM and SIGINT stop it within --grace,
/// a second one at once; SIGQUIT waits for connections to end; SIGUSR1 logs the counters.
/// SIGHUP and SIGUSR2 replace the workers one at a time; without workers, SIGHUP stops it.
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
enum CommandLine {
    /// Answer every HTTP request with the JSON table of registered events
    ///
    /// Any method (but CONNECT) and any path gets the table: an object from stream number
    /// to event, the listener first, then a line for each open connection.
    Serve(Shared),

    /// Pass on what one connection sends to all the others
    ///
    /// With --framing raw, what one read returns is a message, and each receiver gets it as the
    /// body of an HTTP response that answers no request. That is for peers that expect it: it
    /// does not belong behind a proxy or in front of a browser. With --framing http the body of
    /// each request is a message, and its sender gets 202.
    Broadcast {
        #[command(flatten)]
        shared: Shared,
        #[command(flatten)]
        broadcast: BroadcastArgs,
    },

    /// Show that forked processes share no variables
    ///
    /// Children that are forked change a variable; the parent, which prints it whenever a child
    /// has ended, never sees that.
    Isolation(IsolationArgs),
}

#[derive(Args, Debug)]
struct BroadcastArgs {
    /// What a message is: what one read returns, or a request's body
    #[arg(long, env = "EVENT_HTTPD_FRAMING", default_value = "raw")]
    framing: Framing,

    /// Who gets a message: the others; the sender, as the tutorial's program has it (a copy for
    /// each other client of its process); everyone
    #[arg(long, env = "EVENT_HTTPD_DELIVER", default_value = "others")]
    deliver: Deliver,

    /// How many bytes of messages may wait in a worker, each counted once, and of unfinished
    /// request bodies; then the slowest readers are cut off, or 503 is answered
    #[arg(long, value_name = "SIZE", env = "EVENT_HTTPD_MAX_QUEUE_TOTAL", default_value = "256MiB", value_parser = size)]
    max_queue_total: usize,
}

#[derive(Args, Debug)]
struct IsolationArgs {
    /// How many children to fork, 10000 at most
    #[arg(long, value_name = "N", env = "EVENT_HTTPD_CHILDREN", default_value_t = 5, value_parser = clap::value_parser!(u32).range(..=10_000))]
    children: u32,

    /// How long a child sleeps at most, in seconds, or as 1500ms; at least a second where that allows
    #[arg(long, value_name = "TIME", env = "EVENT_HTTPD_MAX_SLEEP", default_value = "10", value_parser = seconds)]
    max_sleep: Duration,

    /// How long the parent waits after each child, in seconds, or as 1500ms
    #[arg(long, value_name = "TIME", env = "EVENT_HTTPD_INTERVAL", default_value = "3", value_parser = seconds)]
    interval: Duration,

    #[command(flatten)]
    log: Log,
}

#[derive(Args, Debug)]
struct Shared {
    /// Where to listen: HOST:PORT, an IPv6 address in brackets, or unix:PATH; port 0 takes a free one
    #[arg(
        long,
        value_name = "ADDR",
        env = "EVENT_HTTPD_LISTEN",
        default_value = "127.0.0.1:9999"
    )]
    listen: Listen,

    /// How many connections may wait to be accepted; the system caps it
    #[arg(long, value_name = "N", env = "EVENT_HTTPD_BACKLOG", default_value_t = 102_400, value_parser = clap::value_parser!(i32).range(1..))]
    backlog: i32,

    /// Let other instances listen on the same port, which share its connections
    #[arg(long, env = "EVENT_HTTPD_SHARE_PORT", value_parser = BoolishValueParser::new())]
    share_port: bool,

    /// A header line for every answer, such as 'Cache-Control: no-store'; may be repeated, in the
    /// environment as several lines
    #[arg(
        long = "header",
        value_name = "NAME: VALUE",
        env = "EVENT_HTTPD_HEADER",
        value_delimiter = '\n'
    )]
    headers: Vec<FieldLine>,

    /// Send a Date header with every answer; error answers always have it
    #[arg(long, env = "EVENT_HTTPD_DATE", value_parser = BoolishValueParser::new())]
    date: bool,

    /// Stop accepting while this many connections are open, in each worker [default: what the
    /// descriptor limit allows]
    #[arg(long, value_name = "N", env = "EVENT_HTTPD_MAX_CONNECTIONS", value_parser = clap::value_parser!(u32).range(1..))]
    max_connections: Option<u32>,

    /// How long a request's head may take, from its first byte to its last
    #[arg(long, value_name = "TIME", env = "EVENT_HTTPD_HEADER_TIMEOUT", default_value = "10s", value_parser = duration)]
    header_timeout: Duration,

    /// How long a connection may wait for its next request, a body may take to arrive, and a
    /// peer may go without reading its answer
    #[arg(long, value_name = "TIME", env = "EVENT_HTTPD_IDLE_TIMEOUT", default_value = "75s", value_parser = duration)]
    idle_timeout: Duration,

    /// How long a request's head may be
    #[arg(long, value_name = "SIZE", env = "EVENT_HTTPD_MAX_HEADER_SIZE", default_value = "16KiB", value_parser = size)]
    max_header_size: usize,

    /// How long a request's body may be
    #[arg(long, value_name = "SIZE", env = "EVENT_HTTPD_MAX_BODY_SIZE", default_value = "1MiB", value_parser = size)]
    max_body_size: usize,

    /// How many bytes may wait for a peer that does not read; then it is not read from
    #[arg(long, value_name = "SIZE", env = "EVENT_HTTPD_MAX_QUEUE", default_value = "4MiB", value_parser = size)]
    max_queue: usize,

    /// How long requests may take to end after SIGTERM or SIGINT
    #[arg(long, value_name = "TIME", env = "EVENT_HTTPD_GRACE", default_value = "5s", value_parser = grace)]
    grace: Duration,

    /// Print what arrives to standard output, as it is and as the tutorial does; an output that
    /// nobody reads holds the server up
    #[arg(long, env = "EVENT_HTTPD_ECHO", value_parser = BoolishValueParser::new())]
    echo: bool,

    /// Run as a master and N workers, or as many as there are cores; one process otherwise
    #[arg(long, value_name = "N|auto", env = "EVENT_HTTPD_WORKERS", value_parser = workers)]
    workers: Option<usize>,

    /// Replace a worker after this many requests or messages; only with --workers
    #[arg(long, value_name = "N", env = "EVENT_HTTPD_WORKER_MAX_REQUESTS", requires = "workers", value_parser = clap::value_parser!(u64).range(1..))]
    worker_max_requests: Option<u64>,

    /// How long a worker may leave the master's heartbeats unanswered before it is replaced
    #[arg(long, value_name = "TIME", env = "EVENT_HTTPD_BUS_TIMEOUT", default_value = "5s", value_parser = bus_timeout)]
    bus_timeout: Duration,

    #[command(flatten)]
    log: Log,
}

#[derive(Args, Debug)]
struct Log {
    /// How the log on standard error is written
    #[arg(
        long,
        value_name = "FORMAT",
        env = "EVENT_HTTPD_LOG_FORMAT",
        default_value = "text"
    )]
    log_format: LogFormat,

    /// Log more: -v each connection, -vv libevent's own words too
    #[arg(short, long, action = clap::ArgAction::Count, env = "EVENT_HTTPD_VERBOSE")]
    verbose: u8,
}

impl Cli {
    /// Reads the process's arguments and environment.
    ///
    /// `--help` and `--version` are printed to standard output.
    ///
    /// # Errors
    /// The exit code of a process that has nothing to run: 0 after `--help` and `--version`,
    /// 2 after one line on standard error that names what is wrong.
    pub fn from_process() -> Result<Command, u8> {
        let error = match Self::try_parse() {
            Ok(cli) => return Ok(cli.into_command()),
            Err(error) => error,
        };
        // Neither is a reason to panic when nobody reads it.
        if error.use_stderr() {
            writeln!(
                io::stderr(),
                "event-httpd: {}",
                one_line(&error.to_string())
            )
            .ok();
            Err(2)
        } else {
            error.print().ok();
            Err(0)
        }
    }

    /// What these arguments ask for, in tests.
    #[cfg(test)]
    pub(crate) fn parsed_from(arguments: &[&str]) -> Command {
        let name = std::iter::once(&"event-httpd");
        Self::parse_from(name.chain(arguments)).into_command()
    }

    fn into_command(self) -> Command {
        match self.command {
            CommandLine::Serve(shared) => Command::Server(shared.into_config(Program::Serve)),
            CommandLine::Broadcast { shared, broadcast } => {
                let BroadcastArgs {
                    framing,
                    deliver,
                    max_queue_total,
                } = broadcast;
                Command::Server(shared.into_config(Program::Broadcast {
                    framing,
                    deliver,
                    max_queue_total,
                }))
            }
            CommandLine::Isolation(IsolationArgs {
                children,
                max_sleep,
                interval,
                log,
            }) => Command::Isolation(Isolation {
                children,
                max_sleep,
                interval,
                log: log.into(),
            }),
        }
    }
}

impl Shared {
    fn into_config(self, program: Program) -> Config {
        Config {
            program,
            listen: self.listen,
            backlog: self.backlog,
            share_port: self.share_port,
            headers: self.headers,
            date: self.date,
            max_connections: self
                .max_connections
                .map(|n| usize::try_from(n).unwrap_or(usize::MAX)),
            header_timeout: self.header_timeout,
            idle_timeout: self.idle_timeout,
            limits: Limits {
                header_size: self.max_header_size,
                body_size: u64::try_from(self.max_body_size).unwrap_or(u64::MAX),
            },
            max_queue: self.max_queue,
            grace: self.grace,
            echo: self.echo,
            workers: self.workers,
            worker_max_requests: self.worker_max_requests,
            bus_timeout: self.bus_timeout,
            log: self.log.into(),
        }
    }
}

impl From<Log> for LogConfig {
    fn from(log: Log) -> Self {
        Self {
            format: log.log_format,
            verbose: log.verbose,
        }
    }
}

/// What clap says in a paragraph, its tip included and the usage left out.
fn one_line(error: &str) -> String {
    let body = error.split("\nUsage:").next().unwrap_or(error);
    let body = body.split("\nFor more information").next().unwrap_or(body);
    let parts = body
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>();
    let text = parts.join("; ");
    format!(
        "{}; try --help",
        text.strip_prefix("error: ").unwrap_or(&text)
    )
}

/// A time above zero and of at most a year, such as `10s`, `1500ms`, `2m 30s`.
fn duration(text: &str) -> Result<Duration, String> {
    let time = grace(text)?;
    if time.is_zero() {
        Err("must be more than zero".to_owned())
    } else {
        Ok(time)
    }
}

/// A time that a busy machine does not exceed by itself.
fn bus_timeout(text: &str) -> Result<Duration, String> {
    let time = grace(text)?;
    if time < Duration::from_millis(100) {
        return Err("must be at least 100ms".to_owned());
    }
    Ok(time)
}

/// A time of at most a year; `0s` is none at all.
fn grace(text: &str) -> Result<Duration, String> {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
    let time = humantime::parse_duration(text)
        .map_err(|error| format!("{error}; write it as 10s, 1500ms or 2m"))?;
    if time > YEAR {
        Err("must not be more than a year".to_owned())
    } else {
        Ok(time)
    }
}

/// A time in seconds, as PHP's `sleep` takes it, or with a unit.
fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<u32>() {
        Ok(seconds) => grace(&format!("{seconds}s")),
        Err(_) => grace(text),
    }
}

/// A number of processes, 1 to 1024, or `auto`.
fn workers(text: &str) -> Result<usize, String> {
    if text == "auto" {
        return thread::available_parallelism()
            .map(Into::into)
            .map_err(|error| error.to_string());
    }
    match text.parse() {
        Ok(n) if (1..=1024).contains(&n) => Ok(n),
        _ => Err("give a number from 1 to 1024, or auto".to_owned()),
    }
}

/// A number of bytes, such as `16KiB`, `4MB`, `65536`; at least 64.
fn size(text: &str) -> Result<usize, String> {
    let size: bytesize::ByteSize = text
        .parse()
        .map_err(|error| format!("{error}; write it as 16KiB, 1MiB or 65536"))?;
    match usize::try_from(size.as_u64()) {
        Ok(size) if (64..=1 << 40).contains(&size) => Ok(size),
        _ => Err("must be from 64 bytes to 1 TiB".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}

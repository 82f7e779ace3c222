//! The command line: options, their environment variables, and the help.
//!
//! Turns text into values and refuses what is no value; what values mean together is
//! [`config`](super::config)'s.

use std::io::{self, Write as _};
use std::time::Duration;

use clap::builder::BoolishValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};

use super::config::{Config, Listen, LogFormat};
use crate::codec::Limits;
use crate::codec::response::FieldLine;

/// A server written on PHP's event extension in Rust.
///
/// Each option can be given in the environment as EVENT_HTTPD_ and its name, for example
/// EVENT_HTTPD_LISTEN; the command line wins. SIGTERM and SIGINT stop it within --grace,
/// a second one at once; SIGUSR1 logs the counters.
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
}

/// What `--log-format` takes.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Text,
    Json,
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

    /// Stop accepting while this many connections are open [default: what the descriptor limit allows]
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

    /// Print what arrives to standard output, as the tutorial does
    #[arg(long, env = "EVENT_HTTPD_ECHO", value_parser = BoolishValueParser::new())]
    echo: bool,

    /// How the log on standard error is written
    #[arg(
        long,
        value_name = "FORMAT",
        env = "EVENT_HTTPD_LOG_FORMAT",
        default_value = "text"
    )]
    log_format: Format,

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
    pub fn from_process() -> Result<Config, u8> {
        let error = match Self::try_parse() {
            Ok(cli) => return Ok(cli.into_config()),
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

    /// What the command line and the environment ask for.
    #[must_use]
    pub fn into_config(self) -> Config {
        let CommandLine::Serve(shared) = self.command;
        let body_size = u64::try_from(shared.max_body_size).unwrap_or(u64::MAX);
        Config {
            listen: shared.listen,
            backlog: shared.backlog,
            share_port: shared.share_port,
            headers: shared.headers,
            date: shared.date,
            max_connections: shared
                .max_connections
                .map(|n| usize::try_from(n).unwrap_or(usize::MAX)),
            header_timeout: shared.header_timeout,
            idle_timeout: shared.idle_timeout,
            limits: Limits {
                header_size: shared.max_header_size,
                body_size,
            },
            max_queue: shared.max_queue,
            grace: shared.grace,
            echo: shared.echo,
            log_format: match shared.log_format {
                Format::Text => LogFormat::Text,
                Format::Json => LogFormat::Json,
            },
            verbose: shared.verbose,
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

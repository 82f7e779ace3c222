//! The servers that are compared, and how they are built and started.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use test_support::callgrind::Profile;

use super::Result;
use super::process::{Processors, Server, free_address};

const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/load");

/// Where the programs of this bench are built.
const BUILT: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/load");

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Peer {
    Ours,
    Twin,
    Nginx,
    Hyper,
    Redis,
}

/// What a server is to do.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Job {
    /// Answers requests. The body is the table of connections, of which there will be that many; where
    /// a server keeps no such table, its body has the same length.
    Http { connections: usize },
    /// Passes messages on as HTTP responses; over Redis's protocol to the subscribers of a channel.
    Broadcast,
    /// The same, with the messages in requests.
    BroadcastHttp,
}

impl Peer {
    pub(crate) const ALL: [Self; 5] = [
        Self::Ours,
        Self::Twin,
        Self::Nginx,
        Self::Hyper,
        Self::Redis,
    ];
    pub(crate) const HTTP: [Self; 4] = [Self::Ours, Self::Twin, Self::Nginx, Self::Hyper];
    pub(crate) const TABLES: [Self; 2] = [Self::Ours, Self::Twin];
    pub(crate) const BROADCAST: [Self; 3] = [Self::Ours, Self::Twin, Self::Redis];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ours => "event-httpd",
            Self::Twin => "C on libevent",
            Self::Nginx => "nginx",
            Self::Hyper => "hyper",
            Self::Redis => "Redis",
        }
    }
}

/// The length of the table that is answered when so many connections are open in a new process.
fn table_length(connections: usize) -> usize {
    let first = r#"{"5":{"pending":true,"data":{}}}"#.len();
    let entry = |id: usize| id.to_string().len() + r#","":{"pending":true,"data":null}"#.len();
    first + (7..7 + connections).map(entry).sum::<usize>()
}

/// Starts servers.
#[derive(Debug)]
pub(crate) struct Servers {
    processors: Processors,
    directory: TempDir,
}

impl Servers {
    /// Builds what is not installed.
    pub(crate) fn build() -> Result<Self> {
        fs::create_dir_all(BUILT)?;
        for name in ["http", "fanout"] {
            compile(name)?;
        }
        let (manifest, target) = (
            format!("{SOURCES}/hyper/Cargo.toml"),
            format!("{BUILT}/hyper"),
        );
        if build_release(&["--manifest-path", &manifest, "--target-dir", &target]).is_err() {
            eprintln!("load: hyper's server cannot be built, and is left out");
        }
        Ok(Self {
            processors: Processors::take()?,
            directory: tempfile::tempdir()?,
        })
    }

    /// Starts a server in a new process; `None` if it is not installed.
    pub(crate) fn start(&self, peer: Peer, job: Job) -> Result<Option<Server>> {
        self.begin(peer, job, Server::start)
    }

    /// The same, without waiting until it listens.
    pub(crate) fn launch(&self, peer: Peer, job: Job) -> Result<Option<Server>> {
        self.begin(peer, job, Server::launch)
    }

    fn begin(
        &self,
        peer: Peer,
        job: Job,
        start: fn(Processors, &mut Command, SocketAddr) -> Result<Server>,
    ) -> Result<Option<Server>> {
        let address = free_address()?;
        let command = self.command(peer, job, address)?;
        let server = command.map(|mut command| start(self.processors, &mut command, address));
        server.transpose()
    }

    /// Starts ours under Callgrind, which writes the profile at its end.
    pub(crate) fn start_under_callgrind(&self, job: Job, profile: &Profile) -> Result<Server> {
        let address = free_address()?;
        let mut command = under_callgrind(&ours(job, address), profile);
        Server::start(self.processors, &mut command, address)
    }

    /// The same with the library's example of TLS.
    pub(crate) fn start_tls_under_callgrind(&self, profile: &Profile) -> Result<Server> {
        let address = free_address()?;
        let (certificate, key) = (self.path("cert.pem"), self.path("key.pem"));
        let mut openssl = Command::new("openssl");
        openssl.args([
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-subj",
            "/CN=localhost",
        ]);
        output(
            openssl
                .arg("-keyout")
                .arg(&key)
                .arg("-out")
                .arg(&certificate),
        )?;
        build_release(&["-p", "php-event", "--example", "echo_tls"])?;
        let program = Path::new(env!("CARGO_BIN_EXE_event-httpd"));
        let mut example = Command::new(program.with_file_name("examples").join("echo_tls"));
        example.args([certificate, key]).arg(address.to_string());
        Server::start(
            self.processors,
            &mut under_callgrind(&example, profile),
            address,
        )
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// For files of servers and tools.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    fn command(&self, peer: Peer, job: Job, address: SocketAddr) -> Result<Option<Command>> {
        let port = address.port().to_string();
        Ok(match (peer, job) {
            (Peer::Ours, _) => Some(ours(job, address)),
            (Peer::Twin, Job::Http { .. }) => Some(program("http", &[&port])),
            (Peer::Twin, Job::Broadcast) => Some(program("fanout", &[&port])),
            (Peer::Nginx, Job::Http { connections }) if is_installed("nginx") => {
                Some(nginx(self.directory.path(), address, connections)?)
            }
            (Peer::Hyper, Job::Http { connections }) => {
                let name = "hyper/release/hyper-server";
                let length = table_length(connections).to_string();
                let built = Path::new(BUILT).join(name).exists();
                built.then(|| program(name, &[&port, &length]))
            }
            (Peer::Redis, Job::Broadcast | Job::BroadcastHttp) if is_installed("redis-server") => {
                Some(redis(self.directory.path(), &port))
            }
            _ => None,
        })
    }
}

/// Has cargo build a program as it is released.
fn build_release(arguments: &[&str]) -> Result<()> {
    let status = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()))
        .args(["build", "--release", "--locked", "--quiet"])
        .args(arguments)
        .status()?;
    status.success().then_some(()).ok_or("cargo fails".into())
}

fn under_callgrind(program: &Command, profile: &Profile) -> Command {
    let mut command = profile.command(program.get_program());
    command.args(program.get_args());
    command
}

/// Compiles a program of ours that uses libevent.
fn compile(name: &str) -> Result<()> {
    let flags = output(Command::new("pkg-config").args(["--cflags", "--libs", "libevent_core"]))?;
    let compiler = std::env::var_os("CC").unwrap_or("cc".into());
    let status = Command::new(compiler)
        .args(["-O2", "-o", &format!("{BUILT}/{name}")])
        .arg(format!("{SOURCES}/{name}.c"))
        .args(flags.split_whitespace())
        .status()?;
    if !status.success() {
        return Err(format!("{name}.c does not compile").into());
    }
    Ok(())
}

/// What a command prints on standard output, or else on standard error.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_owned();
    let output = command
        .output()
        .map_err(|error| format!("{name:?}: {error}"))?;
    let printed = if output.stdout.is_empty() {
        output.stderr
    } else {
        output.stdout
    };
    Ok(String::from_utf8_lossy(&printed).trim().to_owned())
}

/// Whether a program is in PATH, or where Debian keeps those of the system.
pub(crate) fn is_installed(name: &str) -> bool {
    path_of(name).is_some()
}

fn path_of(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into()])
        .map(|directory| directory.join(name))
        .find(|file| file.is_file())
}

pub(crate) fn installed(name: &str) -> Command {
    Command::new(path_of(name).unwrap_or_else(|| name.into()))
}

fn program(name: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(format!("{BUILT}/{name}"));
    command.args(arguments);
    command
}

fn ours(job: Job, address: SocketAddr) -> Command {
    let program = std::env::var_os("EVENT_HTTPD");
    let mut command =
        Command::new(program.unwrap_or_else(|| env!("CARGO_BIN_EXE_event-httpd").into()));
    command.env_clear();
    match job {
        Job::Http { .. } => command.arg("serve"),
        Job::Broadcast => command.arg("broadcast"),
        Job::BroadcastHttp => command.args(["broadcast", "--framing", "http"]),
    };
    command.args(["--listen", &address.to_string()]);
    command
}

fn nginx(directory: &Path, address: SocketAddr, connections: usize) -> Result<Command> {
    let file = directory.join("nginx.conf");
    // A parameter may have 4 KiB at most.
    let body = "x".repeat(table_length(connections).min(4000));
    let directory = directory.display();
    let settings = format!(
        "daemon off; worker_processes 1; user root; pid {directory}/pid; error_log {directory}/log;\n\
         worker_rlimit_nofile 20000;\n\
         events {{ worker_connections 19000; }}\n\
         http {{ access_log off; keepalive_requests 1000000000; keepalive_timeout 600;\n\
           client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy;\n\
           fastcgi_temp_path {directory}/fastcgi; uwsgi_temp_path {directory}/uwsgi;\n\
           scgi_temp_path {directory}/scgi;\n\
           server {{ listen {address} backlog=4096;\n\
             location / {{ add_header Accept 'application/json, text/plain, */*'; return 200 {body}; }} }} }}\n",
    );
    fs::write(&file, settings)?;
    let mut command = installed("nginx");
    command.arg("-c").arg(file);
    Ok(command)
}

fn redis(directory: &Path, port: &str) -> Command {
    let mut command = installed("redis-server");
    command.args(["--bind", "127.0.0.1", "--port", port]);
    command.args(["--save", "", "--appendonly", "no", "--protected-mode", "no"]);
    command.args(["--maxclients", "19000", "--tcp-backlog", "4096", "--dir"]);
    command.arg(directory);
    command
}

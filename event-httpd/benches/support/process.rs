//! Servers that are measured: each a process on a processor of its own, observed through /proc.
#![allow(dead_code, reason = "not used by every bench that has this file")]

use std::fs;
use std::io::{self, Read as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::yield_now;
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use test_support::spawn_bound_to_thread;

use super::Result;

/// How long a server may take to listen, to do what is waited for, and to end.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// The processor that servers run on, and the one of this program. They are the same on a machine
/// with one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Processors {
    server: usize,
    client: usize,
}

impl Processors {
    /// Takes the first and the last of those that this process may use, and moves to the last.
    pub(crate) fn take() -> Result<Self> {
        let allowed = sched_getaffinity(Pid::from_raw(0))?;
        let mut numbers = (0..CpuSet::count()).filter(|number| allowed.is_set(*number) == Ok(true));
        let server = numbers.next().ok_or("no processor")?;
        let client = numbers.next_back().unwrap_or(server);
        move_to(client)?;
        Ok(Self { server, client })
    }

    /// Starts a process on the servers' processor.
    fn spawn(self, command: &mut Command) -> Result<Child> {
        move_to(self.server)?; // a child inherits it
        let child = spawn_bound_to_thread(command);
        move_to(self.client)?;
        Ok(child.map_err(|error| format!("{:?}: {error}", command.get_program()))?)
    }
}

fn move_to(processor: usize) -> nix::Result<()> {
    let mut set = CpuSet::new();
    set.set(processor)?;
    sched_setaffinity(Pid::from_raw(0), &set)
}

/// An address on the loopback device that nobody listens on.
pub(crate) fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// Waits for a condition, and fails with `what` if it does not come true in time.
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> Result<bool>) -> Result<()> {
    let begun = Instant::now();
    while !condition()? {
        if begun.elapsed() > LIMIT {
            return Err(format!("{what}: not within {LIMIT:?}").into());
        }
        yield_now();
    }
    Ok(())
}

/// The letter for what a process does: `S` when it sleeps, `T` when it is stopped.
fn state_of(id: u32) -> Result<Option<char>> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat"))?;
    let state = stat.rsplit_once(") ");
    Ok(state.and_then(|(_, rest)| rest.chars().next()))
}

/// A running server. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    /// Starts a command that listens on `address`, waits until it does, and until it has closed
    /// the connection that showed that.
    pub(crate) fn start(
        processors: Processors,
        command: &mut Command,
        address: SocketAddr,
    ) -> Result<Self> {
        let mut server = Self::launch(processors, command, address)?;
        let mut probe = server.first_connection()?;
        probe.shutdown(Shutdown::Write)?;
        probe.set_read_timeout(Some(LIMIT))?;
        probe.read_to_end(&mut Vec::new())?;
        Ok(server)
    }

    /// Starts a command that will listen on `address`.
    pub(crate) fn launch(
        processors: Processors,
        command: &mut Command,
        address: SocketAddr,
    ) -> Result<Self> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = processors.spawn(command)?;
        Ok(Self { child, address })
    }

    /// Connects as soon as it listens.
    pub(crate) fn first_connection(&mut self) -> Result<TcpStream> {
        let address = self.address;
        let mut stream = None;
        until("the server listens", || {
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("the server ended with {status}").into());
            }
            stream = TcpStream::connect(address).ok();
            Ok(stream.is_some())
        })?;
        Ok(stream.ok_or("no connection")?)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The process that serves: that of nginx is a child of its master.
    pub(crate) fn serving(&self) -> Result<u32> {
        let id = self.child.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"))?;
        let first = children.split_whitespace().next();
        Ok(first.map_or(Ok(id), str::parse)?)
    }

    /// The processor time of all its threads so far, in user and in kernel space.
    pub(crate) fn processor(&self) -> Result<Duration> {
        let mut time = Duration::ZERO;
        for thread in fs::read_dir(format!("/proc/{}/task", self.serving()?))? {
            let text = fs::read_to_string(thread?.path().join("schedstat"))?;
            let nanoseconds = text.split(' ').next().unwrap_or_default();
            time += Duration::from_nanos(nanoseconds.parse()?);
        }
        Ok(time)
    }

    /// Resident bytes.
    pub(crate) fn memory(&self) -> Result<usize> {
        Ok(self.status("VmRSS:")? * 1024)
    }

    /// Open descriptors.
    pub(crate) fn descriptors(&self) -> Result<usize> {
        Ok(fs::read_dir(format!("/proc/{}/fd", self.serving()?))?.count())
    }

    /// A number in /proc/PID/status.
    pub(crate) fn status(&self, name: &str) -> Result<usize> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.serving()?))?;
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.split_whitespace().next());
        Ok(number.ok_or("no such line in /proc/PID/status")?.parse()?)
    }
}

impl Server {
    /// Stops the process until [`resume`](Self::resume): what peers do meanwhile reaches it in one
    /// turn of its loop. Its last turn is over before.
    pub(crate) fn pause(&self) -> Result<()> {
        let id = self.serving()?;
        until("the server waits for its peers", || {
            Ok(state_of(id)? == Some('S'))
        })?;
        kill(Pid::from_raw(id.try_into()?), Signal::SIGSTOP)?;
        until("the server stops", || {
            Ok(matches!(state_of(id)?, Some('T' | 't')))
        })
    }

    pub(crate) fn resume(&self) -> Result<()> {
        let id = self.serving()?;
        Ok(kill(Pid::from_raw(id.try_into()?), Signal::SIGCONT)?)
    }

    /// Ends the process, and waits until it has ended; harmless a second time.
    pub(crate) fn end(&mut self) -> Result<ExitStatus> {
        let begun = Instant::now();
        let mut asked = false;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if !asked {
                // nginx's worker ends with its master, which must therefore get a signal that it
                // handles.
                kill(Pid::from_raw(self.child.id().try_into()?), Signal::SIGTERM)?;
                asked = true;
            }
            if begun.elapsed() > LIMIT {
                self.child.kill()?;
            }
            yield_now();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

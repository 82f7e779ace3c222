//! A master and its workers, as seen in /proc.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use std::{fs, io};

use nix::errno::Errno;
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;
use socket2::{SockAddr, Socket};

use super::Peer;
use crate::support_http::{Server, until};

/// A process as seen in /proc.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sighting {
    pub(crate) pid: Pid,
    pub(crate) name: String,
    pub(crate) state: char,
    parent: Pid,
}

fn sighting(pid: Pid) -> Option<Sighting> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (before, after) = stat.rsplit_once(')')?;
    let mut fields = after.split_whitespace();
    Some(Sighting {
        pid,
        name: before.split_once('(')?.1.to_owned(),
        state: fields.next()?.chars().next()?,
        parent: Pid::from_raw(fields.next()?.parse().ok()?),
    })
}

/// The children of a process, zombies included, oldest first.
pub(crate) fn children(parent: Pid) -> Vec<Sighting> {
    let mut children: Vec<Sighting> = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid| sighting(Pid::from_raw(pid)))
        .filter(|child| child.parent == parent)
        .collect();
    children.sort_by_key(|child| child.pid);
    children
}

/// The state of a process, as `ps` shows it; `None` without such a process.
pub(crate) fn state(pid: Pid) -> Option<char> {
    sighting(pid).map(|process| process.state)
}

/// Whether a process has ended, reaped or not.
pub(crate) fn gone(pid: Pid) -> bool {
    matches!(state(pid), None | Some('Z' | 'X'))
}

#[track_caller]
pub(crate) fn until_gone(pid: Pid) {
    until(&format!("the end of process {pid}"), || {
        gone(pid).then_some(())
    });
}

#[track_caller]
pub(crate) fn kill(pid: Pid, signal: Signal) {
    signal::kill(pid, signal).unwrap_or_else(|error| panic!("{signal} to {pid}: {error}"));
}

/// A stopped process; dropping this continues it.
#[must_use]
pub(crate) struct Stopped(Pid);

/// Stops a process, and waits until it has stopped.
#[track_caller]
pub(crate) fn stop(pid: Pid) -> Stopped {
    kill(pid, Signal::SIGSTOP);
    let stopped = Stopped(pid);
    until(&format!("process {pid} stops"), || {
        matches!(state(pid), Some('T' | 't')).then_some(())
    });
    stopped
}

impl Drop for Stopped {
    fn drop(&mut self) {
        signal::kill(self.0, Signal::SIGCONT).ok();
    }
}

/// Kills a process unless it has ended.
pub(crate) fn kill_if_there(pid: Pid) {
    match signal::kill(pid, Signal::SIGKILL) {
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(error) => panic!("SIGKILL to {pid}: {error}"),
    }
}

/// The workers of a server, one of each number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Family(BTreeMap<usize, Pid>);

impl Family {
    /// The current workers; of two in one slot, the younger.
    pub(crate) fn of(server: &Server) -> Self {
        let workers = children(server.process().id()).into_iter();
        Self(
            workers
                .filter(|worker| worker.state != 'Z')
                .filter_map(|worker| {
                    let number = worker.name.strip_prefix("httpd worker ")?;
                    Some((number.parse().unwrap(), worker.pid))
                })
                .collect(),
        )
    }

    pub(crate) fn pids(&self) -> Vec<Pid> {
        self.0.values().copied().collect()
    }

    pub(crate) fn numbers(&self) -> Vec<usize> {
        self.0.keys().copied().collect()
    }

    #[track_caller]
    pub(crate) fn pid(&self, number: usize) -> Pid {
        self.0[&number]
    }

    #[track_caller]
    pub(crate) fn number(&self, pid: Pid) -> usize {
        let found = self.0.iter().find(|(_, worker)| **worker == pid);
        *found.expect("one of the workers").0
    }

    /// Whether none of `other`'s processes is in it.
    pub(crate) fn shares_nothing_with(&self, other: &Self) -> bool {
        let others: BTreeSet<Pid> = other.0.values().copied().collect();
        self.0.values().all(|pid| !others.contains(pid))
    }
}

/// Waits until the server has `count` workers, none of them one of `former`.
#[track_caller]
pub(crate) fn every_worker(server: &Server, count: usize, former: Option<&Family>) -> Family {
    until(&format!("{count} workers"), || {
        let family = Family::of(server);
        let all = family.0.len() == count && children(server.process().id()).len() == count;
        let new = former.is_none_or(|former| family.shares_nothing_with(former));
        (all && new).then_some(family)
    })
}

/// Waits until the server has had the same `count` workers for a while.
#[track_caller]
pub(crate) fn steady(server: &Server, count: usize) -> Family {
    let mut seen = (every_worker(server, count, None), Instant::now());
    until("a steady state", || {
        let now = every_worker(server, count, None);
        if now != seen.0 {
            seen = (now, Instant::now());
        }
        (seen.1.elapsed() > Duration::from_millis(300)).then(|| seen.0.clone())
    })
}

/// The sockets that a process has open, by inode.
fn socket_inodes(pid: Pid) -> BTreeSet<u64> {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return BTreeSet::new();
    };
    descriptors
        .filter_map(|entry| {
            let target = fs::read_link(entry.ok()?.path()).ok()?;
            let inode = target
                .to_str()?
                .strip_prefix("socket:[")?
                .strip_suffix(']')?;
            inode.parse().ok()
        })
        .collect()
}

/// How many sockets a process has open.
pub(crate) fn sockets_of(pid: Pid) -> usize {
    socket_inodes(pid).len()
}

/// How many sockets the server's processes have open, without its master.
pub(crate) fn sockets(server: &Server) -> usize {
    let workers = Family::of(server).pids();
    if workers.is_empty() {
        return socket_inodes(server.process().id()).len();
    }
    workers.iter().map(|pid| socket_inodes(*pid).len()).sum()
}

/// Local port, remote port, state and inode of the TCP sockets over IPv4 that have this port.
fn tcp_table(with: u16) -> Vec<(u16, u16, String, u64)> {
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let port = |address: &str| u16::from_str_radix(address.split_once(':')?.1, 16).ok();
    let with = format!(":{with:04X} ");
    table
        .lines()
        .filter(|line| line.contains(&with)) // of what may be very many
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let inode = fields.get(9)?.parse().ok()?;
            Some((
                port(fields[1])?,
                port(fields[2])?,
                fields[3].to_owned(),
                inode,
            ))
        })
        .collect()
}

/// Which worker has accepted a peer's connection. A worker that is being replaced counts, too: it
/// takes what its socket had queued.
#[track_caller]
pub(crate) fn worker_of(server: &Server, peer: &Peer) -> Pid {
    until("a worker accepts the connection", || {
        let workers = children(server.process().id()).into_iter();
        owner(peer, &workers.map(|worker| worker.pid).collect::<Vec<_>>())
    })
}

/// Which of these processes has the other end of a peer's TCP connection.
pub(crate) fn owner(peer: &Peer, processes: &[Pid]) -> Option<Pid> {
    owner_of(peer.socket(), processes)
}

/// As [`owner`], for a socket.
pub(crate) fn owner_of(peer: &Socket, processes: &[Pid]) -> Option<Pid> {
    let address = |address: io::Result<SockAddr>| address.unwrap().as_socket().unwrap().port();
    let (ours, theirs) = (peer.local_addr(), peer.peer_addr());
    let ports = (address(theirs), address(ours));
    let table = tcp_table(ports.1);
    let row = table.iter().find(|row| (row.0, row.1) == ports)?;
    let mut processes = processes.iter().copied();
    processes.find(|pid| socket_inodes(*pid).contains(&row.3))
}

/// The listening sockets of the server's port that a process has open.
pub(crate) fn listeners(server: &Server, pid: Pid) -> BTreeSet<u64> {
    const LISTEN: &str = "0A";
    let open = socket_inodes(pid);
    // The kernel writes the table in pieces and can miss a line while sockets come and go.
    (0..5)
        .flat_map(|_reading| tcp_table(server.port()))
        .filter(|row| row.0 == server.port() && row.2 == LISTEN && open.contains(&row.3))
        .map(|row| row.3)
        .collect()
}

/// The peak of resident bytes of a process.
#[track_caller]
pub(crate) fn high_water(pid: Pid) -> usize {
    bytes_in_status(pid, "VmHWM:")
}

/// The resident bytes of a process.
#[track_caller]
pub(crate) fn resident(pid: Pid) -> usize {
    bytes_in_status(pid, "VmRSS:")
}

#[track_caller]
fn bytes_in_status(pid: Pid, field: &str) -> usize {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    let kilobytes: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kilobytes * 1024
}

//! `event-httpd broadcast` under torture: clients join, send, stall, break off and leave by
//! the hundred while its workers are killed, stopped, dismissed and replaced, and the master
//! is stopped for a while.
//!
//! ```sh
//! cargo test --release --test torture -- --ignored --nocapture
//! ```
//!
//! `EVENT_HTTPD_TORTURE_SECONDS` says for how long (60), `EVENT_HTTPD_TORTURE_SEED` with which
//! choices. A seed brings the same choices again, not the same interleaving of processes.
//!
//! A run is a row of rounds: a storm, then a calm in which what has to be true is checked.
//! Nothing is decided by how fast something is; a wait has an end only where without one a
//! fault would hang the test. What each check rests on:
//!
//! - **Whole messages.** A body names its sender and its number and goes on with bytes that
//!   the sender chose; each that arrives is compared with what was sent. An answer that is
//!   none of the three which the server has to give here, to the byte, is a fault.
//! - **Order, no duplicate, no gap.** What one sender's messages a receiver gets are
//!   consecutive numbers, always, whoever dies: a worker publishes in the order in which it
//!   read, the line to the master and the one to the receiver's worker keep that order, a
//!   worker that dies cuts off the end of it, and a receiver's connection ends with its
//!   worker. So a hole or a repetition needs no excuse to be looked for.
//! - **No loss.** A receiver that had its first answer before a message was begun was in its
//!   worker's table when the message came. If it is still connected in the calm it has to have
//!   the message, provided that the sender had its 202 and the sender's worker lives or has
//!   left in peace (by the master's SIGTERM or ours, with exit code 0, within its grace). The
//!   202 of a worker that was killed promises nothing: it may leave before the message does.
//! - **All or nobody.** What a client of another worker than the sender's has, the master had:
//!   whole, and passed on to all. So every such receiver has to get it, even if the sender's
//!   worker was killed and nobody was told 202. Where it is not known on which worker the
//!   sender was, two workers whose clients have it show that it came by the master.
//! - **No refusal, no reset of who waits.** The master holds the listening sockets, so that a
//!   connection is never refused, and one that no worker had accepted survives any worker.
//!   Which that is, the system shows: a socket in the queue has no inode. Some workers are
//!   therefore stopped, seen to stand still, and only then killed: what waits then has to be
//!   answered by another. A connection which ends otherwise has to have had a worker that
//!   ended; where it was not seen which, one that may have been it: its end had begun when the
//!   connection ended, and was not over when that was last seen in the queue. A worker that
//!   leaves in peace may close a connection that has not asked for anything; how many it was
//!   is counted (`dropped_in_peace`).
//! - **Nothing ends by itself.** No worker ends that was neither harmed nor replaced, a
//!   stopped one is replaced, a stopped server's exit code is 0 and none of its processes is
//!   left. `taken for hung` may be said of a worker that had no processor for a second: the
//!   log tells, and it counts as killed.
//! - **No growth.** In the calm, all clients gone, every process comes to have the descriptors
//!   it had at first, and memory within a bound that does not depend on how long it has run.
//!   No zombie stays.
//!
//! A lagging reader is cut off; that ends its connection without a fault where the log says
//! so, and how much waited for it.
#![cfg(target_os = "linux")]

mod client;
mod ledger;
mod server;
mod verdict;

use std::collections::{HashMap, VecDeque};
use std::fmt::Write as _;
use std::str::FromStr;
use std::time::{Duration, Instant};

use fastrand::Rng;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;

use client::{Client, Stage, Weather};
use ledger::Ledger;
use server::{GRACE, Server, WORKERS, memory, step};

/// How long the calm waits for what has to come; only a fault takes so long.
const PATIENCE: Duration = Duration::from_secs(90);

/// Clients that join in the calm, so that no worker that serves nobody goes unnoticed.
const PROBES: usize = 16;

/// How much memory a process may have beyond what it had after the first round, in KiB: what
/// malloc keeps of the worst moment, however many there were. The queues of the bus hold
/// 4 MiB each before senders are held back, and a client's 1 MiB before it is cut off.
const MASTER_SLACK: u64 = 16 << 10;
const WORKER_SLACK: u64 = 32 << 10;

/// How many workers are killed in a row that were not seen to serve: the master rightly gives
/// up when five end in a row before they are ready.
const UNPROVEN: u32 = 2;

/// What is wrong, and whose history tells of it.
struct Violation {
    what: String,
    clients: Vec<usize>,
}

impl From<String> for Violation {
    fn from(what: String) -> Self {
        Self {
            what,
            clients: Vec::new(),
        }
    }
}

type Outcome<T = ()> = Result<T, Violation>;

#[derive(Debug, Default)]
struct Totals {
    rounds: u32,
    connections: u64,
    messages: u64,
    deliveries: u64,
    signals: u64,
    restarts: u64,
    cut_off: u64,
    reloads: u64,
    hung: u64,
    hung_by_itself: u64, // no processor for a second, or a false alarm
    passed_on: u64,
    dropped: u64,            // by a worker's end
    dropped_unanswered: u64, // of those, before anything was answered
    dropped_in_peace: u64,   // of those, when all workers that it may have had left in peace
    dropped_asking: u64,     // of those, after they had begun to ask
    survived_in_queue: u64,  // the death of a worker
    checked: u64,            // pairs of a sender and a receiver, in the calm
}

struct Torture {
    seed: u64,
    rng: Rng,
    began: Instant,
    server: Server,
    ledger: Ledger,
    clients: Vec<Client>,
    by_port: HashMap<u16, usize>,
    totals: Totals,
    deeds: VecDeque<String>, // of ours
    later: Vec<(Instant, Later)>,
    replaced: u64, // workers, when the master was last stopped for that
    next_deed: Instant,
    next_look: Instant,
    unproven: (u32, usize), // killed in a row, and how many workers there had been then
    at_first: Option<Processes>,
    memory_of_workers: u64,
}

/// What follows on a deed.
#[derive(Clone, Copy, Debug)]
enum Later {
    Thaw(usize),
    Kill(usize),
    Dismiss(usize),
    ThawMaster,
}

/// What master and workers had when no client was there.
struct Processes {
    descriptors: (usize, usize),
    memory: Option<(u64, u64)>,
}

#[test]
#[ignore = "takes a minute, or as long as it is told"]
fn clients_get_what_they_are_due_while_workers_die() {
    let seed = setting("EVENT_HTTPD_TORTURE_SEED").unwrap_or_else(|| fastrand::u64(..));
    let seconds = setting("EVENT_HTTPD_TORTURE_SECONDS").unwrap_or(60);
    eprintln!("EVENT_HTTPD_TORTURE_SEED={seed} EVENT_HTTPD_TORTURE_SECONDS={seconds}");
    let mut torture = Torture::new(seed);
    let outcome = torture.run(Duration::from_secs(seconds));
    if let Err(violation) = outcome {
        let report = torture.report(&violation);
        drop(torture);
        panic!("{report}");
    }
    eprintln!("{:#?}", torture.totals);
}

fn setting<T: FromStr>(name: &str) -> Option<T> {
    let value = std::env::var(name).ok()?;
    match value.parse() {
        Ok(value) => Some(value),
        Err(_) => panic!("{name} is no number: {value}"),
    }
}

impl Torture {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let now = Instant::now();
        Self {
            seed,
            ledger: Ledger::new(&mut rng),
            rng,
            began: now,
            server: Server::start(),
            clients: Vec::new(),
            by_port: HashMap::new(),
            totals: Totals::default(),
            deeds: VecDeque::new(),
            later: Vec::new(),
            replaced: 0,
            next_deed: now,
            next_look: now,
            unproven: (0, 0),
            at_first: None,
            memory_of_workers: 0,
        }
    }

    fn run(&mut self, time: Duration) -> Outcome {
        self.calm()?; // what the server is like before anything happened
        while self.began.elapsed() < time {
            self.totals.rounds += 1;
            let weather = self.weather();
            let left = time.saturating_sub(self.began.elapsed());
            let storm = Duration::from_millis(self.rng.u64(4_000..12_000)).min(left);
            self.storm(&weather, storm)?;
            let before = self.began.elapsed();
            self.calm()?;
            self.progress(&weather, storm, self.began.elapsed() - before);
            if self.totals.rounds.is_multiple_of(3) {
                self.reload_in_peace()?;
            }
        }
        self.end()
    }

    fn weather(&mut self) -> Weather {
        let crowd = self.rng.u8(0..3) > 0;
        let tempo = match self.rng.u8(0..4) {
            0 => None,
            1 | 2 => Some(Duration::from_millis(1200)),
            _ => Some(Duration::from_millis(300)),
        };
        Weather {
            clients: if crowd { 160 } else { 24 },
            think: Duration::from_millis(if crowd { 1500 } else { 250 }),
            longest: if crowd { 16 << 10 } else { 512 << 10 },
            tempo,
            reloads: self.rng.u8(0..3) > 0,
        }
    }

    fn storm(&mut self, weather: &Weather, time: Duration) -> Outcome {
        self.deed(|| format!("a storm of {time:?}: {weather:?}"));
        let until = Instant::now() + time;
        let mut next_join = Instant::now();
        while Instant::now() < until {
            let now = Instant::now();
            let there = self
                .clients
                .iter()
                .filter(|client| client.is_there())
                .count();
            if now >= next_join && there < weather.clients {
                let together = if self.rng.u8(0..10) == 0 { 20 } else { 2 };
                for _ in 0..together {
                    self.join()?;
                }
                next_join = now + Duration::from_millis(self.rng.u64(1..30));
            }
            self.misbehave(weather, now)?;
            self.turn(Some(weather))?;
        }
        for (_, later) in std::mem::take(&mut self.later) {
            self.follow_up(later)?;
        }
        Ok(())
    }

    fn join(&mut self) -> Outcome {
        let id = self.ledger.join();
        let client = Client::join(id, self.seed, self.server.address, self.began)?;
        self.by_port.insert(client.port, self.clients.len());
        self.clients.push(client);
        self.totals.connections += 1;
        Ok(())
    }

    /// One turn: what is ready is read and written, and each client does what it feels like.
    fn turn(&mut self, storm: Option<&Weather>) -> Outcome {
        let now = Instant::now();
        let mut waiting = Vec::new();
        let mut descriptors = Vec::new();
        for (index, client) in self.clients.iter().enumerate() {
            if let Some((socket, wants)) = client.wants(now) {
                waiting.push(index);
                descriptors.push(PollFd::new(socket, wants));
            }
        }
        if let Some(log) = self.server.log() {
            descriptors.push(PollFd::new(log, PollFlags::POLLIN));
        }
        poll(&mut descriptors, PollTimeout::from(5u8)).unwrap();
        let ready = descriptors
            .iter()
            .map(|descriptor| descriptor.revents().unwrap_or(PollFlags::empty()))
            .collect::<Vec<_>>();
        drop(descriptors);
        let now = Instant::now();
        for (index, events) in waiting.into_iter().zip(ready) {
            if events.is_empty() {
                continue;
            }
            let done = self.clients[index].ready(events, now, &self.ledger);
            done.map_err(|what| Violation {
                what: format!("client {} {what}", self.clients[index].id),
                clients: vec![index],
            })?;
        }
        for client in &mut self.clients {
            client.act(now, &mut self.ledger, storm);
        }
        self.read_log()?;
        // Why the server closed a connection is in the log by now.
        for client in &mut self.clients {
            if client.stage == Stage::Dropped {
                client.dropped.get_or_insert_with(step);
            }
        }
        Ok(())
    }

    fn read_log(&mut self) -> Outcome {
        self.server.read_log();
        for (port, waiting) in std::mem::take(&mut self.server.cut_off) {
            self.totals.cut_off += 1;
            if let Some(index) = self.by_port.get(&port) {
                let client = &mut self.clients[*index];
                client.cut_off = true;
                client.note(|| format!("was cut off, {waiting} bytes waited for it"));
            }
        }
        match self.server.faults.pop() {
            Some(fault) => Err(fault.into()),
            None => Ok(()),
        }
    }

    /// Finds out which worker each client is on.
    fn map(&mut self) -> Outcome {
        self.read_log()?;
        let at = step();
        let owners = self.server.owners();
        for client in &mut self.clients {
            if client.is_there() {
                client.owner(owners.get(&client.port).copied(), at);
                if let (Some(worker), Some(_)) = (client.worker, client.proof) {
                    self.server.workers[worker].proven = true;
                }
            }
        }
        let (_, workers) = self.unproven;
        if self
            .server
            .workers
            .iter()
            .skip(workers)
            .any(|worker| worker.proven)
        {
            self.unproven = (0, 0);
        }
        self.read_log()
    }

    /// Does the server some harm, when it is time for that.
    fn misbehave(&mut self, weather: &Weather, now: Instant) -> Outcome {
        let (due, later) = std::mem::take(&mut self.later)
            .into_iter()
            .partition(|(at, _)| *at <= now);
        self.later = later;
        for (_, later) in due {
            self.follow_up(later)?;
        }
        if self.server.replaced > self.replaced {
            self.replaced = self.server.replaced;
            if self.rng.bool() {
                self.freeze_master(now); // while a worker says its last
            }
        }
        if now >= self.next_look {
            self.next_look = now + Duration::from_millis(250);
            self.map()?;
        }
        if now < self.next_deed {
            return Ok(());
        }
        let pause = weather
            .tempo
            .unwrap_or(Duration::from_secs(2))
            .as_secs_f64();
        self.next_deed = now + Duration::from_secs_f64(pause * (0.1 + 1.8 * self.rng.f64()));
        let deed = self.rng.u8(0..100);
        if deed < 5 {
            self.freeze_master(now);
        } else if deed < 15 {
            self.deed(|| "USR1 to the master".to_owned());
            self.server.tell_master(Signal::SIGUSR1);
        } else if deed < 30 {
            if weather.reloads {
                let signal = [Signal::SIGHUP, Signal::SIGUSR2][self.rng.usize(0..2)];
                self.deed(|| format!("{signal} to the master"));
                self.server.tell_master(signal);
            }
        } else if weather.tempo.is_some() {
            self.harm(deed, now)?;
        }
        Ok(())
    }

    fn harm(&mut self, deed: u8, now: Instant) -> Outcome {
        self.map()?;
        let mut workers = self.server.look();
        workers.retain(|(_, process)| !matches!(process.state, 'T' | 'Z'));
        self.rng.shuffle(&mut workers);
        let many = if deed >= 97 { WORKERS } else { 1 };
        for (worker, process) in workers.into_iter().take(many) {
            let pid = process.pid;
            if !self.server.workers[worker].proven {
                if self.unproven.0 >= UNPROVEN {
                    continue;
                }
                self.unproven = (self.unproven.0 + 1, self.server.workers.len());
            }
            self.totals.signals += 1;
            match deed {
                30..60 | 97.. => {
                    let signal = [Signal::SIGKILL, Signal::SIGABRT, Signal::SIGSEGV];
                    let signal = signal[self.rng.usize(0..3)];
                    self.deed(|| format!("{signal} to {pid} ({})", process.name));
                    self.server.harm(worker, signal);
                    if signal == Signal::SIGSEGV {
                        // The first one ends at the handler that looks for stack overflows.
                        std::thread::sleep(Duration::from_millis(1));
                        self.server.harm(worker, signal);
                    }
                }
                60..75 => {
                    self.server.freeze(worker);
                    let time = Duration::from_millis(self.rng.u64(0..600));
                    self.deed(|| format!("STOP to {pid} ({}), KILL in {time:?}", process.name));
                    self.later.push((now + time, Later::Kill(worker)));
                }
                75..90 => {
                    self.server.freeze(worker);
                    let time = Duration::from_millis(self.rng.u64(20..900));
                    self.deed(|| format!("STOP to {pid} ({}), CONT in {time:?}", process.name));
                    self.later.push((now + time, Later::Thaw(worker)));
                }
                90..95 => {
                    // What it says last, the master reads late, and beside what others say.
                    let time = self.freeze_master(now).mul_f64(self.rng.f64());
                    self.deed(|| format!("the end of {pid} ({}) in {time:?}", process.name));
                    let end = if self.rng.bool() {
                        Later::Dismiss(worker)
                    } else {
                        Later::Kill(worker)
                    };
                    self.later.push((now + time, end));
                }
                _ => {
                    self.server.freeze(worker);
                    self.deed(|| format!("STOP to {pid} ({})", process.name));
                    self.map()?;
                }
            }
        }
        Ok(())
    }

    fn freeze_master(&mut self, now: Instant) -> Duration {
        let time = Duration::from_millis(self.rng.u64(10..1400));
        self.deed(|| format!("STOP to the master, CONT in {time:?}"));
        self.server.tell_master(Signal::SIGSTOP);
        self.later.push((now + time, Later::ThawMaster));
        time
    }

    fn follow_up(&mut self, later: Later) -> Outcome {
        match later {
            Later::Thaw(worker) => {
                self.deed(|| "CONT".to_owned());
                self.server.thaw(worker);
            }
            Later::ThawMaster => {
                self.deed(|| "CONT to the master".to_owned());
                self.server.tell_master(Signal::SIGCONT);
            }
            Later::Dismiss(worker) => {
                let pid = self.server.workers[worker].pid;
                self.deed(|| format!("TERM to {pid}"));
                self.server.dismiss(worker);
            }
            Later::Kill(worker) => {
                // If it stands still, who waits in its queue now is to be served by another.
                let before = step();
                self.map()?;
                let mut waiting = 0;
                for client in &mut self.clients {
                    let stands_still = self.server.workers[worker].frozen.is_some();
                    if stands_still && client.is_there() && client.unaccepted > Some(before) {
                        client.outlived_one = true;
                        waiting += 1;
                    }
                }
                let pid = self.server.workers[worker].pid;
                self.deed(|| format!("KILL to {pid}, {waiting} wait in a queue"));
                self.server.harm(worker, Signal::SIGKILL);
            }
        }
        Ok(())
    }

    fn deed(&mut self, what: impl FnOnce() -> String) {
        if self.deeds.len() == 60 {
            self.deeds.pop_front();
        }
        let at = self.began.elapsed().as_secs_f64();
        self.deeds.push_back(format!("{at:9.3} {}", what()));
    }

    /// Waits until something is true; `Err` in it says what is missing.
    fn wait(
        &mut self,
        for_what: &str,
        mut is_true: impl FnMut(&mut Self) -> Outcome<Result<(), Violation>>,
    ) -> Outcome {
        let until = Instant::now() + PATIENCE;
        loop {
            let next = Instant::now() + Duration::from_millis(40);
            while Instant::now() < next {
                self.turn(None)?;
            }
            let missing = match is_true(self)? {
                Ok(()) => return Ok(()),
                Err(missing) => missing,
            };
            if Instant::now() > until {
                return Err(Violation {
                    what: format!("{for_what}, after {PATIENCE:?}: {}", missing.what),
                    ..missing
                });
            }
        }
    }

    /// Lets all that is under way end, and checks what has to be true then.
    fn calm(&mut self) -> Outcome {
        self.deed(|| "a calm".to_owned());
        for _ in 0..PROBES {
            self.join()?;
        }
        self.wait("the server does not come to rest", |torture| {
            Ok(torture.is_at_rest())
        })?;
        self.judge_drops()?;
        self.wait("not all that is due has come", |torture| {
            torture.map()?;
            Ok(torture.is_complete())
        })?;
        for client in &mut self.clients {
            self.totals.messages += self.ledger.sent(client.id).len() as u64;
            self.totals.deliveries += client.deliveries;
            if client.is_there() {
                client.leave();
            }
        }
        self.clients.clear();
        self.by_port.clear();
        self.ledger.begin_round();
        self.wait("something is left behind", |torture| {
            Ok(torture.has_shrunk())
        })?;
        self.totals.restarts = self
            .server
            .workers
            .iter()
            .filter(|worker| worker.ended.is_some())
            .count() as u64;
        (self.totals.reloads, self.totals.hung) = (self.server.reloads, self.server.hung);
        self.totals.hung_by_itself = self.server.hung_by_itself;
        self.totals.passed_on = self.server.passed_on;
        Ok(())
    }

    /// A reload when nobody disturbs it replaces every worker.
    fn reload_in_peace(&mut self) -> Outcome {
        let before = self.server.look();
        // One that was under way leaves out workers that it had replaced already.
        for attempt in 1..=2 {
            self.deed(|| format!("HUP in peace ({attempt})"));
            self.server.tell_master(Signal::SIGHUP);
            let until = Instant::now() + PATIENCE / 2;
            while Instant::now() < until {
                self.turn(None)?;
                let gone = before
                    .iter()
                    .filter(|(worker, _)| self.server.workers[*worker].ended.is_some());
                if gone.count() == before.len() {
                    return Ok(());
                }
            }
        }
        Err("SIGHUP does not replace the workers".to_owned().into())
    }

    /// Stops the server while clients are connected.
    fn end(&mut self) -> Outcome {
        for _ in 0..PROBES {
            self.join()?;
        }
        self.wait("the last clients are not answered", |torture| {
            let ledger = &torture.ledger;
            let unanswered = torture
                .clients
                .iter()
                .position(|client| client.is_there() && !client.is_settled(ledger));
            Ok(unanswered.map_or(Ok(()), |index| {
                Err(Violation {
                    what: "one of them".to_owned(),
                    clients: vec![index],
                })
            }))
        })?;
        self.deed(|| "TERM to the master".to_owned());
        self.server.look();
        for worker in &mut self.server.workers {
            worker.harmed.get_or_insert_with(step); // each is told to end now
        }
        self.server.tell_master(Signal::SIGTERM);
        let began = Instant::now();
        let status = loop {
            self.turn(None)?;
            if let Some(status) = self.server.exit() {
                break status;
            }
            // Twice what is promised: the machine may be busy.
            if began.elapsed() > 2 * (GRACE + Duration::from_secs(2)) {
                return Err("the server does not stop".to_owned().into());
            }
        };
        if status.code() != Some(0) {
            return Err(format!("the server ends with {status}").into());
        }
        self.wait("the server has ended", |torture| {
            let left = torture.server.processes();
            let connected = torture.clients.iter().position(Client::is_there);
            Ok(if !left.is_empty() || torture.server.log().is_some() {
                Err(format!("processes are left: {left:?}").into())
            } else if let Some(index) = connected {
                Err(Violation {
                    what: "a client is connected".to_owned(),
                    clients: vec![index],
                })
            } else {
                Ok(())
            })
        })
    }

    fn progress(&self, weather: &Weather, storm: Duration, calm: Duration) {
        let totals = &self.totals;
        eprintln!(
            "round {:3} at {:6.1} s: {:3} clients, tempo {:?}, storm {:.1} s, calm {:.1} s; \
             so far {} connections, {} messages, {} deliveries, {} signals, {} ended workers, \
             {} reloads, {} hung ({} by themselves), {} cut off, {} dropped ({} unanswered, {} in peace, {} asking), {} survived in a \
             queue, {} pairs checked; memory {:?}, {:?}",
            totals.rounds,
            self.began.elapsed().as_secs_f64(),
            weather.clients,
            weather.tempo,
            storm.as_secs_f64(),
            calm.as_secs_f64(),
            totals.connections,
            totals.messages,
            totals.deliveries,
            totals.signals,
            totals.restarts,
            totals.reloads,
            totals.hung,
            totals.hung_by_itself,
            totals.cut_off,
            totals.dropped,
            totals.dropped_unanswered,
            totals.dropped_in_peace,
            totals.dropped_asking,
            totals.survived_in_queue,
            totals.checked,
            memory(self.server.master()),
            self.memory_of_workers,
        );
    }

    fn report(&mut self, violation: &Violation) -> String {
        self.server.read_log();
        let mut text = format!(
            "{}\nseed {}, round {}, {:.3} s after the start, step {}\n{:#?}\n\n-- what was done:\n",
            violation.what,
            self.seed,
            self.totals.rounds,
            self.began.elapsed().as_secs_f64(),
            step(),
            self.totals,
        );
        for line in &self.deeds {
            let _ = writeln!(text, "{line}");
        }
        for index in &violation.clients {
            let Some(client) = self.clients.get(*index) else {
                continue;
            };
            let _ = writeln!(
                text,
                "\n-- client {} (port {}, {:?}, worker {:?}, born {}, proof {:?}, unaccepted {:?}, dropped {:?}):",
                client.id,
                client.port,
                client.stage,
                client.worker.map(|worker| &self.server.workers[worker]),
                client.born,
                client.proof,
                client.unaccepted,
                client.dropped,
            );
            for line in client.history() {
                let _ = writeln!(text, "{line}");
            }
        }
        let _ = writeln!(text, "\n-- the processes:\n{:#?}", self.server.processes());
        let _ = writeln!(text, "\n-- the end of the server's log:");
        for line in self.server.tail() {
            let _ = writeln!(text, "{line}");
        }
        text
    }
}

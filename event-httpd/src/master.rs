//! The master: starts workers, replaces those that end, hang or ask for it, and stops them.
//!
//! It owns the listening sockets, so that connections queued on one outlive the worker that would
//! have accepted them, and one end of each worker's line. It serves nothing itself. It forks
//! outside the event loop: code that needs a new worker notes it and leaves the loop.

mod processes;
mod slot;

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::app;
use crate::bus::{Relay, WorkerMessage};
use crate::config::Config;
use crate::counters::Counter;
use crate::error::{ServerError, StartFailure};
use crate::listener::Listening;
use crate::log;
use crate::signals;
use crate::worker::Worker;
use php_event::process::{self, Exit, Fork, Pid, Wait, Waited};
use php_event::stream::{Stream, stream_socket_pair};
use php_event::{Event, EventBase};
use processes::{Processes, State, WorkerProcess};
use slot::Slot;

/// When this many workers in a row fail before one accepts, and none serves, the master gives up,
/// unless one has served not long ago.
const FAILED_STARTS_MAX: u32 = 5;

/// How long after a worker has served the master goes on trying: what worked lately fails because
/// of something that may pass, such as a full process table.
const CONFIDENCE: Duration = Duration::from_secs(60);

/// How long workers have after their own grace period before they are killed.
const PATIENCE: Duration = Duration::from_secs(2);

/// What this process is when [`Master::run`] returns.
enum Role {
    /// The master; all workers have ended.
    Master,
    /// A worker that was just forked.
    Worker(Start),
}

/// What a worker starts with.
struct Start {
    slot: usize,
    listeners: Vec<Stream>,
    line: Stream,
    master: Pid,
}

/// How far the master is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    /// Keeps every slot filled.
    Running,
    /// Starts no more workers, and waits for their connections to end.
    Draining,
    /// As [`Draining`](Self::Draining), within the grace period.
    Stopping {
        /// When the grace period began.
        since: Instant,
    },
}

/// How the master stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// When all connections have ended.
    Drain,
    /// Within the grace period.
    WithinGrace,
}

/// What the master counts.
#[derive(Debug, Default)]
struct MasterCounters {
    /// Workers started in place of one that ended by itself.
    restarts: Counter,
    /// Workers killed because they hung.
    hung: Counter,
}

struct Master {
    base: EventBase,
    config: Config,
    listening: Listening,
    relay: OnceCell<Rc<Relay>>,
    slots: Vec<Slot>,
    processes: Processes,
    to_start: RefCell<VecDeque<usize>>,
    to_replace: RefCell<VecDeque<Pid>>,
    failed_starts: Cell<u32>, // in a row, in all slots, since a worker last accepted
    last_served: Cell<Option<Instant>>, // when a worker became ready, or one that was ready ended
    announced: Cell<bool>,
    life: Cell<Life>,
    failure: RefCell<Option<ServerError>>,
    signals: RefCell<Vec<Event>>,
    deadline: OnceCell<Event>,
    counters: MasterCounters,
}

/// Runs a master with `workers` workers, or, in a forked child, one of them.
///
/// # Errors
/// As [`run`](super::run); [`ServerError::Workers`] when no worker could start.
pub(crate) fn serve(
    config: Config,
    workers: usize,
    max_connections: usize,
) -> Result<(), ServerError> {
    name_thread("httpd master");
    let role = Master::new(config.clone(), workers)?.run()?;
    match role {
        Role::Master => Ok(()),
        Role::Worker(start) => work(config, start, max_connections),
    }
}

/// Runs a worker in its own process. Why it fails is a line of the log: the master goes on, and so
/// does its log.
fn work(config: Config, start: Start, max_connections: usize) -> Result<(), ServerError> {
    let number = start.slot + 1;
    log::forked();
    name_thread(&format!("httpd worker {number}"));
    let _span = tracing::info_span!("worker", number).entered();
    serve_as_worker(config, start, max_connections).map_err(|error| {
        tracing::error!("{error}");
        ServerError::Worker
    })
}

fn serve_as_worker(
    config: Config,
    start: Start,
    max_connections: usize,
) -> Result<(), ServerError> {
    if !die_with(start.master) {
        return Ok(()); // the master ended before this process could watch it
    }
    process::gc_mem_caches(); // the copy of what the master keeps has been dropped
    let worker = Worker::new(config, max_connections)?;
    worker.join(start.line)?;
    worker.run(start.listeners, || {
        signals::unblock(); // the worker has its own signal events now
        tracing::debug!("accepting");
    })?;
    Ok(())
}

impl Master {
    fn new(config: Config, workers: usize) -> Result<Rc<Self>, ServerError> {
        let master = Rc::new(Self {
            base: EventBase::new()?,
            listening: Listening::on(&config, workers)?,
            relay: OnceCell::new(),
            slots: (0..workers).map(|_| Slot::default()).collect(),
            processes: Processes::default(),
            to_start: RefCell::new((0..workers).collect()),
            to_replace: RefCell::default(),
            failed_starts: Cell::new(0),
            last_served: Cell::new(None),
            announced: Cell::new(false),
            life: Cell::new(Life::Running),
            failure: RefCell::default(),
            signals: RefCell::default(),
            deadline: OnceCell::new(),
            counters: MasterCounters::default(),
            config,
        });
        master.set_up()?;
        Ok(master)
    }

    fn set_up(self: &Rc<Self>) -> php_event::Result<()> {
        let weak = Rc::downgrade(self);
        let relay = Relay::new(
            &self.base,
            self.config.bus_timeout(),
            self.config.longest_message(),
            app::exchange_of(&self.config),
            move |pid, message| {
                if let Some(master) = weak.upgrade() {
                    master.received(pid, message);
                }
            },
        )?;
        self.relay.get_or_init(|| relay);
        for (number, slot) in self.slots.iter().enumerate() {
            slot.set_timer(self.timer(move |master| master.start_soon(number))?);
        }
        let deadline =
            self.timer(|master| master.kill_all("did not end within the grace period"))?;
        self.deadline.get_or_init(|| deadline);
        let stop = |master: &Rc<Self>| master.stop(Stop::WithinGrace);
        let signals = [
            self.signal(Signal::SIGCHLD, Self::reap)?,
            self.signal(Signal::SIGTERM, stop)?,
            self.signal(Signal::SIGINT, stop)?,
            self.signal(Signal::SIGQUIT, |master| master.stop(Stop::Drain))?,
            self.signal(Signal::SIGUSR2, Self::replace_all)?,
            self.signal(Signal::SIGUSR1, Self::log_counters)?,
        ];
        self.signals.borrow_mut().extend(signals);
        if !signals::ignores_hangup() {
            let hangup = self.signal(Signal::SIGHUP, Self::replace_all)?;
            self.signals.borrow_mut().push(hangup);
        }
        Ok(())
    }

    fn timer(self: &Rc<Self>, work: impl Fn(&Rc<Self>) + 'static) -> php_event::Result<Event> {
        let weak = Rc::downgrade(self);
        Event::timer(&self.base, move |_event| {
            if let Some(master) = weak.upgrade() {
                work(&master);
            }
        })
    }

    fn signal(
        self: &Rc<Self>,
        signal: Signal,
        work: impl Fn(&Rc<Self>) + 'static,
    ) -> php_event::Result<Event> {
        let weak = Rc::downgrade(self);
        let event = Event::signal(&self.base, signal as i32, move |_signum, _event| {
            if let Some(master) = weak.upgrade() {
                work(&master);
            }
        })?;
        event.add(None).map(|()| event)
    }

    /// Supervises until all workers have ended, or until this process is a worker.
    fn run(self: Rc<Self>) -> Result<Role, ServerError> {
        loop {
            let next = self.to_start.borrow_mut().pop_front();
            match next {
                Some(_) if self.is_stopping() => {}
                Some(slot) => {
                    if let Some(start) = self.start(slot)? {
                        return Ok(Role::Worker(start));
                    }
                }
                None if self.is_over() => break,
                None => drop(self.base.dispatch()?),
            }
        }
        signals::block(); // one that comes now would end the process before its log is written
        self.log_counters();
        match self.failure.take() {
            Some(failure) => Err(failure),
            None => Ok(Role::Master),
        }
    }

    fn is_stopping(&self) -> bool {
        self.life.get() != Life::Running
    }

    fn is_over(&self) -> bool {
        self.is_stopping() && self.processes.is_empty()
    }

    /// Makes the loop return; it leaves the current callback first.
    fn leave_loop(&self) {
        if let Err(error) = self.base.exit(None) {
            tracing::error!("{error}");
            self.base.stop().ok(); // needs no memory, and leaves the other callbacks for later
        }
    }

    fn received(self: &Rc<Self>, pid: Pid, message: WorkerMessage) {
        match message {
            WorkerMessage::Ready => self.became_ready(pid),
            WorkerMessage::Retire => self.replace([pid]),
            WorkerMessage::Hung => self.kill_hung(pid),
        }
    }

    fn kill_hung(&self, pid: Pid) {
        if self.processes.mark_killed(pid) {
            self.counters.hung.add(1);
            let timeout = self.config.bus_timeout();
            tracing::warn!(
                "process {pid} has not answered for {timeout:?}, so it hangs: killing it"
            );
            self.send(pid, Signal::SIGKILL);
        }
    }

    fn send(&self, pid: Pid, signal: Signal) {
        if let Err(error) = process::kill(pid, signal as i32) {
            tracing::error!("process {pid}: {error}");
        }
    }

    fn log_counters(self: &Rc<Self>) {
        tracing::info!(
            workers = self.processes.len(),
            restarts = self.counters.restarts.get(),
            hung = self.counters.hung.get(),
            passed_on = self.relay.get().map_or(0, |relay| relay.relayed()),
            "counters of the master"
        );
        if !self.is_stopping() {
            for pid in self.processes.pids() {
                self.send(pid, Signal::SIGUSR1);
            }
        }
    }
}

/// Starting.
impl Master {
    /// Forks a worker for a slot. In the child, returns what the worker starts with.
    fn start(self: &Rc<Self>, slot: usize) -> Result<Option<Start>, ServerError> {
        let listeners = self.listening.streams(slot);
        if listeners.is_empty() {
            return Ok(None); // stopping
        }
        let master = process::getpid();
        signals::block(); // the child must not lose one before it has its events
        let forked = stream_socket_pair().and_then(|pair| Ok((pair, process::fork()?)));
        let parent = match forked {
            Ok(((_ours, line), Fork::Child)) => {
                // Dropping the copy of the master must not change what the master waits for.
                self.base.re_init()?;
                return Ok(Some(Start {
                    slot,
                    listeners,
                    line,
                    master,
                }));
            }
            Ok(((ours, _line), Fork::Parent(pid))) => Ok((ours, pid)),
            Err(error) => Err(error),
        };
        signals::unblock();
        match parent {
            Ok((ours, pid)) => self.started(slot, pid, ours),
            Err(error) => {
                tracing::error!("worker {} cannot be started: {error}", slot + 1);
                self.count_failed_start();
                self.failed_quickly(slot, error.into());
            }
        }
        Ok(None)
    }

    fn started(&self, slot: usize, pid: Pid, line: Stream) {
        tracing::debug!("worker {} is process {pid}", slot + 1);
        self.processes.insert(pid, WorkerProcess::new(slot));
        if let Some(Err(error)) = self.relay.get().map(|relay| relay.connect(pid, line)) {
            // The worker sees its line close, and ends.
            tracing::error!("worker {}: {error}", slot + 1);
        }
    }

    /// Starts a worker once the loop has been left.
    fn start_soon(&self, slot: usize) {
        let mut to_start = self.to_start.borrow_mut();
        if !to_start.contains(&slot) {
            to_start.push_back(slot);
        }
        drop(to_start);
        self.leave_loop();
    }

    /// Whether the next worker of a slot will start without further notice.
    fn is_starting(&self, slot: usize) -> bool {
        self.to_start.borrow().contains(&slot) || self.slots.get(slot).is_some_and(Slot::is_delayed)
    }

    fn became_ready(self: &Rc<Self>, pid: Pid) {
        let Some(former) = self.processes.take_slot(pid) else {
            return; // it has been reaped already
        };
        self.failed_starts.set(0);
        self.last_served.set(Some(Instant::now()));
        if self.is_stopping() {
            return; // each ends as it was told to
        }
        for former in former {
            if let Some(process) = self.processes.get(former) {
                let number = process.slot() + 1;
                tracing::info!("worker {number}: process {pid} takes over from {former}");
            }
            if !self.relay.get().is_some_and(|relay| relay.replace(former)) {
                self.send(former, Signal::SIGTERM); // it has no line any more
            }
        }
        self.replace_next();
        if self.processes.serving() >= self.slots.len() && !self.announced.replace(true) {
            tracing::info!(
                workers = self.slots.len(),
                "listening on {}",
                self.listening.address()
            );
        }
    }

    fn count_failed_start(&self) {
        self.failed_starts
            .set(self.failed_starts.get().saturating_add(1));
    }

    /// Starts the next worker of a slot at once after the first quick failure, later after each
    /// further one. Gives up when no worker starts at all.
    fn failed_quickly(self: &Rc<Self>, number: usize, last: StartFailure) {
        let Some(slot) = self.slots.get(number) else {
            return;
        };
        let failed = self.failed_starts.get();
        let served_lately = self
            .last_served
            .get()
            .is_some_and(|served| served.elapsed() < CONFIDENCE);
        if failed >= FAILED_STARTS_MAX && self.processes.serving() == 0 && !served_lately {
            self.failure
                .replace(Some(ServerError::Workers { failed, last }));
            return self.stop(Stop::WithinGrace);
        }
        let delay = slot.count_failure();
        if !delay.is_zero() {
            tracing::info!("worker {} starts again in {delay:?}", number + 1);
        }
        if let Err(error) = slot.schedule(delay) {
            tracing::error!("{error}");
            self.start_soon(number);
        }
    }
}

/// Replacing.
impl Master {
    /// Reaps the children that have ended.
    fn reap(self: &Rc<Self>) {
        loop {
            match process::wait(Wait::NoHang) {
                Ok(Waited::Ended(pid, exit)) => self.ended(pid, exit),
                Ok(Waited::Running | Waited::NoChild) => break,
                Err(error) => {
                    tracing::error!("{error}");
                    break;
                }
            }
        }
        if self.is_over() {
            self.leave_loop();
        }
    }

    fn ended(self: &Rc<Self>, pid: Pid, exit: Exit) {
        let process = self.processes.remove(pid);
        if let Some(relay) = self.relay.get() {
            relay.disconnect(pid); // its last messages still reach the others
        }
        let Some(process) = process else { return };
        if process.served() {
            self.last_served.set(Some(Instant::now()));
            if !process.is_quick()
                && let Some(slot) = self.slots.get(process.slot())
            {
                slot.forget_failures();
            }
        }
        let number = process.slot() + 1;
        if self.is_stopping() || process.state() == State::Leaving {
            tracing::info!("worker {number} (process {pid}) ended: {exit}");
        } else {
            tracing::warn!("worker {number} (process {pid}) ended: {exit}");
            self.refill(process, exit);
        }
        self.replace_next();
    }

    /// Starts another worker in place of one that ended by itself, unless there is one.
    fn refill(self: &Rc<Self>, process: WorkerProcess, exit: Exit) {
        let (number, quick) = (process.slot(), process.is_quick());
        if quick && !process.served() {
            self.count_failed_start();
        }
        let staying = self.processes.staying(number).first().copied();
        if let (Some(former), false) = (staying, process.served()) {
            tracing::warn!(
                "worker {}: not replaced yet, process {former} stays",
                number + 1
            );
            return self.failed_quickly(number, StartFailure::Ended(exit));
        }
        if staying.is_some() || self.is_starting(number) {
            return;
        }
        self.counters.restarts.add(1);
        if quick {
            self.failed_quickly(number, StartFailure::Ended(exit));
        } else {
            self.start_soon(number);
        }
    }

    /// Replaces all workers, one at a time. Their successors have the files as they are now.
    fn replace_all(self: &Rc<Self>) {
        if self.is_stopping() {
            return tracing::warn!("the workers are stopping, and are not replaced");
        }
        self.config.reload();
        tracing::info!("replacing the workers one at a time");
        self.replace(self.processes.pids());
    }

    /// Queues workers for replacement. Each stays until its successor is ready.
    fn replace(self: &Rc<Self>, pids: impl IntoIterator<Item = Pid>) {
        for pid in pids {
            let mut to_replace = self.to_replace.borrow_mut();
            let process = self.processes.get(pid);
            let stays = process.is_some_and(|process| process.state() != State::Leaving);
            if stays && !to_replace.contains(&pid) {
                to_replace.push_back(pid);
            }
        }
        self.replace_next();
    }

    /// Starts the next pending replacement, unless one is starting. Replaced workers end meanwhile,
    /// but no more of them than there are slots: reloads that follow one another must not pile up
    /// processes.
    fn replace_next(self: &Rc<Self>) {
        if self.processes.leaving() >= self.slots.len() {
            return; // until one of them has ended
        }
        let slot = loop {
            let Some(pid) = self.to_replace.borrow().front().copied() else {
                return;
            };
            match self.processes.get(pid) {
                Some(process) if process.state() != State::Leaving => break process.slot(),
                _ => drop(self.to_replace.borrow_mut().pop_front()),
            }
        };
        let alone = self.processes.staying(slot).len() == 1;
        if alone && !self.is_starting(slot) && !self.is_stopping() {
            self.start_soon(slot);
        }
    }
}

/// Stopping.
impl Master {
    /// Passes the signal on to all workers, and kills those that outlast the grace period.
    fn stop(self: &Rc<Self>, how: Stop) {
        let next = match how {
            Stop::Drain => Life::Draining,
            Stop::WithinGrace => Life::Stopping {
                since: Instant::now(),
            },
        };
        match (self.life.get(), how) {
            (Life::Stopping { since }, Stop::WithinGrace) => {
                if signals::counts_again(since) {
                    self.kill_all("has to end at once");
                }
                return;
            }
            (Life::Running, _) => {
                tracing::info!(workers = self.processes.len(), "stopping");
                self.listening.close();
                self.life.set(next);
            }
            (Life::Draining, Stop::WithinGrace) => self.life.set(next),
            (Life::Draining | Life::Stopping { .. }, Stop::Drain) => {}
        }
        for slot in &self.slots {
            if let Err(error) = slot.cancel() {
                tracing::error!("{error}");
            }
        }
        let signal = match how {
            Stop::WithinGrace => Signal::SIGTERM,
            Stop::Drain => Signal::SIGQUIT,
        };
        for pid in self.processes.pids() {
            self.send(pid, signal);
        }
        if how == Stop::WithinGrace
            && let Some(deadline) = self.deadline.get()
            && let Err(error) = deadline.add(Some(self.config.grace() + PATIENCE))
        {
            tracing::error!("{error}");
            self.kill_all("cannot be given its grace period");
        }
        if self.is_over() {
            self.leave_loop();
        }
    }

    fn kill_all(&self, why: &str) {
        for pid in self.processes.pids() {
            tracing::warn!("process {pid} {why}: killing it");
            self.send(pid, Signal::SIGKILL);
        }
    }
}

/// Names the process for `ps -L` and `top`, where the system can.
fn name_thread(name: &str) {
    #[cfg(target_os = "linux")]
    if let Ok(name) = std::ffi::CString::new(name) {
        nix::sys::prctl::set_name(&name).ok();
    }
    #[cfg(not(target_os = "linux"))]
    let _ = name;
}

/// Makes the system end this process with the master, where it can; elsewhere the closed bus
/// does. False when the master has ended already.
fn die_with(master: Pid) -> bool {
    #[cfg(target_os = "linux")]
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).ok();
    nix::unistd::getppid().as_raw() == master
}

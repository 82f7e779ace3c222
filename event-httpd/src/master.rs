//! The master: starts workers, replaces those that end, hang or are due, and stops them.
//!
//! It owns the listening sockets, so that what is queued on one outlives the worker that
//! would have taken it, and one end of each worker's line. It serves nothing itself. A fork
//! happens outside of the loop: whoever wants a worker started notes it and leaves the loop.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::mem;
use std::rc::Rc;
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal};

use super::Failure;
use super::bus::{Hub, Word};
use super::config::Config;
use super::listener::Listening;
use super::worker::Worker;
use php_event::process::{self, Exit, Fork, Pid, Wait, Waited};
use php_event::stream::{Stream, stream_socket_pair};
use php_event::{Event, EventBase, Result};

/// A worker that ends sooner than this after its start counts as one that failed to live.
const QUICK: Duration = Duration::from_secs(1);

/// The second quick death in a row delays the restart by this, each further one by twice as
/// much, up to [`DELAY_MAX`].
const DELAY: Duration = Duration::from_millis(100);
const DELAY_MAX: Duration = Duration::from_secs(5);

/// When so many workers in a row ended quickly before one of them was ready, none ever will be.
const GIVE_UP: u32 = 5;

/// How long workers have after their own grace period before they are killed.
const PATIENCE: Duration = Duration::from_secs(2);

/// Which of the processes this is when [`Master::run`] returns.
enum Role {
    /// The master, and all workers have ended.
    Master,
    /// A worker that has just been forked.
    Worker(Start),
}

/// What a worker starts with.
struct Start {
    slot: usize,
    listener: Stream,
    line: Stream,
    master: Pid,
}

/// A worker process.
struct Seat {
    slot: usize,
    started: Instant,
    ready: bool,
    leaving: bool, // it was told to
    killed: bool,  // it hung
}

/// A worker's place: how its last worker fared, and when the next one starts.
struct Slot {
    quick_deaths: Cell<u32>,
    restart: OnceCell<Event>,
}

struct Master {
    base: EventBase,
    config: Config,
    listening: Listening,
    slots: Vec<Slot>,
    seats: RefCell<BTreeMap<Pid, Seat>>,
    stillborn: Cell<u32>, // quick deaths in a row, of all slots, without one becoming ready
    hub: OnceCell<Rc<Hub>>,
    to_start: RefCell<VecDeque<usize>>,
    to_replace: RefCell<VecDeque<Pid>>,
    announced: Cell<bool>,
    stopping: Cell<bool>,
    hurried: Cell<bool>, // the grace period has begun
    given_up: RefCell<Option<String>>,
    restarts: Cell<u64>,
    hung: Cell<u64>,
    signals: RefCell<Vec<Event>>,
    deadline: OnceCell<Event>,
}

/// Runs a master with `workers` workers, or, in a forked child, one of them.
///
/// # Errors
/// As [`run`](super::run); [`Failure::Workers`] when no worker could start.
pub(crate) fn serve(config: Config, workers: usize, most: usize) -> Result<(), Failure> {
    name_thread("httpd master");
    let role = Master::new(config.clone(), workers)?.run()?;
    match role {
        Role::Master => Ok(()),
        Role::Worker(start) => work(config, start, most),
    }
}

/// A worker's life, in its process.
fn work(config: Config, start: Start, most: usize) -> Result<(), Failure> {
    let Start {
        slot,
        listener,
        line,
        master,
    } = start;
    let number = slot + 1;
    name_thread(&format!("httpd worker {number}"));
    let _span = tracing::info_span!("worker", number).entered();
    if !die_with(master) {
        return Ok(()); // the master went before it could be watched
    }
    let worker = Worker::new(config, most)?;
    worker.join(line)?;
    worker.run(listener, || {
        watched_signals().thread_unblock().ok(); // the worker's own events are there now
        tracing::debug!("accepting");
    })?;
    Ok(())
}

impl Master {
    fn new(config: Config, workers: usize) -> Result<Rc<Self>, Failure> {
        let master = Rc::new(Self {
            base: EventBase::new()?,
            listening: Listening::on(&config, workers)?,
            slots: (0..workers)
                .map(|_| Slot {
                    quick_deaths: Cell::new(0),
                    restart: OnceCell::new(),
                })
                .collect(),
            seats: RefCell::default(),
            stillborn: Cell::new(0),
            hub: OnceCell::new(),
            to_start: RefCell::new((0..workers).collect()),
            to_replace: RefCell::default(),
            announced: Cell::new(false),
            stopping: Cell::new(false),
            hurried: Cell::new(false),
            given_up: RefCell::default(),
            restarts: Cell::new(0),
            hung: Cell::new(0),
            signals: RefCell::default(),
            deadline: OnceCell::new(),
            config,
        });
        master.set_up()?;
        Ok(master)
    }

    fn set_up(self: &Rc<Self>) -> Result<()> {
        let weak = Rc::downgrade(self);
        let hub = Hub::new(
            &self.base,
            self.config.bus_timeout,
            self.config.longest_message(),
            move |pid, word| {
                if let Some(master) = weak.upgrade() {
                    master.heard(pid, word);
                }
            },
        )?;
        self.hub.get_or_init(|| hub);
        for (number, slot) in self.slots.iter().enumerate() {
            let restart = self.timer(move |master| master.start_soon(number))?;
            slot.restart.get_or_init(|| restart);
        }
        let deadline = self.timer(|master| master.kill_the_rest("outstays its grace period"))?;
        self.deadline.get_or_init(|| deadline);
        let grace = Some(self.config.grace);
        let signals = [
            self.signal(Signal::SIGCHLD, Self::reap)?,
            self.signal(Signal::SIGTERM, move |master| {
                master.stop(Signal::SIGTERM, grace)
            })?,
            self.signal(Signal::SIGINT, move |master| {
                master.stop(Signal::SIGTERM, grace)
            })?,
            self.signal(Signal::SIGQUIT, |master| master.stop(Signal::SIGQUIT, None))?,
            self.signal(Signal::SIGHUP, Self::replace_all)?,
            self.signal(Signal::SIGUSR2, Self::replace_all)?,
            self.signal(Signal::SIGUSR1, Self::log_counters)?,
        ];
        self.signals.borrow_mut().extend(signals);
        Ok(())
    }

    fn timer(self: &Rc<Self>, work: impl Fn(&Rc<Self>) + 'static) -> Result<Event> {
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
    ) -> Result<Event> {
        let weak = Rc::downgrade(self);
        let event = Event::signal(&self.base, signal as i32, move |_signum, _event| {
            if let Some(master) = weak.upgrade() {
                work(&master);
            }
        })?;
        event.add(None).map(|()| event)
    }

    /// Supervises until all is over, or until this process is a worker.
    fn run(self: Rc<Self>) -> Result<Role, Failure> {
        loop {
            let next = self.to_start.borrow_mut().pop_front();
            match next {
                Some(_) if self.stopping.get() => {}
                Some(slot) => {
                    if let Some(start) = self.start(slot)? {
                        return Ok(Role::Worker(start));
                    }
                }
                None if self.is_over() => break,
                None => drop(self.base.dispatch()?),
            }
        }
        self.log_counters();
        match self.given_up.take() {
            Some(why) => Err(Failure::Workers(why)),
            None => Ok(Role::Master),
        }
    }

    fn is_over(&self) -> bool {
        self.stopping.get() && self.seats.borrow().is_empty()
    }

    /// Forks a worker for a slot. In the child, gives what it starts with.
    fn start(self: &Rc<Self>, slot: usize) -> Result<Option<Start>, Failure> {
        let Some(listener) = self.listening.stream(slot) else {
            return Ok(None); // stopping
        };
        let master = process::getpid();
        watched_signals().thread_block().ok(); // a child must not lose one before it has its events
        let forked = stream_socket_pair().and_then(|pair| Ok((pair, process::fork()?)));
        let parents = match forked {
            Ok(((_ours, line), Fork::Child)) => {
                // What the parent waits for goes with the master's copy here; the base must
                // not touch the parent's while it does.
                self.base.re_init()?;
                return Ok(Some(Start {
                    slot,
                    listener,
                    line,
                    master,
                }));
            }
            Ok(((ours, _line), Fork::Parent(pid))) => Ok((ours, pid)),
            Err(error) => Err(error),
        };
        watched_signals().thread_unblock().ok();
        match parents {
            Ok((ours, pid)) => self.seat(slot, pid, ours),
            Err(error) => {
                tracing::error!("worker {} cannot be started: {error}", slot + 1);
                self.stillborn.set(self.stillborn.get() + 1);
                self.ended_quickly(slot, &error.to_string());
            }
        }
        Ok(None)
    }

    /// Notes a worker that has been forked.
    fn seat(&self, slot: usize, pid: Pid, line: Stream) {
        tracing::debug!("worker {} is process {pid}", slot + 1);
        let seat = Seat {
            slot,
            started: Instant::now(),
            ready: false,
            leaving: false,
            killed: false,
        };
        self.seats.borrow_mut().insert(pid, seat);
        if let Some(Err(error)) = self.hub.get().map(|hub| hub.connect(pid, line)) {
            tracing::error!("worker {}: {error}", slot + 1); // its end of the line says so, too
        }
    }

    /// Has the loop left, to start a worker.
    fn start_soon(&self, slot: usize) {
        let mut to_start = self.to_start.borrow_mut();
        if !to_start.contains(&slot) {
            to_start.push_back(slot);
        }
        drop(to_start);
        self.leave_loop();
    }

    fn leave_loop(&self) {
        if let Err(error) = self.base.exit(None) {
            tracing::error!("{error}");
        }
    }

    /// A worker said something, or nothing for too long.
    fn heard(self: &Rc<Self>, pid: Pid, word: Word) {
        match word {
            Word::Ready => self.became_ready(pid),
            Word::Retire => self.replace([pid]),
            Word::Hung => self.kill_the_hung(pid),
        }
    }

    fn kill_the_hung(&self, pid: Pid) {
        let first = self
            .seats
            .borrow_mut()
            .get_mut(&pid)
            .is_some_and(|seat| !mem::replace(&mut seat.killed, true));
        if first {
            self.hung.set(self.hung.get() + 1);
            let timeout = self.config.bus_timeout;
            tracing::warn!(
                "process {pid} has not answered for {timeout:?} and is taken for hung: killing it"
            );
            self.send(pid, Signal::SIGKILL);
        }
    }

    fn became_ready(self: &Rc<Self>, pid: Pid) {
        let Some(former) = self.take_seat(pid) else {
            return; // it has ended already
        };
        self.stillborn.set(0);
        for (former, slot) in former {
            tracing::info!(
                "worker {}: process {pid} takes over from {former}",
                slot + 1
            );
            self.send(former, Signal::SIGTERM);
        }
        self.replace_next(); // where nobody had to make room
        let ready = self
            .seats
            .borrow()
            .values()
            .filter(|seat| seat.ready)
            .count();
        if ready >= self.slots.len() && !self.announced.replace(true) {
            tracing::info!(
                workers = self.slots.len(),
                "listening on {}",
                self.listening.address()
            );
        }
    }

    /// Gives a worker its slot for good. Gives those of that slot that are to leave now.
    fn take_seat(&self, pid: Pid) -> Option<Vec<(Pid, usize)>> {
        let mut seats = self.seats.borrow_mut();
        let seat = seats.get_mut(&pid)?;
        seat.ready = true;
        if seat.leaving {
            return Some(Vec::new()); // another was ready before it, and has the slot
        }
        let slot = seat.slot;
        let mut former = Vec::new();
        for (other, seat) in seats.iter_mut() {
            if *other != pid && seat.slot == slot && !mem::replace(&mut seat.leaving, true) {
                former.push((*other, slot));
            }
        }
        Some(former)
    }

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
        let seat = self.seats.borrow_mut().remove(&pid);
        if let Some(hub) = self.hub.get() {
            hub.disconnect(pid); // what it still sent goes on to the others
        }
        let Some(seat) = seat else { return };
        let number = seat.slot + 1;
        if self.stopping.get() || seat.leaving {
            tracing::info!("worker {number} (process {pid}) ended: {exit}");
        } else {
            tracing::warn!("worker {number} (process {pid}) ended: {exit}");
            self.refill(&seat, exit);
        }
        self.replace_next();
    }

    /// Starts another worker in place of one that ended unasked, unless one is there.
    fn refill(self: &Rc<Self>, seat: &Seat, exit: Exit) {
        let quick = seat.started.elapsed() < QUICK;
        if quick && !seat.ready {
            self.stillborn.set(self.stillborn.get() + 1);
        }
        let stays = self.staying(seat.slot);
        if let (Some(former), false) = (stays, seat.ready) {
            tracing::warn!(
                "worker {}: not replaced yet, process {former} stays",
                seat.slot + 1
            );
            return self.ended_quickly(seat.slot, &exit.to_string());
        }
        if stays.is_some() || self.is_starting(seat.slot) {
            return; // its replacement is there, or about to be
        }
        self.restarts.set(self.restarts.get() + 1);
        if quick {
            self.ended_quickly(seat.slot, &exit.to_string());
        } else {
            if let Some(slot) = self.slots.get(seat.slot) {
                slot.quick_deaths.set(0);
            }
            self.start_soon(seat.slot);
        }
    }

    /// Whether a slot's next worker is about to be started.
    fn is_starting(&self, slot: usize) -> bool {
        let restart = self.slots.get(slot).and_then(|slot| slot.restart.get());
        self.to_start.borrow().contains(&slot) || restart.is_some_and(Event::is_pending)
    }

    /// The worker of a slot that was not told to leave.
    fn staying(&self, slot: usize) -> Option<Pid> {
        let seats = self.seats.borrow();
        seats
            .iter()
            .find(|(_, seat)| seat.slot == slot && !seat.leaving)
            .map(|(pid, _)| *pid)
    }

    /// Starts a slot's next worker at once the first time, later and later after that.
    fn ended_quickly(self: &Rc<Self>, number: usize, how: &str) {
        let Some(slot) = self.slots.get(number) else {
            return;
        };
        let deaths = slot.quick_deaths.get() + 1;
        slot.quick_deaths.set(deaths);
        let any_ready = self.seats.borrow().values().any(|seat| seat.ready);
        if self.stillborn.get() >= GIVE_UP && !any_ready {
            let why =
                format!("{GIVE_UP} in a row ended before they were ready, the last with {how}");
            self.given_up.replace(Some(why));
            return self.stop(Signal::SIGTERM, Some(self.config.grace));
        }
        let delay = match deaths {
            0 | 1 => Duration::ZERO,
            more => DELAY.saturating_mul(1 << (more - 2).min(16)).min(DELAY_MAX),
        };
        if !delay.is_zero() {
            tracing::info!("worker {} starts again in {delay:?}", number + 1);
        }
        if let Some(restart) = slot.restart.get()
            && let Err(error) = restart.add(Some(delay))
        {
            tracing::error!("{error}");
        }
    }

    /// Replaces all workers, one at a time.
    fn replace_all(self: &Rc<Self>) {
        tracing::info!("replacing the workers one at a time");
        let pids = self.seats.borrow().keys().copied().collect::<Vec<_>>();
        self.replace(pids);
    }

    /// Notes workers that are to be replaced; each stays until the one that takes over is ready.
    fn replace(self: &Rc<Self>, pids: impl IntoIterator<Item = Pid>) {
        for pid in pids {
            let mut to_replace = self.to_replace.borrow_mut();
            let stays = self
                .seats
                .borrow()
                .get(&pid)
                .is_some_and(|seat| !seat.leaving);
            if stays && !to_replace.contains(&pid) {
                to_replace.push_back(pid);
            }
        }
        self.replace_next();
    }

    /// Has the first of those that are to be replaced replaced, unless that is under way.
    fn replace_next(self: &Rc<Self>) {
        let slot = loop {
            let Some(pid) = self.to_replace.borrow().front().copied() else {
                return;
            };
            match self.seats.borrow().get(&pid) {
                Some(seat) if seat.leaving => return, // one at a time: until it has ended
                Some(seat) => break seat.slot,
                None => drop(self.to_replace.borrow_mut().pop_front()),
            }
        };
        let seats = self
            .seats
            .borrow()
            .values()
            .filter(|seat| seat.slot == slot && !seat.leaving)
            .count();
        if seats == 1 && !self.is_starting(slot) && !self.stopping.get() {
            self.start_soon(slot);
        }
    }

    /// Stops: passes a signal on to all workers, and kills those that outstay their grace.
    fn stop(self: &Rc<Self>, signal: Signal, grace: Option<Duration>) {
        if self.stopping.replace(true) {
            if grace.is_some() && self.hurried.replace(true) {
                return self.kill_the_rest("is to end at once");
            }
        } else {
            tracing::info!(workers = self.seats.borrow().len(), "stopping");
            self.hurried.set(grace.is_some());
            self.listening.close();
        }
        for slot in &self.slots {
            if let Some(Err(error)) = slot.restart.get().map(Event::del) {
                tracing::error!("{error}");
            }
        }
        let pids = self.seats.borrow().keys().copied().collect::<Vec<_>>();
        for pid in pids {
            self.send(pid, signal);
        }
        if let (Some(grace), Some(deadline)) = (grace, self.deadline.get())
            && let Err(error) = deadline.add(Some(grace + PATIENCE))
        {
            tracing::error!("{error}");
        }
        if self.is_over() {
            self.leave_loop();
        }
    }

    fn kill_the_rest(&self, why: &str) {
        let pids = self.seats.borrow().keys().copied().collect::<Vec<_>>();
        for pid in pids {
            tracing::warn!("process {pid} {why}: killing it");
            self.send(pid, Signal::SIGKILL);
        }
    }

    fn send(&self, pid: Pid, signal: Signal) {
        if let Err(error) = process::kill(pid, signal as i32) {
            tracing::error!("process {pid}: {error}");
        }
    }

    fn log_counters(self: &Rc<Self>) {
        let passed_on = self.hub.get().map_or(0, |hub| hub.passed_on());
        let (restarts, hung) = (self.restarts.get(), self.hung.get());
        tracing::info!(
            workers = self.seats.borrow().len(),
            restarts,
            hung,
            passed_on,
            "counters of the master"
        );
        if !self.stopping.get() {
            let pids = self.seats.borrow().keys().copied().collect::<Vec<_>>();
            for pid in pids {
                self.send(pid, Signal::SIGUSR1);
            }
        }
    }
}

/// The signals that master and workers have events for.
fn watched_signals() -> SigSet {
    use Signal::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
    SigSet::from_iter([SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2])
}

/// Names the process for `ps -L` and `top`; where that is not possible it has its old name.
fn name_thread(name: &str) {
    #[cfg(target_os = "linux")]
    if let Ok(name) = std::ffi::CString::new(name) {
        nix::sys::prctl::set_name(&name).ok();
    }
    #[cfg(not(target_os = "linux"))]
    let _ = name;
}

/// Has the system end this process when the master goes; the end of the bus does where the
/// system cannot. False when the master has gone already.
fn die_with(master: Pid) -> bool {
    #[cfg(target_os = "linux")]
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).ok();
    nix::unistd::getppid().as_raw() == master
}

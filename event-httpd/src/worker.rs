//! One process's share of the server: its base, its connections, and how it stops.

use std::cell::{Cell, OnceCell, RefCell, RefMut};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use super::acceptor::Acceptor;
use super::app::{self, App, Request, Takes};
use super::bus::{Bus as _, LocalBus, Notice};
use super::config::{Config, Program, READ_BUFFER};
use super::connection::Connection;
use super::counters::Counters;
use super::deadlines::{Deadlines, Tick};
use super::outbox::{Backlog, Outbox, Part};
use php_event::stream::Stream;
use php_event::{Event, EventBase, Result};

/// Entries of closed connections are thrown out of the deadlines when so many more than
/// twice the open ones are there.
const DEADLINES_KEPT: usize = 1024;

/// A base and what lives on it. Connections and events hold the worker, so [`Worker::run`]
/// takes them apart when it ends.
pub(crate) struct Worker {
    base: EventBase,
    config: Config,
    app: Box<dyn App>,
    counters: Counters,
    max_connections: usize,
    connections: RefCell<BTreeMap<u64, Rc<Connection>>>,
    acceptor: RefCell<Option<(Rc<Acceptor>, Stream)>>,
    bus: OnceCell<LocalBus>,
    sending: OnceCell<Event>, // made active when something is queued, once a turn
    sends_soon: Cell<bool>,
    queued: RefCell<Vec<Rc<Connection>>>,
    messages: RefCell<Backlog>, // those that some reader has not taken yet
    bodies: Cell<usize>,        // bytes of request bodies that are not complete
    waiting: Cell<usize>,       // bytes in all outboxes that their sockets had no room for
    holding: Cell<bool>,        // senders are held back, the bus is full
    retiring: Cell<bool>,
    deadlines: Deadlines,
    sweep: OnceCell<Event>,
    stopping: Cell<bool>,
    hurried: Cell<bool>, // the grace period has begun
    echoing: Cell<bool>,
    buffer: RefCell<Box<[u8]>>,
    batch: RefCell<Outbox>,
    date: RefCell<(SystemTime, String)>,
}

impl Worker {
    pub(crate) fn new(config: Config, max_connections: usize) -> Result<Rc<Self>> {
        let app = app::of(&config);
        Self::with_app(config, app, max_connections)
    }

    fn with_app(config: Config, app: Box<dyn App>, max_connections: usize) -> Result<Rc<Self>> {
        let worker = Rc::new(Self {
            base: EventBase::new()?,
            app,
            counters: Counters::default(),
            max_connections,
            connections: RefCell::default(),
            acceptor: RefCell::default(),
            bus: OnceCell::new(),
            sending: OnceCell::new(),
            sends_soon: Cell::new(false),
            queued: RefCell::default(),
            messages: RefCell::default(),
            bodies: Cell::new(0),
            waiting: Cell::new(0),
            holding: Cell::new(false),
            retiring: Cell::new(false),
            deadlines: Deadlines::new(Instant::now()),
            sweep: OnceCell::new(),
            stopping: Cell::new(false),
            hurried: Cell::new(false),
            echoing: Cell::new(config.echo),
            buffer: RefCell::new(vec![0; READ_BUFFER].into()),
            batch: RefCell::default(),
            date: RefCell::new((SystemTime::UNIX_EPOCH, String::new())),
            config,
        });
        let sweep = worker.timer(Self::expire_deadlines)?;
        worker.sweep.get_or_init(|| sweep);
        let sending = worker.timer(Self::send_queued)?;
        worker.sending.get_or_init(|| sending);
        Ok(worker)
    }

    fn timer(self: &Rc<Self>, work: fn(&Rc<Self>)) -> Result<Event> {
        let weak = Rc::downgrade(self);
        Event::timer(&self.base, move |_event| {
            if let Some(worker) = weak.upgrade() {
                work(&worker);
            }
        })
    }

    /// Connects the worker with its master and, through it, with the other workers.
    ///
    /// # Errors
    /// The library's, when the line could not be watched.
    pub(crate) fn join(self: &Rc<Self>, line: Stream) -> Result<()> {
        let weak = Rc::downgrade(self);
        let bus = LocalBus::join(
            &self.base,
            line,
            self.config.longest_message(),
            move |notice| {
                if let Some(worker) = weak.upgrade() {
                    worker.notice(notice);
                }
            },
        )?;
        self.bus.get_or_init(|| bus);
        Ok(())
    }

    fn notice(self: &Rc<Self>, notice: Notice) {
        match notice {
            Notice::Message(message) => self.deliver(&message, None),
            Notice::Room => self.go_on(),
            Notice::Lost => {
                tracing::warn!("the line to the master is gone: ending");
                self.leave();
            }
        }
    }

    /// Lets senders go on when the bus has room, and ends a worker that waited for it.
    fn go_on(self: &Rc<Self>) {
        if !self.bus.get().is_some_and(|bus| bus.is_full()) {
            self.hold_senders(false);
        }
        self.leave_if_done();
    }

    /// Serves until a signal stops it, and takes itself apart. Calls `ready` when signals and
    /// connections are waited for.
    ///
    /// # Errors
    /// The library's, when an event could not be made or the loop failed.
    pub(crate) fn run(self: &Rc<Self>, listener: Stream, ready: impl FnOnce()) -> Result<()> {
        let signals = self.listen_to_signals()?;
        let acceptor = Acceptor::start(self, listener.clone())?;
        *self.acceptor.borrow_mut() = Some((acceptor, listener));
        if let Some(bus) = self.bus.get() {
            bus.say_ready();
        }
        ready();
        let ended = self.base.dispatch();
        drop(signals);
        drop((self.acceptor.take(), self.queued.take()));
        let left = self.connections.take();
        let cut_off = left
            .values()
            .filter(|connection| connection.is_owed())
            .count();
        if cut_off > 0 {
            tracing::warn!(
                open = cut_off,
                "connections were cut off at the end of the grace period"
            );
        }
        for connection in left.values() {
            connection.abandon();
        }
        self.log_counters();
        ended.map(drop)
    }

    fn listen_to_signals(self: &Rc<Self>) -> Result<Vec<Event>> {
        let on = |signum, work: fn(&Rc<Self>)| {
            let weak = Rc::downgrade(self);
            let event = Event::signal(&self.base, signum, move |_signum, _event| {
                if let Some(worker) = weak.upgrade() {
                    work(&worker);
                }
            })?;
            event.add(None).map(|()| event)
        };
        Ok(vec![
            on(libc::SIGTERM, |worker| {
                worker.stop(Some(worker.config.grace))
            })?,
            on(libc::SIGINT, Self::interrupted)?,
            on(libc::SIGQUIT, |worker| worker.stop(None))?,
            on(libc::SIGHUP, Self::hung_up)?,
            on(libc::SIGUSR1, |worker| worker.log_counters())?,
            on(libc::SIGUSR2, Self::replacement_asked_for)?,
        ])
    }

    /// Whether a master decides for this worker: a terminal, or a service manager, sends a
    /// signal to the whole group, and it must not count twice.
    fn has_master(&self) -> bool {
        self.bus.get().is_some()
    }

    fn interrupted(self: &Rc<Self>) {
        if !self.has_master() {
            self.stop(Some(self.config.grace));
        }
    }

    fn hung_up(self: &Rc<Self>) {
        if !self.has_master() {
            tracing::info!("the terminal is gone");
            self.stop(Some(self.config.grace));
        }
    }

    fn replacement_asked_for(self: &Rc<Self>) {
        if !self.has_master() {
            tracing::warn!("SIGUSR2 replaces workers, and there are none without --workers");
        }
    }

    /// Stops accepting, and lets open requests end within `grace`, or however long it takes;
    /// at once when asked again, unless by a master.
    fn stop(self: &Rc<Self>, grace: Option<Duration>) {
        let again = match grace {
            Some(_) => self.hurried.replace(true),
            None => self.stopping.get(),
        };
        self.stopping.set(true);
        if again && (grace.is_none() || self.has_master()) {
            return;
        }
        if again {
            tracing::info!("asked to stop again: ending at once");
            return self.leave();
        }
        match grace {
            Some(grace) => {
                tracing::info!(open = self.open_connections(), "stopping within {grace:?}")
            }
            None => tracing::info!(
                open = self.open_connections(),
                "stopping when all connections have ended"
            ),
        }
        if let Some((acceptor, listener)) = self.acceptor.take() {
            acceptor.drain(&listener);
            self.app.closed(listener.id());
        }
        let open = self
            .connections
            .borrow()
            .values()
            .cloned()
            .collect::<Vec<_>>();
        open.iter().for_each(|connection| connection.take_last());
        self.send_queued();
        open.iter().for_each(|connection| connection.retire());
        self.leave_if_done();
        if let Some(grace) = grace
            && let Err(error) = self.base.exit(Some(grace))
        {
            tracing::error!("{error}");
            self.leave();
        }
    }

    /// Ends a stopping worker that has nothing left to do.
    fn leave_if_done(&self) {
        let drained = self.bus.get().is_none_or(|bus| bus.is_drained());
        if self.is_stopping() && self.open_connections() == 0 && drained {
            self.leave();
        }
    }

    fn log_counters(&self) {
        self.counters
            .log(self.open_connections(), self.waiting.get());
    }

    fn leave(&self) {
        if let Err(error) = self.base.stop() {
            tracing::error!("{error}");
        }
    }

    pub(crate) fn base(&self) -> &EventBase {
        &self.base
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn app(&self) -> &dyn App {
        &*self.app
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Whether the worker takes no more requests than those that have begun.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.get()
    }

    pub(crate) fn open_connections(&self) -> usize {
        self.connections.borrow().len()
    }

    /// Whether as many connections are open as may be.
    pub(crate) fn is_full(&self) -> bool {
        self.open_connections() >= self.max_connections
    }

    /// Takes an accepted stream.
    pub(crate) fn open(self: &Rc<Self>, stream: Stream) -> Result<()> {
        let connection = Connection::open(self, stream)?;
        self.connections
            .borrow_mut()
            .insert(connection.id(), connection);
        Ok(())
    }

    /// Forgets a connection that has closed.
    pub(crate) fn closed(&self, id: u64) {
        self.app.closed(id);
        let connection = self.connections.borrow_mut().remove(&id);
        drop(connection); // its callback's frame holds it still
        let acceptor = self
            .acceptor
            .borrow()
            .as_ref()
            .map(|(acceptor, _)| Rc::clone(acceptor));
        match acceptor {
            Some(acceptor) => acceptor.resume(),
            None => self.leave_if_done(),
        }
    }

    /// The buffer to read into, for the length of a callback.
    pub(crate) fn read_buffer(&self) -> RefMut<'_, Box<[u8]>> {
        self.buffer.borrow_mut()
    }

    /// The answers of the read that is being handled, before they are written.
    pub(crate) fn batch(&self) -> &RefCell<Outbox> {
        &self.batch
    }

    /// The app's answer.
    pub(crate) fn answer(self: &Rc<Self>, from: u64, request: Request, body: &[u8]) -> Part {
        self.counters.requests.add(1);
        self.count_towards_retirement();
        self.with_date(|date| self.app.answer(self, from, request, body, date))
    }

    /// Hands the app what was read.
    pub(crate) fn received(self: &Rc<Self>, from: u64, bytes: &[u8]) {
        self.count_towards_retirement();
        self.with_date(|date| self.app.received(self, from, bytes, date));
    }

    /// Calls `work` with the present date, where answers have one; it is made once a second.
    fn with_date<T>(&self, work: impl FnOnce(Option<&str>) -> T) -> T {
        if !self.config.date {
            return work(None);
        }
        let now = self
            .base
            .get_time_of_day_cached()
            .unwrap_or_else(|_| SystemTime::now());
        let (made, text) = &mut *self.date.borrow_mut();
        if now
            .duration_since(*made)
            .map_or(true, |age| age >= Duration::from_secs(1))
        {
            *text = httpdate::fmt_http_date(now);
            *made = now - Duration::from_nanos(subsecond(now));
        }
        work(Some(text))
    }

    fn count_towards_retirement(&self) {
        let Some(most) = self.config.worker_max_requests else {
            return;
        };
        let served = self.counters.requests.get() + self.counters.messages.get();
        if served >= most
            && !self.retiring.replace(true)
            && let Some(bus) = self.bus.get()
        {
            tracing::info!("asking to be replaced after {served} requests");
            bus.ask_to_retire();
        }
    }

    /// Queues a message to every connection but one; it is written at the end of this turn.
    pub(crate) fn deliver(&self, message: &Rc<[u8]>, except: Option<u64>) {
        self.messages.borrow_mut().add(message);
        for (id, connection) in self.connections.borrow().iter() {
            if Some(*id) != except {
                connection.queue(message);
            }
        }
    }

    /// Queues a message to one connection; it is written at the end of this turn.
    pub(crate) fn deliver_to(&self, id: u64, message: &Rc<[u8]>) {
        self.messages.borrow_mut().add(message);
        if let Some(connection) = self.connections.borrow().get(&id) {
            connection.queue(message);
        }
    }

    /// Sends a message to the clients of the other workers.
    pub(crate) fn publish(self: &Rc<Self>, message: Rc<[u8]>) {
        let Some(bus) = self.bus.get() else { return };
        bus.publish(message);
        self.send_soon();
        if bus.is_full() {
            self.hold_senders(true);
        }
    }

    /// Holds senders back, by not reading from them, while the bus is full.
    fn hold_senders(&self, hold: bool) {
        if self.holding.replace(hold) != hold {
            for connection in self.connections.borrow().values() {
                connection.held(hold);
            }
        }
    }

    /// Whether a new connection is not read from yet.
    pub(crate) fn is_holding(&self) -> bool {
        self.holding.get()
    }

    /// Notes a connection that has something to be sent at the end of this turn of the loop.
    pub(crate) fn note_queued(&self, connection: Rc<Connection>) {
        self.queued.borrow_mut().push(connection);
        self.send_soon();
    }

    /// Makes the sending event active: it runs behind all that is active in this turn, so
    /// that messages which arrived together leave together.
    fn send_soon(&self) {
        if !self.sends_soon.replace(true)
            && let Some(sending) = self.sending.get()
            && let Err(error) = sending.active(Event::TIMEOUT)
        {
            tracing::error!("{error}");
        }
    }

    fn send_queued(self: &Rc<Self>) {
        self.sends_soon.set(false);
        let mut queued = self.queued.take();
        for connection in queued.drain(..) {
            connection.send_queued();
        }
        if self.queued.borrow().is_empty() {
            self.queued.replace(queued); // with its memory
        }
        if let Some(bus) = self.bus.get() {
            bus.flush();
        }
        self.cut_off_the_slowest();
        self.go_on(); // what was queued for the bus may have left without waiting
    }

    /// Notes how the bytes that wait in one outbox changed.
    pub(crate) fn note_waiting(&self, before: usize, now: usize) {
        self.waiting
            .set((self.waiting.get() + now).saturating_sub(before));
    }

    /// Keeps what waits for all readers together within its limit: those that lag most are cut
    /// off until it is. A message counts once, however many have still to take it.
    fn cut_off_the_slowest(&self) {
        let Some(most) = self.max_queue_total() else {
            return;
        };
        if self.messages.borrow_mut().bytes() <= most {
            return;
        }
        let mut readers = self
            .connections
            .borrow()
            .values()
            .cloned()
            .collect::<Vec<_>>();
        readers.retain(|reader| reader.waiting() > 0);
        readers.sort_by_key(|reader| Reverse(reader.waiting()));
        for reader in readers {
            reader.cut_off("all readers together lag past --max-queue-total");
            if self.messages.borrow_mut().bytes() <= most {
                break;
            }
        }
    }

    fn max_queue_total(&self) -> Option<usize> {
        match self.config.program {
            Program::Broadcast {
                max_queue_total, ..
            } => Some(max_queue_total),
            Program::Serve => None,
        }
    }

    /// Takes part of a request's body on account. False when the bodies that are not complete
    /// would be more than may wait.
    pub(crate) fn take_body(&self, bytes: usize) -> bool {
        let bodies = self.bodies.get() + bytes;
        let fits = self.max_queue_total().is_none_or(|most| bodies <= most);
        if fits {
            self.bodies.set(bodies);
        }
        fits
    }

    /// A body is complete, or its connection has gone.
    pub(crate) fn release_body(&self, bytes: usize) {
        self.bodies.set(self.bodies.get().saturating_sub(bytes));
    }

    /// What the app takes from its connections.
    pub(crate) fn takes(&self) -> Takes {
        self.app.takes()
    }

    /// Prints what arrived, if that is wanted; a closed standard output ends it.
    pub(crate) fn echo(&self, bytes: &[u8]) {
        if self.echoing.get() {
            let mut out = std::io::stdout().lock();
            if let Err(error) = out.write_all(bytes).and_then(|()| out.flush()) {
                self.echoing.set(false);
                tracing::warn!("--echo ends, standard output cannot be written: {error}");
            }
        }
    }

    /// The tick that a deadline falls into.
    pub(crate) fn tick(&self, due: Instant) -> Tick {
        self.deadlines.tick(due)
    }

    /// Enters a deadline for a connection.
    pub(crate) fn enter_deadline(&self, id: u64, due: Instant, now: Instant) {
        if self.deadlines.len() > 2 * self.open_connections() + DEADLINES_KEPT {
            let connections = self.connections.borrow();
            self.deadlines.retain(|id| connections.contains_key(&id));
        }
        let timer = self.deadlines.enter(id, self.deadlines.tick(due), now);
        self.set_sweep(timer);
    }

    fn expire_deadlines(self: &Rc<Self>) {
        let now = Instant::now();
        for (tick, id) in self.deadlines.expired(now) {
            let connection = self.connections.borrow().get(&id).cloned();
            if let Some(connection) = connection {
                connection.expired(tick, now);
            }
        }
        self.set_sweep(self.deadlines.next(now));
    }

    fn set_sweep(&self, timer: Option<Duration>) {
        if let (Some(sweep), Some(_)) = (self.sweep.get(), timer)
            && let Err(error) = sweep.add(timer)
        {
            tracing::error!("deadlines are not kept: {error}");
        }
    }
}

/// Now, as HTTP writes it.
pub(crate) fn http_date() -> String {
    httpdate::fmt_http_date(SystemTime::now())
}

fn subsecond(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.subsec_nanos().into())
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;
    use std::thread;

    use super::*;
    use crate::cli::Cli;
    use crate::config::Command;
    use crate::listener::Listening;

    /// Panics on the first request, answers the second, and then has the loop left.
    struct Panics(Cell<bool>);

    impl App for Panics {
        fn takes(&self) -> Takes {
            Takes::Requests
        }

        fn answer(
            &self,
            worker: &Rc<Worker>,
            _: u64,
            _: Request,
            _: &[u8],
            _: Option<&str>,
        ) -> Part {
            assert!(self.0.replace(true), "the first request");
            worker.base().exit(None).unwrap();
            b"an answer".to_vec().into()
        }
    }

    fn ask(address: &str) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn a_panic_in_the_app_ends_its_connection_with_500_and_the_worker_goes_on() {
        let Command::Server(config) = Cli::parsed_from(&["serve", "--listen", "127.0.0.1:0"])
        else {
            panic!("serve is a server");
        };
        let listening = Listening::on(&config, 1).unwrap();
        let address = listening.address().to_owned();
        let client = thread::spawn(move || [ask(&address), ask(&address)]);
        let worker = Worker::with_app(config, Box::new(Panics(Cell::new(false))), 10).unwrap();
        worker.run(listening.stream(0).unwrap(), || {}).unwrap();
        let [first, second] = client.join().unwrap();
        assert!(
            first.starts_with("HTTP/1.1 500 Internal Server Error\r\n"),
            "{first}"
        );
        assert_eq!(second, "an answer");
        assert_eq!(worker.counters().panics.get(), 1);
    }
}

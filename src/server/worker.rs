//! One process's share of the server: its base, its connections, and how it stops.

use std::cell::{Cell, OnceCell, RefCell, RefMut};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use super::acceptor::Acceptor;
use super::app::{App, Request};
use super::config::Config;
use super::connection::Connection;
use super::counters::Counters;
use super::deadlines::{Deadlines, Tick};
use super::outbox::{Outbox, Part};
use crate::stream::Stream;
use crate::{Event, EventBase, Result};

/// What one read takes at most; all connections of a worker share the buffer.
const READ_BUFFER: usize = 64 << 10;

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
    deadlines: Deadlines,
    sweep: OnceCell<Event>,
    stopping: Cell<bool>,
    echoing: Cell<bool>,
    buffer: RefCell<Box<[u8]>>,
    batch: RefCell<Outbox>,
    date: RefCell<(SystemTime, String)>,
}

impl Worker {
    pub(crate) fn new(
        config: Config,
        app: Box<dyn App>,
        max_connections: usize,
    ) -> Result<Rc<Self>> {
        let worker = Rc::new(Self {
            base: EventBase::new()?,
            app,
            counters: Counters::default(),
            max_connections,
            connections: RefCell::default(),
            acceptor: RefCell::default(),
            deadlines: Deadlines::new(Instant::now()),
            sweep: OnceCell::new(),
            stopping: Cell::new(false),
            echoing: Cell::new(config.echo),
            buffer: RefCell::new(vec![0; READ_BUFFER].into()),
            batch: RefCell::default(),
            date: RefCell::new((SystemTime::UNIX_EPOCH, String::new())),
            config,
        });
        let weak = Rc::downgrade(&worker);
        let sweep = Event::timer(&worker.base, move |_event| {
            if let Some(worker) = weak.upgrade() {
                worker.expire_deadlines();
            }
        })?;
        worker.sweep.get_or_init(|| sweep);
        Ok(worker)
    }

    /// Serves until a signal stops it, and takes itself apart.
    ///
    /// # Errors
    /// The library's, when an event could not be made or the loop failed.
    pub(crate) fn run(self: &Rc<Self>, listener: Stream) -> Result<()> {
        let signals = self.listen_to_signals()?;
        let acceptor = Acceptor::start(self, listener.clone())?;
        *self.acceptor.borrow_mut() = Some((acceptor, listener));
        let ended = self.base.dispatch();
        drop(signals);
        drop(self.acceptor.take());
        let left = self.connections.take();
        if !left.is_empty() {
            tracing::warn!(
                open = left.len(),
                "connections were cut off at the end of the grace period"
            );
        }
        for connection in left.values() {
            connection.abandon();
        }
        self.counters.log(0);
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
            on(libc::SIGTERM, Self::stop)?,
            on(libc::SIGINT, Self::stop)?,
            on(libc::SIGUSR1, |worker| {
                worker.counters.log(worker.open_connections())
            })?,
        ])
    }

    /// Stops accepting, lets open requests end within the grace period; at once when asked
    /// again.
    fn stop(self: &Rc<Self>) {
        if self.stopping.replace(true) {
            tracing::info!("asked to stop again: ending at once");
            return self.leave();
        }
        tracing::info!(
            open = self.open_connections(),
            "stopping within {:?}",
            self.config.grace
        );
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
        for connection in open {
            connection.retire();
        }
        if self.open_connections() == 0 {
            return self.leave();
        }
        if let Err(error) = self.base.exit(Some(self.config.grace)) {
            tracing::error!("{error}");
            self.leave();
        }
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
            None if self.is_stopping() && self.open_connections() == 0 => self.leave(),
            None => {}
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
    pub(crate) fn answer(&self, request: Request) -> Part {
        if !self.config.date {
            return self.app.answer(request, None);
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
        self.app.answer(request, Some(text))
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
        let timer = self.deadlines.enter(id, self.deadlines.tick(due), now);
        self.set_sweep(timer);
    }

    fn expire_deadlines(&self) {
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

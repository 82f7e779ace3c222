//! One process's part of the server: its event loop and what lives on it.
//!
//! [`life`] runs and stops the worker, [`admission`] owns the connections and lets new ones in,
//! [`delivery`] sends messages, [`rounds`] those for many, [`timeouts`] keeps the deadlines.

mod acceptor;
mod admission;
mod clock;
mod connections;
mod delivery;
mod echo;
mod heads;
mod life;
mod memory;
mod retry;
mod rounds;
mod timeouts;
mod turn;

use std::cell::{RefCell, RefMut};
use std::rc::Rc;

use crate::app::{self, Answer, App, Received, Request, Takes};
use crate::config::{Config, READ_BUFFER};
use crate::connection::SpareInput;
use crate::counters::Counters;
use crate::outbox::Outbox;
use crate::time::{self, Alarm};
use php_event::{Event, EventBase, Result};

use admission::Admission;
use clock::Clock;
pub(crate) use clock::http_date;
use delivery::Delivery;
use echo::Echo;
pub(crate) use heads::HeadHash;
use heads::Heads;
use life::Life;
use memory::Memory;
use retry::Retry;
use rounds::Rounds;
pub(crate) use rounds::{Messages, Receiver};
use timeouts::Timeouts;
pub(crate) use turn::Budget;
use turn::Turn;

/// An event loop and what lives on it. Connections and events hold the worker, so
/// [`Worker::run`] takes them apart when it ends.
pub(crate) struct Worker {
    base: EventBase,
    config: Config,
    app: Box<dyn App>,
    takes: Takes, // what the app takes
    counters: Counters,
    life: Life,
    admission: Admission,
    delivery: Delivery,
    rounds: Rounds,
    timeouts: Timeouts,
    clock: Clock,
    echo: Echo,
    heads: Heads,
    memory: Memory,
    turn: Turn,
    retry: Retry,
    scratch: Scratch,
}

/// Memory that the callbacks of all connections use in turn.
struct Scratch {
    buffer: RefCell<Box<[u8]>>,
    batch: RefCell<Outbox>,
    input: SpareInput,
}

impl Worker {
    pub(crate) fn new(config: Config, max_connections: usize) -> Result<Rc<Self>> {
        let app = app::of(&config);
        Self::with_app(config, app, max_connections)
    }

    pub(crate) fn with_app(
        config: Config,
        app: Box<dyn App>,
        max_connections: usize,
    ) -> Result<Rc<Self>> {
        let worker = Rc::new(Self {
            base: EventBase::new()?,
            takes: app.takes(),
            app,
            counters: Counters::default(),
            life: Life::default(),
            admission: Admission::new(max_connections),
            delivery: Delivery::default(),
            rounds: Rounds::default(),
            timeouts: Timeouts::new(time::now()),
            clock: Clock::new(config.date()),
            echo: Echo::default(),
            heads: Heads::default(),
            memory: Memory::new(config.max_queue_total()),
            turn: Turn::default(),
            retry: Retry::default(),
            scratch: Scratch {
                buffer: RefCell::new(vec![0; READ_BUFFER].into()),
                batch: RefCell::default(),
                input: SpareInput::new(config.limits()),
            },
            config,
        });
        worker
            .timeouts
            .set_alarm(Alarm::new(worker.timer(Self::expire_deadlines)?));
        let wake: fn(&Rc<Self>) = |worker| worker.app.woken(worker);
        worker.delivery.set_app(worker.timer(wake)?);
        worker.delivery.set_sender(worker.timer(Self::end_turn)?);
        let next: fn(&Rc<Self>) = |worker| worker.next_slice();
        worker.rounds.set_timer(worker.timer(next)?);
        worker.retry.set_timer(worker.timer(Self::retry_all)?);
        worker.turn.set_timer(worker.timer(Self::next_turn)?);
        worker.memory.set_timer(worker.timer(Self::trim_memory)?);
        worker.life.set_timer(worker.timer(Self::grace_is_over)?);
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

    /// What the app takes from its connections.
    pub(crate) fn takes(&self) -> Takes {
        self.takes
    }

    /// The buffer to read into, for the length of a callback.
    pub(crate) fn read_buffer(&self) -> RefMut<'_, Box<[u8]>> {
        self.scratch.buffer.borrow_mut()
    }

    /// The answers of the current read that are not written yet.
    pub(crate) fn batch(&self) -> &RefCell<Outbox> {
        &self.scratch.batch
    }

    /// Memory for the next request that is not complete at once.
    pub(crate) fn spare_input(&self) -> &SpareInput {
        &self.scratch.input
    }

    /// The app's answer to a request, which has no date yet.
    #[inline]
    pub(crate) fn answer(self: &Rc<Self>, request: &Request<'_>) -> Answer {
        self.counters.requests.add(1);
        self.retire_if_due();
        if self.clock.is_wanted() {
            return self.answer_with_date(request);
        }
        self.app.answer(self, request)
    }

    #[inline(never)] // `answer` is part of every request
    fn answer_with_date(self: &Rc<Self>, request: &Request<'_>) -> Answer {
        self.clock.with_date(&self.base, |date| {
            self.app.answer(self, &Request { date, ..*request })
        })
    }

    /// Passes the app what connection `from` sent.
    pub(crate) fn received(self: &Rc<Self>, from: u64, bytes: &[u8]) {
        self.retire_if_due();
        self.clock.with_date(&self.base, |date| {
            self.app.received(self, Received { from, bytes, date });
        });
    }
}

/// Held by a test while it runs a worker: a process has one owner of signals.
#[cfg(test)]
pub(crate) static RUNNING: std::sync::Mutex<()> = std::sync::Mutex::new(());

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;
    use std::sync::PoisonError;
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::cli::Cli;
    use crate::config::Command;
    use crate::listener::Listening;

    /// Panics on the first request; answers the second, and leaves the loop.
    struct Panics(Cell<bool>);

    impl App for Panics {
        fn takes(&self) -> Takes {
            Takes::Requests
        }

        fn answer(&self, worker: &Rc<Worker>, _: &Request<'_>) -> Answer {
            assert!(self.0.replace(true), "the first request");
            worker.base().exit(None).unwrap();
            worker.buffer(b"an answer".to_vec()).into()
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
    fn a_panic_in_the_app_ends_its_connection_with_500_and_the_worker_continues() {
        let Command::Server(config) = Cli::parsed_from(&["serve", "--listen", "127.0.0.1:0"])
        else {
            panic!("serve is a server");
        };
        let _running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        let listening = Listening::on(&config, 1).unwrap();
        let address = listening.address().to_owned();
        let client = thread::spawn(move || [ask(&address), ask(&address)]);
        let worker = Worker::with_app(*config, Box::new(Panics(Cell::new(false))), 10).unwrap();
        worker.run(listening.streams(0), || {}).unwrap();
        let [first, second] = client.join().unwrap();
        assert!(
            first.starts_with("HTTP/1.1 500 Internal Server Error\r\n"),
            "{first}"
        );
        assert_eq!(second, "an answer");
        assert_eq!(worker.counters().panics.get(), 1);
    }
}

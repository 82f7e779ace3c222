//! Keeps a connection to Redis: when it is lost, makes another after a while.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::Cmd;

use super::backoff::Backoff;
use super::connection::{Connection, Incoming};
use super::{Settings, Tls};
use crate::time::{self, Alarm};
use php_event::{Event, EventBase};

/// The most bytes that may wait for a server that is slow.
const UNSENT_MAX: usize = 16 << 20;

/// A connection that is lost sooner than this counts as one more failure, so that a server that
/// accepts a login but refuses commands is not asked ten times a second.
const STEADY_AFTER: Duration = Duration::from_secs(1);

/// A client whose commands have tags of the type `T`. When it reports that the connection is
/// lost, it makes another by itself.
pub(crate) struct Client<T>(Rc<Inner<T>>);

struct Inner<T> {
    base: EventBase,
    settings: Arc<Settings>,
    tls: Tls,
    connection: RefCell<Option<Rc<Connection<T>>>>,
    retry: OnceCell<Alarm>,
    backoff: Cell<Backoff>,
    ready_since: Cell<Option<Instant>>,
    handler: Box<dyn Fn(Incoming<T>)>,
}

impl<T: 'static> Client<T> {
    /// Makes a client, and begins to connect. `handler` is called from the loop.
    ///
    /// # Errors
    /// The library's, when a timer cannot be made or a file of TLS cannot be used.
    pub(crate) fn start(
        base: &EventBase,
        settings: &Arc<Settings>,
        handler: impl Fn(Incoming<T>) + 'static,
    ) -> php_event::Result<Self> {
        let inner = Rc::new(Inner {
            base: base.clone(),
            tls: settings.tls()?,
            settings: Arc::clone(settings),
            connection: RefCell::default(),
            retry: OnceCell::new(),
            backoff: Cell::default(),
            ready_since: Cell::new(None),
            handler: Box::new(handler),
        });
        let weak = Rc::downgrade(&inner);
        let retry = Event::timer(base, move |_event| {
            if let Some(inner) = weak.upgrade() {
                inner.connect();
            }
        })?;
        let retry = Alarm::new(retry);
        retry.set(Duration::ZERO)?;
        inner.retry.get_or_init(|| retry);
        Ok(Self(inner))
    }

    /// Whether commands can be sent.
    pub(crate) fn is_ready(&self) -> bool {
        self.with_connection(Connection::is_ready).unwrap_or(false)
    }

    /// Whether more bytes wait for the server than should.
    pub(crate) fn is_behind(&self) -> bool {
        let unsent = self.with_connection(Connection::unsent);
        unsent.is_some_and(|unsent| unsent > UNSENT_MAX)
    }

    /// Sends a command.
    ///
    /// # Errors
    /// The tag, if there is no connection.
    pub(crate) fn send(&self, tag: T, command: &Cmd) -> Result<(), T> {
        self.send_patiently(tag, command, self.0.settings.patience)
    }

    /// Sends a command whose reply may take `patience`.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub(crate) fn send_patiently(
        &self,
        tag: T,
        command: &Cmd,
        patience: Duration,
    ) -> Result<(), T> {
        let connection = self.0.connection.borrow().clone();
        match connection {
            Some(connection) => connection.send(tag, command, patience),
            None => Err(tag),
        }
    }

    /// Closes the connection, which is of no use for this reason, and makes another.
    pub(crate) fn disconnect(&self, reason: &str) {
        self.with_connection(|connection| connection.disconnect(reason));
    }

    /// Calls `work`, which may lose the connection, with the connection.
    fn with_connection<R>(&self, work: impl FnOnce(&Connection<T>) -> R) -> Option<R> {
        let connection = self.0.connection.borrow().clone()?;
        Some(work(&connection))
    }
}

impl<T: 'static> Inner<T> {
    fn connect(self: &Rc<Self>) {
        let weak = Rc::downgrade(self);
        let handler = Box::new(move |incoming| {
            if let Some(inner) = weak.upgrade() {
                inner.take(incoming);
            }
        });
        let opened = Connection::open(
            &self.base,
            &self.settings.target,
            &self.tls,
            self.settings.patience,
            handler,
        );
        match opened {
            Ok(connection) => *self.connection.borrow_mut() = Some(connection),
            Err(error) => self.lost(error.reason().into_owned(), Vec::new()),
        }
    }

    fn take(&self, incoming: Incoming<T>) {
        match incoming {
            Incoming::Ready => {
                self.ready_since.set(Some(time::now()));
                (self.handler)(Incoming::Ready);
            }
            Incoming::Reply(..) => (self.handler)(incoming),
            Incoming::Lost { reason, unanswered } => self.lost(reason, unanswered),
        }
    }

    fn lost(&self, reason: String, unanswered: Vec<T>) {
        drop(self.connection.take());
        let was_steady = |since: Instant| time::now() - since >= STEADY_AFTER;
        let mut backoff = match self.ready_since.take() {
            Some(since) if was_steady(since) => Backoff::default(),
            _ => self.backoff.get(),
        };
        let delay = backoff.next(fastrand::f64());
        self.backoff.set(backoff);
        if let Some(retry) = self.retry.get()
            && let Err(error) = retry.set(delay)
        {
            tracing::error!("{error}");
        }
        (self.handler)(Incoming::Lost { reason, unanswered });
    }
}

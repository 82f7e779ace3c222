//! The listening side of a worker: accepts what is queued, and pauses where there is no room.

use std::cell::{Cell, OnceCell};
use std::io;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use super::Worker;
use php_event::stream::{Stream, stream_socket_accept};
use php_event::{Error, Event, Result};

/// Connections accepted in one turn of the loop, so that open ones have their turn too.
const BATCH: usize = 256;

/// How long accepting pauses when the system gives no descriptor. A connection of this process
/// that closes ends the pause at once; one of another process is not seen.
const RETRY: Duration = Duration::from_secs(1);

/// A listener, and whether it accepts.
pub(super) struct Acceptor {
    worker: Weak<Worker>,
    listener: Stream,
    event: OnceCell<Event>,
    retry: OnceCell<Event>,
    paused: Cell<bool>,
    last_warning: Cell<Option<Instant>>,
}

impl Acceptor {
    /// Starts to accept connections.
    pub(super) fn start(worker: &Rc<Worker>, listener: Stream) -> Result<Rc<Self>> {
        let acceptor = Rc::new(Self {
            worker: Rc::downgrade(worker),
            listener: listener.clone(),
            event: OnceCell::new(),
            retry: OnceCell::new(),
            paused: Cell::new(false),
            last_warning: Cell::new(None),
        });
        let weak = Rc::downgrade(&acceptor);
        let event = Event::new(
            worker.base(),
            listener,
            Event::READ | Event::PERSIST,
            move |_listener, _what, _event| {
                if let Some(acceptor) = weak.upgrade() {
                    acceptor.accept();
                }
            },
        )?;
        event.set_data(worker.base().clone()); // the tutorial's last argument: `{}` in the table
        event.add(None)?;
        let event = acceptor.event.get_or_init(|| event);
        worker.app().listening(acceptor.id(), event);
        let weak = Rc::downgrade(&acceptor);
        let retry = Event::timer(worker.base(), move |_event| {
            if let Some(acceptor) = weak.upgrade() {
                acceptor.resume();
            }
        })?;
        acceptor.retry.get_or_init(|| retry);
        Ok(acceptor)
    }

    /// The number of the listening stream.
    pub(super) fn id(&self) -> u64 {
        self.listener.id()
    }

    /// Accepts a batch of connections. True when it got some, and more may be queued.
    fn accept(&self) -> bool {
        let Some(worker) = self.worker.upgrade() else {
            return false;
        };
        let mut accepted = false;
        for _ in 0..BATCH {
            if worker.is_full() {
                self.pause("the limit of open connections is reached", None);
                return false;
            }
            match stream_socket_accept(&self.listener, Duration::ZERO) {
                Ok(stream) => {
                    accepted = true;
                    worker.counters().connections.add(1);
                    if let Err(error) = worker.open(stream) {
                        tracing::error!("a connection could not be watched: {error}");
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                Err(error) if concerns_one_peer(&error) => {}
                Err(error) => {
                    self.pause(&error.to_string(), Some(RETRY));
                    return false;
                }
            }
        }
        accepted
    }

    fn pause(&self, why: &str, retry: Option<Duration>) {
        let (Some(event), Some(timer), Some(worker)) =
            (self.event.get(), self.retry.get(), self.worker.upgrade())
        else {
            return;
        };
        self.paused.set(true);
        worker.counters().pauses.add(1);
        let quiet = self
            .last_warning
            .get()
            .is_some_and(|last| last.elapsed() < RETRY);
        if !quiet {
            self.last_warning.set(Some(Instant::now()));
            tracing::warn!(open = worker.open_connections(), "accepting pauses: {why}");
        }
        let done = event.del().and_then(|()| {
            if retry.is_some() {
                timer.add(retry)
            } else {
                Ok(())
            }
        });
        if let Err(error) = done {
            tracing::error!("{error}");
        }
        worker.app().changed(self.id(), event);
    }

    /// Accepts again after a pause; called when there may be room. Where the system refuses, the
    /// pause lasts until the next try.
    pub(super) fn resume(&self) {
        let (Some(event), Some(timer), Some(worker)) =
            (self.event.get(), self.retry.get(), self.worker.upgrade())
        else {
            return;
        };
        if !self.paused.get() {
            return;
        }
        match event.add(None) {
            Ok(()) => {
                self.paused.set(false);
                worker.app().changed(self.id(), event);
            }
            Err(error) => {
                tracing::error!("accepting stays paused, and is tried again: {error}");
                if let Err(error) = timer.add(Some(RETRY)) {
                    tracing::error!("{error}"); // a connection that closes tries again
                }
            }
        }
    }

    /// Whether it accepts.
    pub(super) fn is_accepting(&self) -> bool {
        !self.paused.get()
    }

    /// Accepts everything that is queued, unless accepting pauses.
    pub(super) fn drain(&self) {
        while !self.paused.get() && self.accept() {}
    }
}

impl Drop for Acceptor {
    fn drop(&mut self) {
        if let Some(event) = self.event.get() {
            event.free(); // the app's table may hold a handle
        }
    }
}

/// Whether the error concerns only the connection that was to be accepted (accept(2)).
fn concerns_one_peer(error: &Error) -> bool {
    let Error::Io { source, .. } = error else {
        return false;
    };
    !matches!(
        source.raw_os_error(),
        Some(
            libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM | libc::EBADF | libc::EINVAL
        ) | None
    )
}

//! How a worker runs, reacts to signals, and ends.

use std::cell::{Cell, OnceCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::Worker;
use crate::app::Takes;
use crate::bus::{Notice, Uplink};
use crate::signals;
use php_event::stream::Stream;
use php_event::{Event, Result};

/// How long a replaced worker goes on after the grace period, until its connections have their
/// last bytes.
const LAST_BYTES: Duration = Duration::from_secs(1);

/// How far a worker is in its life.
#[derive(Debug, Default)]
pub(super) struct Life {
    stage: Cell<Stage>,
    end_of_grace: OnceCell<Event>, // of a replaced worker
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// Accepts connections.
    #[default]
    Serving,
    /// Accepts connections until the master has replaced it.
    Retiring,
    /// Was replaced. Keeps the connections that receive messages, within the grace period.
    Replaced,
    /// Ends when its last connection has ended.
    Draining,
    /// As [`Draining`](Self::Draining), within the grace period.
    Stopping {
        /// When the grace period began.
        since: Instant,
    },
}

impl Life {
    pub(super) fn set_timer(&self, timer: Event) {
        self.end_of_grace.get_or_init(|| timer);
    }
}

impl Worker {
    /// Connects the worker with its master and, through it, with the other workers.
    ///
    /// # Errors
    /// The library's, when the line cannot be watched.
    pub(crate) fn join(self: &Rc<Self>, line: Stream) -> Result<()> {
        let weak = Rc::downgrade(self);
        let uplink = Uplink::join(
            &self.base,
            line,
            self.config.longest_message(),
            move |notice| {
                if let Some(worker) = weak.upgrade() {
                    worker.notified(notice);
                }
            },
        )?;
        self.delivery.set_uplink(uplink);
        Ok(())
    }

    fn notified(self: &Rc<Self>, notice: Notice) {
        match notice {
            Notice::Message(message) => self.app.message(self, message),
            Notice::Room => self.resume_senders(),
            Notice::Replaced => self.replaced(),
            Notice::Lost => {
                tracing::warn!("the connection to the master is closed: ending");
                self.leave();
            }
        }
    }

    /// Serves until a signal stops it, and takes itself apart. Calls `ready` when it handles
    /// signals and connections.
    ///
    /// # Errors
    /// The library's, when an event cannot be made or the loop fails.
    pub(crate) fn run(self: &Rc<Self>, listeners: Vec<Stream>, ready: impl FnOnce()) -> Result<()> {
        let events = self.handle_signals()?;
        self.start_echo()?;
        self.app.started(self)?;
        for listener in listeners {
            self.start_accepting(listener)?;
        }
        if let Some(uplink) = self.delivery.uplink() {
            uplink.send_ready();
        }
        ready();
        let ended = self.base.dispatch();
        signals::block(); // one that comes now would end the process before its work is done
        drop(events);
        self.take_apart();
        self.log_counters();
        ended.map(drop)
    }

    pub(crate) fn take_apart(&self) {
        self.drop_acceptors();
        self.delivery.take_queued();
        self.rounds.take();
        self.turn.take_yielded();
        self.retry.take();
        self.echo.finish();
        let left = self.admission.take_all();
        let open = left
            .iter()
            .filter(|connection| connection.is_owed())
            .count();
        if open > 0 {
            tracing::warn!(
                open,
                "connections were cut off at the end of the grace period"
            );
        }
        for connection in left {
            connection.abandon();
        }
    }

    fn handle_signals(self: &Rc<Self>) -> Result<Vec<Event>> {
        let on = |signum, work: fn(&Rc<Self>)| {
            let weak = Rc::downgrade(self);
            let event = Event::signal(&self.base, signum, move |_signum, _event| {
                if let Some(worker) = weak.upgrade() {
                    work(&worker);
                }
            })?;
            event.add(None).map(|()| event)
        };
        let mut signals = vec![
            on(libc::SIGTERM, Self::stop)?,
            on(libc::SIGINT, Self::interrupt)?,
            on(libc::SIGQUIT, Self::drain)?,
            on(libc::SIGUSR1, |worker| worker.log_counters())?,
            on(libc::SIGUSR2, Self::refuse_reload)?,
        ];
        if !signals::ignores_hangup() {
            signals.push(on(libc::SIGHUP, Self::hang_up)?);
        }
        Ok(signals)
    }

    /// Whether a master decides for this worker. Terminals and service managers signal the whole
    /// process group, and the master passes on what concerns the workers.
    fn has_master(&self) -> bool {
        self.delivery.uplink().is_some()
    }

    fn interrupt(self: &Rc<Self>) {
        if !self.has_master() {
            self.stop();
        }
    }

    fn hang_up(self: &Rc<Self>) {
        if !self.has_master() && !self.config.reload() {
            tracing::info!("the terminal has closed");
            self.stop();
        }
    }

    fn refuse_reload(self: &Rc<Self>) {
        if !self.has_master() {
            tracing::warn!("SIGUSR2 replaces workers, and without --workers there are none");
        }
    }

    /// Whether the worker takes no more requests than those that have begun.
    pub(crate) fn is_stopping(&self) -> bool {
        self.life.stage.get() >= Stage::Replaced
    }

    /// Whether connections without an open request end.
    pub(crate) fn is_ending(&self) -> bool {
        self.life.stage.get() >= Stage::Draining
    }

    /// Leaves the slot to the worker that has taken over. Requests end as in [`stop`](Self::stop);
    /// connections that receive messages stay, and receive them, until the grace period is over.
    pub(super) fn replaced(self: &Rc<Self>) {
        if self.is_stopping() {
            return;
        }
        if self.takes() == Takes::Requests {
            return self.stop();
        }
        self.life.stage.set(Stage::Replaced);
        let grace = self.config.grace();
        tracing::info!(
            open = self.open_connections(),
            "replaced: stopping within {grace:?}, or when all connections have ended"
        );
        self.stop_accepting();
        self.leave_if_done();
        if let Some(timer) = self.life.end_of_grace.get()
            && let Err(error) = timer.add(Some(grace))
        {
            tracing::error!("{error}");
            self.grace_is_over();
        }
    }

    /// Ends the connections of a replaced worker, whose peers have to connect again.
    pub(super) fn grace_is_over(self: &Rc<Self>) {
        if self.life.stage.get() != Stage::Replaced {
            return;
        }
        tracing::info!(
            open = self.open_connections(),
            "the grace period is over: receivers have to connect again"
        );
        self.life.stage.set(Stage::Stopping {
            since: Instant::now(),
        });
        self.end_connections();
        self.leave_after(LAST_BYTES);
    }

    /// Stops accepting, and ends when all connections have ended.
    pub(super) fn drain(self: &Rc<Self>) {
        if !self.is_ending() {
            tracing::info!(
                open = self.open_connections(),
                "stopping when all connections have ended"
            );
            self.life.stage.set(Stage::Draining);
            self.end_connections();
        }
    }

    /// Stops accepting, and gives open requests the grace period. A second call ends the worker
    /// at once, unless a master counts the calls.
    pub(crate) fn stop(self: &Rc<Self>) {
        if let Stage::Stopping { since } = self.life.stage.get() {
            if !self.has_master() && signals::counts_again(since) {
                tracing::info!("asked to stop again: ending at once");
                self.leave();
            }
            return;
        }
        self.life.stage.set(Stage::Stopping {
            since: Instant::now(),
        });
        let grace = self.config.grace();
        tracing::info!(open = self.open_connections(), "stopping within {grace:?}");
        self.end_connections();
        self.leave_after(grace);
    }

    fn leave_after(&self, grace: Duration) {
        if let Err(error) = self.base.exit(Some(grace)) {
            tracing::error!("{error}");
            self.leave();
        }
    }

    /// Accepts and reads what has been sent until now, and closes what is idle.
    fn end_connections(self: &Rc<Self>) {
        self.stop_accepting();
        self.finish_rounds();
        let open = self.admission.all();
        open.iter().for_each(|connection| connection.read_last());
        self.finish_rounds();
        self.send_queued();
        open.iter().for_each(|connection| connection.retire());
        self.leave_if_done();
    }

    /// Ends a stopping worker that has nothing left to do.
    pub(crate) fn leave_if_done(&self) {
        let is_drained = || self.delivery.is_drained() && self.app.is_drained();
        if self.is_stopping() && self.open_connections() == 0 && is_drained() {
            self.leave();
        }
    }

    fn leave(&self) {
        if let Err(error) = self.base.stop() {
            tracing::error!("{error}");
        }
    }

    /// Asks the master for a replacement after `--worker-max-requests`.
    #[inline]
    pub(super) fn retire_if_due(&self) {
        if let Some(limit) = self.config.worker_max_requests() {
            self.retire_after(limit);
        }
    }

    fn retire_after(&self, limit: u64) {
        let served = self.counters.requests.get() + self.counters.messages.get();
        if served >= limit
            && self.life.stage.get() == Stage::Serving
            && let Some(uplink) = self.delivery.uplink()
        {
            self.life.stage.set(Stage::Retiring);
            tracing::info!("asking to be replaced after {served} requests");
            uplink.request_replacement();
        }
    }

    fn log_counters(&self) {
        self.counters.log(
            self.open_connections(),
            self.is_accepting(),
            self.delivery.waiting(),
            self.app.holdings(),
        );
    }
}

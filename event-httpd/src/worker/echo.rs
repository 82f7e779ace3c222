//! `--echo`: received bytes are printed, as the tutorial's program does.
//!
//! Printing never makes the server wait. Bytes that standard output has no room for are queued,
//! and dropped once the queue is full.

use std::cell::{Cell, OnceCell, RefCell};
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use nix::poll::PollTimeout;

use super::Worker;
use crate::output::Output;
use php_event::{Event, Result};

/// Bytes that may wait for the reader of standard output.
const QUEUE: usize = 1 << 20;

/// The log reports dropped bytes this often at most.
const TELL: Duration = Duration::from_secs(1);

/// How long an ending worker waits for the reader of standard output.
const LAST: Duration = Duration::from_secs(1);

/// Standard output, and what waits for it.
#[derive(Debug, Default)]
pub(super) struct Echo {
    output: OnceCell<Rc<Output>>,
    room: RefCell<Option<Event>>, // fires when the output has room
    failed: Cell<bool>,
    queue: RefCell<Vec<u8>>,
    dropped: Cell<u64>,
    told: Cell<Option<Instant>>,
}

impl Echo {
    fn drop_bytes(&self, count: usize) {
        if count == 0 {
            return;
        }
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.dropped.set(self.dropped.get().saturating_add(count));
        if self.told.get().is_none_or(|told| told.elapsed() >= TELL) {
            self.told.set(Some(Instant::now()));
            let dropped = self.dropped.get();
            tracing::warn!("--echo has dropped {dropped} bytes: nobody reads standard output");
        }
    }

    /// Stops printing: the output does not work.
    fn fail(&self, error: &io::Error) {
        if !self.failed.replace(true) {
            self.queue.take();
            tracing::warn!("--echo ends: standard output cannot be written: {error}");
        }
    }

    /// Writes what is queued. True when nothing is left.
    fn flush(&self) -> bool {
        let Some(output) = self.output.get() else {
            return true;
        };
        let written = output.write_some(&self.queue.borrow());
        match written {
            Ok(written) => {
                let mut queue = self.queue.borrow_mut();
                queue.drain(..written);
                if queue.is_empty() {
                    *queue = Vec::new();
                }
                queue.is_empty()
            }
            Err(error) => {
                self.fail(&error);
                true
            }
        }
    }

    /// Writes the rest when the worker ends, if it is read.
    pub(super) fn finish(&self) {
        drop(self.room.take());
        let start = Instant::now();
        while !self.flush() {
            let left = LAST.saturating_sub(start.elapsed());
            let time = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
            if left.is_zero() || !self.output.get().is_some_and(|output| output.wait(time)) {
                self.told.set(None);
                return self.drop_bytes(self.queue.take().len());
            }
        }
    }
}

impl Worker {
    /// Opens the output of `--echo`, if the operator wants it.
    pub(super) fn start_echo(self: &Rc<Self>) -> Result<()> {
        if !self.config.echo() {
            return Ok(());
        }
        match Output::new(&io::stdout()) {
            Ok(output) => drop(self.echo.output.set(Rc::new(output))),
            Err(error) => self.echo.fail(&error),
        }
        Ok(())
    }

    /// Prints received bytes, if the operator wants it.
    pub(crate) fn echo(self: &Rc<Self>, bytes: &[u8]) {
        let Some(output) = self.echo.output.get() else {
            return;
        };
        if self.echo.failed.get() {
            return;
        }
        let mut rest = bytes;
        if self.echo.queue.borrow().is_empty() {
            match output.write_some(bytes) {
                Ok(written) => rest = bytes.get(written..).unwrap_or_default(),
                Err(error) => return self.echo.fail(&error),
            }
        }
        if !rest.is_empty() {
            self.queue_echo(output, rest);
        }
    }

    fn queue_echo(self: &Rc<Self>, output: &Rc<Output>, bytes: &[u8]) {
        let dropped = {
            let mut queue = self.echo.queue.borrow_mut();
            let room = QUEUE.saturating_sub(queue.len());
            queue.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
            bytes.len().saturating_sub(room)
        };
        self.echo.drop_bytes(dropped);
        if self.echo.room.borrow().is_some() {
            return;
        }
        let weak = Rc::downgrade(self);
        let what = Event::WRITE | Event::PERSIST;
        let event = Event::new(&self.base, Rc::clone(output), what, move |_, _, _| {
            if let Some(worker) = weak.upgrade()
                && worker.echo.flush()
            {
                drop(worker.echo.room.take());
            }
        });
        match event.and_then(|event| event.add(None).map(|()| event)) {
            Ok(event) => *self.echo.room.borrow_mut() = Some(event),
            Err(error) => {
                tracing::error!("{error}"); // the next bytes try again
            }
        }
    }
}

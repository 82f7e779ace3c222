//! Connections that the system refused to watch: they are tried again until it does.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use super::Worker;
use crate::connection::Connection;
use php_event::Event;

/// How long after a refusal the next try follows.
const RETRY: Duration = Duration::from_millis(100);

/// The connections, and the timer of the next try.
#[derive(Default)]
pub(super) struct Retry {
    connections: RefCell<Vec<Rc<Connection>>>,
    timer: OnceCell<Event>,
}

impl Retry {
    pub(super) fn set_timer(&self, timer: Event) {
        self.timer.get_or_init(|| timer);
    }

    /// Drops the handles of connections that would be tried again.
    pub(super) fn take(&self) -> Vec<Rc<Connection>> {
        self.connections.take()
    }
}

impl Worker {
    /// Updates later what is read of a connection.
    pub(crate) fn retry_reading(&self, connection: Rc<Connection>) {
        self.retry.connections.borrow_mut().push(connection);
        if let Some(timer) = self.retry.timer.get()
            && !timer.is_pending()
            && let Err(error) = timer.add(Some(RETRY))
        {
            tracing::error!("{error}"); // the next refusal sets it
        }
    }

    pub(super) fn retry_all(self: &Rc<Self>) {
        for connection in self.retry.take() {
            connection.update_reading();
        }
    }
}

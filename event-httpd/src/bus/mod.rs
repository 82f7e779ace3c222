//! The way between workers: what one publishes, all the others get, in order.

mod frame;
mod hub;
mod link;
mod local;

use std::rc::Rc;

pub(crate) use hub::{Hub, Word};
pub(crate) use local::LocalBus;

/// A worker's side of a bus. A published message reaches every other worker once, behind
/// those that this worker published before.
pub(crate) trait Bus {
    /// Sends a message to all other workers; it waits in a queue where there is no room.
    fn publish(&self, message: Rc<[u8]>);

    /// Whether the queue is so long that its senders should be held back; a
    /// [`Notice::Room`] follows.
    fn is_full(&self) -> bool;

    /// Whether all that was published has left this process.
    fn is_drained(&self) -> bool;
}

/// What a bus tells its worker.
pub(crate) enum Notice {
    /// Another worker published this.
    Message(Rc<[u8]>),
    /// The queue has room again, or all of it has left.
    Room,
    /// The bus is gone, and so is the master: there is no reason to go on.
    Lost,
}

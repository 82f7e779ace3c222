//! What the master does with the messages of its workers.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::frame::Kind;
use super::link::Link;
use crate::buffer::Buffer;
use php_event::process::Pid;

/// The master's part of an app.
pub(crate) trait Exchange {
    /// A worker has published a message.
    fn received(&self, from: Pid, message: Vec<u8>, lines: &Lines<'_>);

    /// A worker has ended, and all its messages were received.
    fn left(&self, _worker: Pid, _lines: &Lines<'_>) {}
}

/// The lines to the workers. What is sent on one arrives in order.
pub(crate) struct Lines<'a>(pub(super) &'a BTreeMap<Pid, Rc<Link>>);

impl Lines<'_> {
    /// Sends a message to one worker.
    pub(crate) fn send(&self, to: Pid, message: &Rc<Buffer>) {
        if let Some(link) = self.0.get(&to) {
            link.queue(Kind::Message, Some(Rc::clone(message)));
        }
    }

    /// Sends a message to all workers, or to all but one.
    pub(crate) fn send_to_all(&self, except: Option<Pid>, message: &Rc<Buffer>) {
        for (pid, link) in self.0 {
            if Some(*pid) != except {
                link.queue(Kind::Message, Some(Rc::clone(message)));
            }
        }
    }
}

/// Passes each message on to all other workers.
#[derive(Debug)]
pub(crate) struct PassOn;

impl Exchange for PassOn {
    fn received(&self, from: Pid, message: Vec<u8>, lines: &Lines<'_>) {
        lines.send_to_all(Some(from), &Buffer::uncounted(message));
    }
}

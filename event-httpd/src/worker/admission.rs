//! Who is connected, and whether another may come.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::rc::Rc;

use super::Worker;
use super::acceptor::Acceptor;
use super::connections::Numbered;
use crate::connection::Connection;
use php_event::Result;
use php_event::stream::Stream;

/// The part of `--max-queue-total` that unfinished request bodies may take.
const BODY_SHARE: usize = 2;

/// The open connections, the acceptor, and their limits.
pub(super) struct Admission {
    max_connections: usize,
    connections: RefCell<Numbered<Connection>>,
    acceptors: RefCell<Vec<Rc<Acceptor>>>,
    body_bytes: Cell<usize>, // of request bodies that are not complete
}

impl Admission {
    pub(super) fn new(max_connections: usize) -> Self {
        Self {
            max_connections,
            connections: RefCell::default(),
            acceptors: RefCell::default(),
            body_bytes: Cell::new(0),
        }
    }

    pub(super) fn contains(&self, id: u64) -> bool {
        self.connections.borrow().get(id).is_some()
    }

    pub(super) fn get(&self, id: u64) -> Option<Rc<Connection>> {
        self.connections.borrow().get(id).cloned()
    }

    /// All open connections, oldest first.
    pub(super) fn all(&self) -> Vec<Rc<Connection>> {
        let connections = self.connections.borrow();
        connections.iter().map(|(_, one)| Rc::clone(one)).collect()
    }

    /// Calls `visit` with every connection. It must open and close none.
    pub(super) fn for_each(&self, mut visit: impl FnMut(u64, &Rc<Connection>)) {
        for (id, connection) in self.connections.borrow().iter() {
            visit(id, connection);
        }
    }

    /// Calls `visit` with up to `count` connections, oldest first and from that number on, and
    /// returns the number of the one that follows. It must open and close none.
    pub(super) fn visit_from(
        &self,
        number: u64,
        count: usize,
        mut visit: impl FnMut(u64, &Rc<Connection>),
    ) -> Option<u64> {
        let connections = self.connections.borrow();
        let mut rest = connections.iter_from(number);
        rest.by_ref()
            .take(count)
            .for_each(|(id, connection)| visit(id, connection));
        rest.next().map(|(id, _)| id)
    }

    /// Removes all connections.
    pub(super) fn take_all(&self) -> Vec<Rc<Connection>> {
        self.connections.take().into_all()
    }
}

impl Worker {
    pub(crate) fn open_connections(&self) -> usize {
        self.admission.connections.borrow().len()
    }

    /// Whether there are as many open connections as allowed.
    pub(super) fn is_full(&self) -> bool {
        self.open_connections() >= self.admission.max_connections
    }

    /// Whether new connections are accepted.
    pub(super) fn is_accepting(&self) -> bool {
        let acceptors = self.admission.acceptors.borrow();
        acceptors.iter().any(|acceptor| acceptor.is_accepting())
    }

    /// Starts to accept connections.
    pub(crate) fn start_accepting(self: &Rc<Self>, listener: Stream) -> Result<()> {
        let acceptor = Acceptor::start(self, listener)?;
        self.admission.acceptors.borrow_mut().push(acceptor);
        Ok(())
    }

    /// Accepts what is queued, and then nothing more.
    pub(super) fn stop_accepting(&self) {
        for acceptor in self.admission.acceptors.take() {
            acceptor.drain();
            self.app.closed(self, acceptor.id());
        }
    }

    /// Drops the acceptors at the end of the worker.
    pub(super) fn drop_acceptors(&self) {
        drop(self.admission.acceptors.take());
    }

    /// Takes over an accepted stream.
    pub(crate) fn open(self: &Rc<Self>, stream: Stream) -> Result<()> {
        let connection = Connection::open(self, stream)?;
        self.admission
            .connections
            .borrow_mut()
            .insert(connection.id(), connection);
        Ok(())
    }

    /// Removes a connection that has closed.
    pub(crate) fn closed(&self, id: u64) {
        self.app.closed(self, id);
        let connection = self.admission.connections.borrow_mut().remove(id);
        drop(connection); // its callback still holds it
        let acceptors = self.admission.acceptors.borrow();
        acceptors.iter().for_each(|acceptor| acceptor.resume());
        if acceptors.is_empty() {
            self.leave_if_done();
        }
    }

    /// Counts part of the body of a request; `length` is the body with it. False when the bodies
    /// that are not complete would exceed their limit, and no other has to make room.
    ///
    /// The state of the connection is borrowed meanwhile.
    pub(crate) fn take_body(&self, id: u64, length: usize, bytes: usize) -> bool {
        let limit = self.config.max_queue_total() / BODY_SHARE;
        let fits = || self.admission.body_bytes.get() + bytes <= limit;
        if !fits() {
            self.make_room_for_body(id, length, limit - limit / 8);
        }
        if !fits() {
            return false;
        }
        let total = self.admission.body_bytes.get() + bytes;
        self.admission.body_bytes.set(total);
        self.account().add(bytes);
        true
    }

    /// Refuses other bodies until `target` bytes are left: those that stalled first, and larger
    /// ones before smaller ones. One that arrives steadily stays unless it is the larger.
    #[cold]
    fn make_room_for_body(&self, id: u64, length: usize, target: usize) {
        let mut others = Vec::new();
        self.admission.for_each(|other, connection| {
            if other != id
                && let Some((stalled, length)) = connection.body()
            {
                others.push((stalled, length, Rc::clone(connection)));
            }
        });
        others.sort_by_key(|(stalled, length, _)| Reverse((*stalled, *length)));
        for (stalled, other, connection) in others {
            if self.admission.body_bytes.get() <= target || !stalled && other <= length {
                break;
            }
            connection.refuse_body();
        }
    }

    /// A body is complete, or its connection has closed.
    pub(crate) fn release_body(&self, bytes: usize) {
        let total = self.admission.body_bytes.get();
        self.admission.body_bytes.set(total.saturating_sub(bytes));
        self.account().subtract(bytes);
    }
}

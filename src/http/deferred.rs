//! What must wait until libevent has returned, and the turn of the loop that does it.
//!
//! Owns, lends to C: nothing. Runs user code: close callbacks, closures for bodies, and the
//! `tracing` subscriber.

use std::rc::Rc;

use super::{EventHttpConnection, body, connection, request, server};
use crate::base;
use crate::runtime::{failure_waits, guard, release};

pub(crate) enum Deferred {
    /// libevent has made its connection around this bufferevent.
    Adopt(Rc<connection::Inner>),
    /// The backend cannot watch the connection's socket: it is to be closed.
    TurnAway(Rc<connection::Inner>),
    /// The connection is to be closed.
    Close(Rc<connection::Inner>),
    /// The connection has ended: its closure is to be called, and dropped.
    CallBack(Rc<connection::Inner>),
    /// The closure for a request's body is to be told what is new.
    Body(Rc<request::Inner>),
}

impl Deferred {
    pub(super) fn connection(&self) -> Option<&Rc<connection::Inner>> {
        match self {
            Self::Adopt(conn) | Self::TurnAway(conn) | Self::Close(conn) | Self::CallBack(conn) => {
                Some(conn)
            }
            Self::Body(_) => None,
        }
    }
}

/// Does everything that was deferred; what a panic or another failure leaves is for
/// the next turn.
pub(super) fn run(base: &Rc<base::Inner>, server: &Rc<server::Inner>) {
    while let Some(deferred) = server.next_deferred() {
        match deferred {
            Deferred::Adopt(conn) => conn.adopt(),
            Deferred::TurnAway(conn) => {
                conn.close();
                guard(base, || server.report_limit());
            }
            Deferred::Close(conn) => conn.close(),
            Deferred::CallBack(conn) => call_back(base, conn),
            Deferred::Body(request) => body::tell(base, request),
        }
        if base.is_foreign() {
            return; // a closure forked, and this is the child
        }
        if failure_waits() {
            server.wake();
            break;
        }
    }
    server.settle();
}

fn call_back(base: &Rc<base::Inner>, conn: Rc<connection::Inner>) {
    let conn = EventHttpConnection(conn);
    guard(base, || {
        conn.0.slot.call(|f| f(&conn));
    });
    let callback = conn.0.take_callback();
    release(base, callback);
    release(base, conn);
}

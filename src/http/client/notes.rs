//! What closures are to be told, in a turn of the loop of its own: they may drop whatever they
//! like, and nothing of the connection is at work then.
//!
//! Owns: the notes, and an event that is active while there are some.
//! Lends to C: what that event lends. Runs user code: the closures of requests and of the
//! connection, and destructors of what they captured.

use std::cell::{OnceCell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use super::error::HttpError;
use super::request::Answer;
use crate::error::Result;
use crate::http::{EventHttpConnection, EventHttpRequest, connection, request};
use crate::runtime::{failure_waits, guard, release};
use crate::{Event, base};

pub(super) enum Note {
    /// The connection ended: for the close callback.
    Closed,
    /// A request has its answer, or has failed.
    Over {
        request: Rc<request::Inner>,
        outcome: Result<Answer, HttpError>,
    },
}

impl Note {
    fn is_for(&self, request: &Rc<request::Inner>) -> bool {
        matches!(self, Self::Over { request: other, .. } if Rc::ptr_eq(other, request))
    }
}

#[derive(Default)]
pub(super) struct Notes {
    waiting: RefCell<VecDeque<Note>>,
    turn: OnceCell<Event>,
}

impl Notes {
    /// Makes the event, before the first note.
    pub(super) fn prepare(&self, call: &'static str, conn: &Rc<connection::Inner>) -> Result<()> {
        let weak = Rc::downgrade(conn);
        let turn = Event::timer_on(call, conn.base(), move |_turn| {
            if let Some(conn) = weak.upgrade() {
                take_turn(conn);
            }
        })?;
        self.turn.set(turn).ok(); // it is empty: this is called once
        Ok(())
    }

    pub(super) fn push(&self, note: Note) {
        self.waiting.borrow_mut().push_back(note);
        self.wake();
    }

    /// Schedules what waits to be reported, and the next request to begin.
    pub(super) fn wake(&self) {
        if let Some(turn) = self.turn.get() {
            turn.active(Event::TIMEOUT).ok(); // it fails where no loop would run it either
        }
    }

    fn next(&self) -> Option<Note> {
        self.waiting.borrow_mut().pop_front()
    }

    /// Takes back what a request was to be told.
    pub(super) fn remove(&self, request: &Rc<request::Inner>) {
        let mut waiting = self.waiting.borrow_mut();
        // The caller has a count of the request, so that no destructor of the user's runs.
        waiting.retain(|note| !note.is_for(request));
    }

    /// The requests whose closures do not run any more.
    pub(super) fn take_requests(&self) -> Vec<Rc<request::Inner>> {
        let notes = self.waiting.take().into_iter();
        let requests = notes.filter_map(|note| match note {
            Note::Over { request, .. } => Some(request),
            Note::Closed => None,
        });
        requests.collect()
    }
}

/// Reports what waits, and begins the next request.
fn take_turn(mut conn: Rc<connection::Inner>) {
    let (base, same) = (Rc::clone(conn.base()), Rc::downgrade(&conn));
    while let Some(client) = conn.client() {
        if base.is_foreign() {
            break; // a closure forked, and this is the child
        }
        if failure_waits() {
            client.notes.wake(); // the rest is for the next turn
            break;
        }
        let Some(note) = client.notes.next() else {
            client.proceed(&conn);
            break;
        };
        tell(&base, conn, note);
        let Some(next) = same.upgrade() else {
            return; // nobody is left to be told
        };
        conn = next;
    }
    release(&base, conn); // another callback may have dropped the other handles
}

/// Runs the closure that a note is for.
fn tell(base: &Rc<base::Inner>, conn: Rc<connection::Inner>, note: Note) {
    match note {
        Note::Closed => {
            let conn = EventHttpConnection(conn);
            guard(base, || {
                conn.0.slot.call(|f| f(&conn));
            });
            release(base, conn);
        }
        Note::Over { request, outcome } => {
            let request = EventHttpRequest(request);
            if let Some(client) = request.0.client() {
                let shows = match &outcome {
                    Ok(_) => true,
                    Err(error) => error.shows_request(),
                };
                client.finish(outcome);
                let answer = shows.then_some(&request);
                guard(base, || {
                    client.slot.call(|f| f(answer));
                });
            }
            release(base, request);
            release(base, conn);
        }
    }
}

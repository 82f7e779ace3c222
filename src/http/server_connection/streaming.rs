//! Bodies that come while their request waits for its reply.
//!
//! Owns: the request whose body comes and whose closure waits for it, which needs no other handle
//! meanwhile. Runs no user code: what a closure is to learn is deferred.
//!
//! # What evhttp does meanwhile
//! It has shown the request, takes it as complete, and waits for the reply. It does not read, and
//! it has no callback for what comes. So the gate gets all bytes, libevent reads as long as the
//! request's buffer has room, and the end of the connection still goes to evhttp, which ends it.
//! When evhttp sends a part of a reply, it begins to read again by itself
//! ([`ServerConnection::keep_paused`]).

use std::rc::Rc;

use super::{AHEAD_MAX, CALL, Phase, ServerConnection};
use crate::codec::Head;
use crate::flags::EventFlags;
use crate::http::body::HttpBodyError;
use crate::http::gate::{Gate, Progress, Sink, Streamed};
use crate::http::server_request::ServerRequest;
use crate::http::{request, server};
use crate::native::evhttp_connection::PeerEnd;

/// How the body of the request that evhttp has shown comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Intake {
    /// It is complete.
    Complete,
    /// It is streamed, and waits in the gate until the request's closure has run.
    Held { expects_continue: bool },
    /// It is streamed, and read.
    Reading { expects_continue: bool },
    /// It is streamed, and what has come waits to be taken out of the request's buffer.
    Paused,
    /// The request has its reply: the rest of its body is dropped.
    Dropped,
}

impl Intake {
    pub(super) fn of(streamed: Option<Streamed>) -> Self {
        match streamed {
            None => Self::Complete,
            Some(Streamed {
                expects_continue, ..
            }) => Self::Held { expects_continue },
        }
    }

    fn is_streaming(self) -> bool {
        matches!(
            self,
            Self::Held { .. } | Self::Reading { .. } | Self::Paused
        )
    }
}

/// What the gate writes to.
pub(super) struct Passing<'a> {
    pub(super) evhttp: &'a mut dyn FnMut(&[u8]),
    pub(super) server: Option<&'a server::Inner>,
    pub(super) request: Option<&'a ServerRequest>,
    /// Whether the request's buffer took all of the body.
    pub(super) stored: &'a mut bool,
}

impl Sink for Passing<'_> {
    fn evhttp(&mut self, bytes: &[u8]) {
        (self.evhttp)(bytes);
    }

    fn streams(&mut self, head: &Head<'_>) -> Option<u64> {
        self.server?.routes.streams(head.target_str())
    }

    fn body(&mut self, part: &[u8]) {
        if let Some(request) = self.request
            && let Some(view) = request.place.view()
        {
            *self.stored &= view.input(CALL).add(part).is_ok();
            request.body.arrived();
        }
    }

    fn body_end(&mut self) {
        if let Some(request) = self.request {
            request.body.complete();
        }
    }
}

impl ServerConnection {
    fn intake(&self) -> Intake {
        match &*self.phase.borrow() {
            Phase::Replying { intake, .. } => *intake,
            Phase::Collecting | Phase::Done | Phase::Cut => Intake::Complete,
        }
    }

    fn set_intake(&self, new: Intake) {
        if let Phase::Replying { intake, .. } = &mut *self.phase.borrow_mut() {
            *intake = new;
        }
    }

    pub(super) fn is_streaming(&self) -> bool {
        self.intake().is_streaming()
    }

    /// Whether the body is read, and the client may send it.
    pub(super) fn reads_body(&self) -> bool {
        matches!(
            self.intake(),
            Intake::Reading {
                expects_continue: false
            }
        )
    }

    /// Whether the peer waits for 100 Continue.
    pub(super) fn awaits_continue(&self) -> bool {
        matches!(
            self.intake(),
            Intake::Reading {
                expects_continue: true
            }
        )
    }

    /// The request whose body is streamed.
    pub(super) fn streaming(&self) -> Option<Rc<request::Inner>> {
        match &*self.phase.borrow() {
            Phase::Replying {
                request, intake, ..
            } if intake.is_streaming() => request.upgrade(),
            _ => None,
        }
    }

    /// The closure that got `request` has returned: lets the body come, if it is streamed.
    pub(in crate::http) fn start_body(&self, request: &Rc<request::Inner>) {
        let Intake::Held { expects_continue } = self.intake() else {
            return;
        };
        let Some(own) = request.server() else { return };
        self.set_intake(Intake::Reading { expects_continue });
        if expects_continue {
            self.apply_timeout();
        }
        if own.waits_for_reply() {
            self.place.take_body(); // otherwise evhttp's callbacks are those of a reply
        }
        self.place.read();
        self.release(Some(request));
        self.read_soon();
        self.ask_for_body(own);
    }

    /// Lets the gate continue after the head that evhttp has shown.
    fn release(&self, request: Option<&Rc<request::Inner>>) {
        let Ok(mut gate) = self.gate.try_borrow_mut() else {
            return;
        };
        let before = gate.progress();
        let server = self.server.upgrade();
        let mut stored = true;
        let fed = self.place.feed(|evhttp| {
            gate.release(&mut Passing {
                evhttp,
                server: server.as_deref(),
                request: request.and_then(|request| request.server()),
                stored: &mut stored,
            });
        });
        self.passed(&gate, before, request, fed && stored);
    }

    /// The gate has passed on what came.
    pub(super) fn passed(
        &self,
        gate: &Gate,
        before: Progress,
        request: Option<&Rc<request::Inner>>,
        stored: bool,
    ) {
        if !stored {
            // A part of what came is lost, and the rest would be read as something else.
            self.place.drain_input();
            self.place.shut_down();
        }
        self.limit_held(gate);
        if let Some(server) = self.server.upgrade()
            && self.due.advance(before, gate.progress(), server.settings())
        {
            server.deadlines.watch(&server);
        }
        if let Some(request) = request {
            self.body_came(gate, request);
        }
    }

    /// Bounds what waits in the gate: after a request that waits for its reply nothing more is
    /// read, and after one that evhttp is about to show no more than usual.
    pub(super) fn limit_held(&self, gate: &Gate) {
        let Some(bev) = self.place.view().filter(|_| gate.is_holding()) else {
            return;
        };
        match self.intake() {
            Intake::Held { .. } => {}
            // The head that waits is in the input, which is hence at this mark.
            _ if self.is_replying() => bev.set_watermark(EventFlags::READ, 0, 1),
            _ if gate.kept() > AHEAD_MAX => {
                bev.disable(CALL, EventFlags::READ).ok();
            }
            _ => {}
        }
    }

    fn body_came(&self, gate: &Gate, request: &Rc<request::Inner>) {
        let Some(own) = request.server() else { return };
        let refusal = gate.refusal();
        if self.awaits_continue() && own.body.has_begun() {
            self.body_may_come(); // the peer did not wait any longer
            self.restart_due_from(gate.progress());
        }
        if let Some((code, refusal)) = refusal {
            let error = HttpBodyError::Refused(refusal.reason());
            own.body.fail(error, Some(code));
        }
        if own.body.is_coming() {
            self.adjust_reading(own);
        } else {
            self.set_intake(Intake::Complete);
            self.place.ignore_input(PeerEnd::Ignored);
            if let Some(bev) = self.place.view() {
                bev.disable(CALL, EventFlags::READ).ok();
            }
        }
        if own.body.has_news() && !own.tell_body(request) && refusal.is_some() {
            own.close_soon(); // no handle is left to reply with
        }
    }

    /// Reads as long as the request's buffer has room.
    pub(in crate::http) fn adjust_reading(&self, request: &ServerRequest) {
        let Some(length) = request.place.view().map(|view| view.input(CALL).length()) else {
            return;
        };
        let Some(bev) = self.place.view() else { return };
        match self.intake() {
            Intake::Reading { .. } if length >= AHEAD_MAX => {
                self.set_intake(Intake::Paused);
                bev.disable(CALL, EventFlags::READ).ok();
            }
            Intake::Paused if length < AHEAD_MAX => {
                let expects_continue = false;
                self.set_intake(Intake::Reading { expects_continue });
                self.place.read();
                self.read_soon();
                self.restart_due();
            }
            _ => {}
        }
    }

    /// The client may go on sending: what is due has its whole time.
    fn restart_due(&self) {
        if let Ok(gate) = self.gate.try_borrow() {
            self.restart_due_from(gate.progress());
        }
    }

    fn restart_due_from(&self, progress: Progress) {
        if let Some(server) = self.server.upgrade() {
            self.due.restart(progress, server.settings());
        }
    }

    /// evhttp has sent a part of a reply, and reads again by itself. Ends a connection that nothing
    /// watches.
    pub(in crate::http) fn keep_paused(&self) {
        if self.intake() == Intake::Paused
            && let Some(bev) = self.place.view()
        {
            bev.disable(CALL, EventFlags::READ).ok();
        }
        self.place.end_if_lost();
    }

    /// Sends 100 Continue to a peer that waits for it, once somebody waits for the body.
    pub(in crate::http) fn ask_for_body(&self, request: &ServerRequest) {
        if self.awaits_continue() && request.body.waits_for_first() && request.waits_for_reply() {
            self.place.send_continue();
            self.body_may_come();
            self.restart_due();
        }
    }

    /// The peer waits for 100 Continue no longer.
    fn body_may_come(&self) {
        let expects_continue = false;
        self.set_intake(Intake::Reading { expects_continue });
        self.apply_timeout();
    }

    /// The request has its reply: what is missing of its body is dropped.
    pub(super) fn drop_body(&self) {
        let intake = self.intake();
        if !intake.is_streaming() {
            return;
        }
        self.set_intake(Intake::Dropped);
        if let Ok(mut gate) = self.gate.try_borrow_mut() {
            gate.drop_body();
        }
        if matches!(intake, Intake::Held { .. }) {
            self.release(None);
        }
        let holder = self.holder.borrow().clone();
        if let Some(request) = holder
            && let Some(own) = request.server()
        {
            own.body.close();
            own.tell_body(&request); // which drops the closure
        }
    }

    /// Keeps the request until its closure knows how its body ends.
    pub(in crate::http) fn hold(&self, request: &Rc<request::Inner>) {
        let former = self.holder.replace(Some(Rc::clone(request)));
        drop(former); // the same
    }

    /// Gives back what [`hold`](Self::hold) keeps.
    pub(in crate::http) fn let_go(&self) -> Option<Rc<request::Inner>> {
        self.holder.take()
    }

    /// The connection ends because the body is too slow.
    pub(in crate::http) fn fail_slow_body(&self) {
        if let Some(request) = self.streaming()
            && let Some(own) = request.server()
        {
            own.body.fail(HttpBodyError::TooSlow, None);
        }
    }

    /// The connection ends: the closure is told in a turn of its own.
    pub(super) fn end_body(&self) {
        let holder = self.let_go();
        let request = self.streaming().or_else(|| holder.clone());
        if let Some(request) = request
            && let Some(own) = request.server()
        {
            own.body.fail(HttpBodyError::Disconnected, None);
            own.tell_body(&request);
        }
    }

    fn read_soon(&self) {
        #[cfg(feature = "openssl")]
        if self.speaks_tls
            && let Some(bev) = self.place.view()
        {
            bev.tls().read_soon();
        }
    }
}

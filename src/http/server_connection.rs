//! The server's end of a connection: the gate in front of evhttp, and when libevent reads.
//!
//! Owns: the [`Gate`]'s state. The bufferevent and the connection are evhttp's.
//! Lends C: one weak count of the [`connection::Inner`] around it, until the connection ends.
//! Runs no user code.
//!
//! # Why the gate sits on the input buffer
//! A filter bufferevent would be the natural place, but evhttp cannot live on one (2.1.12): what
//! evhttp writes while writing is disabled stays in the filter when it is enabled, and the
//! filter reports "written" when the bytes have reached the bufferevent below it. Then evhttp
//! frees both, and the bytes are lost. A callback on the input buffer runs inside the read,
//! before evhttp's, over TLS too. It takes the new bytes off the end of the buffer, and puts back
//! what the gate lets pass.
//!
//! # When libevent reads
//! While evhttp collects a request it reads, and closes when the peer is silent for too long.
//! While a request waits for its reply it does not read at all. While a reply is written it
//! reads, to notice that the peer has gone. Four things are changed here:
//! - with a close callback, it reads in the second case too ([`ServerConnection::watch_for_close`]);
//! - nobody consumes what is read meanwhile, so there is a bound ([`ServerConnection::begin`]);
//! - the peer may be silent then ([`ServerConnection::allow_silence`]);
//! - a peer that has shut down its writing side still gets its reply
//!   ([`ServerConnection::replied`]).
//!
//! TLS reads differently: one read may bring a request and, after it, the end of the peer's
//! writing side; and what libevent has read into OpenSSL does not make the socket readable again.
//! So evhttp does not learn of that end while a request waits, and at the end of a reply libevent
//! reads once without waiting for the socket ([`ServerConnection::complete`]).

mod lingering;
mod streaming;

use std::cell::{Cell, RefCell};
use std::mem;
use std::os::fd::BorrowedFd;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use self::lingering::{Ending, LINGERING_MAX};
use self::streaming::{Intake, Passing};
use super::connection::{End, freed};
use super::deadlines::Due;
use super::gate::{Gate, Passed, REFUSED};
use super::server_request::ServerRequest;
use super::{connection, entry, headers, page, request, server};
#[cfg(feature = "openssl")]
use crate::buffer_event::{LINGER_MAX, UnsentNotify};
use crate::buffer_event::{Source, outliving};
use crate::codec::{Limits, Refusal};
use crate::error::{Error, Result};
use crate::flags::EventFlags;
use crate::native::bufferevent::OwnedBufferEvent;
use crate::native::evbuffer::Access;
use crate::native::evhttp_connection::{Adoption, ConnectionPlace, PeerEnd, Scratch};
use crate::native::evhttp_request::RequestView;
use crate::runtime::{Lent, generation};
use crate::{EventBufferEvent, base, buffer_event, ffi};

/// How much a peer may send ahead while it waits for a reply.
const AHEAD_MAX: usize = 64 * 1024;

/// How much one write to a socket takes (libevent's `MAX_TO_WRITE_EVER`). A longer reply leaves
/// in several turns.
const ONE_WRITE: usize = 16 * 1024;

const CALL: &str = "EventHttp";

pub(crate) struct ServerConnection {
    server: Weak<server::Inner>,
    generation: u32, // of the process that accepted it
    key: usize,      // what the server knows it by
    speaks_tls: bool,
    place: ConnectionPlace<connection::Inner>,
    gate: RefCell<Gate>,
    scratch: Rc<RefCell<Scratch>>,
    phase: RefCell<Phase>,
    timeout: Cell<Option<Duration>>,
    times: Cell<Option<(Option<Duration>, Option<Duration>)>>, // what libevent has, for either way
    view: RefCell<Weak<buffer_event::Inner>>,                  // what `get_buffer_event` gave
    holder: RefCell<Option<Rc<request::Inner>>>,               // see `hold`
    due: Due,
}

enum Phase {
    /// evhttp collects a request.
    Collecting,
    /// We were shown a request, whose reply is not written yet.
    Replying {
        /// What the user got; none for a request that the server answers itself.
        request: Weak<request::Inner>,
        /// The peer may be silent for as long as it likes.
        may_be_silent: bool,
        /// It is of HTTP/1.0.
        is_1_0: bool,
        intake: Intake,
    },
    /// The last reply is written, and the connection ends.
    Done,
    /// The connection ends in the middle of a reply.
    Cut,
}

impl connection::Inner {
    /// The connection that evhttp is about to make around `bev`, and the bufferevent for
    /// evhttp.
    pub(super) fn of_server(
        server: &Rc<server::Inner>,
        bev: OwnedBufferEvent,
    ) -> Option<(Rc<Self>, *mut ffi::bufferevent)> {
        let (place, bev) = entry::place(bev)?;
        let end = End::Server(ServerConnection::new(server, place, bev.addr()));
        let inner = Rc::new(Self::new(&server.base, end));
        if let Some(conn) = inner.server() {
            conn.place.watch(Lent::new(&inner));
            if conn.speaks_tls {
                conn.expect_handshake(server);
            }
            conn.apply_timeout();
        }
        Some((inner, bev))
    }

    /// The server's end, if that is ours.
    pub(crate) fn server(&self) -> Option<&ServerConnection> {
        match &self.end {
            End::Server(conn) => Some(conn),
            End::Client(_) => None,
        }
    }
}

impl ServerConnection {
    fn new(
        server: &Rc<server::Inner>,
        place: ConnectionPlace<connection::Inner>,
        key: usize,
    ) -> Self {
        let settings = server.settings();
        let limits = Limits {
            header_size: settings.headers_max.unwrap_or(usize::MAX),
            body_size: settings
                .body_max
                .and_then(|size| size.try_into().ok())
                .unwrap_or(u64::MAX),
        };
        Self {
            server: Rc::downgrade(server),
            generation: generation(),
            key,
            speaks_tls: server.speaks_tls(),
            place,
            gate: RefCell::new(Gate::new(limits)),
            scratch: Rc::clone(server.scratch()),
            phase: RefCell::new(Phase::Collecting),
            timeout: Cell::new(settings.silence_max),
            times: Cell::new(None),
            view: RefCell::default(),
            holder: RefCell::default(),
            due: Due::default(),
        }
    }

    pub(super) fn key(&self) -> usize {
        self.key
    }

    /// For the entry point that ends it.
    pub(super) fn place(&self) -> &ConnectionPlace<connection::Inner> {
        &self.place
    }

    /// Whether evhttp has made the connection, and has not ended it.
    pub(super) fn is_open(&self) -> bool {
        self.place.is_adopted()
    }

    /// Refuses a connection that has ended.
    pub(super) fn usable(&self, call: &'static str) -> Result<()> {
        if self.is_open() {
            return Ok(());
        }
        Err(freed(call))
    }

    pub(super) fn peer(&self, call: &'static str) -> Result<(String, u16)> {
        let (address, port) = self.place.peer().ok_or_else(|| freed(call))?;
        Ok((headers::text(address), port))
    }

    /// The bufferevent, to be looked at; the same handle each time.
    pub(super) fn view(&self, base: &Rc<base::Inner>) -> Option<EventBufferEvent> {
        let bev = self.place.bufferevent()?;
        if let Some(view) = self.view.borrow().upgrade() {
            return Some(EventBufferEvent(view));
        }
        let view = entry::view(base, bev)?;
        self.view.replace(Rc::downgrade(&view.0));
        Some(view)
    }

    /// Whether this is a child that was forked while the connection was open.
    pub(super) fn is_inherited(&self) -> bool {
        self.generation != generation()
    }

    /// Whether we were shown a request whose reply is not written yet.
    pub(super) fn is_replying(&self) -> bool {
        matches!(*self.phase.borrow(), Phase::Replying { .. })
    }
}

/// The life of the connection.
impl ServerConnection {
    /// Makes evhttp tell of the connection's end; harmless a second time.
    pub(super) fn adopt(&self, base: &Rc<base::Inner>) {
        if self.place.adopt() == Adoption::HasEnded {
            self.before_end(base);
            self.after_end();
        }
    }

    /// Ends the connection, and with it a request that waits or whose reply is being written.
    pub(super) fn close(&self) {
        self.leave_to_parent();
        self.place.free();
    }

    /// Before evhttp is freed with all its connections.
    pub(super) fn prepare_for_end(&self, base: &Rc<base::Inner>) {
        self.adopt(base);
        self.leave_to_parent();
    }

    fn leave_to_parent(&self) {
        if self.is_inherited() {
            self.place.leave_socket();
        }
    }

    /// evhttp is about to free the connection, and has not begun.
    pub(super) fn before_end(&self, base: &Rc<base::Inner>) {
        self.end_body();
        let lingers = self.lingering();
        let mut is_cut = matches!(*self.phase.borrow(), Phase::Cut);
        if let Some(request) = self.take_request()
            && let Some(request) = request.server()
        {
            is_cut |= !request.is_whole();
            request.connection_ends();
        }
        if !is_cut
            && !self.is_inherited()
            && let Some(ending) = self.begin_ending(lingers)
            && let Some(socket) = self.place.take_socket()
        {
            outliving::keep_open(base, Source::new(socket), ending);
        }
        if let Some(view) = self.view.take().upgrade() {
            view.forget();
        }
    }

    /// For how long a peer that may still be sending has time to read its last answer.
    fn lingering(&self) -> Option<Duration> {
        let is_done = matches!(*self.phase.borrow(), Phase::Done);
        let lingers = (is_done || self.gate.borrow().is_cut_short()) && self.place.is_written();
        let limit = self.timeout.get().unwrap_or(LINGERING_MAX);
        lingers.then(|| limit.min(LINGERING_MAX))
    }

    /// Tells a TLS peer that no more comes, and ends the writing side if the connection lingers.
    /// Returns what the socket has left to do.
    fn begin_ending(&self, lingers: Option<Duration>) -> Option<Ending> {
        #[cfg(feature = "openssl")]
        let (record, limit) = (
            self.place.close_notify(),
            self.timeout.get().unwrap_or(LINGER_MAX),
        );
        let begin = |socket: BorrowedFd<'_>| {
            #[cfg(feature = "openssl")]
            if let Some(notify) = UnsentNotify::of(record, socket, limit) {
                return Some(Ending::Telling { notify, lingers });
            }
            Ending::lingering(socket, lingers?)
        };
        self.place.with_socket(begin).flatten()
    }

    /// Ends the connection in the middle of a reply: a TLS peer gets no `close_notify`, which
    /// would tell it that nothing is missing.
    pub(super) fn cut(&self) {
        self.phase.replace(Phase::Cut);
        self.close();
    }

    /// The place is empty: C knows the connection no more.
    pub(super) fn after_end(&self) {
        if let Some(server) = self.server.upgrade() {
            server.connection_ended(self.key);
        }
    }

    /// The request that the user got; there is none afterwards.
    fn take_request(&self) -> Option<Rc<request::Inner>> {
        match self.phase.replace(Phase::Collecting) {
            Phase::Replying { request, .. } => request.upgrade(),
            Phase::Collecting | Phase::Done | Phase::Cut => None,
        }
    }
}

/// A request and its reply.
impl ServerConnection {
    /// evhttp shows us a request of this connection. Reading is disabled; it is enabled again at
    /// the end of the reply, or to watch for the end of the peer.
    /// Returns what evhttp does not know of it.
    pub(super) fn begin(&self, request: &RequestView<'_>) -> Passed {
        let passed = self.gate.borrow_mut().take_passed().unwrap_or_default();
        self.phase.replace(Phase::Replying {
            request: Weak::new(),
            may_be_silent: false,
            is_1_0: passed.is_1_0,
            intake: Intake::of(passed.streamed),
        });
        if let Some(bev) = self.place.view() {
            bev.set_watermark(EventFlags::READ, 0, AHEAD_MAX);
        }
        self.limit_held(&self.gate.borrow());
        self.place.ignore_input(PeerEnd::Ignored);
        self.place.watch_reply(request);
        passed
    }

    /// The user gets the request.
    pub(super) fn set_request(&self, shown: &Rc<request::Inner>) {
        if let Phase::Replying { request, .. } = &mut *self.phase.borrow_mut() {
            *request = Rc::downgrade(shown);
        }
    }

    /// Whether the gate refused this request: the status to answer with, and why.
    pub(super) fn refused(&self, request: &RequestView<'_>) -> Option<(u16, Refusal)> {
        let gate = self.gate.borrow();
        let (code, refusal) = gate.refusal()?;
        let refused = request.input(CALL).ends_with(REFUSED);
        refused.then_some((code, *refusal))
    }

    /// Watches for the end of a peer that waits for its reply, if a close callback is set.
    pub(super) fn watch_for_close(&self, conn: &connection::Inner) {
        if !conn.wants_close.get() || self.is_streaming() || !self.waits_unwatched() {
            return;
        }
        self.place.ignore_input(PeerEnd::Told);
        self.place.read();
        self.allow_silence();
    }

    fn waits_unwatched(&self) -> bool {
        let phase = self.phase.borrow();
        let Phase::Replying {
            request,
            may_be_silent: false,
            ..
        } = &*phase
        else {
            return false;
        };
        let request = request.upgrade();
        let request = request.as_ref().and_then(|request| request.server());
        request.is_some_and(ServerRequest::waits_for_reply)
    }

    /// From now on, until the reply is written, the peer may be silent. Called while libevent reads
    /// it saves two system calls.
    pub(super) fn allow_silence(&self) {
        let Phase::Replying { may_be_silent, .. } = &mut *self.phase.borrow_mut() else {
            return;
        };
        if !mem::replace(may_be_silent, true) {
            self.set_times(None, self.timeout.get());
        }
    }

    /// The reply is complete. The end of the peer's writing side must not cut it off, nor the
    /// requests that came before that end.
    pub(super) fn replied(&self) {
        if !self.is_replying() {
            return; // written already
        }
        self.drop_body();
        let Some(bev) = self.place.view() else { return };
        if self.speaks_tls || bev.output(Access::Output, CALL).length() > ONE_WRITE {
            bev.disable(CALL, EventFlags::READ).ok(); // a short reply leaves before the next read
        }
        self.place.ignore_input(PeerEnd::Ignored);
        self.place.end_if_lost();
    }

    /// The reply to `request` is written: evhttp frees the request, and ends the connection or
    /// collects the next request, which may have any length and has to come in time.
    pub(super) fn complete(&self, conn: &Rc<connection::Inner>, request: &RequestView<'_>) {
        self.drop_body();
        let is_1_0 = matches!(*self.phase.borrow(), Phase::Replying { is_1_0: true, .. });
        if let Some(request) = self.take_request()
            && let Some(request) = request.server()
        {
            request.place.clear();
        }
        if self.gate.borrow().is_over() || page::closes(request, is_1_0) {
            self.phase.replace(Phase::Done);
        }
        if let Some(bev) = self.place.view() {
            if bev.input(Access::Input, CALL).length() > 0 {
                // The end of the peer may be due in this turn, and would come before the
                // requests that are here. evhttp enables reading again when this returns.
                bev.disable(CALL, EventFlags::READ).ok();
            }
            bev.set_watermark(EventFlags::READ, 0, 0);
        }
        #[cfg(feature = "openssl")]
        if self.speaks_tls
            && let Some(bev) = self.place.view()
        {
            bev.tls().read_soon();
        }
        self.apply_timeout();
        let Some(server) = self.server.upgrade() else {
            return;
        };
        // What is due waited for the reply.
        let progress = self.gate.borrow().progress();
        if self.due.restart(progress, server.settings()) {
            server.deadlines.watch(&server);
        }
        if server.is_closing() {
            // Not here: evhttp goes on with the connection when this returns.
            self.phase.replace(Phase::Done);
            server.defer(server::Deferred::Close(Rc::clone(conn)));
        }
    }

    pub(super) fn set_timeout(&self, timeout: Option<Duration>) {
        self.timeout.set(timeout);
        self.apply_timeout();
    }

    fn apply_timeout(&self) {
        let silent = Phase::may_be_silent(&self.phase.borrow()) || self.awaits_continue();
        let timeout = self.timeout.get();
        self.set_times(timeout.filter(|_| !silent), timeout);
    }

    /// evhttp sets no times of its own, and each read or write that begins starts them anew.
    fn set_times(&self, read: Option<Duration>, write: Option<Duration>) {
        let Some(bev) = self.place.view() else { return };
        let times = (read, write);
        let former = self.times.replace(Some(times));
        if former != Some(times) {
            let former = former.unwrap_or_default();
            bev.replace_timeouts(CALL, former, times).ok();
        }
    }
}

impl Phase {
    fn may_be_silent(&self) -> bool {
        matches!(
            self,
            Self::Replying {
                may_be_silent: true,
                ..
            }
        )
    }
}

/// The gate.
impl ServerConnection {
    /// Bytes came after the first `known` of the input: takes out what the gate refuses.
    pub(super) fn filter(&self, known: usize) {
        let Ok(mut gate) = self.gate.try_borrow_mut() else {
            return; // the change is our own
        };
        let before = gate.progress();
        let (server, request) = (self.server.upgrade(), self.streaming());
        let mut stored = true;
        let passed = self
            .place
            .gate(known, &mut self.scratch.borrow_mut(), |piece, evhttp| {
                let mut passing = Passing {
                    evhttp,
                    server: server.as_deref(),
                    request: request.as_ref().and_then(|request| request.server()),
                    stored: &mut stored,
                };
                gate.pass(piece, &mut passing);
            });
        self.passed(&gate, before, request.as_ref(), passed && stored);
    }
}

/// The deadlines.
impl ServerConnection {
    fn expect_handshake(&self, server: &Rc<server::Inner>) {
        self.due.expect_handshake(server.settings());
        server.deadlines.watch(server);
    }

    /// Whether what must come next is late at `now`; `None` if nothing must.
    pub(super) fn is_late(&self, now: Instant, server: &server::Inner) -> Option<bool> {
        let progress = self.gate.borrow().progress();
        #[cfg(feature = "openssl")]
        if self.speaks_tls && self.due.is_handshake() && self.place.view()?.tls().is_established() {
            self.due.clear();
            self.place.end_if_lost(); // libevent watches it anew at the end of the handshake
            return None;
        }
        // What was sent ahead of a reply is not read to its end before.
        let reads = !self.is_replying() || self.reads_body();
        self.due.is_late(now, progress, server.settings(), reads)
    }
}

/// Refuses a time that libevent would take for none.
pub(super) fn checked_timeout(call: &'static str, timeout: Option<Duration>) -> Result<()> {
    if timeout.is_some_and(|timeout| timeout < Duration::from_micros(1)) {
        return Err(Error::argument(
            call,
            "a time below a microsecond would close every connection; None is no limit",
        ));
    }
    Ok(())
}

//! A client's end of a connection: requests that wait, the one that libevent works on, and what
//! is to be told.
//!
//! Owns: the native connection, from the moment when a request needs one until it cannot be
//! used again; an event that is active while there is something to tell; the requests that
//! are under way.
//! Lent to C: one weak count of the [`connection::Inner`] around it, for that event and for all
//! callbacks of the native connection.
//! Runs user code: none here. libevent's callbacks only note what happened, and `trampoline`
//! tells it in a turn of its own, so that a closure may drop whatever it likes.
//!
//! # What evhttp is not trusted with (http.c of 2.1.12)
//! It gets one request at a time, makes one connection, and is thrown away when that ends:
//! - **A queue**: it hands the next request on while it is at work on the failure of the one
//!   before, and cancelling one of several leaves timers behind.
//! - **Retries**: with a retry pending, cancelling makes it connect twice, and one assertion or
//!   another then ends the process; after the last retry it never connects again.
//! - **Connecting anew**: a flag of a connection that idled stays set when the server sends
//!   something unasked, and the next failure to connect ends the process by an assertion.
//! - **Names**: without a DNS base it blocks in `getaddrinfo`; the address that it gets here is
//!   always numeric.
//! - **What is left over**: bytes behind an answer would be the begin of the next one.
#![allow(unsafe_code)]

mod answer;
mod asking;
mod error;
mod handle;
mod line;
mod settings;

#[cfg(feature = "openssl")]
use std::cell::OnceCell;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::{IpAddr, Shutdown, SocketAddr};
use std::os::fd::BorrowedFd;
use std::ptr;
use std::rc::{Rc, Weak};
use std::time::Duration;

use socket2::SockRef;

use super::connection::{End, Lent};
use super::{EventHttpConnection, connection, headers, peer, request};
use crate::address::{self, ip_text};
use crate::dns::DnsError;
use crate::dns::Outcome;
use crate::error::{Error, Result, c_text, cvt, cvt_p};
use crate::flags::AddressFamily;
use crate::{Event, EventDnsBase, Lookup, LookupOptions, base, ffi, log, process, trampoline};
#[cfg(feature = "openssl")]
use crate::{EventSslContext, buffer_event};

pub(crate) use asking::ClientRequest;
pub use error::HttpError;
use settings::Settings;

pub(crate) struct ClientConnection {
    raw: Cell<*mut ffi::evhttp_connection>, // null where there is none, and once it is freed
    address: String,                        // as it was given
    port: u16,
    host: Host,
    #[cfg(feature = "openssl")]
    context: OnceCell<EventSslContext>, // none: it speaks no TLS
    settings: Cell<Settings>,
    turn: Cell<*mut ffi::event>, // active while there are notes
    arg: Cell<Lent>,             // the weak count lent to C
    queue: RefCell<VecDeque<Rc<request::Inner>>>,
    flight: RefCell<Option<Rc<request::Inner>>>, // what libevent works on
    notes: RefCell<VecDeque<Note>>,
    generation: Cell<u32>, // the process that made the native connection
    lost: Cell<bool>,      // the native connection was there, and ended
    spent: Cell<bool>,     // the native connection is not to be used again
    attempts: Cell<u32>,   // how many retries there were since it last came about
    pause: RefCell<Option<Event>>, // until the next retry
    lookup: RefCell<Option<Lookup>>,
    addresses: RefCell<VecDeque<SocketAddr>>, // what a lookup found, and was not tried yet
}

enum Host {
    Address(SocketAddr), // with port 0
    Name(EventDnsBase),
}

/// What is to be told in a turn of its own.
pub(crate) enum Note {
    /// The connection ended: for the close callback.
    Closed,
    /// A request has its answer, or has failed.
    Over {
        request: Rc<request::Inner>,
        error: Option<HttpError>,
        /// Whether the closure is shown the request.
        shown: bool,
    },
}

impl connection::Inner {
    /// A connection to a server, which is not made yet.
    fn of_client(
        call: &'static str,
        base: &Rc<base::Inner>,
        dns: Option<&EventDnsBase>,
        address: &str,
        port: u16,
    ) -> Result<Rc<Self>> {
        base.usable(call)?;
        let ip = address::Host::parse_ip(address).map_err(|error| error.of(call))?;
        let host = match (ip, dns) {
            (Some(ip), _) => Host::Address(ip),
            (None, Some(dns)) if !dns.is_on(base) => {
                let reason = "the DNS base is of another event base";
                return Err(Error::argument(call, reason));
            }
            (None, Some(dns)) => {
                c_text(call, "host name", address)?;
                Host::Name(dns.clone())
            }
            (None, None) => {
                let hint = "is no IP address; give one, or a DNS base for a name";
                return Err(Error::argument(call, format!("{address:?} {hint}")));
            }
        };
        headers::checked_line(call, "host name", address)?;
        let plain = ip.map(|ip| ip.ip().to_string()); // TLS and `Host` take no zone
        let address = plain.as_deref().unwrap_or(address);
        if port == 0 {
            return Err(Error::argument(call, "there is no port 0 to connect to"));
        }
        let inner = Rc::new(Self::new(
            base,
            End::Client(ClientConnection::new(address, port, host)),
        ));
        if let Some(client) = inner.client() {
            client.arg.set(trampoline::lend(&inner));
            let (on_turn, arg) = (Some(trampoline::on_client_turn as _), client.arg.get());
            // SAFETY: `inner` holds the base; `arg` stays lent until `Remains` has freed the event.
            let turn = unsafe { ffi::event_new(base.raw(), -1, 0, on_turn, arg) };
            client.turn.set(cvt_p(call, turn)?);
        }
        base.expect_events_of_c();
        base.owe_a_turn(); // bufferevents are freed by the loop
        let weak: Weak<Self> = Rc::downgrade(&inner);
        base.disown_in_children(weak);
        Ok(inner)
    }

    /// The native connection of a client's end, null where there is none.
    fn raw(&self) -> *mut ffi::evhttp_connection {
        self.client()
            .map_or(ptr::null_mut(), |client| client.raw.get())
    }

    fn set_raw(&self, raw: *mut ffi::evhttp_connection) {
        self.client().inspect(|client| client.raw.set(raw));
    }

    /// A client's end, if that is ours.
    pub(crate) fn client(&self) -> Option<&ClientConnection> {
        match &self.end {
            End::Client(client) => Some(client),
            End::Server(_) => None,
        }
    }
}

impl ClientConnection {
    fn new(address: &str, port: u16, host: Host) -> Self {
        Self {
            raw: Cell::new(ptr::null_mut()),
            address: address.to_owned(),
            port,
            host,
            #[cfg(feature = "openssl")]
            context: OnceCell::new(),
            settings: Cell::default(),
            turn: Cell::new(ptr::null_mut()),
            arg: Cell::new(ptr::null_mut()),
            queue: RefCell::default(),
            flight: RefCell::default(),
            notes: RefCell::default(),
            generation: Cell::new(0),
            lost: Cell::new(false),
            spent: Cell::new(false),
            attempts: Cell::new(0),
            pause: RefCell::default(),
            lookup: RefCell::default(),
            addresses: RefCell::default(),
        }
    }

    /// Whom requests go to, as `Host` has it.
    fn authority(&self) -> String {
        let address = match &self.host {
            Host::Address(SocketAddr::V6(ip)) => format!("[{}]", ip.ip()),
            _ => self.address.clone(),
        };
        let usual = if self.speaks_tls() { 443 } else { 80 };
        match self.port {
            port if port == usual => address,
            port => format!("{address}:{port}"),
        }
    }

    fn speaks_tls(&self) -> bool {
        #[cfg(feature = "openssl")]
        return self.context.get().is_some();
        #[cfg(not(feature = "openssl"))]
        false
    }

    /// Has the connections that are made from now on speak TLS with the host that was given.
    #[cfg(feature = "openssl")]
    fn speak_tls(&self, call: &'static str, context: &EventSslContext) -> Result<()> {
        context.connecting(call, Some(&self.address))?; // so that what is wrong shows here
        self.context.set(context.clone()).ok(); // there is none: called once, by `with_ssl`
        Ok(())
    }

    /// Refuses a local address from which the server cannot be reached.
    fn check_local(&self, call: &'static str, local: IpAddr) -> Result<()> {
        match self.host {
            Host::Address(ip) if ip.is_ipv4() != local.is_ipv4() => {
                let reason = format!("{local} is of another IP version than {}", ip.ip());
                Err(Error::argument(call, reason))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn peer(&self) -> (String, u16) {
        (self.address.clone(), self.port)
    }

    /// Changes the settings, and those of a connection that is there.
    fn set(&self, conn: &connection::Inner, change: impl FnOnce(&mut Settings)) {
        let mut settings = self.settings.get();
        change(&mut settings);
        self.settings.set(settings);
        if !conn.raw().is_null() {
            // SAFETY: not null, so `discard` has not freed it.
            unsafe { settings.apply(conn.raw()) };
        }
    }

    pub(super) fn set_timeout(&self, conn: &connection::Inner, timeout: Option<Duration>) {
        self.set(conn, |settings| settings.silence_max = timeout);
    }
}

/// Requests on their way out.
impl ClientConnection {
    /// Hands libevent the next request, if it has none. Those that cannot even be begun have
    /// failed, but for `mine`, whose failure is given back.
    fn advance(
        &self,
        call: &'static str,
        conn: &Rc<connection::Inner>,
        mine: Option<&Rc<request::Inner>>,
    ) -> Result<()> {
        let mut result = Ok(());
        while let Err((request, error)) = self.begin(call, conn) {
            if mine.is_some_and(|mine| Rc::ptr_eq(mine, &request)) {
                result = Err(error);
            } else {
                self.note_failure(request, HttpError::NotConnected, false);
            }
        }
        result
    }

    fn begin(
        &self,
        call: &'static str,
        conn: &Rc<connection::Inner>,
    ) -> Result<(), (Rc<request::Inner>, Error)> {
        if conn.base().usable(call).is_err() || self.is_busy() {
            return Ok(());
        }
        self.tidy(conn);
        if self.queue.borrow().is_empty() {
            return Ok(());
        }
        let ready = if conn.raw().is_null() {
            self.connect(call, conn)
        } else {
            Ok(true)
        };
        if let Ok(false) = ready {
            return Ok(());
        }
        let Some(request) = self.queue.borrow_mut().pop_front() else {
            return Ok(());
        };
        let sent = ready.and_then(|_| self.send(call, conn, &request));
        sent.map_err(|error| (request, error))
    }

    /// Whether no request can be begun now.
    fn is_busy(&self) -> bool {
        self.flight.borrow().is_some()
            || self.pause.borrow().is_some()
            || self.lookup.borrow().is_some()
    }

    fn send(
        &self,
        call: &'static str,
        conn: &connection::Inner,
        request: &Rc<request::Inner>,
    ) -> Result<()> {
        let Some((method, uri)) = request.asking().and_then(ClientRequest::line_for_c) else {
            return Ok(());
        };
        if let Some(asking) = request.asking() {
            asking.unlink(call, request)?;
        }
        self.flight.replace(Some(Rc::clone(request)));
        // SAFETY: both are live, and the request is in no queue; `flight` keeps it while it is in
        // that of the connection. libevent copies the text.
        let rc =
            unsafe { ffi::evhttp_make_request(conn.raw(), request.raw(), method, uri.as_ptr()) };
        cvt(call, rc).map(drop).inspect_err(|_| {
            self.flight.take();
            self.spent.set(true);
        })
    }

    /// Makes a native connection; `false` when its name must be looked up first.
    fn connect(&self, call: &'static str, conn: &Rc<connection::Inner>) -> Result<bool> {
        let ip = match &self.host {
            Host::Address(ip) => *ip,
            Host::Name(dns) => {
                let next = self.addresses.borrow_mut().pop_front();
                let Some(ip) = next else {
                    return self.look_up(call, conn, dns).map(|()| false);
                };
                ip
            }
        };
        let settings = self.settings.get();
        let address = c_text(call, "address", ip_text(&ip))?;
        let (bev, arg) = (self.bufferevent(call, conn)?, self.arg.get());
        let base = conn.base().raw();
        // SAFETY: `conn` holds the base; libevent copies the address, and owns `bev` from now on.
        let raw = unsafe {
            ffi::evhttp_connection_base_bufferevent_new(
                base,
                ptr::null_mut(),
                bev,
                address.as_ptr(),
                self.port,
            )
        };
        if raw.is_null() {
            // SAFETY: made above, and libevent did not take it.
            unsafe { ffi::bufferevent_free(bev) };
        }
        let raw = cvt_p(call, raw)?;
        conn.set_raw(raw);
        self.generation.set(process::generation());
        self.lost.set(false);
        self.spent.set(false);
        // SAFETY: made above; `arg` stays lent until `end` has freed the connection.
        unsafe { ffi::evhttp_connection_set_closecb(raw, Some(trampoline::on_client_close), arg) };
        // SAFETY: `raw` has it and keeps it.
        let input = unsafe { ffi::bufferevent_get_input(bev) };
        // SAFETY: `end` takes it off before `arg` is taken back.
        unsafe { ffi::evbuffer_add_cb(input, Some(trampoline::on_client_input), arg) };
        // SAFETY: made above.
        unsafe { settings.apply(raw) };
        // SAFETY: made above, and not connected yet.
        unsafe { settings.bind(raw, ip.ip()) }?;
        Ok(true)
    }

    /// What the next native connection is made around.
    fn bufferevent(
        &self,
        call: &'static str,
        conn: &connection::Inner,
    ) -> Result<*mut ffi::bufferevent> {
        #[cfg(feature = "openssl")]
        if let Some(context) = self.context.get() {
            return buffer_event::connect_native(call, conn.base(), context, &self.address);
        }
        // SAFETY: `conn` holds the base.
        cvt_p(call, unsafe {
            ffi::bufferevent_socket_new(conn.base().raw(), -1, 0)
        })
    }

    fn look_up(
        &self,
        call: &'static str,
        conn: &Rc<connection::Inner>,
        dns: &EventDnsBase,
    ) -> Result<()> {
        let family = match self.settings.get().local_address {
            Some(IpAddr::V4(_)) => AddressFamily::INET,
            Some(IpAddr::V6(_)) => AddressFamily::INET6,
            None => AddressFamily::UNSPEC,
        };
        let mut options = LookupOptions {
            family,
            ..LookupOptions::default()
        };
        options.timeout = self.settings.get().silence_max.unwrap_or(options.timeout);
        let weak = Rc::downgrade(conn);
        let callback = move |outcome| {
            let Some(conn) = weak.upgrade() else { return };
            if let Some(client) = conn.client() {
                client.looked_up(&conn, outcome);
            }
        };
        let lookup = dns.resolve_as(call, &self.address, options, Box::new(callback))?;
        self.lookup.replace(Some(lookup));
        Ok(())
    }

    fn looked_up(&self, conn: &Rc<connection::Inner>, outcome: Outcome) {
        drop(self.lookup.take());
        let error = match outcome {
            Ok(addresses) if addresses.is_empty() => DnsError::NoAddress,
            Ok(addresses) => {
                self.addresses.replace(addresses.into());
                return self.settle(conn);
            }
            Err(error) => error,
        };
        for request in self.queue.take() {
            self.note_failure(request, HttpError::NotResolved(error), false);
        }
    }
}

/// What libevent tells. None of it may free anything: libevent goes on when this returns.
impl ClientConnection {
    /// libevent has taken a request out of its queue; `shown` is false when it failed.
    pub(super) fn answered(
        &self,
        conn: &Rc<connection::Inner>,
        request: &Rc<request::Inner>,
        shown: bool,
    ) {
        let Some(flight) = self.flight.take() else {
            return;
        };
        let raw = request.raw();
        // SAFETY: `flight` keeps the request.
        let code = unsafe { ffi::evhttp_request_get_response_code(raw) };
        if shown && code != 0 {
            self.attempts.set(0);
            self.addresses.take();
            // SAFETY: as above.
            let output = unsafe { ffi::evhttp_request_get_output_buffer(raw) };
            // SAFETY: a buffer of the request.
            let unsent = unsafe { ffi::evbuffer_get_length(output) } > 0;
            // Its body was announced and is not to be sent, or the real answer is still to come.
            if unsent || code < 200 {
                self.spent.set(true);
            }
            self.note(Note::Over {
                request: flight,
                error: None,
                shown,
            });
            return;
        }
        self.spent.set(true);
        if self.lost.get() {
            let told = request.asking().and_then(ClientRequest::take_told);
            self.note_failure(flight, told.unwrap_or(HttpError::Eof), false);
        } else if let Err(flight) = self.try_again(conn, flight) {
            self.note_failure(flight, HttpError::NotConnected, shown);
            // As libevent does: there is nobody to send them to.
            for request in self.queue.take() {
                self.note_failure(request, HttpError::NotConnected, shown);
            }
        }
    }

    /// Keeps a request for which no connection could be made, if there is another way.
    fn try_again(
        &self,
        conn: &Rc<connection::Inner>,
        request: Rc<request::Inner>,
    ) -> Result<(), Rc<request::Inner>> {
        let settings = self.settings.get();
        if self.addresses.borrow().is_empty() {
            let attempt = self.attempts.get();
            if settings.retries.is_some_and(|retries| attempt >= retries) {
                self.attempts.set(0);
                return Err(request);
            }
            self.attempts.set(attempt.saturating_add(1));
            let weak = Rc::downgrade(conn);
            let again = Event::timer_on("EventHttpConnection", conn.base(), move |_event| {
                let Some(conn) = weak.upgrade() else { return };
                if let Some(client) = conn.client() {
                    drop(client.pause.take());
                    client.settle(&conn);
                }
            });
            let added = again.and_then(|again| {
                again.add(Some(settings.pause(attempt)))?;
                Ok(again)
            });
            let Ok(again) = added else {
                return Err(request);
            };
            self.pause.replace(Some(again));
        }
        self.queue.borrow_mut().push_front(request);
        self.wake();
        Ok(())
    }

    /// The native connection ends.
    pub(crate) fn closed(&self, conn: &connection::Inner) {
        #[cfg(feature = "openssl")]
        if self.speaks_tls() {
            // SAFETY: libevent tells of the end before it frees the connection.
            let bev = unsafe { ffi::evhttp_connection_get_bufferevent(conn.raw()) };
            // SAFETY: the connection's own, and between two calls of OpenSSL's.
            unsafe { buffer_event::say_goodbye(bev) };
        }
        self.lost.set(true);
        self.spent.set(true);
        if conn.wants_close.get() {
            self.note(Note::Closed);
        } else {
            self.wake();
        }
    }

    /// Bytes came: more of them than any answer needs are not collected.
    ///
    /// # Safety
    /// Called by the callback on `input`, the input of the native connection.
    pub(crate) unsafe fn look_at(&self, conn: &connection::Inner, input: *mut ffi::evbuffer) {
        // SAFETY: the caller's duty.
        if unsafe { ffi::evbuffer_get_length(input) } <= self.settings.get().input_max() {
            return;
        }
        let flight = self.flight.borrow().clone();
        flight.inspect(|request| request.failed(HttpError::TooLong));
        // SAFETY: the caller's duty.
        unsafe { ffi::evbuffer_drain(input, usize::MAX) };
        // SAFETY: bytes come, so the connection is live.
        let bev = unsafe { ffi::evhttp_connection_get_bufferevent(conn.raw()) };
        // SAFETY: as above.
        let fd = unsafe { ffi::bufferevent_getfd(bev) };
        if fd >= 0 {
            // SAFETY: the connection's own, which closes it later.
            let fd = unsafe { BorrowedFd::borrow_raw(fd) };
            SockRef::from(&fd).shutdown(Shutdown::Both).ok(); // libevent sees the end
        }
    }
}

/// What is told, and what is tidied up.
impl ClientConnection {
    fn note(&self, note: Note) {
        self.notes.borrow_mut().push_back(note);
        self.wake();
    }

    fn note_failure(&self, request: Rc<request::Inner>, error: HttpError, shown: bool) {
        let error = Some(error);
        self.note(Note::Over {
            request,
            error,
            shown,
        });
    }

    pub(crate) fn next_note(&self) -> Option<Note> {
        self.notes.borrow_mut().pop_front()
    }

    /// Has the loop tell what was noted, and go on with the next request.
    pub(crate) fn wake(&self) {
        let timeout = ffi::EV_TIMEOUT.try_into().unwrap_or(1);
        // SAFETY: `turn` is not freed while `self` lives.
        unsafe { ffi::event_active(self.turn.get(), timeout, 1) };
    }

    /// Goes on with the next request. None of libevent's frames is at work on the connection.
    pub(crate) fn settle(&self, conn: &Rc<connection::Inner>) {
        self.tidy(conn);
        self.advance("EventHttpConnection::makeRequest", conn, None)
            .ok(); // none of them is anybody's own
    }

    /// Frees a native connection that must not be used again.
    fn tidy(&self, conn: &connection::Inner) {
        let raw = conn.raw();
        if raw.is_null() || self.flight.borrow().is_some() {
            return;
        }
        // SAFETY: not null, so `discard` has not freed it.
        if self.spent.get() || unsafe { has_input(raw) } {
            self.discard(conn);
        }
    }

    fn discard(&self, conn: &connection::Inner) {
        let raw = conn.raw();
        conn.set_raw(ptr::null_mut());
        if !raw.is_null() {
            // SAFETY: not null, so live; it was forgotten above.
            unsafe { end(raw, self.arg.get(), self.generation.get()) };
        }
    }

    /// Takes a request back, wherever it is: its closure is not called.
    pub(super) fn withdraw(&self, conn: &connection::Inner, request: &Rc<request::Inner>) {
        let is = |other: &Rc<request::Inner>| Rc::ptr_eq(other, request);
        self.queue.borrow_mut().retain(|other| !is(other)); // the caller has a count
        self.notes
            .borrow_mut()
            .retain(|note| !matches!(note, Note::Over { request, .. } if is(request)));
        let flies = self.flight.borrow().as_ref().is_some_and(is);
        if flies {
            self.discard(conn);
            self.flight.take();
        }
        if let Some(asking) = request.asking() {
            asking.land(request, Some(HttpError::Cancelled));
        }
        if self.queue.borrow().is_empty() {
            drop((self.pause.take(), self.lookup.take()));
        }
        self.wake();
    }

    /// The last handle went, and with it what is under way.
    pub(super) fn ends(&self, conn: &connection::Inner) {
        let mut requests: Vec<_> = self.queue.take().into();
        requests.extend(self.flight.take());
        requests.extend(self.notes.take().into_iter().filter_map(|note| match note {
            Note::Over { request, .. } => Some(request),
            Note::Closed => None,
        }));
        let remains = Remains {
            raw: conn.raw(),
            generation: self.generation.get(),
            turn: self.turn.get(),
            arg: self.arg.get(),
            requests,
        };
        conn.set_raw(ptr::null_mut());
        if conn.base().is_foreign() {
            conn.base().adopt(Box::new(remains));
        } else {
            remains.free();
        }
    }
}

/// Frees a native connection; the close callback comes first.
///
/// # Safety
/// `raw` is live, is made with `arg`, and nobody uses it any more.
unsafe fn end(raw: *mut ffi::evhttp_connection, arg: Lent, generation: u32) {
    // SAFETY: the caller's duty.
    let bev = unsafe { ffi::evhttp_connection_get_bufferevent(raw) };
    // SAFETY: as above.
    let input = unsafe { ffi::bufferevent_get_input(bev) };
    // SAFETY: as above.
    unsafe { ffi::evbuffer_remove_cb(input, Some(trampoline::on_client_input), arg) };
    if generation != process::generation() {
        // SAFETY: as above.
        unsafe { peer::leave_to_parent(bev) };
    }
    // SAFETY: as above. No frame of libevent that would use it is below us: its callbacks run
    // nobody's code.
    unsafe { ffi::evhttp_connection_free(raw) };
}

/// Whether bytes came that no request has asked for.
///
/// # Safety
/// `raw` is live.
unsafe fn has_input(raw: *mut ffi::evhttp_connection) -> bool {
    // SAFETY: the caller's duty.
    let bev = unsafe { ffi::evhttp_connection_get_bufferevent(raw) };
    // SAFETY: as above.
    let input = unsafe { ffi::bufferevent_get_input(bev) };
    // SAFETY: as above.
    unsafe { ffi::evbuffer_get_length(input) > 0 }
}

/// What C must be told to free.
struct Remains {
    raw: *mut ffi::evhttp_connection,
    generation: u32,
    turn: *mut ffi::event,
    arg: Lent,
    requests: Vec<Rc<request::Inner>>,
}

impl Remains {
    fn free(self) {
        if !self.turn.is_null() {
            // SAFETY: made by `event_new`, freed only here.
            unsafe { ffi::event_free(self.turn) };
        }
        if !self.raw.is_null() {
            // SAFETY: live, and the last handle has gone; `requests` outlive it.
            unsafe { end(self.raw, self.arg, self.generation) };
        }
        if !self.arg.is_null() {
            // SAFETY: libevent has forgotten `arg`.
            unsafe { trampoline::reclaim::<connection::Inner>(self.arg) };
        }
        for request in &self.requests {
            if let Some(asking) = request.asking() {
                asking.land(request, Some(HttpError::Cancelled));
            }
        }
    }
}

impl base::Orphan for Remains {
    fn free(self: Box<Self>, _base: &base::Inner) {
        Self::free(*self);
    }
}

impl base::Inherited for connection::Inner {
    /// The connection is the parent's, which waits for the answers.
    fn disown(&self) {
        let Some(client) = self.client() else { return };
        let inherited = client.generation.get() != process::generation();
        if inherited && !self.raw().is_null() {
            self.client().inspect(|client| client.discard(self));
        }
        drop((client.pause.take(), client.lookup.take()));
        let requests = client.flight.take().into_iter().chain(client.queue.take());
        for request in requests.collect::<Vec<_>>() {
            client.note_failure(request, HttpError::Eof, false);
        }
        log::flush();
    }
}

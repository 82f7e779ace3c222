//! What the handles and the requests of one server share.
//!
//! Owns: the `evhttp`, its sockets and closures, and a [`connection::Inner`] for each live
//! connection, by its bufferevent, until libevent tells that it has freed it.
//! Lent to C: one weak count of [`Inner`], from `new` to its end, for the callbacks that make a
//! connection's bufferevent, that get a request, and that do the chores.
//! Runs user code: closures and what they captured, through `trampoline`.
//!
//! # When libevent frees what (http.c of 2.1.12)
//! A connection belongs to the server. `evhttp_connection_free`, and nothing else, ends it:
//! when its peer goes, is silent for too long or breaks the protocol, behind an answer with
//! `Connection: close`, when we ask, and in `evhttp_free`. It calls the close callback first of
//! all. No user code may run inside: it could free the connection a second time, or the server
//! under it. So the callback only notes what happened, and [`Inner::chores`] are done in a
//! turn of their own.
//!
//! A request belongs to its connection, and there are four ways for it to end:
//! - its answer is written: `evhttp_send_done` calls the request's completion callback, and
//!   frees it;
//! - the connection ends while the answer is on its way, or with `evhttp_connection_free` or
//!   `evhttp_free` from outside: the request is freed right after the close callback;
//! - the peer goes while there is no answer, or while a chunked one is not at its end: the
//!   request is taken off the connection before the close callback, and belongs to whoever holds
//!   it; we free it with its last handle, or when a reply to it is tried;
//! - it is never shown to us: libevent refuses it with an answer of its own, and closes.
#![allow(unsafe_code)]

#[cfg(feature = "openssl")]
use std::cell::OnceCell;
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::ffi::{CStr, c_void};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::ptr;
use std::rc::{Rc, Weak};
use std::time::Duration;

use super::listening::Listening;
use super::peer::Scratch;
use super::{EventHttpRequest, connection, headers, page, peer, request};
#[cfg(feature = "openssl")]
use crate::EventSslContext;
#[cfg(feature = "openssl")]
use crate::buffer_event;
use crate::codec::Status;
use crate::error::{Error, Result, c_text, cvt, cvt_p};
use crate::flags::HttpMethods;
use crate::trampoline::{self, Slot};
use crate::{Event, base, event, ffi, log};

/// Bytes of a request's head, and of its body, until the user says otherwise: what
/// `event-httpd` takes.
const HEADERS_MAX: usize = 16 * 1024;
const BODY_MAX: usize = 1024 * 1024;

/// How long a connection may be silent until the user says otherwise: libevent's own time for
/// its client.
const SILENCE_MAX: Duration = Duration::from_secs(50);

/// How long accepting pauses when the process has no descriptor left.
const PAUSE: Duration = Duration::from_millis(100);

/// How long answers may be on their way when their server has no handle any more.
const LINGER: Duration = Duration::from_secs(5);

const DEFAULT_METHODS: HttpMethods = HttpMethods::GET
    .union(HttpMethods::POST)
    .union(HttpMethods::HEAD)
    .union(HttpMethods::PUT)
    .union(HttpMethods::DELETE);

pub(super) type Callback = dyn FnMut(&EventHttpRequest);

/// A closure for requests, which may be replaced while it runs.
pub(crate) struct Route(pub(crate) Slot<Callback>);

pub(crate) struct Inner {
    raw: Cell<*mut ffi::evhttp>,
    turn: Cell<*mut ffi::event>, // active while there are chores, added while accepting pauses
    arg: Cell<*mut c_void>,      // the weak count lent to C
    pub(crate) base: Rc<base::Inner>, // keeps the base alive longer than `raw`
    sockets: RefCell<Vec<Listening>>,
    paused: Cell<bool>,
    routes: RefCell<HashMap<Box<[u8]>, Rc<Route>>>,
    rest: RefCell<Option<Rc<Route>>>,
    methods: Cell<HttpMethods>,
    settings: Cell<Settings>,
    peers: RefCell<HashMap<*mut ffi::bufferevent, Rc<connection::Inner>>>,
    chores: RefCell<VecDeque<Chore>>,
    scratch: Rc<Scratch>,
    closing: Cell<bool>, // no public handle is left
    linger: RefCell<Weak<event::Inner>>,
    #[cfg(feature = "openssl")]
    context: OnceCell<EventSslContext>, // none: the connections speak no TLS
}

/// What a connection has from its first byte on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) headers_max: Option<usize>,
    pub(super) body_max: Option<usize>,
    pub(super) silence_max: Option<Duration>,
}

/// What must wait until libevent has returned.
pub(crate) enum Chore {
    /// libevent has made its connection around this bufferevent.
    Adopt(Rc<connection::Inner>),
    /// The connection is to be closed.
    Close(Rc<connection::Inner>),
    /// The connection has ended: its closure is to be called, and dropped.
    Tell(Rc<connection::Inner>),
}

impl Chore {
    fn connection(&self) -> &Rc<connection::Inner> {
        match self {
            Self::Adopt(conn) | Self::Close(conn) | Self::Tell(conn) => conn,
        }
    }
}

thread_local! {
    // libevent gives the callback for accept errors its own pointer and none of ours.
    static SERVERS: RefCell<HashMap<*mut ffi::evhttp, Weak<Inner>>> = RefCell::default();
}

/// The server that libevent means.
pub(crate) fn by_pointer(http: *mut c_void) -> Option<Rc<Inner>> {
    let find = |servers: &RefCell<HashMap<_, Weak<Inner>>>| {
        servers.borrow().get(&http.cast()).and_then(Weak::upgrade)
    };
    SERVERS.try_with(find).ok().flatten()
}

impl Inner {
    pub(super) fn new(call: &'static str, base: &Rc<base::Inner>) -> Result<Rc<Self>> {
        base.usable(call)?;
        log::install();
        let inner = Rc::new(Self {
            raw: Cell::new(ptr::null_mut()),
            turn: Cell::new(ptr::null_mut()),
            arg: Cell::new(ptr::null_mut()),
            base: Rc::clone(base),
            sockets: RefCell::default(),
            paused: Cell::new(false),
            routes: RefCell::default(),
            rest: RefCell::default(),
            methods: Cell::new(DEFAULT_METHODS),
            settings: Cell::new(Settings {
                headers_max: Some(HEADERS_MAX),
                body_max: Some(BODY_MAX),
                silence_max: Some(SILENCE_MAX),
            }),
            peers: RefCell::default(),
            chores: RefCell::default(),
            scratch: Rc::new(Scratch::new(call)?),
            closing: Cell::new(false),
            linger: RefCell::default(),
            #[cfg(feature = "openssl")]
            context: OnceCell::new(),
        });
        inner.arg.set(trampoline::lend(&inner));
        let arg = inner.arg.get();
        // SAFETY: `inner` holds the base for as long as the server lives.
        let raw = cvt_p(call, unsafe { ffi::evhttp_new(base.raw()) })?;
        inner.raw.set(raw);
        // SAFETY: the base as above; `arg` stays lent until `release` has freed the event.
        let turn = unsafe { ffi::event_new(base.raw(), -1, 0, Some(trampoline::on_turn), arg) };
        inner.turn.set(cvt_p(call, turn)?);
        // SAFETY: `raw` was made above; `arg` stays lent until `release` has freed it.
        unsafe { ffi::evhttp_set_gencb(raw, Some(trampoline::on_request), arg) };
        // SAFETY: as above.
        unsafe { ffi::evhttp_set_bevcb(raw, Some(trampoline::on_bufferevent), arg) };
        // What evhttp refuses by itself it answers without a bound for what comes meanwhile. So
        // all methods are let through, those that it does not know as well (bit 15); the limits,
        // of which it has none unless told, are the gate's.
        // SAFETY: as above.
        unsafe { ffi::evhttp_set_allowed_methods(raw, u16::MAX) };
        base.expect_events_of_c(); // for each connection
        base.owe_a_turn(); // bufferevents are freed by the loop
        SERVERS.with_borrow_mut(|servers| servers.insert(raw, Rc::downgrade(&inner)));
        Ok(inner)
    }

    pub(super) fn settings(&self) -> Settings {
        self.settings.get()
    }

    pub(super) fn scratch(&self) -> &Rc<Scratch> {
        &self.scratch
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.get()
    }

    pub(super) fn listen(&self, call: &'static str, socket: Box<dyn AsFd>) -> Result<()> {
        // SAFETY: `raw` is not freed while `self` lives, and `close_down` or `release` ends it.
        let listening = unsafe { Listening::start(call, &self.base, self.raw.get(), socket) }?;
        self.sockets.borrow_mut().push(listening);
        Ok(())
    }

    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        let sockets = self.sockets.borrow();
        sockets.iter().filter_map(Listening::address).collect()
    }

    pub(super) fn route(
        &self,
        call: &'static str,
        path: &str,
        callback: Box<Callback>,
    ) -> Result<()> {
        c_text(call, "path", path)?;
        let mut routes = self.routes.borrow_mut();
        if routes.contains_key(path.as_bytes()) {
            drop(routes); // `callback` is dropped after this, and may be at work on the routes
            return Err(Error::State {
                call,
                reason: "the path has a closure already; remove that first",
            });
        }
        routes.insert(path.as_bytes().into(), Rc::new(Route(Slot::new(callback))));
        Ok(())
    }

    pub(super) fn unroute(&self, path: &str) -> bool {
        let former = self.routes.borrow_mut().remove(path.as_bytes());
        former.is_some() // dropped when no borrow is held: captured values may run user code
    }

    pub(super) fn route_rest(&self, callback: Box<Callback>) {
        let former = self.rest.replace(Some(Rc::new(Route(Slot::new(callback)))));
        drop(former);
    }

    pub(super) fn allow(&self, methods: HttpMethods) {
        self.methods.set(methods);
    }

    pub(super) fn set_max_body_size(&self, size: Option<usize>) {
        let settings = self.settings.get();
        self.settings.set(Settings {
            body_max: size,
            ..settings
        });
    }

    pub(super) fn set_max_headers_size(&self, size: Option<usize>) {
        let settings = self.settings.get();
        self.settings.set(Settings {
            headers_max: size,
            ..settings
        });
    }

    pub(super) fn set_timeout(&self, timeout: Option<Duration>) {
        let settings = self.settings.get();
        self.settings.set(Settings {
            silence_max: timeout,
            ..settings
        });
    }

    pub(super) fn add_alias(&self, call: &'static str, alias: &str) -> Result<()> {
        let alias = c_text(call, "alias", alias)?;
        // SAFETY: `raw` is not freed while `self` lives; libevent copies the name.
        let rc = unsafe { ffi::evhttp_add_server_alias(self.raw.get(), alias.as_ptr()) };
        cvt(call, rc).map(drop)
    }

    pub(super) fn remove_alias(&self, call: &'static str, alias: &str) -> Result<bool> {
        let alias = c_text(call, "alias", alias)?;
        // SAFETY: `raw` is not freed while `self` lives.
        let rc = unsafe { ffi::evhttp_remove_server_alias(self.raw.get(), alias.as_ptr()) };
        Ok(rc == 0)
    }
}

/// What libevent asks for.
impl Inner {
    /// Makes the bufferevent of a connection that libevent has just accepted; null where
    /// that fails, which `begin` notices.
    pub(crate) fn bufferevent(self: &Rc<Self>) -> *mut ffi::bufferevent {
        let bev = self.native();
        if bev.is_null() {
            return bev;
        }
        // SAFETY: `bev` was made above, and is given to evhttp alone.
        let conn = unsafe { connection::Inner::of_server(self, bev) };
        self.peers.borrow_mut().insert(bev, Rc::clone(&conn));
        self.put_off(Chore::Adopt(conn));
        bev
    }

    /// A bufferevent without a descriptor: evhttp sets it.
    fn native(&self) -> *mut ffi::bufferevent {
        #[cfg(feature = "openssl")]
        if let Some(context) = self.context.get() {
            return buffer_event::accept_native(&self.base, context).unwrap_or(ptr::null_mut());
        }
        // SAFETY: `self` holds the base. evhttp closes the descriptor.
        unsafe { ffi::bufferevent_socket_new(self.base.raw(), -1, 0) }
    }

    /// Has the connections that are accepted from now on speak TLS.
    #[cfg(feature = "openssl")]
    pub(super) fn speak_tls(&self, call: &'static str, context: &EventSslContext) -> Result<()> {
        context.accepting(call)?; // so that what is wrong shows here, not at each connection
        self.context.set(context.clone()).ok(); // there is none: called once, by `with_ssl`
        Ok(())
    }

    /// Meets a complete request: gives it to the caller with the closure that is to answer
    /// it, or answers it here.
    ///
    /// # Safety
    /// libevent has just shown `raw` to its callback.
    pub(crate) unsafe fn begin(
        self: &Rc<Self>,
        raw: *mut ffi::evhttp_request,
    ) -> Option<(EventHttpRequest, Rc<Route>)> {
        // SAFETY: the caller's duty.
        let evcon = unsafe { ffi::evhttp_request_get_connection(raw) };
        // SAFETY: libevent shows requests of live connections only.
        let bev = unsafe { ffi::evhttp_connection_get_bufferevent(evcon) };
        let conn = self.peers.borrow().get(&bev).cloned();
        let Some(conn) = conn else {
            // SAFETY: as above. libevent made a bufferevent of its own when ours failed, and
            // nothing has checked what came over it.
            unsafe { ffi::evhttp_connection_free(evcon) };
            return None;
        };
        conn.adopt();
        // SAFETY: `raw` is live, and belongs to `conn`.
        unsafe { peer::begin(&conn, raw) };
        let refuse = |code, text: Option<&str>| {
            // SAFETY: as above.
            unsafe { page::send(raw, code, None, text) };
            None
        };
        // SAFETY: as above.
        if let Some(refusal) = unsafe { peer::refused(&conn, raw) } {
            let code = match refusal.status() {
                Status::ContentTooLarge => 413,
                _ => 400,
            };
            return refuse(code, Some(refusal.reason()));
        }
        // SAFETY: as above.
        let method = unsafe { ffi::evhttp_request_get_command(raw) };
        if !self
            .methods
            .get()
            .contains(HttpMethods::from_bits_retain(method))
        {
            return refuse(501, None);
        }
        // SAFETY: as above.
        let path = unsafe { path(raw) };
        let route = self.routes.borrow().get(path.as_slice()).cloned();
        let Some(route) = route.or_else(|| self.rest.borrow().clone()) else {
            // SAFETY: as above.
            let uri = unsafe { ffi::evhttp_request_get_uri(raw) };
            // SAFETY: the request's own copy.
            let uri = unsafe { headers::text(uri) };
            let uri = uri.unwrap_or_default();
            return refuse(404, Some(&format!("The server has nothing at {uri}")));
        };
        // SAFETY: as above.
        let request = unsafe { request::Inner::of_server(raw, self, &conn) };
        Some((EventHttpRequest(request), route))
    }

    /// The connection ended: `Inner` knows it no longer.
    pub(super) fn ended(&self, bev: *mut ffi::bufferevent) {
        let conn = self.peers.borrow_mut().remove(&bev);
        if let Some(conn) = conn {
            self.put_off(Chore::Tell(conn));
        }
    }

    /// Pauses accepting: libevent would try again in each turn, and log it.
    pub(crate) fn pause(&self) {
        log::flush();
        self.accept(false);
        self.paused.set(true);
        let time = base::timeval(PAUSE);
        // SAFETY: `turn` is not freed while `self` lives; libevent copies the time.
        unsafe { ffi::event_add(self.turn.get(), &time) };
    }

    fn accept(&self, on: bool) {
        for socket in self.sockets.borrow().iter() {
            // SAFETY: `raw` is not freed while `self` lives.
            unsafe { socket.accept(on) };
        }
    }
}

/// Chores.
impl Inner {
    pub(super) fn put_off(&self, chore: Chore) {
        self.chores.borrow_mut().push_back(chore);
        self.wake();
    }

    /// Has the loop do the chores.
    pub(crate) fn wake(&self) {
        let timeout = ffi::EV_TIMEOUT.try_into().unwrap_or(1);
        // SAFETY: `turn` is not freed while `self` lives.
        unsafe { ffi::event_active(self.turn.get(), timeout, 1) };
    }

    pub(crate) fn next_chore(&self) -> Option<Chore> {
        self.chores.borrow_mut().pop_front()
    }

    /// The end of a turn: what the chores have changed is drawn the conclusions from.
    pub(crate) fn settle(&self) {
        if self.paused.replace(false) {
            self.accept(true);
        }
        if self.is_closing() && !self.peers.borrow().values().any(|conn| conn.is_asking()) {
            let linger = self.linger.take().upgrade();
            linger.map(Event).inspect(Event::free); // `self` is held by the caller
        }
    }

    /// An answer is complete, but not written: it keeps a server without handles for a time.
    pub(super) fn linger(self: &Rc<Self>) {
        if !self.is_closing() || self.linger.borrow().strong_count() > 0 {
            return;
        }
        let mut held = Some(Rc::clone(self));
        let callback = move |_event: &Event| drop(held.take());
        let Ok(event) = Event::timer_on("EventHttp", &self.base, callback) else {
            return;
        };
        if event.add(Some(LINGER)).is_ok() {
            self.linger.replace(Rc::downgrade(&event.0));
            event.detach();
        }
    }

    /// The last handle went: nothing new begins.
    pub(super) fn close_down(self: &Rc<Self>) {
        self.closing.set(true);
        let routes = (self.routes.take(), self.rest.take());
        if !self.base.is_foreign() {
            let sockets = self.sockets.take().into_iter();
            // SAFETY: `raw` is not freed while `self` lives.
            let sockets = sockets.map(|socket| unsafe { socket.end(self.raw.get()) });
            drop(sockets.collect::<Vec<_>>()); // no borrow is held: they may be the user's
            self.adopt_all();
            let peers: Vec<_> = self.peers.borrow().values().cloned().collect();
            let (asking, idle): (Vec<_>, Vec<_>) =
                peers.into_iter().partition(|conn| conn.is_asking());
            for conn in idle {
                conn.close();
            }
            if !asking.is_empty() {
                self.linger();
            }
        }
        drop(routes); // no borrow is held: captured values may run user code
    }

    /// Has every connection tell us of its end.
    fn adopt_all(&self) {
        let peers: Vec<_> = self.peers.borrow().values().cloned().collect();
        peers.iter().for_each(|conn| conn.adopt()); // of which one may turn out to have ended
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let raw = self.raw.get();
        SERVERS
            .try_with(|servers| servers.borrow_mut().remove(&raw))
            .ok();
        let remains = Remains {
            raw,
            turn: self.turn.get(),
            arg: self.arg.get(),
            sockets: self.sockets.take(),
            peers: self.peers.take(),
            chores: self.chores.take(),
        };
        if self.base.is_foreign() {
            self.base.adopt(Box::new(remains));
        } else {
            remains.free();
        }
    }
}

/// What C must be told to free.
struct Remains {
    raw: *mut ffi::evhttp,
    turn: *mut ffi::event,
    arg: *mut c_void,
    sockets: Vec<Listening>,
    peers: HashMap<*mut ffi::bufferevent, Rc<connection::Inner>>,
    chores: VecDeque<Chore>,
}

impl Remains {
    fn free(self) {
        for conn in self.peers.values() {
            conn.prepare_for_end();
        }
        if !self.turn.is_null() {
            // SAFETY: made by `event_new`, freed only here.
            unsafe { ffi::event_free(self.turn) };
        }
        if !self.raw.is_null() {
            // SAFETY: made by `evhttp_new`, freed only here. No frame of libevent that would
            // use it is below us, see the head of this file; `peers` is what it tells of the end.
            unsafe { ffi::evhttp_free(self.raw) };
        }
        // SAFETY: libevent has forgotten `arg`.
        unsafe { trampoline::reclaim::<Inner>(self.arg) };
        drop(self.sockets); // libevent has let go of them
        // Handles keep connections that have ended, but not what was to be called then.
        let told = self.chores.iter().map(Chore::connection);
        for conn in told.chain(self.peers.values()) {
            drop(conn.take_callback());
        }
    }
}

impl base::Orphan for Remains {
    fn free(self: Box<Self>, _base: &base::Inner) {
        Self::free(*self);
    }
}

/// The request's path with its escapes decoded, as it is compared with routes.
///
/// # Safety
/// `raw` is live.
unsafe fn path(raw: *mut ffi::evhttp_request) -> Vec<u8> {
    // SAFETY: the caller's duty.
    let uri = unsafe { ffi::evhttp_request_get_evhttp_uri(raw) };
    if uri.is_null() {
        return Vec::new();
    }
    // SAFETY: the request's own, not null.
    let path = unsafe { ffi::evhttp_uri_get_path(uri) };
    if path.is_null() {
        return Vec::new();
    }
    // SAFETY: libevent's C string, which lives as long as the request.
    decoded(unsafe { CStr::from_ptr(path) }.to_bytes())
}

/// Replaces `%` and two hexadecimal digits by the byte they stand for; leaves what is none.
fn decoded(path: &[u8]) -> Vec<u8> {
    let hex = |byte: u8| char::from(byte).to_digit(16);
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path;
    while let [first, tail @ ..] = rest {
        let escaped = match tail {
            [high, low, ..] if *first == b'%' => hex(*high).zip(hex(*low)),
            _ => None,
        };
        let (byte, used) = match escaped {
            Some((high, low)) => (u8::try_from(high * 16 + low).unwrap_or(*first), 3),
            None => (*first, 1),
        };
        decoded.push(byte);
        rest = rest.get(used..).unwrap_or_default();
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::decoded;

    #[test]
    fn escapes_are_decoded_once_and_what_is_none_stays() {
        assert_eq!(decoded(b"/a%20b%2Fc"), b"/a b/c");
        assert_eq!(decoded(b"/%2541+%4"), b"/%41+%4");
        assert_eq!(decoded(b"/%zz%4g%"), b"/%zz%4g%");
        assert_eq!(decoded(b"/%C3%a9"), "/é".as_bytes());
        assert_eq!(decoded(b""), b"");
    }
}

//! What the handles and the requests of one server share.
//!
//! Owns: the native server, its sockets and closures, and a [`connection::Inner`] for each live
//! connection until libevent reports its end.
//! Lends C: a weak count of [`Inner`] with the native server, and one with the event that does the
//! deferred work, until each is freed.
//! Runs user code: closures and what they captured, through `entry` and `deferred`.
//!
//! # When libevent frees what (http.c of 2.1.12)
//! A connection belongs to the server. Only `evhttp_connection_free` ends it: when its peer goes,
//! is silent for too long or breaks the protocol, after a reply with `Connection: close`, when we
//! ask, and in `evhttp_free`. It calls the close callback first. No user code may run there: it
//! could free the connection a second time, or the server. So the callback only notes what
//! happened, and user code follows in a turn of its own.
//!
//! A request belongs to its connection, and there are four ways for it to end:
//! - its reply is written: `evhttp_send_done` calls the request's completion callback, and
//!   frees it;
//! - the connection ends while the reply is being written, or we free it, or the server: the
//!   request is freed right after the close callback;
//! - the peer goes before the reply, or in the middle of a chunked one: libevent takes the request
//!   off the connection before the close callback, and we free it with its last handle, or when
//!   a reply is tried;
//! - we are never shown it: libevent refuses it with a reply of its own, and closes.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::ffi::CString;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::rc::{Rc, Weak};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use super::deadlines::{BodyRate, Deadlines};
use super::listening::Listening;
use super::routes::{Route, Routes};
use super::{EventHttpRequest, connection, entry, page, request, server_request};
#[cfg(feature = "openssl")]
use crate::EventSslContext;
#[cfg(feature = "openssl")]
use crate::buffer_event;
use crate::error::{Error, Result, c_text};
use crate::flags::{EventFlags, HttpMethods};
use crate::native::bufferevent::OwnedBufferEvent;
use crate::native::evhttp::OwnedHttp;
use crate::native::evhttp_connection::Scratch;
use crate::native::evhttp_request::{RequestPlace, RequestView};
use crate::native::{EventMemory, OwnedEvent};
use crate::runtime::{Ending, Lent, log, memory};
use crate::{Event, base, event, ffi};

pub(super) use super::deferred::Deferred;

/// Bytes of a request's head, and of its body, until the user says otherwise: what
/// `event-httpd` takes.
const HEADERS_MAX: usize = 16 * 1024;
const BODY_MAX: usize = 1024 * 1024;

/// How long a connection may be silent until the user says otherwise: libevent's own time for
/// its client.
const SILENCE_MAX: Duration = Duration::from_secs(50);

/// How long a request's head may take from its first byte on, until the user says otherwise.
const HEAD_MAX: Duration = Duration::from_secs(30);

/// How many bytes of a body must come in a time, until the user says otherwise.
const BODY_RATE: BodyRate = BodyRate {
    bytes: 4096,
    per: Duration::from_secs(10),
};

/// How long accepting pauses when the process has no descriptor left.
const PAUSE: Duration = Duration::from_millis(100);

/// How long answers may be on their way when their server has no handle any more.
const LINGER: Duration = Duration::from_secs(5);

const DEFAULT_METHODS: HttpMethods = HttpMethods::GET
    .union(HttpMethods::POST)
    .union(HttpMethods::HEAD)
    .union(HttpMethods::PUT)
    .union(HttpMethods::DELETE);

pub(crate) struct Inner {
    pub(crate) base: Rc<base::Inner>, // dropped after the server and the event
    http: OnceCell<OwnedHttp<Self>>,  // set by `new`
    turn: OnceCell<OwnedEvent>,       // set by `new`; runs what is deferred, ends a pause
    turn_memory: EventMemory,
    sockets: RefCell<Vec<Listening>>,
    paused: Cell<bool>, // accepting waits for `turn`
    pub(super) routes: Routes,
    methods: Cell<HttpMethods>,
    settings: Cell<Settings>,
    aliases: RefCell<Vec<CString>>, // as libevent has them
    connections: RefCell<HashMap<usize, Rc<connection::Inner>>>, // the live ones, by their key
    deferred: RefCell<VecDeque<Deferred>>,
    scratch: Rc<RefCell<Scratch>>, // for all gates
    life: RefCell<Life>,
    pub(super) deadlines: Deadlines,
    #[cfg(feature = "openssl")]
    context: OnceCell<EventSslContext>, // none: the connections speak no TLS
}

enum Life {
    Open,
    /// No public handle is left. While replies are being written the timer keeps the server.
    Closing(Option<Weak<event::Inner>>),
}

/// What a connection has from its first byte on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) headers_max: Option<usize>,
    pub(super) body_max: Option<usize>,
    pub(super) silence_max: Option<Duration>,
    pub(super) head_max: Option<Duration>,
    pub(super) body_rate: Option<BodyRate>,
}

thread_local! {
    // libevent passes the callback for failed accepts its own pointer, and no argument of ours.
    static SERVERS: RefCell<HashMap<usize, Weak<Inner>>> = RefCell::default();
}

/// The server with this native one.
pub(super) fn by_address(http: usize) -> Option<Rc<Inner>> {
    let find = |servers: &RefCell<HashMap<_, Weak<Inner>>>| {
        servers.borrow().get(&http).and_then(Weak::upgrade)
    };
    SERVERS.try_with(find).ok().flatten()
}

impl Inner {
    pub(super) fn new(call: &'static str, base: &Rc<base::Inner>) -> Result<Rc<Self>> {
        base.usable(call)?;
        log::install();
        memory::unchecked_from_now_on();
        let inner = Rc::new(Self {
            base: Rc::clone(base),
            http: OnceCell::new(),
            turn: OnceCell::new(),
            turn_memory: EventMemory::new(),
            sockets: RefCell::default(),
            paused: Cell::new(false),
            routes: Routes::default(),
            methods: Cell::new(DEFAULT_METHODS),
            settings: Cell::new(Settings {
                headers_max: Some(HEADERS_MAX),
                body_max: Some(BODY_MAX),
                silence_max: Some(SILENCE_MAX),
                head_max: Some(HEAD_MAX),
                body_rate: Some(BODY_RATE),
            }),
            aliases: RefCell::default(),
            connections: RefCell::default(),
            deferred: RefCell::default(),
            scratch: Rc::new(RefCell::new(Scratch::new(call)?)),
            life: RefCell::new(Life::Open),
            deadlines: Deadlines::default(),
            #[cfg(feature = "openssl")]
            context: OnceCell::new(),
        });
        // evhttp lets all methods through and has no limits: what it refuses itself it answers
        // without a bound for what comes meanwhile. The gate and `begin` refuse instead.
        let http = entry::http(call, base.native(), Lent::new(&inner))?;
        let turn = entry::turn(call, base.native(), &inner)?;
        let address = http.address();
        inner.http.set(http).ok();
        inner.turn.set(turn).ok();
        base.expect_events_of_c(); // for each connection
        base.owe_a_turn(); // bufferevents are freed by the loop
        let register = |servers: &RefCell<HashMap<_, _>>| {
            servers.borrow_mut().insert(address, Rc::downgrade(&inner));
        };
        SERVERS.try_with(register).ok(); // gone at the end of its thread: accepts fail in silence
        Ok(inner)
    }

    /// The native server, which `new` has set.
    fn http(&self, call: &'static str) -> Result<&OwnedHttp<Self>> {
        self.http.get().ok_or(Error::Call { call, cause: None })
    }

    pub(super) fn settings(&self) -> Settings {
        self.settings.get()
    }

    pub(super) fn scratch(&self) -> &Rc<RefCell<Scratch>> {
        &self.scratch
    }

    pub(super) fn is_closing(&self) -> bool {
        matches!(*self.life.borrow(), Life::Closing(_))
    }

    /// Accepts from `socket`, whose descriptor and address were asked for once and checked.
    pub(super) fn listen(
        &self,
        call: &'static str,
        (fd, address): (RawFd, SocketAddr),
        socket: Box<dyn AsFd>,
    ) -> Result<()> {
        self.base.watchable(call, fd)?;
        let http = self.http(call)?;
        let listening = Listening::start(call, &self.base, http, (fd, address), socket)?;
        self.sockets.borrow_mut().push(listening);
        Ok(())
    }

    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        let sockets = self.sockets.borrow();
        sockets.iter().map(Listening::address).collect()
    }

    pub(super) fn allow(&self, methods: HttpMethods) {
        self.methods.set(methods);
    }

    /// Changes the settings. A connection takes the sizes and the silence when it is accepted, and
    /// looks up the others when a head, a handshake or a period of a body begins.
    pub(super) fn set(&self, change: impl FnOnce(&mut Settings)) {
        let mut settings = self.settings.get();
        change(&mut settings);
        self.settings.set(settings);
    }

    pub(super) fn add_alias(&self, call: &'static str, alias: &str) -> Result<()> {
        let alias = c_text(call, "alias", alias)?;
        self.http(call)?.add_alias(call, &alias)?;
        self.aliases.borrow_mut().push(alias);
        Ok(())
    }

    pub(super) fn remove_alias(&self, call: &'static str, alias: &str) -> Result<bool> {
        let alias = c_text(call, "alias", alias)?;
        let mut aliases = self.aliases.borrow_mut();
        let same = |one: &CString| one.to_bytes().eq_ignore_ascii_case(alias.to_bytes());
        if let Some(index) = aliases.iter().position(same) {
            aliases.remove(index);
        }
        Ok(self.http(call)?.remove_alias(&alias))
    }
}

/// What libevent asks for.
impl Inner {
    /// Makes the bufferevent of a connection that libevent has just accepted. Where that fails
    /// libevent makes one itself, whose requests `begin` refuses.
    pub(super) fn bufferevent(self: &Rc<Self>) -> Option<*mut ffi::bufferevent> {
        let watchable = self.can_watch_another();
        let native = if watchable {
            self.native()
        } else {
            self.idle_bufferevent()
        };
        let (conn, bev) = connection::Inner::of_server(self, native.ok()?)?;
        if let Some(end) = conn.server() {
            let key = end.key();
            self.connections.borrow_mut().insert(key, Rc::clone(&conn));
        }
        self.defer(Deferred::Adopt(Rc::clone(&conn)));
        if !watchable {
            self.defer(Deferred::TurnAway(conn));
        }
        Some(bev)
    }

    /// Whether the backend can watch the socket that libevent has just accepted. libevent does not
    /// pass its number on. The lowest free number is above it, unless another thread closes a file
    /// between the two calls.
    fn can_watch_another(&self) -> bool {
        let Some(limit) = self.base.native().descriptor_limit() else {
            return true;
        };
        let next = Socket::new(Domain::UNIX, Type::DGRAM, None);
        next.is_ok_and(|next| next.as_raw_fd() <= limit)
    }

    /// A bufferevent for a connection that is closed at once: it registers no descriptor.
    fn idle_bufferevent(&self) -> Result<OwnedBufferEvent> {
        const CALL: &str = "EventHttp";
        let native = entry::bufferevent(CALL, self.base.native())?;
        native.suspend(CALL)?;
        Ok(native)
    }

    /// Logs why a client is turned away.
    pub(super) fn report_limit(&self) {
        let limit = self.base.native().descriptor_limit().unwrap_or_default();
        if let Err(error) = self.base.watchable("EventHttp", limit) {
            tracing::error!("a client is turned away: {error}");
        }
    }

    /// A bufferevent without a descriptor, which evhttp sets and closes.
    fn native(&self) -> Result<OwnedBufferEvent> {
        #[cfg(feature = "openssl")]
        if let Some(context) = self.context.get() {
            return buffer_event::accept_native(&self.base, context);
        }
        entry::bufferevent("EventHttp", self.base.native())
    }

    /// Whether the connections that are accepted from now on speak TLS.
    pub(super) fn speaks_tls(&self) -> bool {
        #[cfg(feature = "openssl")]
        return self.context.get().is_some();
        #[cfg(not(feature = "openssl"))]
        false
    }

    /// Makes the connections that are accepted from now on speak TLS.
    #[cfg(feature = "openssl")]
    pub(super) fn speak_tls(&self, call: &'static str, context: &EventSslContext) -> Result<()> {
        context.accepting(call)?; // so that what is wrong shows here, not at each connection
        self.context.set(context.clone()).ok(); // there is none: called once, by `with_ssl`
        Ok(())
    }

    /// Takes a complete request: returns it with the closure that is to answer it, or answers
    /// it here.
    pub(super) fn begin(
        self: &Rc<Self>,
        place: RequestPlace,
    ) -> Option<(EventHttpRequest, Rc<Route>)> {
        let request = place.view()?;
        let key = request.connection_key()?;
        let conn = self.connections.borrow().get(&key).cloned();
        let Some(conn) = conn else {
            // libevent made a bufferevent itself when ours failed, and nothing has checked what
            // came over it.
            request.free_connection();
            return None;
        };
        let end = conn.server()?;
        conn.adopt();
        let passed = end.begin(&request);
        if let Some((code, refusal)) = end.refused(&request) {
            page::send(request, code, None, Some(refusal.reason()));
            end.replied();
            return None;
        }
        if !self.methods.get().contains(request.method()) {
            page::send(request, 501, None, None);
            end.replied();
            return None;
        }
        let Some(route) = self.routes.find(request.path().unwrap_or_default()) else {
            let target = server_request::target(&request, passed.slashed).unwrap_or_default();
            let text = format!("The server has nothing at {target}");
            page::send(request, 404, None, Some(&text));
            end.replied();
            return None;
        };
        if let Some(streamed) = passed.streamed {
            if route.streams().is_none() {
                let text = "The closure of the path was replaced while the request came";
                page::send(request, 503, None, Some(text));
                end.replied();
                return None;
            }
            server_request::restore_length(&request, streamed);
        }
        let closes = self.is_for_a_proxy(&request);
        let request = request::Inner::of_server(place, self, &conn, passed, closes);
        Some((EventHttpRequest(request), route))
    }

    /// Whether the target is a whole URI whose host is not an alias: evhttp takes that for a
    /// request to a proxy, and closes the connection after the reply.
    fn is_for_a_proxy(&self, request: &RequestView<'_>) -> bool {
        let target = request.target().unwrap_or_default();
        let starts = |scheme: &[u8]| {
            let start = target.get(..scheme.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        };
        if !starts(b"http://") && !starts(b"https://") {
            return false;
        }
        let host = request.host().unwrap_or_default();
        let aliases = self.aliases.borrow();
        !aliases
            .iter()
            .any(|alias| alias.to_bytes().eq_ignore_ascii_case(host))
    }

    /// The connection ended, and its closure is to be called.
    pub(super) fn connection_ended(&self, key: usize) {
        let conn = self.connections.borrow_mut().remove(&key);
        if let Some(conn) = conn {
            self.defer(Deferred::CallBack(conn));
        }
    }

    /// Pauses accepting: libevent would try again in each turn.
    pub(super) fn pause(&self) {
        self.accept(false);
        self.paused.set(true);
        if let Some(turn) = self.turn.get() {
            turn.add("EventHttp", Some(PAUSE)).ok();
        }
    }

    /// Pauses or resumes accepting; returns whether the backend agreed for every socket.
    fn accept(&self, on: bool) -> bool {
        let Some(http) = self.http.get() else {
            return true;
        };
        let sockets = self.sockets.borrow();
        let refused = sockets.iter().filter(|socket| !socket.accept(http, on));
        refused.count() == 0
    }
}

/// What is deferred, and the end.
impl Inner {
    pub(super) fn defer(&self, deferred: Deferred) {
        self.deferred.borrow_mut().push_back(deferred);
        self.wake();
    }

    /// Has the loop do what is deferred.
    pub(super) fn wake(&self) {
        if let Some(turn) = self.turn.get() {
            turn.activate(EventFlags::TIMEOUT);
        }
    }

    pub(super) fn next_deferred(&self) -> Option<Deferred> {
        self.deferred.borrow_mut().pop_front()
    }

    /// Where `turn` is.
    pub(super) fn turn_memory(&self) -> &EventMemory {
        &self.turn_memory
    }

    /// Ends a turn: resumes accepting, and ends a server that nobody has or waits for.
    pub(super) fn settle(&self) {
        if self.paused.replace(false) && !self.accept(true) {
            self.pause(); // a socket that was not resumed would never accept again
        }
        if self.is_closing() && !self.is_replying() {
            let timer = match &*self.life.borrow() {
                Life::Closing(timer) => timer.as_ref().and_then(Weak::upgrade),
                Life::Open => None,
            };
            timer.map(Event).inspect(Event::free); // `self` is held by the caller
        }
    }

    fn is_replying(&self) -> bool {
        let connections = self.connections.borrow();
        connections.values().any(|conn| conn.is_replying())
    }

    /// A reply is complete, but not written: it keeps a server without handles for a time.
    pub(super) fn linger(self: &Rc<Self>) {
        match &*self.life.borrow() {
            Life::Closing(None) => {}
            Life::Closing(Some(timer)) if timer.strong_count() == 0 => {}
            _ => return,
        }
        let mut held = Some(Rc::clone(self));
        let callback = move |_event: &Event| drop(held.take());
        let Ok(timer) = Event::timer_on("EventHttp", &self.base, callback) else {
            return;
        };
        if timer.add(Some(LINGER)).is_ok() {
            self.life
                .replace(Life::Closing(Some(Rc::downgrade(&timer.0))));
            timer.detach();
        }
    }

    /// The last handle went: nothing new begins.
    pub(super) fn close_down(self: &Rc<Self>) {
        self.life.replace(Life::Closing(None));
        let routes = self.routes.take();
        let bodies = self.take_bodies();
        let sockets = self.sockets.take();
        let mut ending = Ending::default();
        if self.base.is_foreign() {
            self.sockets.replace(sockets); // the parent accepts from them
        } else {
            let sockets: Vec<_> = match self.http.get() {
                Some(http) => sockets.into_iter().map(|one| one.end(http)).collect(),
                None => Vec::new(),
            };
            ending.drop_each(sockets); // no borrow is held: they may be the user's
            self.adopt_all();
            let (replying, idle): (Vec<_>, Vec<_>) =
                self.all().into_iter().partition(|conn| conn.is_replying());
            for conn in idle {
                conn.close();
            }
            if !replying.is_empty() {
                self.linger();
            }
        }
        ending.drop_each(routes); // no borrow is held: captured values may run user code
        ending.drop_each(bodies);
        ending.finish();
    }

    /// Takes the closures for bodies, and the counts of their requests, for the caller to drop.
    fn take_bodies(&self) -> Vec<impl Sized + use<>> {
        let (told, others): (VecDeque<_>, VecDeque<_>) = self
            .deferred
            .take()
            .into_iter()
            .partition(|deferred| matches!(deferred, Deferred::Body(_)));
        self.deferred.replace(others);
        let told = told.into_iter().filter_map(|deferred| match deferred {
            Deferred::Body(request) => Some(request),
            _ => None,
        });
        let connections = self.all();
        let held = connections
            .iter()
            .filter_map(|conn| conn.server()?.let_go());
        told.chain(held)
            .map(|request| {
                let closure = request.server().map(|own| own.body.take());
                (closure, request)
            })
            .collect()
    }

    /// Makes every connection tell of its end.
    fn adopt_all(&self) {
        self.all().iter().for_each(|conn| conn.adopt()); // of which one may have ended
    }

    pub(super) fn all(&self) -> Vec<Rc<connection::Inner>> {
        self.connections.borrow().values().cloned().collect()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let http = self.http.take();
        if let Some(http) = &http {
            let address = http.address();
            SERVERS
                .try_with(|servers| servers.borrow_mut().remove(&address))
                .ok();
        }
        self.base.end(Remains {
            http,
            turn: self.turn.take(),
            sockets: self.sockets.take(),
            connections: self.connections.take(),
            deferred: self.deferred.take(),
        });
    }
}

/// What C must be told to free.
struct Remains {
    http: Option<OwnedHttp<Inner>>,
    turn: Option<OwnedEvent>,
    sockets: Vec<Listening>,
    connections: HashMap<usize, Rc<connection::Inner>>,
    deferred: VecDeque<Deferred>,
}

impl base::Remains for Remains {
    fn free(self, _base: &base::Inner) {
        for conn in self.connections.values() {
            conn.prepare_for_end();
        }
        drop(self.turn);
        drop(self.http); // tells `connections` of their end
        let mut ending = Ending::default();
        ending.drop_each(self.sockets); // libevent has let go of them
        // Handles keep connections that have ended, but not the closure that was to be called.
        let told = self.deferred.iter().filter_map(Deferred::connection);
        for conn in told.chain(self.connections.values()) {
            ending.drop(conn.take_callback());
        }
        ending.finish();
    }
}

impl connection::Inner {
    pub(super) fn adopt(&self) {
        if let Some(conn) = self.server() {
            conn.adopt(self.base());
        }
    }

    fn prepare_for_end(&self) {
        if let Some(conn) = self.server() {
            conn.prepare_for_end(self.base());
        }
    }

    pub(super) fn close(&self) {
        if let Some(conn) = self.server() {
            conn.close();
        }
    }

    fn is_replying(&self) -> bool {
        self.server().is_some_and(|conn| conn.is_replying())
    }
}

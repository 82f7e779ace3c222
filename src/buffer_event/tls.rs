//! TLS: on a socket, or on top of another buffer event.
//!
//! Owns: one session, from the making of the buffer event to [`Tls::end`], and the event that waits
//! for room to send its `close_notify`.
//! Lent to C: the session, until libevent has finished the buffer event.
//! Runs user code: none. The callbacks are always deferred, and what is under a TLS filter
//! has no closures, so that no call on a session begins inside another one.
#![allow(unsafe_code)]

mod close;
mod error;
mod events;
mod info;
pub(crate) mod notify;
mod verify;

use std::cell::{Cell, RefCell};
use std::ffi::c_ulong;
use std::os::fd::AsFd;
use std::rc::Rc;

use php_event_macros::php;

use super::carrier::{Carrier, Under};
use super::source::Source;
use super::{EventBufferEvent, check_options};
use crate::error::{Error, Result};
use crate::flags::{BufferEventOptions, EventFlags, SslState};
use crate::native::bufferevent::OwnedBufferEvent;
use crate::native::bufferevent_ssl;
use crate::native::ssl::Session;
use crate::{Event, EventBase, EventSslContext, base, runtime};
use close::Closing;
use events::Reported;
use verify::Role;

/// The session of a TLS buffer event, and what is known about it.
pub(crate) struct Tls {
    session: Session,
    context: EventSslContext,
    role: Role,
    /// An end without `close_notify` counts as an end, not as an error.
    allows_dirty_shutdown: Cell<bool>,
    closing: Cell<Closing>,
    room: RefCell<Option<Event>>, // waits until `close_notify` has room
    reported: Cell<Reported>,
    /// The process that the session belongs to: a forked child has a copy of it.
    generation: u32,
    errors: RefCell<Vec<c_ulong>>,
}

impl Tls {
    fn new(call: &'static str, context: &EventSslContext, state: SslState) -> Result<Self> {
        let (ssl, role) = match state {
            SslState::Connecting => (context.connecting(call, None)?, Role::client()),
            SslState::Accepting => (context.accepting(call)?, Role::Server),
            SslState::Open => {
                return Err(Error::argument(
                    call,
                    "SSL_OPEN needs a session whose handshake is over, and there is none; give \
                     SSL_CONNECTING or SSL_ACCEPTING",
                ));
            }
        };
        Ok(Self {
            session: Session::new(ssl),
            context: context.clone(),
            role,
            allows_dirty_shutdown: Cell::new(false),
            closing: Cell::new(Closing::No),
            room: RefCell::default(),
            reported: Cell::new(Reported::Nothing),
            generation: runtime::generation(),
            errors: RefCell::default(),
        })
    }

    /// Whether the session is a parent's: this process is a child made by `fork`.
    fn is_foreign(&self) -> bool {
        self.generation != runtime::generation()
    }

    /// Frees the session in a later turn of the loop: libevent may be inside of it now.
    ///
    /// # Safety
    /// The buffer event was freed with `bufferevent_free` before.
    pub(super) unsafe fn end(self, base: &base::Inner) {
        // SAFETY: `base` is borrowed, so not freed; the caller has freed the bufferevent.
        unsafe { self.session.free_later(base.raw()) };
    }
}

/// A server's bufferevent with TLS and without a descriptor, for evhttp: it frees the session
/// and closes the descriptor with itself.
pub(crate) fn accept_native(
    base: &base::Inner,
    context: &EventSslContext,
) -> Result<OwnedBufferEvent> {
    const CALL: &str = "EventHttp";
    let session = Session::new(context.accepting(CALL)?);
    // SAFETY: evhttp, which takes the bufferevent, ends before `base`.
    unsafe { bufferevent_ssl::owning(CALL, base.native(), session, SslState::Accepting) }
}

impl EventBufferEvent {
    /// Makes a buffer event that speaks TLS on a connected socket.
    ///
    /// The handshake runs in the loop; the event callback reports its end as `CONNECTED`. Callbacks
    /// are always deferred. A client that verifies its server needs
    /// [`set_ssl_host`](Self::set_ssl_host) before the handshake. The handshake has no time limit
    /// of its own: the times of [`set_timeouts`](Self::set_timeouts) start again with each byte,
    /// and their event is `TIMEOUT` alone. To limit it, free the object from a timer. Freeing the
    /// object sends `close_notify`, unless output is waiting. If the socket has no room for it, the
    /// loop sends it once the peer has read: it keeps the socket for that, at most for the write
    /// timeout, or 30 seconds.
    ///
    /// # Errors
    /// [`Error::Argument`] for `SSL_OPEN`, and as [`new`](Self::new); [`Error::State`] when the
    /// context is for the other side, or a server's has no certificate; [`Error::Io`] when the
    /// socket cannot be made non-blocking; [`Error::Freed`], [`Error::Forked`].
    ///
    /// # Examples
    /// ```
    /// use php_event::{EventBase, EventBufferEvent, EventSslContext};
    /// use std::os::unix::net::UnixStream;
    ///
    /// let base = EventBase::new()?;
    /// let context = EventSslContext::new(EventSslContext::TLS_CLIENT_METHOD, &[])?;
    /// let (socket, _server) = UnixStream::pair()?;
    /// let tls = EventBufferEvent::ssl_socket(
    ///     &base, socket, &context, EventBufferEvent::SSL_CONNECTING, EventBufferEvent::OPT_CLOSE_ON_FREE,
    /// )?;
    /// tls.set_ssl_host("example.com")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[php(
        "EventBufferEvent::sslSocket",
        php_note = "; without a socket it is [`ssl_unconnected`](Self::ssl_unconnected)",
        c = "bufferevent_openssl_socket_new"
    )]
    pub fn ssl_socket<S>(
        base: &EventBase,
        socket: S,
        context: &EventSslContext,
        state: SslState,
        options: BufferEventOptions,
    ) -> Result<Self>
    where
        S: AsFd + 'static,
    {
        let source = Source::non_blocking(CALL, socket)?;
        Self::make_tls(base, Some(source), context, state, options)
    }

    /// Makes a buffer event with TLS that has no descriptor yet, for
    /// [`connect`](Self::connect) and [`connect_host`](Self::connect_host). With
    /// `SSL_CONNECTING` these also name the host.
    ///
    /// libevent: `bufferevent_openssl_socket_new` with −1.
    ///
    /// # Errors
    /// As [`ssl_socket`](Self::ssl_socket).
    ///
    /// # Examples
    /// ```
    /// use php_event::{BufferEventOptions, EventBase, EventBufferEvent, EventSslContext};
    ///
    /// let base = EventBase::new()?;
    /// let context = EventSslContext::new(EventSslContext::TLS_CLIENT_METHOD, &[])?;
    /// let tls = EventBufferEvent::ssl_unconnected(
    ///     &base, &context, EventBufferEvent::SSL_CONNECTING, BufferEventOptions::empty(),
    /// )?;
    /// assert_eq!(tls.fd(), None);
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php(
        "EventBufferEvent::sslSocket",
        php_note = " with `null` for the socket"
    )]
    pub fn ssl_unconnected(
        base: &EventBase,
        context: &EventSslContext,
        state: SslState,
        options: BufferEventOptions,
    ) -> Result<Self> {
        Self::make_tls(base, None, context, state, options)
    }

    fn make_tls(
        base: &EventBase,
        source: Option<Rc<Source>>,
        context: &EventSslContext,
        state: SslState,
        options: BufferEventOptions,
    ) -> Result<Self> {
        const CALL: &str = "EventBufferEvent::sslSocket";
        let base = base.inner();
        base.usable(CALL)?;
        let for_c = check_options(CALL, options)?;
        let tls = Tls::new(CALL, context, state)?;
        let fd = source.as_ref().map_or(-1, |source| source.fd());
        base.watchable(CALL, fd)?;
        // SAFETY: what is made keeps `base`, `source` and `tls` until libevent has let go of them.
        let owned = base.calling(|| unsafe {
            bufferevent_ssl::on_socket(CALL, base.native(), fd, &tls.session, state, for_c)
        })?;
        Ok(Self::made(
            base,
            owned,
            Carrier::Tls { tls, source },
            options,
        ))
    }

    /// Makes a buffer event that speaks TLS through another one, `under`, which carries the
    /// encrypted bytes.
    ///
    /// While the filter lives, the callbacks of `under` are not called, and its read low mark does not
    /// count. With `OPT_CLOSE_ON_FREE` freeing the filter frees `under`; without it `under` has its
    /// callbacks and that mark again. Otherwise as [`ssl_socket`](Self::ssl_socket).
    ///
    /// # Errors
    /// [`Error::State`] when `under` has a filter already, belongs to an HTTP connection, or is,
    /// or is on top of, a filter with closures, which would run inside OpenSSL; otherwise as
    /// [`ssl_socket`](Self::ssl_socket).
    ///
    /// # Examples
    /// ```
    /// use php_event::{BufferEventOptions, EventBase, EventBufferEvent, EventSslContext};
    ///
    /// let base = EventBase::new()?;
    /// let (one, _other) = EventBufferEvent::create_pair(&base, BufferEventOptions::empty())?;
    /// let context = EventSslContext::new(EventSslContext::TLS_CLIENT_METHOD, &[])?;
    /// let tls = EventBufferEvent::create_ssl_filter(
    ///     &one, &context, EventBufferEvent::SSL_CONNECTING, EventBufferEvent::OPT_CLOSE_ON_FREE,
    /// )?;
    /// tls.set_ssl_host("example.com")?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php(
        "EventBufferEvent::createSslFilter",
        c = "bufferevent_openssl_filter_new"
    )]
    pub fn create_ssl_filter(
        under: &Self,
        context: &EventSslContext,
        state: SslState,
        options: BufferEventOptions,
    ) -> Result<Self> {
        let below = under.0.usable(CALL)?;
        under.0.may_be_covered(CALL)?;
        let reason = if under.0.runs_closures() {
            "its bytes pass through closures, which would run inside OpenSSL; put the TLS filter \
             below them"
        } else {
            ""
        };
        if !reason.is_empty() {
            return Err(Error::State { call: CALL, reason });
        }
        let for_c = check_options(CALL, options)?;
        let base = under.0.base();
        let tls = Tls::new(CALL, context, state)?;
        let (native, session) = (base.native(), &tls.session);
        let low_mark = below.read_low_mark();
        // SAFETY: what is made keeps `base` and `tls` until libevent has let go of them.
        let owned = base.calling(|| unsafe {
            bufferevent_ssl::on_bufferevent(CALL, native, below, session, state, for_c)
        })?;
        let under_it = Under::new(under);
        let carrier = Carrier::TlsFilter {
            tls,
            under: under_it,
        };
        let this = Self::made(&base, owned, carrier, options);
        under.restore_high_mark(low_mark);
        under.0.run_later(EventFlags::WRITE); // begins the handshake
        Ok(this)
    }

    /// A TLS filter was put on top, for which libevent takes the read marks away. The high mark goes
    /// on to count; a low one could stop the handshake, and waits for the filter's end.
    fn restore_high_mark(&self, low: usize) {
        let high = self.0.settings.read_high_mark.get();
        if let (true, Ok(view)) = (high > 0, self.0.usable("")) {
            let set = || view.set_watermark(EventFlags::READ, 0, high);
            self.0.base().calling_silent(set); // what is called is deferred
        }
        self.0.settings.low_mark_without_tls.set(Some(low));
    }

    /// The filter on top is gone. If that was TLS, the read low mark of before counts again.
    pub(super) fn restore_low_mark(&self) {
        let low = self.0.settings.low_mark_without_tls.take();
        if let Some(low) = low.filter(|low| *low > 0) {
            let high = self.0.settings.read_high_mark.get();
            self.set_watermark(EventFlags::READ, low, high).ok(); // it is watched since that was set
        }
    }

    /// Runs `work` on the session; `None` without TLS.
    fn ssl<T>(&self, call: &'static str, work: impl FnOnce(&Tls) -> T) -> Result<Option<T>> {
        self.0.usable(call)?;
        Ok(self.0.tls().as_deref().map(work))
    }
}

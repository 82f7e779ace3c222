//! TLS: on a socket, or on top of another buffer event.
//!
//! Owns: one `SSL`, from the making of the buffer event to [`Tls::end`].
//! Lent to C: the `SSL`, until libevent has finished the buffer event; it is freed in a turn
//! of its own then, when nothing of OpenSSL's is at work.
//! Runs user code: none. The callbacks are always deferred, and what is under a TLS filter
//! has no closures of the user's, so that nothing enters an `SSL` that is at work.
#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::ffi::{CStr, c_char, c_ulong};
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::AsFd;

use foreign_types::ForeignType;
use openssl::error::ErrorStack;
use openssl::ssl::{Ssl, SslRef};
use openssl::x509::X509VerifyResult;

use super::inner::{Inner, Kind, Native};
use super::{EventBufferEvent, check_options, prepare};
use crate::error::{Error, Result, cvt_p};
use crate::flags::{BufferEventFlags, BufferEventOptions, EventFlags, SslState};
use crate::{EventBase, EventSslContext, base, ffi, process, trampoline};

/// OpenSSL's number for an end of the stream without a `close_notify`.
const UNEXPECTED_EOF: i32 = 294;

/// Numbers below this are results of `SSL_get_error`, which libevent mixes with the errors.
const RESULTS: c_ulong = 0x100;

/// How many errors are kept for who never asks for them: the first ones, which tell the cause.
const ERRORS_MAX: usize = 16;

/// Where a `bufferevent` has the event that waits for its socket to be readable: after the
/// base and the operations (`event2/bufferevent_struct.h`; `vendor/libevent/tests/abi.rs` checks it).
const EV_READ_OFFSET: usize = 2 * size_of::<*const ()>();

/// What a buffer event with TLS has besides.
pub(crate) struct Tls {
    ssl: Ssl,
    context: EventSslContext,
    is_client: bool,
    named: Cell<bool>, // the host's name is known
    dirty: Cell<bool>, // an end without `close_notify` is as good as one with
    said_goodbye: Cell<bool>,
    told_end: Cell<bool>, // the event callback of a filter has heard of the peer's goodbye
    generation: u32,      // of the process whose session it is: a forked child has a copy
    errors: RefCell<Vec<c_ulong>>,
}

impl Tls {
    fn new(call: &'static str, context: &EventSslContext, state: SslState) -> Result<Self> {
        let (ssl, is_client) = match state {
            SslState::Connecting => (context.connecting(call, None)?, true),
            SslState::Accepting => (context.accepting(call)?, false),
            SslState::Open => {
                return Err(Error::argument(
                    call,
                    "SSL_OPEN is for a session that stands already, and there is none yet; give \
                     SSL_CONNECTING or SSL_ACCEPTING",
                ));
            }
        };
        Ok(Self {
            ssl,
            context: context.clone(),
            is_client,
            named: Cell::new(false),
            dirty: Cell::new(false),
            said_goodbye: Cell::new(false),
            told_end: Cell::new(false),
            generation: process::generation(),
            errors: RefCell::default(),
        })
    }

    pub(super) fn is_dirty(&self) -> bool {
        self.dirty.get()
    }

    /// The session for C.
    fn raw(&self) -> *mut ffi::ssl_st {
        self.ssl.as_ptr().cast()
    }

    /// Says goodbye to the peer, if the session stands; false if the goodbye has to wait for
    /// room. Once only: OpenSSL takes a second call for a wish to read the peer's.
    pub(super) fn say_goodbye(&self) -> bool {
        let ours = self.generation == process::generation();
        let stands = self.ssl.is_init_finished() && self.errors.borrow().is_empty();
        if !ours || !stands || self.said_goodbye.get() {
            return true;
        }
        // SAFETY: `ssl` is held by `self`, and nothing of OpenSSL's is at work.
        let rc = unsafe { ffi::openssl::SSL_shutdown(self.ssl.as_ptr()) };
        // SAFETY: as above.
        let result = unsafe { ffi::openssl::SSL_get_error(self.ssl.as_ptr(), rc) };
        drop(ErrorStack::get()); // a peer that is gone already is no news
        let waits = rc < 0 && result == ffi::openssl::SSL_ERROR_WANT_WRITE;
        self.said_goodbye.set(!waits);
        !waits
    }

    /// Writes the output of the buffer event that has this session, as far as that goes at once.
    pub(super) fn write_now(&self, output: *mut ffi::evbuffer) {
        // SAFETY: the caller has not freed `output`.
        let length = unsafe { ffi::evbuffer_get_length(output) };
        let (Ok(size), true) = (i32::try_from(length), self.ssl.is_init_finished()) else {
            return;
        };
        // SAFETY: as above; null without memory.
        let bytes = unsafe { ffi::evbuffer_pullup(output, -1) };
        if size == 0 || bytes.is_null() || self.generation != process::generation() {
            return;
        }
        // SAFETY: `bytes` are the `size` bytes of `output`; nothing of OpenSSL's is at work.
        let rc = unsafe { ffi::openssl::SSL_write(self.ssl.as_ptr(), bytes.cast(), size) };
        drop(ErrorStack::get()); // a peer that is gone already is no news
        if rc == size {
            // SAFETY: as above.
            unsafe { ffi::evbuffer_drain(output, length) };
        }
    }

    /// Whether the peer has said goodbye.
    fn heard_goodbye(&self) -> bool {
        // SAFETY: `ssl` is held by `self`.
        let said = unsafe { ffi::openssl::SSL_get_shutdown(self.ssl.as_ptr()) };
        said & ffi::openssl::SSL_RECEIVED_SHUTDOWN != 0
    }

    /// Frees the session in a later turn of the loop: libevent may be in the middle of it.
    pub(super) fn end(self, base: &base::Inner) {
        let session = ManuallyDrop::new(self.ssl).as_ptr().cast();
        let at_once = base::timeval(std::time::Duration::ZERO);
        // SAFETY: `base` is not freed; `on_session_end` takes the session over.
        let rc = unsafe {
            ffi::event_base_once(
                base.raw(),
                -1,
                EventFlags::TIMEOUT.bits(),
                Some(trampoline::on_session_end),
                session,
                &at_once,
            )
        };
        drop(crate::error::cvt("event_base_once", rc)); // without memory the session stays
    }

    /// Takes what libevent noted of OpenSSL's errors, the cause first, and tells whether an
    /// end without `close_notify`, which is allowed, is all there is.
    fn collect(&self, raw: *mut ffi::bufferevent) -> bool {
        let mut found = Vec::new();
        loop {
            // SAFETY: the caller has not freed `raw`.
            let error = unsafe { ffi::bufferevent_get_openssl_error(raw) };
            match error {
                0 => break,
                _ if error < RESULTS => {}
                _ => found.push(error),
            }
        }
        found.reverse(); // libevent gives the last one first
        let ended = |error: &c_ulong| ffi::openssl::ERR_GET_REASON(*error) == UNEXPECTED_EOF;
        if self.dirty.get() && !found.is_empty() && found.iter().all(ended) {
            return true;
        }
        let mut errors = self.errors.borrow_mut();
        let room = ERRORS_MAX.saturating_sub(errors.len());
        errors.extend(found.into_iter().take(room));
        false
    }

    /// Why the peer's certificate was not taken, if that is what happened.
    fn refusal(&self, error: c_ulong) -> Option<String> {
        let result = self.ssl.verify_result();
        let text = text(error);
        if result == X509VerifyResult::OK || !text.contains("certificate verify failed") {
            return None;
        }
        let hint = if self.is_client && !self.named.get() {
            "; the host was not named: call set_ssl_host"
        } else {
            ""
        };
        Some(format!("{text} ({}{hint})", result.error_string()))
    }
}

/// A server's bufferevent with TLS and without a descriptor, for evhttp: it frees the session
/// and closes the descriptor with itself.
pub(crate) fn accept_native(
    base: &base::Inner,
    context: &EventSslContext,
) -> Result<*mut ffi::bufferevent> {
    const CALL: &str = "EventHttp";
    let session = ManuallyDrop::new(context.accepting(CALL)?);
    // SAFETY: the caller holds the base. The session is given away, also where it fails.
    let raw = unsafe {
        ffi::bufferevent_openssl_socket_new(
            base.raw(),
            -1,
            session.as_ptr().cast(),
            SslState::Accepting.to_c(),
            BufferEventOptions::CLOSE_ON_FREE.bits(),
        )
    };
    cvt_p(CALL, raw)
}

/// A client's bufferevent with TLS and without a descriptor, for evhttp, as
/// [`accept_native`] for a server's.
pub(crate) fn connect_native(
    call: &'static str,
    base: &base::Inner,
    context: &EventSslContext,
    host: &str,
) -> Result<*mut ffi::bufferevent> {
    let session = ManuallyDrop::new(context.connecting(call, Some(host))?);
    // SAFETY: the caller holds the base. The session is given away, also where it fails.
    let raw = unsafe {
        ffi::bufferevent_openssl_socket_new(
            base.raw(),
            -1,
            session.as_ptr().cast(),
            SslState::Connecting.to_c(),
            BufferEventOptions::CLOSE_ON_FREE.bits(),
        )
    };
    cvt_p(call, raw)
}

/// Tells the peer of a bufferevent that no more comes, if it speaks TLS and the session stands.
///
/// # Safety
/// `bev` is not freed, and nothing of OpenSSL's is at work on it.
pub(crate) unsafe fn say_goodbye(bev: *mut ffi::bufferevent) {
    // SAFETY: the caller's duty; null for one that speaks no TLS.
    let session = unsafe { ffi::bufferevent_openssl_get_ssl(bev) };
    if session.is_null() {
        return;
    }
    // SAFETY: the bufferevent's own session, which lives as long.
    if unsafe { ffi::openssl::SSL_is_init_finished(session.cast()) } != 0 {
        // SAFETY: as above.
        unsafe { ffi::openssl::SSL_shutdown(session.cast()) };
    }
    drop(ErrorStack::get()); // a peer that is gone already is no news
}

impl Inner {
    /// What the event callback is told, after OpenSSL's errors were noted; none when nothing
    /// is left to be told.
    pub(crate) fn translate(&self, what: BufferEventFlags) -> Option<BufferEventFlags> {
        let (Some(tls), Ok(raw)) = (&*self.tls.borrow(), self.usable("")) else {
            return Some(what);
        };
        let mut what = what;
        if what.contains(BufferEventFlags::ERROR) && tls.collect(raw) {
            what = what.difference(BufferEventFlags::ERROR) | BufferEventFlags::EOF;
        }
        // After a goodbye what is under a filter may end: libevent tells that as well.
        let of_below = self.kind == Kind::TlsFilter
            && !what.contains(BufferEventFlags::WRITING)
            && tls.heard_goodbye()
            && tls.errors.borrow().is_empty();
        if of_below {
            what.remove(BufferEventFlags::ERROR);
            let again = tls.told_end.get() && what == BufferEventFlags::EOF;
            if again || what.is_empty() {
                return None;
            }
            let told = what.contains(BufferEventFlags::EOF);
            tls.told_end.set(told || tls.told_end.get());
        }
        Some(what)
    }

    /// Goes on writing after the peer said goodbye, where libevent stops both directions.
    pub(crate) fn write_on(&self, what: BufferEventFlags) {
        let half = BufferEventFlags::READING | BufferEventFlags::EOF;
        let (true, Ok(raw)) = (what == half, self.usable("")) else {
            return;
        };
        if !self.tls.borrow().as_ref().is_some_and(Tls::heard_goodbye) {
            return;
        }
        let write = EventFlags::WRITE.bits();
        // SAFETY: `raw` is not freed.
        let enabled = unsafe { ffi::bufferevent_get_enabled(raw) } & write != 0;
        if enabled && self.output_length(raw) > 0 {
            // SAFETY: as above; the callbacks are deferred.
            self.base()
                .calling_in_drop(|| unsafe { ffi::bufferevent_enable(raw, write) });
        }
    }

    /// Has bytes taken that OpenSSL has decrypted and could not hand out, because the input
    /// was at its high mark: no more need come through the socket to call for them.
    pub(super) fn take_pending(&self, raw: *mut ffi::bufferevent) {
        let pending = |tls: &Tls| tls.ssl.pending() > 0;
        let waits = self
            .tls
            .try_borrow()
            .is_ok_and(|tls| tls.as_ref().is_some_and(pending));
        if self.kind == Kind::Tls && waits {
            // SAFETY: `raw` is a `bufferevent`, which has the event there, initialized.
            let readable = unsafe { raw.byte_add(EV_READ_OFFSET) };
            // SAFETY: as above; the event runs in the loop, and goes with `raw`.
            unsafe { ffi::event_active(readable.cast(), EventFlags::READ.bits().into(), 0) };
        }
    }
}

impl EventBufferEvent {
    /// Makes a buffer event that speaks TLS on a connected socket.
    ///
    /// The handshake begins with the loop, and its end is told as `CONNECTED`; the callbacks are
    /// always deferred. A client tells its server's name with
    /// [`set_ssl_host`](Self::set_ssl_host) before: without it a verified handshake fails. When
    /// the object is freed, the peer is told that no more comes (`close_notify`).
    ///
    /// PHP: `EventBufferEvent::sslSocket`; without a socket it is
    /// [`ssl_unconnected`](Self::ssl_unconnected). libevent: `bufferevent_openssl_socket_new`.
    ///
    /// # Errors
    /// [`Error::Argument`] for `SSL_OPEN`, and as [`new`](Self::new); [`Error::State`] when the
    /// context is for the other role, or a server's has no certificate; [`Error::Io`] when
    /// the socket cannot be made non-blocking; [`Error::Freed`], [`Error::Forked`].
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
    #[doc(
        alias = "EventBufferEvent::sslSocket",
        alias = "bufferevent_openssl_socket_new"
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
        Self::make_tls(base, Some(Box::new(socket)), context, state, options)
    }

    /// Makes a client's buffer event with TLS that has no descriptor yet: for
    /// [`connect`](Self::connect) and `connect_host`, which name the host by themselves.
    ///
    /// PHP: `EventBufferEvent::sslSocket` with `null` for the socket.
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
    /// let tls = EventBufferEvent::ssl_unconnected(&base, &context, BufferEventOptions::empty())?;
    /// assert_eq!(tls.fd(), None);
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(alias = "EventBufferEvent::sslSocket")]
    pub fn ssl_unconnected(
        base: &EventBase,
        context: &EventSslContext,
        options: BufferEventOptions,
    ) -> Result<Self> {
        Self::make_tls(base, None, context, SslState::Connecting, options)
    }

    fn make_tls(
        base: &EventBase,
        source: Option<Box<dyn AsFd>>,
        context: &EventSslContext,
        state: SslState,
        options: BufferEventOptions,
    ) -> Result<Self> {
        const CALL: &str = "EventBufferEvent::sslSocket";
        let base = base.inner();
        base.usable(CALL)?;
        let for_c = check_options(CALL, options)? | BufferEventOptions::DEFER_CALLBACKS.bits();
        let tls = Tls::new(CALL, context, state)?;
        let fd = match &source {
            Some(source) => prepare(CALL, &**source)?,
            None => -1,
        };
        // SAFETY: `base` is not freed, and `from_native` keeps it and `tls`.
        let raw = base.calling(|| unsafe {
            ffi::bufferevent_openssl_socket_new(base.raw(), fd, tls.raw(), state.to_c(), for_c)
        });
        let native = Native {
            source,
            tls: Some(tls),
            ..Native::new(cvt_p(CALL, raw)?, Kind::Tls, options)
        };
        // SAFETY: made above, with the descriptor of `source`.
        Ok(unsafe { Self::from_native(base, native) })
    }

    /// Makes a buffer event that speaks TLS through another one, which carries the bytes.
    ///
    /// From then on the callbacks of `under` are not called. With `OPT_CLOSE_ON_FREE` it is
    /// freed with the filter; otherwise it is as before. Otherwise as
    /// [`ssl_socket`](Self::ssl_socket).
    ///
    /// PHP: `EventBufferEvent::createSslFilter`. libevent: `bufferevent_openssl_filter_new`.
    ///
    /// # Errors
    /// [`Error::State`] when `under` has a filter on it already, belongs to an HTTP connection,
    /// or is, or stands on, a filter with closures, which would run inside OpenSSL; otherwise as
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
    #[doc(
        alias = "EventBufferEvent::createSslFilter",
        alias = "bufferevent_openssl_filter_new"
    )]
    pub fn create_ssl_filter(
        under: &Self,
        context: &EventSslContext,
        state: SslState,
        options: BufferEventOptions,
    ) -> Result<Self> {
        const CALL: &str = "EventBufferEvent::createSslFilter";
        let below = under.0.usable(CALL)?;
        let reason = if under.0.is_taken() {
            "a filter or an HTTP connection is on top of it already"
        } else if under.0.runs_closures() {
            "it passes its bytes through closures, which would run inside OpenSSL; put the TLS \
             filter under them"
        } else {
            ""
        };
        if !reason.is_empty() {
            return Err(Error::State { call: CALL, reason });
        }
        let for_c = check_options(CALL, options)? | BufferEventOptions::DEFER_CALLBACKS.bits();
        let base = under.0.base();
        let tls = Tls::new(CALL, context, state)?;
        // SAFETY: `below` is not freed, and the filter counts on it; `from_native` keeps `tls`.
        let raw = base.calling(|| unsafe {
            ffi::bufferevent_openssl_filter_new(base.raw(), below, tls.raw(), state.to_c(), for_c)
        });
        let native = Native {
            under: Some(under.clone()),
            tls: Some(tls),
            ..Native::new(cvt_p(CALL, raw)?, Kind::TlsFilter, options)
        };
        // SAFETY: made above; its descriptor is that of `under`, which it keeps.
        let this = unsafe { Self::from_native(&base, native) };
        under.0.run_later(EventFlags::WRITE); // begins the handshake
        Ok(this)
    }

    /// What `work` finds out of the session; `None` without TLS.
    fn ssl<T>(&self, call: &'static str, work: impl FnOnce(&Tls) -> T) -> Result<Option<T>> {
        self.0.usable(call)?;
        Ok(self.0.tls.borrow().as_ref().map(work))
    }

    /// Tells a client which host it speaks to: the server hears the name (SNI), and its
    /// certificate must have it. A numeric address is not told, and must be in the
    /// certificate. Connecting to a host or an address does this by itself, unless it was done.
    ///
    /// Not in PHP, which compares no names. OpenSSL: `SSL_set_tlsext_host_name`,
    /// `SSL_set1_host`.
    ///
    /// # Errors
    /// [`Error::State`] without TLS, on a server's side, and after the handshake;
    /// [`Error::Argument`] for what is no host name; [`Error::Freed`], [`Error::Forked`].
    ///
    /// # Examples
    /// ```
    /// # use php_event::{BufferEventOptions, EventBase, EventBufferEvent, EventSslContext};
    /// # let base = EventBase::new()?;
    /// # let context = EventSslContext::new(EventSslContext::TLS_CLIENT_METHOD, &[])?;
    /// let tls = EventBufferEvent::ssl_unconnected(&base, &context, BufferEventOptions::empty())?;
    /// tls.set_ssl_host("example.com")?;
    /// assert!(tls.set_ssl_host("no host name").is_err());
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(alias = "SSL_set1_host", alias = "SSL_set_tlsext_host_name")]
    pub fn set_ssl_host(&self, host: &str) -> Result<()> {
        const CALL: &str = "EventBufferEvent::set_ssl_host";
        self.0.usable(CALL)?;
        let mut tls = self.0.tls.borrow_mut();
        let reason = match tls.as_mut() {
            None => "it speaks no TLS",
            Some(tls) if !tls.is_client => "a server does not choose its client's name",
            Some(tls) if tls.ssl.is_init_finished() => {
                "the handshake is over; name the host before"
            }
            Some(tls) => {
                tls.context.expect_host(CALL, &mut tls.ssl, host)?;
                tls.named.set(true);
                return Ok(());
            }
        };
        Err(Error::State { call: CALL, reason })
    }

    /// Names the host that is being connected to, unless the user has named one.
    pub(super) fn name_host(&self, host: &str) -> Result<()> {
        let unnamed = |tls: &Tls| tls.is_client && !tls.named.get();
        if self.0.tls.borrow().as_ref().is_some_and(unnamed) {
            self.set_ssl_host(host)?;
        }
        Ok(())
    }

    /// Takes the oldest of OpenSSL's errors, as text; none when nothing went wrong, or the
    /// system alone is to blame. A refused certificate's comes with the reason.
    ///
    /// PHP: `EventBufferEvent::sslError`, which has a meaningless entry after each.
    /// libevent: `bufferevent_get_openssl_error`.
    ///
    /// # Errors
    /// [`Error::Freed`], [`Error::Forked`].
    ///
    /// # Examples
    /// ```
    /// use php_event::{Callbacks, EventBase, EventBufferEvent, EventSslContext};
    /// use std::io::Write;
    /// use std::os::unix::net::UnixStream;
    ///
    /// let base = EventBase::new()?;
    /// let context = EventSslContext::new(EventSslContext::TLS_CLIENT_METHOD, &[])?;
    /// let (socket, mut server) = UnixStream::pair()?;
    /// server.write_all(b"220 speaks no TLS\r\n")?;
    /// let tls = EventBufferEvent::ssl_socket(
    ///     &base, socket, &context, EventBufferEvent::SSL_CONNECTING, EventBufferEvent::OPT_CLOSE_ON_FREE,
    /// )?;
    /// let stop = base.clone();
    /// tls.set_callbacks(Callbacks::new().on_event(move |tls, what| {
    ///     assert!(what.contains(EventBufferEvent::ERROR));
    ///     let error = tls.ssl_error().unwrap().unwrap();
    ///     assert!(error.contains("wrong version number"), "{error}");
    ///     stop.stop().unwrap();
    /// }))?;
    /// base.dispatch()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(
        alias = "EventBufferEvent::sslError",
        alias = "bufferevent_get_openssl_error"
    )]
    pub fn ssl_error(&self) -> Result<Option<String>> {
        const CALL: &str = "EventBufferEvent::sslError";
        let raw = self.0.usable(CALL)?;
        let error = self.ssl(CALL, |tls| {
            if tls.errors.borrow().is_empty() {
                tls.collect(raw);
            }
            let mut errors = tls.errors.borrow_mut();
            let error = (!errors.is_empty()).then(|| errors.remove(0))?;
            Some(tls.refusal(error).unwrap_or_else(|| text(error)))
        })?;
        Ok(error.flatten())
    }

    /// The version of the protocol that was agreed on, such as `TLSv1.3`; none without TLS and
    /// before the handshake.
    ///
    /// PHP: `EventBufferEvent::sslGetProtocol`. OpenSSL: `SSL_get_version`.
    ///
    /// # Errors
    /// [`Error::Freed`], [`Error::Forked`].
    ///
    /// # Examples
    /// ```
    /// # use php_event::{BufferEventOptions, EventBase, EventBufferEvent, EventSslContext};
    /// # let base = EventBase::new()?;
    /// # let context = EventSslContext::new(EventSslContext::TLS_CLIENT_METHOD, &[])?;
    /// let tls = EventBufferEvent::ssl_unconnected(&base, &context, BufferEventOptions::empty())?;
    /// assert_eq!(tls.ssl_get_protocol()?, None); // until CONNECTED was told
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(alias = "EventBufferEvent::sslGetProtocol", alias = "SSL_get_version")]
    pub fn ssl_get_protocol(&self) -> Result<Option<String>> {
        let version = self.ssl("EventBufferEvent::sslGetProtocol", |tls| {
            let done = tls.ssl.current_cipher().is_some();
            done.then(|| tls.ssl.version_str().to_owned())
        })?;
        Ok(version.flatten())
    }

    /// The name of the cipher in use; none without TLS and before the handshake, where PHP
    /// has `(NONE)`.
    ///
    /// PHP: `EventBufferEvent::sslGetCipherName`. OpenSSL: `SSL_get_cipher_name`.
    ///
    /// # Errors
    /// [`Error::Freed`], [`Error::Forked`].
    ///
    /// # Examples
    /// ```
    /// # use php_event::{BufferEventOptions, EventBase, EventBufferEvent, EventSslContext};
    /// # let base = EventBase::new()?;
    /// # let context = EventSslContext::new(EventSslContext::TLS_CLIENT_METHOD, &[])?;
    /// let tls = EventBufferEvent::ssl_unconnected(&base, &context, BufferEventOptions::empty())?;
    /// assert_eq!(tls.ssl_get_cipher_name()?, None); // until CONNECTED was told
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(
        alias = "EventBufferEvent::sslGetCipherName",
        alias = "SSL_get_cipher_name"
    )]
    pub fn ssl_get_cipher_name(&self) -> Result<Option<String>> {
        self.cipher("EventBufferEvent::sslGetCipherName", |ssl| {
            Some(ssl.current_cipher()?.name().to_owned())
        })
    }

    /// The version of the protocol that first had the cipher in use; none without TLS and
    /// before the handshake, where PHP has `(NONE)`.
    ///
    /// PHP: `EventBufferEvent::sslGetCipherVersion`. OpenSSL: `SSL_get_cipher_version`.
    ///
    /// # Errors
    /// [`Error::Freed`], [`Error::Forked`].
    ///
    /// # Examples
    /// ```
    /// # use php_event::{BufferEventOptions, EventBase, EventBufferEvent, EventSslContext};
    /// # let base = EventBase::new()?;
    /// # let context = EventSslContext::new(EventSslContext::TLS_CLIENT_METHOD, &[])?;
    /// let tls = EventBufferEvent::ssl_unconnected(&base, &context, BufferEventOptions::empty())?;
    /// assert_eq!(tls.ssl_get_cipher_version()?, None); // until CONNECTED was told
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(
        alias = "EventBufferEvent::sslGetCipherVersion",
        alias = "SSL_get_cipher_version"
    )]
    pub fn ssl_get_cipher_version(&self) -> Result<Option<String>> {
        self.cipher("EventBufferEvent::sslGetCipherVersion", |ssl| {
            Some(ssl.current_cipher()?.version().to_owned())
        })
    }

    /// OpenSSL's line about the cipher in use, without its newline; none without TLS and
    /// before the handshake.
    ///
    /// PHP: `EventBufferEvent::sslGetCipherInfo`. OpenSSL: `SSL_CIPHER_description`.
    ///
    /// # Errors
    /// [`Error::Freed`], [`Error::Forked`].
    ///
    /// # Examples
    /// ```
    /// # use php_event::{BufferEventOptions, EventBase, EventBufferEvent, EventSslContext};
    /// # let base = EventBase::new()?;
    /// # let context = EventSslContext::new(EventSslContext::TLS_CLIENT_METHOD, &[])?;
    /// let tls = EventBufferEvent::ssl_unconnected(&base, &context, BufferEventOptions::empty())?;
    /// assert_eq!(tls.ssl_get_cipher_info()?, None); // until CONNECTED was told
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(
        alias = "EventBufferEvent::sslGetCipherInfo",
        alias = "SSL_CIPHER_description"
    )]
    pub fn ssl_get_cipher_info(&self) -> Result<Option<String>> {
        self.cipher("EventBufferEvent::sslGetCipherInfo", |ssl| {
            Some(ssl.current_cipher()?.description().trim_end().to_owned())
        })
    }

    fn cipher(
        &self,
        call: &'static str,
        of: impl FnOnce(&SslRef) -> Option<String>,
    ) -> Result<Option<String>> {
        Ok(self.ssl(call, |tls| of(&tls.ssl))?.flatten())
    }

    /// The application protocol that both sides agreed on (ALPN), if any.
    ///
    /// Not in PHP. OpenSSL: `SSL_get0_alpn_selected`.
    ///
    /// # Errors
    /// [`Error::Freed`], [`Error::Forked`].
    ///
    /// # Examples
    /// ```
    /// # use php_event::{BufferEventOptions, EventBase, EventBufferEvent, EventSslContext};
    /// # let base = EventBase::new()?;
    /// # let context = EventSslContext::new(EventSslContext::TLS_CLIENT_METHOD, &[])?;
    /// let tls = EventBufferEvent::ssl_unconnected(&base, &context, BufferEventOptions::empty())?;
    /// assert_eq!(tls.ssl_get_alpn()?, None); // until CONNECTED was told
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(alias = "SSL_get0_alpn_selected")]
    pub fn ssl_get_alpn(&self) -> Result<Option<String>> {
        self.cipher("EventBufferEvent::ssl_get_alpn", |ssl| {
            let chosen = ssl.selected_alpn_protocol()?;
            Some(String::from_utf8_lossy(chosen).into_owned())
        })
    }

    /// Refuses to negotiate anew: TLS 1.3 has no such thing, and in TLS 1.2 contexts turn it off,
    /// because a peer can be worn out, and was attacked, with it.
    ///
    /// PHP: `EventBufferEvent::sslRenegotiate`. libevent: `bufferevent_ssl_renegotiate`.
    ///
    /// # Errors
    /// [`Error::State`] always; [`Error::Freed`], [`Error::Forked`].
    ///
    /// # Examples
    /// ```
    /// # use php_event::{BufferEventOptions, EventBase, EventBufferEvent, EventSslContext};
    /// # let base = EventBase::new()?;
    /// # let context = EventSslContext::new(EventSslContext::TLS_CLIENT_METHOD, &[])?;
    /// let tls = EventBufferEvent::ssl_unconnected(&base, &context, BufferEventOptions::empty())?;
    /// assert!(tls.ssl_renegotiate().is_err());
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(
        alias = "EventBufferEvent::sslRenegotiate",
        alias = "bufferevent_ssl_renegotiate"
    )]
    pub fn ssl_renegotiate(&self) -> Result<()> {
        const CALL: &str = "EventBufferEvent::sslRenegotiate";
        self.0.usable(CALL)?;
        Err(Error::State {
            call: CALL,
            reason: "renegotiation is off, and TLS 1.3 has none; make a new connection",
        })
    }

    /// Tells the peer that no more comes (`close_notify`), and goes on reading: TLS's half-close.
    /// From then on nothing can be written; a second call does nothing.
    ///
    /// Not in PHP. OpenSSL: `SSL_shutdown`.
    ///
    /// # Errors
    /// [`Error::State`] without TLS, before the end of the handshake, and while output waits:
    /// call it in the write callback; [`Error::Io`] of kind `WouldBlock` when the socket has no
    /// room for it just now, after which it may be called again; [`Error::Freed`],
    /// [`Error::Forked`].
    ///
    /// # Examples
    /// ```
    /// # use php_event::{BufferEventOptions, EventBase, EventBufferEvent, EventSslContext};
    /// # let base = EventBase::new()?;
    /// # let context = EventSslContext::new(EventSslContext::TLS_CLIENT_METHOD, &[])?;
    /// let tls = EventBufferEvent::ssl_unconnected(&base, &context, BufferEventOptions::empty())?;
    /// let error = tls.ssl_shutdown().unwrap_err();
    /// assert!(error.to_string().contains("wait for CONNECTED"));
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(alias = "SSL_shutdown")]
    pub fn ssl_shutdown(&self) -> Result<()> {
        const CALL: &str = "EventBufferEvent::ssl_shutdown";
        let stands = self.ssl(CALL, |tls| tls.ssl.is_init_finished())?;
        let reason = match stands {
            None => "it speaks no TLS",
            Some(false) => "the handshake is not over; wait for CONNECTED",
            Some(true) if self.output().length() > 0 => {
                "output waits to be written; call it in the write callback"
            }
            Some(true) => {
                let base = self.0.base();
                let said = base.calling(|| self.ssl(CALL, Tls::say_goodbye))?;
                return self.end_output(CALL, said == Some(true));
            }
        };
        Err(Error::State { call: CALL, reason })
    }

    /// Takes no more output after a goodbye that was said.
    fn end_output(&self, call: &'static str, said: bool) -> Result<()> {
        if !said {
            return Err(Error::io(call, io::ErrorKind::WouldBlock));
        }
        let raw = self.0.usable(call)?;
        // SAFETY: `raw` is not freed.
        let output = unsafe { ffi::bufferevent_get_output(raw) };
        // SAFETY: the output lives as long as `raw`.
        unsafe { ffi::evbuffer_freeze(output, 0) };
        Ok(())
    }

    /// Whether an end of the stream without a `close_notify` counts as an end, and not as an
    /// error. False unless it was set: who cuts the connection could cut the data short.
    ///
    /// PHP: the property `EventBufferEvent::$allow_ssl_dirty_shutdown`, which reads true
    /// without TLS. libevent: `bufferevent_openssl_get_allow_dirty_shutdown`.
    ///
    /// # Examples
    /// ```
    /// # use php_event::{BufferEventOptions, EventBase, EventBufferEvent, EventSslContext};
    /// # let base = EventBase::new()?;
    /// # let context = EventSslContext::new(EventSslContext::TLS_CLIENT_METHOD, &[])?;
    /// let tls = EventBufferEvent::ssl_unconnected(&base, &context, BufferEventOptions::empty())?;
    /// assert!(!tls.allow_ssl_dirty_shutdown());
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(
        alias = "EventBufferEvent::$allow_ssl_dirty_shutdown",
        alias = "bufferevent_openssl_get_allow_dirty_shutdown"
    )]
    #[must_use]
    pub fn allow_ssl_dirty_shutdown(&self) -> bool {
        let dirty = self.ssl("", |tls| tls.dirty.get());
        dirty.is_ok_and(|dirty| dirty == Some(true))
    }

    /// Sets whether an end of the stream without a `close_notify` counts as an end.
    ///
    /// PHP: the property `EventBufferEvent::$allow_ssl_dirty_shutdown`, without effect under
    /// OpenSSL 3. libevent: `bufferevent_openssl_set_allow_dirty_shutdown`.
    ///
    /// # Errors
    /// [`Error::State`] without TLS; [`Error::Freed`], [`Error::Forked`].
    ///
    /// # Examples
    /// ```
    /// # use php_event::{BufferEventOptions, EventBase, EventBufferEvent, EventSslContext};
    /// # let base = EventBase::new()?;
    /// # let context = EventSslContext::new(EventSslContext::TLS_CLIENT_METHOD, &[])?;
    /// let tls = EventBufferEvent::ssl_unconnected(&base, &context, BufferEventOptions::empty())?;
    /// tls.set_allow_ssl_dirty_shutdown(true)?;
    /// assert!(tls.allow_ssl_dirty_shutdown());
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(
        alias = "EventBufferEvent::$allow_ssl_dirty_shutdown",
        alias = "bufferevent_openssl_set_allow_dirty_shutdown"
    )]
    pub fn set_allow_ssl_dirty_shutdown(&self, allow: bool) -> Result<()> {
        const CALL: &str = "EventBufferEvent::$allow_ssl_dirty_shutdown";
        let raw = self.0.usable(CALL)?;
        if self.ssl(CALL, |tls| tls.dirty.set(allow))?.is_none() {
            return Err(Error::State {
                call: CALL,
                reason: "it speaks no TLS",
            });
        }
        // SAFETY: `raw` is not freed. OpenSSL 1.1 reports such an end by itself.
        unsafe { ffi::bufferevent_openssl_set_allow_dirty_shutdown(raw, allow.into()) };
        Ok(())
    }
}

/// OpenSSL's words for an error number, in the form that its own programs print.
fn text(error: c_ulong) -> String {
    // SAFETY: takes any number.
    let library = unsafe { ffi::openssl::ERR_lib_error_string(error) };
    // SAFETY: null, or a text that lives as long as the process.
    let library = unsafe { constant(library) };
    // SAFETY: takes any number.
    let reason = unsafe { ffi::openssl::ERR_reason_error_string(error) };
    // SAFETY: as above.
    let reason = unsafe { constant(reason) };
    format!(
        "error:{error:08X}:{}::{}",
        library.unwrap_or("unknown library"),
        reason.unwrap_or("unknown reason")
    )
}

/// # Safety
/// `text` is null, or ends with a NUL and lives as long as the process.
unsafe fn constant(text: *const c_char) -> Option<&'static str> {
    if text.is_null() {
        return None;
    }
    // SAFETY: the caller's duty.
    unsafe { CStr::from_ptr(text) }.to_str().ok()
}

//! How a session ends: `close_notify`, TLS's half-close, and ends without it.
//!
//! Owns: the event that waits for room to send `close_notify`, in [`Tls`]. Lends C nothing.
//! Runs no user code.
#![allow(unsafe_code)]

use std::os::fd::AsFd;
use std::rc::Rc;

use super::super::EventBufferEvent;
use super::super::ending::LINGER_MAX;
use super::super::{outliving, source::Source};
use super::{Tls, notify::UnsentNotify};
use crate::Event;
use crate::error::{Error, Result};
use crate::flags::EventFlags;
use crate::native::evbuffer::{Access, BufferView, End};
use crate::native::ssl::Notify;

/// How far this side is in closing the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closing {
    /// It can write, once the handshake is over.
    No,
    /// OpenSSL holds `close_notify`, because there is no room for it: nothing more can be written.
    Waiting,
    /// `close_notify` was sent, or is about to be: nothing more can be written.
    Sent,
    /// OpenSSL has reported an error: the peer is not told that all was sent.
    Failed,
}

impl Tls {
    pub(in super::super) fn is_dirty(&self) -> bool {
        self.allows_dirty_shutdown.get()
    }

    /// Whether OpenSSL has failed, in the handshake or after it: it sends nothing more.
    pub(in super::super) fn is_dead(&self) -> bool {
        self.closing.get() == Closing::Failed && !self.session.is_established()
    }

    /// Whether the handshake is over.
    pub(in super::super) fn is_established(&self) -> bool {
        self.session.is_established()
    }

    /// Whether what comes from the peer may still be data.
    pub(in super::super) fn may_take_more(&self) -> bool {
        let is_over = self.session.received_close_notify() || self.closing.get() == Closing::Failed;
        self.session.is_established() && !is_over
    }

    /// Whether the peer has sent data that nobody has read, or the session ends. To be asked while
    /// no write waits.
    pub(in super::super) fn has_news(&self) -> bool {
        self.closing.get() != Closing::No || self.session.has_news()
    }

    /// Whether `close_notify` can be sent: the handshake is over, and nothing has failed.
    fn is_open(&self) -> bool {
        let is_open = matches!(self.closing.get(), Closing::No | Closing::Waiting);
        is_open && self.session.is_established() && !self.is_foreign()
    }

    /// Sends `close_notify`, if it can be sent.
    fn send_close_notify(&self) -> Notify {
        if !self.is_open() {
            return Notify::Done;
        }
        let notify = self.session.send_close_notify();
        self.closing.set(match notify {
            Notify::Done => Closing::Sent,
            Notify::Waits => Closing::Waiting,
        });
        notify
    }

    /// Gives back the event that waits for room, to be dropped when nothing is borrowed.
    #[must_use]
    pub(in super::super) fn stop_waiting(&self) -> Option<Event> {
        self.room.take()
    }

    /// Ends the output: returns the record with `close_notify`, for the caller to send. It is
    /// empty if it cannot be sent.
    pub(in super::super) fn close_notify(&self) -> Vec<u8> {
        if !self.is_open() {
            return Vec::new();
        }
        self.closing.set(Closing::Sent);
        self.session.close_notify()
    }

    /// Writes the output of the buffer event that has this session, as far as that goes at once.
    pub(in super::super) fn write_now(&self, output: BufferView<'_>) {
        if output.length() == 0 || self.is_foreign() || !self.session.is_established() {
            return;
        }
        // SAFETY: the session writes to its socket, or to the output of what is under it; no
        // closure runs there.
        unsafe { output.offer_all(|bytes| self.session.write(bytes)) };
    }
}

impl EventBufferEvent {
    /// Ends the output: sends `close_notify`, and goes on reading (TLS's half-close). Nothing can
    /// be written after it. If there is no room for it in the socket, the loop sends it once the
    /// peer has read. A second call does nothing.
    ///
    /// Not in PHP. OpenSSL: `SSL_shutdown`.
    ///
    /// # Errors
    /// [`Error::State`] without TLS, before the end of the handshake, and while output is
    /// waiting: call it in the write callback; [`Error::Call`] when the loop cannot wait for room:
    /// call it again later; [`Error::Freed`], [`Error::Forked`].
    ///
    /// # Examples
    /// ```
    /// # use php_event::{BufferEventOptions, EventBase, EventBufferEvent, EventSslContext};
    /// # let base = EventBase::new()?;
    /// # let context = EventSslContext::new(EventSslContext::TLS_CLIENT_METHOD, &[])?;
    /// let state = EventBufferEvent::SSL_CONNECTING;
    /// let tls = EventBufferEvent::ssl_unconnected(&base, &context, state, BufferEventOptions::empty())?;
    /// let error = tls.ssl_shutdown().unwrap_err();
    /// assert!(error.to_string().contains("wait for CONNECTED"));
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(alias = "SSL_shutdown")]
    pub fn ssl_shutdown(&self) -> Result<()> {
        const CALL: &str = "EventBufferEvent::ssl_shutdown";
        let established = self.ssl(CALL, |tls| tls.session.is_established())?;
        let reason = match established {
            None => "it speaks no TLS",
            Some(false) => "the handshake is not over; wait for CONNECTED",
            Some(true) if self.output().length() > 0 => {
                "output is waiting; call it in the write callback"
            }
            Some(true) => {
                let base = self.0.base();
                let notify = base.calling(|| self.ssl(CALL, Tls::send_close_notify))?;
                self.end_output(CALL)?;
                return self.wait_for_room(CALL, notify);
            }
        };
        Err(Error::State { call: CALL, reason })
    }

    /// What tells the peer that no more comes, unless output waits.
    pub(in super::super) fn close_notify(&self) -> Vec<u8> {
        match self.0.tls() {
            Some(tls) if self.output().length() == 0 => tls.close_notify(),
            _ => Vec::new(),
        }
    }

    /// Sends that over a socket that libevent has let go of.
    pub(in super::super) fn send_close_notify(&self, socket: Option<&Rc<Source>>, record: Vec<u8>) {
        let limit = self.0.settings.write_timeout.get().unwrap_or(LINGER_MAX);
        if let Some(socket) = socket
            && let Some(rest) = UnsentNotify::of(record, socket.as_fd(), limit)
        {
            outliving::keep_open(&self.0.base(), Rc::clone(socket), rest);
        }
    }

    /// Goes on with a `close_notify` that waits for room.
    pub(in super::super) fn resume_shutdown(&self) {
        let waits = |tls: &Tls| tls.closing.get() == Closing::Waiting;
        if !self.0.tls().as_deref().is_some_and(waits) {
            return;
        }
        if let Ok(notify) = self.ssl("", Tls::send_close_notify) {
            self.wait_for_room("", notify).ok(); // without memory the peer gets no `close_notify`
        }
    }

    /// Waits for room in the socket. What is under a filter reports by itself that it has room.
    fn wait_for_room(&self, call: &'static str, notify: Option<Notify>) -> Result<()> {
        let present = self.0.tls().and_then(|tls| tls.stop_waiting());
        let (Some(Notify::Waits), Some(socket)) = (notify, self.0.source()) else {
            drop(present); // nothing is borrowed
            return Ok(());
        };
        let event = match present {
            Some(event) => event,
            None => {
                let weak = Rc::downgrade(&self.0);
                let on_room = move |_: &Rc<Source>, _what| {
                    if let Some(inner) = weak.upgrade() {
                        Self(inner).resume_shutdown();
                    }
                };
                Event::source_on(call, &self.0.base(), socket, EventFlags::WRITE, on_room)?
            }
        };
        event.add(None)?;
        if let Some(tls) = self.0.tls() {
            tls.room.replace(Some(event)); // it was taken out above
        }
        Ok(())
    }

    /// Accepts no more output.
    fn end_output(&self, call: &'static str) -> Result<()> {
        let output = self.0.usable(call)?.output(Access::Output, call);
        output.set_frozen(End::Back, true);
        Ok(())
    }

    /// Whether an end of the stream without `close_notify` is reported as `EOF`, not as `ERROR`.
    /// False by default: an attacker can cut the connection to cut the data short.
    ///
    /// PHP: the property `EventBufferEvent::$allow_ssl_dirty_shutdown`, which reads true
    /// without TLS. libevent: `bufferevent_openssl_get_allow_dirty_shutdown`.
    ///
    /// # Examples
    /// ```
    /// # use php_event::{BufferEventOptions, EventBase, EventBufferEvent, EventSslContext};
    /// # let base = EventBase::new()?;
    /// # let context = EventSslContext::new(EventSslContext::TLS_CLIENT_METHOD, &[])?;
    /// let state = EventBufferEvent::SSL_CONNECTING;
    /// let tls = EventBufferEvent::ssl_unconnected(&base, &context, state, BufferEventOptions::empty())?;
    /// assert!(!tls.allow_ssl_dirty_shutdown());
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(
        alias = "EventBufferEvent::$allow_ssl_dirty_shutdown",
        alias = "bufferevent_openssl_get_allow_dirty_shutdown"
    )]
    #[must_use]
    pub fn allow_ssl_dirty_shutdown(&self) -> bool {
        let dirty = self.ssl("", Tls::is_dirty);
        dirty.is_ok_and(|dirty| dirty == Some(true))
    }

    /// Sets whether an end of the stream without `close_notify` is reported as `EOF`.
    ///
    /// PHP: the property `EventBufferEvent::$allow_ssl_dirty_shutdown`, which has no effect under
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
    /// let state = EventBufferEvent::SSL_CONNECTING;
    /// let tls = EventBufferEvent::ssl_unconnected(&base, &context, state, BufferEventOptions::empty())?;
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
        let bev = self.0.usable(CALL)?.tls();
        let set = self.ssl(CALL, |tls| {
            tls.allows_dirty_shutdown.set(allow);
            bev.allow_dirty_shutdown(allow);
        })?;
        set.ok_or(Error::State {
            call: CALL,
            reason: "it speaks no TLS",
        })
    }
}

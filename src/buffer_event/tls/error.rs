//! OpenSSL's errors of a connection.
//!
//! Owns: their numbers, in [`Tls`]. Lends nothing to C, runs no user code.
#![allow(unsafe_code)]

use std::ffi::c_ulong;

use php_event_macros::php;

use super::super::EventBufferEvent;
use super::Tls;
use super::close::Closing;
#[cfg(doc)]
use crate::Error;
use crate::error::Result;
use crate::ffi;
use crate::native::bufferevent_ssl::TlsBufferEvent;
use crate::native::ssl::error_text;

/// OpenSSL's number for an end of the stream without a `close_notify`.
const UNEXPECTED_EOF: i32 = 294;

/// OpenSSL's number for its TLS part (`ERR_LIB_SSL`).
const SSL_LIBRARY: i32 = 20;

/// Most OpenSSL errors kept per connection: the first ones, which name the cause.
const ERRORS_MAX: usize = 16;

impl Tls {
    /// Takes the errors that libevent has noted. Whether the only one is an end without
    /// `close_notify`, and that is allowed.
    pub(super) fn collect(&self, bev: TlsBufferEvent<'_>) -> bool {
        let found = bev.take_errors();
        let is_end = |error: &c_ulong| ffi::openssl::ERR_GET_REASON(*error) == UNEXPECTED_EOF;
        let allowed = self.allows_dirty_shutdown.get() && self.session.was_established();
        if allowed && !found.is_empty() && found.iter().all(is_end) {
            return true;
        }
        self.fail(found);
        false
    }

    /// Notes that the peer has ended too early, unless there is a failure already: OpenSSL has not
    /// seen it.
    pub(super) fn note_truncation(&self) {
        if self.closing.get() == Closing::Failed {
            return;
        }
        let error = ffi::openssl::ERR_PACK(SSL_LIBRARY, 0, UNEXPECTED_EOF);
        self.fail(vec![error]);
    }

    fn fail(&self, found: Vec<c_ulong>) {
        if found.is_empty() {
            return;
        }
        self.closing.set(Closing::Failed);
        let mut errors = self.errors.borrow_mut();
        let room = ERRORS_MAX.saturating_sub(errors.len());
        errors.extend(found.into_iter().take(room));
    }
}

impl EventBufferEvent {
    /// Takes the oldest of OpenSSL's errors, as text. `None` when there is none: nothing failed,
    /// or a system call did. For a refused certificate the text includes the reason.
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
    #[php(
        "EventBufferEvent::sslError",
        php_note = ", which adds a meaningless entry after each",
        c = "bufferevent_get_openssl_error"
    )]
    pub fn ssl_error(&self) -> Result<Option<String>> {
        let bev = self.0.usable(CALL)?.tls();
        let error = self.ssl(CALL, |tls| {
            if tls.errors.borrow().is_empty() {
                tls.collect(bev);
            }
            let mut errors = tls.errors.borrow_mut();
            let error = (!errors.is_empty()).then(|| errors.remove(0))?;
            Some(tls.refusal(error).unwrap_or_else(|| error_text(error)))
        })?;
        Ok(error.flatten())
    }
}

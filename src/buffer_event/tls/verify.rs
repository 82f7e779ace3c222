//! Which host a client expects to reach, and why a peer's certificate was refused.
//!
//! Owns, lends to C: nothing. Runs no user code.

use std::cell::Cell;
use std::ffi::c_ulong;

use openssl::x509::X509VerifyResult;

use super::super::EventBufferEvent;
use super::Tls;
use crate::error::{Error, Result};
use crate::native::ssl::error_text;

/// Which side of the connection this is.
pub(super) enum Role {
    Client(Cell<Host>),
    Server,
}

/// Whether a client was told its server's name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Host {
    Unnamed,
    Named,
}

impl Role {
    pub(super) fn client() -> Self {
        Self::Client(Cell::new(Host::Unnamed))
    }

    fn is_unnamed_client(&self) -> bool {
        matches!(self, Self::Client(host) if host.get() == Host::Unnamed)
    }
}

impl Tls {
    /// Why the peer's certificate was refused, if that is what the error says.
    pub(super) fn refusal(&self, error: c_ulong) -> Option<String> {
        let result = self.session.as_ref().verify_result();
        let text = error_text(error);
        if result == X509VerifyResult::OK || !text.contains("certificate verify failed") {
            return None;
        }
        let hint = match self.role.is_unnamed_client() && self.context.verifies_host() {
            true => "; the host was not named: call set_ssl_host",
            false => "",
        };
        Some(format!("{text} ({}{hint})", result.error_string()))
    }
}

impl EventBufferEvent {
    /// Sets the host that a client expects: it sends the name to the server (SNI), and the
    /// server's certificate must have it. A numeric address is not sent, but must be in the
    /// certificate. The last call counts. `connect` and `connect_host` name their host unless
    /// this was called before.
    ///
    /// Not in PHP, which compares no host names. OpenSSL: `SSL_set_tlsext_host_name`,
    /// `SSL_set1_host`.
    ///
    /// # Errors
    /// [`Error::State`] without TLS, on a server's side, and after the handshake;
    /// [`Error::Argument`] for an invalid host name; [`Error::Freed`], [`Error::Forked`].
    ///
    /// # Examples
    /// ```
    /// # use php_event::{BufferEventOptions, EventBase, EventBufferEvent, EventSslContext};
    /// # let base = EventBase::new()?;
    /// # let context = EventSslContext::new(EventSslContext::TLS_CLIENT_METHOD, &[])?;
    /// let state = EventBufferEvent::SSL_CONNECTING;
    /// let tls = EventBufferEvent::ssl_unconnected(&base, &context, state, BufferEventOptions::empty())?;
    /// tls.set_ssl_host("example.com")?;
    /// assert!(tls.set_ssl_host("no host name").is_err());
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(alias = "SSL_set1_host", alias = "SSL_set_tlsext_host_name")]
    pub fn set_ssl_host(&self, host: &str) -> Result<()> {
        const CALL: &str = "EventBufferEvent::set_ssl_host";
        self.0.usable(CALL)?;
        let mut carrier = self.0.carrier.borrow_mut();
        let state = |reason| Err(Error::State { call: CALL, reason });
        let Some(tls) = carrier.tls_mut() else {
            return state("it speaks no TLS");
        };
        let Role::Client(named) = &tls.role else {
            return state("a server does not choose its client's name");
        };
        if tls.session.is_established() {
            return state("the handshake is over; name the host before");
        }
        tls.context.expect_host(CALL, tls.session.as_mut(), host)?;
        named.set(Host::Named);
        Ok(())
    }

    /// Names the host that is being connected to, unless the user has named one.
    pub(in super::super) fn name_host(&self, host: &str) -> Result<()> {
        let is_unnamed = |tls: &Tls| tls.role.is_unnamed_client();
        if self.0.tls().as_deref().is_some_and(is_unnamed) {
            self.set_ssl_host(host)?;
        }
        Ok(())
    }
}

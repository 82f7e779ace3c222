//! What the two sides of a session have agreed on.
//!
//! Owns, lends to C: nothing. Runs no user code.

use openssl::ssl::SslRef;

use php_event_macros::php;

use super::super::EventBufferEvent;
use super::Tls;
use crate::error::{Error, Result};

/// What OpenSSL calls the cipher of a session that has none yet.
const NO_CIPHER: &str = "(NONE)";

impl EventBufferEvent {
    /// The version of the protocol in use, such as `TLSv1.3`; `None` without TLS and before
    /// the handshake.
    ///
    /// With [PECL's defaults](crate::EventSslContext::with_php_defaults) it is, before the
    /// handshake, the newest version that can be spoken.
    ///
    /// OpenSSL: `SSL_get_version`.
    ///
    /// # Errors
    /// [`Error::Freed`], [`Error::Forked`].
    ///
    /// # Examples
    /// ```
    /// # use php_event::{BufferEventOptions, EventBase, EventBufferEvent, EventSslContext};
    /// # let base = EventBase::new()?;
    /// # let context = EventSslContext::new(EventSslContext::TLS_CLIENT_METHOD, &[])?;
    /// # let state = EventBufferEvent::SSL_CONNECTING;
    /// # let tls = EventBufferEvent::ssl_unconnected(&base, &context, state, BufferEventOptions::empty())?;
    /// assert_eq!(tls.ssl_get_protocol()?, None); // until CONNECTED was told
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php("EventBufferEvent::sslGetProtocol")]
    #[doc(alias = "SSL_get_version")]
    pub fn ssl_get_protocol(&self) -> Result<Option<String>> {
        let version = self.ssl(CALL, |tls| {
            let ssl = tls.session.as_ref();
            let answers = ssl.current_cipher().is_some() || tls.context.has_php_defaults();
            answers.then(|| ssl.version_str().to_owned())
        })?;
        Ok(version.flatten())
    }

    /// The name of the cipher in use; `None` without TLS and before the handshake.
    ///
    /// With [PECL's defaults](crate::EventSslContext::with_php_defaults) it is `(NONE)` before
    /// the handshake.
    ///
    /// OpenSSL: `SSL_get_cipher_name`.
    ///
    /// # Errors
    /// [`Error::Freed`], [`Error::Forked`].
    ///
    /// # Examples
    /// ```
    /// # use php_event::{BufferEventOptions, EventBase, EventBufferEvent, EventSslContext};
    /// # let base = EventBase::new()?;
    /// # let context = EventSslContext::new(EventSslContext::TLS_CLIENT_METHOD, &[])?;
    /// # let state = EventBufferEvent::SSL_CONNECTING;
    /// # let tls = EventBufferEvent::ssl_unconnected(&base, &context, state, BufferEventOptions::empty())?;
    /// assert_eq!(tls.ssl_get_cipher_name()?, None); // until CONNECTED was told
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php("EventBufferEvent::sslGetCipherName")]
    #[doc(alias = "SSL_get_cipher_name")]
    pub fn ssl_get_cipher_name(&self) -> Result<Option<String>> {
        self.cipher(CALL, |ssl| Some(ssl.current_cipher()?.name().to_owned()))
    }

    /// The version of the protocol that introduced the cipher in use; `None` without TLS and
    /// before the handshake.
    ///
    /// With [PECL's defaults](crate::EventSslContext::with_php_defaults) it is `(NONE)` before
    /// the handshake.
    ///
    /// OpenSSL: `SSL_get_cipher_version`.
    ///
    /// # Errors
    /// [`Error::Freed`], [`Error::Forked`].
    ///
    /// # Examples
    /// ```
    /// # use php_event::{BufferEventOptions, EventBase, EventBufferEvent, EventSslContext};
    /// # let base = EventBase::new()?;
    /// # let context = EventSslContext::new(EventSslContext::TLS_CLIENT_METHOD, &[])?;
    /// # let state = EventBufferEvent::SSL_CONNECTING;
    /// # let tls = EventBufferEvent::ssl_unconnected(&base, &context, state, BufferEventOptions::empty())?;
    /// assert_eq!(tls.ssl_get_cipher_version()?, None); // until CONNECTED was told
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php("EventBufferEvent::sslGetCipherVersion")]
    #[doc(alias = "SSL_get_cipher_version")]
    pub fn ssl_get_cipher_version(&self) -> Result<Option<String>> {
        self.cipher(CALL, |ssl| Some(ssl.current_cipher()?.version().to_owned()))
    }

    /// OpenSSL's description of the cipher in use, without its newline; `None` without TLS and
    /// before the handshake.
    ///
    /// OpenSSL: `SSL_CIPHER_description`.
    ///
    /// # Errors
    /// [`Error::Freed`], [`Error::Forked`].
    ///
    /// # Examples
    /// ```
    /// # use php_event::{BufferEventOptions, EventBase, EventBufferEvent, EventSslContext};
    /// # let base = EventBase::new()?;
    /// # let context = EventSslContext::new(EventSslContext::TLS_CLIENT_METHOD, &[])?;
    /// # let state = EventBufferEvent::SSL_CONNECTING;
    /// # let tls = EventBufferEvent::ssl_unconnected(&base, &context, state, BufferEventOptions::empty())?;
    /// assert_eq!(tls.ssl_get_cipher_info()?, None); // until CONNECTED was told
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php("EventBufferEvent::sslGetCipherInfo")]
    #[doc(alias = "SSL_CIPHER_description")]
    pub fn ssl_get_cipher_info(&self) -> Result<Option<String>> {
        let info = self.ssl(CALL, |tls| {
            let cipher = tls.session.as_ref().current_cipher()?;
            Some(cipher.description().trim_end().to_owned())
        })?;
        Ok(info.flatten())
    }

    fn cipher(
        &self,
        call: &'static str,
        of: impl FnOnce(&SslRef) -> Option<String>,
    ) -> Result<Option<String>> {
        let text = self.ssl(call, |tls: &Tls| {
            let none = || tls.context.has_php_defaults().then(|| NO_CIPHER.to_owned());
            of(tls.session.as_ref()).or_else(none)
        })?;
        Ok(text.flatten())
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
    /// # let state = EventBufferEvent::SSL_CONNECTING;
    /// # let tls = EventBufferEvent::ssl_unconnected(&base, &context, state, BufferEventOptions::empty())?;
    /// assert_eq!(tls.ssl_get_alpn()?, None); // until CONNECTED was told
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(alias = "SSL_get0_alpn_selected")]
    pub fn ssl_get_alpn(&self) -> Result<Option<String>> {
        let protocol = self.ssl("EventBufferEvent::ssl_get_alpn", |tls| {
            let chosen = tls.session.as_ref().selected_alpn_protocol()?;
            Some(String::from_utf8_lossy(chosen).into_owned())
        })?;
        Ok(protocol.flatten())
    }

    /// Refuses to renegotiate: TLS 1.3 has no renegotiation, and contexts turn that of TLS 1.2
    /// off, because it has been attacked, and costs a server more than its client.
    ///
    /// # Errors
    /// [`Error::State`] always; [`Error::Freed`], [`Error::Forked`].
    ///
    /// # Examples
    /// ```
    /// # use php_event::{BufferEventOptions, EventBase, EventBufferEvent, EventSslContext};
    /// # let base = EventBase::new()?;
    /// # let context = EventSslContext::new(EventSslContext::TLS_CLIENT_METHOD, &[])?;
    /// # let state = EventBufferEvent::SSL_CONNECTING;
    /// # let tls = EventBufferEvent::ssl_unconnected(&base, &context, state, BufferEventOptions::empty())?;
    /// assert!(tls.ssl_renegotiate().is_err());
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php("EventBufferEvent::sslRenegotiate", c = "bufferevent_ssl_renegotiate")]
    pub fn ssl_renegotiate(&self) -> Result<()> {
        self.0.usable(CALL)?;
        Err(Error::State {
            call: CALL,
            reason: "renegotiation is off, and TLS 1.3 has none; make a new connection",
        })
    }
}

//! What the two sides of a session have agreed on.
//!
//! Owns, lends to C: nothing. Runs no user code.

use openssl::ssl::SslRef;

use super::super::EventBufferEvent;
use crate::error::{Error, Result};

impl EventBufferEvent {
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
            let done = tls.session.as_ref().current_cipher().is_some();
            done.then(|| tls.session.as_ref().version_str().to_owned())
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
        Ok(self.ssl(call, |tls| of(tls.session.as_ref()))?.flatten())
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
}

//! `EventSslContext`: certificates, keys and rules of TLS connections.
//!
//! Owns: one OpenSSL context, and all it was made from. OpenSSL counts its context, so a
//! connection keeps the one that it was made with, whatever happens to this.
//! Lent to C: to OpenSSL, what the `openssl` crate passes on. Runs user code: none.

use std::cell::RefCell;
use std::fmt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use openssl::ssl::SslContext;

use php_event_macros::php;

#[cfg(doc)]
use crate::Error;
use crate::error::Result;
use options::Options;
use settings::{Defaults, Kind, Settings};

mod alpn;
mod connection;
mod constants;
mod host;
mod options;
mod pem;
mod queue;
mod settings;
#[cfg(test)]
mod tests;
mod trust;
mod versions;

pub use constants::{SslMethod, SslOption, SslVersion};
pub use options::SslValue;

const CREATE: &str = "EventSslContext::__construct";

/// Certificates, keys and rules of TLS connections.
///
/// Unlike in PHP a client verifies its server, unless [`OPT_VERIFY_PEER`](Self::OPT_VERIFY_PEER)
/// is false. It trusts the system's authorities or, where [`OPT_CA_FILE`](Self::OPT_CA_FILE) or
/// [`OPT_CA_PATH`](Self::OPT_CA_PATH) is given, those alone, and the certificate must name the
/// host that it connects to. A server with [`OPT_VERIFY_PEER`](Self::OPT_VERIFY_PEER) and
/// without authorities trusts no client. The lowest version is TLS 1.2, unless
/// [`set_min_proto_version`](Self::set_min_proto_version) allows less. Compression and
/// renegotiation are always off.
///
/// A handle is counted: a clone is the same context. A setter affects the connections made
/// after it. A context can be dropped before its connections.
///
/// PHP: `EventSslContext`. OpenSSL: `SSL_CTX`.
///
/// # Examples
/// ```
/// use php_event::EventSslContext;
///
/// let client = EventSslContext::new(EventSslContext::TLS_CLIENT_METHOD, &[
///     (EventSslContext::OPT_VERIFY_DEPTH, 5.into()),
/// ])?;
/// client.set_min_proto_version(EventSslContext::TLS1_3_VERSION)?;
/// # Ok::<(), php_event::EventException>(())
/// ```
/// A server that accepts clients with a certificate of its own authority:
/// ```no_run
/// use php_event::EventSslContext;
///
/// let server = EventSslContext::new(EventSslContext::TLS_SERVER_METHOD, &[
///     (EventSslContext::OPT_LOCAL_CERT, "cert.pem".into()),
///     (EventSslContext::OPT_LOCAL_PK, "key.pem".into()),
///     (EventSslContext::OPT_PASSPHRASE, "secret".into()),
///     (EventSslContext::OPT_CA_FILE, "clients.pem".into()),
///     (EventSslContext::OPT_REQUIRE_CLIENT_CERT, true.into()),
/// ])?;
/// # Ok::<(), php_event::EventException>(())
/// ```
#[derive(Clone)]
#[doc(alias = "SSL_CTX")]
#[must_use = "a context does nothing by itself; give it to what speaks TLS"]
pub struct EventSslContext(Rc<Inner>);

struct Inner {
    method: SslMethod,
    state: RefCell<State>,
}

/// The settings, and the context built from them.
struct State {
    settings: Settings,
    built: SslContext,
}

impl EventSslContext {
    /// Makes a context, and loads the files that the options name.
    ///
    /// The order of the options does not matter. The last value of a repeated option counts.
    ///
    /// OpenSSL: `SSL_CTX_new`.
    ///
    /// # Errors
    /// [`Error::Argument`] for a value of the wrong type, and for options that contradict each
    /// other; [`Error::Io`] for a file that cannot be read; [`Error::Call`] for a file with the
    /// wrong content or that is not a regular file, a key that does not match the certificate or
    /// its passphrase, and a cipher list without any known cipher.
    ///
    /// # Examples
    /// ```
    /// use php_event::EventSslContext;
    ///
    /// let options = [(EventSslContext::OPT_LOCAL_CERT, 5.into())];
    /// let error = EventSslContext::new(EventSslContext::TLS_SERVER_METHOD, &options).unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "EventSslContext::__construct: OPT_LOCAL_CERT wants a path, as text, not the number 5"
    /// );
    /// ```
    #[php(
        "EventSslContext::__construct",
        php_note = ", which warns about a bad file, ignores a missing one, and may leave a context that crashes"
    )]
    #[doc(alias = "SSL_CTX_new")]
    pub fn new(method: SslMethod, options: &[(SslOption, SslValue)]) -> Result<Self> {
        Self::make(method, Defaults::Strict, options)
    }

    /// Makes a context with PECL's defaults, for embedders: bindings that run PHP programs
    /// unchanged. Others use [`new`](Self::new).
    ///
    /// - No peer is verified unless [`OPT_VERIFY_PEER`](Self::OPT_VERIFY_PEER) is true, and
    ///   then by [`OPT_CA_FILE`](Self::OPT_CA_FILE) and [`OPT_CA_PATH`](Self::OPT_CA_PATH)
    ///   alone: the system's authorities are not asked.
    ///   [`OPT_REQUIRE_CLIENT_CERT`](Self::OPT_REQUIRE_CLIENT_CERT) has an effect only
    ///   together with it.
    /// - No certificate has to name the host, unless
    ///   [`set_verify_host`](Self::set_verify_host) asks for it.
    /// - A server may lack a certificate: its handshakes fail, with "no shared cipher".
    /// - Before the handshake [`ssl_get_protocol`](crate::EventBufferEvent::ssl_get_protocol)
    ///   returns the newest version that can be spoken, and the cipher's name and version are
    ///   `(NONE)`.
    ///
    /// What `new` checks is checked here too: a file that cannot be read is an `Err`.
    ///
    /// OpenSSL: `SSL_CTX_new`.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    ///
    /// # Examples
    /// ```
    /// use php_event::{BufferEventOptions, EventBase, EventBufferEvent, EventSslContext};
    ///
    /// let base = EventBase::new()?;
    /// let method = EventSslContext::TLS_SERVER_METHOD;
    /// let bare = EventSslContext::with_php_defaults(method, &[])?;
    /// let tls = EventBufferEvent::ssl_unconnected(
    ///     &base, &bare, EventBufferEvent::SSL_ACCEPTING, BufferEventOptions::empty(),
    /// )?;
    /// assert_eq!(tls.ssl_get_cipher_name()?.as_deref(), Some("(NONE)"));
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php("EventSslContext::__construct")]
    pub fn with_php_defaults(method: SslMethod, options: &[(SslOption, SslValue)]) -> Result<Self> {
        Self::make(method, Defaults::Php, options)
    }

    fn make(
        method: SslMethod,
        defaults: Defaults,
        options: &[(SslOption, SslValue)],
    ) -> Result<Self> {
        let kind = Kind {
            is_server: method.is_server(),
            defaults,
        };
        queue::clean(|| {
            let settings = Settings::load(kind, Options::read(options)?)?;
            let built = settings.build(CREATE)?;
            let state = RefCell::new(State { settings, built });
            Ok(Self(Rc::new(Inner { method, state })))
        })
    }

    /// Changes a copy of the settings, and installs it if OpenSSL accepts it.
    fn change(
        &self,
        call: &'static str,
        edit: impl FnOnce(&mut Settings) -> Result<()>,
    ) -> Result<()> {
        queue::clean(|| {
            let mut settings = self.0.state.borrow().settings.clone();
            edit(&mut settings)?;
            let built = settings.build(call)?;
            self.0.state.replace(State { settings, built });
            Ok(())
        })
    }

    /// The method that the context was made with.
    ///
    /// # Examples
    /// ```
    /// use php_event::EventSslContext;
    ///
    /// let context = EventSslContext::new(EventSslContext::TLS_CLIENT_METHOD, &[])?;
    /// assert_eq!(context.method(), EventSslContext::TLS_CLIENT_METHOD);
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[must_use]
    pub fn method(&self) -> SslMethod {
        self.0.method
    }

    /// Sets the lowest version that connections made from now on speak.
    ///
    /// OpenSSL: `SSL_CTX_set_min_proto_version`. PHP's 0, for any version, cannot be given.
    ///
    /// # Errors
    /// [`Error::Argument`] for SSL 3 and DTLS, and when no version is left between this and the
    /// maximum that no option excludes. The context is unchanged then.
    ///
    /// # Examples
    /// ```
    /// use php_event::EventSslContext;
    ///
    /// let context = EventSslContext::new(EventSslContext::TLS_CLIENT_METHOD, &[])?;
    /// context.set_min_proto_version(EventSslContext::TLS1_3_VERSION)?;
    /// assert!(context.set_min_proto_version(EventSslContext::DTLS1_VERSION).is_err());
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php(
        "EventSslContext::setMinProtoVersion",
        php_note = ", which answers true whatever it is given"
    )]
    #[doc(alias = "SSL_CTX_set_min_proto_version")]
    pub fn set_min_proto_version(&self, proto: SslVersion) -> Result<()> {
        self.change(CALL, |settings| settings.set_min(CALL, proto))
    }

    /// Sets the highest version that connections made from now on speak.
    ///
    /// OpenSSL: `SSL_CTX_set_max_proto_version`.
    ///
    /// # Errors
    /// As [`set_min_proto_version`](Self::set_min_proto_version): to go below TLS 1.2, lower
    /// the minimum first.
    ///
    /// # Examples
    /// ```
    /// use php_event::EventSslContext;
    ///
    /// let context = EventSslContext::new(EventSslContext::TLS_CLIENT_METHOD, &[])?;
    /// context.set_max_proto_version(EventSslContext::TLS1_2_VERSION)?;
    /// assert!(context.set_max_proto_version(EventSslContext::TLS1_1_VERSION).is_err());
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php(
        "EventSslContext::setMaxProtoVersion",
        php_note = ", which answers true whatever it is given"
    )]
    #[doc(alias = "SSL_CTX_set_max_proto_version")]
    pub fn set_max_proto_version(&self, proto: SslVersion) -> Result<()> {
        self.change(CALL, |settings| settings.set_max(CALL, proto))
    }

    /// The file that the certificate was loaded from.
    ///
    /// PHP: the property `EventSslContext::$local_cert`.
    ///
    /// # Examples
    /// ```
    /// use php_event::EventSslContext;
    ///
    /// let context = EventSslContext::new(EventSslContext::TLS_SERVER_METHOD, &[])?;
    /// assert_eq!(context.local_cert(), None);
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(alias = "EventSslContext::$local_cert")]
    #[must_use]
    pub fn local_cert(&self) -> Option<PathBuf> {
        let state = self.0.state.borrow();
        state.settings.local_cert().map(Path::to_owned)
    }

    /// Loads this side's certificate and the intermediate ones.
    ///
    /// The key is read again from the file named by [`local_pk`](Self::local_pk), or else from
    /// the same file. To load a renewed certificate, set the same path again.
    ///
    /// PHP: the property `EventSslContext::$local_cert`, whose value does not change when it is
    /// written, and which loads a certificate before its key; here the key comes first.
    /// OpenSSL: `SSL_CTX_use_certificate_chain_file`.
    ///
    /// # Errors
    /// As [`new`](Self::new). The context is unchanged then.
    ///
    /// # Examples
    /// ```
    /// use php_event::EventSslContext;
    ///
    /// let context = EventSslContext::new(EventSslContext::TLS_SERVER_METHOD, &[])?;
    /// let error = context.set_local_cert("/nowhere/cert.pem").unwrap_err();
    /// assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    /// assert_eq!(context.local_cert(), None);
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(
        alias = "EventSslContext::$local_cert",
        alias = "SSL_CTX_use_certificate_chain_file"
    )]
    pub fn set_local_cert(&self, path: impl AsRef<Path>) -> Result<()> {
        const CALL: &str = "EventSslContext::$local_cert";
        let path = path.as_ref(); // it may change the context
        self.change(CALL, |settings| settings.set_local_cert(CALL, path))
    }

    /// The file that the key was loaded from; `None` where it came with the certificate.
    ///
    /// PHP: the property `EventSslContext::$local_pk`.
    ///
    /// # Examples
    /// ```
    /// use php_event::EventSslContext;
    ///
    /// let context = EventSslContext::new(EventSslContext::TLS_SERVER_METHOD, &[])?;
    /// assert_eq!(context.local_pk(), None);
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(alias = "EventSslContext::$local_pk")]
    #[must_use]
    pub fn local_pk(&self) -> Option<PathBuf> {
        let state = self.0.state.borrow();
        state.settings.local_pk().map(Path::to_owned)
    }

    /// Loads this side's private key. Without a certificate it waits for
    /// [`set_local_cert`](Self::set_local_cert).
    ///
    /// PHP: the property `EventSslContext::$local_pk`, whose value does not change when it is
    /// written. OpenSSL: `SSL_CTX_use_PrivateKey_file`.
    ///
    /// # Errors
    /// As [`new`](Self::new). The context is unchanged then.
    ///
    /// # Examples
    /// ```
    /// use php_event::EventSslContext;
    ///
    /// let context = EventSslContext::new(EventSslContext::TLS_SERVER_METHOD, &[])?;
    /// let error = context.set_local_pk("/nowhere/key.pem").unwrap_err();
    /// assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    /// assert_eq!(context.local_pk(), None);
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(
        alias = "EventSslContext::$local_pk",
        alias = "SSL_CTX_use_PrivateKey_file"
    )]
    pub fn set_local_pk(&self, path: impl AsRef<Path>) -> Result<()> {
        const CALL: &str = "EventSslContext::$local_pk";
        let path = path.as_ref(); // it may change the context
        self.change(CALL, |settings| settings.set_local_pk(CALL, path))
    }

    /// Sets the application protocols (ALPN), in order of preference; an empty list turns ALPN
    /// off.
    ///
    /// A client offers them. A server chooses its first one that the client offers, refuses a
    /// client that offers only others, and accepts a client that offers none.
    ///
    /// Not in PHP. OpenSSL: `SSL_CTX_set_alpn_protos`, `SSL_CTX_set_alpn_select_cb`.
    ///
    /// # Errors
    /// [`Error::Argument`] for a name that is empty or longer than 255 bytes, and for more
    /// than 64 KiB of names.
    ///
    /// # Examples
    /// ```
    /// use php_event::EventSslContext;
    ///
    /// let context = EventSslContext::new(EventSslContext::TLS_CLIENT_METHOD, &[])?;
    /// context.set_alpn_protocols(&["h2", "http/1.1"])?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(
        alias = "SSL_CTX_set_alpn_protos",
        alias = "SSL_CTX_set_alpn_select_cb"
    )]
    pub fn set_alpn_protocols(&self, protocols: &[&str]) -> Result<()> {
        const CALL: &str = "EventSslContext::set_alpn_protocols";
        self.change(CALL, |settings| settings.set_alpn(CALL, protocols))
    }

    /// Sets whether a client that verifies its server also requires the certificate to name the
    /// host. It does by default.
    ///
    /// Without this, anyone with a valid certificate can impersonate the server. Turn it off
    /// only for authorities that sign for one server.
    ///
    /// Not in PHP, where no name is ever compared. OpenSSL: `X509_VERIFY_PARAM_set1_host`.
    ///
    /// # Errors
    /// [`Error::Call`] when OpenSSL fails to make the changed context.
    ///
    /// # Examples
    /// ```
    /// use php_event::EventSslContext;
    ///
    /// let context = EventSslContext::new(EventSslContext::TLS_CLIENT_METHOD, &[])?;
    /// context.set_verify_host(false)?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(alias = "X509_VERIFY_PARAM_set1_host", alias = "SSL_set1_host")]
    pub fn set_verify_host(&self, verify: bool) -> Result<()> {
        self.change("EventSslContext::set_verify_host", |settings| {
            settings.verify_host = verify;
            Ok(())
        })
    }

    /// The version of the OpenSSL that the program runs with, as text.
    ///
    /// Not in PHP, whose constant
    /// [`OPENSSL_VERSION_TEXT`](Self::OPENSSL_VERSION_TEXT) is the headers'.
    /// OpenSSL: `OpenSSL_version`.
    ///
    /// # Examples
    /// ```
    /// use php_event::EventSslContext;
    /// assert!(EventSslContext::openssl_version().starts_with("OpenSSL "));
    /// ```
    #[doc(alias = "OpenSSL_version")]
    #[must_use]
    pub fn openssl_version() -> &'static str {
        openssl::version::version()
    }
}

impl fmt::Debug for EventSslContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventSslContext")
            .field("method", &self.0.method)
            .field("local_cert", &self.local_cert())
            .field("local_pk", &self.local_pk())
            .finish_non_exhaustive()
    }
}

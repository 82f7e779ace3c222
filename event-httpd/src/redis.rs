//! A client of Redis on the event loop. It never blocks, and knows nothing of the hub.
//!
//! [`Settings`] say where the server is, and [`Client`] keeps a connection to it.

mod backoff;
mod client;
mod connection;
mod replies;
mod target;

use std::path::PathBuf;
use std::time::Duration;

pub(crate) use client::Client;
pub(crate) use connection::Incoming;
pub(crate) use redis::{Arg, Cmd, ServerError, Value, cmd};
#[cfg(test)]
pub(crate) use replies::parse;
pub(crate) use target::Target;
pub use target::TargetError;

/// How to reach a server.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) target: Target,
    pub(crate) tls: TlsFiles,
    /// How long the server may take to accept and to reply before it counts as lost.
    pub(crate) patience: Duration,
}

/// The files of a TLS client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TlsFiles {
    /// The authorities that may sign the server's certificate, instead of the system's.
    pub(crate) authorities: Option<PathBuf>,
    /// The client's certificate.
    pub(crate) certificate: Option<PathBuf>,
    /// The key of the client's certificate.
    pub(crate) key: Option<PathBuf>,
}

/// The TLS context of a client, if the server speaks TLS.
#[cfg(feature = "tls")]
type Tls = Option<php_event::EventSslContext>;
#[cfg(not(feature = "tls"))]
type Tls = Option<std::convert::Infallible>;

impl Settings {
    /// The TLS context, if the server speaks TLS.
    ///
    /// # Errors
    /// The library's, for a file that cannot be used.
    #[cfg(feature = "tls")]
    fn tls(&self) -> php_event::Result<Tls> {
        use php_event::EventSslContext;
        if !self.target.is_tls() {
            return Ok(None);
        }
        let files = [
            (EventSslContext::OPT_CA_FILE, &self.tls.authorities),
            (EventSslContext::OPT_LOCAL_CERT, &self.tls.certificate),
            (EventSslContext::OPT_LOCAL_PK, &self.tls.key),
        ];
        let files = files.into_iter();
        let options = files.filter_map(|(option, path)| Some((option, path.clone()?.into())));
        let options: Vec<_> = options.collect();
        EventSslContext::new(EventSslContext::TLS_CLIENT_METHOD, &options).map(Some)
    }

    #[cfg(not(feature = "tls"))]
    fn tls(&self) -> php_event::Result<Tls> {
        Ok(None) // the check has refused such a server
    }

    /// Checks that TLS is there if the server speaks it, and that its files can be used.
    ///
    /// # Errors
    /// The reason, for a person.
    pub(crate) fn check(&self) -> Result<(), String> {
        if !self.target.is_tls() && self.tls != TlsFiles::default() {
            return Err("a file of certificates or keys needs TLS: write rediss:".to_owned());
        }
        if cfg!(not(feature = "tls")) && self.target.is_tls() {
            return Err(
                "rediss: needs TLS, and this program was built without the feature tls".to_owned(),
            );
        }
        self.tls()
            .map(drop)
            .map_err(|error| error.reason().into_owned())
    }
}

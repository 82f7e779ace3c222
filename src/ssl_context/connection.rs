//! What connections need of a context: a session for one side of a new connection.
//!
//! Owns nothing, lends nothing to C, runs no user code.

use openssl::ssl::{Ssl, SslRef};
use openssl::x509::verify::X509CheckFlags;

use super::host::Host;
use super::{EventSslContext, State, queue};
use crate::error::{Error, Result};
use crate::native::ssl::{clear_address, clear_server_name};

/// A name that no certificate has. A client that was not told its server's name expects it.
const NOBODY: &str = "host-name-not-set.invalid";

impl EventSslContext {
    /// A server's side of a new connection.
    pub(crate) fn accepting(&self, call: &'static str) -> Result<Ssl> {
        let state = self.0.state.borrow();
        let reason = match self.0.method.is_server() {
            true if state.settings.can_serve() => return state.new_ssl(call),
            true => "a server needs a certificate: give its context OPT_LOCAL_CERT",
            false => "the context is for clients; make one with TLS_SERVER_METHOD",
        };
        Err(Error::State { call, reason })
    }

    /// A client's side of a new connection, to this host if its name is known. If it is not,
    /// every certificate is refused until [`expect_host`](Self::expect_host) was called.
    pub(crate) fn connecting(&self, call: &'static str, host: Option<&str>) -> Result<Ssl> {
        let state = self.0.state.borrow();
        if self.0.method.is_server() {
            return Err(Error::State {
                call,
                reason: "the context is for servers; make one with TLS_CLIENT_METHOD",
            });
        }
        let mut ssl = state.new_ssl(call)?;
        if let Some(host) = host {
            self.expect_host(call, &mut ssl, host)?;
        } else if state.settings.verifies_host() {
            queue::clean(|| ssl.param_mut().set_host(NOBODY))
                .map_err(|stack| queue::refused(call, &stack))?;
        }
        Ok(ssl)
    }

    /// Tells a client's side, before the handshake, which host it connects to: it sends the
    /// name to the server (SNI), and the certificate must have it. The last call counts.
    pub(crate) fn expect_host(
        &self,
        call: &'static str,
        ssl: &mut SslRef,
        host: &str,
    ) -> Result<()> {
        let host = Host::read(call, host)?;
        let settings = &self.0.state.borrow().settings;
        // Name and address would both have to fit: each takes away the other.
        queue::clean(|| {
            match host {
                Host::Name(name) => ssl.set_hostname(name)?,
                Host::Address(_) => clear_server_name(ssl),
            }
            if !settings.verifies_host() {
                return Ok(());
            }
            let verify = ssl.param_mut();
            verify.set_hostflags(X509CheckFlags::NO_PARTIAL_WILDCARDS);
            match host {
                Host::Name(name) => {
                    clear_address(verify);
                    verify.set_host(name)
                }
                Host::Address(address) => {
                    verify.set_host("")?;
                    verify.set_ip(address)
                }
            }
        })
        .map_err(|stack| queue::refused(call, &stack))
    }

    /// Whether a client verifies that the certificate names the host.
    pub(crate) fn verifies_host(&self) -> bool {
        self.0.state.borrow().settings.verifies_host()
    }

    /// Whether the context has PECL's defaults.
    pub(crate) fn has_php_defaults(&self) -> bool {
        self.0.state.borrow().settings.has_php_defaults()
    }
}

impl State {
    fn new_ssl(&self, call: &'static str) -> Result<Ssl> {
        queue::clean(|| Ssl::new(&self.built)).map_err(|stack| queue::refused(call, &stack))
    }
}

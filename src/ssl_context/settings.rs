//! All that a context is made from, so that a changed one can be made again.
//!
//! Owns: certificates and keys, loaded. Lent to C: copies and counts, by the `openssl` crate.
//! Runs user code: none; the callback that OpenSSL gets is ours.

use std::path::Path;

use openssl::error::ErrorStack;
use openssl::ssl::{
    AlpnError, SslContext, SslContextBuilder, SslMethod, SslMode, SslOptions, SslSessionCacheMode,
    SslVersion as OpensslVersion,
};

use super::alpn::Protocols;
use super::options::{Options, Passphrase};
use super::pem::{self, Identity, Key};
use super::trust::Trust;
use super::versions::Versions;
use super::{CREATE, SslVersion, queue};
use crate::error::{Error, Result};

/// What a session remembers of the context it came from; OpenSSL wants one where clients are
/// verified. Each context seals its tickets with its own key, so one name serves all.
const SESSION_ID_CONTEXT: &[u8] = b"php-event";

/// Whose defaults a context has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Defaults {
    /// Clients verify their server, and its name.
    Strict,
    /// As PECL's class: nothing is verified unless an option asks for it.
    Php,
}

/// Which side a context is for, and with which defaults.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    pub(super) is_server: bool,
    pub(super) defaults: Defaults,
}

impl Kind {
    pub(super) fn verifies_unless_asked(self) -> bool {
        self.defaults == Defaults::Strict
    }

    /// No public authority vouches for a server's clients; PHP never asks the system's.
    pub(super) fn trusts_the_system(self) -> bool {
        !self.is_server && self.defaults == Defaults::Strict
    }
}

#[derive(Clone)]
pub(super) struct Settings {
    kind: Kind,
    identity: Option<Identity>,
    local_pk: Option<Key>,
    passphrase: Option<Passphrase>,
    trust: Trust,
    pub(super) verify_host: bool,
    ciphers: Option<String>,
    cipher_server_preference: bool,
    versions: Versions,
    protocols: Protocols,
}

impl Settings {
    pub(super) fn load(kind: Kind, options: Options) -> Result<Self> {
        let passphrase = options.passphrase.as_ref();
        let load_key = |path: &_| Key::load(CREATE, path, passphrase);
        let local_pk = options.local_pk.as_deref().map(load_key).transpose()?;
        let load_identity = |path: &_| Identity::load(CREATE, path, local_pk.clone(), passphrase);
        let identity = options
            .local_cert
            .as_deref()
            .map(load_identity)
            .transpose()?;
        Ok(Self {
            kind,
            identity,
            local_pk,
            trust: Trust::load(kind, &options)?,
            passphrase: options.passphrase,
            verify_host: kind.defaults == Defaults::Strict,
            ciphers: options.ciphers,
            cipher_server_preference: options.cipher_server_preference,
            versions: Versions::without(options.excluded),
            protocols: Protocols::default(),
        })
    }

    pub(super) fn local_cert(&self) -> Option<&Path> {
        self.identity.as_ref().map(|identity| &*identity.path)
    }

    pub(super) fn local_pk(&self) -> Option<&Path> {
        self.local_pk.as_ref().map(|key| &*key.path)
    }

    /// Whether a server can be made with this. One with PHP's defaults may lack a
    /// certificate, and its handshakes fail then.
    pub(super) fn can_serve(&self) -> bool {
        self.identity.is_some() || self.kind.defaults == Defaults::Php
    }

    /// Whether a client verifies that the certificate names the host.
    pub(super) fn verifies_host(&self) -> bool {
        self.trust.verifies() && self.verify_host
    }

    pub(super) fn has_php_defaults(&self) -> bool {
        self.kind.defaults == Defaults::Php
    }

    /// Reads the certificate, and the key file again: both may have been renewed.
    pub(super) fn set_local_cert(&mut self, call: &'static str, path: &Path) -> Result<()> {
        let passphrase = self.passphrase.as_ref();
        if let Some(key) = &mut self.local_pk {
            *key = Key::load(call, &key.path, passphrase)?;
        }
        let key = self.local_pk.clone();
        self.identity = Some(Identity::load(call, path, key, passphrase)?);
        Ok(())
    }

    /// Reads the key; without a certificate it waits for one.
    pub(super) fn set_local_pk(&mut self, call: &'static str, path: &Path) -> Result<()> {
        let key = Key::load(call, path, self.passphrase.as_ref())?;
        if let Some(identity) = &mut self.identity {
            *identity = identity.with_key(call, key.clone())?;
        }
        self.local_pk = Some(key);
        Ok(())
    }

    pub(super) fn set_min(&mut self, call: &'static str, version: SslVersion) -> Result<()> {
        self.versions = self.versions.with_min(call, version)?;
        Ok(())
    }

    pub(super) fn set_max(&mut self, call: &'static str, version: SslVersion) -> Result<()> {
        self.versions = self.versions.with_max(call, version)?;
        Ok(())
    }

    pub(super) fn set_alpn(&mut self, call: &'static str, names: &[&str]) -> Result<()> {
        self.protocols = Protocols::new(call, names)?;
        Ok(())
    }

    /// Makes OpenSSL's context.
    pub(super) fn build(&self, call: &'static str) -> Result<SslContext> {
        let method = match self.kind.is_server {
            true => SslMethod::tls_server(),
            false => SslMethod::tls_client(),
        };
        let failed = |stack: ErrorStack| queue::refused(call, &stack);
        let mut builder = SslContextBuilder::new(method).map_err(failed)?;
        self.set_basics(&mut builder).map_err(failed)?;
        self.set_versions(&mut builder).map_err(failed)?;
        self.set_ciphers(&mut builder).map_err(|stack| {
            let cause = format!("OPT_CIPHERS: {}", queue::text(&stack));
            Error::Call {
                call,
                cause: Some(cause.into()),
            }
        })?;
        self.trust.apply(&mut builder).map_err(failed)?;
        if self.kind.is_server {
            self.trust.announce(&mut builder).map_err(failed)?;
        }
        self.set_protocols(&mut builder).map_err(failed)?;
        self.set_identity(call, &mut builder)?;
        Ok(builder.build())
    }

    /// OpenSSL's switches that no option changes.
    pub(super) fn set_basics(&self, builder: &mut SslContextBuilder) -> Result<(), ErrorStack> {
        // ALL includes a switch for old peers that opens TLS 1.0 to BEAST.
        builder.set_options(SslOptions::ALL & !SslOptions::DONT_INSERT_EMPTY_FRAGMENTS);
        builder.clear_options(SslOptions::DONT_INSERT_EMPTY_FRAGMENTS);
        builder.set_options(
            SslOptions::NO_COMPRESSION
                | SslOptions::NO_SSLV2
                | SslOptions::NO_SSLV3
                | SslOptions::NO_RENEGOTIATION
                | self.versions.excluded().bits(),
        );
        if self.cipher_server_preference {
            builder.set_options(SslOptions::CIPHER_SERVER_PREFERENCE);
        }
        // Not ENABLE_PARTIAL_WRITE: libevent takes what it gave for written as a whole.
        builder.set_mode(SslMode::RELEASE_BUFFERS);
        // Tickets resume sessions; a store of them in memory would grow with the clients.
        builder.set_session_cache_mode(SslSessionCacheMode::OFF);
        builder.set_session_id_context(SESSION_ID_CONTEXT)
    }

    fn set_versions(&self, builder: &mut SslContextBuilder) -> Result<(), ErrorStack> {
        match self.versions.min() {
            Some(min) => builder.set_min_proto_version(Some(min))?,
            // The system's own settings may be stricter than ours.
            None if builder.min_proto_version() == Some(OpensslVersion::TLS1_3) => {}
            None => builder.set_min_proto_version(Some(OpensslVersion::TLS1_2))?,
        }
        match self.versions.max() {
            Some(max) => builder.set_max_proto_version(Some(max)),
            None => Ok(()),
        }
    }

    fn set_ciphers(&self, builder: &mut SslContextBuilder) -> Result<(), ErrorStack> {
        match &self.ciphers {
            Some(list) => builder.set_cipher_list(list),
            None => Ok(()),
        }
    }

    fn set_protocols(&self, builder: &mut SslContextBuilder) -> Result<(), ErrorStack> {
        if self.protocols.is_empty() {
            return Ok(());
        }
        if self.kind.is_server {
            let ours = self.protocols.clone();
            builder.set_alpn_select_callback(move |_ssl, offered| {
                ours.first_offered(offered).ok_or(AlpnError::ALERT_FATAL)
            });
            return Ok(());
        }
        builder.set_alpn_protos(self.protocols.wire())
    }

    fn set_identity(&self, call: &'static str, builder: &mut SslContextBuilder) -> Result<()> {
        let Some(identity) = &self.identity else {
            return Ok(());
        };
        let mut set = || -> Result<(), ErrorStack> {
            builder.set_certificate(&identity.leaf)?;
            for certificate in &identity.chain {
                builder.add_extra_chain_cert(certificate.clone())?;
            }
            builder.set_private_key(&identity.key.key)?;
            builder.check_private_key()
        };
        set().map_err(|stack| pem::bad(call, &identity.path, &queue::text(&stack)))
    }
}

//! All that a context is made from, so that a changed one can be made again.
//!
//! Owns: certificates and keys, loaded. Lent to C: copies and counts, by the `openssl` crate.
//! Runs user code: none; the two callbacks that OpenSSL gets are ours alone.

use std::path::Path;

use openssl::error::ErrorStack;
use openssl::ssl::{
    AlpnError, SslContext, SslContextBuilder, SslFiletype, SslMode, SslOptions,
    SslSessionCacheMode, SslVerifyMode,
};
use openssl::x509::store::X509Lookup;
use openssl::x509::{X509, X509StoreContextRef, X509VerifyResult};

use super::options::{Excluded, Options, Passphrase};
use super::pem::{self, Identity, Key};
use super::{CREATE, SslVersion, queue};
use crate::error::{Error, Result};
use crate::ffi;

/// What a session remembers of the context it came from; OpenSSL wants one where clients are
/// verified. Each context seals its tickets with a key of its own, so one name does for all.
const SESSION_ID_CONTEXT: &[u8] = b"php-event";

/// Whose certificates a context takes for an authority's.
#[derive(Clone)]
enum Trust {
    /// Nobody's: a server, whose clients no public authority speaks for.
    Nobody,
    System,
    Given {
        certificates: Vec<X509>,
        directory: Option<String>,
    },
}

#[derive(Clone)]
pub(super) struct Settings {
    server: bool,
    identity: Option<Identity>,
    local_pk: Option<Key>,
    passphrase: Option<Passphrase>,
    trust: Trust,
    allow_self_signed: bool,
    verify: SslVerifyMode,
    verify_depth: Option<u32>,
    pub(super) verify_host: bool,
    ciphers: Option<String>,
    cipher_server_preference: bool,
    excluded: Excluded,
    min: Option<SslVersion>,
    max: Option<SslVersion>,
    alpn: Vec<u8>,
}

impl Settings {
    pub(super) fn load(server: bool, options: Options) -> Result<Self> {
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
            server,
            identity,
            local_pk,
            trust: Trust::load(server, &options)?,
            verify: verify_mode(server, &options)?,
            passphrase: options.passphrase,
            allow_self_signed: options.allow_self_signed,
            verify_depth: options.verify_depth,
            verify_host: true,
            ciphers: options.ciphers,
            cipher_server_preference: options.cipher_server_preference,
            excluded: options.excluded,
            min: None,
            max: None,
            alpn: Vec::new(),
        })
    }

    pub(super) fn local_cert(&self) -> Option<&Path> {
        self.identity.as_ref().map(|identity| &*identity.path)
    }

    pub(super) fn local_pk(&self) -> Option<&Path> {
        self.local_pk.as_ref().map(|key| &*key.path)
    }

    pub(super) fn has_identity(&self) -> bool {
        self.identity.is_some()
    }

    pub(super) fn verifies(&self) -> bool {
        self.verify.contains(SslVerifyMode::PEER)
    }

    /// Reads the certificate, and the file of the key again: both may have been renewed.
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
        self.min = Some(version);
        self.check_versions(call, version)
    }

    pub(super) fn set_max(&mut self, call: &'static str, version: SslVersion) -> Result<()> {
        self.max = Some(version);
        self.check_versions(call, version)
    }

    fn check_versions(&self, call: &'static str, asked: SslVersion) -> Result<()> {
        if openssl_version(asked).is_none() {
            let reason = format!(
                "a context does not speak {}; TLS1_VERSION to TLS1_3_VERSION are possible",
                asked.name()
            );
            return Err(Error::argument(call, reason));
        }
        let min = self.min.unwrap_or(SslVersion::Tls1_2);
        let max = self.max.unwrap_or(SslVersion::Tls1_3);
        let left = [
            (SslVersion::Tls1, self.excluded.tls1),
            (SslVersion::Tls1_1, self.excluded.tls1_1),
            (SslVersion::Tls1_2, self.excluded.tls1_2),
            (SslVersion::Tls1_3, false),
        ]
        .into_iter()
        .filter(|(_, excluded)| !excluded)
        .any(|(version, _)| (min.number()..=max.number()).contains(&version.number()));
        if left {
            return Ok(());
        }
        let reason = format!(
            "no version is left between the minimum, {}, and the maximum, {}",
            min.name(),
            max.name()
        );
        Err(Error::argument(call, reason))
    }

    pub(super) fn set_alpn(&mut self, call: &'static str, protocols: &[&str]) -> Result<()> {
        let mut wire = Vec::new();
        for name in protocols {
            let length = u8::try_from(name.len()).ok().filter(|length| *length > 0);
            let Some(length) = length else {
                let reason = format!("a protocol's name has 1 to 255 bytes, {name:?} has not");
                return Err(Error::argument(call, reason));
            };
            wire.push(length);
            wire.extend_from_slice(name.as_bytes());
        }
        if wire.len() > u16::MAX.into() {
            return Err(Error::argument(
                call,
                "the names together are too long to be sent",
            ));
        }
        self.alpn = wire;
        Ok(())
    }

    /// Makes OpenSSL's context.
    pub(super) fn build(&self, call: &'static str) -> Result<SslContext> {
        let method = match self.server {
            true => openssl::ssl::SslMethod::tls_server(),
            false => openssl::ssl::SslMethod::tls_client(),
        };
        let failed = |stack: ErrorStack| queue::refused(call, &stack);
        let mut builder = SslContextBuilder::new(method).map_err(failed)?;
        self.set_ground(&mut builder).map_err(failed)?;
        self.set_versions(&mut builder).map_err(failed)?;
        self.set_ciphers(&mut builder).map_err(|stack| {
            let cause = format!("OPT_CIPHERS: {}", queue::text(&stack));
            Error::Call {
                call,
                cause: Some(cause.into()),
            }
        })?;
        self.set_trust(&mut builder).map_err(failed)?;
        self.set_verify(&mut builder);
        self.set_protocols(&mut builder).map_err(failed)?;
        self.set_identity(call, &mut builder)?;
        Ok(builder.build())
    }

    pub(super) fn set_ground(&self, builder: &mut SslContextBuilder) -> Result<(), ErrorStack> {
        // ALL has a switch for old peers among its harmless ones, which opens TLS 1.0 to BEAST.
        builder.set_options(SslOptions::ALL & !SslOptions::DONT_INSERT_EMPTY_FRAGMENTS);
        builder.clear_options(SslOptions::DONT_INSERT_EMPTY_FRAGMENTS);
        builder.set_options(
            SslOptions::NO_COMPRESSION
                | SslOptions::NO_SSLV2
                | SslOptions::NO_SSLV3
                | SslOptions::NO_RENEGOTIATION
                | self.excluded.bits(),
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
        use openssl::ssl::SslVersion as Version;
        match self.min {
            Some(min) => builder.set_min_proto_version(openssl_version(min))?,
            // The system's own settings may be stricter than ours.
            None if builder.min_proto_version() == Some(Version::TLS1_3) => {}
            None => builder.set_min_proto_version(Some(Version::TLS1_2))?,
        }
        match self.max {
            Some(max) => builder.set_max_proto_version(openssl_version(max)),
            None => Ok(()),
        }
    }

    fn set_ciphers(&self, builder: &mut SslContextBuilder) -> Result<(), ErrorStack> {
        match &self.ciphers {
            Some(list) => builder.set_cipher_list(list),
            None => Ok(()),
        }
    }

    fn set_trust(&self, builder: &mut SslContextBuilder) -> Result<(), ErrorStack> {
        match &self.trust {
            Trust::System if self.verifies() => builder.set_default_verify_paths()?,
            Trust::System | Trust::Nobody => {}
            Trust::Given {
                certificates,
                directory,
            } => {
                for certificate in certificates {
                    builder.cert_store_mut().add_cert(certificate.clone())?;
                    if self.server {
                        builder.add_client_ca(certificate)?;
                    }
                }
                if let Some(directory) = directory {
                    builder
                        .cert_store_mut()
                        .add_lookup(X509Lookup::hash_dir())?
                        .add_dir(directory, SslFiletype::PEM)?;
                }
            }
        }
        Ok(())
    }

    fn set_verify(&self, builder: &mut SslContextBuilder) {
        if let Some(depth) = self.verify_depth {
            builder.set_verify_depth(depth);
        }
        if self.allow_self_signed && !matches!(self.trust, Trust::Given { .. }) {
            builder.set_verify_callback(self.verify, accept_self_signed);
        } else {
            builder.set_verify(self.verify);
        }
    }

    fn set_protocols(&self, builder: &mut SslContextBuilder) -> Result<(), ErrorStack> {
        if self.alpn.is_empty() {
            return Ok(());
        }
        if self.server {
            let ours = self.alpn.clone();
            builder.set_alpn_select_callback(move |_ssl, offered| {
                common(&ours, offered).ok_or(AlpnError::ALERT_FATAL)
            });
            return Ok(());
        }
        builder.set_alpn_protos(&self.alpn)
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

impl Trust {
    fn load(server: bool, options: &Options) -> Result<Self> {
        let (file, path) = (options.ca_file.as_deref(), options.ca_path.as_deref());
        if file.is_none() && path.is_none() {
            return Ok(if server { Self::Nobody } else { Self::System });
        }
        let certificates = file
            .map(|file| pem::authorities(CREATE, file))
            .transpose()?;
        Ok(Self::Given {
            certificates: certificates.unwrap_or_default(),
            directory: path.map(|path| pem::directory(CREATE, path)).transpose()?,
        })
    }
}

fn verify_mode(server: bool, options: &Options) -> Result<SslVerifyMode> {
    let required = server && options.require_client_cert;
    if required && options.verify_peer == Some(false) {
        return Err(Error::argument(
            CREATE,
            "OPT_REQUIRE_CLIENT_CERT is true and OPT_VERIFY_PEER false; leave out one of them",
        ));
    }
    let mut mode = SslVerifyMode::NONE;
    if options.verify_peer.unwrap_or(!server || required) {
        mode |= SslVerifyMode::PEER;
    }
    mode.set(SslVerifyMode::FAIL_IF_NO_PEER_CERT, required);
    mode.set(
        SslVerifyMode::CLIENT_ONCE,
        server && options.verify_client_once,
    );
    Ok(mode)
}

/// What OpenSSL calls the version; `None` for what a context for TLS cannot speak.
fn openssl_version(version: SslVersion) -> Option<openssl::ssl::SslVersion> {
    match version {
        SslVersion::Tls1 => Some(openssl::ssl::SslVersion::TLS1),
        SslVersion::Tls1_1 => Some(openssl::ssl::SslVersion::TLS1_1),
        SslVersion::Tls1_2 => Some(openssl::ssl::SslVersion::TLS1_2),
        SslVersion::Tls1_3 => Some(openssl::ssl::SslVersion::TLS1_3),
        SslVersion::Ssl3 | SslVersion::Dtls1 | SslVersion::Dtls1_2 => None,
    }
}

/// OpenSSL asks for each fault it finds: this one is forgiven, every other stands.
fn accept_self_signed(verified: bool, chain: &mut X509StoreContextRef) -> bool {
    let forgiven = matches!(
        chain.error().as_raw(),
        ffi::openssl::X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT
            | ffi::openssl::X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN
    );
    if !verified && forgiven {
        chain.set_error(X509VerifyResult::OK);
    }
    verified || forgiven
}

/// The first protocol of ours that the client offers, out of the client's list.
pub(super) fn common<'a>(ours: &[u8], offered: &'a [u8]) -> Option<&'a [u8]> {
    names(ours).find_map(|name| names(offered).find(|theirs| *theirs == name))
}

/// The names of a list as it goes over the wire, each after its length.
fn names(mut wire: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = wire.split_first()?;
        let (name, rest) = rest.split_at_checked(usize::from(*length))?;
        wire = rest;
        Some(name)
    })
}

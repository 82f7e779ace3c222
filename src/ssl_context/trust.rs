//! Whose certificates a context accepts.
//!
//! Owns: authorities' certificates. Lent to C: copies of them, by the `openssl` crate.
//! Runs user code: none; the callback that OpenSSL gets is ours.

use openssl::error::ErrorStack;
use openssl::ssl::{SslContextBuilder, SslFiletype, SslVerifyMode};
use openssl::x509::store::X509Lookup;
use openssl::x509::{X509, X509StoreContextRef, X509VerifyResult};

use super::options::Options;
use super::settings::Kind;
use super::{CREATE, pem};
use crate::error::{Error, Result};
use crate::ffi;

/// The authorities that a context trusts.
#[derive(Clone)]
enum Authorities {
    None,
    /// Those that the system trusts.
    System,
    Given {
        certificates: Vec<X509>,
        directory: Option<String>,
    },
}

/// Whether and how a context verifies its peers.
#[derive(Clone)]
pub(super) struct Trust {
    authorities: Authorities,
    allows_self_signed: bool,
    mode: SslVerifyMode,
    depth: Option<u32>,
}

impl Trust {
    pub(super) fn load(kind: Kind, options: &Options) -> Result<Self> {
        Ok(Self {
            authorities: Authorities::load(kind, options)?,
            allows_self_signed: options.allow_self_signed,
            mode: verify_mode(kind, options)?,
            depth: options.verify_depth,
        })
    }

    /// Whether the peer's certificate is verified.
    pub(super) fn verifies(&self) -> bool {
        self.mode.contains(SslVerifyMode::PEER)
    }

    pub(super) fn apply(&self, builder: &mut SslContextBuilder) -> Result<(), ErrorStack> {
        match &self.authorities {
            Authorities::System if self.verifies() => builder.set_default_verify_paths()?,
            Authorities::System | Authorities::None => {}
            Authorities::Given {
                certificates,
                directory,
            } => {
                for certificate in certificates {
                    builder.cert_store_mut().add_cert(certificate.clone())?;
                }
                if let Some(directory) = directory {
                    builder
                        .cert_store_mut()
                        .add_lookup(X509Lookup::hash_dir())?
                        .add_dir(directory, SslFiletype::PEM)?;
                }
            }
        }
        if let Some(depth) = self.depth {
            builder.set_verify_depth(depth);
        }
        if self.allows_self_signed && !matches!(self.authorities, Authorities::Given { .. }) {
            builder.set_verify_callback(self.mode, accept_self_signed);
        } else {
            builder.set_verify(self.mode);
        }
        Ok(())
    }

    /// Has a server tell its clients which authorities it trusts.
    pub(super) fn announce(&self, builder: &mut SslContextBuilder) -> Result<(), ErrorStack> {
        let Authorities::Given { certificates, .. } = &self.authorities else {
            return Ok(());
        };
        certificates
            .iter()
            .try_for_each(|certificate| builder.add_client_ca(certificate))
    }
}

impl Authorities {
    fn load(kind: Kind, options: &Options) -> Result<Self> {
        let (file, path) = (options.ca_file.as_deref(), options.ca_path.as_deref());
        if file.is_none() && path.is_none() {
            return Ok(match kind.trusts_the_system() {
                true => Self::System,
                false => Self::None,
            });
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

fn verify_mode(kind: Kind, options: &Options) -> Result<SslVerifyMode> {
    let is_required = kind.is_server && options.require_client_cert;
    let verifies = match (kind.verifies_unless_asked(), options.verify_peer) {
        (true, Some(false)) if is_required => {
            return Err(Error::argument(
                CREATE,
                "OPT_REQUIRE_CLIENT_CERT is true and OPT_VERIFY_PEER false; leave out one of them",
            ));
        }
        (_, Some(verifies)) => verifies,
        (true, None) => !kind.is_server || is_required,
        (false, None) => false,
    };
    let mut mode = SslVerifyMode::NONE;
    mode.set(SslVerifyMode::PEER, verifies);
    mode.set(SslVerifyMode::FAIL_IF_NO_PEER_CERT, is_required);
    let once = kind.is_server && options.verify_client_once;
    mode.set(SslVerifyMode::CLIENT_ONCE, once);
    Ok(mode)
}

/// OpenSSL calls this for each fault that it finds: this one is accepted, no other.
fn accept_self_signed(is_verified: bool, chain: &mut X509StoreContextRef) -> bool {
    let is_self_signed = matches!(
        chain.error().as_raw(),
        ffi::openssl::X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT
            | ffi::openssl::X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN
    );
    if !is_verified && is_self_signed {
        chain.set_error(X509VerifyResult::OK);
    }
    is_verified || is_self_signed
}

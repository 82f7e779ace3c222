//! The keys that verify tokens: where they come from, and what was read there.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use super::HubConfigError;
use crate::cli::Secret;
use hub_protocol::Forms;
use hub_protocol::token::{Algorithm, Key, KeyError, Keys, Verifier};

/// Bytes of a file with keys. A device such as `/dev/zero` has no end.
const FILE_MAX: u64 = 1 << 20;

/// The keys of publishers and subscribers. Files are read again on request.
#[derive(Debug)]
pub(crate) struct TokenKeys {
    settings: KeySettings,
    current: RwLock<Arc<Verifiers>>,
}

/// Where keys come from, and what tokens must fulfil.
#[derive(Debug)]
pub(super) struct KeySettings {
    pub(super) publishers: KeyOptions,
    pub(super) subscribers: KeyOptions,
    /// Whether there may be no key for subscribers.
    pub(super) anonymous: bool,
    pub(super) forms: Forms,
    pub(super) issuer: Option<String>,
    pub(super) audiences: Vec<String>,
}

/// What checks the tokens of both roles.
#[derive(Debug)]
pub(crate) struct Verifiers {
    pub(crate) publishers: Verifier,
    /// `None`: anybody may subscribe, to public updates, without a token.
    pub(crate) subscribers: Option<Verifier>,
}

impl TokenKeys {
    pub(super) fn new(settings: KeySettings) -> Result<Self, HubConfigError> {
        let verifiers = settings.read()?;
        Ok(Self {
            settings,
            current: RwLock::new(Arc::new(verifiers)),
        })
    }

    /// The keys as they were read last.
    pub(crate) fn current(&self) -> Arc<Verifiers> {
        let current = self.current.read();
        Arc::clone(&current.unwrap_or_else(PoisonError::into_inner))
    }

    /// The issuer that tokens of the standard form must name, if there is a particular one.
    pub(crate) fn issuer(&self) -> Option<&str> {
        self.settings.issuer.as_deref()
    }

    /// An audience that tokens of the standard form may name.
    pub(crate) fn audience(&self) -> Option<&str> {
        self.settings.audiences.first().map(String::as_str)
    }

    /// Whether a key comes from a file.
    pub(crate) fn have_files(&self) -> bool {
        self.settings.publishers.has_file() || self.settings.subscribers.has_file()
    }

    /// Reads the files again. When one of them is not usable, all keys stay as they are.
    pub(crate) fn reload(&self) -> Result<(), HubConfigError> {
        let verifiers = self.settings.read()?;
        let current = self.current.write();
        *current.unwrap_or_else(PoisonError::into_inner) = Arc::new(verifiers);
        Ok(())
    }
}

impl KeySettings {
    fn read(&self) -> Result<Verifiers, HubConfigError> {
        let publishers = self.publishers.keys()?;
        let publishers = publishers.ok_or(HubConfigError::NoPublisherKey)?;
        let subscribers = self.subscribers.keys()?;
        if subscribers.is_none() && !self.anonymous {
            return Err(HubConfigError::NoSubscriberKey);
        }
        Ok(Verifiers {
            publishers: self.verifier(publishers),
            subscribers: subscribers.map(|keys| self.verifier(keys)),
        })
    }

    fn verifier(&self, keys: Keys) -> Verifier {
        let keys = match &self.issuer {
            Some(issuer) => keys.with_issuer(issuer),
            None => keys,
        };
        let mut verifier = Verifier::new(keys);
        verifier.forms = self.forms;
        verifier.audiences.clone_from(&self.audiences);
        verifier
    }
}

impl Verifiers {
    /// The keys of both roles.
    pub(super) fn keys(&self) -> impl Iterator<Item = &Key> {
        let verifiers = self.subscribers.iter().chain([&self.publishers]);
        verifiers.flat_map(|verifier| verifier.keys().iter())
    }
}

/// The options that give the keys of one role.
#[derive(Debug)]
pub(super) struct KeyOptions {
    pub(super) names: [&'static str; 4],
    pub(super) secret: Option<Secret>,
    pub(super) file: Option<PathBuf>,
    pub(super) jwks: Option<PathBuf>,
    pub(super) algorithm: Option<Algorithm>,
}

impl KeyOptions {
    fn has_file(&self) -> bool {
        self.file.is_some() || self.jwks.is_some()
    }

    /// The keys of all options; `None` when there is no option.
    fn keys(&self) -> Result<Option<Keys>, HubConfigError> {
        let [secret_option, file_option, jwks_option, algorithm_option] = self.names;
        if self.algorithm.is_some() && self.secret.is_none() && self.file.is_none() {
            return Err(HubConfigError::Algorithm {
                option: algorithm_option,
                keys: [secret_option, file_option],
            });
        }
        let mut keys = Vec::new();
        if let Some(secret) = &self.secret {
            let key = key(secret.as_bytes(), self.algorithm);
            keys.push(key.map_err(|cause| HubConfigError::Key {
                option: secret_option,
                cause,
            })?);
        }
        if let Some(path) = &self.file {
            let bytes = read(file_option, path)?;
            let bytes = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
            let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
            let key = key(bytes, self.algorithm);
            keys.push(key.map_err(|cause| HubConfigError::Key {
                option: file_option,
                cause,
            })?);
        }
        let mut all = Keys::from(keys);
        if let Some(path) = &self.jwks {
            let set = Keys::jwks(&read(jwks_option, path)?);
            all.extend(set.map_err(|cause| HubConfigError::Key {
                option: jwks_option,
                cause,
            })?);
        }
        let found = all.iter().next().is_some();
        Ok(found.then_some(all))
    }
}

/// A secret, or a public key in PEM.
fn key(bytes: &[u8], algorithm: Option<Algorithm>) -> Result<Key, KeyError> {
    match algorithm {
        Some(algorithm) => Key::for_algorithm(bytes, algorithm),
        None if bytes.trim_ascii_start().starts_with(b"-----BEGIN ") => Key::pem(bytes),
        None => Key::secret(bytes, Algorithm::Hs256),
    }
}

fn read(option: &'static str, path: &Path) -> Result<Vec<u8>, HubConfigError> {
    let failed = |cause: String| HubConfigError::File {
        option,
        path: path.to_owned(),
        cause,
    };
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(FILE_MAX + 1).read_to_end(&mut bytes))
        .map_err(|error| failed(error.to_string()))?;
    if bytes.len() as u64 > FILE_MAX {
        return Err(failed(
            "it is longer than 1 MiB, so it is no key".to_owned(),
        ));
    }
    Ok(bytes)
}

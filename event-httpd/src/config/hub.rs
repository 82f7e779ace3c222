//! The checked settings of the hub.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::cli::{HubArgs, Protocol, Secret};
use crate::redis::{Settings, Target, TargetError, TlsFiles};
use hub_protocol::token::{Algorithm, Key, KeyError, Keys, Presentation, Verifier};
use hub_protocol::{Forms, HubUrl};

/// The settings of the hub.
#[derive(Debug)]
pub(crate) struct HubConfig {
    pub(crate) url: HubUrl,
    pub(crate) forms: Forms,
    pub(crate) publishers: Verifier,
    /// `None`: no token can subscribe.
    pub(crate) subscribers: Option<Verifier>,
    pub(crate) anonymous: bool,
    pub(crate) presentation: Presentation,
    pub(crate) cors: Cors,
    pub(crate) store: StoreConfig,
    pub(crate) history: HistoryLimits,
    /// `None`: no sign of life.
    pub(crate) heartbeat: Option<Duration>,
    pub(crate) max_subscribers: usize,
    pub(crate) subscriptions: bool,
    pub(crate) demo: bool,
}

/// Where updates are kept.
#[derive(Clone, Debug)]
pub(crate) enum StoreConfig {
    /// In the memory of the process, or of the master.
    Memory,
    /// In Redis, to which each worker connects.
    Redis(Arc<Settings>),
}

/// How much history is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HistoryLimits {
    pub(crate) updates: usize,
    pub(crate) bytes: usize,
}

/// The origins whose pages may use the hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cors {
    /// Every origin, without credentials.
    Every,
    /// These, with credentials.
    Only(Vec<String>),
}

/// Why the options of the hub do not make a hub.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HubConfigError {
    /// There is no key for the tokens of publishers.
    #[error(
        "hub needs a key for the tokens of publishers: give --publisher-key, --publisher-key-file or --publisher-jwks-file"
    )]
    NoPublisherKey,
    /// There is no key for the tokens of subscribers, and no anonymous access.
    #[error(
        "nobody could subscribe: give --anonymous, or a key with --subscriber-key, --subscriber-key-file or --subscriber-jwks-file"
    )]
    NoSubscriberKey,
    /// The URL of the store is not valid.
    #[error("--store: {0}")]
    Store(#[from] TargetError),
    /// The store cannot be used like this.
    #[error("--store: {0}")]
    StoreUse(String),
    /// A key is not usable.
    #[error("{option}: {cause}")]
    Key {
        /// The option.
        option: &'static str,
        /// What is wrong with the key.
        cause: KeyError,
    },
    /// A file with a key cannot be read.
    #[error("{option}: {}: {cause}", path.display())]
    File {
        /// The option.
        option: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        cause: String,
    },
}

impl HubConfig {
    pub(super) fn new(args: HubArgs) -> Result<Self, HubConfigError> {
        let store = store(&args)?;
        let forms = Forms {
            deployed: args.protocol != Protocol::Standard,
            standard: args.protocol != Protocol::Deployed,
        };
        let audiences = if args.audiences.is_empty() {
            vec![args.public_url.as_str().to_owned()]
        } else {
            args.audiences
        };
        let verifier = |keys: Keys| {
            let keys = match &args.issuer {
                Some(issuer) => keys.with_issuer(issuer),
                None => keys,
            };
            let mut verifier = Verifier::new(keys);
            verifier.forms = forms;
            verifier.audiences.clone_from(&audiences);
            verifier
        };
        let publishers = KeyOptions {
            names: [
                "--publisher-key",
                "--publisher-key-file",
                "--publisher-jwks-file",
            ],
            secret: args.publisher_key.as_ref(),
            file: args.publisher_key_file.as_deref(),
            jwks: args.publisher_jwks_file.as_deref(),
            algorithm: args.publisher_algorithm,
        };
        let subscribers = KeyOptions {
            names: [
                "--subscriber-key",
                "--subscriber-key-file",
                "--subscriber-jwks-file",
            ],
            secret: args.subscriber_key.as_ref(),
            file: args.subscriber_key_file.as_deref(),
            jwks: args.subscriber_jwks_file.as_deref(),
            algorithm: args.subscriber_algorithm,
        };
        let publishers = publishers.keys()?.ok_or(HubConfigError::NoPublisherKey)?;
        let subscribers = subscribers.keys()?;
        if subscribers.is_none() && !args.anonymous {
            return Err(HubConfigError::NoSubscriberKey);
        }
        let every = args.cors_origins.iter().any(|origin| origin == "*");
        let mut trusted = args.cors_origins.clone();
        trusted.retain(|origin| origin != "*"); // a cookie never counts from just anywhere
        trusted.push(args.public_url.origin());
        Ok(Self {
            forms,
            publishers: verifier(publishers),
            subscribers: subscribers.map(verifier),
            anonymous: args.anonymous,
            presentation: Presentation::new(forms, trusted),
            cors: if every {
                Cors::Every
            } else {
                Cors::Only(args.cors_origins)
            },
            store,
            history: HistoryLimits {
                updates: args.history,
                bytes: args.history_size,
            },
            heartbeat: Some(args.heartbeat).filter(|time| !time.is_zero()),
            max_subscribers: args
                .max_subscribers
                .map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(usize::MAX)),
            subscriptions: args.subscriptions,
            demo: args.demo,
            url: args.public_url,
        })
    }

    /// Logs what an operator should know about the settings.
    pub(crate) fn warn(&self) {
        if self.publishers_have_short_key() {
            tracing::warn!(
                "a secret is shorter than its hash, and easier to guess: take 32 bytes for HS256"
            );
        }
    }

    fn publishers_have_short_key(&self) -> bool {
        let verifiers = self.subscribers.iter().chain([&self.publishers]);
        verifiers
            .flat_map(|verifier| verifier.keys().iter())
            .any(Key::is_short)
    }
}

fn store(args: &HubArgs) -> Result<StoreConfig, HubConfigError> {
    let url = args.store.as_ref().map_or("memory", Secret::as_str);
    if url == "memory" {
        return Ok(StoreConfig::Memory);
    }
    let settings = Settings {
        target: Target::parse(url)?,
        tls: TlsFiles {
            authorities: args.store_ca_file.clone(),
            certificate: args.store_cert_file.clone(),
            key: args.store_key_file.clone(),
        },
        patience: args.store_timeout,
    };
    settings.check().map_err(HubConfigError::StoreUse)?;
    if args.subscriptions {
        let reason = "redis does not keep active subscriptions: leave out --subscriptions";
        return Err(HubConfigError::StoreUse(reason.to_owned()));
    }
    Ok(StoreConfig::Redis(Arc::new(settings)))
}

/// The options that give the keys of one role.
struct KeyOptions<'a> {
    names: [&'static str; 3],
    secret: Option<&'a Secret>,
    file: Option<&'a Path>,
    jwks: Option<&'a Path>,
    algorithm: Option<Algorithm>,
}

impl KeyOptions<'_> {
    /// The keys of all options; `None` when there is no option.
    fn keys(&self) -> Result<Option<Keys>, HubConfigError> {
        let [secret_option, file_option, jwks_option] = self.names;
        let mut keys = Vec::new();
        if let Some(secret) = self.secret {
            let key = key(secret.as_bytes(), self.algorithm);
            keys.push(key.map_err(|cause| HubConfigError::Key {
                option: secret_option,
                cause,
            })?);
        }
        if let Some(path) = self.file {
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
        if let Some(path) = self.jwks {
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
    fs::read(path).map_err(|error| HubConfigError::File {
        option,
        path: path.to_owned(),
        cause: error.to_string(),
    })
}

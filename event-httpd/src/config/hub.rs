//! The checked settings of the hub.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::first_given;
use super::keys::{KeyOptions, KeySettings, TokenKeys};
use crate::cli::{HubArgs, Lines, Protocol, Secret};
use crate::redis::{Settings, Target, TargetError, TlsFiles};
use hub_protocol::token::{Key, KeyError, Presentation};
use hub_protocol::{Forms, HubUrl};

/// Defaults of the options for a store in Redis. `--help` names them.
const STORE_TIMEOUT: Duration = Duration::from_secs(5);
const STORE_QUEUE_SIZE: usize = 16 << 20;
const STORE_QUEUE_TIME: Duration = Duration::from_secs(30);

/// Where the hub says whether it lives, and whether it takes requests.
pub(crate) const LIVENESS: &str = "/healthz";
pub(crate) const READINESS: &str = "/readyz";

/// The settings of the hub.
#[derive(Debug)]
pub(crate) struct HubConfig {
    pub(crate) url: HubUrl,
    pub(crate) forms: Forms,
    pub(crate) keys: TokenKeys,
    pub(crate) anonymous: bool,
    pub(crate) presentation: Presentation,
    pub(crate) cors: Cors,
    pub(crate) store: StoreConfig,
    pub(crate) history: HistoryLimits,
    /// `None`: no sign of life.
    pub(crate) heartbeat: Option<Duration>,
    pub(crate) max_subscribers: usize,
    /// `None`: as many as come.
    pub(crate) subscribers_per_address: Option<usize>,
    /// `None`: as many as come.
    pub(crate) publish_rate: Option<u32>,
    pub(crate) subscriptions: bool,
    pub(crate) demo: bool,
}

/// Where updates are kept.
#[derive(Clone, Debug)]
pub(crate) enum StoreConfig {
    /// In the memory of the process, or of the master.
    Memory,
    /// In Redis, to which each worker connects.
    Redis(Arc<Settings>, QueueLimits),
}

/// What may wait in each worker while the store is away.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueueLimits {
    /// 0: nothing waits.
    pub(crate) updates: usize,
    pub(crate) bytes: usize,
    /// For how long an update may wait.
    pub(crate) time: Duration,
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
    /// The hub's path is one of its other resources.
    #[error("--public-url: the path {0} is taken: choose another, such as /.well-known/mercure")]
    Path(&'static str),
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
    /// An option is of no use to the store in memory.
    #[error("{0} is for a store in Redis: give --store redis://HOST too, or leave it out")]
    StoreOption(&'static str),
    /// An option is of no use to the form of the protocol that clients speak today.
    #[error("{0} is for tokens of the standard form: leave out {0} or --protocol deployed")]
    TokenOption(&'static str),
    /// An option needs another one.
    #[error("{option} needs {needs}: give both, or leave {option} out")]
    Needs {
        /// The option that is given.
        option: &'static str,
        /// The one that is missing.
        needs: &'static str,
    },
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
    /// An algorithm has no key. Each key of a JWKS has its own.
    #[error("{option} is for the key of {} or {}: give one, or leave it out", keys[0], keys[1])]
    Algorithm {
        /// The option.
        option: &'static str,
        /// The options that give a key.
        keys: [&'static str; 2],
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
        let mut taken = [LIVENESS, READINESS].into_iter();
        if let Some(path) = taken.find(|path| *path == args.public_url.path()) {
            return Err(HubConfigError::Path(path));
        }
        let store = store(&args)?;
        if args.protocol == Protocol::Deployed
            && let Some(option) = option_for_standard_tokens(&args)
        {
            return Err(HubConfigError::TokenOption(option));
        }
        let forms = Forms {
            deployed: args.protocol != Protocol::Standard,
            standard: args.protocol != Protocol::Deployed,
        };
        let audiences = if args.audiences.is_empty() {
            vec![args.public_url.as_str().to_owned()]
        } else {
            Lines::all(args.audiences)
        };
        let keys = TokenKeys::new(KeySettings {
            publishers: KeyOptions {
                names: [
                    "--publisher-key",
                    "--publisher-key-file",
                    "--publisher-jwks-file",
                    "--publisher-algorithm",
                ],
                secret: args.publisher_key,
                file: args.publisher_key_file,
                jwks: args.publisher_jwks_file,
                algorithm: args.publisher_algorithm,
            },
            subscribers: KeyOptions {
                names: [
                    "--subscriber-key",
                    "--subscriber-key-file",
                    "--subscriber-jwks-file",
                    "--subscriber-algorithm",
                ],
                secret: args.subscriber_key,
                file: args.subscriber_key_file,
                jwks: args.subscriber_jwks_file,
                algorithm: args.subscriber_algorithm,
            },
            anonymous: args.anonymous,
            forms,
            issuer: args.issuer,
            audiences,
        })?;
        let origins = Lines::all(args.cors_origins);
        let every = origins.iter().any(|origin| origin == "*");
        let mut trusted = origins.clone();
        trusted.retain(|origin| origin != "*"); // a cookie never counts from just anywhere
        trusted.push(args.public_url.origin());
        Ok(Self {
            forms,
            keys,
            anonymous: args.anonymous,
            presentation: Presentation::new(forms, trusted),
            cors: if every {
                Cors::Every
            } else {
                Cors::Only(origins)
            },
            store,
            history: HistoryLimits {
                updates: args.history,
                bytes: args.history_size,
            },
            heartbeat: Some(args.heartbeat).filter(|time| !time.is_zero()),
            max_subscribers: args.max_subscribers.map_or(usize::MAX, to_usize),
            subscribers_per_address: args.subscribers_per_address.map(to_usize),
            publish_rate: args.publish_rate,
            subscriptions: args.subscriptions,
            demo: args.demo,
            url: args.public_url,
        })
    }

    /// Reads the files with keys again; false when there are none. A file that is not usable
    /// leaves all keys as they are.
    pub(super) fn reload_keys(&self) -> bool {
        if !self.keys.have_files() {
            return false;
        }
        match self.keys.reload() {
            Ok(()) => {
                tracing::info!("the keys were read again");
                self.warn();
            }
            Err(error) => tracing::error!("the keys stay as they are: {error}"),
        }
        true
    }

    /// Logs what an operator should know about the settings.
    pub(crate) fn warn(&self) {
        let verifiers = self.keys.current();
        if verifiers.keys().any(Key::is_short) {
            tracing::warn!(
                "a secret is shorter than its hash, and easier to guess: take 32 bytes for HS256"
            );
        }
        if verifiers.keys().any(Key::has_odd_end) {
            tracing::warn!(
                "a secret begins or ends with white space, or begins with a byte order mark. That \
                 counts: tokens made without it are refused"
            );
        }
    }
}

fn to_usize(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// What only a token of the standard form is checked for.
fn option_for_standard_tokens(args: &HubArgs) -> Option<&'static str> {
    first_given([
        ("--issuer", args.issuer.is_some()),
        ("--audience", !args.audiences.is_empty()),
    ])
}

fn store(args: &HubArgs) -> Result<StoreConfig, HubConfigError> {
    let url = args.store.as_ref().map_or("memory", Secret::as_str);
    if url == "memory" {
        return match option_for_redis(args) {
            Some(option) => Err(HubConfigError::StoreOption(option)),
            None => Ok(StoreConfig::Memory),
        };
    }
    if let Some((option, needs)) = incomplete(args) {
        return Err(HubConfigError::Needs { option, needs });
    }
    let settings = Settings {
        target: Target::parse(url)?,
        tls: TlsFiles {
            authorities: args.store_ca_file.clone(),
            certificate: args.store_cert_file.clone(),
            key: args.store_key_file.clone(),
        },
        patience: args.store_timeout.unwrap_or(STORE_TIMEOUT),
    };
    settings.check().map_err(HubConfigError::StoreUse)?;
    let queue = QueueLimits {
        updates: args.store_queue.unwrap_or(0),
        bytes: args.store_queue_size.unwrap_or(STORE_QUEUE_SIZE),
        time: args.store_queue_time.unwrap_or(STORE_QUEUE_TIME),
    };
    Ok(StoreConfig::Redis(Arc::new(settings), queue))
}

/// The first given option that only a store in Redis has.
fn option_for_redis(args: &HubArgs) -> Option<&'static str> {
    first_given([
        ("--store-timeout", args.store_timeout.is_some()),
        ("--store-ca-file", args.store_ca_file.is_some()),
        ("--store-cert-file", args.store_cert_file.is_some()),
        ("--store-key-file", args.store_key_file.is_some()),
        ("--store-queue", args.store_queue.is_some()),
        ("--store-queue-size", args.store_queue_size.is_some()),
        ("--store-queue-time", args.store_queue_time.is_some()),
    ])
}

/// The first given option whose other half is missing, and that.
fn incomplete(args: &HubArgs) -> Option<(&'static str, &'static str)> {
    const QUEUE: &str = "--store-queue";
    const CERTIFICATE: &str = "--store-cert-file";
    const KEY: &str = "--store-key-file";
    let queue = args.store_queue.is_some();
    let (certificate, key) = (
        args.store_cert_file.is_some(),
        args.store_key_file.is_some(),
    );
    let pairs = [
        (
            "--store-queue-size",
            args.store_queue_size.is_some(),
            QUEUE,
            queue,
        ),
        (
            "--store-queue-time",
            args.store_queue_time.is_some(),
            QUEUE,
            queue,
        ),
        (CERTIFICATE, certificate, KEY, key),
        (KEY, key, CERTIFICATE, certificate),
    ];
    let mut incomplete = pairs
        .into_iter()
        .filter(|(_, given, _, other)| *given && !other);
    incomplete
        .next()
        .map(|(option, _, needs, _)| (option, needs))
}

//! The options of `hub`.

use std::convert::Infallible;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::builder::BoolishValueParser;
use clap::{Args, ValueEnum};

use super::values::{Lines, lines, non_empty, number, origin, size, time, timeout};
use hub_protocol::HubUrl;
use hub_protocol::token::Algorithm;

// The options of `hub` besides those that all servers have.
#[derive(Args, Debug)]
pub(crate) struct HubArgs {
    /// The URL under which clients reach the hub; its path is where the hub answers, and
    /// relative topics are resolved against it
    #[arg(long, value_name = "URL", env = "EVENT_HTTPD_PUBLIC_URL", default_value = "http://localhost/.well-known/mercure", value_parser = HubUrl::parse)]
    pub(crate) public_url: HubUrl,

    /// The secret that signs the tokens of publishers; other users of the machine can read a
    /// command line, so prefer the variable or the file
    #[arg(
        long,
        value_name = "SECRET",
        env = "EVENT_HTTPD_PUBLISHER_KEY",
        hide_env_values = true
    )]
    pub(crate) publisher_key: Option<Secret>,

    /// A file with that secret, or with a public key in PEM
    #[arg(long, value_name = "PATH", env = "EVENT_HTTPD_PUBLISHER_KEY_FILE")]
    pub(crate) publisher_key_file: Option<PathBuf>,

    /// A file with a set of keys (JWKS) that verify the tokens of publishers
    #[arg(long, value_name = "PATH", env = "EVENT_HTTPD_PUBLISHER_JWKS_FILE")]
    pub(crate) publisher_jwks_file: Option<PathBuf>,

    /// The algorithm of the publishers' key: HS256, HS384, HS512, RS256, ES256, EdDSA [default:
    /// HS256 for a secret; a PEM file tells its own]
    #[arg(long, value_name = "NAME", env = "EVENT_HTTPD_PUBLISHER_ALGORITHM", value_parser = algorithm)]
    pub(crate) publisher_algorithm: Option<Algorithm>,

    /// The secret that signs the tokens of subscribers
    #[arg(
        long,
        value_name = "SECRET",
        env = "EVENT_HTTPD_SUBSCRIBER_KEY",
        hide_env_values = true
    )]
    pub(crate) subscriber_key: Option<Secret>,

    /// A file with that secret, or with a public key in PEM
    #[arg(long, value_name = "PATH", env = "EVENT_HTTPD_SUBSCRIBER_KEY_FILE")]
    pub(crate) subscriber_key_file: Option<PathBuf>,

    /// A file with a set of keys (JWKS) that verify the tokens of subscribers
    #[arg(long, value_name = "PATH", env = "EVENT_HTTPD_SUBSCRIBER_JWKS_FILE")]
    pub(crate) subscriber_jwks_file: Option<PathBuf>,

    /// The algorithm of the subscribers' key
    #[arg(long, value_name = "NAME", env = "EVENT_HTTPD_SUBSCRIBER_ALGORITHM", value_parser = algorithm)]
    pub(crate) subscriber_algorithm: Option<Algorithm>,

    /// The issuer that a token of the type at+jwt must name
    #[arg(long, value_name = "ISSUER", env = "EVENT_HTTPD_ISSUER", value_parser = non_empty)]
    pub(crate) issuer: Option<String>,

    /// What a token of the type at+jwt must name in its claim aud; may be repeated, in the
    /// environment as several lines [default: the public URL]
    #[arg(
        long = "audience",
        value_name = "AUDIENCE",
        env = "EVENT_HTTPD_AUDIENCE",
        value_parser = lines(non_empty)
    )]
    pub(crate) audiences: Vec<Lines<String>>,

    /// Let anyone subscribe, without a token, to updates that are not private
    #[arg(long, env = "EVENT_HTTPD_ANONYMOUS", value_parser = BoolishValueParser::new())]
    pub(crate) anonymous: bool,

    #[allow(rustdoc::bare_urls)] // --help prints this text as it is
    /// An origin whose pages may use the hub, such as https://example.com, or * for every origin
    /// but without cookies; may be repeated, in the environment as several lines
    #[arg(
        long = "cors-origin",
        value_name = "ORIGIN",
        env = "EVENT_HTTPD_CORS_ORIGIN",
        value_parser = lines(origin)
    )]
    pub(crate) cors_origins: Vec<Lines<String>>,

    /// The form of the protocol: what clients speak today (topic), what is being standardized
    /// (match), or both
    #[arg(
        long,
        value_name = "FORM",
        env = "EVENT_HTTPD_PROTOCOL",
        default_value = "both"
    )]
    pub(crate) protocol: Protocol,

    #[allow(rustdoc::bare_urls, rustdoc::broken_intra_doc_links)] // --help prints this text as it is
    /// Where updates are kept: in memory, where they end with this server, or in Redis, which any
    /// number of hubs can share: redis://[[USER][:PASSWORD]@]HOST[:PORT][/DATABASE], the same with
    /// rediss: for TLS, or unix:/PATH[?db=0&user=USER&pass=PASSWORD], each with ?prefix=PREFIX
    /// for its keys [default: memory]
    #[arg(
        long,
        value_name = "STORE",
        env = "EVENT_HTTPD_STORE",
        hide_env_values = true
    )]
    pub(crate) store: Option<Secret>,

    /// How long Redis may take to accept a connection or to reply before it counts as unavailable
    /// [default: 5s]
    #[arg(long, value_name = "TIME", env = "EVENT_HTTPD_STORE_TIMEOUT", value_parser = timeout)]
    pub(crate) store_timeout: Option<Duration>,

    /// How many updates may wait in each worker while Redis is unavailable; their publishers wait
    /// for the answer, and further ones get 503 at once. With 0 all get 503 [default: 0]
    #[arg(long, value_name = "N", env = "EVENT_HTTPD_STORE_QUEUE", value_parser = number::<usize, 0, { usize::MAX as u64 }>)]
    pub(crate) store_queue: Option<usize>,

    /// How much memory those updates may take [default: 16MiB]
    #[arg(long, value_name = "SIZE", env = "EVENT_HTTPD_STORE_QUEUE_SIZE", value_parser = size)]
    pub(crate) store_queue_size: Option<usize>,

    /// How long each of them may wait before its publisher gets 503 [default: 30s]
    #[arg(long, value_name = "TIME", env = "EVENT_HTTPD_STORE_QUEUE_TIME", value_parser = timeout)]
    pub(crate) store_queue_time: Option<Duration>,

    /// A PEM file with the certificate authorities to trust for rediss: [default: the
    /// system's]
    #[arg(long, value_name = "PATH", env = "EVENT_HTTPD_STORE_CA_FILE")]
    pub(crate) store_ca_file: Option<PathBuf>,

    /// A PEM file with the hub's client certificate for rediss:
    #[arg(long, value_name = "PATH", env = "EVENT_HTTPD_STORE_CERT_FILE")]
    pub(crate) store_cert_file: Option<PathBuf>,

    /// A PEM file with the key of that certificate
    #[arg(long, value_name = "PATH", env = "EVENT_HTTPD_STORE_KEY_FILE")]
    pub(crate) store_key_file: Option<PathBuf>,

    /// How many updates are kept for subscribers that connect again; 0 keeps none, Redis keeps
    /// at least 1000
    #[arg(
        long,
        value_name = "N",
        env = "EVENT_HTTPD_HISTORY",
        default_value_t = 10_000,
        value_parser = number::<usize, 0, { usize::MAX as u64 }>
    )]
    pub(crate) history: usize,

    /// How much memory the kept updates may take; Redis has a limit of its own, maxmemory
    #[arg(long, value_name = "SIZE", env = "EVENT_HTTPD_HISTORY_SIZE", default_value = "64MiB", value_parser = size)]
    pub(crate) history_size: usize,

    /// How often the hub sends each subscriber a comment (over WebSocket: a ping), so that proxies
    /// keep the connection and broken ones are noticed; 0 turns it off
    #[arg(long, value_name = "TIME", env = "EVENT_HTTPD_HEARTBEAT", default_value = "15s", value_parser = time)]
    pub(crate) heartbeat: Duration,

    /// Answer 429 to further subscribers while a worker has this many
    #[arg(long, value_name = "N", env = "EVENT_HTTPD_MAX_SUBSCRIBERS", value_parser = number::<u32, 1, { u32::MAX as u64 }>)]
    pub(crate) max_subscribers: Option<u32>,

    /// Answer 429 to further subscribers of an address while it has this many in a worker; an IPv6
    /// address counts as its /64 network. Behind a proxy, all have the proxy's address
    #[arg(long, value_name = "N", env = "EVENT_HTTPD_SUBSCRIBERS_PER_ADDRESS", value_parser = number::<u32, 1, { u32::MAX as u64 }>)]
    pub(crate) subscribers_per_address: Option<u32>,

    /// Answer 429 to a token that publishes more updates per second than this, in one worker
    #[arg(long, value_name = "N", env = "EVENT_HTTPD_PUBLISH_RATE", value_parser = number::<u32, 1, { u32::MAX as u64 }>)]
    pub(crate) publish_rate: Option<u32>,

    /// Report active subscriptions: list them under /subscriptions, and publish a private update
    /// whenever one begins or ends
    #[arg(long, env = "EVENT_HTTPD_SUBSCRIPTIONS", value_parser = BoolishValueParser::new())]
    pub(crate) subscriptions: bool,

    /// Serve a page at / that subscribes and publishes
    #[arg(long, env = "EVENT_HTTPD_DEMO", value_parser = BoolishValueParser::new())]
    pub(crate) demo: bool,
}

/// The forms of the protocol that the hub accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Protocol {
    /// Both forms
    Both,
    /// What clients of the 0.x hubs speak: topic, the claim mercure
    Deployed,
    /// What is being standardized: match, authorization_details
    Standard,
}

/// A secret, which is never printed.
#[derive(Clone)]
pub(crate) struct Secret(String);

impl Secret {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl FromStr for Secret {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

fn algorithm(text: &str) -> Result<Algorithm, &'static str> {
    Algorithm::from_name(text).ok_or("write HS256, HS384, HS512, RS256, ES256 or EdDSA")
}

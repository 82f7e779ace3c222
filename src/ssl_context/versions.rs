//! Which versions of the protocol a context speaks.
//!
//! Owns nothing, lends nothing to C, runs no user code.

use openssl::ssl::{SslOptions, SslVersion as OpensslVersion};

use super::SslVersion;
use crate::error::{Error, Result};

/// The versions that an option forbids.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Excluded {
    pub(super) tls1: bool,
    pub(super) tls1_1: bool,
    pub(super) tls1_2: bool,
}

impl Excluded {
    pub(super) fn bits(self) -> SslOptions {
        let mut bits = SslOptions::empty();
        bits.set(SslOptions::NO_TLSV1, self.tls1);
        bits.set(SslOptions::NO_TLSV1_1, self.tls1_1);
        bits.set(SslOptions::NO_TLSV1_2, self.tls1_2);
        bits
    }
}

/// The bounds that the setters were given, between which some version is left.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Versions {
    excluded: Excluded,
    min: Option<SslVersion>,
    max: Option<SslVersion>,
}

impl Versions {
    pub(super) fn without(excluded: Excluded) -> Self {
        Self {
            excluded,
            min: None,
            max: None,
        }
    }

    pub(super) fn excluded(self) -> Excluded {
        self.excluded
    }

    pub(super) fn min(self) -> Option<OpensslVersion> {
        self.min.and_then(of_openssl)
    }

    pub(super) fn max(self) -> Option<OpensslVersion> {
        self.max.and_then(of_openssl)
    }

    pub(super) fn with_min(self, call: &'static str, version: SslVersion) -> Result<Self> {
        let min = Some(version);
        Self { min, ..self }.checked(call, version)
    }

    pub(super) fn with_max(self, call: &'static str, version: SslVersion) -> Result<Self> {
        let max = Some(version);
        Self { max, ..self }.checked(call, version)
    }

    fn checked(self, call: &'static str, version: SslVersion) -> Result<Self> {
        let refuse = |reason: String| Err(Error::argument(call, reason));
        if of_openssl(version).is_none() {
            return refuse(format!(
                "a context does not speak {}; TLS1_VERSION to TLS1_3_VERSION are possible",
                version.name()
            ));
        }
        let min = self.min.unwrap_or(SslVersion::Tls1_2);
        let max = self.max.unwrap_or(SslVersion::Tls1_3);
        let range = min.number()..=max.number();
        let is_left = [
            (SslVersion::Tls1, self.excluded.tls1),
            (SslVersion::Tls1_1, self.excluded.tls1_1),
            (SslVersion::Tls1_2, self.excluded.tls1_2),
            (SslVersion::Tls1_3, false),
        ]
        .into_iter()
        .any(|(version, is_excluded)| !is_excluded && range.contains(&version.number()));
        if is_left {
            return Ok(self);
        }
        refuse(format!(
            "no version is left between the minimum, {}, and the maximum, {}",
            min.name(),
            max.name()
        ))
    }
}

/// OpenSSL's name for the version; `None` for one that a TLS context cannot speak.
fn of_openssl(version: SslVersion) -> Option<OpensslVersion> {
    match version {
        SslVersion::Tls1 => Some(OpensslVersion::TLS1),
        SslVersion::Tls1_1 => Some(OpensslVersion::TLS1_1),
        SslVersion::Tls1_2 => Some(OpensslVersion::TLS1_2),
        SslVersion::Tls1_3 => Some(OpensslVersion::TLS1_3),
        SslVersion::Ssl3 | SslVersion::Dtls1 | SslVersion::Dtls1_2 => None,
    }
}

//! Keys that verify tokens.

use std::fmt;

use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse,
};
use jsonwebtoken::{Algorithm as JwtAlgorithm, DecodingKey};

/// The signature algorithms that hubs accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// HMAC with SHA-256.
    Hs256,
    /// HMAC with SHA-384.
    Hs384,
    /// HMAC with SHA-512.
    Hs512,
    /// RSA (PKCS #1 v1.5) with SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    const ALL: [Self; 6] = [
        Self::Hs256,
        Self::Hs384,
        Self::Hs512,
        Self::Rs256,
        Self::Es256,
        Self::EdDsa,
    ];

    /// The name in a token's header.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Hs384 => "HS384",
            Self::Hs512 => "HS512",
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The kind of its keys.
    const fn kind(self) -> &'static str {
        match self {
            Self::Hs256 | Self::Hs384 | Self::Hs512 => "secret",
            Self::Rs256 => "public RSA key",
            Self::Es256 => "public EC key on P-256",
            Self::EdDsa => "public Ed25519 key",
        }
    }

    /// The algorithm of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
    }

    const fn jwt(self) -> JwtAlgorithm {
        match self {
            Self::Hs256 => JwtAlgorithm::HS256,
            Self::Hs384 => JwtAlgorithm::HS384,
            Self::Hs512 => JwtAlgorithm::HS512,
            Self::Rs256 => JwtAlgorithm::RS256,
            Self::Es256 => JwtAlgorithm::ES256,
            Self::EdDsa => JwtAlgorithm::EdDSA,
        }
    }

    /// Bytes of the hash, for HMAC: RFC 7518 §3.2 wants a secret at least as long.
    const fn secret_min(self) -> Option<usize> {
        match self {
            Self::Hs256 => Some(32),
            Self::Hs384 => Some(48),
            Self::Hs512 => Some(64),
            Self::Rs256 | Self::Es256 | Self::EdDsa => None,
        }
    }
}

/// Why a key can't be used. It never contains the key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The secret has no bytes.
    #[error("the secret is empty")]
    Empty,
    /// A public key would serve as a secret that everybody knows.
    #[error("the secret is a PEM file: give the algorithm of its key, such as RS256")]
    SecretIsPem,
    /// The algorithm needs another kind of key.
    #[error("{} needs a {}", .0.name(), .0.kind())]
    WrongKind(Algorithm),
    /// A PEM file with something else, a private key for example.
    #[error("give one public key in PEM: RSA, EC on P-256, or Ed25519")]
    Pem,
    /// A JWKS file that is not one.
    #[error("the JWKS is not valid: {0}; write it as {{\"keys\": […]}}")]
    Jwks(String),
    /// A JWKS file without a key that the hub can use.
    #[error("the JWKS has no key for a known algorithm: HS256, HS384, HS512, RS256, ES256, EdDSA")]
    NoKey,
}

/// What some editors write at the beginning of a file in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// One key and what it may verify.
#[derive(Clone)]
pub struct Key {
    id: Option<String>,
    issuer: Option<String>,
    /// A key of a set may be for each algorithm of its kind.
    algorithms: Vec<Algorithm>,
    decoding: DecodingKey,
    short: bool,
    odd_end: bool,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("id", &self.id)
            .field("issuer", &self.issuer)
            .field("algorithms", &self.algorithms)
            .finish_non_exhaustive()
    }
}

impl Key {
    fn new(algorithms: Vec<Algorithm>, decoding: DecodingKey) -> Self {
        Self {
            id: None,
            issuer: None,
            algorithms,
            decoding,
            short: false,
            odd_end: false,
        }
    }

    /// A secret for HMAC.
    ///
    /// # Errors
    /// When it is empty, is a PEM file, or the algorithm is not HMAC.
    pub fn secret(secret: &[u8], algorithm: Algorithm) -> Result<Self, KeyError> {
        let min = algorithm
            .secret_min()
            .ok_or(KeyError::WrongKind(algorithm))?;
        if secret.trim_ascii_start().starts_with(b"-----BEGIN ") {
            return Err(KeyError::SecretIsPem);
        }
        let decoding = DecodingKey::from_secret(secret).map_err(|_| KeyError::Empty)?;
        Ok(Self {
            short: secret.len() < min,
            odd_end: secret.trim_ascii() != secret || secret.starts_with(BYTE_ORDER_MARK),
            ..Self::new(vec![algorithm], decoding)
        })
    }

    /// A public key in PEM. Its kind tells the algorithm: RS256, ES256 or EdDSA.
    ///
    /// # Errors
    /// When the file has something else, a private key for example.
    pub fn pem(pem: &[u8]) -> Result<Self, KeyError> {
        let text = str::from_utf8(pem).map_err(|_| KeyError::Pem)?;
        let public = [
            "-----BEGIN PUBLIC KEY-----",
            "-----BEGIN RSA PUBLIC KEY-----",
        ];
        let begins = text.matches("-----BEGIN ").count();
        if begins != 1 || !public.iter().any(|begin| text.contains(begin)) {
            return Err(KeyError::Pem);
        }
        // A file with an EC or Ed25519 key is no RSA key to this parser, and so on.
        if let Ok(key) = DecodingKey::from_rsa_pem(pem) {
            Ok(Self::new(vec![Algorithm::Rs256], key))
        } else if let Ok(key) = DecodingKey::from_ec_pem(pem) {
            // 65 bytes: an uncompressed point of P-256.
            let point = key.try_get_as_bytes().map_err(|_| KeyError::Pem)?;
            if point.len() != 65 {
                return Err(KeyError::Pem);
            }
            Ok(Self::new(vec![Algorithm::Es256], key))
        } else if let Ok(key) = DecodingKey::from_ed_pem(pem) {
            Ok(Self::new(vec![Algorithm::EdDsa], key))
        } else {
            Err(KeyError::Pem)
        }
    }

    /// A secret or a public key in PEM, whatever `bytes` are, for that algorithm.
    ///
    /// # Errors
    /// When the key is not one of that algorithm.
    pub fn for_algorithm(bytes: &[u8], algorithm: Algorithm) -> Result<Self, KeyError> {
        if algorithm.secret_min().is_some() {
            return Self::secret(bytes, algorithm);
        }
        let key = Self::pem(bytes)?;
        if key.algorithms != [algorithm] {
            return Err(KeyError::WrongKind(algorithm));
        }
        Ok(key)
    }

    /// Binds the key to an issuer: it then verifies only tokens of the standard form whose `iss`
    /// is `issuer`. Tokens of the deployed form have no issuer to compare.
    #[must_use]
    pub fn with_issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = Some(issuer.into());
        self
    }

    /// Whether the key is a secret shorter than RFC 7518 §3.2 wants, which is easier to guess.
    #[must_use]
    pub fn is_short(&self) -> bool {
        self.short
    }

    /// Whether the key is a secret that begins or ends with white space, or begins with a byte order
    /// mark. All of it counts, so tokens that were made without it are refused.
    #[must_use]
    pub fn has_odd_end(&self) -> bool {
        self.odd_end
    }

    /// The algorithms of the tokens that it verifies.
    #[must_use]
    pub fn algorithms(&self) -> &[Algorithm] {
        &self.algorithms
    }

    pub(super) fn decoding(&self) -> &DecodingKey {
        &self.decoding
    }

    /// Whether the key may verify a token of that issuer; none for the deployed form.
    pub(super) fn belongs_to(&self, issuer: Option<&str>) -> bool {
        match (&self.issuer, issuer) {
            (Some(own), Some(issuer)) => own == issuer,
            _ => true,
        }
    }

    /// A key of a set; none when it is not for verifying, or for an algorithm we don't have.
    fn from_jwk(jwk: &Jwk) -> Option<Self> {
        if matches!(jwk.common.public_key_use, Some(PublicKeyUse::Encryption)) {
            return None;
        }
        let mut algorithms = match &jwk.algorithm {
            AlgorithmParameters::OctetKey(_) => {
                vec![Algorithm::Hs256, Algorithm::Hs384, Algorithm::Hs512]
            }
            AlgorithmParameters::RSA(_) => vec![Algorithm::Rs256],
            AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
                vec![Algorithm::Es256]
            }
            AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
                vec![Algorithm::EdDsa]
            }
            _ => return None,
        };
        if let Some(only) = jwk.common.key_algorithm {
            algorithms.retain(|algorithm| KeyAlgorithm::from(algorithm.jwt()) == only);
        }
        let decoding = DecodingKey::from_jwk(jwk).ok()?;
        let secret = decoding.try_get_as_bytes().map_or(usize::MAX, <[u8]>::len);
        let min = algorithms.iter().filter_map(|one| one.secret_min()).min();
        (!algorithms.is_empty()).then(|| Self {
            id: jwk.common.key_id.clone(),
            short: min.is_some_and(|min| secret < min),
            ..Self::new(algorithms, decoding)
        })
    }
}

/// The keys of one role.
#[derive(Clone, Debug, Default)]
pub struct Keys(Vec<Key>);

impl From<Vec<Key>> for Keys {
    fn from(keys: Vec<Key>) -> Self {
        Self(keys)
    }
}

impl Keys {
    /// The keys of a JSON Web Key Set (RFC 7517). Keys for encryption or for algorithms that the
    /// hub does not have are left out.
    ///
    /// # Errors
    /// When it is not a key set, or no key is left.
    pub fn jwks(json: &[u8]) -> Result<Self, KeyError> {
        // The parser's message quotes only names of members, but a position is enough.
        let set: JwkSet = serde_json::from_slice(json).map_err(|error| {
            KeyError::Jwks(format!("line {}, column {}", error.line(), error.column()))
        })?;
        let keys: Vec<_> = set.keys.iter().filter_map(Key::from_jwk).collect();
        if keys.is_empty() {
            return Err(KeyError::NoKey);
        }
        Ok(Self(keys))
    }

    /// Adds the keys of `other`.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Binds every key to an issuer, as [`Key::with_issuer`].
    #[must_use]
    pub fn with_issuer(self, issuer: &str) -> Self {
        Self(
            self.0
                .into_iter()
                .map(|key| key.with_issuer(issuer))
                .collect(),
        )
    }

    /// Each key.
    pub fn iter(&self) -> impl Iterator<Item = &Key> {
        self.0.iter()
    }

    /// The keys that may verify a token with this header: those with its `kid` if there are
    /// any, and only those for its algorithm.
    pub(super) fn candidates(
        &self,
        id: Option<&str>,
        algorithm: JwtAlgorithm,
    ) -> impl Iterator<Item = &Key> {
        let known = id.filter(|id| self.0.iter().any(|key| key.id.as_deref() == Some(id)));
        self.0
            .iter()
            .filter(move |key| known.is_none() || key.id.as_deref() == known)
            .filter(move |key| key.algorithms.iter().any(|own| own.jwt() == algorithm))
    }
}

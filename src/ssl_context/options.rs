//! Reads the constructor's list of options, and checks the type of each value.
//!
//! Owns nothing, lends nothing to C, runs no user code.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::versions::Excluded;
use super::{CREATE, SslOption};
use crate::error::{Error, Result};

/// OpenSSL truncates a longer passphrase silently.
const PASSPHRASE_MAX: usize = 1024;

/// The value of an option. A bool, a number, a text and a path convert with `into()`.
///
/// PHP: the values of the options' array.
///
/// # Examples
/// ```
/// use php_event::SslValue;
/// assert_eq!(SslValue::from("cert.pem"), SslValue::Text("cert.pem".into()));
/// assert_eq!(SslValue::from(true), SslValue::Bool(true));
/// assert_eq!(SslValue::from(3), SslValue::Int(3));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SslValue {
    /// A bool.
    Bool(bool),
    /// A number.
    Int(i64),
    /// A text or a path.
    Text(OsString),
}

impl From<bool> for SslValue {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i32> for SslValue {
    fn from(value: i32) -> Self {
        Self::Int(value.into())
    }
}

impl From<i64> for SslValue {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<&str> for SslValue {
    fn from(value: &str) -> Self {
        Self::Text(value.into())
    }
}

impl From<String> for SslValue {
    fn from(value: String) -> Self {
        Self::Text(value.into())
    }
}

impl From<&Path> for SslValue {
    fn from(value: &Path) -> Self {
        Self::Text(value.into())
    }
}

impl From<PathBuf> for SslValue {
    fn from(value: PathBuf) -> Self {
        Self::Text(value.into())
    }
}

/// The passphrase of an encrypted key: without a NUL, and never printed.
pub(super) type Passphrase = Rc<[u8]>;

/// The options; no file has been read yet.
#[derive(Default)]
pub(super) struct Options {
    pub(super) local_cert: Option<PathBuf>,
    pub(super) local_pk: Option<PathBuf>,
    pub(super) passphrase: Option<Passphrase>,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) ca_path: Option<PathBuf>,
    pub(super) allow_self_signed: bool,
    pub(super) verify_peer: Option<bool>,
    pub(super) verify_depth: Option<u32>,
    pub(super) ciphers: Option<String>,
    pub(super) excluded: Excluded,
    pub(super) cipher_server_preference: bool,
    pub(super) require_client_cert: bool,
    pub(super) verify_client_once: bool,
}

impl Options {
    /// Reads the list. The last value of a repeated key counts, as in PHP's arrays.
    pub(super) fn read(list: &[(SslOption, SslValue)]) -> Result<Self> {
        let mut options = Self::default();
        for (key, value) in list {
            options.take(Given { key: *key, value })?;
        }
        Ok(options)
    }

    fn take(&mut self, given: Given<'_>) -> Result<()> {
        match given.key {
            SslOption::LocalCert => self.local_cert = Some(given.path()?),
            SslOption::LocalPk => self.local_pk = Some(given.path()?),
            SslOption::Passphrase => self.passphrase = Some(given.passphrase()?),
            SslOption::CaFile => self.ca_file = Some(given.path()?),
            SslOption::CaPath => self.ca_path = Some(given.path()?),
            SslOption::AllowSelfSigned => self.allow_self_signed = given.flag()?,
            SslOption::VerifyPeer => self.verify_peer = Some(given.flag()?),
            SslOption::VerifyDepth => self.verify_depth = Some(given.depth()?),
            SslOption::Ciphers => self.ciphers = Some(given.ciphers()?),
            SslOption::NoSslv2 | SslOption::NoSslv3 => _ = given.flag()?,
            SslOption::NoTlsv1 => self.excluded.tls1 = given.flag()?,
            SslOption::NoTlsv1_1 => self.excluded.tls1_1 = given.flag()?,
            SslOption::NoTlsv1_2 => self.excluded.tls1_2 = given.flag()?,
            SslOption::CipherServerPreference => self.cipher_server_preference = given.flag()?,
            SslOption::RequireClientCert => self.require_client_cert = given.flag()?,
            SslOption::VerifyClientOnce => self.verify_client_once = given.flag()?,
        }
        Ok(())
    }
}

/// One entry of the list.
#[derive(Clone, Copy)]
struct Given<'a> {
    key: SslOption,
    value: &'a SslValue,
}

impl Given<'_> {
    /// The error for a value of the wrong type. It does not show texts: one may be a passphrase.
    fn wants(self, wanted: &str) -> Error {
        let key = self.key.name();
        let given = match self.value {
            SslValue::Bool(value) => value.to_string(),
            SslValue::Int(value) => format!("the number {value}"),
            SslValue::Text(_) => "a text".to_owned(),
        };
        Error::argument(CREATE, format!("{key} wants {wanted}, not {given}"))
    }

    fn flag(self) -> Result<bool> {
        match self.value {
            SslValue::Bool(value) => Ok(*value),
            _ => Err(self.wants("true or false")),
        }
    }

    fn path(self) -> Result<PathBuf> {
        match self.value {
            SslValue::Text(path) => Ok(path.into()),
            _ => Err(self.wants("a path, as text")),
        }
    }

    fn depth(self) -> Result<u32> {
        let number = match self.value {
            SslValue::Int(number) => u32::try_from(*number).ok(),
            _ => None,
        };
        number
            .filter(|depth| *depth <= i32::MAX.unsigned_abs())
            .ok_or_else(|| self.wants("a number from 0 to 2147483647"))
    }

    fn ciphers(self) -> Result<String> {
        match self.value {
            SslValue::Text(list) => list
                .to_str()
                .filter(|list| !list.contains('\0'))
                .map(str::to_owned)
                .ok_or_else(|| self.wants("ciphers' names, without NUL")),
            _ => Err(self.wants("ciphers' names, as text")),
        }
    }

    fn passphrase(self) -> Result<Passphrase> {
        let bytes = match self.value {
            SslValue::Text(text) => text.clone().into_vec(),
            SslValue::Int(number) => number.to_string().into_bytes(),
            SslValue::Bool(_) => return Err(self.wants("a text")),
        };
        if bytes.contains(&0) {
            return Err(self.wants("a text without NUL"));
        }
        if bytes.len() > PASSPHRASE_MAX {
            return Err(self.wants("at most 1024 bytes"));
        }
        Ok(bytes.into())
    }
}

//! The files of a context: certificates and keys in PEM form.
//!
//! Owns the certificates and keys that it has read. Lends nothing to C, runs no user code.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use memchr::memmem;
use openssl::pkey::{PKey, Private};
use openssl::x509::X509;

use super::options::Passphrase;
use super::queue;
use crate::error::{Error, Result};

/// More than any bundle of authorities has: a wrong path must not take all memory.
const FILE_MAX: u64 = 16 << 20;

/// A private key and its file.
#[derive(Clone)]
pub(super) struct Key {
    pub(super) path: PathBuf,
    pub(super) key: PKey<Private>,
}

/// A certificate with the intermediate ones, and its key.
#[derive(Clone)]
pub(super) struct Identity {
    pub(super) path: PathBuf,
    pub(super) leaf: X509,
    pub(super) chain: Vec<X509>,
    pub(super) key: Key,
}

impl Identity {
    /// Reads the certificate file, and the key from the same file unless one is given.
    pub(super) fn load(
        call: &'static str,
        path: &Path,
        key: Option<Key>,
        passphrase: Option<&Passphrase>,
    ) -> Result<Self> {
        let pem = read(call, path)?;
        let mut chain = certificates(call, path, &pem)?.into_iter();
        let Some(leaf) = chain.next() else {
            return Err(bad(call, path, "no certificate in it"));
        };
        let key = match key {
            Some(key) => key,
            None => Key {
                key: private_key(call, path, &pem, passphrase)?,
                path: path.to_owned(),
            },
        };
        let loaded = Self {
            path: path.to_owned(),
            leaf,
            chain: chain.collect(),
            key,
        };
        loaded.matched(call)
    }

    /// The same certificate with another key.
    pub(super) fn with_key(&self, call: &'static str, key: Key) -> Result<Self> {
        Self {
            key,
            ..self.clone()
        }
        .matched(call)
    }

    fn matched(self, call: &'static str) -> Result<Self> {
        let public = self.leaf.public_key();
        if public.is_ok_and(|public| public.public_eq(&self.key.key)) {
            return Ok(self);
        }
        let path = self.path.display();
        let cause = format!("not the key of the certificate in {path}");
        Err(bad(call, &self.key.path, &cause))
    }
}

impl Key {
    pub(super) fn load(
        call: &'static str,
        path: &Path,
        passphrase: Option<&Passphrase>,
    ) -> Result<Self> {
        let pem = read(call, path)?;
        Ok(Self {
            key: private_key(call, path, &pem, passphrase)?,
            path: path.to_owned(),
        })
    }
}

/// The authorities' certificates in a file: at least one.
pub(super) fn authorities(call: &'static str, path: &Path) -> Result<Vec<X509>> {
    let found = certificates(call, path, &read(call, path)?)?;
    if found.is_empty() {
        return Err(bad(call, path, "no certificate in it"));
    }
    Ok(found)
}

/// A directory of certificates, in the form OpenSSL takes it. OpenSSL reads its files during a
/// handshake, in the loop, so none may block.
pub(super) fn directory(call: &'static str, path: &Path) -> Result<String> {
    let failed = |error| io_error(call, path, &error);
    if !path.metadata().map_err(failed)?.is_dir() {
        return Err(bad(call, path, "not a directory"));
    }
    for entry in path.read_dir().map_err(failed)? {
        let entry = entry.map_err(failed)?.path();
        let blocks = |kind: fs::FileType| !kind.is_file() && !kind.is_dir();
        if entry
            .metadata()
            .is_ok_and(|about| blocks(about.file_type()))
        {
            return Err(bad(call, &entry, "not a regular file"));
        }
    }
    match path.to_str() {
        Some(text) if !text.contains(':') => Ok(text.to_owned()),
        _ => Err(bad(
            call,
            path,
            "OpenSSL cannot use this path: it is not UTF-8, or contains a colon",
        )),
    }
}

/// Reads a regular file. Anything else could block, as a FIFO without a writer, or never
/// end, as `/dev/zero`.
fn read(call: &'static str, path: &Path) -> Result<Vec<u8>> {
    let failed = |error| io_error(call, path, &error);
    let file = File::options()
        .read(true)
        .custom_flags(libc::O_NONBLOCK) // opening a FIFO waits for a writer
        .open(path)
        .map_err(failed)?;
    let kind = file.metadata().map_err(failed)?.file_type();
    if kind.is_dir() {
        return Err(failed(io::ErrorKind::IsADirectory.into()));
    }
    if !kind.is_file() {
        return Err(bad(call, path, "not a regular file"));
    }
    let mut bytes = Vec::new();
    let length = file.take(FILE_MAX + 1).read_to_end(&mut bytes);
    if length.map_err(failed)? as u64 > FILE_MAX {
        return Err(bad(call, path, "larger than 16 MiB"));
    }
    Ok(bytes)
}

fn certificates(call: &'static str, path: &Path, pem: &[u8]) -> Result<Vec<X509>> {
    if has_encrypted_certificate(pem) {
        // OpenSSL would prompt on the terminal, and nobody encrypts what is public.
        return Err(bad(call, path, "bad certificate: it is encrypted"));
    }
    X509::stack_from_pem(pem).map_err(|stack| {
        bad(
            call,
            path,
            &format!("bad certificate: {}", queue::text(&stack)),
        )
    })
}

/// Whether a certificate in a file is encrypted, as RFC 1421 §4.6 marks it.
fn has_encrypted_certificate(pem: &[u8]) -> bool {
    const END: &[u8] = b"CERTIFICATE-----";
    memmem::find_iter(pem, END).any(|at| {
        let rest = pem.get(at + END.len()..).unwrap_or_default();
        rest.trim_ascii_start().starts_with(b"Proc-Type:")
    })
}

fn private_key(
    call: &'static str,
    path: &Path,
    pem: &[u8],
    passphrase: Option<&Passphrase>,
) -> Result<PKey<Private>> {
    let holds = |text: &str| memmem::find(pem, text.as_bytes()).is_some();
    let encrypted = holds("BEGIN ENCRYPTED PRIVATE KEY") || holds("4,ENCRYPTED");
    if !holds("PRIVATE KEY-----") {
        return Err(bad(call, path, "no private key in it"));
    }
    if encrypted && passphrase.is_none() {
        return Err(bad(call, path, "the key is encrypted; give OPT_PASSPHRASE"));
    }
    // An empty one if none is given: OpenSSL would prompt on the terminal.
    let passphrase = passphrase.map_or(&[][..], |passphrase| passphrase);
    PKey::private_key_from_pem_passphrase(pem, passphrase).map_err(|stack| {
        let what = match encrypted {
            true => "OPT_PASSPHRASE does not open the key",
            false => "bad private key",
        };
        bad(call, path, &format!("{what}: {}", queue::text(&stack)))
    })
}

fn io_error(call: &'static str, path: &Path, error: &io::Error) -> Error {
    let text = format!("{}: {error}", path.display());
    Error::io(call, io::Error::new(error.kind(), text))
}

pub(super) fn bad(call: &'static str, path: &Path, cause: &str) -> Error {
    let cause = format!("{}: {cause}", path.display());
    Error::Call {
        call,
        cause: Some(cause.into()),
    }
}

//! Certificates and keys for a test, in a directory of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::symm::Cipher;
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509Name, X509NameRef};
use tempfile::TempDir;

pub use crate::tls_flood::Flooder;
pub use crate::tls_relay::{relayed, trusting};
pub use crate::tls_requests::{renegotiate, update_keys};

/// Certificate and key of a server on `127.0.0.1`, one for the whole process.
pub fn server_file() -> &'static Path {
    static SERVER: OnceLock<(PathBuf, Folder)> = OnceLock::new();
    let (file, _) = SERVER.get_or_init(|| {
        let folder = Folder::new();
        let files = Identity::self_signed(&["127.0.0.1"]).save(&folder, "server");
        (files.both, folder)
    });
    file
}

/// A directory that is deleted at the end of the test.
pub struct Folder(TempDir);

impl Folder {
    pub fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file, replacing one that is there.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    }
}

/// A certificate and its key.
pub struct Identity {
    pub cert: X509,
    pub key: PKey<Private>,
}

/// The files of an [`Identity`].
pub struct Files {
    pub cert: PathBuf,
    pub key: PathBuf,
    /// Certificate and key.
    pub both: PathBuf,
}

impl Identity {
    /// A self-signed certificate for these names and addresses.
    pub fn self_signed(names: &[&str]) -> Self {
        Draft::of(names).sign(None)
    }

    /// The same, expired yesterday.
    pub fn self_signed_expired(names: &[&str]) -> Self {
        let mut draft = Draft::of(names);
        draft.expired = true;
        draft.sign(None)
    }

    /// A self-signed certificate with this key.
    pub fn self_signed_with(key: PKey<Private>, names: &[&str]) -> Self {
        Draft::of(names).sign_with(key, None)
    }

    pub fn cert_pem(&self) -> Vec<u8> {
        self.cert.to_pem().unwrap()
    }

    pub fn key_pem(&self) -> Vec<u8> {
        self.key.private_key_to_pem_pkcs8().unwrap()
    }

    /// The key, encrypted with the passphrase.
    pub fn encrypted_key_pem(&self, passphrase: &[u8]) -> Vec<u8> {
        let cipher = Cipher::aes_128_cbc();
        let pem = self
            .key
            .private_key_to_pem_pkcs8_passphrase(cipher, passphrase);
        pem.unwrap()
    }

    /// The same in the traditional form, older than PKCS #8.
    pub fn encrypted_traditional_key_pem(&self, passphrase: &[u8]) -> Vec<u8> {
        let key = self.key.ec_key().unwrap();
        key.private_key_to_pem_passphrase(Cipher::aes_128_cbc(), passphrase)
            .unwrap()
    }

    /// Writes `<name>.crt`, `<name>.key` and, with both in it, `<name>.pem`.
    pub fn save(&self, folder: &Folder, name: &str) -> Files {
        let (cert, key) = (self.cert_pem(), self.key_pem());
        Files {
            cert: folder.write(&format!("{name}.crt"), &cert),
            key: folder.write(&format!("{name}.key"), &key),
            both: folder.write(&format!("{name}.pem"), [cert, key].concat()),
        }
    }
}

/// A certificate authority.
pub struct Authority(pub Identity);

impl Authority {
    /// A root authority.
    pub fn new() -> Self {
        Self(Draft::authority().sign(None))
    }

    /// An intermediate authority, signed by this one.
    pub fn intermediate(&self) -> Self {
        Self(Draft::authority().sign(Some(&self.0)))
    }

    /// Signs a certificate for these names and addresses; a client's needs none.
    pub fn sign(&self, names: &[&str]) -> Identity {
        Draft::of(names).sign(Some(&self.0))
    }

    /// The same, expired yesterday.
    pub fn sign_expired(&self, names: &[&str]) -> Identity {
        let mut draft = Draft::of(names);
        draft.expired = true;
        draft.sign(Some(&self.0))
    }

    /// The same, with the name as its common name and no alternative names.
    pub fn sign_common_name(&self, name: &str) -> Identity {
        let mut draft = Draft::of(&[]);
        draft.common_name = name.to_owned();
        draft.sign(Some(&self.0))
    }

    /// The file for `OPT_CA_FILE`.
    pub fn save(&self, folder: &Folder, name: &str) -> PathBuf {
        folder.write(&format!("{name}.crt"), self.0.cert_pem())
    }

    /// The directory for `OPT_CA_PATH`: the certificate under its hash.
    pub fn save_hashed(&self, folder: &Folder, name: &str) -> PathBuf {
        let dir = folder.path().join(name);
        fs::create_dir(&dir).unwrap();
        let hash = self.0.cert.subject_name_hash();
        fs::write(dir.join(format!("{hash:08x}.0")), self.0.cert_pem()).unwrap();
        dir
    }
}

/// A certificate that is not signed yet.
struct Draft<'a> {
    common_name: String,
    names: &'a [&'a str],
    authority: bool,
    expired: bool,
}

impl<'a> Draft<'a> {
    fn of(names: &'a [&'a str]) -> Self {
        Self {
            common_name: format!("test {}", next()),
            names,
            authority: false,
            expired: false,
        }
    }

    fn authority() -> Self {
        Self {
            authority: true,
            ..Self::of(&[])
        }
    }

    fn sign(self, issuer: Option<&Identity>) -> Identity {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
        let key = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
        self.sign_with(key, issuer)
    }

    fn sign_with(self, key: PKey<Private>, issuer: Option<&Identity>) -> Identity {
        let subject = subject(&self.common_name);
        let mut cert = X509::builder().unwrap();
        cert.set_version(2).unwrap();
        let serial = BigNum::from_u32(next()).unwrap();
        cert.set_serial_number(&serial.to_asn1_integer().unwrap())
            .unwrap();
        cert.set_subject_name(&subject).unwrap();
        let issuer_name: &X509NameRef = issuer.map_or(&subject, |by| by.cert.subject_name());
        cert.set_issuer_name(issuer_name).unwrap();
        cert.set_pubkey(&key).unwrap();
        let (from, to) = if self.expired { (-30, -1) } else { (-1, 30) };
        cert.set_not_before(&days_from_now(from)).unwrap();
        cert.set_not_after(&days_from_now(to)).unwrap();
        if self.authority {
            let mark = BasicConstraints::new().critical().ca().build().unwrap();
            cert.append_extension(mark).unwrap();
        }
        if !self.names.is_empty() {
            let mut list = SubjectAlternativeName::new();
            for name in self.names {
                match name.parse::<std::net::IpAddr>() {
                    Ok(_) => list.ip(name),
                    Err(_) => list.dns(name),
                };
            }
            let list = list.build(&cert.x509v3_context(None, None)).unwrap();
            cert.append_extension(list).unwrap();
        }
        let by = issuer.map_or(&key, |by| &by.key);
        cert.sign(by, MessageDigest::sha256()).unwrap();
        Identity {
            cert: cert.build(),
            key,
        }
    }
}

/// A serial number, unique in this process.
fn next() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn subject(common_name: &str) -> X509Name {
    let mut name = X509Name::builder().unwrap();
    name.append_entry_by_nid(Nid::COMMONNAME, common_name)
        .unwrap();
    name.build()
}

fn days_from_now(days: i64) -> Asn1Time {
    let now = std::time::SystemTime::now();
    let now = now.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    Asn1Time::from_unix(i64::try_from(now).unwrap() + days * 24 * 3600).unwrap()
}

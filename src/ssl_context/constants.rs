//! The constants of `EventSslContext`, typed: methods, option keys and protocol versions.
//!
//! Owns nothing, lends nothing to C, runs no user code.

use crate::EventSslContext;

/// Gives the class its typed PHP constants, and their type PHP's names and numbers. The C names
/// are in brackets.
macro_rules! class_consts {
    ($class:ident: $type:ident {$(
        $php:ident = $member:ident $([$($c:literal),+])? $(from $other:literal)?
            $(deprecated $note:literal)?,
    )+}) => {
        impl $type {
            /// The name of the constant in PHP, without the class.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$member => stringify!($php),)+
                }
            }

            /// The number of the constant in PHP.
            #[must_use]
            pub const fn number(self) -> i32 {
                self as i32
            }
        }

        #[allow(non_upper_case_globals, reason = "PHP's names")]
        impl $class {$(
            #[doc = origin!($php $($other)?)]
            #[doc = concat!("See [`", stringify!($type), "::", stringify!($member), "`].")]
            $($(#[doc(alias = $c)])+)?
            $(#[deprecated(note = $note)])?
            pub const $php: $type = $type::$member;
        )+}
    };
}

/// The origin of a constant.
macro_rules! origin {
    ($php:ident) => {
        concat!("PHP: `EventSslContext::", stringify!($php), "`.")
    };
    ($php:ident $other:literal) => {
        $other
    };
}

/// Which side of a connection a context is for.
///
/// PHP: the constants `EventSslContext::*_METHOD`. Current builds of PECL have none for SSL 2
/// and SSL 3 either. A number is not accepted, so no context can be made with a bad one:
/// ```compile_fail,E0308
/// let bad = php_event::EventSslContext::new(2, &[]);
/// ```
/// ```
/// use php_event::EventSslContext;
/// let good = EventSslContext::new(EventSslContext::TLS_CLIENT_METHOD, &[])?;
/// # Ok::<(), php_event::EventException>(())
/// ```
/// The four methods with a version in their name do the same as the two without, and are
/// deprecated, as in PHP. [`set_min_proto_version`](EventSslContext::set_min_proto_version)
/// and [`set_max_proto_version`](EventSslContext::set_max_proto_version) bound the version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(i32)]
pub enum SslMethod {
    /// A client: it verifies the server unless told otherwise.
    TlsClient = 4,
    /// A server: it needs a certificate.
    TlsServer = 8,
    /// The same as [`TlsClient`](Self::TlsClient).
    Tlsv11Client = 9,
    /// The same as [`TlsServer`](Self::TlsServer).
    Tlsv11Server = 10,
    /// The same as [`TlsClient`](Self::TlsClient).
    Tlsv12Client = 11,
    /// The same as [`TlsServer`](Self::TlsServer).
    Tlsv12Server = 12,
}

impl SslMethod {
    /// Whether a context with this method is a server's.
    #[must_use]
    pub const fn is_server(self) -> bool {
        matches!(
            self,
            Self::TlsServer | Self::Tlsv11Server | Self::Tlsv12Server
        )
    }
}

/// The key of an option. Each description begins with the kind of its
/// [`SslValue`](crate::SslValue).
///
/// PHP: the constants `EventSslContext::OPT_*`, integer keys of the options' array.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(i32)]
pub enum SslOption {
    /// Text: a PEM file with this side's certificate, followed by the intermediate ones. The
    /// key is in the same file, unless [`LocalPk`](Self::LocalPk) is given.
    LocalCert = 1,
    /// Text: a PEM file with the private key for [`LocalCert`](Self::LocalCert).
    LocalPk = 2,
    /// Text or number: the passphrase of an encrypted key. Unlike in PHP its place among the
    /// options does not matter, and OpenSSL never prompts for it.
    Passphrase = 3,
    /// Text: a PEM file with the certificates of the authorities to trust instead of the
    /// system's. A server also sends their names to its clients.
    CaFile = 4,
    /// Text: a directory of such certificates, named by their hashes (see `openssl rehash`),
    /// instead of the system's.
    CaPath = 5,
    /// Bool: accept a self-signed certificate, or one of an unknown self-signed authority. The
    /// connection is encrypted, but the peer can be anyone. Dates and host name are still
    /// verified. As in PHP it has no effect together with a `CaFile` or `CaPath`.
    AllowSelfSigned = 6,
    /// Bool: verify the peer. Unlike in PHP a client does by default. A server then asks for a
    /// certificate and verifies it, but accepts a client that sends none.
    VerifyPeer = 7,
    /// Number: the most intermediate certificates between the peer's and the authority's.
    VerifyDepth = 8,
    /// Text: OpenSSL's cipher list for versions up to TLS 1.2. Unknown names are ignored; a
    /// list without any known name is an `Err`.
    Ciphers = 9,
    /// Bool: no effect, since SSL 2 is always off. PHP warns about an unknown option.
    NoSslv2 = 10,
    /// Bool: no effect, since SSL 3 is always off. PHP warns about an unknown option.
    NoSslv3 = 11,
    /// Bool: no TLS 1.0, which is off by default. In PHP it makes 1.0 the minimum.
    NoTlsv1 = 12,
    /// Bool: no TLS 1.1, which is off by default. In PHP it makes 1.1 the minimum.
    NoTlsv1_1 = 13,
    /// Bool: no TLS 1.2. In PHP it makes 1.2 the minimum.
    NoTlsv1_2 = 14,
    /// Bool: prefer the server's order of ciphers to the client's.
    CipherServerPreference = 15,
    /// Bool: a server refuses clients without a certificate. Unlike in PHP this alone makes it
    /// verify them. It has no effect on a client.
    RequireClientCert = 16,
    /// Bool: a server that verifies asks for a certificate only once per connection.
    VerifyClientOnce = 17,
}

/// A version of the protocol, for `set_min_proto_version` and `set_max_proto_version`.
///
/// PHP: the constants `EventSslContext::*_VERSION`; [`Tls1_3`](Self::Tls1_3) has none there.
///
/// # Examples
/// ```
/// use php_event::EventSslContext;
///
/// assert_eq!(EventSslContext::TLS1_3_VERSION.name(), "TLS1_3_VERSION");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(i32)]
pub enum SslVersion {
    /// SSL 3, which a context does not speak.
    Ssl3 = 768,
    /// TLS 1.0. OpenSSL 3 speaks it only with `@SECLEVEL=0` in the ciphers' list.
    Tls1 = 769,
    /// TLS 1.1. OpenSSL 3 speaks it only with `@SECLEVEL=0` in the ciphers' list.
    Tls1_1 = 770,
    /// TLS 1.2, the minimum unless told otherwise.
    Tls1_2 = 771,
    /// TLS 1.3.
    Tls1_3 = 772,
    /// DTLS 1.0, for datagrams, which a context does not speak.
    Dtls1 = 65279,
    /// DTLS 1.2, for datagrams, which a context does not speak.
    Dtls1_2 = 65277,
}

class_consts!(EventSslContext: SslMethod {
    TLS_CLIENT_METHOD = TlsClient ["TLS_client_method"],
    TLS_SERVER_METHOD = TlsServer ["TLS_server_method"],
    TLSv11_CLIENT_METHOD = Tlsv11Client deprecated "the same as TLS_CLIENT_METHOD",
    TLSv11_SERVER_METHOD = Tlsv11Server deprecated "the same as TLS_SERVER_METHOD",
    TLSv12_CLIENT_METHOD = Tlsv12Client deprecated "the same as TLS_CLIENT_METHOD",
    TLSv12_SERVER_METHOD = Tlsv12Server deprecated "the same as TLS_SERVER_METHOD",
});

class_consts!(EventSslContext: SslOption {
    OPT_LOCAL_CERT = LocalCert ["SSL_CTX_use_certificate_chain_file"],
    OPT_LOCAL_PK = LocalPk ["SSL_CTX_use_PrivateKey_file"],
    OPT_PASSPHRASE = Passphrase ["SSL_CTX_set_default_passwd_cb"],
    OPT_CA_FILE = CaFile ["SSL_CTX_load_verify_locations"],
    OPT_CA_PATH = CaPath ["SSL_CTX_load_verify_locations"],
    OPT_ALLOW_SELF_SIGNED = AllowSelfSigned,
    OPT_VERIFY_PEER = VerifyPeer ["SSL_CTX_set_verify", "SSL_VERIFY_PEER"],
    OPT_VERIFY_DEPTH = VerifyDepth ["SSL_CTX_set_verify_depth"],
    OPT_CIPHERS = Ciphers ["SSL_CTX_set_cipher_list"],
    OPT_NO_SSLv2 = NoSslv2 ["SSL_OP_NO_SSLv2"],
    OPT_NO_SSLv3 = NoSslv3 ["SSL_OP_NO_SSLv3"],
    OPT_NO_TLSv1 = NoTlsv1 ["SSL_OP_NO_TLSv1"],
    OPT_NO_TLSv1_1 = NoTlsv1_1 ["SSL_OP_NO_TLSv1_1"],
    OPT_NO_TLSv1_2 = NoTlsv1_2 ["SSL_OP_NO_TLSv1_2"],
    OPT_CIPHER_SERVER_PREFERENCE = CipherServerPreference ["SSL_OP_CIPHER_SERVER_PREFERENCE"],
    OPT_REQUIRE_CLIENT_CERT = RequireClientCert ["SSL_VERIFY_FAIL_IF_NO_PEER_CERT"],
    OPT_VERIFY_CLIENT_ONCE = VerifyClientOnce ["SSL_VERIFY_CLIENT_ONCE"],
});

class_consts!(EventSslContext: SslVersion {
    SSL3_VERSION = Ssl3,
    TLS1_VERSION = Tls1,
    TLS1_1_VERSION = Tls1_1,
    TLS1_2_VERSION = Tls1_2,
    TLS1_3_VERSION = Tls1_3 from "Not in PHP. OpenSSL: `TLS1_3_VERSION`.",
    DTLS1_VERSION = Dtls1,
    DTLS1_2_VERSION = Dtls1_2,
});

impl EventSslContext {
    /// The version of the OpenSSL that the crate was compiled for, in words.
    ///
    /// PHP: `EventSslContext::OPENSSL_VERSION_TEXT`, equally of the headers.
    /// [`openssl_version`](Self::openssl_version) is the running library's.
    pub const OPENSSL_VERSION_TEXT: &'static str = env!("PHP_EVENT_OPENSSL_VERSION_TEXT");

    /// The version of the OpenSSL that the crate was compiled for: `0x1010100f` is 1.1.1,
    /// `0x30000130` 3.0.19.
    ///
    /// PHP: `EventSslContext::OPENSSL_VERSION_NUMBER`, equally of the headers.
    pub const OPENSSL_VERSION_NUMBER: i64 =
        match i64::from_str_radix(env!("PHP_EVENT_OPENSSL_VERSION_NUMBER"), 16) {
            Ok(number) => number,
            Err(_) => panic!("the build script hands on a number"),
        };
}

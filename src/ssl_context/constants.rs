//! The constants of `EventSslContext`, typed: methods, option keys and protocol versions.
//!
//! Owns nothing, lends nothing to C, runs no user code.

use crate::EventSslContext;

/// Gives the class its PHP constants, typed, and their type PHP's names and numbers; in
/// brackets the C names.
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

        #[allow(non_upper_case_globals, reason = "PHP's names, as they are")]
        impl $class {$(
            #[doc = origin!($php $($other)?)]
            #[doc = concat!("See [`", stringify!($type), "::", stringify!($member), "`].")]
            $($(#[doc(alias = $c)])+)?
            $(#[deprecated(note = $note)])?
            pub const $php: $type = $type::$member;
        )+}
    };
}

/// Where a constant has its name from.
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
/// PHP: the constants `EventSslContext::*_METHOD`; those of SSL 2, SSL 3 and SSL 2/3 do
/// not exist in its builds either, so that a context without life cannot be asked for:
/// ```compile_fail,E0308
/// let dead = php_event::EventSslContext::new(2, &[]);
/// ```
/// ```
/// use php_event::EventSslContext;
/// let alive = EventSslContext::new(EventSslContext::TLS_CLIENT_METHOD, &[])?;
/// # Ok::<(), php_event::EventException>(())
/// ```
/// The four with a version in their name are as the two without, as in PHP, where each
/// use is a deprecation notice; here the compiler gives it. What bounds the version are
/// [`set_min_proto_version`](EventSslContext::set_min_proto_version) and its sister.
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

/// The key of an option; its kind of [`SslValue`](crate::SslValue) stands first.
///
/// PHP: the constants `EventSslContext::OPT_*`, integer keys of the options' array.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(i32)]
pub enum SslOption {
    /// Text: the PEM file with the own certificate and those that lead from it to the
    /// authority's. Its key is in the same file, unless [`LocalPk`](Self::LocalPk) is given.
    LocalCert = 1,
    /// Text: the PEM file with the own private key, for [`LocalCert`](Self::LocalCert).
    LocalPk = 2,
    /// Text or number: what opens an encrypted key. Unlike in PHP its place among the
    /// options does not matter, and nothing ever asks for it on the terminal.
    Passphrase = 3,
    /// Text: a PEM file with the certificates of the authorities to trust, instead of the
    /// system's. A server also tells clients that it takes certificates of these.
    CaFile = 4,
    /// Text: a directory of such certificates under their hashes (`openssl rehash` names
    /// them so), instead of the system's.
    CaPath = 5,
    /// Bool: accept a peer whose certificate, or whose authority's, is signed by nobody
    /// but itself: encryption without knowing with whom. The rest, dates and host name,
    /// is still verified. As in PHP it has no effect beside a `CaFile` or `CaPath`.
    AllowSelfSigned = 6,
    /// Bool: verify the peer. Unlike in PHP a client does by default. A server then asks
    /// for a certificate, verifies the one it gets, and goes on without one.
    VerifyPeer = 7,
    /// Number: how many certificates may stand between the peer's and the authority's.
    VerifyDepth = 8,
    /// Text: OpenSSL's list of ciphers up to TLS 1.2. Names that this OpenSSL does not know
    /// are passed over; a list in which none is left is an `Err`.
    Ciphers = 9,
    /// Bool: nothing, since SSL 2 is always off; PHP warns of it as unknown.
    NoSslv2 = 10,
    /// Bool: nothing, since SSL 3 is always off; PHP warns of it as unknown.
    NoSslv3 = 11,
    /// Bool: no TLS 1.0, which is off by default. In PHP it makes 1.0 the minimum.
    NoTlsv1 = 12,
    /// Bool: no TLS 1.1, which is off by default. In PHP it makes 1.1 the minimum.
    NoTlsv1_1 = 13,
    /// Bool: no TLS 1.2. In PHP it makes 1.2 the minimum.
    NoTlsv1_2 = 14,
    /// Bool: of the ciphers that both sides have, take the server's favourite.
    CipherServerPreference = 15,
    /// Bool: a server refuses clients without a certificate. Unlike in PHP this alone makes
    /// it verify them. For a client it means nothing.
    RequireClientCert = 16,
    /// Bool: a server that verifies asks a client only once in a connection.
    VerifyClientOnce = 17,
}

/// A version of the protocol, for the two `set_…_proto_version`.
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

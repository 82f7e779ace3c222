//! [`SocketName`]: where a socket is bound.
//!
//! Owns, lends to C: nothing. Runs no user code.

use std::fmt;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use socket2::{SockAddr, SockRef};

use crate::error::{Error, Result};

/// The name of a socket: an IP address and a port, or a path.
///
/// PHP: the arguments `$address` and `$port` of `getSocketName`, which that version of the
/// extension never fills.
///
/// # Examples
/// ```
/// use php_event::SocketName;
///
/// let name = SocketName::Ip("[::1]:80".parse()?);
/// assert_eq!((name.to_string().as_str(), name.port()), ("[::1]:80", Some(80)));
/// assert_eq!(SocketName::Path("/run/app.sock".into()).to_string(), "/run/app.sock");
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SocketName {
    /// An address of IPv4 or IPv6, and the port.
    Ip(SocketAddr),
    /// The path of a unix socket.
    Path(PathBuf),
    /// The name of a unix socket in Linux's abstract namespace, without the NUL in front.
    Abstract(Box<[u8]>),
    /// A unix socket that has no name: one of a pair, or a client's.
    Unnamed,
}

impl SocketName {
    /// The IP address and the port.
    ///
    /// ```
    /// let socket = std::net::UdpSocket::bind("127.0.0.1:0")?;
    /// let name = php_event::EventUtil::get_socket_name(&socket)?;
    /// assert_eq!(name.ip(), Some(socket.local_addr()?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn ip(&self) -> Option<SocketAddr> {
        match self {
            Self::Ip(address) => Some(*address),
            _ => None,
        }
    }

    /// The port of an IP address.
    ///
    /// ```
    /// assert_eq!(php_event::SocketName::Unnamed.port(), None);
    /// ```
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.ip().map(|address| address.port())
    }

    /// The path of a unix socket.
    ///
    /// ```
    /// use std::path::Path;
    /// let name = php_event::SocketName::Path("/run/app.sock".into());
    /// assert_eq!(name.path(), Some(Path::new("/run/app.sock")));
    /// ```
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Path(path) => Some(path),
            _ => None,
        }
    }

    /// Asks the system for the name of `socket`.
    pub(crate) fn of(call: &'static str, socket: &impl AsFd) -> Result<Self> {
        let address = SockRef::from(socket)
            .local_addr()
            .map_err(|error| Error::io(call, error))?;
        Self::read(&address).ok_or_else(|| {
            let family = address.family();
            Error::argument(
                call,
                format!("a socket of family {family} has neither an IP address nor a path"),
            )
        })
    }

    fn read(address: &SockAddr) -> Option<Self> {
        if let Some(address) = address.as_socket() {
            Some(Self::Ip(address))
        } else if let Some(path) = address.as_pathname() {
            Some(Self::Path(path.to_owned()))
        } else if let Some(name) = address.as_abstract_namespace() {
            Some(Self::Abstract(name.into()))
        } else {
            address.is_unix().then_some(Self::Unnamed)
        }
    }
}

impl fmt::Display for SocketName {
    /// `ip:port`, `[v6]:port`, the path, `@name` for an abstract one, `unnamed`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Path(path) => path.display().fmt(f),
            Self::Abstract(name) => write!(f, "@{}", String::from_utf8_lossy(name)),
            Self::Unnamed => f.write_str("unnamed"),
        }
    }
}

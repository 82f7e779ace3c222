//! [`Address`]: where a socket listens or connects, and the one parser for it.
//!
//! Owns, lends to C: nothing. Runs no user code.

mod host;
mod socket;
mod socket_name;

use std::borrow::Cow;
use std::ffi::OsStr;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::str::FromStr;
use std::{fmt, io};

use socket2::SockAddr;

pub(crate) use host::{Host, NAME_MAX, check_name, with_port};
pub(crate) use socket::{ListenOptions, begin_connect, connect, connecting};
pub use socket_name::SocketName;

use crate::error::Error;

/// Where a stream socket listens or connects.
///
/// As text, which [`str::parse`] reads, it is one of
///
/// | text | meaning |
/// |---|---|
/// | `192.0.2.1:80`, `[2001:db8::1]:80` | an IP address and a port |
/// | `[fe80::1%eth0]:80`, `[fe80::1%2]:80` | a link-local address with its interface, by name or number |
/// | `localhost:80` | a host name and a port |
/// | `unix:/run/app.sock`, `unix:///run/app.sock` | the path of a unix socket |
/// | `unix:@app` | a name in Linux's abstract namespace; a NUL may take the place of the `@` |
///
/// `tcp://` may precede an IP address or a name. A port goes from 0 to 65535.
/// [`Display`](fmt::Display) writes the same forms, without `tcp://`.
///
/// Every call of this crate that takes an address as text reads it this way. Beyond PHP.
///
/// # Examples
/// ```
/// use php_event::Address;
///
/// let address: Address = "tcp://[::1]:80".parse()?;
/// assert_eq!(address, Address::Ip("[::1]:80".parse()?));
/// assert_eq!(address.to_string(), "[::1]:80");
///
/// let error = "::1:80".parse::<Address>().unwrap_err();
/// assert!(error.to_string().contains("brackets"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Address {
    /// An IP address and a port.
    Ip(SocketAddr),
    /// A host name and a port; see [`resolve`](Self::resolve).
    Name {
        /// The host's name, without a dot at its end.
        host: String,
        /// The port.
        port: u16,
    },
    /// The path of a unix socket.
    Path(PathBuf),
    /// The name of a unix socket in Linux's abstract namespace, without the NUL in front.
    Abstract(Box<[u8]>),
}

impl Address {
    /// The port of an IP address or a host name.
    ///
    /// # Examples
    /// ```
    /// use php_event::Address;
    /// assert_eq!("localhost:80".parse::<Address>()?.port(), Some(80));
    /// assert_eq!("unix:/run/app.sock".parse::<Address>()?.port(), None);
    /// # Ok::<(), php_event::AddressError>(())
    /// ```
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        match self {
            Self::Ip(address) => Some(address.port()),
            Self::Name { port, .. } => Some(*port),
            Self::Path(_) | Self::Abstract(_) => None,
        }
    }

    /// Whether it is the address of a unix socket.
    ///
    /// # Examples
    /// ```
    /// use php_event::Address;
    /// assert!("unix:/run/app.sock".parse::<Address>()?.is_unix());
    /// # Ok::<(), php_event::AddressError>(())
    /// ```
    #[must_use]
    pub fn is_unix(&self) -> bool {
        matches!(self, Self::Path(_) | Self::Abstract(_))
    }

    /// All addresses of a host name, in the system's order and each of them once. Any other
    /// address is returned as it is.
    ///
    /// Asks the system for a name, and blocks until it answers. To listen on every address of a
    /// name, use [`stream_socket_servers`](crate::stream::stream_socket_servers).
    ///
    /// # Errors
    /// The system's error when the name has no address; its text names the host.
    ///
    /// # Examples
    /// ```
    /// use php_event::Address;
    /// let address: Address = "127.0.0.1:80".parse()?;
    /// assert_eq!(address.resolve()?, [address]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn resolve(&self) -> io::Result<Vec<Self>> {
        let Self::Name { host, port } = self else {
            return Ok(vec![self.clone()]);
        };
        let told = |error: io::Error| io::Error::new(error.kind(), format!("{self}: {error}"));
        let mut addresses = Vec::new();
        for address in (host.as_str(), *port).to_socket_addrs().map_err(told)? {
            let address = Self::Ip(address);
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        if addresses.is_empty() {
            let none = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
            return Err(told(none));
        }
        Ok(addresses)
    }

    /// The address for the system. A name must be resolved first.
    pub(crate) fn for_system(&self) -> io::Result<SockAddr> {
        match self {
            Self::Ip(address) => Ok(SockAddr::from(*address)),
            Self::Name { .. } => {
                let reason = "a host name must be resolved first";
                Err(io::Error::new(io::ErrorKind::InvalidInput, reason))
            }
            Self::Path(path) => SockAddr::unix(path),
            Self::Abstract(name) => {
                let name = [b"\0", &**name].concat();
                SockAddr::unix(OsStr::from_bytes(&name))
            }
        }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        read(text).map_err(|reason| AddressError::new(text, reason))
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Ip(address)
    }
}

impl fmt::Display for Address {
    /// The form that [`str::parse`] reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Name { host, port } => write!(f, "{host}:{port}"),
            Self::Path(path) => write!(f, "unix:{}", path.display()),
            Self::Abstract(name) => write!(f, "unix:@{}", String::from_utf8_lossy(name)),
        }
    }
}

/// Why a text is not an address: it names the text, what is wrong with it, and what to write.
///
/// # Examples
/// ```
/// use php_event::Address;
/// let error = "127.0.0.1".parse::<Address>().unwrap_err();
/// assert_eq!(error.to_string(), format!("\"127.0.0.1\": {}", error.reason()));
/// assert!(error.reason().starts_with("no port"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?}: {reason}")]
pub struct AddressError {
    text: String,
    reason: Cow<'static, str>,
}

impl AddressError {
    pub(crate) fn new(text: &str, reason: impl Into<Cow<'static, str>>) -> Self {
        Self {
            text: text.to_owned(),
            reason: reason.into(),
        }
    }

    /// What is wrong and what to write, without the text.
    ///
    /// # Examples
    /// ```
    /// use php_event::Address;
    /// let error = ":80".parse::<Address>().unwrap_err();
    /// assert!(error.reason().contains("0.0.0.0:80"));
    /// ```
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The same as an error of `call`.
    pub(crate) fn of(self, call: &'static str) -> Error {
        Error::argument(call, self.to_string())
    }
}

/// Reads an IP address without a port, with port 0 in the result.
pub(crate) fn numeric_ip(call: &'static str, text: &str) -> Result<SocketAddr, Error> {
    match Host::parse_ip(text) {
        Ok(Some(ip)) => Ok(ip),
        Ok(None) => {
            let hint = "it is no IP address; give one such as 127.0.0.1 or ::1, without a port";
            Err(AddressError::new(text, hint).of(call))
        }
        Err(error) => Err(error.of(call)),
    }
}

/// A system error whose text names the address it is about.
pub(crate) fn named(call: &'static str, address: impl fmt::Display, error: &io::Error) -> Error {
    let text = format!("{address}: {error}");
    Error::io(call, io::Error::new(error.kind(), text))
}

/// What is wrong with a text, and what to write.
type Reason = Cow<'static, str>;

fn read(text: &str) -> Result<Address, Reason> {
    if let Some(path) = strip_scheme(text, "unix:") {
        return unix(path.strip_prefix("//").unwrap_or(path));
    }
    let rest = strip_scheme(text, "tcp://").unwrap_or(text);
    if rest.contains("://") {
        return Err("the scheme is not supported; give tcp:// or unix://".into());
    }
    let (host, port) = split_port(rest)?;
    Ok(match Host::read(host)? {
        Host::Ip(ip) => Address::Ip(with_port(ip, port)),
        Host::Name { text, .. } => Address::Name { host: text, port },
    })
}

/// What follows the scheme, in small or capital letters.
fn strip_scheme<'a>(text: &'a str, scheme: &str) -> Option<&'a str> {
    let (start, rest) = text.split_at_checked(scheme.len())?;
    start.eq_ignore_ascii_case(scheme).then_some(rest)
}

fn unix(path: &str) -> Result<Address, Reason> {
    let address = match path.strip_prefix(['@', '\0']) {
        Some("") => return Err("a name must follow the @, as in unix:@app".into()),
        Some(name) => Address::Abstract(name.as_bytes().into()),
        None if path.is_empty() => {
            return Err("the path is empty; give one, as in unix:/run/app.sock".into());
        }
        None if path.contains('\0') => {
            return Err("the path holds a NUL, where the system would end it".into());
        }
        None => Address::Path(path.into()),
    };
    match address.for_system() {
        Ok(_) => Ok(address),
        Err(_) => Err(format!(
            "a path of {} bytes is longer than the system allows",
            path.len()
        )
        .into()),
    }
}

/// Takes `host:port` apart.
fn split_port(text: &str) -> Result<(&str, u16), Reason> {
    const FORMS: &str = "give HOST:PORT, such as 127.0.0.1:80 or [::1]:80, or unix:PATH";
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((inside, "")) => return Err(format!("no port; write [{inside}]:80").into()),
        Some((inside, rest)) => {
            let port = rest.strip_prefix(':');
            let port = port.ok_or_else(|| format!("{rest:?} follows the bracket; {FORMS}"))?;
            (&text[..inside.len() + 2], port)
        }
        None => text
            .rsplit_once(':')
            .ok_or_else(|| format!("no port; {FORMS}"))?,
    };
    if host.contains(':') && !host.starts_with('[') {
        return Err("an IPv6 address with a port needs brackets, as in [::1]:80".into());
    }
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let number = port.parse::<u16>().ok().filter(|_| digits);
    let number = number
        .ok_or_else(|| format!("the port {port:?} is not a number from 0 to 65535; {FORMS}"))?;
    if host.is_empty() || host == "*" {
        return Err(format!(
            "no host; to listen on every interface write 0.0.0.0:{number} or [::]:{number}"
        )
        .into());
    }
    Ok((host, number))
}

#[cfg(test)]
mod tests;

//! Where a Redis server is, and how to log in.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use url::{Host, Url};

const PORT: u16 = 6379;

/// What keys begin with unless the URL names something else.
const PREFIX: &str = "event-httpd:";

/// A server, a login, and the names of keys.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(super) endpoint: Endpoint,
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    pub(super) database: u32,
    prefix: String,
}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    Tcp { host: String, port: u16 },
    Tls { host: String, port: u16 },
    Unix(PathBuf),
}

/// Why a text is not the URL of a Redis server. No message contains the URL, which may have a
/// password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// It is not a URL.
    #[error("the URL is not valid: {0}")]
    Syntax(#[from] url::ParseError),
    /// It has another scheme.
    #[error("the URL must begin with redis:, rediss:, unix: or redis+unix:")]
    Scheme,
    /// It has no host, or no path of a socket.
    #[error("the URL names no server; write redis://host:6379/0 or unix:/path/of/the/socket")]
    Server,
    /// No server listens on port 0.
    #[error("the port must be from 1 to 65535, as in redis://host:6379/0")]
    Port,
    /// The database is not a number.
    #[error("the database must be a number, as in redis://host:6379/0")]
    Database,
    /// It has a fragment or an unknown parameter.
    #[error(
        "the URL has a fragment or an unknown parameter; the parameters are prefix and, for unix:, db, user and pass"
    )]
    Parameter,
    /// A user, a password or a name is not UTF-8.
    #[error("the URL has escapes that are not UTF-8")]
    Escape,
}

impl Target {
    /// Reads `redis://[[user][:password]@]host[:port][/database]`, the same with `rediss:` for TLS,
    /// or `unix:/path[?db=0&user=…&pass=…]`. All take `?prefix=…`. A link-local address has its zone
    /// after `%25`, as in `redis://[fe80::1%25eth0]`.
    ///
    /// # Errors
    /// [`TargetError`] for anything else.
    pub(crate) fn parse(text: &str) -> Result<Self, TargetError> {
        let (text, zone) = split_zone(text);
        let url = Url::parse(&text)?;
        if url.fragment().is_some() {
            return Err(TargetError::Parameter);
        }
        let mut target = match url.scheme() {
            "redis" | "rediss" => Self::of_host(&url, zone)?,
            "unix" | "redis+unix" => Self::of_socket(&url)?,
            _ => return Err(TargetError::Scheme),
        };
        let on_unix = matches!(target.endpoint, Endpoint::Unix(_));
        for (name, value) in url.query_pairs() {
            match &*name {
                "prefix" => target.prefix = value.into_owned(),
                "db" if on_unix => target.database = database(&value)?,
                "user" if on_unix => target.user = Some(value.into_owned()),
                "pass" if on_unix => target.password = Some(value.into_owned()),
                _ => return Err(TargetError::Parameter),
            }
        }
        Ok(target)
    }

    fn of_host(url: &Url, zone: Option<&str>) -> Result<Self, TargetError> {
        let host = match url.host().ok_or(TargetError::Server)? {
            Host::Domain("") => return Err(TargetError::Server),
            Host::Domain(name) => decoded(name)?,
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => match zone {
                Some(zone) => format!("{address}%{}", decoded(zone)?),
                None => address.to_string(),
            },
        };
        let port = url.port().unwrap_or(PORT);
        if port == 0 {
            return Err(TargetError::Port);
        }
        let user = Some(url.username()).filter(|user| !user.is_empty());
        Ok(Self {
            endpoint: match url.scheme() {
                "rediss" => Endpoint::Tls { host, port },
                _ => Endpoint::Tcp { host, port },
            },
            user: user.map(decoded).transpose()?,
            password: url.password().map(decoded).transpose()?,
            database: match url.path() {
                "" | "/" => 0,
                path => database(path.trim_start_matches('/'))?,
            },
            prefix: PREFIX.to_owned(),
        })
    }

    fn of_socket(url: &Url) -> Result<Self, TargetError> {
        let path = decoded(url.path())?;
        if url.has_host() && url.host_str().is_some_and(|host| !host.is_empty())
            || !path.starts_with('/')
            || path == "/"
        {
            return Err(TargetError::Server);
        }
        Ok(Self {
            endpoint: Endpoint::Unix(path.into()),
            user: None,
            password: None,
            database: 0,
            prefix: PREFIX.to_owned(),
        })
    }

    /// Whether the server speaks TLS.
    pub(crate) fn is_tls(&self) -> bool {
        matches!(self.endpoint, Endpoint::Tls { .. })
    }

    /// The key with that name.
    pub(crate) fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }
}

/// Takes the zone out of `//[fe80::1%25eth0]` (RFC 6874), which the parser of URLs does not know.
fn split_zone(text: &str) -> (Cow<'_, str>, Option<&str>) {
    let split = || {
        let (begin, rest) = text.split_once("://")?;
        let authority = rest.split(['/', '?', '#']).next()?;
        let host = authority.rfind('@').map_or(0, |at| at + 1);
        let (address, _) = authority.get(host..)?.strip_prefix('[')?.split_once(']')?;
        let (address, zone) = address
            .split_once("%25")
            .filter(|(_, zone)| !zone.is_empty())?;
        let end = rest.get(host + 1 + address.len() + "%25".len() + zone.len()..)?;
        let login = rest.get(..host)?;
        Some((format!("{begin}://{login}[{address}{end}"), zone))
    };
    match split() {
        Some((text, zone)) => (text.into(), Some(zone)),
        None => (text.into(), None),
    }
}

fn decoded(text: &str) -> Result<String, TargetError> {
    let text = percent_decode_str(text).decode_utf8();
    text.map(Into::into).map_err(|_| TargetError::Escape)
}

fn database(text: &str) -> Result<u32, TargetError> {
    text.parse().map_err(|_| TargetError::Database)
}

impl fmt::Display for Target {
    /// The server and the database, for logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let with_port = |f: &mut fmt::Formatter<'_>, scheme: &str, host: &str, port: u16| {
            if host.contains(':') {
                write!(f, "{scheme}://[{host}]:{port}")
            } else {
                write!(f, "{scheme}://{host}:{port}")
            }
        };
        match &self.endpoint {
            Endpoint::Tcp { host, port } => with_port(f, "redis", host, *port)?,
            Endpoint::Tls { host, port } => with_port(f, "rediss", host, *port)?,
            Endpoint::Unix(path) => write!(f, "unix:{}", path.display())?,
        }
        match (&self.endpoint, self.database) {
            (_, 0) => Ok(()),
            (Endpoint::Unix(_), database) => write!(f, "?db={database}"),
            (_, database) => write!(f, "/{database}"),
        }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(host: &str, port: u16) -> Endpoint {
        let host = host.to_owned();
        Endpoint::Tcp { host, port }
    }

    #[test]
    fn a_url_names_server_login_database_and_prefix() {
        let tls = Endpoint::Tls {
            host: "r.example".to_owned(),
            port: 1,
        };
        let unix = |path: &str| Endpoint::Unix(path.into());
        for (text, endpoint, user, password, database, key, shown) in [
            (
                "redis://h",
                tcp("h", 6379),
                None,
                None,
                0,
                "event-httpd:x",
                "redis://h:6379",
            ),
            (
                "redis://h:7/3",
                tcp("h", 7),
                None,
                None,
                3,
                "event-httpd:x",
                "redis://h:7/3",
            ),
            (
                "redis://:p%40@127.0.0.1",
                tcp("127.0.0.1", 6379),
                None,
                Some("p@"),
                0,
                "event-httpd:x",
                "redis://127.0.0.1:6379",
            ),
            (
                "redis://u:p@[::1]:8/?prefix=a:",
                tcp("::1", 8),
                Some("u"),
                Some("p"),
                0,
                "a:x",
                "redis://[::1]:8",
            ),
            (
                "redis://u:[%25]@[fe80::1%25eth0]:8/3",
                tcp("fe80::1%eth0", 8),
                Some("u"),
                Some("[%]"),
                3,
                "event-httpd:x",
                "redis://[fe80::1%eth0]:8/3",
            ),
            (
                "rediss://r.example:1/2",
                tls,
                None,
                None,
                2,
                "event-httpd:x",
                "rediss://r.example:1/2",
            ),
            (
                "unix:/run/r.sock",
                unix("/run/r.sock"),
                None,
                None,
                0,
                "event-httpd:x",
                "unix:/run/r.sock",
            ),
            (
                "unix:///r?db=4&user=u&pass=p&prefix=",
                unix("/r"),
                Some("u"),
                Some("p"),
                4,
                "x",
                "unix:/r?db=4",
            ),
            (
                "redis+unix:///r%20s",
                unix("/r s"),
                None,
                None,
                0,
                "event-httpd:x",
                "unix:/r s",
            ),
        ] {
            let target = Target::parse(text).unwrap();
            assert_eq!(target.endpoint, endpoint, "{text}");
            assert_eq!(target.user.as_deref(), user, "{text}");
            assert_eq!(target.password.as_deref(), password, "{text}");
            assert_eq!(target.database, database, "{text}");
            assert_eq!(target.key("x"), key, "{text}");
            assert_eq!(target.to_string(), shown, "{text}");
        }
    }

    #[test]
    fn other_urls_are_refused_without_showing_them() {
        for text in [
            "",
            "memory",
            "http://secret",
            "redis:",
            "redis://",
            "redis:///1",
            "redis://secret/x",
            "redis://secret/1/2",
            "redis://secret/-1",
            "redis://secret?db=1",
            "redis://secret#f",
            "redis://:%ff@secret",
            "redis://secret:99999",
            "redis://[fe80::1%25]",
            "redis://[secret%25eth0]",
            "unix:secret",
            "unix://secret/path",
            "unix:/",
            "unix:/secret?db=x",
            "unix:/secret?x=1",
        ] {
            let error = Target::parse(text).expect_err(text);
            assert!(!error.to_string().contains("secret"), "{text}: {error}");
        }
    }
}

//! [`ListenerTarget`]: what a listener listens on.
//!
//! Owns: the socket that it was given, or the one that it bound, until the listener has it.
//! Lent to C: nothing. Runs user code: the `AsFd` of a given socket, once.
#![allow(unsafe_code)]

use std::borrow::Cow;
use std::net::{Ipv6Addr, SocketAddr, TcpListener};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixListener;
use std::{fmt, io};

use socket2::{SockAddr, SockRef, Socket, Type};

use crate::error::{Error, Result};
use crate::ffi;
use crate::flags::ListenerFlags;
use crate::stream::{BAD_PATH, Stream, named, unix_address};

/// The backlog that a negative number stands for; libevent's.
const BACKLOG: i32 = 128;

/// What an [`EventListener`](crate::EventListener) listens on: an address that it is to bind,
/// or a socket that it is to own.
///
/// An address is text, `ip:port`, `[v6]:port` or `unix:PATH`, or a [`SocketAddr`]. A socket is
/// a [`Stream`], a [`TcpListener`], a [`UnixListener`], an [`OwnedFd`], or by
/// [`socket`](Self::socket) anything else that owns one.
///
/// PHP: the argument `$target` of `EventListener::__construct`.
///
/// # Examples
/// ```
/// use php_event::ListenerTarget;
/// use std::net::{Ipv4Addr, TcpListener};
///
/// let text = ListenerTarget::from("[::1]:8080");
/// let address = ListenerTarget::from(std::net::SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)));
/// let socket = ListenerTarget::from(TcpListener::bind("127.0.0.1:0")?);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct ListenerTarget(Kind);

enum Kind {
    Text(String),
    Ip(SocketAddr),
    Socket(Box<dyn AsFd>),
}

impl ListenerTarget {
    /// A socket that is bound, or listens already, of any type that owns one. Share it with an
    /// `Rc`.
    ///
    /// # Examples
    /// ```
    /// use php_event::{EventBase, EventListener, ListenerFlags, ListenerTarget};
    /// use std::{net::TcpListener, rc::Rc};
    ///
    /// let socket = Rc::new(TcpListener::bind("127.0.0.1:0")?);
    /// let target = ListenerTarget::socket(Rc::clone(&socket));
    /// let base = EventBase::new()?;
    /// let listener = EventListener::new(&base, |_, _, _| {}, ListenerFlags::empty(), -1, target)?;
    /// assert_eq!(listener.get_socket_name()?.ip(), Some(socket.local_addr()?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn socket(socket: impl AsFd + 'static) -> Self {
        Self(Kind::Socket(Box::new(socket)))
    }

    /// Makes the socket listen. Its number is asked for once.
    pub(super) fn listen(
        self,
        call: &'static str,
        flags: ListenerFlags,
        backlog: i32,
    ) -> Result<(Box<dyn AsFd>, RawFd)> {
        let bound = |text: String, address: SockAddr| {
            let socket = bind(call, &text, &address, flags, backlog)?;
            Ok((text, Box::new(socket) as Box<dyn AsFd>))
        };
        let (name, socket) = match self.0 {
            Kind::Text(text) => parse(call, &text).and_then(|address| bound(text, address))?,
            Kind::Ip(address) => bound(address.to_string(), address.into())?,
            Kind::Socket(socket) => ("the given socket".to_owned(), socket),
        };
        let fd = prepare(&*socket, backlog).map_err(|error| named(call, &name, &error))?;
        Ok((socket, fd))
    }
}

/// Binds a socket of our own.
fn bind(
    call: &'static str,
    text: &str,
    address: &SockAddr,
    flags: ListenerFlags,
    backlog: i32,
) -> Result<Socket> {
    if backlog == 0 {
        let reason = format!(
            "{text}: a backlog of 0 is for a socket that listens already; give -1 for {BACKLOG}"
        );
        return Err(Error::argument(call, reason));
    }
    let deferred = flags.contains(ListenerFlags::DEFERRED_ACCEPT);
    if deferred && address.is_unix() {
        let reason = format!("{text}: OPT_DEFERRED_ACCEPT is for TCP, not for unix sockets");
        return Err(Error::argument(call, reason));
    }
    let bound = || {
        let socket = Socket::new(address.domain(), Type::STREAM, None)?;
        socket.set_keepalive(true)?; // accepted connections inherit it
        socket.set_reuse_address(flags.contains(ListenerFlags::REUSEABLE))?;
        if deferred {
            // SAFETY: sets an option of a socket that this frame owns.
            let rc = unsafe { ffi::evutil_make_tcp_listen_socket_deferred(socket.as_raw_fd()) };
            if rc != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        socket.bind(address)?;
        Ok(socket)
    };
    bound().map_err(|error| named(call, text, &error))
}

/// Sees to it that a socket listens and that accepting does not block.
fn prepare(socket: &dyn AsFd, backlog: i32) -> io::Result<RawFd> {
    let fd = socket.as_fd();
    let socket = SockRef::from(&fd);
    match backlog {
        0 if socket.is_listener()? => {}
        0 => {
            let reason = "it does not listen; give a backlog, or -1 for the default one";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
        }
        _ => socket.listen(if backlog < 0 { BACKLOG } else { backlog })?,
    }
    socket.set_nonblocking(true)?;
    Ok(fd.as_raw_fd())
}

fn parse(call: &'static str, text: &str) -> Result<SockAddr> {
    if let Some((prefix, path)) = text.split_at_checked(5)
        && prefix.eq_ignore_ascii_case("unix:")
    {
        let address = unix_address(path);
        return address.ok_or_else(|| Error::argument(call, format!("{text:?}: {BAD_PATH}")));
    }
    match text.parse::<SocketAddr>() {
        Ok(address) => Ok(address.into()),
        Err(_) => Err(Error::argument(call, format!("{text:?}: {}", why(text)))),
    }
}

/// What is wrong with a text that is no address.
fn why(text: &str) -> Cow<'static, str> {
    let Some((host, port)) = text.rsplit_once(':') else {
        return "no port; give ip:port, [v6]:port or unix:PATH".into();
    };
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    if host.parse::<Ipv6Addr>().is_ok() || text.parse::<Ipv6Addr>().is_ok() {
        "an IPv6 address goes into brackets, as in [::1]:80".into()
    } else if !digits || port.parse::<u16>().is_err() {
        format!("the port {port:?} is no number from 0 to 65535").into()
    } else {
        format!(
            "{host:?} is no IP address, and names are not resolved here, which could block; give an \
             address, or a socket that stream_socket_server made of the name"
        )
        .into()
    }
}

impl From<&str> for ListenerTarget {
    /// An address: `ip:port`, `[v6]:port`, `unix:PATH`.
    fn from(address: &str) -> Self {
        Self(Kind::Text(address.to_owned()))
    }
}

impl From<String> for ListenerTarget {
    /// An address: `ip:port`, `[v6]:port`, `unix:PATH`.
    fn from(address: String) -> Self {
        Self(Kind::Text(address))
    }
}

impl From<&String> for ListenerTarget {
    /// An address: `ip:port`, `[v6]:port`, `unix:PATH`.
    fn from(address: &String) -> Self {
        Self(Kind::Text(address.clone()))
    }
}

impl From<SocketAddr> for ListenerTarget {
    fn from(address: SocketAddr) -> Self {
        Self(Kind::Ip(address))
    }
}

impl From<Stream> for ListenerTarget {
    fn from(socket: Stream) -> Self {
        Self::socket(socket)
    }
}

impl From<&Stream> for ListenerTarget {
    /// The same stream, which the caller keeps a handle of.
    fn from(socket: &Stream) -> Self {
        Self::socket(socket.clone())
    }
}

impl From<TcpListener> for ListenerTarget {
    fn from(socket: TcpListener) -> Self {
        Self::socket(socket)
    }
}

impl From<UnixListener> for ListenerTarget {
    fn from(socket: UnixListener) -> Self {
        Self::socket(socket)
    }
}

impl From<OwnedFd> for ListenerTarget {
    fn from(socket: OwnedFd) -> Self {
        Self::socket(socket)
    }
}

impl fmt::Debug for ListenerTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut tuple = f.debug_tuple("ListenerTarget");
        match &self.0 {
            Kind::Text(text) => tuple.field(text),
            Kind::Ip(address) => tuple.field(address),
            Kind::Socket(_) => tuple.field(&"a socket"),
        }
        .finish()
    }
}

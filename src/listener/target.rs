//! [`ListenerTarget`]: what a listener listens on.
//!
//! Owns: the socket that it was given or made, until the listener takes it.
//! Lent to C: nothing. Runs user code: the `AsFd` of a given socket, once.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixListener;
use std::{fmt, io};

use socket2::{SockRef, Socket};

use crate::address::{Address, AddressError, ListenOptions, named};
use crate::error::{Error, Result};
use crate::flags::ListenerFlags;
use crate::stream::Stream;

/// What an [`EventListener`](crate::EventListener) listens on: an address that it binds, or a
/// socket that it owns.
///
/// An address is text, an [`Address`] or a [`SocketAddr`]. A socket is a [`Stream`], a
/// [`TcpListener`], a [`UnixListener`], an [`OwnedFd`], or, with [`socket`](Self::socket),
/// anything else that owns one.
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
    Address(Address),
    Socket(Box<dyn AsFd>),
}

impl ListenerTarget {
    /// A socket that is bound, or listens already, of any type that owns one. An `Rc` shares
    /// it.
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

    /// Makes the socket listen. Asks a given socket for its descriptor once.
    pub(super) fn listen(
        self,
        call: &'static str,
        flags: ListenerFlags,
        backlog: i32,
    ) -> Result<(Box<dyn AsFd>, RawFd)> {
        let bound = |text: &str, address| {
            let socket = bind(call, text, &address, flags, backlog)?;
            let fd = socket.as_raw_fd();
            Ok((Box::new(socket) as Box<dyn AsFd>, fd))
        };
        match self.0 {
            Kind::Text(text) => bound(&text, parse(call, &text)?),
            Kind::Address(address) => bound(&address.to_string(), address),
            Kind::Socket(socket) => {
                let fd = prepare(&*socket, backlog)
                    .map_err(|error| named(call, "the given socket", &error))?;
                Ok((socket, fd))
            }
        }
    }
}

/// Makes a listening socket of our own.
fn bind(
    call: &'static str,
    text: &str,
    address: &Address,
    flags: ListenerFlags,
    backlog: i32,
) -> Result<Socket> {
    let refused = |reason: &str| Error::argument(call, format!("{text}: {reason}"));
    if backlog == 0 {
        return Err(refused(
            "a backlog of 0 is for a socket that listens already; give -1 for 128",
        ));
    }
    let deferred = flags.contains(ListenerFlags::DEFERRED_ACCEPT);
    if deferred && address.is_unix() {
        return Err(refused(
            "OPT_DEFERRED_ACCEPT is for TCP, not for unix sockets",
        ));
    }
    let options = ListenOptions {
        backlog: ListenOptions::backlog(backlog),
        reuse_address: flags.contains(ListenerFlags::REUSEABLE),
        keepalive: true, // as libevent sets it
        deferred,
        ..ListenOptions::default()
    };
    let bound = address.for_system().and_then(|to| options.on(&to));
    bound.map_err(|error| named(call, text, &error))
}

/// Makes a given socket listen and not block.
fn prepare(socket: &dyn AsFd, backlog: i32) -> io::Result<RawFd> {
    let fd = socket.as_fd();
    let socket = SockRef::from(&fd);
    match backlog {
        0 if socket.is_listener()? => {}
        0 => {
            let reason = "it does not listen; give a backlog, or -1 for the default one";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
        }
        _ => socket.listen(ListenOptions::backlog(backlog))?,
    }
    socket.set_nonblocking(true)?;
    Ok(fd.as_raw_fd())
}

fn parse(call: &'static str, text: &str) -> Result<Address> {
    match text.parse::<Address>() {
        Ok(Address::Name { host, .. }) => {
            let reason = format!(
                "{host:?} is no IP address, and names are not resolved here, which could block; give \
                 an address, or a socket that stream_socket_server made of the name"
            );
            Err(AddressError::new(text, reason).of(call))
        }
        Ok(address) => Ok(address),
        Err(error) => Err(error.of(call)),
    }
}

impl From<&str> for ListenerTarget {
    /// An [`Address`] as text.
    fn from(address: &str) -> Self {
        Self(Kind::Text(address.to_owned()))
    }
}

impl From<String> for ListenerTarget {
    /// An [`Address`] as text.
    fn from(address: String) -> Self {
        Self(Kind::Text(address))
    }
}

impl From<&String> for ListenerTarget {
    /// An [`Address`] as text.
    fn from(address: &String) -> Self {
        Self(Kind::Text(address.clone()))
    }
}

impl From<SocketAddr> for ListenerTarget {
    fn from(address: SocketAddr) -> Self {
        Self(Kind::Address(address.into()))
    }
}

impl From<Address> for ListenerTarget {
    /// A host name is refused: [`Address::resolve`] looks it up.
    fn from(address: Address) -> Self {
        Self(Kind::Address(address))
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
            Kind::Address(address) => tuple.field(address),
            Kind::Socket(_) => tuple.field(&"a socket"),
        }
        .finish()
    }
}

//! PHP's functions that make, accept, name and shut down sockets.

use std::io;
use std::net::Shutdown;
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use nix::poll::PollFlags;
use socket2::{Domain, SockAddr, Socket, Type};

use super::{Role, Stream, StreamContext};
use crate::address::{Address, ListenOptions, connect, named, with_port};
use crate::error::{Error, Result};
use crate::native;

/// How many free ports of the first address are tried on the others.
const PORT_TRIES: u32 = 20;

/// Reads an address, and looks a host name up, which blocks.
fn resolve(call: &'static str, text: &str) -> Result<Vec<Address>> {
    let address = text.parse::<Address>().map_err(|error| error.of(call))?;
    address.resolve().map_err(|error| Error::io(call, error))
}

/// Makes a listening stream on an [`Address`]: `tcp://ip:port`, `tcp://[v6]:port`,
/// `unix://path`.
///
/// Port 0 takes a free one; [`stream_socket_get_name`] returns it. `SO_REUSEADDR` is on. A
/// unix path must not exist, and is not removed. A host name is looked up, which blocks, and
/// the first of its addresses that can be listened on is taken; see
/// [`stream_socket_servers`] for all of them.
///
/// PHP: `stream_socket_server`. Unlike PHP's, the descriptor is closed on exec.
///
/// # Errors
/// [`Error::Argument`] for text that is not an address; [`Error::Io`] with the address and the
/// cause when it is in use, not an address of this machine, or not allowed.
///
/// # Examples
/// ```
/// use php_event::stream::{StreamContext, stream_socket_get_name, stream_socket_server};
/// let server = stream_socket_server("tcp://127.0.0.1:0", &StreamContext::default())?;
/// println!("listening on {:?}", stream_socket_get_name(&server, false));
/// # Ok::<(), php_event::EventException>(())
/// ```
pub fn stream_socket_server(address: &str, context: &StreamContext) -> Result<Stream> {
    const CALL: &str = "stream_socket_server";
    let options = context.options().listening();
    let bound = first(resolve(CALL, address)?, |address| options.on(address));
    let socket = bound.map_err(|error| named(CALL, address, &error))?;
    Ok(Stream::new(socket, Role::Listener))
}

/// Makes a listening stream for each address of a host name, all with one port: `localhost`
/// usually is both `127.0.0.1` and `::1`. Any other address has one stream, as with
/// [`stream_socket_server`].
///
/// With more than one address the streams of IPv6 leave IPv4 alone, unless the context says
/// otherwise. Port 0 takes one that is free on every address.
///
/// Beyond PHP, whose `stream_socket_server` listens on the first address alone.
///
/// # Errors
/// As [`stream_socket_server`], when one of the addresses cannot be listened on.
///
/// # Examples
/// ```
/// use php_event::stream::{StreamContext, stream_socket_get_name, stream_socket_servers};
/// for server in stream_socket_servers("localhost:0", &StreamContext::default())? {
///     println!("listening on {:?}", stream_socket_get_name(&server, false));
/// }
/// # Ok::<(), php_event::EventException>(())
/// ```
pub fn stream_socket_servers(address: &str, context: &StreamContext) -> Result<Vec<Stream>> {
    const CALL: &str = "stream_socket_servers";
    let addresses = resolve(CALL, address)?;
    let mut options = context.options().listening();
    if addresses.len() > 1 {
        options.only_v6 = options.only_v6.or(Some(true));
    }
    let mut tries_left = PORT_TRIES;
    loop {
        tries_left -= 1;
        match listen_on_all(&addresses, &options) {
            Ok(sockets) => {
                let stream = |socket| Stream::new(socket, Role::Listener);
                return Ok(sockets.into_iter().map(stream).collect());
            }
            Err((_, error))
                if error.kind() == io::ErrorKind::AddrInUse
                    && addresses.len() > 1
                    && addresses[0].port() == Some(0)
                    && tries_left > 0 => {}
            Err((at, error)) if at.to_string() == address => {
                return Err(named(CALL, address, &error));
            }
            Err((at, error)) => return Err(named(CALL, format!("{address}: {at}"), &error)),
        }
    }
}

/// A socket on each address, on the port that the first one got; or the address that failed.
fn listen_on_all(
    addresses: &[Address],
    options: &ListenOptions,
) -> Result<Vec<Socket>, (Address, io::Error)> {
    let (mut sockets, mut port) = (Vec::new(), None);
    for address in addresses {
        let address = match (address, port) {
            (Address::Ip(ip), Some(port)) => Address::Ip(with_port(*ip, port)),
            _ => address.clone(),
        };
        let bound = address.for_system().and_then(|to| {
            let socket = options.on(&to)?;
            let bound = socket.local_addr()?.as_socket();
            Ok((socket, bound.map(|bound| bound.port())))
        });
        let (socket, bound_port) = bound.map_err(|error| (address, error))?;
        port = bound_port;
        sockets.push(socket);
    }
    Ok(sockets)
}

/// Tries each address, as PHP does; the error is the last one's.
fn first(
    addresses: Vec<Address>,
    mut attempt: impl FnMut(&SockAddr) -> io::Result<Socket>,
) -> io::Result<Socket> {
    let mut result = Err(io::ErrorKind::NotFound.into()); // `resolve` gives one address or more
    for address in addresses {
        result = address.for_system().and_then(|address| attempt(&address));
        if result.is_ok() {
            break;
        }
    }
    result
}

/// Connects to an [`Address`]: `tcp://host:port` or `unix://path`. Each address of a host
/// name is tried, and each try takes up to `timeout`.
///
/// PHP: `stream_socket_client`.
///
/// # Errors
/// [`Error::Argument`] for text that is not an address; [`Error::Io`] with the address and the
/// cause of the last failure.
///
/// # Examples
/// ```
/// use php_event::stream::*;
/// use std::time::Duration;
///
/// let context = StreamContext::default();
/// let server = stream_socket_server("tcp://127.0.0.1:0", &context)?;
/// let address = format!("tcp://{}", stream_socket_get_name(&server, false).unwrap());
/// let client = stream_socket_client(&address, Duration::from_secs(1), &context)?;
/// fwrite(&client, "hello")?;
/// # Ok::<(), php_event::EventException>(())
/// ```
pub fn stream_socket_client(
    address: &str,
    timeout: Duration,
    context: &StreamContext,
) -> Result<Stream> {
    const CALL: &str = "stream_socket_client";
    let connected = first(resolve(CALL, address)?, |address| {
        let socket = connect(address, timeout.max(Duration::from_millis(1)))?;
        if context.options().tcp_nodelay && !address.is_unix() {
            socket.set_tcp_nodelay(true)?;
        }
        Ok(socket)
    });
    let socket = connected.map_err(|error| named(CALL, address, &error))?;
    Ok(Stream::new(socket, Role::Connection))
}

/// Makes a pair of connected streams.
///
/// PHP: `stream_socket_pair` with `STREAM_PF_UNIX` and `STREAM_SOCK_STREAM`.
///
/// # Errors
/// [`Error::Io`] when the system has no descriptors left.
///
/// # Examples
/// ```
/// use php_event::stream::{fread, fwrite, stream_socket_pair};
/// let (one, other) = stream_socket_pair()?;
/// fwrite(&one, "hello")?;
/// assert_eq!(fread(&other, 100)?, b"hello");
/// # Ok::<(), php_event::EventException>(())
/// ```
pub fn stream_socket_pair() -> Result<(Stream, Stream)> {
    const CALL: &str = "stream_socket_pair";
    let pair = Socket::pair(Domain::UNIX, Type::STREAM, None).and_then(|(one, other)| {
        one.set_nonblocking(true)?;
        other.set_nonblocking(true)?;
        Ok((one, other))
    });
    let (one, other) = pair.map_err(|error| Error::io(CALL, error))?;
    Ok((
        Stream::new(one, Role::Connection),
        Stream::new(other, Role::Connection),
    ))
}

/// Accepts the next connection of a listener, and waits up to `timeout` for one. A timeout of
/// zero does not wait, and makes one system call.
///
/// The new stream blocks until [`stream_set_blocking`](super::stream_set_blocking) says
/// otherwise.
///
/// PHP: `stream_socket_accept`.
///
/// # Errors
/// [`Error::Io`] of kind `WouldBlock` when no connection waits and `timeout` is zero,
/// `TimedOut` when it has passed, and with the system's cause for any other failure, such as
/// having no descriptor left; [`Error::Argument`] when the stream is not a listener;
/// [`Error::Freed`] after [`fclose`](super::fclose).
///
/// # Examples
/// ```
/// use php_event::stream::*;
/// use std::time::Duration;
///
/// let context = StreamContext::default();
/// let server = stream_socket_server("tcp://127.0.0.1:0", &context)?;
/// let address = format!("tcp://{}", stream_socket_get_name(&server, false).unwrap());
/// let client = stream_socket_client(&address, Duration::from_secs(1), &context)?;
/// let accepted = stream_socket_accept(&server, Duration::from_secs(1))?;
/// assert_eq!(stream_socket_get_name(&accepted, true), stream_socket_get_name(&client, false));
/// # Ok::<(), php_event::EventException>(())
/// ```
pub fn stream_socket_accept(listener: &Stream, timeout: Duration) -> Result<Stream> {
    const CALL: &str = "stream_socket_accept";
    let socket = listener.open(CALL)?;
    if listener.0.role != Role::Listener {
        return Err(Error::argument(
            CALL,
            "the stream is a connection, not a listener",
        ));
    }
    let mut until = None;
    let accepted = loop {
        match native::socket::accept(socket.as_fd()) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && !timeout.is_zero() => {
                let now = Instant::now();
                let until = *until.get_or_insert_with(|| now.checked_add(timeout));
                let left =
                    until.map_or(Duration::MAX, |until| until.saturating_duration_since(now));
                listener
                    .wait(PollFlags::POLLIN, left)
                    .map_err(|error| Error::io(CALL, error))?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => break result,
        }
    };
    let socket = accepted.map_err(|error| Error::io(CALL, error))?;
    Ok(Stream::new(socket.into(), Role::Connection))
}

/// Shuts down one direction of a connection, or both; the stream stays open. After
/// [`Shutdown::Write`] the peer sees the end, and what it sends can still be read.
///
/// PHP: `stream_socket_shutdown`.
///
/// # Errors
/// [`Error::Io`] when the stream is not connected; [`Error::Freed`] after [`fclose`](super::fclose).
///
/// # Examples
/// ```
/// # use php_event::stream::{feof, stream_socket_pair, stream_socket_shutdown};
/// let (one, other) = stream_socket_pair()?;
/// stream_socket_shutdown(&one, std::net::Shutdown::Write)?;
/// assert!(feof(&other));
/// # Ok::<(), php_event::EventException>(())
/// ```
pub fn stream_socket_shutdown(stream: &Stream, how: Shutdown) -> Result<()> {
    const CALL: &str = "stream_socket_shutdown";
    let socket = stream.open(CALL)?;
    socket.shutdown(how).map_err(|error| Error::io(CALL, error))
}

/// The address of the stream or, with `remote`, of its peer: `ip:port`, `[v6]:port`, or the
/// path of a unix socket. `None` without one: the peer of a listener, an unnamed unix socket.
///
/// PHP: `stream_socket_get_name`.
///
/// # Examples
/// ```
/// # use php_event::stream::*;
/// let server = stream_socket_server("tcp://127.0.0.1:0", &StreamContext::default())?;
/// let name = stream_socket_get_name(&server, false).unwrap();
/// assert!(name.starts_with("127.0.0.1:"));
/// # Ok::<(), php_event::EventException>(())
/// ```
#[must_use]
pub fn stream_socket_get_name(stream: &Stream, remote: bool) -> Option<String> {
    let socket = &stream.0.socket;
    let address = if remote {
        socket.peer_addr()
    } else {
        socket.local_addr()
    }
    .ok()?;
    match address.as_socket() {
        Some(address) => Some(address.to_string()),
        None => Some(address.as_pathname()?.to_str()?.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_addresses_are_listened_on_with_one_port_and_each_of_its_own_family() {
        let addresses = ["127.0.0.1:0", "[::]:0"].map(|text| text.parse().unwrap());
        let options = ListenOptions {
            only_v6: Some(true),
            ..ListenOptions::default()
        };
        let sockets = listen_on_all(&addresses, &options).unwrap();
        let bound = |socket: &Socket| socket.local_addr().unwrap().as_socket().unwrap();
        let bound = sockets.iter().map(bound).collect::<Vec<_>>();
        assert_eq!(bound.len(), 2);
        assert_ne!(bound[0].port(), 0);
        assert_eq!(bound[0].port(), bound[1].port());
        assert!(bound[0].is_ipv4() && bound[1].is_ipv6());
        let (taken, _) = listen_on_all(&[bound[1].into()], &options).unwrap_err();
        assert_eq!(taken, bound[1].into());
    }
}

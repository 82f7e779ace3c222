//! PHP's streams, as far as socket programs use them, under PHP's names.
//!
//! Owns: each [`Stream`] its descriptor, which closes with the last handle or event that
//! holds the stream; the count of resource numbers.
//! Lent to C: nothing. Runs no user code.
//!
//! Descriptors are always non-blocking; a stream that is to block, as PHP's do until told
//! otherwise, waits with `poll` in [`fread`], [`fwrite`] and [`stream_socket_accept`].

use std::cell::Cell;
use std::fmt;
use std::io::{self, IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::{Domain, SockAddr, Socket, Type};

use crate::address::{Address, ListenOptions, connect, named, with_port};
use crate::error::{Error, Result};
use crate::process;

/// How long a blocking read or write waits until [`stream_set_timeout`] says otherwise;
/// PHP's `default_socket_timeout`.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// The most that one [`fread`] takes, whatever is asked: 16 MiB.
pub const READ_MAX: usize = 16 << 20;

/// The first resource number after the standard streams'.
static NEXT_ID: AtomicU64 = AtomicU64::new(4);

fn next_id() -> u64 {
    NEXT_ID.fetch_add(1, Ordering::Relaxed)
}

/// Settings for sockets; see [`stream_context_create`].
///
/// PHP: the array under `socket` that `stream_context_create` takes, with PHP's defaults;
/// `bindto` and, for want of UDP, `so_broadcast` are not there.
///
/// # Examples
/// ```
/// use php_event::stream::ContextOptions;
/// let options = ContextOptions { backlog: 128, tcp_nodelay: true, ..ContextOptions::default() };
/// assert!(!options.so_reuseport);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContextOptions {
    /// How many connections wait to be accepted; 0 is 0, −1 the system's most.
    pub backlog: i32,
    /// Whether several listeners may share one port, each with a part of its connections.
    pub so_reuseport: bool,
    /// Whether an IPv6 listener leaves IPv4 alone. `None` leaves the system's default.
    pub ipv6_v6only: Option<bool>,
    /// Whether small writes go out at once, on accepted and connecting streams. Unlike in PHP
    /// the listener has it too: what it accepts inherits it, without a system call each.
    pub tcp_nodelay: bool,
}

impl ContextOptions {
    fn listening(&self) -> ListenOptions {
        ListenOptions {
            backlog: self.backlog,
            reuse_port: self.so_reuseport,
            only_v6: self.ipv6_v6only,
            nodelay: self.tcp_nodelay,
            ..ListenOptions::default()
        }
    }
}

impl Default for ContextOptions {
    fn default() -> Self {
        Self {
            backlog: 32,
            so_reuseport: false,
            ipv6_v6only: None,
            tcp_nodelay: false,
        }
    }
}

/// Settings for sockets, as PHP's stream context: it takes a resource number.
///
/// # Examples
/// ```
/// use php_event::stream::{StreamContext, stream_socket_server};
/// let server = stream_socket_server("tcp://127.0.0.1:0", &StreamContext::default())?;
/// # Ok::<(), php_event::EventException>(())
/// ```
#[derive(Clone, Debug)]
pub struct StreamContext {
    id: u64,
    options: ContextOptions,
}

impl StreamContext {
    /// PHP's `(int)$context`.
    ///
    /// # Examples
    /// ```
    /// use php_event::stream::{ContextOptions, stream_context_create};
    /// let context = stream_context_create(ContextOptions::default());
    /// assert!(context.id() >= 4); // 1 to 3 are the standard streams
    /// ```
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }
}

/// Makes a context from settings.
///
/// PHP: `stream_context_create`.
///
/// # Examples
/// ```
/// use php_event::stream::{ContextOptions, stream_context_create};
/// let context = stream_context_create(ContextOptions { backlog: 102_400, ..ContextOptions::default() });
/// assert!(context.id() >= 4); // 1 to 3 are the standard streams
/// ```
#[must_use]
pub fn stream_context_create(options: ContextOptions) -> StreamContext {
    StreamContext {
        id: next_id(),
        options,
    }
}

impl Default for StreamContext {
    /// The settings of a call without a context, which takes no resource number.
    fn default() -> Self {
        Self {
            id: 0,
            options: ContextOptions::default(),
        }
    }
}

/// A socket, listening or connected, as PHP's stream resource.
///
/// A handle is counted: a clone is the same stream. The descriptor closes with the last
/// handle or event that holds it. `&Stream` is [`Read`] and [`Write`].
///
/// # Examples
/// ```
/// use php_event::stream::{fread, fwrite, stream_socket_pair};
///
/// let (one, other) = stream_socket_pair()?;
/// fwrite(&one, "hello")?;
/// assert_eq!(fread(&other, 100)?, b"hello");
/// # Ok::<(), php_event::EventException>(())
/// ```
#[derive(Clone)]
pub struct Stream(Rc<Inner>);

struct Inner {
    socket: Socket,
    id: u64,
    generation: u32,
    role: Role,
    blocking: Cell<bool>,
    closed: Cell<bool>,
    ended: Cell<bool>, // a read met the end
    timeout: Cell<Duration>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Listener,
    Connection,
}

impl Stream {
    fn new(socket: Socket, role: Role) -> Self {
        Self(Rc::new(Inner {
            socket,
            id: next_id(),
            generation: process::generation(),
            role,
            blocking: Cell::new(true),
            closed: Cell::new(false),
            ended: Cell::new(false),
            timeout: Cell::new(DEFAULT_TIMEOUT),
        }))
    }

    /// The stream of a socket that somebody else made. It blocks until told otherwise.
    pub(crate) fn own(socket: OwnedFd) -> io::Result<Self> {
        let socket = Socket::from(socket);
        let listens = socket.is_listener()?;
        socket.set_nonblocking(true)?;
        let role = if listens {
            Role::Listener
        } else {
            Role::Connection
        };
        Ok(Self::new(socket, role))
    }

    /// The stream of a connection that somebody else accepted, with a descriptor that does
    /// not block.
    pub(crate) fn accepted(socket: OwnedFd, blocking: bool) -> Self {
        let stream = Self::new(socket.into(), Role::Connection);
        stream.0.blocking.set(blocking);
        stream
    }

    /// PHP's `(int)$stream`: a resource number, counted up in each process and never used
    /// twice.
    ///
    /// # Examples
    /// ```
    /// use php_event::stream::stream_socket_pair;
    /// let (one, other) = stream_socket_pair()?;
    /// assert!(one.id() < other.id());
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[must_use]
    pub fn id(&self) -> u64 {
        self.0.id
    }

    fn open(&self, call: &'static str) -> Result<&Socket> {
        if self.0.closed.get() {
            Err(Error::Freed {
                call,
                object: "stream",
            })
        } else {
            Ok(&self.0.socket)
        }
    }

    /// Waits for `flags`, no longer than `timeout`.
    fn wait(&self, flags: PollFlags, timeout: Duration) -> io::Result<()> {
        let until = Instant::now().checked_add(timeout);
        loop {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let left = left.map_or(PollTimeout::NONE, |left| {
                PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
            });
            match poll(&mut [PollFd::new(self.as_fd(), flags)], left) {
                Ok(0) if until.is_some_and(|until| Instant::now() >= until) => {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                Ok(0) | Err(nix::errno::Errno::EINTR) => {}
                Ok(_) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Tries `work` and, on a blocking stream, waits for `flags` where it would block.
    fn patiently<T>(
        &self,
        flags: PollFlags,
        mut work: impl FnMut(&Socket) -> io::Result<T>,
    ) -> io::Result<T> {
        let socket = self.open("stream")?;
        loop {
            match work(socket) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error)
                    if error.kind() == io::ErrorKind::WouldBlock && self.0.blocking.get() =>
                {
                    self.wait(flags, self.0.timeout.get())?;
                }
                result => return result,
            }
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.socket.as_fd()
    }
}

impl Read for &Stream {
    /// One read from the descriptor; 0 is the end of the stream.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.patiently(PollFlags::POLLIN, |mut socket| socket.read(buffer))?;
        self.0.ended.set(n == 0 && !buffer.is_empty());
        Ok(n)
    }
}

impl Write for &Stream {
    /// One write to the descriptor. A peer that is gone is an error, never a signal.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.patiently(PollFlags::POLLOUT, |socket| {
            socket.send_with_flags(bytes, libc::MSG_NOSIGNAL)
        })
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.patiently(PollFlags::POLLOUT, |socket| {
            socket.send_vectored_with_flags(slices, libc::MSG_NOSIGNAL)
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("id", &self.0.id)
            .field("fd", &self.0.socket.as_raw_fd())
            .field("closed", &self.0.closed.get())
            .finish_non_exhaustive()
    }
}

/// Reads an address, and looks a host name up, which blocks.
fn resolve(call: &'static str, text: &str) -> Result<Vec<Address>> {
    let address = text.parse::<Address>().map_err(|error| error.of(call))?;
    address.resolve().map_err(|error| Error::io(call, error))
}

/// Makes a listening stream on `tcp://ip:port`, `tcp://[v6]:port` or `unix://path`.
///
/// Port 0 takes any free one; [`stream_socket_get_name`] tells which. `SO_REUSEADDR` is on.
/// A unix path must not exist, and is not removed.
///
/// PHP: `stream_socket_server`. Unlike PHP's, the descriptor is closed on exec.
///
/// # Errors
/// [`Error::Argument`] for an address that cannot be read; [`Error::Io`] with the address
/// and the cause when it is in use, not ours, or not allowed.
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
    let options = context.options.listening();
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
    let mut options = context.options.listening();
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

/// How many free ports of the first address are tried on the others.
const PORT_TRIES: u32 = 20;

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

/// Connects to `tcp://host:port` or `unix://path`, no longer than `timeout`.
///
/// PHP: `stream_socket_client`.
///
/// # Errors
/// [`Error::Argument`] for an address that cannot be read; [`Error::Io`] with the address
/// and the cause.
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
        if context.options.tcp_nodelay && !address.is_unix() {
            socket.set_tcp_nodelay(true)?;
        }
        Ok(socket)
    });
    let socket = connected.map_err(|error| named(CALL, address, &error))?;
    Ok(Stream::new(socket, Role::Connection))
}

/// Makes two streams that are connected with each other, as unix sockets are.
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

/// Takes the next connection of a listener, waiting up to `timeout`; zero only looks, and
/// is one system call.
///
/// The new stream blocks until [`stream_set_blocking`] says otherwise.
///
/// PHP: `stream_socket_accept`.
///
/// # Errors
/// [`Error::Io`] of kind `WouldBlock` when nobody is waiting and `timeout` is zero,
/// `TimedOut` when it has passed; the system's other errors as they are, descriptors used
/// up among them; [`Error::Argument`] when the stream is no listener; [`Error::Freed`]
/// after [`fclose`].
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
    let until = Instant::now().checked_add(timeout);
    let accepted = loop {
        match socket.accept4(libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && !timeout.is_zero() => {
                let left = until.map_or(Duration::MAX, |until| {
                    until.saturating_duration_since(Instant::now())
                });
                listener
                    .wait(PollFlags::POLLIN, left)
                    .map_err(|error| Error::io(CALL, error))?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => break result,
        }
    };
    let (socket, _peer) = accepted.map_err(|error| Error::io(CALL, error))?;
    Ok(Stream::new(socket, Role::Connection))
}

/// Reads what is there, at most `length` bytes, in one read; empty is the end of the stream.
///
/// PHP: `fread`, which answers `""` both at the end and where nothing has come yet, reads
/// 8192 bytes at most, and keeps a buffer that an event does not see; this keeps none. On a
/// stream that does not block, do not take a `WouldBlock` for the end.
///
/// # Errors
/// [`Error::Io`] of kind `WouldBlock` when nothing has come yet on a stream that does not
/// block, `TimedOut` on one that does, `ConnectionReset` when the peer broke off;
/// [`Error::Argument`] for a length of 0; [`Error::Freed`] after [`fclose`].
///
/// # Examples
/// ```
/// # use php_event::stream::{fread, fwrite, stream_socket_pair};
/// let (one, other) = stream_socket_pair()?;
/// fwrite(&one, "hello")?;
/// assert_eq!(fread(&other, 100)?, b"hello");
/// # Ok::<(), php_event::EventException>(())
/// ```
pub fn fread(stream: &Stream, length: usize) -> Result<Vec<u8>> {
    const CALL: &str = "fread";
    stream.open(CALL)?;
    if length == 0 {
        return Err(Error::argument(
            CALL,
            "a length of 0 reads nothing; give 1 or more",
        ));
    }
    let mut bytes = vec![0; length.min(READ_MAX)];
    let mut source = stream;
    let n = source
        .read(&mut bytes)
        .map_err(|error| Error::io(CALL, error))?;
    bytes.truncate(n);
    bytes.shrink_to_fit();
    Ok(bytes)
}

/// Writes bytes and tells how many went: on a stream that blocks all of them, on another
/// as many as there was room for.
///
/// PHP: `fwrite`, which answers 0 where there is no room.
///
/// # Errors
/// [`Error::Io`] of kind `WouldBlock` when there is no room, `BrokenPipe` or
/// `ConnectionReset` when the peer is gone; [`Error::Freed`] after [`fclose`].
///
/// # Examples
/// ```
/// # use php_event::stream::{fwrite, stream_socket_pair};
/// let (one, _other) = stream_socket_pair()?;
/// assert_eq!(fwrite(&one, "hello")?, 5);
/// # Ok::<(), php_event::EventException>(())
/// ```
pub fn fwrite(stream: &Stream, data: impl AsRef<[u8]>) -> Result<usize> {
    const CALL: &str = "fwrite";
    stream.open(CALL)?;
    let (data, mut target) = (data.as_ref(), stream);
    if data.is_empty() {
        return Ok(0);
    }
    let written = if stream.0.blocking.get() {
        target.write_all(data).map(|()| data.len())
    } else {
        target.write(data)
    };
    written.map_err(|error| Error::io(CALL, error))
}

/// Whether the stream is at its end: nothing is left to read and the peer has closed, or
/// it was closed here. A listener, which has no peer, is not. It never waits.
///
/// PHP: `feof`, which throws after [`fclose`].
///
/// # Examples
/// ```
/// # use php_event::stream::{fclose, feof, stream_socket_pair};
/// let (one, other) = stream_socket_pair()?;
/// assert!(!feof(&other));
/// fclose(&one)?;
/// assert!(feof(&other));
/// # Ok::<(), php_event::EventException>(())
/// ```
#[must_use]
pub fn feof(stream: &Stream) -> bool {
    let inner = &stream.0;
    if inner.closed.get() || inner.ended.get() {
        return true;
    }
    if inner.role != Role::Connection {
        return false;
    }
    match inner.socket.peek(&mut [MaybeUninit::uninit()]) {
        Ok(n) => n == 0,
        Err(error) => !matches!(
            error.kind(),
            io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
        ),
    }
}

/// Closes a stream for every handle of it: the peer sees the end, and reads, writes and a
/// second close answer [`Error::Freed`]. The descriptor's number is released with the last
/// handle or event that holds the stream, so that no event watches a stranger; an event that
/// watches it fires once more, and is to be deleted then.
///
/// A listener, or a connection that was made before a fork, is only released: shutting it
/// down would end it in the other process too.
///
/// PHP: `fclose`.
///
/// # Errors
/// [`Error::Freed`] the second time.
///
/// # Examples
/// ```
/// # use php_event::stream::{fclose, fwrite, stream_socket_pair};
/// let (one, _other) = stream_socket_pair()?;
/// fclose(&one)?;
/// assert!(fwrite(&one, "more").is_err());
/// # Ok::<(), php_event::EventException>(())
/// ```
pub fn fclose(stream: &Stream) -> Result<()> {
    let socket = stream.open("fclose")?;
    stream.0.closed.set(true);
    if stream.0.role == Role::Connection && stream.0.generation == process::generation() {
        socket.shutdown(Shutdown::Both).ok(); // not connected any more: as closed as can be
    }
    Ok(())
}

/// Ends one direction of a connection, or both, while the stream stays open: with
/// [`Shutdown::Write`] the peer sees the end, and what it still sends can be read.
///
/// PHP: `stream_socket_shutdown`.
///
/// # Errors
/// [`Error::Io`] when the stream is not connected; [`Error::Freed`] after [`fclose`].
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

/// Says whether reads and writes wait, which they do at first.
///
/// PHP: `stream_set_blocking`. It costs no system call.
///
/// # Errors
/// [`Error::Freed`] after [`fclose`].
///
/// # Examples
/// ```
/// # use php_event::stream::{stream_set_blocking, stream_socket_pair};
/// let (one, _other) = stream_socket_pair()?;
/// stream_set_blocking(&one, false)?;
/// # Ok::<(), php_event::EventException>(())
/// ```
pub fn stream_set_blocking(stream: &Stream, enable: bool) -> Result<()> {
    stream.open("stream_set_blocking")?;
    stream.0.blocking.set(enable);
    Ok(())
}

/// Says how long a read or write of a blocking stream waits, [`DEFAULT_TIMEOUT`] at first.
///
/// PHP: `stream_set_timeout`.
///
/// # Errors
/// [`Error::Freed`] after [`fclose`].
///
/// # Examples
/// ```
/// # use php_event::stream::{stream_set_timeout, stream_socket_pair};
/// let (one, _other) = stream_socket_pair()?;
/// stream_set_timeout(&one, std::time::Duration::from_secs(5))?;
/// # Ok::<(), php_event::EventException>(())
/// ```
pub fn stream_set_timeout(stream: &Stream, timeout: Duration) -> Result<()> {
    stream.open("stream_set_timeout")?;
    stream.0.timeout.set(timeout);
    Ok(())
}

/// The stream's own address or, with `remote`, its peer's: `ip:port`, `[v6]:port`, or the
/// unix path. `None` where there is none: a listener's peer, an unnamed unix socket.
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

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
use std::net::{Shutdown, SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::{Domain, SockAddr, Socket, Type};

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

/// Where a PHP address points to.
enum Address {
    Tcp(Vec<SocketAddr>),
    Unix(SockAddr),
}

/// Reads `tcp://host:port`, `tcp://[v6]:port`, `unix://path`; without a scheme it is TCP.
/// Host names are resolved, and that blocks.
fn parse(call: &'static str, address: &str) -> Result<Address> {
    let malformed = |why: &str| Error::argument(call, format!("{address:?}: {why}"));
    if let Some(path) = address.strip_prefix("unix://") {
        return match unix_address(path) {
            Some(address) => Ok(Address::Unix(address)),
            None => Err(malformed(BAD_PATH)),
        };
    }
    let host = match address.split_once("://") {
        Some(("tcp", host)) => host,
        Some(_) => {
            return Err(malformed(
                "the scheme is not supported; give tcp:// or unix://",
            ));
        }
        None => address,
    };
    match host.to_socket_addrs() {
        Ok(addresses) => Ok(Address::Tcp(addresses.collect())),
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Err(malformed(
            "not an address with a port, such as tcp://127.0.0.1:80 or tcp://[::1]:80",
        )),
        Err(error) => Err(named(call, address, &error)),
    }
}

/// What is wrong with a path that [`unix_address`] refuses.
pub(crate) const BAD_PATH: &str =
    "the path is empty, longer than the system allows, or holds a NUL";

/// The address of a unix socket; a NUL in front puts it into Linux's abstract namespace.
pub(crate) fn unix_address(path: &str) -> Option<SockAddr> {
    let cut = path.rfind('\0').is_some_and(|at| at > 0); // the system would end it there
    if path.is_empty() || cut {
        return None;
    }
    SockAddr::unix(path).ok()
}

/// A system error whose text names the address it is about.
pub(crate) fn named(call: &'static str, address: &str, error: &io::Error) -> Error {
    Error::io(
        call,
        io::Error::new(error.kind(), format!("{address}: {error}")),
    )
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
    let options = &context.options;
    let bound = match parse(CALL, address)? {
        Address::Unix(path) => listen(Domain::UNIX, &path, options),
        Address::Tcp(addresses) => first(addresses, |address| {
            listen(Domain::for_address(address), &address.into(), options)
        }),
    };
    let socket = bound.map_err(|error| named(CALL, address, &error))?;
    Ok(Stream::new(socket, Role::Listener))
}

fn listen(domain: Domain, address: &SockAddr, options: &ContextOptions) -> io::Result<Socket> {
    let socket = Socket::new(domain, Type::STREAM, None)?;
    if domain != Domain::UNIX {
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(options.so_reuseport)?;
        socket.set_tcp_nodelay(options.tcp_nodelay)?; // accepted connections inherit it
    }
    if let (Domain::IPV6, Some(only)) = (domain, options.ipv6_v6only) {
        socket.set_only_v6(only)?;
    }
    socket.bind(address)?;
    socket.listen(options.backlog)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Tries each address, as PHP does; the error is the last one's.
fn first(
    addresses: Vec<SocketAddr>,
    mut attempt: impl FnMut(SocketAddr) -> io::Result<Socket>,
) -> io::Result<Socket> {
    let mut result = Err(io::Error::new(
        io::ErrorKind::NotFound,
        "the name has no address",
    ));
    for address in addresses {
        result = attempt(address);
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
    let connect = |domain: Domain, to: &SockAddr| {
        let socket = Socket::new(domain, Type::STREAM, None)?;
        let timeout = timeout.max(Duration::from_millis(1));
        if domain == Domain::UNIX {
            connect_unix(&socket, to, timeout)?;
        } else {
            socket.connect_timeout(to, timeout)?;
        }
        socket.set_nonblocking(true)?;
        if context.options.tcp_nodelay && domain != Domain::UNIX {
            socket.set_tcp_nodelay(true)?;
        }
        Ok(socket)
    };
    let connected = match parse(CALL, address)? {
        Address::Unix(path) => connect(Domain::UNIX, &path),
        Address::Tcp(addresses) => first(addresses, |address| {
            connect(Domain::for_address(address), &address.into())
        }),
    };
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

/// A unix socket that does not block is refused at once when the backlog is full; one that
/// blocks waits for room, as long as a write may.
fn connect_unix(socket: &Socket, to: &SockAddr, timeout: Duration) -> io::Result<()> {
    socket.set_write_timeout(Some(timeout))?;
    loop {
        match socket.connect(to) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(io::ErrorKind::TimedOut.into());
            }
            result => return result,
        }
    }
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

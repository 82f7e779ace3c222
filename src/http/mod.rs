//! `EventHttp`: an HTTP server on a base; `EventHttpRequest` and `EventHttpConnection` are
//! what it hands out.
//!
//! Owns: [`server::Inner`], which every request of it counts on as well, so that one that is
//! kept can still be answered when the last handle of its server has gone.
//! Lent to C: what [`server::Inner`] lends. Runs user code: the closures, through `entry`.

mod body;
pub(crate) mod client;
pub(crate) mod connection;
mod deadlines;
mod deferred;
mod entry;
mod gate;
mod headers;
mod listening;
mod page;
mod path;
mod reply;
pub(crate) mod request;
mod routes;
pub(crate) mod server;
mod server_connection;
mod server_request;

use std::fmt;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::rc::Rc;
use std::time::Duration;

pub use body::{HttpBody, HttpBodyError};
pub use client::HttpError;
pub use connection::EventHttpConnection;
pub use request::EventHttpRequest;

use php_event_macros::php;

#[cfg(doc)]
use crate::Error;
use crate::EventBase;
use crate::address::{numeric_ip, with_port};
use crate::error::Result;
use crate::flags::HttpMethods;
use deadlines::BodyRate;
use routes::Route;

/// An HTTP server.
///
/// It parses requests, calls the closure set for their path, keeps connections alive and answers
/// pipelined requests in order. A request that violates RFC 9112 gets a 400 before libevent or a
/// closure sees it: two lengths, a coding other than `chunked`, bare LFs, folded lines, no `Host`
/// or two of them, control bytes, `%00` in a path.
///
/// A handle is counted: a clone is the same server, as a PHP variable would be. When the last
/// handle is dropped, the server stops listening, closes idle connections and drops its closures.
/// A request that you keep can still be answered, and replies being written have five more
/// seconds.
///
/// Unlike PHP, limits apply by default: 16 KiB and 30 seconds for a request's head, 1 MiB for its
/// body, which must bring 4 KiB in each 10 seconds, and 50 seconds without a byte.
///
/// evhttp does not check its allocations. So from the first server on, one that fails in libevent ends
/// the process with a message, on every thread, as one of Rust's does, if libevent asks for less than
/// 64 KiB.
///
/// PHP: `EventHttp`. libevent: `struct evhttp`.
///
/// # Examples
/// ```
/// use php_event::{EventBase, EventBuffer, EventHttp};
/// use std::io::{Read, Write};
/// use std::net::TcpStream;
///
/// let base = EventBase::new()?;
/// let http = EventHttp::new(&base)?;
/// let address = http.bind("127.0.0.1", 0)?;
/// let stop = base.clone();
/// http.set_callback("/hello", move |request| {
///     let body = EventBuffer::new().unwrap();
///     body.add("Hello!").unwrap();
///     request.send_reply(200, "OK", Some(&body)).unwrap();
///     stop.exit(Some(std::time::Duration::from_millis(50))).unwrap();
/// })?;
///
/// let mut client = TcpStream::connect(address)?;
/// client.write_all(b"GET /hello HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
/// base.dispatch()?;
/// let mut answer = String::new();
/// client.read_to_string(&mut answer)?;
/// assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nHello!"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A closure owns what it uses:
/// ```compile_fail,E0373
/// # use php_event::{EventBase, EventHttp};
/// let http = EventHttp::new(&EventBase::new().unwrap()).unwrap();
/// let count = std::cell::Cell::new(0);
/// http.set_default_callback(|_request| count.set(1)).unwrap();
/// # drop(http);
/// ```
/// ```
/// # use php_event::{EventBase, EventHttp};
/// let http = EventHttp::new(&EventBase::new().unwrap()).unwrap();
/// let count = std::rc::Rc::new(std::cell::Cell::new(0));
/// http.set_default_callback(move |_request| count.set(1)).unwrap();
/// ```
/// A server and its requests stay in the thread of their base:
/// ```compile_fail,E0277
/// # use php_event::{EventBase, EventHttp};
/// let http = EventHttp::new(&EventBase::new().unwrap()).unwrap();
/// http.set_default_callback(|request| {
///     let request = request.clone();
///     std::thread::spawn(move || request.send_reply(200, "OK", None));
/// }).unwrap();
/// ```
/// ```
/// # use php_event::{EventBase, EventHttp};
/// std::thread::spawn(|| {
///     let http = EventHttp::new(&EventBase::new().unwrap()).unwrap();
///     http.set_default_callback(|request| request.send_reply(200, "OK", None).unwrap()).unwrap();
/// }).join().unwrap();
/// ```
#[derive(Clone)]
#[doc(alias = "evhttp")]
#[must_use = "a server is freed when its last handle is dropped, and serves nothing then"]
pub struct EventHttp(Rc<Handle>);

/// What the public handles share; requests count on [`server::Inner`] alone.
struct Handle {
    server: Rc<server::Inner>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.server.close_down();
    }
}

impl EventHttp {
    /// Makes a server that listens nowhere yet.
    ///
    /// # Errors
    /// [`Error::Freed`], [`Error::Forked`] for the base; [`Error::Call`] when out of memory.
    ///
    /// # Examples
    /// ```
    /// let http = php_event::EventHttp::new(&php_event::EventBase::new()?)?;
    /// assert!(http.bound_addresses().is_empty());
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php(
        "EventHttp::__construct",
        php_note = " without a context",
        c = "evhttp_new"
    )]
    pub fn new(base: &EventBase) -> Result<Self> {
        let server = server::Inner::new(CALL, base.inner())?;
        Ok(Self(Rc::new(Handle { server })))
    }

    /// Makes a server whose connections speak TLS.
    ///
    /// A client that does not is cut off without an answer. The end of a connection is announced
    /// (`close_notify`).
    ///
    /// # Errors
    /// [`Error::State`] when the context is for clients, or has no certificate; otherwise as
    /// [`new`](Self::new).
    ///
    /// # Examples
    /// ```no_run
    /// use php_event::{EventBase, EventHttp, EventSslContext};
    ///
    /// let base = EventBase::new()?;
    /// let context = EventSslContext::new(EventSslContext::TLS_SERVER_METHOD, &[
    ///     (EventSslContext::OPT_LOCAL_CERT, "cert.pem".into()),
    ///     (EventSslContext::OPT_LOCAL_PK, "key.pem".into()),
    /// ])?;
    /// let https = EventHttp::with_ssl(&base, &context)?;
    /// https.bind("0.0.0.0", 443)?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php(
        "EventHttp::__construct",
        php_note = " with a context",
        c = ["evhttp_set_bevcb", "bufferevent_openssl_socket_new"]
    )]
    #[cfg(feature = "openssl")]
    pub fn with_ssl(base: &EventBase, context: &crate::EventSslContext) -> Result<Self> {
        let http = Self::new(base)?;
        http.0.server.speak_tls(CALL, context)?;
        Ok(http)
    }

    /// Listens on an address, and returns it: port 0 takes any free one. May be called
    /// again for more addresses. A base that uses `select` cannot watch descriptors from 1,024
    /// on: clients that get one are closed, and the cause is logged.
    ///
    /// # Errors
    /// [`Error::Argument`] for what is not a numeric IPv4 or IPv6 address (without brackets);
    /// [`Error::Io`] with the address and the cause when it is in use, not ours, or not allowed;
    /// [`Error::Freed`], [`Error::Forked`] for the base.
    ///
    /// # Examples
    /// ```
    /// # use php_event::{EventBase, EventHttp};
    /// let http = EventHttp::new(&EventBase::new()?)?;
    /// let v4 = http.bind("127.0.0.1", 0)?;
    /// assert_ne!(v4.port(), 0);
    /// assert!(http.bind("127.0.0.1", v4.port()).is_err());
    /// assert_eq!(http.bound_addresses(), [v4]);
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php(
        "EventHttp::bind",
        php_note = ", which also takes a name, and blocks until it is resolved",
        c = "evhttp_bind_socket"
    )]
    pub fn bind(&self, address: &str, port: u16) -> Result<SocketAddr> {
        let server = self.server(CALL)?;
        let ip = numeric_ip(CALL, address)?;
        let (socket, bound) = listening::bound(CALL, with_port(ip, port))?;
        server.listen(CALL, (socket.as_raw_fd(), bound), Box::new(socket))?;
        Ok(bound)
    }

    /// Serves the connections of a listening socket, which the server owns from now on and
    /// which becomes non-blocking.
    ///
    /// Only TCP: libevent ends the process when the client of a unix socket has a path of its own
    /// that is long.
    ///
    /// # Errors
    /// [`Error::Argument`] for what is not a listening TCP socket, where PHP returns true;
    /// [`Error::Io`] when it cannot be made non-blocking; [`Error::Freed`], [`Error::Forked`]
    /// for the base.
    ///
    /// # Examples
    /// ```
    /// # use php_event::{EventBase, EventHttp};
    /// let http = EventHttp::new(&EventBase::new()?)?;
    /// let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    /// http.accept(listener)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[php("EventHttp::accept", c = "evhttp_accept_socket")]
    pub fn accept<S: AsFd + 'static>(&self, socket: S) -> Result<()> {
        self.server(CALL)?;
        let checked = listening::checked(CALL, socket.as_fd())?; // asked once: it is user code
        self.server(CALL)?.listen(CALL, checked, Box::new(socket))
    }

    /// The addresses that the server listens on, in the order of [`bind`](Self::bind) and
    /// [`accept`](Self::accept). Beyond PHP, which has no way to ask.
    ///
    /// libevent: `evhttp_foreach_bound_socket`.
    ///
    /// # Examples
    /// ```
    /// # use php_event::{EventBase, EventHttp};
    /// # let http = EventHttp::new(&EventBase::new()?)?;
    /// let address = http.bind("::1", 0)?;
    /// assert_eq!(http.bound_addresses(), [address]);
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[must_use]
    pub fn bound_addresses(&self) -> Vec<SocketAddr> {
        self.0.server.addresses()
    }

    /// Sets the closure for the requests of a path.
    ///
    /// The path is compared byte by byte with the request's path, without its query and with its
    /// escapes decoded. The closure may keep a clone of the request and answer it later. When the
    /// last handle of an unanswered request is dropped, the client gets a 500; PHP leaves it
    /// waiting.
    ///
    /// # Errors
    /// [`Error::State`] when the path has a closure already, which
    /// [`remove_callback`](Self::remove_callback) takes away; [`Error::Argument`] for a NUL in the
    /// path; [`Error::Freed`], [`Error::Forked`] for the base.
    ///
    /// # Examples
    /// ```
    /// # use php_event::{EventBase, EventHttp};
    /// # let http = EventHttp::new(&EventBase::new()?)?;
    /// http.set_callback("/status", |request| request.send_reply(204, "No Content", None).unwrap())?;
    /// assert!(http.set_callback("/status", |_request| {}).is_err());
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php("EventHttp::setCallback", c = "evhttp_set_cb")]
    pub fn set_callback<F>(&self, path: &str, callback: F) -> Result<()>
    where
        F: FnMut(&EventHttpRequest) + 'static,
    {
        let route = Route::new(Box::new(callback));
        self.server(CALL)?.routes.add(CALL, path, route)
    }

    /// Sets a closure for a path that gets each request as soon as its head has come, and takes the
    /// body as it comes, with [`EventHttpRequest::set_body_callback`]. For uploads that should not
    /// lie in memory as a whole. Beyond PHP.
    ///
    /// `max_body_size` takes the place of [`set_max_body_size`](Self::set_max_body_size) here; `None`
    /// is no limit. When 64 KiB of a body wait in
    /// [`EventHttpRequest::get_input_buffer`], nothing more is read until some are taken out. The
    /// closure may reply at any time. What is missing of the body when the reply is complete is
    /// read and dropped, before the next request of the connection.
    ///
    /// A request without a body comes as it does to [`set_callback`](Self::set_callback).
    ///
    /// # Errors
    /// As [`set_callback`](Self::set_callback).
    ///
    /// # Examples
    /// ```
    /// # use php_event::{EventBase, EventHttp};
    /// # let http = EventHttp::new(&EventBase::new()?)?;
    /// use php_event::{HttpBody, HeaderSide};
    /// http.set_stream_callback("/upload", Some(10 << 30), |request| {
    ///     let mut file = tempfile::tempfile().unwrap();
    ///     let set = request.set_body_callback(move |request, news| match news {
    ///         HttpBody::More => {
    ///             let body = request.get_input_buffer();
    ///             while let Some(bytes) = body.read(65_536).unwrap() {
    ///                 std::io::Write::write_all(&mut file, &bytes).unwrap();
    ///             }
    ///         }
    ///         HttpBody::End => request.send_reply(201, "Created", None).unwrap(),
    ///         HttpBody::Failed(error) => eprintln!("upload: {error}"),
    ///         _ => {}
    ///     });
    ///     set.unwrap();
    /// })?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    pub fn set_stream_callback<F>(
        &self,
        path: &str,
        max_body_size: Option<u64>,
        callback: F,
    ) -> Result<()>
    where
        F: FnMut(&EventHttpRequest) + 'static,
    {
        const CALL: &str = "EventHttp::setStreamCallback";
        let route = Route::streaming(Box::new(callback), max_body_size);
        self.server(CALL)?.routes.add(CALL, path, route)
    }

    /// Removes a path's closure; returns whether there was one. Beyond PHP.
    ///
    /// # Errors
    /// [`Error::Freed`], [`Error::Forked`] for the base.
    ///
    /// # Examples
    /// ```
    /// # use php_event::{EventBase, EventHttp};
    /// # let http = EventHttp::new(&EventBase::new()?)?;
    /// http.set_callback("/once", |_request| {})?;
    /// assert!(http.remove_callback("/once")?);
    /// assert!(!http.remove_callback("/once")?);
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php(c = "evhttp_del_cb")]
    pub fn remove_callback(&self, path: &str) -> Result<bool> {
        Ok(self
            .server("EventHttp::removeCallback")?
            .routes
            .remove(path))
    }

    /// Sets the closure for the requests that no path's closure takes. Without one they get a
    /// 404.
    ///
    /// # Errors
    /// [`Error::Freed`], [`Error::Forked`] for the base.
    ///
    /// # Examples
    /// ```
    /// # use php_event::{EventBase, EventHttp};
    /// # let http = EventHttp::new(&EventBase::new()?)?;
    /// http.set_default_callback(|request| {
    ///     request.send_error(404, Some("Nothing here")).unwrap();
    /// })?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php("EventHttp::setDefaultCallback", c = "evhttp_set_gencb")]
    pub fn set_default_callback<F>(&self, callback: F) -> Result<()>
    where
        F: FnMut(&EventHttpRequest) + 'static,
    {
        let server = self.server(CALL)?;
        server.routes.set_rest(Route::new(Box::new(callback)));
        Ok(())
    }

    /// Sets the methods that are served; all others get a 501. The default is `GET`, `POST`,
    /// `HEAD`, `PUT`, `DELETE`.
    ///
    /// # Errors
    /// [`Error::Freed`], [`Error::Forked`] for the base.
    ///
    /// # Examples
    /// ```
    /// # use php_event::{EventBase, EventHttp};
    /// # let http = EventHttp::new(&EventBase::new()?)?;
    /// use php_event::EventHttpRequest;
    /// http.set_allowed_methods(EventHttpRequest::CMD_GET | EventHttpRequest::CMD_HEAD)?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php("EventHttp::setAllowedMethods", c = "evhttp_set_allowed_methods")]
    pub fn set_allowed_methods(&self, methods: HttpMethods) -> Result<()> {
        let server = self.server(CALL)?;
        server.allow(methods);
        Ok(())
    }

    /// Sets how many bytes a request's body may have, for connections from now on; a longer
    /// one gets a 413. `None` is no limit. The default is 1 MiB, unlike PHP's.
    ///
    /// # Errors
    /// [`Error::Freed`], [`Error::Forked`] for the base.
    ///
    /// # Examples
    /// ```
    /// # use php_event::{EventBase, EventHttp};
    /// # let http = EventHttp::new(&EventBase::new()?)?;
    /// http.set_max_body_size(Some(10 << 20))?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php(
        "EventHttp::setMaxBodySize",
        php_note = ", where −1 is no limit",
        c = "evhttp_set_max_body_size"
    )]
    pub fn set_max_body_size(&self, size: Option<usize>) -> Result<()> {
        let server = self.server(CALL)?;
        server.set(|settings| settings.body_max = size);
        Ok(())
    }

    /// Sets how many bytes a request's first line and headers may have together, for connections
    /// from now on; more gets a 400. `None` is no limit. The default is 16 KiB, unlike PHP's. A
    /// first line is never longer than 8 KiB, and there are never more than 100 headers.
    ///
    /// # Errors
    /// [`Error::Freed`], [`Error::Forked`] for the base.
    ///
    /// # Examples
    /// ```
    /// # use php_event::{EventBase, EventHttp};
    /// # let http = EventHttp::new(&EventBase::new()?)?;
    /// http.set_max_headers_size(Some(4096))?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php(
        "EventHttp::setMaxHeadersSize",
        php_note = ", where −1 is no limit",
        c = "evhttp_set_max_headers_size"
    )]
    pub fn set_max_headers_size(&self, size: Option<usize>) -> Result<()> {
        let server = self.server(CALL)?;
        server.set(|settings| settings.headers_max = size);
        Ok(())
    }

    /// Sets how long a connection may be silent, for connections from now on: between two
    /// pieces of a request, between requests, and while an answer waits to be taken. It is then
    /// closed without a reply. This does not limit how long a closure may take to answer. `None` is
    /// no limit. The default is 50 seconds.
    ///
    /// In PHP the time also ends a chunked reply to a client that, rightly, sends nothing.
    /// libevent: `evhttp_set_timeout_tv`.
    ///
    /// # Errors
    /// [`Error::Argument`] for a time of zero, or below a microsecond; [`Error::Freed`],
    /// [`Error::Forked`] for the base.
    ///
    /// # Examples
    /// ```
    /// # use php_event::{EventBase, EventHttp};
    /// # let http = EventHttp::new(&EventBase::new()?)?;
    /// http.set_timeout(Some(std::time::Duration::from_secs(10)))?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php(
        "EventHttp::setTimeout",
        php_note = ", in seconds, and without a limit at first"
    )]
    #[doc(alias = "evhttp_set_timeout")]
    pub fn set_timeout(&self, timeout: Option<Duration>) -> Result<()> {
        let server = self.server(CALL)?;
        server_connection::checked_timeout(CALL, timeout)?;
        server.set(|settings| settings.silence_max = timeout);
        Ok(())
    }

    /// Sets how long a request's head may take from its first byte on, and how long a TLS handshake
    /// may take. After that the connection is closed without a reply, even if bytes keep coming.
    /// `None` is no limit. The default is 30 seconds. Beyond PHP.
    ///
    /// The time holds for open connections, too; a head or a handshake that has begun keeps its
    /// deadline.
    ///
    /// # Errors
    /// [`Error::Argument`] for a time of zero, or below a microsecond; [`Error::Freed`],
    /// [`Error::Forked`] for the base.
    ///
    /// # Examples
    /// ```
    /// # use php_event::{EventBase, EventHttp};
    /// # let http = EventHttp::new(&EventBase::new()?)?;
    /// http.set_header_timeout(Some(std::time::Duration::from_secs(10)))?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    pub fn set_header_timeout(&self, timeout: Option<Duration>) -> Result<()> {
        const CALL: &str = "EventHttp::setHeaderTimeout";
        let server = self.server(CALL)?;
        server_connection::checked_timeout(CALL, timeout)?;
        server.set(|settings| settings.head_max = timeout);
        Ok(())
    }

    /// Sets how many bytes of a request's body must come at least in each period. The connection of
    /// a slower client is closed without a reply, even if bytes keep coming. `None` is no limit.
    /// The default is 4 KiB in 10 seconds. Beyond PHP.
    ///
    /// The rate holds for open connections, too; a period that has begun keeps the former rate.
    /// Time in which the server does not read does not count: while an earlier request of the
    /// connection waits for its reply.
    ///
    /// # Errors
    /// [`Error::Argument`] for a time of zero, or below a microsecond; [`Error::Freed`],
    /// [`Error::Forked`] for the base.
    ///
    /// # Examples
    /// ```
    /// # use php_event::{EventBase, EventHttp};
    /// # let http = EventHttp::new(&EventBase::new()?)?;
    /// http.set_min_body_rate(Some((1024, std::time::Duration::from_secs(1))))?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    pub fn set_min_body_rate(&self, rate: Option<(usize, Duration)>) -> Result<()> {
        const CALL: &str = "EventHttp::setMinBodyRate";
        let server = self.server(CALL)?;
        server_connection::checked_timeout(CALL, rate.map(|(_, per)| per))?;
        let rate = rate.map(|(bytes, per)| BodyRate { bytes, per });
        server.set(|settings| settings.body_rate = rate);
        Ok(())
    }

    /// Adds a name of this server. A request whose target is a whole URI with any other host counts
    /// as one to a proxy, and its connection is closed after the answer.
    ///
    /// # Errors
    /// [`Error::Argument`] for a NUL in the name; [`Error::Freed`], [`Error::Forked`] for the
    /// base; [`Error::Call`] when out of memory.
    ///
    /// # Examples
    /// ```
    /// # use php_event::{EventBase, EventHttp};
    /// # let http = EventHttp::new(&EventBase::new()?)?;
    /// http.add_server_alias("www.example.org")?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php("EventHttp::addServerAlias", c = "evhttp_add_server_alias")]
    pub fn add_server_alias(&self, alias: &str) -> Result<()> {
        self.server(CALL)?.add_alias(CALL, alias)
    }

    /// Removes a name, whatever its case; one that was added several times, once. Returns whether
    /// there was one.
    ///
    /// # Errors
    /// [`Error::Argument`] for a NUL in the name; [`Error::Freed`], [`Error::Forked`] for the
    /// base.
    ///
    /// # Examples
    /// ```
    /// # use php_event::{EventBase, EventHttp};
    /// # let http = EventHttp::new(&EventBase::new()?)?;
    /// http.add_server_alias("www.example.org")?;
    /// assert!(http.remove_server_alias("WWW.example.org")?);
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php("EventHttp::removeServerAlias", c = "evhttp_remove_server_alias")]
    pub fn remove_server_alias(&self, alias: &str) -> Result<bool> {
        self.server(CALL)?.remove_alias(CALL, alias)
    }

    /// The base that the server belongs to. Beyond PHP.
    ///
    /// # Examples
    /// ```
    /// # use php_event::{EventBase, EventHttp};
    /// let base = EventBase::new()?;
    /// assert_eq!(EventHttp::new(&base)?.base(), base);
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[must_use]
    pub fn base(&self) -> EventBase {
        EventBase::of(&self.0.server.base)
    }

    /// The server, if it may be used.
    fn server(&self, call: &'static str) -> Result<&Rc<server::Inner>> {
        self.0.server.base.usable(call)?;
        Ok(&self.0.server)
    }
}

impl PartialEq for EventHttp {
    /// Whether both are the same server, as PHP's `===`.
    fn eq(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for EventHttp {}

impl fmt::Debug for EventHttp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventHttp")
            .field("bound", &self.bound_addresses())
            .finish_non_exhaustive()
    }
}

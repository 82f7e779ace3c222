//! What a client does with an [`EventHttpConnection`].
//!
//! Owns, lends to C: nothing of its own. Runs no user code.

use std::net::IpAddr;
use std::time::Duration;

use php_event_macros::php;

use super::target::Target;
use super::{ClientConnection, EventHttpConnection, connection};
use crate::address::numeric_ip;
use crate::error::{Error, Result};
use crate::flags::HttpMethods;
use crate::{EventBase, EventDnsBase, EventHttpRequest};

const WITH_ADDRESSES: &str = "EventHttpConnection::with_addresses";

impl EventHttpConnection {
    /// Makes a client's connection, which connects with its first request.
    ///
    /// A numeric address needs no DNS base. A name is looked up for each new connection; its
    /// addresses are tried one after the other. `unix:PATH`, with port 0, is a unix socket. Nothing
    /// blocks.
    ///
    /// Unlike PHP, limits apply by default: 64 KiB for an answer's head, 64 MiB for its body.
    ///
    /// # Errors
    /// [`Error::Argument`] for a name without a DNS base, where PHP blocks, for one with a control
    /// byte, for another port of a unix socket, and a DNS base on another event base;
    /// [`Error::Freed`], [`Error::Forked`] for the base; [`Error::Call`] when out of memory.
    ///
    /// # Examples
    /// ```
    /// use php_event::{EventBase, EventHttp, EventHttpConnection, EventHttpRequest};
    ///
    /// let base = EventBase::new()?;
    /// let http = EventHttp::new(&base)?;
    /// let address = http.bind("127.0.0.1", 0)?;
    /// http.set_default_callback(|request| request.send_reply(200, "OK", None).unwrap())?;
    ///
    /// let connection = EventHttpConnection::new(&base, None, "127.0.0.1", address.port())?;
    /// let stop = base.clone();
    /// let request = EventHttpRequest::new(move |answer| {
    ///     assert_eq!(answer.unwrap().get_response_code().unwrap(), 200);
    ///     stop.stop().unwrap();
    /// })?;
    /// connection.make_request(&request, EventHttpRequest::CMD_GET, "/")?;
    /// base.dispatch()?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php(
        "EventHttpConnection::__construct",
        php_note = " without a context, which knows no unix sockets",
        c = "evhttp_connection_base_new"
    )]
    #[doc(alias = "evhttp_connection_base_bufferevent_new")]
    pub fn new(
        base: &EventBase,
        dns_base: Option<&EventDnsBase>,
        address: &str,
        port: u16,
    ) -> Result<Self> {
        let target = Target::checked(CALL, base.inner(), dns_base, address, port)?;
        connection::Inner::of_client(CALL, base.inner(), target).map(Self)
    }

    /// Makes a client's connection that speaks TLS, which connects with its first request.
    ///
    /// A name is sent to the server (SNI), and the server's certificate must be for it, or for a
    /// numeric address, unless the context says otherwise. A handshake that fails ends the request
    /// with [`HttpError::Tls`](crate::HttpError::Tls), which has the TLS library's reason.
    ///
    /// # Errors
    /// [`Error::State`] when the context is for servers; [`Error::Argument`] for what can be no
    /// host's name, such as a unix socket; otherwise as [`new`](Self::new).
    ///
    /// # Examples
    /// ```
    /// use php_event::{EventBase, EventHttpConnection, EventSslContext};
    ///
    /// let base = EventBase::new()?;
    /// let context = EventSslContext::new(EventSslContext::TLS_CLIENT_METHOD, &[])?;
    /// let connection = EventHttpConnection::with_ssl(&base, None, "127.0.0.1", 443, &context)?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php(
        "EventHttpConnection::__construct",
        php_note = " with a context, which sends and compares no name",
        c = ["evhttp_connection_base_bufferevent_new", "bufferevent_openssl_socket_new"]
    )]
    #[cfg(feature = "openssl")]
    pub fn with_ssl(
        base: &EventBase,
        dns_base: Option<&EventDnsBase>,
        address: &str,
        port: u16,
        context: &crate::EventSslContext,
    ) -> Result<Self> {
        let target = Target::checked(CALL, base.inner(), dns_base, address, port)?;
        target.speak_tls(CALL, context)?;
        connection::Inner::of_client(CALL, base.inner(), target).map(Self)
    }

    /// Makes a client's connection to a host whose addresses are known. They are tried one after
    /// the other for each new connection. Beyond PHP, for embedders that have a resolver of their
    /// own: it needs no DNS base.
    ///
    /// `Host` and [`get_peer`](Self::get_peer) have the name, and
    /// [`with_addresses_and_ssl`](Self::with_addresses_and_ssl) compares it with the server's
    /// certificate.
    ///
    /// # Errors
    /// [`Error::Argument`] for a name with a control byte, and without an address;
    /// [`Error::Freed`], [`Error::Forked`] for the base; [`Error::Call`] when out of memory.
    ///
    /// # Examples
    /// ```
    /// use std::net::Ipv4Addr;
    ///
    /// use php_event::{EventBase, EventHttpConnection};
    ///
    /// let base = EventBase::new()?;
    /// let addresses = [Ipv4Addr::LOCALHOST.into()];
    /// let connection = EventHttpConnection::with_addresses(&base, "a.test", &addresses, 8080)?;
    /// assert_eq!(connection.get_peer()?, ("a.test".to_owned(), 8080));
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    pub fn with_addresses(
        base: &EventBase,
        name: &str,
        addresses: &[IpAddr],
        port: u16,
    ) -> Result<Self> {
        let target = Target::known(WITH_ADDRESSES, name, addresses, port)?;
        connection::Inner::of_client(WITH_ADDRESSES, base.inner(), target).map(Self)
    }

    /// As [`with_addresses`](Self::with_addresses), over TLS as [`with_ssl`](Self::with_ssl)
    /// speaks it.
    ///
    /// # Errors
    /// Those of both.
    ///
    /// # Examples
    /// ```
    /// # use std::net::Ipv4Addr;
    /// # use php_event::{EventBase, EventHttpConnection, EventSslContext};
    /// # let base = EventBase::new()?;
    /// let context = EventSslContext::new(EventSslContext::TLS_CLIENT_METHOD, &[])?;
    /// let addresses = [Ipv4Addr::LOCALHOST.into()];
    /// EventHttpConnection::with_addresses_and_ssl(&base, "a.test", &addresses, 443, &context)?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[cfg(feature = "openssl")]
    pub fn with_addresses_and_ssl(
        base: &EventBase,
        name: &str,
        addresses: &[IpAddr],
        port: u16,
        context: &crate::EventSslContext,
    ) -> Result<Self> {
        let target = Target::known(WITH_ADDRESSES, name, addresses, port)?;
        target.speak_tls(WITH_ADDRESSES, context)?;
        connection::Inner::of_client(WITH_ADDRESSES, base.inner(), target).map(Self)
    }

    /// Makes a request: it is sent when those before it have their answers. The connection is
    /// made where there is none, and kept for the next request if the server keeps it.
    ///
    /// The URI is a path, a whole URI for a proxy, or for `OPTIONS` a `*`. `Host` and, where
    /// there is a body or the method is one that has a body, `Content-Length` are added unless
    /// they were set. The body, of `POST`, `PUT`, `PATCH`, `DELETE` and `OPTIONS`, is what is in
    /// the request's output buffer. With `Expect: 100-continue` the body waits for the server to
    /// ask for it, but at most a second. Redirects are not followed. A request that is over may be
    /// made again, over this or another connection: it keeps its headers, and loses its answer
    /// and its body, which has gone out.
    /// A kept connection that the server has closed, or over which something has come since the last
    /// answer, is not used for the next request. One without a body whose method is idempotent is
    /// retried once, over a new connection, when the server has closed a kept one before it answered
    /// anything.
    ///
    /// The closure is never called before this returns. The answer is read as strictly as
    /// [`EventHttp`](crate::EventHttp) reads requests: one whose length is not certain (two
    /// lengths, a coding other than `chunked`, malformed chunks) is refused. It is also read while
    /// the request is still being sent; if it is complete before, the connection is closed.
    /// Interim answers (1xx) are skipped, up to 100 of them. Trailer fields are dropped, also those
    /// that may not be in a trailer (`Content-Length`): the body has ended before them.
    ///
    /// # Errors
    /// [`Error::Argument`] for port 0, for anything but one method, for `CONNECT`, for a URI with blanks or
    /// bytes that must be escaped, for a body of `GET`, `HEAD` or `TRACE`, for headers that
    /// contradict the body, and for a server's request; [`Error::State`] when the request is
    /// under way, and for a name without a name server; [`Error::Io`] when no socket can be made,
    /// or bound to the local address; [`Error::Freed`] for the request or the base;
    /// [`Error::Forked`].
    ///
    /// # Examples
    /// ```
    /// # use php_event::{EventBase, EventHttpConnection, EventHttpRequest};
    /// # let base = EventBase::new()?;
    /// # let connection = EventHttpConnection::new(&base, None, "127.0.0.1", 9)?;
    /// let request = EventHttpRequest::new(|answer| println!("{answer:?}"))?;
    /// request.get_output_buffer().add("name=value")?;
    /// connection.make_request(&request, EventHttpRequest::CMD_POST, "/form")?;
    ///
    /// let again = connection.make_request(&request, EventHttpRequest::CMD_POST, "/form");
    /// assert!(again.unwrap_err().to_string().contains("under way"));
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php(
        "EventHttpConnection::makeRequest",
        php_note = ", which checks nothing, adds no `Host` and drops a body of other methods than `POST` and `PUT`",
        c = "evhttp_make_request",
        c_note = ", which this does not use"
    )]
    pub fn make_request(
        &self,
        req: &EventHttpRequest,
        r#type: HttpMethods,
        uri: &str,
    ) -> Result<()> {
        let client = self.client(CALL)?;
        let Some(request) = req.0.client() else {
            return Err(Error::argument(CALL, "a server's request cannot be made"));
        };
        client.target.check_port(CALL)?;
        request.begin(CALL, &self.0, r#type, uri, &client.target.authority())?;
        let made = client.make(&self.0, &req.0);
        made.inspect_err(|_| request.take_back())
    }

    /// The connection's base.
    ///
    /// # Examples
    /// ```
    /// # use php_event::{EventBase, EventHttpConnection};
    /// let base = EventBase::new()?;
    /// let connection = EventHttpConnection::new(&base, None, "127.0.0.1", 80)?;
    /// assert_eq!(connection.get_base(), base);
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php(
        "EventHttpConnection::getBase",
        php_note = "; false for one of a server's request",
        c = "evhttp_connection_get_base"
    )]
    #[must_use]
    pub fn get_base(&self) -> EventBase {
        EventBase::of(self.0.base())
    }

    /// Sets the address that the next connection comes from.
    ///
    /// # Errors
    /// [`Error::Argument`] for text that is not an IP address, where PHP blocks, for an address of
    /// another IP version than the server's, and for a unix socket; [`Error::State`] for a
    /// server's connection; [`Error::Freed`], [`Error::Forked`] for the base.
    ///
    /// # Examples
    /// ```
    /// # use php_event::{EventBase, EventHttpConnection};
    /// # let base = EventBase::new()?;
    /// let connection = EventHttpConnection::new(&base, None, "127.0.0.1", 80)?;
    /// connection.set_local_address("127.0.0.2")?;
    /// assert!(connection.set_local_address("::1").is_err()); // the server's is of IPv4
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php(
        "EventHttpConnection::setLocalAddress",
        php_note = ", which ends the process when there is a connection",
        c = "evhttp_connection_set_local_address"
    )]
    pub fn set_local_address(&self, address: &str) -> Result<()> {
        let client = self.client(CALL)?;
        let local = numeric_ip(CALL, address)?;
        client.target.check_local(CALL, &local)?;
        client.set(|settings| settings.local_address = Some(local));
        Ok(())
    }

    /// Sets the port that the next connection comes from; 0 is any.
    ///
    /// # Errors
    /// [`Error::State`] for a server's connection; [`Error::Freed`], [`Error::Forked`] for the
    /// base.
    ///
    /// # Examples
    /// ```
    /// # use php_event::{EventBase, EventHttpConnection};
    /// # let connection = EventHttpConnection::new(&EventBase::new()?, None, "127.0.0.1", 80)?;
    /// connection.set_local_port(40_080)?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php(
        "EventHttpConnection::setLocalPort",
        php_note = ", which needs an address as well",
        c = "evhttp_connection_set_local_port"
    )]
    pub fn set_local_port(&self, port: u16) -> Result<()> {
        let client = self.client(CALL)?;
        client.set(|settings| settings.local_port = port);
        Ok(())
    }

    /// Sets how many bytes the first line and the headers of an answer may have together, line
    /// ends included; a longer head is
    /// [`HttpError::InvalidHeader`](crate::HttpError::InvalidHeader). `None` is no limit; the
    /// default is 64 KiB. Applies from the next request on.
    ///
    /// # Errors
    /// As [`set_local_port`](Self::set_local_port).
    ///
    /// # Examples
    /// ```
    /// # use php_event::{EventBase, EventHttpConnection};
    /// # let connection = EventHttpConnection::new(&EventBase::new()?, None, "127.0.0.1", 80)?;
    /// connection.set_max_headers_size(Some(16 * 1024))?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php(
        "EventHttpConnection::setMaxHeadersSize",
        c = "evhttp_connection_set_max_headers_size"
    )]
    pub fn set_max_headers_size(&self, max_size: Option<usize>) -> Result<()> {
        let client = self.client(CALL)?;
        client.set(|settings| settings.headers_max = max_size);
        Ok(())
    }

    /// Sets how many bytes an answer's body may have; a longer one is
    /// [`HttpError::TooLong`](crate::HttpError::TooLong). `None` is no limit; the default is
    /// 64 MiB. Applies from the next request on.
    ///
    /// # Errors
    /// As [`set_local_port`](Self::set_local_port).
    ///
    /// # Examples
    /// ```
    /// use php_event::{EventBase, EventHttp, EventHttpConnection, EventHttpRequest, HttpError};
    ///
    /// let base = EventBase::new()?;
    /// let http = EventHttp::new(&base)?;
    /// let port = http.bind("127.0.0.1", 0)?.port();
    /// http.set_default_callback(|request| {
    ///     request.get_output_buffer().add("eleven byte").unwrap();
    ///     request.send_reply(200, "OK", None).unwrap();
    /// })?;
    ///
    /// let connection = EventHttpConnection::new(&base, None, "127.0.0.1", port)?;
    /// connection.set_max_body_size(Some(10))?;
    /// let stop = base.clone();
    /// let request = EventHttpRequest::new(move |_answer| stop.stop().unwrap())?;
    /// connection.make_request(&request, EventHttpRequest::CMD_GET, "/")?;
    /// base.dispatch()?;
    /// assert_eq!(request.error(), Some(HttpError::TooLong));
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php(
        "EventHttpConnection::setMaxBodySize",
        c = "evhttp_connection_set_max_body_size"
    )]
    pub fn set_max_body_size(&self, max_size: Option<usize>) -> Result<()> {
        let client = self.client(CALL)?;
        client.set(|settings| settings.body_max = max_size);
        Ok(())
    }

    /// Sets how often a connection that could not be made is tried again; `None` is without end,
    /// PHP's −1. The default is 0. A TLS handshake that failed is not tried again.
    ///
    /// The first retry comes after 2 seconds, or after the time that
    /// [`set_retry_delay`](Self::set_retry_delay) sets; each later one waits twice as long as the
    /// one before, up to an hour.
    ///
    /// # Errors
    /// As [`set_local_port`](Self::set_local_port).
    ///
    /// # Examples
    /// ```
    /// # use php_event::{EventBase, EventHttpConnection};
    /// # let connection = EventHttpConnection::new(&EventBase::new()?, None, "127.0.0.1", 80)?;
    /// connection.set_retries(Some(3))?; // after 2, 4 and 8 seconds
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php("EventHttpConnection::setRetries", c = "evhttp_connection_set_retries")]
    pub fn set_retries(&self, retries: Option<u32>) -> Result<()> {
        let client = self.client(CALL)?;
        client.set(|settings| settings.retries = retries);
        Ok(())
    }

    /// Sets how long the first retry waits. Beyond PHP.
    ///
    /// # Errors
    /// As [`set_local_port`](Self::set_local_port).
    ///
    /// # Examples
    /// ```
    /// # use php_event::{EventBase, EventHttpConnection};
    /// # use std::time::Duration;
    /// # let connection = EventHttpConnection::new(&EventBase::new()?, None, "127.0.0.1", 80)?;
    /// connection.set_retries(Some(3))?;
    /// connection.set_retry_delay(Duration::from_millis(100))?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php(c = "evhttp_connection_set_initial_retry_tv")]
    pub fn set_retry_delay(&self, delay: Duration) -> Result<()> {
        let client = self.client("EventHttpConnection::setRetryDelay")?;
        client.set(|settings| settings.retry_first = delay);
        Ok(())
    }

    /// The client's end, if it may be used.
    fn client(&self, call: &'static str) -> Result<&ClientConnection> {
        self.0.base().usable(call)?;
        self.0.client().ok_or(Error::State {
            call,
            reason: "the connection is one of a server",
        })
    }
}

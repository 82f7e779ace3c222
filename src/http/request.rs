//! `EventHttpRequest`: a request and its answer, on the serving and on the asking side.
//!
//! Owns, lends to C: what its [`Role`] says. Runs user code: none here.

use std::fmt;
use std::rc::Rc;

use php_event_macros::php;

use super::client::ClientRequest;
use super::server_request::ServerRequest;
use super::{EventHttpConnection, headers};
use crate::buffer::{EventBuffer, Lender, Side};
use crate::error::{Error, Result};
use crate::flags::{HeaderSide, HttpMethods};
use crate::native::evbuffer::BufferView;
use crate::{EventBufferEvent, base};

/// A request and its answer.
///
/// A server's callbacks get one for each request that came in; a client makes one and gives it
/// to a connection. A handle is counted: a clone is the same request, as a PHP variable would be.
/// The native request belongs to libevent, which frees it when the answer is complete: calls
/// after that return [`Error::Freed`], where PHP reads freed memory.
///
/// PHP: `EventHttpRequest`. libevent: `struct evhttp_request`.
///
/// # Examples
/// ```
/// use php_event::{EventBase, EventHttp};
/// use std::{cell::RefCell, rc::Rc};
///
/// let http = EventHttp::new(&EventBase::new()?)?;
/// let waiting = Rc::new(RefCell::new(Vec::new()));
/// let list = waiting.clone();
/// http.set_callback("/wait", move |request| list.borrow_mut().push(request.clone()))?;
/// // … and when there is news:
/// for request in waiting.take() {
///     request.get_output_buffer().add("news")?;
///     request.send_reply(200, "OK", None)?;
/// }
/// # Ok::<(), php_event::EventException>(())
/// ```
#[derive(Clone)]
#[doc(alias = "evhttp_request")]
pub struct EventHttpRequest(pub(crate) Rc<Inner>);

/// What all handles of one request share: whatever its role keeps.
pub(crate) struct Inner {
    pub(super) role: Role,
}

/// Whose request it is. Every method of the class calls the one of the role that has its name.
pub(crate) enum Role {
    /// One that a server was sent. Only this role knows an `evhttp_request`.
    Server(ServerRequest),
    /// One that a client makes.
    Client(Box<ClientRequest>),
}

/// The error of a call on a request that is gone.
pub(super) fn freed(call: &'static str) -> Error {
    Error::Freed {
        call,
        object: "request",
    }
}

impl Inner {
    pub(super) fn new(role: Role) -> Self {
        Self { role }
    }

    /// What a server's request has, if it is one.
    pub(super) fn server(&self) -> Option<&ServerRequest> {
        match &self.role {
            Role::Server(request) => Some(request),
            Role::Client(_) => None,
        }
    }

    /// Refuses a request that was freed, or whose base may not be used.
    pub(super) fn usable(&self, call: &'static str) -> Result<()> {
        match &self.role {
            Role::Server(request) => request.usable(call).map(drop),
            Role::Client(request) => request.usable(call).map(drop),
        }
    }

    fn headers(&self, call: &'static str, side: HeaderSide) -> Result<Vec<(String, Vec<u8>)>> {
        match &self.role {
            Role::Server(request) => request.headers(call, side),
            Role::Client(request) => request.headers(call, side),
        }
    }

    fn find_header(
        &self,
        call: &'static str,
        name: &str,
        side: HeaderSide,
    ) -> Result<Option<Vec<u8>>> {
        headers::check_name(call, name)?;
        match &self.role {
            Role::Server(request) => request.find_header(call, name, side),
            Role::Client(request) => request.find_header(call, name, side),
        }
    }
}

impl Lender for Inner {
    fn view(&self, call: &'static str, side: Side) -> Result<BufferView<'_>> {
        match &self.role {
            Role::Server(request) => request.view(call, side),
            Role::Client(request) => request.view(call, side),
        }
    }

    /// No callback hangs on a request's buffers.
    fn view_to_change(
        &self,
        call: &'static str,
        side: Side,
    ) -> Result<(BufferView<'_>, Option<&base::Inner>)> {
        Ok((self.view(call, side)?, None))
    }

    fn calls_back(&self) -> bool {
        false
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        match &self.role {
            Role::Server(request) => request.end(),
            Role::Client(request) => request.end(),
        }
    }
}

impl EventHttpRequest {
    /// The request's method; empty for a client's request that was not made yet.
    ///
    /// # Errors
    /// [`Error::Freed`] when libevent has freed the request; [`Error::Forked`].
    ///
    /// # Examples
    /// ```
    /// # use php_event::{EventBase, EventHttp};
    /// # let http = EventHttp::new(&EventBase::new()?)?;
    /// http.set_default_callback(|request| {
    ///     if request.get_command().unwrap() == php_event::EventHttpRequest::CMD_POST {
    ///         println!("{} bytes", request.get_input_buffer().length());
    ///     }
    /// })?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php("EventHttpRequest::getCommand", c = "evhttp_request_get_command")]
    pub fn get_command(&self) -> Result<HttpMethods> {
        match &self.0.role {
            Role::Server(request) => request.command(CALL),
            Role::Client(request) => request.command(CALL),
        }
    }

    /// The request's target as it was sent, not decoded: `/a%20b?q=1`, `*`, or a whole URI.
    /// `None` for a client's request that was not made yet, where PHP crashes.
    ///
    /// # Errors
    /// As [`get_command`](Self::get_command).
    ///
    /// # Examples
    /// ```
    /// # use php_event::{EventBase, EventHttp};
    /// # let http = EventHttp::new(&EventBase::new()?)?;
    /// http.set_default_callback(|request| {
    ///     let uri = request.get_uri().unwrap().unwrap_or_default();
    ///     println!("asked for {uri}");
    /// })?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php("EventHttpRequest::getUri", c = "evhttp_request_get_uri")]
    pub fn get_uri(&self) -> Result<Option<String>> {
        match &self.0.role {
            Role::Server(request) => request.uri(CALL),
            Role::Client(request) => request.uri(CALL),
        }
    }

    /// The host that is asked, without its port: of a target that names one, otherwise of the
    /// `Host` header. `None` without both, where PHP crashes.
    ///
    /// # Errors
    /// As [`get_command`](Self::get_command).
    ///
    /// # Examples
    /// ```
    /// # use php_event::{EventBase, EventHttp};
    /// # let http = EventHttp::new(&EventBase::new()?)?;
    /// http.set_default_callback(|request| {
    ///     let host = request.get_host().unwrap();
    ///     println!("asked {}", host.as_deref().unwrap_or("nobody"));
    /// })?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php("EventHttpRequest::getHost", c = "evhttp_request_get_host")]
    pub fn get_host(&self) -> Result<Option<String>> {
        match &self.0.role {
            Role::Server(request) => request.host(CALL),
            Role::Client(request) => request.host(CALL),
        }
    }

    /// The status of the answer; 0 before there is one.
    ///
    /// # Errors
    /// As [`get_command`](Self::get_command).
    ///
    /// # Examples
    /// ```
    /// # use php_event::{EventBase, EventHttp};
    /// # let http = EventHttp::new(&EventBase::new()?)?;
    /// http.set_default_callback(|request| {
    ///     request.send_reply(204, "No Content", None).unwrap();
    ///     assert_eq!(request.get_response_code().unwrap(), 204);
    /// })?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php(
        "EventHttpRequest::getResponseCode",
        c = "evhttp_request_get_response_code"
    )]
    pub fn get_response_code(&self) -> Result<u16> {
        match &self.0.role {
            Role::Server(request) => request.response_code(CALL),
            Role::Client(request) => request.response_code(CALL),
        }
    }

    /// The headers that came from the peer, in their order: names as they were written, and
    /// values. Bytes that are not UTF-8 are read as ISO-8859-1.
    ///
    /// # Errors
    /// As [`get_command`](Self::get_command).
    ///
    /// # Examples
    /// ```
    /// # use php_event::{EventBase, EventHttp};
    /// # let http = EventHttp::new(&EventBase::new()?)?;
    /// http.set_default_callback(|request| {
    ///     for (name, value) in request.get_input_headers().unwrap() {
    ///         println!("{name}: {value}");
    ///     }
    /// })?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php(
        "EventHttpRequest::getInputHeaders",
        php_note = ", an array that keeps only the last of several headers of one name; here all of them are kept",
        c = "evhttp_request_get_input_headers"
    )]
    pub fn get_input_headers(&self) -> Result<Vec<(String, String)>> {
        self.0.headers(CALL, HeaderSide::Input).map(headers::texts)
    }

    /// The headers that go to the peer, in the order in which they were added.
    ///
    /// # Errors
    /// As [`get_command`](Self::get_command).
    ///
    /// # Examples
    /// ```
    /// # use php_event::{EventBase, EventHttp};
    /// # let http = EventHttp::new(&EventBase::new()?)?;
    /// http.set_default_callback(|request| {
    ///     request.add_header("Vary", "Accept", php_event::HeaderSide::Output).unwrap();
    ///     assert_eq!(request.get_output_headers().unwrap().len(), 1);
    /// })?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php(
        "EventHttpRequest::getOutputHeaders",
        php_note = "; see [`get_input_headers`](Self::get_input_headers)",
        c = "evhttp_request_get_output_headers"
    )]
    pub fn get_output_headers(&self) -> Result<Vec<(String, String)>> {
        self.0.headers(CALL, HeaderSide::Output).map(headers::texts)
    }

    /// The headers of one side as bytes: names as they were written, and values as they are on
    /// the wire, whatever their encoding. For embedders.
    ///
    /// # Errors
    /// As [`get_command`](Self::get_command).
    ///
    /// # Examples
    /// ```
    /// # use php_event::{EventBase, EventHttp};
    /// # let http = EventHttp::new(&EventBase::new()?)?;
    /// http.set_default_callback(|request| {
    ///     request.add_header("X-Name", b"J\xfcrgen", php_event::HeaderSide::Output).unwrap();
    ///     let headers = request.header_bytes(php_event::HeaderSide::Output).unwrap();
    ///     assert_eq!(headers, [("X-Name".to_owned(), b"J\xfcrgen".to_vec())]);
    /// })?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    pub fn header_bytes(&self, side: HeaderSide) -> Result<Vec<(String, Vec<u8>)>> {
        self.0.headers("EventHttpRequest::header_bytes", side)
    }

    /// The value of the first header of that name, whatever its case.
    ///
    /// # Errors
    /// As [`get_command`](Self::get_command), and [`Error::Argument`] for what cannot be a
    /// header's name.
    ///
    /// # Examples
    /// ```
    /// # use php_event::{EventBase, EventHttp};
    /// # let http = EventHttp::new(&EventBase::new()?)?;
    /// http.set_default_callback(|request| {
    ///     let agent = request.find_header("user-agent", php_event::HeaderSide::Input).unwrap();
    ///     println!("{}", agent.as_deref().unwrap_or("unknown"));
    /// })?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php("EventHttpRequest::findHeader", c = "evhttp_find_header")]
    pub fn find_header(&self, key: &str, side: HeaderSide) -> Result<Option<String>> {
        let value = self.0.find_header(CALL, key, side)?;
        Ok(value.as_deref().map(headers::text))
    }

    /// The bytes of the value of the first header of that name, as they are on the wire. For
    /// embedders.
    ///
    /// # Errors
    /// As [`find_header`](Self::find_header).
    ///
    /// # Examples
    /// ```
    /// # use php_event::{EventBase, EventHttp};
    /// # let http = EventHttp::new(&EventBase::new()?)?;
    /// http.set_default_callback(|request| {
    ///     let name = request.find_header_bytes("x-name", php_event::HeaderSide::Input).unwrap();
    ///     println!("{} bytes", name.unwrap_or_default().len());
    /// })?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    pub fn find_header_bytes(&self, key: &str, side: HeaderSide) -> Result<Option<Vec<u8>>> {
        let call = "EventHttpRequest::find_header_bytes";
        self.0.find_header(call, key, side)
    }

    /// Appends a header; another one of the same name stays.
    ///
    /// # Errors
    /// [`Error::Argument`] for a name that is not a token, and for a CR, LF, NUL or other control
    /// byte in the value; [`Error::State`] when the headers have gone out; otherwise as
    /// [`get_command`](Self::get_command).
    ///
    /// # Examples
    /// ```
    /// # use php_event::{EventBase, EventHttp};
    /// # let http = EventHttp::new(&EventBase::new()?)?;
    /// http.set_default_callback(|request| {
    ///     request.add_header("Content-Type", "text/plain", php_event::HeaderSide::Output).unwrap();
    ///     assert!(request.add_header("A", "b\r\nC: d", php_event::HeaderSide::Output).is_err());
    /// })?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php(
        "EventHttpRequest::addHeader",
        php_note = ", which takes any name",
        c = "evhttp_add_header"
    )]
    pub fn add_header(&self, key: &str, value: impl AsRef<[u8]>, side: HeaderSide) -> Result<()> {
        headers::check_name(CALL, key)?;
        let value = value.as_ref();
        headers::check_line(CALL, "header value", value)?;
        match &self.0.role {
            Role::Server(request) => request.add_header(CALL, key, value, side),
            Role::Client(request) => request.add_header(CALL, key, value, side),
        }
    }

    /// Removes the first header of that name; returns whether there was one.
    ///
    /// # Errors
    /// As [`add_header`](Self::add_header).
    ///
    /// # Examples
    /// ```
    /// # use php_event::{EventBase, EventHttp};
    /// # let http = EventHttp::new(&EventBase::new()?)?;
    /// http.set_default_callback(|request| {
    ///     let removed = request.remove_header("Vary", php_event::HeaderSide::Output).unwrap();
    ///     println!("it was there: {removed}");
    /// })?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php("EventHttpRequest::removeHeader", c = "evhttp_remove_header")]
    pub fn remove_header(&self, key: &str, side: HeaderSide) -> Result<bool> {
        headers::check_name(CALL, key)?;
        match &self.0.role {
            Role::Server(request) => request.remove_header(CALL, key, side),
            Role::Client(request) => request.remove_header(CALL, key, side),
        }
    }

    /// Removes all headers that would go to the peer.
    ///
    /// # Errors
    /// [`Error::State`] when the headers have gone out; otherwise as
    /// [`get_command`](Self::get_command).
    ///
    /// # Examples
    /// ```
    /// # use php_event::{EventBase, EventHttp};
    /// # let http = EventHttp::new(&EventBase::new()?)?;
    /// http.set_default_callback(|request| {
    ///     request.add_header("Vary", "Accept", php_event::HeaderSide::Output).unwrap();
    ///     request.clear_headers().unwrap();
    /// })?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php("EventHttpRequest::clearHeaders", c = "evhttp_clear_headers")]
    pub fn clear_headers(&self) -> Result<()> {
        match &self.0.role {
            Role::Server(request) => request.clear_headers(CALL),
            Role::Client(request) => request.clear_headers(CALL),
        }
    }

    /// The body that came from the peer. The buffer keeps the request as a handle does; its
    /// methods return [`Error::Freed`] once libevent has freed the request.
    ///
    /// # Examples
    /// ```
    /// # use php_event::{EventBase, EventHttp};
    /// # let http = EventHttp::new(&EventBase::new()?)?;
    /// http.set_default_callback(|request| {
    ///     let body = request.get_input_buffer();
    ///     request.send_reply(200, "OK", Some(&body)).unwrap(); // an echo
    /// })?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php(
        "EventHttpRequest::getInputBuffer",
        c = "evhttp_request_get_input_buffer"
    )]
    #[must_use]
    pub fn get_input_buffer(&self) -> EventBuffer {
        self.buffer(Side::Input)
    }

    /// The body that goes to the peer, under construction.
    ///
    /// # Examples
    /// ```
    /// # use php_event::{EventBase, EventHttp};
    /// # let http = EventHttp::new(&EventBase::new()?)?;
    /// http.set_default_callback(|request| {
    ///     request.get_output_buffer().add("Hello!").unwrap();
    ///     request.send_reply(200, "OK", None).unwrap();
    /// })?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php(
        "EventHttpRequest::getOutputBuffer",
        c = "evhttp_request_get_output_buffer"
    )]
    #[must_use]
    pub fn get_output_buffer(&self) -> EventBuffer {
        self.buffer(Side::Output)
    }

    /// The connection that the request came over; `None` when it has ended, or the reply is
    /// complete.
    ///
    /// # Examples
    /// ```
    /// # use php_event::{EventBase, EventHttp};
    /// # let http = EventHttp::new(&EventBase::new()?)?;
    /// http.set_default_callback(|request| {
    ///     let connection = request.get_connection().unwrap();
    ///     println!("from {:?}", connection.get_peer().unwrap());
    /// })?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php("EventHttpRequest::getConnection", c = "evhttp_request_get_connection")]
    #[must_use]
    pub fn get_connection(&self) -> Option<EventHttpConnection> {
        self.0.usable(CALL).ok()?;
        match &self.0.role {
            Role::Server(request) => request.connection().map(EventHttpConnection),
            Role::Client(request) => request.connection(),
        }
    }

    /// The buffer event of the request's connection, to be looked at: its descriptor, what
    /// is enabled, how much waits in its buffers. `None` as for
    /// [`get_connection`](Self::get_connection).
    ///
    /// Whatever would change it returns [`Error::State`]: libevent needs its own callbacks, and
    /// ends the process over bytes that come when it expects none. `free` lets go of the view.
    ///
    /// # Examples
    /// ```
    /// # use php_event::{EventBase, EventHttp};
    /// # let http = EventHttp::new(&EventBase::new()?)?;
    /// http.set_callback("/", |request| {
    ///     if let Some(bev) = request.get_buffer_event() {
    ///         println!("{} bytes wait for the client", bev.output().length());
    ///     }
    /// })?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php(
        "EventHttpRequest::getBufferEvent",
        php_note = "; callbacks that are set there are never called",
        c = "evhttp_connection_get_bufferevent"
    )]
    #[must_use]
    pub fn get_buffer_event(&self) -> Option<EventBufferEvent> {
        self.0.usable(CALL).ok()?;
        self.0.server()?.buffer_event()
    }
}

impl EventHttpRequest {
    fn buffer(&self, side: Side) -> EventBuffer {
        match &self.0.role {
            Role::Server(_) => EventBuffer::lent(Rc::clone(&self.0) as Rc<dyn Lender>, side),
            Role::Client(request) => request.buffer(&self.0, side),
        }
    }
}

impl PartialEq for EventHttpRequest {
    /// Whether both are the same request, as PHP's `===`.
    fn eq(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for EventHttpRequest {}

impl fmt::Debug for EventHttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventHttpRequest")
            .field("usable", &self.0.usable("").is_ok())
            .finish_non_exhaustive()
    }
}

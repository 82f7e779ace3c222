//! A client's request: its closure, what it sends, and what came back.
//!
//! Owns: the closure, the headers and buffers of both directions.
//! Lends to C: nothing. Runs user code: the closure, from [`notes`](super::notes); destructors of
//! what it captured, when nothing is borrowed.

use std::cell::{Cell, RefCell};
use std::mem;
use std::rc::{Rc, Weak};

use php_event_macros::php;

use super::error::HttpError;
use super::line::{self, Framing, Line};
use super::message::Headers;
use crate::buffer::{EventBuffer, Lender, Side};
use crate::error::{Error, Result};
use crate::flags::{HeaderSide, HttpMethods};
use crate::http::request::{self, Role};
use crate::http::{EventHttpConnection, connection, headers};
use crate::native::evbuffer::BufferView;
use crate::runtime::Slot;
use crate::{EventHttpRequest, base};

pub(crate) type Callback = dyn FnMut(Option<&EventHttpRequest>);

/// What only a client's request has.
pub(crate) struct ClientRequest {
    pub(super) slot: Slot<Callback>,
    base: RefCell<Option<Rc<base::Inner>>>, // none until the request is made
    stage: RefCell<Stage>,
    line: RefCell<Option<Line>>,
    framing: RefCell<Framing>,
    output: Half,
    input: Half,
    status: Cell<u16>, // of the answer; 0 without one
}

/// One direction of a request.
struct Half {
    headers: Headers,
    body: EventBuffer,
}

impl Half {
    fn new() -> Result<Self> {
        Ok(Self {
            headers: Headers::default(),
            body: EventBuffer::new()?,
        })
    }

    fn clear(&self) {
        self.headers.clear();
        self.body.drain(self.body.length()).ok(); // it is not frozen: only this module has it
    }
}

/// The state of a request.
enum Stage {
    /// It was not made yet.
    New,
    /// It was made, and its closure was not called yet.
    UnderWay(Weak<connection::Inner>),
    /// Answered, failed or cancelled.
    Over(Option<HttpError>),
    /// Given up by [`EventHttpRequest::free`].
    Freed,
}

/// A final answer.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Headers,
}

impl request::Inner {
    /// A request that is not made yet.
    pub(super) fn of_client(callback: Box<Callback>) -> Result<Rc<Self>> {
        let request = ClientRequest {
            slot: Slot::new(callback),
            base: RefCell::default(),
            stage: RefCell::new(Stage::New),
            line: RefCell::default(),
            framing: RefCell::default(),
            output: Half::new()?,
            input: Half::new()?,
            status: Cell::default(),
        };
        Ok(Rc::new(Self::new(Role::Client(Box::new(request)))))
    }

    /// What only a client's request has, if it is one.
    pub(crate) fn client(&self) -> Option<&ClientRequest> {
        match &self.role {
            Role::Client(request) => Some(request),
            Role::Server(_) => None,
        }
    }
}

/// The methods of the class, for a client's request.
impl ClientRequest {
    /// Refuses a request that was freed, or whose base may not be used.
    pub(crate) fn usable(&self, call: &'static str) -> Result<()> {
        if let Some(base) = &*self.base.borrow() {
            base.usable(call)?;
        }
        self.not_freed(call)
    }

    fn not_freed(&self, call: &'static str) -> Result<()> {
        match &*self.stage.borrow() {
            Stage::Freed => Err(request::freed(call)),
            _ => Ok(()),
        }
    }

    /// Refuses a request that is being sent, or whose answer is being read.
    fn not_under_way(&self, call: &'static str) -> Result<()> {
        match &*self.stage.borrow() {
            Stage::UnderWay(_) => Err(Error::State {
                call,
                reason: "the request is under way: wait for its answer, or cancel it",
            }),
            _ => Ok(()),
        }
    }

    /// Refuses a request that may not be changed now.
    fn changeable(&self, call: &'static str) -> Result<()> {
        self.usable(call)?;
        self.not_under_way(call)
    }

    pub(crate) fn connection(&self) -> Option<EventHttpConnection> {
        match &*self.stage.borrow() {
            Stage::UnderWay(conn) => conn.upgrade().map(EventHttpConnection),
            _ => None,
        }
    }

    fn error(&self) -> Option<HttpError> {
        match &*self.stage.borrow() {
            Stage::Over(error) => error.clone(),
            _ => None,
        }
    }

    pub(super) fn method(&self) -> HttpMethods {
        let line = self.line.borrow();
        line.as_ref()
            .map_or(HttpMethods::empty(), |line| line.method)
    }

    pub(crate) fn command(&self, call: &'static str) -> Result<HttpMethods> {
        self.usable(call).map(|()| self.method())
    }

    pub(crate) fn uri(&self, call: &'static str) -> Result<Option<String>> {
        self.usable(call)?;
        Ok(self.line.borrow().as_ref().map(|line| line.uri.clone()))
    }

    pub(crate) fn host(&self, call: &'static str) -> Result<Option<String>> {
        self.usable(call)?;
        Ok(self.line.borrow().as_ref().map(|line| line.host.clone()))
    }

    pub(crate) fn response_code(&self, call: &'static str) -> Result<u16> {
        self.usable(call).map(|()| self.status.get())
    }

    fn half(&self, side: HeaderSide) -> &Half {
        match side {
            HeaderSide::Input => &self.input,
            HeaderSide::Output => &self.output,
        }
    }

    pub(crate) fn headers(
        &self,
        call: &'static str,
        side: HeaderSide,
    ) -> Result<Vec<(String, Vec<u8>)>> {
        self.usable(call).map(|()| self.half(side).headers.all())
    }

    pub(crate) fn find_header(
        &self,
        call: &'static str,
        name: &str,
        side: HeaderSide,
    ) -> Result<Option<Vec<u8>>> {
        self.usable(call)?;
        Ok(self.half(side).headers.find(name))
    }

    /// Appends a header whose name and value were checked.
    pub(crate) fn add_header(
        &self,
        call: &'static str,
        name: &str,
        value: &[u8],
        side: HeaderSide,
    ) -> Result<()> {
        self.changeable(call)?;
        self.half(side).headers.append(name, value);
        Ok(())
    }

    pub(crate) fn remove_header(
        &self,
        call: &'static str,
        name: &str,
        side: HeaderSide,
    ) -> Result<bool> {
        self.changeable(call)?;
        Ok(self.half(side).headers.remove(name))
    }

    pub(crate) fn clear_headers(&self, call: &'static str) -> Result<()> {
        self.changeable(call)?;
        self.output.headers.clear();
        Ok(())
    }

    /// One of the request's buffers: its calls ask the request whether it is under way.
    pub(crate) fn buffer(&self, request: &Rc<request::Inner>, side: Side) -> EventBuffer {
        EventBuffer::lent(Rc::clone(request) as Rc<dyn Lender>, side)
    }

    /// What [`buffer`](Self::buffer) lends.
    pub(crate) fn view(&self, call: &'static str, side: Side) -> Result<BufferView<'_>> {
        self.changeable(call)?;
        match side {
            Side::Input => self.input.body.view(call),
            Side::Output => self.output.body.view(call),
        }
    }

    /// Takes the request back if it is under way.
    pub(crate) fn cancel(&self, request: &Rc<request::Inner>) {
        if let Some(conn) = self.connection()
            && let Some(client) = conn.0.client()
        {
            client.withdraw(&conn.0, request);
        }
    }

    /// The last handle goes: what the request owns goes with it.
    pub(crate) fn end(&self) {}
}

/// The request in progress.
impl ClientRequest {
    /// Checks what was put into the request, and gives it to `conn`.
    pub(super) fn begin(
        &self,
        call: &'static str,
        conn: &Rc<connection::Inner>,
        method: HttpMethods,
        uri: &str,
        authority: &str,
    ) -> Result<()> {
        self.not_freed(call)?; // its former base may have been freed
        self.not_under_way(call)?;
        let headers = headers::texts(self.output.headers.all());
        let length = self.output.body.length();
        let (line, framing) = line::checked(call, method, uri, &headers, length, authority)?;
        self.line.replace(Some(line));
        self.framing.replace(framing);
        self.input.clear();
        self.status.set(0);
        self.stage.replace(Stage::UnderWay(Rc::downgrade(conn)));
        self.base.replace(Some(Rc::clone(conn.base())));
        Ok(())
    }

    /// The request's head as it is sent.
    pub(super) fn head(&self) -> Vec<u8> {
        match &*self.line.borrow() {
            Some(line) => self
                .output
                .headers
                .request_head(line, &self.framing.borrow()),
            None => Vec::new(),
        }
    }

    /// The body that is not sent yet.
    pub(super) fn body(&self) -> &EventBuffer {
        &self.output.body
    }

    /// Whether a header that is sent lists the word.
    pub(super) fn sends(&self, name: &str, word: &str) -> bool {
        self.output.headers.lists(name, word)
    }

    /// Whether a header of that name is sent.
    pub(super) fn has_header(&self, name: &str) -> bool {
        self.output.headers.find(name).is_some()
    }

    /// Whether sending the request twice does the same as sending it once (RFC 9110 §9.2.2), and
    /// no body has gone out that would be missing.
    pub(super) fn is_repeatable(&self) -> bool {
        const IDEMPOTENT: HttpMethods = HttpMethods::GET
            .union(HttpMethods::HEAD)
            .union(HttpMethods::PUT)
            .union(HttpMethods::DELETE)
            .union(HttpMethods::OPTIONS)
            .union(HttpMethods::TRACE);
        let line = self.line.borrow();
        line.as_ref()
            .is_some_and(|line| IDEMPOTENT.contains(line.method) && !line.has_body)
    }

    /// Where the answer's body is collected.
    pub(super) fn received(&self) -> &EventBuffer {
        &self.input.body
    }

    /// The request is over: it may be looked at, changed, and made again.
    pub(super) fn finish(&self, outcome: Result<Answer, HttpError>) {
        let error = match outcome {
            Ok(answer) => {
                self.status.set(answer.status);
                self.input.headers.replace(answer.headers);
                None
            }
            Err(error) => {
                self.input.clear(); // part of an answer
                Some(error)
            }
        };
        let is_freed = matches!(&*self.stage.borrow(), Stage::Freed);
        if !is_freed {
            self.stage.replace(Stage::Over(error));
        }
    }

    /// The call failed: the request is as it was before.
    pub(super) fn take_back(&self) {
        self.finish(Err(HttpError::Cancelled));
        self.stage.replace(Stage::New);
    }
}

impl EventHttpRequest {
    /// Makes a client's request, for
    /// [`EventHttpConnection::make_request`](crate::EventHttpConnection::make_request).
    ///
    /// The closure is called once for each time the request is made, always from the loop: with
    /// the request when the answer is complete, and also, with a response code of 0, when no
    /// connection could be made; with `None` when the request failed otherwise.
    /// [`error`](Self::error) says why. The connection keeps a request that is under way: the
    /// handle may be dropped, and the closure still runs.
    ///
    /// # Errors
    /// [`Error::Call`] when out of memory.
    ///
    /// # Examples
    /// ```
    /// use php_event::EventHttpRequest;
    ///
    /// let request = EventHttpRequest::new(|answer| match answer {
    ///     Some(answer) => println!("{:?}", answer.get_response_code()),
    ///     None => println!("no answer"),
    /// })?;
    /// request.add_header("Accept", "text/plain", EventHttpRequest::OUTPUT_HEADER)?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    ///
    /// The closure owns what it uses:
    /// ```compile_fail,E0373
    /// let called = std::cell::Cell::new(false);
    /// let request = php_event::EventHttpRequest::new(|_answer| called.set(true)).unwrap();
    /// ```
    /// ```
    /// let called = std::rc::Rc::new(std::cell::Cell::new(false));
    /// let request = php_event::EventHttpRequest::new(move |_answer| called.set(true)).unwrap();
    /// ```
    #[php("EventHttpRequest::__construct", c = "evhttp_request_new")]
    pub fn new<F>(callback: F) -> Result<Self>
    where
        F: FnMut(Option<&EventHttpRequest>) + 'static,
    {
        request::Inner::of_client(Box::new(callback)).map(Self)
    }

    /// Why the last attempt of a client's request failed; `None` when it did not, or is still
    /// under way, and for a server's request. Beyond PHP.
    ///
    /// # Examples
    /// ```
    /// use php_event::{EventBase, EventHttpConnection, EventHttpRequest, HttpError};
    ///
    /// # let closed = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    /// let base = EventBase::new()?;
    /// let connection = EventHttpConnection::new(&base, None, "127.0.0.1", closed)?;
    /// let request = EventHttpRequest::new(|_answer| {})?;
    /// assert_eq!(request.error(), None);
    /// connection.make_request(&request, EventHttpRequest::CMD_GET, "/")?;
    /// base.dispatch()?;
    /// assert!(matches!(request.error(), Some(HttpError::NotConnected(_))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[php(c = "evhttp_request_set_error_cb")]
    #[must_use]
    pub fn error(&self) -> Option<HttpError> {
        self.0.client()?.error()
    }

    /// Gives a client's request up: its closure is dropped and not called any more, and later
    /// calls return [`Error::Freed`]. One that is under way is cancelled. Freeing twice is
    /// harmless, and a server's request stays as it is.
    ///
    /// Unlike in PHP there is no need to: a request goes with its last handle. It helps where a
    /// closure holds its own request.
    ///
    /// # Examples
    /// ```
    /// # use php_event::{EventBase, EventHttpConnection, EventHttpRequest};
    /// # let base = EventBase::new()?;
    /// # let connection = EventHttpConnection::new(&base, None, "127.0.0.1", 9)?;
    /// let request = EventHttpRequest::new(|_answer| unreachable!("it was freed"))?;
    /// connection.make_request(&request, EventHttpRequest::CMD_GET, "/")?;
    /// request.free(); // on second thoughts
    /// request.free();
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php(
        "EventHttpRequest::free",
        php_note = ", which crashes when the request is under way",
        c = "evhttp_request_free"
    )]
    pub fn free(&self) {
        let Some(request) = self.0.client() else {
            return;
        };
        let conn = request.connection();
        let is_inherited = conn.is_some_and(|conn| conn.0.base().is_foreign());
        if !is_inherited {
            request.cancel(&self.0);
        } // else the parent waits for the answer; this child's copy goes with the connection
        let stage = mem::replace(&mut *request.stage.borrow_mut(), Stage::Freed);
        let callback = request.slot.set(None);
        request.output.clear();
        request.input.clear();
        drop((stage, callback)); // no borrow is held: captured values may run user code
    }
}

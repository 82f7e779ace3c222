//! The body of a server's request, as its closure learns of it.
//!
//! Owns: the closure. Lends C: a weak count of the request with the buffer that holds the body,
//! until the request ends. Runs user code: the closure, in [`tell`].

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::request;
use super::{EventHttpRequest, entry, server_request::ServerRequest};
use crate::base;
use crate::error::{Error, Result};
use crate::runtime::{Lent, Slot, failure_waits, guard, release};

/// What the closure of [`EventHttpRequest::set_body_callback`] learns.
///
/// Beyond PHP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HttpBody {
    /// More of the body is in [`EventHttpRequest::get_input_buffer`].
    More,
    /// The body is complete.
    End,
    /// The rest of the body will not come. If it was the server that closed the connection, what
    /// was not taken has gone with the request.
    Failed(HttpBodyError),
}

/// Why a request's body is not complete.
///
/// Beyond PHP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HttpBodyError {
    /// The body is malformed or too long. The client gets a 400 or 413, and the connection closes,
    /// unless a reply has begun: then it closes at once.
    #[error("the body was refused: {0}")]
    Refused(&'static str),
    /// The body came too slowly, see [`EventHttp::set_min_body_rate`](crate::EventHttp::set_min_body_rate).
    #[error("the body came too slowly")]
    TooSlow,
    /// The connection ended: the client went or was silent for too long, or the server closed it.
    #[error("the connection ended before the body was complete")]
    Disconnected,
}

pub(crate) type BodyCallback = dyn FnMut(&EventHttpRequest, HttpBody);

/// How far the body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Coming,
    Complete,
    /// With the status of the reply that a refused body gets.
    Failed(HttpBodyError, Option<u16>),
    /// The closure knows how the body ended, or must not be called any more.
    Over,
}

/// What a request keeps of its body.
pub(super) struct Body {
    slot: Slot<BodyCallback>,
    listens: Cell<bool>, // a closure was set
    stage: Cell<Stage>,
    arrived: Cell<bool>, // something of it
    more: Cell<bool>,    // since the closure was last called
    queued: Cell<bool>,  // a turn of the loop is to call the closure
    watch: RefCell<Option<Lent<request::Inner>>>,
}

impl Body {
    /// A body that is complete, or else comes in parts.
    pub(super) fn new(complete: bool) -> Self {
        Self {
            slot: Slot::empty(),
            listens: Cell::new(false),
            stage: Cell::new(if complete {
                Stage::Complete
            } else {
                Stage::Coming
            }),
            arrived: Cell::new(false),
            more: Cell::new(false),
            queued: Cell::new(false),
            watch: RefCell::default(),
        }
    }

    pub(super) fn is_coming(&self) -> bool {
        self.stage.get() == Stage::Coming
    }

    pub(super) fn is_over(&self) -> bool {
        self.stage.get() == Stage::Over
    }

    pub(super) fn has_begun(&self) -> bool {
        self.arrived.get()
    }

    pub(super) fn arrived(&self) {
        self.arrived.set(true);
        self.more.set(true);
    }

    pub(super) fn complete(&self) {
        if self.is_coming() {
            self.stage.set(Stage::Complete);
        }
    }

    /// The rest of the body will not come. `status` is that of the reply to a refused one.
    pub(super) fn fail(&self, error: HttpBodyError, status: Option<u16>) {
        if self.is_coming() {
            self.stage.set(Stage::Failed(error, status));
        }
    }

    /// The closure is not called any more.
    pub(super) fn close(&self) {
        self.stage.set(Stage::Over);
    }

    /// Sets the closure; gives back the former one.
    pub(super) fn set(&self, callback: Box<BodyCallback>) -> Option<Box<BodyCallback>> {
        self.listens.set(true);
        self.slot.set(Some(callback))
    }

    /// Takes the closure, which is not called any more.
    pub(super) fn take(&self) -> Option<Box<BodyCallback>> {
        self.close();
        self.slot.set(None)
    }

    /// Whether a closure waits for a body of which nothing has come.
    pub(super) fn waits_for_first(&self) -> bool {
        self.listens.get() && self.is_coming() && !self.arrived.get()
    }

    /// Whether the closure, or a client whose body was refused, waits for something.
    pub(super) fn has_news(&self) -> bool {
        self.more.get() || !self.is_coming()
    }

    /// Notes that a turn of the loop is to call the closure; returns whether that is new.
    pub(super) fn queue(&self) -> bool {
        !self.queued.replace(true)
    }

    /// Watches `request`'s buffer, so that reading resumes when something is taken out of it.
    pub(super) fn watch(&self, request: &Rc<request::Inner>) {
        if let Some(server) = request.server()
            && let Some(view) = server.place.view()
        {
            let lent = entry::watch_body(&view, request);
            self.watch.replace(Some(lent));
        }
    }

    /// Ends [`watch`](Self::watch), unless evhttp has freed the request.
    pub(super) fn unwatch(&self, request: &ServerRequest) {
        if let Some(lent) = self.watch.take()
            && let Some(view) = request.place.view()
        {
            entry::unwatch_body(&view, &lent);
        }
    }

    /// What the closure is to learn next.
    fn next(&self) -> Option<HttpBody> {
        if self.is_over() {
            return None;
        }
        if self.more.replace(false) {
            return Some(HttpBody::More);
        }
        let news = match self.stage.get() {
            Stage::Complete => HttpBody::End,
            Stage::Failed(error, _) => HttpBody::Failed(error),
            Stage::Coming | Stage::Over => return None,
        };
        self.stage.set(Stage::Over);
        Some(news)
    }
}

/// Calls the closure of a request until it knows all that there is, fails or forks.
pub(super) fn tell(base: &Rc<base::Inner>, request: Rc<request::Inner>) {
    tell_all(base, &request);
    release(base, request);
}

fn tell_all(base: &Rc<base::Inner>, request: &Rc<request::Inner>) {
    let Some(server) = request.server() else {
        return;
    };
    let body = &server.body;
    body.queued.set(false);
    let mut refused = false;
    if let Stage::Failed(HttpBodyError::Refused(reason), Some(status)) = body.stage.get() {
        refused = true;
        server.refuse_body(status, reason);
    }
    loop {
        if !refused && server.has_reply() {
            body.close();
        }
        if server.place.view().is_none() {
            body.more.set(false); // freed with the connection, and the bytes with it
        }
        if !body.listens.get() {
            break;
        }
        let Some(news) = body.next() else { break };
        let handle = EventHttpRequest(Rc::clone(request));
        guard(base, || {
            body.slot.call(|f| f(&handle, news));
        });
        release(base, handle);
        if base.is_foreign() {
            return; // the closure forked, and this is the child
        }
        if failure_waits() {
            server.tell_body(request);
            return;
        }
    }
    if body.is_over() {
        release(base, body.take());
        release(base, server.let_go());
    }
    server.body_was_told();
}

impl EventHttpRequest {
    /// Sets the closure that is told when more of the body has come, and how the body ends. For
    /// a server's request, mostly one of
    /// [`EventHttp::set_stream_callback`](crate::EventHttp::set_stream_callback). Beyond PHP.
    ///
    /// The closure takes the bytes out of [`get_input_buffer`](Self::get_input_buffer), at once or
    /// later. It is called with [`HttpBody::End`] or [`HttpBody::Failed`] last, and is dropped
    /// then; also without a call when the reply is complete, and with the last handle of the
    /// server. Until then the request stays, even if no handle of it is left; do not capture one.
    /// A client that waits for `100 Continue` gets it.
    ///
    /// # Errors
    /// [`Error::State`] for a client's request, after the end of the body, when the request has
    /// its reply, and when the last handle of the server has gone; [`Error::Freed`] when libevent
    /// has freed the request; [`Error::Forked`].
    ///
    /// # Examples
    /// Sends the body back while it comes:
    /// ```
    /// # use php_event::{EventBase, EventHttp, HttpBody};
    /// # let http = EventHttp::new(&EventBase::new()?)?;
    /// http.set_stream_callback("/echo", None, |request| {
    ///     request.send_reply_start(200, "OK").unwrap();
    ///     let set = request.set_body_callback(|request, news| match news {
    ///         HttpBody::More => request.send_reply_chunk(&request.get_input_buffer()).unwrap(),
    ///         HttpBody::End => request.send_reply_end().unwrap(),
    ///         HttpBody::Failed(error) => eprintln!("echo: {error}"),
    ///         _ => {}
    ///     });
    ///     set.unwrap();
    /// })?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    /// The closure owns what it uses:
    /// ```compile_fail,E0373
    /// # use php_event::EventHttpRequest;
    /// fn count(request: &EventHttpRequest) {
    ///     let calls = std::cell::Cell::new(0);
    ///     request.set_body_callback(|_request, _news| calls.set(calls.get() + 1)).unwrap();
    /// }
    /// ```
    /// ```
    /// # use php_event::EventHttpRequest;
    /// fn count(request: &EventHttpRequest) {
    ///     let calls = std::cell::Cell::new(0);
    ///     request.set_body_callback(move |_request, _news| calls.set(calls.get() + 1)).unwrap();
    /// }
    /// ```
    pub fn set_body_callback<F>(&self, callback: F) -> Result<()>
    where
        F: FnMut(&EventHttpRequest, HttpBody) + 'static,
    {
        const CALL: &str = "EventHttpRequest::setBodyCallback";
        self.0.usable(CALL)?;
        let Some(server) = self.0.server() else {
            return Err(Error::State {
                call: CALL,
                reason: "a client's request has no such body; one of a server's callbacks has",
            });
        };
        server.set_body_callback(CALL, &self.0, Box::new(callback))
    }
}

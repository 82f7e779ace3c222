//! Every call on an `evhttp_request` that a server was sent.
//!
//! Owns: a request that evhttp has given up, in [`OwnedRequest`]. All others belong to their
//! connection.
//! Lends C the argument of the completion callback: that of the connection, see
//! [`ConnectionPlace`](super::evhttp_connection::ConnectionPlace). [`RequestView::watch_input`]
//! lends a weak count of the class until [`RequestView::unwatch_input`].
//!
//! Runs callbacks: [`RequestView::send_reply_end`] may run the completion callback and after it
//! the connection's close callback, and frees the request in between. They read the class's
//! record of the connection, and in it the record of this request. Both are in their places
//! until these callbacks empty them. Every other call runs none: what it adds to the output leaves
//! from the loop, with TLS too.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::{CStr, c_void};
use std::marker::PhantomData;
use std::ptr::{self, NonNull};

use super::evbuffer::{Access, BufferView, ChangeEntry};
use super::evhttp_uri::UriView;
use super::evkeyvalq::{HeaderList, bytes};
use crate::ffi;
use crate::flags::{HeaderSide, HttpMethods};
use crate::runtime::Lent;
use crate::runtime::memory::unchecked;

/// The C function that evhttp calls when it has written a reply, before it frees the request.
pub(crate) type CompleteEntry = unsafe extern "C" fn(*mut ffi::evhttp_request, *mut c_void);

/// Where a class has a request: nowhere once evhttp has freed it, or has it back.
#[derive(Debug)]
pub(crate) struct RequestPlace(Cell<Option<NonNull<ffi::evhttp_request>>>);

impl RequestPlace {
    /// # Safety
    /// evhttp frees the request after [`clear`](Self::clear).
    pub(crate) unsafe fn new(raw: NonNull<ffi::evhttp_request>) -> Self {
        Self(Cell::new(Some(raw)))
    }

    pub(crate) fn view(&self) -> Option<RequestView<'_>> {
        Some(RequestView {
            raw: self.0.get()?,
            _request: PhantomData,
        })
    }

    /// Forgets the request, which evhttp frees.
    pub(crate) fn clear(&self) {
        self.0.set(None);
    }

    /// Takes a request whose connection has ended: evhttp has given it up.
    pub(crate) fn take_orphan(&self) -> Option<OwnedRequest> {
        if self.view()?.has_connection() {
            return None;
        }
        self.0.take().map(OwnedRequest)
    }
}

/// A request without a connection, freed with this.
#[derive(Debug)]
pub(crate) struct OwnedRequest(NonNull<ffi::evhttp_request>);

impl Drop for OwnedRequest {
    fn drop(&mut self) {
        // SAFETY: `take_orphan` took it from its only place, and evhttp has given it up.
        unsafe { ffi::evhttp_request_free(self.0.as_ptr()) };
    }
}

/// A request for the length of one call: it has not been freed since its place gave it.
pub(crate) struct RequestView<'a> {
    raw: NonNull<ffi::evhttp_request>,
    _request: PhantomData<&'a ()>,
}

impl<'a> RequestView<'a> {
    fn raw(&self) -> *mut ffi::evhttp_request {
        self.raw.as_ptr()
    }

    /// What the connection's bufferevent is known by; `None` once the connection has ended.
    pub(crate) fn connection_key(&self) -> Option<usize> {
        let conn = NonNull::new(self.connection())?;
        // SAFETY: a request has no connection that was freed.
        Some(unsafe { ffi::evhttp_connection_get_bufferevent(conn.as_ptr()) }.addr())
    }

    /// Ends the connection, and the request with it. Runs the close callback, if there is one.
    pub(crate) fn free_connection(self) {
        if let Some(conn) = NonNull::new(self.connection()) {
            // SAFETY: a request has no connection that was freed. This is the last call on it.
            unsafe { ffi::evhttp_connection_free(conn.as_ptr()) };
        }
    }

    /// The connection; null once it has ended.
    fn connection(&self) -> *mut ffi::evhttp_connection {
        // SAFETY: the place keeps a live request.
        unsafe { ffi::evhttp_request_get_connection(self.raw()) }
    }

    pub(crate) fn has_connection(&self) -> bool {
        !self.connection().is_null()
    }

    pub(crate) fn method(&self) -> HttpMethods {
        // SAFETY: the place keeps a live request.
        let method = unsafe { ffi::evhttp_request_get_command(self.raw()) };
        HttpMethods::from_bits_retain(method)
    }

    /// The target, as evhttp was shown it.
    pub(crate) fn target(&self) -> Option<&'a [u8]> {
        // SAFETY: the place keeps a live request.
        let target = unsafe { ffi::evhttp_request_get_uri(self.raw()) };
        // SAFETY: libevent never changes the target, and frees it with the request.
        unsafe { bytes(target) }
    }

    /// The path of the target, with its escapes.
    pub(crate) fn path(&self) -> Option<&'a [u8]> {
        // SAFETY: the place keeps a live request.
        let uri = unsafe { ffi::evhttp_request_get_evhttp_uri(self.raw()) };
        let uri = NonNull::new(uri.cast_mut())?;
        // SAFETY: the request's own, and freed with it.
        unsafe { UriView::new(uri) }.path()
    }

    pub(crate) fn host(&self) -> Option<&'a [u8]> {
        // SAFETY: the place keeps a live request.
        let host = unsafe { ffi::evhttp_request_get_host(self.raw()) };
        // SAFETY: the copy that libevent keeps in the request for the next caller.
        unsafe { bytes(host) }
    }

    /// The status of the reply, 0 before there is one.
    pub(crate) fn response_code(&self) -> u16 {
        // SAFETY: the place keeps a live request.
        let code = unsafe { ffi::evhttp_request_get_response_code(self.raw()) };
        code.try_into().unwrap_or(0)
    }

    pub(crate) fn headers(&self, side: HeaderSide) -> HeaderList<'a> {
        let list = match side {
            // SAFETY: the place keeps a live request.
            HeaderSide::Input => unsafe { ffi::evhttp_request_get_input_headers(self.raw()) },
            // SAFETY: the place keeps a live request.
            HeaderSide::Output => unsafe { ffi::evhttp_request_get_output_headers(self.raw()) },
        };
        // SAFETY: every request has both lists.
        let list = unsafe { NonNull::new_unchecked(list) };
        // SAFETY: the list lives as long as the request.
        unsafe { HeaderList::new(list) }
    }

    /// The body that came.
    pub(crate) fn input(&self, call: &'static str) -> BufferView<'a> {
        // SAFETY: the place keeps a live request.
        let buffer = unsafe { ffi::evhttp_request_get_input_buffer(self.raw()) };
        // SAFETY: every request has both buffers.
        let buffer = unsafe { NonNull::new_unchecked(buffer) };
        // SAFETY: the buffer lives as long as the request. No callback of the user's hangs on it,
        // only that of `watch_input`.
        unsafe { BufferView::new(buffer, Access::Lent, call) }
    }

    /// Calls `entry` with each change of the body that came. libevent frees the buffer without
    /// a call.
    ///
    /// # Safety
    /// `entry` takes its argument for a lent `T`, runs no user code, and does not change the
    /// buffer. `lent` is dropped after [`unwatch_input`](Self::unwatch_input), or after evhttp has
    /// freed the request.
    pub(crate) unsafe fn watch_input<T>(&self, entry: ChangeEntry, lent: &Lent<T>) {
        // SAFETY: `entry` and `lent` are as `# Safety` says.
        let watched = unsafe { self.input("EventHttp").watch(entry, lent.arg()) };
        watched.ok(); // it cannot fail: without memory the process ends
    }

    pub(crate) fn unwatch_input<T>(&self, entry: ChangeEntry, lent: &Lent<T>) {
        self.input("EventHttp").unwatch(entry, lent.arg());
    }

    /// The body that goes out.
    pub(crate) fn output(&self, call: &'static str) -> BufferView<'a> {
        // SAFETY: the place keeps a live request.
        let buffer = unsafe { ffi::evhttp_request_get_output_buffer(self.raw()) };
        // SAFETY: every request has both buffers.
        let buffer = unsafe { NonNull::new_unchecked(buffer) };
        // SAFETY: the buffer lives as long as the request. No callback hangs on it.
        unsafe { BufferView::new(buffer, Access::Lent, call) }
    }

    /// Makes evhttp call `entry` when the reply is written.
    ///
    /// # Safety
    /// `entry` may be called with `arg` until the request's connection has ended.
    pub(super) unsafe fn on_complete(&self, entry: CompleteEntry, arg: *mut c_void) {
        // SAFETY: the place keeps a live request; `entry` and `arg` are as `# Safety` says.
        unsafe { ffi::evhttp_request_set_on_complete_cb(self.raw(), Some(entry), arg) };
    }

    /// Replies with what is in the output list and buffer. Called once for a request, and only
    /// while it has a connection.
    pub(crate) fn send_reply(self, code: u16, reason: &CStr) {
        let (raw, code, reason) = (self.raw(), code.into(), reason.as_ptr());
        // SAFETY: the place keeps a live request; libevent copies the text.
        unchecked(|| unsafe { ffi::evhttp_send_reply(raw, code, reason, ptr::null_mut()) });
    }

    /// Sends the head of a reply whose body follows in pieces. As for
    /// [`send_reply`](Self::send_reply).
    pub(crate) fn send_reply_start(&self, code: u16, reason: &CStr) {
        // SAFETY: the place keeps a live request; libevent copies the text.
        unchecked(|| unsafe {
            ffi::evhttp_send_reply_start(self.raw(), code.into(), reason.as_ptr());
        });
    }

    /// Sends a piece of the body, and empties `piece`. The head is sent.
    pub(crate) fn send_reply_chunk(&self, piece: &BufferView<'_>) {
        // SAFETY: the place keeps a live request, and the other view keeps its buffer.
        unchecked(|| unsafe { ffi::evhttp_send_reply_chunk(self.raw(), piece.raw()) });
    }

    /// Ends the body. The head is sent. If nothing of the reply waits to be written, this runs
    /// the completion callback, frees the request, and may end its connection.
    pub(crate) fn send_reply_end(self) {
        // SAFETY: the place keeps a live request, and this is the last call on it.
        unsafe { ffi::evhttp_send_reply_end(self.raw()) };
    }
}

//! The entry points of `EventHttp`, and what registers them.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_short, c_void};
use std::ptr::{self, NonNull};
use std::rc::Rc;

use super::{connection, deferred, request, server};
use crate::error::Result;
use crate::flags::{BufferEventOptions, EventFlags};
use crate::native::bufferevent::OwnedBufferEvent;
use crate::native::evhttp::OwnedHttp;
use crate::native::evhttp_connection::{ConnectionPlace, Entries};
use crate::native::evhttp_request::{RequestPlace, RequestView};
use crate::native::{OwnedBase, OwnedEvent};
use crate::runtime::{Lent, guard, release, upgrade};
use crate::{EventBufferEvent, base, ffi};

/// The callbacks of a connection take their argument for this type.
type Connection = connection::Inner;

/// The callbacks of a server take their argument for this type.
type Server = server::Inner;

/// The native server, whose `base` the caller keeps longer.
pub(super) fn http(
    call: &'static str,
    base: &OwnedBase,
    lent: Lent<Server>,
) -> Result<OwnedHttp<Server>> {
    // SAFETY: `server::Inner` keeps the base, and drops it after the server. The two entries
    // take a lent `Server`.
    unsafe { OwnedHttp::new(call, base, on_bufferevent, on_request, lent) }
}

/// The event whose turn does what had to be deferred.
pub(super) fn turn(
    call: &'static str,
    base: &OwnedBase,
    server: &Rc<Server>,
) -> Result<OwnedEvent> {
    let (what, memory) = (EventFlags::empty(), Server::turn_memory);
    // SAFETY: `server::Inner` keeps the base, and drops it after the event. The memory is a field
    // of it, for this event alone. The entry takes a lent `Server`. There is no descriptor.
    unsafe { OwnedEvent::new(call, base, -1, what, on_turn, server, memory) }
}

/// A bufferevent for evhttp, which gives it a descriptor.
pub(super) fn bufferevent(call: &'static str, base: &OwnedBase) -> Result<OwnedBufferEvent> {
    // SAFETY: evhttp, which takes the bufferevent, ends before `base`. There is no descriptor.
    unsafe { OwnedBufferEvent::socket(call, base, -1, BufferEventOptions::empty()) }
}

/// The place of a connection that evhttp makes around `bev`, and the bufferevent for evhttp.
pub(super) fn place(
    bev: OwnedBufferEvent,
) -> Option<(ConnectionPlace<Connection>, *mut ffi::bufferevent)> {
    let entries = Entries {
        input: on_input,
        complete: on_complete,
        close: on_close,
    };
    // SAFETY: all three take a lent `Connection`. `server::Inner` keeps the connection until it
    // has ended.
    unsafe { ConnectionPlace::new(bev, entries) }
}

/// A handle to look at the bufferevent of a connection.
pub(super) fn view(
    base: &Rc<base::Inner>,
    bev: NonNull<ffi::bufferevent>,
) -> Option<EventBufferEvent> {
    // SAFETY: `ServerConnection::before_end`, which runs before evhttp frees `bev`, makes the
    // handle forget it.
    unsafe { EventBufferEvent::view_of(base, bev.as_ptr()) }
}

/// Watches the buffer for the body of `request`, which is `view`.
pub(super) fn watch_body(
    view: &RequestView<'_>,
    request: &Rc<request::Inner>,
) -> Lent<request::Inner> {
    let lent = Lent::new(request);
    // SAFETY: the entry takes a lent `request::Inner`, which keeps `lent` until it has ended: it
    // calls `unwatch_body` first, unless evhttp has freed the native request.
    unsafe { view.watch_input(on_body, &lent) };
    lent
}

pub(super) fn unwatch_body(view: &RequestView<'_>, lent: &Lent<request::Inner>) {
    view.unwatch_input(on_body, lent);
}

/// # Safety
/// Registered only by [`watch_body`], with an `arg` lent for a `request::Inner`.
unsafe extern "C" fn on_body(
    _body: *mut ffi::evbuffer,
    info: *const ffi::evbuffer_cb_info,
    arg: *mut c_void,
) {
    // SAFETY: libevent's own, which lives until this returns.
    let info = unsafe { &*info };
    if info.n_deleted == 0 {
        return;
    }
    // SAFETY: `Body::unwatch` takes `arg` back, in the end of the request.
    if let Some(request) = unsafe { upgrade::<request::Inner>(arg) }
        && let Some(request) = request.server()
    {
        request.body_was_taken();
    }
}

/// # Safety
/// Registered only by [`http`], with an `arg` lent for a `Server`.
unsafe extern "C" fn on_bufferevent(
    _base: *mut ffi::event_base,
    arg: *mut c_void,
) -> *mut ffi::bufferevent {
    // SAFETY: the server is freed before `arg` is taken back.
    match unsafe { upgrade::<Server>(arg) } {
        Some(server) => server.bufferevent().unwrap_or(ptr::null_mut()),
        None => ptr::null_mut(),
    }
}

/// # Safety
/// Registered only by [`place`], with an `arg` lent for a `Connection`, on its input buffer.
unsafe extern "C" fn on_input(
    _input: *mut ffi::evbuffer,
    info: *const ffi::evbuffer_cb_info,
    arg: *mut c_void,
) {
    // SAFETY: libevent's own, which lives until this returns.
    let info = unsafe { &*info };
    if info.n_added == 0 {
        return;
    }
    // SAFETY: `ConnectionPlace::end` unwatches the input before it takes `arg` back.
    if let Some(conn) = unsafe { upgrade::<Connection>(arg) }
        && let Some(conn) = conn.server()
    {
        conn.filter(info.orig_size);
    }
}

/// # Safety
/// Registered only by [`http`], with an `arg` lent for a `Server`.
unsafe extern "C" fn on_request(raw: *mut ffi::evhttp_request, arg: *mut c_void) {
    // SAFETY: the server is freed before `arg` is taken back.
    let server = unsafe { upgrade::<Server>(arg) };
    let (Some(server), Some(raw)) = (server, NonNull::new(raw)) else {
        return;
    };
    // SAFETY: libevent shows a live request. `on_complete` and `on_close` clear its place before
    // libevent frees it.
    let place = unsafe { RequestPlace::new(raw) };
    let Some((request, route)) = server.begin(place) else {
        return;
    };
    let base = Rc::clone(&server.base);
    guard(&base, || {
        route.slot.call(|f| f(&request));
    });
    if !base.is_foreign() {
        request.0.shown();
    }
    release(&base, request); // each may be the last handle
    release(&base, route);
    release(&base, server);
}

/// # Safety
/// Registered only by [`place`], with an `arg` lent for a `Connection`.
unsafe extern "C" fn on_complete(raw: *mut ffi::evhttp_request, arg: *mut c_void) {
    let Some(raw) = NonNull::new(raw) else { return };
    // SAFETY: libevent frees the request when this returns, and the place ends before.
    let place = unsafe { RequestPlace::new(raw) };
    // SAFETY: `ConnectionPlace::end` takes `arg` back when the connection, and with it its
    // requests, has ended.
    if let Some(inner) = unsafe { upgrade::<Connection>(arg) }
        && let Some(conn) = inner.server()
        && let Some(request) = place.view()
    {
        conn.complete(&inner, &request);
    }
}

/// # Safety
/// Registered only by [`place`], with an `arg` lent for a `Connection`.
unsafe extern "C" fn on_close(_raw: *mut ffi::evhttp_connection, arg: *mut c_void) {
    // SAFETY: `arg` is taken back below, and libevent does not call again.
    if let Some(inner) = unsafe { upgrade::<Connection>(arg) }
        && let Some(conn) = inner.server()
    {
        conn.before_end(inner.base());
        // SAFETY: libevent frees the connection that `arg` was lent for when this returns.
        unsafe { conn.place().end() };
        conn.after_end();
    }
}

/// libevent could not accept, and would try again in each turn.
///
/// # Safety
/// Registered only on a listener of evhttp's, whose argument is its server. It is used as a
/// number.
pub(super) unsafe extern "C" fn on_accept_failure(_: *mut ffi::evconnlistener, http: *mut c_void) {
    if let Some(server) = server::by_address(http.addr()) {
        server.pause();
    }
}

/// # Safety
/// Registered only by [`turn`], with an `arg` lent for a `Server`.
unsafe extern "C" fn on_turn(_fd: c_int, _what: c_short, arg: *mut c_void) {
    // SAFETY: the event is freed before `arg` is taken back.
    if let Some(server) = unsafe { upgrade::<Server>(arg) } {
        let base = Rc::clone(&server.base);
        deferred::run(&base, &server);
        release(&base, server);
    }
}

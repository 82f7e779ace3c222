//! The entry points of `EventHttp`.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_short, c_void};
use std::ptr;
use std::rc::Rc;

use super::{guard, panic_waits, release, upgrade};
use crate::http::server::{self, Chore};
use crate::http::{connection, peer};
use crate::{EventHttpConnection, ffi};

/// # Safety
/// Registered only by `http::server`, with an `arg` lent for `server::Inner`.
pub(crate) unsafe extern "C" fn on_bufferevent(
    _base: *mut ffi::event_base,
    arg: *mut c_void,
) -> *mut ffi::bufferevent {
    // SAFETY: `server::Inner` frees the server before it reclaims `arg`.
    match unsafe { upgrade::<server::Inner>(arg) } {
        Some(server) => server.bufferevent(),
        None => ptr::null_mut(),
    }
}

/// # Safety
/// Registered only by `http::peer`, with an `arg` lent for `connection::Inner`, on the input
/// buffer of its bufferevent.
pub(crate) unsafe extern "C" fn on_input(
    input: *mut ffi::evbuffer,
    info: *const ffi::evbuffer_cb_info,
    arg: *mut c_void,
) {
    // SAFETY: libevent gives its own, which lives until this returns.
    let info = unsafe { &*info };
    if info.n_added == 0 {
        return;
    }
    // SAFETY: `Peer::let_go` takes the callback off before it reclaims `arg`.
    if let Some(conn) = unsafe { upgrade::<connection::Inner>(arg) } {
        // SAFETY: `input` is that of the connection, as registered.
        unsafe { conn.peer().filter(input, info.orig_size) };
    }
}

/// # Safety
/// Registered only by `http::server`, with an `arg` lent for `server::Inner`.
pub(crate) unsafe extern "C" fn on_request(raw: *mut ffi::evhttp_request, arg: *mut c_void) {
    // SAFETY: `server::Inner` frees the server before it reclaims `arg`.
    let Some(server) = (unsafe { upgrade::<server::Inner>(arg) }) else {
        return;
    };
    // SAFETY: libevent shows `raw` with this call.
    let Some((request, route)) = (unsafe { server.begin(raw) }) else {
        return;
    };
    let base = Rc::clone(&server.base);
    guard(&base, || {
        route.0.call(|f| f(&request));
    });
    if !base.is_foreign() {
        request.0.look_out();
    }
    release(&base, (request, route, server)); // any of which may be the last handle
}

/// # Safety
/// Registered only by `http::peer`, with an `arg` lent for `connection::Inner`.
pub(crate) unsafe extern "C" fn on_complete(_raw: *mut ffi::evhttp_request, arg: *mut c_void) {
    // SAFETY: `Peer::let_go` reclaims `arg` when the connection, and its requests, end.
    if let Some(conn) = unsafe { upgrade::<connection::Inner>(arg) } {
        conn.peer().complete(&conn);
    }
}

/// # Safety
/// Registered only by `http::peer`, with an `arg` lent for `connection::Inner`.
pub(crate) unsafe extern "C" fn on_close(_raw: *mut ffi::evhttp_connection, arg: *mut c_void) {
    // SAFETY: `Peer::let_go` reclaims `arg` in the call below, and libevent does not call again.
    if let Some(conn) = unsafe { upgrade::<connection::Inner>(arg) } {
        // SAFETY: libevent frees the connection that `arg` was given for.
        unsafe { peer::closed(&conn) };
    }
}

/// libevent could not accept: it would try again in each turn.
///
/// # Safety
/// Registered only by `http::listening`, on a listener whose argument is libevent's server.
pub(crate) unsafe extern "C" fn on_accept_error(_: *mut ffi::evconnlistener, http: *mut c_void) {
    if let Some(server) = server::by_pointer(http) {
        server.pause();
    }
}

/// # Safety
/// Registered only by `http::server`, with an `arg` lent for `server::Inner`.
pub(crate) unsafe extern "C" fn on_turn(_fd: c_int, _what: c_short, arg: *mut c_void) {
    // SAFETY: `server::Inner` frees the event before it reclaims `arg`.
    let Some(server) = (unsafe { upgrade::<server::Inner>(arg) }) else {
        return;
    };
    let base = Rc::clone(&server.base);
    while let Some(chore) = server.next_chore() {
        match chore {
            Chore::Adopt(conn) => conn.adopt(),
            Chore::Close(conn) => conn.close(),
            Chore::Tell(conn) => {
                let conn = EventHttpConnection(conn);
                guard(&base, || {
                    conn.0.slot.call(|f| f(&conn));
                });
                let callback = conn.0.take_callback();
                release(&base, (callback, conn));
                if base.is_foreign() {
                    break; // it forked, and this is the child
                }
                if panic_waits() {
                    server.wake(); // the rest is for the next turn
                    break;
                }
            }
        }
    }
    if !base.is_foreign() {
        server.settle();
    }
    release(&base, server);
}

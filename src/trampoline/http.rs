//! The entry points of `EventHttp`.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_short, c_void};
use std::ptr;
use std::rc::Rc;

use super::{guard, panic_waits, release, upgrade};
use crate::http::client::Note;
use crate::http::server::{self, Chore};
use crate::http::{connection, peer, request};
use crate::{EventHttpConnection, EventHttpRequest, HttpError, base, ffi};

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

/// # Safety
/// Registered only by `http::client`, with an `arg` lent for `request::Inner`.
pub(crate) unsafe extern "C" fn on_answer(raw: *mut ffi::evhttp_request, arg: *mut c_void) {
    // SAFETY: `Asking::end` frees the request before it reclaims `arg`.
    if let Some(request) = unsafe { upgrade::<request::Inner>(arg) } {
        request.answered(raw);
    }
}

/// # Safety
/// Registered only by `http::client`, with an `arg` lent for `request::Inner`.
pub(crate) unsafe extern "C" fn on_answer_head(
    _raw: *mut ffi::evhttp_request,
    arg: *mut c_void,
) -> c_int {
    // SAFETY: `Asking::end` frees the request before it reclaims `arg`.
    match unsafe { upgrade::<request::Inner>(arg) } {
        // SAFETY: libevent calls for the native request of this one.
        Some(request) if unsafe { request.head_read() } => 0,
        _ => -1,
    }
}

/// # Safety
/// Registered only by `http::client`, with an `arg` lent for `request::Inner`.
pub(crate) unsafe extern "C" fn on_answer_error(kind: ffi::evhttp_request_error, arg: *mut c_void) {
    // SAFETY: `Asking::end` frees the request before it reclaims `arg`.
    if let Some(request) = unsafe { upgrade::<request::Inner>(arg) } {
        request.failed(HttpError::of(kind));
    }
}

/// # Safety
/// Registered only by `http::client`, with an `arg` lent for `connection::Inner`.
pub(crate) unsafe extern "C" fn on_client_close(
    _raw: *mut ffi::evhttp_connection,
    arg: *mut c_void,
) {
    // SAFETY: the client frees its native connection before it reclaims `arg`.
    if let Some(conn) = unsafe { upgrade::<connection::Inner>(arg) }
        && let Some(client) = conn.client()
    {
        client.closed(&conn);
    }
}

/// # Safety
/// Registered only by `http::client`, with an `arg` lent for `connection::Inner`, on the input
/// buffer of its bufferevent.
pub(crate) unsafe extern "C" fn on_client_input(
    input: *mut ffi::evbuffer,
    info: *const ffi::evbuffer_cb_info,
    arg: *mut c_void,
) {
    // SAFETY: libevent gives its own, which lives until this returns.
    let info = unsafe { &*info };
    if info.n_added == 0 {
        return;
    }
    // SAFETY: the client takes the callback off before it reclaims `arg`.
    if let Some(conn) = unsafe { upgrade::<connection::Inner>(arg) }
        && let Some(client) = conn.client()
    {
        // SAFETY: `input` is that of the connection, as registered.
        unsafe { client.look_at(&conn, input) };
    }
}

/// # Safety
/// Registered only by `http::client`, with an `arg` lent for `connection::Inner`.
pub(crate) unsafe extern "C" fn on_client_turn(_fd: c_int, _what: c_short, arg: *mut c_void) {
    // SAFETY: the client frees the event before it reclaims `arg`.
    let Some(mut conn) = (unsafe { upgrade::<connection::Inner>(arg) }) else {
        return;
    };
    let (base, same) = (Rc::clone(conn.base()), Rc::downgrade(&conn));
    while let Some(client) = conn.client() {
        if base.is_foreign() {
            break; // a closure forked, and this is the child
        }
        if panic_waits() {
            client.wake(); // the rest is for the next turn
            break;
        }
        let Some(note) = client.next_note() else {
            client.settle(&conn);
            break;
        };
        tell(&base, conn, note);
        let Some(next) = same.upgrade() else {
            return; // nobody is left to be told
        };
        conn = next;
    }
    release(&base, conn); // another callback may have dropped the others
}

/// Runs the closure that a note is for.
fn tell(base: &base::Inner, conn: Rc<connection::Inner>, note: Note) {
    match note {
        Note::Closed => {
            let conn = EventHttpConnection(conn);
            guard(base, || {
                conn.0.slot.call(|f| f(&conn));
            });
            release(base, conn);
        }
        Note::Over {
            request,
            error,
            shown,
        } => {
            let request = EventHttpRequest(request);
            if let Some(asking) = request.0.asking() {
                asking.land(&request.0, error);
                let answer = shown.then_some(&request);
                guard(base, || {
                    asking.slot.call(|f| f(answer));
                });
            }
            release(base, (request, conn));
        }
    }
}

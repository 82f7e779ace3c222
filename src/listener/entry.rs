//! The entry points of `EventListener`.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};
use std::rc::Rc;

use nix::errno::Errno;

use super::{EventListener, Inner};
use crate::ffi;
use crate::native::evconnlistener;
use crate::runtime::{failure_waits, guard, release, upgrade};
use crate::stream::Stream;

/// # Safety
/// Registered only by `EventListener`, with an `arg` lent for `Inner`.
pub(super) unsafe extern "C" fn on_accept(
    _listener: *mut ffi::evconnlistener,
    fd: c_int,
    address: *mut ffi::sockaddr,
    length: c_int,
    arg: *mut c_void,
) {
    // SAFETY: `fd` is what libevent passes to this callback.
    let socket = unsafe { evconnlistener::accepted(fd) };
    // SAFETY: `arg` is what `Inner::native` lends, and ends after its listener.
    let Some(inner) = (unsafe { upgrade::<Inner>(arg) }) else {
        return;
    };
    // SAFETY: the address stands in libevent's frame, with the length that the system gave.
    let peer = unsafe { evconnlistener::peer(address, length) };
    let base = Rc::clone(&inner.base);
    let this = EventListener(inner); // may be the last handle: then it goes in `release`
    let panicked = guard(&base, || {
        this.0.note_success();
        this.0.accept.call(|f| {
            let stream = Stream::accepted(socket, this.0.blocking);
            f(&this, stream, peer);
        });
    });
    if panicked {
        this.disable().ok(); // as PHP, and the burst ends; freed is silent already
    } else if failure_waits() {
        this.end_burst();
    }
    let (number, enabled) = (this.0.fd, Rc::clone(&this.0.enabled));
    release(&base, this);
    if base.is_foreign() && enabled.get() {
        // SAFETY: an enabled listener has its socket, or the base has it, until `re_init`.
        unsafe { evconnlistener::set_aside(number) }.ok(); // without descriptors accept fails, too
    }
}

/// # Safety
/// Registered only by `EventListener`, with an `arg` lent for `Inner`.
pub(super) unsafe extern "C" fn on_accept_failure(
    _listener: *mut ffi::evconnlistener,
    arg: *mut c_void,
) {
    let cause = Errno::last(); // before anything here changes it
    evconnlistener::put_back();
    // SAFETY: `arg` is what `Inner::native` lends, and ends after its listener.
    let Some(inner) = (unsafe { upgrade::<Inner>(arg) }) else {
        return;
    };
    let base = Rc::clone(&inner.base);
    let this = EventListener(inner); // may be the last handle: then it goes in `release`
    let panicked = guard(&base, || {
        this.0.failure.call(|f| {
            cause.set(); // for `EventUtil::get_last_socket_errno`
            f(&this);
        });
    });
    if panicked {
        this.disable().ok(); // as PHP
    }
    release(&base, this);
}

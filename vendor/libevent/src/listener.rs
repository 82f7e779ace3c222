//! `event2/listener.h`, the one header that libevent-sys does not read and `php-event` needs.
//! `tests/abi.rs` compares the numbers with the header.

use core::ffi::{c_int, c_uint, c_void};

use upstream::{evconnlistener, event_base, sockaddr};

pub const LEV_OPT_LEAVE_SOCKETS_BLOCKING: u32 = 1;
pub const LEV_OPT_CLOSE_ON_FREE: u32 = 2;
pub const LEV_OPT_CLOSE_ON_EXEC: u32 = 4;
pub const LEV_OPT_REUSEABLE: u32 = 8;
pub const LEV_OPT_THREADSAFE: u32 = 16;
pub const LEV_OPT_DISABLED: u32 = 32;
pub const LEV_OPT_DEFERRED_ACCEPT: u32 = 64;
pub const LEV_OPT_REUSEABLE_PORT: u32 = 128;
pub const LEV_OPT_BIND_IPV6ONLY: u32 = 256;

pub type evconnlistener_cb = Option<
    unsafe extern "C" fn(
        listener: *mut evconnlistener,
        fd: c_int,
        address: *mut sockaddr,
        socklen: c_int,
        arg: *mut c_void,
    ),
>;
pub type evconnlistener_errorcb =
    Option<unsafe extern "C" fn(listener: *mut evconnlistener, arg: *mut c_void)>;

unsafe extern "C" {
    pub fn evconnlistener_new(
        base: *mut event_base,
        cb: evconnlistener_cb,
        ptr: *mut c_void,
        flags: c_uint,
        backlog: c_int,
        fd: c_int,
    ) -> *mut evconnlistener;
    pub fn evconnlistener_new_bind(
        base: *mut event_base,
        cb: evconnlistener_cb,
        ptr: *mut c_void,
        flags: c_uint,
        backlog: c_int,
        sa: *const sockaddr,
        socklen: c_int,
    ) -> *mut evconnlistener;
    pub fn evconnlistener_free(lev: *mut evconnlistener);
    pub fn evconnlistener_enable(lev: *mut evconnlistener) -> c_int;
    pub fn evconnlistener_disable(lev: *mut evconnlistener) -> c_int;
    pub fn evconnlistener_get_base(lev: *mut evconnlistener) -> *mut event_base;
    pub fn evconnlistener_get_fd(lev: *mut evconnlistener) -> c_int;
    pub fn evconnlistener_set_cb(lev: *mut evconnlistener, cb: evconnlistener_cb, arg: *mut c_void);
    pub fn evconnlistener_set_error_cb(lev: *mut evconnlistener, errorcb: evconnlistener_errorcb);
}

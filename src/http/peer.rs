//! A server's end of one connection: the gate before evhttp, and what reading is on for.
//!
//! Owns: the [`Gate`]'s state. The bufferevent is evhttp's.
//! Lent to C: one weak count of the [`connection::Inner`] around it, for the gate, for the end
//! of an answer and for the end of the connection, when it is taken back.
//! Runs user code: none.
//!
//! # Why the gate sits on the input buffer
//! A filter bufferevent would be the natural place, but evhttp cannot live on one (2.1.12): what
//! evhttp writes while writing is disabled stays in the filter when it is enabled, and the
//! filter reports "written" when the bytes have reached the bufferevent below it, whereupon
//! evhttp frees both and they are lost. A callback on the input buffer runs inside the read,
//! before evhttp's, over TLS too; it takes the new bytes off the end, and puts back what the
//! gate lets pass.
//!
//! # What reading is on for
//! While evhttp collects a request it reads and, when the peer is silent for too long, closes.
//! While a request waits for its answer it does not read at all; while an answer is on its way
//! it reads, to notice a peer that goes. Four things are put right here:
//! - who has set a close callback wants to know in the first case as well ([`Peer::look_out`]);
//! - nobody uses up what is read meanwhile, so that it must be bounded ([`begin`]);
//! - that the peer is silent then is no fault ([`Peer::hold`]);
//! - a peer that has shut down its writing side still gets a long answer ([`Peer::answered`]).
#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::ffi::{c_char, c_short};
use std::fs::File;
use std::net::Shutdown;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;
use std::rc::{Rc, Weak};
use std::time::Duration;

use socket2::SockRef;

use super::connection::Lent;
use super::connection::{End, freed};
use super::gate::{Gate, REFUSED};
use super::server_request::ServerRequest;
use super::{connection, headers, request, server};
use crate::buffer_event;
use crate::codec::{Limits, Refusal};
use crate::error::{Error, Result, cvt_p};
use crate::{EventBufferEvent, base, ffi, process, trampoline};

/// How much may come from a peer that waits for an answer, 64 KiB: requests sent ahead.
const AHEAD_MAX: usize = 64 * 1024;

/// What one write to a socket takes at most (libevent's `MAX_TO_WRITE_EVER`): a longer answer
/// leaves in several turns.
const ONE_WRITE: usize = 16 * 1024;

const READ: c_short = ffi::EV_READ as c_short;

pub(crate) struct Peer {
    server: Weak<server::Inner>,
    generation: u32,                        // the process that accepted it
    raw: Cell<*mut ffi::evhttp_connection>, // null before `adopt`, and once evhttp frees it
    bev: Cell<*mut ffi::bufferevent>,       // null once evhttp frees it
    arg: Cell<Lent>,                        // the weak count lent to C, null once taken back
    gate: RefCell<Gate>,
    scratch: Rc<Scratch>,
    passing: Cell<bool>, // the gate is at work, and changes the buffer itself
    asking: Cell<bool>,  // a request was shown to us, and its answer is not written yet
    current: RefCell<Weak<request::Inner>>,
    held: Cell<bool>,
    timeout: Cell<Option<Duration>>,
    view: RefCell<Weak<buffer_event::Inner>>, // what `get_buffer_event` gave
}

/// Two buffers that are empty between uses, for all connections of a server.
pub(super) struct Scratch {
    raw: *mut ffi::evbuffer,
    kept: *mut ffi::evbuffer,
}

impl Scratch {
    pub(super) fn new(call: &'static str) -> Result<Self> {
        let mut scratch = Self {
            raw: ptr::null_mut(),
            kept: ptr::null_mut(),
        };
        // SAFETY: takes nothing from us.
        scratch.raw = cvt_p(call, unsafe { ffi::evbuffer_new() })?;
        // SAFETY: as above.
        scratch.kept = cvt_p(call, unsafe { ffi::evbuffer_new() })?;
        Ok(scratch)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        for buffer in [self.raw, self.kept] {
            if !buffer.is_null() {
                // SAFETY: made by `evbuffer_new`, freed only here.
                unsafe { ffi::evbuffer_free(buffer) };
            }
        }
    }
}

impl Peer {
    pub(super) fn new(server: &Rc<server::Inner>, bev: *mut ffi::bufferevent) -> Self {
        let settings = server.settings();
        let limits = Limits {
            header_size: settings.headers_max.unwrap_or(usize::MAX),
            body_size: settings
                .body_max
                .and_then(|size| size.try_into().ok())
                .unwrap_or(u64::MAX),
        };
        Self {
            server: Rc::downgrade(server),
            generation: process::generation(),
            raw: Cell::new(ptr::null_mut()),
            bev: Cell::new(bev),
            arg: Cell::new(ptr::null_mut()),
            gate: RefCell::new(Gate::new(limits)),
            scratch: Rc::clone(server.scratch()),
            passing: Cell::new(false),
            asking: Cell::new(false),
            current: RefCell::default(),
            held: Cell::new(false),
            timeout: Cell::new(settings.silence_max),
            view: RefCell::default(),
        }
    }

    /// Puts the gate before the input of a new connection, and sets its times.
    ///
    /// # Safety
    /// `conn` has `self`, and its bufferevent was made for evhttp, which will free it.
    pub(super) unsafe fn watch_over(&self, conn: &Rc<connection::Inner>) {
        let (bev, arg) = (self.bev.get(), trampoline::lend(conn));
        self.arg.set(arg);
        // SAFETY: the caller's duty.
        let input = unsafe { ffi::bufferevent_get_input(bev) };
        // SAFETY: `arg` stays lent until `closed` has taken the callback off the buffer.
        unsafe { ffi::evbuffer_add_cb(input, Some(trampoline::on_input), arg) };
        self.apply_timeout();
        // Ours until `adopt`: evhttp tells of the connection's end only from then on.
        // SAFETY: as above.
        unsafe { ffi::bufferevent_incref(bev) };
    }

    /// Has evhttp tell of the connection's end; harmless a second time.
    fn adopt(&self) {
        let bev = self.bev.get();
        if bev.is_null() || !self.raw.get().is_null() {
            return;
        }
        let mut evcon = ptr::null_mut();
        let (read, write, event) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
        // SAFETY: our count from `watch_over` keeps `bev` alive.
        unsafe { ffi::bufferevent_getcb(bev, read, write, event, &mut evcon) };
        if evcon.is_null() {
            // Freed before its first turn, without our callback.
            // SAFETY: evhttp has freed the connection, hence `bev` serves nobody.
            unsafe { self.let_go() };
        } else {
            let evcon = evcon.cast::<ffi::evhttp_connection>();
            self.raw.set(evcon);
            let (on_close, arg) = (Some(trampoline::on_close as _), self.arg.get());
            // SAFETY: evhttp gives its connection as the argument of its callbacks, and takes
            // them off before it frees it; `arg` stays lent until `on_close`.
            unsafe { ffi::evhttp_connection_set_closecb(evcon, on_close, arg) };
        }
        // SAFETY: the count from `watch_over`.
        unsafe { ffi::bufferevent_decref(bev) };
    }

    /// Ends what C holds of us.
    ///
    /// # Safety
    /// evhttp frees `bev`, or has done so and only our count keeps it.
    unsafe fn let_go(&self) {
        self.raw.set(ptr::null_mut());
        if let Some(view) = self.view.take().upgrade() {
            view.forget();
        }
        let bev = self.bev.replace(ptr::null_mut());
        let arg = self.arg.replace(ptr::null_mut());
        // SAFETY: the caller's duty.
        let input = unsafe { ffi::bufferevent_get_input(bev) };
        // SAFETY: as above.
        unsafe { ffi::evbuffer_remove_cb(input, Some(trampoline::on_input), arg) };
        // SAFETY: that was the last callback that C could make with `arg`.
        unsafe { trampoline::reclaim::<connection::Inner>(arg) };
        self.asking.set(false);
        if let Some(server) = self.server.upgrade() {
            server.ended(bev);
        }
    }

    /// evhttp is about to free the connection.
    ///
    /// # Safety
    /// Called by evhttp's close callback for `conn`, which has `self`.
    pub(super) unsafe fn closed(&self) {
        if let Some(request) = self.current.take().upgrade()
            && let Some(request) = request.server()
        {
            request.connection_ends();
        }
        #[cfg(feature = "openssl")]
        // SAFETY: evhttp has not freed the bufferevent yet.
        unsafe {
            buffer_event::say_goodbye(self.bev.get())
        };
        // SAFETY: the caller's duty.
        unsafe { self.let_go() };
    }

    /// Whether this is a child that was forked while the connection was open.
    pub(super) fn is_inherited(&self) -> bool {
        self.generation != process::generation()
    }

    /// In a child that was forked while the connection was open: puts something else in the
    /// place of the socket, which evhttp would shut down for the parent as well.
    fn leave_to_parent(&self) {
        let bev = self.bev.get();
        if bev.is_null() || !self.is_inherited() {
            return;
        }
        // SAFETY: `bev` is not null, so evhttp has not freed it.
        unsafe { leave_to_parent(bev) };
    }

    /// Whether a request was shown to us whose answer is not written yet.
    pub(super) fn is_asking(&self) -> bool {
        self.asking.get()
    }

    pub(super) fn set_current(&self, request: &Rc<request::Inner>) {
        self.current.replace(Rc::downgrade(request));
    }

    /// The bufferevent, to be looked at; the same each time.
    pub(super) fn view(&self, base: &Rc<base::Inner>) -> Option<EventBufferEvent> {
        let bev = self.bev.get();
        if bev.is_null() {
            return None;
        }
        if let Some(view) = self.view.borrow().upgrade() {
            return Some(EventBufferEvent(view));
        }
        // SAFETY: `bev` is not freed before `let_go`, which makes the view forget it.
        let view = unsafe { EventBufferEvent::view_of(base, bev) }?;
        self.view.replace(Rc::downgrade(&view.0));
        Some(view)
    }

    /// The answer is written: evhttp frees its request, and reads on.
    pub(crate) fn complete(&self, conn: &Rc<connection::Inner>) {
        if let Some(request) = self.current.take().upgrade()
            && let Some(request) = request.server()
        {
            request.forget();
        }
        self.asking.set(false);
        self.release();
        let Some(server) = self.server.upgrade() else {
            return;
        };
        if server.is_closing() {
            // Not here: evhttp goes on with the connection when this returns.
            server.put_off(server::Chore::Close(Rc::clone(conn)));
        }
    }
}

/// The gate.
impl Peer {
    /// New bytes came behind `known` ones: what the gate does not let pass is taken out.
    ///
    /// # Safety
    /// Called by the callback on `input`, the input of our bufferevent.
    pub(crate) unsafe fn filter(&self, input: *mut ffi::evbuffer, known: usize) {
        if self.passing.replace(true) {
            return; // the change is our own
        }
        let Scratch { raw, kept } = *self.scratch;
        // SAFETY: both buffers live; so do those below, and nothing else uses them.
        unsafe { ffi::evbuffer_remove_buffer(input, kept, known) };
        // SAFETY: as above.
        unsafe { ffi::evbuffer_add_buffer(raw, input) };
        // SAFETY: as above.
        unsafe { ffi::evbuffer_add_buffer(input, kept) };
        let mut gate = self.gate.borrow_mut();
        let mut stored = true;
        loop {
            // SAFETY: as above.
            let piece = unsafe { first_piece(raw) };
            if piece.is_empty() {
                break;
            }
            gate.pass(piece, &mut |bytes| {
                // SAFETY: `input` lives; libevent copies the bytes.
                let rc = unsafe { ffi::evbuffer_add(input, bytes.as_ptr().cast(), bytes.len()) };
                stored &= rc == 0;
            });
            let length = piece.len();
            // SAFETY: `raw` lives, and nothing refers to the piece any more.
            unsafe { ffi::evbuffer_drain(raw, length) };
        }
        if !stored {
            self.break_off(input);
        }
        self.passing.set(false);
    }

    /// Makes the connection end, since a part of what came is lost.
    fn break_off(&self, input: *mut ffi::evbuffer) {
        // SAFETY: the caller's buffer lives.
        unsafe { ffi::evbuffer_drain(input, usize::MAX) };
        // SAFETY: `bev` lives while bytes come.
        let fd = unsafe { ffi::bufferevent_getfd(self.bev.get()) };
        if fd >= 0 {
            // SAFETY: evhttp closes it with the connection, which lives.
            let fd = unsafe { BorrowedFd::borrow_raw(fd) };
            SockRef::from(&fd).shutdown(Shutdown::Both).ok();
        }
    }
}

/// Puts something else in the place of a connection's socket, which evhttp would shut down for
/// the parent of this process as well.
///
/// # Safety
/// `bev` is evhttp's own, which has not freed it.
pub(super) unsafe fn leave_to_parent(bev: *mut ffi::bufferevent) {
    let both = READ | ffi::EV_WRITE as c_short;
    // SAFETY: the caller's duty. The backend must forget the socket while its number stands
    // for it.
    unsafe { ffi::bufferevent_disable(bev, both) };
    // SAFETY: as above.
    let fd = unsafe { ffi::bufferevent_getfd(bev) };
    if let Ok(null) = File::open("/dev/null")
        && fd >= 0
    {
        // SAFETY: evhttp closes what has the number; nobody else knows it.
        unsafe { libc::dup3(null.as_raw_fd(), fd, libc::O_CLOEXEC) };
    }
}

/// The first bytes of a buffer that lie together.
///
/// # Safety
/// `buffer` lives, and is not changed while the bytes are used.
unsafe fn first_piece<'a>(buffer: *mut ffi::evbuffer) -> &'a [u8] {
    let mut piece = ffi::iovec {
        iov_base: ptr::null_mut(),
        iov_len: 0,
    };
    // SAFETY: the caller's duty; one extent is written to.
    let n = unsafe { ffi::evbuffer_peek(buffer, -1, ptr::null_mut(), &mut piece, 1) };
    if n < 1 {
        return &[];
    }
    // SAFETY: libevent's extent of that many bytes.
    unsafe { ffi::bytes(piece.iov_base, piece.iov_len) }
}

/// Reading, and the times.
impl Peer {
    /// Stays on the lookout for the end of a peer that waits for its answer, if somebody has
    /// asked to be told.
    pub(super) fn look_out(&self, conn: &connection::Inner) {
        let bev = self.bev.get();
        let request = self.current.borrow().upgrade();
        let waits = request.is_some_and(|request| {
            request
                .server()
                .is_some_and(ServerRequest::waits_for_answer)
        });
        if bev.is_null() || !conn.wants_close.get() || !waits || self.held.get() {
            return;
        }
        self.hold();
        let (mut write, mut event, mut arg) = (None, None, ptr::null_mut());
        // SAFETY: `bev` is not null, so evhttp has not freed it.
        unsafe {
            ffi::bufferevent_getcb(bev, ptr::null_mut(), &mut write, &mut event, &mut arg);
        }
        // evhttp ends the process when it is told of bytes in this state. Its next request, or
        // the answer, sets all three again.
        // SAFETY: as above; the callbacks are evhttp's own.
        unsafe { ffi::bufferevent_setcb(bev, None, write, event, arg) };
        // SAFETY: as above.
        unsafe { ffi::bufferevent_enable(bev, READ) };
    }

    /// From now on the peer may be silent.
    pub(super) fn hold(&self) {
        if !self.held.replace(true) {
            self.apply_timeout();
        }
    }

    /// evhttp collects the next request, however long it is, and in time.
    fn release(&self) {
        // SAFETY: called when an answer is complete, while the connection lives.
        unsafe { ffi::bufferevent_setwatermark(self.bev.get(), READ, 0, 0) };
        if self.held.replace(false) {
            self.apply_timeout();
        }
    }

    /// An answer is complete. One that leaves in several turns shall not be cut off by a peer
    /// that has shut down its writing side: reading is for the next request.
    pub(super) fn answered(&self) {
        let bev = self.bev.get();
        if bev.is_null() || !self.is_asking() {
            return; // written already
        }
        // SAFETY: `bev` is not null, so evhttp has not freed it.
        let output = unsafe { ffi::bufferevent_get_output(bev) };
        // SAFETY: the bufferevent's own.
        if unsafe { ffi::evbuffer_get_length(output) } > ONE_WRITE {
            // SAFETY: as above.
            unsafe { ffi::bufferevent_disable(bev, READ) };
        }
    }

    /// The native connection, null before evhttp has made it and once it is gone.
    pub(super) fn raw(&self) -> *mut ffi::evhttp_connection {
        self.raw.get()
    }

    /// Refuses a connection that has ended.
    pub(super) fn usable(&self, call: &'static str) -> Result<()> {
        if self.raw.get().is_null() {
            return Err(freed(call));
        }
        Ok(())
    }

    pub(super) fn peer(&self, call: &'static str) -> Result<(String, u16)> {
        self.usable(call)?;
        let mut address: *mut c_char = ptr::null_mut();
        let mut port = 0;
        // SAFETY: `usable` says that C has not freed the connection; both are written to.
        unsafe { ffi::evhttp_connection_get_peer(self.raw.get(), &mut address, &mut port) };
        // SAFETY: the connection's own copy.
        let address = unsafe { headers::text(address) };
        Ok((address.unwrap_or_default(), port))
    }

    pub(super) fn set_timeout(&self, timeout: Option<Duration>) {
        self.timeout.set(timeout);
        self.apply_timeout();
    }

    fn apply_timeout(&self) {
        let time = self.timeout.get().map(base::timeval);
        let time = time.as_ref().map_or(ptr::null(), ptr::from_ref);
        let reading = if self.held.get() { ptr::null() } else { time };
        // SAFETY: called while evhttp has not freed `bev`; libevent copies the times.
        unsafe { ffi::bufferevent_set_timeouts(self.bev.get(), reading, time) };
    }
}

/// Refuses a time that libevent would take for none.
pub(super) fn checked_timeout(call: &'static str, timeout: Option<Duration>) -> Result<()> {
    if timeout.is_some_and(|timeout| timeout < Duration::from_micros(1)) {
        return Err(Error::argument(
            call,
            "a time below a microsecond would close every connection; None is no limit",
        ));
    }
    Ok(())
}

/// A request of `conn` has come, and is shown to us.
///
/// # Safety
/// `raw` is live, and belongs to `conn`.
pub(super) unsafe fn begin(conn: &connection::Inner, raw: *mut ffi::evhttp_request) {
    let peer = conn.peer();
    peer.asking.set(true);
    // SAFETY: the connection lives. Reading is off now; it goes on at the end of the answer, or
    // when somebody wants to know of the peer's end.
    unsafe { ffi::bufferevent_setwatermark(peer.bev.get(), READ, 0, AHEAD_MAX) };
    let (on_complete, arg) = (Some(trampoline::on_complete as _), peer.arg.get());
    // SAFETY: the caller's duty; `arg` stays lent until the connection ends.
    unsafe { ffi::evhttp_request_set_on_complete_cb(raw, on_complete, arg) };
}

/// Why the gate refused this request in the middle of its body, if it did.
///
/// # Safety
/// As for [`begin`].
pub(super) unsafe fn refused(
    conn: &connection::Inner,
    raw: *mut ffi::evhttp_request,
) -> Option<Refusal> {
    let refusal = *conn.peer().gate.borrow().refusal()?;
    // SAFETY: the caller's duty.
    let body = unsafe { ffi::evhttp_request_get_input_buffer(raw) };
    // SAFETY: the request's own buffer.
    let start = unsafe { ffi::evbuffer_get_length(body) }.checked_sub(REFUSED.len())?;
    let mut at = ffi::evbuffer_ptr {
        pos: 0,
        internal_: ffi::evbuffer_ptr__bindgen_ty_1 {
            chain: ptr::null_mut(),
            pos_in_chain: 0,
        },
    };
    let from_start = ffi::evbuffer_ptr_how_EVBUFFER_PTR_SET;
    // SAFETY: as above, which is at least that long.
    unsafe { ffi::evbuffer_ptr_set(body, &mut at, start, from_start) };
    let mut end = [0; REFUSED.len()];
    // SAFETY: `at` was set in this buffer; so many bytes can be written.
    let n = unsafe { ffi::evbuffer_copyout_from(body, &at, end.as_mut_ptr().cast(), end.len()) };
    (usize::try_from(n) == Ok(end.len()) && end == REFUSED).then_some(refusal)
}

/// evhttp is about to free a connection.
///
/// # Safety
/// Called by its close callback.
pub(crate) unsafe fn closed(conn: &connection::Inner) {
    // SAFETY: the caller's duty.
    unsafe { conn.peer().closed() };
}

impl connection::Inner {
    /// The connection that evhttp is about to make around `bev`.
    ///
    /// # Safety
    /// `bev` was made for evhttp, which will free it.
    pub(super) unsafe fn of_server(
        server: &Rc<server::Inner>,
        bev: *mut ffi::bufferevent,
    ) -> Rc<Self> {
        let end = End::Server(Peer::new(server, bev));
        let inner = Rc::new(Self::new(&server.base, end));
        // SAFETY: the caller's duty.
        unsafe { inner.peer().watch_over(&inner) };
        inner
    }

    /// Has evhttp tell of the connection's end.
    pub(crate) fn adopt(&self) {
        self.peer().adopt();
    }

    /// Before evhttp is freed with all its connections.
    pub(super) fn prepare_for_end(&self) {
        self.adopt();
        self.peer().leave_to_parent();
    }

    pub(super) fn is_asking(&self) -> bool {
        self.peer().is_asking()
    }

    /// Ends the connection, and with it a request that waits or whose answer is on its way.
    pub(crate) fn close(&self) {
        let raw = self.peer().raw();
        if !raw.is_null() {
            self.peer().leave_to_parent();
            // SAFETY: not null, so evhttp has not freed it, nor is it about to: the close
            // callback comes first, and calls nobody's code.
            unsafe { ffi::evhttp_connection_free(raw) };
        }
    }
}

//! Every call on an `evhttp_connection` of a server, and on the `bufferevent` that it is made
//! around, as far as only evhttp's has them.
//!
//! Owns: nothing but a count of the bufferevent until [`ConnectionPlace::adopt`]. Both belong to
//! evhttp, which frees them together.
//! Lends C one weak count, in the [`ConnectionPlace`]: for the callback on the input, for the end
//! of a reply and for the end of the connection.
//!
//! Runs callbacks: [`ConnectionPlace::free`] runs the close callback, which reads what the
//! class keeps of the connection and empties the place. [`gate`](ConnectionPlace::gate) makes the
//! changes of the input that its own callback makes.
#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::ffi::{c_char, c_short, c_void};
use std::fs::File;
use std::net::Shutdown;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::ptr::{self, NonNull};

use nix::errno::Errno;
use socket2::SockRef;

use super::bufferevent::{BufferEventView, OwnedBufferEvent};
use super::evbuffer::{Access, ChangeEntry, End, OwnedBuffer};
use super::evhttp_request::{CompleteEntry, RequestView};
use super::evkeyvalq::bytes;
use crate::ffi;
use crate::flags::{BufferEventFlags, EventFlags};
use crate::runtime::Lent;

/// The C function that evhttp calls before it frees a connection.
pub(crate) type CloseEntry = unsafe extern "C" fn(*mut ffi::evhttp_connection, *mut c_void);

/// The C functions of a connection. Each takes its argument for the same lent type.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entries {
    pub(crate) input: ChangeEntry,
    pub(crate) complete: CompleteEntry,
    pub(crate) close: CloseEntry,
}

/// Where a class has a server's connection.
pub(crate) struct ConnectionPlace<T> {
    stage: Cell<Stage>,
    entries: Entries,
    lent: RefCell<Option<Lent<T>>>, // the argument of the callbacks
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    /// evhttp has the bufferevent, which we count on. It does not tell us of the end yet.
    Made(NonNull<ffi::bufferevent>),
    /// evhttp calls the close callback before it frees the two.
    Adopted(NonNull<ffi::bufferevent>, NonNull<ffi::evhttp_connection>),
    /// evhttp has freed them, or is about to.
    Ended,
}

/// What evhttp learns of the end of a peer's writing side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PeerEnd {
    Told,
    Ignored,
}

/// What [`ConnectionPlace::adopt`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Adoption {
    /// The connection lives, and its end will be told.
    Lives,
    /// It had ended already, and the place is empty now.
    HasEnded,
}

impl<T> ConnectionPlace<T> {
    /// The connection that evhttp makes around `bev`, and the bufferevent for evhttp.
    ///
    /// # Safety
    /// The entries take their argument for a lent `T`. evhttp gets the bufferevent. The place
    /// stays alive until [`end`](Self::end).
    pub(crate) unsafe fn new(
        bev: OwnedBufferEvent,
        entries: Entries,
    ) -> Option<(Self, *mut ffi::bufferevent)> {
        let raw = NonNull::new(bev.into_raw())?;
        // SAFETY: `bev` had a count. This one is ours until `adopt`: evhttp tells of the
        // connection's end only from then on.
        unsafe { ffi::bufferevent_incref(raw.as_ptr()) };
        let place = Self {
            stage: Cell::new(Stage::Made(raw)),
            entries,
            lent: RefCell::default(),
        };
        Some((place, raw.as_ptr()))
    }

    /// Watches the input: `entries.input` is called with each change. Called once.
    pub(crate) fn watch(&self, lent: Lent<T>) {
        let Some(bev) = self.view() else { return };
        let input = bev.input(Access::Input, "EventHttp");
        // SAFETY: `new` asks that the entry takes a lent `T`; `end` unwatches before it drops
        // `lent`.
        let watched = unsafe { input.watch(self.entries.input, lent.arg()) };
        watched.ok(); // it cannot fail: without memory the process ends
        drop(self.lent.replace(Some(lent))); // none was there
    }

    /// Makes evhttp tell of the connection's end, once evhttp has made it.
    pub(crate) fn adopt(&self) -> Adoption {
        let Stage::Made(bev) = self.stage.get() else {
            return Adoption::Lives; // adopted before, or the end was told
        };
        // evhttp passes its connection to the callbacks that it sets on the bufferevent, and
        // takes them off before it frees the two.
        let set = self.view().map(|bev| callbacks(&bev));
        let Some(conn) = set.and_then(|set| {
            WRITE.set(set.write);
            EVENT.set(set.event);
            NonNull::new(set.arg.cast())
        }) else {
            // SAFETY: a bufferevent of evhttp's without its callbacks has been freed by it.
            unsafe { self.end() };
            return Adoption::HasEnded;
        };
        self.stage.set(Stage::Adopted(bev, conn));
        let (close, arg) = (Some(self.entries.close), self.arg());
        // SAFETY: the bufferevent has callbacks, so its connection lives. `arg` stays lent
        // until `end`, in the last call of `close`.
        unsafe { ffi::evhttp_connection_set_closecb(conn.as_ptr(), close, arg) };
        // SAFETY: the count of `new`; evhttp has its own.
        unsafe { ffi::bufferevent_decref(bev.as_ptr()) };
        self.end_if_lost();
        Adoption::Lives
    }

    /// Reads what comes from the peer.
    pub(crate) fn read(&self) {
        if let Some(bev) = self.view() {
            bev.enable("EventHttp", EventFlags::READ).ok();
        }
        self.end_if_lost();
    }

    /// Has the connection end if the kernel has refused to watch its socket: the peer would wait
    /// for ever.
    pub(crate) fn end_if_lost(&self) {
        if let Some(bev) = self.view() {
            end_if_lost(&bev);
        }
    }

    /// Empties the place. Nothing of the connection is used afterwards.
    ///
    /// # Safety
    /// Called by the close callback, after which evhttp frees the connection.
    pub(crate) unsafe fn end(&self) {
        let lent = self.lent.take();
        if let (Some(bev), Some(lent)) = (self.view(), &lent) {
            let input = bev.input(Access::Input, "EventHttp");
            input.unwatch(self.entries.input, lent.arg());
        }
        if let Stage::Made(bev) = self.stage.replace(Stage::Ended) {
            // SAFETY: the count of `new`, the last one: evhttp has freed the connection.
            unsafe { ffi::bufferevent_decref(bev.as_ptr()) };
        }
        drop(lent); // libevent has forgotten it
    }

    /// The bufferevent, until the end.
    pub(crate) fn view(&self) -> Option<BufferEventView<'_>> {
        // SAFETY: `end` empties the place before evhttp frees it.
        Some(unsafe { BufferEventView::new(self.bufferevent()?) })
    }

    /// The bufferevent itself, until the end.
    pub(crate) fn bufferevent(&self) -> Option<NonNull<ffi::bufferevent>> {
        match self.stage.get() {
            Stage::Made(bev) | Stage::Adopted(bev, _) => Some(bev),
            Stage::Ended => None,
        }
    }

    /// Whether evhttp has made the connection, and told us of it.
    pub(crate) fn is_adopted(&self) -> bool {
        matches!(self.stage.get(), Stage::Adopted(..))
    }

    /// The peer's address, as libevent writes it, and port.
    pub(crate) fn peer(&self) -> Option<(&[u8], u16)> {
        let Stage::Adopted(_, conn) = self.stage.get() else {
            return None;
        };
        let mut address: *mut c_char = ptr::null_mut();
        let mut port = 0;
        // SAFETY: an adopted connection lives until `end`; both are locals.
        unsafe { ffi::evhttp_connection_get_peer(conn.as_ptr(), &mut address, &mut port) };
        // SAFETY: the connection's own copy, which never changes.
        Some((unsafe { bytes(address) }.unwrap_or_default(), port))
    }

    /// Makes evhttp tell when the reply to `request` is written.
    pub(crate) fn watch_reply(&self, request: &RequestView<'_>) {
        // SAFETY: `new` asks that the entry takes a lent `T`. The argument stays lent until
        // `end`, and no request of a connection outlives that with a callback.
        unsafe { request.on_complete(self.entries.complete, self.arg()) };
    }

    /// Ends the connection. Runs the close callback, which empties this place; no frame of
    /// libevent that would go on with the connection is below the caller.
    pub(crate) fn free(&self) {
        if let Stage::Adopted(_, conn) = self.stage.get() {
            // SAFETY: an adopted connection lives until `end`, and the close callback calls
            // that before evhttp frees it.
            unsafe { ffi::evhttp_connection_free(conn.as_ptr()) };
        }
    }

    /// Keeps what comes from evhttp, until evhttp sets its callbacks anew: it ends the process
    /// when it learns of bytes while a request waits for its reply, and closes the connection
    /// at the end of the peer's writing side. `end` says whether it learns of that end. Nor does
    /// it learn of a reply that is written while a part of it waits.
    pub(crate) fn ignore_input(&self, end: PeerEnd) {
        let Some(bev) = self.view().filter(|_| self.is_adopted()) else {
            return;
        };
        let set = callbacks(&bev);
        let write: ffi::bufferevent_data_cb = set.write.and(Some(on_write));
        let event = match end {
            PeerEnd::Told => EVENT.get(),
            PeerEnd::Ignored => Some(on_event as _),
        };
        // SAFETY: the bufferevent lives until `end`. The argument is evhttp's own; `on_write` and
        // `on_event` take what evhttp's callbacks take.
        unsafe { ffi::bufferevent_setcb(bev.raw(), None, write, event, set.arg) };
    }

    /// Lets the body of a request come past evhttp while the request waits for its reply: evhttp
    /// learns of the connection's end, and of nothing else until it has a reply. evhttp's callback
    /// for writing must not run for what is not its own: it would take the request as answered.
    pub(crate) fn take_body(&self) {
        let Some(bev) = self.view().filter(|_| self.is_adopted()) else {
            return;
        };
        let arg = callbacks(&bev).arg;
        // SAFETY: the bufferevent lives until `end`. The callback and its argument are evhttp's
        // own.
        unsafe { ffi::bufferevent_setcb(bev.raw(), None, None, EVENT.get(), arg) };
    }

    /// Asks the peer for the body. Called after [`take_body`](Self::take_body), while nothing
    /// waits to be written.
    pub(crate) fn send_continue(&self) {
        const CALL: &str = "EventHttp";
        if let Some(bev) = self.view() {
            let output = bev.output(Access::Output, CALL);
            output.add(b"HTTP/1.1 100 Continue\r\n\r\n").ok();
            bev.enable(CALL, EventFlags::WRITE).ok();
        }
    }

    /// Ends the output: returns the record with `close_notify`, for the caller to send. It is
    /// empty without TLS, and while output waits: an end without it tells the peer that the rest
    /// is missing.
    #[cfg(feature = "openssl")]
    pub(crate) fn close_notify(&self) -> Vec<u8> {
        match self.view() {
            Some(bev) if bev.output(Access::Output, "").length() == 0 => bev.tls().close_notify(),
            _ => Vec::new(),
        }
    }

    /// Whether libevent has nothing left to write.
    pub(crate) fn is_written(&self) -> bool {
        self.view()
            .is_some_and(|bev| bev.output(Access::Output, "").length() == 0)
    }

    /// Runs `work` on the socket.
    pub(crate) fn with_socket<R>(&self, work: impl FnOnce(BorrowedFd<'_>) -> R) -> Option<R> {
        let fd = self.view()?.fd()?;
        // SAFETY: the descriptor is evhttp's, which closes it with the connection.
        Some(work(unsafe { BorrowedFd::borrow_raw(fd) }))
    }

    /// Takes the socket away from a connection that is about to end: evhttp would shut it down.
    pub(crate) fn take_socket(&self) -> Option<OwnedFd> {
        let taken = self.with_socket(|fd| fd.try_clone_to_owned().ok())??;
        self.leave_socket();
        Some(taken)
    }

    /// Puts something else in the place of the socket, which evhttp would shut down: in a child
    /// that was forked while the connection was open, for the parent as well.
    pub(crate) fn leave_socket(&self) {
        let Some(bev) = self.view() else { return };
        // The backend must forget the socket while its number stands for it.
        bev.disable("EventHttp", EventFlags::READ | EventFlags::WRITE)
            .ok();
        if let Ok(null) = File::open("/dev/null")
            && let Some(fd) = bev.fd()
        {
            // SAFETY: evhttp closes whatever has the number, and nobody else knows it.
            unsafe { libc::dup3(null.as_raw_fd(), fd, libc::O_CLOEXEC) };
        }
    }

    /// Shuts the socket down: libevent reads the end, and evhttp closes the connection.
    pub(crate) fn shut_down(&self) {
        if let Some(bev) = self.view()
            && let Some(fd) = bev.fd()
        {
            // SAFETY: the descriptor is evhttp's, which closes it with the connection.
            let fd = unsafe { BorrowedFd::borrow_raw(fd) };
            SockRef::from(&fd).shutdown(Shutdown::Both).ok();
        }
    }

    /// Replaces what came after the first `known` bytes of the input by what `gate` lets pass
    /// of it. Returns whether all of that was stored. Runs the callbacks of the input: ours, which
    /// must ignore the change, and libevent's own.
    pub(crate) fn gate(
        &self,
        known: usize,
        scratch: &mut Scratch,
        mut gate: impl FnMut(&[u8], &mut dyn FnMut(&[u8])),
    ) -> bool {
        const CALL: &str = "EventHttp";
        let Some(bev) = self.view() else { return false };
        let input = || bev.input(Access::Lent, CALL);
        let Scratch { new, known: front } = scratch;
        if known > 0 {
            input().move_part(&front.view(CALL), known);
        }
        let mut stored = new.view(CALL).take_all(&input(), End::Back).is_ok();
        if known > 0 {
            stored &= input().take_all(&front.view(CALL), End::Back).is_ok();
        }
        new.consume(CALL, |piece| {
            gate(piece, &mut |bytes| {
                stored &= input().add(bytes).is_ok();
            });
        });
        stored
    }

    /// Adds to the input what `feed` gives, outside of libevent's own reads. Returns whether all of
    /// it was stored. Runs the callbacks of the input: ours, which must ignore the change, and
    /// libevent's own.
    pub(crate) fn feed(&self, feed: impl FnOnce(&mut dyn FnMut(&[u8]))) -> bool {
        let Some(bev) = self.view() else { return false };
        let input = || bev.input(Access::Lent, "EventHttp");
        let frozen = input().unfrozen(End::Back).is_err(); // not with TLS
        if frozen {
            input().set_frozen(End::Back, false);
        }
        let mut stored = true;
        feed(&mut |bytes| stored &= input().add(bytes).is_ok());
        if frozen {
            input().set_frozen(End::Back, true);
        }
        stored
    }

    /// Drops what came and was not read.
    pub(crate) fn drain_input(&self) {
        if let Some(bev) = self.view() {
            bev.input(Access::Lent, "EventHttp").drain(usize::MAX).ok();
        }
    }

    fn arg(&self) -> *mut c_void {
        let lent = self.lent.borrow();
        lent.as_ref().map_or(ptr::null_mut(), Lent::arg)
    }
}

/// Two buffers that are empty between two uses.
#[derive(Debug)]
pub(crate) struct Scratch {
    new: OwnedBuffer,
    known: OwnedBuffer,
}

impl Scratch {
    pub(crate) fn new(call: &'static str) -> crate::runtime::error::Result<Self> {
        Ok(Self {
            new: OwnedBuffer::new(call)?,
            known: OwnedBuffer::new(call)?,
        })
    }
}

thread_local! {
    // evhttp's callbacks for writing and for events, the same for all of its connections.
    static WRITE: Cell<ffi::bufferevent_data_cb> = const { Cell::new(None) };
    static EVENT: Cell<ffi::bufferevent_event_cb> = const { Cell::new(None) };
}

/// Tells evhttp that everything is written, unless more has been added since then: over TLS
/// libevent calls back later, and evhttp would take the rest of the reply as written. libevent
/// calls again when the rest is. Afterwards the connection ends if nothing watches its socket.
///
/// # Safety
/// Registered only by [`ConnectionPlace::ignore_input`], with evhttp's own argument.
unsafe extern "C" fn on_write(bev: *mut ffi::bufferevent, arg: *mut c_void) {
    let Some((live, write)) = NonNull::new(bev).zip(WRITE.get()) else {
        return;
    };
    // SAFETY: libevent keeps the bufferevent during its callback.
    let view = unsafe { BufferEventView::new(live) };
    if view.output(Access::Output, "").length() == 0 {
        // SAFETY: evhttp's own callback, with the arguments that libevent would pass to it.
        unsafe { write(bev, arg) };
        if callbacks(&view).event.is_some() {
            end_if_lost(&view); // evhttp takes its callbacks off before it frees the connection
        }
    }
}

fn end_if_lost(bev: &BufferEventView<'_>) {
    if bev.is_lost() {
        let what = BufferEventFlags::READING | BufferEventFlags::ERROR;
        bev.trigger_event_later(what, Errno::ENOSPC as i32);
    }
}

/// Tells evhttp of every event but the end of the peer's writing side.
///
/// # Safety
/// Registered only by [`ConnectionPlace::ignore_input`], with evhttp's own argument.
unsafe extern "C" fn on_event(bev: *mut ffi::bufferevent, what: c_short, arg: *mut c_void) {
    const END: BufferEventFlags = BufferEventFlags::READING.union(BufferEventFlags::EOF);
    if what == END.bits() {
        return;
    }
    if let Some(event) = EVENT.get() {
        // SAFETY: evhttp's own callback, with the arguments that libevent would pass to it.
        unsafe { event(bev, what, arg) };
    }
}

struct Callbacks {
    write: ffi::bufferevent_data_cb,
    event: ffi::bufferevent_event_cb,
    arg: *mut c_void,
}

/// What is set on a bufferevent.
fn callbacks(bev: &BufferEventView<'_>) -> Callbacks {
    let (mut write, mut event, mut arg) = (None, None, ptr::null_mut());
    // SAFETY: the view keeps the bufferevent; the others are locals.
    unsafe { ffi::bufferevent_getcb(bev.raw(), ptr::null_mut(), &mut write, &mut event, &mut arg) };
    Callbacks { write, event, arg }
}

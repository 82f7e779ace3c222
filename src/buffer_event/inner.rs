//! What all handles of one buffer event share, and how it ends.
//!
//! Owns: the `bufferevent` (but for a [`Kind::View`]), its closures, the source that its
//! descriptor is of, and what else it was made from.
//! Lent to C: one weak count of [`Inner`], from [`EventBufferEvent::from_native`] to
//! [`Inner::release`].
//! Runs user code: destructors of closures and sources, when nothing is borrowed.
#![allow(unsafe_code)]

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::os::fd::AsFd;
#[cfg(feature = "openssl")]
use std::os::fd::BorrowedFd;
use std::ptr::{self, NonNull};
use std::rc::Rc;
use std::time::Duration;

use super::EventBufferEvent;
use super::callbacks::{Data, Happening};
use super::host::Dial;
#[cfg(feature = "openssl")]
use super::tls::Tls;
use crate::buffer::{Lender, Side};
use crate::error::{Error, Result};
use crate::flags::{BufferEventFlags, BufferEventOptions, EventFlags};
use crate::native::RateBucket;
use crate::native::bufferevent::{BufferEventPlace, BufferEventView, OwnedBufferEvent};
use crate::native::evbuffer::{Access, BufferView};
#[cfg(feature = "openssl")]
use crate::native::ssl::Notify;
use crate::runtime::{Lent, Slot};
use crate::trampoline::{on_bev_event, on_bev_read, on_bev_write};
use crate::{DnsError, base, ffi};

/// What libevent made the buffer event as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// On a descriptor of its own, or to be connected.
    Socket,
    /// One half of a pair.
    Pair,
    /// On top of another buffer event, with closures between the two.
    Filter,
    /// As `Socket`, with TLS.
    #[cfg(feature = "openssl")]
    Tls,
    /// TLS on top of another buffer event.
    #[cfg(feature = "openssl")]
    TlsFilter,
    /// Owned and freed by something else of libevent's, such as an HTTP connection, whose
    /// Rust side calls [`Inner::forget`] before it is gone.
    View,
}

impl Kind {
    /// Whether it has a socket of its own, or may be given one.
    pub(super) fn has_socket(self) -> bool {
        match self {
            Self::Socket => true,
            #[cfg(feature = "openssl")]
            Self::Tls => true,
            _ => false,
        }
    }
}

/// How far a buffer event is on the way from its peer's address to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// `connect` was not called yet.
    Fresh,
    /// `connect` was called; whether it succeeds or not, a second call is refused.
    Begun,
    /// `close` was called.
    Closed,
}

/// A `bufferevent` that C has made, with what it is to keep.
pub(crate) struct Native {
    pub(crate) place: BufferEventPlace<Inner>,
    pub(crate) kind: Kind,
    pub(crate) options: BufferEventOptions,
    /// Whose descriptor it has. C must not close it: never give it `BEV_OPT_CLOSE_ON_FREE`.
    pub(crate) source: Option<Box<dyn AsFd>>,
    /// The buffer event under a filter; with `CLOSE_ON_FREE` it is freed with the filter.
    pub(crate) under: Option<EventBufferEvent>,
    /// Whatever else is to live as long.
    pub(crate) kept: Option<Box<dyn Any>>,
    #[cfg(feature = "openssl")]
    pub(super) tls: Option<Tls>,
}

impl Native {
    pub(crate) fn new(
        place: BufferEventPlace<Inner>,
        kind: Kind,
        options: BufferEventOptions,
    ) -> Self {
        Self {
            place,
            kind,
            options,
            source: None,
            under: None,
            kept: None,
            #[cfg(feature = "openssl")]
            tls: None,
        }
    }
}

pub(crate) struct Inner {
    place: BufferEventPlace<Inner>,
    pub(super) kind: Kind,
    pub(super) options: BufferEventOptions,
    base: Rc<base::Inner>, // keeps the base alive longer than what is in `place`
    pub(crate) read: Slot<Data>,
    pub(crate) write: Slot<Data>,
    pub(crate) event: Slot<Happening>,
    wanted: Cell<[bool; 3]>, // which of the three are set; a slot is empty while its closure runs
    pub(super) source: RefCell<Option<Box<dyn AsFd>>>,
    pub(super) under: RefCell<Option<EventBufferEvent>>,
    covered: Cell<bool>, // a filter is on top, and has the callbacks
    kept: RefCell<Option<Box<dyn Any>>>,
    #[cfg(feature = "openssl")]
    pub(super) tls: RefCell<Option<Tls>>,
    pub(super) detached: Cell<bool>, // in the base's keeping
    pub(super) link: Cell<Link>,
    pub(super) dial: RefCell<Option<Dial>>, // what `connect_host` has under way
    pub(super) dns_error: RefCell<Option<DnsError>>,
    pub(super) write_timeout: Cell<Option<Duration>>,
    pub(super) priority: Cell<Option<i32>>, // as `set_priority` set it
    pub(super) bucket: RefCell<Option<RateBucket>>, // the rate limit that C has
    postponed: Cell<bool>,                  // a read callback was put off, and may find nothing
    pub(super) scheduled: Cell<bool>,       // libevent may have its deferred callback in a queue
}

/// For reading, writing, and events.
type Closures = (Option<Box<Data>>, Option<Box<Data>>, Option<Box<Happening>>);

/// What is left of a buffer event when its handles are done with it.
struct Remains {
    native: Option<OwnedBufferEvent>, // none for a view
    lent: Option<Lent<Inner>>,
    kind: Kind,
    options: BufferEventOptions,
    closures: Closures,
    source: Option<Box<dyn AsFd>>, // its number must stay taken until libevent has let go of it
    under: Option<EventBufferEvent>,
    kept: Option<Box<dyn Any>>,
    bucket: Option<RateBucket>,
    #[cfg(feature = "openssl")]
    tls: Option<Tls>,
}

impl EventBufferEvent {
    /// The handle of a `bufferevent` that C has made.
    ///
    pub(crate) fn from_native(base: &Rc<base::Inner>, native: Native) -> Self {
        let inner = Rc::new(Inner {
            place: native.place,
            kind: native.kind,
            options: native.options,
            base: Rc::clone(base),
            read: Slot::empty(),
            write: Slot::empty(),
            event: Slot::empty(),
            wanted: Cell::default(),
            source: RefCell::new(native.source),
            under: RefCell::new(native.under),
            covered: Cell::new(false),
            kept: RefCell::new(native.kept),
            #[cfg(feature = "openssl")]
            tls: RefCell::new(native.tls),
            detached: Cell::new(false),
            link: Cell::new(Link::Fresh),
            dial: RefCell::default(),
            dns_error: RefCell::default(),
            write_timeout: Cell::default(),
            priority: Cell::default(),
            bucket: RefCell::default(),
            postponed: Cell::default(),
            scheduled: Cell::default(),
        });
        inner.place.lend(Lent::new(&inner));
        if let Some(under) = &*inner.under.borrow() {
            under.0.covered.set(true);
        }
        base.expect_events_of_c(); // it assigns its events anew in setfd and set_rate_limit
        Self(inner)
    }
}

impl EventBufferEvent {
    /// A handle to look at a buffer event that libevent owns.
    ///
    /// # Safety
    /// `raw` is not freed before [`Inner::forget`].
    pub(crate) unsafe fn view_of(
        base: &Rc<base::Inner>,
        raw: *mut ffi::bufferevent,
    ) -> Option<Self> {
        // SAFETY: the caller frees `raw` after `Inner::forget`, which empties the place.
        let place = unsafe { BufferEventPlace::borrowed(NonNull::new(raw)?) };
        let native = Native::new(place, Kind::View, BufferEventOptions::empty());
        Some(Self::from_native(base, native))
    }
}

impl Inner {
    pub(crate) fn base(&self) -> Rc<base::Inner> {
        Rc::clone(&self.base)
    }

    /// The buffer event for C, if C may be called with it.
    pub(crate) fn usable(&self, call: &'static str) -> Result<BufferEventView<'_>> {
        let freed = Error::Freed {
            call,
            object: "buffer event",
        };
        let view = self.place.view().ok_or(freed)?;
        self.base.usable(call)?;
        Ok(view)
    }

    /// Notes a change that may have libevent schedule its deferred callback.
    pub(super) fn touch(&self) {
        if self.kind != Kind::Socket || self.options.contains(BufferEventOptions::DEFER_CALLBACKS) {
            self.scheduled.set(true);
        }
        #[cfg(feature = "openssl")]
        self.take_pending();
    }

    /// Whether a filter on top of it, or an HTTP connection, has its callbacks.
    pub(super) fn is_taken(&self) -> bool {
        self.covered.get() || self.kind == Kind::View
    }

    /// Whether bytes that pass through it pass through closures of the user's.
    #[cfg(feature = "openssl")]
    pub(super) fn runs_closures(&self) -> bool {
        let under = self.under.borrow().clone();
        matches!(self.kind, Kind::Filter | Kind::View)
            || under.is_some_and(|under| under.0.runs_closures())
    }

    /// Replaces the closures; gives back the old ones, to be dropped when nothing is borrowed.
    #[must_use]
    pub(super) fn set_closures(
        &self,
        read: Option<Box<Data>>,
        write: Option<Box<Data>>,
        event: Option<Box<Happening>>,
    ) -> Closures {
        self.wanted
            .set([read.is_some(), write.is_some(), event.is_some()]);
        let old = (
            self.read.set(read),
            self.write.set(write),
            self.event.set(event),
        );
        self.arm();
        old
    }

    /// Tells C which callbacks there are: what it need not call it does not schedule.
    fn arm(&self) {
        if self.is_taken() {
            return;
        }
        let [read, write, event] = self.wanted.get();
        #[cfg(feature = "openssl")]
        let event = event || self.tls.borrow().is_some(); // `translate` and `write_on` need it
        let (read, write) = (
            read.then_some(on_bev_read as _),
            write.then_some(on_bev_write as _),
        );
        // SAFETY: the entry points take their argument for an `Inner`.
        unsafe {
            self.place
                .set_callbacks(read, write, event.then_some(on_bev_event as _));
        }
    }

    /// Has the read or write callback called in a later turn of the loop.
    pub(crate) fn run_later(&self, what: EventFlags) {
        let Some(view) = self.place.view().filter(|_| !self.base.is_foreign()) else {
            return;
        };
        self.scheduled.set(true);
        self.postponed
            .set(self.postponed.get() || what == EventFlags::READ);
        view.trigger_later(what);
    }

    /// Whether this read callback was put off, and what it was to tell of is read already.
    pub(crate) fn is_stale(&self) -> bool {
        if !self.postponed.take() {
            return false;
        }
        self.view("", Side::Input)
            .is_ok_and(|input| input.length() == 0)
    }

    /// Has the event callback called in a later turn of the loop, with `errno` to be read.
    pub(crate) fn happen_later(&self, what: BufferEventFlags, errno: i32) {
        let Some(view) = self.place.view().filter(|_| !self.base.is_foreign()) else {
            return;
        };
        self.scheduled.set(true);
        view.trigger_event_later(what, errno);
    }

    /// Gives what carries the bytes what waits for it, as far as that goes at once.
    #[cfg(feature = "openssl")]
    fn write_now(&self) {
        let Some(view) = self.place.view() else {
            return;
        };
        let output = view.output(Access::Output, "");
        match (self.kind, view.fd(), &*self.tls.borrow()) {
            (Kind::Socket, Some(fd), _) => {
                // SAFETY: the descriptor is that of `source`.
                output.write_out(unsafe { BorrowedFd::borrow_raw(fd) });
            }
            (_, _, Some(tls)) => tls.write_now(output),
            _ => {}
        }
        if let (Kind::TlsFilter, Some(under)) = (self.kind, &*self.under.borrow()) {
            under.0.write_now();
        }
    }

    /// A [`Kind::View`] whose owner is about to free it: from now on it is as freed.
    pub(crate) fn forget(&self) {
        debug_assert_eq!(self.kind, Kind::View);
        self.release();
    }

    /// Ends the buffer event; harmless a second time. In a forked child the base keeps it
    /// instead.
    pub(super) fn release(&self) {
        let Some((native, lent)) = self.place.take() else {
            return;
        };
        let remains = Remains {
            native,
            lent,
            kind: self.kind,
            options: self.options,
            closures: (
                self.read.set(None),
                self.write.set(None),
                self.event.set(None),
            ),
            source: self.source.take(),
            under: self.under.take(),
            kept: self.kept.take(),
            bucket: self.bucket.take(),
            #[cfg(feature = "openssl")]
            tls: self.tls.take(),
        };
        let handle = self
            .detached
            .replace(false)
            .then(|| self.base.let_go(ptr::from_ref(self).addr()));
        let dial = self.dial.take();
        if self.base.is_foreign() {
            self.base.adopt(Box::new(remains));
        } else {
            remains.end(&self.base);
        }
        drop(dial); // which may have the last hold on a source
        drop(handle);
    }
}

impl Remains {
    /// Frees it. libevent itself does that in a later turn; what is called there is its own.
    fn end(mut self, base: &base::Inner) {
        if let Some(native) = self.native.take() {
            base.calling_in_drop(|| self.let_go(native));
            base.owe_a_turn();
        }
        #[cfg(feature = "openssl")]
        if let Some(tls) = self.tls {
            // SAFETY: `let_go` has freed the buffer event; a view has no session.
            unsafe { tls.end(base) };
        }
        drop(self.lent);
        let Self {
            options,
            closures,
            source,
            under,
            kept,
            bucket,
            ..
        } = self;
        if let Some(under) = &under {
            under.0.covered.set(false);
            under.0.arm();
            if options.contains(BufferEventOptions::CLOSE_ON_FREE) {
                under.free();
            }
        }
        drop((bucket, source, closures, under, kept));
    }

    /// Takes it out of C's hands. Inside its own callback C counts on it a little longer;
    /// everything that C would still do then is switched off before.
    fn let_go(&self, native: OwnedBufferEvent) {
        native.silence(self.bucket.is_some());
        #[cfg(feature = "openssl")]
        self.send_close_notify(&native);
        if self.kind.has_socket() {
            native.forget_fd();
        }
    }
}

#[cfg(feature = "openssl")]
impl Remains {
    /// Tells a TLS peer that no more comes, unless something was to come: then the end without
    /// a goodbye tells it that the rest is missing.
    fn send_close_notify(&self, native: &OwnedBufferEvent) {
        let Some(tls) = &self.tls else { return };
        if native.output().length() > 0 || tls.send_close_notify() == Notify::Waits {
            return;
        }
        if let Some(under) = &self.under {
            under.0.write_now(); // it may end with the filter
        }
    }
}

impl base::Orphan for Remains {
    fn free(self: Box<Self>, base: &base::Inner) {
        self.end(base);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.release();
    }
}

impl Lender for Inner {
    fn view(&self, call: &'static str, side: Side) -> Result<BufferView<'_>> {
        let view = self.usable(call)?;
        Ok(match (side, self.kind) {
            (Side::Input, Kind::View) => view.input(Access::ReadOnly, call),
            (Side::Output, Kind::View) => view.output(Access::ReadOnly, call),
            (Side::Input, _) => view.input(Access::Input, call),
            (Side::Output, _) => view.output(Access::Output, call),
        })
    }

    fn will_change(&self) {
        self.touch();
    }

    fn base(&self) -> Option<Rc<base::Inner>> {
        Some(Self::base(self))
    }

    fn drains_to_fd(&self) -> bool {
        self.kind == Kind::Socket
    }
}

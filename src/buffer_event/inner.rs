//! What all handles of one buffer event share.
//!
//! Owns: the `bufferevent` (unless libevent does), its closures, and what carries its bytes.
//! Lends C one weak count of [`Inner`], from [`EventBufferEvent::made`] until it is freed.
//! Runs user code: destructors of closures and sockets, when nothing is borrowed.
#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::ptr::{self, NonNull};
use std::rc::Rc;
use std::time::Duration;

use super::EventBufferEvent;
use super::callbacks::Closures;
use super::carrier::{Carrier, Kind};
use super::filter::tally::{begin_change, end_change};
use super::host::Dial;
use super::pause::Pause;
use super::write_timer::WriteTimer;
use crate::buffer::{Lender, Side, change_lent};
use crate::error::{Error, Result};
use crate::flags::{BufferEventFlags, BufferEventOptions, EventFlags};
use crate::native::RateBucket;
use crate::native::bufferevent::{BufferEventPlace, BufferEventView, OwnedBufferEvent};
use crate::native::evbuffer::{Access, BufferView};
use crate::runtime::Lent;
use crate::{DnsError, base, ffi};

/// The most filters on top of each other. Bytes pass through all of them in one chain of calls,
/// which a thread's stack must hold.
const LAYERS_MAX: usize = 64;

pub(crate) struct Inner {
    pub(super) place: BufferEventPlace<Inner>,
    pub(super) base: Rc<base::Inner>, // keeps the base alive longer than what is in `place`
    pub(super) options: BufferEventOptions,
    pub(super) carrier: RefCell<Carrier>,
    pub(crate) closures: Closures,
    pub(super) link: RefCell<Link>,
    pub(super) settings: Settings,
    pub(super) deferred: Deferred,
    pub(super) pause: Pause,
    pub(super) write_timer: WriteTimer,
    pub(super) ended: Cell<EventFlags>, // the directions of a half whose end was reported
    pub(super) covered: Cell<bool>,     // a filter on top has the callbacks
    #[cfg(feature = "openssl")]
    pub(super) late_end: Cell<Option<(BufferEventFlags, i32)>>, // which waits, see `relay`
    pub(super) ends_with_filter: Cell<bool>, // whatever else has a handle
}

/// How far a buffer event is on the way from its peer's address to its end.
pub(super) enum Link {
    /// Nothing was asked for yet: it was made without a socket, or with one.
    Fresh,
    /// `connect_host` looks the name up, or tries its addresses.
    Dialing(Dial),
    /// It connects, is connected, or has failed; a name that was not found says why. A second
    /// `connect` is refused.
    Begun(Option<DnsError>),
    /// `close` was called.
    Closed(Option<DnsError>),
}

/// What was set on it, and must outlive or follow a change of its descriptor.
#[derive(Default)]
pub(super) struct Settings {
    pub(super) read_timeout: Cell<Option<Duration>>,
    pub(super) write_timeout: Cell<Option<Duration>>,
    pub(super) read_high_mark: Cell<usize>, // 0 for none
    pub(super) watches_input: Cell<bool>,   // since the first read high mark
    pub(super) records: Cell<usize>,        // taken in since it last rested for them
    pub(super) low_mark_without_tls: Cell<Option<usize>>, // the read low mark, while TLS is on top
    pub(super) priority: Cell<Option<i32>>,
    pub(super) bucket: RefCell<Option<RateBucket>>, // the rate limit that C has
}

/// What waits in libevent's queue of deferred callbacks.
#[derive(Default)]
pub(super) struct Deferred {
    /// A read callback was put off, and may find nothing.
    pub(super) read: Cell<bool>,
    /// The deferred callback may be in a queue, now or at any later time.
    pub(super) possible: Cell<bool>,
}

impl EventBufferEvent {
    /// The handle of a `bufferevent` that C has made.
    pub(super) fn made(
        base: &Rc<base::Inner>,
        owned: OwnedBufferEvent,
        carrier: Carrier,
        options: BufferEventOptions,
    ) -> Self {
        Self::in_place(base, BufferEventPlace::owned(owned), carrier, options)
    }

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
        let options = BufferEventOptions::empty();
        Some(Self::in_place(base, place, Carrier::View, options))
    }

    fn in_place(
        base: &Rc<base::Inner>,
        place: BufferEventPlace<Inner>,
        carrier: Carrier,
        options: BufferEventOptions,
    ) -> Self {
        let inner = Rc::new(Inner {
            place,
            base: Rc::clone(base),
            options,
            carrier: RefCell::new(carrier),
            closures: Closures::default(),
            link: RefCell::new(Link::Fresh),
            settings: Settings::default(),
            deferred: Deferred::default(),
            pause: Pause::default(),
            write_timer: WriteTimer::default(),
            ended: Cell::new(EventFlags::empty()),
            covered: Cell::new(false),
            #[cfg(feature = "openssl")]
            late_end: Cell::new(None),
            ends_with_filter: Cell::new(false),
        });
        inner.place.lend(Lent::new(&inner));
        if let Some(under) = inner.under() {
            under.0.covered.set(true);
            inner.relay_callbacks();
        }
        base.expect_events_of_c(); // it assigns its events anew in setfd and set_rate_limit
        inner.arm(); // some have an event callback in any case
        Self(inner)
    }
}

impl Inner {
    pub(crate) fn base(&self) -> Rc<base::Inner> {
        Rc::clone(&self.base)
    }

    /// What the base knows it by.
    pub(super) fn address(&self) -> usize {
        ptr::from_ref(self).addr()
    }

    /// The buffer event for C, if C may be called with it.
    #[inline]
    pub(crate) fn usable(&self, call: &'static str) -> Result<BufferEventView<'_>> {
        let Some(view) = self.place.view() else {
            return Err(freed(call));
        };
        self.base.usable(call)?;
        Ok(view)
    }

    /// Notes a change that may make libevent schedule its deferred callback.
    pub(super) fn touch(&self) {
        self.touch_as(self.kind());
    }

    #[inline]
    fn touch_as(&self, kind: Kind) {
        let defers = self.options.contains(BufferEventOptions::DEFER_CALLBACKS);
        if kind != Kind::Socket || defers {
            self.deferred.possible.set(true);
        }
        #[cfg(feature = "openssl")]
        if kind == Kind::Tls {
            self.take_pending();
        }
    }

    /// Before a socket's output is changed: if the time to write is just over, it begins anew.
    #[inline]
    fn renew_write_time(&self) {
        if self.settings.write_timeout.get().is_some()
            && let Some(view) = self.place.view()
        {
            view.renew_overdue_write();
        }
    }

    #[inline]
    fn view_as(&self, kind: Kind, call: &'static str, side: Side) -> Result<BufferView<'_>> {
        let view = self.usable(call)?;
        let access = match (kind, side) {
            (Kind::View, _) => Access::ReadOnly,
            #[cfg(feature = "openssl")]
            (Kind::Tls | Kind::TlsFilter, Side::Input) => Access::TlsInput,
            #[cfg(feature = "openssl")]
            (Kind::Tls | Kind::TlsFilter, Side::Output) => Access::TlsOutput,
            (_, Side::Input) => Access::Input,
            (_, Side::Output) => Access::Output,
        };
        Ok(match side {
            Side::Input => view.input(access, call),
            Side::Output => view.output(access, call),
        })
    }

    /// Changes one of its buffers, which may run callbacks. The caller has a handle of it.
    #[inline]
    pub(super) fn change<T>(
        &self,
        call: &'static str,
        side: Side,
        work: impl FnOnce(BufferView<'_>) -> Result<T>,
    ) -> Result<T> {
        change_lent(self, call, side, work)
    }

    /// Refuses to put a filter on top of it.
    pub(super) fn may_be_covered(&self, call: &'static str) -> Result<()> {
        let reason = if self.covered.get() || self.kind() == Kind::View {
            "a filter or an HTTP connection is on top of it already"
        } else if self.layers() >= LAYERS_MAX {
            "64 filters are on top of each other already"
        } else if matches!(&*self.link.borrow(), Link::Closed(_)) {
            "it was closed; make a new buffer event" // a filter would enable it again
        } else {
            return Ok(());
        };
        Err(Error::State { call, reason })
    }

    /// How many filters there are from it down.
    fn layers(&self) -> usize {
        self.below().count()
    }

    /// Whether bytes that pass through it pass through closures of the user's.
    #[cfg(feature = "openssl")]
    pub(super) fn runs_closures(&self) -> bool {
        matches!(self.kind(), Kind::Filter | Kind::View)
            || self.under().is_some_and(|under| under.0.runs_closures())
    }

    /// A view whose owner is about to free the `bufferevent`: from now on it is freed, if the
    /// user has not done that before.
    pub(crate) fn forget(&self) {
        debug_assert!(matches!(self.kind(), Kind::View | Kind::Freed));
        self.release();
    }

    /// Makes the read or write callback run in a later turn of the loop.
    pub(crate) fn run_later(&self, what: EventFlags) {
        let Some(view) = self.place.view().filter(|_| !self.base.is_foreign()) else {
            return;
        };
        self.deferred.possible.set(true);
        if what == EventFlags::READ {
            self.deferred.read.set(true);
        }
        view.trigger_later(what);
    }

    /// Whether there is nothing to read: this callback was put off, and what it was for has been
    /// read already; or a pair was flushed, which calls back in any case.
    pub(crate) fn is_stale(&self) -> bool {
        (self.deferred.read.take() || self.kind() == Kind::Pair)
            && self.length(Side::Input) == Some(0)
    }

    /// Whether its input is at the read high mark.
    pub(super) fn is_full(&self) -> bool {
        let high = self.settings.read_high_mark.get();
        high > 0 && self.length(Side::Input).is_some_and(|waits| waits >= high)
    }

    /// Whether more waits in the output than may be left for the write callback: it was put off,
    /// and more has been written since. libevent calls again when that has left.
    pub(crate) fn has_more_to_write(&self) -> bool {
        let view = self.place.view().filter(|_| self.deferred.possible.get());
        view.is_some_and(|view| {
            let output = view.output(Access::Output, "");
            output.length() > view.write_low_mark()
        })
    }

    /// Makes the event callback run in a later turn of the loop, with `errno` as the last error.
    pub(crate) fn happen_later(&self, what: BufferEventFlags, errno: i32) {
        let Some(view) = self.place.view().filter(|_| !self.base.is_foreign()) else {
            return;
        };
        self.deferred.possible.set(true);
        view.trigger_event_later(what, errno);
    }
}

#[cold]
fn freed(call: &'static str) -> Error {
    Error::Freed {
        call,
        object: "buffer event",
    }
}

impl Lender for Inner {
    fn view(&self, call: &'static str, side: Side) -> Result<BufferView<'_>> {
        self.view_as(self.kind(), call, side)
    }

    fn length(&self, side: Side) -> Option<usize> {
        let view = self.usable("").ok()?;
        let buffer = match side {
            Side::Input => view.input(Access::Input, ""),
            Side::Output => view.output(Access::Output, ""),
        };
        Some(buffer.length())
    }

    #[inline(always)] // the callers know the side
    fn view_to_change(
        &self,
        call: &'static str,
        side: Side,
    ) -> Result<(BufferView<'_>, Option<&base::Inner>)> {
        let kind = self.kind();
        let view = self.view_as(kind, call, side)?;
        self.touch_as(kind);
        if side == Side::Output && kind == Kind::Socket {
            self.renew_write_time();
        }
        if side == Side::Input && self.covered.get() {
            begin_change(&view); // the filter's closure may be running
        }
        Ok((view, kind.calls_back().then_some(&*self.base)))
    }

    #[inline(always)] // the callers know the side
    fn changed(&self, side: Side) {
        if side == Side::Input {
            end_change();
        }
    }

    fn calls_back(&self) -> bool {
        self.kind().calls_back()
    }

    fn drains_to_fd(&self) -> bool {
        self.kind() == Kind::Socket
    }
}

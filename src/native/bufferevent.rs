//! Every call on a `bufferevent`; those that only a TLS one has are in `bufferevent_ssl`.
//!
//! Owns: one count of the `bufferevent`, in [`OwnedBufferEvent`].
//! Lends C one weak count for its callbacks, until it is freed.
//!
//! Runs callbacks. The callbacks of pairs and with TLS are always deferred: the loop alone runs
//! them. So it is with `DEFER_CALLBACKS`. Otherwise:
//! - from the loop, [`EventBase`'s `run`](super::OwnedBase::run): the three callbacks of a socket.
//!   The frames of libevent that run them go on afterwards: `bufferevent_readcb` reads the marks,
//!   `bufferevent_writecb` writes the output to the descriptor that it was called with if
//!   `WRITE` is still enabled and not suspended. Each holds a count, so that the object outlives
//!   its own callbacks;
//! - from a call on a filter that changes its buffers, or the direction that is enabled: the
//!   closures of the filter and of those under it, and then their read and write callbacks.
//!   The frames go on with the filter's and the lower one's buffers and flags;
//! - a change of the buffers does what `evbuffer` says.
//!
//! What the callbacks read: the argument that they were set with, and what the class keeps
//! there: its closures, source and session. All of that stays in its place until the object
//! has been freed, see [`OwnedBufferEvent`].
//!
//! A call that may run callbacks takes the [`BufferEventView`], so that nothing is done with it
//! afterwards. The memory of a freed one stays until a later turn of the loop.
#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::ffi::{c_int, c_short, c_void};
use std::fmt;
use std::marker::PhantomData;
use std::os::fd::RawFd;
use std::ptr::{self, NonNull};
use std::time::Duration;

use nix::errno::Errno;

use super::evbuffer::{Access, BufferView, ChangeEntry, End};
use super::event::is_overdue;
use super::{OwnedBase, RateBucket, timeval};
use crate::ffi;
use crate::flags::{BufferEventFlags, BufferEventOptions, EventFlags, FlushMode};
use crate::runtime::error::{Error, Result, cvt, cvt_owned};
use crate::runtime::memory::{unchecked, unchecked_from_now_on, untold};
use crate::runtime::{Lent, reclaim};

/// What libevent calls when data came in, or went out.
pub(crate) type DataEntry = unsafe extern "C" fn(*mut ffi::bufferevent, *mut c_void);

/// What libevent calls when something else happened.
pub(crate) type EventEntry = unsafe extern "C" fn(*mut ffi::bufferevent, c_short, *mut c_void);

/// What libevent calls to pass bytes through a filter.
pub(crate) type FilterEntry = unsafe extern "C" fn(
    *mut ffi::evbuffer,
    *mut ffi::evbuffer,
    isize,
    ffi::bufferevent_flush_mode,
    *mut c_void,
) -> ffi::bufferevent_filter_result;

/// Where a `bufferevent` has the event that waits for its socket to be readable: after the
/// base and the operations (`event2/bufferevent_struct.h`; `vendor/libevent/tests/abi.rs` checks it).
pub(super) const EV_READ_OFFSET: usize = 2 * size_of::<*const ()>();

const BOTH: EventFlags = EventFlags::READ.union(EventFlags::WRITE);
const DEFERRED: c_int = BufferEventOptions::DEFER_CALLBACKS.bits();

/// One count of a `bufferevent`, which is freed with this.
pub(crate) struct OwnedBufferEvent {
    raw: NonNull<ffi::bufferevent>,
}

impl OwnedBufferEvent {
    /// # Safety
    /// `raw` is a live bufferevent, and one count of it is given away here.
    #[cfg_attr(not(feature = "openssl"), expect(dead_code))]
    pub(crate) unsafe fn from_raw(raw: NonNull<ffi::bufferevent>) -> Self {
        Self { raw }
    }

    /// Makes one on a socket; a descriptor of −1 means none yet.
    ///
    /// # Safety
    /// `base` is dropped after this. Nobody closes `fd` before this is dropped, or has another.
    pub(crate) unsafe fn socket(
        call: &'static str,
        base: &OwnedBase,
        fd: RawFd,
        options: BufferEventOptions,
    ) -> Result<Self> {
        let (raw, failed) = untold(|| {
            // SAFETY: `base` outlives the bufferevent, and `fd` is open, as `# Safety` asks.
            unsafe { ffi::bufferevent_socket_new(base.raw(), fd, options.bits()) }
        });
        let new = cvt_owned(call, raw).map(|raw| Self { raw })?;
        if failed {
            return Err(no_memory(call)); // it would never begin to write
        }
        Ok(new)
    }

    /// Makes two that are each other's peer.
    ///
    /// # Safety
    /// `base` is dropped after both.
    pub(crate) unsafe fn pair(
        call: &'static str,
        base: &OwnedBase,
        options: BufferEventOptions,
    ) -> Result<(Self, Self)> {
        unchecked_from_now_on(); // it moves a part without checking
        let mut halves = [ptr::null_mut(); 2];
        // SAFETY: `base` outlives both, as `# Safety` asks; there is room for two.
        let rc =
            unsafe { ffi::bufferevent_pair_new(base.raw(), options.bits(), halves.as_mut_ptr()) };
        cvt(call, rc)?;
        let [one, other] = halves.map(|raw| cvt_owned(call, raw).map(|raw| Self { raw }));
        Ok((one?, other?))
    }

    /// Makes a filter on top of `under`, and takes its callbacks away from it. Runs callbacks:
    /// those of what is under `under`, if it is a filter itself, for it is enabled here.
    ///
    /// # Safety
    /// The entries take their argument for a lent `T`; `under` has no filter yet.
    pub(crate) unsafe fn filter<T>(
        call: &'static str,
        under: BufferEventView<'_>,
        [input, output]: [Option<FilterEntry>; 2],
        options: BufferEventOptions,
        lent: Lent<T>,
    ) -> Result<Self> {
        unchecked_from_now_on(); // as a pair, without a closure
        let (end, arg) = (Some(on_filter_end::<T> as _), lent.arg());
        let raw = unchecked(|| {
            // SAFETY: `under` is live, and the filter takes a count of it. `arg` is lent until
            // libevent gives it to `on_filter_end`, the last of the calls with it.
            unsafe {
                ffi::bufferevent_filter_new(under.raw(), input, output, options.bits(), end, arg)
            }
        });
        let raw = cvt_owned(call, raw)?; // on failure nothing was made, and `lent` ends here
        std::mem::forget(lent); // `on_filter_end` takes it back
        Ok(Self { raw })
    }

    /// For evhttp, which takes it over.
    pub(crate) fn into_raw(self) -> *mut ffi::bufferevent {
        let raw = self.raw.as_ptr();
        std::mem::forget(self);
        raw
    }

    /// Keeps a new one from reading and writing, so that libevent registers no descriptor that it
    /// is given: its input is at its high mark. Runs no callbacks: it has none.
    pub(crate) fn suspend(&self, call: &'static str) -> Result<()> {
        self.view().disable(call, EventFlags::WRITE)?;
        let input = self.view().input(Access::Input, call);
        input.set_frozen(End::Back, false);
        input.add(b" ")?;
        self.view().set_watermark(EventFlags::READ, 0, 1);
        Ok(())
    }

    pub(crate) fn view(&self) -> BufferEventView<'_> {
        BufferEventView {
            raw: self.raw,
            _bufferevent: PhantomData,
        }
    }

    pub(crate) fn output(&self) -> BufferView<'_> {
        // SAFETY: `self` has a count, and the view borrows it.
        unsafe { output(self.raw, Access::Output, "bufferevent_free") }
    }

    /// Before it is freed: switches off what libevent would still do in a frame that is
    /// running a callback of it, and holds a count.
    pub(crate) fn silence(&self, limited: bool) {
        if limited {
            self.view().set_rate_limit("", None).ok();
        }
        // Without times a filter whose callback is running starts no timer: it would outlive it.
        self.view().set_timeouts("", None, None).ok();
        // SAFETY: `self` has a count. Disabling runs no callback.
        unsafe { ffi::bufferevent_disable(self.raw.as_ptr(), BOTH.bits()) };
    }

    /// Ends [`BufferEventPlace::watch_input`].
    pub(crate) fn unwatch_input<T>(&self, entry: ChangeEntry, lent: &Lent<T>) {
        let input = self.view().input(Access::Input, "bufferevent_free");
        input.unwatch(entry, lent.arg());
    }

    /// Ends [`BufferEventPlace::watch_output`].
    pub(crate) fn unwatch_output<T>(&self, entry: ChangeEntry, lent: &Lent<T>) {
        self.output().unwatch(entry, lent.arg());
    }

    /// Has it send what waits, and do nothing else: the write callback runs when some is sent, the
    /// event callback when nothing could be sent for `wait`. What still `shakes_hands` needs to
    /// read for that; call this again when it is connected.
    pub(crate) fn send_all(&self, wait: Duration, shakes_hands: bool) {
        self.view()
            .set_watermark(EventFlags::WRITE, isize::MAX as usize, 0);
        if !shakes_hands {
            self.view().disable("", EventFlags::READ).ok();
        }
        let read = shakes_hands.then_some(wait);
        self.view().set_timeouts("", read, Some(wait)).ok();
    }

    /// Takes its descriptor away. While it connects, disabling leaves an event in the backend,
    /// which would outlive the descriptor; this does not.
    pub(crate) fn forget_fd(&self) {
        // SAFETY: `self` has a count.
        unsafe { ffi::bufferevent_setfd(self.raw.as_ptr(), -1) };
    }
}

impl Drop for OwnedBufferEvent {
    fn drop(&mut self) {
        // SAFETY: the count of `self` goes here. The call takes the callbacks away; libevent
        // finishes the object in a later turn of the loop.
        unsafe { ffi::bufferevent_free(self.raw.as_ptr()) };
    }
}

impl fmt::Debug for OwnedBufferEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OwnedBufferEvent").field(&self.raw).finish()
    }
}

/// # Safety
/// Registered only by [`OwnedBufferEvent::filter`], with a lent `T`; the last call with it.
unsafe extern "C" fn on_filter_end<T>(arg: *mut c_void) {
    // SAFETY: `filter` lent `arg` and gave it away; libevent ends the filter once, and has
    // forgotten `arg`. Destructors of a `T` do not run here: this is a weak count.
    unsafe { reclaim::<T>(arg) };
}

/// Where a class has its `bufferevent`: nowhere once it has ended.
pub(crate) struct BufferEventPlace<T> {
    raw: Cell<Option<NonNull<ffi::bufferevent>>>,
    is_owned: bool,
    lent: RefCell<Option<Lent<T>>>, // the argument of the callbacks
}

impl<T> BufferEventPlace<T> {
    pub(crate) fn owned(native: OwnedBufferEvent) -> Self {
        Self {
            raw: Cell::new(NonNull::new(native.into_raw())),
            is_owned: true,
            lent: RefCell::default(),
        }
    }

    /// # Safety
    /// `raw` is not freed before [`take`](Self::take).
    pub(crate) unsafe fn borrowed(raw: NonNull<ffi::bufferevent>) -> Self {
        Self {
            raw: Cell::new(Some(raw)),
            is_owned: false,
            lent: RefCell::default(),
        }
    }

    pub(crate) fn view(&self) -> Option<BufferEventView<'_>> {
        Some(BufferEventView {
            raw: self.raw.get()?,
            _bufferevent: PhantomData,
        })
    }

    /// The argument of the callbacks.
    pub(crate) fn lend(&self, lent: Lent<T>) {
        drop(self.lent.replace(Some(lent))); // none was there
    }

    /// Tells libevent which callbacks there are. It schedules none of those that there are not.
    ///
    /// # Safety
    /// The entries take their argument for a lent `T`.
    pub(crate) unsafe fn set_callbacks(
        &self,
        read: Option<DataEntry>,
        write: Option<DataEntry>,
        event: Option<EventEntry>,
    ) {
        let (Some(raw), Some(lent)) = (self.raw.get(), &*self.lent.borrow()) else {
            return;
        };
        // SAFETY: `raw` is live while it is in its place. The argument stays lent until the
        // object has been freed: `take` gives both away together.
        unsafe { ffi::bufferevent_setcb(raw.as_ptr(), read, write, event, lent.arg()) };
    }

    /// Has `entry` called when the input changes, with the argument of the callbacks, until
    /// [`OwnedBufferEvent::unwatch_input`]. A borrowed one is not watched: nothing would end that.
    ///
    /// # Safety
    /// The entry takes its argument for a lent `T`.
    pub(crate) unsafe fn watch_input(&self, call: &'static str, entry: ChangeEntry) -> Result<()> {
        // SAFETY: the entry is as `# Safety` says.
        unsafe { self.watch(|view| view.input(Access::Input, call), entry) }
    }

    /// As [`watch_input`](Self::watch_input), for the output, until
    /// [`OwnedBufferEvent::unwatch_output`].
    ///
    /// # Safety
    /// The entry takes its argument for a lent `T`.
    pub(crate) unsafe fn watch_output(&self, call: &'static str, entry: ChangeEntry) -> Result<()> {
        // SAFETY: the entry is as `# Safety` says.
        unsafe { self.watch(|view| view.output(Access::Output, call), entry) }
    }

    /// # Safety
    /// The entry takes its argument for a lent `T`.
    unsafe fn watch<'a>(
        &'a self,
        buffer: impl FnOnce(BufferEventView<'a>) -> BufferView<'a>,
        entry: ChangeEntry,
    ) -> Result<()> {
        let (true, Some(view), Some(lent)) = (self.is_owned, self.view(), &*self.lent.borrow())
        else {
            return Ok(());
        };
        // SAFETY: `take` gives the argument away with the object, and whoever frees that
        // unwatches its buffers before.
        unsafe { buffer(view).watch(entry, lent.arg()) }
    }

    /// Ends the place, once: what is left is for the caller to drop, the first before the
    /// second. A borrowed one has only the second.
    pub(crate) fn take(&self) -> Option<(Option<OwnedBufferEvent>, Option<Lent<T>>)> {
        let raw = self.raw.take()?;
        let owned = self.is_owned.then(|| OwnedBufferEvent { raw });
        Some((owned, self.lent.take()))
    }
}

/// A `bufferevent` for the length of one call.
pub(crate) struct BufferEventView<'a> {
    raw: NonNull<ffi::bufferevent>,
    _bufferevent: PhantomData<&'a ()>,
}

impl<'a> BufferEventView<'a> {
    /// # Safety
    /// `raw` is not freed while this lives. What a callback that this runs frees is not meant:
    /// nothing is done with it afterwards.
    pub(crate) unsafe fn new(raw: NonNull<ffi::bufferevent>) -> Self {
        Self {
            raw,
            _bufferevent: PhantomData,
        }
    }

    pub(super) fn raw(&self) -> *mut ffi::bufferevent {
        self.raw.as_ptr()
    }

    /// The buffer of what came in.
    pub(crate) fn input(&self, access: Access, call: &'static str) -> BufferView<'a> {
        // SAFETY: `new`'s caller keeps the bufferevent, which has its buffers as long.
        let input = unsafe { ffi::bufferevent_get_input(self.raw()) };
        // SAFETY: every bufferevent has both buffers.
        let input = unsafe { NonNull::new_unchecked(input) };
        // SAFETY: the buffer lives as long as the bufferevent, which `new`'s caller keeps.
        unsafe { BufferView::new(input, access, call) }
    }

    /// The buffer of bytes to send.
    pub(crate) fn output(&self, access: Access, call: &'static str) -> BufferView<'a> {
        // SAFETY: `new`'s caller keeps the bufferevent.
        unsafe { output(self.raw, access, call) }
    }

    /// The callbacks that libevent itself has set, as for a filter on top.
    pub(crate) fn foreign_callbacks(&self) -> ForeignCallbacks {
        let mut callbacks = ForeignCallbacks {
            read: None,
            write: None,
            event: None,
            arg: ptr::null_mut(),
        };
        let ForeignCallbacks {
            read,
            write,
            event,
            arg,
        } = &mut callbacks;
        // SAFETY: `new`'s caller keeps the bufferevent; the rest are locals.
        unsafe { ffi::bufferevent_getcb(self.raw(), read, write, event, arg) };
        callbacks
    }

    /// Sets callbacks with an argument other than the class's own.
    ///
    /// # Safety
    /// The entries take their argument for a lent `R`, and `lent` is dropped after others are
    /// set, or the bufferevent is freed.
    pub(crate) unsafe fn set_callbacks<R>(
        &self,
        read: Option<DataEntry>,
        write: Option<DataEntry>,
        event: Option<EventEntry>,
        lent: &Lent<R>,
    ) {
        // SAFETY: `new`'s caller keeps the bufferevent; the rest is what `# Safety` asks.
        unsafe { ffi::bufferevent_setcb(self.raw(), read, write, event, lent.arg()) };
    }

    /// The descriptor; a filter has that of what is under it.
    pub(crate) fn fd(&self) -> Option<RawFd> {
        // SAFETY: `new`'s caller keeps the bufferevent.
        let fd = unsafe { ffi::bufferevent_getfd(self.raw()) };
        (fd >= 0).then_some(fd)
    }

    /// Gives it a descriptor, or takes it away. libevent unfreezes both ends of the buffers then,
    /// and the priority is the middle one again.
    ///
    /// # Safety
    /// Nobody closes `fd` before the bufferevent is freed, or has another.
    pub(crate) unsafe fn set_fd(&self, call: &'static str, fd: Option<RawFd>) -> Result<()> {
        // SAFETY: `new`'s caller keeps the bufferevent, and `fd` stays open, as `# Safety` asks.
        let rc = unsafe { ffi::bufferevent_setfd(self.raw(), fd.unwrap_or(-1)) };
        cvt(call, rc).map(drop)
    }

    /// Tells that its descriptor is connecting: `CONNECTED` or `ERROR` is told when the socket
    /// can be written, disabled or not. Does what [`set_fd`](Self::set_fd) does.
    pub(crate) fn expect_connected(&self, call: &'static str) -> Result<()> {
        // SAFETY: `new`'s caller keeps the bufferevent; null means no address.
        let rc = unsafe { ffi::bufferevent_socket_connect(self.raw(), ptr::null(), 0) };
        #[cfg(feature = "openssl")]
        self.tls().read_in_parts();
        cvt(call, rc)?;
        // It ignores that the kernel refuses to watch the descriptor for reading.
        let reading = self.enabled() & EventFlags::READ;
        // SAFETY: `new`'s caller keeps the bufferevent; before it is connected, nothing is read
        // and no callback runs.
        let rc = unsafe { ffi::bufferevent_enable(self.raw(), reading.bits()) };
        cvt(call, rc).map(drop)
    }

    /// Freezes the ends of the buffers of a socket that the loop alone uses.
    pub(crate) fn freeze_far_ends(&self) {
        self.input(Access::Input, "").set_frozen(End::Back, true);
        self.output(Access::Output, "").set_frozen(End::Front, true);
    }

    pub(crate) fn enabled(&self) -> EventFlags {
        // SAFETY: `new`'s caller keeps the bufferevent.
        EventFlags::from_bits_retain(unsafe { ffi::bufferevent_get_enabled(self.raw()) })
    }

    /// Runs callbacks: for a filter, those of what is under it that is a filter itself.
    pub(crate) fn enable(self, call: &'static str, events: EventFlags) -> Result<()> {
        if self.fd().is_some() {
            self.forget_overdue(events);
        }
        // SAFETY: `new`'s caller keeps the bufferevent until a callback frees it.
        cvt(call, unsafe {
            ffi::bufferevent_enable(self.raw(), events.bits())
        })
        .map(drop)
    }

    /// Deletes the events that [`is_overdue`] says would not be watched. Their timeouts are not
    /// reported: they begin anew.
    fn forget_overdue(&self, events: EventFlags) {
        for direction in [EventFlags::READ, EventFlags::WRITE] {
            let event = self.event_of(direction);
            // SAFETY: libevent has initialized the event, which lives as long as the bufferevent,
            // and that has its base.
            if events.contains(direction) && unsafe { is_overdue(event) } {
                // SAFETY: the same.
                unsafe { ffi::event_del(event) };
            }
        }
    }

    /// Watches a socket for room anew if the time for that is just over. libevent would begin the
    /// time anew when it is written to, and not watch it. Runs no callback.
    pub(crate) fn renew_overdue_write(self) {
        // SAFETY: libevent has initialized the event, which lives as long as the bufferevent, and
        // that has its base.
        if unsafe { is_overdue(self.event_of(EventFlags::WRITE)) } {
            self.enable("", EventFlags::WRITE).ok();
        }
    }

    /// Runs no callback.
    pub(crate) fn disable(&self, call: &'static str, events: EventFlags) -> Result<()> {
        // SAFETY: `new`'s caller keeps the bufferevent.
        cvt(call, unsafe {
            ffi::bufferevent_disable(self.raw(), events.bits())
        })
        .map(drop)
    }

    /// Moves what waits, as far as it goes. Returns 1 when a filter moved something, and −1 when
    /// the other half of a pair is freed. Runs callbacks: a filter's closures and its write
    /// callback, and those of what is under it.
    pub(crate) fn flush(self, events: EventFlags, mode: FlushMode) -> c_int {
        // SAFETY: `new`'s caller keeps the bufferevent until a callback frees it.
        unsafe { ffi::bufferevent_flush(self.raw(), events.bits(), mode.to_c()) }
    }

    /// Sets the watermarks. Runs callbacks: a filter that may read again fetches what waits.
    pub(crate) fn set_watermark(self, events: EventFlags, low: usize, high: usize) {
        // SAFETY: `new`'s caller keeps the bufferevent until a callback frees it.
        unchecked(|| unsafe {
            ffi::bufferevent_setwatermark(self.raw(), events.bits(), low, high);
        });
    }

    /// How many bytes the input must have when the read callback is called.
    pub(crate) fn read_low_mark(&self) -> usize {
        self.low_mark(EventFlags::READ)
    }

    /// How many bytes of the output may be left when the write callback is called.
    pub(crate) fn write_low_mark(&self) -> usize {
        self.low_mark(EventFlags::WRITE)
    }

    fn low_mark(&self, direction: EventFlags) -> usize {
        let mut low = 0;
        // SAFETY: `new`'s caller keeps the bufferevent; `low` is a local, and null is left out.
        unsafe {
            let events = direction.bits();
            ffi::bufferevent_getwatermark(self.raw(), events, &mut low, ptr::null_mut());
        }
        low
    }

    pub(crate) fn set_timeouts(
        &self,
        call: &'static str,
        read: Option<Duration>,
        write: Option<Duration>,
    ) -> Result<()> {
        let times = [read, write].map(|time| time.map(timeval));
        let [read, write] = times
            .each_ref()
            .map(|time| time.as_ref().map_or(ptr::null(), ptr::from_ref));
        // SAFETY: `new`'s caller keeps the bufferevent; libevent copies the times.
        let rc = unsafe { ffi::bufferevent_set_timeouts(self.raw(), read, write) };
        cvt(call, rc).map(drop)
    }

    /// Sets the timeouts for reading and for writing in the place of `former` ones. One that is
    /// taken away does not come back, also if its direction is disabled or nothing waits.
    pub(crate) fn replace_timeouts(
        &self,
        call: &'static str,
        former: (Option<Duration>, Option<Duration>),
        (read, write): (Option<Duration>, Option<Duration>),
    ) -> Result<()> {
        self.set_timeouts(call, read, write)?;
        for (direction, former, new) in [
            (EventFlags::READ, former.0, read),
            (EventFlags::WRITE, former.1, write),
        ] {
            if former.is_some() && new.is_none() {
                // SAFETY: libevent has initialized the event, which lives as long as the
                // bufferevent, and that has its base.
                unsafe { forget_timeout(self.event_of(direction)) };
            }
        }
        Ok(())
    }

    /// Whether the kernel has refused to watch the descriptor, which libevent ignores: it is to
    /// read or to write, and waits for nothing.
    pub(crate) fn is_lost(&self) -> bool {
        let enabled = self.enabled();
        let mut high = 0;
        // SAFETY: `new`'s caller keeps the bufferevent; `high` is a local, and null is left out.
        unsafe {
            let events = EventFlags::READ.bits();
            ffi::bufferevent_getwatermark(self.raw(), events, ptr::null_mut(), &mut high);
        }
        let is_full = || high > 0 && self.input(Access::Input, "").length() >= high;
        let reads = enabled.contains(EventFlags::READ) && !is_full();
        let has_output = || self.output(Access::Output, "").length() > 0;
        let writes = enabled.contains(EventFlags::WRITE) && has_output();
        (reads || writes) && self.fd().is_some() && !self.waits()
    }

    /// Whether the loop waits for the descriptor, or for a time to pass: to read, to write, to be
    /// connected, or for TLS's handshake. Without a descriptor libevent adds its events, too, and
    /// only the time can pass.
    pub(crate) fn waits(&self) -> bool {
        let mut what = EventFlags::TIMEOUT;
        what.set(BOTH, self.fd().is_some());
        [EventFlags::READ, EventFlags::WRITE]
            .into_iter()
            .any(|direction| {
                let event = self.event_of(direction);
                // SAFETY: libevent has initialized the event, which lives as long as the bufferevent,
                // and that has its base; null asks for no time.
                unsafe { ffi::event_pending(event, what.bits(), ptr::null_mut()) != 0 }
            })
    }

    /// The event for the direction, `READ` or `WRITE`.
    fn event_of(&self, direction: EventFlags) -> *mut ffi::event {
        let offset = if direction == EventFlags::READ {
            EV_READ_OFFSET
        } else {
            // SAFETY: takes nothing, and returns a constant.
            EV_READ_OFFSET + unsafe { ffi::event_get_struct_event_size() }
        };
        // SAFETY: a bufferevent has an event at either offset.
        unsafe { self.raw().byte_add(offset) }.cast()
    }

    pub(crate) fn priority(&self) -> i32 {
        // SAFETY: `new`'s caller keeps the bufferevent.
        unsafe { ffi::bufferevent_get_priority(self.raw()) }
    }

    /// Sets the priority. Its deferred callback is in no queue, or has this priority already:
    /// it would be taken out of the wrong queue later.
    pub(crate) fn set_priority(&self, call: &'static str, priority: i32) -> Result<()> {
        // SAFETY: `new`'s caller keeps the bufferevent.
        let rc = unsafe { ffi::bufferevent_priority_set(self.raw(), priority) };
        cvt(call, rc).map(drop)
    }

    /// Sets how fast it may read and write. `bucket` is dropped after it has another, or is
    /// freed.
    pub(crate) fn set_rate_limit(
        &self,
        call: &'static str,
        bucket: Option<&RateBucket>,
    ) -> Result<()> {
        let bucket = bucket.map_or(ptr::null_mut(), RateBucket::raw);
        // SAFETY: `new`'s caller keeps the bufferevent; the class keeps `bucket` as long as it
        // is set.
        let rc = unsafe { ffi::bufferevent_set_rate_limit(self.raw(), bucket) };
        cvt(call, rc).map(drop)
    }

    /// Has the read or write callback run in a later turn of the loop, if its mark is met.
    pub(crate) fn trigger_later(&self, what: EventFlags) {
        // SAFETY: `new`'s caller keeps the bufferevent; deferred, no callback runs in here.
        unsafe { ffi::bufferevent_trigger(self.raw(), what.bits(), DEFERRED) };
    }

    /// Has the event callback run in a later turn of the loop, with `errno` as the last error.
    pub(crate) fn trigger_event_later(&self, what: BufferEventFlags, errno: i32) {
        Errno::set_raw(errno);
        // SAFETY: `new`'s caller keeps the bufferevent; deferred, no callback runs in here.
        unsafe { ffi::bufferevent_trigger_event(self.raw(), what.bits(), DEFERRED) };
    }
}

/// Callbacks of libevent's own, with their argument.
#[derive(Debug)]
pub(crate) struct ForeignCallbacks {
    read: ffi::bufferevent_data_cb,
    write: ffi::bufferevent_data_cb,
    event: ffi::bufferevent_event_cb,
    arg: *mut c_void,
}

impl ForeignCallbacks {
    /// Whether the one for events is `entry`.
    pub(crate) fn is_event(&self, entry: EventEntry) -> bool {
        self.event
            .is_some_and(|event| ptr::fn_addr_eq(event, entry))
    }

    /// # Safety
    /// libevent calls back with `bev`, and what it set the callbacks for lives.
    pub(crate) unsafe fn read(&self, bev: *mut ffi::bufferevent) {
        if let Some(read) = self.read {
            // SAFETY: libevent would call it with the same, and its object lives.
            unsafe { read(bev, self.arg) };
        }
    }

    /// # Safety
    /// As for [`read`](Self::read).
    pub(crate) unsafe fn write(&self, bev: *mut ffi::bufferevent) {
        if let Some(write) = self.write {
            // SAFETY: libevent would call it with the same, and its object lives.
            unsafe { write(bev, self.arg) };
        }
    }

    /// # Safety
    /// As for [`read`](Self::read).
    pub(crate) unsafe fn event(&self, bev: *mut ffi::bufferevent, what: c_short) {
        if let Some(event) = self.event {
            // SAFETY: libevent would call it with the same, and its object lives.
            unsafe { event(bev, what, self.arg) };
        }
    }
}

/// Makes an event of a bufferevent forget its timeout, if nothing waits for it. libevent takes
/// the timeout away from an event that is pending only; a persistent one has it again as soon as
/// it was called.
///
/// # Safety
/// `event` is initialized, and its base is not freed.
unsafe fn forget_timeout(event: *mut ffi::event) {
    const HOUR: ffi::timeval = ffi::timeval {
        tv_sec: 3600,
        tv_usec: 0,
    };
    let all = (BOTH | EventFlags::TIMEOUT).bits();
    // SAFETY: the caller keeps the event; null asks for no time.
    let pends = unsafe { ffi::event_pending(event, all, ptr::null_mut()) } != 0;
    // SAFETY: the caller keeps the event.
    let flags = EventFlags::from_bits_retain(unsafe { ffi::event_get_events(event) });
    if pends || !flags.contains(EventFlags::PERSIST) {
        return;
    }
    // SAFETY: the caller keeps the event; libevent copies the time.
    unsafe { ffi::event_add(event, &HOUR) };
    // SAFETY: the caller keeps the event. That clears the timeout for good.
    unsafe { ffi::event_remove_timer(event) };
    // SAFETY: the caller keeps the event, which was not pending before.
    unsafe { ffi::event_del(event) };
}

/// # Safety
/// `raw` is not freed while the result lives.
unsafe fn output<'a>(
    raw: NonNull<ffi::bufferevent>,
    access: Access,
    call: &'static str,
) -> BufferView<'a> {
    // SAFETY: the caller keeps `raw`, which has its buffers as long.
    let output = unsafe { ffi::bufferevent_get_output(raw.as_ptr()) };
    // SAFETY: every bufferevent has both buffers.
    let output = unsafe { NonNull::new_unchecked(output) };
    // SAFETY: the buffer lives as long as `raw`, which the caller keeps.
    unsafe { BufferView::new(output, access, call) }
}

#[cold]
fn no_memory(call: &'static str) -> Error {
    Error::Call {
        call,
        cause: Some("no memory".into()),
    }
}

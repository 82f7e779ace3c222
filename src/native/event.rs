//! Every call on an `event`.
//!
//! Owns: the event, but for its memory, which is its user's. Lends C that memory, and the weak count
//! that the event's callback gets, until the event is deleted. Runs no callback: libevent calls back
//! from the loop only.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_int, c_short, c_void};
use std::os::fd::{BorrowedFd, RawFd};
use std::ptr::{self, NonNull};
use std::rc::Rc;
use std::sync::OnceLock;
use std::time::Duration;

use nix::sys::stat::fstat;

use super::event_memory::EventMemory;
use super::{OwnedBase, timeval};
use crate::ffi;
use crate::flags::EventFlags;
use crate::runtime::error::{Result, cvt};
use crate::runtime::{AnyLent, Lent, log};

/// The C function that an event calls.
pub(crate) type Entry = unsafe extern "C" fn(c_int, c_short, *mut c_void);

/// An `event` whose callback gets a weak count; both end with this.
///
/// A signal event is added, deleted and dropped while `signals::lock` is held.
pub(crate) struct OwnedEvent {
    raw: NonNull<ffi::event>, // in the memory that `lent` keeps, dropped values or not
    lent: AnyLent,            // dropped after `drop` has deleted the event
}

impl OwnedEvent {
    /// For `Debug`.
    pub(crate) fn raw(&self) -> NonNull<ffi::event> {
        self.raw
    }

    /// Makes an event in the memory that `memory` finds in `inner`.
    ///
    /// # Safety
    /// `memory` returns a field of the `T` itself, where no other event is. `base` is dropped after
    /// this. `entry` takes its argument for a lent `T`. The descriptor `fd`, if it is one, stays
    /// the same open file until this is dropped or reassigned.
    pub(crate) unsafe fn new<T>(
        call: &'static str,
        base: &OwnedBase,
        fd: c_int,
        what: EventFlags,
        entry: Entry,
        inner: &Rc<T>,
        memory: impl FnOnce(&T) -> &EventMemory,
    ) -> Result<Self> {
        let raw = memory(inner).raw();
        let lent = Lent::new(inner).into_any();
        let (bits, arg) = (what.bits(), lent.arg());
        // SAFETY: nobody uses the memory yet; it is large enough, as `OwnedBase::new` has checked,
        // and `lent` keeps it. `base` outlives the event and `fd` is its file, as `# Safety` asks;
        // `entry` may be called with `arg` until `drop` has deleted the event.
        let rc = unsafe { ffi::event_assign(raw.as_ptr(), base.raw(), fd, bits, Some(entry), arg) };
        cvt(call, rc)?;
        Ok(Self { raw, lent })
    }

    /// Makes the event one of another base and descriptor. It is neither pending nor active.
    ///
    /// # Safety
    /// As for [`new`](Self::new).
    pub(crate) unsafe fn assign(
        &self,
        call: &'static str,
        base: &OwnedBase,
        fd: c_int,
        what: EventFlags,
    ) -> Result<()> {
        let (raw, bits, arg) = (self.raw.as_ptr(), what.bits(), self.lent.arg());
        // SAFETY: `self` owns the event.
        let entry = unsafe { ffi::event_get_callback(raw) };
        // SAFETY: `self` owns the event. This takes it out of the lists of its base, where an
        // event that is not pending may still stand.
        unsafe { ffi::event_del(raw) };
        // SAFETY: the event is in no list; the rest is as in `new`.
        let rc = unsafe { ffi::event_assign(raw, base.raw(), fd, bits, entry, arg) };
        cvt(call, rc).map(drop)
    }

    /// Moves an event that is not pending to another base.
    ///
    /// # Safety
    /// `base` is dropped after this.
    pub(crate) unsafe fn set_base(&self, call: &'static str, base: &OwnedBase) -> Result<()> {
        // SAFETY: `self` owns the event, and `base` outlives it, as `# Safety` asks.
        let rc = unsafe { ffi::event_base_set(base.raw(), self.raw.as_ptr()) };
        cvt(call, rc).map(drop)
    }

    #[inline]
    pub(crate) fn add(&self, call: &'static str, timeout: Option<Duration>) -> Result<()> {
        let timeout = timeout.map(timeval);
        let time = timeout.as_ref().map_or(ptr::null(), ptr::from_ref);
        // SAFETY: `self` owns the event; `time` is null or a local that libevent copies.
        let rc = unsafe { ffi::event_add(self.raw.as_ptr(), time) };
        cvt(call, rc).map(drop)
    }

    #[inline]
    pub(crate) fn del(&self, call: &'static str) -> Result<()> {
        // SAFETY: `self` owns the event.
        let rc = unsafe { ffi::event_del(self.raw.as_ptr()) };
        cvt(call, rc).map(drop)
    }

    /// Deletes a signal event. To end the calls it still owes, libevent writes through a
    /// pointer into the frame of its loop; it keeps the pointer, and would write there again
    /// at the next `event_del`, when the frame is gone. Activation clears it.
    pub(crate) fn del_signal(&self, call: &'static str) -> Result<()> {
        let result = self.del(call);
        // SAFETY: `self` owns the event.
        unsafe { ffi::event_active(self.raw.as_ptr(), ffi::EV_SIGNAL as c_int, 0) };
        // SAFETY: `self` owns the event.
        unsafe { ffi::event_del(self.raw.as_ptr()) };
        result
    }

    pub(crate) fn remove_timer(&self, call: &'static str) -> Result<()> {
        // SAFETY: `self` owns the event.
        let rc = unsafe { ffi::event_remove_timer(self.raw.as_ptr()) };
        cvt(call, rc).map(drop)
    }

    /// Whether any of `flags` is pending or active.
    pub(crate) fn pends(&self, flags: EventFlags) -> bool {
        // SAFETY: `self` owns the event; null asks for no time.
        let set = unsafe { ffi::event_pending(self.raw.as_ptr(), flags.bits(), ptr::null_mut()) };
        set != 0
    }

    /// Whether the time of a descriptor's event is over, and its callback has not run since.
    pub(crate) fn is_overdue(&self) -> bool {
        // SAFETY: `self` owns the event.
        unsafe { is_overdue(self.raw.as_ptr()) }
    }

    /// The event's descriptor, or -1.
    pub(crate) fn descriptor(&self) -> RawFd {
        // SAFETY: `self` owns the event.
        unsafe { ffi::event_get_fd(self.raw.as_ptr()) }
    }

    /// The flags that the event was made with.
    pub(crate) fn flags(&self) -> EventFlags {
        // SAFETY: `self` owns the event.
        EventFlags::from_bits_retain(unsafe { ffi::event_get_events(self.raw.as_ptr()) })
    }

    /// The type of the event's file, as `S_IFREG`, if it has one.
    pub(crate) fn file_type(&self) -> Option<libc::mode_t> {
        let fd = Some(self.descriptor()).filter(|fd| *fd >= 0)?;
        // SAFETY: the file of `fd` stays open while `self` lives, as `new` asks.
        let fd = unsafe { BorrowedFd::borrow_raw(fd) };
        Some(fstat(fd).ok()?.st_mode & libc::S_IFMT)
    }

    /// Makes the event active. Not for a signal event, whose owed calls libevent would lose.
    pub(crate) fn activate(&self, what: EventFlags) {
        // SAFETY: `self` owns the event; the number of calls matters to signal events only.
        unsafe { ffi::event_active(self.raw.as_ptr(), what.bits().into(), 1) };
    }

    /// Sets the priority; refuses while the event is active, and a number that the base lacks.
    pub(crate) fn set_priority(&self, priority: i32) -> bool {
        // SAFETY: `self` owns the event.
        unsafe { ffi::event_priority_set(self.raw.as_ptr(), priority) == 0 }
    }
}

impl Drop for OwnedEvent {
    fn drop(&mut self) {
        // SAFETY: made in `new`; its base is dropped later, as `new` asks, and `lent` keeps the
        // memory until this has taken the event out of the base's lists.
        unsafe { ffi::event_del(self.raw.as_ptr()) };
    }
}

/// Whether the time of a descriptor's event is over, and its callback has not run since. libevent
/// does not watch its descriptor then. If it is added, its time begins anew, and still nothing is
/// watched: it has to be deleted first.
///
/// # Safety
/// `event` is initialized, and its base is not freed.
pub(super) unsafe fn is_overdue(event: *const ffi::event) -> bool {
    let waits = EventFlags::READ | EventFlags::WRITE | EventFlags::CLOSED;
    let all = (waits | EventFlags::TIMEOUT).bits();
    // SAFETY: the caller keeps the event; null asks for no time.
    let pending = unsafe { ffi::event_pending(event, all, ptr::null_mut()) };
    pending == EventFlags::TIMEOUT.bits().into()
}

/// The names of the backends that this system has.
pub(crate) fn supported_methods() -> &'static [String] {
    static METHODS: OnceLock<Vec<String>> = OnceLock::new();
    METHODS.get_or_init(|| {
        log::install();
        let mut methods = Vec::new();
        // SAFETY: libevent frees the list of the call before; there is none: this is the only
        // call of the process.
        let mut name = unsafe { ffi::event_get_supported_methods() };
        while !name.is_null() {
            // SAFETY: `name` points into the list, whose last entry is null.
            let text = unsafe { *name };
            if text.is_null() {
                break;
            }
            // SAFETY: the entries are constants of the backends.
            let text = unsafe { CStr::from_ptr(text) };
            methods.push(text.to_string_lossy().into_owned());
            // SAFETY: the entry is not the last one, which is null.
            name = unsafe { name.add(1) };
        }
        methods
    })
}

//! What the handles, events and other objects of one base share, and how it ends.
//!
//! Owns: the `event_base`; the handles of detached objects; in a forked child, what could not
//! be freed yet. Lends C nothing.
//! Runs user code: callbacks, in [`Inner::calling`]; the destructors of what it keeps.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::c_int;
use std::os::fd::RawFd;
use std::rc::{Rc, Weak};
use std::{fmt, mem, ptr};

use super::Handle;
use crate::error::{Error, Result};
#[cfg(any(test, feature = "openssl"))]
use crate::ffi;
use crate::flags::LoopFlags;
use crate::native::OwnedBase;
use crate::runtime::{self, Ending, LoopScope, generation, signals};

/// How many turns a base runs at its end to finish freed objects. A turn serves one priority,
/// and a stack, such as TLS on a filter on a pair, takes a turn for each layer.
const LAST_TURNS: usize = 64;

/// No process's generation.
const FREED: u64 = u64::MAX;

pub(crate) struct Inner {
    pub(super) native: OwnedBase,
    generation: Cell<u32>, // of the process that it belongs to
    depth: Cell<u32>,      // how many C calls that may run callbacks are on the stack
    usable_in: Cell<u64>,  // the same, or `FREED`: one look tells whether C may be called
    pub(super) handle: RefCell<Weak<Handle>>, // what the public handles share, while there is one
    pub(super) top_priority: Cell<i32>, // no event of this base ever had a higher number
    pub(super) events_of_c: Cell<bool>, // libevent makes events of its own here at any time
    pub(super) signals: RefCell<HashMap<usize, Added>>, // signal events, by address
    pub(super) kept: RefCell<HashMap<usize, Box<dyn Any>>>, // handles of detached objects, by address
    pub(super) embedder: Cell<usize>,                       // see `EventBase::embedder_number`
    owes_a_turn: Cell<bool>, // the loop has freed objects to finish, see `Inner::drop`
    pub(super) remains: RefCell<Vec<Box<dyn KeptRemains>>>,
    pub(super) inherited: RefCell<Vec<Weak<dyn Inherited>>>,
}

impl Inner {
    pub(super) fn new(native: OwnedBase) -> Self {
        Self {
            native,
            generation: Cell::new(generation()),
            usable_in: Cell::new(generation().into()),
            depth: Cell::new(0),
            handle: RefCell::default(),
            top_priority: Cell::new(0),
            events_of_c: Cell::new(false),
            signals: RefCell::default(),
            kept: RefCell::default(),
            embedder: Cell::new(0),
            owes_a_turn: Cell::new(false),
            remains: RefCell::default(),
            inherited: RefCell::default(),
        }
    }

    pub(crate) fn native(&self) -> &OwnedBase {
        &self.native
    }

    #[cfg(any(test, feature = "openssl"))]
    pub(crate) fn raw(&self) -> *mut ffi::event_base {
        self.native.raw()
    }

    /// Whether this process is a child, made by `fork`, that has not called `re_init` yet.
    #[inline]
    pub(crate) fn is_foreign(&self) -> bool {
        self.generation.get() != generation()
    }

    #[inline]
    pub(crate) fn is_freed(&self) -> bool {
        self.usable_in.get() == FREED
    }

    /// Makes it one that is freed: no call of C's is made with it, except at its end.
    pub(super) fn set_freed(&self) {
        self.usable_in.set(FREED);
    }

    /// Makes it this process's own.
    pub(super) fn settle_here(&self) {
        self.generation.set(generation());
        self.usable_in.set(generation().into());
    }

    /// Refuses a base that C must not be called with.
    #[inline]
    pub(crate) fn usable(&self, call: &'static str) -> Result<()> {
        if self.usable_in.get() == u64::from(generation()) {
            return Ok(());
        }
        Err(self.unusable(call))
    }

    #[cold]
    fn unusable(&self, call: &'static str) -> Error {
        if self.is_foreign() {
            return Error::Forked { call };
        }
        Error::Freed {
            call,
            object: "base",
        }
    }

    /// Refuses a descriptor that the backend cannot watch: `select` has room for the numbers
    /// below 1,024, and the C library ends the process at a higher one.
    pub(crate) fn watchable(&self, call: &'static str, fd: RawFd) -> Result<()> {
        let Some(limit) = self.native.descriptor_limit() else {
            return Ok(());
        };
        if fd < limit {
            return Ok(());
        }
        let reason = format!(
            "select cannot watch descriptor {fd}, only those below {limit}: allow the base epoll or poll, \
             or lower the limit of descriptors (ulimit -n)"
        );
        Err(Error::argument(call, reason))
    }

    /// Refuses what must not happen in a callback of this base.
    pub(super) fn at_rest(&self, call: &'static str, reason: &'static str) -> Result<()> {
        if self.depth.get() == 0 {
            Ok(())
        } else {
            Err(Error::State { call, reason })
        }
    }

    /// Ends the loop after the running callback. Touches this process's memory only.
    pub(crate) fn stop(&self) {
        self.native.stop();
    }

    pub(crate) fn note_priority(&self, priority: i32) {
        self.top_priority.set(self.top_priority.get().max(priority));
    }

    /// The priority that libevent gives a new event: the middle one.
    pub(crate) fn middle_priority(&self) -> i32 {
        self.native.priorities() / 2
    }

    /// Notes that from now on libevent makes events of its own here at any time, or assigns
    /// some anew, with the middle priority of that time.
    pub(crate) fn expect_events_of_c(&self) {
        self.events_of_c.set(true);
        self.note_priority(self.middle_priority());
    }

    /// Whether no callback is waiting for its turn, libevent's own included. The one that is
    /// running does not count.
    pub(crate) fn is_idle(&self) -> bool {
        self.native.is_idle()
    }

    /// Runs a C call that may call back, outside of a loop too, and raises the panic that a
    /// callback ended in. No loop of this base starts meanwhile: it could free the object that C
    /// works on.
    pub(crate) fn calling<T>(&self, call: impl FnOnce() -> T) -> T {
        let _aside = runtime::set_aside();
        let result = self.calling_silent(call);
        runtime::resume();
        result
    }

    /// As [`calling`](Self::calling), for a call that runs no closure.
    pub(crate) fn calling_silent<T>(&self, call: impl FnOnce() -> T) -> T {
        let _depth = Depth::enter(self);
        let _scope = LoopScope::enter();
        call()
    }

    /// Whether a public handle is left; the last one drops what the base keeps.
    fn has_handle(&self) -> bool {
        self.handle.borrow().strong_count() > 0
    }

    /// Keeps the handle of a detached object at `address` until [`let_go`](Self::let_go). Drops
    /// it if no public handle is left, since it would then be kept for ever.
    pub(crate) fn keep(&self, address: usize, handle: impl Any) {
        if !self.has_handle() {
            return;
        }
        let before = self.kept.borrow_mut().insert(address, Box::new(handle));
        drop(before); // another handle of the same object, hence not the last
    }

    /// Returns the handle that the base kept of the object at `address`, for the caller to
    /// drop.
    pub(crate) fn let_go(&self, address: usize) -> Option<Box<dyn Any>> {
        self.kept.borrow_mut().remove(&address)
    }

    /// Drops the handles of detached objects, each of whose destructors may run user code.
    pub(super) fn drop_kept(&self) {
        let kept = self.kept.take(); // nothing is borrowed from here on
        let mut ending = Ending::default();
        kept.into_values().for_each(|handle| ending.drop(handle));
        ending.finish();
    }

    /// Frees what is left of an object. A forked child that has not called `re_init` must not
    /// call C: there the base keeps it until then.
    pub(crate) fn end(&self, remains: impl Remains + 'static) {
        if self.is_foreign() {
            self.adopt(Box::new(remains));
        } else {
            remains.free(self);
        }
    }

    /// Keeps what cannot be freed now until `re_init` in a forked child, or the base's end.
    pub(crate) fn adopt(&self, remains: Box<dyn KeptRemains>) {
        self.remains.borrow_mut().push(remains);
    }

    /// Makes `re_init` tell `object` that it is in a child now.
    pub(crate) fn disown_in_children(&self, object: Weak<dyn Inherited>) {
        let mut inherited = self.inherited.borrow_mut();
        inherited.retain(|object| object.strong_count() > 0);
        inherited.push(object);
    }

    /// Notes that a signal event is added, and takes the signal for this base.
    pub(crate) fn add_signal(
        &self,
        call: &'static str,
        record: &mut signals::Record,
        address: usize,
        added: Added,
    ) -> Result<()> {
        record.claim(call, self.address())?;
        let signum = added.signum;
        if self.signals.borrow_mut().insert(address, added).is_none() {
            record.take(signum);
        }
        Ok(())
    }

    /// Notes that the signal event at `address` is not added any more.
    pub(crate) fn remove_signal(&self, record: &mut signals::Record, address: usize) {
        if let Some(added) = self.signals.borrow_mut().remove(&address) {
            record.give_back(self.address(), added.signum);
        }
    }

    /// In a child: takes the signals of this base's added events again, for `re_init`. Those
    /// that were dropped count, too, until they are freed.
    pub(super) fn retake_signals(
        &self,
        call: &'static str,
        record: &mut signals::Record,
    ) -> Result<()> {
        let signals = self.signals.borrow();
        if !signals.is_empty() {
            record.claim(call, self.address())?;
        }
        signals.values().for_each(|added| record.take(added.signum));
        Ok(())
    }

    /// Identifies this base in the record of signals.
    fn address(&self) -> usize {
        ptr::from_ref(self).addr()
    }

    /// Notes that libevent has objects to free in a later turn of the loop.
    pub(crate) fn owe_a_turn(&self) {
        self.owes_a_turn.set(true);
    }

    /// Runs the turns in which libevent frees objects: `event_base_free` alone would leak them.
    /// No user callback is left to run.
    fn finish(&self) {
        let _signals = signals::lock(); // libevent looks at its process-wide signal state
        for _turn in 0..LAST_TURNS {
            self.native.run(LoopFlags::ONCE | LoopFlags::NONBLOCK);
            if self.is_idle() {
                break;
            }
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if self.is_foreign() {
            // Freeing would tell the parent's epoll set to forget the parent's events.
            self.remains.take().into_iter().for_each(mem::forget);
            self.native.leak();
            return;
        }
        if self.owes_a_turn.get() {
            self.finish();
        }
        let mut ending = Ending::default();
        for remains in self.remains.take() {
            self.finish();
            ending.run(|| remains.free(self));
        }
        ending.finish();
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner")
            .field("native", &self.native)
            .field("depth", &self.depth)
            .finish_non_exhaustive()
    }
}

impl runtime::Loop for Inner {
    fn stop(&self) {
        self.native.stop();
    }

    fn is_foreign(&self) -> bool {
        self.is_foreign()
    }
}

/// What is left of an object after its last handle has gone: what C holds of it.
pub(crate) trait Remains {
    /// Frees it, in the process that its base belongs to.
    fn free(self, base: &Inner);
}

/// The same on the heap, where a base keeps it.
pub(crate) trait KeptRemains {
    fn free(self: Box<Self>, base: &Inner);
}

impl<R: Remains> KeptRemains for R {
    fn free(self: Box<Self>, base: &Inner) {
        Remains::free(*self, base);
    }
}

/// A signal event that is added to a base.
pub(crate) struct Added {
    pub(crate) signum: c_int,
    pub(crate) event: Rc<dyn SignalEvent>,
}

/// A signal event that its base does not keep.
pub(crate) trait SignalEvent {
    /// Deletes it, if it is there still: the signal does again what it did before. Runs no user
    /// code.
    fn stop(&self);
}

/// An object that a forked child must give up, because it shares with its parent a resource
/// that only one of them may use.
pub(crate) trait Inherited {
    /// Ends it in this process, a child that has called `re_init`.
    fn disown(&self);
}

/// Counts a C call on the base, for as long as it lives.
struct Depth<'a>(&'a Cell<u32>);

impl<'a> Depth<'a> {
    fn enter(inner: &'a Inner) -> Self {
        inner.depth.set(inner.depth.get() + 1);
        Self(&inner.depth)
    }
}

impl Drop for Depth<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

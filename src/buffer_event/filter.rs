//! A buffer event on top of another, whose bytes pass through closures on their way.
//!
//! Owns: the closures, through the filter's `kept`. Lent to C: one weak count of [`State`],
//! from [`EventBufferEvent::create_filter`] until libevent has ended the filter.
//! Runs user code: the closures, through `trampoline`, from the loop and from methods that
//! write into the filter or read out of it.
#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::fmt;
use std::ptr::NonNull;
use std::rc::{Rc, Weak};

use super::{EventBufferEvent, Inner, Kind, Native, check_direction, check_options};
use crate::buffer::{EventBuffer, Lender, Side};
use crate::error::{Error, Result};
use crate::flags::{BufferEventFlags, BufferEventOptions, EventFlags, FilterResult, FlushMode};
use crate::native::bufferevent::{BufferEventPlace, OwnedBufferEvent};
use crate::native::evbuffer::{Access, BufferView, PassedBuffer};
use crate::runtime::{Lent, Slot};
use crate::trampoline::{on_filter_input, on_filter_output};
use crate::{base, ffi};

pub(crate) type Transform =
    dyn FnMut(&EventBuffer, &EventBuffer, Option<usize>, FlushMode) -> FilterResult;

/// The closures of a filter; for [`EventBufferEvent::create_filter`]. A direction without
/// one lets bytes pass as they are.
///
/// A closure gets the buffer to take from, the buffer to put into, how many bytes it should
/// put at most, and why it is called. It takes what it can use, puts what comes of it, and
/// tells how it went. Both buffers are its own only until it returns: those that are kept
/// answer [`Error::Freed`] afterwards. [`EventBuffer::append_from`] moves bytes from one to the
/// other without a copy.
///
/// PHP has no such thing. libevent: `bufferevent_filter_cb`.
///
/// # Examples
/// ```
/// use php_event::{FilterResult, Filters};
///
/// // Lets messages through whole: four bytes each.
/// let whole = Filters::new().on_input(|source, destination, _limit, _mode| {
///     if source.length() < 4 {
///         return FilterResult::NeedMore;
///     }
///     destination.append_from(source, 4).map_or(FilterResult::Error, |_n| FilterResult::Ok)
/// });
/// # drop(whole);
/// ```
#[derive(Default)]
#[doc(alias = "bufferevent_filter_cb")]
pub struct Filters {
    input: Option<Box<Transform>>,
    output: Option<Box<Transform>>,
}

impl Filters {
    /// No closures: everything passes.
    ///
    /// # Examples
    /// ```
    /// assert_eq!(
    ///     format!("{:?}", php_event::Filters::new()),
    ///     "Filters { input: false, output: false }"
    /// );
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What is done to bytes that come in: from the input of the buffer event below to the
    /// input of the filter.
    ///
    /// # Examples
    /// ```
    /// # use php_event::{BufferEventOptions, Event, EventBase, EventBufferEvent, FilterResult, Filters};
    /// # let base = EventBase::new()?;
    /// # let (under, peer) = EventBufferEvent::create_pair(&base, BufferEventOptions::empty())?;
    /// let nothing = Filters::new().on_input(|source, _destination, _limit, _mode| {
    ///     source.drain(source.length()).map_or(FilterResult::Error, |()| FilterResult::Ok)
    /// });
    /// let deaf = EventBufferEvent::create_filter(&under, nothing, BufferEventOptions::empty())?;
    /// deaf.enable(Event::READ)?;
    /// peer.write("hello")?;
    /// base.dispatch()?;
    /// assert_eq!(deaf.read(9)?, None);
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[must_use]
    pub fn on_input(
        mut self,
        filter: impl FnMut(&EventBuffer, &EventBuffer, Option<usize>, FlushMode) -> FilterResult
        + 'static,
    ) -> Self {
        self.input = Some(Box::new(filter));
        self
    }

    /// What is done to bytes that go out: from the output of the filter to the output of the
    /// buffer event below.
    ///
    /// # Examples
    /// ```
    /// # use php_event::{BufferEventOptions, Event, EventBase, EventBufferEvent, FilterResult, Filters};
    /// # let base = EventBase::new()?;
    /// # let (under, peer) = EventBufferEvent::create_pair(&base, BufferEventOptions::empty())?;
    /// let lines = Filters::new().on_output(|source, destination, _limit, _mode| {
    ///     let line = destination.add_buffer(source).and_then(|()| destination.add("\n"));
    ///     line.map_or(FilterResult::Error, |()| FilterResult::Ok)
    /// });
    /// let filter = EventBufferEvent::create_filter(&under, lines, BufferEventOptions::empty())?;
    /// filter.write("hello")?;
    /// assert_eq!(under.output().length(), 6);
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[must_use]
    pub fn on_output(
        mut self,
        filter: impl FnMut(&EventBuffer, &EventBuffer, Option<usize>, FlushMode) -> FilterResult
        + 'static,
    ) -> Self {
        self.output = Some(Box::new(filter));
        self
    }
}

impl fmt::Debug for Filters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filters")
            .field("input", &self.input.is_some())
            .field("output", &self.output.is_some())
            .finish()
    }
}

/// What C's filter calls lead to.
pub(crate) struct State {
    owner: RefCell<Weak<Inner>>, // the filter
    input: Stage,
    output: Stage,
}

/// One direction.
pub(crate) struct Stage {
    f: Slot<Transform>,
    window: Rc<Window>,
    source: EventBuffer, // both look through `window`
    destination: EventBuffer,
    idle: Cell<Option<(usize, FlushMode)>>, // what waited when the closure last took none
}

/// The buffers of a running call; none outside of it.
struct Window {
    source: PassedBuffer,
    destination: PassedBuffer,
    base: Rc<base::Inner>,
}

impl Lender for Window {
    fn view(&self, call: &'static str, side: Side) -> Result<BufferView<'_>> {
        let passed = match side {
            Side::Input => &self.source,
            Side::Output => &self.destination,
        };
        let freed = Error::Freed {
            call,
            object: "filter's buffer",
        };
        let view = passed.view(call).ok_or(freed)?;
        self.base.usable(call)?;
        Ok(view)
    }

    fn base(&self) -> Option<Rc<base::Inner>> {
        Some(Rc::clone(&self.base))
    }
}

impl Stage {
    fn new(f: Option<Box<Transform>>, base: &Rc<base::Inner>) -> Self {
        let window = Rc::new(Window {
            source: PassedBuffer::default(),
            destination: PassedBuffer::default(),
            base: Rc::clone(base),
        });
        let slot = Slot::empty();
        drop(slot.set(f)); // it was empty
        Self {
            f: slot,
            source: EventBuffer::lent(Rc::clone(&window) as _, Side::Input),
            destination: EventBuffer::lent(Rc::clone(&window) as _, Side::Output),
            window,
            idle: Cell::new(None),
        }
    }

    /// Runs the closure on C's buffers. A closure that is running is not entered again.
    ///
    /// # Safety
    /// Both buffers live until this returns.
    pub(crate) unsafe fn run(
        &self,
        source: NonNull<ffi::evbuffer>,
        destination: NonNull<ffi::evbuffer>,
        limit: Option<usize>,
        mode: FlushMode,
    ) -> FilterResult {
        // SAFETY: the caller keeps the buffer until this returns.
        let waiting = || unsafe { BufferView::new(source, Access::Lent, "") }.length();
        let before = waiting();
        let idle = self.idle.take();
        if before > 0 && idle == Some((before, mode)) {
            // libevent asks until nothing waits, and this is all. The next flush may ask again.
            self.idle.set(idle.filter(|_| mode == FlushMode::Normal));
            return FilterResult::NeedMore;
        }
        let mut result = FilterResult::NeedMore;
        self.f.call(|f| {
            // SAFETY: the caller keeps the buffer until this returns.
            let _source = unsafe { self.window.source.hold(source) };
            // SAFETY: the caller keeps the buffer until this returns.
            let _destination = unsafe { self.window.destination.hold(destination) };
            result = f(&self.source, &self.destination, limit, mode);
        });
        let after = waiting();
        if result == FilterResult::Ok && after >= before {
            self.idle.set(Some((after, mode)));
        }
        result
    }
}

impl State {
    pub(crate) fn owner(&self) -> Option<Rc<Inner>> {
        self.owner.borrow().upgrade()
    }

    pub(crate) fn stage(&self, side: Side) -> &Stage {
        match side {
            Side::Input => &self.input,
            Side::Output => &self.output,
        }
    }

    /// The closure cannot go on: its direction ends as that of a socket does.
    pub(crate) fn fail(owner: &Inner, side: Side) {
        let (what, direction) = match side {
            Side::Input => (BufferEventFlags::READING, EventFlags::READ),
            Side::Output => (BufferEventFlags::WRITING, EventFlags::WRITE),
        };
        let Ok(view) = owner.usable("") else { return };
        view.disable("", direction).ok();
        owner.happen_later(what | BufferEventFlags::ERROR, libc::EPROTO);
    }
}

impl EventBufferEvent {
    /// Makes a buffer event whose bytes pass through closures on their way from and to
    /// `under`.
    ///
    /// It has callbacks, watermarks and timeouts of its own; those of `under` rest until it
    /// is gone. `under` starts reading and writing; on the filter `WRITE` is enabled, `READ`
    /// is not. It counts on `under`; with `OPT_CLOSE_ON_FREE` freeing the filter frees
    /// `under` too. A filter may be put on a filter, and on a half of a pair.
    ///
    /// The write callback means that the bytes have reached `under`, not the peer.
    ///
    /// PHP has no such method; its `createSslFilter` is the same with TLS for the closures.
    /// libevent: `bufferevent_filter_new`.
    ///
    /// # Errors
    /// [`Error::State`] when a filter is on `under` already, and for the buffer event of an
    /// HTTP connection; [`Error::Argument`] as [`new`](Self::new); [`Error::Freed`],
    /// [`Error::Forked`]; [`Error::Call`] without memory.
    ///
    /// # Examples
    /// ```
    /// use php_event::{
    ///     BufferEventOptions, Callbacks, Event, EventBase, EventBufferEvent, FilterResult, Filters,
    /// };
    ///
    /// let base = EventBase::new()?;
    /// let (one, other) = EventBufferEvent::create_pair(&base, BufferEventOptions::empty())?;
    /// let loud = Filters::new().on_output(|source, destination, _limit, _mode| {
    ///     let Ok(Some(bytes)) = source.read(1024) else { return FilterResult::NeedMore };
    ///     destination.add(bytes.to_ascii_uppercase()).unwrap();
    ///     FilterResult::Ok
    /// });
    /// let filter = EventBufferEvent::create_filter(&one, loud, EventBufferEvent::OPT_CLOSE_ON_FREE)?;
    /// other.set_callbacks(Callbacks::new().on_read(|bev| {
    ///     assert_eq!(bev.read(9).unwrap().as_deref(), Some(&b"HELLO"[..]));
    /// }))?;
    /// other.enable(Event::READ)?;
    /// filter.write("hello")?;
    /// base.dispatch()?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(alias = "bufferevent_filter_new")]
    pub fn create_filter(
        under: &Self,
        filters: Filters,
        options: BufferEventOptions,
    ) -> Result<Self> {
        const CALL: &str = "EventBufferEvent::createFilter";
        let below = under.0.usable(CALL)?;
        if under.0.is_taken() {
            return Err(Error::State {
                call: CALL,
                reason: "a filter or an HTTP connection is on top of it already",
            });
        }
        let for_c = check_options(CALL, options)?;
        let base = under.0.base();
        let Filters { input, output } = filters;
        let (reading, writing) = (input.is_some(), output.is_some());
        let state = Rc::new(State {
            owner: RefCell::default(),
            input: Stage::new(input, &base),
            output: Stage::new(output, &base),
        });
        let entries = [
            reading.then_some(on_filter_input as _),
            writing.then_some(on_filter_output as _),
        ];
        let lent = Lent::new(&state);
        // SAFETY: the entry points take their argument for a `State`, and `is_taken` has found
        // no filter.
        let owned = base
            .calling(|| unsafe { OwnedBufferEvent::filter(CALL, below, entries, for_c, lent) })?;
        let native = Native {
            under: Some(under.clone()),
            kept: Some(Box::new(Rc::clone(&state))),
            ..Native::new(BufferEventPlace::owned(owned), Kind::Filter, options)
        };
        let filter = Self::from_native(&base, native);
        state.owner.replace(Rc::downgrade(&filter.0));
        Ok(filter)
    }

    /// Moves what waits, as far as it goes: through a filter's closures, or to the other
    /// half of a pair, enabled or not. On a socket it does nothing.
    ///
    /// With [`FlushMode::Finished`] the other half of a pair is told the end, `EOF`, for
    /// each direction. Answers whether a filter moved anything.
    ///
    /// PHP has no such method. libevent: `bufferevent_flush`.
    ///
    /// # Errors
    /// [`Error::State`] when the other half of the pair is freed; [`Error::Argument`] for
    /// other flags than `READ` and `WRITE`; [`Error::Freed`], [`Error::Forked`].
    ///
    /// # Examples
    /// ```
    /// # use php_event::{BufferEventOptions, Event, EventBase, EventBufferEvent};
    /// # let base = EventBase::new()?;
    /// # let (bev, peer) = EventBufferEvent::create_pair(&base, BufferEventOptions::empty())?;
    /// peer.enable(Event::READ)?;
    /// bev.write("last words")?;
    /// bev.flush(Event::WRITE, php_event::FlushMode::Finished)?; // tells `peer` the end
    /// bev.free();
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(alias = "bufferevent_flush")]
    pub fn flush(&self, events: EventFlags, mode: FlushMode) -> Result<bool> {
        const CALL: &str = "EventBufferEvent::flush";
        self.0.usable(CALL)?;
        let events = check_direction(CALL, events)?;
        match self.0.kind {
            Kind::Filter => self.push(CALL, events, mode),
            _ => {
                let rc = self.with(CALL, |view| view.flush(events, mode))?;
                let alone = Error::State {
                    call: CALL,
                    reason: "the other half of the pair is freed",
                };
                if rc == -1 { Err(alone) } else { Ok(false) }
            }
        }
    }

    /// Flushes a filter, which does not tell of what it read in this way.
    pub(super) fn push(
        &self,
        call: &'static str,
        events: EventFlags,
        mode: FlushMode,
    ) -> Result<bool> {
        let mut moved = false;
        for direction in [EventFlags::READ, EventFlags::WRITE] {
            if !events.contains(direction) || self.0.usable(call).is_err() {
                continue; // a closure of the first direction may have freed it
            }
            if direction == EventFlags::READ && mode == FlushMode::Normal && !self.has_input() {
                continue; // libevent would ask the closure for nothing
            }
            let rc = self.with(call, |view| view.flush(direction, mode))?;
            if rc == 1 {
                moved = true;
                if direction == EventFlags::READ {
                    self.0.run_later(direction);
                }
            }
        }
        Ok(moved)
    }

    /// After the read callback of a filter: takes what the read high mark kept back. libevent
    /// looks only whether the mark is still met, and forgets the rest if it is not.
    pub(crate) fn refill(&self) {
        const CALL: &str = "EventBufferEvent::read";
        let Ok(view) = self.0.usable(CALL) else {
            return;
        };
        if self.0.kind == Kind::Filter && view.read_high_mark() > 0 {
            self.push(CALL, EventFlags::READ, FlushMode::Normal).ok(); // not freed
        }
    }

    /// Whether bytes wait in the input of what is under a filter.
    fn has_input(&self) -> bool {
        let under = self.0.under.borrow().clone();
        under.is_some_and(|under| under.input().length() > 0)
    }
}

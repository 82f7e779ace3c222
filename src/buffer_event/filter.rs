//! A buffer event on top of another, whose bytes pass through closures on their way.
//!
//! Owns: the closures. Lends C one weak count of [`State`], from
//! [`EventBufferEvent::create_filter`] until libevent has ended the filter.
//! Runs user code: the closures, from the loop and from methods that write into the filter or
//! read out of it.
#![allow(unsafe_code)]

mod entry;
mod stage;
pub(super) mod tally;

use std::fmt;
use std::rc::Rc;

pub(super) use stage::State;
use stage::{Stage, Transform};

use super::carrier::{Carrier, Kind, Under};
use super::{EventBufferEvent, check_direction, check_options};
use crate::buffer::EventBuffer;
use crate::error::{Error, Result};
use crate::flags::{BufferEventOptions, EventFlags, FilterResult, FlushMode};
use crate::native::bufferevent::{BufferEventView, OwnedBufferEvent};
use crate::runtime::Lent;

/// The closures of a filter, for [`EventBufferEvent::create_filter`]. Without a closure, bytes of
/// that direction pass unchanged.
///
/// A closure gets the buffer to take from, the buffer to add to, the most bytes that it should
/// add, and the reason for the call. It takes the bytes that it can use, adds the result, and
/// returns how it went. The buffers can be used until it returns; kept ones return
/// [`Error::Freed`] afterwards. [`EventBuffer::append_from`] moves bytes from one to the other
/// without copying them.
///
/// PHP has no filters. libevent: `bufferevent_filter_cb`.
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
#[must_use = "closures do nothing until create_filter gets them"]
#[doc(alias = "bufferevent_filter_cb")]
pub struct Filters {
    input: Option<Box<Transform>>,
    output: Option<Box<Transform>>,
}

impl Filters {
    /// No closures: all bytes pass unchanged.
    ///
    /// # Examples
    /// ```
    /// assert_eq!(
    ///     format!("{:?}", php_event::Filters::new()),
    ///     "Filters { input: false, output: false }"
    /// );
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Transforms bytes that come in, from the input of the buffer event below to the input of the
    /// filter.
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
    pub fn on_input(
        mut self,
        filter: impl FnMut(&EventBuffer, &EventBuffer, Option<usize>, FlushMode) -> FilterResult
        + 'static,
    ) -> Self {
        self.input = Some(Box::new(filter));
        self
    }

    /// Transforms bytes that go out, from the output of the filter to the output of the buffer
    /// event below.
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

impl EventBufferEvent {
    /// Makes a buffer event whose bytes pass through closures on their way from and to
    /// `under`.
    ///
    /// It has its own callbacks, watermarks and timeouts; the callbacks of `under` are not called
    /// until the filter is gone. `under` starts reading and writing. On the filter `WRITE` is
    /// enabled and `READ` is not. The filter keeps `under` alive, and with `OPT_CLOSE_ON_FREE`
    /// freeing the filter frees `under` too. A filter may be put on another filter, and on one
    /// half of a pair. A read high mark of `under` must let in as much as the closure waits for.
    /// Free filters from the top down: while there is one on a filter that was freed, what is
    /// under that may stay without reading.
    ///
    /// The write callback means that the bytes have reached the output of `under`, not the peer.
    /// A filter may be freed then: if `under` ends with it, its socket closes once it has sent its
    /// output, or when it fails, when nothing could be sent for its write timeout (30 seconds if
    /// it has none), or when the base is freed.
    ///
    /// PHP has no such method; its `createSslFilter` does the same with TLS in place of closures.
    /// libevent: `bufferevent_filter_new`.
    ///
    /// # Errors
    /// [`Error::State`] when a filter is on `under` already, when `under` is the 64th filter on top
    /// of others, when it was closed, and for the buffer event of an HTTP connection;
    /// [`Error::Argument`] as [`new`](Self::new); [`Error::Freed`], [`Error::Forked`]. Without
    /// memory the process ends: libevent does not check.
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
        under.0.may_be_covered(CALL)?;
        let for_c = check_options(CALL, options)?;
        let base = under.0.base();
        let Filters { input, output } = filters;
        let (reading, writing) = (input.is_some(), output.is_some());
        let state = Rc::new(State::new(
            Stage::new(input, &base),
            Stage::new(output, &base),
        ));
        let entries = [
            reading.then_some(entry::on_input as _),
            writing.then_some(entry::on_output as _),
        ];
        let lent = Lent::new(&state);
        // SAFETY: the entry points take their argument for a `State`; `may_be_covered` found
        // no filter.
        let owned = base
            .calling(|| unsafe { OwnedBufferEvent::filter(CALL, below, entries, for_c, lent) })?;
        let carrier = Carrier::Filter {
            under: Under::new(under),
            state: Rc::clone(&state),
        };
        let filter = Self::made(&base, owned, carrier, options);
        state.set_owner(&filter.0);
        under.0.restart_write_timer(); // libevent has enabled `WRITE`
        Ok(filter)
    }

    /// Moves waiting bytes as far as possible: through a filter's closures, or to the other half
    /// of a pair, whether the direction is enabled or not. On a socket it does nothing.
    ///
    /// [`FlushMode::Finished`] also reports `EOF`, for each direction, to the other half of a
    /// pair. Returns whether a filter moved anything.
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
    /// bev.flush(Event::WRITE, php_event::FlushMode::Finished)?; // `peer` gets EOF
    /// bev.free();
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(alias = "bufferevent_flush")]
    pub fn flush(&self, events: EventFlags, mode: FlushMode) -> Result<bool> {
        const CALL: &str = "EventBufferEvent::flush";
        self.0.usable(CALL)?;
        let events = check_direction(CALL, events)?;
        match self.0.kind() {
            Kind::Filter => {
                let moved = self.push(CALL, events, mode)?;
                self.flush_pair(events, mode);
                Ok(moved)
            }
            _ => {
                let rc = self.with(CALL, |view| view.flush(events, mode))?;
                self.flush_pair(events, mode);
                let alone = Error::State {
                    call: CALL,
                    reason: "the other half of the pair is freed",
                };
                if rc == -1 { Err(alone) } else { Ok(false) }
            }
        }
    }

    /// Moves what the first flush of the pair below left: it moves no more than fits below the
    /// read high mark, though an end after the rest is on its way.
    fn flush_pair(&self, events: EventFlags, mode: FlushMode) {
        let bottom = self.bottom();
        if bottom.0.kind() == Kind::Pair && mode != FlushMode::Normal {
            let flush = |view: BufferEventView<'_>| view.flush(events, FlushMode::Flush);
            bottom.with("", flush).ok(); // the other half may be freed
        }
    }

    /// What is under all filters.
    pub(super) fn bottom(&self) -> Self {
        self.0.below().last().unwrap_or_else(|| self.clone())
    }

    /// Flushes a filter. libevent does not call its read callback for what it reads in this way.
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
                // libevent would ask the closure for nothing. What waits further down comes
                // through the read callback of the filter below.
                if let Some(under) = self.filter_below() {
                    under.push(call, direction, mode)?;
                }
                continue;
            }
            if self.0.is_above_freed() {
                continue;
            }
            let rc = self.with(call, |view| view.flush(direction, mode))?;
            if rc == 1 {
                moved = true;
                if direction == EventFlags::READ {
                    self.0.run_later(direction);
                }
            }
            if direction == EventFlags::READ {
                self.read_on_below();
            }
        }
        #[cfg(feature = "openssl")]
        if events.contains(EventFlags::READ) {
            self.bottom().0.take_pending(); // it did not read while a filter on it did not
        }
        Ok(moved)
    }

    /// libevent flushes the filters below after this one, without their read callbacks. Has those
    /// run that have bytes for the filter above.
    fn read_on_below(&self) {
        let mut top = self.clone();
        while let Some(under) = top.filter_below() {
            if top.has_input() && top.has_room() {
                under.0.run_later(EventFlags::READ);
            }
            top = under;
        }
    }

    /// The filter below this one. TLS filters do not count.
    fn filter_below(&self) -> Option<Self> {
        self.0
            .under()
            .filter(|under| under.0.kind() == Kind::Filter)
    }

    /// Whether it reads, and its input is below the read high mark.
    fn has_room(&self) -> bool {
        let view = self.0.usable("");
        view.is_ok_and(|view| view.enabled().contains(EventFlags::READ)) && !self.0.is_full()
    }

    /// After the read callback of a filter: fetches what its read high mark has kept back at once,
    /// before the end can be told.
    #[inline]
    pub(super) fn refill(&self) {
        if self.0.settings.read_high_mark.get() > 0 {
            self.refill_to_mark();
        }
    }

    fn refill_to_mark(&self) {
        const CALL: &str = "EventBufferEvent::read";
        if self.0.kind() == Kind::Filter && self.0.usable(CALL).is_ok() {
            self.push(CALL, EventFlags::READ, FlushMode::Normal).ok(); // not freed
        }
    }

    /// Whether bytes wait in the input of what is under a filter.
    pub(super) fn has_input(&self) -> bool {
        let under = self.0.under();
        under.is_some_and(|under| under.input().length() > 0)
    }
}

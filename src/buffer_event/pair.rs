//! Two buffer events that are each other's peer.
//!
//! Owns, lends to C: nothing of its own. Runs user code: nothing; the callbacks of a pair
//! are always deferred.
#![allow(unsafe_code)]

use super::{EventBufferEvent, Kind, Native, check_options};
use crate::EventBase;
use crate::error::Result;
use crate::flags::BufferEventOptions;
use crate::native::bufferevent::{BufferEventPlace, OwnedBufferEvent};

impl EventBufferEvent {
    /// Makes two that are connected with each other, without descriptors: what one writes,
    /// the other reads.
    ///
    /// `WRITE` is enabled on both, `READ` on none; what is written waits until the other
    /// reads. Callbacks are always deferred. Freeing one half does not tell the other, to
    /// which it is as a peer that is silent for ever: call
    /// [`flush`](Self::flush)`(Event::WRITE, FlushMode::Finished)` before, which tells it
    /// `READING | EOF`.
    ///
    /// PHP: `EventBufferEvent::createPair`. libevent: `bufferevent_pair_new`. Unlike PHP's,
    /// the halves do not keep themselves: each goes with its last handle.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    ///
    /// # Examples
    /// ```
    /// use php_event::{BufferEventOptions, Callbacks, Event, EventBase, EventBufferEvent};
    ///
    /// let base = EventBase::new()?;
    /// let (one, other) = EventBufferEvent::create_pair(&base, BufferEventOptions::empty())?;
    /// other.set_callbacks(Callbacks::new().on_read(|bev| {
    ///     assert_eq!(bev.read(9).unwrap().as_deref(), Some(&b"hello"[..]));
    /// }))?;
    /// other.enable(Event::READ)?;
    /// one.write("hello")?;
    /// base.dispatch()?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(alias = "EventBufferEvent::createPair", alias = "bufferevent_pair_new")]
    pub fn create_pair(base: &EventBase, options: BufferEventOptions) -> Result<(Self, Self)> {
        const CALL: &str = "EventBufferEvent::createPair";
        let base = base.inner();
        base.usable(CALL)?;
        let for_c = check_options(CALL, options)?;
        // SAFETY: `from_native` keeps `base` until `Inner::release`.
        let (one, other) = unsafe { OwnedBufferEvent::pair(CALL, base.native(), for_c) }?;
        let half = |owned| {
            let place = BufferEventPlace::owned(owned);
            Self::from_native(base, Native::new(place, Kind::Pair, options))
        };
        Ok((half(one), half(other)))
    }
}

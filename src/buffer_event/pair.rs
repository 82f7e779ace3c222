//! Two buffer events that are each other's peer.
//!
//! Owns nothing, lends C nothing. Runs no user code: the callbacks of a pair are always deferred.
#![allow(unsafe_code)]

use std::rc::Rc;

use php_event_macros::php;

use super::carrier::Carrier;
use super::{EventBufferEvent, check_options};
use crate::EventBase;
use crate::error::Result;
use crate::flags::BufferEventOptions;
use crate::native::bufferevent::OwnedBufferEvent;

impl EventBufferEvent {
    /// Makes two buffer events, without descriptors, that are connected to each other: what one
    /// writes, the other reads.
    ///
    /// `WRITE` is enabled on both, `READ` on neither; what is written waits until the other half
    /// reads. Callbacks are always deferred. Freeing one half reports nothing to the other. Call
    /// [`flush`](Self::flush)`(Event::WRITE, FlushMode::Finished)` first: it reports
    /// `READING | EOF` there. As on a socket, an end and a timeout disable their direction, and the
    /// write timeout counts while output waits. What is written after such an end waits until the
    /// other half enables `READ` again, which does not report the end again.
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
    #[php(
        "EventBufferEvent::createPair",
        php_note = ", whose halves keep themselves alive; here each ends with its last handle",
        c = "bufferevent_pair_new"
    )]
    pub fn create_pair(base: &EventBase, options: BufferEventOptions) -> Result<(Self, Self)> {
        let base = base.inner();
        base.usable(CALL)?;
        let for_c = check_options(CALL, options)?;
        // SAFETY: each half keeps `base` until it has been freed.
        let (one, other) = unsafe { OwnedBufferEvent::pair(CALL, base.native(), for_c) }?;
        let halves = Rc::default();
        let half = |owned| Self::made(base, owned, Carrier::Pair(Rc::clone(&halves)), options);
        Ok((half(one), half(other)))
    }
}

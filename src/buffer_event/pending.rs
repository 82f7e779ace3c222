//! Whether anything may still come from a buffer event.
//!
//! Owns, lends to C: nothing. Runs no user code.

use super::EventBufferEvent;
use super::carrier::Carrier;
#[cfg(feature = "openssl")]
use super::carrier::Kind;
use super::inner::{Inner, Link};
use crate::buffer::{Lender as _, Side};
use crate::flags::EventFlags;
use crate::native::bufferevent::BufferEventView;

impl EventBufferEvent {
    /// Whether the loop may still call one of its closures by itself, or when another object brings
    /// bytes: it reads, has output that waits, is being connected, or shakes hands. One without a
    /// socket or peer, or whose socket or peer is gone, is not pending.
    ///
    /// Not in PHP. For embedders: a collector of cycles must not free one that is pending. After a
    /// handshake libevent watches the socket until bytes come, or reading is disabled. One whose
    /// callbacks are deferred counts as pending while any callbacks of the base wait for their turn,
    /// and in a forked child all do until [`EventBase::re_init`](crate::EventBase::re_init).
    ///
    /// # Examples
    /// ```
    /// # use php_event::{BufferEventOptions, Event, EventBase, EventBufferEvent};
    /// # let base = EventBase::new()?;
    /// # let (bev, peer) = EventBufferEvent::create_pair(&base, BufferEventOptions::empty())?;
    /// assert!(!bev.is_pending());
    /// bev.enable(Event::READ)?;
    /// assert!(bev.is_pending());
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.0.is_pending()
    }
}

impl Inner {
    fn is_pending(&self) -> bool {
        let Some(view) = self.place.view().filter(|_| !self.base.is_freed()) else {
            return false;
        };
        self.base.is_foreign()
            || view.waits()
            || self.write_timer.is_pending()
            || self.pause.is_on()
            || matches!(&*self.link.borrow(), Link::Dialing(_))
            || self.is_owed_a_callback()
            || self.may_go_on(&view)
            || self.shakes_hands()
    }

    /// Whether its deferred callback may be among the callbacks that wait for their turn.
    fn is_owed_a_callback(&self) -> bool {
        self.deferred.possible.get() && !self.base.native().is_idle()
    }

    /// Whether it is enabled for what may come although none of its events in libevent waits.
    fn may_go_on(&self, view: &BufferEventView<'_>) -> bool {
        let enabled = view.enabled();
        let reads = enabled.contains(EventFlags::READ);
        let has_output = self.length(Side::Output).is_some_and(|waits| waits > 0);
        let writes = enabled.contains(EventFlags::WRITE) && has_output;
        let is_limited = || self.settings.bucket.borrow().is_some() && view.fd().is_some();
        match &*self.carrier.borrow() {
            // Otherwise its events wait as long as it has a socket.
            Carrier::Socket(_) if !self.covered.get() => {
                (reads && self.is_full()) || ((reads || writes) && is_limited())
            }
            Carrier::Socket(_) => reads || writes,
            #[cfg(feature = "openssl")]
            Carrier::Tls { .. } => (reads || writes) && view.fd().is_some(),
            Carrier::Pair(halves) => (reads || writes) && halves.has_peer(),
            Carrier::Filter { under, .. } => (reads || writes) && under.bev.0.may_bring(),
            #[cfg(feature = "openssl")]
            Carrier::TlsFilter { under, .. } => (reads || writes) && under.bev.0.may_bring(),
            Carrier::View => reads || has_output,
            Carrier::Freed => false,
        }
    }

    /// Whether a filter on top may hear of it, if its user does something with it.
    fn may_bring(&self) -> bool {
        let is_closed = matches!(&*self.link.borrow(), Link::Closed(_));
        let carried = match &*self.carrier.borrow() {
            Carrier::Freed => false,
            Carrier::Pair(halves) => halves.has_peer(),
            carrier => carrier.under().is_none_or(|under| under.bev.0.may_bring()),
        };
        carried && !is_closed
    }

    /// Whether TLS's handshake is under way on top of another buffer event, which then reads.
    #[cfg(feature = "openssl")]
    fn shakes_hands(&self) -> bool {
        let is_open = self.tls().is_some_and(|tls| tls.is_established());
        self.kind() == Kind::TlsFilter
            && !is_open
            && self.under().is_some_and(|under| under.is_pending())
    }

    #[cfg(not(feature = "openssl"))]
    fn shakes_hands(&self) -> bool {
        false
    }
}

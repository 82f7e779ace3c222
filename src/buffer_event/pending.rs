//! Whether anything may still come from a buffer event.
//!
//! Owns, lends to C: nothing. Runs no user code.

use super::EventBufferEvent;
#[cfg(feature = "openssl")]
use super::carrier::Kind;
use super::inner::Link;
use crate::buffer::{Lender as _, Side};
use crate::flags::EventFlags;

impl EventBufferEvent {
    /// Whether the loop may still call one of its closures by itself: it reads, has output that
    /// waits, is being connected, or shakes hands.
    ///
    /// Not in PHP. For embedders: a collector of cycles must not free one that is pending. After a
    /// handshake libevent watches the socket until bytes come, or reading is disabled.
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
        let Ok(view) = self.0.usable("") else {
            return false;
        };
        let reads = || {
            let enabled = self.get_enabled();
            enabled.is_ok_and(|enabled| enabled.contains(EventFlags::READ))
        };
        view.waits()
            || matches!(&*self.0.link.borrow(), Link::Dialing(_))
            || reads()
            || self.0.length(Side::Output).is_some_and(|waits| waits > 0)
            || self.shakes_hands()
    }

    /// Whether TLS's handshake is under way on top of another buffer event, which then reads.
    #[cfg(feature = "openssl")]
    fn shakes_hands(&self) -> bool {
        let is_open = self.0.tls().is_some_and(|tls| tls.is_established());
        self.0.kind() == Kind::TlsFilter
            && !is_open
            && self.0.under().is_some_and(|under| under.is_pending())
    }

    #[cfg(not(feature = "openssl"))]
    fn shakes_hands(&self) -> bool {
        false
    }
}

//! What carries the bytes of a buffer event: a socket, or another buffer event.
//!
//! Owns: the socket, the TLS session, the closures of a filter, a handle of what is under it.
//! Lends C: nothing here. Runs no user code.

#[cfg(feature = "openssl")]
use std::cell::Ref;
use std::iter;
use std::rc::Rc;

use super::EventBufferEvent;
use super::ending::Halves;
use super::filter::State;
use super::inner::Inner;
use super::relay::Relay;
use super::source::Source;
#[cfg(feature = "openssl")]
use super::tls::Tls;
use crate::runtime::Lent;

/// What libevent made the buffer event as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// On a socket, or to be connected.
    Socket,
    /// One half of a pair.
    Pair,
    /// On top of another buffer event, with closures between the two.
    Filter,
    /// As `Socket`, with TLS.
    #[cfg(feature = "openssl")]
    Tls,
    /// TLS on top of another buffer event.
    #[cfg(feature = "openssl")]
    TlsFilter,
    /// One that libevent owns, for an HTTP connection: it can only be looked at.
    View,
    /// Freed.
    Freed,
}

impl Kind {
    /// Whether [`WriteTimer`](super::write_timer::WriteTimer) counts the time that output waits.
    pub(super) fn counts_output(self) -> bool {
        match self {
            Self::Pair | Self::Filter => true,
            #[cfg(feature = "openssl")]
            Self::TlsFilter => true,
            _ => false,
        }
    }

    /// Whether a change of its buffers may run code of the user's at once. On a plain socket it
    /// adds and deletes libevent's events; between the halves of a pair it moves bytes, and what is
    /// called for them is deferred.
    pub(super) fn calls_back(self) -> bool {
        !matches!(self, Self::Socket | Self::Pair)
    }

    /// Whether it has a socket of its own, or may be given one.
    pub(super) fn has_socket(self) -> bool {
        match self {
            Self::Socket => true,
            #[cfg(feature = "openssl")]
            Self::Tls => true,
            _ => false,
        }
    }
}

/// What a buffer event stands on, with what libevent must find alive in its callbacks.
pub(super) enum Carrier {
    Socket(Option<Rc<Source>>),
    Pair(Rc<Halves>),
    Filter {
        under: Under,
        state: Rc<State>,
    },
    #[cfg(feature = "openssl")]
    Tls {
        tls: Tls,
        source: Option<Rc<Source>>,
    },
    #[cfg(feature = "openssl")]
    TlsFilter {
        tls: Tls,
        under: Under,
    },
    View,
    Freed,
}

/// The buffer event under a filter, and the callbacks that libevent's filter has on it.
pub(super) struct Under {
    pub(super) bev: EventBufferEvent,
    pub(super) relay: Option<(Rc<Relay>, Lent<Relay>)>, // none until the filter is made
}

impl Under {
    pub(super) fn new(bev: &EventBufferEvent) -> Self {
        Self {
            bev: bev.clone(),
            relay: None,
        }
    }
}

impl Carrier {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Socket(_) => Kind::Socket,
            Self::Pair(_) => Kind::Pair,
            Self::Filter { .. } => Kind::Filter,
            #[cfg(feature = "openssl")]
            Self::Tls { .. } => Kind::Tls,
            #[cfg(feature = "openssl")]
            Self::TlsFilter { .. } => Kind::TlsFilter,
            Self::View => Kind::View,
            Self::Freed => Kind::Freed,
        }
    }

    pub(super) fn source(&self) -> Option<&Rc<Source>> {
        match self {
            Self::Socket(source) => source.as_ref(),
            #[cfg(feature = "openssl")]
            Self::Tls { source, .. } => source.as_ref(),
            _ => None,
        }
    }

    /// Replaces the socket of one that may have one; gives back the old one, to be dropped when
    /// nothing is borrowed.
    #[must_use]
    pub(super) fn set_source(&mut self, new: Option<Rc<Source>>) -> Option<Rc<Source>> {
        match self {
            Self::Socket(source) => std::mem::replace(source, new),
            #[cfg(feature = "openssl")]
            Self::Tls { source, .. } => std::mem::replace(source, new),
            _ => new,
        }
    }

    pub(super) fn under(&self) -> Option<&Under> {
        match self {
            Self::Filter { under, .. } => Some(under),
            #[cfg(feature = "openssl")]
            Self::TlsFilter { under, .. } => Some(under),
            _ => None,
        }
    }

    pub(super) fn under_mut(&mut self) -> Option<&mut Under> {
        match self {
            Self::Filter { under, .. } => Some(under),
            #[cfg(feature = "openssl")]
            Self::TlsFilter { under, .. } => Some(under),
            _ => None,
        }
    }

    #[cfg(feature = "openssl")]
    pub(super) fn tls(&self) -> Option<&Tls> {
        match self {
            Self::Tls { tls, .. } | Self::TlsFilter { tls, .. } => Some(tls),
            _ => None,
        }
    }

    #[cfg(feature = "openssl")]
    pub(super) fn tls_mut(&mut self) -> Option<&mut Tls> {
        match self {
            Self::Tls { tls, .. } | Self::TlsFilter { tls, .. } => Some(tls),
            _ => None,
        }
    }
}

impl Inner {
    pub(super) fn kind(&self) -> Kind {
        self.carrier.borrow().kind()
    }

    /// The TLS session, if there is one. No user code runs while it is borrowed.
    #[cfg(feature = "openssl")]
    pub(super) fn tls(&self) -> Option<Ref<'_, Tls>> {
        Ref::filter_map(self.carrier.borrow(), Carrier::tls).ok()
    }

    pub(super) fn source(&self) -> Option<Rc<Source>> {
        self.carrier.borrow().source().cloned()
    }

    /// The buffer event under a filter.
    pub(super) fn under(&self) -> Option<EventBufferEvent> {
        let carrier = self.carrier.borrow();
        carrier.under().map(|under| under.bev.clone())
    }

    /// The buffer events under a filter, the next one first.
    pub(super) fn below(&self) -> impl Iterator<Item = EventBufferEvent> {
        iter::successors(self.under(), |bev| bev.0.under())
    }

    /// Whether a filter below was freed. libevent would still move bytes through it.
    pub(super) fn is_above_freed(&self) -> bool {
        self.below().any(|under| under.0.kind() == Kind::Freed)
    }
}

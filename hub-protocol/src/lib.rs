//! The Mercure protocol and WebSocket framing: bytes in, values out.
//!
//! No sockets, no clock, no store. A hub hands in what a request carried; this crate says what it
//! means, or why it is refused, with the status code. It speaks both forms of the protocol: the
//! one that clients use today (`topic`, the `mercure` claim) and the one that is being
//! standardized (`match`, `authorization_details`).
//!
//! - [`publish`] reads a `POST` body into a [`publish::Draft`], [`subscribe`] reads the query of
//!   a `GET`.
//! - [`matcher`] compares topics with what subscribers ask for, and
//!   [`Subscriptions`] finds the subscribers of an update.
//! - [`token`] checks access tokens.
//! - [`active`] describes active subscriptions.
//! - [`update`] encodes updates for stores, [`event_stream`] for `EventSource`, [`websocket`]
//!   for WebSocket.
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic
    )
)]

pub mod active;
pub mod event_stream;
mod form;
mod hub_url;
pub mod matcher;
pub mod publish;
mod refusal;
pub mod subscribe;
mod subscriptions;
mod text;
pub mod token;
pub mod update;
pub mod websocket;

pub use hub_url::{HubUrl, HubUrlError, Topic};
pub use matcher::{Matcher, MatcherCache, MatcherKind};
pub use refusal::{BearerError, Refusal, Status};
pub use subscriptions::Subscriptions;
pub use update::Update;

/// Which form of the protocol a request, a token or an answer belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// The form that clients of the 0.x hubs speak: draft 07 of the specification and before.
    Deployed,
    /// The form that is being standardized: draft 08.
    Standard,
}

/// The forms that a hub accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Forms {
    /// Whether [`Form::Deployed`] is accepted.
    pub deployed: bool,
    /// Whether [`Form::Standard`] is accepted.
    pub standard: bool,
}

impl Default for Forms {
    /// Both.
    fn default() -> Self {
        Self {
            deployed: true,
            standard: true,
        }
    }
}

impl Forms {
    /// Whether `form` is accepted.
    #[must_use]
    pub const fn accept(self, form: Form) -> bool {
        match form {
            Form::Deployed => self.deployed,
            Form::Standard => self.standard,
        }
    }
}

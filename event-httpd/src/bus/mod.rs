//! The bus between workers: what one publishes reaches all the others, in order.
//!
//! It is a star. Each worker has an [`Uplink`] to the master, whose [`Relay`] gives messages to the
//! [`Exchange`] of the app: by default it passes them on.

mod exchange;
mod frame;
mod link;
mod relay;
mod uplink;

pub(crate) use exchange::{Exchange, Lines, PassOn};
pub(crate) use relay::{Relay, WorkerMessage};
pub(crate) use uplink::{Notice, Uplink};

//! What every callback needs, whatever class it belongs to.
//!
//! A class lends C one weak count of its `Inner` with [`Lent::new`], and takes it back with
//! [`reclaim`] after libevent has forgotten it. An entry point that C calls turns the pointer
//! into an `Rc` with [`upgrade`], runs the user's closure in [`guard()`] and drops what may be
//! the last handle in [`release`]. The method that called into C ends with [`resume`], which
//! raises the panic that a closure ended in.
//!
//! Knows `ffi` only: no class, and nothing of `native`.

mod ending;
pub(crate) mod error;
mod fork;
mod generation;
mod guard;
mod lend;
pub(crate) mod log;
mod loops;
pub(crate) mod memory;
pub(crate) mod signals;
mod slot;
mod waiting;

pub(crate) use ending::{Ending, discard};
pub(crate) use fork::watch_forks;
pub(crate) use generation::generation;
pub(crate) use guard::{Loop, failure_waits, guard, interrupt, release, resume, set_aside};
pub(crate) use lend::{AnyLent, Lent, reclaim, upgrade};
pub(crate) use loops::{LoopScope, in_loop};
pub(crate) use slot::{Called, Slot};

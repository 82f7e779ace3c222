//! What the tests of this workspace share. One name has one meaning here, and no helper sleeps
//! where a condition can be waited for.
#![allow(
    clippy::len_without_is_empty,
    clippy::new_without_default,
    reason = "for tests, which need neither"
)]

mod alone;
pub mod callgrind;
mod calls;
pub mod dns;
mod drops;
pub mod faults;
pub mod http_cases;
mod limits;
mod loops;
mod programs;
pub mod requests;
mod seen;
mod signals;
mod sources;
pub mod tls;
mod tls_flood;
mod tls_relay;
mod tls_requests;
pub mod websocket;

pub use alone::alone;
pub use calls::{base_calls, event_calls};
pub use drops::{Bomb, Drops, OnDrop, Token, panic_of};
pub use limits::raise_descriptor_limit;
pub use loops::{
    LIMIT, NEVER, NOW, base_with, limited, ms, new_base, poll, precise_base, run, run_as, run_once,
    time_factor,
};
pub use programs::{spawn, spawn_bound_to_thread};
pub use seen::{Seen, noting};
pub use signals::{set_disposition, signals_turn};
pub use sources::{FreesBase, Owning, Readable, dup, fill, pair, take_filling};

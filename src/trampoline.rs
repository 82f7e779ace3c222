//! The entry points that have not moved beside their class yet.
#![allow(unsafe_code)]

mod buffer_event;
mod http;

pub(crate) use buffer_event::{
    on_bev_event, on_bev_read, on_bev_write, on_filter_input, on_filter_output,
};
pub(crate) use http::{
    on_accept_error, on_bufferevent, on_close, on_complete, on_input, on_request, on_turn,
};

pub(crate) use crate::runtime::{Slot, lend, reclaim};
use crate::runtime::{guard, panic_waits, release, upgrade};

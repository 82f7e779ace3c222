//! The entry points that have not moved beside their class yet.
#![allow(unsafe_code)]

mod buffer_event;

pub(crate) use buffer_event::{
    on_bev_event, on_bev_read, on_bev_write, on_filter_input, on_filter_output,
};

use crate::runtime::{guard, panic_waits, release, upgrade};

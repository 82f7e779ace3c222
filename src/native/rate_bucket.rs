//! Every call on an `ev_token_bucket_cfg`.
//!
//! Owns: the limit. Lends C nothing, runs no callback.
#![allow(unsafe_code)]

use std::ptr::NonNull;
use std::time::Duration;

use super::timeval;
use crate::ffi;
use crate::runtime::error::{Result, cvt_owned};

/// Rates and bursts, in bytes: how many more a bufferevent may read or write after each tick,
/// and how many at once.
#[derive(Debug)]
pub(crate) struct RateBucket {
    raw: NonNull<ffi::ev_token_bucket_cfg>,
}

impl RateBucket {
    /// `read` and `write` are a rate and a burst, the rate not above the burst and neither above
    /// `isize::MAX`; a tick is from a millisecond to a day.
    pub(crate) fn new(
        call: &'static str,
        read: (usize, usize),
        write: (usize, usize),
        tick: Duration,
    ) -> Result<Self> {
        let tick = timeval(tick);
        // SAFETY: libevent copies the tick.
        let raw = unsafe { ffi::ev_token_bucket_cfg_new(read.0, read.1, write.0, write.1, &tick) };
        cvt_owned(call, raw).map(|raw| Self { raw })
    }

    pub(super) fn raw(&self) -> *mut ffi::ev_token_bucket_cfg {
        self.raw.as_ptr()
    }
}

impl Drop for RateBucket {
    fn drop(&mut self) {
        // SAFETY: made in `new`, freed only here: no bufferevent has it any more.
        unsafe { ffi::ev_token_bucket_cfg_free(self.raw()) };
    }
}

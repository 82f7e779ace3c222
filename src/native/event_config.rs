//! Every call on an `event_config`.
//!
//! Owns: the config. Lends C nothing, runs no callback.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::ptr::{self, NonNull};
use std::time::Duration;

use super::timeval;
use crate::ffi;
use crate::flags::{BaseFlags, EventFeatures};
use crate::runtime::error::{Result, cvt, cvt_owned};

/// An `event_config`, freed with this.
#[derive(Debug)]
pub(crate) struct OwnedConfig {
    raw: NonNull<ffi::event_config>,
}

impl OwnedConfig {
    pub(crate) fn new(call: &'static str) -> Result<Self> {
        // SAFETY: takes nothing.
        let raw = cvt_owned(call, unsafe { ffi::event_config_new() })?;
        Ok(Self { raw })
    }

    pub(super) fn raw(&self) -> *const ffi::event_config {
        self.raw.as_ptr()
    }

    pub(crate) fn avoid_method(&self, call: &'static str, name: &CStr) -> Result<()> {
        // SAFETY: `self` owns the config; libevent copies the name.
        let rc = unsafe { ffi::event_config_avoid_method(self.raw.as_ptr(), name.as_ptr()) };
        cvt(call, rc).map(drop)
    }

    pub(crate) fn require_features(
        &self,
        call: &'static str,
        features: EventFeatures,
    ) -> Result<()> {
        let bits = features.bits().cast_signed();
        // SAFETY: `self` owns the config.
        let rc = unsafe { ffi::event_config_require_features(self.raw.as_ptr(), bits) };
        cvt(call, rc).map(drop)
    }

    pub(crate) fn set_flags(&self, call: &'static str, flags: BaseFlags) -> Result<()> {
        let bits = flags.bits().cast_signed();
        // SAFETY: `self` owns the config.
        let rc = unsafe { ffi::event_config_set_flag(self.raw.as_ptr(), bits) };
        cvt(call, rc).map(drop)
    }

    pub(crate) fn set_max_dispatch_interval(
        &self,
        call: &'static str,
        interval: Option<Duration>,
        callbacks: i32,
        min_priority: i32,
    ) -> Result<()> {
        let interval = interval.map(timeval);
        let interval = interval.as_ref().map_or(ptr::null(), ptr::from_ref);
        // SAFETY: `self` owns the config; `interval` is null or a local that libevent copies.
        let rc = unsafe {
            ffi::event_config_set_max_dispatch_interval(
                self.raw.as_ptr(),
                interval,
                callbacks,
                min_priority,
            )
        };
        cvt(call, rc).map(drop)
    }
}

impl Drop for OwnedConfig {
    fn drop(&mut self) {
        // SAFETY: made in `new`, freed only here; bases copy what they need of it.
        unsafe { ffi::event_config_free(self.raw.as_ptr()) };
    }
}

//! Every call on an `evhttp_uri`: what libevent made of a request's target.
//!
//! Owns nothing, lends C nothing. No call here runs a callback.
#![allow(unsafe_code)]

use std::marker::PhantomData;
use std::ptr::NonNull;

use super::evkeyvalq::bytes;
use crate::ffi;

/// A request's parsed target for the length of one call.
pub(super) struct UriView<'a> {
    raw: NonNull<ffi::evhttp_uri>,
    _request: PhantomData<&'a ()>,
}

impl<'a> UriView<'a> {
    /// # Safety
    /// `raw` belongs to a request that is not freed during `'a`.
    pub(super) unsafe fn new(raw: NonNull<ffi::evhttp_uri>) -> Self {
        Self {
            raw,
            _request: PhantomData,
        }
    }

    /// The path, with its escapes.
    pub(super) fn path(&self) -> Option<&'a [u8]> {
        // SAFETY: `new` asks that the target lives.
        let path = unsafe { ffi::evhttp_uri_get_path(self.raw.as_ptr()) };
        // SAFETY: libevent never changes the path, and frees it with the request.
        unsafe { bytes(path) }
    }
}

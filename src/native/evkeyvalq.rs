//! Every call on an `evkeyvalq`: one of the two header lists of a request.
//!
//! Owns nothing, lends C nothing. No call here runs a callback.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char};
use std::marker::PhantomData;
use std::ptr::NonNull;

use crate::ffi;
use crate::runtime::error::{Result, cvt};

/// A header list for the length of one call.
pub(crate) struct HeaderList<'a> {
    raw: NonNull<ffi::evkeyvalq>,
    _request: PhantomData<&'a ()>,
}

impl HeaderList<'_> {
    /// # Safety
    /// `raw` is the list of a request that is not freed while this lives.
    pub(super) unsafe fn new(raw: NonNull<ffi::evkeyvalq>) -> Self {
        Self {
            raw,
            _request: PhantomData,
        }
    }

    /// Names and values, in the order in which they were added.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        // SAFETY: `new` asks that the list lives.
        let mut next = unsafe { self.raw.as_ref() }.tqh_first;
        std::iter::from_fn(move || {
            // SAFETY: an entry of the list, or the null after the last one. The list does not
            // change while `self` is borrowed: what changes it borrows it mutably.
            let entry = unsafe { next.as_ref() }?;
            next = entry.next.tqe_next;
            // SAFETY: libevent's copy of the name, which lives as long as the entry.
            let name = unsafe { bytes(entry.key) }.unwrap_or_default();
            // SAFETY: libevent's copy of the value, which lives as long as the entry.
            let value = unsafe { bytes(entry.value) }.unwrap_or_default();
            Some((name, value))
        })
    }

    /// The value of the first header of that name, whatever its case.
    pub(crate) fn find(&self, name: &CStr) -> Option<&[u8]> {
        // SAFETY: `new` asks that the list lives.
        let value = unsafe { ffi::evhttp_find_header(self.raw.as_ptr(), name.as_ptr()) };
        // SAFETY: libevent's copy, which does not change while `self` is borrowed.
        unsafe { bytes(value) }
    }

    /// Appends a header. libevent refuses CR and LF, and looks at nothing else.
    pub(crate) fn add(&mut self, call: &'static str, name: &CStr, value: &CStr) -> Result<()> {
        let list = self.raw.as_ptr();
        // SAFETY: `new` asks that the list lives; libevent copies both texts.
        let rc = unsafe { ffi::evhttp_add_header(list, name.as_ptr(), value.as_ptr()) };
        cvt(call, rc).map(drop)
    }

    /// Removes the first header of that name; returns whether there was one.
    pub(crate) fn remove(&mut self, name: &CStr) -> bool {
        // SAFETY: `new` asks that the list lives.
        unsafe { ffi::evhttp_remove_header(self.raw.as_ptr(), name.as_ptr()) == 0 }
    }

    pub(crate) fn clear(&mut self) {
        // SAFETY: `new` asks that the list lives.
        unsafe { ffi::evhttp_clear_headers(self.raw.as_ptr()) };
    }
}

/// # Safety
/// `text` is null, or a C string that lives unchanged for `'a`.
pub(super) unsafe fn bytes<'a>(text: *const c_char) -> Option<&'a [u8]> {
    if text.is_null() {
        return None;
    }
    // SAFETY: not null; `# Safety` asks for the rest.
    Some(unsafe { CStr::from_ptr(text) }.to_bytes())
}

//! A buffer that C passes to a callback.
//!
//! Owns nothing. Lends C nothing.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ptr::NonNull;

use super::{Access, BufferView};
use crate::ffi;

/// The place of a buffer that C passes to a callback: empty outside of the call.
#[derive(Debug, Default)]
pub(crate) struct PassedBuffer(Cell<Option<NonNull<ffi::evbuffer>>>);

impl PassedBuffer {
    /// Holds the buffer until the result is dropped, by a panic too.
    ///
    /// # Safety
    /// The buffer is not freed before the result is dropped.
    #[must_use]
    pub(crate) unsafe fn hold(&self, raw: NonNull<ffi::evbuffer>) -> Held<'_> {
        self.0.set(Some(raw));
        Held(self)
    }

    /// The buffer, during the call.
    pub(crate) fn view(&self, call: &'static str) -> Option<BufferView<'_>> {
        let raw = self.0.get()?;
        // SAFETY: `hold`'s caller keeps the buffer until it is taken out of here.
        Some(unsafe { BufferView::new(raw, Access::Lent, call) })
    }
}

/// Empties a [`PassedBuffer`] when it goes.
pub(crate) struct Held<'a>(&'a PassedBuffer);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.0.set(None);
    }
}

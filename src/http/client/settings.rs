//! What a client's connections have from their beginning on.
//!
//! Owns, lends to C: nothing. Runs no user code.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use crate::error::{Result, c_text};
use crate::{MAX_TIMEOUT, base, ffi};

/// Bytes of an answer's head, and of its body, until the user says otherwise.
const HEADERS_MAX: usize = 64 * 1024;
const BODY_MAX: usize = 64 * 1024 * 1024;

/// What may come beside head and body: the sizes of chunks, and what one read brings.
const READ_AHEAD: usize = 64 * 1024;

/// How long a server may be silent until the user says otherwise: libevent's own time.
const SILENCE_MAX: Duration = Duration::from_secs(50);

/// The pause before the first retry, and the longest one: libevent's own times.
const RETRY_FIRST: Duration = Duration::from_secs(2);
const RETRY_MAX: Duration = Duration::from_secs(3600);

#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) headers_max: Option<usize>,
    pub(super) body_max: Option<usize>,
    pub(super) silence_max: Option<Duration>,
    pub(super) retries: Option<u32>, // `None` is for ever
    pub(super) retry_first: Duration,
    pub(super) local_address: Option<IpAddr>,
    pub(super) local_port: u16,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            headers_max: Some(HEADERS_MAX),
            body_max: Some(BODY_MAX),
            silence_max: Some(SILENCE_MAX),
            retries: Some(0),
            retry_first: RETRY_FIRST,
            local_address: None,
            local_port: 0,
        }
    }
}

impl Settings {
    /// # Safety
    /// `raw` is a live connection.
    pub(super) unsafe fn apply(&self, raw: *mut ffi::evhttp_connection) {
        let limit = |size: Option<usize>| size.and_then(|size| size.try_into().ok()).unwrap_or(-1);
        // SAFETY: the caller's duty, here and below.
        unsafe { ffi::evhttp_connection_set_max_headers_size(raw, limit(self.headers_max)) };
        // SAFETY: as above.
        unsafe { ffi::evhttp_connection_set_max_body_size(raw, limit(self.body_max)) };
        let time = base::timeval(self.silence_max.unwrap_or(MAX_TIMEOUT)); // null is 50 seconds
        // SAFETY: as above; libevent copies the time.
        unsafe { ffi::evhttp_connection_set_timeout_tv(raw, &time) };
    }

    /// How much may wait to be read: more than any answer within the limits needs.
    pub(super) fn input_max(&self) -> usize {
        let limits = self.headers_max.zip(self.body_max);
        limits.map_or(usize::MAX, |(headers, body)| {
            headers.saturating_add(body).saturating_add(READ_AHEAD)
        })
    }

    pub(super) fn pause(&self, attempt: u32) -> Duration {
        let factor = 1_u32.checked_shl(attempt).unwrap_or(u32::MAX);
        self.retry_first.saturating_mul(factor).min(RETRY_MAX)
    }

    /// # Safety
    /// `raw` is live, and was not connected yet.
    pub(super) unsafe fn bind(&self, raw: *mut ffi::evhttp_connection, to: IpAddr) -> Result<()> {
        let any = match to {
            IpAddr::V4(_) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(_) => IpAddr::from(Ipv6Addr::UNSPECIFIED),
        };
        let local = match (self.local_address, self.local_port) {
            (Some(ip), _) => ip,
            (None, 0) => return Ok(()),
            (None, _) => any,
        };
        let call = "EventHttpConnection::makeRequest";
        let local: CString = c_text(call, "address", local.to_string())?;
        // SAFETY: the caller's duty; libevent copies the text.
        unsafe { ffi::evhttp_connection_set_local_address(raw, local.as_ptr()) };
        // SAFETY: the caller's duty.
        unsafe { ffi::evhttp_connection_set_local_port(raw, self.local_port) };
        Ok(())
    }
}

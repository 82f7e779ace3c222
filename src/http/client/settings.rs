//! What a client's connections have from their start.
//!
//! Owns, lends to C: nothing. Runs no user code.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use http_framing::Limits;

use crate::address::with_port;

/// Bytes of an answer's head, and of its body, until the user says otherwise.
const HEADERS_MAX: usize = 64 * 1024;
const BODY_MAX: usize = 64 * 1024 * 1024;

/// How long a server may be silent until the user says otherwise: libevent's own time.
const SILENCE_MAX: Duration = Duration::from_secs(50);

/// The pause before the first retry, and the longest one: libevent's own times.
const RETRY_FIRST: Duration = Duration::from_secs(2);
const RETRY_MAX: Duration = Duration::from_secs(3600);

/// How long a body waits for the server's `100 Continue`. Servers that ignore `Expect` never
/// send one (RFC 9110 §10.1.1); one second is what curl waits.
const CONTINUE_MAX: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) headers_max: Option<usize>,
    pub(super) body_max: Option<usize>,
    pub(super) silence_max: Option<Duration>,
    pub(super) retries: Option<u32>, // `None` is for ever
    pub(super) retry_first: Duration,
    pub(super) local_address: Option<SocketAddr>, // with any port
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
    pub(super) fn limits(&self) -> Limits {
        Limits {
            header_size: self.headers_max.unwrap_or(usize::MAX),
            body_size: self.body_max.map_or(u64::MAX, |size| size as u64),
        }
    }

    /// The pause before a retry; the first one is number 0.
    pub(super) fn pause(&self, attempt: u32) -> Duration {
        let factor = 1_u32.checked_shl(attempt).unwrap_or(u32::MAX);
        self.retry_first.saturating_mul(factor).min(RETRY_MAX)
    }

    /// How long a body waits for `100 Continue`: well below the time for an answer.
    pub(super) fn continue_wait(&self) -> Duration {
        self.silence_max
            .map_or(CONTINUE_MAX, |time| CONTINUE_MAX.min(time / 2))
    }

    /// What a socket that connects to `peer` is bound to, if to anything.
    pub(super) fn local(&self, peer: SocketAddr) -> Option<SocketAddr> {
        let any = match peer {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        };
        match (self.local_address, self.local_port) {
            (None, 0) => None,
            (address, port) => Some(with_port(address.unwrap_or(any), port)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_wait_twice_as_long_each_time_and_an_hour_at_most() {
        let settings = Settings::default();
        let pauses = [0, 1, 2, 10, 11, 31, 32, u32::MAX].map(|n| settings.pause(n).as_secs());
        assert_eq!(pauses, [2, 4, 8, 2048, 3600, 3600, 3600, 3600]);
    }

    #[test]
    fn a_body_waits_for_less_than_the_whole_time_for_an_answer() {
        let wait = |silence_max| {
            let settings = Settings {
                silence_max,
                ..Settings::default()
            };
            settings.continue_wait()
        };
        assert_eq!(wait(None), CONTINUE_MAX);
        assert_eq!(wait(Some(Duration::from_secs(2))), CONTINUE_MAX);
        assert_eq!(
            wait(Some(Duration::from_millis(100))),
            Duration::from_millis(50)
        );
    }
}

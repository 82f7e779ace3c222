//! [`DnsError`]: why a lookup found no address.

use std::ffi::c_int;
use std::net::SocketAddr;

use crate::ffi;

/// Why a lookup found no address.
///
/// PHP: the text of `EventBufferEvent::getDnsErrorString`. libevent: `DNS_ERR_NOTEXIST` and
/// its sisters.
///
/// # Examples
/// ```
/// use php_event::DnsError;
///
/// assert_eq!(DnsError::NotFound.to_string(), "the name does not exist");
/// ```
#[doc(alias = "evdns_err_to_string")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum DnsError {
    /// There is no such name.
    #[doc(alias = "DNS_ERR_NOTEXIST")]
    #[error("the name does not exist")]
    NotFound,
    /// The name exists, and has no address of the family that was asked for.
    #[doc(alias = "DNS_ERR_NODATA")]
    #[error("the name has no address of that family")]
    NoAddress,
    /// The lookup's time was over, or no server answered any of the tries.
    #[doc(alias = "DNS_ERR_TIMEOUT")]
    #[error("no answer came in time")]
    Timeout,
    /// The server has a trouble of its own. libevent asks again, and calls it a
    /// [`Timeout`](Self::Timeout) in the end.
    #[doc(alias = "DNS_ERR_SERVERFAILED")]
    #[error("the name server failed")]
    ServerFailed,
    /// The server does not want to answer.
    #[doc(alias = "DNS_ERR_REFUSED")]
    #[error("the name server refused to answer")]
    Refused,
    /// The server does not know this kind of query.
    #[doc(alias = "DNS_ERR_NOTIMPL")]
    #[error("the name server does not know such queries")]
    NotImplemented,
    /// The server could not read the query.
    #[doc(alias = "DNS_ERR_FORMAT")]
    #[error("the name server could not read the query")]
    Format,
    /// The answer was too long for a datagram. libevent does not ask again over TCP.
    #[doc(alias = "DNS_ERR_TRUNCATED")]
    #[error("the answer was cut, being too long for a datagram")]
    Truncated,
    /// The answer makes no sense.
    #[doc(alias = "DNS_ERR_UNKNOWN")]
    #[error("the answer makes no sense")]
    Malformed,
    /// The [`EventDnsBase`](crate::EventDnsBase) went before the answer came.
    #[doc(alias = "DNS_ERR_SHUTDOWN")]
    #[error("the DNS base was dropped")]
    Shutdown,
}

/// The addresses, with port 0, or why there are none.
pub(crate) type Outcome = Result<Vec<SocketAddr>, DnsError>;

impl DnsError {
    /// What a callback's error number means; 0 is none.
    pub(super) fn of(result: c_int) -> Result<(), Self> {
        Err(match result.cast_unsigned() {
            ffi::DNS_ERR_NONE => return Ok(()),
            ffi::DNS_ERR_FORMAT => Self::Format,
            ffi::DNS_ERR_SERVERFAILED => Self::ServerFailed,
            ffi::DNS_ERR_NOTEXIST => Self::NotFound,
            ffi::DNS_ERR_NOTIMPL => Self::NotImplemented,
            ffi::DNS_ERR_REFUSED => Self::Refused,
            ffi::DNS_ERR_TRUNCATED => Self::Truncated,
            ffi::DNS_ERR_TIMEOUT => Self::Timeout,
            ffi::DNS_ERR_SHUTDOWN | ffi::DNS_ERR_CANCEL => Self::Shutdown,
            ffi::DNS_ERR_NODATA => Self::NoAddress,
            _ => Self::Malformed,
        })
    }

    /// Which of two failures says more of why there is no address: one that may be over when
    /// asked again, before one that is an answer.
    pub(super) fn worse(self, other: Self) -> Self {
        let rank = |error| match error {
            Self::NoAddress => 0,
            Self::NotFound => 1,
            _ => 2,
        };
        if rank(other) > rank(self) {
            other
        } else {
            self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_of_libevents_has_its_error() {
        let numbers = [
            (ffi::DNS_ERR_FORMAT, DnsError::Format),
            (ffi::DNS_ERR_SERVERFAILED, DnsError::ServerFailed),
            (ffi::DNS_ERR_NOTEXIST, DnsError::NotFound),
            (ffi::DNS_ERR_NOTIMPL, DnsError::NotImplemented),
            (ffi::DNS_ERR_REFUSED, DnsError::Refused),
            (ffi::DNS_ERR_TRUNCATED, DnsError::Truncated),
            (ffi::DNS_ERR_UNKNOWN, DnsError::Malformed),
            (ffi::DNS_ERR_TIMEOUT, DnsError::Timeout),
            (ffi::DNS_ERR_SHUTDOWN, DnsError::Shutdown),
            (ffi::DNS_ERR_CANCEL, DnsError::Shutdown),
            (ffi::DNS_ERR_NODATA, DnsError::NoAddress),
            (12345, DnsError::Malformed),
        ];
        for (number, error) in numbers {
            assert_eq!(DnsError::of(number.cast_signed()), Err(error));
        }
        assert_eq!(DnsError::of(0), Ok(()));
        assert_eq!(DnsError::of(-1), Err(DnsError::Malformed));
    }

    #[test]
    fn the_failure_that_says_more_wins_in_either_order() {
        let pairs = [
            (DnsError::NoAddress, DnsError::NotFound, DnsError::NotFound),
            (DnsError::NotFound, DnsError::Timeout, DnsError::Timeout),
            (DnsError::NoAddress, DnsError::Refused, DnsError::Refused),
        ];
        for (one, other, says_more) in pairs {
            assert_eq!(one.worse(other), says_more);
            assert_eq!(other.worse(one), says_more);
        }
        assert_eq!(
            DnsError::Refused.worse(DnsError::Timeout),
            DnsError::Refused
        );
    }
}

//! [`DnsError`]: why a lookup found no address.
//!
//! Owns, lends to C: nothing. Runs no user code.

use std::net::SocketAddr;

/// Why a lookup found no address.
///
/// PHP: the text of `EventBufferEvent::getDnsErrorString`. libevent: `DNS_ERR_NOTEXIST` and the
/// like.
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
    /// The lookup's time was over, or no server answered in time.
    #[doc(alias = "DNS_ERR_TIMEOUT")]
    #[error("no answer came in time")]
    Timeout,
    /// The server failed to find an answer.
    #[doc(alias = "DNS_ERR_SERVERFAILED")]
    #[error("the name server failed")]
    ServerFailed,
    /// The server refuses to answer.
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
    /// The answer is too long for a datagram, and the server does not answer over TCP.
    #[doc(alias = "DNS_ERR_TRUNCATED")]
    #[error("the answer is too long for a datagram, and the name server does not answer over TCP")]
    Truncated,
    /// The answer is malformed.
    #[doc(alias = "DNS_ERR_UNKNOWN")]
    #[error("the answer is malformed")]
    Malformed,
    /// Nothing listens at the address of any server, or no way leads there.
    #[error("no name server could be reached")]
    Unreachable,
    /// The process has no descriptor or memory left for the query, or none that `select` can watch.
    #[error("no descriptor or memory is left for a query")]
    NoSocket,
    /// The [`EventDnsBase`](crate::EventDnsBase) was dropped before the answer came.
    #[doc(alias = "DNS_ERR_SHUTDOWN")]
    #[error("the DNS base was dropped")]
    Shutdown,
}

/// The addresses, with port 0, or why there are none.
pub(crate) type Outcome = Result<Vec<SocketAddr>, DnsError>;

impl DnsError {
    /// Which of the failures of two queries to report: one that may pass, rather than one that is
    /// an answer.
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

//! Address families, which several classes take.

use std::ffi::c_int;
use std::fmt;

/// The family of a network address: any number of the system, with constants for those in use.
///
/// PHP: `EventUtil::AF_INET` and the other `AF_*` constants, and the argument `$family`.
///
/// # Examples
/// ```
/// use php_event::AddressFamily;
///
/// assert_eq!(AddressFamily::INET.number(), libc::AF_INET);
/// assert_eq!(AddressFamily::from(libc::AF_INET6), AddressFamily::INET6);
/// assert_eq!(format!("{:?}", AddressFamily::UNSPEC), "UNSPEC");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct AddressFamily(c_int);

impl AddressFamily {
    /// Any family.
    #[doc(alias = "AF_UNSPEC")]
    pub const UNSPEC: Self = Self(libc::AF_UNSPEC);
    /// IPv4.
    #[doc(alias = "AF_INET")]
    pub const INET: Self = Self(libc::AF_INET);
    /// IPv6.
    #[doc(alias = "AF_INET6")]
    pub const INET6: Self = Self(libc::AF_INET6);
    /// Unix sockets.
    #[doc(alias = "AF_UNIX")]
    pub const UNIX: Self = Self(libc::AF_UNIX);

    /// The system's number.
    ///
    /// # Examples
    /// ```
    /// assert_eq!(php_event::AddressFamily::UNIX.number(), libc::AF_UNIX);
    /// ```
    #[must_use]
    pub const fn number(self) -> c_int {
        self.0
    }
}

impl From<c_int> for AddressFamily {
    /// Takes any number; calls refuse a family that they can't use.
    fn from(number: c_int) -> Self {
        Self(number)
    }
}

impl fmt::Debug for AddressFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match *self {
            Self::UNSPEC => "UNSPEC",
            Self::INET => "INET",
            Self::INET6 => "INET6",
            Self::UNIX => "UNIX",
            Self(other) => return write!(f, "AddressFamily({other})"),
        })
    }
}

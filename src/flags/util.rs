//! The numbers of `EventUtil`, as the system has them.

use std::ffi::c_int;

/// Makes a type for numbers of the system, open to numbers without a constant here.
macro_rules! numbers {
    ($(
        $(#[$outer:meta])*
        pub struct $name:ident { $($(#[$inner:meta])* const $number:ident = $value:expr;)+ }
    )+) => {$(
        $(#[$outer])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub struct $name(c_int);

        impl $name {
            $($(#[$inner])* pub const $number: Self = Self($value);)+

            /// The system's number.
            #[must_use]
            pub const fn number(self) -> c_int {
                self.0
            }
        }

        impl From<c_int> for $name {
            /// Takes any number of the system.
            fn from(number: c_int) -> Self {
                Self(number)
            }
        }
    )+};
}

numbers! {
    /// A type of socket.
    ///
    /// PHP: the constant `EventUtil::SOCK_RAW`; nothing in the extension takes it.
    ///
    /// ```
    /// use php_event::{EventUtil, SocketType};
    /// assert_eq!(EventUtil::SOCK_RAW, SocketType::RAW);
    /// ```
    pub struct SocketType {
        /// Raw packets, without a transport protocol.
        const RAW = libc::SOCK_RAW;
    }

    /// The level of an option: the socket itself, or a protocol.
    ///
    /// PHP: the constants `EventUtil::SOL_*` and `EventUtil::IPPROTO_*`.
    ///
    /// ```compile_fail,E0308
    /// // A level is no option.
    /// use php_event::{EventUtil, stream::stream_socket_pair};
    /// let (one, _other) = stream_socket_pair().unwrap();
    /// EventUtil::set_socket_option(&one, EventUtil::SO_KEEPALIVE, EventUtil::SOL_SOCKET, true);
    /// ```
    /// ```
    /// use php_event::{EventUtil, stream::stream_socket_pair};
    /// let (one, _other) = stream_socket_pair().unwrap();
    /// EventUtil::set_socket_option(&one, EventUtil::SOL_SOCKET, EventUtil::SO_KEEPALIVE, true);
    /// ```
    pub struct SocketLevel {
        /// The socket itself.
        const SOCKET = libc::SOL_SOCKET;
        /// IPv4.
        const IP = libc::IPPROTO_IP;
        /// IPv6.
        const IPV6 = libc::IPPROTO_IPV6;
        /// TCP.
        const TCP = libc::IPPROTO_TCP;
        /// UDP.
        const UDP = libc::IPPROTO_UDP;
    }

    /// An option of a socket, for
    /// [`set_socket_option`](crate::EventUtil::set_socket_option). All but `NODELAY` are of level
    /// [`SocketLevel::SOCKET`].
    ///
    /// PHP: the constants `EventUtil::SO_*` and `EventUtil::TCP_NODELAY`.
    ///
    /// ```
    /// use php_event::{EventUtil, SocketOption};
    /// assert_eq!(EventUtil::SO_RCVBUF, SocketOption::RCVBUF);
    /// let reuse_port = SocketOption::from(libc::SO_REUSEPORT);
    /// ```
    pub struct SocketOption {
        /// Packets may go to a broadcast address.
        const BROADCAST = libc::SO_BROADCAST;
        /// The system records debugging information; needs a privilege.
        const DEBUG = libc::SO_DEBUG;
        /// Packets go to directly connected hosts only.
        const DONTROUTE = libc::SO_DONTROUTE;
        /// The pending error; can only be read.
        const ERROR = libc::SO_ERROR;
        /// The system probes idle peers.
        const KEEPALIVE = libc::SO_KEEPALIVE;
        /// What a close does with bytes that have not been sent.
        const LINGER = libc::SO_LINGER;
        /// TCP, level [`SocketLevel::TCP`]: small writes are sent at once.
        const NODELAY = libc::TCP_NODELAY;
        /// Urgent bytes stay in line with the others.
        const OOBINLINE = libc::SO_OOBINLINE;
        /// The size of the receive buffer; Linux doubles it.
        const RCVBUF = libc::SO_RCVBUF;
        /// How many bytes make a socket readable.
        const RCVLOWAT = libc::SO_RCVLOWAT;
        /// How long a read may block.
        const RCVTIMEO = libc::SO_RCVTIMEO;
        /// An address may be bound while old connections of it linger.
        const REUSEADDR = libc::SO_REUSEADDR;
        /// The size of the send buffer; Linux doubles it.
        const SNDBUF = libc::SO_SNDBUF;
        /// How much room makes a socket writable; Linux refuses to set it.
        const SNDLOWAT = libc::SO_SNDLOWAT;
        /// How long a write may block.
        const SNDTIMEO = libc::SO_SNDTIMEO;
        /// The type of the socket; can only be read.
        const TYPE = libc::SO_TYPE;
    }
}

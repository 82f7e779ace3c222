//! [`StreamContext`]: the settings that sockets are made with.

use super::next_id;
use crate::address::ListenOptions;

/// Settings for sockets; see [`stream_context_create`].
///
/// PHP: the array under `socket` that `stream_context_create` takes, with PHP's defaults.
/// `bindto` is missing, and so is `so_broadcast`, which is for UDP.
///
/// # Examples
/// ```
/// use php_event::stream::ContextOptions;
/// let options = ContextOptions::new().backlog(128).tcp_nodelay(true);
/// assert!(!options.so_reuseport);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub struct ContextOptions {
    /// How many connections wait to be accepted: 0 is 0, −1 the system's maximum.
    pub backlog: i32,
    /// Whether several listeners may share one port, each with a part of its connections.
    pub so_reuseport: bool,
    /// Whether an IPv6 listener refuses IPv4. `None` leaves the system's default.
    pub ipv6_v6only: Option<bool>,
    /// Whether accepted and connecting streams send small writes at once. Unlike PHP, the
    /// listener has the option too: what it accepts inherits it without a system call.
    pub tcp_nodelay: bool,
}

impl ContextOptions {
    /// PHP's defaults.
    ///
    /// # Examples
    /// ```
    /// use php_event::stream::ContextOptions;
    /// assert_eq!(ContextOptions::new().backlog, 32);
    /// ```
    pub const fn new() -> Self {
        Self {
            backlog: 32,
            so_reuseport: false,
            ipv6_v6only: None,
            tcp_nodelay: false,
        }
    }

    /// Sets how many connections wait to be accepted: 0 is 0, −1 the system's maximum.
    pub const fn backlog(mut self, backlog: i32) -> Self {
        self.backlog = backlog;
        self
    }

    /// Sets whether several listeners may share one port, each with a part of its connections.
    pub const fn so_reuseport(mut self, on: bool) -> Self {
        self.so_reuseport = on;
        self
    }

    /// Sets whether an IPv6 listener refuses IPv4.
    pub const fn ipv6_v6only(mut self, on: bool) -> Self {
        self.ipv6_v6only = Some(on);
        self
    }

    /// Sets whether accepted and connecting streams send small writes at once.
    pub const fn tcp_nodelay(mut self, on: bool) -> Self {
        self.tcp_nodelay = on;
        self
    }

    pub(super) fn listening(&self) -> ListenOptions {
        ListenOptions {
            backlog: self.backlog,
            reuse_port: self.so_reuseport,
            only_v6: self.ipv6_v6only,
            nodelay: self.tcp_nodelay,
            ..ListenOptions::default()
        }
    }
}

impl Default for ContextOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// Settings for sockets, as PHP's stream context, which takes a resource number.
///
/// # Examples
/// ```
/// use php_event::stream::{StreamContext, stream_socket_server};
/// let server = stream_socket_server("tcp://127.0.0.1:0", &StreamContext::default())?;
/// # Ok::<(), php_event::EventException>(())
/// ```
#[derive(Clone, Debug)]
pub struct StreamContext {
    id: u64,
    options: ContextOptions,
}

impl StreamContext {
    /// PHP's `(int)$context`.
    ///
    /// # Examples
    /// ```
    /// use php_event::stream::{ContextOptions, stream_context_create};
    /// let context = stream_context_create(ContextOptions::new());
    /// assert!(context.id() >= 4); // 1 to 3 are the standard streams
    /// ```
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn options(&self) -> &ContextOptions {
        &self.options
    }
}

/// Makes a context from settings.
///
/// PHP: `stream_context_create`.
///
/// # Examples
/// ```
/// use php_event::stream::{ContextOptions, stream_context_create};
/// let context = stream_context_create(ContextOptions::new().backlog(102_400));
/// assert!(context.id() >= 4); // 1 to 3 are the standard streams
/// ```
#[must_use]
pub fn stream_context_create(options: ContextOptions) -> StreamContext {
    StreamContext {
        id: next_id(),
        options,
    }
}

impl Default for StreamContext {
    /// The settings of a call without a context, which takes no resource number.
    fn default() -> Self {
        Self {
            id: 0,
            options: ContextOptions::new(),
        }
    }
}

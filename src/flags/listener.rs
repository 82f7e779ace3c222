//! The flags of `EventListener`.

use crate::ffi;

bitflags::bitflags! {
    /// How an [`EventListener`](crate::EventListener) is made.
    ///
    /// PHP: the constants of `EventListener`; [`EventListener::OPT_DISABLED`](crate::EventListener::OPT_DISABLED) and the others
    /// are the same values.
    ///
    /// ```compile_fail,E0308
    /// // One class's flags are not another's.
    /// use php_event::{Event, EventListener};
    /// let flags = EventListener::OPT_REUSEABLE | Event::READ;
    /// ```
    /// ```
    /// use php_event::EventListener;
    /// let flags = EventListener::OPT_REUSEABLE | EventListener::OPT_DISABLED;
    /// assert_eq!(flags.bits(), 40);
    /// ```
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct ListenerFlags: u32 {
        /// Accepted streams block. Their descriptors are non-blocking either way: a stream waits
        /// in `poll`, see [`crate::stream`].
        const LEAVE_SOCKETS_BLOCKING = ffi::LEV_OPT_LEAVE_SOCKETS_BLOCKING;
        /// Always so here, where the listener owns its socket, which closes with its last owner.
        const CLOSE_ON_FREE = ffi::LEV_OPT_CLOSE_ON_FREE;
        /// Always so here: an executed program inherits no descriptor.
        const CLOSE_ON_EXEC = ffi::LEV_OPT_CLOSE_ON_EXEC;
        /// `SO_REUSEADDR`: the address can be bound while old connections linger. Only for a
        /// listener that binds an address.
        const REUSEABLE = ffi::LEV_OPT_REUSEABLE;
        /// Locks. A handle stays in its thread here, so
        /// [`EventListener::new`](crate::EventListener::new) returns `Err`.
        const THREADSAFE = ffi::LEV_OPT_THREADSAFE;
        /// Accept nothing until [`EventListener::enable`](crate::EventListener::enable).
        const DISABLED = ffi::LEV_OPT_DISABLED;
        /// `TCP_DEFER_ACCEPT`: a connection is accepted when its client has sent bytes. Only for
        /// a listener that binds an IP address.
        const DEFERRED_ACCEPT = ffi::LEV_OPT_DEFERRED_ACCEPT;
    }
}

//! `EventListener`: a listening socket whose connections go to a closure.
//!
//! Owns: what [`Inner`] has. Lent to C: one weak count of it, from `make` to its end.
//! Runs user code: the accept and error closures, through `trampoline`.
#![allow(unsafe_code)]

mod inner;
mod target;

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, RawFd};
use std::rc::Rc;
use std::time::Duration;
use std::{fmt, io, ptr};

use serde::ser::{Serialize, SerializeStruct, Serializer};

use inner::Accept;
pub(crate) use inner::Inner;
pub use target::ListenerTarget;

use crate::address::SocketName;
use crate::error::{Error, Result, cvt, cvt_p};
use crate::flags::ListenerFlags;
use crate::stream::Stream;
use crate::trampoline::{self, Slot};
use crate::{Event, EventBase, ffi};

/// How long a listener without an error closure pauses when it cannot accept.
const PAUSE: Duration = Duration::from_millis(100);

/// A listening socket whose connections go to a closure.
///
/// A handle is counted: a clone is the same listener, as a PHP variable would be. When the
/// last handle goes, the listener is freed, as by [`free`](Self::free); inside its own
/// closure that happens when the closure returns, and what else was waiting to be accepted is
/// not. The closures get the listener's own handle, so they need not capture one, which
/// would keep the listener for ever.
///
/// PHP: `EventListener`. libevent: `struct evconnlistener`.
///
/// # Examples
/// ```
/// use php_event::stream::fwrite;
/// use php_event::{EventBase, EventListener};
///
/// let base = EventBase::new()?;
/// let flags = EventListener::OPT_REUSEABLE;
/// let listener = EventListener::new(&base, |_listener, stream, peer| {
///     println!("{peer:?} connects");
///     fwrite(&stream, "hello\n").ok();
/// }, flags, -1, "127.0.0.1:0")?;
/// println!("listening on {}", listener.get_socket_name()?);
/// # let client = std::net::TcpStream::connect(listener.get_socket_name()?.ip().unwrap())?;
/// base.r#loop(EventBase::LOOP_ONCE)?;
/// # assert_eq!(std::io::read_to_string(client)?, "hello\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A closure owns what it uses:
/// ```compile_fail,E0373
/// use php_event::{EventBase, EventListener, ListenerFlags};
/// let base = EventBase::new().unwrap();
/// let streams = std::cell::RefCell::new(Vec::new());
/// let keep = |_: &EventListener, stream, _| streams.borrow_mut().push(stream);
/// let listener = EventListener::new(&base, keep, ListenerFlags::empty(), -1, "127.0.0.1:0");
/// ```
/// ```
/// use php_event::{EventBase, EventListener, ListenerFlags};
/// let base = EventBase::new().unwrap();
/// let streams = std::cell::RefCell::new(Vec::new());
/// let keep = move |_: &EventListener, stream, _| streams.borrow_mut().push(stream);
/// let listener = EventListener::new(&base, keep, ListenerFlags::empty(), -1, "127.0.0.1:0");
/// ```
#[derive(Clone)]
#[doc(alias = "evconnlistener")]
pub struct EventListener(pub(crate) Rc<Inner>);

impl EventListener {
    /// Makes a listener on an address, or on a socket that it owns from then on.
    ///
    /// `callback` runs once for each connection, with the listener, the connection, and the
    /// peer's IP address and port, which a unix socket's peer does not have. One readiness
    /// brings all connections that wait, unless the closure disables or frees the listener.
    /// The connection is the closure's: dropped, it is closed.
    ///
    /// `target` is text such as `127.0.0.1:80`, `[::]:80` (IPv4 as well, where the system's
    /// default has it so), `unix:/run/app.sock`, or one of the other forms of
    /// [`ListenerTarget`]. Port 0 takes any free one; [`get_socket_name`](Self::get_socket_name)
    /// tells which. A unix path must not exist, and is not removed. For `SO_REUSEPORT` or IPv6
    /// alone, give a stream of [`stream_socket_server`](crate::stream::stream_socket_server).
    ///
    /// `backlog` is how many connections wait to be accepted: negative is 128, 0 leaves a
    /// given socket alone that listens already.
    ///
    /// PHP: `EventListener::__construct`, with `$data` between the callback and the flags,
    /// which a closure captures. libevent: `evconnlistener_new`, `evconnlistener_new_bind`.
    /// Unlike PHP's, the socket is owned, a given one is always set not to block, a name is
    /// refused, since to resolve it could block, and so is a port that is no number of 16 bits.
    ///
    /// # Errors
    /// [`Error::Argument`] for an address that cannot be read, a backlog of 0 with one, and
    /// `OPT_THREADSAFE`; [`Error::Io`] with the address and the cause when it is in use, not
    /// ours, or not allowed, and for a given socket that cannot listen; [`Error::Freed`],
    /// [`Error::Forked`]; [`Error::Call`] without memory.
    ///
    /// # Examples
    /// ```
    /// use php_event::{EventBase, EventListener, ListenerFlags};
    ///
    /// let base = EventBase::new()?;
    /// let no_flags = ListenerFlags::empty();
    /// let listener = EventListener::new(&base, |_listener, _stream, _peer| {}, no_flags, -1, "[::1]:0")?;
    /// let names_are_refused = EventListener::new(&base, |_, _, _| {}, no_flags, -1, "localhost:80");
    /// assert!(names_are_refused.is_err());
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(
        alias = "EventListener::__construct",
        alias = "evconnlistener_new",
        alias = "evconnlistener_new_bind"
    )]
    pub fn new<F>(
        base: &EventBase,
        callback: F,
        flags: ListenerFlags,
        backlog: i32,
        target: impl Into<ListenerTarget>,
    ) -> Result<Self>
    where
        F: FnMut(&EventListener, Stream, Option<SocketAddr>) + 'static,
    {
        Self::make(base, Box::new(callback), flags, backlog, target.into())
    }

    fn make(
        base: &EventBase,
        callback: Box<Accept>,
        flags: ListenerFlags,
        backlog: i32,
        target: ListenerTarget,
    ) -> Result<Self> {
        const CALL: &str = "EventListener::__construct";
        let base = Rc::clone(base.inner());
        base.usable(CALL)?;
        if flags.contains(ListenerFlags::THREADSAFE) {
            let reason =
                "OPT_THREADSAFE asks for locks; a listener stays in the thread of its base";
            return Err(Error::argument(CALL, reason));
        }
        let (socket, fd) = target.listen(CALL, flags, backlog)?;
        let listener = Self(Rc::new(Inner {
            raw: Cell::new(ptr::null_mut()),
            arg: Cell::new(ptr::null_mut()),
            fd,
            socket: RefCell::new(Some(socket)),
            pause: RefCell::default(),
            enabled: Rc::default(),
            failing: Cell::new(false),
            accept: Slot::new(callback),
            failure: Slot::new(Box::new(Self::pause)),
            blocking: flags.contains(ListenerFlags::LEAVE_SOCKETS_BLOCKING),
            base,
        }));
        listener.hand_to_c(CALL)?;
        if !flags.contains(ListenerFlags::DISABLED) {
            listener.enable_as(CALL)?;
        }
        Ok(listener)
    }

    fn hand_to_c(&self, call: &'static str) -> Result<()> {
        let (inner, base) = (&self.0, &self.0.base);
        let arg = trampoline::lend(inner);
        // What is accepted does not block and is closed on exec. The start is ours, since
        // libevent would say nothing of a descriptor that the backend refuses.
        let flags = ListenerFlags::CLOSE_ON_EXEC | ListenerFlags::DISABLED;
        // SAFETY: `inner` holds the base and the socket for as long as the listener lives, and
        // `arg` stays lent until `release` has freed it.
        let raw = unsafe {
            ffi::evconnlistener_new(
                base.raw(),
                Some(trampoline::on_accept),
                arg,
                flags.bits(),
                0, // it listens already
                inner.fd,
            )
        };
        let raw = cvt_p(call, raw).inspect_err(|_error| {
            // SAFETY: lent above, and libevent made no listener that holds it.
            unsafe { trampoline::reclaim::<Inner>(arg) };
        })?;
        inner.raw.set(raw);
        inner.arg.set(arg);
        base.note_priority(base.middle_priority());
        // SAFETY: `raw` is not freed; the entry point gets the `arg` of the other.
        unsafe { ffi::evconnlistener_set_error_cb(raw, Some(trampoline::on_accept_failure)) };
        Ok(())
    }

    /// The number of the socket; none once freed.
    ///
    /// PHP: the property `EventListener::$fd`. libevent: `evconnlistener_get_fd`.
    ///
    /// # Examples
    /// ```
    /// use php_event::{EventBase, EventListener, ListenerFlags};
    ///
    /// let base = EventBase::new()?;
    /// let listener = EventListener::new(&base, |_, _, _| {}, ListenerFlags::empty(), -1, "127.0.0.1:0")?;
    /// assert!(listener.fd().is_some_and(|fd| fd > 2));
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(alias = "EventListener::$fd", alias = "evconnlistener_get_fd")]
    #[must_use]
    pub fn fd(&self) -> Option<RawFd> {
        (!self.0.raw.get().is_null()).then_some(self.0.fd)
    }

    /// Accepts connections, as a listener does from the start without `OPT_DISABLED`. An
    /// enabled one stays so.
    ///
    /// PHP: `EventListener::enable`. libevent: `evconnlistener_enable`.
    ///
    /// # Errors
    /// [`Error::Call`] when the backend refuses; [`Error::Freed`], [`Error::Forked`].
    ///
    /// # Examples
    /// ```
    /// use php_event::{EventBase, EventListener, LoopEnd};
    ///
    /// let base = EventBase::new()?;
    /// let flags = EventListener::OPT_DISABLED;
    /// let listener = EventListener::new(&base, |_, _, _| {}, flags, -1, "127.0.0.1:0")?;
    /// assert_eq!(base.dispatch()?, LoopEnd::NoEvents); // it waits for nothing
    /// listener.enable()?;
    /// assert_eq!(base.r#loop(EventBase::LOOP_NONBLOCK)?, LoopEnd::Passed);
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(alias = "EventListener::enable", alias = "evconnlistener_enable")]
    pub fn enable(&self) -> Result<()> {
        self.enable_as("EventListener::enable")
    }

    fn enable_as(&self, call: &'static str) -> Result<()> {
        let raw = self.0.usable(call)?;
        self.0.pause.take();
        // SAFETY: `raw` is not freed.
        cvt(call, unsafe { ffi::evconnlistener_enable(raw) })?;
        self.0.enabled.set(true);
        Ok(())
    }

    /// Accepts nothing: connections wait in the system, up to the backlog, and the listener
    /// does not keep the loop running. A disabled one stays so.
    ///
    /// PHP: `EventListener::disable`. libevent: `evconnlistener_disable`.
    ///
    /// # Errors
    /// [`Error::Freed`], [`Error::Forked`].
    ///
    /// # Examples
    /// ```
    /// use php_event::{EventBase, EventListener, ListenerFlags};
    ///
    /// let base = EventBase::new()?;
    /// let only_one = |listener: &EventListener, _stream, _peer| listener.disable().unwrap();
    /// let listener = EventListener::new(&base, only_one, ListenerFlags::empty(), -1, "127.0.0.1:0")?;
    /// # let client = std::net::TcpStream::connect(listener.get_socket_name()?.ip().unwrap())?;
    /// base.dispatch()?; // ends after the first connection
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "EventListener::disable", alias = "evconnlistener_disable")]
    pub fn disable(&self) -> Result<()> {
        const CALL: &str = "EventListener::disable";
        let raw = self.0.usable(CALL)?;
        self.0.pause.take();
        self.0.enabled.set(false);
        // SAFETY: `raw` is not freed.
        cvt(CALL, unsafe { ffi::evconnlistener_disable(raw) }).map(drop)
    }

    /// Gives the listener another closure for its connections. Inside the old one it serves
    /// the next connection, and the old one is dropped when it returns.
    ///
    /// PHP: `EventListener::setCallback`. libevent: `evconnlistener_set_cb`. Unlike PHP's,
    /// which keeps the data where none is given, it replaces all that the old one captured.
    ///
    /// # Errors
    /// [`Error::Freed`], [`Error::Forked`].
    ///
    /// # Examples
    /// ```
    /// use php_event::{EventBase, EventListener, ListenerFlags, stream::fwrite};
    ///
    /// let base = EventBase::new()?;
    /// let listener = EventListener::new(&base, |_, _, _| {}, ListenerFlags::empty(), -1, "127.0.0.1:0")?;
    /// listener.set_callback(|_listener, stream, _peer| drop(fwrite(&stream, "closed today\n")))?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(alias = "EventListener::setCallback", alias = "evconnlistener_set_cb")]
    pub fn set_callback<F>(&self, callback: F) -> Result<()>
    where
        F: FnMut(&EventListener, Stream, Option<SocketAddr>) + 'static,
    {
        self.0.usable("EventListener::setCallback")?;
        drop(self.0.accept.set(Some(Box::new(callback)))); // no borrow is held
        Ok(())
    }

    /// Gives the listener a closure for when a connection cannot be accepted, most often
    /// because the process is out of descriptors.
    ///
    /// In it, [`EventUtil::get_last_socket_errno`](crate::EventUtil::get_last_socket_errno)
    /// tells why. The connection goes on waiting, so the closure runs again and again, in
    /// each turn of the loop, unless it disables the listener, until something was closed.
    ///
    /// A listener without one logs the first failure, pauses for 100 ms and tries again.
    ///
    /// PHP: `EventListener::setErrorCallback`. libevent: `evconnlistener_set_error_cb`. PHP's
    /// listener without one spins, and warns in each turn.
    ///
    /// # Errors
    /// [`Error::Freed`], [`Error::Forked`].
    ///
    /// # Examples
    /// ```
    /// use php_event::{EventBase, EventListener, EventUtil, ListenerFlags};
    ///
    /// let base = EventBase::new()?;
    /// let listener = EventListener::new(&base, |_, _, _| {}, ListenerFlags::empty(), -1, "127.0.0.1:0")?;
    /// listener.set_error_callback(|listener| {
    ///     eprintln!("accepting fails: {}", EventUtil::get_last_socket_error());
    ///     listener.disable().ok(); // and enabled again when a connection ends
    /// })?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(
        alias = "EventListener::setErrorCallback",
        alias = "evconnlistener_set_error_cb"
    )]
    pub fn set_error_callback<F>(&self, callback: F) -> Result<()>
    where
        F: FnMut(&EventListener) + 'static,
    {
        self.0.usable("EventListener::setErrorCallback")?;
        drop(self.0.failure.set(Some(Box::new(callback)))); // no borrow is held
        Ok(())
    }

    /// What a listener does that was given no closure for it.
    fn pause(&self) {
        let cause = io::Error::last_os_error();
        if !self.0.failing.replace(true) {
            tracing::warn!("accepting fails, again after {PAUSE:?}: {cause}");
        }
        if self.disable().is_err() {
            return; // the log's reader freed it
        }
        let listener = Rc::downgrade(&self.0);
        let again = Event::timer(&EventBase::of(&self.0.base), move |_event| {
            if let Some(inner) = listener.upgrade() {
                Self(inner).enable().ok();
            }
        });
        let added = again.and_then(|timer| timer.add(Some(PAUSE)).map(|()| timer));
        drop(self.0.pause.replace(added.ok()));
    }

    /// The listener's base: the same one that it was made with, for loops, timers and all else.
    ///
    /// PHP: `EventListener::getBase`, whose result does not keep the base alive and may free it
    /// twice. libevent: `evconnlistener_get_base`.
    ///
    /// # Errors
    /// [`Error::Freed`].
    ///
    /// # Examples
    /// ```
    /// use php_event::{EventBase, EventListener, ListenerFlags};
    ///
    /// let base = EventBase::new()?;
    /// let stop = |listener: &EventListener, _stream, _peer| {
    ///     listener.get_base().and_then(|base| base.stop()).ok();
    /// };
    /// let listener = EventListener::new(&base, stop, ListenerFlags::empty(), -1, "127.0.0.1:0")?;
    /// assert_eq!(listener.get_base()?, base);
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(alias = "EventListener::getBase", alias = "evconnlistener_get_base")]
    pub fn get_base(&self) -> Result<EventBase> {
        self.0.not_freed("EventListener::getBase")?;
        Ok(EventBase::of(&self.0.base))
    }

    /// Where the listener is bound: IP address and port, or a path.
    ///
    /// PHP: `EventListener::getSocketName`, which never fills `$address` and `$port`.
    /// libevent: none; the system's `getsockname`.
    ///
    /// # Errors
    /// [`Error::Freed`]; [`Error::Argument`] for a given socket of another family.
    ///
    /// # Examples
    /// ```
    /// use php_event::{EventBase, EventListener, ListenerFlags};
    ///
    /// let base = EventBase::new()?;
    /// let listener = EventListener::new(&base, |_, _, _| {}, ListenerFlags::empty(), -1, "127.0.0.1:0")?;
    /// assert_ne!(listener.get_socket_name()?.port(), Some(0));
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(alias = "EventListener::getSocketName", alias = "getsockname")]
    pub fn get_socket_name(&self) -> Result<SocketName> {
        const CALL: &str = "EventListener::getSocketName";
        self.0.not_freed(CALL)?;
        // SAFETY: the listener owns the socket until it is freed, which it is not.
        let fd = unsafe { BorrowedFd::borrow_raw(self.0.fd) };
        SocketName::of(CALL, &fd)
    }

    /// Frees the listener: it stops listening, its closures and its socket are dropped, and
    /// every later call answers [`Error::Freed`]. In one of its own closures that one is
    /// dropped when it returns. A socket that has other owners stays open. Freeing twice is
    /// harmless.
    ///
    /// PHP: `EventListener::free`. libevent: `evconnlistener_free`.
    ///
    /// # Examples
    /// ```
    /// use php_event::{EventBase, EventListener, ListenerFlags};
    ///
    /// let base = EventBase::new()?;
    /// let listener = EventListener::new(&base, |_, _, _| {}, ListenerFlags::empty(), -1, "127.0.0.1:0")?;
    /// listener.free();
    /// assert_eq!(listener.fd(), None);
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(alias = "EventListener::free", alias = "evconnlistener_free")]
    pub fn free(&self) {
        self.0.release();
    }
}

impl PartialEq for EventListener {
    /// Whether both are the same listener, as PHP's `===`.
    fn eq(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for EventListener {}

impl Serialize for EventListener {
    /// `{"fd":8}`, the shape that PHP's `json_encode` gives; null once freed.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("EventListener", 1)?;
        object.serialize_field("fd", &self.fd())?;
        object.end()
    }
}

impl fmt::Debug for EventListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventListener")
            .field("raw", &self.0.raw.get())
            .field("fd", &self.fd())
            .finish_non_exhaustive()
    }
}

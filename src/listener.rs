//! `EventListener`: a listening socket whose connections go to a closure.
//!
//! Owns: what [`Inner`] has. Lent to C: one weak count of it, until the listener is freed.
//! Runs user code: the accept and error closures.
#![allow(unsafe_code)] // hands the listener its socket

mod entry;
mod inner;
mod target;

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::rc::Rc;
use std::time::Duration;
use std::{fmt, io};

use serde::ser::{Serialize, SerializeStruct, Serializer};

use inner::Accept;
use inner::Inner;
pub use target::ListenerTarget;

use php_event_macros::php;

use crate::address::SocketName;
use crate::error::{Error, Result};
use crate::flags::ListenerFlags;
use crate::native::evconnlistener::OwnedListener;
use crate::runtime::{Lent, Slot};
use crate::stream::Stream;
use crate::{Event, EventBase};

/// How long a listener without an error closure pauses when it cannot accept.
const PAUSE: Duration = Duration::from_millis(100);

/// A listening socket whose connections go to a closure.
///
/// A handle is counted: a clone is the same listener, as with a PHP variable. When the last
/// handle is dropped, the listener is freed, as by [`free`](Self::free). Inside its own closure
/// that happens when the closure returns, and connections that still wait are not accepted.
/// The closures get the listener's handle as an argument. Do not capture one: it would keep
/// the listener for ever.
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
#[must_use = "a listener is freed when its last handle is dropped, and accepts nothing then"]
#[doc(alias = "evconnlistener")]
pub struct EventListener(pub(crate) Rc<Inner>);

impl EventListener {
    /// Makes a listener on an address, or on a socket that it then owns.
    ///
    /// `callback` runs once for each connection, with the listener, the connection, and the
    /// peer's IP address and port; peers on unix sockets have none. The loop accepts all
    /// connections that wait in one go, unless the closure disables or frees the listener.
    /// The closure owns the connection, which closes when it is dropped.
    ///
    /// `target` is an [`Address`](crate::Address) as text, such as `127.0.0.1:80`, `[::]:80`
    /// (which includes IPv4 where that is the system's default) or `unix:/run/app.sock`, or
    /// another form of [`ListenerTarget`]. Port 0 takes a free one;
    /// [`get_socket_name`](Self::get_socket_name) returns it. A unix path must not exist, and is
    /// not removed. For `SO_REUSEPORT`, IPv6 alone or a host name, give a stream made by
    /// [`stream_socket_server`](crate::stream::stream_socket_server).
    ///
    /// `backlog` is how many connections wait to be accepted. A negative number is 128; 0
    /// leaves the backlog of a socket that listens already.
    ///
    /// Unlike PHP, it owns the socket, makes a given one non-blocking, and refuses host names,
    /// whose lookup could block, and ports above 65535.
    ///
    /// # Errors
    /// [`Error::Argument`] for text that is not an address, an address with a backlog of 0, and
    /// `OPT_THREADSAFE`; [`Error::Io`] with the address and the cause when it is in use, not an
    /// address of this machine, or not allowed, and for a given socket that cannot listen;
    /// [`Error::Freed`], [`Error::Forked`]; [`Error::Call`] when out of memory.
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
    #[php(
        "EventListener::__construct",
        php_note = ", with `$data` between the callback and the flags, which a closure captures",
        c = ["evconnlistener_new", "evconnlistener_new_bind"]
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
        base.inner().usable(CALL)?;
        if flags.contains(ListenerFlags::THREADSAFE) {
            let reason =
                "OPT_THREADSAFE asks for locks; a listener stays in the thread of its base";
            return Err(Error::argument(CALL, reason));
        }
        let (socket, fd) = target.listen(CALL, flags, backlog)?;
        base.inner().usable(CALL)?; // the target may have freed it
        base.inner().watchable(CALL, fd)?;
        let listener = Self(Rc::new(Inner {
            native: RefCell::default(),
            fd,
            socket: RefCell::new(Some(socket)),
            pause: RefCell::default(),
            enabled: Rc::default(),
            failing: Cell::new(false),
            accept: Slot::new(callback),
            failure: Slot::new(Box::new(Self::pause)),
            blocking: flags.contains(ListenerFlags::LEAVE_SOCKETS_BLOCKING),
            base: Rc::clone(base.inner()),
        }));
        let (inner, lent) = (&listener.0, Lent::new(&listener.0));
        let base = inner.base.native();
        let (accept, failure) = (entry::on_accept, entry::on_accept_failure);
        // SAFETY: `inner` holds the base and the socket for longer than `native`, in which it
        // keeps the listener; both entry points take their argument for an `Inner`.
        let native = unsafe { OwnedListener::new(CALL, base, fd, accept, failure, lent) }?;
        inner.native.replace(Some(native));
        inner.base.note_priority(inner.base.middle_priority());
        if !flags.contains(ListenerFlags::DISABLED) {
            listener.enable_as(CALL)?;
        }
        Ok(listener)
    }

    /// The descriptor number of the socket; `None` after [`free`](Self::free).
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
        self.0.native.borrow().as_ref().map(|_| self.0.fd)
    }

    /// Starts to accept connections, as a listener made without `OPT_DISABLED` does at once.
    /// Does nothing to an enabled listener.
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
    #[php("EventListener::enable", c = "evconnlistener_enable")]
    pub fn enable(&self) -> Result<()> {
        self.enable_as(CALL)
    }

    fn enable_as(&self, call: &'static str) -> Result<()> {
        self.0.usable(call)?.enable(call)?;
        self.0.pause.take();
        self.0.enabled.set(true);
        Ok(())
    }

    /// Stops accepting: connections wait in the system, up to the backlog, and the listener
    /// does not keep the loop running. Does nothing to a disabled listener.
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
    #[php("EventListener::disable", c = "evconnlistener_disable")]
    pub fn disable(&self) -> Result<()> {
        self.0.usable(CALL)?.disable(CALL)?;
        self.0.pause.take();
        self.0.enabled.set(false);
        Ok(())
    }

    /// Whether it may still call a closure: it is enabled, or pauses after a failure.
    ///
    /// Not in PHP. For embedders: a collector of cycles must not free one that is pending.
    ///
    /// # Examples
    /// ```
    /// use php_event::{EventBase, EventListener, ListenerFlags};
    ///
    /// let base = EventBase::new()?;
    /// let listener = EventListener::new(&base, |_, _, _| {}, ListenerFlags::empty(), -1, "127.0.0.1:0")?;
    /// assert!(listener.is_pending());
    /// listener.disable()?;
    /// assert!(!listener.is_pending());
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[must_use]
    pub fn is_pending(&self) -> bool {
        let pauses = || self.0.pause.borrow().is_some();
        self.fd().is_some() && !self.0.base.is_freed() && (self.0.enabled.get() || pauses())
    }

    /// Replaces the closure for connections. Called inside the old one, the new one gets the
    /// next connection, and the old one is dropped when it returns.
    ///
    /// Unlike PHP, which keeps `$data` when none is given, what the old closure captured is
    /// dropped with it.
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
    #[php("EventListener::setCallback", c = "evconnlistener_set_cb")]
    pub fn set_callback<F>(&self, callback: F) -> Result<()>
    where
        F: FnMut(&EventListener, Stream, Option<SocketAddr>) + 'static,
    {
        self.0.usable(CALL)?;
        drop(self.0.accept.set(Some(Box::new(callback)))); // no borrow is held
        Ok(())
    }

    /// Sets a closure that runs when a connection cannot be accepted, most often because the
    /// process has no descriptor left.
    ///
    /// In it, [`EventUtil::get_last_socket_errno`](crate::EventUtil::get_last_socket_errno)
    /// returns the cause. The connection keeps waiting, so the closure runs in each turn of
    /// the loop until a descriptor is free, or until it disables the listener.
    ///
    /// A listener without such a closure logs the first failure, pauses for 100 ms and tries
    /// again.
    ///
    /// In PHP, a listener without one spins, and warns in each turn.
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
    #[php("EventListener::setErrorCallback", c = "evconnlistener_set_error_cb")]
    pub fn set_error_callback<F>(&self, callback: F) -> Result<()>
    where
        F: FnMut(&EventListener) + 'static,
    {
        self.0.usable(CALL)?;
        drop(self.0.failure.set(Some(Box::new(callback)))); // no borrow is held
        Ok(())
    }

    /// What a listener without an error closure does when accepting fails.
    fn pause(&self) {
        let cause = io::Error::last_os_error();
        if !self.0.failing.replace(true) {
            tracing::warn!("accepting fails, next try in {PAUSE:?}: {cause}");
        }
        self.rest(PAUSE);
    }

    /// After [`EventBase::interrupt`]: libevent would accept all that wait, and no closure would get
    /// them.
    fn end_burst(&self) {
        if self.0.enabled.get() {
            self.rest(Duration::ZERO);
        }
    }

    /// Disables the listener for a time.
    fn rest(&self, time: Duration) {
        if self.disable().is_err() {
            return; // the tracing subscriber freed it
        }
        let listener = Rc::downgrade(&self.0);
        let again = Event::timer(&EventBase::of(&self.0.base), move |timer| {
            if let Some(inner) = listener.upgrade()
                && let Err(Error::Call { .. }) = Self(inner).enable()
            {
                timer.add(Some(PAUSE)).ok(); // the backend refused: try again
            }
        });
        let added = again.and_then(|timer| timer.add(Some(time)).map(|()| timer));
        drop(self.0.pause.replace(added.ok()));
    }

    /// The base that the listener belongs to. Unlike [`get_base`](Self::get_base), it is there
    /// after [`free`](Self::free), too.
    ///
    /// Beyond PHP.
    ///
    /// # Examples
    /// ```
    /// use php_event::{EventBase, EventListener, ListenerFlags};
    ///
    /// let base = EventBase::new()?;
    /// let listener = EventListener::new(&base, |_, _, _| {}, ListenerFlags::empty(), -1, "127.0.0.1:0")?;
    /// assert_eq!(listener.base(), base);
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[must_use]
    pub fn base(&self) -> EventBase {
        EventBase::of(&self.0.base)
    }

    /// The base that the listener belongs to.
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
    #[php(
        "EventListener::getBase",
        php_note = ", whose result does not keep the base alive and may free it twice",
        c = "evconnlistener_get_base"
    )]
    pub fn get_base(&self) -> Result<EventBase> {
        self.0.native(CALL)?;
        Ok(EventBase::of(&self.0.base))
    }

    /// The address that the listener is bound to.
    ///
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
    #[php(
        "EventListener::getSocketName",
        php_note = ", which never fills `$address` and `$port`"
    )]
    #[doc(alias = "getsockname")]
    pub fn get_socket_name(&self) -> Result<SocketName> {
        SocketName::of(CALL, &self.0.native(CALL)?.socket())
    }

    /// Frees the listener: it stops accepting, its closures and its socket are dropped, and
    /// later calls return [`Error::Freed`]. Called inside one of its closures, that closure is
    /// dropped when it returns. A socket with other owners stays open. Does nothing the second
    /// time.
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
    #[php("EventListener::free", c = "evconnlistener_free")]
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
        // Nothing is borrowed from here on: what `f` writes to is user code.
        let raw = self.0.native.borrow().as_ref().map(OwnedListener::raw);
        let raw: &dyn fmt::Debug = match &raw {
            Some(raw) => raw,
            None => &"freed",
        };
        f.debug_struct("EventListener")
            .field("raw", raw)
            .field("fd", &self.fd())
            .finish_non_exhaustive()
    }
}

//! `EventBufferEvent`: a connection with a buffer for each direction, filled and emptied by
//! the loop.
//!
//! Owns: what [`Inner`] has. Lent to C: one weak count of it, until its end.
//! Runs user code: the callbacks, through `entry`, from the loop and from methods that
//! change a filter's buffers.
#![allow(unsafe_code)]

mod callbacks;
mod carrier;
mod connect;
mod ending;
mod entry;
mod filter;
mod host;
mod inner;
mod io;
mod limits;
pub(crate) mod outliving;
mod pair;
mod pause;
mod pending;
mod relay;
mod room;
mod source;
#[cfg(feature = "openssl")]
mod tls;
mod write_timer;

use std::fmt;
use std::os::fd::{AsFd, RawFd};
use std::rc::Rc;

use serde::ser::{Serialize, SerializeStruct, Serializer};

pub use callbacks::Callbacks;
use carrier::{Carrier, Kind};
pub use filter::Filters;
pub(crate) use inner::Inner;
use inner::Link;
pub use limits::RateLimit;
pub(crate) use source::Source;
#[cfg(feature = "openssl")]
pub(crate) use {ending::LINGER_MAX, tls::accept_native, tls::notify::UnsentNotify};

use php_event_macros::php;

use crate::EventBase;
use crate::error::{Error, Result};
use crate::flags::{BufferEventOptions, EventFlags, FlushMode};
use crate::native::bufferevent::{BufferEventView, OwnedBufferEvent};

/// A connection whose data the loop reads into one buffer and writes out of another.
///
/// A handle is counted: a clone is the same object, as a PHP variable would be. When the last
/// handle goes, and with it the last [`EventBuffer`](crate::EventBuffer) that came from it, the
/// object is freed as by [`free`](Self::free); [`detach`](Self::detach) leaves one to its base.
///
/// PHP: `EventBufferEvent`. libevent: `struct bufferevent`.
///
/// # Examples
/// ```
/// use php_event::{Callbacks, Event, EventBase, EventBufferEvent};
/// use std::io::{Read, Write};
/// use std::os::unix::net::UnixStream;
///
/// let base = EventBase::new()?;
/// let (mut client, server) = UnixStream::pair()?;
/// let echo = EventBufferEvent::new(&base, server, EventBufferEvent::OPT_CLOSE_ON_FREE)?;
/// echo.set_callbacks(
///     Callbacks::new()
///         .on_read(|bev| bev.write_buffer(&bev.input()).unwrap())
///         .on_event(|bev, _what| bev.free()),
/// )?;
/// echo.enable(Event::READ)?;
///
/// client.write_all(b"hello")?;
/// client.shutdown(std::net::Shutdown::Write)?;
/// base.dispatch()?;
/// let mut answer = String::new();
/// client.read_to_string(&mut answer)?;
/// assert_eq!(answer, "hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Buffer events stay in the thread of their base:
/// ```compile_fail,E0277
/// # use php_event::{BufferEventOptions, EventBase, EventBufferEvent};
/// let base = EventBase::new().unwrap();
/// let bev = EventBufferEvent::unconnected(&base, BufferEventOptions::empty()).unwrap();
/// std::thread::spawn(move || bev.free());
/// ```
/// ```
/// # use php_event::{BufferEventOptions, EventBase, EventBufferEvent};
/// std::thread::spawn(|| {
///     let base = EventBase::new().unwrap();
///     EventBufferEvent::unconnected(&base, BufferEventOptions::empty()).unwrap().free()
/// }).join().unwrap();
/// ```
#[derive(Clone)]
#[doc(alias = "bufferevent")]
#[must_use = "a buffer event is freed when its last handle is dropped; keep it, or call detach()"]
pub struct EventBufferEvent(pub(crate) Rc<Inner>);

impl EventBufferEvent {
    /// Makes a buffer event on a socket, which is switched to non-blocking.
    ///
    /// It owns the socket until it is freed or dropped, so that the descriptor cannot be
    /// closed and its number reused; share one with a [`Stream`](crate::stream::Stream)'s
    /// clone or an `Rc`. `WRITE` is enabled, `READ` is not. The callbacks are set with
    /// [`set_callbacks`](Self::set_callbacks), which takes PHP's other parameters.
    ///
    /// Unlike PHP's, the descriptor is not borrowed.
    ///
    /// # Errors
    /// [`Error::Argument`] for `OPT_THREADSAFE`, and for `OPT_UNLOCK_CALLBACKS` without
    /// `OPT_DEFER_CALLBACKS`; [`Error::Io`] when the socket cannot be made non-blocking;
    /// [`Error::Freed`], [`Error::Forked`]; [`Error::Call`] when out of memory.
    ///
    /// # Examples
    /// ```
    /// # use php_event::{BufferEventOptions, Event, EventBase, EventBufferEvent};
    /// # use std::os::unix::net::UnixStream;
    /// # let base = EventBase::new()?;
    /// let (_peer, socket) = UnixStream::pair()?;
    /// let bev = EventBufferEvent::new(&base, socket, EventBufferEvent::OPT_CLOSE_ON_FREE)?;
    /// assert_eq!(bev.get_enabled()?, Event::WRITE);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[php(
        "EventBufferEvent::__construct",
        php_note = "; without a socket it is [`unconnected`](Self::unconnected)",
        c = "bufferevent_socket_new"
    )]
    pub fn new<S>(base: &EventBase, socket: S, options: BufferEventOptions) -> Result<Self>
    where
        S: AsFd + 'static,
    {
        let source = Source::non_blocking(CALL, socket)?;
        Self::make(base, Some(source), options)
    }

    /// Makes a buffer event without a descriptor, for `connect`.
    ///
    /// libevent: `bufferevent_socket_new` with −1.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    ///
    /// # Examples
    /// ```
    /// # use php_event::{BufferEventOptions, Event, EventBase, EventBufferEvent};
    /// # let base = EventBase::new()?;
    /// # let (bev, peer) = EventBufferEvent::create_pair(&base, BufferEventOptions::empty())?;
    /// let client = EventBufferEvent::unconnected(&base, BufferEventOptions::empty())?;
    /// assert_eq!(client.fd(), None);
    /// client.write("sent as soon as it is connected")?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php(
        "EventBufferEvent::__construct",
        php_note = " with `null` for the socket"
    )]
    pub fn unconnected(base: &EventBase, options: BufferEventOptions) -> Result<Self> {
        Self::make(base, None, options)
    }

    fn make(
        base: &EventBase,
        source: Option<Rc<Source>>,
        options: BufferEventOptions,
    ) -> Result<Self> {
        const CALL: &str = "EventBufferEvent::__construct";
        let base = base.inner();
        base.usable(CALL)?;
        let for_c = check_options(CALL, options)?;
        let fd = source.as_ref().map_or(-1, |source| source.fd());
        base.watchable(CALL, fd)?;
        // SAFETY: what is made keeps `base` and `source` until libevent has let go of them.
        let owned = unsafe { OwnedBufferEvent::socket(CALL, base.native(), fd, for_c) }?;
        Ok(Self::made(base, owned, Carrier::Socket(source), options))
    }

    /// Calls C with the buffer event, for a change of it. Its callbacks may run in here, and
    /// their panic comes out of here.
    fn with<T>(
        &self,
        call: &'static str,
        work: impl FnOnce(BufferEventView<'_>) -> T,
    ) -> Result<T> {
        let view = self.0.usable(call)?;
        if self.0.kind() == Kind::View {
            return Err(Error::State {
                call,
                reason: "the buffer event belongs to an HTTP connection, and can only be looked at",
            });
        }
        self.0.touch();
        Ok(self.0.base().calling(|| work(view)))
    }

    /// Starts reading, writing, or both.
    ///
    /// Each call with `WRITE` runs the write callback once in the next turn, even if
    /// nothing was written. A filter passes on what waits at once.
    ///
    /// # Errors
    /// [`Error::Argument`] for other flags than `READ` and `WRITE`, which PHP stores and
    /// reports; [`Error::Call`] when the backend refuses the descriptor, such as epoll a
    /// regular file's; [`Error::Freed`], [`Error::Forked`].
    ///
    /// # Examples
    /// ```
    /// # use php_event::{BufferEventOptions, Event, EventBase, EventBufferEvent};
    /// # let base = EventBase::new()?;
    /// # let (bev, peer) = EventBufferEvent::create_pair(&base, BufferEventOptions::empty())?;
    /// bev.enable(Event::READ | Event::WRITE)?;
    /// assert!(bev.get_enabled()?.contains(Event::READ));
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php("EventBufferEvent::enable", c = "bufferevent_enable")]
    pub fn enable(&self, events: EventFlags) -> Result<()> {
        let mut events = check_direction(CALL, events)?;
        if matches!(&*self.0.link.borrow(), Link::Closed(_)) {
            self.0.usable(CALL)?;
            // A frame of libevent's that runs a callback may hold the number of the descriptor,
            // which is another file's by now, and write to it.
            return Err(Error::State {
                call: CALL,
                reason: "it was closed; make a new buffer event",
            });
        }
        if self.0.pause.is_on() {
            events.remove(EventFlags::READ); // enabled, and C is told in the next turn
        }
        self.enable_in_c(CALL, events)?;
        self.0.ended.set(self.0.ended.get().difference(events));
        if events.contains(EventFlags::WRITE) {
            self.0.restart_write_timer();
        }
        if self.0.kind() == Kind::Filter {
            self.push(CALL, events, FlushMode::Normal)?; // libevent waits for the next byte
        }
        Ok(())
    }

    /// Enables, and reads what OpenSSL has already.
    fn enable_in_c(&self, call: &'static str, events: EventFlags) -> Result<()> {
        self.with(call, |view| view.enable(call, events))??;
        self.0.touch();
        Ok(())
    }

    /// Stops reading, writing, or both. What is in the buffers stays there. A TLS handshake that has
    /// begun stops, too, until the direction that it waits for is enabled again.
    ///
    /// # Errors
    /// [`Error::Argument`] for other flags than `READ` and `WRITE`; [`Error::Freed`],
    /// [`Error::Forked`]; [`Error::Call`] when the backend fails.
    ///
    /// # Examples
    /// ```
    /// # use php_event::{BufferEventOptions, Event, EventBase, EventBufferEvent};
    /// # let base = EventBase::new()?;
    /// # let (bev, peer) = EventBufferEvent::create_pair(&base, BufferEventOptions::empty())?;
    /// bev.disable(Event::WRITE)?;
    /// bev.write("stays in the output")?;
    /// peer.enable(Event::READ)?;
    /// base.dispatch()?;
    /// assert_eq!(peer.input().length(), 0);
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php("EventBufferEvent::disable", c = "bufferevent_disable")]
    pub fn disable(&self, events: EventFlags) -> Result<()> {
        let events = check_direction(CALL, events)?;
        self.with(CALL, |view| view.disable(CALL, events))??;
        if events.contains(EventFlags::WRITE) {
            self.0.restart_write_timer();
        }
        if events.contains(EventFlags::READ) {
            drop(self.0.pause.end());
        }
        Ok(())
    }

    /// Which of `READ` and `WRITE` are enabled. The end of the input, an error and a timeout
    /// disable their direction.
    ///
    /// # Errors
    /// [`Error::Freed`], [`Error::Forked`].
    ///
    /// # Examples
    /// ```
    /// # use php_event::{BufferEventOptions, Event, EventBase, EventBufferEvent};
    /// # let base = EventBase::new()?;
    /// # let (bev, peer) = EventBufferEvent::create_pair(&base, BufferEventOptions::empty())?;
    /// assert_eq!(bev.get_enabled()?, Event::WRITE); // as it was made
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php("EventBufferEvent::getEnabled", c = "bufferevent_get_enabled")]
    pub fn get_enabled(&self) -> Result<EventFlags> {
        let view = self.0.usable(CALL)?;
        let mut enabled = view.enabled();
        enabled.set(
            EventFlags::READ,
            enabled.contains(EventFlags::READ) || self.0.pause.is_on(),
        );
        Ok(enabled)
    }

    /// The number of the descriptor: none before `connect` makes one, for a half of a pair,
    /// and once closed or freed. A filter has that of what is under it.
    ///
    /// PHP: the property `EventBufferEvent::$fd`. libevent: `bufferevent_getfd`.
    ///
    /// # Examples
    /// ```
    /// # use php_event::{BufferEventOptions, Event, EventBase, EventBufferEvent};
    /// # use std::os::unix::net::UnixStream;
    /// # let base = EventBase::new()?;
    /// let (_peer, socket) = UnixStream::pair()?;
    /// let bev = EventBufferEvent::new(&base, socket, BufferEventOptions::empty())?;
    /// assert!(bev.fd().is_some());
    /// bev.free();
    /// assert_eq!(bev.fd(), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "EventBufferEvent::$fd", alias = "bufferevent_getfd")]
    #[must_use]
    pub fn fd(&self) -> Option<RawFd> {
        self.0.usable("EventBufferEvent::$fd").ok()?.fd()
    }

    /// Closes the descriptor and keeps the object: what came in can still be read, nothing
    /// more is received or sent, and both directions are disabled.
    ///
    /// A shared socket stays open for its other owners. A [`connect_host`](Self::connect_host)
    /// that is under way ends without an event.
    ///
    /// libevent: `bufferevent_setfd` with −1.
    ///
    /// # Errors
    /// [`Error::State`] without a descriptor of its own; [`Error::Freed`], [`Error::Forked`].
    ///
    /// # Examples
    /// ```
    /// # use php_event::{BufferEventOptions, Event, EventBase, EventBufferEvent};
    /// # use std::os::unix::net::UnixStream;
    /// # let base = EventBase::new()?;
    /// let (mut peer, socket) = UnixStream::pair()?;
    /// let bev = EventBufferEvent::new(&base, socket, BufferEventOptions::empty())?;
    /// bev.close()?;
    /// assert_eq!(std::io::Read::read(&mut peer, &mut [0; 9])?, 0); // the end
    /// assert_eq!(bev.read(9)?, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[php(
        "EventBufferEvent::close",
        php_note = ", after which the closed number is still watched"
    )]
    pub fn close(&self) -> Result<()> {
        self.0.usable(CALL)?;
        let (source, dial) = (self.0.source(), self.take_dial());
        if source.is_none() && dial.is_none() {
            return Err(Error::State {
                call: CALL,
                reason: "there is no descriptor to close",
            });
        }
        let error = match &*self.0.link.borrow() {
            Link::Begun(error) => *error,
            _ => None,
        };
        self.0.link.replace(Link::Closed(error)); // nothing is under way
        #[cfg(feature = "openssl")]
        let record = self.close_notify();
        self.with(CALL, |view| {
            view.disable(CALL, EventFlags::READ | EventFlags::WRITE)
                .ok();
            // SAFETY: takes the descriptor away.
            unsafe { view.set_fd(CALL, None) }.ok();
        })?;
        self.settle();
        #[cfg(feature = "openssl")]
        self.send_close_notify(source.as_ref(), record);
        #[cfg(feature = "openssl")]
        drop(self.0.tls().and_then(|tls| tls.stop_waiting()));
        let held = self.0.carrier.borrow_mut().set_source(None);
        drop((held, source, dial, self.0.pause.end())); // libevent has let go of the socket
        Ok(())
    }

    /// Restores what a change of the descriptor has undone: that the buffers' far ends are
    /// the loop's alone, and the priority.
    fn settle(&self) {
        let Ok(view) = self.0.usable("") else { return };
        if self.0.kind() != Kind::Socket {
            return; // TLS needs both ends of its buffers open, and has no priority
        }
        view.freeze_far_ends();
        if let Some(priority) = self.0.settings.priority.get() {
            view.set_priority("", priority).ok(); // that of its deferred callback, too
        }
    }

    /// PHP's `allow_ssl_dirty_shutdown`, which is true where there is no TLS.
    fn ends_without_notice(&self) -> bool {
        #[cfg(feature = "openssl")]
        if let Some(tls) = self.0.tls() {
            return tls.is_dirty();
        }
        true
    }

    /// Leaves the buffer event to its base, which keeps it until it is freed: for a connection
    /// that nothing needs to hold but its own callbacks.
    ///
    /// One of them must call [`free`](Self::free) at the connection's end; what was not freed
    /// when the last handle of the base goes is freed with it. A freed one is dropped at once.
    ///
    /// Beyond PHP, whose programs keep each connection in an array.
    ///
    /// # Examples
    /// ```
    /// use php_event::{BufferEventOptions, Callbacks, Event, EventBase, EventBufferEvent};
    /// use std::os::unix::net::UnixStream;
    ///
    /// let base = EventBase::new()?;
    /// let (client, server) = UnixStream::pair()?;
    /// let bev = EventBufferEvent::new(&base, server, BufferEventOptions::empty())?;
    /// bev.set_callbacks(Callbacks::new().on_event(|bev, what| {
    ///     assert!(what.contains(EventBufferEvent::EOF));
    ///     bev.free();
    /// }))?;
    /// bev.enable(Event::READ)?;
    /// bev.detach();
    /// drop(client);
    /// base.dispatch()?; // until the end of the connection
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn detach(self) {
        if self.0.usable("EventBufferEvent::detach").is_ok() {
            let base = self.0.base();
            base.keep(Rc::as_ptr(&self.0).addr(), self);
        }
    }

    /// The base that the buffer event belongs to.
    ///
    /// # Examples
    /// ```
    /// # use php_event::{BufferEventOptions, EventBase, EventBufferEvent};
    /// let base = EventBase::new()?;
    /// let (bev, _peer) = EventBufferEvent::create_pair(&base, BufferEventOptions::empty())?;
    /// assert_eq!(bev.base(), base);
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php(c = "bufferevent_get_base")]
    #[must_use]
    pub fn base(&self) -> EventBase {
        EventBase::of(&self.0.base())
    }

    /// Frees the object: no callback runs any more, what was not written is discarded, the
    /// socket closes unless it is shared, and every later call returns [`Error::Freed`].
    ///
    /// In its own callback the closure is dropped when the callback returns. Freeing twice is
    /// harmless. Memory of libevent's own goes in the next turn of the loop, or with the base.
    ///
    /// # Examples
    /// ```
    /// # use php_event::{BufferEventOptions, Event, EventBase, EventBufferEvent};
    /// # let base = EventBase::new()?;
    /// # let (bev, peer) = EventBufferEvent::create_pair(&base, BufferEventOptions::empty())?;
    /// bev.free();
    /// bev.free();
    /// assert!(bev.write("too late").is_err());
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php(
        "EventBufferEvent::free",
        php_note = ", which closes the descriptor in the next turn, and only with `OPT_CLOSE_ON_FREE`",
        c = "bufferevent_free"
    )]
    pub fn free(&self) {
        self.0.release();
    }

    /// Frees the object. If a filter is on top of it, the object is freed together with the filter
    /// instead, as under [`OPT_CLOSE_ON_FREE`](Self::OPT_CLOSE_ON_FREE), even if there are handles
    /// or buffers of it.
    ///
    /// Not in PHP. For embedders: for a buffer event whose object in another language has gone
    /// while the program still has its buffers.
    ///
    /// # Examples
    /// ```
    /// # use php_event::{BufferEventOptions, EventBase, EventBufferEvent, Filters};
    /// # let base = EventBase::new()?;
    /// let options = BufferEventOptions::empty();
    /// let (under, _peer) = EventBufferEvent::create_pair(&base, options)?;
    /// let filter = EventBufferEvent::create_filter(&under, Filters::new(), options)?;
    /// under.free_with_filter();
    /// assert!(under.get_enabled().is_ok());
    /// filter.free();
    /// assert!(under.get_enabled().is_err());
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    pub fn free_with_filter(&self) {
        if self.0.covered.get() {
            self.0.ends_with_filter.set(true);
        } else {
            self.0.release();
        }
    }
}

/// The options for C. The descriptor is never C's to close.
fn check_options(call: &'static str, options: BufferEventOptions) -> Result<BufferEventOptions> {
    if options.contains(BufferEventOptions::THREADSAFE) {
        return Err(Error::argument(
            call,
            "OPT_THREADSAFE asks for locks, but a buffer event belongs to one thread here; leave it out",
        ));
    }
    let unlock = options.contains(BufferEventOptions::UNLOCK_CALLBACKS);
    if unlock && !options.contains(BufferEventOptions::DEFER_CALLBACKS) {
        return Err(Error::argument(
            call,
            "OPT_UNLOCK_CALLBACKS needs OPT_DEFER_CALLBACKS",
        ));
    }
    let ours = BufferEventOptions::CLOSE_ON_FREE;
    Ok(options & BufferEventOptions::all() & !ours)
}

/// Only `READ` and `WRITE`.
fn check_direction(call: &'static str, events: EventFlags) -> Result<EventFlags> {
    if EventFlags::READ.union(EventFlags::WRITE).contains(events) {
        Ok(events)
    } else {
        let reason = format!("{events:?} given; a buffer event has READ and WRITE");
        Err(Error::argument(call, reason))
    }
}

impl Serialize for EventBufferEvent {
    /// `{"priority":null,"fd":8,"input":{…},"output":{…},"allow_ssl_dirty_shutdown":true}`, as
    /// PHP's `json_encode` gives; a freed one has null and, at the end, false.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let alive = self.0.usable("EventBufferEvent").is_ok();
        let dirty = alive && self.ends_without_notice();
        let mut object = serializer.serialize_struct("EventBufferEvent", 5)?;
        object.serialize_field("priority", &())?;
        object.serialize_field("fd", &self.fd())?;
        object.serialize_field("input", &alive.then(|| self.input()))?;
        object.serialize_field("output", &alive.then(|| self.output()))?;
        object.serialize_field("allow_ssl_dirty_shutdown", &dirty)?;
        object.end()
    }
}

impl PartialEq for EventBufferEvent {
    /// Whether both are the same object, as PHP's `===`.
    fn eq(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for EventBufferEvent {}

impl fmt::Debug for EventBufferEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventBufferEvent")
            .field("kind", &self.0.kind())
            .field("fd", &self.fd())
            .field("enabled", &self.get_enabled().ok())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detached_one_that_was_freed_leaves_the_bases_keeping() {
        let base = EventBase::new().unwrap();
        let bev = EventBufferEvent::unconnected(&base, BufferEventOptions::empty()).unwrap();
        let alive = Rc::downgrade(&bev.0);
        bev.clone().detach();
        bev.free();
        drop(bev);
        assert!(alive.upgrade().is_none());
    }
}

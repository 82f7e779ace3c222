//! How much a buffer event takes and gives, how fast, how urgently, and for how long it
//! waits.
//!
//! Owns: a [`RateLimit`] in libevent's form, for the buffer event that has it. Lent to C:
//! that, until another takes its place or the buffer event is freed. Runs user code: none
//! of its own; see [`EventBufferEvent::set_watermark`].
use std::time::Duration;

use php_event_macros::php;

use super::carrier::Kind;
use super::{EventBufferEvent, check_direction};
use crate::error::{Error, Result};
use crate::flags::EventFlags;
use crate::native::RateBucket;

/// The longest tick of a [`RateLimit`].
const TICK_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// How fast a buffer event may read and write; for [`EventBufferEvent::set_rate_limit`].
///
/// Each `tick` the allowance grows by the rate, up to the burst; reading and writing use it
/// up, and wait when it is gone. PHP has no such thing.
/// libevent: `struct ev_token_bucket_cfg`.
///
/// # Examples
/// ```
/// use php_event::RateLimit;
/// use std::time::Duration;
///
/// let slow = RateLimit { write_rate: 10_000, write_burst: 20_000, ..RateLimit::UNLIMITED };
/// assert_eq!(slow.tick, Duration::from_secs(1));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[doc(alias = "ev_token_bucket_cfg")]
pub struct RateLimit {
    /// Bytes that may be read in each tick, at least 1.
    pub read_rate: usize,
    /// Bytes that may be read at once after a pause, at least the rate.
    pub read_burst: usize,
    /// Bytes that may be written in each tick, at least 1.
    pub write_rate: usize,
    /// Bytes that may be written at once after a pause, at least the rate.
    pub write_burst: usize,
    /// How long a tick is: one millisecond to one day.
    pub tick: Duration,
}

impl RateLimit {
    /// No limit that could be met, and ticks of a second: to set a part of the fields.
    ///
    /// # Examples
    /// ```
    /// # use php_event::RateLimit;
    /// let slow_reader = RateLimit { read_rate: 100, read_burst: 200, ..RateLimit::UNLIMITED };
    /// assert!(slow_reader.write_rate > slow_reader.read_rate);
    /// ```
    pub const UNLIMITED: Self = Self {
        read_rate: isize::MAX as usize,
        read_burst: isize::MAX as usize,
        write_rate: isize::MAX as usize,
        write_burst: isize::MAX as usize,
        tick: Duration::from_secs(1),
    };

    /// libevent's form of it.
    fn bucket(&self, call: &'static str) -> Result<RateBucket> {
        let fits = |rate, burst| (1..=burst).contains(&rate) && burst <= isize::MAX as usize;
        if !fits(self.read_rate, self.read_burst) || !fits(self.write_rate, self.write_burst) {
            return Err(Error::argument(
                call,
                format!("{self:?}: a rate is at least 1 and at most its burst"),
            ));
        }
        // libevent divides by the tick's milliseconds, in 32 bits.
        if !(Duration::from_millis(1)..=TICK_MAX).contains(&self.tick) {
            return Err(Error::argument(
                call,
                format!(
                    "a tick of {:?}; one millisecond to one day is possible",
                    self.tick
                ),
            ));
        }
        let (read, write) = (
            (self.read_rate, self.read_burst),
            (self.write_rate, self.write_burst),
        );
        RateBucket::new(call, read, write, self.tick)
    }
}

impl EventBufferEvent {
    /// Sets watermarks for `READ`, `WRITE` or both.
    ///
    /// Reading: the read callback is called when `low` bytes or more wait; the end and
    /// errors are told regardless. The loop stops reading when `high` wait, and goes on when
    /// there are fewer; 0 is no limit. A read callback that leaves `high` bytes or more in
    /// the input is called again in the next turn, for as long as it does: the loop never
    /// rests. Writing: the write callback is called when `low` bytes or fewer are left;
    /// `high` limits what a filter on top of this object puts into it.
    ///
    /// Lowering a mark does not announce data that is there already.
    ///
    /// # Errors
    /// [`Error::Argument`] when `low` is more than a `high` that is not 0, so that nothing
    /// would ever be told, and for other flags than `READ` and `WRITE`; [`Error::Freed`],
    /// [`Error::Forked`].
    ///
    /// # Examples
    /// ```
    /// # use php_event::{BufferEventOptions, Event, EventBase, EventBufferEvent};
    /// # let base = EventBase::new()?;
    /// # let (bev, peer) = EventBufferEvent::create_pair(&base, BufferEventOptions::empty())?;
    /// bev.set_watermark(Event::READ, 4, 64)?; // tell from four bytes on, hold at most 64
    /// assert!(bev.set_watermark(Event::READ, 64, 4).is_err());
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php("EventBufferEvent::setWatermark", c = "bufferevent_setwatermark")]
    pub fn set_watermark(&self, events: EventFlags, low: usize, high: usize) -> Result<()> {
        let events = check_direction(CALL, events)?;
        if high != 0 && low > high {
            let reason = format!("low mark {low} above high mark {high}: nothing could reach it");
            return Err(Error::argument(CALL, reason));
        }
        // libevent counts the room that is left in these types.
        let most = match self.0.kind() {
            #[cfg(feature = "openssl")]
            Kind::Tls | Kind::TlsFilter => i32::MAX as usize,
            _ => isize::MAX as usize,
        };
        let (low, high) = (low.min(most), high.min(most));
        self.with(CALL, |view| view.set_watermark(events, low, high))?;
        if high != 0 && events.contains(EventFlags::READ) {
            self.0.deferred.possible.set(true); // libevent queues it when the mark is met
        }
        Ok(())
    }

    /// Sets how long reading and writing wait; `None`, as zero, is for ever.
    ///
    /// When nothing came for that long while `READ` is enabled, the event callback is told
    /// `READING | TIMEOUT`, and `READ` is disabled; when output waits and none could go out,
    /// `WRITING | TIMEOUT`, and `WRITE` is disabled. Each arrival or departure starts the
    /// time anew. Longer times than [`MAX_TIMEOUT`](crate::MAX_TIMEOUT) are that; parts of a
    /// microsecond are cut.
    ///
    /// # Errors
    /// [`Error::Freed`], [`Error::Forked`]; [`Error::Call`] without memory.
    ///
    /// # Examples
    /// ```
    /// # use php_event::{BufferEventOptions, Callbacks, Event, EventBase, EventBufferEvent};
    /// # use std::{os::unix::net::UnixStream, time::Duration};
    /// let base = EventBase::new()?;
    /// let (_silent, socket) = UnixStream::pair()?;
    /// let bev = EventBufferEvent::new(&base, socket, BufferEventOptions::empty())?;
    /// bev.set_callbacks(Callbacks::new().on_event(|_bev, what| {
    ///     assert_eq!(what, EventBufferEvent::READING | EventBufferEvent::TIMEOUT);
    /// }))?;
    /// bev.set_timeouts(Some(Duration::from_millis(1)), None)?;
    /// bev.enable(Event::READ)?;
    /// base.dispatch()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[php(
        "EventBufferEvent::setTimeouts",
        php_note = ", where 0 is none",
        c = "bufferevent_set_timeouts"
    )]
    pub fn set_timeouts(&self, read: Option<Duration>, write: Option<Duration>) -> Result<()> {
        self.with(CALL, |view| view.set_timeouts(CALL, read, write))??;
        self.0
            .settings
            .write_timeout
            .set(write.filter(|time| !time.is_zero()));
        Ok(())
    }

    /// The priority of its events: 0 is the most urgent.
    ///
    /// PHP: the property `EventBufferEvent::$priority`, which reads null there.
    /// libevent: `bufferevent_get_priority`.
    ///
    /// # Errors
    /// [`Error::Freed`], [`Error::Forked`].
    ///
    /// # Examples
    /// ```
    /// # use php_event::{BufferEventOptions, Event, EventBase, EventBufferEvent};
    /// # let base = EventBase::new()?;
    /// # let (bev, peer) = EventBufferEvent::create_pair(&base, BufferEventOptions::empty())?;
    /// assert_eq!(bev.priority()?, 0); // the base has one priority
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(
        alias = "EventBufferEvent::$priority",
        alias = "bufferevent_get_priority"
    )]
    pub fn priority(&self) -> Result<i32> {
        Ok(self.0.usable("EventBufferEvent::$priority")?.priority())
    }

    /// Sets the priority, from 0, the most urgent, to the base's number of priorities less
    /// one.
    ///
    /// # Errors
    /// [`Error::Argument`] outside of that range; [`Error::State`] when this object has no
    /// socket of its own, and when a callback of it may wait in the queue of its former
    /// priority, which would destroy the queue: with `OPT_DEFER_CALLBACKS` set the priority
    /// before anything else, otherwise before a read high watermark; [`Error::Call`] when it
    /// is about to run; [`Error::Freed`], [`Error::Forked`].
    ///
    /// # Examples
    /// ```
    /// # use php_event::{BufferEventOptions, EventBase, EventBufferEvent};
    /// # let base = EventBase::new()?;
    /// base.priority_init(3)?;
    /// let bev = EventBufferEvent::unconnected(&base, BufferEventOptions::empty())?;
    /// bev.set_priority(0)?;
    /// assert_eq!(bev.priority()?, 0);
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php(
        "EventBufferEvent::setPriority",
        php_note = ", and writing the property `$priority`",
        c = "bufferevent_priority_set"
    )]
    pub fn set_priority(&self, priority: i32) -> Result<()> {
        let view = self.0.usable(CALL)?;
        if self.0.kind() != Kind::Socket {
            return Err(Error::State {
                call: CALL,
                reason: "only a buffer event on a socket of its own has a priority",
            });
        }
        let base = self.0.base();
        let n = base.native().priorities();
        if !(0..n).contains(&priority) {
            let reason = format!("priority {priority} of {n}; call EventBase::priority_init first");
            return Err(Error::argument(CALL, reason));
        }
        if self.0.deferred.possible.get() {
            return Err(Error::State {
                call: CALL,
                reason: "a callback may wait in the queue; set the priority right after making it",
            });
        }
        let set = view.set_priority(CALL, priority);
        base.note_priority(priority);
        set?;
        self.0.settings.priority.set(Some(priority));
        Ok(())
    }

    /// Sets how fast it may read and write; `None` lifts the limit.
    ///
    /// The first tick allows one rate, not the burst.
    ///
    /// PHP has no such method. libevent: `bufferevent_set_rate_limit`.
    ///
    /// # Errors
    /// [`Error::Argument`] for a rate of 0 or above its burst, and for a tick below a
    /// millisecond or above a day; [`Error::State`] when this object has no socket of its
    /// own: limit what is under it; [`Error::Freed`], [`Error::Forked`].
    ///
    /// # Examples
    /// ```
    /// # use php_event::{BufferEventOptions, EventBase, EventBufferEvent, RateLimit};
    /// # let (_peer, socket) = std::os::unix::net::UnixStream::pair()?;
    /// let base = EventBase::new()?;
    /// let bev = EventBufferEvent::new(&base, socket, BufferEventOptions::empty())?;
    /// let slow = RateLimit { write_rate: 1_000, write_burst: 1_000, ..RateLimit::UNLIMITED };
    /// bev.set_rate_limit(Some(slow))?;
    /// bev.set_rate_limit(None)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "bufferevent_set_rate_limit")]
    pub fn set_rate_limit(&self, limit: Option<RateLimit>) -> Result<()> {
        const CALL: &str = "EventBufferEvent::setRateLimit";
        self.0.usable(CALL)?;
        if self.0.kind() != Kind::Socket {
            return Err(Error::State {
                call: CALL,
                reason: "only a buffer event on a socket of its own can be limited",
            });
        }
        let bucket = limit.map(|limit| limit.bucket(CALL)).transpose()?;
        self.with(CALL, |view| view.set_rate_limit(CALL, bucket.as_ref()))??;
        drop(self.0.settings.bucket.replace(bucket));
        Ok(())
    }
}

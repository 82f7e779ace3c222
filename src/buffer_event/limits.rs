//! A buffer event's limits: watermarks, timeouts, priority and rate.
//!
//! Owns: a [`RateLimit`] in libevent's form. Lent to C: the same, until it is replaced or the
//! buffer event is freed. Runs user code: none here; see [`EventBufferEvent::set_watermark`].
use std::time::Duration;

use php_event_macros::php;

use super::carrier::Kind;
use super::inner::{Inner, Link};
use super::{EventBufferEvent, check_direction};
use crate::error::{Error, Result};
use crate::flags::EventFlags;
use crate::native::RateBucket;

/// The longest tick of a [`RateLimit`].
const TICK_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// How fast a buffer event may read and write; for [`EventBufferEvent::set_rate_limit`].
///
/// The allowance grows by the rate in each tick, up to the burst. Reading and writing use it
/// up, and wait when it is gone. PHP has no such thing. libevent: `struct ev_token_bucket_cfg`.
///
/// # Examples
/// ```
/// use php_event::RateLimit;
/// use std::time::Duration;
///
/// let slow = RateLimit::new().read(100, 200).write(10_000, 20_000).tick(Duration::from_millis(100));
/// # let _ = slow;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[doc(alias = "ev_token_bucket_cfg")]
#[must_use = "a rate limit does nothing until set_rate_limit gets it"]
pub struct RateLimit {
    read: Allowance,
    write: Allowance,
    tick: Duration,
}

/// Bytes in one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Allowance {
    rate: usize,
    burst: usize,
}

impl Allowance {
    const UNLIMITED: Self = Self {
        rate: isize::MAX as usize,
        burst: isize::MAX as usize,
    };

    fn is_valid(self) -> bool {
        (1..=self.burst).contains(&self.rate) && self.burst <= isize::MAX as usize
    }
}

impl Default for RateLimit {
    fn default() -> Self {
        Self::new()
    }
}

impl RateLimit {
    /// No limit in either direction, and ticks of a second.
    ///
    /// # Examples
    /// ```
    /// # use php_event::RateLimit;
    /// assert_eq!(RateLimit::new(), RateLimit::default());
    /// ```
    pub const fn new() -> Self {
        Self {
            read: Allowance::UNLIMITED,
            write: Allowance::UNLIMITED,
            tick: Duration::from_secs(1),
        }
    }

    /// Reads `rate` bytes in each tick, and at most `burst` at once after a pause.
    ///
    /// [`EventBufferEvent::set_rate_limit`] checks the numbers.
    ///
    /// # Examples
    /// ```
    /// # use php_event::RateLimit;
    /// let slow_reader = RateLimit::new().read(100, 200);
    /// # let _ = slow_reader;
    /// ```
    pub const fn read(mut self, rate: usize, burst: usize) -> Self {
        self.read = Allowance { rate, burst };
        self
    }

    /// Writes `rate` bytes in each tick, and at most `burst` at once after a pause.
    ///
    /// [`EventBufferEvent::set_rate_limit`] checks the numbers.
    ///
    /// # Examples
    /// ```
    /// # use php_event::RateLimit;
    /// let slow_writer = RateLimit::new().write(10_000, 20_000);
    /// # let _ = slow_writer;
    /// ```
    pub const fn write(mut self, rate: usize, burst: usize) -> Self {
        self.write = Allowance { rate, burst };
        self
    }

    /// How long a tick is: one millisecond to one day.
    ///
    /// [`EventBufferEvent::set_rate_limit`] checks it.
    ///
    /// # Examples
    /// ```
    /// # use php_event::RateLimit;
    /// use std::time::Duration;
    ///
    /// let smooth = RateLimit::new().write(100, 100).tick(Duration::from_millis(10));
    /// # let _ = smooth;
    /// ```
    pub const fn tick(mut self, tick: Duration) -> Self {
        self.tick = tick;
        self
    }

    /// libevent's form of it.
    fn bucket(&self, call: &'static str) -> Result<RateBucket> {
        for allowance in [self.read, self.write] {
            if !allowance.is_valid() {
                return Err(Error::argument(
                    call,
                    format!("{allowance:?}: a rate is at least 1 and at most its burst"),
                ));
            }
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
            (self.read.rate, self.read.burst),
            (self.write.rate, self.write.burst),
        );
        RateBucket::new(call, read, write, self.tick)
    }
}

impl Inner {
    /// The read low mark for C. Below a TLS filter that is 0, and the mark waits for the filter's end:
    /// it could stop the handshake.
    fn read_low_mark_in_c(&self, low: usize) -> usize {
        let waiting = &self.settings.low_mark_without_tls;
        if waiting.get().is_none() {
            return low;
        }
        waiting.set(Some(low));
        0
    }
}

impl EventBufferEvent {
    /// Sets watermarks for `READ`, `WRITE` or both.
    ///
    /// Reading: the read callback runs when the input has at least `low` bytes; the end and
    /// errors are reported in any case. Reading stops at `high` bytes and resumes below; 0 means
    /// no limit. A read callback that leaves `high` bytes or more in the input is called again in
    /// every turn of the loop. Writing: the write callback runs when at most `low` bytes are left;
    /// `high` limits what a filter on top of this object puts into it.
    ///
    /// Lowering a watermark does not report data that is already there.
    ///
    /// # Errors
    /// [`Error::Argument`] when `low` exceeds a `high` other than 0, so that no callback
    /// would ever run, and for other flags than `READ` and `WRITE`; [`Error::Freed`],
    /// [`Error::Forked`]; [`Error::Call`] when out of memory, where libevent checks: the first read
    /// high mark may end the process instead.
    ///
    /// # Examples
    /// ```
    /// # use php_event::{BufferEventOptions, Event, EventBase, EventBufferEvent};
    /// # let base = EventBase::new()?;
    /// # let (bev, peer) = EventBufferEvent::create_pair(&base, BufferEventOptions::empty())?;
    /// bev.set_watermark(Event::READ, 4, 64)?; // report four bytes or more, hold at most 64
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
        self.with(CALL, |view| {
            if events.contains(EventFlags::READ) {
                if high > 0 {
                    self.0.watch_input(CALL)?;
                }
                self.0.settings.read_high_mark.set(high); // the call may run the read callback
                let read_low = self.0.read_low_mark_in_c(low);
                view.set_watermark(EventFlags::READ, read_low, high);
            }
            if events.contains(EventFlags::WRITE)
                && let Ok(view) = self.0.usable(CALL)
            {
                view.set_watermark(EventFlags::WRITE, low, high);
            }
            Ok(())
        })??;
        if high != 0 && events.contains(EventFlags::READ) {
            self.0.deferred.possible.set(true); // libevent queues it when the mark is met
        }
        if events.contains(EventFlags::READ) && self.0.settings.watches_input.get() {
            self.use_room();
        }
        Ok(())
    }

    /// Sets how long reading and writing wait; `None` and zero mean for ever.
    ///
    /// If nothing arrives for that long while `READ` is enabled, the event callback gets
    /// `READING | TIMEOUT`, and `READ` is disabled. If output waits and none could be sent, it gets
    /// `WRITING | TIMEOUT`, and `WRITE` is disabled. Every byte restarts the time. After
    /// [`connect_host`](Self::connect_host), output has its time from the connection on. Times above
    /// [`MAX_TIMEOUT`](crate::MAX_TIMEOUT) are shortened to it, and to whole microseconds.
    ///
    /// # Errors
    /// [`Error::Freed`], [`Error::Forked`]; [`Error::Call`] when out of memory.
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
        let settings = &self.0.settings;
        let [read, write] = [read, write].map(|time| time.filter(|time| !time.is_zero()));
        let is_ours = self.0.kind().counts_output();
        let dials = matches!(&*self.0.link.borrow(), Link::Dialing(_)); // then the socket gets it
        let in_c = |write: Option<Duration>| write.filter(|_| !is_ours && !dials);
        let former = (
            settings.read_timeout.get(),
            in_c(settings.write_timeout.get()),
        );
        self.with(CALL, |view| {
            view.replace_timeouts(CALL, former, (read, in_c(write)))
        })??;
        settings.read_timeout.set(read);
        settings.write_timeout.set(write);
        if is_ours {
            self.time_output(CALL)?;
        }
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
    /// socket of its own, and when a callback may be queued at the former priority, which would
    /// corrupt libevent's queue: set the priority before a read high watermark, and with
    /// `OPT_DEFER_CALLBACKS` before anything else; [`Error::Call`] when a callback is about to
    /// run; [`Error::Freed`], [`Error::Forked`].
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

    /// Sets how fast it may read and write; `None` removes the limit.
    ///
    /// The first tick allows the rate, not the burst.
    ///
    /// PHP has no such method. libevent: `bufferevent_set_rate_limit`.
    ///
    /// # Errors
    /// [`Error::Argument`] for a rate of 0 or above its burst, and for a tick below a
    /// millisecond or above a day; [`Error::State`] when this object has no socket of its
    /// own: limit the object under it; [`Error::Freed`], [`Error::Forked`].
    ///
    /// # Examples
    /// ```
    /// # use php_event::{BufferEventOptions, EventBase, EventBufferEvent, RateLimit};
    /// # let (_peer, socket) = std::os::unix::net::UnixStream::pair()?;
    /// let base = EventBase::new()?;
    /// let bev = EventBufferEvent::new(&base, socket, BufferEventOptions::empty())?;
    /// bev.set_rate_limit(Some(RateLimit::new().write(1_000, 1_000)))?;
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

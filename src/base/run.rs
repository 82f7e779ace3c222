//! Running a base's loop, ending it, and its time.
//!
//! Runs user code: every callback of the base, from [`EventBase::loop`].

use std::time::{Duration, SystemTime};

use php_event_macros::php;

use super::EventBase;
use crate::error::{Error, Result, cvt};
use crate::flags::LoopFlags;
use crate::{log, runtime};

/// Why a loop ended; see [`EventBase::loop`].
///
/// # Examples
/// ```
/// use php_event::{EventBase, LoopEnd};
///
/// assert_eq!(EventBase::new()?.dispatch()?, LoopEnd::NoEvents);
/// # Ok::<(), php_event::EventException>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoopEnd {
    /// No event is pending.
    NoEvents,
    /// [`EventBase::stop`] was called.
    Stop,
    /// [`EventBase::exit`] was called, or its time has passed.
    Exit,
    /// The turns that [`EventBase::LOOP_ONCE`] or [`EventBase::LOOP_NONBLOCK`] asks for are done.
    Passed,
}

impl EventBase {
    /// Runs the loop: waits for events and calls their callbacks.
    ///
    /// Without flags it runs until no event is pending, [`stop`](Self::stop) or
    /// [`exit`](Self::exit) is called. `LOOP_ONCE` waits for one turn; `LOOP_NONBLOCK` does
    /// not wait, but continues while a poll finds work; both together make exactly one pass.
    /// A panic in a callback deletes its event, breaks the loop and comes out of this method,
    /// after which the loop may be run again.
    ///
    /// # Errors
    /// [`Error::State`] when this base's loop is already running; [`Error::Call`] when the
    /// backend fails; [`Error::Forked`] when a callback forked and this is the child.
    ///
    /// # Examples
    /// ```
    /// use php_event::{Event, EventBase, LoopEnd, LoopFlags};
    ///
    /// let base = EventBase::new()?;
    /// assert_eq!(base.r#loop(LoopFlags::empty())?, LoopEnd::NoEvents);
    ///
    /// let other = base.clone();
    /// let at_once = Event::timer(&base, move |_event| drop(other.stop()))?;
    /// at_once.add(Some(std::time::Duration::ZERO))?;
    /// assert_eq!(base.r#loop(EventBase::LOOP_ONCE)?, LoopEnd::Stop);
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php("EventBase::loop", c = "event_base_loop")]
    pub fn r#loop(&self, flags: LoopFlags) -> Result<LoopEnd> {
        self.loop_as(CALL, flags)
    }

    fn loop_as(&self, call: &'static str, flags: LoopFlags) -> Result<LoopEnd> {
        let handle = self.clone(); // a callback may drop every other handle of this base
        let inner = handle.inner();
        inner.usable(call)?;
        inner.at_rest(call, "this base's loop is already running")?;
        let rc = inner.calling(|| inner.native().run(flags & LoopFlags::all()));
        if inner.is_foreign() {
            return Err(Error::Forked { call });
        }
        let rc = cvt(call, rc)?;
        log::flush();
        Ok(match rc {
            1 => LoopEnd::NoEvents,
            _ if self.got_stop() => LoopEnd::Stop,
            _ if self.got_exit() => LoopEnd::Exit,
            _ => LoopEnd::Passed,
        })
    }

    /// Runs the loop without flags.
    ///
    /// # Errors
    /// As [`loop`](Self::loop).
    ///
    /// # Examples
    /// ```
    /// use php_event::{Event, EventBase, LoopEnd};
    /// use std::time::Duration;
    ///
    /// let base = EventBase::new()?;
    /// let timer = Event::timer(&base, |_event| println!("now"))?;
    /// timer.add(Some(Duration::from_millis(1)))?;
    /// assert_eq!(base.dispatch()?, LoopEnd::NoEvents);
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php("EventBase::dispatch", c = "event_base_dispatch")]
    pub fn dispatch(&self) -> Result<LoopEnd> {
        self.loop_as(CALL, LoopFlags::empty())
    }

    /// Ends the loop after this turn, in which the other active events still run, or after
    /// `timeout`.
    ///
    /// After `exit(None)` outside of a loop, the next loop makes one pass. If the loop ends for
    /// another reason before `timeout`, that time ends a later loop.
    ///
    /// `None` is PHP's −1 or no argument.
    ///
    /// # Errors
    /// [`Error::Freed`], [`Error::Forked`]; [`Error::Call`] when out of memory.
    ///
    /// # Examples
    /// ```
    /// use php_event::{Event, EventBase, LoopEnd};
    /// use std::time::Duration;
    ///
    /// let base = EventBase::new()?;
    /// let far_off = Event::timer(&base, |_event| unreachable!())?;
    /// far_off.add(Some(Duration::from_secs(3600)))?;
    /// base.exit(Some(Duration::from_millis(1)))?;
    /// assert_eq!(base.dispatch()?, LoopEnd::Exit);
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php("EventBase::exit", c = "event_base_loopexit")]
    pub fn exit(&self, timeout: Option<Duration>) -> Result<()> {
        self.inner().usable(CALL)?;
        self.inner().native().exit(CALL, timeout)?;
        // The timeout is an event of libevent's own.
        self.inner().note_priority(self.inner().middle_priority());
        Ok(())
    }

    /// Ends the loop right after the running callback; the other active events stay
    /// pending and run first in the next loop. Outside of a loop it has no effect. In the callback
    /// of a signal that came several times, the calls that are still owed for it are lost.
    ///
    /// # Errors
    /// [`Error::Freed`], [`Error::Forked`].
    ///
    /// # Examples
    /// ```
    /// use php_event::{Event, EventBase, LoopEnd};
    /// use std::time::Duration;
    ///
    /// let base = EventBase::new()?;
    /// let stop = base.clone();
    /// let timer = Event::timer(&base, move |_event| stop.stop().unwrap())?;
    /// timer.add(Some(Duration::ZERO))?;
    /// assert_eq!(base.dispatch()?, LoopEnd::Stop);
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php("EventBase::stop", c = "event_base_loopbreak")]
    pub fn stop(&self) -> Result<()> {
        self.inner().usable(CALL)?;
        self.inner().stop();
        Ok(())
    }

    /// Ends the innermost running loop as a panic in its callback would, but without a panic: right
    /// after the callback. What else is due in the same turn is called in the next loop, except for
    /// further calls that are owed for the same signal, which are lost as after
    /// [`stop`](Self::stop). Outside of callbacks it does nothing.
    ///
    /// Not in PHP. For embedders: a callback that runs code of another language calls it when that
    /// code fails, and the embedder passes the error to the caller of the loop. After
    /// [`stop`](Self::stop) other closures of the same object may still be called, such as the one
    /// for its end after the one for its last bytes. It takes no base, since the callback may have
    /// moved its event to another one. Unlike after a panic, no event is deleted and no listener
    /// disabled. The rest of the callback works as always, loops of other bases included.
    ///
    /// # Examples
    /// ```
    /// use php_event::{BufferEventOptions, Callbacks, Event, EventBase, EventBufferEvent};
    ///
    /// let base = EventBase::new()?;
    /// let (bev, peer) = EventBufferEvent::create_pair(&base, BufferEventOptions::empty())?;
    /// bev.set_callbacks(
    ///     Callbacks::new()
    ///         .on_read(|_bev| EventBase::interrupt())
    ///         .on_write(|_bev| println!("in the second loop")),
    /// )?;
    /// bev.enable(Event::READ)?;
    /// peer.enable(Event::READ)?;
    /// peer.write("to be read")?;
    /// bev.write("to be written")?;
    /// base.r#loop(EventBase::LOOP_NONBLOCK)?;
    /// assert!(base.got_stop());
    /// base.r#loop(EventBase::LOOP_NONBLOCK)?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    pub fn interrupt() {
        runtime::interrupt();
    }

    /// Makes the running loop look for new events before it runs less urgent ones.
    ///
    /// # Errors
    /// [`Error::Freed`], [`Error::Forked`].
    ///
    /// # Examples
    /// ```
    /// # use php_event::{Event, EventBase};
    /// # use std::time::Duration;
    /// # let base = EventBase::new()?;
    /// let again = base.clone();
    /// let long = Event::timer(&base, move |_event| again.resume().unwrap())?;
    /// # long.add(Some(Duration::ZERO))?;
    /// # base.dispatch()?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php("EventBase::resume", c = "event_base_loopcontinue")]
    pub fn resume(&self) -> Result<()> {
        self.inner().usable(CALL)?;
        self.inner().native().resume(CALL)
    }

    /// Whether [`exit`](Self::exit) ended the last loop.
    ///
    /// # Examples
    /// ```
    /// # use php_event::EventBase;
    /// # use std::time::Duration;
    /// # let base = EventBase::new()?;
    /// # let far_off = php_event::Event::timer(&base, |_event| {})?;
    /// # far_off.add(Some(Duration::from_secs(3600)))?;
    /// base.exit(Some(Duration::ZERO))?;
    /// base.dispatch()?;
    /// assert!(base.got_exit() && !base.got_stop());
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php("EventBase::gotExit", c = "event_base_got_exit")]
    #[must_use]
    pub fn got_exit(&self) -> bool {
        self.inner().native().got_exit()
    }

    /// Whether [`stop`](Self::stop) ended the last loop, or was called since.
    ///
    /// # Examples
    /// ```
    /// # use php_event::{Event, EventBase};
    /// # use std::time::Duration;
    /// # let base = EventBase::new()?;
    /// let stop = base.clone();
    /// let timer = Event::timer(&base, move |_event| stop.stop().unwrap())?;
    /// timer.add(Some(Duration::ZERO))?;
    /// base.dispatch()?;
    /// assert!(base.got_stop() && !base.got_exit());
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php("EventBase::gotStop", c = "event_base_got_break")]
    #[must_use]
    pub fn got_stop(&self) -> bool {
        self.inner().native().got_stop()
    }

    /// The time at which this turn of the loop began. Outside of a loop, or with
    /// [`NO_CACHE_TIME`](Self::NO_CACHE_TIME), the present time.
    ///
    /// # Errors
    /// [`Error::Freed`], [`Error::Forked`]; [`Error::Call`] when the clock fails.
    ///
    /// # Examples
    /// ```
    /// # use php_event::EventBase;
    /// let base = EventBase::new()?;
    /// println!("{:?}", base.get_time_of_day_cached()?);
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php(
        "EventBase::getTimeOfDayCached",
        php_note = ", in seconds since 1970",
        c = "event_base_gettimeofday_cached"
    )]
    pub fn get_time_of_day_cached(&self) -> Result<SystemTime> {
        self.inner().usable(CALL)?;
        self.inner().native().time(CALL)
    }

    /// Reads the clock, so that timeouts added in a slow callback count from now.
    ///
    /// # Errors
    /// [`Error::Freed`], [`Error::Forked`].
    ///
    /// # Examples
    /// ```
    /// # use php_event::EventBase;
    /// let base = EventBase::new()?;
    /// base.update_cache_time()?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php("EventBase::updateCacheTime", c = "event_base_update_cache_time")]
    pub fn update_cache_time(&self) -> Result<()> {
        self.inner().usable(CALL)?;
        self.inner().native().update_time(CALL)
    }
}

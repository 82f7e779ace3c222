//! A base after a fork, and its end.
//!
//! Runs user code: destructors of what the base kept, when nothing is borrowed.

use std::cell::Cell;
use std::rc::Rc;

use php_event_macros::php;

use super::EventBase;
use crate::error::{Error, Result};
use crate::process;
use crate::runtime::{Ending, signals};

impl EventBase {
    /// Makes the base usable in a forked child, where its events then work independently of
    /// the parent's.
    ///
    /// Until then every call on the base and its events returns [`Error::Forked`]; what is
    /// dropped before is freed here. Without a fork it does nothing.
    ///
    /// # Errors
    /// [`Error::State`] inside a callback, with more than one thread, and when the base has
    /// signal events but another base of this process took the signals meanwhile;
    /// [`Error::Call`] when an event could not be registered again.
    ///
    /// # Examples
    /// ```
    /// use php_event::EventBase;
    /// use php_event::process::{self, Fork, Wait};
    ///
    /// let base = EventBase::new()?;
    /// match process::fork() {
    ///     Ok(Fork::Child) => {
    ///         base.re_init().unwrap();
    ///         base.dispatch().unwrap();
    ///         std::process::exit(0);
    ///     }
    ///     Ok(Fork::Parent(_child)) => println!("{:?}", process::wait(Wait::Block)?),
    ///     Err(error) => println!("{error}"), // a second thread is running
    /// }
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php("EventBase::reInit", c = "event_reinit")]
    pub fn re_init(&self) -> Result<()> {
        let inner = self.inner();
        if inner.is_freed() {
            return Err(Error::Freed {
                call: CALL,
                object: "base",
            });
        }
        inner.at_rest(CALL, "not possible inside a callback; leave the loop first")?;
        if !inner.is_foreign() {
            return Ok(());
        }
        if process::threads(CALL)? != 1 {
            // libevent closes its signal pair twice here; in between, another thread could get
            // the numbers.
            return Err(Error::State {
                call: CALL,
                reason: "not possible with more than one thread: call it before the others start",
            });
        }
        let mut record = signals::lock();
        inner.retake_signals(CALL, &mut record)?;
        let result = inner.native().re_init(CALL);
        inner.settle_here();
        drop(record);
        let mut ending = Ending::default();
        for remains in inner.remains.take() {
            ending.run(|| remains.free(inner));
        }
        let inherited = inner.inherited.borrow().clone(); // a child of this child inherits again
        for object in inherited {
            if let Some(object) = object.upgrade() {
                object.disown();
            }
        }
        ending.finish();
        result
    }

    /// Frees the base: its events are no longer pending and every later call returns
    /// [`Error::Freed`]. Freeing twice is harmless.
    ///
    /// Detached events and buffer events are dropped. libevent's own object is freed with the
    /// last event.
    ///
    /// # Errors
    /// [`Error::State`] inside a callback of this base, where PHP crashes;
    /// [`Error::Forked`] in a child before [`re_init`](Self::re_init).
    ///
    /// # Examples
    /// ```
    /// # use php_event::EventBase;
    /// let base = EventBase::new()?;
    /// let same = base.clone();
    /// base.free()?;
    /// assert!(same.dispatch().is_err());
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php(
        "EventBase::free",
        php_note = ", which leaves its events with a dangling pointer",
        c = "event_base_free"
    )]
    pub fn free(&self) -> Result<()> {
        let inner = self.inner();
        if inner.is_freed() {
            return Ok(());
        }
        inner.usable(CALL)?;
        inner.at_rest(CALL, "not possible inside a callback; use stop() or exit()")?;
        let signals = inner.signals.borrow();
        let added = signals.values().map(|added| Rc::clone(&added.event));
        let added = added.collect::<Vec<_>>();
        drop(signals);
        added.iter().for_each(|event| event.stop());
        inner.set_freed(); // first: user code may free the base again from here on
        inner.drop_kept();
        Ok(())
    }

    /// Whether [`free`](Self::free) was called.
    ///
    /// Not in PHP. For embedders: what belongs to a freed base gets no more events.
    ///
    /// # Examples
    /// ```
    /// # use php_event::EventBase;
    /// let base = EventBase::new()?;
    /// assert!(!base.is_freed());
    /// base.free()?;
    /// assert!(base.is_freed());
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[must_use]
    pub fn is_freed(&self) -> bool {
        self.inner().is_freed()
    }

    /// A number that the library does not use, 0 at first, which all handles of the base share.
    ///
    /// Not in PHP. For embedders: to count what can run the loop, for example.
    ///
    /// # Examples
    /// ```
    /// # use php_event::EventBase;
    /// let base = EventBase::new()?;
    /// base.embedder_number().set(1);
    /// assert_eq!(base.clone().embedder_number().get(), 1);
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[must_use]
    pub fn embedder_number(&self) -> &Cell<usize> {
        &self.inner().embedder
    }
}

//! [`Lookup`]: one host that is being looked up.
//!
//! Owns: the user's closure, until it is called or the last handle goes; its queries; a timer,
//! which is the lookup's deadline and calls the closure. Lent to C: nothing of its own.
//! Runs user code: the closure, from the timer's callback; destructors of what the closure
//! captured, where the last handle is dropped.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use php_event_macros::php;

use super::Inner;
use super::error::{DnsError, Outcome};
use super::message::Family;
use super::query::Query;
use crate::error::Result;
use crate::flags::AddressFamily;
use crate::{Event, MAX_TIMEOUT, base};

pub(crate) type Callback = dyn FnOnce(Outcome);

/// How a host is looked up.
///
/// # Examples
/// ```
/// use php_event::{AddressFamily, LookupOptions};
/// use std::time::Duration;
///
/// let options = LookupOptions::new().family(AddressFamily::INET);
/// assert_eq!(options.timeout, Duration::from_secs(10));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub struct LookupOptions {
    /// Which addresses are asked for: `INET`, `INET6`, or both with `UNSPEC`, the default.
    pub family: AddressFamily,
    /// When the lookup ends with [`DnsError::Timeout`]: after 10 seconds by default, after
    /// [`MAX_TIMEOUT`] at most.
    pub timeout: Duration,
}

impl LookupOptions {
    /// Addresses of both families, within 10 seconds.
    ///
    /// # Examples
    /// ```
    /// use php_event::{AddressFamily, LookupOptions};
    /// assert_eq!(LookupOptions::new().family, AddressFamily::UNSPEC);
    /// ```
    pub const fn new() -> Self {
        Self {
            family: AddressFamily::UNSPEC,
            timeout: Duration::from_secs(10),
        }
    }

    /// Sets which addresses are asked for.
    pub const fn family(mut self, family: AddressFamily) -> Self {
        self.family = family;
        self
    }

    /// Sets when the lookup ends with [`DnsError::Timeout`].
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

impl Default for LookupOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// A host that is being looked up, see [`EventDnsBase::resolve`](crate::EventDnsBase::resolve).
///
/// A handle is counted: a clone is the same lookup. When the last handle is dropped before the
/// answer has come, the lookup is cancelled, and its closure is dropped without a call.
///
/// Beyond PHP.
///
/// # Examples
/// ```
/// use php_event::{EventBase, EventDnsBase, LookupOptions};
///
/// let base = EventBase::new()?;
/// let dns = EventDnsBase::new(&base, EventDnsBase::DISABLE_WHEN_INACTIVE)?;
/// let lookup = dns.resolve("127.0.0.1", LookupOptions::default(), |result| {
///     assert_eq!(result.unwrap()[0].to_string(), "127.0.0.1");
/// })?;
/// assert!(lookup.is_pending());
/// base.dispatch()?;
/// assert!(!lookup.is_pending());
/// # Ok::<(), php_event::EventException>(())
/// ```
#[derive(Clone)]
#[must_use = "dropping the last handle of a lookup cancels it"]
pub struct Lookup(Rc<Pending>);

impl Lookup {
    pub(super) fn of(pending: Rc<Pending>) -> Self {
        Self(pending)
    }

    /// Ends the lookup and drops its closure without a call. Does nothing when the closure was
    /// called, or is running.
    ///
    /// # Examples
    /// ```
    /// use php_event::{EventBase, EventDnsBase, LookupOptions};
    ///
    /// let base = EventBase::new()?;
    /// let dns = EventDnsBase::new(&base, EventDnsBase::DISABLE_WHEN_INACTIVE)?;
    /// let lookup = dns.resolve("127.0.0.1", LookupOptions::default(), |_| unreachable!())?;
    /// lookup.cancel();
    /// base.dispatch()?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php(c = "evdns_cancel_request")]
    #[doc(alias = "evdns_getaddrinfo_cancel")]
    pub fn cancel(&self) {
        self.0.withdraw();
        let callback = self.0.callback.take();
        if let Some(timer) = self.0.timer.get() {
            timer.del().ok(); // it fails only where no loop would call it
        }
        drop(callback); // which may run user code; nothing is borrowed
    }

    /// Whether the closure is still to be called.
    ///
    /// # Examples
    /// ```
    /// # use php_event::{DnsFlags, EventBase, EventDnsBase, LookupOptions};
    /// # let dns = EventDnsBase::new(&EventBase::new()?, DnsFlags::empty())?;
    /// let lookup = dns.resolve("127.0.0.1", LookupOptions::default(), |_| {})?;
    /// assert!(lookup.is_pending());
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.0.callback.borrow().is_some()
    }
}

impl PartialEq for Lookup {
    /// Whether both are the same lookup.
    fn eq(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Lookup {}

impl fmt::Debug for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lookup")
            .field("pending", &self.is_pending())
            .finish_non_exhaustive()
    }
}

/// What has come of one family.
enum Asked {
    Not,
    Waiting(#[allow(dead_code, reason = "held, not read")] Rc<Query>),
    Done(Outcome),
}

/// What the handles of a lookup share.
pub(crate) struct Pending {
    dns: Weak<Inner>, // whose servers are asked, if any
    deadline: Instant,
    timer: OnceCell<Event>,
    callback: RefCell<Option<Box<Callback>>>,
    family: AddressFamily,
    names: RefCell<VecDeque<String>>, // that are not asked for yet
    exists: Cell<bool>,               // one of the names is there, without an address
    asked: RefCell<[Asked; 2]>,       // for the present name, in the order of `Family`
    outcome: RefCell<Option<Outcome>>,
}

impl Pending {
    pub(super) fn new(
        call: &'static str,
        base: &Rc<base::Inner>,
        dns: Weak<Inner>,
        options: LookupOptions,
        callback: Box<Callback>,
    ) -> Result<Rc<Self>> {
        let timeout = options.timeout.min(MAX_TIMEOUT);
        let now = Instant::now();
        let this = Rc::new(Self {
            dns,
            deadline: now.checked_add(timeout).unwrap_or(now),
            timer: OnceCell::new(),
            callback: RefCell::new(Some(callback)),
            family: options.family,
            names: RefCell::default(),
            exists: Cell::new(false),
            asked: RefCell::new([Asked::Not, Asked::Not]),
            outcome: RefCell::default(),
        });
        let weak = Rc::downgrade(&this);
        let timer = Event::timer_on(call, base, move |_timer| {
            if let Some(this) = weak.upgrade() {
                this.end();
            }
        })?;
        timer.add(Some(timeout))?;
        this.timer.set(timer).ok(); // set here alone
        Ok(this)
    }

    /// Asks for the names one after the other, until one has an address.
    pub(super) fn ask(self: &Rc<Self>, dns: &Rc<Inner>, names: VecDeque<String>) {
        self.names.replace(names);
        dns.register(self);
        self.ask_next(dns);
    }

    /// Asks for the next name in each family.
    fn ask_next(self: &Rc<Self>, dns: &Rc<Inner>) {
        let Some(name) = self.names.borrow_mut().pop_front() else {
            let failure = if self.exists.get() {
                DnsError::NoAddress
            } else {
                DnsError::NotFound
            };
            return self.conclude(Err(failure));
        };
        let families = Family::BOTH.into_iter();
        let families = families.filter(|family| family.belongs_to(self.family));
        let queries = families.map(|family| (family, Query::new(dns, self, &name, family)));
        let queries = queries.collect::<Vec<_>>();
        {
            let mut asked = self.asked.borrow_mut();
            *asked = [Asked::Not, Asked::Not];
            for (family, query) in &queries {
                asked[*family as usize] = Asked::Waiting(Rc::clone(query));
            }
        }
        for (_family, query) in queries {
            query.start(dns); // it may be answered inside
        }
    }

    /// A query has ended.
    pub(super) fn answered(self: &Rc<Self>, family: Family, answer: Outcome) {
        if self.outcome.borrow().is_some() {
            return;
        }
        let found = answer.is_ok();
        let (query, waiting) = {
            let mut asked = self.asked.borrow_mut();
            let query = std::mem::replace(&mut asked[family as usize], Asked::Done(answer));
            let waiting = asked.iter().any(|one| matches!(one, Asked::Waiting(_)));
            (query, waiting)
        };
        drop(query);
        let Some(dns) = self.dns.upgrade() else {
            return;
        };
        if waiting {
            if found && let Some(timer) = self.timer.get() {
                let left = self.deadline.saturating_duration_since(Instant::now());
                let skew = dns.settings.borrow().allow_skew;
                timer.add(Some(left.min(skew))).ok(); // the loop of its base is running
            }
            return;
        }
        match self.merged() {
            // No other name stands in for one that could not be asked for: it may be another host.
            Err(failure @ (DnsError::NotFound | DnsError::NoAddress)) => {
                self.exists
                    .set(self.exists.get() || failure == DnsError::NoAddress);
                self.ask_next(&dns);
            }
            outcome => self.conclude(outcome),
        }
    }

    /// Has the closure called with `outcome`, from the loop.
    pub(super) fn conclude(&self, outcome: Outcome) {
        if self.callback.borrow().is_some() && self.outcome.borrow().is_none() {
            self.outcome.replace(Some(outcome));
            self.withdraw();
            if let Some(timer) = self.timer.get() {
                timer.active(Event::TIMEOUT).ok(); // it fails only where no loop would call it
            }
        }
    }

    /// Calls the closure: the outcome is there, or the time is over.
    fn end(&self) {
        let outcome = self.outcome.take().unwrap_or_else(|| self.merged());
        self.withdraw();
        let callback = self.callback.take();
        if let Some(callback) = callback {
            callback(outcome);
        }
    }

    /// What the queries for the present name have brought so far, IPv4 first.
    fn merged(&self) -> Outcome {
        let (mut addresses, mut failure) = (Vec::new(), None::<DnsError>);
        for asked in self.asked.borrow().iter() {
            match asked {
                Asked::Not => {}
                Asked::Done(Ok(found)) => addresses.extend(found),
                Asked::Done(Err(error)) => {
                    failure = Some(failure.map_or(*error, |first| first.worse(*error)));
                }
                Asked::Waiting(_) => failure = Some(DnsError::Timeout),
            }
        }
        match failure {
            Some(error) if addresses.is_empty() => Err(error),
            _ => some(addresses),
        }
    }

    /// Withdraws what has not been answered.
    fn withdraw(&self) {
        let asked = self.asked.replace([Asked::Not, Asked::Not]);
        self.names.take();
        if let Some(dns) = self.dns.upgrade() {
            dns.unregister(self);
        }
        drop(asked);
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.withdraw();
    }
}

/// No addresses are a failure.
pub(super) fn some(addresses: Vec<std::net::SocketAddr>) -> Outcome {
    if addresses.is_empty() {
        Err(DnsError::NoAddress)
    } else {
        Ok(addresses)
    }
}

//! [`Lookup`]: one name that is being asked for.
//!
//! Owns: the user's closure, until it is called or the last handle goes; a timer, which is
//! the lookup's deadline and the place from which the closure is called.
//! Lent to C: a number, no memory. libevent keeps it for as long as it works on a query, which
//! may be longer than anything here lives; what it answers then finds nobody.
//! Runs user code: the closure, from the timer's callback; what the closure captured, where
//! the last handle is dropped.
#![allow(unsafe_code)]

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ptr;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};
use std::{fmt, mem};

use super::Inner;
use super::error::{DnsError, Outcome};
use crate::error::{Error, Result};
use crate::flags::AddressFamily;
use crate::{Event, MAX_TIMEOUT, base, ffi, trampoline};

pub(crate) type Callback = dyn FnOnce(Outcome);

thread_local! {
    // What C's numbers stand for.
    static PENDING: RefCell<HashMap<usize, Weak<Pending>>> = RefCell::default();
    static LAST_KEY: Cell<usize> = const { Cell::new(0) };
}

/// How a name is looked up.
///
/// # Examples
/// ```
/// use php_event::{AddressFamily, LookupOptions};
/// use std::time::Duration;
///
/// let options = LookupOptions { family: AddressFamily::INET, ..LookupOptions::default() };
/// assert_eq!(options.timeout, Duration::from_secs(10));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LookupOptions {
    /// Which addresses are asked for: `INET`, `INET6`, or with `UNSPEC` both. The default.
    pub family: AddressFamily,
    /// When the lookup ends with [`DnsError::Timeout`], whatever libevent still hopes for.
    /// 10 seconds by default; longer than [`MAX_TIMEOUT`] is that.
    pub timeout: Duration,
}

impl Default for LookupOptions {
    fn default() -> Self {
        Self {
            family: AddressFamily::UNSPEC,
            timeout: Duration::from_secs(10),
        }
    }
}

/// A name that is being looked up, see [`EventDnsBase::resolve`](crate::EventDnsBase::resolve).
///
/// A handle is counted: a clone is the same lookup. When the last handle goes before the
/// answer came, the lookup is cancelled and its closure is dropped without a call.
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

    /// Ends the lookup without calling its closure, which is dropped. Nothing happens when it
    /// was called already, or is running.
    ///
    /// Beyond PHP. libevent: `evdns_cancel_request`.
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
    #[doc(alias = "evdns_cancel_request", alias = "evdns_getaddrinfo_cancel")]
    pub fn cancel(&self) {
        self.0.withdraw();
        let callback = self.0.callback.take();
        if let Some(timer) = self.0.timer.get() {
            timer.del().ok(); // it fails where no loop would call it either
        }
        drop(callback); // no borrow is held: what it captured may run user code
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
            .field("key", &self.0.key)
            .field("pending", &self.is_pending())
            .finish_non_exhaustive()
    }
}

/// Either of C's functions that send a query.
type Resolve = unsafe extern "C" fn(
    *mut ffi::evdns_base,
    *const c_char,
    c_int,
    ffi::evdns_callback_type,
    *mut c_void,
) -> *mut ffi::evdns_request;

/// Which addresses one query asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Ipv4,
    Ipv6,
}

/// How far one family's query is.
enum Query {
    Unasked,
    Asked(*mut ffi::evdns_request), // C frees it after it has called back
    Answered(Outcome),
}

/// What the handles of a lookup share.
pub(crate) struct Pending {
    key: usize,
    dns: Weak<Inner>, // whom the queries belong to, if there are any
    deadline: Instant,
    timer: OnceCell<Event>,
    callback: RefCell<Option<Box<Callback>>>,
    queries: RefCell<[Query; 2]>, // in the order of `Family`
    outcome: RefCell<Option<Outcome>>,
}

impl Pending {
    pub(super) fn new(
        call: &'static str,
        base: &Rc<base::Inner>,
        dns: Weak<Inner>,
        timeout: Duration,
        callback: Box<Callback>,
    ) -> Result<Rc<Self>> {
        let timeout = timeout.min(MAX_TIMEOUT);
        let now = Instant::now();
        let this = Rc::new(Self {
            key: LAST_KEY.get() + 1,
            dns,
            deadline: now.checked_add(timeout).unwrap_or(now),
            timer: OnceCell::new(),
            callback: RefCell::new(Some(callback)),
            queries: RefCell::new([Query::Unasked, Query::Unasked]),
            outcome: RefCell::default(),
        });
        LAST_KEY.set(this.key);
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

    /// Sends the queries; their answers come from the loop.
    pub(super) fn ask(
        self: &Rc<Self>,
        call: &'static str,
        raw: *mut ffi::evdns_base,
        name: &CStr,
        flags: c_int,
        family: AddressFamily,
    ) -> Result<()> {
        let registered = PENDING.try_with(|pending| {
            pending.borrow_mut().insert(self.key, Rc::downgrade(self));
        });
        registered.ok(); // where the thread ends no loop will run either
        for asked in [Family::Ipv4, Family::Ipv6] {
            if !asked.belongs_to(family) {
                continue;
            }
            let (resolve, callback): (Resolve, ffi::evdns_callback_type) = match asked {
                Family::Ipv4 => (
                    ffi::evdns_base_resolve_ipv4,
                    Some(trampoline::on_ipv4_answer),
                ),
                Family::Ipv6 => (
                    ffi::evdns_base_resolve_ipv6,
                    Some(trampoline::on_ipv6_answer),
                ),
            };
            let key = ptr::without_provenance_mut(self.key);
            // SAFETY: `raw` is not closed, which the caller checked, and C copies the name.
            // The argument is a number, behind which nobody looks.
            let request = unsafe { resolve(raw, name.as_ptr(), flags, callback, key) };
            if request.is_null() {
                let cause = "the name is too long with a domain of the search list";
                return Err(Error::Call {
                    call,
                    cause: Some(cause.into()),
                });
            }
            self.queries.borrow_mut()[asked as usize] = Query::Asked(request);
        }
        Ok(())
    }

    /// C's answer to one of the queries. It does not call back again.
    pub(crate) fn answered(&self, family: Family, result: c_int, addresses: &[u8]) {
        if self.outcome.borrow().is_some() {
            return; // the DNS base was closed, and this had been scheduled before
        }
        let answer = DnsError::of(result).and_then(|()| some(family.read(addresses)));
        let found = answer.is_ok();
        let waiting = {
            let mut queries = self.queries.borrow_mut();
            queries[family as usize] = Query::Answered(answer);
            queries.iter().any(|query| matches!(query, Query::Asked(_)))
        };
        if !waiting {
            self.conclude(self.merged());
        } else if let (true, Some(dns), Some(timer)) = (found, self.dns.upgrade(), self.timer.get())
        {
            let left = self.deadline.saturating_duration_since(Instant::now());
            timer.add(Some(left.min(dns.allow_skew.get()))).ok(); // the loop of its base is running
        }
    }

    /// Has the closure called with `outcome`, from the loop.
    pub(super) fn conclude(&self, outcome: Outcome) {
        if self.callback.borrow().is_some() && self.outcome.borrow().is_none() {
            self.outcome.replace(Some(outcome));
            if let Some(timer) = self.timer.get() {
                timer.active(Event::TIMEOUT).ok(); // it fails where no loop would call it either
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

    /// What the queries have brought so far: IPv4 before IPv6, as libevent has it.
    fn merged(&self) -> Outcome {
        let (mut addresses, mut failure) = (Vec::new(), None::<DnsError>);
        for query in self.queries.borrow().iter() {
            match query {
                Query::Unasked => {}
                Query::Answered(Ok(found)) => addresses.extend(found),
                Query::Answered(Err(error)) => {
                    failure = Some(failure.map_or(*error, |first| first.worse(*error)));
                }
                Query::Asked(_) => failure = Some(DnsError::Timeout),
            }
        }
        match failure {
            Some(error) if addresses.is_empty() => Err(error),
            _ => some(addresses),
        }
    }

    /// Takes back from C what it has not answered.
    fn withdraw(&self) {
        PENDING
            .try_with(|pending| pending.borrow_mut().remove(&self.key))
            .ok();
        let queries = self.queries.replace([Query::Unasked, Query::Unasked]);
        let Some(raw) = self.dns.upgrade().and_then(|dns| dns.raw_here()) else {
            return; // it was closed, or will be, and then forgets its queries
        };
        for query in queries {
            if let Query::Asked(request) = query {
                // SAFETY: the DNS base is not closed, and C frees a request only after it has
                // called back, which takes it out of `queries`.
                unsafe { ffi::evdns_cancel_request(raw, request) };
            }
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.withdraw();
    }
}

impl Family {
    pub(super) fn belongs_to(self, family: AddressFamily) -> bool {
        match self {
            Self::Ipv4 => family != AddressFamily::INET6,
            Self::Ipv6 => family != AddressFamily::INET,
        }
    }

    /// How many bytes an address has.
    pub(crate) fn length(self) -> usize {
        match self {
            Self::Ipv4 => mem::size_of::<Ipv4Addr>(),
            Self::Ipv6 => mem::size_of::<Ipv6Addr>(),
        }
    }

    fn read(self, addresses: &[u8]) -> Vec<SocketAddr> {
        match self {
            Self::Ipv4 => {
                let (addresses, _rest) = addresses.as_chunks::<4>();
                addresses.iter().map(|bytes| (*bytes, 0).into()).collect()
            }
            Self::Ipv6 => {
                let (addresses, _rest) = addresses.as_chunks::<16>();
                addresses.iter().map(|bytes| (*bytes, 0).into()).collect()
            }
        }
    }
}

/// No addresses are a failure.
pub(super) fn some(addresses: Vec<SocketAddr>) -> Outcome {
    if addresses.is_empty() {
        Err(DnsError::NoAddress)
    } else {
        Ok(addresses)
    }
}

/// The lookup that a number of C's stands for, if it is still pending.
pub(crate) fn find(key: usize) -> Option<Rc<Pending>> {
    let found = PENDING.try_with(|pending| pending.borrow().get(&key)?.upgrade());
    found.ok().flatten()
}

/// The lookups of a DNS base that is on its way out.
pub(super) fn of(dns: *const Inner) -> Vec<Rc<Pending>> {
    let all = PENDING.try_with(|pending| {
        let pending = pending.borrow();
        let alive = pending.values().filter_map(Weak::upgrade);
        alive
            .filter(|lookup| ptr::eq(lookup.dns.as_ptr(), dns))
            .collect()
    });
    all.unwrap_or_default()
}

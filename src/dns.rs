//! `EventDnsBase`: asks name servers for the addresses of hosts, without blocking the loop.
//!
//! libevent's `evdns_base` does the same, with faults that cannot be fixed from outside: it looks
//! up the two address families of a name separately, so that a search list mixes the addresses of
//! two hosts (libevent#1702); it sends retries to a server that is known to be silent
//! (libevent#1408); and it gives up where an answer is too long for a datagram (libevent#99). So
//! queries are sent from here, by [`query`], on events of the base. Names, options and their
//! defaults are libevent's.
//!
//! Owns: what [`Inner`] has. The closures of lookups belong to their handles, see [`lookup`].
//! Lent to C: nothing of its own. Runs no user code: a lookup's timer does.

mod error;
mod file;
mod hosts;
mod inner;
mod lookup;
mod message;
mod name;
mod option;
mod query;
mod resolv_conf;
mod servers;
mod settings;
mod tcp;

use std::collections::VecDeque;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::rc::{Rc, Weak};
use std::time::Duration;

pub use error::DnsError;
pub(crate) use error::Outcome;
use inner::{Inner, KeepAlive};
pub(crate) use lookup::Callback;
use lookup::Pending;
pub use lookup::{Lookup, LookupOptions};
use message::Family;

use php_event_macros::php;

use crate::address::{Host, NAME_MAX, with_port};
use crate::error::{Error, Result};
use crate::flags::{AddressFamily, DnsFlags, DnsOptions};
use crate::{EventBase, base};

/// The name servers of this system.
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// Asks name servers for the addresses of hosts.
///
/// A handle is counted: a clone is the same DNS base, as with a PHP variable. It keeps its
/// event base alive. When the last handle is dropped, pending lookups fail with
/// [`DnsError::Shutdown`] in the next turn of the loop.
///
/// A DNS base with name servers keeps the loop running, even without a lookup, unless it is made
/// with [`DISABLE_WHEN_INACTIVE`](Self::DISABLE_WHEN_INACTIVE).
///
/// A query goes out as a datagram, from a port of its own, to one server after the other until
/// one of them answers. When the answer is too long for a datagram, the same server is asked
/// again over TCP. Both families of a name are asked for before the next name of a search list
/// is tried. An answer must repeat the query's random port, random number and the random case
/// of its letters. That does not protect from those who can read the query: use a name server
/// on this host or on a network that you trust.
///
/// In a forked child, after [`EventBase::re_init`], the parent's DNS base is shut down, since it
/// would take the parent's answers: make a new one there.
///
/// PHP: `EventDnsBase`. libevent: `struct evdns_base`, which is not used: it mixes the addresses
/// of two hosts where a search list is set, and has no TCP. In PHP a DNS base is only passed to
/// the methods that connect to a host by its name; [`resolve`](Self::resolve) is beyond PHP.
///
/// # Examples
/// ```
/// use php_event::{EventBase, EventDnsBase, LookupOptions};
///
/// let base = EventBase::new()?;
/// let dns = EventDnsBase::new(&base, EventDnsBase::DISABLE_WHEN_INACTIVE)?;
/// # let directory = tempfile::tempdir()?;
/// # let hosts = directory.path().join("hosts");
/// # std::fs::write(&hosts, "192.0.2.7 printer\n2001:db8::7 printer\n")?;
/// dns.load_hosts(hosts)?;
/// let _lookup = dns.resolve("printer", LookupOptions::default(), |addresses| {
///     let addresses = addresses.unwrap_or_default();
///     assert_eq!(format!("{addresses:?}"), "[192.0.2.7, 2001:db8::7]");
/// })?;
/// base.dispatch()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
#[must_use = "its lookups fail when the last handle of a DNS base is dropped"]
#[doc(alias = "evdns_base")]
pub struct EventDnsBase(Rc<Inner>);

impl EventDnsBase {
    /// Makes a DNS base.
    ///
    /// It has no name server and knows no host. With
    /// [`INITIALIZE_NAMESERVERS`](Self::INITIALIZE_NAMESERVERS) it takes everything that
    /// [`parse_resolv_conf`](Self::parse_resolv_conf) takes from `/etc/resolv.conf`, and the names
    /// of `/etc/hosts`.
    ///
    /// Unlike PHP, `INITIALIZE_NAMESERVERS | DISABLE_WHEN_INACTIVE` does not keep the loop
    /// running.
    ///
    /// # Errors
    /// [`Error::Argument`] for bits that are none of the constants; with
    /// `INITIALIZE_NAMESERVERS`, as [`parse_resolv_conf`](Self::parse_resolv_conf), except that
    /// `NAMESERVERS_NO_DEFAULT` allows a file without name servers; [`Error::Freed`],
    /// [`Error::Forked`].
    ///
    /// # Examples
    /// ```
    /// use php_event::{EventBase, EventDnsBase, DnsFlags};
    ///
    /// let base = EventBase::new()?;
    /// let dns = EventDnsBase::new(&base, DnsFlags::empty())?;
    /// assert_eq!(dns.count_nameservers(), 0);
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php("EventDnsBase::__construct", c = "evdns_base_new")]
    pub fn new(base: &EventBase, flags: DnsFlags) -> Result<Self> {
        let base = base.inner();
        base.usable(CALL)?;
        if !DnsFlags::all().contains(flags) {
            let reason = format!("{:#x} has bits that are not flags", flags.bits());
            return Err(Error::argument(CALL, reason));
        }
        let keep_alive = if flags.contains(DnsFlags::DISABLE_WHEN_INACTIVE) {
            KeepAlive::Off
        } else {
            KeepAlive::WithServers
        };
        let inner = Rc::new(Inner::new(base, keep_alive));
        let weak: Weak<Inner> = Rc::downgrade(&inner);
        base.disown_in_children(weak);
        let this = Self(inner);
        if flags.contains(DnsFlags::INITIALIZE_NAMESERVERS) {
            this.take_settings(CALL, DnsOptions::ALL, Path::new(RESOLV_CONF))?;
            if !flags.contains(DnsFlags::NAMESERVERS_NO_DEFAULT) {
                this.expect_servers(CALL, Path::new(RESOLV_CONF))?;
            }
        }
        Ok(this)
    }

    /// Looks up the addresses of a host and calls the closure once with the result, from the
    /// loop and never before this method has returned.
    ///
    /// No server is asked for an IP address or a name of a hosts file. A name that ends in a dot
    /// is asked for as it is, any other with the search list. IPv4 addresses come before those
    /// of IPv6. When those of one family are there, the lookup waits up to 3 seconds for the
    /// others (see the option `getaddrinfo-allow-skew`). At most 32 addresses of each family are
    /// taken. Nothing is cached: each call asks.
    ///
    /// The zone of a link-local address (`fe80::1%eth0`) is not part of an [`IpAddr`]; see
    /// [`resolve_port`](Self::resolve_port).
    ///
    /// The lookup ends when its handle is dropped; keep it.
    ///
    /// # Errors
    /// [`Error::Argument`] for text that cannot be a host, and for a family other than `UNSPEC`,
    /// `INET` and `INET6`; [`Error::State`] when there is no name server to ask, and in a
    /// forked child; [`Error::Freed`], [`Error::Forked`]; [`Error::Call`] when out of memory.
    ///
    /// # Examples
    /// ```no_run
    /// use php_event::{DnsError, EventBase, EventDnsBase, LookupOptions};
    ///
    /// let base = EventBase::new()?;
    /// let flags = EventDnsBase::INITIALIZE_NAMESERVERS | EventDnsBase::DISABLE_WHEN_INACTIVE;
    /// let dns = EventDnsBase::new(&base, flags)?;
    /// let _lookup = dns.resolve("www.example.com", LookupOptions::default(), |addresses| {
    ///     match addresses {
    ///         Ok(addresses) => println!("{addresses:?}"),
    ///         Err(DnsError::NotFound) => println!("there is no such host"),
    ///         Err(error) => println!("the lookup failed: {error}"),
    ///     }
    /// })?;
    /// base.dispatch()?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    ///
    /// A closure owns what it uses:
    /// ```compile_fail,E0373
    /// # use php_event::{DnsFlags, EventBase, EventDnsBase, LookupOptions};
    /// # let dns = EventDnsBase::new(&EventBase::new().unwrap(), DnsFlags::empty()).unwrap();
    /// let found = std::cell::Cell::new(false);
    /// let lookup = dns.resolve("::1", LookupOptions::default(), |_| found.set(true)).unwrap();
    /// ```
    /// ```
    /// # use php_event::{DnsFlags, EventBase, EventDnsBase, LookupOptions};
    /// # let dns = EventDnsBase::new(&EventBase::new().unwrap(), DnsFlags::empty()).unwrap();
    /// let found = std::rc::Rc::new(std::cell::Cell::new(false));
    /// let lookup = dns.resolve("::1", LookupOptions::default(), move |_| found.set(true)).unwrap();
    /// ```
    #[php(c = "evdns_getaddrinfo")]
    #[doc(alias = "evdns_base_resolve_ipv4", alias = "evdns_base_resolve_ipv6")]
    pub fn resolve<F>(&self, host: &str, options: LookupOptions, callback: F) -> Result<Lookup>
    where
        F: FnOnce(Result<Vec<IpAddr>, DnsError>) + 'static,
    {
        let callback = |found: Outcome| {
            callback(found.map(|addresses| addresses.iter().map(SocketAddr::ip).collect()));
        };
        self.resolve_as("EventDnsBase::resolve", host, options, Box::new(callback))
    }

    /// As [`resolve`](Self::resolve), with a port: the closure gets socket addresses, in which
    /// those of a link-local address with a zone (`fe80::1%eth0`) have its interface.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve).
    ///
    /// # Examples
    /// ```
    /// use php_event::{DnsFlags, EventBase, EventDnsBase, LookupOptions};
    ///
    /// let base = EventBase::new()?;
    /// let dns = EventDnsBase::new(&base, DnsFlags::empty())?;
    /// let _lookup = dns.resolve_port("::1", 80, LookupOptions::new(), |addresses| {
    ///     assert_eq!(addresses, Ok(vec!["[::1]:80".parse().unwrap()]));
    /// })?;
    /// base.dispatch()?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php(c = "evdns_getaddrinfo")]
    pub fn resolve_port<F>(
        &self,
        host: &str,
        port: u16,
        options: LookupOptions,
        callback: F,
    ) -> Result<Lookup>
    where
        F: FnOnce(Result<Vec<SocketAddr>, DnsError>) + 'static,
    {
        let callback = move |found: Outcome| {
            let with_port = |address| with_port(address, port);
            callback(found.map(|addresses| addresses.into_iter().map(with_port).collect()));
        };
        self.resolve_as(
            "EventDnsBase::resolve_port",
            host,
            options,
            Box::new(callback),
        )
    }

    /// As [`resolve`](Self::resolve), for a method that errors name instead.
    pub(crate) fn resolve_as(
        &self,
        call: &'static str,
        host: &str,
        options: LookupOptions,
        callback: Box<Callback>,
    ) -> Result<Lookup> {
        self.0.usable(call)?;
        check_family(call, options.family)?;
        let host = Host::parse(host).map_err(|error| error.of(call))?;
        let known = self.known(&host, options.family);
        if known.is_none() && self.count_nameservers() == 0 {
            let reason = "the DNS base has no name server; add one with add_nameserver_ip or parse_resolv_conf";
            return Err(Error::State { call, reason });
        }
        let dns = Rc::downgrade(&self.0);
        let pending = Pending::new(call, &self.0.base, dns, options, callback)?;
        match (host, known) {
            (_, Some(known)) => pending.conclude(lookup::some(known)),
            (Host::Name { text, absolute }, None) => {
                pending.ask(&self.0, self.names(text, absolute));
            }
            (Host::Ip(_), None) => {}
        }
        Ok(Lookup::of(pending))
    }

    /// The names to ask for, in order.
    fn names(&self, name: String, absolute: bool) -> VecDeque<String> {
        if absolute {
            return VecDeque::from([name]);
        }
        let domains = self.0.domains.borrow();
        let names = domains.iter().map(|domain| format!("{name}.{domain}"));
        let mut names = names
            .filter(|name| name.len() <= NAME_MAX)
            .collect::<VecDeque<_>>();
        let dots = name.bytes().filter(|byte| *byte == b'.').count();
        if dots >= self.0.settings.borrow().ndots as usize {
            names.push_front(name);
        } else {
            names.push_back(name);
        }
        names
    }

    /// The addresses of a host that no server is asked for.
    fn known(&self, host: &Host, family: AddressFamily) -> Option<Vec<SocketAddr>> {
        match host {
            Host::Ip(address) => Some(of_family(&[*address], family)),
            Host::Name { text, .. } => {
                let hosts = self.0.hosts.borrow();
                Some(of_family(hosts.find(text)?, family))
            }
        }
    }

    /// The event base that the DNS base was made for.
    ///
    /// Beyond PHP.
    ///
    /// # Examples
    /// ```
    /// # use php_event::{DnsFlags, EventBase, EventDnsBase};
    /// let base = EventBase::new()?;
    /// let dns = EventDnsBase::new(&base, DnsFlags::empty())?;
    /// assert_eq!(dns.base(), base);
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[must_use]
    pub fn base(&self) -> EventBase {
        EventBase::of(&self.0.base)
    }

    pub(crate) fn is_on(&self, base: &Rc<base::Inner>) -> bool {
        Rc::ptr_eq(&self.0.base, base)
    }
}

/// As [`EventDnsBase::resolve`] where there is no DNS base: for an address in text.
pub(crate) fn resolve_address(
    call: &'static str,
    base: &Rc<base::Inner>,
    host: &str,
    family: AddressFamily,
    callback: Box<Callback>,
) -> Result<Lookup> {
    check_family(call, family)?;
    let host_or_ip = Host::parse(host).map_err(|error| error.of(call))?;
    let Host::Ip(address) = host_or_ip else {
        let reason = format!("{host:?} is a name; looking it up takes a DNS base");
        return Err(Error::argument(call, reason));
    };
    let options = LookupOptions::new().timeout(Duration::ZERO);
    let pending = Pending::new(call, base, Weak::new(), options, callback)?;
    pending.conclude(lookup::some(of_family(&[address], family)));
    Ok(Lookup::of(pending))
}

fn check_family(call: &'static str, family: AddressFamily) -> Result<()> {
    if matches!(
        family,
        AddressFamily::UNSPEC | AddressFamily::INET | AddressFamily::INET6
    ) {
        return Ok(());
    }
    let reason = format!("host names have no addresses of {family:?}; give UNSPEC, INET or INET6");
    Err(Error::argument(call, reason))
}

fn of_family(addresses: &[SocketAddr], family: AddressFamily) -> Vec<SocketAddr> {
    let wanted = |address: &&SocketAddr| match address {
        SocketAddr::V4(_) => Family::Ipv4.belongs_to(family),
        SocketAddr::V6(_) => Family::Ipv6.belongs_to(family),
    };
    addresses.iter().filter(wanted).copied().collect()
}

impl PartialEq for EventDnsBase {
    /// Whether both are the same DNS base, as PHP's `===`.
    fn eq(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for EventDnsBase {}

impl fmt::Debug for EventDnsBase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventDnsBase")
            .field("nameservers", &self.count_nameservers())
            .finish_non_exhaustive()
    }
}

//! `EventDnsBase`: asks name servers for the addresses of hosts, without blocking the loop.
//!
//! Owns: one `evdns_base`, and the names of hosts files. The closures of its lookups belong
//! to their handles, see [`lookup`].
//! Lent to C: numbers, see [`lookup`]. Runs no user code: a lookup's timer does.
#![allow(unsafe_code)]

mod error;
mod hosts;
mod lookup;
mod name;
mod native;
mod option;

use std::cell::{Cell, RefCell};
use std::ffi::{CString, c_int};
use std::fmt;
use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;
use std::rc::{Rc, Weak};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

pub use error::DnsError;
pub(crate) use error::Outcome;
use hosts::Hosts;
use lookup::Pending;
pub(crate) use lookup::{Callback, Family, find};
pub use lookup::{Lookup, LookupOptions};

use crate::address::Host;
use crate::error::{Error, Result, c_text, cvt, cvt_p};
use crate::flags::{AddressFamily, DnsFlags, DnsOptions};
use crate::{EventBase, base, ffi, log};

/// What a system is set up with.
const RESOLV_CONF: &str = "/etc/resolv.conf";
const HOSTS: &str = "/etc/hosts";

/// Held while a DNS base is made: libevent notes for the process where its DNS functions are.
static MAKING: Mutex<()> = Mutex::new(());

/// How long the second family's addresses are waited for when the first's are there; the
/// option `getaddrinfo-allow-skew` changes it.
const ALLOW_SKEW: Duration = Duration::from_secs(3);

/// Asks name servers for the addresses of hosts.
///
/// A handle is counted: a clone is the same DNS base, as a PHP variable would be. It keeps its
/// event base alive. When the last handle goes, the lookups that are still pending fail with
/// [`DnsError::Shutdown`] in the next turn of the loop, or without a call if there is none.
///
/// A DNS base that has name servers keeps the loop running, also when there is nothing to look
/// up, unless it is made with [`DISABLE_WHEN_INACTIVE`](Self::DISABLE_WHEN_INACTIVE). Then,
/// too, a server that did not answer is tried again some seconds later, and until that is
/// over the loop goes on.
///
/// Answers are told from forged ones by a random number of 16 bits, the server's address and
/// the question, and come over UDP alone: use a name server on this host or a network that
/// can be trusted. In a forked child, after [`EventBase::re_init`], the parent's DNS base is
/// shut down, since it would take the parent's answers: make a new one there.
///
/// PHP: `EventDnsBase`. libevent: `struct evdns_base`. It is given to the methods that connect
/// to a host by its name; looking a name up for its own sake, [`resolve`](Self::resolve), is
/// beyond PHP.
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
#[doc(alias = "evdns_base")]
pub struct EventDnsBase(Rc<Inner>);

pub(crate) struct Inner {
    raw: Cell<*mut ffi::evdns_base>, // null once closed, in a forked child
    base: Rc<base::Inner>,           // keeps the event base alive longer than `raw`
    hosts: RefCell<Hosts>,
    allow_skew: Cell<Duration>,
}

impl Inner {
    /// The DNS base for C, unless this process must not touch it.
    fn raw_here(&self) -> Option<*mut ffi::evdns_base> {
        let raw = self.raw.get();
        (!raw.is_null() && !self.base.is_foreign()).then_some(raw)
    }

    /// As [`raw_here`](Self::raw_here), for a method.
    fn usable(&self, call: &'static str) -> Result<*mut ffi::evdns_base> {
        self.base.usable(call)?;
        self.raw_here().ok_or(Error::State {
            call,
            reason: "the DNS base is the parent process's; make a new one in this child",
        })
    }

    /// Ends every lookup, and libevent's half as soon as it can be.
    fn close(&self) {
        let raw = self.raw.replace(ptr::null_mut());
        if raw.is_null() {
            return;
        }
        native::close(&self.base, raw); // first: what the lookups wait for is no hindrance
        for lookup in lookup::of(self) {
            lookup.conclude(Err(DnsError::Shutdown));
        }
    }
}

impl base::Inherited for Inner {
    fn disown(&self) {
        self.close();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}

impl EventDnsBase {
    /// Makes a DNS base.
    ///
    /// It has no name server and knows no host unless the flags say
    /// [`INITIALIZE_NAMESERVERS`](Self::INITIALIZE_NAMESERVERS); then it takes all that
    /// [`parse_resolv_conf`](Self::parse_resolv_conf) takes from `/etc/resolv.conf`.
    ///
    /// PHP: `EventDnsBase::__construct`. libevent: `evdns_base_new`. Unlike PHP's,
    /// `INITIALIZE_NAMESERVERS | DISABLE_WHEN_INACTIVE` does not keep the loop running.
    ///
    /// # Errors
    /// [`Error::Argument`] for bits that are none of the constants; with
    /// `INITIALIZE_NAMESERVERS` as [`parse_resolv_conf`](Self::parse_resolv_conf), but with
    /// `NAMESERVERS_NO_DEFAULT` as well a file without name servers will do; [`Error::Freed`],
    /// [`Error::Forked`]; [`Error::Call`] without memory or random numbers.
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
    #[doc(alias = "EventDnsBase::__construct", alias = "evdns_base_new")]
    pub fn new(base: &EventBase, flags: DnsFlags) -> Result<Self> {
        const CALL: &str = "EventDnsBase::__construct";
        let base = base.inner();
        base.usable(CALL)?;
        if !DnsFlags::all().contains(flags) {
            let reason = format!("{:#x} has bits that are no flags of it", flags.bits());
            return Err(Error::argument(CALL, reason));
        }
        // Not the others: libevent would add servers before it knows that they may be inactive,
        // and could not say what is wrong with the file.
        let inactive = (flags & DnsFlags::DISABLE_WHEN_INACTIVE).bits();
        let making = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: the event base is held by `Inner` for as long as this half lives, and
        // `making` keeps other threads off the pointers that libevent sets for the process.
        let raw = unsafe { ffi::evdns_base_new(base.raw(), inactive) };
        drop(making);
        let raw = cvt_p(CALL, raw)?;
        base.expect_events_of_c();
        let inner = Rc::new(Inner {
            raw: Cell::new(raw),
            base: Rc::clone(base),
            hosts: RefCell::default(),
            allow_skew: Cell::new(ALLOW_SKEW),
        });
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

    /// Takes name servers, search list and options from a file in the form of
    /// `/etc/resolv.conf`: what `flags` name. They are added to those that are there.
    ///
    /// A line that cannot be read is passed over. libevent puts a server on this host in the
    /// place of a file that is missing or lists none; here that is an `Err` and no server.
    ///
    /// PHP: `EventDnsBase::parseResolvConf`, which is `true` whatever happened.
    /// libevent: `evdns_base_resolv_conf_parse`.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be read, and nothing was taken from it then;
    /// [`Error::Call`] when servers were asked for and there are none, in the file or from
    /// before, or when libevent fails; [`Error::Argument`] for bits that are none of the
    /// constants, and a path with a NUL; [`Error::Freed`], [`Error::Forked`].
    ///
    /// # Examples
    /// ```
    /// # use php_event::{DnsFlags, EventBase, EventDnsBase};
    /// # let dns = EventDnsBase::new(&EventBase::new()?, DnsFlags::empty())?;
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("resolv.conf");
    /// std::fs::write(&path, "nameserver 192.0.2.1\nnameserver 2001:db8::1\n")?;
    /// dns.parse_resolv_conf(EventDnsBase::OPTIONS_ALL, &path)?;
    /// assert_eq!(dns.count_nameservers(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(
        alias = "EventDnsBase::parseResolvConf",
        alias = "evdns_base_resolv_conf_parse"
    )]
    pub fn parse_resolv_conf(&self, flags: DnsOptions, filename: impl AsRef<Path>) -> Result<()> {
        const CALL: &str = "EventDnsBase::parseResolvConf";
        let path = filename.as_ref();
        self.take_settings(CALL, flags, path)?;
        if flags.contains(DnsOptions::NAMESERVERS) {
            self.expect_servers(CALL, path)?;
        }
        Ok(())
    }

    fn take_settings(&self, call: &'static str, flags: DnsOptions, path: &Path) -> Result<()> {
        let raw = self.0.usable(call)?;
        if !DnsOptions::all().contains(flags) {
            let reason = format!("{:#x} has bits that are no options of it", flags.bits());
            return Err(Error::argument(call, reason));
        }
        let name = path_for_c(call, path)?;
        let file = read(call, path)?; // libevent cannot say why it could not
        if flags.contains(DnsOptions::HOSTSFILE) {
            match fs::read(HOSTS) {
                Ok(file) => self.0.hosts.borrow_mut().add(&file),
                Err(_) => self.0.hosts.borrow_mut().add_localhost(), // as libevent does
            }
        }
        let mut options = (flags - DnsOptions::HOSTSFILE).bits();
        options |= ffi::DNS_OPTION_NAMESERVERS_NO_DEFAULT as c_int;
        // SAFETY: `usable` gave a DNS base that is not closed; C does not keep the name.
        let rc = unsafe { ffi::evdns_base_resolv_conf_parse(raw, options, name.as_ptr()) };
        let reason = match rc {
            0 => {
                if let Some(skew) = option::allow_skew(&file)
                    && flags.contains(DnsOptions::MISC)
                {
                    self.0.allow_skew.set(skew);
                }
                return Ok(());
            }
            1 => "it could not be opened any more",
            2 | 5 => "it could not be read any more",
            3 => "it is too large",
            4 => "there is no memory for it",
            _ => "libevent does not say why",
        };
        Err(unusable(call, path, reason))
    }

    fn expect_servers(&self, call: &'static str, path: &Path) -> Result<()> {
        if self.count_nameservers() > 0 {
            return Ok(());
        }
        Err(unusable(call, path, "it lists no name server"))
    }

    /// Adds a name server, by its address: `192.0.2.1`, `192.0.2.1:5353`, `2001:db8::1` or
    /// `[2001:db8::1]:5353`. Without a port it is 53.
    ///
    /// PHP: `EventDnsBase::addNameserverIp`. libevent: `evdns_base_nameserver_ip_add`.
    ///
    /// # Errors
    /// [`Error::Argument`] for what is no such address, and for a server that is there already;
    /// [`Error::Call`] when no socket can be had for it, or it cannot be bound as the option
    /// `bind-to` says; [`Error::Freed`], [`Error::Forked`].
    ///
    /// # Examples
    /// ```
    /// # use php_event::{DnsFlags, EventBase, EventDnsBase};
    /// # let dns = EventDnsBase::new(&EventBase::new()?, DnsFlags::empty())?;
    /// dns.add_nameserver_ip("127.0.0.1")?;
    /// assert!(dns.add_nameserver_ip("127.0.0.1:53").is_err()); // the same one
    /// dns.add_nameserver_ip("[::ffff:127.0.0.1]:5353")?;
    /// assert_eq!(dns.count_nameservers(), 2);
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(
        alias = "EventDnsBase::addNameserverIp",
        alias = "evdns_base_nameserver_ip_add"
    )]
    pub fn add_nameserver_ip(&self, ip: &str) -> Result<()> {
        const CALL: &str = "EventDnsBase::addNameserverIp";
        let raw = self.0.usable(CALL)?;
        let address = name::server_address(ip).map_err(|error| error.of(CALL))?;
        let text = c_text(CALL, "address", address.to_string())?;
        // SAFETY: `usable` gave a DNS base that is not closed; C does not keep the text.
        let rc = unsafe { ffi::evdns_base_nameserver_ip_add(raw, text.as_ptr()) };
        match rc {
            0 => Ok(()),
            3 => {
                let reason = format!("{ip:?}: it is a name server of this DNS base already");
                Err(Error::argument(CALL, reason))
            }
            _ => cvt(CALL, -1).map(drop),
        }
    }

    /// How many name servers there are.
    ///
    /// PHP: `EventDnsBase::countNameservers`. libevent: `evdns_base_count_nameservers`.
    ///
    /// # Examples
    /// ```
    /// # use php_event::{DnsFlags, EventBase, EventDnsBase};
    /// # let dns = EventDnsBase::new(&EventBase::new()?, DnsFlags::empty())?;
    /// dns.add_nameserver_ip("192.0.2.1")?;
    /// assert_eq!(dns.count_nameservers(), 1);
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(
        alias = "EventDnsBase::countNameservers",
        alias = "evdns_base_count_nameservers"
    )]
    #[must_use]
    pub fn count_nameservers(&self) -> usize {
        let raw = self.0.raw.get();
        if raw.is_null() {
            return 0;
        }
        // SAFETY: not null, so it is not closed; C only counts.
        let count = unsafe { ffi::evdns_base_count_nameservers(raw) };
        usize::try_from(count).unwrap_or(0)
    }

    /// Takes the names of a file in the form of `/etc/hosts`. They are found at once and
    /// without a server, and are added to those that are there.
    ///
    /// A name that stands in a file is not asked for, also when the file has no address of the
    /// family that is wanted. A line that cannot be read is passed over.
    ///
    /// PHP: `EventDnsBase::loadHosts`. libevent: `evdns_base_load_hosts`, which is not called: its
    /// list serves `evdns_getaddrinfo` alone.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be read; [`Error::Argument`] for a path with a NUL;
    /// [`Error::Freed`], [`Error::Forked`].
    ///
    /// # Examples
    /// ```
    /// # use php_event::{DnsFlags, EventBase, EventDnsBase};
    /// # let dns = EventDnsBase::new(&EventBase::new()?, DnsFlags::empty())?;
    /// let error = dns.load_hosts("/no/such/file").unwrap_err();
    /// assert!(error.to_string().contains("/no/such/file"));
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(alias = "EventDnsBase::loadHosts", alias = "evdns_base_load_hosts")]
    pub fn load_hosts(&self, hosts: impl AsRef<Path>) -> Result<()> {
        const CALL: &str = "EventDnsBase::loadHosts";
        self.0.usable(CALL)?;
        let path = hosts.as_ref();
        path_for_c(CALL, path)?;
        let file = read(CALL, path)?;
        self.0.hosts.borrow_mut().add(&file);
        Ok(())
    }

    /// Sets an option, by its name in `resolv.conf`, with or without the colon:
    ///
    /// | name | value | at first |
    /// |---|---|---|
    /// | `ndots` | how many dots make a name be asked for before the search list is tried | 1 |
    /// | `timeout` | seconds until a query is sent again | 5 |
    /// | `attempts` | how often a query is sent at most | 3 |
    /// | `max-timeouts` | how many queries in a row a server may leave unanswered before others are taken, 1 to 255 | 3 |
    /// | `initial-probe-timeout` | seconds until such a server is tried again, 3600 at most; each further time takes three times as long | 10 |
    /// | `max-inflight` | how many queries are out at once, 1 to 65000; the others wait | 64 |
    /// | `getaddrinfo-allow-skew` | seconds that a lookup which has addresses of one family waits for the other's | 3 |
    /// | `randomize-case` | 1: write names in random case | 1 |
    /// | `bind-to` | the address that later servers are asked from, those on this host excepted | |
    /// | `so-rcvbuf`, `so-sndbuf` | bytes of the socket buffers of later servers; 0 leaves them | 0 |
    ///
    /// PHP: `EventDnsBase::setOption`, which is `true` for any name. libevent:
    /// `evdns_base_set_option`, which cuts a number that is out of bounds.
    ///
    /// # Errors
    /// [`Error::Argument`] for a name that is not in the list, and a value that cannot be used;
    /// [`Error::Freed`], [`Error::Forked`].
    ///
    /// # Examples
    /// ```
    /// # use php_event::{DnsFlags, EventBase, EventDnsBase};
    /// # let dns = EventDnsBase::new(&EventBase::new()?, DnsFlags::empty())?;
    /// dns.set_option("timeout", "0.5")?;
    /// dns.set_option("attempts:", "2")?;
    /// assert!(dns.set_option("atempts", "2").is_err());
    /// assert!(dns.set_option("attempts", "two").is_err());
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(alias = "EventDnsBase::setOption", alias = "evdns_base_set_option")]
    pub fn set_option(&self, option: &str, value: &str) -> Result<()> {
        const CALL: &str = "EventDnsBase::setOption";
        let raw = self.0.usable(CALL)?;
        let name = option::check(CALL, option, value)?;
        let (c_name, c_value) = (c_text(CALL, "name", name)?, c_text(CALL, "value", value)?);
        // SAFETY: `usable` gave a DNS base that is not closed; C does not keep the texts.
        let rc = unsafe { ffi::evdns_base_set_option(raw, c_name.as_ptr(), c_value.as_ptr()) };
        cvt(CALL, rc)?;
        if name == option::ALLOW_SKEW {
            self.0
                .allow_skew
                .set(option::seconds(value).unwrap_or(ALLOW_SKEW));
        }
        Ok(())
    }

    /// Empties the search list, and sets `ndots` back to 1. Lookups that are pending go on
    /// with the list of before.
    ///
    /// PHP: `EventDnsBase::clearSearch`. libevent: `evdns_base_search_clear`.
    ///
    /// # Errors
    /// [`Error::Freed`], [`Error::Forked`].
    ///
    /// # Examples
    /// ```
    /// # use php_event::{DnsFlags, EventBase, EventDnsBase};
    /// # let dns = EventDnsBase::new(&EventBase::new()?, DnsFlags::empty())?;
    /// dns.add_search("example.com")?;
    /// dns.clear_search()?; // a short name is a whole name again
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(alias = "EventDnsBase::clearSearch", alias = "evdns_base_search_clear")]
    pub fn clear_search(&self) -> Result<()> {
        let raw = self.0.usable("EventDnsBase::clearSearch")?;
        // SAFETY: `usable` gave a DNS base that is not closed.
        unsafe { ffi::evdns_base_search_clear(raw) };
        Ok(())
    }

    /// Puts a domain on the search list, in front of those that are there: names with too few
    /// dots are tried with each of them at their end, until one exists.
    ///
    /// PHP: `EventDnsBase::addSearch`. libevent: `evdns_base_search_add`.
    ///
    /// # Errors
    /// [`Error::Argument`] for what is no domain; [`Error::Freed`], [`Error::Forked`].
    ///
    /// # Examples
    /// ```
    /// # use php_event::{DnsFlags, EventBase, EventDnsBase};
    /// # let dns = EventDnsBase::new(&EventBase::new()?, DnsFlags::empty())?;
    /// dns.add_search("example.com")?;
    /// dns.add_search("corp.example.com")?; // `printer` is looked for there first
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(alias = "EventDnsBase::addSearch", alias = "evdns_base_search_add")]
    pub fn add_search(&self, domain: &str) -> Result<()> {
        const CALL: &str = "EventDnsBase::addSearch";
        let raw = self.0.usable(CALL)?;
        let domain = name::domain(CALL, domain)?;
        // SAFETY: `usable` gave a DNS base that is not closed; C copies the text.
        unsafe { ffi::evdns_base_search_add(raw, domain.as_ptr()) };
        Ok(())
    }

    /// Sets how many dots a name must have to be asked for as it is before the search list is
    /// tried; at first it is 1.
    ///
    /// PHP: `EventDnsBase::setSearchNdots`. libevent: `evdns_base_search_ndots_set`.
    ///
    /// # Errors
    /// [`Error::Freed`], [`Error::Forked`].
    ///
    /// # Examples
    /// ```
    /// # use php_event::{DnsFlags, EventBase, EventDnsBase};
    /// # let dns = EventDnsBase::new(&EventBase::new()?, DnsFlags::empty())?;
    /// dns.add_search("example.com")?;
    /// dns.set_search_ndots(2)?; // `db.eu` is looked for as `db.eu.example.com` first
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(
        alias = "EventDnsBase::setSearchNdots",
        alias = "evdns_base_search_ndots_set"
    )]
    pub fn set_search_ndots(&self, ndots: u32) -> Result<()> {
        let raw = self.0.usable("EventDnsBase::setSearchNdots")?;
        let ndots = c_int::try_from(ndots).unwrap_or(c_int::MAX);
        // SAFETY: `usable` gave a DNS base that is not closed.
        unsafe { ffi::evdns_base_search_ndots_set(raw, ndots) };
        Ok(())
    }

    /// Looks a host's addresses up, and calls the closure once with them or with what stood
    /// in the way: from the loop, never before this method has returned.
    ///
    /// An address in text answers itself, and a name of a hosts file needs no server. For
    /// any other, a name that ends in a dot is asked for as it is, and one that does not with
    /// the search list. IPv4 addresses come before those of IPv6; when one family's are there,
    /// the other's are waited for 3 seconds more (see the option `getaddrinfo-allow-skew`).
    /// At most 32 addresses of each family are taken. Nothing is remembered: each call asks.
    ///
    /// The lookup ends when its handle is dropped; keep it.
    ///
    /// Beyond PHP. libevent: `evdns_base_resolve_ipv4` and `evdns_base_resolve_ipv6`.
    ///
    /// # Errors
    /// [`Error::Argument`] for what cannot be a host, and for a family other than `UNSPEC`,
    /// `INET` and `INET6`; [`Error::State`] when there is no name server to ask, and in a
    /// forked child; [`Error::Freed`], [`Error::Forked`]; [`Error::Call`] without memory.
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
    ///         Err(error) => println!("it could not be found out: {error}"),
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
    #[doc(
        alias = "evdns_base_resolve_ipv4",
        alias = "evdns_base_resolve_ipv6",
        alias = "evdns_getaddrinfo"
    )]
    pub fn resolve<F>(&self, host: &str, options: LookupOptions, callback: F) -> Result<Lookup>
    where
        F: FnOnce(Result<Vec<IpAddr>, DnsError>) + 'static,
    {
        let callback = |found: Outcome| {
            callback(found.map(|addresses| addresses.iter().map(SocketAddr::ip).collect()));
        };
        self.resolve_as("EventDnsBase::resolve", host, options, Box::new(callback))
    }

    /// As [`resolve`](Self::resolve), for a method that errors are to name.
    pub(crate) fn resolve_as(
        &self,
        call: &'static str,
        host: &str,
        options: LookupOptions,
        callback: Box<Callback>,
    ) -> Result<Lookup> {
        let raw = self.0.usable(call)?;
        let family = check_family(call, options.family)?;
        let host = Host::parse(host).map_err(|error| error.of(call))?;
        let known = self.known(&host, family);
        if known.is_none() && self.count_nameservers() == 0 {
            let reason = "the DNS base has no name server; add one with add_nameserver_ip or parse_resolv_conf";
            return Err(Error::State { call, reason });
        }
        let dns = Rc::downgrade(&self.0);
        let pending = Pending::new(call, &self.0.base, dns, options.timeout, callback)?;
        match (host, known) {
            (_, Some(known)) => pending.conclude(lookup::some(known)),
            (Host::Name { text, absolute }, None) => {
                let search = if absolute {
                    ffi::DNS_QUERY_NO_SEARCH
                } else {
                    0
                };
                let name = c_text(call, "host name", text)?;
                pending.ask(call, raw, &name, search as c_int, family)?;
            }
            (Host::Ip(_), None) => {}
        }
        Ok(Lookup::of(pending))
    }

    /// The addresses that no server need be asked for.
    fn known(&self, host: &Host, family: AddressFamily) -> Option<Vec<SocketAddr>> {
        match host {
            Host::Ip(address) => Some(of_family(&[*address], family)),
            Host::Name { text, .. } => {
                let hosts = self.0.hosts.borrow();
                Some(of_family(hosts.find(text)?, family))
            }
        }
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
    let family = check_family(call, family)?;
    let host_or_ip = Host::parse(host).map_err(|error| error.of(call))?;
    let Host::Ip(address) = host_or_ip else {
        let reason = format!(
            "{host:?} is a name, for which it takes a DNS base; without one give an address"
        );
        return Err(Error::argument(call, reason));
    };
    let pending = Pending::new(call, base, Weak::new(), Duration::ZERO, callback)?;
    pending.conclude(lookup::some(of_family(&[address], family)));
    Ok(Lookup::of(pending))
}

fn check_family(call: &'static str, family: AddressFamily) -> Result<AddressFamily> {
    if matches!(
        family,
        AddressFamily::UNSPEC | AddressFamily::INET | AddressFamily::INET6
    ) {
        return Ok(family);
    }
    let reason = format!("hosts have no addresses of {family:?}; give UNSPEC, INET or INET6");
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
            .field("raw", &self.0.raw.get())
            .field("nameservers", &self.count_nameservers())
            .finish_non_exhaustive()
    }
}

/// What a file says. A pipe or a terminal would not come to an end.
fn read(call: &'static str, path: &Path) -> Result<Vec<u8>> {
    let refused = |error: io::Error| {
        let told = format!("{}: {error}", path.display());
        Error::io(call, io::Error::new(error.kind(), told))
    };
    let kind = fs::metadata(path).map_err(refused)?;
    if !kind.is_file() {
        let reason = io::Error::new(io::ErrorKind::InvalidInput, "not a regular file");
        return Err(refused(reason));
    }
    fs::read(path).map_err(refused)
}

fn path_for_c(call: &'static str, path: &Path) -> Result<CString> {
    c_text(call, "path", path.as_os_str().as_bytes())
}

fn unusable(call: &'static str, path: &Path, reason: &str) -> Error {
    log::discard(); // what libevent said is not why
    Error::Call {
        call,
        cause: Some(format!("{}: {reason}", path.display()).into()),
    }
}

//! The settings of a DNS base: servers, search list, options, names of hosts.
//!
//! Owns, lends to C: nothing. Runs no user code.

use std::path::Path;

use php_event_macros::php;

use super::resolv_conf::{self, Line};
use super::{EventDnsBase, file, name};
use crate::error::{Error, Result};
use crate::flags::DnsOptions;

/// The names of this system's hosts.
const HOSTS: &str = "/etc/hosts";

impl EventDnsBase {
    /// Takes from a file in the form of `/etc/resolv.conf` what `flags` name: name servers, the
    /// search list, options. Servers are added to those that are there.
    ///
    /// Lines may end as on Unix, Windows or an old Mac, and the file may begin with a UTF-8
    /// byte-order mark. A line that cannot be read is passed over. A search list in the file
    /// replaces the one that is there; without one, this host's domain is the list. A file that
    /// is missing or lists no server is an `Err`, and no server is put in its place.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be read, or holds UTF-16 text; nothing is taken from
    /// it then. [`Error::Call`] when `flags` include servers and there are none, in the file or
    /// from before; [`Error::Argument`] for bits that are none of the constants;
    /// [`Error::Freed`], [`Error::Forked`].
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
    #[php(
        "EventDnsBase::parseResolvConf",
        php_note = ", which always returns `true`",
        c = "evdns_base_resolv_conf_parse"
    )]
    pub fn parse_resolv_conf(&self, flags: DnsOptions, filename: impl AsRef<Path>) -> Result<()> {
        let path = filename.as_ref();
        self.take_settings(CALL, flags, path)?;
        if flags.contains(DnsOptions::NAMESERVERS) {
            self.expect_servers(CALL, path)?;
        }
        Ok(())
    }

    pub(super) fn take_settings(
        &self,
        call: &'static str,
        flags: DnsOptions,
        path: &Path,
    ) -> Result<()> {
        self.0.usable(call)?;
        if !DnsOptions::all().contains(flags) {
            let reason = format!("{:#x} has bits that are not options", flags.bits());
            return Err(Error::argument(call, reason));
        }
        let text = file::read(call, path)?;
        if flags.contains(DnsOptions::HOSTSFILE) {
            match file::read(call, Path::new(HOSTS)) {
                Ok(text) => self.0.hosts.borrow_mut().add(&text),
                Err(_) => self.0.hosts.borrow_mut().add_localhost(), // as libevent does
            }
        }
        let mut has_list = false; // also an empty one
        for line in resolv_conf::lines(&text) {
            match line {
                Line::Server(address) if flags.contains(DnsOptions::NAMESERVERS) => {
                    if !self.0.servers.borrow().has(address) {
                        self.0.add_server(call, address).ok(); // as a line that cannot be read
                    }
                }
                Line::Search(domains) if flags.contains(DnsOptions::SEARCH) => {
                    self.0.domains.replace(domains);
                    has_list = true;
                }
                Line::Option(name, value) => {
                    let mut settings = self.0.settings.borrow_mut();
                    settings.set_from_file(flags, name, value);
                }
                Line::Server(_) | Line::Search(_) => {}
            }
        }
        let has_list = has_list || !self.0.domains.borrow().is_empty();
        if flags.contains(DnsOptions::SEARCH) && !has_list {
            self.0.domains.replace(domain_of_this_host());
        }
        Ok(())
    }

    pub(super) fn expect_servers(&self, call: &'static str, path: &Path) -> Result<()> {
        if self.count_nameservers() > 0 {
            return Ok(());
        }
        let cause = format!("{}: it lists no name server", path.display());
        let cause = Some(cause.into());
        Err(Error::Call { call, cause })
    }

    /// Adds a name server by its address: `192.0.2.1`, `192.0.2.1:5353`, `2001:db8::1`,
    /// `[2001:db8::1]:5353` or `fe80::1%eth0`. The port is 53 if none is given.
    ///
    /// Servers are asked in the order in which they were added. A query that a server does not
    /// answer in time, or cannot answer, goes to the next one.
    ///
    /// # Errors
    /// [`Error::Argument`] for text that is not such an address, and for a server that is there
    /// already; [`Error::Io`] when this host cannot send to it, or not from the address of the
    /// option `bind-to`; [`Error::Freed`], [`Error::Forked`].
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
    #[php("EventDnsBase::addNameserverIp", c = "evdns_base_nameserver_ip_add")]
    pub fn add_nameserver_ip(&self, ip: &str) -> Result<()> {
        self.0.usable(CALL)?;
        let address = name::server_address(ip).map_err(|error| error.of(CALL))?;
        if self.0.servers.borrow().has(address) {
            let reason = format!("{ip:?}: it is a name server of this DNS base already");
            return Err(Error::argument(CALL, reason));
        }
        self.0.add_server(CALL, address)
    }

    /// How many name servers there are.
    ///
    /// # Examples
    /// ```
    /// # use php_event::{DnsFlags, EventBase, EventDnsBase};
    /// # let dns = EventDnsBase::new(&EventBase::new()?, DnsFlags::empty())?;
    /// dns.add_nameserver_ip("192.0.2.1")?;
    /// assert_eq!(dns.count_nameservers(), 1);
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php("EventDnsBase::countNameservers", c = "evdns_base_count_nameservers")]
    #[must_use]
    pub fn count_nameservers(&self) -> usize {
        self.0.count_servers()
    }

    /// Adds the names of a file in the form of `/etc/hosts`. They are found without a server.
    ///
    /// No server is asked for a name in the file, even if the file has no address of the family
    /// that is wanted. Lines may end as on Unix, Windows or an old Mac, and the file may begin
    /// with a UTF-8 byte-order mark. A line that cannot be read is passed over.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be read, or holds UTF-16 text; [`Error::Freed`],
    /// [`Error::Forked`].
    ///
    /// # Examples
    /// ```
    /// # use php_event::{DnsFlags, EventBase, EventDnsBase};
    /// # let dns = EventDnsBase::new(&EventBase::new()?, DnsFlags::empty())?;
    /// let error = dns.load_hosts("/no/such/file").unwrap_err();
    /// assert!(error.to_string().contains("/no/such/file"));
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php("EventDnsBase::loadHosts", c = "evdns_base_load_hosts")]
    pub fn load_hosts(&self, hosts: impl AsRef<Path>) -> Result<()> {
        self.0.usable(CALL)?;
        let text = file::read(CALL, hosts.as_ref())?;
        self.0.hosts.borrow_mut().add(&text);
        Ok(())
    }

    /// Sets an option by its name in `resolv.conf`, with or without the colon:
    ///
    /// | name | value | default |
    /// |---|---|---|
    /// | `ndots` | how many dots make a name be asked for as it is before the search list is tried | 1 |
    /// | `timeout` | seconds to wait for an answer before another server is asked | 5 |
    /// | `attempts` | how often a query is sent; each server is asked at least once | 3 |
    /// | `max-timeouts` | how many queries in a row a server may leave unanswered before others are asked first, 1 to 255 | 3 |
    /// | `initial-probe-timeout` | seconds until such a server is asked first again, 3600 at most; each further time takes three times as long | 10 |
    /// | `max-inflight` | how many queries are out at once, 1 to 65000; the others wait | 64 |
    /// | `getaddrinfo-allow-skew` | seconds that a lookup with addresses of one family waits for those of the other | 3 |
    /// | `randomize-case` | 1: write names in random case, which makes answers harder to forge | 1 |
    /// | `bind-to` | the IP address that queries come from, except those to servers on this host | |
    /// | `so-rcvbuf`, `so-sndbuf` | bytes of the buffers of sockets; 0 leaves the system's default | 0 |
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
    #[php(
        "EventDnsBase::setOption",
        php_note = ", which returns `true` for any name",
        c = "evdns_base_set_option",
        c_note = ", which cuts a number that is out of bounds"
    )]
    pub fn set_option(&self, option: &str, value: &str) -> Result<()> {
        self.0.usable(CALL)?;
        self.0.settings.borrow_mut().set(CALL, option, value)
    }

    /// Empties the search list and sets `ndots` back to 1. Pending lookups keep the old list.
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
    #[php("EventDnsBase::clearSearch", c = "evdns_base_search_clear")]
    pub fn clear_search(&self) -> Result<()> {
        self.0.usable(CALL)?;
        self.0.domains.take();
        self.0.settings.borrow_mut().ndots = 1;
        Ok(())
    }

    /// Puts a domain at the front of the search list. A name with too few dots is asked for with
    /// each domain of the list at its end, until one of these names has an address in either
    /// family. A name that could not be asked for ends the lookup, and the next one is not
    /// taken in its place: it may be another host's.
    ///
    /// # Errors
    /// [`Error::Argument`] for what is not a domain; [`Error::Freed`], [`Error::Forked`].
    ///
    /// # Examples
    /// ```
    /// # use php_event::{DnsFlags, EventBase, EventDnsBase};
    /// # let dns = EventDnsBase::new(&EventBase::new()?, DnsFlags::empty())?;
    /// dns.add_search("example.com")?;
    /// dns.add_search("corp.example.com")?; // `printer` is looked up there first
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php("EventDnsBase::addSearch", c = "evdns_base_search_add")]
    pub fn add_search(&self, domain: &str) -> Result<()> {
        self.0.usable(CALL)?;
        let domain = name::domain(CALL, domain)?;
        self.0.domains.borrow_mut().insert(0, domain);
        Ok(())
    }

    /// Sets how many dots a name must have to be asked for as it is before the search list is
    /// tried. The default is 1.
    ///
    /// # Errors
    /// [`Error::Freed`], [`Error::Forked`].
    ///
    /// # Examples
    /// ```
    /// # use php_event::{DnsFlags, EventBase, EventDnsBase};
    /// # let dns = EventDnsBase::new(&EventBase::new()?, DnsFlags::empty())?;
    /// dns.add_search("example.com")?;
    /// dns.set_search_ndots(2)?; // `db.eu` is looked up as `db.eu.example.com` first
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php("EventDnsBase::setSearchNdots", c = "evdns_base_search_ndots_set")]
    pub fn set_search_ndots(&self, ndots: u32) -> Result<()> {
        self.0.usable(CALL)?;
        self.0.settings.borrow_mut().ndots = ndots;
        Ok(())
    }
}

/// What follows the first dot of this host's name, as libevent takes it when there is no list.
fn domain_of_this_host() -> Vec<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let domain = name.trim().split_once('.').map(|(_host, domain)| domain);
    let domain = domain.and_then(|domain| name::domain("", domain).ok());
    domain.into_iter().collect()
}

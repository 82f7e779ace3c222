//! The flags of `EventDnsBase`.

use std::ffi::c_int;

use crate::ffi;

bitflags::bitflags! {
    /// How an [`EventDnsBase`](crate::EventDnsBase) is made.
    ///
    /// PHP: constants of `EventDnsBase`; [`EventDnsBase::INITIALIZE_NAMESERVERS`](crate::EventDnsBase::INITIALIZE_NAMESERVERS) and the
    /// others are the same values. PHP's `true` is `INITIALIZE_NAMESERVERS`, `false` no flag.
    ///
    /// ```compile_fail,E0308
    /// // What a DNS base is made with is not what a file is read for.
    /// use php_event::EventDnsBase;
    /// let flags = EventDnsBase::INITIALIZE_NAMESERVERS | EventDnsBase::OPTION_SEARCH;
    /// ```
    /// ```
    /// use php_event::EventDnsBase;
    /// let flags = EventDnsBase::INITIALIZE_NAMESERVERS | EventDnsBase::DISABLE_WHEN_INACTIVE;
    /// assert_eq!(flags.bits(), 32769);
    /// ```
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct DnsFlags: c_int {
        /// Read name servers, search list and options from `/etc/resolv.conf`, and names from
        /// `/etc/hosts`.
        const INITIALIZE_NAMESERVERS = ffi::EVDNS_BASE_INITIALIZE_NAMESERVERS as c_int;
        /// Do not keep the loop running while no lookup is pending.
        const DISABLE_WHEN_INACTIVE = ffi::EVDNS_BASE_DISABLE_WHEN_INACTIVE as c_int;
        /// Accept an `/etc/resolv.conf` that lists no name server.
        const NAMESERVERS_NO_DEFAULT = ffi::EVDNS_BASE_NAMESERVERS_NO_DEFAULT as c_int;
    }

    /// What [`EventDnsBase::parse_resolv_conf`](crate::EventDnsBase::parse_resolv_conf) takes from the file.
    ///
    /// PHP: constants of `EventDnsBase`; [`EventDnsBase::OPTION_SEARCH`](crate::EventDnsBase::OPTION_SEARCH) and the others are
    /// the same values.
    ///
    /// # Examples
    /// ```
    /// use php_event::EventDnsBase;
    /// let options = EventDnsBase::OPTION_NAMESERVERS | EventDnsBase::OPTION_SEARCH;
    /// assert!(EventDnsBase::OPTIONS_ALL.contains(options));
    /// ```
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct DnsOptions: c_int {
        /// The lines `domain` and `search`, and the option `ndots`; without such a line, the
        /// domain of this host.
        const SEARCH = ffi::DNS_OPTION_SEARCH as c_int;
        /// The lines `nameserver`, and the option `bind-to`.
        const NAMESERVERS = ffi::DNS_OPTION_NAMESERVERS as c_int;
        /// The other options.
        const MISC = ffi::DNS_OPTION_MISC as c_int;
        /// Also the names in `/etc/hosts`; without that file, `localhost`.
        const HOSTSFILE = ffi::DNS_OPTION_HOSTSFILE as c_int;
        /// All of these.
        const ALL = Self::SEARCH.bits() | Self::NAMESERVERS.bits() | Self::MISC.bits()
            | Self::HOSTSFILE.bits();
    }
}

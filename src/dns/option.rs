//! The options of a DNS base: their names in `resolv.conf`, and the values that they take.
//!
//! Owns: the values. Lends to C: nothing. Runs no user code.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::address::Host;
use crate::error::{Error, Result};
use crate::flags::DnsOptions;

/// The shortest time that an option takes.
const SHORTEST: f64 = 0.001;

/// What queries go by.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// How many dots make a name be asked for as it is before the search list is tried.
    pub(super) ndots: u32,
    /// How long an answer is waited for.
    pub(super) timeout: Duration,
    /// How long the second family is waited for when the first has addresses.
    pub(super) allow_skew: Duration,
    /// How many queries in a row a server may leave unanswered.
    pub(super) max_timeouts: u8,
    /// How many queries are out at once.
    pub(super) max_inflight: usize,
    /// How often a query is sent.
    pub(super) attempts: u32,
    /// Whether names are written in random case.
    pub(super) randomize_case: bool,
    /// The address that queries come from.
    pub(super) bind_to: Option<SocketAddr>,
    /// How long a server is passed over that failed.
    pub(super) probe: Duration,
    /// Bytes of the receive buffer; 0 is the system's default.
    pub(super) receive_buffer: usize,
    /// Bytes of the send buffer; 0 is the system's default.
    pub(super) send_buffer: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ndots: 1,
            timeout: Duration::from_secs(5),
            allow_skew: Duration::from_secs(3),
            max_timeouts: 3,
            max_inflight: 64,
            attempts: 3,
            randomize_case: true,
            bind_to: None,
            probe: Duration::from_secs(10),
            receive_buffer: 0,
            send_buffer: 0,
        }
    }
}

/// A value that an option takes.
enum Takes {
    Number(u32, u32, fn(&mut Settings, u32)),
    Seconds(fn(&mut Settings, Duration)),
    Address(fn(&mut Settings, SocketAddr)),
}

/// An option: its name, the flag that takes it from a `resolv.conf`, and its value.
type Known = (&'static str, DnsOptions, Takes);

const MAX: u32 = i32::MAX.cast_unsigned();

const KNOWN: [Known; 11] = [
    (
        "ndots",
        DnsOptions::SEARCH,
        Takes::Number(0, MAX, |settings, n| settings.ndots = n),
    ),
    (
        "timeout",
        DnsOptions::MISC,
        Takes::Seconds(|settings, time| settings.timeout = time),
    ),
    (
        "getaddrinfo-allow-skew",
        DnsOptions::MISC,
        Takes::Seconds(|settings, time| settings.allow_skew = time),
    ),
    (
        "max-timeouts",
        DnsOptions::MISC,
        Takes::Number(1, 255, |settings, n| settings.max_timeouts = n as u8),
    ),
    (
        "max-inflight",
        DnsOptions::MISC,
        Takes::Number(1, 65_000, |settings, n| settings.max_inflight = n as usize),
    ),
    (
        "attempts",
        DnsOptions::MISC,
        Takes::Number(0, 255, |settings, n| settings.attempts = n),
    ),
    (
        "randomize-case",
        DnsOptions::MISC,
        Takes::Number(0, 1, |settings, n| settings.randomize_case = n == 1),
    ),
    (
        "bind-to",
        DnsOptions::NAMESERVERS,
        Takes::Address(|settings, address| settings.bind_to = Some(address)),
    ),
    (
        "initial-probe-timeout",
        DnsOptions::MISC,
        Takes::Seconds(|settings, time| settings.probe = time),
    ),
    (
        "so-rcvbuf",
        DnsOptions::MISC,
        Takes::Number(0, MAX, |settings, n| settings.receive_buffer = n as usize),
    ),
    (
        "so-sndbuf",
        DnsOptions::MISC,
        Takes::Number(0, MAX, |settings, n| settings.send_buffer = n as usize),
    ),
];

impl Settings {
    /// Sets an option by its name, with or without the colon that follows it in a `resolv.conf`.
    pub(super) fn set(&mut self, call: &'static str, option: &str, value: &str) -> Result<()> {
        let name = option.strip_suffix(':').unwrap_or(option);
        let Some((_, _, takes)) = KNOWN.iter().find(|(known, ..)| *known == name) else {
            let names = KNOWN.each_ref().map(|(name, ..)| *name).join(", ");
            let reason = format!("{option:?} is not an option; there are {names}");
            return Err(Error::argument(call, reason));
        };
        self.take(takes, value).map_err(|wanted| {
            let reason = format!("{name} is {wanted}, and not {value:?}");
            Error::argument(call, reason)
        })
    }

    /// Sets an option of a file, if `flags` include it and its value can be used.
    pub(super) fn set_from_file(&mut self, flags: DnsOptions, option: &str, value: &str) {
        let known = KNOWN.iter().find(|(known, ..)| *known == option);
        if let Some((_, needs, takes)) = known
            && flags.contains(*needs)
        {
            self.take(takes, value).ok();
        }
    }

    /// Takes a value, or says which values there are.
    fn take(&mut self, takes: &Takes, value: &str) -> Result<(), String> {
        match takes {
            Takes::Number(min, max, set) => {
                let number = value.parse().ok().filter(|n| (*min..=*max).contains(n));
                let wanted = || format!("a whole number from {min} to {max}");
                set(self, number.ok_or_else(wanted)?);
            }
            Takes::Seconds(set) => {
                let wanted = || format!("a number of seconds, at least {SHORTEST}");
                set(self, seconds(value).ok_or_else(wanted)?);
            }
            Takes::Address(set) => {
                let address = Host::parse_ip(value).ok().flatten();
                let wanted = || "an IP address such as 192.0.2.1, without a port".to_owned();
                set(self, address.ok_or_else(wanted)?);
            }
        }
        Ok(())
    }

    /// Where queries to `server` come from, unless the system chooses. Servers on this host are
    /// asked from this host's own addresses.
    pub(super) fn source_for(&self, server: SocketAddr) -> Option<SocketAddr> {
        let loopback = match server.ip() {
            IpAddr::V4(ip) => ip.is_loopback(),
            IpAddr::V6(ip) => ip.is_loopback(),
        };
        self.bind_to.filter(|_| !loopback)
    }
}

fn seconds(value: &str) -> Option<Duration> {
    let seconds = value.parse::<f64>().ok()?;
    if (SHORTEST..=f64::from(i32::MAX)).contains(&seconds) {
        Duration::try_from_secs_f64(seconds).ok()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(option: &str, value: &str) -> Result<()> {
        Settings::default().set("f", option, value)
    }

    #[test]
    fn every_option_takes_what_it_can_use_with_and_without_a_colon() {
        let values = [
            ("ndots", "0"),
            ("timeout", "0.001"),
            ("getaddrinfo-allow-skew", "3"),
            ("max-timeouts", "255"),
            ("max-inflight", "65000"),
            ("attempts", "0"),
            ("randomize-case", "1"),
            ("bind-to", "127.0.0.1"),
            ("initial-probe-timeout", "1e3"),
            ("so-rcvbuf", "65536"),
            ("so-sndbuf", "0"),
        ];
        assert_eq!(
            values.map(|(name, _)| name),
            KNOWN.each_ref().map(|(name, ..)| *name)
        );
        for (name, value) in values {
            check(name, value).unwrap();
            check(&format!("{name}:"), value).unwrap();
        }
    }

    #[test]
    fn a_value_out_of_its_range_is_refused() {
        let values = [
            ("ndots", ["-1", "", "1x", "2147483648", "1.5"]),
            ("timeout", ["0", "-1", "nan", "inf", "1e300"]),
            ("timeout", ["0.0009", "abc", "", "2147483648", " 1"]),
            ("max-timeouts", ["0", "256", "-1", "a", ""]),
            ("max-inflight", ["0", "65001", "-1", "a", ""]),
            ("attempts", ["-1", "256", "a", "1 ", ""]),
            ("randomize-case", ["2", "-1", "yes", "", "01x"]),
            (
                "bind-to",
                ["", "localhost", "1.2.3.4:0", "::1:", "1.2.3.4:53"],
            ),
        ];
        for (name, value) in values.iter().flat_map(|(n, values)| values.map(|v| (n, v))) {
            let error = check(name, value).unwrap_err().to_string();
            assert!(error.starts_with(&format!("f: {name} is a")), "{error}");
            assert!(error.ends_with(&format!("not {value:?}")), "{error}");
        }
    }

    #[test]
    fn a_name_that_is_no_option_is_refused_with_those_that_are() {
        for name in [
            "",
            ":",
            "nonesuch",
            "Timeout",
            "timeout:5",
            "timeout::",
            "max-probe-timeout",
        ] {
            let error = check(name, "1").unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("f: {name:?} is not an option")),
                "{error}"
            );
            assert!(
                error.contains("ndots, timeout, getaddrinfo-allow-skew"),
                "{error}"
            );
        }
    }

    #[test]
    fn options_of_a_file_are_taken_by_their_flags_and_bad_ones_passed_over() {
        let mut settings = Settings::default();
        let all = DnsOptions::ALL;
        settings.set_from_file(all, "getaddrinfo-allow-skew", "1.5");
        assert_eq!(settings.allow_skew, Duration::from_millis(1500));
        settings.set_from_file(all, "getaddrinfo-allow-skew", "0");
        settings.set_from_file(all, "rotate", "");
        settings.set_from_file(DnsOptions::SEARCH, "getaddrinfo-allow-skew", "2");
        assert_eq!(settings.allow_skew, Duration::from_millis(1500));
        settings.set_from_file(DnsOptions::MISC, "ndots", "5");
        assert_eq!(settings.ndots, 1);
        settings.set_from_file(DnsOptions::SEARCH, "ndots", "5");
        assert_eq!(settings.ndots, 5);
    }
}

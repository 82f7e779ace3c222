//! The options that libevent 2.1 knows, and which values it can use. It ignores a name that
//! it does not know, cuts numbers silently, and cannot say what it did.
//!
//! Owns, lends to C: nothing. Runs no user code.

use std::time::Duration;

use crate::error::{Error, Result};

use super::name::server_address;

/// The option that libevent keeps for `evdns_getaddrinfo`, in whose place a lookup waits.
pub(super) const ALLOW_SKEW: &str = "getaddrinfo-allow-skew";

/// What kind of value an option takes.
enum Takes {
    Number(i32, i32),
    Seconds,
    Address,
}

const KNOWN: [(&str, Takes); 11] = [
    ("ndots", Takes::Number(0, i32::MAX)),
    ("timeout", Takes::Seconds),
    (ALLOW_SKEW, Takes::Seconds),
    ("max-timeouts", Takes::Number(1, 255)),
    ("max-inflight", Takes::Number(1, 65_000)),
    ("attempts", Takes::Number(0, 255)),
    ("randomize-case", Takes::Number(0, 1)),
    ("bind-to", Takes::Address),
    ("initial-probe-timeout", Takes::Seconds),
    ("so-rcvbuf", Takes::Number(0, i32::MAX)),
    ("so-sndbuf", Takes::Number(0, i32::MAX)),
];

/// The shortest time that libevent takes.
const SHORTEST: f64 = 0.001;

/// The name without the colon that it may have in a `resolv.conf`, if the value can be used.
pub(super) fn check<'a>(call: &'static str, option: &'a str, value: &str) -> Result<&'a str> {
    let name = option.strip_suffix(':').unwrap_or(option);
    let Some((_, takes)) = KNOWN.iter().find(|(known, _)| *known == name) else {
        let names = KNOWN.map(|(name, _)| name).join(", ");
        let reason = format!("{option:?} is no option; there are {names}");
        return Err(Error::argument(call, reason));
    };
    let (usable, wanted) = match *takes {
        Takes::Number(min, max) => (
            value.parse().is_ok_and(|n| (min..=max).contains(&n)),
            format!("a whole number from {min} to {max}"),
        ),
        Takes::Seconds => (
            seconds(value).is_some(),
            format!("a number of seconds, at least {SHORTEST}"),
        ),
        Takes::Address => (
            server_address(value).is_ok(),
            "an address such as 192.0.2.1 or [2001:db8::1]:5353".to_owned(),
        ),
    };
    if usable {
        Ok(name)
    } else {
        let reason = format!("{name} is {wanted}, and not {value:?}");
        Err(Error::argument(call, reason))
    }
}

/// A time as libevent reads it, where it can be used.
pub(super) fn seconds(value: &str) -> Option<Duration> {
    let seconds = value.parse::<f64>().ok()?;
    if (SHORTEST..=f64::from(i32::MAX)).contains(&seconds) {
        Duration::try_from_secs_f64(seconds).ok()
    } else {
        None
    }
}

/// What the `options` lines of a `resolv.conf` say of [`ALLOW_SKEW`], the last of them.
pub(super) fn allow_skew(file: &[u8]) -> Option<Duration> {
    let text = String::from_utf8_lossy(file);
    let options = text.lines().filter_map(|line| {
        let mut words = line.split([' ', '\t']).filter(|word| !word.is_empty());
        (words.next() == Some("options")).then_some(words)
    });
    options
        .flatten()
        .filter_map(|word| seconds(word.strip_prefix(ALLOW_SKEW)?.strip_prefix(':')?))
        .next_back()
}

#[cfg(test)]
mod tests {
    use super::*;

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
            ("bind-to", "127.0.0.1:53"),
            ("initial-probe-timeout", "1e3"),
            ("so-rcvbuf", "65536"),
            ("so-sndbuf", "0"),
        ];
        assert_eq!(values.map(|(name, _)| name), KNOWN.map(|(name, _)| name));
        for (name, value) in values {
            assert_eq!(check("f", name, value).unwrap(), name);
            assert_eq!(check("f", &format!("{name}:"), value).unwrap(), name);
        }
    }

    #[test]
    fn what_libevent_would_cut_or_misread_is_refused() {
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
                ["", "localhost", "1.2.3.4:0", "::1:", "1.2.3.4:99999"],
            ),
        ];
        for (name, value) in values.iter().flat_map(|(n, values)| values.map(|v| (n, v))) {
            let error = check("f", name, value).unwrap_err().to_string();
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
            let error = check("f", name, "1").unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("f: {name:?} is no option")),
                "{error}"
            );
            assert!(
                error.contains("ndots, timeout, getaddrinfo-allow-skew"),
                "{error}"
            );
        }
    }

    #[test]
    fn the_last_skew_of_a_resolv_conf_counts() {
        let skew = |text: &str| allow_skew(text.as_bytes());
        assert_eq!(
            skew("options ndots:2 getaddrinfo-allow-skew:1.5"),
            Some(Duration::from_millis(1500))
        );
        let twice = "options\tgetaddrinfo-allow-skew:1\n#\noptions getaddrinfo-allow-skew:2 x\n";
        assert_eq!(skew(twice), Some(Duration::from_secs(2)));
        for none in [
            "",
            "#options getaddrinfo-allow-skew:1",
            "options getaddrinfo-allow-skew:0",
            "options getaddrinfo-allow-skew",
            "search getaddrinfo-allow-skew:1",
        ] {
            assert_eq!(skew(none), None, "{none:?}");
        }
    }
}

//! What may be asked for: addresses, which answer themselves, and names of hosts.
//!
//! Owns, lends to C: nothing. Runs no user code.

use std::borrow::Cow;
use std::ffi::CString;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::error::{Error, Result, c_text};

/// The longest name that fits in a query, without the dot at its end.
const NAME_MAX: usize = 253;

/// The longest part of a name between two dots.
const LABEL_MAX: usize = 63;

/// A host, as it was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Host {
    Address(IpAddr),
    Name {
        text: CString,
        /// It ended in a dot: the search list is not for it.
        absolute: bool,
    },
}

impl Host {
    /// Refuses what can be no host, before C sends it or cuts it at a NUL.
    pub(super) fn parse(call: &'static str, host: &str) -> Result<Self> {
        if let Ok(address) = host.parse() {
            return Ok(Self::Address(address));
        }
        if host.starts_with('[') {
            let reason = format!("{host:?} is no host name; give an IPv6 address without brackets");
            return Err(Error::argument(call, reason));
        }
        let text = c_text(call, "host name", host)?;
        let (text, absolute) = match text.to_bytes().strip_suffix(b".") {
            Some(relative) => (c_text(call, "host name", relative)?, true),
            None => (text, false),
        };
        check(text.to_bytes()).map_err(|reason| {
            Error::argument(call, format!("{host:?} is no host name: {reason}"))
        })?;
        Ok(Self::Name { text, absolute })
    }
}

/// A domain for the search list, without the dots that may stand in front of it.
pub(super) fn domain(call: &'static str, domain: &str) -> Result<CString> {
    let text = c_text(call, "domain", domain.trim_start_matches('.'))?;
    let bytes = text.to_bytes();
    check(bytes.strip_suffix(b".").unwrap_or(bytes))
        .map_err(|reason| Error::argument(call, format!("{domain:?} is no domain: {reason}")))?;
    Ok(text)
}

/// Whether libevent can put a name into a query, and a resolver make sense of it.
fn check(name: &[u8]) -> Result<(), Cow<'static, str>> {
    if name.is_empty() {
        return Err("it is empty".into());
    }
    if name.len() > NAME_MAX {
        return Err(format!("{} bytes are more than {NAME_MAX}", name.len()).into());
    }
    for label in name.split(|byte| *byte == b'.') {
        if label.is_empty() {
            return Err("nothing stands before or between its dots".into());
        }
        if label.len() > LABEL_MAX {
            return Err(
                format!("a part of {} bytes is longer than {LABEL_MAX}", label.len()).into(),
            );
        }
    }
    let odd = |byte: &&u8| !byte.is_ascii_alphanumeric() && !matches!(byte, b'-' | b'_' | b'.');
    match name.iter().find(odd) {
        None => Ok(()),
        Some(byte) if !byte.is_ascii() => {
            Err("give a name with letters beyond ASCII in its xn-- form".into())
        }
        Some(byte) => Err(format!("{:?} cannot be part of one", char::from(*byte)).into()),
    }
}

/// Whether libevent reads an address here, with or without a port: `192.0.2.1:53`,
/// `[2001:db8::1]:53`, `2001:db8::1`, and an IPv6 address may name its interface.
pub(super) fn is_server_address(text: &str) -> bool {
    let port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
    let ipv4 = |address: &str| address.parse::<Ipv4Addr>().is_ok();
    let ipv6 = |address: &str| {
        let (address, interface) = address.split_once('%').unwrap_or((address, "lo"));
        !interface.is_empty() && address.parse::<Ipv6Addr>().is_ok()
    };
    if let Some((address, rest)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return ipv6(address) && (rest.is_empty() || rest.strip_prefix(':').is_some_and(port));
    }
    match text.split_once(':') {
        None => ipv4(text),
        Some((address, last)) if !last.contains(':') => ipv4(address) && port(last),
        Some(_) => ipv6(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(host: &str) -> (String, bool) {
        match Host::parse("f", host) {
            Ok(Host::Name { text, absolute }) => (text.into_string().unwrap(), absolute),
            other => panic!("{host:?}: {other:?}"),
        }
    }

    #[track_caller]
    fn refused(host: &str, reason: &str) {
        let error = Host::parse("f", host).unwrap_err().to_string();
        assert!(error.starts_with("f: "), "{error}");
        assert!(error.contains(reason), "{error}");
    }

    #[test]
    fn an_address_answers_itself() {
        for address in [
            "127.0.0.1",
            "255.255.255.255",
            "::1",
            "2001:db8::7",
            "::ffff:1.2.3.4",
        ] {
            let expected = Host::Address(address.parse().unwrap());
            assert_eq!(Host::parse("f", address).unwrap(), expected);
        }
    }

    #[test]
    fn a_name_is_taken_as_it_is_and_its_last_dot_makes_it_absolute() {
        for host in [
            "a",
            "a.b-c.example",
            "_sip._tcp.example",
            "1.2.3",
            "xn--bcher-kva.example",
        ] {
            assert_eq!(name(host), (host.to_owned(), false));
            assert_eq!(name(&format!("{host}.")), (host.to_owned(), true));
        }
    }

    #[test]
    fn lengths_are_allowed_up_to_the_limit_and_not_one_past_it() {
        let label = "a".repeat(LABEL_MAX);
        assert_eq!(name(&label).0, label);
        refused(&format!("{label}a"), "64 bytes is longer than 63");
        let longest = format!("{label}.{label}.{label}.{}", "b".repeat(NAME_MAX - 3 * 64));
        assert_eq!(longest.len(), NAME_MAX);
        assert_eq!(name(&longest), (longest.clone(), false));
        assert_eq!(name(&format!("{longest}.")), (longest.clone(), true));
        refused(&format!("{longest}c"), "254 bytes are more than 253");
    }

    #[test]
    fn what_can_be_no_host_is_refused_with_its_reason() {
        refused("", "it is empty");
        refused(".", "it is empty");
        refused("a..b", "nothing stands before or between");
        refused(".a", "nothing stands before or between");
        refused("a..", "nothing stands before or between");
        refused("[::1]", "without brackets");
        refused("a\0b", r#""a\0b" holds a NUL"#);
        refused("bücher.example", "xn-- form");
        for odd in ["a b", "a\r\nb", "a/b", "a:80", "fe80::1%lo", "*.a", "a@b"] {
            refused(odd, "cannot be part of one");
        }
    }

    #[test]
    fn a_domain_loses_the_dots_in_front() {
        for (given, taken) in [("corp.example", "corp.example"), ("..a", "a"), ("a.", "a.")] {
            assert_eq!(domain("f", given).unwrap().to_str(), Ok(taken));
        }
        for refused in ["", ".", "...", "a b", "a..b", "a\0"] {
            assert!(domain("f", refused).is_err(), "{refused:?}");
        }
    }

    #[test]
    fn addresses_of_servers_are_those_that_libevent_reads() {
        for good in [
            "1.2.3.4",
            "1.2.3.4:53",
            "::1",
            "[::1]",
            "[::1]:5353",
            "fe80::1%lo",
            "[fe80::1%2]:53",
        ] {
            assert!(is_server_address(good), "{good:?}");
        }
        for bad in [
            "",
            ":",
            "1.2.3",
            "1.2.3.4:",
            "1.2.3.4:0",
            "1.2.3.4:65536",
            "1.2.3.4:5x",
            "localhost",
            "[1.2.3.4]",
            "[::1",
            "::1]",
            "[::1]53",
            "[::1]:",
            "[::1]:0",
            "fe80::1%",
            " 1.2.3.4",
            "1.2.3.4\0",
            "[]",
            "%lo",
        ] {
            assert!(!is_server_address(bad), "{bad:?}");
        }
    }
}

//! Domains of the search list and addresses of name servers.
//!
//! Owns, lends to C: nothing. Runs no user code.

use std::net::SocketAddr;

use crate::address::{Address, AddressError, Host, check_name, with_port};
use crate::error::{Error, Result};

/// A domain for the search list, without the dots that may stand around it.
pub(super) fn domain(call: &'static str, domain: &str) -> Result<String> {
    let bare = domain.trim_start_matches('.');
    let bare = bare.strip_suffix('.').unwrap_or(bare);
    check_name(bare).map_err(|reason| Error::argument(call, format!("{domain:?}: {reason}")))?;
    Ok(bare.to_owned())
}

/// The port of name servers.
const PORT: u16 = 53;

/// The address of a name server, with or without a port: `192.0.2.1`, `192.0.2.1:53`,
/// `2001:db8::1`, `[2001:db8::1]:53`.
pub(super) fn server_address(text: &str) -> Result<SocketAddr, AddressError> {
    const FORMS: &str =
        "not an address; give 192.0.2.1, 192.0.2.1:53, 2001:db8::1 or [2001:db8::1]:53";
    match Host::parse_ip(text) {
        Ok(Some(ip)) => return Ok(with_port(ip, PORT)),
        Err(error) if text.contains('%') && !text.contains("]:") => return Err(error),
        Ok(None) | Err(_) => {}
    }
    match text.parse() {
        Ok(Address::Ip(address)) if address.port() > 0 => Ok(address),
        Err(error) if text.contains('%') => Err(error),
        _ => Err(AddressError::new(text, FORMS)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_loses_the_dots_around_it() {
        for (given, taken) in [("corp.example", "corp.example"), ("..a", "a"), ("a.", "a")] {
            assert_eq!(domain("f", given).unwrap(), taken);
        }
        for refused in ["", ".", "...", "a b", "a..b", "a\0"] {
            assert!(domain("f", refused).is_err(), "{refused:?}");
        }
    }

    #[test]
    fn the_port_of_a_server_is_53_unless_one_is_given() {
        for (text, expected) in [
            ("1.2.3.4", "1.2.3.4:53"),
            ("1.2.3.4:5353", "1.2.3.4:5353"),
            ("::1", "[::1]:53"),
            ("[::1]", "[::1]:53"),
            ("[::1]:5353", "[::1]:5353"),
        ] {
            assert_eq!(server_address(text).unwrap().to_string(), expected);
        }
        for text in ["fe80::1%lo", "[fe80::1%lo]:53", "[fe80::1%2]"] {
            assert_eq!(server_address(text).unwrap().port(), 53);
        }
    }

    #[test]
    fn what_is_no_address_of_a_server_is_refused() {
        for bad in [
            "",
            ":",
            "1.2.3",
            "1.2.3.4:",
            "1.2.3.4:0",
            "1.2.3.4:65536",
            "1.2.3.4:5x",
            "localhost",
            "localhost:53",
            "unix:/a",
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
            assert!(server_address(bad).is_err(), "{bad:?}");
        }
    }
}

//! Host names without a DNS base. The library takes addresses only, because a lookup blocks; PECL
//! asks the system's resolver and waits, and so does this.

use std::net::{IpAddr, ToSocketAddrs as _};

/// Whether a text is a host name, and no IP address, path or mistake that the library names better.
pub(crate) fn is_name(text: &str) -> bool {
    let in_names = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    !text.is_empty() && text.bytes().all(in_names) && text.parse::<IpAddr>().is_err()
}

/// The addresses of a name, at least one.
///
/// # Errors
/// A sentence that names the host.
pub(crate) fn look_up(name: &str) -> Result<Vec<IpAddr>, String> {
    let found = (name, 0).to_socket_addrs();
    let found = found.map_err(|error| format!("Cannot resolve {name}: {error}"))?;
    let mut addresses: Vec<IpAddr> = Vec::new();
    for address in found {
        if !addresses.contains(&address.ip()) {
            addresses.push(address.ip());
        }
    }
    match addresses.is_empty() {
        true => Err(format!("{name} has no address")),
        false => Ok(addresses),
    }
}

#[cfg(test)]
mod tests {
    use super::{is_name, look_up};

    #[test]
    fn only_host_names_are_names() {
        for name in ["localhost", "a.test.", "a-b_c.test", "1.2.3.4.5"] {
            assert!(is_name(name), "{name}");
        }
        for other in [
            "",
            "127.0.0.1",
            "::1",
            "[::1]",
            "unix:/a",
            "a b",
            "a\r\nb",
            "é.test",
        ] {
            assert!(!is_name(other), "{other}");
        }
    }

    #[test]
    fn unknown_name_is_named_in_the_error() {
        let error = look_up("no-such-host.invalid").unwrap_err();
        assert!(error.contains("no-such-host.invalid"), "{error}");
    }
}

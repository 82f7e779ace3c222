//! `uri-host [ ":" port ]`, as the `Host` field and an absolute target have it.

use std::net::Ipv6Addr;
use std::str;

use super::byte_set::{ByteSet, byte_set};

/// Whether `value` names one host, and at most one port.
///
/// Source: RFC 9110 §7.2, RFC 3986 §3.2.2 and §3.2.3. Narrower in three points: the host may
/// not be empty; a comma is refused, since a reader that joins two fields would see a list; of
/// the literals in brackets only IPv6 is known. A port may be empty, and is at most 65535.
pub(super) fn is_valid(value: &[u8]) -> bool {
    match PLAIN.split(value).unwrap_or((value, &[])) {
        (host, []) => !host.is_empty(),
        (host, [b':', port @ ..]) => !host.is_empty() && is_port(port),
        (_, [b'%' | b'[', ..]) => is_valid_rare(value),
        _ => false,
    }
}

/// The bytes of a reg-name that need no second look: `unreserved` and `sub-delims` but the comma.
const fn is_plain(byte: u8) -> bool {
    matches!(byte,
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~'
        | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b';' | b'=')
}

static PLAIN: ByteSet = byte_set!(is_plain);

fn is_port(port: &[u8]) -> bool {
    const TOO_HIGH: u32 = 1 << 16;
    let mut number = 0;
    for byte in port {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return false;
        }
        number = (number * 10 + u32::from(digit)).min(TOO_HIGH);
    }
    number < TOO_HIGH
}

#[cold]
fn is_valid_rare(value: &[u8]) -> bool {
    let (host, port) = match value {
        [b'[', rest @ ..] => {
            let mut parts = rest.splitn(2, |byte| *byte == b']');
            let address = parts
                .next()
                .and_then(|address| str::from_utf8(address).ok());
            if address.is_none_or(|address| address.parse::<Ipv6Addr>().is_err()) {
                return false;
            }
            match parts.next() {
                Some(after) => (
                    None,
                    after
                        .strip_prefix(b":")
                        .or_else(|| after.is_empty().then_some(after)),
                ),
                None => return false,
            }
        }
        name => {
            let mut parts = name.splitn(2, |byte| *byte == b':');
            (parts.next(), Some(parts.next().unwrap_or_default()))
        }
    };
    host.is_none_or(is_escaped_name) && port.is_some_and(is_port)
}

fn is_escaped_name(mut name: &[u8]) -> bool {
    if name.is_empty() {
        return false;
    }
    while let [first, rest @ ..] = name {
        name = match (first, rest) {
            (b'%', [high, low, rest @ ..])
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                rest
            }
            (byte, rest) if is_plain(*byte) => rest,
            _ => return false,
        };
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_an_address_or_a_literal_with_an_optional_port_is_a_host() {
        for host in [
            "x",
            "example.com",
            "EXAMPLE.com.",
            "a_b~c",
            "127.0.0.1",
            "127.0.0.1:9999",
            "x:",
            "x:0",
            "x:65535",
            "x:000080",
            "[::1]",
            "[::1]:80",
            "[::1]:",
            "[::ffff:1.2.3.4]",
            "%41b",
            "a%2db:1",
        ] {
            assert!(is_valid(host.as_bytes()), "{host}");
        }
    }

    #[test]
    fn anything_else_is_no_host() {
        for host in [
            "",
            ":80",
            "a,b",
            "a b",
            "a\tb",
            "user@x",
            "x:65536",
            "x:+1",
            "x:1:2",
            "x:a",
            "x/",
            "x?",
            "x#",
            "\"x\"",
            "<x>",
            "x\\y",
            "[::1",
            "::1",
            "[]",
            "[::1]x",
            "[::1]80",
            "[::1%25lo]",
            "[v1.x]",
            "[1.2.3.4]",
            "%4",
            "%zz",
            "a%",
            "x[::1]",
            "%41,b",
            "%41:x",
            "%41:1:2",
            "é",
            "\u{7f}",
            "\0",
        ] {
            assert!(!is_valid(host.as_bytes()), "{host}");
        }
    }
}

//! The host that a client expects.
//!
//! Owns nothing, lends nothing to C, runs no user code.

use std::net::IpAddr;

use crate::error::{Error, Result};

/// The longest name that DNS has.
const NAME_MAX: usize = 253;

/// A host in the form that OpenSSL takes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Host<'a> {
    Name(&'a str),
    Address(IpAddr),
}

impl<'a> Host<'a> {
    /// Reads a name or an address as URLs have it. Brackets around IPv6, a zone after it, and a
    /// dot at the end of a name are not part of it.
    pub(super) fn read(call: &'static str, host: &'a str) -> Result<Self> {
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        let address = bare
            .split_once('%')
            .map_or(bare, |(address, _zone)| address);
        if let Ok(address) = address.parse() {
            return Ok(Self::Address(address));
        }
        let name = host.strip_suffix('.').unwrap_or(host);
        // OpenSSL takes a leading dot for "any name below".
        if name.len() <= NAME_MAX && name.split('.').all(is_label) {
            return Ok(Self::Name(name));
        }
        let reason = format!(
            "{host:?} is not a host name: give letters, digits, '-' and '_' between dots, others as xn--"
        );
        Err(Error::argument(call, reason))
    }
}

fn is_label(label: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !label.is_empty() && label.bytes().all(allowed)
}

//! [`Host`]: an IP address, with the zone that a link-local one needs, or a host name.
//!
//! Owns, lends to C: nothing. Runs no user code.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

use nix::net::if_::if_nametoindex;

use super::{AddressError, Reason};

/// The longest name that fits in a DNS query, without the dot at its end.
pub(crate) const NAME_MAX: usize = 253;

/// The longest part of a name between two dots.
pub(crate) const LABEL_MAX: usize = 63;

/// A host, without a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    /// An IP address, with port 0, which has room for the zone.
    Ip(SocketAddr),
    /// A host name, without a dot at its end.
    Name {
        text: String,
        /// A dot stood at its end: search lists do not apply.
        absolute: bool,
    },
}

impl Host {
    /// Reads an IP address, IPv6 with or without brackets, or a host name.
    pub(crate) fn parse(text: &str) -> Result<Self, AddressError> {
        Self::read(text).map_err(|reason| AddressError::new(text, reason))
    }

    /// Reads an IP address, IPv6 with or without brackets; `None` for anything else.
    pub(crate) fn parse_ip(text: &str) -> Result<Option<SocketAddr>, AddressError> {
        ip(text).map_err(|reason| AddressError::new(text, reason))
    }

    pub(super) fn read(text: &str) -> Result<Self, Reason> {
        if let Some(ip) = ip(text)? {
            return Ok(Self::Ip(ip));
        }
        let (name, absolute) = match text.strip_suffix('.') {
            Some(name) => (name, true),
            None => (text, false),
        };
        check_name(name)?;
        Ok(Self::Name {
            text: name.to_owned(),
            absolute,
        })
    }
}

/// The address with another port.
pub(crate) fn with_port(mut address: SocketAddr, port: u16) -> SocketAddr {
    address.set_port(port);
    address
}

fn ip(text: &str) -> Result<Option<SocketAddr>, Reason> {
    let bare = match text.strip_prefix('[') {
        None => text,
        Some(rest) => match rest.strip_suffix(']') {
            Some(inside) if inside.contains(':') => inside,
            _ => return Err("only a whole IPv6 address goes into brackets, as in [::1]".into()),
        },
    };
    let (address, zone) = match bare.split_once('%') {
        Some((address, zone)) => (address, Some(zone)),
        None => (bare, None),
    };
    match (address.parse::<IpAddr>(), zone) {
        (Ok(ip), None) => Ok(Some(SocketAddr::new(ip, 0))),
        (Ok(IpAddr::V6(ip)), Some(zone)) => {
            let zone = interface(ip, zone)?;
            Ok(Some(SocketAddrV6::new(ip, 0, 0, zone).into()))
        }
        (Ok(IpAddr::V4(_)), Some(_)) => Err("an IPv4 address has no zone".into()),
        (Err(_), _) if bare.len() < text.len() => Err("it is no IPv6 address".into()),
        (Err(_), _) if bare.contains(':') => {
            Err("only IPv6 addresses hold colons; give the host without a port".into())
        }
        (Err(_), _) => Ok(None),
    }
}

/// The number of the interface that a zone names.
fn interface(ip: Ipv6Addr, zone: &str) -> Result<u32, Reason> {
    if !needs_zone(ip) {
        return Err(format!(
            "{ip} has no zone; only link-local addresses, such as fe80::1%eth0, do"
        )
        .into());
    }
    let number = match if_nametoindex(zone) {
        Ok(number) => Some(number),
        Err(_) => zone.parse().ok().filter(|number| *number > 0),
    };
    number.ok_or_else(|| format!("this machine has no interface {zone:?}").into())
}

/// Whether an address means something on one link only.
pub(super) fn needs_zone(ip: Ipv6Addr) -> bool {
    let multicast_on_link = matches!(ip.segments()[0], 0xff01 | 0xff02);
    ip.is_unicast_link_local() || multicast_on_link
}

/// Whether a text, without a dot at its end, can be a host name in a DNS query.
pub(crate) fn check_name(name: &str) -> Result<(), Reason> {
    if name.is_empty() {
        return Err("the host name is empty".into());
    }
    if name.len() > NAME_MAX {
        let length = name.len();
        return Err(format!("a host name of {length} bytes is longer than {NAME_MAX}").into());
    }
    for label in name.split('.') {
        if label.is_empty() {
            return Err("a host name needs text before and between its dots".into());
        }
        if label.len() > LABEL_MAX {
            let length = label.len();
            return Err(format!("a part of {length} bytes is longer than {LABEL_MAX}").into());
        }
    }
    let odd = |char: &char| !char.is_ascii_alphanumeric() && !matches!(char, '-' | '_' | '.');
    match name.chars().find(odd) {
        None => Ok(()),
        Some(char) if !char.is_ascii() => {
            Err("give a host name with letters beyond ASCII in its xn-- form".into())
        }
        Some(char) => Err(format!("{char:?} cannot be part of a host name").into()),
    }
}

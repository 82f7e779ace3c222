//! The names of hosts files.
//!
//! Owns: the names and their addresses. Lends to C: nothing. Runs no user code.

use std::collections::HashMap;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::address::Host;

/// The addresses of names, in the order of the lines that have them.
#[derive(Default)]
pub(super) struct Hosts(HashMap<String, Vec<SocketAddr>>);

impl Hosts {
    /// Adds the names of a file. A line that does not begin with an address is passed over.
    pub(super) fn add(&mut self, file: &str) {
        for line in file.split(['\n', '\r']) {
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line.split_ascii_whitespace();
            let Some(Ok(Some(address))) = words.next().map(Host::parse_ip) else {
                continue;
            };
            words.for_each(|name| self.add_one(name, address));
        }
    }

    /// Adds the names that every host has, when there is no file.
    pub(super) fn add_localhost(&mut self) {
        self.add_one("localhost", (Ipv4Addr::LOCALHOST, 0).into());
        self.add_one("localhost", (Ipv6Addr::LOCALHOST, 0).into());
    }

    fn add_one(&mut self, name: &str, address: SocketAddr) {
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        let addresses = self.0.entry(name).or_default();
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }

    /// The addresses of a name, however it is written, if a file has it.
    pub(super) fn find(&self, name: &str) -> Option<&[SocketAddr]> {
        self.0.get(&name.to_ascii_lowercase()).map(Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(hosts: &Hosts, name: &str) -> Option<String> {
        let addresses = hosts.find(name)?;
        Some(
            addresses
                .iter()
                .map(|address| format!("{} ", address.ip()))
                .collect(),
        )
    }

    #[test]
    fn names_of_a_file_have_its_addresses_in_order() {
        let mut hosts = Hosts::default();
        hosts.add(
            "# a comment\n\
              192.0.2.1 one uno\tUN. # odin\r\n\
              \t2001:db8::1   one\n\
              192.0.2.2 one#uno\n\
              nonsense two\n\
              192.0.2.3:80 two\n\
              fe80::1%lo link # with its interface\n\
              fe80::1%nonesuch0 two\n\
              192.0.2.4\n\
              \u{fffd}\u{fffd} two\n\
              192.0.2.5 last",
        );
        assert_eq!(
            found(&hosts, "one").unwrap(),
            "192.0.2.1 2001:db8::1 192.0.2.2 "
        );
        assert_eq!(found(&hosts, "UNO").unwrap(), "192.0.2.1 ");
        assert_eq!(found(&hosts, "un").unwrap(), "192.0.2.1 ");
        assert_eq!(found(&hosts, "last").unwrap(), "192.0.2.5 ");
        assert_eq!(found(&hosts, "link").unwrap(), "fe80::1 ");
        for name in ["two", "odin", "#", "", "a"] {
            assert_eq!(found(&hosts, name), None, "{name:?}");
        }
    }

    #[test]
    fn a_second_file_adds_to_the_first() {
        let mut hosts = Hosts::default();
        hosts.add("192.0.2.1 one");
        hosts.add("192.0.2.2 one\n192.0.2.1 one"); // what is there already stays where it is
        hosts.add_localhost();
        assert_eq!(found(&hosts, "one").unwrap(), "192.0.2.1 192.0.2.2 ");
        assert_eq!(found(&hosts, "LocalHost").unwrap(), "127.0.0.1 ::1 ");
    }
}

//! `dns`, which asks a name server of the test.

use crate::support::printed;
use test_support::dns::{Reply, Server, ips};

#[test]
fn dns_prints_the_addresses_of_each_name_or_why_there_are_none() {
    let server = Server::new(|query| match query.name.as_str() {
        "one.test" => Reply::Addresses(ips(&["192.0.2.1"])),
        "both.test" => Reply::Addresses(ips(&["192.0.2.2", "2001:db8::2"])),
        _ => Reply::Code(3),
    });
    let at = format!("@{}", server.address());
    let printed = printed("dns", &[&at, "one.test", "both.test", "no.test", "::1"]);
    let mut lines: Vec<_> = printed.lines().collect();
    lines.sort_unstable(); // they come as they are answered
    assert_eq!(
        lines,
        [
            "::1: [::1]",
            "both.test: [192.0.2.2, 2001:db8::2]",
            "no.test: the name does not exist",
            "one.test: [192.0.2.1]",
        ]
    );
}

//! What servers answer, and do not.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::*;

/// Queries that fail soon.
fn failing_soon(base: &EventBase, server: &Server) -> EventDnsBase {
    let dns = dns_with(base, server);
    dns.set_option("timeout", "0.01").unwrap();
    dns.set_option("attempts", "2").unwrap();
    dns
}

#[test]
fn every_answer_that_is_no_address_has_its_error() {
    let base = EventBase::new().unwrap();
    let cases = [
        (Reply::Code(0), DnsError::NoAddress),
        (Reply::Code(1), DnsError::Format),
        (Reply::Code(2), DnsError::ServerFailed),
        (Reply::Code(3), DnsError::NotFound),
        (Reply::Code(4), DnsError::NotImplemented),
        (Reply::Code(5), DnsError::Refused),
        (Reply::Code(11), DnsError::Malformed),
        (Reply::Truncated, DnsError::Truncated),
        (Reply::Garbage, DnsError::Malformed),
        (Reply::WrongName, DnsError::Timeout), // as documented: it is no answer
        (Reply::Silence, DnsError::Timeout),
        (Reply::WrongId, DnsError::Timeout),
        (Reply::Noise, DnsError::Timeout),
    ];
    for (reply, error) in cases {
        let server = Server::always(reply.clone());
        let dns = match reply {
            Reply::Silence | Reply::WrongId | Reply::WrongName | Reply::Noise => {
                failing_soon(&base, &server)
            }
            _ => dns_with(&base, &server),
        };
        for family in [
            AddressFamily::INET,
            AddressFamily::INET6,
            AddressFamily::UNSPEC,
        ] {
            assert_eq!(
                found(&base, &dns, "a.test", of(family)),
                Err(error),
                "{reply:?}"
            );
        }
        assert!(!server.asked().is_empty(), "{reply:?}");
    }
}

#[test]
fn an_answer_with_another_number_is_passed_over() {
    let base = EventBase::new().unwrap();
    let server = Server::always(Reply::WrongIdFirst(ips(&["192.0.2.1"])));
    let dns = dns_with(&base, &server);
    assert_eq!(
        found(&base, &dns, "a.test", ipv4()),
        Ok(ips(&["192.0.2.1"]))
    );
}

#[test]
fn an_answer_from_another_port_or_address_is_not_believed() {
    let base = EventBase::new().unwrap();
    let server = Server::always(Reply::ForgedFirst(ips(&["192.0.2.1"])));
    let dns = dns_with(&base, &server);
    for _ in 0..20 {
        assert_eq!(
            found(&base, &dns, "a.test", ipv4()),
            Ok(ips(&["192.0.2.1"]))
        );
    }
    assert_eq!(server.asked().len(), 20); // each was answered at once
}

#[test]
fn a_silent_server_is_asked_again_and_then_given_up() {
    let base = EventBase::new().unwrap();
    let server = Server::always(Reply::Silence);
    let dns = dns_with(&base, &server);
    dns.set_option("timeout", "0.01").unwrap();
    dns.set_option("attempts", "3").unwrap();
    let outcome = found(&base, &dns, "a.test", ipv4().timeout(Duration::MAX));
    assert_eq!(outcome, Err(DnsError::Timeout));
    assert_eq!(server.asked().len(), 3);
}

#[test]
fn the_second_server_is_asked_when_the_first_is_silent() {
    let base = EventBase::new().unwrap();
    let silent = Server::always(Reply::Silence);
    let good = Server::always(Reply::Addresses(ips(&["192.0.2.1"])));
    let dns = dns_with(&base, &silent);
    dns.add_nameserver_ip(&good.address()).unwrap();
    dns.set_option("timeout", "0.01").unwrap();
    dns.set_option("attempts", "255").unwrap();
    for n in 0..4 {
        let outcome = found(&base, &dns, &format!("{n}.test"), ipv4());
        assert_eq!(outcome, Ok(ips(&["192.0.2.1"])));
    }
    assert!(!silent.asked().is_empty());
}

#[test]
fn a_server_that_was_passed_over_is_used_again_when_it_is_back() {
    let base = EventBase::new().unwrap();
    let second = Server::always(Reply::Addresses(ips(&["192.0.2.2"])));
    for (pause, expected) in [("3600", "192.0.2.2"), ("0.001", "192.0.2.1")] {
        let mut queries = 0;
        let first = Server::new(move |_query| {
            queries += 1;
            match queries {
                1..=3 => Reply::Silence,
                _ => Reply::Addresses(ips(&["192.0.2.1"])),
            }
        });
        let dns = dns_with(&base, &first);
        dns.add_nameserver_ip(&second.address()).unwrap();
        dns.set_option("initial-probe-timeout", pause).unwrap();
        dns.set_option("timeout", "0.01").unwrap();
        for host in ["a.test", "b.test", "c.test"] {
            let outcome = found(&base, &dns, host, ipv4());
            assert_eq!(outcome, Ok(ips(&["192.0.2.2"])), "{host}");
        }
        assert_eq!(first.asked().len(), 3);
        dns.set_option("timeout", "5").unwrap();
        let mut outcome = found(&base, &dns, "d.test", ipv4());
        while pause == "0.001" && outcome == Ok(ips(&["192.0.2.2"])) {
            outcome = found(&base, &dns, "d.test", ipv4()); // until the pause is over
        }
        assert_eq!(outcome, Ok(ips(&[expected])), "{pause}");
    }
}

/// libevent#1408: the retries of one family all met the silent server, and those of the other
/// the good one.
#[test]
fn with_a_dead_first_server_both_families_are_found_at_the_second() {
    let base = EventBase::new().unwrap();
    let silent = Server::always(Reply::Silence);
    for family in [AddressFamily::INET, AddressFamily::INET6] {
        let good = Server::new(move |query| match (query.kind, family) {
            (Kind::A, AddressFamily::INET) => Reply::Addresses(ips(&["10.0.0.1"])),
            (Kind::Aaaa, AddressFamily::INET6) => Reply::Addresses(ips(&["fd00::1"])),
            _ => Reply::Code(0),
        });
        for attempts in ["1", "3"] {
            let dns = dns_with(&base, &silent);
            dns.add_nameserver_ip(&good.address()).unwrap();
            dns.set_option("timeout", "0.02").unwrap();
            dns.set_option("attempts", attempts).unwrap();
            for _ in 0..4 {
                let outcome = found(&base, &dns, "one.test", LookupOptions::new());
                assert!(outcome.is_ok(), "{outcome:?}");
            }
        }
    }
}

#[test]
fn a_server_that_cannot_answer_is_not_asked_twice_and_the_next_one_is() {
    let base = EventBase::new().unwrap();
    for code in [1, 2, 4, 5, 11] {
        let failing = Server::always(Reply::Code(code));
        let good = Server::always(Reply::Addresses(ips(&["192.0.2.1"])));
        let dns = dns_with(&base, &failing);
        dns.add_nameserver_ip(&good.address()).unwrap();
        assert_eq!(
            found(&base, &dns, "a.test", ipv4()),
            Ok(ips(&["192.0.2.1"]))
        );
        assert_eq!((failing.asked().len(), good.asked().len()), (1, 1));
    }
}

#[test]
fn what_the_first_server_says_of_a_name_counts() {
    let base = EventBase::new().unwrap();
    for (code, error) in [(3, DnsError::NotFound), (0, DnsError::NoAddress)] {
        let first = Server::always(Reply::Code(code));
        let second = Server::always(Reply::Addresses(ips(&["192.0.2.1"])));
        let dns = dns_with(&base, &first);
        dns.add_nameserver_ip(&second.address()).unwrap();
        assert_eq!(found(&base, &dns, "a.test", ipv4()), Err(error));
        assert_eq!(second.asked(), []);
    }
}

/// An address where nothing listens.
fn nobody() -> String {
    let nobody = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    nobody.local_addr().unwrap().to_string()
}

#[test]
fn a_port_without_a_listener_is_unreachable_at_once() {
    let base = EventBase::new().unwrap();
    let dns = new_dns(&base);
    dns.add_nameserver_ip(&nobody()).unwrap();
    let outcome = found(&base, &dns, "a.test", within(Duration::from_secs(3600)));
    assert_eq!(outcome, Err(DnsError::Unreachable));
    let good = Server::always(Reply::Addresses(ips(&["192.0.2.1"])));
    dns.add_nameserver_ip(&good.address()).unwrap();
    let outcome = found(
        &base,
        &dns,
        "a.test",
        ipv4().timeout(Duration::from_secs(3600)),
    );
    assert_eq!(outcome, Ok(ips(&["192.0.2.1"])));
}

#[test]
fn without_a_descriptor_for_a_query_it_fails_and_later_ones_do_not() {
    alone(&[], || {
        let base = EventBase::new().unwrap();
        let server = Server::always(Reply::Addresses(ips(&["192.0.2.1"])));
        let dns = dns_with(&base, &server);
        let told = Told::default();
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, 0, hard).unwrap();
        let lookup = dns
            .resolve("a.test", LookupOptions::new(), told.note())
            .unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
        assert_eq!(until(&base, &told, 1), [Err(DnsError::NoSocket)]);
        drop(lookup);
        assert_eq!(
            found(&base, &dns, "a.test", ipv4()),
            Ok(ips(&["192.0.2.1"]))
        );
    });
}

#[test]
fn an_alias_is_followed_and_a_circle_is_not() {
    let base = EventBase::new().unwrap();
    let server = Server::new(|query| match &*query.name {
        "alias.test" => Reply::Alias("host.test".into(), ips(&["192.0.2.1", "192.0.2.2"])),
        "alone.test" => Reply::AliasAlone("host.test".into()),
        "circle.test" => Reply::AliasAlone("circle.test".into()),
        _ => Reply::Code(3),
    });
    let dns = dns_with(&base, &server);
    let found = |host: &str| found(&base, &dns, host, ipv4());
    assert_eq!(found("alias.test"), Ok(ips(&["192.0.2.1", "192.0.2.2"])));
    assert_eq!(found("alone.test"), Err(DnsError::NoAddress));
    assert_eq!(found("circle.test"), Err(DnsError::Malformed));
}

#[test]
fn a_flood_of_noise_does_not_end_a_lookup() {
    let base = EventBase::new().unwrap();
    let server = Server::new(|query| match query.name.as_str() {
        "noise.test" => Reply::Noise,
        _ => Reply::WrongIdFirst(ips(&["192.0.2.1"])),
    });
    let dns = dns_with(&base, &server);
    let told = Told::default();
    let timeout = ipv4().timeout(Duration::from_millis(100));
    let noise = (0..20).map(|_| dns.resolve("noise.test", timeout, told.note()).unwrap());
    let noise = noise.collect::<Vec<_>>();
    let lookup = dns.resolve("a.test", ipv4(), told.note()).unwrap();
    let outcomes = until(&base, &told, 21);
    let good = outcomes
        .iter()
        .filter(|outcome| **outcome == Ok(ips(&["192.0.2.1"])));
    assert_eq!(good.count(), 1);
    drop((noise, lookup));
}

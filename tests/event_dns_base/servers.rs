//! What servers answer, and do not.

use super::*;

/// Queries that fail soon.
fn hurried(base: &EventBase, server: &Server) -> EventDnsBase {
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
        (Reply::Code(2), DnsError::Timeout), // as documented: libevent asks again
        (Reply::Code(3), DnsError::NotFound),
        (Reply::Code(4), DnsError::NotImplemented),
        (Reply::Code(5), DnsError::Refused),
        (Reply::Code(11), DnsError::Malformed),
        (Reply::Truncated, DnsError::Truncated),
        (Reply::Garbage, DnsError::Malformed),
        (Reply::WrongName, DnsError::Malformed),
        (Reply::Silence, DnsError::Timeout),
        (Reply::WrongId, DnsError::Timeout),
        (Reply::Noise, DnsError::Timeout),
    ];
    for (reply, error) in cases {
        let server = Server::always(reply.clone());
        let dns = match reply {
            Reply::Silence | Reply::WrongId | Reply::Noise => hurried(&base, &server),
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
fn a_silent_server_is_asked_again_and_then_given_up() {
    let base = EventBase::new().unwrap();
    let server = Server::always(Reply::Silence);
    let dns = dns_with(&base, &server);
    dns.set_option("timeout", "0.01").unwrap();
    dns.set_option("attempts", "3").unwrap();
    let outcome = found(
        &base,
        &dns,
        "a.test",
        LookupOptions {
            timeout: Duration::MAX,
            ..ipv4()
        },
    );
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
fn a_server_that_failed_is_tried_again_and_used_when_it_is_back() {
    let base = EventBase::new().unwrap();
    let mut queries = 0;
    let server = Server::new(move |query| {
        queries += 1;
        match &*query.name {
            "google.com" => Reply::Code(3), // what libevent asks for to see who is there
            _ if queries <= 3 => Reply::Silence,
            _ => Reply::Addresses(ips(&["192.0.2.1"])),
        }
    });
    let dns = hurried(&base, &server);
    dns.set_option("initial-probe-timeout", "0.01").unwrap();
    assert_eq!(found(&base, &dns, "a.test", ipv4()), Err(DnsError::Timeout));
    limited(|| {
        while !server.asked().iter().any(|(name, _)| name == "google.com") {
            base.r#loop(EventBase::LOOP_ONCE).unwrap();
        }
    });
    dns.set_option("timeout", "5").unwrap();
    assert_eq!(
        found(&base, &dns, "a.test", ipv4()),
        Ok(ips(&["192.0.2.1"]))
    );
}

#[test]
fn a_port_where_nobody_listens_ends_in_a_timeout() {
    let base = EventBase::new().unwrap();
    let nobody = std::net::UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let dns = new_dns(&base);
    dns.add_nameserver_ip(&nobody.to_string()).unwrap();
    let outcome = found(&base, &dns, "a.test", within(Duration::from_millis(50)));
    assert_eq!(outcome, Err(DnsError::Timeout));
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
    let timeout = LookupOptions {
        timeout: Duration::from_millis(100),
        ..ipv4()
    };
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

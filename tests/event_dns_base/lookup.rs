//! What a lookup finds, and when it tells.

use std::cell::Cell;
use std::time::Instant;

use php_event::Event;

use super::*;
use test_support::dns::TcpReply;

const BOTH: [&str; 3] = ["2001:db8::1", "192.0.2.1", "192.0.2.2"];

#[test]
fn an_address_answers_itself_from_the_loop_and_without_a_server() {
    let base = EventBase::new().unwrap();
    let dns = new_dns(&base);
    for address in [
        "127.0.0.1",
        "192.0.2.1",
        "::1",
        "2001:db8::7",
        "::ffff:1.2.3.4",
    ] {
        let expected = ips(&[address]);
        let (mine, other) = if expected[0].is_ipv4() {
            (AddressFamily::INET, AddressFamily::INET6)
        } else {
            (AddressFamily::INET6, AddressFamily::INET)
        };
        assert_eq!(
            found(&base, &dns, address, LookupOptions::default()),
            Ok(expected.clone())
        );
        assert_eq!(found(&base, &dns, address, of(mine)), Ok(expected));
        assert_eq!(
            found(&base, &dns, address, of(other)),
            Err(DnsError::NoAddress)
        );
    }
    assert_eq!(run(&base), LoopEnd::NoEvents);
}

#[test]
fn both_families_are_asked_for_and_come_ipv4_first() {
    let base = EventBase::new().unwrap();
    let server = Server::always(Reply::Addresses(ips(&BOTH)));
    let dns = dns_with(&base, &server);
    let all = ips(&["192.0.2.1", "192.0.2.2", "2001:db8::1"]);
    assert_eq!(
        found(&base, &dns, "both.test", LookupOptions::default()),
        Ok(all)
    );
    let mut asked = server.asked();
    asked.sort();
    assert_eq!(
        asked,
        [Kind::A, Kind::Aaaa].map(|kind| ("both.test".to_owned(), kind))
    );
}

#[test]
fn one_family_is_asked_for_alone() {
    let base = EventBase::new().unwrap();
    let server = Server::always(Reply::Addresses(ips(&BOTH)));
    let dns = dns_with(&base, &server);
    let ipv4s = ips(&["192.0.2.1", "192.0.2.2"]);
    assert_eq!(found(&base, &dns, "a.test", ipv4()), Ok(ipv4s));
    assert_eq!(server.asked(), [("a.test".into(), Kind::A)]);
    let options = of(AddressFamily::INET6);
    assert_eq!(
        found(&base, &dns, "a.test", options),
        Ok(ips(&["2001:db8::1"]))
    );
    assert_eq!(server.asked(), [("a.test".into(), Kind::Aaaa)]);
}

#[test]
fn a_family_without_an_address_leaves_the_others() {
    let base = EventBase::new().unwrap();
    let server = Server::new(|query| match &*query.name {
        "four.test" => Reply::Addresses(ips(&["192.0.2.1"])),
        "six.test" => Reply::Addresses(ips(&["2001:db8::1"])),
        "odd.test" if query.kind == Kind::Aaaa => Reply::Code(3),
        "odd.test" => Reply::Addresses(ips(&["192.0.2.1"])),
        _ => Reply::Code(0),
    });
    let dns = dns_with(&base, &server);
    let unspec = LookupOptions::default();
    assert_eq!(
        found(&base, &dns, "four.test", unspec),
        Ok(ips(&["192.0.2.1"]))
    );
    assert_eq!(
        found(&base, &dns, "six.test", unspec),
        Ok(ips(&["2001:db8::1"]))
    );
    assert_eq!(
        found(&base, &dns, "odd.test", unspec),
        Ok(ips(&["192.0.2.1"]))
    );
    assert_eq!(
        found(&base, &dns, "none.test", unspec),
        Err(DnsError::NoAddress)
    );
    assert_eq!(
        found(&base, &dns, "six.test", ipv4()),
        Err(DnsError::NoAddress)
    );
}

#[test]
fn at_most_32_addresses_of_each_family_come() {
    let base = EventBase::new().unwrap();
    let many = (1..=40)
        .map(|n| IpAddr::from([192, 0, 2, n]))
        .collect::<Vec<_>>();
    let server = Server::always(Reply::Addresses(many.clone()));
    let dns = dns_with(&base, &server);
    assert_eq!(
        found(&base, &dns, "many.test", ipv4()),
        Ok(many[..32].to_vec())
    );
}

#[test]
fn what_can_be_no_host_is_refused_before_anything_is_asked() {
    let base = EventBase::new().unwrap();
    let server = Server::always(Reply::Code(3));
    let dns = dns_with(&base, &server);
    let long = "a".repeat(64);
    for host in [
        "",
        ".",
        "a..b",
        "a\0b",
        "a b",
        "[::1",
        "[::1]:80",
        "a:80",
        "bücher.test",
        &long,
        "fe80::1%nonesuch0",
        "::1%lo",
    ] {
        let looked_up = dns.resolve(host, LookupOptions::default(), |_| {});
        let error = refused(looked_up, "EventDnsBase::resolve: ", "");
        assert!(matches!(error, Error::Argument { .. }), "{error}");
    }
    for family in [
        AddressFamily::UNIX,
        AddressFamily::from(-1),
        AddressFamily::from(12),
    ] {
        let looked_up = dns.resolve("a.test", of(family), |_| {});
        refused(
            looked_up,
            "EventDnsBase::resolve: ",
            "UNSPEC, INET or INET6",
        );
    }
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(server.asked(), []);
}

/// PHP: `connectHost` with a DNS base that has no server says `true`, and no event ever comes.
#[test]
fn a_name_without_a_server_to_ask_is_an_error_at_once() {
    let base = EventBase::new().unwrap();
    let dns = new_dns(&base);
    let looked_up = dns.resolve("a.test", LookupOptions::default(), |_| unreachable!());
    let error = refused(looked_up, "EventDnsBase::resolve: ", "no name server");
    assert!(matches!(error, Error::State { .. }));
    assert_eq!(run(&base), LoopEnd::NoEvents);
}

#[test]
fn when_one_family_is_there_the_other_is_waited_for_a_while_only() {
    let base = EventBase::new().unwrap();
    let server = Server::new(|query| match query.kind {
        Kind::A => Reply::Addresses(ips(&["192.0.2.1"])),
        _ => Reply::Silence,
    });
    let dns = dns_with(&base, &server);
    dns.set_option("getaddrinfo-allow-skew", "0.01").unwrap();
    let start = Instant::now();
    let outcome = found(&base, &dns, "a.test", within(Duration::from_secs(3600)));
    assert_eq!(outcome, Ok(ips(&["192.0.2.1"])));
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "the 3 seconds of before"
    );
    assert_eq!(run(&base), LoopEnd::NoEvents); // the other query is withdrawn
}

/// Sends what is held back a while after both families were asked for.
fn release_later(base: &EventBase, server: Server) -> Event {
    let mut asked = 0;
    let later = Event::timer(base, move |event| {
        if asked == 2 {
            return server.release();
        }
        asked += server.asked().len();
        event.add(Some(Duration::from_millis(10))).unwrap();
    });
    let later = later.unwrap();
    later.add(Some(Duration::from_millis(10))).unwrap();
    later
}

#[test]
fn the_second_family_in_time_is_taken_too() {
    let base = EventBase::new().unwrap();
    let server = Server::new(|query| match query.kind {
        Kind::A => Reply::Held(ips(&["192.0.2.1"])),
        _ => Reply::Addresses(ips(&["2001:db8::1"])),
    });
    let dns = dns_with(&base, &server);
    let told = Told::default();
    let _lookup = dns
        .resolve("a.test", LookupOptions::default(), told.note())
        .unwrap();
    let _later = release_later(&base, server);
    let outcomes = until(&base, &told, 1);
    assert_eq!(outcomes, [Ok(ips(&["192.0.2.1", "2001:db8::1"]))]);
}

#[test]
fn a_family_that_failed_first_does_not_hurry_the_other() {
    let base = EventBase::new().unwrap();
    let server = Server::new(|query| match query.kind {
        Kind::A => Reply::Code(0),
        _ => Reply::Held(ips(&["2001:db8::1"])),
    });
    let dns = dns_with(&base, &server);
    dns.set_option("getaddrinfo-allow-skew", "0.001").unwrap();
    let told = Told::default();
    let _lookup = dns
        .resolve("a.test", LookupOptions::default(), told.note())
        .unwrap();
    let _later = release_later(&base, server);
    assert_eq!(until(&base, &told, 1), [Ok(ips(&["2001:db8::1"]))]);
}

#[test]
fn at_the_deadline_what_is_there_is_taken() {
    let base = EventBase::new().unwrap();
    let server = Server::new(|query| match query.kind {
        Kind::Aaaa => Reply::Addresses(ips(&["2001:db8::1"])),
        _ => Reply::Silence,
    });
    let dns = dns_with(&base, &server);
    dns.set_option("getaddrinfo-allow-skew", "3600").unwrap();
    let outcome = found(&base, &dns, "a.test", within(Duration::from_secs(1)));
    assert_eq!(outcome, Ok(ips(&["2001:db8::1"])));
}

#[test]
fn silence_ends_at_the_deadline_and_the_query_is_withdrawn() {
    let base = EventBase::new().unwrap();
    let server = Server::always(Reply::Silence);
    let dns = dns_with(&base, &server);
    let start = Instant::now();
    for (timeout, at_least) in [(30, 20), (0, 0)] {
        let outcome = found(
            &base,
            &dns,
            "a.test",
            within(Duration::from_millis(timeout)),
        );
        assert_eq!(outcome, Err(DnsError::Timeout));
        assert!(start.elapsed() >= Duration::from_millis(at_least));
    }
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn the_longest_times_are_no_trouble() {
    let base = EventBase::new().unwrap();
    let server = Server::always(Reply::Addresses(ips(&["192.0.2.1"])));
    let dns = dns_with(&base, &server);
    let outcome = found(&base, &dns, "a.test", within(Duration::MAX));
    assert_eq!(outcome, Ok(ips(&["192.0.2.1"])));
}

#[test]
fn a_callback_may_look_up_more() {
    let base = EventBase::new().unwrap();
    let server = Server::new(|query| match &*query.name {
        "first.test" => Reply::Addresses(ips(&["192.0.2.1"])),
        _ => Reply::Addresses(ips(&["192.0.2.2"])),
    });
    let dns = dns_with(&base, &server);
    let (told, later) = (Told::default(), Rc::new(RefCell::new(Vec::new())));
    let (tell, kept, own) = (told.clone(), later.clone(), dns.clone());
    let first = dns.resolve("first.test", ipv4(), move |outcome| {
        assert_eq!(outcome, Ok(ips(&["192.0.2.1"])));
        for host in ["second.test", "192.0.2.3"] {
            kept.borrow_mut()
                .push(own.resolve(host, ipv4(), tell.note()).unwrap());
            assert_eq!(tell.len(), 0);
        }
    });
    let outcomes = until(&base, &told, 2);
    assert_eq!(outcomes, [Ok(ips(&["192.0.2.3"])), Ok(ips(&["192.0.2.2"]))]);
    drop(first);
}

#[test]
fn thousands_of_lookups_at_once_are_all_answered() {
    const COUNT: usize = 3000;
    let base = EventBase::new().unwrap();
    let server = Server::new(|query| {
        let number = query.name.trim_end_matches(".test").parse::<u32>().unwrap();
        let v6 = u128::from(number) | 0x2001_0db8 << 96;
        Reply::Addresses(vec![
            IpAddr::from(number.to_be_bytes()),
            IpAddr::from(v6.to_be_bytes()),
        ])
    });
    let dns = dns_with(&base, &server);
    dns.set_option("attempts", "255").unwrap(); // datagrams may be lost
    dns.set_option("max-timeouts", "255").unwrap();
    let told = Rc::new(Cell::new(0));
    let lookups = (0..COUNT).map(|n| {
        let told = told.clone();
        let callback = move |outcome: Outcome| {
            let addresses = outcome.unwrap();
            let [IpAddr::V4(v4), IpAddr::V6(v6)] = addresses[..] else {
                panic!("{addresses:?}")
            };
            assert_eq!(u32::from(v4) as usize, n);
            assert_eq!(u128::from(v6) as u32 as usize, n);
            told.set(told.get() + 1);
        };
        dns.resolve(
            &format!("{n}.test"),
            within(Duration::from_secs(3600)),
            callback,
        )
        .unwrap()
    });
    let lookups = lookups.collect::<Vec<_>>();
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(told.get(), COUNT);
    assert!(lookups.iter().all(|lookup| !lookup.is_pending()));
}

#[test]
fn two_threads_look_up_side_by_side() {
    let work = || {
        let base = EventBase::new().unwrap();
        let server = Server::always(Reply::Addresses(ips(&["192.0.2.1"])));
        let dns = dns_with(&base, &server);
        for n in 0..50 {
            let outcome = found(&base, &dns, &format!("{n}.test"), ipv4());
            assert_eq!(outcome, Ok(ips(&["192.0.2.1"])));
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        scope.spawn(work);
    });
}

#[test]
fn handles_are_the_same_lookup_and_say_whether_it_is_pending() {
    let base = EventBase::new().unwrap();
    let dns = new_dns(&base);
    let one = dns
        .resolve("::1", LookupOptions::default(), |_| {})
        .unwrap();
    let other = dns
        .resolve("::1", LookupOptions::default(), |_| {})
        .unwrap();
    let clone = one.clone();
    assert!(clone == one && one != other);
    drop(one);
    assert!(clone.is_pending());
    assert!(format!("{clone:?}").contains("pending: true"), "{clone:?}");
    run(&base);
    assert!(!clone.is_pending() && !other.is_pending());
}

/// A loop that is held up for longer than a server has time finds the answer together with the
/// end of that time.
#[test]
fn an_answer_counts_that_came_while_nobody_looked() {
    const TIME: Duration = Duration::from_millis(300);
    let addresses = ips(&["192.0.2.1"]);
    for is_cut in [false, true] {
        let reply = Reply::Addresses(addresses.clone());
        let tcp = reply.clone();
        let server = Server::with_tcp(
            move |_query| match is_cut {
                false => reply.clone(),
                true => Reply::Truncated,
            },
            move |_query| TcpReply::Whole(tcp.clone()),
        );
        let base = EventBase::new().unwrap();
        let dns = dns_with(&base, &server);
        let seconds = TIME.as_secs_f64().to_string();
        dns.set_option("timeout", &seconds).unwrap();
        dns.set_option("attempts", "1").unwrap();
        let told = Told::default();
        let _lookup = dns.resolve("a.test", ipv4(), told.note()).unwrap();
        limited(|| {
            let asked = || match is_cut {
                false => server.asked(),
                true => server.asked_over_tcp(),
            };
            while asked().is_empty() {
                if is_cut {
                    poll(&base);
                }
            }
        });
        std::thread::sleep(2 * TIME); // it is over, and the answer is there
        assert_eq!(until(&base, &told, 1), [Ok(addresses.clone())], "{is_cut}");
    }
}

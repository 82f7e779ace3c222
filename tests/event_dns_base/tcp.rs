//! Answers that are too long for a datagram come over TCP.

use super::*;
use test_support::dns::TcpReply;

/// A server whose datagrams are cut.
fn cutting(tcp: impl FnMut(&test_support::dns::Query) -> TcpReply + Send + 'static) -> Server {
    Server::with_tcp(|_query| Reply::Truncated, tcp)
}

/// More addresses than fit in a datagram of 512 bytes.
fn many() -> Vec<IpAddr> {
    (1..=32).map(|n| IpAddr::from([192, 0, 2, n])).collect()
}

#[test]
fn a_cut_answer_is_asked_for_again_over_tcp() {
    let base = EventBase::new().unwrap();
    for whole in [true, false] {
        let server = cutting(move |_query| {
            let reply = Reply::Addresses(many());
            if whole {
                TcpReply::Whole(reply)
            } else {
                TcpReply::InPieces(reply)
            }
        });
        let dns = dns_with(&base, &server);
        assert_eq!(found(&base, &dns, "many.test", ipv4()), Ok(many()));
        assert_eq!(server.asked(), [("many.test".into(), Kind::A)]);
        assert_eq!(server.asked_over_tcp(), [("many.test".into(), Kind::A)]);
    }
}

#[test]
fn what_is_answered_over_tcp_counts_as_over_udp() {
    let base = EventBase::new().unwrap();
    let cases = [
        (Reply::Code(0), DnsError::NoAddress),
        (Reply::Code(2), DnsError::ServerFailed),
        (Reply::Code(3), DnsError::NotFound),
        (Reply::Code(5), DnsError::Refused),
        (Reply::Garbage, DnsError::Malformed),
        (Reply::Truncated, DnsError::Truncated),
        (Reply::WrongId, DnsError::Truncated),
        (Reply::WrongName, DnsError::Truncated),
        (Reply::AliasAlone("b.test".into()), DnsError::NoAddress),
    ];
    for (reply, error) in cases {
        let shown = format!("{reply:?}");
        let server = cutting(move |_query| TcpReply::Whole(reply.clone()));
        let dns = dns_with(&base, &server);
        assert_eq!(found(&base, &dns, "a.test", ipv4()), Err(error), "{shown}");
        assert_eq!(server.asked_over_tcp().len(), 1, "{shown}");
    }
}

#[test]
fn a_server_that_does_not_speak_tcp_leaves_the_name_to_the_next_one() {
    let base = EventBase::new().unwrap();
    let good = Server::always(Reply::Addresses(ips(&["192.0.2.1"])));
    let broken: [fn() -> Server; 4] = [
        || Server::always(Reply::Truncated), // nothing listens
        || cutting(|_query| TcpReply::Close),
        || cutting(|_query| TcpReply::Short),
        || cutting(|_query| TcpReply::Silence),
    ];
    for (n, broken) in broken.into_iter().enumerate() {
        let broken = broken();
        let dns = dns_with(&base, &broken);
        dns.set_option("timeout", "0.1").unwrap();
        dns.set_option("attempts", "1").unwrap();
        let alone = found(&base, &dns, "a.test", ipv4());
        assert_eq!(alone, Err(DnsError::Truncated), "{n}");
        dns.add_nameserver_ip(&good.address()).unwrap();
        let outcome = found(&base, &dns, "a.test", ipv4());
        assert_eq!(outcome, Ok(ips(&["192.0.2.1"])), "{n}");
    }
}

#[test]
fn the_deadline_ends_a_conversation_and_closes_its_socket() {
    let base = EventBase::new().unwrap();
    let server = cutting(|_query| TcpReply::Silence);
    let dns = dns_with(&base, &server);
    let outcome = found(&base, &dns, "a.test", within(Duration::from_millis(50)));
    assert_eq!(outcome, Err(DnsError::Timeout));
    assert_eq!(run(&base), LoopEnd::NoEvents);
}

#[test]
fn cancelled_in_the_middle_of_a_conversation_it_is_not_called() {
    let base = EventBase::new().unwrap();
    let server = cutting(|_query| TcpReply::Silence);
    let dns = dns_with(&base, &server);
    let lookup = dns
        .resolve("a.test", LookupOptions::new(), |_| panic!("called"))
        .unwrap();
    limited(|| {
        let mut asked = 0;
        while asked < 2 {
            base.r#loop(EventBase::LOOP_ONCE | EventBase::LOOP_NONBLOCK)
                .unwrap();
            asked += server.asked_over_tcp().len();
        }
    });
    drop(lookup);
    assert_eq!(run(&base), LoopEnd::NoEvents);
}

/// Some servers do not keep the letters' case, by which answers are told from forged ones.
#[test]
fn an_answer_in_other_letters_is_confirmed_over_tcp() {
    let base = EventBase::new().unwrap();
    let small = || Reply::SmallLetters(ips(&["192.0.2.1"]));
    let server = Server::with_tcp(
        move |_query| small(),
        move |_query| TcpReply::Whole(small()),
    );
    let dns = dns_with(&base, &server);
    let name = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz.test";
    assert_eq!(found(&base, &dns, name, ipv4()), Ok(ips(&["192.0.2.1"])));
    assert_eq!(server.asked_over_tcp().len(), 1);
    dns.set_option("randomize-case", "0").unwrap();
    assert_eq!(found(&base, &dns, name, ipv4()), Ok(ips(&["192.0.2.1"])));
    assert_eq!(server.asked_over_tcp().len(), 0);
}

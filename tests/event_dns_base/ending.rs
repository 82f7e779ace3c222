//! Lookups that are cancelled, and DNS bases that go, with answers on their way.

use std::cell::Cell;
use std::io::Write;

use php_event::{Event, Lookup};

use super::*;
use test_support::dns::Sockets;
use test_support::{Drops, pair, panic_of, run_once};

const ANSWER: &str = "192.0.2.1";

fn answering() -> Server {
    Server::always(Reply::Addresses(ips(&[ANSWER])))
}

/// Runs until the server was asked `count` times; what it answers is still on its way.
fn asked(server: &Server, count: usize) {
    limited(|| {
        let mut seen = 0;
        while seen < count {
            seen += server.asked().len();
            std::thread::yield_now();
        }
    });
}

#[test]
fn cancelled_while_pending_it_is_not_called_and_its_closure_is_gone_at_once() {
    type End = fn(Lookup) -> Option<Lookup>;
    let ends: [End; 3] = [
        |lookup| {
            lookup.cancel();
            lookup.cancel();
            Some(lookup)
        },
        |lookup| {
            drop(lookup);
            None
        },
        |lookup| {
            let clone = lookup.clone();
            drop(lookup);
            assert!(clone.is_pending());
            clone.cancel();
            Some(clone)
        },
    ];
    let base = EventBase::new().unwrap();
    for reply in [
        Reply::Silence,
        Reply::Addresses(ips(&[ANSWER])),
        Reply::Code(3),
    ] {
        for end in ends {
            let server = Server::always(reply.clone());
            let dns = dns_with(&base, &server);
            for host in ["a.test", "127.0.0.1"] {
                let drops = Drops::default();
                let token = drops.token();
                let callback = move |_| {
                    token.hold();
                    panic!("called");
                };
                let lookup = dns
                    .resolve(host, LookupOptions::default(), callback)
                    .unwrap();
                if host == "a.test" {
                    asked(&server, 2);
                }
                let rest = end(lookup);
                assert_eq!(drops.count(), 1);
                assert!(rest.as_ref().is_none_or(|lookup| !lookup.is_pending()));
                assert_eq!(run(&base), LoopEnd::NoEvents);
            }
        }
    }
}

/// The answer has been read then, and the lookup's timer is to tell it.
#[test]
fn cancelled_when_the_answer_was_read_already_it_is_not_called() {
    let base = EventBase::new().unwrap();
    let server = answering();
    let dns = dns_with(&base, &server);
    let (mut ours, theirs) = pair();
    let lookup = dns.resolve("a.test", ipv4(), |_| panic!("called")).unwrap();
    asked(&server, 1);
    let mut lookup = Some(lookup);
    // Ready with the query's socket, and before the closure.
    let cancel = Event::new(&base, theirs, Event::READ, move |_, _, _| {
        drop(lookup.take())
    })
    .unwrap();
    cancel.add(None).unwrap();
    ours.write_all(b"!").unwrap();
    assert_eq!(run(&base), LoopEnd::NoEvents);
}

#[test]
fn dropped_after_the_answer_was_read_the_lookup_still_reports_it() {
    let base = EventBase::new().unwrap();
    let server = answering();
    let (dns, told) = (dns_with(&base, &server), Told::default());
    let lookup = dns.resolve("a.test", ipv4(), told.note()).unwrap();
    asked(&server, 1);
    let (mut ours, theirs) = pair();
    let mut dns = Some(dns);
    let end = Event::new(&base, theirs, Event::READ, move |_, _, _| drop(dns.take())).unwrap();
    end.add(None).unwrap();
    ours.write_all(b"!").unwrap();
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(told.take(), [Ok(ips(&[ANSWER]))]);
    drop(lookup);
}

#[test]
fn cancelled_inside_anothers_callback_it_is_not_called() {
    let base = EventBase::new().unwrap();
    let server = answering();
    let dns = dns_with(&base, &server);
    for hosts in [
        ["a.test", "b.test"],
        ["192.0.2.1", "::1"],
        ["a.test", "::1"],
    ] {
        let slots: [Rc<RefCell<Option<Lookup>>>; 2] = Default::default();
        let (calls, drops) = (Rc::new(Cell::new(0)), Drops::default());
        for (n, host) in hosts.into_iter().enumerate() {
            let (victim, count, token) = (slots[1 - n].clone(), calls.clone(), drops.token());
            let lookup = dns.resolve(host, LookupOptions::default(), move |_| {
                token.hold();
                count.set(count.get() + 1);
                let victim = victim.take().unwrap();
                assert!(victim.is_pending());
                victim.cancel();
            });
            slots[n].replace(Some(lookup.unwrap()));
        }
        assert_eq!(run(&base), LoopEnd::NoEvents);
        assert_eq!((calls.get(), drops.count()), (1, 2), "{hosts:?}");
    }
}

#[test]
fn cancelled_inside_its_own_callback_nothing_happens() {
    let base = EventBase::new().unwrap();
    let server = answering();
    let dns = dns_with(&base, &server);
    for host in ["a.test", "::1"] {
        let (own, drops): (Rc<RefCell<Option<Lookup>>>, _) = (Rc::default(), Drops::default());
        let (mine, token, seen) = (own.clone(), drops.token(), drops.clone());
        let lookup = dns.resolve(host, LookupOptions::default(), move |outcome| {
            token.hold();
            outcome.unwrap();
            let lookup = mine.take().unwrap();
            assert!(!lookup.is_pending());
            lookup.cancel();
            drop(lookup);
            assert_eq!(seen.count(), 0, "dropped under the running closure");
        });
        own.replace(Some(lookup.unwrap()));
        drop(own);
        assert_eq!(run(&base), LoopEnd::NoEvents);
        assert_eq!(drops.count(), 1);
    }
}

#[test]
fn dropped_while_lookups_are_pending_each_fails_in_the_next_turn() {
    let base = EventBase::new().unwrap();
    let server = Server::always(Reply::Silence);
    let dns = dns_with(&base, &server);
    let told = Told::default();
    let mut lookups = Vec::new();
    for n in 0..200 {
        // More than are out at once: the others wait for their turn.
        lookups.push(
            dns.resolve(&format!("{n}.test"), LookupOptions::default(), told.note())
                .unwrap(),
        );
    }
    let cancelled = lookups.drain(..50).collect::<Vec<_>>();
    drop(cancelled);
    asked(&server, 1);
    let sockets = server.sockets();
    drop(dns);
    assert_eq!(told.len(), 0, "called inside the destructor");
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(told.take(), vec![Err(DnsError::Shutdown); 150]);
    assert!(sockets.are_closed());
    drop(lookups);
}

#[test]
fn dropped_outside_of_the_loop_it_closes_its_sockets_at_once() {
    let base = EventBase::new().unwrap();
    let (server, other) = (
        Server::always(Reply::Silence),
        Server::always(Reply::Silence),
    );
    let (dns, second) = (dns_with(&base, &server), dns_with(&base, &other));
    let lookups = [&dns, &second].map(|dns| dns.resolve("a.test", LookupOptions::new(), |_| {}));
    asked(&server, 2);
    asked(&other, 2);
    let sockets = [server.sockets(), other.sockets()];
    assert!(!sockets.iter().any(Sockets::are_closed));
    drop((dns, second));
    assert!(sockets.iter().all(Sockets::are_closed));
    drop(lookups);
    assert_eq!(run(&base), LoopEnd::NoEvents);
}

#[test]
fn lookups_whose_loop_never_runs_are_freed_without_a_call() {
    for order in 0..6 {
        let (drops, server) = (Drops::default(), answering());
        let base = EventBase::new().unwrap();
        let dns = dns_with(&base, &server);
        let mut lookups = Vec::new();
        for host in ["a.test", "b.test", "::1"] {
            let token = drops.token();
            lookups.push(
                dns.resolve(host, LookupOptions::default(), move |_| {
                    token.hold();
                    panic!("called");
                })
                .unwrap(),
            );
        }
        lookups[0].cancel();
        match order {
            0 => drop((lookups, dns, base)),
            1 => drop((lookups, base, dns)),
            2 => drop((dns, lookups, base)),
            3 => drop((dns, base, lookups)),
            4 => drop((base, lookups, dns)),
            _ => drop((base, dns, lookups)),
        }
        assert_eq!(drops.count(), 3, "{order}");
    }
}

/// The loop is broken while answers wait to be read or to be told.
#[test]
fn dropped_after_a_loop_that_was_broken_with_answers_scheduled_nothing_is_lost() {
    for order in 0..4 {
        let (drops, server) = (Drops::default(), answering());
        let base = EventBase::new().unwrap();
        let dns = dns_with(&base, &server);
        let lookups = (0..20).map(|n| {
            let token = drops.token();
            let callback = move |_| token.hold();
            dns.resolve(&format!("{n}.test"), ipv4(), callback).unwrap()
        });
        let lookups = lookups.collect::<Vec<_>>();
        asked(&server, 20);
        let sockets = server.sockets();
        let (mut ours, theirs) = pair();
        ours.write_all(b"!").unwrap();
        let own = base.clone();
        let stop = Event::new(&base, theirs, Event::READ, move |_, _, _| {
            own.stop().unwrap()
        })
        .unwrap();
        stop.add(None).unwrap();
        assert_eq!(run_once(&base), LoopEnd::Stop);
        drop(stop); // it holds the base
        match order {
            0 => drop((dns, lookups, base)),
            1 => drop((lookups, dns, base)),
            2 => drop((base, dns, lookups)),
            _ => {
                drop(dns);
                assert_eq!(run(&base), LoopEnd::NoEvents);
                drop((base, lookups));
            }
        }
        assert_eq!(drops.count(), 20);
        assert!(sockets.are_closed(), "{order}");
    }
}

#[test]
fn dropped_inside_a_lookups_callback_the_others_fail() {
    let base = EventBase::new().unwrap();
    let server = Server::new(|query| match &*query.name {
        "good.test" => Reply::Addresses(ips(&[ANSWER])),
        _ => Reply::Silence,
    });
    let dns = dns_with(&base, &server);
    let told = Told::default();
    let others = ["a.test", "b.test"];
    let others = others.map(|host| {
        dns.resolve(host, LookupOptions::default(), told.note())
            .unwrap()
    });
    let slot = Rc::new(RefCell::new(None));
    let (own, tell) = (slot.clone(), told.clone());
    let good = dns.resolve("good.test", ipv4(), move |outcome| {
        assert_eq!(outcome, Ok(ips(&[ANSWER])));
        drop(own.take());
        assert_eq!(tell.len(), 0);
    });
    slot.replace(Some(dns));
    asked(&server, 1);
    let sockets = server.sockets();
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(told.take(), vec![Err(DnsError::Shutdown); 2]);
    assert!(sockets.are_closed());
    drop((good, others));
}

#[test]
fn dropped_at_any_time_of_a_retry_it_is_freed_once() {
    for turns in 0..12 {
        let base = EventBase::new().unwrap();
        let (server, other) = (
            Server::always(Reply::Silence),
            Server::always(Reply::Truncated),
        );
        let dns = dns_with(&base, &server);
        dns.add_nameserver_ip(&other.address()).unwrap();
        dns.set_option("timeout", "0.002").unwrap();
        dns.set_option("attempts", "100").unwrap();
        let told = Told::default();
        let lookup = dns
            .resolve("a.test", LookupOptions::new(), told.note())
            .unwrap();
        asked(&server, 2);
        let sockets = server.sockets();
        let (mut dns, mut left) = (Some(dns), turns);
        let end = Event::timer(&base, move |event| {
            if left == 0 {
                drop(dns.take());
            } else {
                left -= 1;
                event.add(Some(Duration::from_millis(1))).unwrap();
            }
        });
        let end = end.unwrap();
        end.add(Some(Duration::from_millis(1))).unwrap();
        assert_eq!(run(&base), LoopEnd::NoEvents);
        assert!(sockets.are_closed());
        assert_eq!(told.len(), 1);
        drop(lookup);
    }
}

/// The loop has something active in every turn.
#[test]
fn dropped_in_a_loop_that_never_rests_it_closes_its_sockets_at_once() {
    let base = EventBase::new().unwrap();
    base.priority_init(3).unwrap();
    let server = Server::always(Reply::Silence);
    let dns = dns_with(&base, &server);
    let lookup = dns
        .resolve("a.test", LookupOptions::default(), |_| {})
        .unwrap();
    asked(&server, 2);
    let sockets = server.sockets();
    assert!(!sockets.are_closed());
    let (dns, turns) = (RefCell::new(Some(dns)), Cell::new(0));
    let (own, mine) = (base.clone(), Rc::new((dns, turns)));
    let busy = [mine.clone(), mine].map(|shared| {
        let own = own.clone();
        let again = Event::timer(&base, move |event| {
            let (dns, turns) = &*shared;
            turns.set(turns.get() + 1);
            if turns.get() == 10 {
                drop(dns.take());
            } else if turns.get() == 1000 {
                return own.stop().unwrap();
            }
            event.active(Event::TIMEOUT).unwrap();
        });
        let again = again.unwrap();
        again.set_priority(2).unwrap();
        again.active(Event::TIMEOUT).unwrap();
        again
    });
    drop(own);
    assert_eq!(limited(|| base.dispatch()).unwrap(), LoopEnd::Stop);
    assert!(sockets.are_closed());
    drop((busy, base, lookup));
}

#[test]
fn base_handle_dropped_inside_a_callback_with_the_dns_base_everything_goes() {
    let server = answering();
    let (drops, base) = (Drops::default(), EventBase::new().unwrap());
    let dns = dns_with(&base, &server);
    let slot: Rc<RefCell<Vec<Box<dyn std::any::Any>>>> = Rc::default();
    let (own, token) = (slot.clone(), drops.token());
    let pending = dns
        .resolve("b.test", LookupOptions::default(), move |_| token.hold())
        .unwrap();
    let lookup = dns
        .resolve("a.test", LookupOptions::default(), move |_| {
            drop(own.take())
        })
        .unwrap();
    slot.borrow_mut().extend([
        Box::new(dns) as Box<dyn std::any::Any>,
        Box::new(lookup),
        Box::new(pending),
        Box::new(base.clone()),
    ]);
    asked(&server, 1);
    let sockets = server.sockets();
    run(&base);
    drop(base);
    assert_eq!(drops.count(), 1);
    assert!(sockets.are_closed());
}

#[test]
fn panic_in_a_callback_leaves_the_loop_and_the_others_are_reported_later() {
    let base = EventBase::new().unwrap();
    let server = answering();
    let dns = dns_with(&base, &server);
    for hosts in [["a.test", "b.test", "c.test"], ["::1", "192.0.2.1", "::2"]] {
        let (calls, drops) = (Rc::new(Cell::new(0)), Drops::default());
        let lookups = hosts.map(|host| {
            let (calls, token) = (calls.clone(), drops.token());
            let callback = move |_| {
                token.hold();
                calls.set(calls.get() + 1);
                assert_ne!(calls.get(), 1, "the first");
            };
            dns.resolve(host, LookupOptions::default(), callback)
                .unwrap()
        });
        let panic = panic_of(|| run(&base));
        assert!(panic.contains("the first"), "{panic}");
        assert!(base.got_stop());
        assert_eq!((calls.get(), drops.count()), (1, 1));
        assert_eq!(run(&base), LoopEnd::NoEvents);
        assert_eq!((calls.get(), drops.count()), (3, 3));
        drop(lookups);
    }
}

#[test]
fn panic_with_the_dns_base_dropped_before_it_frees_everything_once() {
    let base = EventBase::new().unwrap();
    let server = answering();
    let dns = dns_with(&base, &server);
    let (slot, drops) = (Rc::new(RefCell::new(None)), Drops::default());
    let (own, token) = (slot.clone(), drops.token());
    let lookup = dns.resolve("a.test", LookupOptions::default(), move |_| {
        token.hold();
        drop(own.take());
        panic!("gone");
    });
    slot.replace(Some(dns));
    asked(&server, 1);
    let sockets = server.sockets();
    assert_eq!(panic_of(|| run(&base)), "gone");
    assert_eq!(drops.count(), 1);
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert!(sockets.are_closed());
    drop(lookup);
}

/// Queries make events of the middle priority while lookups go on.
#[test]
fn priorities_change_under_a_dns_base_without_stranding_its_events() {
    let base = EventBase::new().unwrap();
    let server = Server::new(|query| match &*query.name {
        "host.one.example" => Reply::Addresses(ips(&[ANSWER])),
        _ => Reply::Code(3),
    });
    let dns = dns_with(&base, &server);
    dns.add_search("one.example").unwrap();
    dns.add_search("two.example").unwrap();
    base.priority_init(20).unwrap();
    let told = Told::default();
    let _lookup = dns.resolve("host", ipv4(), told.note()).unwrap();
    let lower = base.priority_init(6).unwrap_err();
    assert!(matches!(lower, Error::Argument { .. }), "{lower}");
    assert_eq!(until(&base, &told, 1), [Ok(ips(&[ANSWER]))]);
    base.priority_init(6).unwrap_err();
    base.priority_init(11).unwrap();
    assert_eq!(found(&base, &dns, "host", ipv4()), Ok(ips(&[ANSWER])));
}

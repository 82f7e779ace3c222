//! Lookups of `EventDnsBase`, which are no `Class`: a lookup calls its closure once, cannot be
//! fired again and takes no other closure, and what it calls it with is no handle. The cases
//! that have a meaning for it are here; those of answers on their way are in
//! `tests/event_dns_base/ending.rs`.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::thread;

use php_event::{EventBase, EventDnsBase, Lookup, LookupOptions, LoopEnd};

use test_support::dns::{Reply, Server, ips};
use test_support::{Bomb, Drops, OnDrop, panic_of, run};

/// One that the server answers, and one that needs none.
const HOSTS: [&str; 2] = ["a.test", "192.0.2.1"];

fn server() -> Server {
    Server::new(|query| match &*query.name {
        "silent.test" => Reply::Silence,
        _ => Reply::Addresses(ips(&["192.0.2.1", "2001:db8::1"])),
    })
}

fn dns_with(base: &EventBase, server: &Server) -> EventDnsBase {
    let dns = EventDnsBase::new(base, EventDnsBase::DISABLE_WHEN_INACTIVE).unwrap();
    dns.add_nameserver_ip(&server.address()).unwrap();
    dns
}

fn look_up(dns: &EventDnsBase, host: &str, callback: impl FnOnce() + 'static) -> Lookup {
    let callback = |outcome: Result<Vec<_>, _>| {
        outcome.unwrap();
        callback();
    };
    dns.resolve(host, LookupOptions::default(), callback)
        .unwrap()
}

#[test]
fn dropped_inside_its_own_callback_is_freed_once() {
    let (base, server) = (EventBase::new().unwrap(), server());
    let dns = dns_with(&base, &server);
    for host in HOSTS {
        let (drops, slot) = (Drops::default(), Rc::new(RefCell::new(None)));
        let (token, seen, own) = (drops.token(), drops.clone(), slot.clone());
        let lookup = look_up(&dns, host, move || {
            token.hold();
            drop(own.take());
            assert_eq!(seen.count(), 0, "dropped under the running closure");
        });
        slot.replace(Some(lookup));
        assert_eq!(run(&base), LoopEnd::NoEvents);
        assert_eq!(drops.count(), 1);
    }
}

#[test]
fn kept_inside_its_own_closure_it_is_freed_by_its_call() {
    let (base, server) = (EventBase::new().unwrap(), server());
    let dns = dns_with(&base, &server);
    for host in HOSTS {
        let (drops, slot) = (Drops::default(), Rc::new(RefCell::new(None)));
        let (token, own) = (drops.token(), slot.clone());
        let lookup = look_up(&dns, host, move || {
            token.hold();
            assert!(own.borrow().is_some());
        });
        slot.replace(Some(lookup));
        drop(slot);
        assert_eq!(drops.count(), 0);
        assert_eq!(run(&base), LoopEnd::NoEvents);
        assert_eq!(drops.count(), 1);
    }
}

#[test]
fn base_handle_dropped_while_the_loop_runs_is_freed_after_it() {
    for host in HOSTS {
        let (drops, server) = (Drops::default(), server());
        let base = EventBase::new().unwrap();
        let dns = dns_with(&base, &server);
        let (slot, token) = (Rc::new(RefCell::new(None)), drops.token());
        let (own, also) = (slot.clone(), dns.clone());
        let lookup = look_up(&dns, host, move || {
            token.hold();
            drop(own.take());
            also.clear_search().unwrap();
        });
        slot.replace(Some((base.clone(), dns)));
        assert_eq!(run(&base), LoopEnd::NoEvents);
        drop((base, lookup));
        assert_eq!(drops.count(), 1);
    }
}

#[test]
fn panic_in_a_captured_drop_comes_out_of_whatever_dropped_it() {
    let (base, server) = (EventBase::new().unwrap(), server());
    let dns = dns_with(&base, &server);
    for host in HOSTS {
        let bomb = Bomb("at its end");
        let lookup = look_up(&dns, host, move || bomb.hold());
        assert_eq!(panic_of(|| run(&base)), "at its end");
        assert!(!lookup.is_pending());
        let bomb = Bomb("cancelled");
        let lookup = look_up(&dns, host, move || bomb.hold());
        assert_eq!(panic_of(|| lookup.cancel()), "cancelled");
        let bomb = Bomb("dropped");
        let lookup = look_up(&dns, host, move || bomb.hold());
        assert_eq!(panic_of(|| drop(lookup)), "dropped");
        let bomb = Bomb("by another");
        let lookup = look_up(&dns, "silent.test", move || bomb.hold());
        let other = look_up(&dns, host, move || drop(lookup));
        assert_eq!(panic_of(|| run(&base)), "by another");
        drop(other);
        assert_eq!(run(&base), LoopEnd::NoEvents);
    }
}

#[test]
fn captured_drop_may_use_the_dns_base_its_siblings_and_the_base() {
    let (base, server) = (EventBase::new().unwrap(), server());
    let dns = dns_with(&base, &server);
    for host in HOSTS {
        let (calls, later) = (Rc::new(Cell::new(0)), Rc::new(RefCell::new(Vec::new())));
        let count = calls.clone();
        let sibling = look_up(&dns, host, move || count.set(count.get() + 100));
        let (own, count, kept, its_base) =
            (dns.clone(), calls.clone(), later.clone(), base.clone());
        let last = OnDrop(move || {
            let count = count.clone();
            sibling.cancel();
            kept.borrow_mut()
                .push(look_up(&own, HOSTS[0], move || count.set(count.get() + 1)));
            drop(EventDnsBase::new(&its_base, EventDnsBase::DISABLE_WHEN_INACTIVE).unwrap());
        });
        let lookup = look_up(&dns, host, move || last.hold());
        lookup.cancel();
        assert_eq!(run(&base), LoopEnd::NoEvents);
        assert_eq!(calls.get(), 1, "{host}");
        drop(later);
    }
}

#[test]
fn captured_drop_may_hold_the_last_handle_of_the_dns_base() {
    let (base, server) = (EventBase::new().unwrap(), server());
    for host in HOSTS {
        for cancelled in [true, false] {
            let dns = dns_with(&base, &server);
            let own = dns.clone();
            let lookup = look_up(&dns, host, move || drop(own));
            drop(dns);
            if cancelled {
                lookup.cancel();
            }
            assert_eq!(run(&base), LoopEnd::NoEvents);
        }
    }
}

#[test]
fn nested_loops_run_lookups_of_another_base_and_refuse_the_same() {
    let (outer, inner, server) = (
        EventBase::new().unwrap(),
        EventBase::new().unwrap(),
        server(),
    );
    let (dns, nested) = (dns_with(&outer, &server), dns_with(&inner, &server));
    for host in HOSTS {
        let calls = Rc::new(Cell::new(0));
        let (count, its_base, own, nested) =
            (calls.clone(), inner.clone(), outer.clone(), nested.clone());
        let lookup = look_up(&dns, host, move || {
            let again = count.clone();
            let lookup = look_up(&nested, host, move || again.set(again.get() + 1));
            assert_eq!(run(&its_base), LoopEnd::NoEvents);
            assert!(!lookup.is_pending());
            own.dispatch().unwrap_err();
            count.set(count.get() + 10);
        });
        assert_eq!(run(&outer), LoopEnd::NoEvents);
        assert_eq!(calls.get(), 11);
        drop(lookup);
    }
}

#[test]
fn panic_in_a_nested_loop_passes_through_both_loops() {
    let (outer, inner, server) = (
        EventBase::new().unwrap(),
        EventBase::new().unwrap(),
        server(),
    );
    let (dns, nested) = (dns_with(&outer, &server), dns_with(&inner, &server));
    for host in HOSTS {
        let (its_base, nested) = (inner.clone(), nested.clone());
        let lookup = look_up(&dns, host, move || {
            let _innermost = look_up(&nested, host, || panic!("innermost"));
            run(&its_base);
            unreachable!("the outer callback went on after the panic");
        });
        assert_eq!(panic_of(|| run(&outer)), "innermost");
        assert_eq!(run(&outer), LoopEnd::NoEvents);
        assert_eq!(run(&inner), LoopEnd::NoEvents);
        drop(lookup);
    }
}

#[test]
fn swapped_handles_of_two_bases_stay_with_their_own() {
    let (bases, server) = (
        [EventBase::new().unwrap(), EventBase::new().unwrap()],
        server(),
    );
    let mut dns = bases.each_ref().map(|base| dns_with(base, &server));
    let calls = Rc::new(Cell::new([0, 0]));
    let mut lookups = [0, 1].map(|n| {
        let calls = calls.clone();
        look_up(&dns[n], HOSTS[0], move || {
            let mut now = calls.get();
            now[n] += 1;
            calls.set(now);
        })
    });
    lookups.swap(0, 1);
    dns.swap(0, 1);
    assert_eq!(run(&bases[0]), LoopEnd::NoEvents);
    assert_eq!(calls.get(), [1, 0]);
    let [of_second, of_first] = lookups;
    assert!(of_second.is_pending() && !of_first.is_pending());
    assert_eq!(run(&bases[1]), LoopEnd::NoEvents);
    assert_eq!(calls.get(), [1, 1]);
}

/// The table of what C's numbers stand for may go before or after what is in it.
#[test]
fn left_to_the_end_of_a_thread_everything_is_freed() {
    thread_local! {
        static KEPT: RefCell<Option<(EventBase, EventDnsBase, Vec<Lookup>)>> = RefCell::default();
    }
    for table_first in [true, false] {
        let ended = thread::spawn(move || {
            let server = server();
            if !table_first {
                KEPT.with_borrow(|kept| assert!(kept.is_none()));
            }
            let base = EventBase::new().unwrap();
            let dns = dns_with(&base, &server);
            let lookups = HOSTS.map(|host| look_up(&dns, host, || panic!("called")));
            KEPT.set(Some((base, dns, lookups.into())));
        });
        ended.join().unwrap();
    }
}

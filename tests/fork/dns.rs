//! `EventDnsBase` across `fork`: both processes have the socket to the name server, and one
//! would take the other's answers.

use std::cell::RefCell;
use std::net::{IpAddr, UdpSocket};
use std::rc::Rc;

use php_event::{
    AddressFamily, DnsError, Error, EventBase, EventDnsBase, Lookup, LookupOptions, LoopEnd,
};

use crate::child::{How, bases, succeeds};
use test_support::dns::{Query, ips};
use test_support::run;

type Outcome = Result<Vec<IpAddr>, DnsError>;

/// A lookup whose answer has come, and was not read yet.
struct Answered {
    base: EventBase,
    dns: EventDnsBase,
    lookup: Lookup,
    told: Rc<RefCell<Vec<Outcome>>>,
    _server: UdpSocket,
}

impl Answered {
    fn new(base: EventBase) -> Self {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let dns = EventDnsBase::new(&base, EventDnsBase::DISABLE_WHEN_INACTIVE).unwrap();
        let address = server.local_addr().unwrap().to_string();
        dns.add_nameserver_ip(&address).unwrap();
        let told = Rc::new(RefCell::new(Vec::new()));
        let note = told.clone();
        let options = LookupOptions::new().family(AddressFamily::INET);
        let lookup = dns.resolve("a.test", options, move |outcome| {
            note.borrow_mut().push(outcome)
        });
        let mut packet = [0; 512];
        let (length, asker) = server.recv_from(&mut packet).unwrap();
        let query = Query::parse(&packet[..length]).unwrap();
        let answer = query.addresses(&ips(&["192.0.2.1"]));
        server.send_to(&answer, asker).unwrap();
        Self {
            base,
            dns,
            lookup: lookup.unwrap(),
            told,
            _server: server,
        }
    }

    fn is_told(&self, outcome: Outcome) {
        assert_eq!(run(&self.base), LoopEnd::NoEvents);
        assert_eq!(self.told.take(), [outcome]);
        assert!(!self.lookup.is_pending());
    }

    fn is_answered(&self) {
        self.is_told(Ok(ips(&["192.0.2.1"])));
    }
}

fn calls(dns: &EventDnsBase) -> [php_event::Result<()>; 8] {
    [
        dns.parse_resolv_conf(EventDnsBase::OPTION_MISC, "/etc/hosts"),
        dns.add_nameserver_ip("192.0.2.1"),
        dns.load_hosts("/etc/hosts"),
        dns.set_option("ndots", "1"),
        dns.clear_search(),
        dns.add_search("example"),
        dns.set_search_ndots(1),
        dns.resolve("::1", LookupOptions::default(), |_| {})
            .map(drop),
    ]
}

pub(crate) fn dns_base_in_a_child_is_refused_and_after_re_init_shut_down() {
    for how in How::BOTH {
        for base in bases() {
            let answered = Answered::new(base);
            let child = how.child(|| {
                for result in calls(&answered.dns) {
                    assert!(matches!(result, Err(Error::Forked { .. })), "{result:?}");
                }
                let made = EventDnsBase::new(&answered.base, EventDnsBase::DISABLE_WHEN_INACTIVE);
                assert!(matches!(made, Err(Error::Forked { .. })), "{made:?}");
                assert_eq!(answered.dns.count_nameservers(), 1);
                answered.base.re_init().unwrap();
                for result in calls(&answered.dns) {
                    let text = result.unwrap_err().to_string();
                    assert!(text.contains("make a new one in this child"), "{text}");
                }
                assert_eq!(answered.dns.count_nameservers(), 0);
                answered.is_told(Err(DnsError::Shutdown));
                Answered::new(answered.base.clone()).is_answered();
            });
            succeeds(child);
            answered.is_answered();
        }
    }
}

pub(crate) fn dns_base_and_lookup_dropped_in_a_child_leave_the_parents_alone() {
    for how in How::BOTH {
        for base in bases() {
            for dns_first in [true, false] {
                let mut answered = Some(Answered::new(base.clone()));
                let child = how.child(|| {
                    let Answered {
                        base,
                        dns,
                        lookup,
                        told,
                        _server,
                    } = answered.take().unwrap();
                    if dns_first {
                        drop(dns);
                        drop(lookup);
                    } else {
                        lookup.cancel();
                        drop(lookup);
                        drop(dns);
                    }
                    base.re_init().unwrap();
                    assert_eq!(run(&base), LoopEnd::NoEvents);
                    assert!(told.take().is_empty());
                });
                succeeds(child);
                answered.unwrap().is_answered();
            }
        }
    }
}

// Skipped under Valgrind and ASan: the forked child keeps memory, as documented.
pub(crate) fn foreign_dns_base_dropped_with_its_base_in_a_child_leaves_the_parents_alone() {
    for how in How::BOTH {
        for base in bases() {
            let mut answered = Some(Answered::new(base));
            succeeds(how.child(|| drop(answered.take())));
            answered.unwrap().is_answered();
        }
    }
}

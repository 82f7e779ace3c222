//! `EventDnsBase`: its settings here, its lookups and what goes wrong with them in
//! `event_dns_base/`. The name servers are sockets of the tests on this host.

#[path = "event_dns_base/connect_host.rs"]
mod connect_host;
#[path = "event_dns_base/ending.rs"]
mod ending;
#[path = "event_dns_base/files.rs"]
mod files;
#[path = "event_dns_base/lookup.rs"]
mod lookup;
#[path = "event_dns_base/servers.rs"]
mod servers;
#[path = "event_dns_base/tcp.rs"]
mod tcp;

use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use php_event::{
    AddressFamily, DnsError, DnsFlags, DnsOptions, Error, EventBase, EventDnsBase, LookupOptions,
    LoopEnd, Result,
};
use test_support::alone;
use test_support::dns::{Kind, Reply, Server, ips};
use test_support::{limited, poll, run};

/// What a lookup came to.
type Outcome = Result<Vec<IpAddr>, DnsError>;

/// Where a lookup's closure puts what it came to.
#[derive(Clone, Default)]
struct Told(Rc<RefCell<Vec<Outcome>>>);

impl Told {
    fn note(&self) -> impl FnOnce(Outcome) + 'static {
        let told = self.0.clone();
        move |outcome| told.borrow_mut().push(outcome)
    }

    fn take(&self) -> Vec<Outcome> {
        self.0.take()
    }

    fn len(&self) -> usize {
        self.0.borrow().len()
    }
}

/// A DNS base that lets the loop end.
fn new_dns(base: &EventBase) -> EventDnsBase {
    EventDnsBase::new(base, EventDnsBase::DISABLE_WHEN_INACTIVE).unwrap()
}

/// The same with a server.
fn dns_with(base: &EventBase, server: &Server) -> EventDnsBase {
    let dns = new_dns(base);
    dns.add_nameserver_ip(&server.address()).unwrap();
    dns
}

fn of(family: AddressFamily) -> LookupOptions {
    LookupOptions::new().family(family)
}

fn ipv4() -> LookupOptions {
    of(AddressFamily::INET)
}

fn within(timeout: Duration) -> LookupOptions {
    LookupOptions::new().timeout(timeout)
}

/// Turns the loop until `count` lookups have told what they came to.
fn until(base: &EventBase, told: &Told, count: usize) -> Vec<Outcome> {
    limited(|| {
        while told.len() < count {
            let end = base.r#loop(EventBase::LOOP_ONCE).unwrap();
            assert_ne!(
                end,
                LoopEnd::NoEvents,
                "{} of {count} were told",
                told.len()
            );
        }
    });
    told.take()
}

/// What a lookup comes to.
#[track_caller]
fn found(base: &EventBase, dns: &EventDnsBase, host: &str, options: LookupOptions) -> Outcome {
    let told = Told::default();
    let lookup = dns.resolve(host, options, told.note()).unwrap();
    assert!(lookup.is_pending());
    assert_eq!(told.len(), 0, "called before `resolve` returned");
    let mut outcomes = until(base, &told, 1);
    assert!(!lookup.is_pending());
    assert_eq!(outcomes.len(), 1);
    outcomes.remove(0)
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T>, start: &str, part: &str) -> Error {
    let error = result.unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with(start), "{text}");
    assert!(text.contains(part), "{text}");
    error
}

#[test]
fn the_constants_have_the_numbers_of_php() {
    let options = [
        EventDnsBase::OPTION_SEARCH,
        EventDnsBase::OPTION_NAMESERVERS,
        EventDnsBase::OPTION_MISC,
        EventDnsBase::OPTION_HOSTSFILE,
        EventDnsBase::OPTIONS_ALL,
    ];
    assert_eq!(options.map(|option| option.bits()), [1, 2, 4, 8, 15]);
    let flags = [
        EventDnsBase::INITIALIZE_NAMESERVERS,
        EventDnsBase::DISABLE_WHEN_INACTIVE,
        EventDnsBase::NAMESERVERS_NO_DEFAULT,
    ];
    assert_eq!(flags.map(|flag| flag.bits()), [1, 32768, 65536]);
}

#[test]
fn bits_that_are_no_flags_are_refused() {
    let base = EventBase::new().unwrap();
    for bits in [2, 1 << 14, -1, 65537 | 4] {
        let made = EventDnsBase::new(&base, DnsFlags::from_bits_retain(bits));
        refused(made, "EventDnsBase::__construct: ", "not flags");
    }
    let dns = new_dns(&base);
    for bits in [16, -1, 31] {
        let options = DnsOptions::from_bits_retain(bits);
        let parsed = dns.parse_resolv_conf(options, "/etc/hosts");
        refused(parsed, "EventDnsBase::parseResolvConf: ", "not options");
    }
}

#[test]
fn made_on_a_freed_base_it_is_an_error_and_so_is_every_method_later() {
    let base = EventBase::new().unwrap();
    let server = Server::always(Reply::Silence);
    let dns = dns_with(&base, &server);
    let told = Told::default();
    let lookup = dns.resolve("a.test", ipv4(), told.note()).unwrap();
    base.free().unwrap();
    let made = EventDnsBase::new(&base, DnsFlags::empty());
    assert!(matches!(made, Err(Error::Freed { object: "base", .. })));
    for (name, result) in calls(&dns) {
        let error = result.expect_err(name);
        assert!(
            matches!(error, Error::Freed { object: "base", .. }),
            "{name}: {error}"
        );
    }
    assert_eq!(dns.count_nameservers(), 1);
    drop((dns, lookup));
    assert_eq!(told.len(), 0);
}

/// Every method that answers a `Result`.
fn calls(dns: &EventDnsBase) -> Vec<(&'static str, Result<()>)> {
    vec![
        (
            "parse_resolv_conf",
            dns.parse_resolv_conf(EventDnsBase::OPTION_MISC, "/etc/hosts"),
        ),
        ("add_nameserver_ip", dns.add_nameserver_ip("192.0.2.1")),
        ("load_hosts", dns.load_hosts("/etc/hosts")),
        ("set_option", dns.set_option("ndots", "1")),
        ("clear_search", dns.clear_search()),
        ("add_search", dns.add_search("example")),
        ("set_search_ndots", dns.set_search_ndots(1)),
        (
            "resolve",
            dns.resolve("::1", LookupOptions::default(), |_| {})
                .map(drop),
        ),
    ]
}

#[test]
fn every_method_does_its_work_on_a_live_base() {
    let base = EventBase::new().unwrap();
    for (name, result) in calls(&new_dns(&base)) {
        assert!(result.is_ok(), "{name}: {result:?}");
    }
}

#[test]
fn handles_are_the_same_dns_base() {
    let base = EventBase::new().unwrap();
    let (dns, other) = (new_dns(&base), new_dns(&base));
    let clone = dns.clone();
    assert!(clone == dns && dns != other);
    assert_eq!(dns.base(), base);
    clone.add_nameserver_ip("192.0.2.1").unwrap();
    assert_eq!((dns.count_nameservers(), other.count_nameservers()), (1, 0));
    assert!(format!("{dns:?}").contains("nameservers: 1"), "{dns:?}");
}

#[test]
fn a_server_is_added_by_its_address_once() {
    let base = EventBase::new().unwrap();
    let dns = new_dns(&base);
    for (n, ip) in [
        "127.0.0.1",
        "127.0.0.1:5353",
        "::1",
        "[::1]:5353",
        "192.0.2.1",
    ]
    .iter()
    .enumerate()
    {
        dns.add_nameserver_ip(ip).unwrap();
        assert_eq!(dns.count_nameservers(), n + 1);
    }
    const CALL: &str = "EventDnsBase::addNameserverIp: ";
    for twice in ["127.0.0.1:53", "[::1]", "[::1]:53", "[0::1]:5353"] {
        refused(dns.add_nameserver_ip(twice), CALL, "already");
    }
    for bad in [
        "",
        "localhost",
        "1.2.3",
        "1.2.3.4:0",
        "1.2.3.4:65536",
        "[::1",
        "::1:x",
        "1.2.3.4 ",
    ] {
        let error = refused(dns.add_nameserver_ip(bad), CALL, "not an address");
        assert!(matches!(error, Error::Argument { .. }));
    }
    refused(
        dns.add_nameserver_ip("fe80::1%nonesuch0"),
        CALL,
        "interface",
    );
    refused(dns.add_nameserver_ip("127.0.0.1\0"), CALL, "not an address");
    assert_eq!(dns.count_nameservers(), 5);
}

#[test]
fn a_server_that_no_socket_can_be_had_for_is_an_error() {
    let base = EventBase::new().unwrap();
    let dns = new_dns(&base);
    dns.set_option("bind-to", "192.0.2.77").unwrap();
    let error = refused(
        dns.add_nameserver_ip("192.0.2.1"),
        "EventDnsBase::addNameserverIp: 192.0.2.1:53: ",
        "Cannot assign requested address",
    );
    assert!(matches!(error, Error::Io { .. }));
    assert_eq!(dns.count_nameservers(), 0);
    dns.add_nameserver_ip("127.0.0.1").unwrap(); // not bound, as documented
}

#[test]
fn an_option_is_known_and_its_value_fits_or_it_is_refused() {
    let base = EventBase::new().unwrap();
    let dns = new_dns(&base);
    const CALL: &str = "EventDnsBase::setOption: ";
    let known = [
        ("ndots", "2"),
        ("timeout", "1.5"),
        ("max-timeouts", "1"),
        ("max-inflight", "7"),
        ("attempts", "1"),
        ("randomize-case", "0"),
        ("bind-to", "127.0.0.1"),
        ("initial-probe-timeout", "1"),
        ("getaddrinfo-allow-skew", "0.5"),
        ("so-rcvbuf", "4096"),
        ("so-sndbuf", "4096"),
    ];
    for (name, value) in known {
        dns.set_option(name, value).unwrap();
        dns.set_option(&format!("{name}:"), value).unwrap();
        refused(dns.set_option(name, "abc"), CALL, name);
        refused(dns.set_option(name, ""), CALL, name);
        refused(dns.set_option(name, "-1"), CALL, name);
        refused(dns.set_option(name, "1\0"), CALL, name);
    }
    refused(dns.set_option("timeout", "0"), CALL, "at least 0.001");
    for unknown in ["nonesuch", "", "ndots:5", "timeout\0"] {
        refused(
            dns.set_option(unknown, "1"),
            CALL,
            "is not an option; there are ndots, ",
        );
    }
}

/// Ported from what PHP was seen to do: there, a DNS base with both flags keeps the loop.
#[test]
fn a_base_with_servers_keeps_the_loop_unless_it_is_made_not_to() {
    let base = EventBase::new().unwrap();
    let none = EventDnsBase::new(&base, DnsFlags::empty()).unwrap();
    assert_eq!(run(&base), LoopEnd::NoEvents);
    none.add_nameserver_ip("127.0.0.1").unwrap();
    assert_eq!(poll(&base), LoopEnd::Passed);
    drop(none);
    assert_eq!(run(&base), LoopEnd::NoEvents);
    let inactive = new_dns(&base);
    inactive.add_nameserver_ip("127.0.0.1").unwrap();
    assert_eq!(run(&base), LoopEnd::NoEvents);
}

#[test]
fn options_take_effect_on_the_wire() {
    let base = EventBase::new().unwrap();
    let name = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz.test";
    let server = Server::always(Reply::Addresses(ips(&["192.0.2.1"])));
    let dns = dns_with(&base, &server);
    assert_eq!(found(&base, &dns, name, ipv4()), Ok(ips(&["192.0.2.1"])));
    let [random] = &server.written()[..] else {
        panic!("one query")
    };
    assert!(random.chars().any(char::is_uppercase) && random.chars().any(char::is_lowercase));
    assert_eq!(random.to_lowercase(), name);
    dns.set_option("randomize-case", "0").unwrap();
    assert_eq!(found(&base, &dns, name, ipv4()), Ok(ips(&["192.0.2.1"])));
    assert_eq!(server.written(), [name]);
}

#[test]
fn nothing_of_it_reaches_stderr() {
    alone(&[], || {
        let base = EventBase::new().unwrap();
        let dns = new_dns(&base);
        let server = Server::new(|query| match &*query.name {
            "silent.test" => Reply::Silence,
            "noise.test" => Reply::Noise,
            "garbage.test" => Reply::Garbage,
            "refused.test" => Reply::Code(5),
            _ => Reply::Code(2),
        });
        dns.add_nameserver_ip(&server.address()).unwrap();
        dns.add_nameserver_ip(&server.address()).unwrap_err();
        dns.add_nameserver_ip("nonsense").unwrap_err();
        dns.load_hosts("/nonesuch").unwrap_err();
        dns.parse_resolv_conf(EventDnsBase::OPTIONS_ALL, "/nonesuch")
            .unwrap_err();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("resolv.conf");
        std::fs::write(&path, "nameserver nonsense\noptions timeout:x bind-to:y\n").unwrap();
        dns.parse_resolv_conf(EventDnsBase::OPTIONS_ALL, path)
            .unwrap();
        dns.set_option("timeout", "0.002").unwrap();
        dns.set_option("initial-probe-timeout", "0.002").unwrap();
        for name in [
            "silent.test",
            "noise.test",
            "garbage.test",
            "refused.test",
            "failed.test",
        ] {
            found(&base, &dns, name, LookupOptions::default()).unwrap_err();
        }
        drop(EventDnsBase::new(&base, DnsFlags::from_bits_retain(2)));
    });
}

//! Hosts files and `resolv.conf`.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use super::*;

const PARSE: &str = "EventDnsBase::parseResolvConf";
const LOAD: &str = "EventDnsBase::loadHosts";

/// A file of its own with this text.
fn file(text: &str) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    fs::write(&path, text).unwrap();
    (directory, path)
}

#[test]
fn names_of_a_hosts_file_are_found_without_a_server() {
    let base = EventBase::new().unwrap();
    let dns = new_dns(&base);
    let (_directory, path) =
        file("192.0.2.1 one Uno # a comment\n2001:db8::1 one\n192.0.2.2 one two\nnonsense three\n");
    dns.load_hosts(path).unwrap();
    let unspec = LookupOptions::default();
    let all = ips(&["192.0.2.1", "2001:db8::1", "192.0.2.2"]);
    assert_eq!(found(&base, &dns, "one", unspec), Ok(all.clone()));
    assert_eq!(found(&base, &dns, "ONE.", unspec), Ok(all));
    assert_eq!(found(&base, &dns, "uno", unspec), Ok(ips(&["192.0.2.1"])));
    assert_eq!(
        found(&base, &dns, "one", of(AddressFamily::INET6)),
        Ok(ips(&["2001:db8::1"]))
    );
    assert_eq!(
        found(&base, &dns, "two", of(AddressFamily::INET6)),
        Err(DnsError::NoAddress)
    );
    let unknown = dns.resolve("three", unspec, |_| {});
    let error = refused(unknown, "EventDnsBase::resolve: ", "no name server");
    assert!(matches!(error, Error::State { .. }));
}

#[test]
fn a_name_of_a_hosts_file_is_not_asked_for() {
    let base = EventBase::new().unwrap();
    let server = Server::always(Reply::Addresses(ips(&["192.0.2.9", "2001:db8::9"])));
    let dns = dns_with(&base, &server);
    let (_directory, path) = file("192.0.2.1 one.test");
    dns.load_hosts(path).unwrap();
    assert_eq!(
        found(&base, &dns, "one.test", ipv4()),
        Ok(ips(&["192.0.2.1"]))
    );
    assert_eq!(
        found(&base, &dns, "one.test", of(AddressFamily::INET6)),
        Err(DnsError::NoAddress)
    );
    assert_eq!(server.asked(), []);
    assert_eq!(
        found(&base, &dns, "two.test", ipv4()),
        Ok(ips(&["192.0.2.9"]))
    );
}

#[test]
fn an_unreadable_file_is_named_and_ignored() {
    let base = EventBase::new().unwrap();
    let dns = new_dns(&base);
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing");
    let pipe = directory.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRUSR).unwrap();
    for path in [missing, directory.path().to_owned(), pipe, PathBuf::new()] {
        let text = path.display().to_string();
        let error = refused(dns.load_hosts(&path), LOAD, &text);
        assert!(matches!(error, Error::Io { .. }), "{error}");
        let parsed = dns.parse_resolv_conf(EventDnsBase::OPTIONS_ALL, &path);
        let error = refused(parsed, PARSE, &text);
        assert!(matches!(error, Error::Io { .. }), "{error}");
    }
    refused(dns.load_hosts("a\0b"), LOAD, "NUL");
    refused(
        dns.parse_resolv_conf(EventDnsBase::OPTIONS_ALL, "a\0b"),
        PARSE,
        "NUL",
    );
    assert_eq!(dns.count_nameservers(), 0);
    dns.resolve("localhost", LookupOptions::default(), |_| {})
        .unwrap_err();
}

#[test]
fn a_resolv_conf_without_a_server_is_an_error_and_none_is_put_in_its_place() {
    let base = EventBase::new().unwrap();
    for text in [
        "",
        "search example\n",
        "nameserver\n",
        "nameserver nonsense\n",
        "# nameserver 192.0.2.1\n",
    ] {
        let dns = new_dns(&base);
        let (_directory, path) = file(text);
        let parsed = dns.parse_resolv_conf(EventDnsBase::OPTIONS_ALL, &path);
        let error = refused(parsed, PARSE, "lists no name server");
        assert!(
            error.to_string().contains(path.to_str().unwrap()),
            "{error}"
        );
        assert_eq!(dns.count_nameservers(), 0, "{text:?}");
        let without_servers = EventDnsBase::OPTION_SEARCH | EventDnsBase::OPTION_MISC;
        dns.parse_resolv_conf(without_servers, &path).unwrap();
        dns.add_nameserver_ip("192.0.2.1").unwrap();
        dns.parse_resolv_conf(EventDnsBase::OPTIONS_ALL, &path)
            .unwrap(); // there is one now
    }
}

#[test]
fn a_resolv_conf_gives_only_what_the_flags_name() {
    let base = EventBase::new().unwrap();
    let server = Server::new(|query| match &*query.name {
        "host.corp.example" => Reply::Addresses(ips(&["192.0.2.1"])),
        _ => Reply::Code(3),
    });
    let text = format!(
        "# as a system has it\nnameserver {}\nnameserver nonsense\nsearch a.example corp.example\n\
         options ndots:1 timeout:4 attempts:2\n",
        server.address()
    );
    let (_directory, path) = file(&text);
    let dns = new_dns(&base);
    dns.parse_resolv_conf(EventDnsBase::OPTION_MISC, &path)
        .unwrap();
    assert_eq!(dns.count_nameservers(), 0);
    dns.parse_resolv_conf(EventDnsBase::OPTION_NAMESERVERS, &path)
        .unwrap();
    assert_eq!(dns.count_nameservers(), 1);
    assert_eq!(found(&base, &dns, "host", ipv4()), Err(DnsError::NotFound));
    assert_eq!(server.asked(), [("host".into(), Kind::A)]);
    dns.parse_resolv_conf(EventDnsBase::OPTION_SEARCH, &path)
        .unwrap();
    assert_eq!(found(&base, &dns, "host", ipv4()), Ok(ips(&["192.0.2.1"])));
    let names = ["host.a.example", "host.corp.example"].map(|name| (name.to_owned(), Kind::A));
    assert_eq!(server.asked(), names);
    let with_hosts = EventDnsBase::OPTION_HOSTSFILE;
    dns.parse_resolv_conf(with_hosts, &path).unwrap();
    server.asked();
    let localhost = found(&base, &dns, "localhost", ipv4()).unwrap();
    assert!(localhost.contains(&ips(&["127.0.0.1"])[0]), "{localhost:?}");
    assert_eq!(server.asked(), []);
}

#[test]
fn times_of_a_resolv_conf_count() {
    let base = EventBase::new().unwrap();
    let silent = Server::always(Reply::Silence);
    let options = "options timeout:0.01 attempts:1";
    let (_directory, path) = file(&format!("nameserver {}\n{options}\n", silent.address()));
    let dns = new_dns(&base);
    dns.parse_resolv_conf(EventDnsBase::OPTIONS_ALL, path)
        .unwrap();
    assert_eq!(
        found(&base, &dns, "a.test", within(Duration::from_secs(3600))),
        Err(DnsError::Timeout)
    );
    let (_directory, path) = file("options getaddrinfo-allow-skew:0.001");
    let half = Server::new(|query| match query.kind {
        Kind::A => Reply::Addresses(ips(&["192.0.2.1"])),
        _ => Reply::Silence,
    });
    let dns = dns_with(&base, &half);
    dns.parse_resolv_conf(EventDnsBase::OPTION_MISC, path)
        .unwrap();
    let start = std::time::Instant::now();
    let outcome = found(&base, &dns, "a.test", within(Duration::from_secs(3600)));
    assert_eq!(outcome, Ok(ips(&["192.0.2.1"])));
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "the 3 seconds of before"
    );
}

/// What the system's own files say, this test does not know; only that it is told.
#[test]
fn the_systems_settings_are_taken_or_it_is_said_why_not() {
    let base = EventBase::new().unwrap();
    let system = fs::read_to_string("/etc/resolv.conf");
    let listed = system.as_ref().is_ok_and(|text| {
        text.lines().any(|line| {
            let mut words = line.split_whitespace();
            let server = words.next() == Some("nameserver");
            server && words.next().is_some_and(|ip| ip.parse::<IpAddr>().is_ok())
        })
    });
    let inactive = EventDnsBase::INITIALIZE_NAMESERVERS | EventDnsBase::DISABLE_WHEN_INACTIVE;
    match EventDnsBase::new(&base, inactive) {
        Ok(dns) => {
            assert!(listed);
            assert!(dns.count_nameservers() > 0);
            let localhost = found(&base, &dns, "localhost", ipv4()).unwrap();
            assert!(localhost.contains(&ips(&["127.0.0.1"])[0]), "{localhost:?}");
            assert_eq!(run(&base), LoopEnd::NoEvents); // PHP's would keep the loop
        }
        Err(error) => {
            assert!(!listed, "{error}");
            assert!(
                error.to_string().starts_with("EventDnsBase::__construct"),
                "{error}"
            );
            assert!(error.to_string().contains("/etc/resolv.conf"), "{error}");
        }
    }
    let content = inactive | EventDnsBase::NAMESERVERS_NO_DEFAULT;
    assert_eq!(EventDnsBase::new(&base, content).is_ok(), system.is_ok());
}

#[test]
fn the_search_list_is_tried_with_the_last_domain_first_and_can_be_emptied() {
    let base = EventBase::new().unwrap();
    let server = Server::always(Reply::Code(3));
    let dns = dns_with(&base, &server);
    let asked = |host: &str| {
        assert_eq!(found(&base, &dns, host, ipv4()), Err(DnsError::NotFound));
        let names = server.asked().into_iter().map(|(name, _)| name);
        names.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(asked("host"), "host");
    dns.add_search("one.example").unwrap();
    dns.add_search(".two.example").unwrap();
    assert_eq!(asked("host"), "host.two.example host.one.example host");
    assert_eq!(
        asked("a.host"),
        "a.host a.host.two.example a.host.one.example"
    );
    assert_eq!(asked("host."), "host");
    dns.set_search_ndots(2).unwrap();
    assert_eq!(
        asked("a.host"),
        "a.host.two.example a.host.one.example a.host"
    );
    dns.set_search_ndots(0).unwrap();
    assert_eq!(asked("host"), "host host.two.example host.one.example");
    dns.set_search_ndots(u32::MAX).unwrap();
    assert_eq!(
        asked("a.b.host"),
        "a.b.host.two.example a.b.host.one.example a.b.host"
    );
    dns.clear_search().unwrap();
    assert_eq!(asked("host"), "host");
    dns.add_search("three.example").unwrap();
    assert_eq!(asked("a.host"), "a.host a.host.three.example");
    dns.set_option("ndots", "2").unwrap();
    assert_eq!(asked("a.host"), "a.host.three.example a.host");
    for domain in ["", "...", "a b", "a\0", "a..b"] {
        refused(dns.add_search(domain), "EventDnsBase::addSearch: ", "");
    }
}

#[test]
fn the_search_list_may_change_while_a_lookup_uses_it() {
    let base = EventBase::new().unwrap();
    let server = Server::new(|query| match &*query.name {
        "host.one.example" => Reply::Addresses(ips(&["192.0.2.1"])),
        _ => Reply::Code(3),
    });
    let dns = dns_with(&base, &server);
    dns.add_search("one.example").unwrap();
    dns.add_search("two.example").unwrap();
    let told = Told::default();
    let _before = dns.resolve("host", ipv4(), told.note()).unwrap();
    dns.clear_search().unwrap();
    dns.add_search("three.example").unwrap();
    assert_eq!(until(&base, &told, 1), [Ok(ips(&["192.0.2.1"]))]);
    let _more = dns.resolve("host", ipv4(), told.note()).unwrap();
    dns.add_search("one.example").unwrap();
    let end = &until(&base, &told, 1)[0];
    assert!(matches!(end, Ok(_) | Err(DnsError::NotFound)), "{end:?}");
}

#[test]
fn a_domain_that_makes_a_name_too_long_is_passed_over() {
    let base = EventBase::new().unwrap();
    let server = Server::always(Reply::Code(3));
    let dns = dns_with(&base, &server);
    let label = "a".repeat(63);
    let longest = format!("{label}.{label}.{label}.{}", "b".repeat(61));
    assert_eq!(
        found(&base, &dns, &longest, ipv4()),
        Err(DnsError::NotFound)
    );
    dns.add_search(&longest).unwrap();
    server.asked();
    for host in [&longest, "host"] {
        assert_eq!(found(&base, &dns, host, ipv4()), Err(DnsError::NotFound));
        assert_eq!(server.asked(), [(host.to_owned(), Kind::A)]);
    }
}

/// libevent#1702: "google.a.b.c" had an IPv6 address, and "google", another host, one of IPv4.
#[test]
fn one_name_of_the_search_list_has_the_addresses_of_both_families() {
    let base = EventBase::new().unwrap();
    let server = Server::new(|query| match &*query.name {
        "six.a.b.c" => Reply::Addresses(ips(&["fd00::1"])),
        "six" => Reply::Addresses(ips(&["192.0.2.99"])),
        "four.b.c" => Reply::Addresses(ips(&["192.0.2.1"])),
        "four.c" => Reply::Addresses(ips(&["2001:db8::99"])),
        "odd.a.b.c" if query.kind == Kind::A => Reply::Code(3),
        "odd.a.b.c" => Reply::Addresses(ips(&["fd00::1"])),
        "odd" => Reply::Addresses(ips(&["192.0.2.99"])),
        "empty.a.b.c" => Reply::Code(0),
        _ => Reply::Code(3),
    });
    let dns = dns_with(&base, &server);
    for domain in ["c", "b.c", "a.b.c"] {
        dns.add_search(domain).unwrap();
    }
    let found = |host: &str, options| found(&base, &dns, host, options);
    assert_eq!(found("six", LookupOptions::new()), Ok(ips(&["fd00::1"])));
    assert_eq!(found("odd", LookupOptions::new()), Ok(ips(&["fd00::1"])));
    assert_eq!(found("four", LookupOptions::new()), Ok(ips(&["192.0.2.1"])));
    assert_eq!(found("six", ipv4()), Ok(ips(&["192.0.2.99"]))); // only one family is wanted
    let empty = found("empty", LookupOptions::new());
    assert_eq!(empty, Err(DnsError::NoAddress)); // one of the names exists
    assert_eq!(found("none", LookupOptions::new()), Err(DnsError::NotFound));
}

#[test]
fn a_name_that_could_not_be_asked_for_ends_the_search() {
    let base = EventBase::new().unwrap();
    let server = Server::new(|query| match &*query.name {
        "host.one.example" => Reply::Code(2),
        _ => Reply::Addresses(ips(&["192.0.2.99"])), // another host
    });
    let dns = dns_with(&base, &server);
    dns.add_search("one.example").unwrap();
    let outcome = found(&base, &dns, "host", LookupOptions::new());
    assert_eq!(outcome, Err(DnsError::ServerFailed));
}

#[test]
fn files_of_windows_are_read() {
    let base = EventBase::new().unwrap();
    let server = Server::always(Reply::Code(3));
    for (start, end) in [
        ("", "\r\n"),
        ("\u{feff}", "\n"),
        ("\u{feff}", "\r\n"),
        ("", "\r"),
    ] {
        let dns = new_dns(&base);
        let lines = ["192.0.2.7 printer desk", "", "192.0.2.8 scanner"];
        let (_directory, path) = file(&format!("{start}{}{end}", lines.join(end)));
        dns.load_hosts(path).unwrap();
        for (host, ip) in [
            ("printer", "192.0.2.7"),
            ("desk", "192.0.2.7"),
            ("scanner", "192.0.2.8"),
        ] {
            assert_eq!(found(&base, &dns, host, ipv4()), Ok(ips(&[ip])));
        }
        let server_line = format!("nameserver {}", server.address());
        let lines = [
            &*server_line,
            "search one.example",
            "options ndots:2 attempts:1",
        ];
        let (_directory, path) = file(&format!("{start}{}{end}", lines.join(end)));
        dns.parse_resolv_conf(EventDnsBase::OPTIONS_ALL, path)
            .unwrap();
        found(&base, &dns, "a.host", ipv4()).unwrap_err();
        let names = server.asked().into_iter().map(|(name, _)| name);
        assert_eq!(names.collect::<Vec<_>>(), ["a.host.one.example", "a.host"]);
    }
}

#[test]
fn a_file_of_utf_16_is_refused_with_the_cause() {
    let base = EventBase::new().unwrap();
    let dns = new_dns(&base);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    let text = "nameserver 192.0.2.1\n";
    let little = text.encode_utf16().flat_map(u16::to_le_bytes);
    let big = text.encode_utf16().flat_map(u16::to_be_bytes);
    for bytes in [
        [0xff, 0xfe].into_iter().chain(little).collect::<Vec<_>>(),
        [0xfe, 0xff].into_iter().chain(big).collect(),
    ] {
        fs::write(&path, bytes).unwrap();
        refused(dns.load_hosts(&path), LOAD, "UTF-16");
        let parsed = dns.parse_resolv_conf(EventDnsBase::OPTIONS_ALL, &path);
        refused(parsed, PARSE, "UTF-16");
    }
}

#[test]
fn a_zone_of_a_hosts_file_comes_with_the_address() {
    let base = EventBase::new().unwrap();
    let dns = new_dns(&base);
    let (_directory, path) = file("fe80::7%lo printer");
    dns.load_hosts(path).unwrap();
    let lo = nix::net::if_::if_nametoindex("lo").unwrap();
    for host in ["printer", "fe80::7%lo", "[fe80::7%lo]"] {
        assert_eq!(
            found(&base, &dns, host, of(AddressFamily::UNSPEC)),
            Ok(ips(&["fe80::7"]))
        );
        let told = Rc::new(RefCell::new(None));
        let note = told.clone();
        let lookup = dns.resolve_port(host, 80, LookupOptions::new(), move |found| {
            note.replace(Some(found));
        });
        run(&base);
        let expected = format!("[fe80::7%{lo}]:80").parse().unwrap();
        assert_eq!(told.take(), Some(Ok(vec![expected])), "{host}");
        drop(lookup);
    }
}

/// A path that has the DNS base read another file when it is asked for, once.
struct Reading<'a> {
    dns: &'a EventDnsBase,
    other: &'a Path,
    path: &'a Path,
    asked: Cell<bool>,
}

impl AsRef<Path> for Reading<'_> {
    fn as_ref(&self) -> &Path {
        assert!(!self.asked.replace(true), "asked twice");
        self.dns.load_hosts(self.other).unwrap();
        self.dns.clear_search().unwrap();
        self.path
    }
}

#[test]
fn a_path_may_use_the_dns_base_when_it_is_asked_for() {
    let base = EventBase::new().unwrap();
    let dns = new_dns(&base);
    let (_one, first) = file("192.0.2.1 one\n");
    let (_two, second) = file("192.0.2.2 two\n");
    let (_three, third) = file("192.0.2.3 three\n");
    let (_four, resolv_conf) = file("nameserver 192.0.2.4\n");
    let reading = |other, path| Reading {
        dns: &dns,
        other,
        path,
        asked: Cell::new(false),
    };
    dns.load_hosts(reading(&first, &second)).unwrap();
    let path = reading(&third, &resolv_conf);
    dns.parse_resolv_conf(EventDnsBase::OPTIONS_ALL, path)
        .unwrap();
    assert_eq!(dns.count_nameservers(), 1);
    for (name, address) in [
        ("one", "192.0.2.1"),
        ("two", "192.0.2.2"),
        ("three", "192.0.2.3"),
    ] {
        let options = LookupOptions::default();
        assert_eq!(found(&base, &dns, name, options), Ok(ips(&[address])));
    }
}

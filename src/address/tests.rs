use super::*;

fn address(text: &str) -> Address {
    text.parse().unwrap_or_else(|error| panic!("{error}"))
}

fn ip(text: &str) -> Address {
    Address::Ip(text.parse().unwrap())
}

fn name(host: &str, port: u16) -> Address {
    let host = host.to_owned();
    Address::Name { host, port }
}

#[track_caller]
fn refused(text: &str, reason: &str) {
    let error = text.parse::<Address>().expect_err(text);
    assert!(error.reason().contains(reason), "{error}");
    assert_eq!(error.to_string(), format!("{text:?}: {}", error.reason()));
}

#[test]
fn every_form_is_read_and_written_back() {
    let cases = [
        ("127.0.0.1:80", ip("127.0.0.1:80"), "127.0.0.1:80"),
        ("tcp://127.0.0.1:0", ip("127.0.0.1:0"), "127.0.0.1:0"),
        ("TCP://[::1]:65535", ip("[::1]:65535"), "[::1]:65535"),
        (
            "[::ffff:1.2.3.4]:1",
            ip("[::ffff:1.2.3.4]:1"),
            "[::ffff:1.2.3.4]:1",
        ),
        ("127.0.0.1:00080", ip("127.0.0.1:80"), "127.0.0.1:80"),
        ("localhost:80", name("localhost", 80), "localhost:80"),
        (
            "tcp://a.b_c-d.example.:80",
            name("a.b_c-d.example", 80),
            "a.b_c-d.example:80",
        ),
        ("unix:/run/a", Address::Path("/run/a".into()), "unix:/run/a"),
        (
            "unix:///run/a",
            Address::Path("/run/a".into()),
            "unix:/run/a",
        ),
        ("UNIX:a b", Address::Path("a b".into()), "unix:a b"),
        ("unix:./@a", Address::Path("./@a".into()), "unix:./@a"),
        ("unix:@a", Address::Abstract((*b"a").into()), "unix:@a"),
        (
            "unix://\0a\0b",
            Address::Abstract((*b"a\0b").into()),
            "unix:@a\0b",
        ),
    ];
    for (text, expected, written) in cases {
        assert_eq!(address(text), expected, "{text:?}");
        assert_eq!(expected.to_string(), written);
        assert_eq!(address(written), expected);
    }
}

#[test]
fn a_zone_is_an_interface_by_name_or_number() {
    let lo = if_nametoindex_of_lo();
    let expected = Address::Ip(format!("[fe80::1%{lo}]:80").parse().unwrap());
    for text in [
        "[fe80::1%lo]:80".to_owned(),
        format!("tcp://[fe80::1%{lo}]:80"),
    ] {
        let read = address(&text);
        assert_eq!(read, expected);
        assert_eq!(address(&read.to_string()), read);
    }
    assert!(matches!(address("[ff02::1%lo]:80"), Address::Ip(_)));
    refused("[fe80::1%nonesuch0]:80", "no interface \"nonesuch0\"");
    refused("[fe80::1%]:80", "no interface \"\"");
    refused("[fe80::1%0]:80", "no interface \"0\"");
    refused("[::1%lo]:80", "::1 has no zone");
    refused("127.0.0.1%lo:80", "an IPv4 address has no zone");
}

fn if_nametoindex_of_lo() -> u32 {
    nix::net::if_::if_nametoindex("lo").unwrap()
}

#[test]
fn what_is_no_address_is_refused_with_what_to_write() {
    for (text, reason) in [
        ("", "no port; give HOST:PORT"),
        ("80", "no port; give HOST:PORT"),
        ("127.0.0.1", "no port; give HOST:PORT"),
        ("unix", "no port; give HOST:PORT"),
        ("[::1]", "no port; write [::1]:80"),
        ("[::1", "only a whole IPv6 address goes into brackets"),
        ("[::1]80", "\"80\" follows the bracket"),
        ("::1", "needs brackets"),
        ("::1:80", "needs brackets"),
        ("1:2:80", "needs brackets"),
        (
            "127.0.0.1:",
            "the port \"\" is not a number from 0 to 65535",
        ),
        ("127.0.0.1:65536", "the port \"65536\" is not a number"),
        ("127.0.0.1:-1", "the port \"-1\" is not a number"),
        ("127.0.0.1:+80", "the port \"+80\" is not a number"),
        ("127.0.0.1:http", "the port \"http\" is not a number"),
        ("127.0.0.1:80 ", "the port \"80 \" is not a number"),
        (
            ":80",
            "no host; to listen on every interface write 0.0.0.0:80 or [::]:80",
        ),
        (
            "*:80",
            "no host; to listen on every interface write 0.0.0.0:80 or [::]:80",
        ),
        ("[]:80", "only a whole IPv6 address goes into brackets"),
        (
            "[127.0.0.1]:80",
            "only a whole IPv6 address goes into brackets",
        ),
        (
            "[localhost]:80",
            "only a whole IPv6 address goes into brackets",
        ),
        ("[::1::]:80", "it is no IPv6 address"),
        (
            "udp://127.0.0.1:80",
            "the scheme is not supported; give tcp:// or unix://",
        ),
        ("tcp://tcp://a:80", "the scheme is not supported"),
        ("a b:80", "' ' cannot be part of a host name"),
        ("a\0b:80", "'\\0' cannot be part of a host name"),
        ("bücher.example:80", "xn-- form"),
        ("a..b:80", "text before and between its dots"),
        (".:80", "the host name is empty"),
        ("unix:", "the path is empty"),
        ("unix://", "the path is empty"),
        ("unix:@", "a name must follow the @"),
        ("unix:/a\0b", "holds a NUL"),
    ] {
        refused(text, reason);
    }
}

#[test]
fn a_unix_path_may_have_107_bytes_and_not_one_more() {
    let longest = format!("unix:/{}", "p".repeat(106));
    address(&longest);
    refused(
        &format!("{longest}p"),
        "a path of 108 bytes is longer than the system allows",
    );
    let longest = format!("unix:@{}", "n".repeat(107));
    address(&longest);
    refused(&format!("{longest}n"), "longer than the system allows");
}

#[test]
fn a_name_has_every_address_of_it_once() {
    let addresses = address("localhost:80").resolve().unwrap();
    assert!(addresses.contains(&ip("127.0.0.1:80")), "{addresses:?}");
    for (n, one) in addresses.iter().enumerate() {
        assert!(!addresses[..n].contains(one), "{addresses:?}");
    }
    for whole in ["[::1]:80", "unix:/run/a", "unix:@a"] {
        assert_eq!(address(whole).resolve().unwrap(), [address(whole)]);
    }
    let error = address("nonesuch.invalid:80").resolve().unwrap_err();
    assert!(
        error.to_string().starts_with("nonesuch.invalid:80: "),
        "{error}"
    );
}

mod hosts {
    use std::net::SocketAddr;

    use super::super::host::{Host, LABEL_MAX, NAME_MAX};

    /// The IP address as text: with its zone, without a port and brackets.
    fn ip_text(address: &SocketAddr) -> String {
        match address {
            SocketAddr::V6(v6) if v6.scope_id() != 0 => format!("{}%{}", v6.ip(), v6.scope_id()),
            _ => address.ip().to_string(),
        }
    }

    fn name(host: &str) -> (String, bool) {
        match Host::parse(host) {
            Ok(Host::Name { text, absolute }) => (text, absolute),
            other => panic!("{host:?}: {other:?}"),
        }
    }

    #[track_caller]
    fn refused(host: &str, reason: &str) {
        let error = Host::parse(host).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }

    #[test]
    fn an_address_is_read_with_and_without_brackets() {
        let lo = super::if_nametoindex_of_lo();
        for (text, expected) in [
            ("127.0.0.1", "127.0.0.1".to_owned()),
            ("255.255.255.255", "255.255.255.255".to_owned()),
            ("::1", "::1".to_owned()),
            ("[2001:db8::7]", "2001:db8::7".to_owned()),
            ("::ffff:1.2.3.4", "::ffff:1.2.3.4".to_owned()),
            ("fe80::1%lo", format!("fe80::1%{lo}")),
            ("[fe80::1%lo]", format!("fe80::1%{lo}")),
        ] {
            match Host::parse(text) {
                Ok(Host::Ip(ip)) => assert_eq!(ip_text(&ip), expected),
                other => panic!("{text:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_name_is_taken_as_it_is_and_its_last_dot_makes_it_absolute() {
        for host in [
            "a",
            "a.b-c.example",
            "_sip._tcp.example",
            "1.2.3",
            "xn--bcher-kva.example",
        ] {
            assert_eq!(name(host), (host.to_owned(), false));
            assert_eq!(name(&format!("{host}.")), (host.to_owned(), true));
        }
    }

    #[test]
    fn lengths_are_allowed_up_to_the_limit_and_not_one_past_it() {
        let label = "a".repeat(LABEL_MAX);
        assert_eq!(name(&label).0, label);
        refused(&format!("{label}a"), "64 bytes is longer than 63");
        let longest = format!("{label}.{label}.{label}.{}", "b".repeat(NAME_MAX - 3 * 64));
        assert_eq!(longest.len(), NAME_MAX);
        assert_eq!(name(&longest), (longest.clone(), false));
        assert_eq!(name(&format!("{longest}.")), (longest.clone(), true));
        refused(&format!("{longest}c"), "254 bytes is longer than 253");
    }

    #[test]
    fn what_can_be_no_host_is_refused_with_its_reason() {
        refused("", "is empty");
        refused(".", "is empty");
        refused("a..b", "before and between its dots");
        refused(".a", "before and between its dots");
        refused("a..", "before and between its dots");
        refused("[::1", "brackets");
        refused("[a]", "brackets");
        refused("bücher.example", "xn-- form");
        refused("a:80", "without a port");
        refused("::1%lo", "has no zone");
        for odd in ["a b", "a\r\nb", "a/b", "a\0b", "*.a", "a@b", "a%lo"] {
            refused(odd, "cannot be part of a host name");
        }
    }
}

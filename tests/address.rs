//! One parser for addresses: every call that takes one reads it the same way.

use std::fs;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::time::Duration;

use php_event::stream::{
    StreamContext, stream_socket_accept, stream_socket_client, stream_socket_get_name,
    stream_socket_server,
};
use php_event::{
    Address, AddressFamily, BufferEventOptions, Error, EventBase, EventBufferEvent, EventDnsBase,
    EventHttp, EventHttpConnection, EventListener, ListenerFlags, LookupOptions, Result,
};

/// What each call that takes an address says of `ip`, and with brackets and a port.
fn calls(ip: &str) -> [(&'static str, Result<()>); 9] {
    let base = EventBase::new().unwrap();
    let dns = EventDnsBase::new(&base, EventDnsBase::DISABLE_WHEN_INACTIVE).unwrap();
    let with_port = |port: u16| format!("[{ip}]:{port}");
    let bev = || EventBufferEvent::unconnected(&base, BufferEventOptions::empty()).unwrap();
    let (context, flags) = (StreamContext::default(), ListenerFlags::empty());
    let listener = EventListener::new(&base, |_, _, _| {}, flags, -1, with_port(0));
    let server = stream_socket_server(&with_port(0), &context);
    let client = stream_socket_client(&with_port(9), Duration::from_millis(1), &context);
    let lookup = dns.resolve(ip, LookupOptions::default(), |_| {});
    [
        ("EventListener::new", listener.map(drop)),
        ("stream_socket_server", server.map(drop)),
        ("stream_socket_client", client.map(drop)),
        ("EventBufferEvent::connect", bev().connect(&with_port(9))),
        (
            "EventBufferEvent::connect_host",
            bev().connect_host(None, ip, 9, AddressFamily::UNSPEC),
        ),
        ("EventDnsBase::resolve", lookup.map(drop)),
        (
            "EventDnsBase::add_nameserver_ip",
            dns.add_nameserver_ip(&with_port(53)),
        ),
        (
            "EventHttp::bind",
            EventHttp::new(&base).unwrap().bind(ip, 0).map(drop),
        ),
        (
            "EventHttpConnection::new",
            EventHttpConnection::new(&base, None, ip, 9).map(drop),
        ),
    ]
}

#[test]
fn a_zone_is_taken_by_name_and_by_number_everywhere() {
    for ip in ["fe80::1%lo", "fe80::1%1"] {
        for (call, result) in calls(ip) {
            let refused = matches!(result, Err(Error::Argument { .. } | Error::Call { .. }));
            assert!(!refused, "{call}: {ip}: {result:?}");
        }
    }
}

#[test]
fn an_interface_that_is_not_there_is_named_everywhere() {
    for (call, result) in calls("fe80::1%nonesuch0") {
        let error = result.expect_err(call);
        assert!(matches!(error, Error::Argument { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains("no interface \"nonesuch0\""), "{text}");
    }
}

#[test]
fn a_link_local_address_without_a_zone_is_refused_with_the_remedy() {
    let base = EventBase::new().unwrap();
    let context = StreamContext::default();
    let flags = ListenerFlags::empty();
    let bev = EventBufferEvent::unconnected(&base, BufferEventOptions::empty()).unwrap();
    let text = "[fe80::1]:9";
    for error in [
        EventListener::new(&base, |_, _, _| {}, flags, -1, text).unwrap_err(),
        stream_socket_server(text, &context).unwrap_err(),
        stream_socket_client(text, Duration::from_millis(1), &context).unwrap_err(),
        bev.connect(text).unwrap_err(),
        EventHttp::new(&base)
            .unwrap()
            .bind("fe80::1", 9)
            .unwrap_err(),
    ] {
        assert!(error.to_string().contains("fe80::1%eth0"), "{error}");
    }
}

/// Where an interface has a link-local address, as most do.
#[test]
fn a_link_local_address_of_this_machine_serves_a_connection() {
    let Some((ip, interface)) = link_local() else {
        return;
    };
    let context = StreamContext::default();
    let server = stream_socket_server(&format!("[{ip}%{interface}]:0"), &context).unwrap();
    let name = stream_socket_get_name(&server, false).unwrap();
    let Address::Ip(std::net::SocketAddr::V6(address)) = name.parse().unwrap() else {
        panic!("{name}")
    };
    assert_eq!(*address.ip(), ip);
    assert_ne!(SocketAddrV6::scope_id(&address), 0);
    let client = stream_socket_client(&name, Duration::from_secs(5), &context).unwrap();
    let _accepted = stream_socket_accept(&server, Duration::from_secs(5)).unwrap();
    drop(client);
}

fn link_local() -> Option<(Ipv6Addr, String)> {
    let table = fs::read_to_string("/proc/net/if_inet6").ok()?;
    table.lines().find_map(|line| {
        let fields = line.split_whitespace().collect::<Vec<_>>();
        let ip = Ipv6Addr::from(u128::from_str_radix(fields[0], 16).ok()?);
        ip.is_unicast_link_local()
            .then(|| (ip, fields[5].to_owned()))
    })
}

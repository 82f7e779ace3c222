//! Hubs that share a store in Redis.

use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use test_support::tls::{Authority, Folder};

use super::redis::{FLEETING, LASTING, Link, Redis};
use super::support::{
    PATH, Publisher, Subscriber, arguments, ask, bearer, expect, expect_long_history, full_token,
    get, open_hub, post, publish, token,
};
use super::support_broadcast::{Trace, traced};
use super::support_http::{Client, Server, output, until};
use super::websocket::Socket;
use super::workers::{expect_one_order, read, spread};
use test_support::websocket::TEXT;

/// A hub with that store, which it has reached.
#[track_caller]
pub(crate) fn hub_on(url: &str, options: &[&str]) -> Server {
    let store = ["--store", url, "--store-timeout", "500ms"];
    let hub = open_hub(&[&store, options].concat());
    until_ready(&hub);
    hub
}

#[track_caller]
pub(crate) fn until_ready(hub: &Server) {
    until("the store is there", || {
        (readiness(hub) == 200).then_some(())
    });
}

#[track_caller]
pub(crate) fn readiness(hub: &Server) -> u16 {
    ask(hub, &get("/readyz", "")).status
}

#[test]
fn two_hubs_pass_on_the_same_updates_in_the_same_order() {
    let redis = Redis::fleeting();
    let hubs = [(); 2].map(|()| hub_on(&redis.url(), &[]));
    let mut subscribers = hubs.each_ref().map(|hub| Subscriber::to(hub, "topic=a"));
    expect_one_order(&hubs, &mut subscribers);
}

#[test]
fn a_subscriber_resumes_at_another_hub_where_it_left_the_first() {
    let redis = Redis::fleeting();
    let first = hub_on(&redis.url(), &[]);
    let second = hub_on(&redis.url(), &[]);
    let mut subscriber = Subscriber::to(&first, "topic=a");
    publish(&first, 0..3);
    expect(&mut subscriber, 0..3);
    drop(subscriber);
    publish(&second, 3..6);
    drop(first);
    for (query, lines, anchor, begin) in [
        ("topic=a", "Last-Event-ID: 2\r\n", "2", 3),
        ("topic=a&lastEventID=5", "", "5", 6),
        ("topic=a&lastEventID=earliest", "", "earliest", 0),
        ("topic=a&lastEventID=unknown", "", "earliest", 0),
    ] {
        let mut again = Subscriber::with(&second, query, lines);
        assert_eq!(again.head.field("Last-Event-ID"), Some(anchor), "{query}");
        expect(&mut again, begin..6);
        again.expect_silence();
    }
    let third = hub_on(&redis.url(), &[]); // it was not there when they were published
    let mut again = Subscriber::to(&third, "topic=a&lastEventID=1");
    assert_eq!(again.head.field("Last-Event-ID"), Some("1"));
    expect(&mut again, 2..6);
    publish(&second, 6..8);
    expect(&mut again, 6..8);
    again.expect_silence();
}

#[test]
fn a_private_update_of_another_hub_needs_a_token_too() {
    let redis = Redis::fleeting();
    let publishing = hub_on(&redis.url(), &[]);
    let hub = hub_on(&redis.url(), &[]);
    let lines = bearer(&token(&[], &["a"]));
    let mut anonymous = Subscriber::to(&hub, "topic=a");
    let mut entitled = Subscriber::with(&hub, "topic=a", &lines);
    let mut publisher = Publisher::connect(&publishing);
    let secret = [
        ("topic", "a"),
        ("id", "1"),
        ("data", "secret"),
        ("private", ""),
    ];
    publisher.publish(&secret);
    publisher.publish(&[("topic", "a"), ("id", "2"), ("data", "public")]);
    let mut replayed = Subscriber::to(&hub, "topic=a&lastEventID=earliest");
    let mut entitled_too = Subscriber::with(&hub, "topic=a&lastEventID=earliest", &lines);
    for subscriber in [&mut entitled, &mut entitled_too] {
        subscriber.expect_update("1", "secret");
        subscriber.expect_update("2", "public");
        subscriber.expect_silence();
    }
    for subscriber in [&mut anonymous, &mut replayed] {
        subscriber.expect_update("2", "public");
        subscriber.expect_silence();
    }
}

#[test]
fn each_worker_follows_the_store_by_itself() {
    let redis = Redis::fleeting();
    let hub = hub_on(&redis.url(), &["--workers", "2"]);
    let other = hub_on(&redis.url(), &[]);
    let mut subscribers = spread(&hub, 2, "topic=a");
    publish(&hub, 0..20);
    publish(&other, 20..40);
    for subscriber in &mut subscribers {
        expect(subscriber, 0..40);
        subscriber.expect_silence();
    }
}

#[test]
fn a_long_history_in_the_store_and_what_is_published_meanwhile_arrive_once_and_in_order() {
    let redis = Redis::fleeting();
    let hub = hub_on(&redis.url(), &["--max-queue", "64KiB"]);
    expect_long_history(&hub, 700); // many pages
}

/// How many bytes the server has sent since it has started.
fn bytes_sent(redis: &Redis) -> usize {
    let stats = redis.ask("INFO stats");
    let (_, count) = stats.split_once("total_net_output_bytes:").unwrap();
    count.lines().next().unwrap().parse().unwrap()
}

#[test]
fn long_updates_of_the_history_are_not_read_again_and_again() {
    const COUNT: usize = 40;
    const LENGTH: usize = 200_000;
    let redis = Redis::fleeting();
    let hub = hub_on(&redis.url(), &["--max-queue", "1MiB"]);
    let mut publisher = Publisher::connect(&hub);
    let data = "x".repeat(LENGTH);
    for n in 0..COUNT {
        publisher.publish(&[("topic", "a"), ("id", &n.to_string()), ("data", &data)]);
    }
    let before = bytes_sent(&redis);
    let mut subscriber = Subscriber::to(&hub, "topic=a&lastEventID=earliest");
    for n in 0..COUNT {
        subscriber.expect_update(&n.to_string(), &data);
    }
    let read = bytes_sent(&redis) - before;
    assert!(read < 2 * COUNT * LENGTH, "{read} bytes");
}

#[test]
fn few_pages_of_the_history_are_requested_before_the_first_arrives() {
    const SUBSCRIBERS: usize = 20;
    const PAGES: usize = 4; // under way
    let (redis, trace) = (Redis::fleeting(), Trace::new());
    let url = redis.url();
    let options = ["--anonymous", "--store", &url, "--store-timeout", "60s"];
    let strace = ["-e", "trace=network,write,writev", "-s", "1000"];
    let hub = Server::run(traced(&strace, &trace.file(), arguments(&options)));
    publish(&hub, 0..3);
    redis.pause();
    let query = |n: usize| format!("{PATH}?topic=a&topic=reader-{n}&lastEventID=earliest");
    let readers = (0..SUBSCRIBERS).map(|n| {
        let mut client = hub.connect();
        client.send(get(&query(n), ""));
        trace.between("data=0", &query(n)); // the hub has read it
        client
    });
    let readers: Vec<Client> = readers.collect();
    let calls = trace.between(&query(0), &query(SUBSCRIBERS - 1));
    let requested = calls.iter().map(|call| call.matches("XRANGE").count());
    assert_eq!(requested.sum::<usize>(), PAGES, "{calls:#?}");
    redis.resume();
    for mut client in readers {
        assert_eq!(client.answer_to_head().status, 200);
        for n in 0..3 {
            let event = format!("id: {n}\ndata: {n}\n\n");
            assert_eq!(client.take_exactly(event.len()), event.as_bytes());
        }
    }
}

#[test]
fn what_the_stream_no_longer_keeps_is_gone_and_the_head_says_so() {
    let redis = Redis::fleeting();
    let hub = hub_on(&redis.url(), &["--history", "10"]);
    let mut publisher = Publisher::connect(&hub);
    for start in (0..1500).step_by(100) {
        let requests: String = (start..start + 100)
            .map(|n: u32| {
                let text = n.to_string();
                publisher.request(&[("topic", "a"), ("id", &text), ("data", &text)])
            })
            .collect();
        publisher.client.send(requests);
        (0..100).for_each(|_| drop(publisher.published()));
    }
    for hub in [&hub, &hub_on(&redis.url(), &[])] {
        let mut subscriber = Subscriber::to(hub, "topic=a&lastEventID=3");
        assert_eq!(subscriber.head.field("Last-Event-ID"), Some("earliest"));
        let first: u32 = read(&mut subscriber, 1)[0].parse().unwrap();
        assert!(
            (1..=500).contains(&first),
            "about 1000 are kept, from {first}"
        );
        expect(&mut subscriber, first + 1..1500);
        let mut subscriber = Subscriber::to(hub, "topic=a&lastEventID=1400");
        assert_eq!(subscriber.head.field("Last-Event-ID"), Some("1400"));
        expect(&mut subscriber, 1401..1500);
        subscriber.expect_silence();
    }
}

#[test]
fn a_hub_starts_where_hundreds_of_entries_of_the_stream_are_no_updates() {
    let redis = Redis::fleeting();
    let script = "for n = 1, 600 do redis.call('XADD', 'own:updates', '*', 'n', n) end return 1";
    let answer = redis.ask(&format!("EVAL \"{script}\" 0"));
    assert_eq!(answer, ":1\r\n");
    let hub = hub_on(&format!("{}?prefix=own:", redis.url()), &[]);
    publish(&hub, 0..3);
    let mut subscriber = Subscriber::to(&hub, "topic=a&lastEventID=earliest");
    expect(&mut subscriber, 0..3);
}

#[test]
fn an_entry_whose_update_cannot_be_read_costs_nobody_another_update() {
    let redis = Redis::fleeting();
    let hub = hub_on(&redis.url(), &[]);
    let mut live = Subscriber::to(&hub, "topic=a");
    publish(&hub, 0..1);
    // As a later version of the hub might write it.
    let added = redis.ask("XADD event-httpd:updates * id x update \"\\xff\"");
    assert!(added.starts_with('$'), "{added}");
    publish(&hub, 1..2);
    let mut replayed = Subscriber::to(&hub, "topic=a&lastEventID=earliest");
    publish(&hub, 2..4);
    for subscriber in [&mut live, &mut replayed] {
        expect(subscriber, 0..4);
        subscriber.expect_silence();
    }
    hub.line("unknown update");
}

#[test]
fn the_history_of_a_store_on_disk_outlives_hub_and_store() {
    let mut redis = Redis::start(&LASTING);
    let hub = hub_on(&redis.url(), &[]);
    publish(&hub, 0..5);
    assert!(hub.stop().0.success());
    redis.kill();
    redis.restart();
    let hub = hub_on(&redis.url(), &[]);
    let mut subscriber = Subscriber::to(&hub, "topic=a&lastEventID=1");
    assert_eq!(subscriber.head.field("Last-Event-ID"), Some("1"));
    expect(&mut subscriber, 2..5);
}

#[test]
fn a_reader_that_stalls_on_another_hub_is_cut_off_and_nobody_waits_for_it() {
    let redis = Redis::fleeting();
    let publishing = hub_on(&redis.url(), &[]);
    let hub = hub_on(&redis.url(), &["--max-queue", "256KiB"]);
    let mut healthy = Subscriber::to(&hub, "topic=a");
    let stalled = Subscriber::to(&hub, "topic=a");
    let filler = "x".repeat(100_000);
    let mut publisher = Publisher::connect(&publishing);
    let is_cut_off = || {
        let mut log = hub.log().into_iter();
        log.any(|line| line.contains("lags past --max-queue"))
    };
    let mut count = 0;
    while !is_cut_off() {
        assert!(count < 1000, "it is not cut off");
        let id = count.to_string();
        publisher.publish(&[("topic", "a"), ("id", &id), ("data", &filler)]);
        healthy.expect_update(&id, &filler);
        count += 1;
    }
    drop(stalled);
    let mut again = Subscriber::to(&publishing, "topic=a&lastEventID=0");
    for n in 1..count {
        again.expect_update(&n.to_string(), &filler);
    }
}

#[test]
fn hubs_with_other_databases_or_prefixes_do_not_see_each_other() {
    let options = [
        &FLEETING[..],
        &["--user", "hub", "on", ">p@ss", "~*", "+@all"],
    ]
    .concat();
    let redis = Redis::start(&options);
    let url = redis.url();
    let urls = [
        url.clone(),
        format!("{url}?db=1&user=hub&pass=p%40ss"),
        format!("{url}?prefix=mine:"),
    ];
    let hubs = urls.each_ref().map(|url| hub_on(url, &[]));
    let mut subscribers = hubs.each_ref().map(|hub| Subscriber::to(hub, "topic=a"));
    for (number, hub) in (0..).zip(&hubs) {
        publish(hub, number..number + 1);
    }
    for (number, subscriber) in (0..).zip(&mut subscribers) {
        expect(subscriber, number..number + 1);
        subscriber.expect_silence();
    }
    assert!(redis.ask("KEYS *").contains("mine:updates"));
}

#[test]
fn a_wrong_password_or_database_is_logged_without_the_password_and_the_hub_is_not_ready() {
    let redis = Redis::start(&[&FLEETING[..], &["--requirepass", "right"]].concat());
    let url = redis.url();
    for (url, reason) in [
        (format!("{url}?pass=hidden"), "WRONGPASS"),
        (url.clone(), "NOAUTH"),
        (
            format!("{url}?pass=right&db=9999"),
            "DB index is out of range",
        ),
        ("redis://nobody.invalid".to_owned(), "name"),
        ("redis://[fe80::1%25nonesuch]".to_owned(), "no interface"),
        ("unix:/nonesuch".to_owned(), "No such file"),
    ] {
        let hub = open_hub(&["--store", &url, "--store-timeout", "500ms"]);
        let line = hub.line("is unavailable: ");
        assert!(line.contains(reason), "{line}");
        assert_eq!(readiness(&hub), 503);
        let refused = ask(&hub, &post("topic=a", &bearer(&full_token())));
        assert_eq!(refused.status, 503, "{refused:?}");
        assert!(refused.field("Retry-After").is_some(), "{refused:?}");
        assert!(!hub.log().concat().contains("hidden"));
    }
    let hub = hub_on(&format!("{url}?pass=right"), &[]);
    publish(&hub, 0..1);
}

#[test]
fn a_user_without_a_password_is_logged_in() {
    let redis = Redis::fleeting();
    let rights = "~* +@all";
    redis.ask(&format!("ACL SETUSER open on nopass {rights}"));
    redis.ask(&format!("ACL SETUSER closed on >secret {rights}"));
    let as_user = |user: &str| format!("{}?user={user}", redis.url());
    let hub = hub_on(&as_user("open"), &[]);
    publish(&hub, 0..1);
    let clients = redis.ask("CLIENT LIST");
    assert!(clients.contains("user=open"), "{clients}");
    let refused = open_hub(&["--store", &as_user("closed")]);
    assert!(refused.line("is unavailable: ").contains("WRONGPASS"));
}

#[test]
fn a_websocket_receives_from_and_publishes_to_other_hubs() {
    let redis = Redis::fleeting();
    let hubs = [(); 2].map(|()| hub_on(&redis.url(), &[]));
    let mut subscriber = Subscriber::to(&hubs[1], "topic=a");
    let mut socket = Socket::open(&hubs[0], "topic=a", &bearer(&full_token()));
    let json = |socket: &mut Socket| {
        let (opcode, text) = socket.frame();
        assert_eq!(opcode, TEXT);
        serde_json::from_slice::<Value>(&text).unwrap()
    };
    publish(&hubs[1], 1..2);
    let expected = json!({ "id": "1", "topics": ["a"], "data": "1" });
    assert_eq!(json(&mut socket), expected);
    socket.send(TEXT, br#"{"topics":["a"],"id":"2","data":"2"}"#);
    let mut got = [json(&mut socket), json(&mut socket)];
    got.sort_by_key(|one| one.get("published").is_some());
    let expected = json!({ "id": "2", "topics": ["a"], "data": "2" });
    assert_eq!(got, [expected, json!({ "published": "2" })]);
    expect(&mut subscriber, 1..3);
}

#[test]
fn a_store_with_tls_must_have_a_certificate_that_the_hub_trusts() {
    let (folder, authority) = (Folder::new(), Authority::new());
    let trusted = authority.save(&folder, "authority");
    let other = Authority::new().save(&folder, "other");
    let server = authority
        .sign(&["127.0.0.1", "localhost"])
        .save(&folder, "server");
    let client = authority.sign(&[]).save(&folder, "client");
    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let port = port.to_string();
    let text = |path: &std::path::PathBuf| path.to_str().unwrap().to_owned();
    let (server_cert, server_key) = (text(&server.cert), text(&server.key));
    let (trusted, other) = (text(&trusted), text(&other));
    let (cert, key) = (text(&client.cert), text(&client.key));
    let options = [
        &FLEETING[..],
        &["--tls-port", &port, "--tls-auth-clients", "yes"],
        &[
            "--tls-cert-file",
            &server_cert,
            "--tls-key-file",
            &server_key,
        ],
        &["--tls-ca-cert-file", &trusted],
    ];
    let redis = Redis::start(&options.concat());
    let own = ["--store-cert-file", &cert, "--store-key-file", &key];
    let with = |authority| [&["--store-ca-file", authority], &own[..]].concat();
    for host in ["127.0.0.1", "localhost"] {
        let hub = hub_on(&format!("rediss://{host}:{port}"), &with(&trusted));
        let plain = hub_on(&redis.url(), &[]);
        let mut subscriber = Subscriber::to(&hub, "topic=a");
        publish(&plain, 0..2);
        publish(&hub, 2..4);
        expect(&mut subscriber, 0..4);
    }
    let url = format!("rediss://127.0.0.1:{port}");
    for options in [
        &with(&other)[..],
        &own, // the system's authorities do not know ours
        &["--store-ca-file", &trusted],
    ] {
        let store = ["--store", &url, "--store-timeout", "500ms"];
        let hub = open_hub(&[&store, options].concat());
        hub.line("certificate"); // what the server says may come behind its reset
    }
}

#[test]
fn the_script_that_starts_two_hubs_shows_a_message_crossing() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/two-hubs.sh");
    let mut command = Command::new("sh");
    command.args([script, env!("CARGO_BIN_EXE_event-httpd")]);
    let output = output(command);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(text.ends_with("data: hello from hub 1\n"), "{text}");
}

#[test]
fn a_subscriber_that_is_ahead_of_its_hub_resumes_where_it_was() {
    let redis = Redis::fleeting();
    let link = Link::to(&redis);
    let other = hub_on(&redis.url(), &[]);
    // Its reader may be slow for longer than the test takes.
    let hub = open_hub(&["--store", &link.url(), "--store-timeout", "60s"]);
    until_ready(&hub);
    publish(&hub, 0..2);
    let mut live = Subscriber::to(&hub, "topic=a");
    until("both readers wait for the next update", || {
        let clients = redis.ask("CLIENT LIST");
        (clients.matches("flags=b").count() == 2).then_some(())
    });
    link.hold_replies_to("XREAD");
    publish(&other, 2..3); // answers the XREAD that was sent before
    expect(&mut live, 2..3);
    publish(&other, 3..6);
    let ahead = |last: u32| {
        let mut client = hub.connect();
        let lines = format!("Last-Event-ID: {last}\r\n");
        client.send(get(&format!("{PATH}?topic=a"), &lines));
        client
    };
    let mut waiting = [3, 4, 5].map(ahead);
    for client in &mut waiting {
        client.expect_silence(Duration::from_millis(100));
    }
    link.mend();
    publish(&other, 6..8);
    for (mut client, last) in waiting.into_iter().zip(3..) {
        let head = client.answer_to_head();
        assert_eq!(head.field("Last-Event-ID"), Some(&*last.to_string()));
        let mut subscriber = Subscriber { client, head };
        expect(&mut subscriber, last + 1..8);
        subscriber.expect_silence();
    }
    expect(&mut live, 3..8);
}

//! The store in Redis is killed, paused, cut off, or comes back with less than it had.

use std::ops::Range;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::redis::{FLEETING, LASTING, Link, Redis};
use super::store::{hub_on, readiness, until_ready};
use super::support::{
    Publisher, Subscriber, ask, bearer, expect, full_token, open_hub, post, publish,
};
use super::support_broadcast::{counter, sockets, stop};
use super::support_http::{Response, Server, until};
use super::workers::read;

/// The answer to an attempt to publish.
pub(crate) fn attempt(hub: &Server, id: &str) -> Response {
    let body = format!("topic=a&id={id}&data={id}");
    ask(hub, &post(&body, &bearer(&full_token())))
}

#[track_caller]
fn expect_refusal(hub: &Server) {
    let refused = attempt(hub, "refused");
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(refused.field("Retry-After").is_some(), "{refused:?}");
}

#[track_caller]
pub(crate) fn until_away(hub: &Server) {
    until("the store is unavailable", || {
        (readiness(hub) == 503).then_some(())
    });
}

/// Publishes updates whose ids and data are the numbers, a hundred at a time.
fn publish_pipelined(hub: &Server, range: Range<u32>) {
    let mut publisher = Publisher::connect(hub);
    for start in range.step_by(100) {
        let request = |n: u32| {
            let text = n.to_string();
            publisher.request(&[("topic", "a"), ("id", &text), ("data", &text)])
        };
        let requests: String = (start..start + 100).map(request).collect();
        publisher.client.send(requests);
        (0..100).for_each(|_| drop(publisher.published()));
    }
}

#[test]
fn while_the_store_is_away_subscribers_stay_and_publishers_get_503() {
    let mut redis = Redis::start(&LASTING);
    let hub = hub_on(&redis.url(), &[]);
    let mut subscriber = Subscriber::to(&hub, "topic=a");
    publish(&hub, 0..3);
    redis.kill();
    until_away(&hub);
    expect_refusal(&hub);
    let mut meanwhile = Subscriber::to(&hub, "topic=a");
    redis.restart();
    until_ready(&hub);
    publish(&hub, 3..6);
    expect(&mut subscriber, 0..6);
    expect(&mut meanwhile, 3..6);
    subscriber.expect_silence();
    meanwhile.expect_silence();
    hub.line("is back");
    hub.process().signal(Signal::SIGUSR1);
    let counters = hub.line("store_losses");
    assert_eq!(counter(&counters, "store_losses"), 1, "{counters}");
    assert_eq!(counter(&counters, "gaps"), 0, "{counters}");
}

#[test]
fn a_hub_that_was_cut_off_delivers_what_others_published_meanwhile_once_and_in_order() {
    let redis = Redis::fleeting();
    let link = Link::to(&redis);
    let hub = hub_on(&link.url(), &[]);
    let other = hub_on(&redis.url(), &[]);
    let mut subscriber = Subscriber::to(&hub, "topic=a");
    publish(&other, 0..10);
    for round in 1..4 {
        if round % 2 == 0 {
            link.stall();
        } else {
            link.cut();
        }
        publish(&other, round * 200 - 190..round * 200 + 10);
        until_away(&hub);
        link.mend();
        until_ready(&hub);
    }
    expect(&mut subscriber, 0..610);
    subscriber.expect_silence();
}

#[test]
fn subscribers_that_come_back_while_the_store_is_away_wait_for_it() {
    let redis = Redis::fleeting();
    let link = Link::to(&redis);
    let hub = hub_on(&link.url(), &[]);
    let other = hub_on(&redis.url(), &[]);
    publish(&hub, 0..3);
    link.cut();
    until_away(&hub);
    publish(&other, 3..5);
    let mut again = Subscriber::to(&hub, "topic=a&lastEventID=1");
    assert_eq!(again.head.field("Last-Event-ID"), Some("1"));
    let mut unknown = Subscriber::to(&hub, "topic=a&lastEventID=unknown");
    let mut earliest = Subscriber::to(&hub, "topic=a&lastEventID=earliest");
    again.expect_silence();
    link.mend();
    expect(&mut again, 2..5);
    expect(&mut earliest, 0..5);
    assert_eq!(unknown.client.rest(), b"", "it has to ask again");
    let unknown = Subscriber::to(&hub, "topic=a&lastEventID=unknown");
    assert_eq!(unknown.head.field("Last-Event-ID"), Some("earliest"));
    publish(&hub, 5..6);
    expect(&mut again, 5..6);
    expect(&mut earliest, 5..6);
}

/// How many ranges of the stream were read since the server has started.
fn ranges_read(redis: &Redis) -> usize {
    let stats = redis.ask("INFO commandstats");
    let stats = stats.split_once("cmdstat_xrange:calls=");
    let (count, _) = stats.map_or(("0", ""), |(_, rest)| rest.split_once(',').unwrap());
    count.parse().unwrap()
}

#[test]
fn subscribers_that_leave_while_the_store_is_away_are_forgotten() {
    const GONE: usize = 100;
    let mut redis = Redis::start(&LASTING);
    let hub = hub_on(&redis.url(), &[]);
    publish(&hub, 0..3);
    redis.kill();
    until_away(&hub);
    let mut stays = Subscriber::to(&hub, "topic=a&lastEventID=0");
    let gone: Vec<_> = (0..GONE)
        .map(|_| Subscriber::to(&hub, "topic=a&lastEventID=0"))
        .collect();
    let open = sockets(&hub);
    drop(gone);
    until("they have left", || {
        (sockets(&hub) + GONE <= open).then_some(())
    });
    redis.restart();
    until_ready(&hub);
    expect(&mut stays, 1..3);
    let read = ranges_read(&redis);
    assert!(read < GONE / 2, "{read} reads for one subscriber");
}

#[test]
fn subscribers_whose_answer_waits_when_the_store_hangs_get_it_without_the_store() {
    let redis = Redis::fleeting();
    let hub = hub_on(&redis.url(), &[]);
    publish(&hub, 0..3);
    redis.pause();
    let begin = Instant::now();
    let mut again = Subscriber::to(&hub, "topic=a&lastEventID=1");
    assert!(begin.elapsed() < Duration::from_secs(10));
    assert_eq!(again.head.field("Last-Event-ID"), Some("1"));
    redis.resume();
    expect(&mut again, 2..3);
    again.expect_silence();
}

#[test]
fn a_store_that_comes_back_empty_ends_streams_and_the_next_answer_says_so() {
    let mut redis = Redis::fleeting();
    let hub = hub_on(&redis.url(), &[]);
    let mut subscriber = Subscriber::to(&hub, "topic=a");
    publish(&hub, 0..3);
    expect(&mut subscriber, 0..3);
    redis.kill();
    until_away(&hub);
    redis.restart();
    assert_eq!(subscriber.client.rest(), b"");
    hub.line("has lost updates");
    until_ready(&hub);
    let mut again = Subscriber::to(&hub, "topic=a&lastEventID=2");
    assert_eq!(again.head.field("Last-Event-ID"), Some("earliest"));
    publish(&hub, 3..5);
    expect(&mut again, 3..5);
    again.expect_silence();
    hub.process().signal(Signal::SIGUSR1);
    assert_eq!(counter(&hub.line("store_losses"), "gaps"), 1);
}

#[test]
fn a_store_that_lost_its_last_updates_repeats_none_of_the_others() {
    let mut redis = Redis::start(&FLEETING);
    let hub = hub_on(&redis.url(), &[]);
    publish(&hub, 0..3);
    let mut subscriber = Subscriber::to(&hub, "topic=a");
    assert!(redis.ask("SAVE").starts_with("+OK"));
    publish(&hub, 3..5); // a replica would lack them
    expect(&mut subscriber, 3..5);
    redis.kill();
    until_away(&hub);
    let mut meanwhile = Subscriber::to(&hub, "topic=a&lastEventID=1");
    redis.restart();
    assert_eq!(subscriber.client.rest(), b"");
    until_ready(&hub);
    let mut lost = Subscriber::to(&hub, "topic=a&lastEventID=4");
    assert_eq!(lost.head.field("Last-Event-ID"), Some("earliest"));
    let mut kept = Subscriber::to(&hub, "topic=a&lastEventID=2");
    assert_eq!(kept.head.field("Last-Event-ID"), Some("2"));
    publish(&hub, 5..7);
    expect(&mut lost, 0..3);
    expect(&mut meanwhile, 2..3);
    for subscriber in [&mut lost, &mut meanwhile, &mut kept] {
        expect(subscriber, 5..7);
        subscriber.expect_silence();
    }
}

#[test]
fn a_position_that_a_lost_update_left_to_another_does_not_stand_for_it() {
    let redis = Redis::fleeting();
    let hub = hub_on(&redis.url(), &[]);
    let other = hub_on(&format!("{}?prefix=other:", redis.url()), &[]);
    let mut subscriber = Subscriber::to(&hub, "topic=a");
    publish(&hub, 0..2);
    expect(&mut subscriber, 0..2);
    publish(&other, 2..3);
    // As a replica that lacks the second one does when a hub publishes, if its clock is behind.
    let script = "local own = redis.call('XRANGE', KEYS[1], '-', '+') \
                  local other = redis.call('XRANGE', KEYS[2], '-', '+') \
                  redis.call('DEL', KEYS[1]) \
                  redis.call('XADD', KEYS[1], own[1][1], unpack(own[1][2])) \
                  return redis.call('XADD', KEYS[1], own[2][1], unpack(other[1][2]))";
    let keys = "2 event-httpd:updates other:updates";
    let answer = redis.ask(&format!("EVAL \"{script}\" {keys}"));
    assert!(answer.starts_with('$'), "{answer}");
    let mut early = Subscriber::to(&hub, "topic=a&lastEventID=1");
    assert_eq!(early.head.field("Last-Event-ID"), Some("earliest"));
    assert_eq!(read(&mut early, 2), ["0", "2"]);
    assert!(redis.ask("CLIENT KILL TYPE normal").starts_with(':'));
    hub.line("has lost updates");
    assert_eq!(subscriber.client.rest(), b"");
    until_ready(&hub);
    let mut again = Subscriber::to(&hub, "topic=a&lastEventID=1");
    assert_eq!(again.head.field("Last-Event-ID"), Some("earliest"));
    assert_eq!(read(&mut again, 2), ["0", "2"]);
}

#[test]
fn a_paused_store_does_not_hold_publishers_for_longer_than_the_timeout() {
    let redis = Redis::fleeting();
    let hub = hub_on(&redis.url(), &[]);
    let mut subscriber = Subscriber::to(&hub, "topic=a");
    publish(&hub, 0..2);
    redis.pause();
    let begin = Instant::now();
    let refused = attempt(&hub, "unknown");
    assert_eq!(refused.status, 503, "{refused:?}");
    let body = String::from_utf8_lossy(&refused.body);
    assert!(body.contains("may have stored"), "{body}");
    assert!(begin.elapsed() >= Duration::from_millis(400));
    assert!(begin.elapsed() < Duration::from_secs(10));
    redis.resume();
    until_ready(&hub);
    publish(&hub, 2..4);
    expect(&mut subscriber, 0..2);
    // Whether the store has taken what it had not confirmed, nobody can say.
    let event = "id: unknown\ndata: unknown\n\n";
    let next = "id: 2\ndata: 2\n\n";
    let got = subscriber.client.take_exactly(next.len());
    if got != next.as_bytes() {
        let rest = subscriber.client.take_exactly(event.len() - next.len());
        assert_eq!([got, rest].concat(), event.as_bytes());
        subscriber.expect(next);
    }
    expect(&mut subscriber, 3..4);
    subscriber.expect_silence();
}

#[test]
fn a_hub_cut_off_for_longer_than_the_stream_keeps_ends_streams_and_repeats_nothing() {
    let redis = Redis::fleeting();
    let link = Link::to(&redis);
    let hub = hub_on(&link.url(), &[]);
    let other = hub_on(&redis.url(), &["--history", "0"]);
    let mut subscriber = Subscriber::to(&hub, "topic=a");
    publish(&other, 0..2);
    expect(&mut subscriber, 0..2);
    link.cut();
    until_away(&hub);
    publish_pipelined(&other, 2..1502);
    link.mend();
    let rest = subscriber.client.rest();
    assert_eq!(String::from_utf8_lossy(&rest), "", "nothing behind the gap");
    until_ready(&hub);
    let again = Subscriber::to(&hub, "topic=a&lastEventID=1");
    assert_eq!(again.head.field("Last-Event-ID"), Some("earliest"));
    let mut fresh = Subscriber::to(&hub, "topic=a");
    publish(&other, 1502..1504);
    expect(&mut fresh, 1502..1504);
}

#[test]
fn a_hub_that_was_cut_off_from_an_empty_stream_ends_streams_if_updates_may_be_gone() {
    for may_count in [true, false] {
        let redis = Redis::fleeting();
        if !may_count {
            // As Redis before version 7, which does not tell how many entries there were.
            assert!(redis.ask("ACL SETUSER default -xinfo").starts_with("+OK"));
        }
        let link = Link::to(&redis);
        let hub = hub_on(&link.url(), &[]);
        let other = hub_on(&redis.url(), &["--history", "0"]);
        let mut subscriber = Subscriber::to(&hub, "topic=a");
        link.cut();
        until_away(&hub);
        publish_pipelined(&other, 0..1500);
        link.mend();
        let rest = subscriber.client.rest();
        assert_eq!(String::from_utf8_lossy(&rest), "", "nothing behind the gap");
        hub.line("updates were dropped");
    }
}

#[test]
fn a_hub_that_was_cut_off_from_an_empty_stream_delivers_all_if_nothing_is_gone() {
    let redis = Redis::fleeting();
    let link = Link::to(&redis);
    let hub = hub_on(&link.url(), &[]);
    let other = hub_on(&redis.url(), &[]);
    let mut subscriber = Subscriber::to(&hub, "topic=a");
    link.cut();
    until_away(&hub);
    publish_pipelined(&other, 0..1500);
    link.mend();
    expect(&mut subscriber, 0..1500);
}

#[test]
fn a_hub_at_an_empty_stream_that_gets_more_at_once_than_is_kept_ends_streams() {
    let redis = Redis::fleeting();
    let hub = hub_on(&redis.url(), &[]);
    let mut subscriber = Subscriber::to(&hub, "topic=a");
    let one = "redis.call('XADD', 'event-httpd:updates', 'MAXLEN', '~', 1000, '*', 'by', 'hand')";
    redis.ask(&format!("EVAL \"for i = 1, 1500 do {one} end\" 0"));
    let rest = subscriber.client.rest();
    assert_eq!(String::from_utf8_lossy(&rest), "", "nothing behind the gap");
    hub.line("updates were dropped");
}

#[test]
fn a_hub_that_was_stopped_while_the_stream_moved_on_ends_streams_and_repeats_nothing() {
    let redis = Redis::fleeting();
    // It does not take the store for lost when it runs again.
    let hub = open_hub(&["--store", &redis.url(), "--store-timeout", "60s"]);
    until_ready(&hub);
    let other = hub_on(&redis.url(), &["--history", "0"]);
    let mut subscriber = Subscriber::to(&hub, "topic=a");
    publish(&other, 0..2);
    expect(&mut subscriber, 0..2);
    let stopped = stop(hub.process().id());
    publish_pipelined(&other, 2..1502);
    drop(stopped);
    // What came before the gap was noticed is delivered; what comes after it is not.
    let rest = String::from_utf8(subscriber.client.rest()).unwrap();
    let ids = rest.lines().filter_map(|line| line.strip_prefix("id: "));
    let ids: Vec<u32> = ids.map(|id| id.parse().unwrap()).collect();
    assert_eq!(ids, (2..).take(ids.len()).collect::<Vec<_>>());
    assert!(ids.len() < 100, "{ids:?}");
    hub.line("updates were dropped");
}

/// What was published before is older than what follows, by more than a busy machine takes to tell a
/// hub the time: a hub that never reached its store begins so much earlier.
fn until_a_second_has_passed(redis: &Redis) {
    let now = || -> u64 {
        let time = redis.ask("TIME"); // "*2", the length of the seconds, and the seconds
        time.lines().nth(2).unwrap().parse().unwrap()
    };
    let begun = now();
    until("a second has passed", || (now() > begun + 1).then_some(()));
}

#[test]
fn a_subscriber_that_came_before_the_store_gets_nothing_that_was_published_before() {
    let mut redis = Redis::start(&LASTING);
    publish(&hub_on(&redis.url(), &[]), 0..3);
    until_a_second_has_passed(&redis);
    redis.kill();
    let hub = open_hub(&["--store", &redis.url(), "--store-timeout", "500ms"]);
    hub.line("is unavailable: ");
    let mut subscriber = Subscriber::to(&hub, "topic=a");
    redis.restart();
    until_ready(&hub);
    publish(&hub, 3..5);
    expect(&mut subscriber, 3..5);
    subscriber.expect_silence();
}

/// A hub whose link to the store was cut before it started, and a subscriber of it. `user` stands
/// before the host in the store's URL.
fn unreached(redis: &Redis, user: &str) -> (Link, Server, Subscriber) {
    let link = Link::to(redis);
    link.cut();
    let url = link.url().replace("redis://", &format!("redis://{user}"));
    let hub = open_hub(&["--store", &url]);
    hub.line("is unavailable: ");
    let subscriber = Subscriber::to(&hub, "topic=a");
    (link, hub, subscriber)
}

#[test]
fn a_subscriber_that_came_before_the_store_gets_what_others_published_before_the_hub_reached_it() {
    let redis = Redis::fleeting();
    let other = hub_on(&redis.url(), &[]);
    publish(&other, 0..3);
    until_a_second_has_passed(&redis);
    let (link, hub, mut subscriber) = unreached(&redis, "");
    publish(&other, 3..6);
    link.mend();
    until_ready(&hub);
    publish(&hub, 6..7);
    expect(&mut subscriber, 3..7);
    subscriber.expect_silence();
}

#[test]
fn a_subscriber_that_came_before_the_store_has_to_come_again_if_updates_may_be_gone() {
    let redis = Redis::fleeting();
    let other = hub_on(&redis.url(), &["--history", "0"]);
    let (link, hub, mut subscriber) = unreached(&redis, "");
    publish_pipelined(&other, 0..2000); // more than the stream keeps
    link.mend();
    assert_eq!(subscriber.client.rest(), b"");
    hub.line("updates were dropped from the stream");
}

#[test]
fn a_store_that_does_not_tell_the_time_ends_the_streams_that_began_without_it() {
    let redis = Redis::fleeting();
    let allowed = redis.ask("ACL SETUSER hub on >secret ~* +@all -time");
    assert!(allowed.starts_with("+OK"), "{allowed}");
    let (link, hub, mut subscriber) = unreached(&redis, "hub:secret@");
    link.mend();
    assert_eq!(subscriber.client.rest(), b"");
    let line = hub.line("TIME failed");
    assert!(line.contains("permissions to run"), "{line}");
    until_ready(&hub);
    let mut again = Subscriber::to(&hub, "topic=a");
    publish(&hub, 0..2);
    expect(&mut again, 0..2);
}

#[test]
fn a_hub_that_starts_before_its_store_is_ready_when_the_store_is() {
    let mut redis = Redis::stopped(&FLEETING);
    let hub = open_hub(&["--store", &redis.url(), "--store-timeout", "500ms"]);
    hub.line("is unavailable: ");
    let mut subscriber = Subscriber::to(&hub, "topic=a");
    let mut earliest = Subscriber::to(&hub, "topic=a&lastEventID=earliest");
    expect_refusal(&hub);
    redis.restart();
    until_ready(&hub);
    publish(&hub, 0..2);
    expect(&mut subscriber, 0..2);
    expect(&mut earliest, 0..2);
}

#[test]
fn publishers_of_a_hub_without_a_store_are_not_heard_by_others_later() {
    let redis = Redis::fleeting();
    let link = Link::to(&redis);
    let hub = hub_on(&link.url(), &[]);
    let other = hub_on(&redis.url(), &[]);
    let mut subscriber = Subscriber::to(&other, "topic=a");
    link.cut();
    until_away(&hub);
    let refusing = thread::spawn(move || {
        for _ in 0..20 {
            expect_refusal(&hub);
        }
        hub
    });
    let hub = refusing.join().unwrap();
    link.mend();
    until_ready(&hub);
    publish(&hub, 0..1);
    expect(&mut subscriber, 0..1);
    subscriber.expect_silence();
}

#[test]
fn a_store_that_becomes_a_replica_is_left_and_not_asked_all_the_time() {
    let redis = Redis::fleeting();
    let connections = || -> u32 {
        let info = redis.ask("INFO stats");
        let count = info.split("total_connections_received:").nth(1).unwrap();
        count.lines().next().unwrap().parse().unwrap()
    };
    let hubs = [(); 2].map(|()| hub_on(&redis.url(), &["--subscriptions"]));
    let mut subscriber = Subscriber::to(&hubs[1], "topic=a");
    assert!(redis.ask("REPLICAOF 127.0.0.1 1").starts_with("+OK"));
    assert_eq!(attempt(&hubs[1], "refused").status, 503);
    for hub in &hubs {
        until_away(hub);
        let line = hub.line("is unavailable: ");
        assert!(line.contains("replica"), "{line}");
    }
    let before = connections();
    thread::sleep(Duration::from_secs(2));
    let new = connections() - before;
    assert!(new < 30, "{new} connections in two seconds");
    assert!(redis.ask("REPLICAOF NO ONE").starts_with("+OK"));
    hubs.iter().for_each(until_ready);
    publish(&hubs[0], 0..1);
    expect(&mut subscriber, 0..1);
}

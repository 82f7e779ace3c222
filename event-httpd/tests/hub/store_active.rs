//! Active subscriptions of hubs that share a store.

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::active::{LIST, event, list, listed, watch};
use super::redis::{Link, Redis};
use super::store::{hub_on, readiness, until_ready};
use super::support::{Publisher, Subscriber, ask, bearer, full_token, get, open_hub};
use super::support_broadcast::stop;
use super::support_http::{Response, Server, until};

const OPTIONS: [&str; 1] = ["--subscriptions"];

/// The next event: what is asked for, and whether it is active.
#[track_caller]
fn told(watcher: &mut Subscriber) -> (Value, Value) {
    let mut event = event(watcher);
    (event["match"].take(), event["active"].take())
}

/// The subscriptions to that topic, as a hub lists them.
#[track_caller]
fn count(hub: &Server, topic: &str) -> usize {
    listed(hub, &format!("{LIST}/exact/{topic}")).len()
}

/// A store, a hub on it, and another one over a link.
#[track_caller]
fn two_hubs() -> (Redis, Link, Server, Server) {
    let redis = Redis::fleeting();
    let link = Link::to(&redis);
    let hubs = [redis.url(), link.url()].map(|url| hub_on(&url, &OPTIONS));
    let [first, over_link] = hubs;
    (redis, link, first, over_link)
}

/// A hub that has reached its store over a link, and is patient with it.
#[track_caller]
fn patient_hub(link: &Link) -> Server {
    let url = link.url();
    let hub = open_hub(&[&OPTIONS[..], &["--store", &url, "--store-timeout", "60s"]].concat());
    until_ready(&hub);
    hub
}

#[track_caller]
fn until_listed(hub: &Server) {
    until("it is listed", || (count(hub, "a") == 1).then_some(()));
}

#[track_caller]
fn until_claimed(redis: &Redis) {
    until("a hub removes the lost one", || {
        is_claimed(redis).then_some(())
    });
}

/// Whether a hub removes a lost one.
fn is_claimed(redis: &Redis) -> bool {
    redis
        .ask("ZRANGE event-httpd:workers 0 -1 WITHSCORES")
        .contains(".5\r\n")
}

#[test]
fn a_subscription_is_told_and_listed_by_all_hubs_while_it_lasts() {
    let redis = Redis::fleeting();
    // Nobody ends subscriptions in place of a worker that has not done it.
    let url = redis.url();
    let options = [&OPTIONS[..], &["--store", &url, "--store-timeout", "60s"]].concat();
    let first = open_hub(&[&options[..], &["--workers", "2"]].concat());
    let second = open_hub(&options);
    until_ready(&first);
    until_ready(&second);
    let mut watcher = watch(&second);
    let lines = bearer(&full_token());
    let subscriber = Subscriber::with(&first, "match=a", &lines);
    assert_eq!(told(&mut watcher), (json!("a"), json!(true)));
    let stays = Subscriber::with(&first, "match=b", &lines);
    assert_eq!(told(&mut watcher), (json!("b"), json!(true)));
    for hub in [&first, &second] {
        assert_eq!((count(hub, "a"), count(hub, "b")), (1, 1));
        assert_eq!(listed(hub, LIST).len(), 4, "the watcher's two and these");
    }
    drop(subscriber);
    assert_eq!(told(&mut watcher), (json!("a"), json!(false)));
    for hub in [&first, &second] {
        assert_eq!((count(hub, "a"), count(hub, "b")), (0, 1));
    }
    assert!(first.stop().0.success());
    assert_eq!(told(&mut watcher), (json!("b"), json!(false)));
    assert_eq!(count(&second, "b"), 0);
    drop(stays);
}

#[test]
fn another_hub_ends_the_subscriptions_of_a_hub_that_was_killed() {
    let redis = Redis::fleeting();
    let victim = hub_on(&redis.url(), &OPTIONS);
    let hub = hub_on(&redis.url(), &OPTIONS);
    let mut watcher = watch(&hub);
    let _subscriber = Subscriber::to(&victim, "match=a");
    assert_eq!(told(&mut watcher), (json!("a"), json!(true)));
    victim.process().signal(Signal::SIGKILL);
    assert_eq!(told(&mut watcher), (json!("a"), json!(false)));
    until("it is not listed", || (count(&hub, "a") == 0).then_some(()));
    until("Redis has forgotten it", || {
        let keys = redis.ask("KEYS event-httpd:subscriptions:*");
        keys.starts_with("*1\r\n").then_some(())
    });
    watcher.expect_silence();
    assert_eq!(listed(&hub, LIST).len(), 2, "the watcher's own");
}

#[test]
fn subscriptions_that_the_store_has_lost_are_told_and_listed_again() {
    let mut redis = Redis::fleeting();
    let hub = hub_on(&redis.url(), &OPTIONS);
    let mut watcher = watch(&hub);
    let _subscriber = Subscriber::to(&hub, "match=a");
    assert_eq!(told(&mut watcher), (json!("a"), json!(true)));
    assert!(redis.ask("FLUSHALL").starts_with("+OK"));
    until("it is listed again", || {
        (count(&hub, "a") == 1).then_some(())
    });
    redis.kill();
    until("the store is unavailable", || {
        (readiness(&hub) == 503).then_some(())
    });
    let mut began = Subscriber::to(&hub, "match=b");
    let ended = Subscriber::to(&hub, "match=c");
    drop(ended);
    redis.restart();
    until_ready(&hub);
    assert_eq!(
        began.client.rest(),
        b"",
        "updates may be missing, so all streams end"
    );
    until("nobody is left", || {
        (listed(&hub, LIST).is_empty()).then_some(())
    });
    let _again = Subscriber::to(&hub, "match=b");
    until("it is listed", || (count(&hub, "b") == 1).then_some(()));
}

#[test]
fn a_list_is_refused_while_the_store_is_away_or_when_it_goes_away_meanwhile() {
    let mut redis = Redis::fleeting();
    let hub = hub_on(&redis.url(), &OPTIONS);
    let _subscriber = Subscriber::to(&hub, "match=a");
    until("it is listed", || (count(&hub, "a") == 1).then_some(()));
    let refused = || {
        let answer = ask(&hub, &get(LIST, &bearer(&full_token())));
        assert_eq!(answer.status, 503, "{answer:?}");
        assert!(answer.field("Retry-After").is_some(), "{answer:?}");
    };
    redis.pause();
    refused();
    redis.resume();
    until_ready(&hub);
    assert_eq!(count(&hub, "a"), 1);
    redis.kill();
    until("the store is unavailable", || {
        (readiness(&hub) == 503).then_some(())
    });
    refused();
}

#[test]
fn a_change_that_the_store_has_refused_is_told_when_it_has_room() {
    let redis = Redis::fleeting();
    let hub = hub_on(&redis.url(), &OPTIONS);
    let mut watcher = watch(&hub);
    assert!(redis.ask("CONFIG SET maxmemory 1").starts_with("+OK"));
    let _subscriber = Subscriber::to(&hub, "match=a");
    hub.line("OOM");
    assert!(redis.ask("CONFIG SET maxmemory 0").starts_with("+OK"));
    assert_eq!(told(&mut watcher), (json!("a"), json!(true)));
    assert_eq!(count(&hub, "a"), 1);
    watcher.expect_silence();
}

#[test]
fn a_subscription_is_told_and_listed_or_neither() {
    let redis = Redis::fleeting();
    let hub = hub_on(&redis.url(), &OPTIONS);
    let mut watcher = watch(&hub);
    assert!(redis.ask("ACL SETUSER default -hset").starts_with("+OK"));
    let _subscriber = Subscriber::to(&hub, "match=a");
    hub.line("the store at");
    watcher.expect_silence();
    assert!(redis.ask("ACL SETUSER default +hset").starts_with("+OK"));
    assert_eq!(told(&mut watcher), (json!("a"), json!(true)));
    assert_eq!(count(&hub, "a"), 1);
}

#[test]
fn the_subscriptions_of_a_hub_that_comes_back_while_another_removes_it_stay() {
    let (redis, link, sleeper, hub) = two_hubs();
    let _subscriber = Subscriber::to(&sleeper, "match=a");
    until_listed(&sleeper);
    link.hold_replies_to("HVALS");
    let stopped = stop(sleeper.process().id());
    until_claimed(&redis);
    drop(stopped);
    until("it is back", || (!is_claimed(&redis)).then_some(()));
    until_ready(&sleeper);
    assert_eq!(count(&sleeper, "a"), 1);
    link.mend();
    until_ready(&hub);
    // The first list comes after the replies, the second after what the hub does then.
    assert_eq!([(); 2].map(|()| count(&hub, "a")), [1; 2]);
}

#[test]
fn a_list_names_no_update_that_is_newer_than_it_is() {
    let redis = Redis::fleeting();
    let link = Link::to(&redis);
    let hub = patient_hub(&link);
    let other = hub_on(&redis.url(), &OPTIONS);
    let mut watcher = watch(&hub);
    until("both hubs are known", || {
        (redis.ask("ZCARD event-httpd:workers") == ":2\r\n").then_some(())
    });
    let before = until("the hub has read everything", || {
        let list = list(&hub, LIST);
        let (_, id) = list.field("Link")?.split_once("last-event-id=\"")?;
        let newest = redis.ask("XREVRANGE event-httpd:updates + - COUNT 1");
        newest.contains(id.split('"').next()?).then_some(list)
    });
    let lists = || -> u32 {
        let stats = redis.ask("INFO commandstats");
        let (_, rest) = stats.split_once("cmdstat_hvals:calls=").unwrap();
        rest.split(',').next().unwrap().parse().unwrap()
    };
    let lists_before = lists();
    link.hold_replies_to("HVALS");
    let mut asking = hub.connect();
    asking.send(get(LIST, &bearer(&full_token())));
    until("the store has told the subscriptions of both", || {
        (lists() >= lists_before + 2).then_some(())
    });
    let _subscriber = Subscriber::to(&other, "match=a");
    assert_eq!(told(&mut watcher), (json!("a"), json!(true)));
    link.mend();
    let answer = asking.answer();
    // It is not in the list, so whoever subscribes with the id that the list names must get it.
    assert_eq!(answer.field("Link"), before.field("Link"));
    let text = |answer: Response| String::from_utf8(answer.body).unwrap();
    assert_eq!(text(answer), text(before));
}

#[test]
fn the_subscriptions_of_a_killed_hub_end_though_the_store_was_cut_off_in_the_middle_of_it() {
    let (redis, link, victim, hub) = two_hubs();
    let mut watcher = watch(&hub);
    let _subscriber = Subscriber::to(&victim, "match=a");
    assert_eq!(told(&mut watcher), (json!("a"), json!(true)));
    link.hold_replies_to("claim a lost worker");
    victim.process().signal(Signal::SIGKILL);
    until_claimed(&redis);
    link.cut();
    hub.line("is unavailable");
    link.mend();
    assert_eq!(told(&mut watcher), (json!("a"), json!(false)));
    watcher.expect_silence();
}

#[test]
fn the_subscriptions_of_a_hub_that_is_killed_before_its_first_refresh_end() {
    let redis = Redis::fleeting();
    let link = Link::to(&redis);
    let hub = hub_on(&redis.url(), &OPTIONS);
    let mut watcher = watch(&hub);
    link.hold_replies_to("TIME");
    let victim = patient_hub(&link);
    let _subscriber = Subscriber::to(&victim, "match=a");
    assert_eq!(told(&mut watcher), (json!("a"), json!(true)));
    victim.process().signal(Signal::SIGKILL);
    assert_eq!(told(&mut watcher), (json!("a"), json!(false)));
    assert_eq!(count(&hub, "a"), 0);
}

#[test]
fn the_subscriptions_of_a_killed_hub_end_though_the_hub_that_removes_it_is_killed_too() {
    let (redis, link, victim, remover) = two_hubs();
    let _subscriber = Subscriber::to(&victim, "match=a");
    until_listed(&victim);
    link.hold_replies_to("claim a lost worker");
    victim.process().signal(Signal::SIGKILL);
    until_claimed(&redis);
    remover.process().signal(Signal::SIGKILL);
    let hub = hub_on(&redis.url(), &OPTIONS);
    let mut watcher = watch(&hub);
    assert_eq!(count(&hub, "a"), 1);
    assert_eq!(told(&mut watcher), (json!("a"), json!(false)));
    assert_eq!(count(&hub, "a"), 0);
}

#[test]
fn the_subscriptions_of_a_killed_hub_end_though_the_store_refused_that_at_first() {
    let redis = Redis::fleeting();
    let victim = hub_on(&redis.url(), &OPTIONS);
    let hub = hub_on(&redis.url(), &OPTIONS);
    let mut watcher = watch(&hub);
    let _subscriber = Subscriber::to(&victim, "match=a");
    assert_eq!(told(&mut watcher), (json!("a"), json!(true)));
    victim.process().signal(Signal::SIGKILL);
    assert!(redis.ask("ACL SETUSER default -hdel").starts_with("+OK"));
    until("the end of the subscription is refused", || {
        let stats = redis.ask("INFO commandstats");
        let (_, eval) = stats.split_once("cmdstat_eval:")?;
        let (_, failed) = eval.lines().next()?.split_once("failed_calls=")?;
        (!failed.starts_with('0')).then_some(())
    });
    assert!(redis.ask("ACL SETUSER default +hdel").starts_with("+OK"));
    assert_eq!(told(&mut watcher), (json!("a"), json!(false)));
    watcher.expect_silence();
    assert_eq!(listed(&hub, LIST).len(), 2, "the watcher's own");
    let log = hub.log();
    let refusals = log.iter().filter(|line| line.contains("the store at"));
    assert_eq!(refusals.count(), 1, "{log:?}");
}

#[test]
fn a_hub_that_comes_back_while_another_removes_it_stays_listed() {
    let redis = Redis::fleeting();
    let link = Link::to(&redis);
    let late = hub_on(&redis.url(), &OPTIONS);
    let url = link.url();
    let hub = open_hub(&[&OPTIONS[..], &["--store", &url, "--store-timeout", "1s"]].concat());
    until_ready(&hub);
    let mut watcher = watch(&hub);
    let _subscriber = Subscriber::to(&late, "match=a");
    assert_eq!(told(&mut watcher), (json!("a"), json!(true)));
    link.hold_replies_to("end a subscription"); // the hub does not learn that the end is stored
    late.process().signal(Signal::SIGSTOP);
    assert_eq!(told(&mut watcher), (json!("a"), json!(false)));
    late.process().signal(Signal::SIGCONT);
    assert_eq!(told(&mut watcher), (json!("a"), json!(true)));
    link.mend();
    for id in ["1", "2"] {
        Publisher::connect(&hub).publish(&[("topic", "b"), ("id", id), ("data", id)]);
    }
    assert_eq!(count(&hub, "a"), 1);
}

/// The commands that docs/hub.md names for the options, from the word `from` to the word `to`.
fn documented(from: &str, to: &str) -> String {
    let docs = include_str!("../../../docs/hub.md");
    let list = docs.split_once("has an access list").unwrap().1;
    let list = list.split_once("\n\n").unwrap().0;
    let list = list.split_once(from).unwrap().1;
    let names = list.split(to).next().unwrap().split('`');
    let commands = names.filter(|name| name.chars().all(|c| c.is_ascii_uppercase()));
    commands.map(|name| format!(" +{name}")).collect()
}

#[test]
fn a_hub_needs_no_more_rights_in_the_store_than_its_documents_say() {
    let always = documented("commands:", "For `--store-queue`");
    for (options, more) in [
        (&[][..], String::new()),
        (
            &["--store-queue", "10"],
            documented("For `--store-queue`", "for `--subscriptions`"),
        ),
        (&OPTIONS, documented("for `--subscriptions`", "\n\n")),
    ] {
        let redis = Redis::fleeting();
        redis.ask(&format!(
            "ACL SETUSER hub on nopass ~event-httpd:* -@all{always}{more}"
        ));
        let url = format!("{}?db=1&user=hub", redis.url());
        let [other, hub] = [(); 2].map(|()| hub_on(&url, options));
        let mut publisher = Publisher::connect(&hub);
        publisher.publish(&[("topic", "a"), ("id", "1"), ("data", "x")]);
        publisher.publish(&[("topic", "a"), ("id", "2"), ("data", "y")]);
        let mut subscriber = Subscriber::to(&other, "topic=a&lastEventID=1");
        subscriber.expect_update("2", "y");
        if options == OPTIONS {
            let _subscriber = Subscriber::with(&other, "match=a", &bearer(&full_token()));
            until_listed(&hub);
            other.process().signal(Signal::SIGKILL);
            until("its subscription has ended", || {
                (count(&hub, "a") == 0).then_some(())
            });
        }
        let denied = redis.ask("ACL LOG");
        assert!(!denied.contains("reason"), "{options:?}: {denied}");
    }
}

//! Workers that are replaced while connections come.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::load::under_load;
use super::support_broadcast::{
    ACCEPTED, Family, Peer, Sighting, children, every_worker, kill, message, pattern, post, spread,
    start, steady, stop, worker_of,
};
use super::support_http::{GET, Server, shell, until};

#[test]
fn under_a_load_of_new_connections_none_is_refused_or_reset_by_a_reload() {
    let server = start("serve", &["--workers", "3"]);
    let mut family = every_worker(&server, 3, None);
    let ((), tally) = under_load(&server, || {
        for signal in [Signal::SIGHUP, Signal::SIGUSR2].repeat(20) {
            server.process().signal(signal);
            family = every_worker(&server, 3, Some(&family));
        }
    });
    tally.assert_all_answered();
}

#[test]
fn sighup_and_sigusr2_replace_the_workers_one_at_a_time() {
    let server = start("broadcast", &["--workers", "3"]);
    let mut family = every_worker(&server, 3, None);
    for signal in [Signal::SIGHUP, Signal::SIGUSR2] {
        let before = server.log().len();
        server.process().signal(signal);
        let next = every_worker(&server, 3, Some(&family));
        server.lines(
            " ended: exit code 0",
            if signal == Signal::SIGHUP { 3 } else { 6 },
        );
        let log = server.log();
        let lines = |text: &str| -> Vec<String> {
            let lines = log[before..].iter().filter(|line| line.contains(text));
            lines
                .map(|line| line.split(" INFO ").last().unwrap().to_owned())
                .collect()
        };
        let takes_over: Vec<String> = (1..=3)
            .map(|number| {
                let (old, new) = (family.pid(number), next.pid(number));
                format!("worker {number}: process {new} takes over from {old}")
            })
            .collect();
        assert_eq!(lines("takes over from"), takes_over, "{signal}");
        let mut ended = lines(") ended: ");
        ended.sort(); // the old workers end side by side
        let expected = (1..=3).map(|number| {
            let old = family.pid(number);
            format!("worker {number} (process {old}) ended: exit code 0")
        });
        assert_eq!(ended, expected.collect::<Vec<_>>(), "{signal}");
        family = next;
    }
}

#[test]
fn idle_clients_of_a_replaced_worker_see_a_clean_end() {
    let server = start("serve", &["--workers", "2"]);
    let family = every_worker(&server, 2, None);
    let mut groups = spread(&server, 2, 2);
    for peer in groups.iter_mut().flatten() {
        peer.send(GET);
        peer.message();
    }
    server.process().signal(Signal::SIGHUP);
    for peer in groups.iter_mut().flatten() {
        peer.expect_close();
    }
    every_worker(&server, 2, Some(&family));
}

#[test]
fn a_request_begun_before_the_reload_is_answered_by_the_old_worker() {
    let server = start("serve", &["--workers", "2", "--grace", "60s"]);
    let family = every_worker(&server, 2, None);
    let mut groups = spread(&server, 2, 1);
    for peer in groups.iter_mut().flatten() {
        peer.send(&GET[..10]);
    }
    server.process().signal(Signal::SIGHUP);
    for (index, peer) in groups.iter_mut().flatten().enumerate() {
        let number = index + 1;
        server.line(&format!("worker{{number={number}}}: stopping"));
        peer.send(&GET[10..]);
        let answer = String::from_utf8(peer.rest()).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
    }
    every_worker(&server, 2, Some(&family));
}

#[test]
fn what_was_sent_before_the_reload_is_delivered_also_to_other_workers() {
    let server = start("broadcast", &["--workers", "2"]);
    let family = every_worker(&server, 2, None);
    let mut groups = spread(&server, 2, 2);
    let stopped = stop(family.pid(1));
    groups[0][0].send("last words");
    server.process().signal(Signal::SIGHUP);
    server.line(&format!("takes over from {}", family.pid(1)));
    drop(stopped);
    groups[0][1].expect(&message("last words"));
    for peer in &mut groups[1] {
        peer.expect(&message("last words"));
    }
    every_worker(&server, 2, Some(&family));
}

#[test]
fn what_waits_for_a_client_of_a_replaced_worker_is_delivered() {
    let server = start(
        "broadcast",
        &["--workers", "2", "--grace", "60s", "--max-queue", "64MiB"],
    );
    let family = every_worker(&server, 2, None);
    let mut groups = spread(&server, 2, 1);
    let mut slow = until("a slow client of worker 2", || {
        let peer = Peer::narrow(&server);
        (worker_of(&server, &peer) == family.pid(2)).then_some(peer)
    });
    let body = pattern(b'w', 10 << 20);
    groups[0][0].send(&body);
    assert!(groups[1][0].messages(body.len()).concat() == body);
    server.process().signal(Signal::SIGHUP);
    server.line(&format!("takes over from {}", family.pid(1)));
    groups.remove(0);
    server.line(&format!("takes over from {}", family.pid(2)));
    assert!(slow.messages(body.len()).concat() == body);
    drop((groups, slow));
    every_worker(&server, 2, Some(&family));
}

#[test]
fn receivers_of_a_replaced_worker_get_messages_until_the_grace_is_over() {
    for framing in ["raw", "http"] {
        let options = ["--workers", "2", "--grace", "3s", "--framing", framing];
        let server = start("broadcast", &options);
        let family = every_worker(&server, 2, None);
        let mut groups = spread(&server, 2, 2);
        server.process().signal(Signal::SIGHUP);
        server.lines("takes over from", 2);
        let replaced = Instant::now();
        let send = |peer: &mut Peer, text: &str| match framing {
            "raw" => peer.send(text),
            _ => {
                peer.send(post(text));
                peer.expect(ACCEPTED);
            }
        };
        // Both are there before the first message: whoever joins a worker while a message is on
        // its way to that worker gets it too.
        let family_now = Family::of(&server);
        let mut new = [1, 2].map(|number| {
            until("a client of a new worker", || {
                let peer = Peer::connect(&server);
                (worker_of(&server, &peer) == family_now.pid(number)).then_some(peer)
            })
        });
        for (sender, receiver) in [(0, 1), (1, 0)] {
            let text = format!("from worker {}", sender + 1);
            send(&mut new[sender], &text);
            let others = groups.iter_mut().flatten().chain([&mut new[receiver]]);
            for peer in others {
                peer.expect(&message(&text));
            }
        }
        groups[0][0].expect_close();
        assert!(replaced.elapsed() >= Duration::from_secs(2), "{framing}");
        drop(groups);
        every_worker(&server, 2, Some(&family));
    }
}

#[test]
fn a_replaced_worker_ends_when_its_last_receiver_has_left() {
    let server = start("broadcast", &["--workers", "2", "--grace", "1h"]);
    let family = every_worker(&server, 2, None);
    let groups = spread(&server, 2, 1);
    server.process().signal(Signal::SIGHUP);
    server.line("replaced: stopping within 3600s");
    drop(groups);
    every_worker(&server, 2, Some(&family));
}

#[test]
fn old_workers_with_receivers_end_side_by_side() {
    let server = start("broadcast", &["--workers", "3", "--grace", "1h"]);
    let family = every_worker(&server, 3, None);
    let mut groups = spread(&server, 3, 1);
    server.process().signal(Signal::SIGHUP);
    server.lines("takes over from", 3); // though no old worker has ended
    assert_eq!(children(server.process().id()).len(), 6);
    let new = Peer::connect(&server);
    new.send("from a new worker");
    for peer in groups.iter_mut().flatten() {
        peer.expect(&message("from a new worker"));
    }
    drop((new, groups));
    every_worker(&server, 3, Some(&family));
}

#[test]
fn reloads_that_follow_one_another_do_not_pile_up_old_workers() {
    let server = start("broadcast", &["--workers", "2", "--grace", "1h"]);
    every_worker(&server, 2, None);
    let mut first = spread(&server, 2, 1);
    server.process().signal(Signal::SIGHUP);
    server.lines("takes over from", 2);
    let family = Family::of(&server);
    let second = spread(&server, 2, 1);
    server.process().signal(Signal::SIGHUP);
    server.lines("replacing the workers", 2);
    drop(first.pop()); // one old worker ends, and makes room for one replacement
    server.lines("takes over from", 3);
    server.process().signal(Signal::SIGUSR1);
    server.line("counters of the master");
    let all = children(server.process().id());
    assert_eq!(all.len(), 4, "{all:?}");
    drop((first, second));
    every_worker(&server, 2, Some(&family));
}

#[test]
fn a_hangup_ignored_from_the_start_replaces_no_worker() {
    let mut command = shell("trap '' HUP;");
    command.args(["serve", "--workers", "1", "--listen", "127.0.0.1:0"]);
    let server = Server::run(command);
    let family = every_worker(&server, 1, None);
    server.process().signal(Signal::SIGHUP);
    kill(family.pid(1), Signal::SIGHUP);
    server.process().signal(Signal::SIGUSR1);
    server.line("counters of the master");
    assert!(!server.log().iter().any(|line| line.contains("replacing")));
    server.process().signal(Signal::SIGUSR2);
    every_worker(&server, 1, Some(&family));
}

#[test]
fn a_worker_is_replaced_after_max_requests_unnoticed_by_clients() {
    let server = start("serve", &["--workers", "2", "--worker-max-requests", "50"]);
    let family = every_worker(&server, 2, None);
    let ((), tally) = under_load(&server, || {
        server.lines("asking to be replaced after 50 requests", 4);
    });
    tally.assert_all_answered();
    every_worker(&server, 2, Some(&family));
    server.lines("takes over from", 4);
}

#[test]
fn messages_count_as_requests_do() {
    let options = ["--workers", "2", "--worker-max-requests", "20"];
    let server = start("broadcast", &options);
    let family = every_worker(&server, 2, None);
    let mut groups = spread(&server, 2, 2);
    for n in 0..20 {
        let body = format!("{n}");
        groups[0][0].send(&body);
        for group in &mut groups {
            group[1].expect(&message(&body));
        }
    }
    groups[0][0].send("one more"); // it counts what came before
    server.line("asking to be replaced after");
    groups[0][1].rest();
    server.line(&format!("takes over from {}", family.pid(1)));
    let now = every_worker(&server, 2, None);
    assert_eq!(now.pid(2), family.pid(2), "only who has served so many");
    assert_ne!(now.pid(1), family.pid(1));
}

#[test]
fn a_worker_that_dies_as_the_reload_begins_is_replaced_once_and_for_all() {
    let server = start("broadcast", &["--workers", "3"]);
    let master = server.process().id();
    let mut family = every_worker(&server, 3, None);
    for round in 0..6 {
        // The master sees the death and the signal in one turn of its loop.
        let stopped = stop(master);
        kill(family.pid(1 + round % 3), Signal::SIGKILL);
        server.process().signal(Signal::SIGHUP);
        drop(stopped);
        let now = steady(&server, 3);
        assert!(now.shares_nothing_with(&family), "{now:?} after {family:?}");
        family = now;
        let mut groups = spread(&server, 3, 1);
        groups[0][0].send("here?");
        groups[2][0].expect(&message("here?"));
    }
}

#[test]
fn a_worker_that_dies_while_its_replacement_starts_does_not_hold_the_reload_up() {
    let server = start("broadcast", &["--workers", "3"]);
    let mut family = every_worker(&server, 3, None);
    for round in 0..30 {
        server.process().signal(Signal::SIGHUP);
        let victim = family.pid(1 + round % 3);
        until("a replacement", || {
            let all = children(server.process().id());
            let new = |child: &Sighting| !family.pids().contains(&child.pid);
            all.iter().any(new).then_some(())
        });
        nix::sys::signal::kill(victim, Signal::SIGKILL).ok(); // it may have ended by then
        family = every_worker(&server, 3, Some(&family));
    }
}

#[test]
fn a_new_client_has_one_second_for_its_first_request() {
    let server = start("serve", &["--workers", "1", "--grace", "60s"]);
    let family = every_worker(&server, 1, None);
    let mut groups = spread(&server, 1, 2);
    let [mut silent, mut slow] = <[Peer; 2]>::try_from(groups.remove(0)).ok().unwrap();
    let began = Instant::now();
    server.process().signal(Signal::SIGHUP);
    server.line("worker{number=1}: stopping");
    slow.send(GET);
    let answer = String::from_utf8(slow.rest()).unwrap();
    assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
    silent.expect_close();
    let time = began.elapsed();
    assert!(
        time >= Duration::from_secs(1) && time < Duration::from_secs(5),
        "{time:?}"
    );
    every_worker(&server, 1, Some(&family));
}

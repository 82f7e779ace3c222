//! What one worker's clients send, the clients of all workers get.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use super::support_broadcast::{ACCEPTED, Peer, message, pattern, post, spread, start};

const WHILE: Duration = Duration::from_millis(200);

#[test]
fn a_message_reaches_every_other_client_of_every_worker_once() {
    let server = start("broadcast", &["--workers", "4"]);
    let mut peers: Vec<Peer> = spread(&server, 4, 3).into_iter().flatten().collect();
    for sender in 0..peers.len() {
        let body = format!("from {sender}");
        peers[sender].send(&body);
        for (number, peer) in peers.iter_mut().enumerate() {
            if number != sender {
                peer.expect(&message(&body));
            }
        }
    }
    for peer in &mut peers {
        peer.expect_silence(WHILE / 10);
    }
}

#[test]
fn delivered_to_everyone_the_sender_gets_one_copy_too() {
    let server = start("broadcast", &["--workers", "2", "--deliver", "everyone"]);
    let mut peers: Vec<Peer> = spread(&server, 2, 2).into_iter().flatten().collect();
    for sender in 0..peers.len() {
        peers[sender].send("everyone");
        for peer in &mut peers {
            peer.expect(&message("everyone"));
        }
    }
    peers[0].expect_silence(WHILE);
}

#[test]
fn delivered_to_the_sender_its_own_process_counts_and_nothing_crosses() {
    let server = start("broadcast", &["--workers", "2", "--deliver", "sender"]);
    let mut groups = spread(&server, 2, 3);
    groups[0][0].send("mine");
    for _ in 1..groups[0].len() {
        groups[0][0].expect(&message("mine"));
    }
    groups[0][0].expect_silence(WHILE);
    for peer in groups.iter_mut().flatten() {
        peer.expect_silence(WHILE / 10);
    }
}

#[test]
fn header_lines_and_the_date_cross_too() {
    let options = ["--workers", "2", "--header", "X-One: 1", "--date"];
    let server = start("broadcast", &options);
    let mut groups = spread(&server, 2, 2);
    groups[0][0].send("x");
    let here = groups[0][1].take_through(b"\r\n\r\nx");
    let there = groups[1][0].take_through(b"\r\n\r\nx");
    assert_eq!(here, there, "one encoding for all");
    let text = String::from_utf8(there).unwrap();
    assert!(
        text.contains("\r\nDate: ") && text.contains("\r\nX-One: 1\r\n"),
        "{text}"
    );
}

#[test]
fn a_senders_order_is_kept_on_every_worker_and_a_workers_clients_see_one_order() {
    const EACH: usize = 200;
    let server = start("broadcast", &["--workers", "3", "--max-queue", "64MiB"]);
    let mut receivers = spread(&server, 3, 2);
    let senders = spread(&server, 3, 2);
    let text = |sender: usize, n: usize| format!("<{sender}:{n:06}>");
    let total = 6 * EACH * text(0, 0).len();
    thread::scope(|scope| {
        for (number, sender) in senders.iter().flatten().enumerate() {
            scope.spawn(move || (0..EACH).for_each(|n| sender.send(text(number, n))));
        }
    });
    for group in &mut receivers {
        let streams: Vec<_> = group.iter_mut().map(|peer| peer.messages(total)).collect();
        assert!(streams[0] == streams[1], "two orders on one worker");
        let mut next: BTreeMap<String, usize> = BTreeMap::new();
        for item in String::from_utf8(streams[0].concat())
            .unwrap()
            .split_inclusive('>')
        {
            let (sender, n) = item.trim_matches(['<', '>']).split_once(':').unwrap();
            let next = next.entry(sender.to_owned()).or_default();
            assert_eq!(n.parse::<usize>().unwrap(), *next, "of {sender}");
            *next += 1;
        }
        assert_eq!(next.into_values().collect::<Vec<_>>(), [EACH; 6]);
    }
}

#[test]
fn messages_of_two_mib_cross_whole_in_both_directions_at_once() {
    const MIB: usize = 1 << 20;
    let options = [
        "--workers",
        "2",
        "--framing",
        "http",
        "--max-body-size",
        "2MiB",
    ];
    let server = start(
        "broadcast",
        &[&options[..], &["--max-queue", "256MiB"]].concat(),
    );
    let mut groups = spread(&server, 2, 2);
    let bodies = [pattern(b'l', 2 * MIB), pattern(b'r', 2 * MIB)];
    thread::scope(|scope| {
        for (group, body) in groups.iter().zip(&bodies) {
            scope.spawn(move || (0..4).for_each(|_| group[0].send(post(body))));
        }
    });
    for (index, group) in groups.iter_mut().enumerate() {
        let mut answers = 0;
        let mut from_the_other = 0;
        while answers < 4 || from_the_other < 4 {
            match group[0].message_or_accepted() {
                None => answers += 1,
                Some(body) => {
                    assert!(body == bodies[1 - index], "a body that was not sent");
                    from_the_other += 1;
                }
            }
        }
        let mut counts = [0; 2];
        for _ in 0..8 {
            let body = group[1].message();
            let which = bodies.iter().position(|sent| *sent == body);
            counts[which.expect("a body that was sent")] += 1;
        }
        assert_eq!(counts, [4, 4]);
    }
    let mut alone = spread(&server, 2, 1);
    alone[0][0].send(post("small"));
    alone[0][0].expect(ACCEPTED);
    alone[1][0].expect(&message("small"));
}

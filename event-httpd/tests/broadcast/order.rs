//! Many senders at once: nothing is lost, mixed or turned around.

use std::thread;

use super::support_broadcast::{Peer, broadcast, join, pattern, post};

const MIB: usize = 1 << 20;
const MARKS: [u8; 4] = *b"abcd";

#[test]
fn every_receiver_gets_each_senders_messages_in_order_and_all_receivers_see_one_order() {
    const EACH: usize = 300;
    let server = broadcast(&["--max-queue", "64MiB"]);
    let senders = join(&server, 8);
    let mut receivers = join(&server, 6);
    let text = |sender: usize, n: usize| format!("<{sender}:{n:06}>");
    let total: usize = 8 * EACH * text(0, 0).len();
    thread::scope(|scope| {
        for (number, sender) in senders.iter().enumerate() {
            scope.spawn(move || (0..EACH).for_each(|n| sender.send(text(number, n))));
        }
    });
    let streams: Vec<Vec<Vec<u8>>> = receivers
        .iter_mut()
        .map(|receiver| receiver.messages(total))
        .collect();
    for stream in &streams[1..] {
        assert!(*stream == streams[0], "two receivers saw different orders");
    }
    // A read may have returned several of one sender's, but never half of another's.
    let mut next = [0; 8];
    let joined = String::from_utf8(streams[0].concat()).unwrap();
    for item in joined.split_inclusive('>') {
        let (sender, n) = item.trim_matches(['<', '>']).split_once(':').unwrap();
        let sender: usize = sender.parse().unwrap();
        assert_eq!(n.parse::<usize>().unwrap(), next[sender], "of {sender}");
        next[sender] += 1;
    }
    assert_eq!(next, [EACH; 8]);
}

/// Has four senders send a MiB at once, each marked as its own, and gives the bodies that two
/// more clients get.
fn from_four(options: &[&str], wrap: fn(Vec<u8>) -> Vec<u8>) -> (Vec<Peer>, Vec<Vec<Vec<u8>>>) {
    // Room enough, so that a slow test is not taken for a slow reader.
    let server = broadcast(&[options, &["--max-queue", "64MiB"]].concat());
    let senders = join(&server, MARKS.len());
    let receivers = join(&server, 2);
    let bodies = thread::scope(|scope| {
        for (mark, sender) in MARKS.iter().zip(&senders) {
            scope.spawn(move || sender.send(wrap(pattern(*mark, MIB))));
        }
        let readers: Vec<_> = receivers
            .into_iter()
            .map(|mut receiver| scope.spawn(move || receiver.messages(MARKS.len() * MIB)))
            .collect();
        let bodies = readers.into_iter().map(|reader| reader.join().unwrap());
        bodies.collect()
    });
    (senders, bodies)
}

/// The bodies that are a sender's, which have nothing of another's, together.
fn of_sender(mark: u8, bodies: &[Vec<u8>]) -> Vec<u8> {
    let expected = pattern(mark, MIB);
    let mut all = Vec::with_capacity(MIB);
    for body in bodies {
        let rest = &expected[all.len()..];
        if rest.len() >= body.len() && rest[..body.len()] == **body {
            all.extend_from_slice(body);
        }
    }
    all
}

#[test]
fn a_mib_from_each_of_four_senders_at_once_arrives_unmixed() {
    let (mut senders, received) = from_four(&[], |bytes| bytes);
    for bodies in &received {
        // Every byte of a body that is not a sender's next would be missing here.
        for mark in MARKS {
            assert!(of_sender(mark, bodies) == pattern(mark, MIB), "of {mark}");
        }
    }
    assert!(
        received[0] == received[1],
        "two receivers saw different orders"
    );
    for (number, sender) in senders.iter_mut().enumerate() {
        let bodies = sender.messages(3 * MIB);
        for (other, mark) in MARKS.into_iter().enumerate() {
            let expected = if other == number { 0 } else { MIB };
            assert_eq!(of_sender(mark, &bodies).len(), expected);
        }
    }
}

#[test]
fn a_mib_from_each_of_four_requests_at_once_is_one_message_each() {
    let (mut senders, received) = from_four(&["--framing", "http"], post);
    for bodies in &received {
        let mut marks: Vec<u8> = bodies.iter().map(|body| body[0]).collect();
        for body in bodies {
            assert!(
                *body == pattern(body[0], MIB),
                "a body that is not one sender's"
            );
        }
        marks.sort_unstable();
        assert_eq!(marks, MARKS);
    }
    assert!(
        received[0] == received[1],
        "two receivers saw different orders"
    );
    for (number, sender) in senders.iter_mut().enumerate() {
        let got: Vec<Option<Vec<u8>>> = (0..4).map(|_| sender.message_or_accepted()).collect();
        let mut marks: Vec<u8> = got.iter().flatten().map(|body| body[0]).collect();
        marks.sort_unstable();
        let mut others = MARKS.to_vec();
        others.remove(number);
        assert_eq!(marks, others, "and one 202");
    }
}

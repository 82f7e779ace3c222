//! Which system calls a message costs.

use std::collections::BTreeMap;

use super::support_broadcast::{
    Peer, Trace, arguments, join, message, pattern, post, sockets, stop, traced,
};
use super::support_http::{Server, until};
use test_support::raise_descriptor_limit;

const RECEIVERS: usize = 1000;

pub(super) fn server(trace: &Trace, calls: &str, options: &[&str]) -> Server {
    let calls = format!("trace={calls}");
    let strace = ["-e", &calls, "-s", "40"];
    Server::run(traced(
        &strace,
        &trace.file(),
        arguments("broadcast", options),
    ))
}

/// How often each call stands in a trace.
fn count(calls: &[String]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for call in calls {
        if let Some((name, _)) = call.split_once('(') {
            *counts.entry(name).or_default() += 1;
        }
    }
    counts
}

/// Of those calls, the writes; and all others.
fn writes_and_others(calls: &[String]) -> (usize, usize) {
    let writes = calls.iter().filter(|call| is_write(call)).count();
    (writes, count(calls).values().sum::<usize>() - writes)
}

/// Whether a line of a trace is a call that writes.
pub(super) fn is_write(call: &str) -> bool {
    let name = call.split_once('(').map_or("", |(name, _)| name);
    matches!(name, "write" | "writev" | "sendto" | "sendmsg")
}

#[test]
fn a_delivery_is_one_write_and_hardly_anything_else() {
    raise_descriptor_limit();
    let trace = Trace::new();
    let server = server(&trace, "all", &[]);
    let sender = &join(&server, 1)[0];
    let mut receivers = join(&server, RECEIVERS);
    const ROUNDS: usize = 10;
    for round in 0..=ROUNDS {
        let body = format!("round {round:02} {}", "x".repeat(91));
        sender.send(&body);
        for receiver in &mut receivers {
            receiver.expect(&message(&body));
        }
    }
    let calls = trace.between("\"round 00", &format!("\"round {ROUNDS:02}"));
    let (writes, others) = writes_and_others(&calls);
    assert_eq!(
        writes,
        ROUNDS * RECEIVERS,
        "one write a delivery: {:?}",
        count(&calls)
    );
    assert!(
        others * 20 < ROUNDS * RECEIVERS,
        "{others} others: {:?}",
        count(&calls)
    );
}

#[test]
fn messages_that_arrive_together_leave_together_in_one_write_a_receiver() {
    const SENDERS: usize = 16;
    raise_descriptor_limit();
    let trace = Trace::new();
    let server = server(&trace, "all", &[]);
    let mut senders = join(&server, SENDERS);
    let mut receivers = join(&server, RECEIVERS);
    let stopped = stop(server.process().id());
    for (number, sender) in senders.iter().enumerate() {
        sender.send(format!("mark {number:02} {}", "x".repeat(92)));
    }
    drop(stopped);
    let all = receivers[0].messages(SENDERS * 100).concat();
    for receiver in &mut receivers[1..] {
        assert!(receiver.messages(SENDERS * 100).concat() == all);
    }
    for sender in &mut senders {
        sender.messages((SENDERS - 1) * 100);
    }
    senders[0].send("the end");
    let calls = trace.between("\"mark ", "\"the end");
    let (writes, others) = writes_and_others(&calls);
    let deliveries = SENDERS * RECEIVERS + SENDERS * (SENDERS - 1);
    assert_eq!(writes, RECEIVERS + SENDERS, "one each: {:?}", count(&calls));
    assert!(
        others * 20 < deliveries,
        "{others} others: {:?}",
        count(&calls)
    );
}

#[test]
fn however_many_messages_came_in_a_turn_a_receiver_costs_one_write() {
    const MESSAGES: usize = 300;
    let trace = Trace::new();
    let server = server(&trace, "all", &["--framing", "http"]);
    let sender = &join(&server, 1)[0];
    let mut receivers = join(&server, 10);
    // One read has them all.
    let requests: Vec<Vec<u8>> = (0..MESSAGES).map(|n| post(format!("{n:03}"))).collect();
    sender.send(requests.concat());
    for receiver in &mut receivers {
        for n in 0..MESSAGES {
            receiver.expect(&message(format!("{n:03}")));
        }
    }
    sender.send("GET /end");
    let calls = trace.between("\"POST / HTTP", "\"GET /end");
    let answers = calls.iter().filter(|call| call.contains("HTTP/1.1 202"));
    let answers = answers.count();
    let (writes, _) = writes_and_others(&calls);
    assert_eq!(writes - answers, receivers.len(), "{:?}", count(&calls));
}

#[test]
fn the_event_for_writing_exists_only_while_bytes_wait() {
    let trace = Trace::new();
    let options = ["--max-queue", "64MiB"];
    let server = server(&trace, "recvfrom,epoll_ctl", &options);
    let sender = &join(&server, 1)[0];
    let mut reader = Peer::narrow(&server);
    let accepted = sockets(&server);
    until("it is accepted", || {
        (sockets(&server) >= accepted).then_some(())
    });
    for n in 0..20 {
        sender.send(format!("small {n:02}"));
        reader.expect(&message(format!("small {n:02}")));
    }
    sender.send("small ones end");
    reader.expect(&message("small ones end"));
    let calls = trace.between("\"small 00", "\"small ones end");
    assert_eq!(
        count(&calls).get("epoll_ctl"),
        None,
        "where there is room: {calls:?}"
    );

    // More than the sockets hold, and then the reader takes it.
    let body = pattern(b'l', 12 << 20);
    sender.send(&body);
    assert!(reader.messages(body.len()).concat() == body);
    sender.send("large one ends");
    reader.expect(&message("large one ends"));
    let calls = trace.between("\"small ones end", "\"large one ends");
    let control: Vec<&String> = calls
        .iter()
        .filter(|call| call.contains("epoll_ctl("))
        .collect();
    let begins = control
        .iter()
        .filter(|call| call.contains("EPOLLOUT"))
        .count();
    assert!(begins >= 1, "nothing waited");
    assert_eq!(
        control.len(),
        2 * begins,
        "each begin has its end: {control:#?}"
    );
    assert!(
        !control.last().unwrap().contains("EPOLLOUT"),
        "{control:#?}"
    );

    for n in 0..20 {
        sender.send(format!("after {n:02}"));
        reader.expect(&message(format!("after {n:02}")));
    }
    sender.send("it is over");
    reader.expect(&message("it is over"));
    let calls = trace.between("\"after 00", "\"it is over");
    assert_eq!(
        count(&calls).get("epoll_ctl"),
        None,
        "where there is room: {calls:?}"
    );
}

//! Readers and workers that lag behind senders of other workers.

use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::support_broadcast::{
    Family, Peer, every_worker, high_water, pattern, spread, start, stop, worker_of,
};
use super::support_http::{LIMIT, until};

const MIB: usize = 1 << 20;

#[test]
fn a_worker_that_is_slow_holds_senders_back_and_its_clients_lose_nothing() {
    let options = ["--workers", "2", "--bus-timeout", "60s"];
    let queues = ["--max-queue", "256MiB", "--max-queue-total", "1GiB"];
    let server = start("broadcast", &[&options[..], &queues].concat());
    let mut groups = spread(&server, 2, 2);
    let family = every_worker(&server, 2, None);
    let body = pattern(b's', 50 * MIB);
    let [sender, mut near] = <[Peer; 2]>::try_from(groups.remove(0)).ok().unwrap();
    let mut far = groups.remove(0);

    let stopped = stop(family.pid(2));
    let (sent, _) = thread::scope(|scope| {
        let sending = scope.spawn(|| sender.send_until_stuck(&body, Duration::from_secs(1)));
        let sent = sending.join().unwrap();
        assert!(sent < 40 * MIB, "{sent} bytes have gone into the server");
        for pid in [server.process().id(), family.pid(1)] {
            let memory = high_water(pid);
            assert!(memory < 48 * MIB, "{memory} bytes in process {pid}");
        }
        (sent, ())
    });
    drop(stopped);
    thread::scope(|scope| {
        scope.spawn(|| sender.send(&body[sent..]));
        let all = far.iter_mut().chain([&mut near]);
        let readers: Vec<_> = all
            .map(|peer| scope.spawn(|| peer.messages(body.len()).concat()))
            .collect();
        for reader in readers {
            assert!(reader.join().unwrap() == body);
        }
    });
    assert_eq!(Family::of(&server), family, "nobody was taken for hung");
}

#[test]
fn a_reader_that_lags_on_another_worker_is_cut_off_there_and_delays_no_one() {
    let server = start("broadcast", &["--workers", "2", "--max-queue", "1MiB"]);
    let mut groups = spread(&server, 2, 1);
    let far = every_worker(&server, 2, None).pid(2);
    let mut deaf = until("a deaf client of worker 2", || {
        let peer = Peer::narrow(&server);
        (worker_of(&server, &peer) == far).then_some(peer)
    });
    let mut receiver = groups.pop().unwrap().remove(0);
    let sender = groups.pop().unwrap().remove(0);
    let body = pattern(b'l', MIB / 2);
    let start = std::time::Instant::now();
    while server.log().iter().all(|line| !line.contains("cut off")) {
        assert!(start.elapsed() < LIMIT, "not cut off");
        sender.send(&body);
        assert!(receiver.messages(body.len()).concat() == body);
    }
    let line = server.line("cut off");
    assert!(
        line.contains("number=2") && line.contains("--max-queue"),
        "{line}"
    );
    assert!(!deaf.rest().is_empty());
    for _ in 0..4 {
        sender.send(&body);
        assert!(receiver.messages(body.len()).concat() == body);
    }
    server.process().signal(Signal::SIGUSR1);
    let counters = server.line("number=2}: counters");
    assert!(counters.contains(" evictions=1 "), "{counters}");
    assert!(counters.contains(" queue_bytes=0 "), "{counters}");
}

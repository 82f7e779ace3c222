//! How a server with workers ends.

use std::fs;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;

use super::support_broadcast::{
    Family, Peer, arguments, children, every_worker, gone, kill, kill_if_there, message, spread,
    start, steady, stop,
};
use super::support_http::{GET, Server, event_httpd, until};

/// Waits for the end of a server and of all its workers: good, and within so long.
#[track_caller]
fn assert_ends(server: Server, within: Duration) -> Vec<String> {
    let workers: Vec<_> = children(server.process().id());
    let start = Instant::now();
    let (status, log) = server.end();
    assert_eq!(status.code(), Some(0), "{log:?}");
    assert!(start.elapsed() < within, "{:?}", start.elapsed());
    for worker in workers {
        assert!(gone(worker.pid), "{worker:?} is left");
    }
    log
}

#[test]
fn sigterm_sigint_and_sigquit_end_master_and_workers_with_status_0() {
    for command in ["serve", "broadcast"] {
        for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGQUIT] {
            let server = start(command, &["--workers", "3", "--grace", "60s"]);
            let mut groups = spread(&server, 3, 1);
            server.process().signal(signal);
            for peer in groups.iter_mut().flatten() {
                peer.expect_close();
            }
            let log = assert_ends(server, Duration::from_secs(5));
            let ended = log
                .iter()
                .filter(|line| line.contains(" ended: exit code 0"));
            assert_eq!(ended.count(), 3, "{signal}: {log:?}");
            let last = log.last().unwrap();
            assert!(last.contains("counters of the master"), "{signal}: {log:?}");
        }
    }
}

/// A server with half a request on each of its two workers, which know of it.
fn with_half_requests(options: &[&str]) -> (Server, Vec<Peer>) {
    let server = start("serve", &[&["--workers", "2"], options].concat());
    let mut peers: Vec<Peer> = spread(&server, 2, 1).into_iter().flatten().collect();
    for peer in &mut peers {
        peer.send(GET);
        peer.message(); // so that the worker has the connection, and what follows at once
        peer.send(&GET[..20]);
    }
    (server, peers)
}

#[test]
fn sigquit_waits_for_open_requests_however_long_and_new_ones_are_refused() {
    let (server, mut peers) = with_half_requests(&["--grace", "100ms"]);
    server.process().signal(Signal::SIGQUIT);
    server.lines("stopping when all connections have ended", 2);
    until("connecting is refused", || {
        Peer::try_connect(server.address(), |_socket| Ok(()))
            .is_err()
            .then_some(())
    });
    peers[0].expect_silence(Duration::from_millis(700)); // past the grace, which does not count
    for peer in &mut peers {
        peer.send(&GET[20..]);
        let answer = String::from_utf8(peer.rest()).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    }
    assert_ends(server, Duration::from_secs(5));
}

#[test]
fn sigterm_waits_for_open_requests_no_longer_than_the_grace() {
    let (server, mut peers) = with_half_requests(&["--grace", "400ms"]);
    let start = Instant::now();
    server.process().signal(Signal::SIGTERM);
    peers[0].send(&GET[20..]);
    assert!(peers[0].rest().starts_with(b"HTTP/1.1 200 OK\r\n"));
    let log = assert_ends(server, Duration::from_secs(5));
    assert!(
        start.elapsed() >= Duration::from_millis(400),
        "{:?}",
        start.elapsed()
    );
    let cut = log
        .iter()
        .filter(|line| line.contains("cut off at the end of the grace"));
    assert_eq!(cut.count(), 1, "{log:?}");
    peers[1].rest();
}

#[test]
fn a_second_signal_after_a_second_ends_it_at_once() {
    for (first, stops) in [(Signal::SIGTERM, 1), (Signal::SIGQUIT, 2)] {
        let (server, _peers) = with_half_requests(&["--grace", "60s"]);
        server.process().signal(first);
        server.lines("worker{number=1}: stopping", 1);
        server.lines("worker{number=2}: stopping", 1);
        if stops == 2 {
            server.process().signal(Signal::SIGTERM); // begins the grace period that QUIT has not
            server.lines("worker{number=1}: stopping within", 1);
            server.lines("worker{number=2}: stopping within", 1);
        }
        thread::sleep(Duration::from_secs(1));
        server.process().signal(Signal::SIGTERM);
        assert_ends(server, Duration::from_secs(5));
    }
}

/// GNU `timeout` sends SIGTERM to its child, and then to the whole group.
#[test]
fn sigterm_to_the_master_and_at_once_to_the_group_gives_requests_their_grace() {
    let (server, mut peers) = with_half_requests(&["--grace", "60s"]);
    let workers = children(server.process().id());
    server.process().signal(Signal::SIGTERM);
    server.lines("stopping within", 2);
    server.process().signal(Signal::SIGTERM);
    for worker in &workers {
        kill(worker.pid, Signal::SIGTERM);
    }
    server.process().signal(Signal::SIGUSR1);
    server.line("counters of the master"); // it has handled the others by then
    for peer in &mut peers {
        peer.send(&GET[20..]);
        let answer = String::from_utf8(peer.rest()).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    }
    let log = assert_ends(server, Duration::from_secs(5));
    assert!(!log.iter().any(|line| line.contains("killing")), "{log:?}");
}

#[test]
fn a_worker_that_does_not_end_is_killed_after_the_grace() {
    let options = ["--workers", "2", "--grace", "100ms", "--bus-timeout", "60s"];
    let server = start("broadcast", &options);
    let stuck = every_worker(&server, 2, None).pid(1);
    let _stopped = stop(stuck);
    server.process().signal(Signal::SIGTERM);
    let log = assert_ends(server, Duration::from_secs(10));
    let killed = format!("process {stuck} did not end within the grace period");
    assert!(log.iter().any(|line| line.contains(&killed)), "{log:?}");
    let ended = format!("(process {stuck}) ended: SIGKILL");
    assert!(log.iter().any(|line| line.contains(&ended)), "{log:?}");
}

#[test]
fn a_signal_while_workers_are_replaced_ends_all_of_them() {
    for signal in [Signal::SIGTERM, Signal::SIGQUIT] {
        for victims in 0..2 {
            let server = start("broadcast", &["--workers", "3"]);
            let family = every_worker(&server, 3, None);
            server.process().signal(Signal::SIGHUP);
            server.line("replacing");
            for number in 1..=victims {
                kill_if_there(family.pid(number)); // it may have been replaced by now
            }
            server.process().signal(signal);
            assert_ends(server, Duration::from_secs(5));
        }
    }
}

#[test]
fn many_signals_at_once_harm_nothing() {
    let server = start("broadcast", &["--workers", "2"]);
    for _ in 0..20 {
        for signal in [
            Signal::SIGUSR1,
            Signal::SIGHUP,
            Signal::SIGUSR2,
            Signal::SIGCHLD,
        ] {
            server.process().signal(signal);
        }
    }
    assert_eq!(steady(&server, 2).numbers(), [1, 2]);
    let mut groups = spread(&server, 2, 1);
    groups[0][0].send("well?");
    groups[1][0].expect(&message("well?"));
    server.process().signal(Signal::SIGTERM);
    assert_ends(server, Duration::from_secs(5));
}

#[test]
fn a_reload_of_a_server_that_stops_says_that_nothing_is_replaced() {
    let (server, mut peers) = with_half_requests(&[]);
    server.process().signal(Signal::SIGQUIT);
    server.lines("stopping when all connections have ended", 2);
    for signal in [Signal::SIGHUP, Signal::SIGUSR2] {
        server.process().signal(signal);
    }
    server.lines("are not replaced", 2);
    for peer in &mut peers {
        peer.send(&GET[20..]);
        peer.rest();
    }
    let log = assert_ends(server, Duration::from_secs(5));
    assert!(!log.iter().any(|line| line.contains("one at a time")));
}

#[test]
fn a_worker_that_starts_while_the_server_drains_takes_no_requests_from_the_one_before() {
    let options = ["--workers", "1", "--grace", "100ms", "--bus-timeout", "60s"];
    let server = start("serve", &options);
    let master = server.process().id();
    let starting = until("a worker is stopped before it is ready", || {
        let former = every_worker(&server, 1, None).pid(1);
        server.process().signal(Signal::SIGHUP);
        let new = until("another worker", || {
            let all = fs::read_to_string(format!("/proc/{master}/task/{master}/children"));
            let all = all.unwrap();
            let mut all = all.split_whitespace().map(|pid| pid.parse().unwrap());
            all.find(|pid| *pid != former.as_raw())
        });
        let stopped = stop(Pid::from_raw(new));
        let told = server.lines("counters of the master", 0).len();
        server.process().signal(Signal::SIGUSR1);
        server.lines("counters of the master", told + 1);
        let ready = format!("process {new} takes over");
        server.lines(&ready, 0).is_empty().then_some(stopped)
    });
    let mut peer = Peer::connect(&server);
    peer.send(GET);
    peer.message();
    peer.send(&GET[..20]);
    server.process().signal(Signal::SIGQUIT);
    server.line("stopping when all connections have ended open=1");
    drop(starting); // goes on
    server.line("ended: exit code 0");
    peer.expect_silence(Duration::from_secs(1));
    peer.send(&GET[20..]);
    let answer = String::from_utf8(peer.rest()).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert_ends(server, Duration::from_secs(5));
}

/// The end takes a second: so long it waits for the reader of the echo.
#[test]
fn signals_that_come_behind_the_last_connection_do_not_end_it_before_its_work_is_done() {
    for workers in [&[][..], &["--workers", "1"]] {
        let options = [&["--echo"], workers].concat();
        let mut command = event_httpd(arguments("serve", &options));
        let (reader, writer) = io::pipe().unwrap();
        command.stdout(writer);
        let mut server = Server::run(command);
        let mut peer = Peer::connect(&server);
        let body = vec![b'x'; 1 << 20]; // more than a pipe takes
        let head =
            "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1048576\r\n\r\n";
        peer.send([head.as_bytes(), &body].concat());
        peer.rest();
        let serving = match workers {
            [] => server.process().id(),
            _ => Family::of(&server).pid(1),
        };
        server.process().signal(Signal::SIGTERM);
        server.line("stopping within");
        while !server.has_ended() {
            for signal in [Signal::SIGTERM, Signal::SIGUSR1, Signal::SIGHUP] {
                if !gone(serving) {
                    signal::kill(serving, signal).ok();
                }
            }
            thread::sleep(Duration::from_millis(10));
        }
        let (status, log) = server.end();
        assert_eq!(status.code(), Some(0), "{log:?}");
        drop(reader);
        let said = |part: &str| log.iter().any(|line| line.contains(part));
        assert!(said("--echo has dropped"), "{log:?}");
        assert!(workers.is_empty() || said("ended: exit code 0"), "{log:?}");
    }
}

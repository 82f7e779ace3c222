//! Workers that die, hang or never live, and a master that dies.

use std::env;
use std::io::{self, BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use test_support::OnDrop;

use super::load::under_load;
use super::support_broadcast::{
    Family, Peer, Trace, arguments, children, every_worker, gone, kill, kill_if_there, message,
    pattern, post, spread, start, stop, traced, until_gone, worker_of,
};
use super::support_http::{GET, Process, Server, output, until};

const SECOND: Duration = Duration::from_secs(1);

/// Ends a process by a signal; when it was gone.
fn end(pid: Pid, signal: Signal) -> Instant {
    // The runtime takes a first SIGSEGV that is no fault for an error, and stands aside.
    until(&format!("{signal} ends process {pid}"), || {
        nix::sys::signal::kill(pid, signal).ok();
        let looked = Instant::now();
        while looked.elapsed() < Duration::from_millis(100) {
            if gone(pid) {
                return Some(Instant::now());
            }
        }
        None
    })
}

#[test]
fn a_worker_killed_under_load_takes_only_its_own_connections_with_it() {
    let server = start("serve", &["--workers", "3"]);
    for (number, signal) in [
        (1, Signal::SIGKILL),
        (2, Signal::SIGSEGV),
        (3, Signal::SIGABRT),
        (1, Signal::SIGBUS),
    ] {
        let mut groups = spread(&server, 3, 2);
        let family = every_worker(&server, 3, None);
        let victim = family.pid(number);
        let (dead, tally) = under_load(&server, || {
            let dead = end(victim, signal);
            let successor = until("a successor", || {
                let now = Family::of(&server);
                let pid = now.numbers().contains(&number).then(|| now.pid(number))?;
                (pid != victim).then_some(pid)
            });
            assert!(
                dead.elapsed() < SECOND,
                "{signal}: back after {:?}",
                dead.elapsed()
            );
            // It serves: one of the connections that are made now is its own.
            until("the successor serves", || {
                let mut peer = Peer::connect(&server);
                peer.send(GET);
                peer.message();
                (worker_of(&server, &peer) == successor).then_some(())
            });
            dead
        });
        let line = server.line(&format!("worker {number} (process {victim}) ended: "));
        assert!(line.contains(signal.as_str()), "{line}");
        for failed in &tally.failed {
            assert!(failed.began <= dead, "{signal}: begun after it: {failed:?}");
        }
        assert!(
            tally.failed.len() <= 3,
            "{signal}: more than were there: {tally:?}"
        );
        for (index, group) in groups.iter_mut().enumerate() {
            for peer in group {
                if index + 1 == number {
                    assert_eq!(peer.rest(), b"");
                } else {
                    peer.send(GET);
                    peer.message();
                }
            }
        }
    }
}

#[test]
fn messages_between_other_workers_pass_while_one_dies() {
    let server = start("broadcast", &["--workers", "3", "--max-queue", "64MiB"]);
    let mut groups = spread(&server, 3, 1);
    let mut receiver = groups.pop().unwrap().remove(0);
    let sender = groups.remove(0).remove(0);
    let family = every_worker(&server, 3, None);
    for n in 0..2000 {
        sender.send(format!("{n:08}"));
        if n == 500 {
            kill(family.pid(2), Signal::SIGKILL);
        }
        if n % 100 == 99 {
            let bodies = receiver.messages(800).concat();
            let expected: String = (n - 99..=n).map(|n| format!("{n:08}")).collect();
            assert_eq!(String::from_utf8(bodies).unwrap(), expected);
        }
    }
    every_worker(&server, 3, None);
}

#[test]
fn a_message_that_a_worker_dies_with_is_passed_on_whole_or_not_at_all() {
    let options = [
        "--workers",
        "2",
        "--framing",
        "http",
        "--max-body-size",
        "4MiB",
    ];
    let server = start(
        "broadcast",
        &[&options[..], &["--max-queue", "64MiB"]].concat(),
    );
    for _ in 0..3 {
        let family = every_worker(&server, 2, None);
        let mut groups = spread(&server, 2, 2);
        let mut receivers = groups.pop().unwrap();
        let request = post(vec![b'm'; 3 << 20]);
        let sender = &groups[0][0];
        sender.send(&request);
        sender.send(&request);
        sender.try_send(&request[..1 << 20]).ok();
        kill(family.pid(1), Signal::SIGKILL);
        until_gone(family.pid(1));
        every_worker(&server, 2, None);
        // The next whole message comes right after.
        let (second, rest) = receivers.split_first_mut().unwrap();
        rest[0].send(post("after"));
        loop {
            let body = second.message();
            if body == b"after" {
                break;
            }
            assert!(body == vec![b'm'; 3 << 20], "a part of a message");
        }
    }
}

#[test]
fn what_a_worker_had_passed_on_before_it_died_is_delivered() {
    // More than the master reads at a time, less than a line holds.
    const LENGTH: usize = 150_000;
    let server = start("broadcast", &["--workers", "2"]);
    let family = every_worker(&server, 2, None);
    let mut groups = spread(&server, 2, 2);
    let stopped = stop(server.process().id());
    let body = pattern(b'l', LENGTH);
    groups[0][0].send(&body);
    assert!(groups[0][1].messages(LENGTH).concat() == body);
    groups[0][0].send("what came before has left the worker by now");
    groups[0][1].message();
    kill(family.pid(1), Signal::SIGKILL);
    drop(stopped);
    for peer in &mut groups[1] {
        assert!(peer.messages(LENGTH).concat() == body);
    }
    every_worker(&server, 2, None);
}

#[test]
fn a_worker_that_keeps_dying_comes_back_at_once_and_then_later_and_later() {
    let server = start("serve", &["--workers", "2", "-v"]);
    let steady = every_worker(&server, 2, None).pid(2);
    let start = Instant::now();
    for (death, delay) in ["", "100ms", "200ms", "400ms", "800ms"].iter().enumerate() {
        server.lines("number=1}: accepting", death + 1);
        let victim = Family::of(&server).pid(1);
        kill(victim, Signal::SIGKILL);
        if !delay.is_empty() {
            server.line(&format!("worker 1 starts again in {delay}"));
        }
        until("the next", || {
            let family = Family::of(&server);
            let next = family.numbers().contains(&1).then(|| family.pid(1))?;
            (next != victim).then_some(())
        });
    }
    assert!(
        start.elapsed() >= Duration::from_millis(1500),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(every_worker(&server, 2, None).pid(2), steady);

    // Who has lived for a second is forgiven.
    server.lines("number=1}: accepting", 6);
    let mut peer = spread(&server, 2, 1).remove(0).remove(0);
    peer.expect_silence(SECOND + SECOND / 5);
    for _ in 0..2 {
        let victim = Family::of(&server).pid(1);
        let dead = end(victim, Signal::SIGKILL);
        until("the next", || {
            let family = Family::of(&server);
            let next = family.numbers().contains(&1).then(|| family.pid(1))?;
            (next != victim).then_some(())
        });
        assert!(dead.elapsed() < SECOND, "{:?}", dead.elapsed());
    }
    assert_eq!(server.lines("worker 1 starts again in", 4).len(), 4);
}

#[test]
fn a_worker_that_was_replaced_after_a_second_ends_a_row_of_quick_deaths() {
    let server = start("serve", &["--workers", "1"]);
    let mut family = every_worker(&server, 1, None);
    for _ in 0..3 {
        end(family.pid(1), Signal::SIGKILL);
        family = every_worker(&server, 1, Some(&family));
    }
    server.line("worker 1 starts again in 200ms");
    Peer::connect(&server).expect_silence(SECOND + SECOND / 5); // it has lived long enough then
    server.process().signal(Signal::SIGHUP);
    let next = every_worker(&server, 1, Some(&family));
    server.line(&format!("(process {}) ended: exit code 0", family.pid(1)));
    end(next.pid(1), Signal::SIGKILL);
    every_worker(&server, 1, Some(&next));
    assert_eq!(server.lines("starts again in", 0).len(), 2);
}

#[test]
fn workers_that_die_at_start_end_the_master_which_says_why() {
    for (workers, fault, how) in [
        ("1", "signal=SIGABRT", "SIGABRT"),
        ("3", "signal=SIGABRT", "SIGABRT"),
        ("2", "retval=1", "exit code 0"),
    ] {
        // A worker's first question is who its master is; nobody else asks.
        let inject = format!("inject=getppid:{fault}");
        let strace = ["-f", "-e", "trace=getppid", "-e", &inject];
        let trace = Trace::new();
        let command = traced(
            &strace,
            &trace.file(),
            arguments("broadcast", &["--workers", workers]),
        );
        let start = Instant::now();
        let output = output(command);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        let last = stderr
            .lines()
            .rfind(|line| line.starts_with("event-httpd: "));
        let last = last.unwrap_or_else(|| panic!("{stderr}"));
        assert!(
            last.contains("cannot start") && last.contains(how),
            "{stderr}"
        );
        assert!(!stderr.contains("listening on"), "{stderr}");
        if workers == "1" {
            let deaths = stderr.lines().filter(|line| line.contains(") ended: "));
            assert_eq!(deaths.count(), 5, "{stderr}");
            for delay in ["in 100ms", "in 200ms", "in 400ms"] {
                assert!(stderr.contains(delay), "no {delay}: {stderr}");
            }
            assert!(start.elapsed() >= Duration::from_millis(700));
        }
    }
}

#[test]
fn forks_that_fail_for_a_while_do_not_end_a_master_whose_worker_served() {
    let forks = "clone,clone3,fork,vfork";
    let (calls, inject) = (
        format!("trace={forks}"),
        format!("inject={forks}:error=EAGAIN:when=2..7"),
    );
    let trace = Trace::new();
    let options = arguments("serve", &["--workers", "1"]);
    let strace = ["-e", &calls, "-e", &inject];
    let server = Server::run(traced(&strace, &trace.file(), options));
    let first = every_worker(&server, 1, None);
    kill(first.pid(1), Signal::SIGKILL);
    server.lines("worker 1 cannot be started", 6);
    every_worker(&server, 1, Some(&first));
    let mut peer = Peer::connect(&server);
    peer.send(GET);
    peer.message();
}

#[test]
fn workers_end_within_a_second_of_their_masters_death() {
    for command in ["serve", "broadcast"] {
        let server = start(command, &["--workers", "3"]);
        let mut groups = spread(&server, 3, 1);
        let family = every_worker(&server, 3, None);
        let _stopped = stop(family.pid(2)); // even one that can't do anything about it
        let start = Instant::now();
        kill(server.process().id(), Signal::SIGKILL);
        family.pids().into_iter().for_each(until_gone);
        assert!(start.elapsed() < SECOND, "{:?}", start.elapsed());
        for group in &mut groups {
            group[0].rest();
        }
    }
}

/// `test_support::spawn` ends the master, and the master's end ends the workers.
#[test]
fn a_killed_test_program_leaves_no_server_behind() {
    const INNER: &str = "PHP_EVENT_TEST_KILLED";
    if env::var_os(INNER).is_some() {
        let server = start("broadcast", &["--workers", "2"]);
        let mut all = every_worker(&server, 2, None).pids();
        all.push(server.process().id());
        println!(
            "{INNER} {}",
            all.iter().map(Pid::to_string).collect::<Vec<_>>().join(" ")
        );
        io::stdin().read_line(&mut String::new()).unwrap(); // until this is killed
        return;
    }
    let mut command = Command::new(env::current_exe().unwrap());
    command.args([
        "--exact",
        "failing::a_killed_test_program_leaves_no_server_behind",
    ]);
    command.arg("--nocapture").env(INNER, "1");
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut program = Process::spawn(command);
    let _stdin = program.stdin();
    let mut lines = BufReader::new(program.stdout()).lines().map(Result::unwrap);
    let all = lines
        .find_map(|line| Some(line.split_once(INNER)?.1.to_owned()))
        .unwrap();
    let pid = |text: &str| Pid::from_raw(text.parse().unwrap());
    let all: Vec<Pid> = all.split_whitespace().map(pid).collect();
    assert_eq!(all.len(), 3);
    let _ended = OnDrop(|| all.iter().copied().for_each(kill_if_there));
    program.signal(Signal::SIGKILL);
    all.iter().copied().for_each(until_gone);
}

#[test]
fn no_zombies_are_left_by_whatever_ends_a_worker() {
    let server = start("broadcast", &["--workers", "4"]);
    let mut former = every_worker(&server, 4, None);
    for round in 0..2 {
        for pid in former.pids() {
            kill(pid, Signal::SIGKILL);
        }
        former = every_worker(&server, 4, Some(&former)); // and no more children than these
        server.process().signal(Signal::SIGHUP);
        former = every_worker(&server, 4, Some(&former));
        assert!(
            children(server.process().id())
                .iter()
                .all(|child| child.state != 'Z'),
            "round {round}"
        );
    }
}

#[test]
fn a_worker_that_hangs_is_replaced_and_the_others_clients_lose_nothing() {
    let options = ["--workers", "3", "--bus-timeout", "500ms"];
    let server = start(
        "broadcast",
        &[&options[..], &["--max-queue", "256MiB"]].concat(),
    );
    let mut groups = spread(&server, 3, 2);
    let family = every_worker(&server, 3, None);
    let start = Instant::now();
    let _stopped = stop(family.pid(2));
    let mut sent = 0;
    let hung = format!("process {} has not answered", family.pid(2));
    while server.log().iter().all(|line| !line.contains(&hung)) {
        let body = format!("message {sent:06}");
        groups[0][0].send(&body);
        groups[0][1].expect(&message(&body));
        for receiver in &mut groups[2] {
            receiver.expect(&message(&body));
        }
        sent += 1;
        assert!(start.elapsed() < 10 * SECOND, "not taken for hung");
    }
    assert!(
        start.elapsed() >= Duration::from_millis(350),
        "{:?}",
        start.elapsed()
    );
    for peer in &mut groups[1] {
        peer.rest();
    }
    let line = server.line(&format!("(process {}) ended", family.pid(2)));
    assert!(line.contains("SIGKILL"), "{line}");
    let after = every_worker(&server, 3, None);
    assert_ne!(after.pid(2), family.pid(2));
    assert_eq!((after.pid(1), after.pid(3)), (family.pid(1), family.pid(3)));
    assert!(start.elapsed() < 5 * SECOND, "{:?}", start.elapsed());
    // The new one is on the bus.
    let mut again = spread(&server, 3, 1);
    groups[0][0].send("all of you");
    for peer in again.iter_mut().flatten().chain(&mut groups[2]) {
        peer.expect(&message("all of you"));
    }
}

#[test]
fn a_worker_that_hangs_while_much_is_sent_costs_the_others_clients_nothing() {
    let options = ["--workers", "3", "--bus-timeout", "500ms"];
    let server = start(
        "broadcast",
        &[&options[..], &["--max-queue", "256MiB"]].concat(),
    );
    let mut groups = spread(&server, 3, 1);
    let family = every_worker(&server, 3, None);
    let _stopped = stop(family.pid(2));
    let body = pattern(b'h', 24 << 20);
    let sender = groups.remove(0).remove(0);
    let mut receiver = groups.pop().unwrap().remove(0);
    std::thread::scope(|scope| {
        scope.spawn(|| sender.send(&body));
        assert!(receiver.messages(body.len()).concat() == body);
    });
    let after = every_worker(&server, 3, None);
    assert_ne!(after.pid(2), family.pid(2), "nobody else is taken for hung");
    assert_eq!((after.pid(1), after.pid(3)), (family.pid(1), family.pid(3)));
}

#[test]
fn a_busy_server_takes_no_worker_for_hung() {
    let options = [
        "--workers",
        "2",
        "--bus-timeout",
        "300ms",
        "--max-queue",
        "256MiB",
    ];
    let server = start("broadcast", &options);
    let mut groups = spread(&server, 2, 1);
    let body = pattern(b'b', 4 << 20);
    let mut receiver = groups.pop().unwrap().remove(0);
    let start = Instant::now();
    while start.elapsed() < SECOND {
        std::thread::scope(|scope| {
            scope.spawn(|| groups[0][0].send(&body));
            assert!(receiver.messages(body.len()).concat() == body);
        });
    }
    receiver.expect_silence(SECOND); // nor an idle one
    let (_, log) = server.stop();
    assert!(log.iter().all(|line| !line.contains("hung:")), "{log:?}");
}

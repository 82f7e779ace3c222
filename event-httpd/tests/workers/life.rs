//! What a server with workers consists of.

use std::collections::BTreeSet;
use std::fs;
use std::thread;

use nix::sys::signal::Signal;

use super::support_broadcast::{
    ACCEPTED, Family, Peer, arguments, children, counter, every_worker, kill, listeners, post,
    sockets_of, spread, start, steady, until_gone, worker_of,
};
use super::support_http::{GET, Server, event_httpd, output};

fn comm(process: impl std::fmt::Display) -> String {
    let name = fs::read_to_string(format!("/proc/{process}/comm")).unwrap();
    name.trim_end().to_owned()
}

#[test]
fn the_requested_number_of_workers_run_under_one_master_with_their_own_names() {
    for command in ["serve", "broadcast"] {
        for count in [1, 3] {
            let server = start(command, &["--workers", &count.to_string()]);
            let master = server.process().id();
            assert_eq!(comm(master), "httpd master");
            let family = every_worker(&server, count, None);
            assert_eq!(family.numbers(), (1..=count).collect::<Vec<_>>());
            for number in family.numbers() {
                let pid = family.pid(number);
                assert_eq!(comm(pid), format!("httpd worker {number}"));
                let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
                assert_eq!(threads.count(), 1, "one process, one thread");
            }
            let ready = server.line("listening on ");
            assert!(ready.contains(&format!("workers={count}")), "{ready}");
        }
    }
}

#[test]
fn without_the_option_there_is_one_process() {
    let server = start("broadcast", &[]);
    assert_eq!(comm(server.process().id()), "event-httpd");
    assert_eq!(children(server.process().id()), []);
}

#[test]
fn auto_is_a_worker_for_each_core() {
    let cores = thread::available_parallelism().unwrap().get();
    for command in ["serve", "broadcast"] {
        let server = start(command, &["--workers", "auto"]);
        every_worker(&server, cores, None);
    }
}

#[test]
fn options_of_workers_may_come_from_the_environment() {
    let mut command = event_httpd(arguments("serve", &[]));
    command.env("EVENT_HTTPD_WORKERS", "2");
    command.env("EVENT_HTTPD_WORKER_MAX_REQUESTS", "1000");
    command.env("EVENT_HTTPD_BUS_TIMEOUT", "7s");
    let server = Server::run(command);
    every_worker(&server, 2, None);
}

#[test]
fn values_that_make_no_sense_are_bad_usage() {
    let without = "is for workers: give --workers too";
    let options: [(&[&str], &str); 9] = [
        (&["--workers", "0"], "--workers"),
        (&["--workers", "1025"], "--workers"),
        (&["--workers", "many"], "--workers"),
        (&["--workers", "-1"], "-1"),
        (
            &["--workers", "2", "--worker-max-requests", "0"],
            "--worker-max-requests",
        ),
        (
            &["--worker-max-requests", "10"],
            &format!("--worker-max-requests {without}"),
        ),
        (
            &["--bus-timeout", "1s"],
            &format!("--bus-timeout {without}"),
        ),
        (&["--workers", "2", "--bus-timeout", "0s"], "--bus-timeout"),
        (
            &["--workers", "2", "--bus-timeout", "soon"],
            "--bus-timeout",
        ),
    ];
    for command in ["serve", "broadcast"] {
        for (options, says) in options {
            let output = output(event_httpd(arguments(command, options)));
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{options:?}: {stderr}");
            assert_eq!(stderr.lines().count(), 1, "{options:?}: {stderr}");
            assert!(!stderr.contains(":;"), "{options:?}: {stderr}");
            assert!(stderr.contains(says), "{options:?}: {stderr}");
        }
    }
    for option in ["--framing", "--deliver", "--max-queue-total"] {
        let output = output(event_httpd(arguments("broadcast", &[option, "x"])));
        assert_eq!(output.status.code(), Some(2), "{option}");
    }
}

#[test]
fn a_worker_has_only_its_own_listener_and_pipe() {
    let server = start("broadcast", &["--workers", "4"]);
    let master = server.process().id();
    let all = listeners(&server, master);
    assert_eq!(all.len(), 4, "the master keeps them all open");
    let check = |family: &Family| {
        let mut seen = BTreeSet::new();
        for pid in family.pids() {
            let own = listeners(&server, pid);
            assert_eq!(own.len(), 1, "of process {pid}");
            seen.extend(own);
            assert_eq!(sockets_of(pid), 2, "and its line");
        }
        assert_eq!(seen, all, "a listener each");
    };
    let first = every_worker(&server, 4, None);
    check(&first);
    // The replacement takes over the very listener of who is gone.
    kill(first.pid(2), Signal::SIGKILL);
    until_gone(first.pid(2));
    let second = steady(&server, 4);
    check(&second);
    server.process().signal(Signal::SIGHUP);
    server.lines("takes over from", 4);
    let third = steady(&server, 4);
    assert!(third.shares_nothing_with(&second), "{third:?} {second:?}");
    check(&third);
}

/// Asks for the table, and gives it.
fn table(peer: &mut Peer) -> serde_json::Map<String, serde_json::Value> {
    peer.send(GET);
    serde_json::from_slice(&peer.message()).unwrap()
}

#[test]
fn each_worker_answers_with_its_own_table_and_knows_of_no_other() {
    let server = start("serve", &["--workers", "4"]);
    let mut groups = spread(&server, 4, 3);
    for (index, group) in groups.iter_mut().enumerate() {
        let known = group.len();
        let tables: Vec<_> = group.iter_mut().map(table).collect();
        for table in &tables {
            assert_eq!(*table, tables[0], "the same, whichever connection asks");
            let listener = table.values().filter(|event| event["data"].is_object());
            assert_eq!(listener.count(), 1, "of worker {}: {table:?}", index + 1);
            assert_eq!(table.len(), 1 + known, "of worker {}: {table:?}", index + 1);
        }
    }
    // One more connection changes one table.
    let mut more = Peer::connect(&server);
    let changed = Family::of(&server).number(worker_of(&server, &more)) - 1;
    table(&mut more);
    for (index, group) in groups.iter_mut().enumerate() {
        let expected = 1 + group.len() + usize::from(index == changed);
        assert_eq!(
            table(&mut group[0]).len(),
            expected,
            "of worker {}",
            index + 1
        );
    }
}

#[test]
fn sigusr1_has_the_master_and_each_worker_log_its_counters() {
    let server = start("broadcast", &["--workers", "2", "--framing", "http"]);
    let mut groups = spread(&server, 2, 2);
    groups[0][0].send(post("x"));
    groups[0][0].expect(ACCEPTED);
    for (group, index) in [(0, 1), (1, 0), (1, 1)] {
        assert_eq!(groups[group][index].message(), b"x");
    }
    server.process().signal(Signal::SIGUSR1);
    let master = server.line("counters of the master");
    assert_eq!(counter(&master, "workers"), 2, "{master}");
    assert_eq!(counter(&master, "passed_on"), 1, "{master}");
    assert_eq!(counter(&master, "restarts"), 0, "{master}");
    let first = server.line("number=1}: counters");
    let second = server.line("number=2}: counters");
    for (line, requests, deliveries) in [(first, 1, 1), (second, 0, 2)] {
        assert_eq!(counter(&line, "requests"), requests, "{line}");
        assert_eq!(counter(&line, "messages"), requests, "{line}");
        assert_eq!(counter(&line, "deliveries"), deliveries, "{line}");
        assert_eq!(counter(&line, "open"), 2, "{line}");
        assert!(counter(&line, "connections") >= 2, "{line}");
        assert_eq!(counter(&line, "evictions"), 0, "{line}");
        assert_eq!(counter(&line, "queue_bytes"), 0, "{line}");
    }
}

#[test]
fn json_lines_name_the_worker_too() {
    let options = ["--workers", "2", "--log-format", "json"];
    let server = start("broadcast", &options);
    server.process().signal(Signal::SIGUSR1);
    for line in server.lines("\"counters\"", 2) {
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert!(line["span"]["number"].is_number(), "{line}");
        assert!(line["deliveries"].is_number(), "{line}");
    }
}

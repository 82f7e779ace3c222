//! One address, several processes.

use nix::sys::signal::Signal;

use super::load::under_load;
use super::support_broadcast::{
    Family, Peer, arguments, every_worker, join, kill, message, owner, start, until_gone, worker_of,
};
use super::support_http::{Address, Server, event_httpd, output, until};

/// A second server on the address of the first, which it does not get.
#[track_caller]
fn assert_refused(first: &Server, options: &[&str]) {
    let address = first.address().to_string();
    let options = [options, &["--listen", &address]].concat();
    let output = output(event_httpd(arguments("broadcast", &options)));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{options:?}: {stderr}");
    let line = stderr.lines().last().unwrap();
    assert!(line.contains(&address), "{options:?}: {stderr}");
}

#[test]
fn a_second_instance_is_refused_with_the_address() {
    for first in [&[][..], &["--workers", "1"], &["--workers", "3"]] {
        let server = start("broadcast", first);
        assert_refused(&server, &[]);
        assert_refused(&server, &["--workers", "3"]);
        assert_refused(&server, &["--share-port"]);
        assert_refused(&server, &["--share-port", "--workers", "2"]);
        let address = server.address().to_string();
        server.stop();
        start("broadcast", &["--share-port", "--listen", &address]);
    }
    let alone = start("broadcast", &[]);
    assert_refused(&alone, &["--share-port"]);
    let sharing = start("broadcast", &["--share-port", "--workers", "2"]);
    assert_refused(&sharing, &[]);
    assert_refused(&sharing, &["--workers", "2"]);
}

#[test]
fn two_instances_that_both_ask_for_it_share_the_port() {
    for workers in [&[][..], &["--workers", "2"]] {
        let options = [workers, &["--share-port"]].concat();
        let first = start("broadcast", &options);
        let address = first.address().to_string();
        let options = [workers, &["--share-port", "--listen", &address]].concat();
        let second = start("broadcast", &options);
        assert_eq!(first.address(), second.address());
        if workers.is_empty() {
            continue;
        }
        let (one, two) = (Family::of(&first), Family::of(&second));
        let all = [one.pids(), two.pids()].concat();
        let mut peers = Vec::new();
        let mut reached = [false; 2];
        while reached != [true; 2] {
            assert!(peers.len() < 1000, "one of them gets no connections");
            let peer = Peer::connect(&first);
            let pid = until("a worker accepts", || owner(&peer, &all));
            reached[usize::from(two.pids().contains(&pid))] = true;
            peers.push(peer);
        }
    }
}

#[test]
fn a_unix_socket_is_shared_by_all_workers_and_removed_at_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let listen = format!("unix:{}", path.display());
    let options = ["--workers", "3", "--listen", &listen];
    let server = start("broadcast", &options);
    assert_eq!(*server.address(), Address::Unix(path.clone()));
    let mut peers = join(&server, 40);
    let (sender, receivers) = peers.split_first_mut().unwrap();
    sender.send("to all workers");
    for receiver in receivers {
        receiver.expect(&message("to all workers"));
    }
    assert_refused(&server, &["--workers", "3"]);
    assert_refused(&server, &[]);
    // A worker that dies, or is replaced, leaves it where it is.
    let family = every_worker(&server, 3, None);
    kill(family.pid(1), Signal::SIGKILL);
    until_gone(family.pid(1));
    assert!(path.exists());
    server.process().signal(Signal::SIGHUP);
    every_worker(&server, 3, Some(&family));
    assert!(path.exists());
    let mut two = join(&server, 2);
    two[0].send("still");
    two[1].expect(&message("still"));
    let (status, _) = server.stop();
    assert_eq!(status.code(), Some(0));
    assert!(!path.exists());
}

#[test]
fn a_unix_socket_left_by_a_killed_master_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let listen = format!("unix:{}", path.display());
    let options = ["--workers", "2", "--listen", &listen];
    let first = start("serve", &options);
    let family = every_worker(&first, 2, None);
    kill(first.process().id(), Signal::SIGKILL);
    family.pids().into_iter().for_each(until_gone);
    assert!(path.exists());
    let second = start("serve", &options);
    let ((), tally) = under_load(&second, || {
        every_worker(&second, 2, None);
    });
    tally.assert_all_answered();
}

#[test]
fn all_workers_get_connections_on_the_port_that_port_0_gave() {
    let server = start("broadcast", &["--workers", "4", "--listen", "127.0.0.1:0"]);
    assert_ne!(server.port(), 0);
    let family = Family::of(&server);
    let mut reached = Vec::new();
    let mut peers = Vec::new();
    while reached.len() < 4 {
        assert!(peers.len() < 500, "only {reached:?} of {family:?}");
        let peer = Peer::connect(&server);
        let pid = worker_of(&server, &peer);
        peers.push(peer);
        if !reached.contains(&pid) {
            reached.push(pid);
        }
    }
}

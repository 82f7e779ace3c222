//! Keys that change while the hub runs.

use std::fs;
use std::path::Path;

use nix::sys::signal::Signal;
use serde_json::json;

use super::support::{KEY, ask, bearer, form, full_token, post, signed};
use super::support_broadcast::{Family, every_worker};
use super::support_http::{Server, event_httpd};

const OTHER: &str = "another secret, of more than 32 bytes";

fn hub(key: &Path, options: &[&str]) -> Server {
    let arguments = [
        "hub",
        "--listen",
        "127.0.0.1:0",
        "--anonymous",
        "--publisher-key-file",
        key.to_str().unwrap(),
    ];
    Server::run(event_httpd(
        arguments.into_iter().chain(options.iter().copied()),
    ))
}

/// The status for a publisher whose token was signed with `key`.
fn publish(server: &Server, key: &str) -> u16 {
    let token = signed(&json!({ "mercure": { "publish": ["*"] } }), key);
    let body = form(&[("topic", "a")]);
    ask(server, &post(&body, &bearer(&token))).status
}

#[test]
fn a_hub_that_hangs_up_reads_its_keys_again_and_keeps_them_if_they_are_bad() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    fs::write(&path, KEY).unwrap();
    let server = hub(&path, &[]);
    assert_eq!(publish(&server, KEY), 200);
    fs::write(&path, "").unwrap();
    server.process().signal(Signal::SIGHUP);
    let line = server.line("the keys stay as they are");
    assert!(line.contains("--publisher-key-file"), "{line}");
    assert_eq!((publish(&server, KEY), publish(&server, OTHER)), (200, 401));
    fs::write(&path, OTHER).unwrap();
    server.process().signal(Signal::SIGHUP);
    let line = server.line("the keys were read again");
    assert!(!line.contains(OTHER), "{line}");
    assert_eq!((publish(&server, KEY), publish(&server, OTHER)), (401, 200));
}

#[test]
fn a_secret_with_something_unseen_at_an_end_is_taken_with_a_warning() {
    const WARNING: &str = "tokens made without it are refused";
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    fs::write(&path, format!("{KEY}\n")).unwrap(); // as editors write a line
    let server = hub(&path, &[]);
    assert_eq!(publish(&server, KEY), 200);
    assert!(!server.log().iter().any(|line| line.contains(WARNING)));
    fs::write(&path, format!("{KEY}\n\n")).unwrap();
    server.process().signal(Signal::SIGHUP);
    server.line(WARNING);
    assert_eq!(publish(&server, KEY), 401);
}

#[test]
fn workers_that_replace_others_have_the_keys_as_they_are_then() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    fs::write(&path, KEY).unwrap();
    let server = hub(&path, &["--workers", "2", "--grace", "1s"]);
    let before = every_worker(&server, 2, None);
    assert_eq!(publish(&server, KEY), 200);
    fs::write(&path, OTHER).unwrap();
    server.process().signal(Signal::SIGHUP);
    every_worker(&server, 2, Some(&before));
    assert_eq!((publish(&server, KEY), publish(&server, OTHER)), (401, 200));
    fs::write(&path, "").unwrap();
    let before = Family::of(&server);
    server.process().signal(Signal::SIGHUP);
    every_worker(&server, 2, Some(&before));
    assert_eq!((publish(&server, KEY), publish(&server, OTHER)), (401, 200));
}

#[test]
fn a_hub_without_key_files_stops_when_its_terminal_closes() {
    let server = super::support::open_hub(&[]);
    assert_eq!(
        ask(&server, &post("topic=a", &bearer(&full_token()))).status,
        200
    );
    server.process().signal(Signal::SIGHUP);
    let (status, _) = server.end();
    assert!(status.success(), "{status}");
}

//! The examples that use events alone.

use std::io::{BufRead, Read, Write};
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{Guard, Server, binary, pipe};

/// What an example that ends by itself prints.
fn printed(name: &str) -> String {
    let (mut stdout, child_stdout) = pipe();
    let (mut stderr, child_stderr) = pipe();
    let mut process = Guard(
        Command::new(binary(name))
            .stdout(child_stdout)
            .stderr(child_stderr)
            .spawn()
            .unwrap(),
    );
    let (mut printed, mut errors) = (String::new(), String::new());
    stdout.read_to_string(&mut printed).unwrap();
    stderr.read_to_string(&mut errors).unwrap();
    assert_eq!(errors, "");
    assert!(process.0.wait().unwrap().success());
    printed
}

#[test]
fn timers_fire_in_the_order_of_their_times_and_the_program_ends() {
    let printed = printed("timers");
    let lines: Vec<_> = printed.lines().collect();
    assert_eq!(lines.first(), Some(&"once, after 20 ms"));
    assert_eq!(lines.last(), Some(&"put off to the end"));
    let ticks: Vec<_> = lines
        .iter()
        .filter(|line| line.starts_with("tick"))
        .collect();
    assert_eq!(ticks, [&"tick 3", &"tick 2", &"tick 1"]);
    assert!(lines.contains(&"fired and forgotten"));
    assert_eq!(lines.len(), 6);
}

#[test]
fn priorities_run_the_urgent_first() {
    assert_eq!(
        printed("priorities"),
        "0: alarm\n0: alarm\n1: a request\n2: the report, when all else is done\n"
    );
}

#[test]
fn signals_are_handled_in_the_loop_and_the_last_ends_it() {
    let (mut stdout, child_stdout) = pipe();
    let mut process = Guard(
        Command::new(binary("signals"))
            .stdout(child_stdout)
            .spawn()
            .unwrap(),
    );
    let pid = Pid::from_raw(process.0.id().cast_signed());
    let mut line = || {
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        line
    };
    assert_eq!(line(), format!("process {pid} waits for signals\n"));
    for _time in 0..2 {
        kill(pid, Signal::SIGHUP).unwrap();
        assert_eq!(line(), "SIGHUP: would read the configuration again\n");
    }
    kill(pid, Signal::SIGUSR1).unwrap();
    assert_eq!(line(), "SIGUSR1: SIGHUP came 2 times\n");
    kill(pid, Signal::SIGTERM).unwrap();
    assert_eq!(line(), "SIGTERM: bye\n");
    assert!(process.0.wait().unwrap().success());
}

#[test]
fn echo_events_sends_bytes_back_and_lets_clients_go() {
    let server = Server::start("echo_events");
    let none = server.descriptors();
    let (mut one, mut other) = (server.connect(), server.connect());
    one.send(b"one\n");
    other.send(b"\0\xff other");
    one.expect("one\n");
    let mut bytes = [0; 8];
    other.0.read_exact(&mut bytes).unwrap();
    assert_eq!(bytes, *b"\0\xff other");
    assert_eq!(one.leave(), "");
    other.0.write_all(b"x").unwrap();
    other.expect("x");
    other.reset();
    assert!(server.comes_to_hold(none));
    assert!(server.falls_asleep());
}

#[test]
fn echo_events_answers_nc() {
    let server = Server::start("echo_events");
    let (host, port) = server.address.rsplit_once(':').unwrap();
    assert_eq!(
        crate::support::talk(Command::new("nc").args(["-N", host, port]), b"from nc\n"),
        "from nc\n"
    );
}

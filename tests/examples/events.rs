//! The examples that use events alone.

use std::io::BufRead;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use test_support::spawn;

use crate::support::{Guard, binary, pipe, printed};

#[test]
fn timers_fire_in_the_order_of_their_times_and_the_program_ends() {
    let printed = printed("timers", &[]);
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
        printed("priorities", &[]),
        "0: alarm\n0: alarm\n1: a request\n2: the report, when all else is done\n"
    );
}

#[test]
fn signals_are_handled_in_the_loop_and_the_last_ends_it() {
    let (mut stdout, child_stdout) = pipe();
    let mut process = Guard(spawn(Command::new(binary("signals")).stdout(child_stdout)).unwrap());
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
fn waker_has_the_loop_print_what_the_threads_found_and_ends() {
    let printed = printed("waker", &[]);
    let mut lines: Vec<_> = printed.lines().collect();
    assert_eq!(lines.pop(), Some("all are done"));
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "worker 1: 5000050000",
            "worker 2: 20000100000",
            "worker 3: 45000150000"
        ]
    );
}

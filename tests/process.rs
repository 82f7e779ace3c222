//! Processes: what needs no fork of this one.

use std::io::ErrorKind;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use php_event::process::{Exit, Wait, Waited, fork, getpid, kill, signal_name, wait};
use php_event::{Error, Event};
use test_support::{NOW, Seen, limited, new_base, run, spawn};

/// `wait` takes any child of this process: one test at a time has children.
fn children() -> MutexGuard<'static, ()> {
    static CHILDREN: Mutex<()> = Mutex::new(());
    CHILDREN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A child that ends with `code` once its input ends.
fn child(code: i32) -> Child {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("read line; exit {code}")]);
    spawn(command.stdin(Stdio::piped())).unwrap()
}

fn waited(how: Wait) -> Waited {
    limited(|| wait(how)).unwrap()
}

fn pid(child: &Child) -> i32 {
    child.id().cast_signed()
}

#[test]
fn an_exited_child_is_reaped_with_its_code() {
    let _children = children();
    for code in [0, 3, 255] {
        let mut child = child(code);
        drop(child.stdin.take());
        let end = waited(Wait::Block);
        assert_eq!(end, Waited::Ended(pid(&child), Exit::Code(code)));
        assert!(child.wait().is_err()); // nothing is left to reap
    }
}

#[test]
// Skipped under Valgrind: it reserves signal 64.
fn a_killed_child_is_reaped_with_its_signal() {
    let _children = children();
    let real_time = 34;
    for signum in [libc::SIGKILL, libc::SIGTERM, real_time, 64] {
        let mut child = child(0);
        kill(pid(&child), signum).unwrap();
        let end = waited(Wait::Block);
        let exit = Exit::Signal {
            number: signum,
            core: false,
        };
        assert_eq!(end, Waited::Ended(pid(&child), exit));
        assert!(child.wait().is_err());
    }
}

#[test]
fn waiting_without_hanging_reports_whether_a_child_runs() {
    let _children = children();
    assert_eq!(waited(Wait::NoHang), Waited::NoChild);
    assert_eq!(waited(Wait::Block), Waited::NoChild);
    let mut child = child(1);
    assert_eq!(waited(Wait::NoHang), Waited::Running);
    drop(child.stdin.take());
    waited(Wait::Block);
    assert_eq!(waited(Wait::NoHang), Waited::NoChild);
    assert!(child.wait().is_err());
}

#[test]
fn several_children_are_reaped_one_by_one() {
    let _children = children();
    let mut made = [1, 2, 3].map(child);
    made.iter_mut().for_each(|child| drop(child.stdin.take()));
    let mut ended = [(); 3].map(|()| waited(Wait::Block));
    ended.sort_unstable_by_key(|waited| match waited {
        Waited::Ended(_, Exit::Code(code)) => *code,
        _ => 0,
    });
    let expected = [0, 1, 2].map(|n| {
        let code = i32::try_from(n).unwrap() + 1;
        Waited::Ended(pid(&made[n]), Exit::Code(code))
    });
    assert_eq!(ended, expected);
    assert_eq!(waited(Wait::Block), Waited::NoChild);
    assert!(made.iter_mut().all(|child| child.wait().is_err()));
}

#[test]
fn an_exit_is_displayed_by_name() {
    let killed = |number, core| Exit::Signal { number, core };
    for (exit, text) in [
        (Exit::Code(0), "exit code 0"),
        (Exit::Code(3), "exit code 3"),
        (killed(9, false), "SIGKILL"),
        (killed(11, true), "SIGSEGV (core dumped)"),
        (killed(34, false), "signal 34"),
    ] {
        assert_eq!(exit.to_string(), text);
    }
    for (signum, name) in [
        (1, "SIGHUP"),
        (15, "SIGTERM"),
        (0, "signal 0"),
        (-1, "signal -1"),
    ] {
        assert_eq!(signal_name(signum), name);
    }
}

#[test]
fn a_signal_reaches_a_process_that_is_there_and_no_other() {
    let _children = children();
    kill(getpid(), 0).unwrap();
    assert_eq!(getpid(), std::process::id().cast_signed());
    let mut child = child(0);
    kill(pid(&child), 0).unwrap();
    drop(child.stdin.take());
    waited(Wait::Block);
    let error = kill(pid(&child), 0).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Io {
                call: "posix_kill",
                ..
            }
        ),
        "{error:?}"
    );
    assert!(error.to_string().contains("No such process"), "{error}");
    assert!(child.wait().is_err());
}

#[test]
fn a_signal_to_a_group_or_with_an_invalid_number_is_refused() {
    for (pid, signum, word) in [
        (0, 0, "0 is not"),
        (-1, 15, "-1 is not"),
        (i32::MIN, 0, "-2147483648 is not"),
        (getpid(), -1, "-1 is not a signal"),
        (getpid(), 32, "32 is not a signal"),
        (getpid(), 65, "65 is not a signal"),
    ] {
        let error = kill(pid, signum).unwrap_err();
        assert!(
            matches!(
                error,
                Error::Argument {
                    call: "posix_kill",
                    ..
                }
            ),
            "{error:?}"
        );
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains(word), "{error}");
    }
}

#[test]
fn a_fork_with_other_threads_is_refused() {
    let error = limited(fork).unwrap_err(); // the limit is a thread
    assert!(
        matches!(
            error,
            Error::State {
                call: "pcntl_fork",
                ..
            }
        ),
        "{error:?}"
    );
    assert!(error.to_string().contains("thread"), "{error}");
}

#[test]
fn a_fork_inside_a_callback_is_refused() {
    let (base, seen) = (new_base(), Seen::new());
    let note = seen.clone();
    let event = Event::timer(&base, move |_event| note.note(fork().unwrap_err())).unwrap();
    event.add(NOW).unwrap();
    run(&base);
    let error = &seen.take()[0];
    assert!(
        matches!(
            error,
            Error::State {
                call: "pcntl_fork",
                ..
            }
        ),
        "{error:?}"
    );
    assert!(error.to_string().contains("inside a callback"), "{error}");
}

//! `event-httpd isolation`, run as a process: what it prints, and that nothing is left of it.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Seek as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd;
use php_event::process::{Pid, kill};
use socket2::SockRef;
use test_support::spawn;

const BINARY: &str = env!("CARGO_BIN_EXE_event-httpd");

/// How long a read or a wait may take before the test fails; nothing comes near it.
const LIMIT: Duration = Duration::from_secs(30);

/// What "at once" means to these tests, on a busy machine too: otherwise it takes ages.
const AT_ONCE: Duration = Duration::from_secs(5);

/// How long it may take with a child that SIGTERM does not end, which has a second of grace.
const AFTER_GRACE: Duration = Duration::from_secs(6);

const GLOBAL: &str = "global M::arr empty~\n";

/// Children that do not end by themselves while a test runs.
const LONG: [&str; 2] = ["--max-sleep", "1000"];
const SHORT: [&str; 4] = ["--max-sleep", "50ms", "--interval", "10ms"];

/// `event-httpd isolation`, in a process group of its own, which ends with the test.
struct Run {
    process: Child,
    stdout: BufReader<UnixStream>,
    stderr: UnixStream,
}

/// What came of it.
struct Ended {
    status: ExitStatus,
    stdout: String,
    stderr: String,
}

/// What `/proc` tells about a process.
#[derive(Debug)]
struct Process {
    pid: Pid,
    state: char,
    parent: Pid,
    group: Pid,
}

impl Run {
    fn start(args: &[&[&str]]) -> Self {
        let mut command = Command::new(BINARY);
        command.arg("isolation").args(args.concat());
        Self::spawn(command)
    }

    /// Through a shell, which does `first` and then becomes the program, as `"$@"`.
    fn start_by_shell(script: &str, args: &[&[&str]]) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh", BINARY, "isolation"]);
        command.args(args.concat());
        Self::spawn(command)
    }

    /// Under strace, which tampers with system calls: `inject` is of its `-e inject=`.
    fn start_by_strace(inject: &str, args: &[&[&str]]) -> Self {
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-o", "/dev/null", "-e"]);
        command.arg(format!("inject={inject}"));
        command.args([BINARY, "isolation"]).args(args.concat());
        Self::spawn(command)
    }

    fn spawn(mut command: Command) -> Self {
        let (stdout, theirs) = pipe();
        command.stdout(theirs);
        Self::spawn_with_stdout(command, stdout)
    }

    /// Its standard output is set already; `stdout` is the other end, if any.
    fn spawn_with_stdout(mut command: Command, stdout: UnixStream) -> Self {
        let (stderr, theirs) = pipe();
        command.process_group(0).stdin(Stdio::null()).stderr(theirs);
        let process = spawn(&mut command).unwrap_or_else(|error| {
            let program = command.get_program().display();
            panic!("{program}: {error}; sh vendor/libevent/install.sh --tests")
        });
        Self {
            process,
            stdout: BufReader::new(stdout),
            stderr,
        }
    }

    fn group(&self) -> Pid {
        self.process.id().try_into().unwrap()
    }

    /// The parent of the children: the process itself, or what strace runs.
    fn parent(&self) -> Pid {
        let strace = self.group();
        let traced = members(strace);
        let traced = traced.iter().find(|process| process.parent == strace);
        traced.unwrap().pid
    }

    fn expect(&mut self, line: &str) {
        assert_eq!(self.line(), line);
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line
    }

    /// Its children, who have all said so.
    fn children(&mut self, n: usize) -> BTreeSet<Pid> {
        (0..n).for_each(|_| self.expect(GLOBAL));
        let (group, all) = (self.group(), members(self.group()));
        let children = all.iter().filter(|process| process.parent == group);
        let children = children.map(|process| process.pid).collect::<BTreeSet<_>>();
        assert_eq!(children.len(), n, "{all:?}");
        children
    }

    /// Waits until nobody has its output any more, and asserts that nothing is left.
    fn end(mut self) -> Ended {
        let (mut stdout, mut stderr) = (String::new(), String::new());
        self.stdout.read_to_string(&mut stdout).unwrap();
        self.stderr.read_to_string(&mut stderr).unwrap();
        let status = self.process.wait().unwrap();
        let left = members(self.group());
        assert!(left.is_empty(), "{left:?}");
        Ended {
            status,
            stdout,
            stderr,
        }
    }

    /// Sends the parent a signal to end, which it follows in time and without a word on
    /// standard output.
    fn ends_after(self, signum: i32, limit: Duration) {
        let sent = Instant::now();
        kill(self.group(), signum).unwrap();
        let ended = self.end();
        let took = sent.elapsed();
        assert!(took < limit, "{took:?}");
        assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
        assert_eq!(ended.stdout, "");
        let name = php_event::process::signal_name(signum);
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
        assert!(ended.stderr.contains(&name), "{}", ended.stderr);
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        killpg(unistd::Pid::from_raw(self.group()), Signal::SIGKILL).ok(); // mostly gone
        self.process.wait().ok();
    }
}

impl Ended {
    fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Asserts the exit code and the standard error of a failure, which is one line.
    fn failed(&self, code: i32, message: &str) {
        assert_eq!(self.code(), Some(code));
        assert_eq!(self.stderr.lines().count(), 1, "{}", self.stderr);
        let line = self.stderr.strip_prefix("event-httpd: ").unwrap();
        assert!(line.contains(message), "{line}");
    }

    /// Asserts an output like the tutorial's, and returns the children it names.
    fn children(&self, n: usize) -> Vec<Pid> {
        assert_eq!(self.code(), Some(0), "{}", self.stderr);
        tutorials_lines(&self.stdout, n)
    }
}

/// Asserts that `n` children greet and are reaped, each once, and nothing else; returns
/// them. A child may greet after another was reaped, but every greeting is a line of its own.
fn tutorials_lines(output: &str, n: usize) -> Vec<Pid> {
    assert_eq!(output.matches(GLOBAL).count(), n, "{output}");
    let blocks = output.replace(GLOBAL, "");
    let mut pids = Vec::new();
    let mut expected = String::new();
    for line in blocks.lines() {
        if let Some(pid) = line.strip_prefix("child process exit~ pid = ") {
            let pid = pid.trim_end().parse().unwrap();
            expected += &format!("child process exit~ pid = {pid} \nArray\n(\n)\n");
            pids.push(pid);
        }
    }
    assert_eq!(blocks, expected);
    assert_eq!(pids.len(), n);
    assert_eq!(BTreeSet::from_iter(&pids).len(), n, "{pids:?}");
    pids
}

/// A pipe for a child's output whose reads end after [`LIMIT`].
fn pipe() -> (UnixStream, OwnedFd) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_read_timeout(Some(LIMIT)).unwrap();
    (ours, theirs.into())
}

/// The processes of a group, zombies too.
fn members(group: Pid) -> Vec<Process> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let processes = entries.filter_map(|entry| process(entry.file_name().to_str()?.parse().ok()?));
    processes.filter(|process| process.group == group).collect()
}

fn process(pid: Pid) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(") ")?;
    let mut fields = after_name.split(' ');
    Some(Process {
        pid,
        state: fields.next()?.chars().next()?,
        parent: fields.next()?.parse().ok()?,
        group: fields.next()?.parse().ok()?,
    })
}

fn sleeps(pid: Pid) -> bool {
    process(pid).is_some_and(|process| process.state == 'S')
}

/// Looks again and again until it is so.
fn wait_until(limit: Duration, what: &str, so: impl Fn() -> bool) {
    let until = Instant::now() + limit;
    while !so() {
        assert!(Instant::now() < until, "not within {limit:?}: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn five_children_print_the_tutorials_lines() {
    let ended = Run::start(&[&["--children", "5"], &SHORT]).end();
    ended.children(5);
    assert_eq!(ended.stderr, "");
}

#[test]
fn number_of_children_that_is_not_given_is_five() {
    let ended = Run::start(&[&SHORT]).end();
    ended.children(5);
}

#[test]
fn children_that_wait_greet_before_the_first_is_reaped() {
    let mut run = Run::start(&[&["--interval", "0"], &LONG]);
    let children = run.children(5);
    assert!(run.stdout.buffer().is_empty());
    for child in children {
        // Ended one by one, so that their order is known.
        kill(child, libc::SIGKILL).unwrap();
        run.expect(&format!("child process exit~ pid = {child} \n"));
        for line in ["Array\n", "(\n", ")\n"] {
            run.expect(line);
        }
    }
    let ended = run.end();
    assert_eq!((ended.code(), &*ended.stdout), (Some(0), ""));
}

#[test]
fn children_that_end_together_are_each_reaped() {
    let mut run = Run::start(&[&["--children", "40", "--interval", "1ms"], &LONG]);
    let children = run.children(40);
    kill(run.group(), libc::SIGSTOP).unwrap(); // so that it is told of all of them at once
    for child in &children {
        kill(*child, libc::SIGKILL).unwrap();
    }
    kill(run.group(), libc::SIGCONT).unwrap();
    let ended = run.end();
    assert_eq!(ended.code(), Some(0));
    let greeted = GLOBAL.repeat(40) + &ended.stdout;
    assert_eq!(BTreeSet::from_iter(tutorials_lines(&greeted, 40)), children);
}

#[test]
fn child_that_a_signal_killed_is_reaped_and_named_in_the_log() {
    let mut run = Run::start(&[&["--children", "1", "--interval", "0"], &LONG]);
    let child = run.children(1).pop_first().unwrap();
    kill(child, libc::SIGTERM).unwrap();
    let ended = run.end();
    assert_eq!(ended.code(), Some(0));
    assert_eq!(
        ended.stdout,
        format!("child process exit~ pid = {child} \nArray\n(\n)\n")
    );
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("SIGTERM"), "{}", ended.stderr);
}

#[test]
fn no_children_print_nothing_and_take_no_time() {
    let begun = Instant::now();
    let ended = Run::start(&[&["--children", "0", "--interval", "1000"]]).end();
    assert!(begun.elapsed() < AT_ONCE);
    assert_eq!((ended.code(), &*ended.stdout), (Some(0), ""));
    assert_eq!(ended.stderr, "");
}

#[test]
fn one_child_prints_one_block() {
    let ended = Run::start(&[&["--children", "1"], &SHORT]).end();
    let child = ended.children(1)[0];
    assert_eq!(
        ended.stdout,
        format!("{GLOBAL}child process exit~ pid = {child} \nArray\n(\n)\n")
    );
}

#[test]
fn three_hundred_children_are_each_reaped_once() {
    let args = [
        "--children",
        "300",
        "--max-sleep",
        "50ms",
        "--interval",
        "0",
    ];
    let ended = Run::start(&[&args]).end();
    ended.children(300);
    assert_eq!(ended.stderr, "");
}

#[test]
fn output_to_a_file_has_every_line_once() {
    let mut file = tempfile::tempfile().unwrap();
    let (nothing, _) = pipe();
    let mut command = Command::new(BINARY);
    command.arg("isolation").args(SHORT);
    command.stdout(file.try_clone().unwrap());
    let ended = Run::spawn_with_stdout(command, nothing).end();
    assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
    let mut output = String::new();
    file.rewind().unwrap();
    file.read_to_string(&mut output).unwrap();
    tutorials_lines(&output, 5);
}

#[test]
fn child_sleeps_a_second_or_more_where_max_sleep_allows() {
    let begun = Instant::now();
    let args = ["--children", "1", "--max-sleep", "1", "--interval", "0"];
    Run::start(&[&args]).end().children(1);
    assert!(begun.elapsed() >= Duration::from_secs(1));
}

#[test]
fn interval_passes_after_each_child_and_after_the_last() {
    let begun = Instant::now();
    let args = ["--children", "3", "--max-sleep", "0", "--interval", "200ms"];
    Run::start(&[&args]).end().children(3);
    assert!(begun.elapsed() >= Duration::from_millis(600));
}

#[test]
fn invalid_value_is_refused_in_one_line() {
    // Were it taken for a value, it would not be for long.
    let quick = ["--max-sleep", "0", "--interval", "0"];
    for children in ["10001", "-1", "x", ""] {
        let ended = Run::start(&[&["--children", children], &quick]).end();
        assert_eq!(ended.stdout, "", "{children:?}");
        ended.failed(2, "");
    }
    for args in [["--max-sleep", "x"], ["--interval", "-1"]] {
        let ended = Run::start(&[&["--children", "0"], &args]).end();
        assert_eq!(ended.stdout, "", "{args:?}");
        ended.failed(2, "");
    }
}

#[test]
fn sigterm_while_children_sleep_ends_them_at_once() {
    let mut run = Run::start(&[&LONG]);
    run.children(5);
    run.ends_after(libc::SIGTERM, AT_ONCE);
}

#[test]
fn sigint_while_children_sleep_ends_them_at_once() {
    let mut run = Run::start(&[&LONG]);
    run.children(5);
    run.ends_after(libc::SIGINT, AT_ONCE);
}

#[test]
fn sigterm_in_the_interval_ends_it_at_once() {
    ended_in_the_interval_by(libc::SIGTERM);
}

#[test]
fn sigint_in_the_interval_ends_it_at_once() {
    ended_in_the_interval_by(libc::SIGINT);
}

fn ended_in_the_interval_by(signum: i32) {
    let mut run = Run::start(&[&["--interval", "1000"], &LONG]);
    let child = run.children(5).pop_first().unwrap();
    kill(child, libc::SIGTERM).unwrap();
    run.expect(&format!("child process exit~ pid = {child} \n"));
    let mut log = [0; 1024];
    let n = run.stderr.read(&mut log).unwrap(); // that a signal ended the child
    assert!(log[..n].ends_with(b"\n"));
    run.ends_after(signum, AT_ONCE);
}

#[test]
fn sigterm_while_it_still_forks_ends_it_at_once() {
    let args = ["--children", "1000"]; // at 10 ms each, or more
    let slow = "clone,?clone3,?fork,?vfork:delay_enter=10000";
    let mut run = Run::start_by_strace(slow, &[&args, &LONG]);
    run.expect(GLOBAL);
    let sent = Instant::now();
    kill(run.parent(), libc::SIGTERM).unwrap();
    let ended = run.end();
    assert!(sent.elapsed() < AT_ONCE);
    assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
    assert_eq!(ended.stdout.replace(GLOBAL, ""), "");
}

#[test]
fn signal_to_the_whole_group_as_by_ctrl_c_ends_all_with_code_0() {
    let mut run = Run::start(&[&["--interval", "1000"], &LONG]);
    run.children(5);
    killpg(unistd::Pid::from_raw(run.group()), Signal::SIGINT).unwrap();
    let ended = run.end();
    assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
}

#[test]
fn stopped_child_does_not_keep_the_parent_from_ending() {
    let mut run = Run::start(&[&LONG]);
    let child = run.children(5).pop_first().unwrap();
    kill(child, libc::SIGSTOP).unwrap();
    run.ends_after(libc::SIGTERM, AFTER_GRACE);
}

#[test]
fn children_that_ignore_sigterm_from_the_start_are_ended_too() {
    let mut run = Run::start_by_shell("trap '' TERM INT; exec \"$@\"", &[&LONG]);
    run.children(5);
    run.ends_after(libc::SIGTERM, AFTER_GRACE);
}

/// Whether a program can be started with signals ignored and blocked: dash's `trap` does the
/// first for all but SIGCHLD, and no shell does the second.
fn has_gnu_env() -> bool {
    let args = ["--ignore-signal=CHLD", "--block-signal=CHLD", "true"];
    let output = Command::new("env").args(args).output();
    let has = output.is_ok_and(|output| output.status.success());
    if !has {
        eprintln!("skipped: env is not GNU's, with --ignore-signal and --block-signal");
    }
    has
}

#[test]
fn started_with_sigchld_ignored_it_reaps_every_child() {
    if has_gnu_env() {
        // So many that the first ends before the last is forked.
        let args = ["--children", "100", "--max-sleep", "0", "--interval", "0"];
        let script = "exec env --ignore-signal=CHLD \"$@\"";
        Run::start_by_shell(script, &[&args]).end().children(100);
    }
}

#[test]
fn signals_blocked_at_the_start_are_handled() {
    if has_gnu_env() {
        let script = "exec env --block-signal=CHLD,TERM \"$@\"";
        Run::start_by_shell(script, &[&SHORT]).end().children(5);
        let mut run = Run::start_by_shell(script, &[&LONG]);
        run.children(5);
        run.ends_after(libc::SIGTERM, AT_ONCE);
    }
}

#[test]
fn child_of_the_shell_before_it_is_neither_printed_nor_waited_for() {
    // One ends before, one while it runs, one stays; they leave its output alone.
    let script = "true & sleep 0.02 & sleep 1000 >&- 2>&- & exec \"$@\"";
    let mut run = Run::start_by_shell(script, &[&["--children", "3"], &SHORT]);
    let (mut stdout, mut stderr) = (String::new(), String::new());
    run.stdout.read_to_string(&mut stdout).unwrap();
    run.stderr.read_to_string(&mut stderr).unwrap();
    assert_eq!(run.process.wait().unwrap().code(), Some(0), "{stderr}");
    tutorials_lines(&stdout, 3);
    wait_until(LIMIT, "only the shell's third child is left", || {
        members(run.group()).len() == 1 // whoever adopted the others has reaped them
    });
}

#[test]
fn children_of_a_killed_parent_are_gone_at_once() {
    let mut run = Run::start(&[&LONG]);
    run.children(5);
    kill(run.group(), libc::SIGKILL).unwrap();
    assert_eq!(run.process.wait().unwrap().signal(), Some(libc::SIGKILL));
    let group = run.group();
    wait_until(AT_ONCE, "all are gone", || {
        // Whoever adopted them may take its time to reap them.
        members(group).iter().all(|process| process.state == 'Z')
    });
}

#[test]
fn child_whose_parent_was_killed_before_it_could_ask_to_hear_of_that_ends() {
    let slow = "prctl:delay_enter=500000"; // half a second
    let args = ["--children", "1"];
    let mut run = Run::start_by_strace(slow, &[&args, &LONG]);
    let group = run.group();
    wait_until(LIMIT, "the child is there", || members(group).len() == 3);
    kill(run.parent(), libc::SIGKILL).unwrap();
    let begun = Instant::now();
    let mut stdout = String::new();
    run.stdout.read_to_string(&mut stdout).unwrap();
    assert!(begun.elapsed() < AT_ONCE);
    assert_eq!(stdout, "");
}

#[test]
fn output_without_a_reader_ends_it_with_one_line() {
    let run = Run::start(&[&["--interval", "1000", "--max-sleep", "50ms"]]);
    run.stdout
        .get_ref()
        .shutdown(std::net::Shutdown::Both)
        .unwrap();
    run.end()
        .failed(1, "cannot write to standard output: Broken pipe");
}

#[test]
fn reader_that_leaves_after_the_first_lines_ends_it_with_one_line() {
    let mut run = Run::start(&[&LONG]);
    let child = run.children(5).pop_first().unwrap();
    run.stdout
        .get_ref()
        .shutdown(std::net::Shutdown::Both)
        .unwrap();
    kill(child, libc::SIGKILL).unwrap();
    run.end()
        .failed(1, "cannot write to standard output: Broken pipe");
}

#[test]
fn output_to_a_full_device_ends_it_with_one_line() {
    let (nothing, _) = pipe();
    let mut command = Command::new(BINARY);
    command.args(["isolation", "--interval", "1000"]);
    command.stdout(File::options().write(true).open("/dev/full").unwrap());
    let ended = Run::spawn_with_stdout(command, nothing).end();
    ended.failed(
        1,
        "cannot write to standard output: No space left on device",
    );
}

#[test]
fn output_closed_before_the_start_goes_nowhere_and_is_no_failure() {
    let ended = Run::start_by_shell("exec \"$@\" >&-", &[&SHORT]).end();
    assert_eq!((ended.code(), &*ended.stdout), (Some(0), ""));
    assert_eq!(ended.stderr, "");
}

/// Fills a pipe, and returns how many bytes are in it.
fn fill(pipe: &OwnedFd) -> usize {
    let mut filled = 0;
    loop {
        match SockRef::from(pipe).send_with_flags(&[b'.'; 4096], libc::MSG_DONTWAIT) {
            Ok(n) => filled += n,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return filled,
            Err(error) => panic!("{error}"),
        }
    }
}

/// A parent that wants to print that its only child has ended, and has no room to; how many
/// bytes are in the way.
fn without_room_for_output() -> (Run, Pid, usize) {
    let (ours, theirs) = pipe();
    let filler = theirs.try_clone().unwrap();
    let mut command = Command::new(BINARY);
    command.args(["isolation", "--children", "1", "--interval", "0"]);
    command.args(LONG).stdout(theirs);
    let mut run = Run::spawn_with_stdout(command, ours);
    let child = run.children(1).pop_first().unwrap();
    let filled = fill(&filler);
    kill(child, libc::SIGKILL).unwrap();
    let group = run.group();
    wait_until(LIMIT, "it wants to print", || {
        process(child).is_none() && sleeps(group)
    });
    (run, child, filled)
}

#[test]
fn sigterm_while_its_output_is_blocked_ends_it_at_once() {
    let (mut run, _child, filled) = without_room_for_output();
    let sent = Instant::now();
    kill(run.group(), libc::SIGTERM).unwrap();
    wait_until(AT_ONCE, "it ends", || {
        process(run.group()).is_none_or(|process| process.state == 'Z')
    });
    assert!(sent.elapsed() < AT_ONCE);
    assert_eq!(run.process.wait().unwrap().code(), Some(0));
    assert_eq!(run.end().stdout.len(), filled);
}

/// Its end waits half a second for room for the log.
#[test]
fn sigterm_again_before_its_log_is_written_changes_nothing() {
    let ((stdout, output), (stderr, log)) = (pipe(), pipe());
    fill(&log);
    let mut command = Command::new(BINARY);
    command.args(["isolation", "--children", "1"]).args(LONG);
    command.process_group(0).stdin(Stdio::null());
    command.stdout(output).stderr(log);
    let mut run = Run {
        process: spawn(&mut command).unwrap(),
        stdout: BufReader::new(stdout),
        stderr,
    };
    run.children(1);
    let ended = || process(run.group()).is_none_or(|process| process.state == 'Z');
    wait_until(AT_ONCE, "it ends", || {
        kill(run.group(), libc::SIGTERM).unwrap();
        ended()
    });
    assert_eq!(run.process.wait().unwrap().code(), Some(0));
}

#[test]
fn output_that_is_read_late_is_complete() {
    let (mut run, child, filled) = without_room_for_output();
    let mut in_the_way = vec![0; filled];
    run.stdout.read_exact(&mut in_the_way).unwrap();
    let ended = run.end();
    assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
    assert_eq!(
        ended.stdout,
        format!("child process exit~ pid = {child} \nArray\n(\n)\n")
    );
}

#[test]
fn fork_that_fails_half_way_ends_those_that_were_started() {
    let fails = "clone,?clone3,?fork,?vfork:error=EAGAIN:when=3+";
    let ended = Run::start_by_strace(fails, &[&LONG]).end();
    ended.failed(1, "only 2 of 5 children could be forked: ");
    ended.failed(
        1,
        "Resource temporarily unavailable (os error 11); ask for fewer",
    );
    assert_eq!(ended.stdout.replace(GLOBAL, ""), "");
}

#[test]
fn first_fork_of_the_most_that_can_be_asked_for_fails_with_that_number() {
    let fails = "clone,?clone3,?fork,?vfork:error=ENOMEM:when=1+";
    let ended = Run::start_by_strace(fails, &[&["--children", "10000"]]).end();
    ended.failed(1, "only 0 of 10000 children could be forked: ");
    ended.failed(1, "Cannot allocate memory (os error 12)\n");
    assert_eq!(ended.stdout, "");
}

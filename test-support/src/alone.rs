//! Tests that need a process of their own.

use std::any::type_name;
use std::process::{Command, Stdio};

use crate::{limited, spawn};

/// Runs `body` in a process of its own, with `env` set, and fails unless it succeeds there
/// with nothing written on stderr. `body` is a closure in the test function itself, by which
/// that process finds it.
pub fn alone<F: FnOnce()>(env: &[(&str, &str)], body: F) {
    const MARK: &str = "PHP_EVENT_TEST_ALONE";
    if std::env::var_os(MARK).is_some() {
        body();
        return;
    }
    let path = type_name::<F>().trim_end_matches("::{{closure}}");
    let (_crate, test) = path.split_once("::").expect("not in a test");
    let command = &mut Command::new(std::env::current_exe().expect("no test binary"));
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]);
    command.envs(env.iter().copied()).env(MARK, "1");
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = spawn(command).expect("cannot start the test binary");
    let output = limited(|| child.wait_with_output()).expect("its output");
    let [stdout, stderr] =
        [output.stdout, output.stderr].map(|o| String::from_utf8_lossy(&o).into_owned());
    assert!(output.status.success(), "{test}: {stdout}{stderr}");
    assert!(
        stdout.contains(" 1 passed"),
        "{test} was not found: {stdout}"
    );
    assert_eq!(stderr, "", "{test} wrote on stderr");
}

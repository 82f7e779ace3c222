//! PHP with the extension that cargo has just built.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder of this package.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The extension: cargo puts it beside the test programs.
pub(crate) fn extension() -> PathBuf {
    let test = env::current_exe().unwrap();
    let library = test.with_file_name("libphp_event_extension.so");
    assert!(library.is_file(), "{} was not built", library.display());
    library
}

/// Runs PHP with the extension, and no other configuration; what it prints.
#[allow(dead_code, reason = "one test program runs PHP by another way")]
pub(crate) fn php_with_extension(arguments: &[&str]) -> String {
    let mut command = Command::new("php");
    command.args(["-n", "-d", &format!("extension={}", extension().display())]);
    let output = command.args(arguments).output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}{errors}");
    printed
}

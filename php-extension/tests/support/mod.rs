//! PHP with the extension that cargo has just built.
#![allow(dead_code, reason = "each test program uses a part of this")]

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

/// What the PHP that the extension was built for says of itself.
pub(crate) fn php_config(what: &str) -> String {
    let program = env::var("PHP_CONFIG").unwrap_or_else(|_| "php-config".to_owned());
    let output = Command::new(&program).arg(what).output().unwrap();
    assert!(output.status.success(), "{program} {what} failed");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// PHP with no configuration and these arguments.
pub(crate) fn php() -> Command {
    let mut command = Command::new(php_config("--php-binary"));
    command.arg("-n");
    command
}

/// The option that loads an extension of PHP's own; none where it is built in, or missing.
pub(crate) fn shared(name: &str) -> Option<String> {
    let file = Path::new(&php_config("--extension-dir")).join(format!("{name}.so"));
    file.is_file().then(|| format!("extension={name}"))
}

/// Runs PHP with the extension; what it prints.
pub(crate) fn php_with_extension(arguments: &[&str]) -> String {
    let extension = format!("extension={}", extension().display());
    run(php().args(["-d", &extension]).args(arguments))
}

/// Runs a command that succeeds; what it prints.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}{errors}");
    printed
}

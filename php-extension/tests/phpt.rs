//! Runs the `.phpt` files beside this file under the extension, with PHP's own runner.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use support::{extension, php, php_config, root, shared};

/// PHP's runner of `.phpt` files, which comes with its headers.
fn runner() -> PathBuf {
    let prefix = PathBuf::from(php_config("--prefix"));
    let api = php_config("--phpapi");
    let places = [
        prefix
            .join("lib/php")
            .join(&api)
            .join("build/run-tests.php"),
        prefix.join("lib/php/build/run-tests.php"),
        prefix.join("lib64/php/build/run-tests.php"),
    ];
    let found = places.iter().find(|place| place.is_file());
    found
        .unwrap_or_else(|| panic!("no run-tests.php in {places:?}"))
        .clone()
}

#[test]
fn every_phpt_file_passes() {
    let folder = root().join("tests/phpt");
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join("phpt");
    // The runner writes beside the tests what they printed: not into the source tree.
    fs::remove_dir_all(&copy).ok();
    copy_tree(&folder, &copy);
    let mut command = php();
    command
        .arg(runner())
        .args(["-n", "-q", "-j4", "--no-color", "--show-diff"]); // most of them wait for time to pass
    for option in ["posix", "sockets"].into_iter().filter_map(shared) {
        command.args(["-d", &option]);
    }
    command
        .arg("-d")
        .arg(format!("extension={}", extension().display()))
        .arg(&copy)
        .env("TEST_PHP_EXECUTABLE", php_config("--php-binary"))
        .env("NO_INTERACTION", "1");
    let output = command.output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    let passed = printed
        .lines()
        .find(|line| line.starts_with("Tests passed"));
    println!("{}", passed.unwrap_or_default());
    assert!(output.status.success(), "{printed}");
    assert!(passed.is_some(), "no test ran: {printed}");
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_tree(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

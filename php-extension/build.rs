//! Compiles the C half against the headers of the PHP that `php-config` names, and writes the
//! tables of classes, methods and constants for both halves from the list of PECL's API.

#[path = "build/api.rs"]
mod api;
#[path = "build/c.rs"]
mod c;
#[path = "build/layout.rs"]
mod layout;
#[path = "build/rust.rs"]
mod rust;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

const API: &str = "../tests/pecl-event-api.json";
const FILES: [&str; 7] = [
    "shim/call.c",
    "shim/callback.c",
    "shim/collector.c",
    "shim/module.c",
    "shim/object.c",
    "shim/quick.c",
    "shim/value.c",
];

fn main() {
    if let Err(sentence) = run() {
        println!("cargo::error={sentence}");
    }
}

fn run() -> Result<(), String> {
    println!("cargo::rerun-if-changed=shim");
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rerun-if-changed={API}");
    println!("cargo::rerun-if-env-changed=PHP_CONFIG");
    let out = env::var_os("OUT_DIR")
        .map(PathBuf::from)
        .ok_or("cargo sets no OUT_DIR")?;
    let text = fs::read_to_string(API).map_err(|error| format!("{API}: {error}"))?;
    let api = api::Api::parse(&text).map_err(|error| format!("{API}: {error}"))?;
    write(&out, "classes.h", &c::header(&api))?;
    write(&out, "classes.c", &(c::source(&api)? + &layout::c()))?;
    write(&out, "methods.rs", &(rust::source(&api) + &layout::rust()))?;

    let mut build = cc::Build::new();
    for include in php_config("--includes")?.split_whitespace() {
        build.include(include.trim_start_matches("-I"));
    }
    build
        .include(&out)
        .include("shim")
        .files(FILES)
        .file(out.join("classes.c"))
        .define("ZEND_COMPILE_DL_EXT", "1")
        // With thread safety each thread's globals are found through a variable of module.c.
        .define("ZEND_ENABLE_STATIC_TSRMLS_CACHE", "1")
        .flag_if_supported("-Wall")
        .flag_if_supported("-Wno-unused-parameter")
        .flag_if_supported("-fvisibility=hidden")
        // `cc` keeps it where there is debug information, which has no need of it.
        .force_frame_pointer(false)
        .std("gnu11")
        .try_compile("php_event_shim")
        .map_err(|error| format!("the C half does not compile against PHP's headers: {error}"))?;
    // PHP itself has Zend's symbols.
    println!("cargo::rustc-link-arg-cdylib=-Wl,--no-undefined-version");
    Ok(())
}

fn write(out: &Path, name: &str, text: &str) -> Result<(), String> {
    fs::write(out.join(name), text).map_err(|error| format!("{name}: {error}"))
}

/// Asks `php-config`, or what the variable `PHP_CONFIG` names.
fn php_config(what: &str) -> Result<String, String> {
    let program = env::var("PHP_CONFIG").unwrap_or_else(|_| "php-config".to_owned());
    let help = "install PHP's headers (php-dev with apt, php-devel with dnf, php-dev with apk; \
                `sh vendor/libevent/install.sh --php` does it), or name another php-config in \
                PHP_CONFIG";
    let output = Command::new(&program)
        .arg(what)
        .output()
        .map_err(|error| format!("cannot run {program}: {error}; {help}"))?;
    if !output.status.success() {
        return Err(format!("{program} {what} failed; {help}"));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

//! Refuses a libevent that this crate was not written for, and hands on the version that
//! OpenSSL's headers state. `vendor/libevent/build.rs` finds and links libevent.

use std::path::{Path, PathBuf};
use std::{env, fs};

/// `LIBEVENT_VERSION_NUMBER` of 2.1.12.
const OLDEST: u32 = 0x0201_0c00;
/// `LIBEVENT_VERSION_NUMBER` of 2.2.
const TOO_NEW: u32 = 0x0202_0000;

/// `OPENSSL_VERSION_NUMBER` of 1.1.1.
const OLDEST_OPENSSL: i64 = 0x1010_1000;

const OPENSSL_PROBE: &str = "#include <openssl/opensslv.h>\n\
                             php_event_probe OPENSSL_VERSION_TEXT\n";

fn main() {
    if let Err(sentence) = run() {
        // Cargo shows this line alone. After an exit code of our own it would show all output.
        println!("cargo::error={sentence}");
    }
}

fn run() -> Result<(), String> {
    println!("cargo::rerun-if-changed=build.rs");
    libevent()?;
    if env::var_os("CARGO_FEATURE_OPENSSL").is_some() {
        openssl()?;
    }
    Ok(())
}

/// A later `php-event-sys` may link versions that this crate does not know.
fn libevent() -> Result<(), String> {
    if env::var_os("DOCS_RS").is_some() {
        return Ok(()); // documentation is built without the library
    }
    let found = |key: &str| env::var(format!("DEP_PHP_EVENT_LIBEVENT_{key}")).unwrap_or_default();
    match found("VERSION_NUMBER").parse() {
        Ok(OLDEST..TOO_NEW) => Ok(()),
        _ => Err(format!(
            "found libevent {}, but php-event needs 2.1.12 or newer, below 2.2",
            found("VERSION")
        )),
    }
}

/// Makes constants of OpenSSL's version: `openssl-sys` passes on the number but not the text.
fn openssl() -> Result<(), String> {
    let number = env::var("DEP_OPENSSL_VERSION_NUMBER").unwrap_or_default();
    let fits = i64::from_str_radix(&number, 16).is_ok_and(|found| found >= OLDEST_OPENSSL);
    if !fits {
        return Err(format!(
            "found OpenSSL '{number}', but php-event needs 1.1.1 or newer: install its headers \
             (apt: libssl-dev; dnf: openssl-devel; apk: openssl-dev; pacman: openssl; brew: \
             openssl@3), or build without the feature `openssl`"
        ));
    }
    let text = openssl_text().ok_or("OpenSSL's headers do not state their version")?;
    println!("cargo::rustc-env=PHP_EVENT_OPENSSL_VERSION_NUMBER={number}");
    println!("cargo::rustc-env=PHP_EVENT_OPENSSL_VERSION_TEXT={text}");
    Ok(())
}

/// Asks the preprocessor for `OPENSSL_VERSION_TEXT`.
fn openssl_text() -> Option<String> {
    let file = Path::new(&env::var_os("OUT_DIR")?).join("probe.c");
    fs::write(&file, OPENSSL_PROBE).ok()?;
    let text = cc::Build::new()
        .includes(env::var_os("DEP_OPENSSL_INCLUDE").map(PathBuf::from))
        .file(&file)
        .try_expand()
        .ok()?;
    let text = String::from_utf8_lossy(&text);
    // Line markers (`# 1 "/usr/include/…"`) may stand between the mark and the text.
    let code: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let code = code.join(" ");
    let (_, text) = code.split_once("php_event_probe")?;
    Some(text.trim().trim_matches('"').to_owned())
}

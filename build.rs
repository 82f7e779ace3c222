//! Holds the libevent that `libevent-sys` found to what the bindings were made for: refuses
//! other versions, and compiles `abi.c`, the table that `tests/abi.rs` reads. With the feature
//! `openssl` it hands on the version that OpenSSL's headers state, too.

use std::path::{Path, PathBuf};
use std::{env, fs};

/// 2.1.12, as `LIBEVENT_VERSION_NUMBER` writes it.
const OLDEST: u32 = 0x0201_0c00;
/// 2.2, which changes functions that the bindings declare.
const TOO_NEW: u32 = 0x0202_0000;

/// Asks the preprocessor: this needs no header but the one that every libevent has, and works
/// where `abi.c` would not compile.
const PROBE: &str = "#include <event2/event.h>\n\
                     php_event_probe LIBEVENT_VERSION_NUMBER LIBEVENT_VERSION\n";

/// 1.1.1, as `OPENSSL_VERSION_NUMBER` writes it.
const OLDEST_OPENSSL: i64 = 0x1010_1000;

const OPENSSL_PROBE: &str = "#include <openssl/opensslv.h>\n\
                             php_event_probe OPENSSL_VERSION_TEXT\n";

const HELP: &str = "install libevent's headers with your package manager (libevent-dev, \
                    libevent-devel or libevent; `sh vendor/libevent/install.sh` does it), or \
                    build with `--features bundled`";

const ABI: &str = "vendor/libevent/abi.c";
const HEADERS: &str = "vendor/libevent/headers.h";

fn main() {
    if let Err(sentence) = run() {
        // Cargo fails the build for this line and shows it alone; after an exit code of our own
        // it would be lost in all else that was printed.
        println!("cargo::error={sentence}");
    }
}

fn run() -> Result<(), String> {
    println!("cargo::rerun-if-changed={ABI}");
    println!("cargo::rerun-if-changed={HEADERS}");

    // pkg-config leaves out the directories that the compiler looks into anyway.
    let include = env::var_os("DEP_EVENT_INCLUDE").map(PathBuf::from);
    let headers = probe(include.as_deref())?;
    // The directories, because a package's files keep the dates of its making.
    for dir in &headers.dirs {
        println!("cargo::rerun-if-changed={}", dir.display());
    }
    if !(OLDEST..TOO_NEW).contains(&headers.number) {
        return Err(headers.refusal());
    }

    let objects = compiler(include.as_deref())
        .file(ABI)
        .warnings(true)
        .try_compile_intermediates()
        .map_err(|error| {
            format!(
                "{ABI} does not fit the headers of libevent {}: {error}",
                headers.version
            )
        })?;
    // An object, not a library: only the tests need it, and nothing else is linked with it.
    for object in objects {
        println!("cargo::rustc-link-arg-tests={}", object.display());
    }
    if env::var_os("CARGO_FEATURE_OPENSSL").is_some() {
        openssl()?;
    }
    Ok(())
}

/// Makes constants of what OpenSSL's headers say: the number as `openssl-sys` found it, the
/// text that it does not pass on.
fn openssl() -> Result<(), String> {
    let number = env::var("DEP_OPENSSL_VERSION_NUMBER").unwrap_or_default();
    let fits = i64::from_str_radix(&number, 16).is_ok_and(|found| found >= OLDEST_OPENSSL);
    if !fits {
        return Err(format!(
            "php-event needs OpenSSL 1.1.1 or newer, found '{number}'; install its headers with \
             your package manager (`sh vendor/libevent/install.sh` does it), or build with \
             `--no-default-features`"
        ));
    }
    let include = env::var_os("DEP_OPENSSL_INCLUDE").map(PathBuf::from);
    let text = expand(include.as_deref(), OPENSSL_PROBE)
        .as_deref()
        .and_then(answer)
        .ok_or("no text in OpenSSL's headers that says their version")?;
    let text = text.trim().trim_matches('"');
    println!("cargo::rustc-env=PHP_EVENT_OPENSSL_VERSION_NUMBER={number}");
    println!("cargo::rustc-env=PHP_EVENT_OPENSSL_VERSION_TEXT={text}");
    Ok(())
}

/// What the headers say of themselves.
struct Headers {
    number: u32,
    version: String,
    dirs: Vec<PathBuf>,
}

impl Headers {
    fn refusal(&self) -> String {
        let place = self
            .dirs
            .first()
            .map(|dir| format!(" in {}", dir.display()));
        format!(
            "found libevent {}{}, but php-event needs 2.1.12 or newer, below 2.2: {HELP}",
            self.version,
            place.unwrap_or_default()
        )
    }
}

fn probe(include: Option<&Path>) -> Result<Headers, String> {
    expand(include, PROBE)
        .and_then(|text| parse(&text))
        .ok_or_else(|| format!("no headers of libevent 2.1 that a C compiler can read: {HELP}"))
}

/// What the preprocessor makes of `code`.
fn expand(include: Option<&Path>, code: &str) -> Option<String> {
    let file = Path::new(&env::var_os("OUT_DIR")?).join("probe.c");
    fs::write(&file, code).ok()?;
    let text = compiler(include).file(&file).try_expand().ok()?;
    Some(String::from_utf8_lossy(&text).into_owned())
}

/// What follows the probe's mark, without the line markers (`# 1 "/usr/include/…"`).
fn answer(text: &str) -> Option<String> {
    let code: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    Some(code.join(" ").split_once("php_event_probe")?.1.to_owned())
}

/// Reads the answer's two words, and from the line markers around and between them where
/// libevent's headers are.
fn parse(text: &str) -> Option<Headers> {
    let answer = answer(text)?;
    let mut words = answer.split_whitespace();
    let (number, version) = (words.next()?, words.next()?);
    let mut dirs = Vec::new();
    let markers = text.lines().filter(|line| line.starts_with('#'));
    for file in markers.filter_map(|line| line.split('"').nth(1)) {
        match Path::new(file).parent() {
            Some(dir) if dir.ends_with("event2") && !dirs.iter().any(|known| known == dir) => {
                dirs.push(dir.to_owned());
            }
            _ => {}
        }
    }
    Some(Headers {
        number: u32::from_str_radix(number.strip_prefix("0x")?, 16).ok()?,
        version: version.trim_matches('"').to_owned(),
        dirs,
    })
}

fn compiler(include: Option<&Path>) -> cc::Build {
    let mut build = cc::Build::new();
    build.includes(include);
    build
}

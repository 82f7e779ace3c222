//! Finds libevent, refuses versions that the declarations do not fit, and links it.
//!
//! Passes on to the build scripts of dependents (`DEP_PHP_EVENT_LIBEVENT_…`): `VERSION`,
//! `VERSION_NUMBER` (as `LIBEVENT_VERSION_NUMBER`, in decimal) and `INCLUDE`. Compiles `abi.c`,
//! the table that `tests/abi.rs` reads.

use std::path::{Path, PathBuf};
use std::{env, fs};

/// `LIBEVENT_VERSION_NUMBER` of 2.1.12.
const OLDEST: u32 = 0x0201_0c00;
/// `LIBEVENT_VERSION_NUMBER` of 2.2, which changes functions that the bindings declare.
const TOO_NEW: u32 = 0x0202_0000;

/// The preprocessor answers this even where `abi.c` would not compile.
const PROBE: &str = "#include <event2/event.h>\n\
                     php_event_probe LIBEVENT_VERSION_NUMBER LIBEVENT_VERSION\n";

const REMEDY: &str = "install libevent's headers and pkg-config (apt: libevent-dev pkg-config; \
                      dnf: libevent-devel pkgconf-pkg-config; apk: libevent-dev pkgconf; \
                      pacman: libevent pkgconf; brew: libevent pkgconf), or build with the \
                      feature `bundled`";

const NO_COMPILER: &str = "no C compiler works: install one (apt: gcc libc6-dev; dnf: gcc; apk: gcc \
                           musl-dev; pacman: gcc; brew: gcc), or set CC to one";

/// What to do where packages have only a libevent that is too new.
const REMEDY_TOO_NEW: &str = "set PKG_CONFIG_PATH to the folder of an older libevent's .pc \
                              files, or build with the feature `bundled`";

fn main() {
    if let Err(sentence) = run() {
        // Cargo shows this line alone. After an exit code of our own it would show all output.
        println!("cargo::error={sentence}");
    }
}

fn run() -> Result<(), String> {
    for file in ["build.rs", "abi.c", "headers.h"] {
        println!("cargo::rerun-if-changed={file}");
    }
    choose_declarations()?;
    if env::var_os("DOCS_RS").is_some() {
        return Ok(()); // documentation needs no library
    }

    // libevent-sys, if it is there, has linked the libevent that it found or built.
    let upstream = has_feature("BUNDLED") || has_feature("BINDGEN");
    let include = match upstream {
        true => env::var_os("DEP_EVENT_INCLUDE").map(PathBuf::from),
        false => link_system_library()?,
    };
    let headers = probe(include.as_deref())?;
    // The directories, because the files of a package keep the dates of its build.
    for directory in &headers.directories {
        println!("cargo::rerun-if-changed={}", directory.display());
    }
    if !(OLDEST..TOO_NEW).contains(&headers.number) {
        return Err(headers.refusal());
    }
    compile_table(include.as_deref(), &headers.version)?;

    println!("cargo::metadata=version={}", headers.version);
    println!("cargo::metadata=version_number={}", headers.number);
    if let Some(include) = include {
        println!("cargo::metadata=include={}", include.display());
    }
    Ok(())
}

fn has_feature(name: &str) -> bool {
    env::var_os(format!("CARGO_FEATURE_{name}")).is_some()
}

/// Sets the cfg `prepared` where `bindings.rs` fits the target.
fn choose_declarations() -> Result<(), String> {
    println!("cargo::rustc-check-cfg=cfg(prepared)");
    let target = |key: &str| env::var(format!("CARGO_CFG_TARGET_{key}")).unwrap_or_default();
    let (os, arch) = (target("OS"), target("ARCH"));
    let fits = os == "linux"
        && ["x86_64", "aarch64"].contains(&arch.as_str())
        && target("POINTER_WIDTH") == "64"
        && ["gnu", "musl"].contains(&target("ENV").as_str());
    if has_feature("BINDGEN") {
        Ok(())
    } else if fits {
        println!("cargo::rustc-cfg=prepared");
        Ok(())
    } else if has_feature("BUNDLED") {
        Ok(()) // libevent-sys generates declarations with this feature, too
    } else {
        Err(format!(
            "php-event-sys has no declarations for {arch} {os}: build with the feature \
             `bindgen`, which needs libclang"
        ))
    }
}

/// Links libevent by pkg-config, and returns the directory of its headers.
fn link_system_library() -> Result<Option<PathBuf>, String> {
    let core = link("libevent_core")?;
    let extra = link("libevent_extra")?;
    if has_feature("OPENSSL") {
        link("libevent_openssl")?;
    }
    Ok([core, extra].into_iter().flatten().next())
}

/// Links one of libevent's libraries, and returns the first directory of its headers.
fn link(library: &str) -> Result<Option<PathBuf>, String> {
    match pkg_config::probe_library(library) {
        Ok(found) => Ok(found.include_paths.into_iter().next()),
        Err(pkg_config::Error::CrossCompilation) => Err(format!(
            "pkg-config is not set up to find {library} for this target: set PKG_CONFIG_SYSROOT_DIR \
             or PKG_CONFIG, or build with the feature `bundled`"
        )),
        Err(pkg_config::Error::EnvNoPkgConfig(variable)) => Err(format!(
            "{library} cannot be found while the environment variable {variable} is set: unset it"
        )),
        Err(_) => Err(format!("pkg-config does not find {library}: {REMEDY}")),
    }
}

/// Compiles the table of what the headers say, for `tests/abi.rs`.
fn compile_table(include: Option<&Path>, version: &str) -> Result<(), String> {
    let objects = compiler(include)
        .file("abi.c")
        .warnings(true)
        .try_compile_intermediates()
        .map_err(|error| {
            format!("abi.c does not fit the headers of libevent {version}: {error}")
        })?;
    // Objects, not a library: only the tests need them, and nothing else links them.
    for object in objects {
        println!("cargo::rustc-link-arg-tests={}", object.display());
    }
    Ok(())
}

/// What the headers say about themselves.
struct Headers {
    number: u32,
    version: String,
    directories: Vec<PathBuf>,
}

impl Headers {
    fn refusal(&self) -> String {
        let place = match self.directories.first() {
            Some(directory) => format!(" in {}", directory.display()),
            None => String::new(),
        };
        let remedy = if self.number < OLDEST {
            REMEDY
        } else {
            REMEDY_TOO_NEW
        };
        format!(
            "found libevent {}{place}, but php-event needs 2.1.12 or newer, below 2.2: {remedy}",
            self.version
        )
    }
}

fn probe(include: Option<&Path>) -> Result<Headers, String> {
    let headers = preprocess(include, PROBE).and_then(|text| parse(&text));
    headers.ok_or_else(|| match preprocess(None, "") {
        Some(_) => format!("the C compiler finds no headers of libevent 2.1: {REMEDY}"),
        None => NO_COMPILER.to_owned(),
    })
}

/// Returns what the preprocessor makes of `code`.
fn preprocess(include: Option<&Path>, code: &str) -> Option<String> {
    let file = Path::new(&env::var_os("OUT_DIR")?).join("probe.c");
    fs::write(&file, code).ok()?;
    let text = compiler(include).file(&file).try_expand().ok()?;
    Some(String::from_utf8_lossy(&text).into_owned())
}

/// Reads number and version after the probe's mark, and the directories of libevent's headers
/// in the line markers (`# 1 "/usr/include/…"`).
fn parse(text: &str) -> Option<Headers> {
    let (markers, code): (Vec<_>, Vec<_>) = text.lines().partition(|line| line.starts_with('#'));
    let code = code.join(" ");
    let mut words = code.split_once("php_event_probe")?.1.split_whitespace();
    let (number, version) = (words.next()?, words.next()?);
    let mut directories: Vec<PathBuf> = Vec::new();
    for file in markers.iter().filter_map(|line| line.split('"').nth(1)) {
        match Path::new(file).parent() {
            Some(parent)
                if parent.ends_with("event2")
                    && !directories.iter().any(|known| known == parent) =>
            {
                directories.push(parent.to_owned());
            }
            _ => {}
        }
    }
    Some(Headers {
        number: u32::from_str_radix(number.strip_prefix("0x")?, 16).ok()?,
        version: version.trim_matches('"').to_owned(),
        directories,
    })
}

fn compiler(include: Option<&Path>) -> cc::Build {
    let mut build = cc::Build::new();
    build.includes(include);
    build
}

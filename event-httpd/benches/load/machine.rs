//! When and where figures are measured, and of which versions.

use std::fs;
use std::process::Command;

use super::Result;
use super::servers::{installed, is_installed, output};

/// One line about now, this machine and this commit.
pub(crate) fn note() -> Result<String> {
    let date = output(Command::new("date").args(["-u", "+%Y-%m-%d %H:%M UTC"]))?;
    let processors = fs::read_to_string("/proc/cpuinfo")?;
    let processor = processors
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown processor", |text| {
            text.trim_start_matches([' ', '\t', ':'])
        });
    let count = processors
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let load = fs::read_to_string("/proc/loadavg")?;
    let load = load.split(' ').next().unwrap_or_default();
    Ok(format!(
        "{date}, commit {}, {processor}, {count} processors, Linux {}, load average {load}",
        commit(),
        kernel.trim(),
    ))
}

/// The commit, and whether code has been changed since.
fn commit() -> String {
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.args(["-C", env!("CARGO_MANIFEST_DIR")]);
        command.args(arguments);
        command
    };
    let Ok(commit) = output(&mut git(&["rev-parse", "--short", "HEAD"])) else {
        return "unknown".into();
    };
    let mut changed = git(&["diff", "--quiet", "HEAD", "--"]);
    changed.args([":/*.rs", ":/*.c", ":/*.toml", ":/Cargo.lock"]);
    match changed.status() {
        Ok(status) if status.success() => commit,
        _ => format!("{commit} with changes"),
    }
}

/// The versions of what is compared.
pub(crate) fn versions() -> Result<String> {
    let mut versions = Vec::new();
    let libevent = output(Command::new("pkg-config").args(["--modversion", "libevent_core"]))?;
    versions.push(format!("libevent {libevent}"));
    if is_installed("nginx") {
        let text = output(installed("nginx").arg("-v"))?;
        let version = text.rsplit('/').next().unwrap_or_default();
        versions.push(format!("nginx {version}"));
    }
    let lock = fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/benches/load/hyper/Cargo.lock"
    ))?;
    let hyper = lock
        .split("name = \"hyper\"\nversion = \"")
        .nth(1)
        .and_then(|rest| rest.split('"').next());
    versions.push(format!("hyper {}", hyper.unwrap_or("unknown")));
    if is_installed("redis-server") {
        let text = output(installed("redis-server").arg("--version"))?;
        let version = text
            .split_whitespace()
            .find_map(|word| word.strip_prefix("v="));
        versions.push(format!("Redis {}", version.unwrap_or("unknown")));
    }
    Ok(versions.join(", "))
}

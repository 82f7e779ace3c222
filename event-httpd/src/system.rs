//! What the system gives this process.

use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Descriptors that are not clients: the standard streams, the listener, those of libevent.
const RESERVED: u64 = 16;

/// Where Linux mounts the control groups.
const CGROUPS: &str = "/sys/fs/cgroup";

/// The memory that this process may use: the least of the machine's, the limits of its control
/// group and those of the process. `None` when the system tells none of them.
pub(crate) fn memory() -> Option<usize> {
    let limits = [machine_memory(), group_memory(), process_memory()];
    limits.into_iter().flatten().min()
}

/// The machine's memory.
fn machine_memory() -> Option<usize> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kilobytes: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

/// The least limit of the control group and the groups above it.
fn group_memory() -> Option<usize> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let limits = groups.lines().flat_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next().unwrap_or(""), fields.next().unwrap_or(""));
        let (root, file) = match controllers {
            "" => (PathBuf::from(CGROUPS), "memory.max"),
            "memory" => (Path::new(CGROUPS).join("memory"), "memory.limit_in_bytes"),
            _ => return Vec::new(),
        };
        let path = Path::new(path.trim_start_matches('/')).to_owned();
        let limit = |group: &Path| {
            let text = fs::read_to_string(root.join(group).join(file)).ok()?;
            text.trim().parse::<usize>().ok() // `max` is no limit
        };
        path.ancestors().filter_map(limit).collect()
    });
    limits.min()
}

/// The limits of the process (setrlimit(2)).
fn process_memory() -> Option<usize> {
    let resources = [Resource::RLIMIT_AS, Resource::RLIMIT_DATA];
    let limits = resources.into_iter().filter_map(|resource| {
        let (soft, _hard) = getrlimit(resource).ok()?;
        usize::try_from(soft).ok()
    });
    limits.min()
}

/// Raises the soft descriptor limit to the hard one. Returns how many clients that allows.
pub(crate) fn raise_descriptor_limit() -> usize {
    let raised = getrlimit(Resource::RLIMIT_NOFILE).map(|(soft, hard)| {
        match setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
            Ok(()) => hard,
            Err(_) => soft,
        }
    });
    let limit = raised.unwrap_or(1024);
    tracing::debug!("descriptor limit: {limit}");
    usize::try_from(limit.saturating_sub(RESERVED).max(1)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn the_memory_is_at_most_that_of_the_machine() {
        let machine = machine_memory().unwrap();
        assert!(memory().is_some_and(|memory| memory <= machine && memory > 1 << 20));
    }
}

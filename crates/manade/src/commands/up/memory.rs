//! How much memory there is.

use std::fs;

/// Where the system does not tell.
const FALLBACK: u64 = 2 << 30;

/// Bytes: a quarter of the machine's memory, or of what the control group may use where that is less.
pub fn quarter() -> u64 {
    let group = fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let group = group.and_then(|text| text.trim().parse().ok());
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| total(&text));
    machine.into_iter().chain(group).min().unwrap_or(FALLBACK) / 4
}

/// `MemTotal`, in bytes.
fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find(|line| line.starts_with("MemTotal:"))?;
    let kib: u64 = line.split_ascii_whitespace().nth(1)?.parse().ok()?;
    kib.checked_mul(1024)
}

//! How much memory the rows of a dump may take: what the machine, our control group and our own limits have left when
//! reading begins. A small compressed file can unpack to more than any machine has; it must end in an error, and not in
//! a process that the kernel kills. It does not count what is made of the rows afterwards.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use heapsee_format::cgroup::MemoryGroup;

/// What may be taken, and what was.
pub(super) struct Budget {
    limit: u64,
    taken: AtomicU64,
}

impl Budget {
    /// Three quarters of what can be had now: the rows are not all there is.
    pub(super) fn now() -> Budget {
        let left = [of_machine(), of_groups(), of_process()].into_iter().flatten().min().unwrap_or(u64::MAX);
        Budget { limit: left - left / 4, taken: AtomicU64::new(0) }
    }

    /// Enters so many bytes; `Err` has the limit if that is more than there may be.
    pub(super) fn take(&self, bytes: u64) -> Result<(), u64> {
        let taken = self.taken.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        if taken > self.limit { Err(self.limit) } else { Ok(()) }
    }
}

/// What the kernel can give without swapping.
fn of_machine() -> Option<u64> {
    kilobytes(&fs::read_to_string("/proc/meminfo").ok()?, "MemAvailable:")
}

/// What our control group and those around it have left.
fn of_groups() -> Option<u64> {
    let read = |path: &Path| fs::read_to_string(path);
    let group = MemoryGroup::parse(&fs::read_to_string("/proc/self/cgroup").ok()?);
    group.tightest(read).map(|limit| limit.left())
}

/// What `ulimit -v` allows beyond what we have.
fn of_process() -> Option<u64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let limit = limits.lines().find_map(|line| line.strip_prefix("Max address space"))?;
    let limit: u64 = limit.split_ascii_whitespace().next()?.parse().ok()?;
    Some(limit.saturating_sub(kilobytes(&fs::read_to_string("/proc/self/status").ok()?, "VmSize:")?))
}

fn kilobytes(text: &str, label: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(label))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_adds_up() {
        let budget = Budget { limit: 10, taken: AtomicU64::new(0) };
        assert_eq!([budget.take(6), budget.take(4), budget.take(1)], [Ok(()), Ok(()), Err(10)]);
        assert_eq!(budget.take(u64::MAX - 11), Err(10));
    }

    #[test]
    fn this_machine_has_some() {
        assert!(Budget::now().limit > 1 << 20);
        assert_eq!(kilobytes("MemFree: 1 kB\nMemAvailable:    8192 kB\n", "MemAvailable:"), Some(8 << 20));
    }
}

//! What the kernel says of the host and its cgroups: memory, pressure, limits. It judges nothing.

pub mod cgroup;
mod namespace;
mod uwsgi;

use std::fs;

pub use uwsgi::requests;

/// The host's name.
pub fn name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Memory that is available, and all there is, in bytes.
pub fn memory() -> Option<(u64, u64)> {
    parse_memory(&fs::read_to_string("/proc/meminfo").ok()?)
}

/// The share of the last 10 seconds in which some task waited for `resource`: `memory`, `io` or `cpu`.
pub fn pressure(resource: &str) -> Option<f64> {
    parse_pressure(&fs::read_to_string(format!("/proc/pressure/{resource}")).ok()?)
}

fn parse_memory(text: &str) -> Option<(u64, u64)> {
    let of = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
    };
    Some((of("MemAvailable")?, of("MemTotal")?))
}

fn parse_pressure(text: &str) -> Option<f64> {
    let some = text.lines().find_map(|line| line.strip_prefix("some "))?;
    let average = some.split_ascii_whitespace().find_map(|field| field.strip_prefix("avg10="))?;
    average.parse::<f64>().ok().map(|percent| percent / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_pressure_are_read() {
        let text = "MemTotal:       16384 kB\nMemFree: 1 kB\nMemAvailable:    8192 kB\n";
        assert_eq!(parse_memory(text), Some((8192 << 10, 16384 << 10)));
        assert_eq!(parse_memory("MemTotal: 1 kB\n"), None);
        let text = "some avg10=12.50 avg60=1.00 avg300=0.00 total=1\nfull avg10=99.00 avg60=0 avg300=0 total=0\n";
        assert_eq!(parse_pressure(text), Some(0.125));
        assert_eq!(parse_pressure(""), None);
        assert!(memory().is_some_and(|(available, total)| 0 < available && available <= total));
    }
}

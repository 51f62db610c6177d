//! What the kernel says of this process, its cgroup and its machine, for the sidecar and for the preflight.
//!
//! Everything here is best effort: what cannot be read is left empty. Runs in the worker, before the snapshot.

use heapsee_format::cgroup::{self, MemoryGroup};
use heapsee_format::meta;
use nix::unistd::{SysconfVar, sysconf};

use crate::{clock, gate, server};

/// The machine.
pub fn host() -> meta::Host {
    let Ok(name) = nix::sys::utsname::uname() else {
        return meta::Host::default();
    };
    let text = |part: &std::ffi::OsStr| part.to_string_lossy().into_owned();
    meta::Host { hostname: text(name.nodename()), kernel: text(name.release()), machine: text(name.machine()) }
}

/// This process.
pub fn process() -> meta::Process {
    let command_line = command_line_of("self");
    let executable = std::fs::read_link("/proc/self/exe").unwrap_or_default().to_string_lossy().into_owned();
    let start_time_ticks = start_time("self").unwrap_or(0);
    let cgroup = cgroup();
    meta::Process {
        pid: std::process::id(),
        namespace_pids: namespace_pids(),
        parent_pid: std::os::unix::process::parent_id(),
        started_at: started_at(start_time_ticks).map(clock::rfc3339).unwrap_or_default(),
        start_time_ticks,
        uid: nix::unistd::getuid().as_raw(),
        container_id: container_id(&cgroup.path),
        cgroup: cgroup.path,
        server: server(&command_line, &executable),
        command_line,
        executable,
    }
}

/// This process's memory and its cgroup's.
pub fn memory() -> meta::Memory {
    let group = cgroup();
    let read: cgroup::Read = |path| gate::read_text(path);
    let (cgroup_limit, cgroup_usage) = match group.tightest(read) {
        Some(found) => (Some(found.limit), Some(found.used)),
        None => (None, group.used(read)),
    };
    let status = gate::read_text("/proc/self/status").unwrap_or_default();
    meta::Memory {
        rss: resident().unwrap_or(0),
        rss_anonymous: kilobytes(&status, "RssAnon:"),
        rss_file: kilobytes(&status, "RssFile:"),
        rss_shared: kilobytes(&status, "RssShmem:"),
        swap: kilobytes(&status, "VmSwap:"),
        cgroup_limit,
        cgroup_usage,
        child_private_dirty: None,
    }
}

/// Bytes that the machine can still give (`MemAvailable`).
pub fn available_memory() -> Option<u64> {
    let text = gate::read_text("/proc/meminfo").ok()?;
    kilobytes(&text, "MemAvailable:")
}

/// A line such as `RssAnon:   1234 kB`, in bytes.
fn kilobytes(text: &str, label: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(label))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// Start time of process `pid` (or `self`) in clock ticks since boot: field 22 of its `stat`.
pub fn start_time(pid: &str) -> Option<u64> {
    parse_start_time(&std::fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// The command's name, field 2, may hold anything; the fields are counted from the last parenthesis.
fn parse_start_time(stat: &[u8]) -> Option<u64> {
    let end = stat.iter().rposition(|&byte| byte == b')')?;
    let rest = std::str::from_utf8(stat.get(end + 1..)?).ok()?;
    rest.split_ascii_whitespace().nth(19)?.parse().ok()
}

fn started_at(ticks: u64) -> Option<u64> {
    let text = gate::read_text("/proc/stat").ok()?;
    let boot: u64 = text.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    let hertz = u64::try_from(sysconf(SysconfVar::CLK_TCK).ok()??).ok().filter(|&hertz| hertz > 0)?;
    Some(boot * 1_000_000_000 + (ticks / hertz) * 1_000_000_000 + (ticks % hertz) * 1_000_000_000 / hertz)
}

fn resident() -> Option<u64> {
    let text = gate::read_text("/proc/self/statm").ok()?;
    let pages: u64 = text.split_ascii_whitespace().nth(1)?.parse().ok()?;
    let page = u64::try_from(sysconf(SysconfVar::PAGE_SIZE).ok()??).ok()?;
    Some(pages * page)
}

fn command_line_of(pid: &str) -> Vec<String> {
    let bytes = gate::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let text = bytes.strip_suffix(b"\0").unwrap_or(&bytes);
    text.split(|&byte| byte == 0).map(|part| String::from_utf8_lossy(part).into_owned()).collect()
}

fn namespace_pids() -> Vec<u32> {
    let status = gate::read_text("/proc/self/status").unwrap_or_default();
    let pids = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
    pids.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// Which server this is a process of, as its command line or its parent's tells.
fn server(command_line: &[String], executable: &str) -> Option<String> {
    let parents = || {
        let parent = std::os::unix::process::parent_id().to_string();
        server::is_spawned(command_line).then(|| server::of(&command_line_of(&parent), "")).flatten()
    };
    server::of(command_line, executable).or_else(parents).map(str::to_owned)
}

/// A run of 64 hexadecimal digits in a cgroup's path is how Docker, containerd, CRI-O and Podman name a container.
fn container_id(cgroup: &str) -> Option<String> {
    let mut runs = cgroup.split(|c: char| !c.is_ascii_hexdigit());
    runs.rfind(|run| run.len() == 64).map(str::to_owned)
}

fn cgroup() -> MemoryGroup {
    MemoryGroup::parse(&gate::read_text("/proc/self/cgroup").unwrap_or_default())
}

//! Reading `/proc`: what the kernel says of other processes. It judges nothing.
//!
//! Everything here is a text that another user's process may have shaped (its name, its arguments), so parsers take
//! any bytes, and reads are bounded.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::PathBuf;
use std::time::Duration;

/// No file of `/proc` that we read is longer than this, unless somebody means harm.
const READ_LIMIT: u64 = 1 << 20;

/// Parts of `/proc/PID/stat`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// The process's name (`comm`), at most 15 bytes.
    pub comm: String,
    /// `R`, `S`, `D`, `T`, `Z`, …
    pub state: char,
    /// The parent's pid.
    pub parent: u32,
    /// Field 22: start time in clock ticks since boot. With the pid, it names one process of this boot.
    pub start_time: u64,
}

/// Parts of `/proc/PID/status`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Effective user id, as this process's user namespace sees it.
    pub uid: u32,
    /// Pids from the outermost visible pid namespace to the process's own.
    pub namespace_pids: Vec<u32>,
    /// `SigCgt`: bit `n - 1` is set if signal `n` has a handler.
    pub caught_signals: u64,
    /// Resident set in bytes; 0 for a kernel thread or a zombie.
    pub rss: u64,
}

impl Status {
    /// The pid that the process itself sees.
    pub fn own_pid(&self) -> Option<u32> {
        self.namespace_pids.last().copied()
    }

    /// Whether the process has a handler for `signal`.
    pub fn catches(&self, signal: u32) -> bool {
        (1..=64).contains(&signal) && self.caught_signals >> (signal - 1) & 1 == 1
    }
}

/// Whether an error of a read in `/proc/PID` means that the process is gone.
pub fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error())
}

/// `/proc/PID/NAME`.
pub fn path(pid: u32, name: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/{name}"))
}

/// All pids, ascending.
pub fn pids() -> io::Result<Vec<u32>> {
    let mut pids = Vec::new();
    for entry in fs::read_dir("/proc")? {
        if let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) {
            pids.push(pid);
        }
    }
    pids.sort_unstable();
    Ok(pids)
}

/// `/proc/PID/stat`.
pub fn stat(pid: u32) -> io::Result<Stat> {
    parse_stat(&read(pid, "stat")?).ok_or_else(|| unreadable(pid, "stat"))
}

/// `/proc/PID/status`.
pub fn status(pid: u32) -> io::Result<Status> {
    parse_status(&read(pid, "status")?).ok_or_else(|| unreadable(pid, "status"))
}

/// The arguments, or the title that the process has given itself; empty for a kernel thread or a zombie.
pub fn command_line(pid: u32) -> io::Result<Vec<String>> {
    Ok(parse_command_line(&read(pid, "cmdline")?))
}

/// The value of an environment variable that the process was started with.
pub fn environment(pid: u32, name: &str) -> io::Result<Option<String>> {
    let bytes = read(pid, "environ")?;
    let value =
        bytes.split(|&byte| byte == 0).find_map(|entry| entry.strip_prefix(name.as_bytes())?.strip_prefix(b"="));
    Ok(value.map(|value| String::from_utf8_lossy(value).into_owned()))
}

/// The program's path.
pub fn executable(pid: u32) -> io::Result<PathBuf> {
    fs::read_link(path(pid, "exe"))
}

/// Proportional set size in bytes: shared pages count in parts. It costs the kernel a walk over the page tables.
pub fn pss(pid: u32) -> io::Result<u64> {
    let bytes = read(pid, "smaps_rollup")?;
    let text = String::from_utf8_lossy(&bytes);
    text.lines().find_map(|line| kilobytes(line.strip_prefix("Pss:")?)).ok_or_else(|| unreadable(pid, "smaps_rollup"))
}

/// How long ago a process with that start time was started.
pub fn age(start_time: u64) -> Duration {
    let ticks = rustix::param::clock_ticks_per_second().max(1);
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let now = Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0));
    now.saturating_sub(Duration::from_millis(start_time.saturating_mul(1000) / ticks))
}

/// The start time of this process.
pub fn own_start_time() -> io::Result<u64> {
    Ok(stat(std::process::id())?.start_time)
}

fn read(pid: u32, name: &str) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path(pid, name))?.take(READ_LIMIT).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn unreadable(pid: u32, name: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("/proc/{pid}/{name} does not look as expected"))
}

fn parse_stat(bytes: &[u8]) -> Option<Stat> {
    let text = String::from_utf8_lossy(bytes);
    // The name may hold anything, brackets too: it ends at the last one.
    let (head, tail) = text.rsplit_once(')')?;
    let (_, comm) = head.split_once('(')?;
    let fields: Vec<&str> = tail.split_ascii_whitespace().collect();
    Some(Stat {
        comm: comm.to_owned(),
        state: fields.first()?.chars().next()?,
        parent: fields.get(1)?.parse().ok()?,
        start_time: fields.get(19)?.parse().ok()?,
    })
}

fn parse_status(bytes: &[u8]) -> Option<Status> {
    let text = String::from_utf8_lossy(bytes);
    let mut status = Status::default();
    let mut uid = None;
    // The name (first line) has its line feeds escaped by the kernel, so no line can be forged.
    for line in text.lines() {
        let Some((key, value)) = line.split_once(':') else { continue };
        match key {
            "Uid" => uid = value.split_ascii_whitespace().nth(1).and_then(|uid| uid.parse().ok()),
            "NSpid" => {
                status.namespace_pids = value.split_ascii_whitespace().map_while(|pid| pid.parse().ok()).collect()
            }
            "SigCgt" => status.caught_signals = u64::from_str_radix(value.trim(), 16).ok()?,
            "VmRSS" => status.rss = kilobytes(value)?,
            _ => {}
        }
    }
    status.uid = uid?;
    Some(status)
}

fn kilobytes(value: &str) -> Option<u64> {
    value.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

fn parse_command_line(bytes: &[u8]) -> Vec<String> {
    // A process that has given itself a title leaves a tail of NULs behind it.
    let end = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    if end == 0 {
        return Vec::new();
    }
    bytes[..end].split(|&byte| byte == 0).map(|part| String::from_utf8_lossy(part).into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_fool_the_parser() {
        let line =
            b"42 (a) R 1 (x) S 7 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 98765 1000 1 18446744073709551615\n";
        let stat = parse_stat(line).unwrap();
        assert_eq!((stat.comm.as_str(), stat.state, stat.parent, stat.start_time), ("a) R 1 (x", 'S', 7, 98765));
        assert_eq!(parse_stat(b"42 (a) R 1"), None);
        assert_eq!(parse_stat(b""), None);
    }

    #[test]
    fn status_gives_namespace_pids_and_caught_signals() {
        let text = b"Name:\tx\nUid:\t1000\t1001\t1002\t1003\nNSpid:\t4242\t17\t1\nVmRSS:\t  12 kB\nSigCgt:\t0000000004000002\n";
        let status = parse_status(text).unwrap();
        assert_eq!((status.uid, status.rss, status.own_pid()), (1001, 12 * 1024, Some(1)));
        assert!(status.catches(27) && status.catches(2) && !status.catches(1) && !status.catches(28));
        assert!(!status.catches(0) && !status.catches(65));
        assert_eq!(parse_status(b"Name:\tx\n"), None);
    }

    #[test]
    fn titles_lose_their_tail_of_nuls() {
        assert_eq!(parse_command_line(b"python\0-c\0\0x\0"), ["python", "-c", "", "x"]);
        assert_eq!(parse_command_line(b"gunicorn: worker [app]\0\0\0\0"), ["gunicorn: worker [app]"]);
        assert!(parse_command_line(b"\0\0").is_empty());
        assert!(parse_command_line(b"").is_empty());
    }

    #[test]
    fn this_process_can_be_read() {
        let pid = std::process::id();
        let stat = stat(pid).unwrap();
        assert_eq!(stat.start_time, own_start_time().unwrap());
        assert!(pids().unwrap().contains(&pid));
        assert!(status(pid).unwrap().rss > 0);
        assert!(!command_line(pid).unwrap().is_empty());
        assert!(age(stat.start_time) < Duration::from_secs(86_400));
    }

    #[test]
    fn a_process_that_is_gone_is_told_apart() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        assert!(is_gone(&stat(child.id()).unwrap_err()));
    }
}

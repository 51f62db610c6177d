//! Cgroups, version 2 and 1: which one a process is in, which unit or container that is, and its memory.

use std::fs;
use std::io;
use std::path::Path;

use heapsee_format::cgroup::{self, Limit, MemoryGroup};

use super::namespace;
use crate::look::{Events, Group};
use crate::procfs;

/// The cgroup of a process.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Membership {
    /// The one that accounts for its memory.
    pub memory: MemoryGroup,
    /// The systemd unit.
    pub unit: Option<String>,
    /// The container's id.
    pub container: Option<String>,
}

/// The cgroup of process `pid`; that of nobody, the root, if it cannot be read.
pub fn of(pid: u32) -> Membership {
    let mut found = parse(&fs::read_to_string(procfs::path(pid, "cgroup")).unwrap_or_default());
    if let Some(path) = namespace::path_in_mount(&found.memory) {
        found.memory.path = path;
    }
    found
}

impl Membership {
    /// How much it may still take before the nearest limit, its own or of a group that it is in; none without one.
    pub fn left(&self) -> Option<u64> {
        self.memory.tightest(read).map(|limit| limit.left())
    }

    /// Its memory and events. The limit that counts is the nearest one, its own or of a group that it is in.
    pub fn read(&self) -> Group {
        let used = self.memory.limits(read).iter().map(Limit::share).max_by(f64::total_cmp);
        let events = self.memory.directories().first().map(|own| match self.memory.is_v1 {
            true => events_v1(own),
            false => events_v2(own),
        });
        Group { used, events: events.unwrap_or_default() }
    }
}

fn read(path: &Path) -> io::Result<String> {
    fs::read_to_string(path)
}

fn parse(text: &str) -> Membership {
    let mut memory = MemoryGroup::parse(text);
    if memory.path.is_empty() {
        memory.path.push('/');
    }
    let paths = || cgroup::lines(text).map(|(_, _, path)| path);
    Membership { memory, unit: paths().find_map(unit), container: paths().find_map(container) }
}

/// The innermost service, or scope that is no container's, in a path.
fn unit(path: &str) -> Option<String> {
    let is_unit = |part: &&str| part.ends_with(".service") || (part.ends_with(".scope") && container(part).is_none());
    path.split('/').rev().find(is_unit).map(str::to_owned)
}

/// The innermost id of a container in a path: `docker-ID.scope`, `cri-containerd-ID.scope`, `/docker/ID`, …
fn container(path: &str) -> Option<String> {
    path.split('/').rev().find_map(|part| {
        let part = part.strip_suffix(".scope").unwrap_or(part);
        let id = part.rsplit(['-', ':']).next().unwrap_or(part);
        (id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| id.to_owned())
    })
}

fn events_v2(directory: &Path) -> Events {
    let event = |key| cgroup::field(&directory.join("memory.events"), key, read).unwrap_or(0);
    Events { high: event("high"), max: event("max"), oom: event("oom"), oom_kill: event("oom_kill") }
}

fn events_v1(directory: &Path) -> Events {
    let max = cgroup::number(&directory.join("memory.failcnt"), read).unwrap_or(0);
    let oom_kill = cgroup::field(&directory.join("memory.oom_control"), "oom_kill", read).unwrap_or(0);
    Events { high: 0, max, oom: oom_kill, oom_kill }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn units_and_containers_are_told_by_the_path() {
        let check = |path: &str, expect: (Option<&str>, Option<&str>)| {
            let found = parse(&format!("0::{path}\n"));
            assert_eq!((found.unit.as_deref(), found.container.as_deref()), expect, "{path}");
            assert_eq!(found.memory.path, path);
        };
        check("/system.slice/gunicorn.service", (Some("gunicorn.service"), None));
        check("/user.slice/user-1000.slice/user@1000.service/app.slice/x.scope", (Some("x.scope"), None));
        check(&format!("/system.slice/docker-{ID}.scope"), (None, Some(ID)));
        check(&format!("/docker/{ID}"), (None, Some(ID)));
        check(&format!("/kubepods.slice/kubepods-pod1.slice/cri-containerd-{ID}.scope"), (None, Some(ID)));
        check(&format!("/machine.slice/libpod-{ID}.scope/container"), (None, Some(ID)));
        check("/", (None, None));
    }

    #[test]
    fn events_of_both_versions() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).unwrap();
        assert_eq!(events_v2(directory.path()), Events::default());
        write("memory.events", "low 0\nhigh 7\nmax 3\noom 2\noom_kill 1\n");
        assert_eq!(events_v2(directory.path()), Events { high: 7, max: 3, oom: 2, oom_kill: 1 });
        write("memory.failcnt", "4\n");
        write("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 5\n");
        assert_eq!(events_v1(directory.path()), Events { high: 0, max: 4, oom: 5, oom_kill: 5 });
    }

    #[test]
    fn this_process_is_in_one() {
        assert!(of(std::process::id()).memory.path.starts_with('/'));
        assert_eq!(parse("").memory.path, "/");
        // No path leads out of the mount.
        assert_eq!(parse("0::/../../etc\n").read(), Group::default());
    }
}

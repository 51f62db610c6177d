//! Cgroups, version 2 and 1: which one a process is in, which unit or container that is, and its memory.

use std::fs;
use std::path::{Path, PathBuf};

use crate::procfs;
use crate::rules::{Events, Group};

/// Where version 2 is mounted.
const V2: &str = "/sys/fs/cgroup";
/// Where version 1 has its memory controller.
const V1: &str = "/sys/fs/cgroup/memory";
/// What version 1 says where there is no limit is somewhere above this.
const NO_LIMIT: u64 = 1 << 60;

/// The cgroup of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Membership {
    /// Its path, below the mount, of the hierarchy that accounts for memory.
    pub path: String,
    /// Whether that hierarchy is one of version 1.
    v1: bool,
    /// The systemd unit.
    pub unit: Option<String>,
    /// The container's id.
    pub container: Option<String>,
}

/// The cgroup of process `pid`; that of nobody, the root, if it cannot be read.
pub fn of(pid: u32) -> Membership {
    fs::read_to_string(procfs::path(pid, "cgroup")).map(|text| parse(&text)).unwrap_or_default()
}

impl Membership {
    /// How much it may still take before the nearest limit, its own or of a group that it is in; none without one.
    pub fn left(&self) -> Option<u64> {
        let root = Path::new(if self.v1 { V1 } else { V2 });
        let names =
            if self.v1 { ["memory.limit_in_bytes", "memory.usage_in_bytes"] } else { ["memory.max", "memory.current"] };
        let own = root.join(self.path.trim_start_matches('/'));
        let groups = own.ancestors().take_while(|directory| directory.starts_with(root));
        let left = |directory: &Path| {
            let [limit, used] = names.map(|name| number(directory.join(name)));
            Some(limit.filter(|&limit| limit < NO_LIMIT)?.saturating_sub(used?))
        };
        groups.filter_map(left).min()
    }

    /// Its memory and events. The limit that counts is the nearest one, its own or of a group that it is in.
    pub fn read(&self) -> Group {
        let root = Path::new(if self.v1 { V1 } else { V2 });
        // A cgroup namespace shows what is outside of it as `..`, and nothing of that can be read.
        if self.path.contains("..") {
            return Group::default();
        }
        let own = root.join(self.path.trim_start_matches('/'));
        let mut used: Option<f64> = None;
        for directory in own.ancestors().take_while(|directory| directory.starts_with(root)) {
            let share = if self.v1 { share_v1(directory) } else { share_v2(directory) };
            used = match (used, share) {
                (Some(a), Some(b)) => Some(a.max(b)),
                (a, b) => a.or(b),
            };
        }
        Group { used, events: if self.v1 { events_v1(&own) } else { events_v2(&own) } }
    }
}

fn parse(text: &str) -> Membership {
    let lines = || {
        text.lines().filter_map(|line| {
            let mut parts = line.splitn(3, ':');
            Some((parts.next()?, parts.next()?, parts.next()?))
        })
    };
    let v1 = lines().find(|(_, controllers, _)| controllers.split(',').any(|controller| controller == "memory"));
    let v2 = lines().find(|(number, controllers, _)| *number == "0" && controllers.is_empty());
    let path = v1.or(v2).map_or("/", |(_, _, path)| path);
    let paths = || lines().map(|(_, _, path)| path);
    Membership {
        path: path.to_owned(),
        v1: v1.is_some(),
        unit: paths().find_map(unit),
        container: paths().find_map(container),
    }
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

fn number(path: PathBuf) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// A number in a file of `key number` lines.
fn field(path: PathBuf, key: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

/// What is used but for files that nobody has lately read, which the kernel drops at once when it needs room.
fn share(used: u64, inactive: Option<u64>, limit: u64) -> Option<f64> {
    (limit > 0).then(|| used.saturating_sub(inactive.unwrap_or(0)) as f64 / limit as f64)
}

fn share_v2(directory: &Path) -> Option<f64> {
    let limit = number(directory.join("memory.max"))?;
    let used = number(directory.join("memory.current"))?;
    share(used, field(directory.join("memory.stat"), "inactive_file"), limit)
}

fn share_v1(directory: &Path) -> Option<f64> {
    let limit = number(directory.join("memory.limit_in_bytes")).filter(|&limit| limit < NO_LIMIT)?;
    let used = number(directory.join("memory.usage_in_bytes"))?;
    share(used, field(directory.join("memory.stat"), "total_inactive_file"), limit)
}

fn events_v2(directory: &Path) -> Events {
    let event = |key| field(directory.join("memory.events"), key).unwrap_or(0);
    Events { high: event("high"), max: event("max"), oom: event("oom"), oom_kill: event("oom_kill") }
}

fn events_v1(directory: &Path) -> Events {
    let max = number(directory.join("memory.failcnt")).unwrap_or(0);
    let oom_kill = field(directory.join("memory.oom_control"), "oom_kill").unwrap_or(0);
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
            assert_eq!((found.path.as_str(), found.v1), (path, false));
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
    fn the_hierarchy_with_the_memory_counts() {
        let found = parse("9:name=systemd:/system.slice/x.service\n4:memory:/pod/x\n0::/\n");
        assert_eq!((found.path.as_str(), found.v1, found.unit.as_deref()), ("/pod/x", true, Some("x.service")));
        assert_eq!(parse("").path, "/");
        assert_eq!(parse("0::/a:b\n").path, "/a:b");
    }

    #[test]
    fn memory_of_both_versions() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).unwrap();
        write("memory.current", "900\n");
        write("memory.max", "max\n");
        assert_eq!(share_v2(directory.path()), None);
        write("memory.max", "1000\n");
        write("memory.stat", "anon 1\ninactive_file 100\n");
        assert_eq!(share_v2(directory.path()), Some(0.8));
        write("memory.events", "low 0\nhigh 7\nmax 3\noom 2\noom_kill 1\n");
        assert_eq!(events_v2(directory.path()), Events { high: 7, max: 3, oom: 2, oom_kill: 1 });
        write("memory.limit_in_bytes", "9223372036854771712\n");
        write("memory.usage_in_bytes", "500\n");
        assert_eq!(share_v1(directory.path()), None);
        write("memory.limit_in_bytes", "1000\n");
        assert_eq!(share_v1(directory.path()), Some(0.5));
        write("memory.failcnt", "4\n");
        write("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 5\n");
        assert_eq!(events_v1(directory.path()), Events { high: 0, max: 4, oom: 5, oom_kill: 5 });
    }

    #[test]
    fn this_process_is_in_one() {
        assert!(of(std::process::id()).path.starts_with('/'));
        // No path leads out of the mount.
        let outside = Membership { path: "/../../etc".into(), ..Membership::default() };
        assert_eq!(outside.read(), Group::default());
    }
}

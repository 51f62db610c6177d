//! Where a cgroup is below the mount, for an agent that is in a cgroup namespace of its own.
//!
//! `/proc/PID/cgroup` tells paths from the root of the reader's cgroup namespace. An agent in a container has one whose
//! root is the container's own group, and sees others as `/../../kubepods…`; what its manifest mounts is the host's
//! whole hierarchy. What lies between the two no file says: the agent looks for itself in the mounted tree, once.

use std::fs;
use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;

use heapsee_format::cgroup::MemoryGroup;

/// As deep as the tree is searched, and as many groups as are looked at.
const DEEPEST: usize = 12;
const MOST_GROUPS: usize = 20_000;

/// The group's path as the mount has it, which is the same unless there is a namespace between the two.
pub fn path_in_mount(group: &MemoryGroup) -> Option<String> {
    // A process table has hierarchies of one version only for the memory controller.
    static ROOT: OnceLock<Option<PathBuf>> = OnceLock::new();
    let root = ROOT.get_or_init(|| root_of_namespace(group.mount()));
    join(root.as_deref()?, &group.path)
}

/// The root of our namespace, as the mount has it; none if the mount begins there, as it does without a namespace.
fn root_of_namespace(mount: &Path) -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let above = levels_above(&mounts, mount)?;
    let own = MemoryGroup::parse(&fs::read_to_string("/proc/self/cgroup").ok()?).path;
    let place = find(mount, &std::process::id().to_string())?;
    let root =
        place.strip_prefix(mount).ok()?.to_str()?.strip_suffix(own.trim_matches('/'))?.trim_matches('/').to_owned();
    (Path::new(&root).components().count() == above).then(|| PathBuf::from(root))
}

/// How far above the root of our namespace the root of a mount is: the kernel tells it as `/../..`; none if it is not.
fn levels_above(mounts: &str, mount: &Path) -> Option<usize> {
    // What was mounted last hides what was there before.
    let line = mounts.lines().rfind(|line| line.split(' ').nth(4).is_some_and(|at| Path::new(at) == mount))?;
    let names: Vec<&str> = line.split(' ').nth(3)?.split('/').filter(|name| !name.is_empty()).collect();
    (!names.is_empty() && names.iter().all(|name| *name == "..")).then_some(names.len())
}

/// The group below `mount` that has this process in it.
fn find(mount: &Path, pid: &str) -> Option<PathBuf> {
    let mut left = vec![(mount.to_owned(), 0)];
    let mut seen = 0;
    while let Some((group, depth)) = left.pop() {
        seen += 1;
        if fs::read_to_string(group.join("cgroup.procs")).is_ok_and(|pids| pids.lines().any(|line| line == pid)) {
            return Some(group);
        }
        if depth < DEEPEST && seen < MOST_GROUPS {
            let entries = fs::read_dir(&group).into_iter().flatten().flatten();
            let groups = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
            left.extend(groups.map(|entry| (entry.path(), depth + 1)));
        }
    }
    None
}

/// A path that is told from `root`; none if it leads above everything.
fn join(root: &Path, path: &str) -> Option<String> {
    let mut joined = root.to_owned();
    for component in Path::new(path).components() {
        match component {
            Component::Normal(name) => joined.push(name),
            Component::ParentDir if !joined.pop() => return None,
            _ => {}
        }
    }
    Some(format!("/{}", joined.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_of_the_whole_is_told_from_one_of_ones_own_group() {
        let line = |root: &str, at: &str| format!("31 23 0:26 {root} {at} ro,nosuid - cgroup2 cgroup rw\n");
        let mount = Path::new("/sys/fs/cgroup");
        assert_eq!(levels_above(&line("/", "/sys/fs/cgroup"), mount), None);
        assert_eq!(levels_above(&line("/../..", "/other"), mount), None);
        assert_eq!(levels_above(&line("/pod", "/sys/fs/cgroup"), mount), None);
        let both = line("/", "/sys/fs/cgroup") + &line("/../../..", "/sys/fs/cgroup");
        assert_eq!(levels_above(&both, mount), Some(3));
    }

    #[test]
    fn paths_are_told_from_the_root_of_the_namespace() {
        let root = Path::new("kubepods/pod1/agent");
        for (path, expect) in [
            ("/", Some("/kubepods/pod1/agent")),
            ("/../worker", Some("/kubepods/pod1/worker")),
            ("/../../pod2/worker/x", Some("/kubepods/pod2/worker/x")),
            ("/../../../system.slice", Some("/system.slice")),
            ("/../../../..", None),
        ] {
            assert_eq!(join(root, path).as_deref(), expect, "{path}");
        }
    }
}

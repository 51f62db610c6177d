//! What memory the control groups of a process leave it, in version 2 and in version 1: the one place that knows their
//! files. Worker, agent and analyzer judge by it whether there is room.
//!
//! It finds no processes and judges nothing. How files are read is up to the caller: a worker must hold up forks.

use std::io;
use std::path::{Path, PathBuf};

/// Where systems have the hierarchy of version 2, or all of them.
const MOUNT: &str = "/sys/fs/cgroup";
/// Where version 2 is beside version 1.
const HYBRID: &str = "/sys/fs/cgroup/unified";
/// Where version 1 has its memory controller.
const V1: &str = "/sys/fs/cgroup/memory";
/// What version 1 says where there is no limit is somewhere above this.
const NO_LIMIT: u64 = 1 << 60;

/// Reads a small text file.
pub type Read = fn(&Path) -> io::Result<String>;

/// The group that accounts for the memory of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryGroup {
    /// Its path below the mount, as `/proc/PID/cgroup` says it; empty if that says nothing.
    pub path: String,
    /// Whether it is of version 1.
    pub is_v1: bool,
}

/// A limit that binds a process: its group's, or one of a group that this is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// In bytes.
    pub limit: u64,
    /// In bytes, without the pages of files that the kernel would drop at once.
    pub used: u64,
}

impl Limit {
    /// How much may still be taken.
    pub fn left(&self) -> u64 {
        self.limit.saturating_sub(self.used)
    }

    /// Which part of it is taken.
    pub fn share(&self) -> f64 {
        self.used as f64 / self.limit.max(1) as f64
    }
}

/// The fields of the lines of `/proc/PID/cgroup`: number, controllers, path.
pub fn lines(text: &str) -> impl Iterator<Item = (&str, &str, &str)> {
    text.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':');
        Some((parts.next()?, parts.next()?, parts.next()?))
    })
}

impl MemoryGroup {
    /// From the text of `/proc/PID/cgroup`. Where version 1 has the memory controller, version 2 does not.
    pub fn parse(text: &str) -> MemoryGroup {
        let v1 = lines(text).find(|(_, controllers, _)| controllers.split(',').any(|name| name == "memory"));
        let v2 = lines(text).find(|(number, controllers, _)| *number == "0" && controllers.is_empty());
        let path = v1.or(v2).map_or("", |(_, _, path)| path);
        MemoryGroup { path: path.to_owned(), is_v1: v1.is_some() }
    }

    /// Its directory, and those of the groups that it is in; none if it is outside of what can be seen here, which a
    /// cgroup namespace shows as `..`.
    pub fn directories(&self) -> Vec<PathBuf> {
        self.below(self.mount())
    }

    /// Where its hierarchy is mounted.
    pub fn mount(&self) -> &'static Path {
        Path::new(match self.is_v1 {
            true => V1,
            false if Path::new(HYBRID).is_dir() => HYBRID,
            false => MOUNT,
        })
    }

    fn below(&self, root: &Path) -> Vec<PathBuf> {
        if self.path.split('/').any(|part| part == "..") {
            return Vec::new();
        }
        let own = root.join(self.path.trim_start_matches('/'));
        own.ancestors().take_while(|directory| directory.starts_with(root)).map(Path::to_owned).collect()
    }

    /// Every limit that binds, the innermost first.
    pub fn limits(&self, read: Read) -> Vec<Limit> {
        self.directories().iter().filter_map(|directory| self.limit(directory, read)).collect()
    }

    /// The limit that leaves least.
    pub fn tightest(&self, read: Read) -> Option<Limit> {
        self.limits(read).into_iter().min_by_key(Limit::left)
    }

    /// What the group itself uses, limit or not.
    pub fn used(&self, read: Read) -> Option<u64> {
        self.used_in(self.directories().first()?, read)
    }

    fn limit(&self, directory: &Path, read: Read) -> Option<Limit> {
        let name = if self.is_v1 { "memory.limit_in_bytes" } else { "memory.max" };
        let limit = number(&directory.join(name), read).filter(|&limit| limit < NO_LIMIT)?;
        Some(Limit { limit, used: self.used_in(directory, read)? })
    }

    fn used_in(&self, directory: &Path, read: Read) -> Option<u64> {
        let (name, key) = match self.is_v1 {
            true => ("memory.usage_in_bytes", "total_inactive_file"),
            false => ("memory.current", "inactive_file"),
        };
        let used = number(&directory.join(name), read)?;
        Some(used.saturating_sub(field(&directory.join("memory.stat"), key, read).unwrap_or(0)))
    }
}

/// The number in a file that has nothing else.
pub fn number(path: &Path, read: Read) -> Option<u64> {
    read(path).ok()?.trim().parse().ok()
}

/// A number in a file of `key number` lines.
pub fn field(path: &Path, key: &str, read: Read) -> Option<u64> {
    let text = read(path).ok()?;
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn read(path: &Path) -> io::Result<String> {
        fs::read_to_string(path)
    }

    #[test]
    fn the_hierarchy_with_the_memory_counts() {
        let check = |text: &str, path: &str, is_v1: bool| {
            assert_eq!(MemoryGroup::parse(text), MemoryGroup { path: path.into(), is_v1 });
        };
        check("9:name=systemd:/system.slice/x.service\n4:memory:/pod/x\n0::/\n", "/pod/x", true);
        check("4:cpu,memory:/pod/x\n0::/\n", "/pod/x", true);
        check("0::/a:b\n", "/a:b", false);
        check("", "", false);
    }

    #[test]
    fn every_group_around_it_binds_and_none_outside() {
        let group = |path: &str| MemoryGroup { path: path.into(), is_v1: false };
        let root = Path::new("/r");
        assert_eq!(group("/a/b").below(root), ["/r/a/b", "/r/a", "/r"].map(PathBuf::from));
        assert_eq!(group("").below(root), [PathBuf::from("/r/")]);
        assert!(group("/../../etc").below(root).is_empty());
        assert_eq!(group("/a..b").below(root).len(), 2);
    }

    #[test]
    fn memory_of_both_versions() {
        let directory = std::env::temp_dir().join(format!("heapsee-cgroup-{}", std::process::id()));
        fs::create_dir(&directory).unwrap();
        let write = |name: &str, text: &str| fs::write(directory.join(name), text).unwrap();
        let limit = |is_v1| MemoryGroup { path: String::new(), is_v1 }.limit(&directory, read);
        write("memory.current", "900\n");
        write("memory.max", "max\n");
        assert_eq!(limit(false), None);
        write("memory.max", "1000\n");
        write("memory.stat", "anon 1\ninactive_file 100\ntotal_inactive_file 50\n");
        let found = limit(false).unwrap();
        assert_eq!((found.limit, found.used, found.left()), (1000, 800, 200));
        assert!((found.share() - 0.8).abs() < 1e-9);
        write("memory.limit_in_bytes", "9223372036854771712\n");
        write("memory.usage_in_bytes", "500\n");
        assert_eq!(limit(true), None);
        write("memory.limit_in_bytes", "1000\n");
        assert_eq!(limit(true), Some(Limit { limit: 1000, used: 450 }));
        assert_eq!(Limit { limit: 0, used: 0 }.left(), 0);
        fs::remove_dir_all(&directory).unwrap();
    }
}

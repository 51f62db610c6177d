//! Leftovers of writers that are dead: temporary files in dump directories, sidecars whose dump never came, drafts and
//! half-deleted dumps in the store. It finds them and removes them, and nothing of anybody who may still be alive.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use heapsee_format::meta::Meta;
use heapsee_format::naming::{SIDECAR_SUFFIX, parse_dump_name, parse_temp_name};

use crate::intake::catalog::{Catalog, size_on_disk};
use crate::intake::shipped::UPLOAD;
use crate::intake::source::{Directory, Found};
use crate::intake::store;
use crate::procfs;

/// A file that was changed since is nobody's leftover: its writer may be a child that bears another pid.
const FRESH: Duration = Duration::from_secs(60);
/// The same, where other containers' processes cannot be seen: nobody pauses for so long in writing a dump.
const FRESH_UNSEEN: Duration = Duration::from_secs(86_400);
/// The link of the first pid namespace, in which all processes can be seen.
const FIRST_PID_NAMESPACE: &str = "pid:[4026531836]";

/// Something that nobody will finish.
pub struct Leftover {
    /// Where it is.
    pub path: PathBuf,
    /// What it takes.
    pub bytes: u64,
    /// What it is.
    pub what: &'static str,
}

/// Who is alive.
pub struct Living {
    /// Pids, as each process is called in any namespace, with start times.
    processes: HashSet<(u32, u64)>,
    fresh: Duration,
    now: SystemTime,
}

impl Living {
    /// Looks at every process.
    pub fn look() -> io::Result<Living> {
        let mut processes = HashSet::new();
        for pid in procfs::pids()? {
            // One that ends meanwhile is dead.
            let (Ok(stat), Ok(status)) = (procfs::stat(pid), procfs::status(pid)) else { continue };
            processes.extend(status.namespace_pids.iter().chain([&pid]).map(|&pid| (pid, stat.start_time)));
        }
        let namespace = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
        let sees_all = namespace == Path::new(FIRST_PID_NAMESPACE);
        Ok(Living { processes, fresh: if sees_all { FRESH } else { FRESH_UNSEEN }, now: SystemTime::now() })
    }

    fn has(&self, pid: u32, start_time: u64) -> bool {
        self.processes.contains(&(pid, start_time))
    }

    fn is_fresh(&self, changed: SystemTime) -> bool {
        self.now.duration_since(changed).map_or(true, |age| age < self.fresh)
    }
}

/// The leftovers in a dump directory.
pub fn of_directory(directory: &Directory, living: &Living) -> io::Result<Vec<(String, Found, Leftover)>> {
    let names = directory.names()?;
    let all: HashSet<&str> = names.iter().map(String::as_str).collect();
    let mut leftovers = Vec::new();
    for name in &names {
        let what = if let Some(writer) = parse_temp_name(name) {
            (!living.has(writer.writer, writer.start_time)).then_some("a dump that was never finished")
        } else if is_lone_sidecar(name, &all) {
            is_of_dead(directory, name, living).then_some("a sidecar whose dump is gone")
        } else {
            None
        };
        let (Some(what), Ok(found)) = (what, directory.stat(name)) else { continue };
        if found.is_file && !living.is_fresh(found.changed) && !is_open(&found) {
            let path = PathBuf::from(directory.shown(name));
            leftovers.push((name.clone(), found, Leftover { path, bytes: found.bytes, what }));
        }
    }
    Ok(leftovers)
}

/// The leftovers of `host` in the store: they are called after their writers, which are dead.
pub fn of_store(root: &Path, host: &str, living: &Living) -> io::Result<Vec<Leftover>> {
    let mut leftovers = Vec::new();
    let mut look = |directory: &Path, what| {
        // A directory that is not there has no leftovers.
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let writer = entry.file_name().to_str().and_then(parse_temp_name);
            if writer.is_some_and(|writer| !living.has(writer.writer, writer.start_time)) {
                let path = entry.path();
                leftovers.push(Leftover { bytes: size_on_disk(&path).unwrap_or(0), path, what });
            }
        }
    };
    look(&store::work_directory(root, host), "a dump that was never wholly stored or deleted");
    let entries = Catalog::read(root, host)?.entries;
    for entry in &entries {
        look(&entry.path, "a note that was never finished");
    }
    for entry in entries.iter().filter(|entry| entry.shipped.is_some()) {
        let path = entry.path.join(UPLOAD);
        if let Ok(bytes) = size_on_disk(&path) {
            leftovers.push(Leftover { path, bytes, what: "a note on the shipping of a dump that is shipped" });
        }
    }
    Ok(leftovers)
}

/// Removes the leftovers in the store and in `directories`; returns them, with the error of each that stays.
pub fn everywhere<'a>(
    root: &Path,
    host: &str,
    directories: impl Iterator<Item = &'a Directory>,
) -> io::Result<Vec<(Leftover, Option<io::Error>)>> {
    let living = Living::look()?;
    let mut swept = Vec::new();
    for leftover in of_store(root, host, &living)? {
        let error = remove(&leftover).err();
        swept.push((leftover, error));
    }
    for directory in directories {
        // One that cannot be read is told of when dumps are looked for in it.
        for (name, found, leftover) in of_directory(directory, &living).unwrap_or_default() {
            let error = directory.unlink(&name, &found).err();
            swept.push((leftover, error));
        }
    }
    Ok(swept)
}

/// Removes a leftover of the store.
pub fn remove(leftover: &Leftover) -> io::Result<()> {
    match fs::symlink_metadata(&leftover.path)?.is_dir() {
        true => fs::remove_dir_all(&leftover.path),
        false => fs::remove_file(&leftover.path),
    }
}

fn is_lone_sidecar(name: &str, all: &HashSet<&str>) -> bool {
    name.strip_suffix(SIDECAR_SUFFIX).is_some_and(|dump| parse_dump_name(dump).is_some() && !all.contains(dump))
}

/// Whether a sidecar is one, and its process is dead.
fn is_of_dead(directory: &Directory, name: &str, living: &Living) -> bool {
    let meta: Option<Meta> = directory.read_small(name).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    meta.is_some_and(|meta| {
        let process = &meta.process;
        process.pid != 0 && process.start_time_ticks != 0 && !living.has(process.pid, process.start_time_ticks)
    })
}

/// Whether a process that can be seen has the file open.
fn is_open(found: &Found) -> bool {
    let has_it = |pid| {
        let descriptors = fs::read_dir(procfs::path(pid, "fd")).into_iter().flatten().flatten();
        let mut files = descriptors.filter_map(|descriptor| fs::metadata(descriptor.path()).ok());
        files.any(|file| (file.dev(), file.ino()) == found.identity)
    };
    procfs::pids().map_or(true, |pids| pids.into_iter().any(has_it))
}

//! The worker's side of a collection: its dump directory, the published dump and sidecar in it, and their removal.
//!
//! Whoever is about to ask a worker for a dump shares a lock on its directory; who takes in what is found there needs
//! it alone for a moment. So nobody takes away what somebody else has asked for.
//!
//! The directory belongs to somebody who may be hostile, and we may be root. So it is opened once, before the signal,
//! with the worker's own root as the root of its path; and only a regular file of the worker's user, that is no link,
//! is read or removed.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

use heapsee_format::meta::{self, Meta};
use heapsee_format::naming::{SIDECAR_SUFFIX, parse_dump_name};
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::rooted::open_directory;
use crate::armed::{Refusal, Worker, user_name};
use crate::exit::{Exit, Failure};
use crate::procfs;

/// A sidecar is shorter than [`meta::SIZE_LIMIT`]; this leaves room for a version with a larger one.
const SIDECAR_LIMIT: u64 = 8 * meta::SIZE_LIMIT as u64;
/// How often the lock of a directory is asked for.
const LOCK_RETRIES: u32 = 20;

/// The dump directory of a worker, held open.
pub struct Directory {
    fd: OwnedFd,
    /// As the worker sees it.
    path: PathBuf,
    /// The worker, unless the directory was named by its path.
    worker: Option<Owner>,
    /// Whether the worker sees other mounts than we do.
    elsewhere: bool,
    /// Shared with all who ask for a dump into it; unlocked when it is closed.
    _lock: Option<File>,
}

/// Whose directory it is.
#[derive(Clone, Debug)]
struct Owner {
    pid: u32,
    /// Of its workers: each takes only part in what is its own.
    uids: Vec<u32>,
}

/// What `st_blocks` counts in.
const BLOCK: u64 = 512;
/// A file system that compresses makes text smaller by no more.
const COMPRESSED: u64 = 32;

/// A published dump and its sidecar.
pub struct Original {
    /// The dump's name.
    pub name: String,
    /// The dump, open at its beginning.
    pub file: File,
    /// What the sidecar says.
    pub meta: Meta,
    /// The sidecar as it is.
    pub sidecar: Vec<u8>,
    sidecar_file: File,
}

/// A name in a dump directory.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    /// Device and inode.
    pub identity: (u64, u64),
    /// Whether it is a regular file, and no symbolic link.
    pub is_file: bool,
    /// Its size.
    pub bytes: u64,
    /// When it was written to.
    pub changed: SystemTime,
}

impl Original {
    /// Its owner, as the file system says.
    pub fn uid(&self) -> io::Result<u32> {
        Ok(self.file.metadata()?.uid())
    }

    /// How large it really is: dumps of others are deleted for no more than that, whatever the sidecar says and
    /// however many holes the file has.
    pub fn bytes(&self) -> io::Result<u64> {
        let found = self.file.metadata()?;
        Ok(found.len().min(found.blocks().saturating_mul(BLOCK * COMPRESSED)))
    }
}

impl Directory {
    /// Opens the dump directory of a worker that is armed (and alive: a `/proc/PID` of another would mislead).
    pub fn open(worker: &Worker) -> Result<Directory, Failure> {
        let path = PathBuf::from(&worker.view.directory);
        let opened = open_directory(worker.pid, &path);
        if worker.has_exited() {
            return Err(Refusal::Gone.into_failure(worker.pid));
        }
        let fd = opened.map_err(|error| {
            let (exit, advice) = match error.kind() {
                io::ErrorKind::PermissionDenied => (Exit::Permission, "run as root or as the worker's user"),
                _ => (Exit::DumpFailed, "create it, or install with another: install_memory_dumper(directory=…)"),
            };
            let shown = path.display();
            Failure::new(
                exit,
                format!("the dump directory {shown} of process {} cannot be opened: {error}; {advice}", worker.pid),
            )
        })?;
        let elsewhere = namespace(worker.pid) != namespace(std::process::id());
        let owner = Owner { pid: worker.pid, uids: vec![worker.status.uid] };
        let _lock = share(&fd);
        Ok(Directory { fd, path, worker: Some(owner), elsewhere, _lock })
    }

    /// Opens a dump directory to look for dumps in it: that of the process `pid` of user `uid`, or, without one, by
    /// its own path. It takes no lock.
    pub fn look(path: &Path, worker: Option<(u32, u32)>) -> io::Result<Directory> {
        let (fd, elsewhere) = match worker {
            Some((pid, _)) => (open_directory(pid, path)?, namespace(pid) != namespace(std::process::id())),
            None => (open_directory(std::process::id(), path)?, false),
        };
        let worker = worker.map(|(pid, uid)| Owner { pid, uids: vec![uid] });
        Ok(Directory { fd, path: path.to_owned(), worker, elsewhere, _lock: None })
    }

    /// A further worker has it, of that user.
    pub fn share_with(&mut self, uid: u32) {
        if let Some(owner) = self.worker.as_mut().filter(|owner| !owner.uids.contains(&uid)) {
            owner.uids.push(uid);
        }
    }

    /// Its path, as the worker sees it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Device and inode: what it is, whatever its path.
    pub fn identity(&self) -> io::Result<(u64, u64)> {
        let found = rustix::fs::fstat(&self.fd)?;
        Ok((found.st_dev, found.st_ino))
    }

    /// Its descriptor.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// The names in it.
    pub fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::new(self.readable()?)? {
            names.extend(entry?.file_name().to_str().ok().map(str::to_owned));
        }
        Ok(names)
    }

    /// What a name in it is.
    pub fn stat(&self, name: &str) -> io::Result<Found> {
        let found = rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let changed = Duration::from_secs(u64::try_from(found.st_mtime).unwrap_or(0));
        Ok(Found {
            identity: (found.st_dev, found.st_ino),
            is_file: rustix::fs::FileType::from_raw_mode(found.st_mode).is_file(),
            bytes: u64::try_from(found.st_size).unwrap_or(0),
            changed: SystemTime::UNIX_EPOCH + changed,
        })
    }

    /// Removes a name if it still is what was found.
    pub fn unlink(&self, name: &str, found: &Found) -> io::Result<()> {
        if self.stat(name)?.identity != found.identity {
            return Err(io::Error::other("it was replaced by another file"));
        }
        Ok(rustix::fs::unlinkat(&self.fd, name, AtFlags::empty())?)
    }

    /// What is in a small file, such as a sidecar.
    pub fn read_small(&self, name: &str) -> Result<Vec<u8>, Failure> {
        let mut bytes = Vec::new();
        let read = self.open_file(name)?.take(SIDECAR_LIMIT).read_to_end(&mut bytes);
        read.map_err(|error| Failure::new(Exit::Store, format!("{} cannot be read: {error}", self.shown(name))))?;
        Ok(bytes)
    }

    /// Opens a dump that was found in it, and sees to it that it is ours: none if somebody is just asking for one
    /// here, or takes this one in, or has taken it away.
    pub fn claim(&self, name: &str) -> Result<Option<Original>, Failure> {
        let lock = self.readable().map(File::from).map_err(|error| {
            Failure::new(
                Exit::Permission,
                format!("the dump directory {} cannot be read: {error}", self.path.display()),
            )
        })?;
        if lock.try_lock().is_err() {
            return Ok(None);
        }
        // Somebody else may have taken it away just now.
        if rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW).is_err() {
            return Ok(None);
        }
        let path = self.path.join(name);
        let original = self.original(&path.to_string_lossy())?;
        let is_ours = original.file.try_lock().is_ok() && self.still_means(name, &original.file).unwrap_or(false);
        Ok(is_ours.then_some(original))
    }

    fn readable(&self) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(&self.fd, ".", flags, Mode::empty())?)
    }

    /// Where a person finds a file of that name.
    pub fn shown(&self, name: &str) -> String {
        let path = self.path.join(name);
        match (self.elsewhere, &self.worker) {
            (true, Some(worker)) => format!("/proc/{}/root{}", worker.pid, path.display()),
            _ => path.display().to_string(),
        }
    }

    /// Free (for this user) and total bytes of its file system.
    pub fn space(&self) -> io::Result<(u64, u64)> {
        let found = rustix::fs::fstatvfs(&self.fd)?;
        Ok((found.f_bavail.saturating_mul(found.f_frsize), found.f_blocks.saturating_mul(found.f_frsize)))
    }

    /// Opens the dump that the worker says it has published as `path`, and its sidecar.
    pub fn original(&self, path: &str) -> Result<Original, Failure> {
        let name = self.dump_name(path)?;
        let file = self.open_file(&name)?;
        let sidecar_name = format!("{name}{SIDECAR_SUFFIX}");
        let sidecar_file = self.open_file(&sidecar_name)?;
        let mut sidecar = Vec::new();
        (&sidecar_file).take(SIDECAR_LIMIT + 1).read_to_end(&mut sidecar).map_err(|error| {
            Failure::new(Exit::Store, format!("{} cannot be read: {error}", self.shown(&sidecar_name)))
        })?;
        let wrong = |what: String| {
            Failure::new(
                Exit::Verification,
                format!("{} {what}: nothing was stored or deleted", self.shown(&sidecar_name)),
            )
        };
        if sidecar.len() as u64 > SIDECAR_LIMIT {
            return Err(wrong(format!("is longer than {SIDECAR_LIMIT} bytes, which no sidecar is")));
        }
        let owners = [&file, &sidecar_file].map(|file| file.metadata().map(|found| found.uid()).ok());
        if owners[0] != owners[1] {
            return Err(wrong("is another user's than the dump".into()));
        }
        let meta = serde_json::from_slice(&sidecar).map_err(|error| wrong(format!("is no sidecar ({error})")))?;
        Ok(Original { name, file, meta, sidecar, sidecar_file })
    }

    /// Removes an original, dump first: a sidecar alone is small, a dump alone could not be verified any more.
    pub fn remove(&self, original: &Original) -> io::Result<()> {
        self.remove_file(&original.name, &original.file)?;
        self.remove_file(&format!("{}{SIDECAR_SUFFIX}", original.name), &original.sidecar_file)
    }

    /// The name in `path`, if it is a dump's and its directory is this one.
    fn dump_name(&self, path: &str) -> Result<String, Failure> {
        let path = Path::new(path);
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let is_plain = name.len() < 200 && name.bytes().all(|byte| byte.is_ascii_graphic());
        if path.parent() != Some(&self.path) || !is_plain || parse_dump_name(name).is_none() {
            let (who, directory) = (self.worker.as_ref().map_or(0, |worker| worker.pid), &self.path);
            return Err(Failure::new(
                Exit::Verification,
                format!(
                    "process {who} says it has published {path:?}, which is no dump in its directory {directory:?}: \
                     it was left alone"
                ),
            ));
        }
        Ok(name.to_owned())
    }

    fn open_file(&self, name: &str) -> Result<File, Failure> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let shown = || self.shown(name);
        let fd = rustix::fs::openat(&self.fd, name, flags, Mode::empty()).map_err(|errno| match errno {
            Errno::LOOP => Failure::new(
                Exit::Verification,
                format!("{} is a symbolic link, which is not followed: nothing was stored", shown()),
            ),
            Errno::NOENT => {
                Failure::new(Exit::Verification, format!("{} is not there: has something else collected it?", shown()))
            }
            Errno::ACCESS | Errno::PERM => Failure::new(
                Exit::Permission,
                format!("{} cannot be read: run as root or as the worker's user", shown()),
            ),
            other => Failure::new(Exit::Store, format!("{} cannot be opened: {other}", shown())),
        })?;
        let file = File::from(fd);
        let found = file.metadata().map_err(|error| Failure::new(Exit::Store, format!("{}: {error}", shown())))?;
        // A second name could be one that somebody gave to a file of another's.
        let is_plain = found.is_file() && found.nlink() <= 1;
        let is_strange = |owner: &Owner| !owner.uids.contains(&found.uid());
        if !is_plain || self.worker.as_ref().is_some_and(is_strange) {
            let users = self.worker.iter().flat_map(|owner| &owner.uids).map(|&uid| user_name(uid));
            let users = users.collect::<Vec<_>>().join(" or ");
            let whose = if users.is_empty() { String::new() } else { format!(" of the worker's user {users}") };
            return Err(Failure::new(
                Exit::Verification,
                format!("{} is not a regular file{whose}: nothing was stored or deleted", shown()),
            ));
        }
        Ok(file)
    }

    /// Removes a name if it still means the file that was read.
    fn remove_file(&self, name: &str, file: &File) -> io::Result<()> {
        if !self.still_means(name, file)? {
            return Err(io::Error::other("it was replaced by another file"));
        }
        Ok(rustix::fs::unlinkat(&self.fd, name, AtFlags::empty())?)
    }

    fn still_means(&self, name: &str, file: &File) -> io::Result<bool> {
        let read = file.metadata()?;
        let now = rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok((now.st_dev, now.st_ino) == (read.dev(), read.ino()))
    }
}

/// Takes the lock that those share who ask for dumps. Whoever holds it alone does so for a moment; a directory that
/// cannot be read cannot be searched by others of this user either, and one that somebody locks for ever is not
/// waited for.
fn share(directory: &OwnedFd) -> Option<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::openat(directory, ".", flags, Mode::empty()).ok()?);
    for _ in 0..LOCK_RETRIES {
        if file.try_lock_shared().is_ok() {
            return Some(file);
        }
        thread::sleep(Duration::from_millis(5));
    }
    None
}

fn namespace(pid: u32) -> Option<PathBuf> {
    std::fs::read_link(procfs::path(pid, "ns/mnt")).ok()
}

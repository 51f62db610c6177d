//! The worker's side of a collection: its dump directory, the published dump and sidecar in it, and their removal.
//!
//! The directory belongs to somebody who may be hostile, and we may be root. So it is opened once, before the signal,
//! with the worker's own root as the root of its path; and only a regular file of the worker's user, that is no link,
//! is read or removed.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use heapsee_format::meta::{self, Meta};
use heapsee_format::naming::{SIDECAR_SUFFIX, parse_dump_name};
use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::armed::{Refusal, Worker, user_name};
use crate::exit::{Exit, Failure};
use crate::procfs;

/// A sidecar is shorter than [`meta::SIZE_LIMIT`]; this leaves room for a version with a larger one.
const SIDECAR_LIMIT: u64 = 8 * meta::SIZE_LIMIT as u64;
/// openat2 asks to be called again when something in the path was renamed meanwhile.
const OPEN_RETRIES: u32 = 16;

/// The dump directory of a worker, held open.
pub struct Directory {
    fd: OwnedFd,
    /// As the worker sees it.
    path: PathBuf,
    worker_pid: u32,
    worker_uid: u32,
    /// Whether the worker sees other mounts than we do.
    elsewhere: bool,
}

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

impl Directory {
    /// Opens the dump directory of a worker that is armed (and alive: a `/proc/PID` of another would mislead).
    pub fn open(worker: &Worker) -> Result<Directory, Failure> {
        let path = PathBuf::from(&worker.view.directory);
        let opened = open_in_root(worker.pid, &path);
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
        Ok(Directory { fd, path, worker_pid: worker.pid, worker_uid: worker.status.uid, elsewhere })
    }

    /// Where a person finds a file of that name.
    pub fn shown(&self, name: &str) -> String {
        let path = self.path.join(name);
        match self.elsewhere {
            true => format!("/proc/{}/root{}", self.worker_pid, path.display()),
            false => path.display().to_string(),
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
            return Err(Failure::new(
                Exit::Verification,
                format!(
                    "process {} says it has published {path:?}, which is no dump in its directory {:?}: \
                     it was left alone",
                    self.worker_pid, self.path
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
        if !found.is_file() || found.uid() != self.worker_uid {
            let user = user_name(self.worker_uid);
            return Err(Failure::new(
                Exit::Verification,
                format!("{} is not a regular file of the worker's user {user}: nothing was stored or deleted", shown()),
            ));
        }
        Ok(file)
    }

    /// Removes a name if it still means the file that was read.
    fn remove_file(&self, name: &str, file: &File) -> io::Result<()> {
        let read = file.metadata()?;
        let now = rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW)?;
        if (now.st_dev, now.st_ino) != (read.dev(), read.ino()) {
            return Err(io::Error::other("it was replaced by another file"));
        }
        Ok(rustix::fs::unlinkat(&self.fd, name, AtFlags::empty())?)
    }
}

/// Opens a directory by its path in the mount namespace, and under the root, of process `pid`.
///
/// An absolute symbolic link on the way must lead to where it leads the worker, not to where it would lead us.
fn open_in_root(pid: u32, path: &Path) -> io::Result<OwnedFd> {
    if !path.is_absolute() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "its path is not absolute"));
    }
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open(procfs::path(pid, "root"), flags, Mode::empty())?;
    for _ in 0..OPEN_RETRIES {
        match rustix::fs::openat2(root.as_fd(), path, flags, Mode::empty(), ResolveFlags::IN_ROOT) {
            Err(Errno::AGAIN) => thread::sleep(Duration::from_millis(1)),
            Err(Errno::NOSYS) => {
                return Err(io::Error::other("this kernel has no openat2: Linux 5.6 or newer is needed"));
            }
            opened => return Ok(opened?),
        }
    }
    Err(Errno::AGAIN.into())
}

fn namespace(pid: u32) -> Option<PathBuf> {
    std::fs::read_link(procfs::path(pid, "ns/mnt")).ok()
}

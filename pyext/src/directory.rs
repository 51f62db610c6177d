//! A directory in which files get their names only when they are whole.
//!
//! Where the file system can, a file has no name at all until then (`O_TMPFILE`): whatever dies when, nothing is left.
//! Elsewhere it has a temporary name that tells who writes it ([`naming::temp_name`]). The directory is opened once, so
//! that all happens in the same one, whatever becomes of its path.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use heapsee_format::naming;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, RenameFlags, open, openat, renameat, renameat2};
use nix::sys::stat::{Mode, fstatat};
use nix::unistd::{UnlinkatFlags, linkat, unlinkat};

use crate::problem::Problem;

/// An open directory.
pub struct Directory {
    path: PathBuf,
    fd: Arc<OwnedFd>,
    /// It could be opened for reading, which is what syncing needs.
    readable: bool,
    /// The writer's start time, for temporary names.
    start_time: u64,
}

/// A file without a final name. Dropped, it is gone.
pub struct Temporary {
    file: File,
    /// The directory it is in; none for a file that somebody else opened.
    directory: Option<Arc<OwnedFd>>,
    /// Its temporary name, if it has one.
    name: Option<String>,
}

/// Only for the owner: a dump holds what the worker's memory holds.
const FILE_MODE: Mode = Mode::S_IRUSR.union(Mode::S_IWUSR);

impl Directory {
    /// Opens `path`. `start_time` is this process's, in clock ticks since boot.
    ///
    /// # Errors
    /// No such directory, or no right to it.
    pub fn open(path: &Path, start_time: u64) -> Result<Directory, Problem> {
        let flags = OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let (fd, readable) = match open(path, OFlag::O_RDONLY | flags, Mode::empty()) {
            // A directory may allow to create files but not to list them.
            Err(Errno::EACCES) => (open(path, OFlag::O_PATH | flags, Mode::empty()), false),
            opened => (opened, true),
        };
        let fd = Arc::new(fd.map_err(|errno| Problem::errno("open the directory", path, errno))?);
        Ok(Directory { path: path.to_owned(), fd, readable, start_time })
    }

    /// Its path, as it was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Is there anything called `name`?
    pub fn has(&self, name: &str) -> bool {
        fstatat(&*self.fd, name, AtFlags::AT_SYMLINK_NOFOLLOW).is_ok()
    }

    /// Removes `name`, if it is there.
    pub fn remove(&self, name: &str) {
        remove(&self.fd, name);
    }

    /// Makes sure that the names given will outlive a crash of the machine.
    ///
    /// # Errors
    /// The disk fails.
    pub fn sync(&self) -> Result<(), Problem> {
        match self.readable.then(|| nix::unistd::fsync(&*self.fd)) {
            // Some file systems cannot, and say so.
            None | Some(Ok(()) | Err(Errno::EINVAL | Errno::EOPNOTSUPP)) => Ok(()),
            Some(Err(errno)) => Err(Problem::errno("sync the directory", &self.path, errno)),
        }
    }

    /// A new file, without a name where the file system can.
    ///
    /// # Errors
    /// No file can be created.
    pub fn temporary(&self, serial: u32) -> Result<Temporary, Problem> {
        match self.nameless() {
            Some(temporary) => Ok(temporary),
            None => self.named_temporary(serial),
        }
    }

    /// A new file with a temporary name. A file of that name can only be a leftover of this very process.
    ///
    /// # Errors
    /// No file can be created.
    pub fn named_temporary(&self, serial: u32) -> Result<Temporary, Problem> {
        let name = naming::temp_name(std::process::id(), self.start_time, serial);
        self.remove(&name);
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let fd = openat(&*self.fd, name.as_str(), flags, FILE_MODE)
            .map_err(|errno| Problem::errno("create a file in", &self.path, errno))?;
        Ok(Temporary { file: fd.into(), directory: Some(self.fd.clone()), name: Some(name) })
    }

    /// None where the file system has no such files, or they could not be named later (no `/proc`).
    fn nameless(&self) -> Option<Temporary> {
        let flags = OFlag::O_RDWR | OFlag::O_TMPFILE | OFlag::O_CLOEXEC;
        let file = File::from(openat(&*self.fd, ".", flags, FILE_MODE).ok()?);
        fstatat(AT_FDCWD, own_link(&file).as_str(), AtFlags::empty()).ok()?;
        Some(Temporary { file, directory: Some(self.fd.clone()), name: None })
    }
}

impl Temporary {
    /// A file that somebody else opened: it has no name here and gets none.
    pub fn of_file(file: File) -> Temporary {
        Temporary { file, directory: None, name: None }
    }

    /// The file.
    pub fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Its inode; 0 where it cannot be told.
    pub fn inode(&self) -> u64 {
        self.file.metadata().map_or(0, |file| file.ino())
    }

    /// Makes sure that its bytes will outlive a crash of the machine.
    ///
    /// # Errors
    /// The disk fails, or is full.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    /// Gives the file the name `new`, which nothing has.
    ///
    /// # Errors
    /// `EEXIST`: something has it.
    pub fn name(&mut self, new: &str) -> Result<(), Errno> {
        let Some(directory) = &self.directory else { return Err(Errno::EBADF) };
        match &self.name {
            None => linkat(AT_FDCWD, own_link(&self.file).as_str(), &**directory, new, AtFlags::AT_SYMLINK_FOLLOW)?,
            Some(old) => rename_new(directory, old, new)?,
        }
        self.name = None;
        Ok(())
    }

    /// Gives the file, which has a temporary name, the name `new`, in place of what has it.
    ///
    /// # Errors
    /// `EISDIR`: a directory has it.
    pub fn replace(&mut self, new: &Path) -> Result<(), Errno> {
        let (Some(directory), Some(old)) = (&self.directory, &self.name) else { return Err(Errno::EBADF) };
        renameat(&**directory, old.as_str(), &**directory, new)?;
        self.name = None;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let (Some(directory), Some(name)) = (&self.directory, &self.name) {
            remove(directory, name);
        }
    }
}

fn own_link(file: &File) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

fn remove(directory: &OwnedFd, name: &str) {
    // Nothing to be done about a file that cannot be removed; one that is not there is what was wanted.
    let _ = unlinkat(directory, name, UnlinkatFlags::NoRemoveDir);
}

/// Renames without replacing; by a second link where the file system cannot, and where it has no links either, by a
/// look and a plain rename.
fn rename_new(directory: &OwnedFd, old: &str, new: &str) -> Result<(), Errno> {
    match renameat2(directory, old, directory, new, RenameFlags::RENAME_NOREPLACE) {
        Err(Errno::EINVAL | Errno::ENOSYS | Errno::EOPNOTSUPP) => {}
        result => return result,
    }
    match linkat(directory, old, directory, new, AtFlags::empty()) {
        Err(Errno::EPERM | Errno::EOPNOTSUPP | Errno::ENOSYS) => {}
        result => {
            result?;
            remove(directory, old);
            return Ok(());
        }
    }
    match fstatat(directory, new, AtFlags::AT_SYMLINK_NOFOLLOW) {
        Err(Errno::ENOENT) => renameat(directory, old, directory, new),
        Err(errno) => Err(errno),
        Ok(_) => Err(Errno::EEXIST),
    }
}

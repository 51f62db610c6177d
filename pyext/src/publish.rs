//! The dump's way to its final name: sidecar first, dump last, both synced before.
//!
//! Nothing that exists is ever replaced, but for the path somebody named. Runs in the dump child (and inline): plain
//! system calls only. Knows nothing of heaps.

use std::fs::File;
use std::io;
use std::os::fd::{BorrowedFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use heapsee_format::{meta, naming};
use jiff::civil::DateTime;
use nix::errno::Errno;

use crate::directory::{Directory, Temporary};
use crate::problem::Problem;
use crate::{clock, gate, sidecar};

/// How many names to try before giving up: each a microsecond later.
const NAMES: usize = 1000;
/// Serial numbers of a dump's two temporaries.
pub const DUMP: u32 = 0;
/// See [`DUMP`].
pub const SIDECAR: u32 = 1;

enum Place {
    Directory(Directory),
    Path(Directory, PathBuf),
    File,
}

/// The file that a dump is written to.
pub struct Output {
    place: Place,
    temporary: Temporary,
}

impl Output {
    /// A dump with the usual name in `directory`.
    ///
    /// # Errors
    /// No file can be created there.
    pub fn in_directory(directory: &Path, start_time: u64) -> Result<Output, Problem> {
        let directory = Directory::open(directory, start_time)?;
        let temporary = directory.temporary(DUMP)?;
        Ok(Output { place: Place::Directory(directory), temporary })
    }

    /// A dump that replaces whatever file is at `path`.
    ///
    /// # Errors
    /// No file can be created there.
    pub fn to_path(path: &Path, start_time: u64) -> Result<Output, Problem> {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let directory = Directory::open(parent.unwrap_or(Path::new(".")), start_time)?;
        let temporary = directory.named_temporary(DUMP)?;
        Ok(Output { place: Place::Path(directory, path.to_owned()), temporary })
    }

    /// A dump into a file that is open already, and stays so.
    ///
    /// # Errors
    /// `fd` is not open.
    pub fn to_file(fd: RawFd) -> Result<Output, Problem> {
        // SAFETY: only duplicated here; the caller of the dump keeps it open meanwhile.
        let file = unsafe { BorrowedFd::borrow_raw(fd) }.try_clone_to_owned();
        let file = file.map_err(|error| Problem::io("write to", Path::new("the file"), &error))?;
        Ok(Output { place: Place::File, temporary: Temporary::of_file(file.into()) })
    }

    /// The file, to write lines to.
    pub fn file(&mut self) -> &mut File {
        self.temporary.file()
    }

    /// `error` on this file, described as a problem.
    pub fn problem(&self, doing: &str, error: &io::Error) -> Problem {
        match &self.place {
            Place::Directory(directory) => Problem::io(&format!("{doing} the dump in"), directory.path(), error),
            Place::Path(_, path) => Problem::io(doing, path, error),
            Place::File => Problem::io(doing, Path::new("the file"), error),
        }
    }

    /// Syncs the dump, writes `meta` beside it and gives both their names. Returns the dump's path for people to read.
    /// `will_show` is called before a new name can be seen by others, with that name, the file's inode and its sidecar's.
    ///
    /// # Errors
    /// The disk is full or failing, or the directory is gone.
    pub fn publish(
        mut self,
        time: &DateTime,
        pid: u32,
        mut meta: meta::Meta,
        will_show: impl Fn(&str, u64, u64),
    ) -> Result<String, Problem> {
        let synced = self.temporary.sync();
        let place = std::mem::replace(&mut self.place, Place::File);
        match place {
            // What the file is (a pipe, say) is its owner's affair: it may have nothing to sync.
            Place::File => Ok(String::new()),
            Place::Directory(directory) => {
                synced.map_err(|error| Problem::io("write the dump in", directory.path(), &error))?;
                publish_new(&directory, self.temporary, time, pid, &mut meta, will_show)
            }
            Place::Path(directory, path) => {
                synced.map_err(|error| Problem::io("write", &path, &error))?;
                publish_over(&directory, self.temporary, &path, &mut meta, will_show)
            }
        }
    }
}

/// Has the file with this inode got its final name, `path`, by a writer that was ended before it could say so? Both files
/// are whole then: the dump is named last. Makes sure, too, that their names will outlive a crash of the machine.
pub fn has_named(path: &Path, inode: u64) -> bool {
    // A file system may know no inodes.
    let named = inode != 0 && path.symlink_metadata().is_ok_and(|found| found.ino() == inode);
    if named && let Some(parent) = path.parent() {
        let _gate = gate::hold();
        // The writer's own attempt would have failed as well, with the files there.
        let _ = Directory::open(parent, 0).and_then(|directory| directory.sync());
    }
    named
}

/// Removes the sidecar with this inode, whose writer was ended before it could name the dump, `path`, that it describes.
pub fn remove_lone_sidecar(path: &Path, inode: u64) {
    let sidecar = naming::sidecar_path(path);
    if inode != 0 && sidecar.symlink_metadata().is_ok_and(|found| found.ino() == inode) {
        // One that cannot be removed the agent finds.
        let _ = std::fs::remove_file(sidecar);
    }
}

/// Under the usual name, or a microsecond later, and so on.
fn publish_new(
    directory: &Directory,
    mut dump: Temporary,
    time: &DateTime,
    pid: u32,
    meta: &mut meta::Meta,
    will_show: impl Fn(&str, u64, u64),
) -> Result<String, Problem> {
    let mut time = *time;
    for _ in 0..NAMES {
        let name = naming::dump_name(&clock::isoformat(&time), pid);
        if publish_as(directory, &mut dump, &name, meta, &will_show)? {
            directory.sync()?;
            return Ok(directory.path().join(name).to_string_lossy().into_owned());
        }
        time = clock::next_name(&time);
    }
    let directory = directory.path().display();
    Err(Problem(format!(
        "{NAMES} names in {directory} are taken, from {} on: move old dumps away",
        clock::isoformat(&time)
    )))
}

/// False: something with that name exists.
fn publish_as(
    directory: &Directory,
    dump: &mut Temporary,
    name: &str,
    meta: &mut meta::Meta,
    will_show: impl Fn(&str, u64, u64),
) -> Result<bool, Problem> {
    if directory.has(name) {
        return Ok(false);
    }
    let beside = format!("{name}{}", naming::SIDECAR_SUFFIX);
    let failed = |errno| Problem::errno("give a dump its name in", directory.path(), errno);
    let mut sidecar = write_sidecar(directory, directory.temporary(SIDECAR)?, name, meta)?;
    will_show(name, dump.inode(), sidecar.inode());
    match sidecar.name(&beside) {
        Err(Errno::EEXIST) => return Ok(false),
        named => named.map_err(failed)?,
    }
    let named = dump.name(name);
    if named.is_err() {
        // Without its dump it would only be in the way.
        directory.remove(&beside);
    }
    match named {
        Err(Errno::EEXIST) => Ok(false),
        named => named.map_err(failed).map(|()| true),
    }
}

/// To exactly `path`, in place of what is there.
fn publish_over(
    directory: &Directory,
    mut dump: Temporary,
    path: &Path,
    meta: &mut meta::Meta,
    will_show: impl Fn(&str, u64, u64),
) -> Result<String, Problem> {
    let failed = |errno| Problem::errno("write", path, errno);
    let name = path.file_name().ok_or_else(|| failed(Errno::EISDIR))?;
    let beside = naming::sidecar_path(Path::new(name));
    let sidecar = directory.named_temporary(SIDECAR)?;
    let mut sidecar = write_sidecar(directory, sidecar, &name.to_string_lossy(), meta)?;
    will_show(&name.to_string_lossy(), dump.inode(), sidecar.inode());
    sidecar.replace(&beside).map_err(failed)?;
    dump.replace(Path::new(name)).map_err(failed)?;
    directory.sync()?;
    Ok(path.to_string_lossy().into_owned())
}

fn write_sidecar(
    directory: &Directory,
    mut sidecar: Temporary,
    dump_name: &str,
    meta: &mut meta::Meta,
) -> Result<Temporary, Problem> {
    dump_name.clone_into(&mut meta.file.name);
    let bytes = sidecar::render(meta)?;
    let written = io::Write::write_all(sidecar.file(), &bytes).and_then(|()| sidecar.sync());
    written.map_err(|error| Problem::io("write the sidecar in", directory.path(), &error))?;
    Ok(sidecar)
}

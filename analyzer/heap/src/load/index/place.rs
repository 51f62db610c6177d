//! Where an index lies, and how it gets there: without a name until it is whole, readable by its owner only.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use heapsee_format::digest::Digester;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag};

use super::Key;

/// Added to the name of the dump.
const SUFFIX: &str = ".heapsee-index";

/// Where the index of a dump may be, the best place first.
pub fn candidates(dump: &Path) -> Vec<PathBuf> {
    let mut beside = dump.as_os_str().to_owned();
    beside.push(SUFFIX);
    let mut places = vec![PathBuf::from(beside)];
    if let (Some(folder), Ok(absolute)) = (cache_folder(), std::path::absolute(dump)) {
        let mut digester = Digester::default();
        digester.update(absolute.as_os_str().as_bytes());
        places.push(folder.join(format!("{}{SUFFIX}", &digester.finish().sha256[..32])));
    }
    places
}

/// `$XDG_CACHE_HOME/heapsee` or `~/.cache/heapsee`.
fn cache_folder() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
    Some(cache.join("heapsee"))
}

/// Opens an index to be read, if it is one that we or root or the dump's owner made: others could make us tell lies.
pub fn open(index: &Path, key: &Key) -> Option<File> {
    // No waiting at a pipe that somebody put there.
    let flags = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(index).ok()?;
    let metadata = file.metadata().ok()?;
    let ours = [0, key.owner, nix::unistd::geteuid().as_raw()].contains(&metadata.uid());
    (metadata.is_file() && ours).then_some(file)
}

/// A file on its way to its name. If it never gets it, nothing of it is left, whoever is killed.
pub struct Unnamed {
    file: File,
    index: PathBuf,
    /// Where the file system has no unnamed files: the name it has meanwhile.
    named: Option<tempfile::TempPath>,
}

impl Unnamed {
    /// A file that will be called `index` and takes `size` bytes; an error if they would fill the disk.
    pub fn create(index: &Path, size: u64) -> io::Result<Unnamed> {
        let folder = folder_of(index);
        if Some(folder) == cache_folder().as_deref() {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
            forget_dumps_that_are_gone(folder);
        }
        let room = nix::sys::statvfs::statvfs(folder)?;
        if room.blocks_available().saturating_mul(room.fragment_size()) / 2 < size {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let flags = OFlag::O_TMPFILE.bits();
        let unnamed = OpenOptions::new().read(true).write(true).mode(0o600).custom_flags(flags).open(folder);
        if let Ok(file) = unnamed {
            return Ok(Unnamed { file, index: index.to_owned(), named: None });
        }
        let (file, path) =
            tempfile::Builder::new().prefix(".heapsee-").suffix(SUFFIX).tempfile_in(folder)?.into_parts();
        Ok(Unnamed { file, index: index.to_owned(), named: Some(path) })
    }

    /// To be written to.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Gives it its name, in the place of whatever has it now.
    pub fn publish(self) -> io::Result<()> {
        let path = match self.named {
            Some(path) => path,
            None => link(&self.file, folder_of(&self.index))?,
        };
        path.persist(&self.index).map_err(|error| error.error)
    }
}

/// A name for a moment: links cannot replace a file, but renaming can.
fn link(file: &File, folder: &Path) -> io::Result<tempfile::TempPath> {
    let unnamed = format!("/proc/self/fd/{}", file.as_raw_fd());
    let link = |path: &Path| {
        nix::unistd::linkat(AT_FDCWD, unnamed.as_str(), AT_FDCWD, path, AtFlags::AT_SYMLINK_FOLLOW)?;
        Ok(())
    };
    Ok(tempfile::Builder::new().prefix(".heapsee-").suffix(SUFFIX).make_in(folder, link)?.into_temp_path())
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Deletes the indexes of dumps that do not exist any more, and those that tell of none.
pub(super) fn forget_dumps_that_are_gone(cache: &Path) {
    let Ok(entries) = std::fs::read_dir(cache) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if !path.as_os_str().as_bytes().ends_with(SUFFIX.as_bytes()) || entry.file_name().as_bytes().starts_with(b".") {
            continue;
        }
        let dump = File::open(&path).ok().and_then(super::file::Sections::open).and_then(|(_, about)| {
            let about: super::About = serde_json::from_value(about).ok()?;
            Some(PathBuf::from(<std::ffi::OsString as std::os::unix::ffi::OsStringExt>::from_vec(about.dump)))
        });
        let gone = |dump: &Path| dump.metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
        if dump.is_none_or(|dump| gone(&dump)) {
            // Somebody else may have been quicker.
            let _ = std::fs::remove_file(&path);
        }
    }
}

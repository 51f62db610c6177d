//! Why a dump cannot be read: one line each, with what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use crate::heap::TooLarge;

/// Why a dump cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// There is no such file.
    #[error("{}: no such file; check the path (a dump is called meliae.<time>.<pid>.dump)", .0.display())]
    NotFound(PathBuf),
    /// It is a directory.
    #[error("{}: is a directory; name one dump file in it", .0.display())]
    Directory(PathBuf),
    /// We may not.
    #[error("{}: permission denied; dumps are readable by their owner only: read it as that user or as root, or change its owner", .0.display())]
    Permission(PathBuf),
    /// Any other failure to read.
    #[error("{}: cannot be read: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// It changed under our hands.
    #[error("{}: became shorter while it was read; wait until nobody writes to it and try again", .0.display())]
    Shrunk(PathBuf),
    /// Its index is of no use, and it is not what the index was made of.
    #[error("{}: changed since it was opened, and its index is damaged: read it again", .0.display())]
    Changed(PathBuf),
    /// It holds nothing.
    #[error("{}: is empty, so no dump; the process that wrote it may have died or the disk may be full: take a new one", .0.display())]
    Empty(PathBuf),
    /// It is something else.
    #[error("{}: is not a heap dump: {detail}; give a file of one JSON object a line (plain, .gz or .zst)", path.display())]
    NotADump {
        /// The file.
        path: PathBuf,
        /// What was found instead.
        detail: String,
    },
    /// It ends too early.
    #[error("{}: truncated at byte {byte}: {detail}; copy it again, or add --salvage to read what there is", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Where the good part ends, in the text (after unpacking).
        byte: u64,
        /// How that shows.
        detail: String,
    },
    /// Its compression is broken.
    #[error("{}: damaged after byte {byte} of its unpacked text: {error}; copy it again, or add --salvage to read what there is", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// How much could be unpacked.
        byte: u64,
        /// What the unpacker said.
        error: io::Error,
    },
    /// A line beyond all measure.
    #[error("{}: is not a heap dump: the line that starts at byte {byte} is longer than that of any object", path.display())]
    LineTooLong {
        /// The file.
        path: PathBuf,
        /// Where the line starts.
        byte: u64,
    },
    /// More than there is memory for.
    #[error("{}: its objects take more than the {} MB of memory that may be used for them; read it on a larger machine, or raise the limit (a heap takes about 160 bytes an object and 16 a reference)", path.display(), limit >> 20)]
    Memory {
        /// The file.
        path: PathBuf,
        /// Bytes that may be used.
        limit: u64,
    },
    /// More than the ids can count.
    #[error("{}: {error}", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Of what there is too much.
        error: TooLarge,
    },
}

impl LoadError {
    /// The right variant for an error of the system.
    pub(super) fn from_io(path: &Path, error: io::Error) -> LoadError {
        let path = path.to_path_buf();
        match error.kind() {
            io::ErrorKind::NotFound => LoadError::NotFound(path),
            io::ErrorKind::IsADirectory => LoadError::Directory(path),
            io::ErrorKind::PermissionDenied => LoadError::Permission(path),
            _ => LoadError::Io { path, error },
        }
    }
}

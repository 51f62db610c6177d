//! Finding and reading the control block of a worker (`heapsee_format::control`) from outside.
//!
//! The block is a memfd that shows in `/proc/PID/fd`. Opened once, it can be read after the worker has died.
//! A forked process inherits its parent's block; only the one that names the process itself counts.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::thread;
use std::time::Duration;

use heapsee_format::control::{ControlError, ControlView, MEMFD_NAME, PAGE_SIZE};
use rustix::fs::OFlags;

use crate::check::{self, Check};
use crate::procfs;

/// How often a page that is just being written is read again.
const TORN_RETRIES: u32 = 20;

/// An open control block.
pub struct Block {
    file: File,
}

/// Why there is no control block to read.
#[derive(Debug, thiserror::Error)]
pub enum BlockError {
    /// The process has none.
    #[error("it has no control block")]
    Missing,
    /// All it has were inherited from the process with this pid.
    #[error("it has only the control block of process {0}")]
    Inherited(u32),
    /// It has one that this program cannot read.
    #[error("{0}")]
    Unreadable(ControlError),
    /// `/proc` says no.
    #[error("{0}")]
    Io(io::Error),
}

impl Block {
    /// Finds the block of the process that is `pid` here, calls itself `own_pid`, and started at `start_time`.
    pub fn find(pid: u32, own_pid: u32, start_time: u64) -> Result<Block, BlockError> {
        let mut worse = BlockError::Missing;
        for entry in fs::read_dir(procfs::path(pid, "fd")).map_err(BlockError::Io)? {
            let link = entry.map_err(BlockError::Io)?.path();
            if !is_ours(&link) {
                continue;
            }
            let block = match open(&link) {
                Ok(Some(file)) => Block { file },
                Ok(None) => continue,
                // Closed meanwhile; the process itself is checked by the caller.
                Err(error) if procfs::is_gone(&error) => continue,
                Err(error) => return Err(BlockError::Io(error)),
            };
            match block.read() {
                Ok(view) if view.pid == own_pid && view.start_time == start_time => return Ok(block),
                Ok(view) if matches!(worse, BlockError::Missing) => worse = BlockError::Inherited(view.pid),
                Ok(_) => {}
                Err(error) => worse = BlockError::Unreadable(error),
            }
        }
        Err(worse)
    }

    /// Has the worker look whether the signal would still reach it: `armed` is then what it has found.
    ///
    /// # Errors
    /// The block cannot be mapped.
    pub fn check(&self) -> io::Result<Check> {
        check::ask(&self.file)
    }

    /// What the block says now. A page that is being written is read again, a few times.
    pub fn read(&self) -> Result<ControlView, ControlError> {
        let mut page = [0; PAGE_SIZE];
        for _ in 0..TORN_RETRIES {
            let length = self.file.read_at(&mut page, 0).unwrap_or(0);
            match ControlView::decode(&page[..length]) {
                Err(ControlError::Torn) => thread::sleep(Duration::from_millis(1)),
                decoded => return decoded,
            }
        }
        Err(ControlError::Torn)
    }
}

/// Whether this is how a worker holds its block, by its name. Who only reads one (this program does) is no worker.
fn is_ours(link: &Path) -> bool {
    let name = format!("/memfd:{MEMFD_NAME}");
    if link.symlink_metadata().is_ok_and(|found| found.mode() & 0o200 == 0) {
        return false;
    }
    fs::read_link(link).is_ok_and(|target| {
        target.to_str().is_some_and(|target| target.strip_suffix(" (deleted)").unwrap_or(target) == name)
    })
}

/// Opens what should be a memfd; `None` if it is something else. A name proves nothing: never block on it.
fn open(link: &Path) -> io::Result<Option<File>> {
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits();
    let file = OpenOptions::new().read(true).custom_flags(flags.cast_signed()).open(link)?;
    Ok(file.metadata()?.is_file().then_some(file))
}

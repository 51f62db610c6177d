//! What an index must have been made of to hold good: this dump, this sidecar, this version of the program.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

/// Identity of a dump and of what was read together with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    heapsee: String,
    size: u64,
    inode: u64,
    modified: (i64, i64),
    /// Of the inode: no tool can set it, so that a dump put in the place of another shows even where `cp -p` gave it
    /// the time of the other.
    changed: (i64, i64),
    /// Of the dump's beginning, end and length.
    fingerprint: String,
    /// What the sidecar was.
    sidecar: String,
    /// Whose the dump is: whoever could write a dump may as well write its index.
    pub owner: u32,
}

/// File times stand still for this long at most, whatever the kernel.
const TICK: Duration = Duration::from_millis(11);

impl Key {
    /// Of an open dump.
    pub fn of(file: &Metadata, fingerprint: &str, sidecar: &str) -> Key {
        Key {
            heapsee: env!("CARGO_PKG_VERSION").to_owned(),
            size: file.size(),
            inode: file.ino(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
            fingerprint: fingerprint.to_owned(),
            sidecar: sidecar.to_owned(),
            owner: file.uid(),
        }
    }

    /// Whether a dump is still what it was when it was opened.
    pub fn still_holds(&self, file: &File) -> io::Result<bool> {
        Ok(Key::of(&file.metadata()?, &self.fingerprint, &self.sidecar) == *self)
    }
}

/// Waits until a change of the file would change its times: one that was written a moment ago might be written to again
/// within the same tick of the clock, and nothing would tell. False if its time lies in the future, which no waiting
/// helps.
pub fn settle(file: &Metadata) -> bool {
    let (Ok(seconds), Ok(nanoseconds)) = (u64::try_from(file.ctime()), u32::try_from(file.ctime_nsec())) else {
        return true;
    };
    let changed = SystemTime::UNIX_EPOCH + Duration::new(seconds, nanoseconds);
    let Ok(left) = (changed + TICK).duration_since(SystemTime::now()) else { return true };
    if left > TICK {
        return false;
    }
    std::thread::sleep(left);
    true
}

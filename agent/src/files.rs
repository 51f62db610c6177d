//! Small files and directories of the store: made whole in one step, synced, and read with a limit.
//!
//! It knows no names; what is in a file is its owner's.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use heapsee_format::naming::{parse_temp_name, temp_name};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::procfs;

/// No file that is read whole is longer than this, unless somebody has damaged the store.
const SMALL: u64 = 16 << 20;

/// Makes a directory and its parents, for the owner only.
pub fn make_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Makes sure that the names in a directory outlive a crash of the machine.
pub fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// A name for something in the making, which tells that this process makes it: no other thing has it.
pub fn own_temp_name() -> io::Result<String> {
    static SERIAL: AtomicU32 = AtomicU32::new(1);
    Ok(temp_name(std::process::id(), procfs::own_start_time()?, SERIAL.fetch_add(1, Ordering::Relaxed)))
}

/// Removes what processes that are dead had in the making in a directory. What cannot be removed is left for the next
/// time.
pub fn sweep(directory: &Path) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let writer = entry.file_name().to_str().and_then(parse_temp_name);
        let is_dead = writer.is_some_and(|writer| match procfs::stat(writer.writer) {
            Ok(stat) => stat.start_time != writer.start_time,
            Err(error) => procfs::is_gone(&error),
        });
        if is_dead {
            let path = entry.path();
            let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir_all(&path));
        }
    }
}

/// A new file for the owner only; it is an error if something has that name.
pub fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Puts a file in place of what has its name, in one step: whoever reads sees the old one or the new one.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let temporary = directory.join(own_temp_name()?);
    let written = create(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    let renamed = written.and_then(|()| fs::rename(&temporary, path)).and_then(|()| sync_directory(directory));
    if renamed.is_err() {
        // It may be there or not; a sweep finds it if it cannot be removed now.
        let _ = fs::remove_file(&temporary);
    }
    renamed
}

/// [`replace`] with a value as JSON.
pub fn replace_json(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let mut bytes = serde_json::to_vec_pretty(value)?;
    bytes.push(b'\n');
    replace(path, &bytes)
}

/// Removes a file, if it is there.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Reads a small file whole; none if there is no such file.
pub fn read_small(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut bytes = Vec::new();
    file.take(SMALL + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > SMALL {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is too long"));
    }
    Ok(Some(bytes))
}

/// Reads a value from a JSON file; none if there is no such file.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match read_small(path)? {
        Some(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        None => Ok(None),
    }
}

/// A name as one harmless component of a path.
pub fn safe_name(name: &str) -> String {
    let safe: String = name
        .chars()
        .take(80)
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '@' | '+') { c } else { '_' })
        .collect();
    match safe.strip_prefix('.') {
        Some(rest) => format!("_{rest}"),
        None if safe.is_empty() => "unknown".to_owned(),
        None => safe,
    }
}

/// Free (for this user) and total bytes of the file system with that directory.
pub fn space(directory: &Path) -> std::io::Result<(u64, u64)> {
    let found = rustix::fs::statvfs(directory)?;
    Ok((found.f_bavail.saturating_mul(found.f_frsize), found.f_blocks.saturating_mul(found.f_frsize)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_comes_back_and_nothing_else_is_left() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.json");
        assert_eq!(read_json::<Vec<u32>>(&path).unwrap(), None);
        for value in [vec![1, 2], vec![3]] {
            replace_json(&path, &value).unwrap();
            assert_eq!(read_json::<Vec<u32>>(&path).unwrap(), Some(value));
        }
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        remove(&path).unwrap();
        remove(&path).unwrap();
        fs::write(&path, "[1").unwrap();
        assert_eq!(read_json::<Vec<u32>>(&path).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn a_failure_leaves_the_old_value() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x");
        fs::create_dir(&path).unwrap();
        assert!(replace(&path, b"1").is_err());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}

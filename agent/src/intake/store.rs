//! The store: where collected dumps are kept, one directory each, made whole in one step.
//!
//! ```text
//! STORE/.heapsee-agent.HOST/lock                      one dump at a time
//! STORE/.heapsee-agent.HOST/ship.lock                 one that ships at a time
//! STORE/.heapsee-agent.HOST/.heapsee-PID-START-1.tmp  being made; of a dead writer: swept by the next run
//! STORE/APP/HOST/TIME-PID/                            a collected dump
//! ```

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use tempfile::TempDir;

use super::catalog::{Catalog, Entry};
use super::copy::write_failure;
use crate::exit::{Exit, Failure};
use crate::files::{make_directory, own_temp_name, safe_name, sweep, sync_directory};

/// A store, locked.
pub struct Store {
    root: PathBuf,
    work: PathBuf,
    host: String,
    /// Unlocked when it is closed.
    _lock: File,
}

/// A collected dump in the making; removed when it is dropped.
pub struct Draft {
    directory: TempDir,
}

impl Store {
    /// Opens (or makes) the store, takes the lock and sweeps what dead writers have left.
    pub fn open(root: &Path, host: &str) -> Result<Store, Failure> {
        let host = safe_name(host);
        let work = work_directory(root, &host);
        make_directory(&work).map_err(|error| write_failure(&work, &error))?;
        let lock = lock(&work.join("lock"), "is already taking a dump into this store")?;
        sweep(&work);
        Ok(Store { root: root.to_owned(), work, host, _lock: lock })
    }

    /// Begins to make a collected dump.
    pub fn begin(&self) -> Result<Draft, Failure> {
        let failed = |error| write_failure(&self.work, &error);
        let name = own_temp_name().map_err(failed)?;
        let mut builder = tempfile::Builder::new();
        let builder = builder.prefix(&name).rand_bytes(0).permissions(fs::Permissions::from_mode(0o700));
        Ok(Draft { directory: builder.tempdir_in(&self.work).map_err(failed)? })
    }

    /// The dump of that name and SHA-256, if it is there already.
    pub fn find(&self, dump: &str, sha256: &str) -> Option<Entry> {
        Catalog::read(&self.root, &self.host).ok()?.find(dump, sha256).cloned()
    }

    /// Gives a draft its place: `APP/HOST/NAME`, or `NAME-2` and so on if there is one of that name.
    pub fn commit(&self, draft: Draft, app: &str, name: &str) -> Result<PathBuf, Failure> {
        let parent = self.root.join(safe_name(app)).join(&self.host);
        let failed = |error| write_failure(&parent, &error);
        make_directory(&parent).map_err(failed)?;
        sync_directory(draft.path()).map_err(failed)?;
        let place = rename_to_free(draft.path(), &parent, name).map_err(failed)?;
        // Its name is gone; there is nothing to remove any more.
        let _ = draft.directory.keep();
        for directory in parent.ancestors().take(3) {
            sync_directory(directory).map_err(failed)?;
        }
        Ok(place)
    }
}

impl Draft {
    /// Where its files go.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Writes a small file, synced.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        let path = self.path().join(name);
        let write = || {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            if fs::read(&path)? == bytes { Ok(()) } else { Err(io::Error::other("it reads back otherwise")) }
        };
        write().map_err(|error| write_failure(&path, &error))
    }
}

/// Deletes a collected dump of `host`: out of its place in one step, then file by file. What a crash leaves is swept.
pub fn delete(root: &Path, host: &str, place: &Path) -> io::Result<()> {
    let work = work_directory(root, host);
    make_directory(&work)?;
    let doomed = work.join(own_temp_name()?);
    fs::rename(place, &doomed)?;
    place.parent().map_or(Ok(()), sync_directory)?;
    fs::remove_dir_all(&doomed)
}

fn rename_to_free(from: &Path, parent: &Path, name: &str) -> io::Result<PathBuf> {
    let mut place = parent.join(name);
    for serial in 2.. {
        match fs::rename(from, &place) {
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory
                ) =>
            {
                place = parent.join(format!("{name}-{serial}"));
            }
            renamed => return renamed.map(|()| place),
        }
    }
    Err(io::Error::from(io::ErrorKind::AlreadyExists))
}

/// Where `host` makes things before they get their place.
pub fn work_directory(root: &Path, host: &str) -> PathBuf {
    root.join(format!(".heapsee-agent.{}", safe_name(host)))
}

/// Sees to it that one process ships the dumps of `host`; unlocked when what it returns is closed.
pub fn lock_shipping(root: &Path, host: &str) -> Result<File, Failure> {
    let work = work_directory(root, host);
    make_directory(&work).map_err(|error| write_failure(&work, &error))?;
    lock(&work.join("ship.lock"), "is already shipping the dumps of this store")
}

/// `what` says what whoever has the lock is doing.
fn lock(path: &Path, what: &str) -> Result<File, Failure> {
    let open = || {
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
        OpenOptions::new().read(true).write(true).create(true).mode(0o600).custom_flags(flags).open(path)
    };
    let mut file = open().map_err(|error| write_failure(path, &error))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(busy(&mut file, what)),
        Err(TryLockError::Error(error)) => return Err(write_failure(path, &error)),
    }
    // Only for the message of `busy`: the lock is the lock.
    let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    Ok(file)
}

fn busy(lock: &mut File, what: &str) -> Failure {
    let mut holder = String::new();
    let _ = lock.take(32).read_to_string(&mut holder);
    let holder = match holder.trim().parse::<u32>() {
        Ok(pid) => format!("process {pid}"),
        Err(_) => "another heapsee-agent".to_owned(),
    };
    Failure::new(Exit::Busy, format!("{holder} {what}: wait until it is done"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::procfs;
    use heapsee_format::naming::temp_name;

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_dropped_draft_leaves_nothing() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(root.path(), "web1").unwrap();
        let draft = store.begin().unwrap();
        draft.write("x", b"1").unwrap();
        drop(draft);
        assert_eq!(names(&root.path().join(".heapsee-agent.web1")), ["lock"]);
        assert_eq!(names(root.path()), [".heapsee-agent.web1"]);
    }

    #[test]
    fn a_committed_draft_stands_at_its_place() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(root.path(), "web1").unwrap();
        for expect in ["20261124T052323Z-7", "20261124T052323Z-7-2", "20261124T052323Z-7-3"] {
            let draft = store.begin().unwrap();
            draft.write("x", b"1").unwrap();
            let place = store.commit(draft, "../shop", "20261124T052323Z-7").unwrap();
            assert_eq!(place, root.path().join("_._shop/web1").join(expect));
            assert_eq!(names(&place), ["x"]);
            assert_eq!(fs::metadata(&place).unwrap().permissions().mode() & 0o777, 0o700);
            assert_eq!(fs::metadata(place.join("x")).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(names(&root.path().join(".heapsee-agent.web1")), ["lock"]);
    }

    #[test]
    fn only_one_at_a_time() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(root.path(), "web1").unwrap();
        let failure = Store::open(root.path(), "web1").err().unwrap();
        assert_eq!(failure.exit, Exit::Busy);
        assert!(failure.message.contains(&format!("process {} ", std::process::id())), "{failure}");
        drop(store);
        assert!(Store::open(root.path(), "web1").is_ok());
    }

    #[test]
    fn drafts_of_the_dead_are_swept_and_others_are_not() {
        let root = tempfile::tempdir().unwrap();
        let work = root.path().join(".heapsee-agent.web1");
        let pid = std::process::id();
        let start_time = procfs::own_start_time().unwrap();
        let (alive, dead) = (temp_name(pid, start_time, 9), temp_name(pid, start_time + 1, 9));
        for name in [&alive, &dead, &"other".to_owned()] {
            fs::create_dir_all(work.join(name)).unwrap();
        }
        let _store = Store::open(root.path(), "web1").unwrap();
        assert_eq!(names(&work), [alive.as_str(), "lock", "other"]);
    }

    #[test]
    fn names_become_harmless() {
        let got: Vec<String> = ["shop.wsgi:app", "..", "", "a/b\n", "é"].map(safe_name).into();
        assert_eq!(got, ["shop.wsgi_app", "_.", "unknown", "a_b_", "_"]);
        assert_eq!(safe_name(&"x".repeat(300)).len(), 80);
    }
}

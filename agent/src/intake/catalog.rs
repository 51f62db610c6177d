//! What is in the store: its collected dumps, as they stand there. It changes nothing.
//!
//! A store may be shared by several hosts; each looks after its own dumps only.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::manifest::{self, Manifest};

use super::shipped::{self, Shipped};
use crate::files::{read_json, safe_name};

/// A file of that name beside a dump keeps retention away from it.
pub const PIN: &str = "pinned";

/// A collected dump.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its directory.
    pub path: PathBuf,
    /// The application's name, as the directory above it has it.
    pub app: String,
    /// The host's name, likewise.
    pub host: String,
    /// The directory's own name, `TIME-PID`.
    pub name: String,
    /// Its manifest.
    pub manifest: Manifest,
    /// When the dump was asked for; if the manifest does not say, when the directory was last changed.
    pub at: Timestamp,
    /// What it takes on the disk, all files together.
    pub bytes: u64,
    /// Whether it is to stay.
    pub pinned: bool,
    /// Its verified copy elsewhere.
    pub shipped: Option<Shipped>,
}

/// What is in the store.
#[derive(Debug, Default)]
pub struct Catalog {
    /// The dumps, oldest first.
    pub entries: Vec<Entry>,
    /// What stands where a dump should, and why it is none.
    pub strange: Vec<(PathBuf, String)>,
}

impl Catalog {
    /// Reads the dumps of `host` in the store `root`; a store that is not there is empty.
    pub fn read(root: &Path, host: &str) -> io::Result<Catalog> {
        let host = safe_name(host);
        let mut catalog = Catalog::default();
        for (app, directory) in directories(root)? {
            if app.starts_with('.') {
                continue;
            }
            for (name, path) in directories(&directory.join(&host))? {
                match Entry::read(&path, &app, &host, &name) {
                    Ok(entry) => catalog.entries.push(entry),
                    // Deleted meanwhile, by retention or by hand.
                    Err(_) if !path.exists() => {}
                    Err(error) => catalog.strange.push((path, error.to_string())),
                }
            }
        }
        catalog.entries.sort_by(|a, b| (a.at, &a.path).cmp(&(b.at, &b.path)));
        Ok(catalog)
    }

    /// The dump of that name and SHA-256, if it is there already.
    pub fn find(&self, dump: &str, sha256: &str) -> Option<&Entry> {
        self.entries
            .iter()
            .find(|entry| entry.manifest.dump.name == dump && entry.manifest.dump.sha256.eq_ignore_ascii_case(sha256))
    }
}

impl Entry {
    /// Reads one.
    pub fn read(path: &Path, app: &str, host: &str, name: &str) -> io::Result<Entry> {
        let manifest: Manifest = read_json(&path.join(manifest::NAME))?
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "it has no manifest.json"))?;
        let stored = path.join(&manifest.stored.name);
        let is_plain = |name: &str| !name.is_empty() && !name.contains('/') && name != "..";
        if !is_plain(&manifest.stored.name) || !is_plain(&manifest.sidecar) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "its manifest.json names no files of its own"));
        }
        if !stored.is_file() {
            let file = &manifest.stored.name;
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                format!("{file}, of which its manifest tells, is missing"),
            ));
        }
        let changed = fs::metadata(path)?.mtime();
        let at = manifest.times.requested_at.parse().ok().or_else(|| Timestamp::from_second(changed).ok());
        Ok(Entry {
            path: path.to_owned(),
            app: app.to_owned(),
            host: host.to_owned(),
            name: name.to_owned(),
            at: at.unwrap_or(Timestamp::UNIX_EPOCH),
            bytes: size_on_disk(path)?,
            pinned: path.join(PIN).exists(),
            shipped: read_json(&path.join(shipped::SHIPPED))?,
            manifest,
        })
    }

    /// The file that holds the dump.
    pub fn file(&self) -> PathBuf {
        self.path.join(&self.manifest.stored.name)
    }
}

/// What all files below `path` take on the disk.
pub fn size_on_disk(path: &Path) -> io::Result<u64> {
    let metadata = fs::symlink_metadata(path)?;
    let mut bytes = metadata.blocks() * 512;
    if metadata.is_dir() {
        for entry in fs::read_dir(path)? {
            bytes += size_on_disk(&entry?.path())?;
        }
    }
    Ok(bytes)
}

/// The directories in a directory, by name; none if it is not there. No symbolic link is followed.
fn directories(path: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let entries = match fs::read_dir(path) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        if let (Ok(name), true) = (entry.file_name().into_string(), entry.file_type()?.is_dir()) {
            found.push((name, entry.path()));
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(root: &Path, place: &str, requested_at: &str) -> PathBuf {
        let path = root.join(place);
        fs::create_dir_all(&path).unwrap();
        let manifest = format!(
            r#"{{"dump": {{"name": "d", "sha256": "ab"}}, "stored": {{"name": "d.zst"}}, "sidecar": "d.meta.json",
               "times": {{"requested_at": "{requested_at}"}}}}"#
        );
        fs::write(path.join("manifest.json"), manifest).unwrap();
        fs::write(path.join("d.zst"), vec![1; 5000]).unwrap();
        path
    }

    #[test]
    fn dumps_of_this_host_are_found_oldest_first() {
        let root = tempfile::tempdir().unwrap();
        put(root.path(), "shop/web1/b-1", "2026-11-24T02:00:00Z");
        let old = put(root.path(), "lms/web1/a-1", "2026-11-24T01:00:00Z");
        put(root.path(), "lms/web2/x-1", "2026-11-24T00:00:00Z");
        put(root.path(), ".heapsee-agent.web1/web1/x-1", "2026-11-24T00:00:00Z");
        fs::write(old.join(PIN), "").unwrap();
        let catalog = Catalog::read(root.path(), "web1").unwrap();
        let got: Vec<_> = catalog.entries.iter().map(|e| (e.app.as_str(), e.name.as_str(), e.pinned)).collect();
        assert_eq!(got, [("lms", "a-1", true), ("shop", "b-1", false)]);
        assert!(catalog.entries[0].bytes >= 5000 && catalog.strange.is_empty());
        assert_eq!(catalog.find("d", "AB").unwrap().name, "a-1");
        assert!(catalog.find("d", "cd").is_none() && catalog.find("e", "ab").is_none());
    }

    #[test]
    fn what_is_no_dump_is_told_and_not_taken_for_one() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("a/web1/empty")).unwrap();
        fs::write(put(root.path(), "a/web1/broken", "").join("manifest.json"), "{").unwrap();
        fs::remove_file(put(root.path(), "a/web1/gone", "").join("d.zst")).unwrap();
        let path = put(root.path(), "a/web1/outside", "");
        fs::write(path.join("manifest.json"), r#"{"stored": {"name": "../gone/d.zst"}, "sidecar": "x"}"#).unwrap();
        std::os::unix::fs::symlink(put(root.path(), "real", ""), root.path().join("a/web1/link")).unwrap();
        let catalog = Catalog::read(root.path(), "web1").unwrap();
        let strange: Vec<_> = catalog.strange.iter().map(|(path, _)| path.file_name().unwrap()).collect();
        assert_eq!(strange, ["broken", "empty", "gone", "outside"]);
        assert!(catalog.entries.is_empty());
        assert!(Catalog::read(&root.path().join("none"), "web1").unwrap().entries.is_empty());
    }
}

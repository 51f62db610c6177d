//! Watching dump directories for dumps that nobody here has asked for: by inotify, and by a scan for what that has
//! missed. It takes nothing in; what it finds is claimed by `source`.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use heapsee_format::naming::parse_dump_name;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};

use super::source::Directory;
use crate::discovery::Process;

/// A directory is left when none of its workers was seen for so long: a dump child may outlive its worker.
const PATIENCE: Duration = Duration::from_secs(600);
/// More than this many names are not remembered; then all are looked at anew.
const MOST_SETTLED: usize = 10_000;

/// What a directory is, whatever its path: device and inode.
type Key = (u64, u64);

/// The directories that are watched.
pub struct Watch {
    /// None if the kernel gives none: then scans alone have to do.
    inotify: Option<OwnedFd>,
    places: BTreeMap<Key, Place>,
    /// The directories of processes by pid, start time and path, so that they are not opened again and again.
    known: HashMap<(u32, u64, String), Key>,
    settled: HashSet<(Key, String)>,
    next_scan: Option<Instant>,
    told: HashSet<PathBuf>,
}

struct Place {
    directory: Directory,
    watch: Option<i32>,
    is_dirty: bool,
    seen: Instant,
}

/// A dump that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    key: Key,
    /// Its name.
    pub name: String,
}

impl Watch {
    /// Watches nothing yet.
    pub fn new() -> Watch {
        Watch {
            inotify: inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).ok(),
            places: BTreeMap::new(),
            known: HashMap::new(),
            settled: HashSet::new(),
            next_scan: None,
            told: HashSet::new(),
        }
    }

    /// Sees to it that the directories of `workers` and those named are watched, and no others. Returns sentences about
    /// those that cannot be, each once.
    pub fn cover(&mut self, workers: &[Process], directories: &[PathBuf], now: Instant) -> Vec<String> {
        let mut problems = Vec::new();
        let mut known = HashMap::new();
        for worker in workers {
            let Ok(view) = &worker.armed else { continue };
            let name = (worker.pid, worker.stat.start_time, view.directory.clone());
            let path = Path::new(&view.directory);
            let opened = match self.known.get(&name) {
                Some(key) => Ok(*key),
                // What cannot be opened shows when somebody asks this worker for a dump.
                None => self.open(path, Some((worker.pid, worker.status.uid)), now),
            };
            if let Ok(key) = opened {
                self.touch(key, Some(worker.status.uid), now);
                known.insert(name, key);
            }
        }
        self.known = known;
        for path in directories {
            match self.open(path, None, now) {
                Ok(key) => {
                    self.told.remove(path);
                    self.touch(key, None, now);
                }
                Err(error) if self.told.insert(path.clone()) => {
                    problems.push(format!("the dump directory {} cannot be opened: {error}", path.display()));
                }
                Err(_) => {}
            }
        }
        let gone: Vec<Key> =
            self.places.iter().filter(|(_, place)| now - place.seen > PATIENCE).map(|(key, _)| *key).collect();
        gone.into_iter().for_each(|key| self.drop_place(key));
        problems
    }

    /// The dumps that are there and not settled: where something has happened, or everywhere when it is time to scan.
    pub fn look(&mut self, scan: Duration, now: Instant) -> Vec<Sighting> {
        if self.next_scan.is_none_or(|next| now >= next) {
            self.next_scan = Some(now + scan);
            self.places.values_mut().for_each(|place| place.is_dirty = true);
            if self.settled.len() > MOST_SETTLED {
                self.settled.clear();
            }
        }
        self.hear();
        let mut found = Vec::new();
        for (&key, place) in self.places.iter_mut().filter(|(_, place)| place.is_dirty) {
            place.is_dirty = false;
            let mut names = place.directory.names().unwrap_or_default();
            names.retain(|name| parse_dump_name(name).is_some());
            names.sort();
            found.extend(names.into_iter().map(|name| Sighting { key, name }));
        }
        found.retain(|sighting| !self.settled.contains(&(sighting.key, sighting.name.clone())));
        found
    }

    /// Where it was seen.
    pub fn directory(&self, sighting: &Sighting) -> Option<&Directory> {
        self.places.get(&sighting.key).map(|place| &place.directory)
    }

    /// The directories that are watched.
    pub fn directories(&self) -> impl Iterator<Item = &Directory> {
        self.places.values().map(|place| &place.directory)
    }

    /// It is to be left where it is and not looked at again.
    pub fn settle(&mut self, sighting: &Sighting) {
        self.settled.insert((sighting.key, sighting.name.clone()));
    }

    /// It is to be looked at again the next time.
    pub fn postpone(&mut self, sighting: &Sighting) {
        if let Some(place) = self.places.get_mut(&sighting.key) {
            place.is_dirty = true;
        }
    }

    /// Opens a directory if it is not watched yet.
    fn open(&mut self, path: &Path, worker: Option<(u32, u32)>, now: Instant) -> io::Result<Key> {
        let directory = Directory::look(path, worker)?;
        let key = directory.identity()?;
        if !self.places.contains_key(&key) {
            let watch = self.inotify.as_ref().and_then(|inotify| add(inotify, &directory).ok());
            self.places.insert(key, Place { directory, watch, is_dirty: true, seen: now });
        }
        Ok(key)
    }

    fn touch(&mut self, key: Key, uid: Option<u32>, now: Instant) {
        if let Some(place) = self.places.get_mut(&key) {
            place.seen = now;
            uid.into_iter().for_each(|uid| place.directory.share_with(uid));
        }
    }

    fn drop_place(&mut self, key: Key) {
        let place = self.places.remove(&key);
        if let (Some(inotify), Some(watch)) = (&self.inotify, place.and_then(|place| place.watch)) {
            // The directory may be gone, and the watch with it.
            let _ = inotify::remove_watch(inotify, watch);
        }
        self.settled.retain(|(of, _)| *of != key);
    }

    /// Reads what the kernel has to say. If it has lost something, every directory may have changed.
    fn hear(&mut self) {
        let Some(inotify) = &self.inotify else { return };
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(inotify, &mut buffer);
        while let Ok(event) = reader.next() {
            let is_lost = event.events().contains(ReadFlags::QUEUE_OVERFLOW);
            // Dumps often go to /tmp, where much else comes and goes: reading all of its names each time costs.
            let name = event.file_name().and_then(|name| name.to_str().ok());
            let is_news = name.is_some_and(|name| parse_dump_name(name).is_some());
            for place in self.places.values_mut() {
                place.is_dirty |= is_lost || (is_news && place.watch == Some(event.wd()));
            }
        }
    }
}

/// Watches a directory that is open: its path could lead elsewhere by now.
fn add(inotify: &OwnedFd, directory: &Directory) -> io::Result<i32> {
    let path = format!("/proc/self/fd/{}", directory.descriptor().as_raw_fd());
    let flags = WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::ONLYDIR;
    Ok(inotify::add_watch(inotify, path, flags)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const NAME: &str = "meliae.2026-11-24T05:23:23.000123.1.dump";

    fn names(found: Vec<Sighting>) -> Vec<String> {
        found.into_iter().map(|sighting| sighting.name).collect()
    }

    #[test]
    fn what_is_there_and_what_comes_is_seen() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().to_owned();
        fs::write(path.join(NAME), "").unwrap();
        fs::write(path.join("other"), "").unwrap();
        let (mut watch, now, hour) = (Watch::new(), Instant::now(), Duration::from_secs(3600));
        assert_eq!(watch.cover(&[], std::slice::from_ref(&path), now), Vec::<String>::new());
        let found = watch.look(hour, now);
        assert_eq!(names(found.clone()), [NAME]);
        assert!(watch.look(hour, now).is_empty(), "nothing has happened");
        watch.settle(&found[0]);
        fs::write(path.join("another"), "").unwrap();
        watch.hear();
        assert!(
            watch.places.values().all(|place| !place.is_dirty),
            "what is no dump is no reason to read the directory"
        );
        let second = NAME.replace(".1.", ".2.");
        fs::write(path.join(".new"), "").unwrap();
        fs::rename(path.join(".new"), path.join(&second)).unwrap();
        let found = watch.look(hour, now);
        assert_eq!(names(found.clone()), [second.as_str()]);
        watch.postpone(&found[0]);
        assert_eq!(names(watch.look(hour, now)), [second.as_str()]);
        assert_eq!(names(watch.look(hour, now + hour * 2)), [second.as_str()], "a scan finds what is not settled");
    }

    #[test]
    fn a_directory_that_is_gone_is_told_once_and_one_that_nobody_wants_is_left() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x");
        let (mut watch, now) = (Watch::new(), Instant::now());
        assert_eq!(watch.cover(&[], std::slice::from_ref(&path), now).len(), 1);
        assert_eq!(watch.cover(&[], std::slice::from_ref(&path), now).len(), 0);
        fs::create_dir(&path).unwrap();
        watch.cover(&[], std::slice::from_ref(&path), now);
        fs::write(path.join(NAME), "").unwrap();
        watch.cover(&[], &[], now + PATIENCE * 2);
        assert!(watch.look(Duration::ZERO, now).is_empty() && watch.places.is_empty());
    }
}

//! What becomes of dumps, as the daemon sees it: taking them in, keeping them, and passing them on.
//!
//! It decides nothing about workers. The daemon calls [`Pipeline::submit`] on the thread that took the dump,
//! [`Pipeline::tick`] again and again on a thread of its own, and the rest from anywhere.

mod forward;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::asking::Published;
use crate::config::Config;
use crate::discovery::Process;
use crate::exit::{Exit, Failure};
use crate::files::space;
use crate::intake::catalog::Catalog;
use crate::intake::copy::{Compression, Form};
use crate::intake::found;
use crate::intake::manifest;
use crate::intake::source::{Directory, Original};
use crate::intake::store::Store;
use crate::intake::watch::{Sighting, Watch};
use crate::intake::{Intake, Originals, Stored};
use crate::progress::Progress;
use crate::retention::{Keeper, Outcome, Reason};
use crate::seal::Recipients;
use crate::stop::Stop;
use crate::sweep;
use forward::Forwarder;

/// So often the limits are looked at, though nothing has come.
const TIDY: Duration = Duration::from_secs(60);
/// So often leftovers of the dead are looked for.
const SWEEP: Duration = Duration::from_secs(3600);
/// Of a dump compressed with zstd, about this part is left if nothing better is known: one of so many.
const COMPRESSED: u64 = 4;
/// No more complaints are remembered, so that none is made twice.
const MOST_TOLD: usize = 1000;

/// The pipeline. It is shared between threads.
pub struct Pipeline {
    host: String,
    config: RwLock<Arc<Config>>,
    counters: Arc<Mutex<Counters>>,
    work: Mutex<Work>,
    /// Why a further dump would exceed `max_size`, as it was seen last.
    full: Mutex<Option<String>>,
    forwarder: Forwarder,
}

/// What became of each dump that was found: none if it is somebody else's business now.
type Taken = Vec<(Sighting, Result<Option<Stored>, Failure>)>;

/// What only the pipeline's own thread needs.
struct Work {
    watch: Watch,
    next_tidy: Option<Instant>,
    next_sweep: Option<Instant>,
    /// Complaints that were made.
    told: HashSet<String>,
}

/// A dump that a worker has just published.
pub struct Submission<'a> {
    /// Its dump directory, opened before the signal.
    pub directory: &'a Directory,
    /// What the control block said when the dump had ended.
    pub published: &'a Published,
    /// The worker, as the manifest tells of it.
    pub worker: manifest::Worker,
    /// The application's name.
    pub app: String,
    /// Why the dump was taken.
    pub trigger: manifest::Trigger,
}

/// What the pipeline has done since it was opened, and what it holds: for metrics and `status`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Dumps that were taken in, by [`Pipeline::submit`] or because they were found.
    pub collected: u64,
    /// Bytes of those as they are stored.
    pub stored_bytes: u64,
    /// Dumps that could not be taken in.
    pub refused: u64,
    /// Of `collected`, those that were found.
    pub found: u64,
    /// Dumps that were deleted by the limits of what is kept.
    pub deleted: u64,
    /// Bytes of those.
    pub deleted_bytes: u64,
    /// Dumps that were shipped and verified.
    pub shipped: u64,
    /// Bytes of those.
    pub shipped_bytes: u64,
    /// Times that a dump could not be shipped.
    pub ship_failures: u64,
    /// Hooks that were told of a dump.
    pub hooks: u64,
    /// Times that a hook failed.
    pub hook_failures: u64,
    /// Dumps in the store now.
    pub stored: u64,
    /// What they take on the disk.
    pub disk_bytes: u64,
    /// Dumps that are yet to be shipped, now.
    pub waiting: u64,
    /// When a dump was last collected, in seconds since 1970; 0: never.
    pub last_collected: i64,
    /// When a dump was last shipped, likewise.
    pub last_shipped: i64,
}

impl Counters {
    /// Name, help text and value of each that only grows, for the metrics.
    pub fn metrics(&self) -> [(&'static str, &'static str, u64); 11] {
        [
            ("collected_dumps", "Dumps that were taken into the store", self.collected),
            ("collected_bytes", "Bytes of the dumps that were taken into the store, as stored", self.stored_bytes),
            ("refused_dumps", "Dumps that could not be taken into the store", self.refused),
            ("found_dumps", "Of the collected dumps, those that somebody else had asked for", self.found),
            ("deleted_dumps", "Dumps that the limits of the store have deleted", self.deleted),
            ("deleted_bytes", "Bytes of the dumps that the limits of the store have deleted", self.deleted_bytes),
            ("shipped_dumps", "Dumps that were shipped and verified", self.shipped),
            ("shipped_bytes", "Bytes of the dumps that were shipped and verified", self.shipped_bytes),
            ("ship_failures", "Times that a dump could not be shipped", self.ship_failures),
            ("hooks", "Times that the hook was told of a dump", self.hooks),
            ("hook_failures", "Times that the hook failed", self.hook_failures),
        ]
    }

    /// Name, help text and value of each that is as it is now, for the metrics.
    pub fn gauges(&self) -> [(&'static str, &'static str, i64); 5] {
        let signed = |number| i64::try_from(number).unwrap_or(i64::MAX);
        [
            ("store_dumps", "Dumps in the store", signed(self.stored)),
            ("store_bytes", "What the dumps in the store take on the disk", signed(self.disk_bytes)),
            ("ship_waiting_dumps", "Dumps that are yet to be shipped", signed(self.waiting)),
            ("last_collected_seconds", "When a dump was last collected, since 1970; 0: never", self.last_collected),
            ("last_shipped_seconds", "When a dump was last shipped, since 1970; 0: never", self.last_shipped),
        ]
    }
}

impl Pipeline {
    /// Opens it; fails if the store cannot be used.
    pub fn open(config: Arc<Config>, host: String) -> Result<Pipeline, Failure> {
        // Made and locked once, so that what is wrong with it shows now and not with the first dump.
        drop(Store::open(&config.store.directory, &host)?);
        form(&config)?;
        let counters = Arc::new(Mutex::default());
        let forwarder = Forwarder::new(host.clone(), Arc::clone(&counters));
        let work = Mutex::new(Work { watch: Watch::new(), next_tidy: None, next_sweep: None, told: HashSet::new() });
        Ok(Pipeline { host, config: RwLock::new(config), counters, work, full: Mutex::default(), forwarder })
    }

    /// Goes on with another configuration.
    pub fn reload(&self, config: Arc<Config>) {
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
        self.forwarder.wake();
    }

    /// Whether the store would take a further dump of about `size` bytes; else why not.
    pub fn room(&self, size: u64) -> Result<(), String> {
        if let Some(why) = &*self.full.lock().unwrap_or_else(PoisonError::into_inner) {
            return Err(why.clone());
        }
        let config = self.config();
        let (free, total) = space(&config.store.directory).map_err(|error| error.to_string())?;
        let keep = config.retention.keep_free.of(total);
        if free < keep.saturating_add(size) {
            let catalog = self.catalog(&config).map_err(|error| error.to_string())?;
            let outcome = self.keeper(&config).look(&catalog, Some(("", size))).map_err(|error| error.to_string())?;
            if let Some(words) = outcome.exceeded() {
                let [free, size] = [free, size].map(crate::render::bytes);
                return Err(format!("the store has {free} free and no room for a dump of {size}: {words}"));
            }
        }
        Ok(())
    }

    /// Takes a dump in.
    pub fn submit(&self, submission: Submission<'_>, stop: &Stop, progress: &Progress) -> Result<Stored, Failure> {
        let config = self.config();
        let original = submission.directory.original(&submission.published.view.last_path);
        let room = original.and_then(|original| self.make_room(&config, &submission.app, &original));
        let outcome = room.and_then(|keep_free| {
            let store = Store::open(&config.store.directory, &self.host)?;
            let intake = Intake {
                store: &store,
                directory: submission.directory,
                worker: submission.worker,
                host: self.host.clone(),
                app: submission.app,
                trigger: submission.trigger,
                form: form(&config)?,
                keep: config.store.keep_originals,
                keep_free,
            };
            intake.run(submission.published, stop, progress)
        });
        self.note(&outcome, false);
        outcome
    }

    /// Does what there is to do now: dumps that somebody else asked for, retention, shipping, hooks. It may take its
    /// time, but not when `stop` is requested. `workers` are those that were seen last.
    pub fn tick(&self, workers: &[Process], stop: &Stop) {
        let config = self.config();
        let mut work = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        let (problems, taken) = self.take_found(&mut work, &config, workers, stop);
        for problem in problems {
            tracing::warn!("{problem}");
        }
        for (sighting, outcome) in taken {
            self.settle(&mut work, &sighting, outcome);
        }
        if work.next_tidy.is_none_or(|next| Instant::now() >= next) {
            work.next_tidy = Some(Instant::now() + TIDY);
            self.tidy(&mut work, &config);
        }
        if work.next_sweep.is_none_or(|next| Instant::now() >= next) {
            work.next_sweep = Some(Instant::now() + SWEEP);
            self.sweep(&work, &config);
        }
        self.forwarder.turn(&config, stop);
    }

    /// What it has done.
    pub fn counters(&self) -> Counters {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn config(&self) -> Arc<Config> {
        Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn catalog(&self, config: &Config) -> std::io::Result<Catalog> {
        Catalog::read(&config.store.directory, &self.host)
    }

    fn keeper<'a>(&'a self, config: &'a Config) -> Keeper<'a> {
        Keeper {
            root: &config.store.directory,
            host: &self.host,
            limits: &config.retention,
            ships: config.ship.is_some(),
        }
    }

    /// Takes in what is found now, and nothing else is done. Returns what became of each dump, and what is wrong with
    /// directories.
    pub fn collect(&self, workers: &[Process], stop: &Stop) -> (Vec<Result<Stored, Failure>>, Vec<String>) {
        let config = self.config();
        let mut work = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        let (problems, found) = self.take_found(&mut work, &config, workers, stop);
        (found.into_iter().filter_map(|(_, outcome)| outcome.transpose()).collect(), problems)
    }

    /// Looks for dumps and takes them in. Returns what is wrong with directories, and what became of each dump.
    fn take_found(&self, work: &mut Work, config: &Config, workers: &[Process], stop: &Stop) -> (Vec<String>, Taken) {
        let watched = if config.intake.watch { workers } else { &[] };
        let problems = work.watch.cover(watched, &config.intake.directories, Instant::now());
        let mut taken = Vec::new();
        for sighting in work.watch.look(config.intake.scan, Instant::now()) {
            if stop.requested() {
                work.watch.postpone(&sighting);
            } else if let Some(directory) = work.watch.directory(&sighting) {
                let outcome = self.take_one(config, directory, &sighting, workers, stop);
                taken.push((sighting, outcome));
            }
        }
        (problems, taken)
    }

    /// Takes one found dump in; none if it is somebody else's business now.
    fn take_one(
        &self,
        config: &Config,
        directory: &Directory,
        sighting: &Sighting,
        workers: &[Process],
        stop: &Stop,
    ) -> Result<Option<Stored>, Failure> {
        let Some(original) = directory.claim(&sighting.name)? else { return Ok(None) };
        let store = match Store::open(&config.store.directory, &self.host) {
            Err(failure) if failure.exit == Exit::Busy => return Ok(None),
            store => store?,
        };
        let intake = self.of_found(config, &store, directory, &original, workers)?;
        intake.run_found(original, stop, &Progress::new(true)).map(Some)
    }

    fn of_found<'a>(
        &self,
        config: &Config,
        store: &'a Store,
        directory: &'a Directory,
        original: &Original,
        workers: &[Process],
    ) -> Result<Intake<'a>, Failure> {
        let uid = original.uid().map_err(|error| Failure::new(Exit::Store, error.to_string()))?;
        let found = found::describe(&original.meta, uid, workers);
        Ok(Intake {
            store,
            directory,
            host: self.host.clone(),
            form: form(config)?,
            keep: config.store.keep_originals,
            keep_free: self.make_room(config, &found.app, original)?,
            worker: found.worker,
            app: found.app,
            trigger: found.trigger,
        })
    }

    /// What is to happen with a dump that was found, after that.
    fn settle(&self, work: &mut Work, sighting: &Sighting, outcome: Result<Option<Stored>, Failure>) {
        let outcome = match outcome {
            Ok(None) => return work.watch.postpone(sighting),
            Ok(Some(stored)) => Ok(stored),
            Err(failure) => Err(failure),
        };
        self.note(&outcome, true);
        match outcome {
            Ok(stored) => {
                if stored.originals != Originals::Removed {
                    work.watch.settle(sighting);
                }
                if let Originals::Stuck(why) = &stored.originals {
                    tracing::warn!("{why}");
                }
                work.next_tidy = None;
                let manifest = &stored.manifest;
                tracing::info!(
                    dump = %stored.path.display(), app = manifest.app, pid = manifest.worker.pid,
                    bytes = manifest.stored.size, "collected a dump that was found"
                );
            }
            Err(failure) => {
                // What is wrong with the dump itself stays wrong; all else may pass until the next scan.
                if failure.exit == Exit::Verification {
                    work.watch.settle(sighting);
                }
                if work.told.len() >= MOST_TOLD {
                    work.told.clear();
                }
                if failure.exit != Exit::Interrupted && work.told.insert(failure.message.clone()) {
                    tracing::warn!("a dump that was found is not collected: {failure}");
                }
            }
        }
    }

    fn note(&self, outcome: &Result<Stored, Failure>, is_found: bool) {
        count(&self.counters, |counters| match outcome {
            Ok(stored) => {
                counters.collected += 1;
                counters.found += u64::from(is_found);
                counters.stored_bytes += stored.manifest.stored.size;
                counters.last_collected = Timestamp::now().as_second();
            }
            Err(_) => counters.refused += 1,
        });
        if let Ok(stored) = outcome {
            for caveat in &stored.manifest.snapshot.caveats {
                tracing::warn!(dump = %stored.path.display(), "beware of this dump: {caveat}");
            }
            self.forwarder.wake();
        }
    }

    /// Makes room for a dump, which is not yet compressed; returns how much has to stay free.
    fn make_room(&self, config: &Config, app: &str, original: &Original) -> Result<u64, Failure> {
        let failed = |error: std::io::Error| {
            let directory = config.store.directory.display();
            Failure::new(Exit::Store, format!("the store {directory} cannot be read: {error}; the dump was kept"))
        };
        let catalog = self.catalog(config).map_err(failed)?;
        let bytes = estimate(&catalog, config, original.bytes().map_err(failed)?);
        let outcome = self.keeper(config).make_room(&catalog, app, bytes).map_err(failed)?;
        self.log(&outcome);
        if outcome.deleted.is_empty()
            && let Some(words) = outcome.exceeded()
            && outcome.exceeded.iter().any(|reason| *reason != Reason::Age)
        {
            let bytes = crate::render::bytes(bytes);
            return Err(Failure::new(
                Exit::Store,
                format!(
                    "there is no room for a dump of {bytes}: {words}, and what is left is pinned or not yet shipped: free some \
                     space; it was kept in the worker's directory"
                ),
            ));
        }
        let (_, total) = space(&config.store.directory).map_err(failed)?;
        Ok(config.retention.keep_free.of(total))
    }

    fn tidy(&self, work: &mut Work, config: &Config) {
        let done = self.catalog(config).and_then(|catalog| {
            let outcome = self.keeper(config).tidy(&catalog)?;
            Ok((catalog, outcome))
        });
        let (catalog, outcome) = match done {
            Ok(done) => done,
            Err(error) => {
                return tracing::warn!("the store {} cannot be read: {error}", config.store.directory.display());
            }
        };
        self.log(&outcome);
        // As large as the last one: what a dump will take is not known before.
        let next = catalog.entries.last().map_or(0, |entry| entry.bytes);
        let is_full = self
            .keeper(config)
            .look(&catalog, Some(("", next)))
            .is_ok_and(|look| look.exceeded.contains(&Reason::Size));
        *self.full.lock().unwrap_or_else(PoisonError::into_inner) =
            is_full.then(|| format!("{}, and what is left is pinned or not yet shipped", Reason::Size));
        let freed: u64 = outcome.deleted.iter().map(|(_, bytes, _)| bytes).sum();
        count(&self.counters, |counters| {
            counters.stored = (catalog.entries.len() - outcome.deleted.len()) as u64;
            counters.disk_bytes = catalog.entries.iter().map(|entry| entry.bytes).sum::<u64>().saturating_sub(freed);
        });
        let strange =
            catalog.strange.iter().map(|(path, why)| format!("{} is no collected dump: {why}", path.display()));
        let exceeded =
            outcome.exceeded().map(|words| format!("what is left is pinned or not yet shipped, though {words}"));
        for complaint in strange.chain(exceeded) {
            if work.told.insert(complaint.clone()) {
                tracing::warn!("{complaint}");
            }
        }
    }

    fn sweep(&self, work: &Work, config: &Config) {
        let swept = sweep::everywhere(&config.store.directory, &self.host, work.watch.directories());
        for (leftover, error) in swept.unwrap_or_default() {
            let path = leftover.path.display();
            match error {
                None => tracing::info!(path = %path, bytes = leftover.bytes, "removed {}", leftover.what),
                Some(error) => tracing::warn!(path = %path, "{} cannot be removed: {error}", leftover.what),
            }
        }
    }

    fn log(&self, outcome: &Outcome) {
        for (path, bytes, reason) in &outcome.deleted {
            count(&self.counters, |counters| {
                counters.deleted += 1;
                counters.deleted_bytes += bytes;
            });
            tracing::info!(dump = %path.display(), bytes, "deleted: {reason}");
        }
        for (path, why) in &outcome.stuck {
            tracing::warn!(dump = %path.display(), "cannot be deleted: {why}");
        }
    }
}

/// How dumps are to be stored.
fn form(config: &Config) -> Result<Form, Failure> {
    let compression = config.store.zstd_level.map_or(Compression::None, Compression::Zstd);
    Ok(Form { compression, recipients: Recipients::parse(&config.store.encrypt_to)? })
}

/// What a dump of `size` bytes will take in the store, as dumps before it have.
fn estimate(catalog: &Catalog, config: &Config, size: u64) -> u64 {
    if config.store.zstd_level.is_none() {
        return size;
    }
    let compressed = catalog.entries.iter().rev().filter(|entry| entry.manifest.stored.compression == "zstd").take(5);
    let (stored, dumped) = compressed.fold((0, 0), |(stored, dumped), entry| {
        (stored + u128::from(entry.manifest.stored.size), dumped + u128::from(entry.manifest.dump.size))
    });
    match (u128::from(size) * stored).checked_div(dumped) {
        Some(bytes) => u64::try_from(bytes).unwrap_or(size),
        None => size / COMPRESSED,
    }
}

fn count(counters: &Mutex<Counters>, change: impl FnOnce(&mut Counters)) {
    change(&mut counters.lock().unwrap_or_else(PoisonError::into_inner));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    /// A pipeline on a store with one dump of 40 KiB, of which no copy exists, and these limits.
    fn pipeline(root: &Path, limits: &str) -> Pipeline {
        let entry = root.join("shop/web1/20261124T052323Z-1");
        fs::create_dir_all(&entry).unwrap();
        fs::write(entry.join("d"), vec![1; 40 << 10]).unwrap();
        let manifest =
            r#"{"stored": {"name": "d", "size": 40960}, "dump": {"size": 409600}, "sidecar": "d.meta.json"}"#;
        fs::write(entry.join("manifest.json"), manifest).unwrap();
        let text = format!(
            "[store]\ndirectory = {root:?}\n[intake]\nwatch = false\n[retention]\nkeep_free = '0B'\n{limits}\n\
             [ship]\nurl = 'file:///nonexistent'\n"
        );
        let pipeline = Pipeline::open(Arc::new(Config::parse(&text).unwrap()), "web1".into()).unwrap();
        pipeline.tick(&[], &Stop::default());
        pipeline
    }

    #[test]
    fn a_store_that_is_full_says_so_before_a_dump_is_asked_for() {
        for (limits, is_full) in [("max_size = '1MiB'", false), ("max_size = '64KiB'", true), ("", false)] {
            let root = tempfile::tempdir().unwrap();
            let pipeline = pipeline(root.path(), limits);
            let room = pipeline.room(1000);
            assert_eq!(room.as_ref().is_err_and(|why| why.contains("not yet shipped")), is_full, "{limits} {room:?}");
            assert_eq!(pipeline.counters().stored, 1);
        }
    }

    #[test]
    fn what_a_dump_will_take_is_told_from_those_before_it() {
        let root = tempfile::tempdir().unwrap();
        let pipeline = pipeline(root.path(), "");
        let (catalog, config) = (pipeline.catalog(&pipeline.config()).unwrap(), pipeline.config());
        assert_eq!(estimate(&catalog, &config, 1000), 1000 / COMPRESSED, "that one was not compressed");
        assert_eq!(estimate(&Catalog::default(), &config, 1000), 1000 / COMPRESSED);
        let mut compressed = catalog;
        compressed.entries[0].manifest.stored.compression = "zstd".into();
        assert_eq!(estimate(&compressed, &config, 1000), 100);
    }
}

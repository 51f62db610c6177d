//! What becomes of dumps, as the daemon sees it: taking them in, keeping them, and passing them on.
//!
//! It decides nothing about workers. The daemon calls [`Pipeline::submit`] on the thread that took the dump,
//! [`Pipeline::tick`] again and again on a thread of its own, and the rest from anywhere.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use crate::config::Config;
use crate::discovery::Process;
use crate::exit::Failure;
use crate::intake::copy::Compression;
use crate::intake::manifest;
use crate::intake::source::Directory;
use crate::intake::store::Store;
use crate::intake::{Intake, Stored};
use crate::progress::Progress;
use crate::stop::Stop;
use crate::trigger::Published;

/// The pipeline. It is shared between threads.
pub struct Pipeline {
    host: String,
    config: RwLock<Arc<Config>>,
    counters: Mutex<Counters>,
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
}

impl Counters {
    /// Name, help text and value of each, for the metrics.
    pub fn metrics(&self) -> [(&'static str, &'static str, u64); 3] {
        [
            ("collected_dumps", "Dumps that were taken into the store", self.collected),
            ("collected_bytes", "Bytes of the dumps that were taken into the store, as stored", self.stored_bytes),
            ("refused_dumps", "Dumps that could not be taken into the store", self.refused),
        ]
    }
}

impl Pipeline {
    /// Opens it; fails if the store cannot be used.
    pub fn open(config: Arc<Config>, host: String) -> Result<Pipeline, Failure> {
        // Made and locked once, so that what is wrong with it shows now and not with the first dump.
        drop(Store::open(&config.store.directory, &host)?);
        Ok(Pipeline { host, config: RwLock::new(config), counters: Mutex::default() })
    }

    /// Goes on with another configuration.
    pub fn reload(&self, config: Arc<Config>) {
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
    }

    /// Whether the store would take a further dump of about `size` bytes; else why not.
    pub fn room(&self, size: u64) -> Result<(), String> {
        let config = self.config();
        let (free, total) = space(&config.store.directory).map_err(|error| error.to_string())?;
        let keep = config.retention.keep_free.of(total);
        if free < keep.saturating_add(size) {
            let [free, keep, size] = [free, keep, size].map(crate::render::bytes);
            return Err(format!("the store has {free} free, of which {keep} are to be kept, for a dump of {size}"));
        }
        Ok(())
    }

    /// Takes a dump in.
    pub fn submit(&self, submission: Submission<'_>, stop: &Stop, progress: &Progress) -> Result<Stored, Failure> {
        let config = self.config();
        let outcome = Store::open(&config.store.directory, &self.host).and_then(|store| {
            let intake = Intake {
                store: &store,
                directory: submission.directory,
                worker: submission.worker,
                host: self.host.clone(),
                app: submission.app,
                trigger: submission.trigger,
                compression: config.store.zstd_level.map_or(Compression::None, Compression::Zstd),
                keep: config.store.keep_originals,
            };
            intake.run(submission.published, stop, progress)
        });
        let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        match &outcome {
            Ok(stored) => {
                counters.collected += 1;
                counters.stored_bytes += stored.manifest.stored.size;
            }
            Err(_) => counters.refused += 1,
        }
        outcome
    }

    /// Does what there is to do now: dumps that somebody else asked for, retention, shipping, hooks. It may take its
    /// time, but not when `stop` is requested. `workers` are those that were seen last.
    pub fn tick(&self, _workers: &[Process], _stop: &Stop) {}

    /// What it has done.
    pub fn counters(&self) -> Counters {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn config(&self) -> Arc<Config> {
        Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Free (for this user) and total bytes of the file system with that directory.
pub fn space(directory: &Path) -> std::io::Result<(u64, u64)> {
    let found = rustix::fs::statvfs(directory)?;
    Ok((found.f_bavail.saturating_mul(found.f_frsize), found.f_blocks.saturating_mul(found.f_frsize)))
}

//! Taking a published dump in: verified against its sidecar, compressed, stored, read back, and only then removed
//! from the worker's directory.

pub mod catalog;
pub mod copy;
pub mod found;
pub mod manifest;
mod rooted;
pub mod shipped;
pub mod source;
pub mod store;
pub mod watch;

use std::path::{Path, PathBuf};

use heapsee_format::control::ControlView;
use heapsee_format::digest::Digest;
use heapsee_format::meta;
use heapsee_format::naming::sidecar_path;
use jiff::Timestamp;

use crate::asking::Published;
use crate::exit::{Exit, Failure};
use crate::files::space;
use crate::progress::Progress;
use crate::seal;
use crate::stop::Stop;
use copy::{Compression, Digests, Form};
use manifest::Manifest;
use source::{Directory, Original};
use store::{Draft, Store};

/// The space that is left is looked at after so many bytes of the dump.
const SPACE_EVERY: u64 = 64 << 20;

/// What is to be taken in, and how.
pub struct Intake<'a> {
    /// Where to.
    pub store: &'a Store,
    /// Where from.
    pub directory: &'a Directory,
    /// The worker, as the manifest tells of it.
    pub worker: manifest::Worker,
    /// The host's name.
    pub host: String,
    /// The application's name.
    pub app: String,
    /// Why the dump was taken.
    pub trigger: manifest::Trigger,
    /// How it is stored.
    pub form: Form,
    /// Whether the worker's files stay.
    pub keep: bool,
    /// How many bytes stay free on the store's file system.
    pub keep_free: u64,
}

/// A dump that was taken in.
pub struct Stored {
    /// The stored file.
    pub path: PathBuf,
    /// Its manifest.
    pub manifest: Manifest,
    /// Whether the worker's files were removed, or why not.
    pub originals: Originals,
}

/// What became of the worker's files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Originals {
    /// They were removed.
    Removed,
    /// They were kept, as asked.
    Kept,
    /// They could not be removed.
    Stuck(String),
}

/// What is known of a dump besides its files.
struct Facts {
    /// Its path, as the worker sees it.
    path: String,
    joined: bool,
    requested_at: Timestamp,
    gil_wait_ns: u64,
    pause_ns: u64,
}

impl Facts {
    fn of_block(published: &Published) -> Facts {
        let view = &published.view;
        Facts {
            path: view.last_path.clone(),
            joined: published.joined,
            requested_at: requested_at(view),
            gil_wait_ns: view.gil_wait_ns,
            pause_ns: view.pause_ns,
        }
    }

    fn of_sidecar(original: &Original, directory: &Directory) -> Facts {
        let meta = &original.meta;
        Facts {
            path: directory.path().join(&original.name).to_string_lossy().into_owned(),
            joined: false,
            requested_at: meta.trigger.requested_at.parse().unwrap_or_else(|_| Timestamp::now()),
            gil_wait_ns: meta.timings.gil_wait_ns,
            pause_ns: meta.timings.pause_ns,
        }
    }
}

impl Intake<'_> {
    /// Takes the dump in that a worker has just published.
    pub fn run(&self, published: &Published, stop: &Stop, progress: &Progress) -> Result<Stored, Failure> {
        let original = self.directory.original(&published.view.last_path)?;
        self.check_identity(&original, &published.view)?;
        self.take(original, &Facts::of_block(published), stop, progress)
    }

    /// Takes a dump in that was found in the directory.
    pub fn run_found(&self, original: Original, stop: &Stop, progress: &Progress) -> Result<Stored, Failure> {
        let facts = Facts::of_sidecar(&original, self.directory);
        self.take(original, &facts, stop, progress)
    }

    fn take(&self, mut original: Original, facts: &Facts, stop: &Stop, progress: &Progress) -> Result<Stored, Failure> {
        self.check_sidecar(&original)?;
        let shown = self.directory.shown(&original.name);
        let kept = || format!("nothing was stored, and the dump was kept as {shown}");
        stop.check(kept)?;
        if let Some(stored) = self.stored_before(&original, stop)? {
            return Ok(stored);
        }
        let draft = self.store.begin()?;
        let digests = self.copy(&mut original, &draft, stop, progress)?;
        let manifest = self.manifest(&original, facts, &digests);
        let sidecar = match &self.form.recipients {
            None => original.sidecar.clone(),
            Some(recipients) => recipients.seal(&original.sidecar).map_err(|error| {
                Failure::new(Exit::Store, format!("the sidecar cannot be encrypted: {error}; the dump was kept"))
            })?,
        };
        draft.write(&manifest.sidecar, &sidecar)?;
        draft.write(manifest::NAME, &to_json(&manifest)?)?;
        stop.check(kept)?;
        // From here on the copy is whole: the rest takes no time, and is done even if somebody wants us to stop.
        let place = self.store.commit(draft, &self.app, &place_name(facts.requested_at, self.worker.pid))?;
        Ok(Stored { path: place.join(&manifest.stored.name), originals: self.remove(&original), manifest })
    }

    /// The dump, if it is in the store already: whoever took it in died before the originals were removed.
    fn stored_before(&self, original: &Original, stop: &Stop) -> Result<Option<Stored>, Failure> {
        let Some(entry) = self.store.find(&original.name, &original.meta.file.sha256) else { return Ok(None) };
        let mut on_piece = |_| stop.check(|| format!("the dump was kept as {}", self.directory.shown(&original.name)));
        let found = match copy::read_back_stored(&entry.file(), &mut on_piece) {
            Err(failure) if failure.exit == Exit::Interrupted => return Err(failure),
            found => found.ok(),
        };
        // A copy that is damaged is none.
        let is_right = found.is_some_and(|found| found.sha256.eq_ignore_ascii_case(&entry.manifest.stored.sha256));
        Ok(is_right.then(|| Stored {
            path: entry.file(),
            originals: self.remove(original),
            manifest: entry.manifest.clone(),
        }))
    }

    fn wrong(&self, original: &Original, what: String) -> Failure {
        let shown = self.directory.shown(&original.name);
        Failure::new(Exit::Verification, format!("the sidecar of {shown} {what}: nothing was stored or deleted"))
    }

    /// Whether the sidecar is one, and of this dump, as far as it says.
    fn check_sidecar(&self, original: &Original) -> Result<(), Failure> {
        let file = &original.meta.file;
        if !original.meta.schema.starts_with(schema_name(meta::SCHEMA)) {
            let what = format!("has the schema {:?}, not {:?}", original.meta.schema, meta::SCHEMA);
            return Err(self.wrong(original, what));
        }
        if file.sha256.len() != 64 {
            return Err(self.wrong(original, "has no SHA-256 of the dump".into()));
        }
        if !file.name.is_empty() && file.name != original.name {
            return Err(self.wrong(original, format!("is that of {:?}", file.name)));
        }
        Ok(())
    }

    /// Whether the sidecar is that of this worker's dump, as far as it says.
    fn check_identity(&self, original: &Original, view: &ControlView) -> Result<(), Failure> {
        let process = &original.meta.process;
        let is_other = process.pid != 0 && process.pid != view.pid;
        if is_other || (process.start_time_ticks != 0 && process.start_time_ticks != view.start_time) {
            return Err(self.wrong(original, format!("is that of another process, {}", process.pid)));
        }
        Ok(())
    }

    /// Copies the dump, compares it with the sidecar, reads the copy back and compares again.
    fn copy(
        &self,
        original: &mut Original,
        draft: &Draft,
        stop: &Stop,
        progress: &Progress,
    ) -> Result<Digests, Failure> {
        let expected = &original.meta.file;
        let shown = self.directory.shown(&original.name);
        let path = draft.path().join(stored_name(&original.name, &self.form));
        let on_piece = |what, done| {
            progress.file(what, done, expected.size);
            self.check_space(draft.path(), done, &shown)?;
            stop.check(|| format!("nothing was stored, and the dump was kept as {shown}"))
        };
        let accept = |dump: &Digest| {
            compare(dump, expected).map_err(|difference| {
                let what = format!("{shown} is not what its sidecar says: {difference}");
                Failure::new(Exit::Verification, format!("{what}; nothing was stored, and it was kept: dump again"))
            })
        };
        let (file, form) = (&mut original.file, &self.form);
        let digests = copy::store(file, &path, expected.size, form, &mut |done| on_piece("storing", done), &accept)?;
        let mut on_piece = |done| on_piece("verifying", done);
        let is_right = match form.recipients {
            None => copy::read_back(&path, form.compression, &mut on_piece)? == digests,
            Some(_) => copy::read_back_stored(&path, &mut on_piece)? == digests.stored,
        };
        if !is_right {
            return Err(Failure::new(
                Exit::Store,
                format!(
                    "the copy reads back otherwise than written: check the store's disk; the dump was kept as {shown}"
                ),
            ));
        }
        Ok(digests)
    }

    /// Looks now and then, after `done` bytes of the dump, whether the store's disk has enough space left.
    fn check_space(&self, draft: &Path, done: u64, shown: &str) -> Result<(), Failure> {
        if self.keep_free == 0 || done % SPACE_EVERY >= copy::CHUNK as u64 {
            return Ok(());
        }
        match space(draft) {
            Ok((free, _)) if free < self.keep_free => {
                let [free, keep] = [free, self.keep_free].map(crate::render::bytes);
                let what = format!("the store has only {free} left, and {keep} are to stay free");
                Err(Failure::new(Exit::Store, format!("{what}: free some space; the dump was kept as {shown}")))
            }
            _ => Ok(()),
        }
    }

    fn manifest(&self, original: &Original, facts: &Facts, digests: &Digests) -> Manifest {
        let digest = digests.dump.clone();
        let is_sealed = self.form.recipients.is_some();
        let mut worker = self.worker.clone();
        let mut sidecar = sidecar_path(Path::new(&original.name)).to_string_lossy().into_owned();
        if is_sealed {
            // The manifest is not encrypted, and arguments may hold secrets; the sidecar has them.
            worker.command_line = Vec::new();
            sidecar += seal::SUFFIX;
        }
        Manifest {
            schema: manifest::SCHEMA.into(),
            agent: env!("CARGO_PKG_VERSION").into(),
            host: self.host.clone(),
            app: self.app.clone(),
            worker,
            trigger: self.trigger.clone(),
            source: manifest::Source { path: facts.path.clone(), joined: facts.joined },
            snapshot: manifest::Snapshot::of(&original.meta.snapshot),
            dump: manifest::Dump {
                name: original.name.clone(),
                size: digest.size,
                lines: digest.lines,
                sha256: digest.sha256,
            },
            stored: manifest::Stored {
                name: stored_name(&original.name, &self.form),
                compression: if self.form.compression == Compression::None { "none" } else { "zstd" }.into(),
                encryption: if is_sealed { "age" } else { "none" }.into(),
                size: digests.stored.size,
                sha256: digests.stored.sha256.clone(),
            },
            sidecar,
            times: manifest::Times {
                requested_at: facts.requested_at.to_string(),
                stored_at: Timestamp::now().to_string(),
                gil_wait_ns: facts.gil_wait_ns,
                pause_ns: facts.pause_ns,
            },
        }
    }

    fn remove(&self, original: &Original) -> Originals {
        if self.keep {
            return Originals::Kept;
        }
        match self.directory.remove(original) {
            Ok(()) => Originals::Removed,
            Err(error) => Originals::Stuck(format!(
                "the dump is stored, but the worker's file {} could not be removed: {error}; \
                 remove it and its sidecar by hand",
                self.directory.shown(&original.name)
            )),
        }
    }
}

fn stored_name(dump: &str, form: &Form) -> String {
    format!("{dump}{}", form.suffix())
}

fn schema_name(schema: &str) -> &str {
    schema.split('/').next().unwrap_or(schema)
}

fn compare(dump: &Digest, expected: &meta::File) -> Result<(), String> {
    if dump.size > expected.size {
        return Err(format!("it is longer than {} bytes", expected.size));
    }
    if dump.size != expected.size {
        return Err(format!("it has {} bytes, not {}", dump.size, expected.size));
    }
    if dump.lines != expected.lines {
        return Err(format!("it has {} lines, not {}", dump.lines, expected.lines));
    }
    if !dump.sha256.eq_ignore_ascii_case(&expected.sha256) {
        return Err(format!("its SHA-256 is {}, not {}", dump.sha256, expected.sha256));
    }
    Ok(())
}

/// When the dump was asked for; now, if the block does not say.
fn requested_at(view: &ControlView) -> Timestamp {
    match Timestamp::from_nanosecond(i128::from(view.started_at)) {
        Ok(at) if view.started_at > 0 => at,
        _ => Timestamp::now(),
    }
}

/// `TIME-PID`, with the time in UTC and without colons, which file systems and copying tools dislike.
fn place_name(requested_at: Timestamp, pid: u32) -> String {
    format!("{}-{pid}", requested_at.strftime("%Y%m%dT%H%M%SZ"))
}

fn to_json(manifest: &Manifest) -> Result<Vec<u8>, Failure> {
    let mut json = serde_json::to_vec_pretty(manifest)
        .map_err(|error| Failure::new(Exit::Store, format!("the manifest cannot be written: {error}")))?;
    json.push(b'\n');
    Ok(json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_difference_is_told() {
        let dump = Digest { sha256: "ab".repeat(32), size: 10, lines: 2 };
        let expected =
            |size, lines, sha256: &str| meta::File { name: String::new(), size, lines, sha256: sha256.repeat(32) };
        assert_eq!(compare(&dump, &expected(10, 2, "ab")), Ok(()));
        assert_eq!(compare(&dump, &expected(10, 2, "AB")), Ok(()));
        assert_eq!(compare(&dump, &expected(11, 2, "ab")).unwrap_err(), "it has 10 bytes, not 11");
        assert_eq!(compare(&dump, &expected(9, 2, "ab")).unwrap_err(), "it is longer than 9 bytes");
        assert_eq!(compare(&dump, &expected(10, 3, "ab")).unwrap_err(), "it has 2 lines, not 3");
        assert!(compare(&dump, &expected(10, 2, "cd")).unwrap_err().starts_with("its SHA-256 is abab"));
    }
}

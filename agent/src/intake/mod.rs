//! Taking a published dump in: verified against its sidecar, compressed, stored, read back, and only then removed
//! from the worker's directory.

pub mod catalog;
pub mod copy;
pub mod manifest;
pub mod source;
pub mod store;

use std::path::{Path, PathBuf};

use heapsee_format::control::ControlView;
use heapsee_format::digest::Digest;
use heapsee_format::meta;
use heapsee_format::naming::sidecar_path;
use jiff::Timestamp;

use crate::exit::{Exit, Failure};
use crate::progress::Progress;
use crate::stop::Stop;
use crate::trigger::Published;
use copy::{Compression, Digests};
use manifest::Manifest;
use source::{Directory, Original};
use store::{Draft, Store};

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
    pub compression: Compression,
    /// Whether the worker's files stay.
    pub keep: bool,
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

impl Intake<'_> {
    /// Takes the dump in.
    pub fn run(&self, published: &Published, stop: &Stop, progress: &Progress) -> Result<Stored, Failure> {
        let mut original = self.directory.original(&published.view.last_path)?;
        self.check_identity(&original, &published.view)?;
        let shown = self.directory.shown(&original.name);
        let kept = || format!("nothing was stored, and the dump was kept as {shown}");
        stop.check(kept)?;
        let draft = self.store.begin()?;
        let digests = self.copy(&mut original, &draft, stop, progress)?;
        let manifest = self.manifest(&original, published, &digests);
        draft.write(&manifest.sidecar, &original.sidecar)?;
        draft.write(manifest::NAME, &to_json(&manifest)?)?;
        stop.check(kept)?;
        // From here on the copy is whole: the rest takes no time, and is done even if somebody wants us to stop.
        let place = self.store.commit(draft, &self.app, &place_name(&published.view, self.worker.pid))?;
        Ok(Stored { path: place.join(&manifest.stored.name), originals: self.remove(&original), manifest })
    }

    /// Whether the sidecar is that of this worker's dump, as far as it says.
    fn check_identity(&self, original: &Original, view: &ControlView) -> Result<(), Failure> {
        let (file, process) = (&original.meta.file, &original.meta.process);
        let wrong = |what: String| {
            let shown = self.directory.shown(&original.name);
            Failure::new(Exit::Verification, format!("the sidecar of {shown} {what}: nothing was stored or deleted"))
        };
        if !original.meta.schema.starts_with(schema_name(meta::SCHEMA)) {
            return Err(wrong(format!("has the schema {:?}, not {:?}", original.meta.schema, meta::SCHEMA)));
        }
        if file.sha256.len() != 64 {
            return Err(wrong("has no SHA-256 of the dump".into()));
        }
        if !file.name.is_empty() && file.name != original.name {
            return Err(wrong(format!("is that of {:?}", file.name)));
        }
        let is_other = process.pid != 0 && process.pid != view.pid;
        if is_other || (process.start_time_ticks != 0 && process.start_time_ticks != view.start_time) {
            return Err(wrong(format!("is that of another process, {}", process.pid)));
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
        let path = draft.path().join(stored_name(&original.name, self.compression));
        let on_piece = |what, done| {
            progress.file(what, done, expected.size);
            stop.check(|| format!("nothing was stored, and the dump was kept as {shown}"))
        };
        let accept = |dump: &Digest| {
            compare(dump, expected).map_err(|difference| {
                let what = format!("{shown} is not what its sidecar says: {difference}");
                Failure::new(Exit::Verification, format!("{what}; nothing was stored, and it was kept: dump again"))
            })
        };
        let (file, how) = (&mut original.file, self.compression);
        let digests = copy::store(file, &path, expected.size, how, &mut |done| on_piece("storing", done), &accept)?;
        let again = copy::read_back(&path, how, &mut |done| on_piece("verifying", done))?;
        if again != digests {
            return Err(Failure::new(
                Exit::Store,
                format!(
                    "the copy reads back otherwise than written: check the store's disk; the dump was kept as {shown}"
                ),
            ));
        }
        Ok(digests)
    }

    fn manifest(&self, original: &Original, published: &Published, digests: &Digests) -> Manifest {
        let view = &published.view;
        let digest = digests.dump.clone();
        Manifest {
            schema: manifest::SCHEMA.into(),
            agent: env!("CARGO_PKG_VERSION").into(),
            host: self.host.clone(),
            app: self.app.clone(),
            worker: self.worker.clone(),
            trigger: self.trigger.clone(),
            source: manifest::Source { path: view.last_path.clone(), joined: published.joined },
            dump: manifest::Dump {
                name: original.name.clone(),
                size: digest.size,
                lines: digest.lines,
                sha256: digest.sha256,
            },
            stored: manifest::Stored {
                name: stored_name(&original.name, self.compression),
                compression: if self.compression == Compression::None { "none" } else { "zstd" }.into(),
                size: digests.stored.size,
                sha256: digests.stored.sha256.clone(),
            },
            sidecar: sidecar_path(Path::new(&original.name)).to_string_lossy().into_owned(),
            times: manifest::Times {
                requested_at: requested_at(view).to_string(),
                stored_at: Timestamp::now().to_string(),
                gil_wait_ns: view.gil_wait_ns,
                pause_ns: view.pause_ns,
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

fn stored_name(dump: &str, compression: Compression) -> String {
    format!("{dump}{}", compression.suffix())
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
fn place_name(view: &ControlView, pid: u32) -> String {
    format!("{}-{pid}", requested_at(view).strftime("%Y%m%dT%H%M%SZ"))
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

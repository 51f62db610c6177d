//! Reading a dump file into a [`Heap`]: plain, gzip or zstd, whatever its name says.
//!
//! Plain files are cut into blocks at line ends and parsed on all cores; compressed ones are parsed as they are
//! unpacked. Lines that are no objects are skipped, counted and told of; a file that was cut off is an error unless
//! the caller wants to salvage what there is. Files are read with `pread`, not mapped: a file that shrinks meanwhile
//! is then an error and no SIGBUS, and its pages do not count as our memory.

mod block;
mod error;
mod index;
mod input;
mod memory;
mod parts;
mod sidecar;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::path::Path;

use heapsee_format::meta::Meta;

use crate::heap::{Heap, Source};

pub use error::LoadError;

use index::Key;
use input::{Content, Input};
use sidecar::{Sidecar, Verdict};

/// How to read.
#[derive(Default)]
pub struct LoadOptions<'a> {
    /// Read what there is of a file that was cut off or damaged, and warn, instead of refusing it.
    pub salvage: bool,
    /// Take what an index beside the dump knows instead of reading the dump, and make one if there is none.
    pub index: bool,
    /// Told of bytes of the file done and of its size (0 if that is not known), from any thread, often.
    pub progress: Option<&'a (dyn Fn(u64, u64) + Sync)>,
    /// Told why, at that moment, should the heap be lost while it is in use: see [`Heap::intact`], which says so as well.
    pub on_loss: Option<fn(&LoadError)>,
}

/// Reads a dump and its sidecar, if it has one.
pub fn load(path: &Path, options: &LoadOptions<'_>) -> Result<Heap, LoadError> {
    let input = Input::open(path)?;
    let sidecar = sidecar::find(path);
    // What comes out of a pipe has no time and no place to lie.
    if !(options.index && input.metadata.is_file()) {
        return read(path, input, sidecar, options);
    }
    let key = Key::of(&input.metadata, &input.source.fingerprint, &sidecar.state);
    if let Some(heap) = index::open(path, &key, sidecar.meta.as_ref(), &input.source, options.on_loss) {
        return Ok(heap);
    }
    let is_settled = index::settle(&input.metadata);
    let heap = read(path, input, sidecar, options)?;
    // What was salvaged is not what others want to find; and of a dump that is being written none can be made.
    let is_whole = !options.salvage && is_settled;
    if is_whole && File::open(path).and_then(|file| key.still_holds(&file)).unwrap_or(false) {
        index::save(path, &key, &heap);
    }
    Ok(heap)
}

/// Reads a dump that its index was used of, since that is damaged, and mends the index.
fn read_again(path: &Path, key: &Key) -> Result<Heap, LoadError> {
    let input = Input::open(path)?;
    let sidecar = sidecar::find(path);
    if Key::of(&input.metadata, &input.source.fingerprint, &sidecar.state) != *key {
        return Err(LoadError::Changed(path.to_path_buf()));
    }
    let heap = read(path, input, sidecar, &LoadOptions::default())?;
    index::save(path, key, &heap);
    Ok(heap)
}

/// Reads the dump itself.
fn read(path: &Path, input: Input, sidecar: Sidecar, options: &LoadOptions<'_>) -> Result<Heap, LoadError> {
    let Input { mut source, kind, .. } = input;
    let (parts, broken) = match kind {
        Content::Plain(file) => (block::read_plain(path, &file, source.file_size, options)?, None),
        Content::Stream(stream) => block::read_stream(path, source.file_size, stream, options)?,
    };
    source.text_size = parts.iter().map(|part| part.text_size).sum();
    let survey = parts::survey(path, &parts, options.salvage)?;
    source.text_sum = survey.sum;
    source.broken_lines = survey.broken_lines;
    source.warnings = broken.iter().map(|error| format!("read only in part: {error}")).collect();
    source.warnings.extend(survey.warnings);
    source.warnings.extend(sidecar.warning);
    let meta = match sidecar.meta {
        Some(meta) => accept(path, meta, survey.objects + survey.broken_lines, &mut source, options.salvage)?,
        None => None,
    };
    source.warnings.extend(meta.iter().flat_map(|meta| meta.snapshot.caveats()));
    let rows = parts.into_iter().map(|part| part.rows).collect();
    Heap::from_rows(rows, meta, source).map_err(|error| LoadError::TooLarge { path: path.to_path_buf(), error })
}

/// Uses a sidecar only if it speaks of what was read. If it speaks of more, the file has lost its end at the end of a
/// line, which nothing else would tell.
fn accept(path: &Path, meta: Meta, lines: u64, source: &mut Source, salvage: bool) -> Result<Option<Meta>, LoadError> {
    match sidecar::judge(&meta, source.text_size, lines) {
        Verdict::Agrees => Ok(Some(meta)),
        Verdict::Longer(said) if salvage => {
            source.warnings.push(format!("truncated: its sidecar tells of {said}"));
            Ok(Some(meta))
        }
        Verdict::Longer(said) => {
            let detail = format!("its sidecar tells of {said}");
            Err(LoadError::Truncated { path: path.to_path_buf(), byte: source.text_size, detail })
        }
        Verdict::Differs(said) => {
            source
                .warnings
                .push(format!("its sidecar belongs to another dump and was left out of account: it tells of {said}"));
            Ok(None)
        }
    }
}

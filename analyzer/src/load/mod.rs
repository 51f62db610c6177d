//! Reading a dump file into a [`Heap`]: plain, gzip or zstd, whatever its name says.
//!
//! Plain files are cut into blocks at line ends and parsed on all cores; compressed ones are parsed as they are
//! unpacked. Lines that are no objects are skipped, counted and told of; a file that was cut off is an error unless
//! the caller wants to salvage what there is. Files are read with `pread`, not mapped: a file that shrinks meanwhile
//! is then an error and no SIGBUS, and its pages do not count as our memory.

mod block;
mod error;
mod input;
mod parts;
mod sidecar;
#[cfg(test)]
mod tests;

use std::path::Path;

use heapsee_format::meta::Meta;

use crate::heap::{Heap, Source};

pub use error::LoadError;

use input::{Input, Kind};
use sidecar::Verdict;

/// How to read.
#[derive(Default)]
pub struct LoadOptions<'a> {
    /// Read what there is of a file that was cut off or damaged, and warn, instead of refusing it.
    pub salvage: bool,
    /// Told of bytes of the file done and of its size (0 if that is not known), from any thread, often.
    pub progress: Option<&'a (dyn Fn(u64, u64) + Sync)>,
}

/// Reads a dump and its sidecar, if it has one.
pub fn load(path: &Path, options: &LoadOptions<'_>) -> Result<Heap, LoadError> {
    let Input { mut source, kind } = Input::open(path)?;
    let (parts, broken) = match kind {
        Kind::Plain(file) => (block::read_plain(path, &file, source.file_size, options)?, None),
        Kind::Stream(stream) => block::read_stream(path, source.file_size, stream, options)?,
    };
    source.text_size = parts.iter().map(|part| part.text_size).sum();
    let survey = parts::survey(path, &parts, options.salvage)?;
    source.broken_lines = survey.broken_lines;
    source.warnings = broken.iter().map(|error| format!("read only in part: {error}")).collect();
    source.warnings.extend(survey.warnings);
    let meta = match sidecar::find(path, &mut source.warnings) {
        Some(meta) => accept(path, meta, survey.objects + survey.broken_lines, &mut source, options.salvage)?,
        None => None,
    };
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

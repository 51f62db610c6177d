//! The index of a dump: a file with what reading the dump once has found out, so that it need not be read again.
//!
//! It lies beside the dump as `<dump>.heapsee-index`, or in the cache folder if nothing may be written there. It is
//! used only if it was made of this very dump and sidecar by this very version, and only as far as its checksums hold;
//! in every other case the dump is read as if there were none. That an index cannot be written is no error.
//!
//! Opening one reads its table and nothing else; a section is read, and its checksums are looked at, when it is first
//! asked for. So that a section turns out damaged when its heap is long in use: see [`Opened`].
//!
//! What the sections mean is the business of `heap`; this module knows where they lie, and keeps them from harm.

mod file;
mod key;
mod opened;
mod place;
#[cfg(test)]
mod tests;

use std::io;
use std::path::Path;

use heapsee_format::meta::Meta;
use serde::{Deserialize, Serialize};

use super::LoadError;
use crate::heap::{Heap, Numbers, Source};

pub(super) use key::{Key, settle};
use opened::Opened;

/// What an index knows besides the sections.
#[derive(Serialize, Deserialize)]
struct About {
    key: Key,
    /// Absolute, so that the cache can be tidied up. Bytes: paths need not be UTF-8.
    dump: Vec<u8>,
    numbers: Numbers,
    text_size: u64,
    text_sum: u32,
    broken_lines: u64,
    warnings: Vec<String>,
    /// Whether the sidecar belongs to the dump.
    sidecar_counts: bool,
}

/// The heap of the dump at `path` from its index, if there is one that holds good. `source` is what is known without.
/// `on_loss` is as in [`super::LoadOptions`].
pub(super) fn open(
    path: &Path,
    key: &Key,
    meta: Option<&Meta>,
    source: &Source,
    on_loss: Option<fn(&LoadError)>,
) -> Option<Heap> {
    place::candidates(path).iter().find_map(|candidate| open_one(candidate, key, meta, source, on_loss))
}

fn open_one(
    index: &Path,
    key: &Key,
    meta: Option<&Meta>,
    source: &Source,
    on_loss: Option<fn(&LoadError)>,
) -> Option<Heap> {
    let (sections, about) = file::Sections::open(place::open(index, key)?)?;
    let about: About = serde_json::from_value(about).ok()?;
    if about.key != *key {
        return None;
    }
    let source = Source {
        text_size: about.text_size,
        text_sum: about.text_sum,
        broken_lines: about.broken_lines,
        warnings: about.warnings,
        ..source.clone()
    };
    let meta = meta.filter(|_| about.sidecar_counts).cloned();
    let dump = source.path.clone();
    let opened = Opened { sections, key: key.clone(), dump, numbers: about.numbers.clone(), on_loss };
    Heap::from_sections(Box::new(opened), &about.numbers, meta, source)
}

/// Writes the index of the dump at `path`, where that can be done.
pub(super) fn save(path: &Path, key: &Key, heap: &Heap) {
    for candidate in place::candidates(path) {
        // A place that does not take it is no reason to bother anybody: there may be another, and it is only a cache.
        if save_one(&candidate, path, key, heap).is_ok() {
            return;
        }
    }
}

fn save_one(index: &Path, dump: &Path, key: &Key, heap: &Heap) -> io::Result<()> {
    let sections = heap.sections()?;
    let source = heap.source();
    let absolute = std::path::absolute(dump)?;
    let about = About {
        key: key.clone(),
        dump: std::os::unix::ffi::OsStrExt::as_bytes(absolute.as_os_str()).to_vec(),
        numbers: heap.numbers(),
        text_size: source.text_size,
        text_sum: source.text_sum,
        broken_lines: source.broken_lines,
        warnings: source.warnings.clone(),
        sidecar_counts: heap.meta().is_some(),
    };
    let size = sections.iter().map(|(_, bytes)| bytes.len() as u64).sum();
    let unnamed = place::Unnamed::create(index, size)?;
    file::write(unnamed.file(), &sections, serde_json::to_value(&about)?)?;
    unnamed.publish()
}

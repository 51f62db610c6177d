//! Which PyPI distribution a top-level module came with: from the `*.dist-info` directories on `sys.path`.
//!
//! Read as files, without the GIL and without importing anything, once per process (forked children inherit the
//! answer). What cannot be read is left out.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use heapsee_format::meta::Distribution;

use crate::state::Distributions;
use crate::{gate, state};

/// All distributions on `path` (`sys.path`), by module; an earlier directory wins, as it does for imports.
pub fn known(path: &[PathBuf]) -> Arc<Distributions> {
    if let Some(known) = &state::lock().dumps.distributions {
        return known.clone();
    }
    let mut found = Distributions::new();
    for directory in path {
        scan(directory, &mut found);
    }
    let found = Arc::new(found);
    state::lock().dumps.distributions = Some(found.clone());
    found
}

fn scan(directory: &Path, found: &mut Distributions) {
    for info in dist_infos(directory) {
        let Some(distribution) = read_metadata(&info) else { continue };
        for module in modules(&info) {
            found.entry(module).or_insert_with(|| distribution.clone());
        }
    }
}

fn dist_infos(directory: &Path) -> Vec<PathBuf> {
    let _gate = gate::hold();
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let paths = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "dist-info")).collect()
}

/// `METADATA` is a mail header and then a text, often long: only the header is read.
fn read_metadata(info: &Path) -> Option<Distribution> {
    let _gate = gate::hold();
    let mut distribution = Distribution::default();
    for line in BufReader::new(fs::File::open(info.join("METADATA")).ok()?).lines() {
        let line = line.ok()?;
        if let Some(name) = line.strip_prefix("Name:") {
            name.trim().clone_into(&mut distribution.name);
        } else if let Some(version) = line.strip_prefix("Version:") {
            version.trim().clone_into(&mut distribution.version);
        } else if line.is_empty() {
            break;
        }
    }
    (!distribution.name.is_empty()).then_some(distribution)
}

/// From `RECORD`, the list of files; or, without one, what `top_level.txt` names.
fn modules(info: &Path) -> BTreeSet<String> {
    if let Ok(record) = gate::read_text(info.join("RECORD")) {
        return record.lines().filter_map(recorded_module).collect();
    }
    let named = gate::read_text(info.join("top_level.txt")).unwrap_or_default();
    named.lines().map(str::trim).filter(|name| is_module(name)).map(str::to_owned).collect()
}

/// The top-level module that a line of `RECORD` (`path,hash,size`) is a part of.
fn recorded_module(line: &str) -> Option<String> {
    let path = line.split(',').next()?.trim_start_matches('"');
    let name = match path.split_once('/') {
        Some((package, _)) => package,
        // `six.py`, `_cffi_backend.cpython-311-x86_64-linux-gnu.so`
        None if path.ends_with(".py") || path.ends_with(".so") => path.split('.').next()?,
        None => return None,
    };
    is_module(name).then(|| name.to_owned())
}

fn is_module(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|first| first == '_' || first.is_alphabetic())
        && chars.all(|c| c == '_' || c.is_alphanumeric())
        && name != "__pycache__"
}

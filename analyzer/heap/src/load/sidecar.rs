//! Finding and reading the sidecar of a dump.
//!
//! A dump is read without it, if less is known then: a sidecar that is missing, broken or of another dump is no error.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use heapsee_format::digest::Digester;
use heapsee_format::meta::Meta;
use heapsee_format::naming::sidecar_path;

/// Sidecars are below 1 MB; far more than that is not one.
const SIZE_LIMIT: u64 = 16 << 20;

/// What there is beside a dump.
#[derive(Default)]
pub(super) struct Sidecar {
    /// What it says, if it can be read.
    pub meta: Option<Meta>,
    /// Why it cannot, if there is one.
    pub warning: Option<String>,
    /// Tells one sidecar from another, and from none.
    pub state: String,
}

/// The sidecar of `dump`.
pub(super) fn find(dump: &Path) -> Sidecar {
    for path in candidates(dump) {
        match read(&path) {
            Ok((meta, state)) => return Sidecar { meta: Some(meta), warning: None, state },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                let warning = format!("{}: left out of account: {error}", path.display());
                return Sidecar { meta: None, state: warning.clone(), warning: Some(warning) };
            }
        }
    }
    Sidecar::default()
}

/// Beside the file under its own name, and beside the name it had before it was compressed.
fn candidates(dump: &Path) -> Vec<PathBuf> {
    let mut paths = vec![sidecar_path(dump)];
    if matches!(dump.extension(), Some(extension) if extension == "gz" || extension == "zst") {
        paths.push(sidecar_path(&dump.with_extension("")));
    }
    paths
}

/// The sidecar and its digest.
fn read(path: &Path) -> io::Result<(Meta, String)> {
    let mut text = Vec::new();
    File::open(path)?.take(SIZE_LIMIT + 1).read_to_end(&mut text)?;
    if text.len() as u64 > SIZE_LIMIT {
        return Err(io::Error::other("too large for a sidecar"));
    }
    let meta = serde_json::from_slice(&text).map_err(|error| io::Error::other(format!("not a sidecar: {error}")))?;
    let mut digester = Digester::default();
    digester.update(&text);
    Ok((meta, digester.finish().sha256))
}

/// What a sidecar is worth once the dump was read; with what it says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It speaks of this text.
    Agrees,
    /// The text is shorter than it says: the file lost its end.
    Longer(String),
    /// It speaks of another dump.
    Differs(String),
}

/// Compares a sidecar's figures with what was read: the bytes of text or, if it does not give them, the lines.
pub(super) fn judge(meta: &Meta, text_size: u64, lines: u64) -> Verdict {
    let (said, read, what) = match meta.file.size {
        0 => (meta.counts.objects, lines, "objects"),
        size => (size, text_size, "bytes"),
    };
    let text = format!("{said} {what} where there are {read}");
    match said {
        0 => Verdict::Agrees,
        _ if said == read => Verdict::Agrees,
        _ if said > read => Verdict::Longer(text),
        _ => Verdict::Differs(text),
    }
}

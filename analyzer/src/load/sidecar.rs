//! Finding and reading the sidecar of a dump.
//!
//! A dump is read without it, if less is known then: a sidecar that is missing, broken or of another dump is no error.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use heapsee_format::meta::Meta;
use heapsee_format::naming::sidecar_path;

/// Sidecars are below 1 MB; far more than that is not one.
const SIZE_LIMIT: u64 = 16 << 20;

/// The sidecar of `dump`, if there is one to be read.
pub(super) fn find(dump: &Path, warnings: &mut Vec<String>) -> Option<Meta> {
    for path in candidates(dump) {
        match read(&path) {
            Ok(meta) => return Some(meta),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                warnings.push(format!("{}: left out of account: {error}", path.display()));
                return None;
            }
        }
    }
    None
}

/// Beside the file under its own name, and beside the name it had before it was compressed.
fn candidates(dump: &Path) -> Vec<PathBuf> {
    let mut paths = vec![sidecar_path(dump)];
    if matches!(dump.extension(), Some(extension) if extension == "gz" || extension == "zst") {
        paths.push(sidecar_path(&dump.with_extension("")));
    }
    paths
}

fn read(path: &Path) -> io::Result<Meta> {
    let mut text = Vec::new();
    File::open(path)?.take(SIZE_LIMIT + 1).read_to_end(&mut text)?;
    if text.len() as u64 > SIZE_LIMIT {
        return Err(io::Error::other("too large for a sidecar"));
    }
    serde_json::from_slice(&text).map_err(|error| io::Error::other(format!("not a sidecar: {error}")))
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

//! Cutting a dump's text into blocks of whole lines, and parsing the blocks on all cores.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;

use super::input::Stream;
use super::memory::Budget;
use super::parts::Part;
use super::{LoadError, LoadOptions};
use crate::heap::Rows;

/// Bytes of text in a block, but for the rest of its last line: small enough to stay in the cache of a core and to be
/// shared out evenly, large enough to be worth a task.
pub(super) const BLOCK: u64 = 1 << 21;

/// A line longer than this is refused, so that a file without line ends is not taken into memory whole.
const MAX_LINE: usize = 1 << 31;
/// Only an object with millions of references has a longer line than this.
const LONG_LINE: usize = 1 << 26;

/// Whether a line of which this much has been read can be no object's.
fn is_beyond_measure(line: &[u8]) -> bool {
    let in_references = |line: &[u8]| line.iter().rev().take(1 << 10).all(|byte| b"0123456789, ".contains(byte));
    line.len() > MAX_LINE || (line.len() > LONG_LINE && !in_references(line))
}

/// Reads a regular file of plain text. Block i holds the lines that *start* in its `BLOCK` bytes.
pub(super) fn read_plain(
    path: &Path,
    file: &File,
    size: u64,
    options: &LoadOptions<'_>,
) -> Result<Vec<Part>, LoadError> {
    let done = AtomicU64::new(0);
    let budget = Budget::now();
    (0..size.div_ceil(BLOCK))
        .into_par_iter()
        .map_init(<(Vec<u8>, Rows)>::default, |(buffer, scratch), i| {
            let block = i * BLOCK..((i + 1) * BLOCK).min(size);
            let lines = read_lines(path, file, size, block.clone(), buffer)?;
            let part = parse_within(&budget, path, lines.1, lines.0, scratch)?;
            let now = done.fetch_add(block.end - block.start, Ordering::Relaxed) + block.end - block.start;
            if let Some(progress) = options.progress {
                progress(now, size);
            }
            Ok(part)
        })
        .collect()
}

/// Parses whole lines that start at byte `offset`, unless what was parsed takes more memory than there is.
fn parse_within(budget: &Budget, path: &Path, text: &[u8], offset: u64, scratch: &mut Rows) -> Result<Part, LoadError> {
    let part = Part::parse(text, offset, scratch);
    let memory = |limit| LoadError::Memory { path: path.to_path_buf(), limit };
    budget.take(part.rows.memory()).map_err(memory)?;
    Ok(part)
}

/// The lines that start in `block`, and the byte at which the first one does.
fn read_lines<'b>(
    path: &Path,
    file: &File,
    size: u64,
    block: std::ops::Range<u64>,
    buffer: &'b mut Vec<u8>,
) -> Result<(u64, &'b [u8]), LoadError> {
    // The byte before the block tells whether a line starts right at its beginning.
    let origin = block.start.saturating_sub(1);
    buffer.clear();
    extend(path, file, origin, block.end, buffer)?;
    let skipped = if block.start == 0 {
        0
    } else {
        match buffer[..buffer.len() - 1].iter().position(|&byte| byte == b'\n') {
            Some(at) => at + 1,
            // One line covers the whole block: it belongs to the block it starts in.
            None => return Ok((block.start, &[])),
        }
    };
    let mut step = 1 << 16;
    let mut searched = buffer.len() - 1;
    let end = loop {
        if let Some(at) = buffer[searched..].iter().position(|&byte| byte == b'\n') {
            break searched + at + 1;
        }
        searched = buffer.len();
        let have = origin + buffer.len() as u64;
        if have == size {
            break buffer.len();
        }
        if is_beyond_measure(buffer) {
            let byte = origin + buffer.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at as u64 + 1);
            return Err(LoadError::LineTooLong { path: path.to_path_buf(), byte });
        }
        extend(path, file, have, (have + step).min(size), buffer)?;
        step *= 2;
    };
    Ok((origin + skipped as u64, &buffer[skipped..end]))
}

/// Appends the bytes `from..to` of the file.
fn extend(path: &Path, file: &File, from: u64, to: u64, buffer: &mut Vec<u8>) -> Result<(), LoadError> {
    let have = buffer.len();
    buffer.resize(have + (to - from) as usize, 0);
    file.read_exact_at(&mut buffer[have..], from).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => LoadError::Shrunk(path.to_path_buf()),
        _ => LoadError::from_io(path, error),
    })
}

/// Reads text that comes in order: one thread at a time unpacks the next block while the others parse.
///
/// The second result says how the stream broke, if it did and that was to be borne.
pub(super) fn read_stream(
    path: &Path,
    size: u64,
    stream: Stream,
    options: &LoadOptions<'_>,
) -> Result<(Vec<Part>, Option<LoadError>), LoadError> {
    let taken = stream.taken;
    let broken = Mutex::new(None);
    let blocks = Blocks { path, text: stream.text, rest: Vec::new(), offset: 0, broken: &broken, ended: false };
    let budget = Budget::now();
    let mut parts: Vec<(usize, Part)> = blocks
        .enumerate()
        .par_bridge()
        .map_init(Rows::default, |scratch, (i, (offset, block))| {
            if let Some(progress) = options.progress {
                progress(taken.load(Ordering::Relaxed), size);
            }
            Ok((i, parse_within(&budget, path, &block, offset, scratch)?))
        })
        .collect::<Result<_, LoadError>>()?;
    parts.sort_unstable_by_key(|&(i, _)| i);
    let broken = broken.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    match broken {
        Some(error) if !(options.salvage && can_be_salvaged(&error)) => Err(error),
        broken => Ok((parts.into_iter().map(|(_, part)| part).collect(), broken)),
    }
}

fn can_be_salvaged(error: &LoadError) -> bool {
    matches!(error, LoadError::Truncated { .. } | LoadError::Damaged { .. })
}

/// Blocks of whole lines from a stream, with the byte each starts at.
struct Blocks<'a> {
    path: &'a Path,
    text: Box<dyn Read + Send>,
    /// What was read behind the last line end.
    rest: Vec<u8>,
    /// Where in the text `rest` starts.
    offset: u64,
    broken: &'a Mutex<Option<LoadError>>,
    ended: bool,
}

impl Iterator for Blocks<'_> {
    type Item = (u64, Vec<u8>);

    fn next(&mut self) -> Option<Self::Item> {
        let mut block = std::mem::take(&mut self.rest);
        let offset = self.offset;
        let mut searched = block.len();
        while !self.ended {
            let read = (&mut self.text).take(BLOCK).read_to_end(&mut block);
            match read {
                Ok(read) => self.ended = read == 0,
                Err(error) => self.break_off(offset + block.len() as u64, error),
            }
            if let Some(at) = block[searched..].iter().rposition(|&byte| byte == b'\n') {
                self.rest = block.split_off(searched + at + 1);
                break;
            }
            searched = block.len();
            if is_beyond_measure(&block) {
                self.fail(LoadError::LineTooLong { path: self.path.to_path_buf(), byte: offset });
            }
        }
        self.offset = offset + block.len() as u64;
        if block.is_empty() { None } else { Some((offset, block)) }
    }
}

impl Blocks<'_> {
    fn break_off(&mut self, byte: u64, error: io::Error) {
        let path = self.path.to_path_buf();
        self.fail(match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                LoadError::Truncated { path, byte, detail: "the compressed data ends there".to_owned() }
            }
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::Other => {
                LoadError::Damaged { path, byte, error }
            }
            _ => LoadError::from_io(self.path, error),
        });
    }

    fn fail(&mut self, error: LoadError) {
        self.ended = true;
        self.broken.lock().unwrap_or_else(std::sync::PoisonError::into_inner).replace(error);
    }
}

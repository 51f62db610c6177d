//! The index as a file: sections of plain little-endian numbers, each with checksums, and a table of them at the end.
//!
//! ```text
//! header    magic, version, where the table is, its length and checksum, the header's own checksum
//! sections  each at a multiple of 64 bytes
//! table     JSON: name, place, length and checksums (one for each piece) of every section; then what `about` holds
//! ```
//!
//! Read with `pread` into memory of our own: a file that shrinks or changes meanwhile is a checksum that does not hold,
//! and no SIGBUS. No length in it is believed beyond the length of the file.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::heap::{Section, shares};

/// Changes with every change of the format.
const MAGIC: [u8; 8] = *b"hpsindx\x03";
const HEADER: usize = 32;
const ALIGNMENT: u64 = 64;
/// Bytes under one checksum: small enough to be in the cache still when they are summed up after they were read.
const PIECE: usize = 1 << 18;
/// Enough for the checksums of terabytes.
const LONGEST_TABLE: u64 = 1 << 28;

#[derive(Serialize, Deserialize)]
struct Table {
    sections: Vec<Entry>,
    about: Value,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    name: String,
    at: u64,
    length: u64,
    sums: Vec<u32>,
}

/// Writes sections and what `about` says of them to an empty file.
pub fn write(file: &File, sections: &[Section<'_>], about: Value) -> io::Result<()> {
    let mut entries = Vec::new();
    let mut at = HEADER as u64;
    for (name, bytes) in sections {
        at = at.next_multiple_of(ALIGNMENT);
        entries.push(Entry {
            name: (*name).to_owned(),
            at,
            length: bytes.len() as u64,
            sums: write_at(file, bytes, at)?,
        });
        at += bytes.len() as u64;
    }
    let table = serde_json::to_vec(&Table { sections: entries, about })?;
    file.write_all_at(&table, at)?;
    // The header last: without it there is no index.
    file.write_all_at(&header(at, &table), 0)
}

/// Writes a section; its checksums.
fn write_at(file: &File, bytes: &[u8], at: u64) -> io::Result<Vec<u32>> {
    let pieces = bytes.par_chunks(PIECE).enumerate();
    let write = |(i, piece): (usize, &[u8])| {
        file.write_all_at(piece, at + (i * PIECE) as u64)?;
        Ok(crc32fast::hash(piece))
    };
    pieces.map(write).collect()
}

fn header(table_at: u64, table: &[u8]) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..8].copy_from_slice(&MAGIC);
    header[8..16].copy_from_slice(&table_at.to_le_bytes());
    header[16..24].copy_from_slice(&(table.len() as u64).to_le_bytes());
    header[24..28].copy_from_slice(&crc32fast::hash(table).to_le_bytes());
    let sum = crc32fast::hash(&header[..28]);
    header[28..].copy_from_slice(&sum.to_le_bytes());
    header
}

/// An index open for reading.
pub struct Sections {
    file: File,
    entries: Vec<Entry>,
}

impl Sections {
    /// Reads the table, and gives what it has about the whole; `None` if this is no index, or a damaged one.
    pub fn open(file: File) -> Option<(Sections, Value)> {
        // Its numbers are written as they lie in memory.
        if cfg!(target_endian = "big") {
            return None;
        }
        let size = file.metadata().ok()?.len();
        let mut head = [0; HEADER];
        file.read_exact_at(&mut head, 0).ok()?;
        let table_at = u64::from_le_bytes(*head[8..].first_chunk()?);
        let length = u64::from_le_bytes(*head[16..].first_chunk()?);
        if table_at.checked_add(length)? != size || length > LONGEST_TABLE {
            return None;
        }
        let mut table = vec![0; usize::try_from(length).ok()?];
        file.read_exact_at(&mut table, table_at).ok()?;
        if header(table_at, &table) != head {
            return None;
        }
        let table: Table = serde_json::from_slice(&table).ok()?;
        let inside = |entry: &Entry| entry.at.checked_add(entry.length).is_some_and(|end| end <= table_at);
        table.sections.iter().all(inside).then_some((Sections { file, entries: table.sections }, table.about))
    }

    fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.name == name)
    }

    /// How many bytes a section has, if it is there.
    pub fn length(&self, name: &str) -> Option<u64> {
        self.entry(name).map(|entry| entry.length)
    }

    /// Where in the file a section begins.
    #[cfg(test)]
    pub fn place(&self, name: &str) -> Option<u64> {
        self.entry(name).map(|entry| entry.at)
    }

    /// The numbers of a section, if it is there and its checksums hold.
    pub fn read<T: bytemuck::Pod + Send>(&self, name: &str) -> Option<Vec<T>> {
        let entry = self.entry(name)?;
        let length = usize::try_from(entry.length).ok()?;
        if !length.is_multiple_of(size_of::<T>()) || entry.sums.len() != length.div_ceil(PIECE) {
            return None;
        }
        let mut numbers = vec![T::zeroed(); length / size_of::<T>()];
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut numbers);
        let read = |(i, (piece, &sum)): (usize, (&mut [u8], &u32))| {
            let read = self.file.read_exact_at(piece, entry.at + (i * PIECE) as u64);
            read.is_ok() && crc32fast::hash(piece) == sum
        };
        // Handing one piece over to another thread takes longer than reading it.
        let mut pieces = bytes.chunks_mut(PIECE).zip(&entry.sums).enumerate();
        let good = if length <= PIECE { pieces.all(read) } else { shares::all(pieces.collect(), read) };
        good.then_some(numbers)
    }
}

//! Opening a dump: what kind of file it is, by its first bytes, and what is known about it.

use std::fs::{File, Metadata};
use std::io::{self, BufReader, Cursor, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use heapsee_format::digest::Digester;

use super::LoadError;
use crate::heap::Source;

/// Bytes at each end of a file that go into its fingerprint.
const FINGERPRINT_ENDS: u64 = 1 << 16;

/// An open dump.
pub(super) struct Input {
    pub source: Source,
    pub metadata: Metadata,
    pub kind: Content,
}

/// How to get at its text.
pub(super) enum Content {
    /// A regular file of plain text: any part can be read at any time.
    Plain(File),
    /// Compressed, or a pipe: from the beginning to the end.
    Stream(Stream),
}

/// Text that comes in order.
pub(super) struct Stream {
    /// The text, unpacked.
    pub text: Box<dyn Read + Send>,
    /// Bytes of the file taken so far: for progress, since how much text there will be is not known.
    pub taken: Arc<AtomicU64>,
}

impl Input {
    /// Opens the file and looks at its beginning.
    pub(super) fn open(path: &Path) -> Result<Input, LoadError> {
        let io = |error| LoadError::from_io(path, error);
        let mut file = File::open(path).map_err(io)?;
        let metadata = file.metadata().map_err(io)?;
        if metadata.is_dir() {
            return Err(LoadError::Directory(path.to_path_buf()));
        }
        let mut head = Vec::new();
        file.by_ref().take(4).read_to_end(&mut head).map_err(io)?;
        if head.is_empty() {
            return Err(LoadError::Empty(path.to_path_buf()));
        }
        let regular = metadata.is_file();
        let source = Source {
            path: path.to_path_buf(),
            file_size: metadata.len(),
            modified: metadata.modified().ok(),
            fingerprint: if regular { fingerprint(&file, metadata.len()).map_err(io)? } else { String::new() },
            ..Source::default()
        };
        let packing = Packing::of(&head);
        if regular && packing == Packing::None {
            return Ok(Input { source, metadata, kind: Content::Plain(file) });
        }
        let taken = Arc::new(AtomicU64::new(0));
        let raw = Counted { inner: Cursor::new(head).chain(file), taken: Arc::clone(&taken) };
        let text = packing.unpack(raw).map_err(io)?;
        Ok(Input { source, metadata, kind: Content::Stream(Stream { text, taken }) })
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Packing {
    None,
    Gzip,
    Zstd,
}

impl Packing {
    fn of(head: &[u8]) -> Packing {
        match head {
            [0x1f, 0x8b, ..] => Packing::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd] => Packing::Zstd,
            _ => Packing::None,
        }
    }

    fn unpack(self, raw: impl Read + Send + 'static) -> io::Result<Box<dyn Read + Send>> {
        let raw = BufReader::with_capacity(1 << 18, raw);
        Ok(match self {
            Packing::None => Box::new(raw),
            Packing::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(raw)),
            Packing::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(raw)?),
        })
    }
}

/// Counts what is read through it.
struct Counted<R> {
    inner: R,
    taken: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.taken.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// Of the file as it lies on disk, packed or not.
fn fingerprint(file: &File, size: u64) -> io::Result<String> {
    let mut digester = Digester::default();
    digester.update(&size.to_le_bytes());
    let mut end = vec![0; FINGERPRINT_ENDS.min(size) as usize];
    for offset in [0, size - end.len() as u64] {
        file.read_exact_at(&mut end, offset)?;
        digester.update(&end);
    }
    Ok(digester.finish().sha256)
}

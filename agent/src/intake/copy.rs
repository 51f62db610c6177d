//! Copying a dump into the store in one pass that compresses and takes both digests; and reading the copy back.
//!
//! Neither decides what the digests ought to be.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use heapsee_format::digest::{Digest, Digester};
use rustix::fs::{Advice, fadvise};
use zstd::stream::{read::Decoder, write::Encoder};

use crate::exit::{Exit, Failure};
use crate::seal::{self, Recipients, Sealing};

/// How much is read at a time: a stop request is looked at this often.
pub const CHUNK: usize = 1 << 18;

/// How the copy is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// As it is.
    None,
    /// zstd of that level.
    Zstd(i32),
}

impl Compression {
    /// What the stored file has behind the dump's name.
    pub fn suffix(self) -> &'static str {
        match self {
            Compression::None => "",
            Compression::Zstd(_) => ".zst",
        }
    }
}

/// How a copy is written.
#[derive(Clone)]
pub struct Form {
    /// How it is compressed.
    pub compression: Compression,
    /// Whom it is encrypted to, after that.
    pub recipients: Option<Recipients>,
}

impl Form {
    /// What the stored file has behind the dump's name.
    pub fn suffix(&self) -> String {
        format!("{}{}", self.compression.suffix(), if self.recipients.is_some() { seal::SUFFIX } else { "" })
    }
}

impl From<Compression> for Form {
    fn from(compression: Compression) -> Form {
        Form { compression, recipients: None }
    }
}

/// The digests of a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digests {
    /// Of the dump.
    pub dump: Digest,
    /// Of the stored file; its lines are not counted.
    pub stored: Digest,
}

/// Called after each piece with the number of the dump's bytes so far; an error stops the work.
pub type OnPiece<'a> = &'a mut dyn FnMut(u64) -> Result<(), Failure>;

/// Decides whether a dump is what it should be, once all of it was read.
pub type Accept<'a> = &'a dyn Fn(&Digest) -> Result<(), Failure>;

/// Copies `from` to a new file `to`, synced, if `accept` finds it right. Of a dump that is longer than `size` only a
/// little more is read.
pub fn store(
    from: &mut File,
    to: &Path,
    size: u64,
    form: &Form,
    on_piece: OnPiece<'_>,
    accept: Accept<'_>,
) -> Result<Digests, Failure> {
    let failed = |error| write_failure(to, &error);
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to).map_err(failed)?;
    let mut sink = Sink::new(Hashing::new(file), form, size).map_err(failed)?;
    let mut digester = Digester::default();
    let mut done = 0;
    let mut buffer = vec![0; CHUNK];
    loop {
        let n = read_piece(from, &mut buffer).map_err(|error| {
            Failure::new(Exit::Store, format!("the worker's dump cannot be read: {error}; it was kept"))
        })?;
        if n == 0 {
            break;
        }
        digester.update(&buffer[..n]);
        done += n as u64;
        if done > size {
            break;
        }
        sink.write_all(&buffer[..n]).map_err(failed)?;
        on_piece(done)?;
    }
    let dump = digester.finish();
    accept(&dump)?;
    let (file, stored) = sink.finish().map_err(failed)?;
    file.sync_all().map_err(failed)?;
    Ok(Digests { dump, stored })
}

/// Reads a stored file back, from the disk where the kernel allows that, and takes its digests anew.
pub fn read_back(path: &Path, how: Compression, on_piece: OnPiece<'_>) -> Result<Digests, Failure> {
    let failed = |error: io::Error| {
        Failure::new(
            Exit::Store,
            format!("the copy {} cannot be read back: {error}; the worker's files were kept", path.display()),
        )
    };
    let file = File::open(path).map_err(failed)?;
    // What is in the page cache was just verified; what is on the disk was not. Advice may be ignored.
    let _ = fadvise(&file, 0, None, Advice::DontNeed);
    let mut stored = Hashing::new(file);
    let mut digester = Digester::default();
    let mut done = 0;
    let mut buffer = vec![0; CHUNK];
    let mut reader: Box<dyn Read + '_> = match how {
        Compression::None => Box::new(&mut stored),
        Compression::Zstd(_) => {
            Box::new(Decoder::with_buffer(BufReader::with_capacity(CHUNK, &mut stored)).map_err(failed)?)
        }
    };
    loop {
        let n = read_piece(&mut reader, &mut buffer).map_err(failed)?;
        if n == 0 {
            break;
        }
        digester.update(&buffer[..n]);
        done += n as u64;
        on_piece(done)?;
    }
    drop(reader);
    Ok(Digests { dump: digester.finish(), stored: stored.digester.finish() })
}

/// Reads a stored file back like [`read_back`], but only its own digest: it is encrypted, or its meaning is known.
pub fn read_back_stored(path: &Path, on_piece: OnPiece<'_>) -> Result<Digest, Failure> {
    read_back(path, Compression::None, on_piece).map(|digests| digests.stored)
}

/// A failure to write below `path`.
pub fn write_failure(path: &Path, error: &io::Error) -> Failure {
    let advice = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free some space or choose another --store",
        io::ErrorKind::FileTooLarge => "raise the file size limit (ulimit -f)",
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => "choose a --store that you may write to",
        _ => "choose another --store",
    };
    Failure::new(
        Exit::Store,
        format!("{} cannot be written: {error}; {advice}; the worker's files were kept", path.display()),
    )
}

fn read_piece(from: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match from.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

/// Where the copy goes.
enum Sink {
    Plain(Out),
    Zstd(Encoder<'static, Out>),
}

impl Sink {
    fn new(file: Hashing, form: &Form, size: u64) -> io::Result<Sink> {
        let out = match &form.recipients {
            None => Out::Clear(file),
            Some(recipients) => Out::Sealed(Box::new(recipients.wrap(file)?)),
        };
        let Compression::Zstd(level) = form.compression else { return Ok(Sink::Plain(out)) };
        let mut encoder = Encoder::new(out, level)?;
        encoder.include_checksum(true)?;
        // A reader can then show how far it is, and allocate once. Zero would mean an empty file.
        if size > 0 {
            encoder.set_pledged_src_size(Some(size))?;
        }
        Ok(Sink::Zstd(encoder))
    }

    fn write_all(&mut self, piece: &[u8]) -> io::Result<()> {
        match self {
            Sink::Plain(out) => out.write_all(piece),
            Sink::Zstd(out) => out.write_all(piece),
        }
    }

    fn finish(self) -> io::Result<(File, Digest)> {
        let out = match self {
            Sink::Plain(out) => out,
            Sink::Zstd(out) => out.finish()?,
        };
        let out = match out {
            Out::Clear(out) => out,
            Out::Sealed(out) => out.finish()?,
        };
        Ok((out.file, out.digester.finish()))
    }
}

/// What comes behind the compression.
enum Out {
    Clear(Hashing),
    Sealed(Box<Sealing<Hashing>>),
}

impl Write for Out {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        match self {
            Out::Clear(out) => out.write(piece),
            Out::Sealed(out) => out.write(piece),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Out::Clear(out) => out.flush(),
            Out::Sealed(out) => out.flush(),
        }
    }
}

/// A file whose bytes are digested as they go by.
struct Hashing {
    file: File,
    digester: Digester,
}

impl Hashing {
    fn new(file: File) -> Hashing {
        Hashing { file, digester: Digester::default() }
    }
}

impl Write for Hashing {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        let n = self.file.write(piece)?;
        self.digester.update_counted(&piece[..n], 0);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Read for Hashing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read(buffer)?;
        self.digester.update_counted(&buffer[..n], 0);
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] = b"one\ntwo\nthree\n";

    fn source(directory: &Path) -> File {
        let path = directory.join("source");
        std::fs::write(&path, TEXT).unwrap();
        File::open(path).unwrap()
    }

    #[test]
    fn a_copy_reads_back_as_it_was_stored() {
        for how in [Compression::None, Compression::Zstd(3), Compression::Zstd(19)] {
            let directory = tempfile::tempdir().unwrap();
            let to = directory.path().join("copy");
            let stored =
                store(&mut source(directory.path()), &to, TEXT.len() as u64, &how.into(), &mut |_| Ok(()), &|_| Ok(()))
                    .unwrap();
            assert_eq!((stored.dump.size, stored.dump.lines), (14, 3));
            assert_eq!(read_back(&to, how, &mut |_| Ok(())).unwrap(), stored);
        }
    }

    #[test]
    fn a_changed_copy_does_not_read_back() {
        for how in [Compression::None, Compression::Zstd(3)] {
            let directory = tempfile::tempdir().unwrap();
            let to = directory.path().join("copy");
            let stored =
                store(&mut source(directory.path()), &to, TEXT.len() as u64, &how.into(), &mut |_| Ok(()), &|_| Ok(()))
                    .unwrap();
            let mut bytes = std::fs::read(&to).unwrap();
            *bytes.last_mut().unwrap() ^= 1;
            std::fs::write(&to, bytes).unwrap();
            assert!(read_back(&to, how, &mut |_| Ok(())).map_or(true, |again| again != stored));
        }
    }

    #[test]
    fn a_dump_that_is_too_long_is_not_read_to_its_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("long");
        std::fs::write(&path, vec![b'x'; 8 * CHUNK]).unwrap();
        let mut from = File::open(&path).unwrap();
        let copy = directory.path().join("copy");
        let refuse = |dump: &Digest| Err(Failure::new(Exit::Verification, dump.size.to_string()));
        let refused = store(&mut from, &copy, 5, &Compression::Zstd(3).into(), &mut |_| Ok(()), &refuse);
        assert_eq!(refused, Err(Failure::new(Exit::Verification, CHUNK.to_string())));
    }

    #[test]
    fn a_piece_can_stop_the_work() {
        let directory = tempfile::tempdir().unwrap();
        let failure = Failure::new(Exit::Interrupted, "stop");
        let mut stop = |_| Err(failure.clone());
        let (mut from, copy) = (source(directory.path()), directory.path().join("copy"));
        assert_eq!(
            store(&mut from, &copy, 14, &Compression::None.into(), &mut stop, &|_| Ok(())),
            Err(failure.clone())
        );
    }
}

//! A file of a collected dump, read piece by piece on its way out, and digested all the way.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use heapsee_format::digest::Digester;

use super::trouble::{Kind, Trouble};
use crate::intake::shipped::Object;

/// The file, and what it has to be.
pub struct Source {
    file: File,
    object: Object,
    digester: Digester,
    /// Bytes read so far.
    done: u64,
}

impl Source {
    /// Opens the file of `object` in the directory of a dump.
    pub fn open(directory: &Path, object: &Object) -> Result<Source, Trouble> {
        let path = directory.join(&object.name);
        let file = File::open(&path).map_err(|error| unreadable(&object.name, &error))?;
        Ok(Source { file, object: object.clone(), digester: Digester::default(), done: 0 })
    }

    /// How many bytes are still to be read.
    pub fn left(&self) -> u64 {
        self.object.size.saturating_sub(self.done)
    }

    /// The next `size` bytes, or what is left. Whoever takes the last piece knows that all of it was right.
    pub fn piece(&mut self, size: u64) -> Result<Vec<u8>, Trouble> {
        let size = size.min(self.left());
        let mut piece = Vec::new();
        let length = usize::try_from(size).map_err(|_| self.damaged())?;
        piece.try_reserve_exact(length).map_err(|_| {
            Trouble::new(
                Kind::Outage,
                format!("there is no memory for a part of {size} bytes: choose a smaller part_size"),
            )
        })?;
        let read = (&mut self.file).take(size).read_to_end(&mut piece);
        read.map_err(|error| unreadable(&self.object.name, &error))?;
        self.digester.update_counted(&piece, 0);
        self.done += piece.len() as u64;
        if piece.len() as u64 != size || (self.left() == 0 && self.is_damaged()) {
            return Err(self.damaged());
        }
        Ok(piece)
    }

    fn is_damaged(&mut self) -> bool {
        let is_longer = self.file.read(&mut [0]).map_or(true, |n| n > 0);
        is_longer || !self.digester.clone().finish().sha256.eq_ignore_ascii_case(&self.object.sha256)
    }

    fn damaged(&self) -> Trouble {
        let name = &self.object.name;
        Trouble::new(
            Kind::Damaged,
            format!("{name} is no longer what its manifest says: check the store's disk; it was not shipped"),
        )
    }
}

fn unreadable(name: &str, error: &io::Error) -> Trouble {
    Trouble::new(Kind::Damaged, format!("{name} cannot be read: {error}; it was not shipped"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use heapsee_format::digest::copy;

    fn object(bytes: &[u8]) -> Object {
        let digest = copy(&mut &bytes[..], &mut std::io::sink()).unwrap();
        Object { name: "x".into(), size: digest.size, sha256: digest.sha256 }
    }

    fn pieces(stored: &[u8], object: &Object) -> Result<Vec<u8>, Trouble> {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("x"), stored).unwrap();
        let mut source = Source::open(directory.path(), object)?;
        let mut all = source.piece(3)?;
        while source.left() > 0 {
            all.extend(source.piece(3)?);
        }
        Ok(all)
    }

    #[test]
    fn what_is_right_comes_whole() {
        for bytes in [&b""[..], b"a", b"abc", b"abcd", b"abcdef"] {
            assert_eq!(pieces(bytes, &object(bytes)).unwrap(), bytes);
        }
    }

    #[test]
    fn what_is_damaged_never_comes_to_its_end() {
        for stored in [&b""[..], b"abcd", b"abcdef", b"abcdx"] {
            assert_eq!(pieces(stored, &object(b"abcde")).unwrap_err().kind, Kind::Damaged);
        }
        assert_eq!(pieces(b"x", &object(b"")).unwrap_err().kind, Kind::Damaged);
    }
}

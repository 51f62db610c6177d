//! The digest of a dump: SHA-256, size in bytes and number of lines, gathered as the bytes go by.

use std::io::{self, Read, Write};

use sha2::{Digest as _, Sha256};

/// SHA-256 (lower-case hex), size in bytes and number of lines (line feeds) of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest {
    /// SHA-256 of all bytes, 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// Bytes.
    pub size: u64,
    /// Line feeds.
    pub lines: u64,
}

/// Gathers a [`Digest`] from pieces.
#[derive(Clone, Default)]
pub struct Digester {
    sha256: Sha256,
    size: u64,
    lines: u64,
}

impl Digester {
    /// Takes the next piece, which has `lines` line feeds (the writer of lines has counted them anyway).
    pub fn update_counted(&mut self, piece: &[u8], lines: u64) {
        self.sha256.update(piece);
        self.size += piece.len() as u64;
        self.lines += lines;
    }

    /// Takes the next piece and counts its line feeds.
    pub fn update(&mut self, piece: &[u8]) {
        self.update_counted(piece, piece.iter().filter(|&&byte| byte == b'\n').count() as u64);
    }

    /// The digest of all pieces so far.
    pub fn finish(self) -> Digest {
        let mut sha256 = String::with_capacity(64);
        for byte in self.sha256.finalize() {
            for nibble in [byte >> 4, byte & 15] {
                sha256.push(char::from_digit(u32::from(nibble), 16).unwrap_or('?'));
            }
        }
        Digest { sha256, size: self.size, lines: self.lines }
    }
}

/// Copies `from` to `to` and returns the digest of what was copied.
pub fn copy(from: &mut dyn Read, to: &mut dyn Write) -> io::Result<Digest> {
    let mut digester = Digester::default();
    let mut buffer = vec![0; 1 << 18];
    loop {
        let n = match from.read(&mut buffer) {
            Ok(0) => return Ok(digester.finish()),
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        digester.update(&buffer[..n]);
        to.write_all(&buffer[..n])?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answer() {
        let mut out = Vec::new();
        let digest = copy(&mut &b"abc\nd\n"[..], &mut out).unwrap();
        assert_eq!(out, b"abc\nd\n");
        assert_eq!((digest.size, digest.lines), (6, 2));
        // printf 'abc\nd\n' | sha256sum
        assert_eq!(digest.sha256, "f1282259787bfe9fdf238df6902c274868c76f7682758c9ec0fbe5fe47c82677");
    }
}

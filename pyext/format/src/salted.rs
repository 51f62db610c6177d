//! Values told apart without being told: what a line has in place of a value with `values="hash"`.
//!
//! SHA-256 over a secret salt and the whole value, cut to 64 bits. Who does not have the salt cannot try values out,
//! however few there are to try; the salt is in no file. Equal values of one process have equal hashes, in all its dumps
//! and in those of its forked children.

use sha2::{Digest as _, Sha256};

/// Bytes of a salt: one block of SHA-256, so that it is digested once and not with every value.
pub const SALT_SIZE: usize = 64;

/// A salt, digested.
#[derive(Clone)]
pub struct Salt(Sha256);

/// Of what kind a value is: equal bytes of different kinds are different values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ValueKind {
    /// Characters of one byte, of two, of four.
    Text1 = 1,
    /// See [`ValueKind::Text1`].
    Text2 = 2,
    /// See [`ValueKind::Text1`].
    Text4 = 4,
    /// Bytes.
    Bytes = 5,
    /// An integer of 64 bits.
    Int = 6,
}

impl Salt {
    /// A salt from random bytes.
    pub fn new(random: &[u8; SALT_SIZE]) -> Salt {
        Salt(Sha256::new_with_prefix(random))
    }

    /// The hash of a value.
    pub fn hash(&self, kind: ValueKind, value: impl FnOnce(&mut dyn FnMut(&[u8]))) -> u64 {
        let mut sha256 = self.0.clone();
        sha256.update([kind as u8]);
        value(&mut |piece| sha256.update(piece));
        let digest = sha256.finalize();
        u64::from_be_bytes(std::array::from_fn(|i| digest[i]))
    }
}

impl std::fmt::Debug for Salt {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Salt(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(salt: u8, kind: ValueKind, value: &[u8]) -> u64 {
        Salt::new(&[salt; SALT_SIZE]).hash(kind, |take| take(value))
    }

    #[test]
    fn equal_values_only() {
        let one = hash(1, ValueKind::Bytes, b"value");
        assert_eq!(one, hash(1, ValueKind::Bytes, b"value"));
        assert_ne!(one, hash(2, ValueKind::Bytes, b"value"));
        assert_ne!(one, hash(1, ValueKind::Text1, b"value"));
        assert_ne!(one, hash(1, ValueKind::Bytes, b"Value"));
    }

    #[test]
    fn the_salt_is_not_shown() {
        assert_eq!(format!("{:?}", Salt::new(&[7; SALT_SIZE])), "Salt(…)");
    }

    #[test]
    fn it_is_sha_256_cut() {
        let mut sha256 = Sha256::new();
        sha256.update([3; SALT_SIZE]);
        sha256.update([5]);
        sha256.update(b"value");
        assert_eq!(hash(3, ValueKind::Bytes, b"value").to_be_bytes(), sha256.finalize()[..8]);
    }
}

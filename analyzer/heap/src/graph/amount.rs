//! Objects and bytes, counted together.

use serde::Serialize;

/// How much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Amount {
    /// Objects.
    pub objects: u64,
    /// Sum of their shallow sizes.
    pub bytes: u64,
}

impl std::ops::AddAssign for Amount {
    /// Bytes saturate: a dump may say anything of sizes.
    fn add_assign(&mut self, other: Amount) {
        self.objects += other.objects;
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}

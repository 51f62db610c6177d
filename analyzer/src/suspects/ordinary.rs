//! What every process has, by the name of the place.
//!
//! Some tables of the standard library and of frameworks are large in any process that uses them. They are suspects
//! only when they have become far larger than they are in practice.

/// Beyond this, a table is not ordinary any more.
const ORDINARY_BYTES: u64 = 32 << 20;

/// Beginnings of the places of such tables, as expressions without `sys.modules`.
const TABLES: [&str; 1] = ["linecache.cache"];

/// Whether a place with this name and these bytes is one that every process has.
pub fn is_ordinary(place: &str, bytes: u64) -> bool {
    bytes < ORDINARY_BYTES && TABLES.iter().any(|table| place.starts_with(table))
}

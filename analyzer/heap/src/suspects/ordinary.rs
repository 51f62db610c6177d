//! What every process has, by the name of the place.
//!
//! Some tables of the standard library are large in any process that uses them. They are suspects only when there is
//! more in them than the process has use for.

use super::{Finding, Kinds};
use crate::naming::Expression;

/// Beyond this, a table is not ordinary any more.
const ORDINARY_BYTES: u64 = 32 << 20;
/// A table of files has one entry a module, and some for what was not imported.
const FILES_BESIDE_MODULES: u64 = 100;

/// Such tables, with an entry for each file of a program: module and attribute.
const TABLES: [(&str, &str); 1] = [("linecache", "cache")];

/// Whether a place with this path is one that every process has.
pub fn is_ordinary(kinds: &Kinds<'_>, path: &Expression, suspect: &Finding) -> bool {
    let modules = kinds.modules().count() as u64;
    is_table(path) && suspect.amount.bytes < ORDINARY_BYTES && suspect.contents.total <= modules + FILES_BESIDE_MODULES
}

fn is_table(path: &Expression) -> bool {
    TABLES.iter().any(|(module, attribute)| path.leads_through(module, attribute))
}

//! What every process has, by the name of the place.
//!
//! Some tables of the standard library are large in any process that uses them. They are suspects only when there is
//! more in them than the process has use for.

use super::{Kinds, Suspect};

/// Beyond this, a table is not ordinary any more.
const ORDINARY_BYTES: u64 = 32 << 20;
/// A table of files has one entry a module, and some for what was not imported.
const FILES_BESIDE_MODULES: u64 = 100;

/// Such tables, with an entry for each file of a program: module and attribute.
const TABLES: [(&str, &str); 1] = [("linecache", "cache")];

/// Whether a place with this name is one that every process has.
pub fn is_ordinary(kinds: &Kinds<'_>, place: &str, suspect: &Suspect) -> bool {
    let modules = kinds.modules().count() as u64;
    is_table(place) && suspect.amount.bytes < ORDINARY_BYTES && suspect.contents.total <= modules + FILES_BESIDE_MODULES
}

fn is_table(place: &str) -> bool {
    TABLES.iter().any(|(module, attribute)| {
        // Without a sidecar nothing says what `sys.modules` is, and the module stands in brackets.
        place.starts_with(&format!("{module}.{attribute}")) || place.contains(&format!("['{module}'].{attribute}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn source_lines_of_tracebacks_are_ordinary() {
        assert!(is_table("linecache.cache"));
        assert!(is_table("<dict at 0x10>['modules']['linecache'].cache"));
        assert!(is_table("linecache.cache['/usr/lib/a.py'][2]"));
        assert!(!is_table("my.linecache.cache"));
        assert!(!is_table("app.cache"));
    }
}

//! What every process has, by the name of the place.
//!
//! Some tables of the standard library and of frameworks are large in any process that uses them. They are suspects
//! only when they have become far larger than they are in practice.

/// Beyond this, a table is not ordinary any more.
const ORDINARY_BYTES: u64 = 32 << 20;

/// Such tables: module and attribute.
const TABLES: [(&str, &str); 1] = [("linecache", "cache")];

/// Whether a place with this name and these bytes is one that every process has.
pub fn is_ordinary(place: &str, bytes: u64) -> bool {
    let is = |&(module, attribute): &(&str, &str)| {
        // Without a sidecar nothing says what `sys.modules` is, and the module stands in brackets.
        place.starts_with(&format!("{module}.{attribute}")) || place.contains(&format!("['{module}'].{attribute}"))
    };
    bytes < ORDINARY_BYTES && TABLES.iter().any(is)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn source_lines_of_tracebacks_are_ordinary() {
        assert!(is_ordinary("linecache.cache", 9_000_000));
        assert!(is_ordinary("<dict at 0x10>['modules']['linecache'].cache", 9_000_000));
        assert!(is_ordinary("linecache.cache['/usr/lib/a.py'][2]", 900_000));
        assert!(!is_ordinary("linecache.cache", 90_000_000), "not any more");
        assert!(!is_ordinary("my.linecache.cache", 9_000_000));
        assert!(!is_ordinary("app.cache", 9_000_000));
    }
}

//! File names of dumps, sidecars and temporaries.
//!
//! A dump is `meliae.<datetime.isoformat()>.<pid>.dump` (the seed's name). Its sidecar has the same name with
//! `.meta.json` added. A temporary starts with [`TEMP_PREFIX`] and names its writer, so that a leftover of a dead
//! writer can be recognised and swept.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// What every temporary file of a dump in progress starts with.
pub const TEMP_PREFIX: &str = ".heapsee-";
/// What every temporary file ends with.
pub const TEMP_SUFFIX: &str = ".tmp";
/// What a dump's sidecar has behind the dump's own name.
pub const SIDECAR_SUFFIX: &str = ".meta.json";

/// The name of a dump taken at `isoformat` (`datetime.isoformat()` of the local time) by process `pid`, as that
/// process knows itself (in a container: the namespace's pid).
pub fn dump_name(isoformat: &str, pid: u32) -> String {
    format!("meliae.{isoformat}.{pid}.dump")
}

/// The sidecar of `dump`: the same path with [`SIDECAR_SUFFIX`] added.
pub fn sidecar_path(dump: &Path) -> PathBuf {
    let mut name = OsString::from(dump.as_os_str());
    name.push(SIDECAR_SUFFIX);
    PathBuf::from(name)
}

/// The name of a temporary of `writer` (a pid), started at `start_time` (its start time in clock ticks since boot).
/// `serial` tells several temporaries of one writer apart.
pub fn temp_name(writer: u32, start_time: u64, serial: u32) -> String {
    format!("{TEMP_PREFIX}{writer}-{start_time}-{serial}{TEMP_SUFFIX}")
}

/// Who wrote a temporary: the parts of a [`temp_name`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TempName {
    /// The writer's pid, as it knows itself.
    pub writer: u32,
    /// The writer's start time in clock ticks since boot.
    pub start_time: u64,
}

/// Reads a file name made by [`temp_name`]; `None` for any other.
pub fn parse_temp_name(name: &str) -> Option<TempName> {
    let inner = name.strip_prefix(TEMP_PREFIX)?.strip_suffix(TEMP_SUFFIX)?;
    let mut parts = inner.splitn(3, '-');
    let writer = parts.next()?.parse().ok()?;
    let start_time = parts.next()?.parse().ok()?;
    parts.next()?.parse::<u32>().ok()?;
    Some(TempName { writer, start_time })
}

/// A dump's name taken apart: the parts of a [`dump_name`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DumpName {
    /// The local time of the request, as `datetime.isoformat()` writes it.
    pub isoformat: String,
    /// The worker's pid, as it knows itself.
    pub pid: u32,
}

/// Reads a file name made by [`dump_name`]; `None` for any other.
pub fn parse_dump_name(name: &str) -> Option<DumpName> {
    let inner = name.strip_prefix("meliae.")?.strip_suffix(".dump")?;
    let (isoformat, pid) = inner.rsplit_once('.')?;
    Some(DumpName { isoformat: isoformat.to_owned(), pid: pid.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dump_names_round_trip() {
        let name = dump_name("2026-11-24T05:23:23.000123", 4711);
        assert_eq!(name, "meliae.2026-11-24T05:23:23.000123.4711.dump");
        let parsed = parse_dump_name(&name).unwrap();
        assert_eq!((parsed.isoformat.as_str(), parsed.pid), ("2026-11-24T05:23:23.000123", 4711));
        assert_eq!(parse_dump_name("meliae.x.dump"), None);
        assert_eq!(parse_dump_name("other.2026.1.dump"), None);
    }

    #[test]
    fn temporaries_name_their_writer() {
        let name = temp_name(12, 3456, 1);
        assert_eq!(parse_temp_name(&name), Some(TempName { writer: 12, start_time: 3456 }));
        assert_eq!(parse_temp_name(".heapsee-12-3456.tmp"), None);
        assert_eq!(parse_temp_name(".heapsee-x-3456-1.tmp"), None);
    }

    #[test]
    fn the_sidecar_stands_beside_the_dump() {
        assert_eq!(sidecar_path(Path::new("/d/meliae.x.1.dump")), Path::new("/d/meliae.x.1.dump.meta.json"));
    }
}

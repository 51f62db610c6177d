//! Reports as JSON, for scripts: every report carries its `schema`.

use std::io::{self, Write};

use serde::Serialize;

/// Writes a report, indented, with a line end.
pub fn write(out: &mut dyn Write, report: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, report)?;
    out.write_all(b"\n")
}

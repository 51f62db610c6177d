//! The heap by package and by thread, and the process's memory around it, as text.

use std::io::{self, Write};

use super::grid::Align::{Left, Right};
use super::table::table;
use super::text::mebibytes;
use super::waste::notes;
use crate::report::packages::{PackageRow, Packages};

/// Packages, most bytes first.
pub fn packages(out: &mut dyn Write, packages: &Packages) -> io::Result<()> {
    let total = packages.total;
    writeln!(out, "{} objects, {} bytes ({})\n", total.objects, total.bytes, mebibytes(total.bytes))?;
    let row = |row: &PackageRow| {
        let retained = row.retained.map_or("-".to_owned(), |retained| retained.bytes.to_string());
        let version = row.package.version.clone().unwrap_or_default();
        let shallow = row.shallow;
        let kind = row.package.kind.to_string();
        vec![shallow.bytes.to_string(), shallow.objects.to_string(), retained, kind, row.package.name.clone(), version]
    };
    let rows: Vec<Vec<String>> = packages.packages.iter().map(row).collect();
    let headers = [
        ("shallow bytes", Right),
        ("objects", Right),
        ("retained bytes", Right),
        ("from", Left),
        ("package", Left),
        ("version", Left),
    ];
    table(out, &headers, &rows)?;
    let hidden = packages.package_count - packages.packages.len();
    if hidden > 0 {
        writeln!(out, "… and {hidden} more (--max-items 0 shows all)")?;
    }
    writeln!(out, "\nNobody's: {} objects, {} bytes", packages.nobody.objects, packages.nobody.bytes)?;
    notes(out, &packages.notes)
}

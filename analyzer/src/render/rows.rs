//! Rows of a query as JSON and CSV, written as they come.

use std::io::{self, Write};

use rusqlite::Row;
use rusqlite::types::ValueRef;
use serde_json::Value;

/// The `schema` of rows as JSON.
pub const SCHEMA: &str = "heapsee.query/1";

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `{"schema": …, "columns": […], "rows": [[…], …]}`, a row a line.
    Json,
    /// RFC 4180, with a header, lines ending in a line feed. NULL is nothing, an empty text is `""`.
    Csv,
}

/// Writes rows one after the other.
pub struct Rows<'w> {
    format: Format,
    out: &'w mut dyn Write,
    any: bool,
}

impl<'w> Rows<'w> {
    /// Writes what comes before the rows.
    pub fn begin(format: Format, columns: &[String], out: &'w mut dyn Write) -> io::Result<Self> {
        match format {
            Format::Json => {
                let columns = Value::from(columns);
                write!(out, "{{\"schema\": \"{SCHEMA}\", \"columns\": {columns}, \"rows\": [")?;
            }
            Format::Csv => {
                let columns: Vec<String> = columns.iter().map(|name| csv_text(name)).collect();
                writeln!(out, "{}", columns.join(","))?;
            }
        }
        Ok(Rows { format, out, any: false })
    }

    /// Writes one row.
    pub fn row(&mut self, row: &Row<'_>) -> Result<(), RowError> {
        let cells = (0..row.as_ref().column_count()).map(|column| row.get_ref(column));
        match self.format {
            Format::Json => {
                let cells = cells.map(|cell| cell.map(json)).collect::<Result<Vec<_>, _>>()?;
                write!(self.out, "{}\n{}", if self.any { "," } else { "" }, Value::from(cells))?;
            }
            Format::Csv => {
                let cells = cells.map(|cell| cell.map(csv)).collect::<Result<Vec<_>, _>>()?;
                writeln!(self.out, "{}", cells.join(","))?;
            }
        }
        self.any = true;
        Ok(())
    }

    /// Writes what comes behind the rows.
    pub fn end(self) -> io::Result<()> {
        match self.format {
            Format::Json => writeln!(self.out, "\n]}}"),
            Format::Csv => Ok(()),
        }
    }
}

/// Why a row could not be written.
#[derive(Debug, thiserror::Error)]
pub enum RowError {
    /// SQLite has no such cell.
    #[error(transparent)]
    Sql(#[from] rusqlite::Error),
    /// It could not be written.
    #[error(transparent)]
    Output(#[from] io::Error),
}

fn json(cell: ValueRef<'_>) -> Value {
    match cell {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(value) => value.into(),
        // JSON has no infinities: they become null.
        ValueRef::Real(value) => value.into(),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into(),
        ValueRef::Blob(blob) => super::hex(blob).into(),
    }
}

fn csv(cell: ValueRef<'_>) -> String {
    match cell {
        ValueRef::Null => String::new(),
        ValueRef::Integer(value) => value.to_string(),
        ValueRef::Real(value) => format!("{value:?}"),
        ValueRef::Text(text) => csv_text(&String::from_utf8_lossy(text)),
        ValueRef::Blob(blob) => super::hex(blob),
    }
}

fn csv_text(text: &str) -> String {
    if text.is_empty() || text.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

//! A query's rows as a grid without labels, for a question that is asked once.

use std::io::{self, Write};

use rusqlite::Row;

use super::layout::{Widths, text_of};
use super::push_cells;
use super::results::{ResultSet, Value};
use crate::render::grid::{Cell, Grid};
use crate::sql::SessionError;

/// Rows that are shown when all are there.
pub(crate) struct Table {
    rows: ResultSet,
    widths: Widths,
}

impl Table {
    /// A table of these columns.
    pub(crate) fn new(columns: Vec<String>) -> Table {
        Table { rows: ResultSet::new(columns), widths: Widths::default() }
    }

    /// Adds a row.
    pub(crate) fn push(&mut self, row: &Row<'_>) -> Result<(), SessionError> {
        push_cells(row, |value| self.rows.push(value))
    }

    /// Keeps rows within the width that `screen` tells.
    pub(crate) fn fit_to(&mut self, screen: fn() -> Option<usize>) {
        self.widths.fit_to(screen);
    }

    /// Writes the table.
    pub(crate) fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        // Without the labels' column.
        let columns = &self.widths.layout(&self.rows)[1..];
        let mut grid = Grid::new(columns, out);
        grid.header()?;
        for row in 0..self.rows.rows() {
            let values: Vec<Value<'_>> = (0..columns.len()).map(|column| self.rows.value(row, column)).collect();
            let texts: Vec<_> = values.iter().map(|&value| text_of(value)).collect();
            let cells = values.iter().zip(&texts).map(|(value, text)| match value {
                Value::Null => Cell::Null,
                Value::Integer(_) | Value::Real(_) => Cell::Number(text),
                Value::Text(_) | Value::Blob(_) => Cell::Text(text),
            });
            grid.row(&cells.collect::<Vec<_>>())?;
        }
        Ok(())
    }
}

//! Tables whose columns are as wide as what is in them, for reports.

use std::io::{self, Write};

use super::grid::{Align, Cell, Column, Grid, display_width};

/// No text makes a column wider than this.
const WIDEST: usize = 100;

/// Writes rows under their headers, flush with the given sides. Numbers are text here, like all else.
pub fn table(out: &mut dyn Write, headers: &[(&str, Align)], rows: &[Vec<String>]) -> io::Result<()> {
    limited(out, headers, rows, headers.len())
}

/// The same with the last column never cut: what tells paths apart is their end.
pub fn table_of_paths(out: &mut dyn Write, headers: &[(&str, Align)], rows: &[Vec<String>]) -> io::Result<()> {
    limited(out, headers, rows, headers.len().saturating_sub(1))
}

/// Writes a table with only the first `limited` columns cut.
fn limited(out: &mut dyn Write, headers: &[(&str, Align)], rows: &[Vec<String>], limited: usize) -> io::Result<()> {
    let column = |(i, &(header, align)): (usize, &(&str, Align))| {
        let widths = rows.iter().map(|row| row.get(i).map_or(0, |text| display_width(text)));
        let widest = if i < limited { WIDEST } else { usize::MAX };
        let width = widths.chain([display_width(header)]).max().unwrap_or(0).min(widest);
        Column { header: header.to_owned(), width, align }
    };
    let columns: Vec<Column> = headers.iter().enumerate().map(column).collect();
    let mut grid = Grid::new(&columns, out);
    grid.header()?;
    for row in rows {
        grid.row(&row.iter().map(|text| Cell::Text(text)).collect::<Vec<_>>())?;
    }
    Ok(())
}

//! Shows a query's rows as a labelled grid while they come, and keeps them.
//!
//! Nothing is shown before the layout is known. A script gets a layout that fits every row; on a terminal it is
//! decided after the first rows, since a person is waiting.

use std::collections::HashMap;
use std::io::{self, Write};

use super::layout::{Widths, text_of};
use super::results::{ResultSet, Value};
use crate::render::grid::{Cell, Column, Grid};

/// On a terminal the layout is decided after this many rows: the first screenful must not wait for the last row.
const SAMPLE: usize = 1000;

/// Where rows of one result go: on the screen, and into the [`ResultSet`] that is kept.
pub struct Presenter<'a> {
    /// The rows so far.
    rows: ResultSet,
    number: usize,
    header: bool,
    widths: &'a Widths,
    /// Texts of defined names' values → the names.
    known: &'a HashMap<String, String>,
    out: &'a mut dyn Write,
    columns: Option<Vec<Column>>,
    shown: usize,
}

impl<'a> Presenter<'a> {
    /// Will show and keep rows of these columns as result `number`; integers equal to a value in `known` show its name.
    pub fn new(
        names: Vec<String>,
        number: usize,
        header: bool,
        widths: &'a Widths,
        known: &'a HashMap<String, String>,
        out: &'a mut dyn Write,
    ) -> Self {
        let rows = ResultSet::new(names);
        Presenter { rows, number, header, widths, known, out, columns: None, shown: 0 }
    }

    /// The next cell of the row that is being filled.
    pub fn push(&mut self, value: Value<'_>) {
        self.rows.push(value);
    }

    /// A row is complete.
    pub fn end_row(&mut self) -> io::Result<()> {
        let decided = self.columns.is_some() || (self.widths.is_watched() && self.rows.rows() >= SAMPLE);
        if decided { self.show() } else { Ok(()) }
    }

    /// No more rows: shows what has not been shown and gives the result back.
    pub fn finish(mut self) -> io::Result<ResultSet> {
        self.show()?;
        Ok(self.rows)
    }

    fn show(&mut self) -> io::Result<()> {
        let first_time = self.columns.is_none();
        let columns = self.columns.get_or_insert_with(|| self.widths.layout(&self.rows));
        let mut grid = Grid::new(columns, self.out);
        if first_time {
            if self.header { grid.header()? } else { grid.dashes()? }
        }
        while self.shown < self.rows.rows() {
            show_row(&mut grid, &self.rows, self.shown, self.number, self.known)?;
            self.shown += 1;
        }
        Ok(())
    }
}

fn show_row(
    grid: &mut Grid<'_>,
    rows: &ResultSet,
    row: usize,
    number: usize,
    known: &HashMap<String, String>,
) -> io::Result<()> {
    let label = format!("#{number}.{row}");
    let values: Vec<_> = (0..rows.names().len()).map(|column| rows.value(row, column)).collect();
    let texts: Vec<_> = values.iter().map(|&value| text_of(value)).collect();
    let named: Vec<_> = texts.iter().map(|text| known.get(&**text).map(|name| format!("${name}"))).collect();
    let mut cells = vec![Cell::Number(&label)];
    cells.extend(values.iter().zip(&texts).zip(&named).map(|((value, text), name)| match (value, name) {
        (Value::Null, _) => Cell::Null,
        (Value::Integer(_), Some(name)) => Cell::Number(name),
        (Value::Integer(_) | Value::Real(_), _) => Cell::Number(text),
        (Value::Text(_) | Value::Blob(_), _) => Cell::Text(text),
    }));
    grid.row(&cells)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(names: &[&str], rows: &[&[Value<'_>]], known: &[(&str, &str)], header: bool) -> String {
        render_for(false, names, rows, known, header)
    }

    fn render_for(
        watched: bool,
        names: &[&str],
        rows: &[&[Value<'_>]],
        known: &[(&str, &str)],
        header: bool,
    ) -> String {
        let known = known.iter().map(|&(value, name)| (value.to_owned(), name.to_owned())).collect();
        let mut out = Vec::new();
        let mut widths = Widths::default();
        if watched {
            widths.fit_to(|| None);
        }
        let names = names.iter().map(|&name| name.to_owned()).collect();
        let mut presenter = Presenter::new(names, 3, header, &widths, &known, &mut out);
        for row in rows {
            row.iter().for_each(|&value| presenter.push(value));
            presenter.end_row().unwrap();
        }
        let kept = presenter.finish().unwrap();
        assert_eq!(kept.rows(), rows.len());
        String::from_utf8(out).unwrap()
    }

    use Value::{Integer, Null, Real, Text};

    #[test]
    fn columns_by_name_and_by_content() {
        insta::assert_snapshot!(
            render(
                &["address", "type", "total", "label"],
                &[
                    &[Integer(16), Text("dict"), Integer(123_456_789_012), Text("a label of some length")],
                    &[Integer(32), Text("a type with a long name"), Real(0.5), Null],
                ],
                &[("32", "it")],
                true,
            ),
            @r"
        #                 address type                           total label
        -------- ---------------- ----------------------- ------------ ----------------------
        #3.0                   16 dict                    123456789012 a label of some length
        #3.1                  $it a type with a long name          0.5 ∘
        "
        );
    }

    #[test]
    fn no_rows_and_no_header() {
        insta::assert_snapshot!(render(&["n"], &[], &[], true), @r"
        #                 n
        -------- ----------
        ");
        insta::assert_snapshot!(render(&["n"], &[&[Integer(1)]], &[], false), @r"
        -------- ----------
        #3.0              1
        ");
    }

    #[test]
    fn every_row_is_shown_once_however_many() {
        let row: &[Value<'_>] = &[Integer(7)];
        let expect: Vec<_> = (0..2 * SAMPLE + 5).map(|row| format!("#3.{row}")).collect();
        for watched in [false, true] {
            let text = render_for(watched, &["n"], &vec![row; 2 * SAMPLE + 5], &[], true);
            let labels: Vec<_> = text.lines().skip(2).map(|line| line.split(' ').next().unwrap().to_owned()).collect();
            assert_eq!(labels, expect);
        }
    }

    #[test]
    fn only_integers_show_names() {
        let text = render(&["v"], &[&[Text("32")], &[Real(32.0)], &[Integer(32)]], &[("32", "it")], true);
        assert_eq!(text.matches("$it").count(), 1);
    }
}

//! Shows a query's rows as a labelled grid while they come, and keeps them.
//!
//! Column widths go by name, as in memsee; a column nobody named gets a width that fits its first rows.

use std::collections::HashMap;
use std::io::{self, Write};

use super::results::{ResultSet, Value, hex};
use crate::render::grid::{Align, Cell, Column, Grid, display_width};

/// A layout is decided after this many rows: the first screenful must not wait for the last row.
const SAMPLE: usize = 1000;
/// The least and the most that is given to a column of unknown name.
const UNNAMED: std::ops::RangeInclusive<usize> = 10..=60;

/// How wide columns are, by name.
pub struct Widths {
    by_name: HashMap<String, (Align, usize)>,
}

impl Default for Widths {
    fn default() -> Self {
        let known = [
            ("#", Align::Left, 8),
            ("address", Align::Right, 16),
            ("type", Align::Left, 20),
            ("name", Align::Left, 20),
            ("value", Align::Left, 60),
            ("size", Align::Right, 10),
            ("len", Align::Right, 10),
            ("mark", Align::Left, 10),
            ("repr", Align::Left, 10),
            ("parent", Align::Right, 15),
            ("child", Align::Right, 15),
            ("path", Align::Left, 80),
            ("count(*)", Align::Right, 10),
            ("num", Align::Right, 10),
            ("refs", Align::Right, 10),
            ("n", Align::Right, 10),
        ];
        let by_name = known.map(|(name, align, width)| (name.to_owned(), (align, width))).into();
        Widths { by_name }
    }
}

impl Widths {
    /// Gives the columns called `name` this width.
    pub fn set(&mut self, name: &str, width: usize) {
        let align = self.by_name.get(name).map_or(Align::Left, |&(align, _)| align);
        self.by_name.insert(name.to_owned(), (align, width));
    }

    fn label(&self) -> Column {
        self.layout("#").unwrap_or(Column { header: "#".to_owned(), width: 8, align: Align::Left })
    }

    fn layout(&self, name: &str) -> Option<Column> {
        let &(align, width) = self.by_name.get(name)?;
        Some(Column { header: name.to_owned(), width, align })
    }

    fn column(&self, rows: &ResultSet, column: usize) -> Column {
        let name = &rows.names()[column];
        self.layout(name).unwrap_or_else(|| fitted(name, rows, column))
    }
}

/// A layout for a column of unknown name: as wide as what is in it, right if it has numbers only.
fn fitted(name: &str, rows: &ResultSet, column: usize) -> Column {
    let mut widest = display_width(name);
    let (mut numbers, mut texts) = (false, false);
    for row in 0..rows.rows() {
        match rows.value(row, column) {
            Value::Null => {}
            Value::Integer(_) | Value::Real(_) => numbers = true,
            Value::Text(_) | Value::Blob(_) => texts = true,
        }
        widest = widest.max(display_width(&text_of(rows.value(row, column))));
    }
    let align = if numbers && !texts { Align::Right } else { Align::Left };
    Column { header: name.to_owned(), width: widest.clamp(*UNNAMED.start(), *UNNAMED.end()), align }
}

fn text_of(value: Value<'_>) -> std::borrow::Cow<'_, str> {
    match value {
        Value::Null => crate::render::grid::NULL.into(),
        Value::Integer(value) => value.to_string().into(),
        Value::Real(value) => format!("{value:?}").into(),
        Value::Text(text) => text.into(),
        Value::Blob(blob) => hex(blob).into(),
    }
}

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
        if self.columns.is_some() || self.rows.rows() >= SAMPLE { self.show() } else { Ok(()) }
    }

    /// No more rows: shows what has not been shown and gives the result back.
    pub fn finish(mut self) -> io::Result<ResultSet> {
        self.show()?;
        Ok(self.rows)
    }

    fn show(&mut self) -> io::Result<()> {
        let first_time = self.columns.is_none();
        let columns = self.columns.get_or_insert_with(|| {
            let columns = (0..self.rows.names().len()).map(|column| self.widths.column(&self.rows, column));
            std::iter::once(self.widths.label()).chain(columns).collect()
        });
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
        let known = known.iter().map(|&(value, name)| (value.to_owned(), name.to_owned())).collect();
        let mut out = Vec::new();
        let widths = Widths::default();
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
        #                 address type                        total label
        -------- ---------------- -------------------- ------------ ----------------------
        #3.0                   16 dict                 123456789012 a label of some length
        #3.1                  $it a type with a long n          0.5 ∘
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
        let text = render(&["n"], &vec![row; 2 * SAMPLE + 5], &[], true);
        let labels: Vec<_> = text.lines().skip(2).map(|line| line.split(' ').next().unwrap().to_owned()).collect();
        let expect: Vec<_> = (0..2 * SAMPLE + 5).map(|row| format!("#3.{row}")).collect();
        assert_eq!(labels, expect);
    }

    #[test]
    fn only_integers_show_names() {
        let text = render(&["v"], &[&[Text("32")], &[Real(32.0)], &[Integer(32)]], &[("32", "it")], true);
        assert_eq!(text.matches("$it").count(), 1);
    }
}

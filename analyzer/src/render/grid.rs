//! Tables on a terminal, as memsee draws them: a header, dashes, one line a row, columns one blank apart.
//!
//! Numbers are never cut (a row with one too long grows instead), text is cut to its column's width, and NULL is `∘`.
//! The grid writes each row as it comes: it knows nothing of where rows come from, and holds none.

use std::io::{self, Write};

use unicode_width::UnicodeWidthChar;

use heapsee_format::text::is_hostile;

/// How NULL is shown.
pub const NULL: &str = "∘";

/// Which side a column's cells are flush with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// One column: what stands above it and how its cells are laid out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Shown above the column, cut to its width.
    pub header: String,
    /// Characters on the screen.
    pub width: usize,
    /// The side its cells are flush with.
    pub align: Align,
}

/// One cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell<'a> {
    /// SQL's NULL.
    Null,
    /// Shown whole, whatever the width.
    Number(&'a str),
    /// Cut to the column's width; control characters are shown as escapes.
    Text(&'a str),
}

/// Writes rows under fixed columns.
pub struct Grid<'w> {
    columns: &'w [Column],
    out: &'w mut dyn Write,
    line: String,
}

impl<'w> Grid<'w> {
    /// A grid of `columns`, writing to `out`.
    pub fn new(columns: &'w [Column], out: &'w mut dyn Write) -> Self {
        Grid { columns, out, line: String::new() }
    }

    /// Writes the header and the dashes under it.
    pub fn header(&mut self) -> io::Result<()> {
        let columns = self.columns;
        self.row(&columns.iter().map(|column| Cell::Text(&column.header)).collect::<Vec<_>>())?;
        self.dashes()
    }

    /// Writes a line of dashes.
    pub fn dashes(&mut self) -> io::Result<()> {
        let dashes: Vec<String> = self.columns.iter().map(|column| "-".repeat(column.width)).collect();
        self.row(&dashes.iter().map(|text| Cell::Text(text)).collect::<Vec<_>>())
    }

    /// Writes one row. Cells beyond the columns are left out.
    pub fn row(&mut self, cells: &[Cell<'_>]) -> io::Result<()> {
        self.line.clear();
        for (column, cell) in self.columns.iter().zip(cells) {
            match cell {
                Cell::Null => pad(&mut self.line, column, NULL, 1),
                Cell::Number(text) => pad(&mut self.line, column, text, text.len()),
                Cell::Text(text) => {
                    let (shown, width) = fit(text, column.width);
                    pad(&mut self.line, column, &shown, width);
                }
            }
            self.line.push(' ');
        }
        self.out.write_all(self.line.trim_end_matches(' ').as_bytes())?;
        self.out.write_all(b"\n")
    }
}

fn pad(line: &mut String, column: &Column, text: &str, width: usize) {
    let blanks = column.width.saturating_sub(width);
    if column.align == Align::Right {
        line.extend(std::iter::repeat_n(' ', blanks));
    }
    line.push_str(text);
    if column.align == Align::Left {
        line.extend(std::iter::repeat_n(' ', blanks));
    }
}

/// `text` made safe for a terminal and cut to `width`, and the width it then takes.
fn fit(text: &str, width: usize) -> (String, usize) {
    let mut shown = String::new();
    let mut taken = 0;
    for c in text.chars() {
        let before = shown.len();
        push_visible(&mut shown, c);
        let added: usize = shown[before..].chars().map(|c| c.width().unwrap_or(0)).sum();
        if taken + added > width {
            shown.truncate(before);
            break;
        }
        taken += added;
    }
    (shown, taken)
}

/// Whether every byte is a character that takes one place: so it is with nearly all text of a heap.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

/// The characters `text` takes on the screen when shown whole.
pub fn display_width(text: &str) -> usize {
    if is_plain(text) { text.len() } else { fit(text, usize::MAX).1 }
}

/// Values come from other people's processes: what a terminal would act upon must not reach it.
fn push_visible(shown: &mut String, c: char) {
    match c {
        '\n' => shown.push_str("\\n"),
        '\r' => shown.push_str("\\r"),
        '\t' => shown.push_str("\\t"),
        c if is_hostile(c) => shown.extend(c.escape_unicode()),
        c => shown.push(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns() -> Vec<Column> {
        let column = |header: &str, width, align| Column { header: header.to_owned(), width, align };
        vec![
            column("#", 8, Align::Left),
            column("address", 16, Align::Right),
            column("type", 10, Align::Left),
            column("size", 10, Align::Right),
            column("repr", 6, Align::Left),
        ]
    }

    fn render(rows: &[&[Cell<'_>]]) -> String {
        let mut out = Vec::new();
        let columns = columns();
        let mut grid = Grid::new(&columns, &mut out);
        grid.header().unwrap();
        for row in rows {
            grid.row(row).unwrap();
        }
        String::from_utf8(out).unwrap()
    }

    use Cell::{Null, Number, Text};

    #[test]
    fn memsees_layout() {
        insta::assert_snapshot!(
            render(&[
                &[Text("#0.0"), Number("1294669280"), Text("frame"), Number("512"), Null],
                &[Text("#0.1"), Number("140244885039992"), Text("CourseDescriptorWithMixins"), Null, Text("abcdefg")],
                &[Text("#0.2"), Number("18446744073709551615"), Text("a\tb\n\u{1b}[31m"), Number("1"), Text("日本語本")],
            ]),
            @r"
        #                 address type             size repr
        -------- ---------------- ---------- ---------- ------
        #0.0           1294669280 frame             512 ∘
        #0.1      140244885039992 CourseDesc          ∘ abcdef
        #0.2     18446744073709551615 a\tb\n              1 日本語
        "
        );
    }

    #[test]
    fn no_control_character_comes_through() {
        let text = render(&[&[Text("\u{7}\u{9b}"), Null, Text("\u{1b}"), Null, Text("\u{202e}a")]]);
        assert!(text.lines().all(|line| !line.chars().any(is_hostile)), "{text:?}");
    }

    #[test]
    fn width_counts_what_is_shown() {
        assert_eq!(display_width("a\nb"), 4);
        assert_eq!(display_width("日本"), 4);
        assert_eq!(display_width(""), 0);
    }
}

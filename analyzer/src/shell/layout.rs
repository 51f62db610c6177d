//! How wide the columns of a result are.
//!
//! Each column has a least width by its name (memsee's, but for `value`, which it gave 60 whatever was in it), and
//! grows to the longest text in it: a type or a name cut short would be a wrong answer to a script that reads it. What
//! is beyond [`WIDEST`] is cut all the same, so that one long value does not make a table unreadable; and on a terminal
//! columns give way until a row fits: first what nothing stands in, then the longest texts. A column whose width was set
//! has exactly that.

use std::collections::HashMap;

use super::results::{ResultSet, Value};
use crate::render::grid::{Align, Column, NULL, display_width};
use crate::render::hex;

/// No text makes a column wider than this.
const WIDEST: usize = 60;
/// The least width of a column that memsee has no width for.
const UNNAMED: usize = 10;
/// On a terminal every text column may shrink to this,
const NARROW: usize = 20;
/// and if not even then a row fits, to this.
const NARROWEST: usize = 6;

/// The layout of the columns with one name.
#[derive(Clone, Copy)]
struct Named {
    align: Align,
    width: usize,
    /// Set by a person: does not grow.
    fixed: bool,
}

/// How wide columns are, by name.
pub struct Widths {
    by_name: HashMap<String, Named>,
    label: usize,
    screen: Option<fn() -> Option<usize>>,
}

impl Default for Widths {
    fn default() -> Self {
        let known = [
            ("address", Align::Right, 16),
            ("type", Align::Left, 20),
            ("name", Align::Left, 20),
            ("value", Align::Left, 15),
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
        let by_name = known.map(|(name, align, width)| (name.to_owned(), Named { align, width, fixed: false })).into();
        Widths { by_name, label: 8, screen: None }
    }
}

impl Widths {
    /// Gives the columns called `name` exactly this width; `#` is the column of labels.
    pub fn set(&mut self, name: &str, width: usize) {
        if name == "#" {
            self.label = width;
            return;
        }
        let align = self.by_name.get(name).map_or(Align::Left, |named| named.align);
        self.by_name.insert(name.to_owned(), Named { align, width, fixed: true });
    }

    /// Keeps rows within the width that `screen` tells, where it tells one.
    pub fn fit_to(&mut self, screen: fn() -> Option<usize>) {
        self.screen = Some(screen);
    }

    /// Whether rows are to be shown as they come, because somebody is watching.
    pub fn is_watched(&self) -> bool {
        self.screen.is_some()
    }

    /// The layout of `rows`, the labels' column first.
    pub fn layout(&self, rows: &ResultSet) -> Vec<Column> {
        let mut columns: Vec<Growing> = (0..rows.names().len()).map(|column| self.column(rows, column)).collect();
        if let Some(screen) = self.screen.and_then(|screen| screen()) {
            let between = columns.len();
            shrink(&mut columns, screen.saturating_sub(self.label + between));
        }
        let label = Column { header: "#".to_owned(), width: self.label, align: Align::Left };
        std::iter::once(label).chain(columns.into_iter().map(|growing| growing.column)).collect()
    }

    fn column(&self, rows: &ResultSet, column: usize) -> Growing {
        let header = rows.names()[column].clone();
        let named = self.by_name.get(&header);
        let (least, align) = match named {
            Some(named) => (named.width, named.align),
            None => (display_width(&header).clamp(UNNAMED, WIDEST), alignment(rows, column)),
        };
        let fixed = named.is_some_and(|named| named.fixed);
        let content = widest(rows, column);
        let width = if fixed { least } else { content.max(least) };
        let with_header = content.max(display_width(&header)).min(width);
        let floors = match align {
            _ if fixed => [width; 3],
            // Numbers are shown whole whatever the width: to cut into their column would only spoil the table.
            Align::Right => [with_header, with_header, content.min(width)],
            Align::Left => [with_header, with_header.min(NARROW), with_header.min(NARROWEST)],
        };
        Growing { floors, column: Column { header, width, align } }
    }
}

/// A column, and how far it may shrink: at first, then, and at last.
struct Growing {
    floors: [usize; 3],
    column: Column,
}

/// The widest text of a column, as far as it counts.
fn widest(rows: &ResultSet, column: usize) -> usize {
    let widths = (0..rows.rows()).map(|row| width_of(rows.value(row, column)));
    widths.max().unwrap_or(0).min(WIDEST)
}

fn width_of(value: Value<'_>) -> usize {
    match value {
        Value::Text(text) => display_width(text),
        Value::Blob(blob) => 2 * blob.len(),
        other => display_width(&text_of(other)),
    }
}

/// Right if there are numbers only.
fn alignment(rows: &ResultSet, column: usize) -> Align {
    let (mut numbers, mut texts) = (false, false);
    for row in 0..rows.rows() {
        match rows.value(row, column) {
            Value::Null => {}
            Value::Integer(_) | Value::Real(_) => numbers = true,
            Value::Text(_) | Value::Blob(_) => texts = true,
        }
    }
    if numbers && !texts { Align::Right } else { Align::Left }
}

/// Takes from the widest column that has something to give, one character at a time, until all fit.
fn shrink(columns: &mut [Growing], screen: usize) {
    let mut excess = columns.iter().map(|growing| growing.column.width).sum::<usize>().saturating_sub(screen);
    for round in 0..3 {
        while excess > 0 {
            let can_give = columns.iter_mut().filter(|growing| growing.column.width > growing.floors[round]);
            let Some(widest) = can_give.max_by_key(|growing| growing.column.width) else { break };
            widest.column.width -= 1;
            excess -= 1;
        }
    }
}

/// A value as it is shown.
pub fn text_of(value: Value<'_>) -> std::borrow::Cow<'_, str> {
    match value {
        Value::Null => NULL.into(),
        Value::Integer(value) => value.to_string().into(),
        Value::Real(value) => format!("{value:?}").into(),
        Value::Text(text) => text.into(),
        Value::Blob(blob) => hex(blob).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(names: &[&str], values: &[Value<'_>]) -> ResultSet {
        let mut rows = ResultSet::new(names.iter().map(|&name| name.to_owned()).collect());
        values.iter().for_each(|&value| rows.push(value));
        rows
    }

    fn laid_out(widths: &Widths, rows: &ResultSet) -> Vec<usize> {
        widths.layout(rows).iter().map(|column| column.width).collect()
    }

    use Value::{Integer, Null, Text};

    #[test]
    fn texts_make_room_for_themselves() {
        let long = "x".repeat(WIDEST + 1);
        let rows = rows(
            &["address", "name", "value", "other"],
            &[Integer(1), Text("open_ended_grading.utils"), Text(&long), Null, Integer(2), Null, Null, Text("abc")],
        );
        let mut widths = Widths::default();
        assert_eq!(laid_out(&widths, &rows), [8, 16, 24, 60, 10]);
        widths.set("name", 5);
        widths.set("#", 4);
        assert_eq!(laid_out(&widths, &rows), [4, 16, 5, 60, 10]);
    }

    #[test]
    fn on_a_terminal_the_longest_give_way_first() {
        let type_name = "t".repeat(30);
        let value = "v".repeat(70);
        let rows = rows(&["type", "value", "n"], &[Text(&type_name), Text(&value), Integer(123_456_789_012)]);
        let mut widths = Widths::default();
        assert_eq!(laid_out(&widths, &rows), [8, 30, 60, 12]);
        for (screen, expect) in [
            ((|| Some(200)) as fn() -> Option<usize>, [8, 30, 60, 12]),
            (|| Some(100), [8, 30, 47, 12]),
            (|| Some(73), [8, 25, 25, 12]),
            (|| Some(50), [8, 13, 14, 12]),
            (|| Some(10), [8, 6, 6, 12]),
            (|| None, [8, 30, 60, 12]),
        ] {
            widths.fit_to(screen);
            let mut found = laid_out(&widths, &rows);
            if found[1].abs_diff(found[2]) == 1 {
                // Which of two equal ones gives first is of no account.
                assert_eq!(found[1] + found[2], expect[1] + expect[2]);
                found = expect.to_vec();
            }
            assert_eq!(found, expect, "{:?}", screen());
        }
    }
}

//! The columns of `obj` and `ref`: one entry each, from which the statement that makes the table, the cells, what can be
//! written and the tables of `docs/sql.md` follow.

use std::borrow::Cow;
use std::ffi::{CString, c_int};

use rusqlite::types::{ToSql, ToSqlOutput, Value, ValueRef};

use super::found::{self, Found};
use super::plan;
use super::ref_row::RefRow;
use heapsee_heap::heap::View;
use heapsee_heap::naming::{Names, plain, repr};

/// A column, whose cells are made by an `L`.
pub(super) struct Column<L> {
    /// The name in SQL.
    pub name: &'static str,
    /// What it is, as the documentation says it.
    #[cfg_attr(not(test), expect(dead_code, reason = "a test holds the documentation to it"))]
    pub about: &'static str,
    /// The type that SQLite is told.
    pub affinity: Affinity,
    /// Whether `select *` leaves it out; then it cannot be written either.
    pub is_hidden: bool,
    /// Makes the cell of a row.
    pub cell: L,
}

/// SQLite's types of columns, as far as ours have them.
#[derive(Clone, Copy)]
pub(super) enum Affinity {
    Int,
    Text,
}

/// How the cell of an object is made, which is also what it costs.
pub(super) enum Look {
    /// By a look at the object and its references.
    Object(for<'v> fn(&'v View, u32) -> Cell<'v>),
    /// By a look at the whole graph, kept as long as the view stays as it is.
    Graph(fn(&Found, &View, u32) -> Cell<'static>),
}

/// How the cell of a reference is made.
pub(super) type LookAtReference = fn(&RefRow, &Names<'_>) -> Cell<'static>;

/// A cell.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Cell<'v> {
    Null,
    Int(i64),
    Text(Cow<'v, str>),
}

/// One row an object.
pub(super) const OBJ: [Column<Look>; 17] = [
    Column {
        name: "address",
        about: "where it was; what `ref` and the shell's `X&`, `X^` speak of",
        affinity: Affinity::Int,
        is_hidden: false,
        cell: Look::Object(|view, node| Cell::Int(view.address(node).cast_signed())),
    },
    Column {
        name: "type",
        about: "the name of its type, as meliae writes it: with the module in front for types written in C",
        affinity: Affinity::Text,
        is_hidden: false,
        cell: Look::Object(|view, node| Cell::text(view.type_name(view.type_id(node)))),
    },
    Column {
        name: "name",
        about: "of modules, functions and types",
        affinity: Affinity::Text,
        is_hidden: false,
        cell: Look::Object(|view, node| view.name(node).into()),
    },
    Column {
        name: "value",
        about: "of strings, bytes, ints, bools and frames, at most 100 characters",
        affinity: Affinity::Text,
        is_hidden: false,
        cell: Look::Object(|view, node| view.value(node).map(plain).into()),
    },
    Column {
        name: "size",
        about: "shallow size in bytes",
        affinity: Affinity::Int,
        is_hidden: false,
        cell: Look::Object(|view, node| Cell::Int(clamp(view.size(node)))),
    },
    Column {
        name: "len",
        about: "elements or characters",
        affinity: Affinity::Int,
        is_hidden: false,
        cell: Look::Object(|view, node| view.length(node).map(clamp).into()),
    },
    Column {
        name: "mark",
        about: "after `gc`: its distance from the root; can be set",
        affinity: Affinity::Int,
        is_hidden: false,
        cell: Look::Object(|view, node| view.mark(node).map(i64::from).into()),
    },
    Column {
        name: "repr",
        about: "name, value or type: the best short way to call it",
        affinity: Affinity::Text,
        is_hidden: false,
        cell: Look::Object(|view, node| {
            Cell::Text(repr(view.type_name(view.type_id(node)), view.name(node), view.value(node)))
        }),
    },
    Column {
        name: "referrers",
        about: "how many references lead to it, the virtual root's included",
        affinity: Affinity::Int,
        is_hidden: true,
        cell: Look::Object(|view, node| Cell::Int(found::referrers(view, node))),
    },
    Column {
        name: "referents",
        about: "how many references it has",
        affinity: Affinity::Int,
        is_hidden: true,
        cell: Look::Object(|view, node| Cell::Int(found::referents(view, node))),
    },
    Column {
        name: "root",
        about: "why it is a child of the virtual root (`sys.modules`, `interned strings`, `no referrer in the \
            dump`, `pinned`, …), if it is one",
        affinity: Affinity::Text,
        is_hidden: true,
        cell: Look::Object(|view, node| found::root(view, node).into()),
    },
    Column {
        name: "retained",
        about: "bytes that would be freed if it went: itself and all that only it keeps alive",
        affinity: Affinity::Int,
        is_hidden: true,
        cell: Look::Graph(|found, view, node| found.retained(view, node).into()),
    },
    Column {
        name: "dominator",
        about: "address of the nearest object without which it would be freed; 0 is the virtual root",
        affinity: Affinity::Int,
        is_hidden: true,
        cell: Look::Graph(|found, view, node| found.dominator(view, node).into()),
    },
    Column {
        name: "distance",
        about: "references from the virtual root to it by the shortest way: 1 for roots",
        affinity: Affinity::Int,
        is_hidden: true,
        cell: Look::Graph(|found, view, node| found.distance(view, node).into()),
    },
    Column {
        name: "module",
        about: "the module it belongs to, by its class, or its holder does",
        affinity: Affinity::Text,
        is_hidden: true,
        cell: Look::Graph(|found, view, node| found.module(view, node).into()),
    },
    Column {
        name: "package",
        about: "the distribution of that module, `standard library`, or the application's top module",
        affinity: Affinity::Text,
        is_hidden: true,
        cell: Look::Graph(|found, view, node| found.package(view, node).into()),
    },
    Column {
        name: "thread",
        about: "the thread through whose frames it is held, if no module leads to it",
        affinity: Affinity::Text,
        is_hidden: true,
        cell: Look::Graph(|found, view, node| found.thread(view, node).into()),
    },
];

/// One row a reference.
pub(super) const REF: [Column<LookAtReference>; 3] = [
    Column {
        name: "parent",
        about: "address of the object that refers; 0 for the virtual root",
        affinity: Affinity::Int,
        is_hidden: false,
        cell: |row, names| Cell::Int(row.parent(names.view()).cast_signed()),
    },
    Column {
        name: "child",
        about: "address referred to; there may be no object at it",
        affinity: Affinity::Int,
        is_hidden: false,
        cell: |row, names| Cell::Int(names.view().address(row.child()).cast_signed()),
    },
    Column {
        name: "edge",
        about: "hidden: what the reference is called (`['key']`, `.name`, `[3]`); NULL if that is not known",
        affinity: Affinity::Text,
        is_hidden: true,
        cell: |row, names| Some(row.name(names)).filter(|name| !name.is_empty()).into(),
    },
];

/// How many columns of `obj` are shown, and can be written: the first ones.
pub(super) const OBJ_SHOWN: usize = shown(&OBJ);
/// The same of `ref`.
pub(super) const REF_SHOWN: usize = shown(&REF);

/// The statement that makes a table of these columns.
pub(super) fn schema<L>(table: &str, columns: &[Column<L>]) -> CString {
    let column = |column: &Column<L>| {
        let affinity = match column.affinity {
            Affinity::Int => "int",
            Affinity::Text => "text",
        };
        format!("{} {affinity}{}", column.name, if column.is_hidden { " hidden" } else { "" })
    };
    let columns: Vec<String> = columns.iter().map(column).collect();
    // The names are those above and have no zero byte.
    CString::new(format!("create table {table} ({})", columns.join(", "))).unwrap_or_default()
}

/// The number of a column, found while the program is compiled.
pub(super) const fn number<L>(columns: &[Column<L>], name: &str) -> c_int {
    let mut at = 0;
    while at < columns.len() {
        if is_same(columns[at].name.as_bytes(), name.as_bytes()) {
            return at as c_int;
        }
        at += 1;
    }
    panic!("there is no such column")
}

const fn is_same(one: &[u8], other: &[u8]) -> bool {
    let mut at = 0;
    while at < one.len() && at < other.len() && one[at] == other[at] {
        at += 1;
    }
    at == one.len() && at == other.len()
}

const fn shown<L>(columns: &[Column<L>]) -> usize {
    let mut count = 0;
    while count < columns.len() && !columns[count].is_hidden {
        count += 1;
    }
    let mut rest = count;
    while rest < columns.len() {
        assert!(columns[rest].is_hidden, "hidden columns come last");
        rest += 1;
    }
    count
}

fn clamp(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

impl<'v> Cell<'v> {
    fn text(text: &'v str) -> Self {
        Cell::Text(Cow::Borrowed(text))
    }

    /// Whether this is what SQLite hands back.
    pub fn is(&self, value: ValueRef<'_>) -> bool {
        match self {
            Cell::Null => value == ValueRef::Null,
            Cell::Int(number) => plan::integer(value) == Some(*number),
            Cell::Text(text) => value.as_str().is_ok_and(|value| value == text),
        }
    }
}

impl From<Option<i64>> for Cell<'_> {
    fn from(value: Option<i64>) -> Self {
        value.map_or(Cell::Null, Cell::Int)
    }
}

impl From<Option<String>> for Cell<'_> {
    fn from(value: Option<String>) -> Self {
        value.map_or(Cell::Null, |text| Cell::Text(Cow::Owned(text)))
    }
}

impl<'v> From<Option<Cow<'v, str>>> for Cell<'v> {
    fn from(value: Option<Cow<'v, str>>) -> Self {
        value.map_or(Cell::Null, Cell::Text)
    }
}

impl ToSql for Cell<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Cell::Null => ToSqlOutput::Owned(Value::Null),
            Cell::Int(value) => ToSqlOutput::Owned(Value::Integer(*value)),
            Cell::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documented<L>(columns: &[Column<L>]) -> Vec<String> {
        columns.iter().map(|column| format!("| `{}` | {} |", column.name, column.about)).collect()
    }

    #[test]
    fn the_documentation_says_what_each_column_is() {
        let text = include_str!("../../docs/sql.md");
        for (table, columns) in [("obj", documented(&OBJ)), ("ref", documented(&REF))] {
            let section = text.split(&format!("## {table}:")).nth(1).unwrap().split("\n## ").next().unwrap();
            let rows: Vec<&str> = section.lines().filter(|line| line.starts_with("| `")).collect();
            assert_eq!(rows, columns);
        }
    }
}

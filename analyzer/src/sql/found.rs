//! The hidden columns of `obj`: what is found out about an object rather than written in the dump.
//!
//! Some need one look at its references, others the whole graph: those are found for all objects when the first is asked
//! for, and kept as long as the view stays as it is. None can be written. `docs/sql.md` says what each of them is.

use std::sync::OnceLock;

use rusqlite::types::{ToSql, ToSqlOutput, Value, ValueRef};

use super::plan;
use heapsee_heap::graph::{self, Dominators, Tree};
use heapsee_heap::heap::{RootReason, View};
use heapsee_heap::owner::Owners;

/// What is found about all objects of one view.
#[derive(Default)]
pub struct Found {
    dominators: OnceLock<Dominators>,
    depths: OnceLock<Vec<u32>>,
    places: OnceLock<Places>,
}

/// Where objects are held.
struct Places {
    owners: Owners,
    /// By node: place in `threads`, plus one.
    thread_of: Vec<u32>,
    threads: Vec<String>,
}

/// A cell.
#[derive(Debug, PartialEq, Eq)]
pub enum Cell {
    Null,
    Int(i64),
    Text(String),
}

impl From<Option<i64>> for Cell {
    fn from(value: Option<i64>) -> Self {
        value.map_or(Cell::Null, Cell::Int)
    }
}

impl From<Option<String>> for Cell {
    fn from(value: Option<String>) -> Self {
        value.map_or(Cell::Null, Cell::Text)
    }
}

impl ToSql for Cell {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Cell::Null => ToSqlOutput::Owned(Value::Null),
            Cell::Int(value) => ToSqlOutput::Owned(Value::Integer(*value)),
            Cell::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
        })
    }
}

impl Cell {
    /// Whether this is what SQLite hands back.
    pub fn is(&self, value: ValueRef<'_>) -> bool {
        match self {
            Cell::Null => value == ValueRef::Null,
            Cell::Int(number) => plan::integer(value) == Some(*number),
            Cell::Text(text) => value.as_str().is_ok_and(|value| value == text),
        }
    }
}

impl Found {
    /// The cell of an object in the hidden column at this place.
    pub fn cell(&self, view: &View, node: u32, column: usize) -> Cell {
        match column {
            0 => Cell::Int(referrers(view, node)),
            1 => Cell::Int(referents(view, node)),
            2 => root(view, node).into(),
            3 => self.retained(view, node).into(),
            4 => self.dominator(view, node).into(),
            5 => self.distance(view, node).into(),
            6 => self.places(view).owners.module(node).map(str::to_owned).into(),
            7 => self.package(view, node).into(),
            _ => self.thread(view, node).into(),
        }
    }

    /// Whether the column needs a look at the whole graph.
    pub fn is_costly(column: usize) -> bool {
        column > 2
    }

    fn dominators(&self, view: &View) -> &Dominators {
        self.dominators.get_or_init(|| Dominators::of(view))
    }

    /// The bytes that would go with an object; nothing if no root reaches it.
    fn retained(&self, view: &View, node: u32) -> Option<i64> {
        let dominators = self.dominators(view);
        dominators.is_reached(node).then(|| i64::try_from(dominators.retained(node).bytes).unwrap_or(i64::MAX))
    }

    /// The nearest object without which it would go, by address; 0 for the virtual root.
    fn dominator(&self, view: &View, node: u32) -> Option<i64> {
        let dominators = self.dominators(view);
        let address = || dominators.dominator(node).map_or(0, |dominator| view.address(dominator).cast_signed());
        dominators.is_reached(node).then(address)
    }

    /// How many references lead from the virtual root to the object, by the shortest way.
    fn distance(&self, view: &View, node: u32) -> Option<i64> {
        let depths = self.depths.get_or_init(|| graph::gc(view, |_, _| {}).marks);
        depths.get(node as usize).filter(|&&depth| depth != u32::MAX).map(|&depth| i64::from(depth) + 1)
    }

    fn package(&self, view: &View, node: u32) -> Option<String> {
        let owners = &self.places(view).owners;
        owners.package(node).map(|package| owners.packages()[package as usize].name.clone())
    }

    fn thread(&self, view: &View, node: u32) -> Option<String> {
        let places = self.places(view);
        let place = places.thread_of.get(node as usize)?.checked_sub(1)?;
        places.threads.get(place as usize).cloned()
    }

    fn places(&self, view: &View) -> &Places {
        self.places.get_or_init(|| {
            let tree = Tree::of(view);
            let owners = Owners::of(view, &tree);
            let (threads, thread_of) = threads(view, &tree);
            Places { owners, thread_of, threads }
        })
    }
}

/// The threads whose frames are roots, and for every object the one whose frames alone hold it, as far as the ways of
/// the tree tell: it prefers every other way.
fn threads(view: &View, tree: &Tree) -> (Vec<String>, Vec<u32>) {
    let mut threads: Vec<String> = Vec::new();
    let mut thread_of = vec![0; view.node_bound() as usize];
    for &node in tree.order() {
        thread_of[node as usize] = match tree.parent(node) {
            Some((parent, _)) => thread_of[parent as usize],
            None => match thread(view, node) {
                Some(label) => {
                    let known = threads.iter().position(|known| known == label);
                    known.unwrap_or_else(|| {
                        threads.push(label.to_owned());
                        threads.len() - 1
                    }) as u32
                        + 1
                }
                None => 0,
            },
        };
    }
    (threads, thread_of)
}

fn thread(view: &View, node: u32) -> Option<&str> {
    let roots = view.heap().roots();
    let root = &roots[roots.binary_search_by_key(&node, |root| root.node).ok()?];
    let label = view.heap().root_label(root);
    (matches!(root.reason, RootReason::Sidecar(_)) && label.starts_with("thread ")).then_some(label)
}

fn referrers(view: &View, node: u32) -> i64 {
    let mut count = i64::from(view.is_root(node));
    view.edges_to(node, |_| count += 1);
    count
}

fn referents(view: &View, node: u32) -> i64 {
    let mut count = 0;
    view.edges_from(node, |_| count += 1);
    count
}

/// Why it is a child of the virtual root.
fn root(view: &View, node: u32) -> Option<String> {
    if !view.is_root(node) {
        return None;
    }
    let roots = view.heap().roots();
    let found = roots.binary_search_by_key(&node, |root| root.node).ok();
    Some(found.map_or("pinned", |at| view.heap().root_label(&roots[at])).to_owned())
}

//! Commands that walk the graph: `path`, `gc`, `ancestor_types`, and the counts.

use std::collections::{BTreeMap, HashSet};
use std::io::{self, Write};

use fixedbitset::FixedBitSet;

use crate::render::printable;
use crate::shell::number::both;
use crate::shell::results::{ResultSet, Value};
use crate::shell::{CommandError, Flow, Shell, push_cells, words};
use crate::sql::SessionError;
use heapsee_heap::graph;
use heapsee_heap::heap::View;
use heapsee_heap::naming::{Names, expression};

pub(in crate::shell) const PATH: &str = r#"path from "CONDITION" to "CONDITION" [reversed]"#;
pub(in crate::shell) const ANCESTOR_TYPES: &str = "ancestor_types CONDITION";

/// `stats`
pub(in crate::shell) fn stats(shell: &mut Shell<'_>, _argument: &str) -> Result<Flow, CommandError> {
    let view = shell.session.view()?;
    print_stats(shell, &view)?;
    Ok(Flow::Continue)
}

fn print_stats(shell: &mut Shell<'_>, view: &View) -> io::Result<()> {
    let counts = view.counts();
    writeln!(
        shell.out,
        "{} objects, {} references, {} total bytes",
        both(counts.objects),
        both(counts.refs + counts.roots),
        both(counts.bytes)
    )
}

/// `path from "COND" to "COND" [reversed]`
pub(in crate::shell) fn path(shell: &mut Shell<'_>, argument: &str) -> Result<Flow, CommandError> {
    let words = words::split(argument)?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (from, to, reversed) = match words[..] {
        ["from", from, "to", to] => (from, to, false),
        ["from", from, "to", to, "reversed"] => (from, to, true),
        _ => return Err(CommandError::Usage(PATH)),
    };
    let view = shell.session.view()?;
    let (from_sql, to_sql) = (shell.substitute(from)?, shell.substitute(to)?);
    let starts = shell.session.nodes_where(&view, &from_sql)?;
    let ends = shell.session.nodes_where(&view, &to_sql)?;
    for (set, condition) in [(&starts, from), (&ends, to)] {
        if set.is_clear() {
            writeln!(shell.out, "No path: no object matches {condition:?}")?;
            return Ok(Flow::Continue);
        }
    }
    let mut written = Ok(());
    let found = graph::path(&view, &starts, &ends, reversed, |added| {
        if added > 0 && written.is_ok() && view.heap().intact().is_ok() {
            written = writeln!(shell.out, "Added {added} paths to newly discovered nodes");
        }
    });
    written?;
    shell.session.check(&view)?;
    let Some(found) = found else {
        let way = if reversed { "parents" } else { "children" };
        writeln!(shell.out, "No path: along {way}, no object that matches {from:?} reaches one that matches {to:?}")?;
        return Ok(Flow::Continue);
    };
    let name = name_of(&view, &found, reversed);
    let addresses: Vec<i64> = found.iter().map(|&node| view.address(node).cast_signed()).collect();
    let mut rows = ResultSet::new(shell.session.object_columns());
    shell.session.objects(&addresses, |row| push_cells(row, |value| rows.push(value)))?;
    shell.session.check(&view)?;
    shell.show_rows(&rows)?;
    if let Some(name) = name {
        writeln!(shell.out, "{name}")?;
    }
    Ok(Flow::Continue)
}

/// The path as an expression, unless it is one object only. An expression goes from what holds to what is held,
/// whichever way the search went.
fn name_of(view: &View, path: &[u32], reversed: bool) -> Option<String> {
    if path.len() < 2 {
        return None;
    }
    let mut path = path.to_vec();
    if reversed {
        path.reverse();
    }
    Some(printable(expression(view, &path, &Names::new(view).along(&path))))
}

/// `gc`
pub(in crate::shell) fn gc(shell: &mut Shell<'_>, _argument: &str) -> Result<Flow, CommandError> {
    let view = shell.session.view()?;
    print_stats(shell, &view)?;
    let mut written = Ok(());
    let found = graph::gc(&view, |depth, count| {
        if written.is_ok() && view.heap().intact().is_ok() {
            written = print_level(shell.out, depth, count);
        }
    });
    written?;
    shell.session.check(&view)?;
    if found.levels.is_empty() {
        print_level(shell.out, 0, 0)?;
    }
    // A root's mark is 1, as in memsee.
    let marks = found.marks.into_iter().map(|depth| if depth == u32::MAX { depth } else { depth + 1 }).collect();
    drop(view);
    sweep(shell, marks, &found.unmarked)
}

fn print_level(out: &mut dyn Write, depth: u32, count: u64) -> io::Result<()> {
    match depth {
        0 => writeln!(out, "Marked {count} top level objects"),
        depth => writeln!(out, "Marked {count} objects at depth {depth}"),
    }
}

/// Stores the marks, deletes what has none, and says what is left.
fn sweep(shell: &mut Shell<'_>, marks: Vec<u32>, unmarked: &FixedBitSet) -> Result<Flow, CommandError> {
    writeln!(shell.out, "Marking complete")?;
    if shell.interrupt.is_raised() {
        return Err(SessionError::Interrupted.into());
    }
    let deleted = shell.session.change(|view| {
        view.set_marks(marks);
        view.delete_objects(unmarked)
    })?;
    writeln!(shell.out, "Deleted {deleted} objects")?;
    stats(shell, "")
}

/// `continue_gc`
pub(in crate::shell) fn continue_gc(shell: &mut Shell<'_>, argument: &str) -> Result<Flow, CommandError> {
    let view = shell.session.view()?;
    let mut marks: Vec<u32> = (0..view.node_bound()).map(|node| view.mark(node).unwrap_or(u32::MAX)).collect();
    let marked = |&node: &u32| marks[node as usize] != u32::MAX;
    let Some(deepest) = view.objects().filter(marked).map(|node| marks[node as usize]).max() else {
        // Nothing is marked: there is nothing to continue, and to delete all would help nobody.
        drop(view);
        return gc(shell, argument);
    };
    let mut level: Vec<u32> = view.objects().filter(|&node| marks[node as usize] == deepest).collect();
    let mut depth = deepest;
    while !level.is_empty() {
        let mut next = Vec::new();
        for &node in &level {
            view.children(node, |child| {
                if marks[child as usize] == u32::MAX && view.is_live(child) {
                    marks[child as usize] = depth + 1;
                    next.push(child);
                }
            });
        }
        shell.session.check(&view)?;
        if !next.is_empty() {
            writeln!(shell.out, "Marked {} objects at depth {depth}", next.len())?;
        }
        depth = depth.saturating_add(1).min(u32::MAX - 2);
        level = next;
    }
    let mut unmarked = FixedBitSet::with_capacity(marks.len());
    unmarked.extend(view.objects().map(|node| node as usize).filter(|&node| marks[node] == u32::MAX));
    drop(view);
    sweep(shell, marks, &unmarked)
}

/// `ancestor_types COND`
pub(in crate::shell) fn ancestor_types(shell: &mut Shell<'_>, argument: &str) -> Result<Flow, CommandError> {
    if argument.is_empty() {
        return Err(CommandError::Usage(ANCESTOR_TYPES));
    }
    let condition = shell.substitute(argument)?;
    let view = shell.session.view()?;
    let starts = shell.session.nodes_where(&view, &condition)?;
    let mut latest = BTreeMap::new();
    let mut level: Vec<u32> = starts.ones().map(|node| node as u32).collect();
    latest.extend(level.iter().map(|&node| (node, 0u64)));
    let mut generation = 0;
    while !level.is_empty() {
        generation += 1;
        let (found, next) = ancestors(&view, &level, &latest);
        shell.session.check(&view)?;
        writeln!(shell.out, "Found {} new ancestors", found.len())?;
        latest.extend(found.into_iter().map(|node| (node, generation)));
        level = next;
        if shell.interrupt.is_raised() {
            return Err(SessionError::Interrupted.into());
        }
    }
    let mut counts: BTreeMap<(u64, &str), i64> = BTreeMap::new();
    for (&node, &generation) in &latest {
        *counts.entry((generation, view.type_name(view.type_id(node)))).or_default() += 1;
    }
    let mut rows = ResultSet::new(["gen", "type", "count(*)"].map(str::to_owned).to_vec());
    for ((generation, type_name), count) in counts {
        rows.push(Value::Integer(generation.cast_signed()));
        rows.push(Value::Text(type_name));
        rows.push(Value::Integer(count));
    }
    shell.show_rows(&rows)?;
    Ok(Flow::Continue)
}

/// Who refers to the objects of `level`, once for each they refer to; and those of them that were not met before.
fn ancestors(view: &View, level: &[u32], met: &BTreeMap<u32, u64>) -> (Vec<u32>, Vec<u32>) {
    let (mut found, mut next) = (Vec::new(), Vec::new());
    let mut new = HashSet::new();
    for &node in level {
        // A module holds what it defines: beyond it everything is an ancestor. memsee stops at `Settings`, too.
        if matches!(view.type_name(view.type_id(node)), "module" | "Settings") {
            continue;
        }
        let mut parents = Vec::new();
        view.parents(node, |parent| parents.push(parent));
        parents.sort_unstable();
        parents.dedup();
        next.extend(parents.iter().filter(|parent| !met.contains_key(parent) && new.insert(**parent)));
        found.extend(parents);
    }
    (found, next)
}

//! Answers to single questions as text: paths, objects, references, what a cut would free.

use std::io::{self, Write};

use super::grid::Align;
use super::printable;
use super::table::table;
use heapsee_heap::answers::freed::Freed;
use heapsee_heap::answers::merged::Merged;
use heapsee_heap::answers::object::{Info, Object, Refs};
use heapsee_heap::answers::path::{Path, Paths, Step};
use heapsee_heap::naming::fold;

/// Ways shown.
const WAYS: usize = 40;
/// Lines are not indented further.
const DEEPEST: usize = 20;
/// Types shown of what a cut would free.
const TYPES: usize = 20;

/// Every path: its expression, then its objects.
pub fn paths(out: &mut dyn Write, paths: &Paths) -> io::Result<()> {
    if paths.paths.is_empty() {
        return writeln!(out, "No path");
    }
    for (number, path) in paths.paths.iter().enumerate() {
        if number > 0 {
            writeln!(out)?;
        }
        writeln!(out, "{}\n", printable(&path.expression))?;
        steps(out, path)?;
        writeln!(out, "\n{} objects: {}", path.steps.len(), printable(&path.types))?;
    }
    Ok(())
}

/// A line for each way, indented where ways part.
pub fn merged(out: &mut dyn Write, merged: &Merged) -> io::Result<()> {
    writeln!(out, "{} of {} objects are reached", merged.reached, merged.wanted)?;
    let lines = merged.lines();
    if lines.is_empty() {
        return writeln!(out, "No path");
    }
    writeln!(out, "\n{:>10} {:>12}  way", "objects", "bytes")?;
    for (depth, types, branch) in lines.iter().take(WAYS) {
        let indent = "  ".repeat((*depth).min(DEEPEST));
        writeln!(out, "{:>10} {:>12}  {indent}{}", branch.ends, branch.bytes, printable(types))?;
    }
    match lines.len().checked_sub(WAYS) {
        Some(more @ 1..) => writeln!(out, "… and {more} more (--json has all)"),
        _ => Ok(()),
    }
}

/// Links that repeat are shown once.
fn steps(out: &mut dyn Write, path: &Path) -> io::Result<()> {
    let links: Vec<(&str, &str)> =
        path.steps.iter().map(|step| (step.text.as_str(), step.object.type_name.as_str())).collect();
    let mut rows = Vec::new();
    for fold in fold(&links) {
        rows.extend(path.steps[fold.start..fold.start + fold.period].iter().map(step_row));
        if fold.times > 1 {
            let links = if fold.period == 1 { "this link".to_owned() } else { format!("these {} links", fold.period) };
            rows.push(vec!["…".to_owned(), String::new(), String::new(), format!("{links} ×{}", fold.times)]);
        }
    }
    let headers =
        [("address", Align::Right), ("size", Align::Right), ("type", Align::Left), ("reference", Align::Left)];
    table(out, &headers, &rows)
}

fn step_row(step: &Step) -> Vec<String> {
    let object = &step.object;
    vec![object.address.to_string(), object.size.to_string(), object.type_name.clone(), step.text.clone()]
}

/// One object.
pub fn info(out: &mut dyn Write, info: &Info) -> io::Result<()> {
    let object = &info.object;
    let mut line = |label: &str, text: &str| writeln!(out, "{label:<10} {}", printable(text));
    line("address", &format!("{} ({:#x})", object.address, object.address))?;
    line("type", &object.type_name)?;
    if object.name.is_some() || object.value.is_some() {
        line(if object.name.is_some() { "name" } else { "value" }, &object.caption())?;
    }
    line("size", &object.size.to_string())?;
    if let Some(len) = object.len {
        line("len", &len.to_string())?;
    }
    line("referrers", &info.referrers.to_string())?;
    line("referents", &info.referents.to_string())?;
    if let Some(root) = &info.root {
        line("root", root)?;
    }
    line("held by", &info.held_by.as_ref().map_or("nothing that a root reaches".to_owned(), ToString::to_string))
}

/// References of an object, or to it.
pub fn refs(out: &mut dyn Write, refs: &Refs) -> io::Result<()> {
    let row = |text: &str, object: &Object| {
        let size = object.size.to_string();
        vec![object.address.to_string(), size, object.type_name.clone(), text.to_owned(), object.caption()]
    };
    let rows: Vec<Vec<String>> = refs.refs.iter().map(|each| row(&each.text, &each.object)).collect();
    let headers = [
        ("address", Align::Right),
        ("size", Align::Right),
        ("type", Align::Left),
        ("reference", Align::Left),
        ("name or value", Align::Left),
    ];
    table(out, &headers, &rows)?;
    let hidden = refs.count - refs.refs.len();
    if hidden > 0 { writeln!(out, "… and {hidden} more (--limit 0 shows all)") } else { Ok(()) }
}

/// What a cut would free.
pub fn freed(out: &mut dyn Write, freed: &Freed) -> io::Result<()> {
    let percent = |part: u64, whole: u64| if whole == 0 { 0.0 } else { 100.0 * part as f64 / whole as f64 };
    writeln!(
        out,
        "Dropping {} references frees {} of {} objects ({:.1} %) and {} of {} bytes ({:.1} %)",
        freed.dropped_refs,
        freed.freed.objects,
        freed.before.objects,
        percent(freed.freed.objects, freed.before.objects),
        freed.freed.bytes,
        freed.before.bytes,
        percent(freed.freed.bytes, freed.before.bytes),
    )?;
    if freed.types.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    let row = |row: &heapsee_heap::answers::freed::FreedType| {
        vec![row.freed.objects.to_string(), row.freed.bytes.to_string(), row.name.clone()]
    };
    let rows: Vec<Vec<String>> = freed.types.iter().take(TYPES).map(row).collect();
    table(out, &[("objects", Align::Right), ("bytes", Align::Right), ("type", Align::Left)], &rows)?;
    let hidden = freed.types.len().saturating_sub(TYPES);
    if hidden > 0 { writeln!(out, "… and {hidden} smaller types (--json has all)") } else { Ok(()) }
}

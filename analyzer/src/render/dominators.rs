//! Dominators as text: the biggest, the tree, and what a cut frees.

use std::io::{self, Write};

use super::grid::Align;
use super::printable;
use super::table::table;
use heapsee_heap::answers::cut::{Choice, Cut};
use heapsee_heap::answers::top::{By, Item, Top};
use heapsee_heap::answers::tree::{Below, Branch, Tree};
use heapsee_heap::answers::words::{bytes, objects, thousands};

/// The biggest.
pub fn top(out: &mut dyn Write, top: &Top) -> io::Result<()> {
    let right = |header| (header, Align::Right);
    let left = |header| (header, Align::Left);
    let share = |item: &Item| vec![bytes(item.retained_bytes), format!("{:.1}", item.share), thousands(item.objects)];
    match top.by {
        By::Type => {
            let row = |item: &Item| {
                let own = vec![thousands(item.instances.unwrap_or_default()), bytes(item.size), item.type_name.clone()];
                [share(item), own].concat()
            };
            let headers =
                [right("retained"), right("%"), right("objects"), right("of the type"), right("size"), left("type")];
            table(out, &headers, &top.items.iter().map(row).collect::<Vec<_>>())?;
        }
        By::Object | By::Module => {
            let row = |item: &Item| {
                let address = item.address.map(|address| address.to_string()).unwrap_or_default();
                let path = item.path.clone().unwrap_or_default();
                [share(item), vec![address, item.type_name.clone(), path.to_string()]].concat()
            };
            let mut rows = Vec::new();
            for item in &top.items {
                rows.push(row(item));
                if let Some(end) = &item.leads_to {
                    let address = end.address.to_string();
                    let leads = format!("  leads to {}", end.path);
                    let (blank, kept) = (String::new(), bytes(end.retained_bytes));
                    rows.push(vec![kept, blank.clone(), blank, address, end.type_name.clone(), leads]);
                }
            }
            let headers =
                [right("retained"), right("%"), right("objects"), right("address"), left("type"), left("path")];
            table(out, &headers, &rows)?;
        }
    }
    match top.left_out {
        0 => Ok(()),
        left_out => writeln!(out, "… and {left_out} smaller (--max-items 0 shows all)"),
    }
}

/// The tree, each level two blanks further to the right.
pub fn tree(out: &mut dyn Write, tree: &Tree) -> io::Result<()> {
    if let Some(path) = &tree.path {
        writeln!(out, "{}\n", if path.is_empty() { "no root reaches it".to_owned() } else { printable(path) })?;
    }
    match &tree.top {
        Some(top) => branch(out, top, 0),
        None => below(out, &tree.below, 0),
    }
}

fn branch(out: &mut dyn Write, branch: &Branch, level: usize) -> io::Result<()> {
    let caption = branch.object.caption();
    let caption = if caption.is_empty() { caption } else { format!(" {caption:?}") };
    let edge = if branch.edge.is_empty() { String::new() } else { format!("{} = ", branch.edge) };
    let line = format!("{edge}{}{caption}", branch.object.type_name);
    writeln!(
        out,
        "{:>10} {:>5.1} % {:>16}  {:indent$}{}",
        bytes(branch.retained_bytes),
        branch.share,
        branch.object.address,
        "",
        printable(&line),
        indent = 2 * level
    )?;
    below(out, &branch.below, level + 1)
}

fn below(out: &mut dyn Write, below: &Below, level: usize) -> io::Result<()> {
    below.branches.iter().try_for_each(|child| branch(out, child, level))?;
    if below.branches.is_empty() || below.left_out == 0 {
        return Ok(());
    }
    let (kept, more) = (bytes(below.left_out_bytes), thousands(below.left_out as u64));
    writeln!(out, "{kept:>10} {:25} {:indent$}… and {more} smaller", "", "", indent = 2 * level)
}

/// What to drop.
pub fn cut(out: &mut dyn Write, cut: &Cut) -> io::Result<()> {
    writeln!(
        out,
        "{} ({}); with what they alone keep: {}, {}",
        objects(cut.matching.objects, "matching"),
        bytes(cut.matching.bytes),
        objects(cut.retained.objects, "reachable"),
        bytes(cut.retained.bytes)
    )?;
    match &cut.best {
        Some(best) => choice(out, "The one reference that frees most of them:", best)?,
        None => writeln!(out, "\nNo single reference frees any of them: each is held in several ways, or by a root.")?,
    }
    let is_best = |all: &Choice| cut.best.as_ref().is_some_and(|best| best.refs == all.refs);
    match (&cut.all, cut.why_not) {
        (Some(all), _) if is_best(all) => writeln!(out, "\nThat is all of them."),
        (Some(all), _) => choice(out, "The fewest references that free all of them:", all),
        (None, Some(why)) => writeln!(out, "\nNo set of references frees all of them: {why}."),
        (None, None) => Ok(()),
    }
}

fn choice(out: &mut dyn Write, heading: &str, choice: &Choice) -> io::Result<()> {
    writeln!(out, "\n{heading}\n")?;
    for each in &choice.refs {
        writeln!(out, "  {}", printable(&each.expression))?;
        let [parent, child, sql] = [&each.parent_type, &each.child_type, &each.sql].map(printable);
        writeln!(out, "      {parent} refers to {child}: {sql}")?;
    }
    writeln!(
        out,
        "\n  frees {} objects, {}, of them {} that match, {}",
        thousands(choice.frees.objects),
        bytes(choice.frees.bytes),
        thousands(choice.frees_matching.objects),
        bytes(choice.frees_matching.bytes)
    )
}

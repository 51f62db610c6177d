//! Modules that were made again and again at run time: plugins that are loaded under a new name each time, code that is run
//! in modules of its own.
//!
//! Modules are part of the program, and the walk down the tree passes through them. But a program makes one module of a
//! file: many modules of the same file, or many without a file that no loader has made, are a leak like any other.

use std::collections::BTreeMap;

use super::contents;
use super::explore::MANY;
use super::{Contents, Finding, Kinds, SuspectKind, TypeGroup};
use crate::graph::Dominators;
use crate::naming::{type_of, whole_text};

/// Adds the files of which there are many modules, and the modules without a file.
pub(super) fn add(kinds: &Kinds<'_>, dominators: &Dominators, threshold: u64, found: &mut Vec<Finding>) {
    let view = kinds.view();
    // By file; none for those that nobody has loaded.
    let mut alike: BTreeMap<Option<String>, Vec<(u32, u64)>> = BTreeMap::new();
    for (dict, module) in kinds.modules().filter(|&(_, module)| dominators.is_reached(module)) {
        let origin = origin(kinds, dict);
        if origin.is_ordinary {
            continue;
        }
        let mut bytes = dominators.retained(module).bytes;
        if !dominators.dominates(module, dict) && dominators.is_reached(dict) {
            bytes += dominators.retained(dict).bytes;
        }
        alike.entry(origin.file).or_default().push((module, bytes));
    }
    for mut modules in alike.into_values().filter(|modules| modules.len() >= MANY) {
        modules.sort_unstable();
        let amount = contents::amount(dominators, &modules);
        let largest = modules.iter().map(|&(node, bytes)| (bytes, std::cmp::Reverse(node))).max();
        let Some((most, std::cmp::Reverse(node))) = largest else { continue };
        if amount.bytes < threshold || most > amount.bytes / 2 {
            continue;
        }
        let count = modules.len() as u64;
        let members = Some(TypeGroup { type_id: view.type_id(node), count, bytes: amount.bytes });
        let contents = Contents { members, total: count, types: 1, ..Contents::default() };
        found.push(Finding { node, kind: SuspectKind::Modules, amount, contents, also: Vec::new() });
    }
}

/// Where a module is from.
struct Origin {
    file: Option<String>,
    /// It has no file, but the interpreter or an importer has made it.
    is_ordinary: bool,
}

fn origin(kinds: &Kinds<'_>, dict: u32) -> Origin {
    let view = kinds.view();
    let mut all = Vec::new();
    view.children(dict, |child| all.push(child));
    let mut origin = Origin { file: None, is_ordinary: false };
    for pair in all.chunks_exact(2) {
        let is_set = type_of(view, pair[1]) != "NoneType";
        match whole_text(view, pair[0]).as_deref() {
            Some("__file__") => origin.file = whole_text(view, pair[1]),
            Some("__loader__" | "__spec__") => origin.is_ordinary |= is_set,
            _ => {}
        }
    }
    origin.is_ordinary &= origin.file.is_none();
    origin
}

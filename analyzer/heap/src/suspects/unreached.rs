//! Objects that no root leads to, by type: circles the collector has not met yet (or may not, if it is turned off), and
//! what only C code holds. No container keeps them, so that the walk down the tree meets them one by one.

use std::collections::HashMap;

use super::contents;
use super::explore::MANY;
use super::{Finding, Kinds, SuspectKind};
use crate::graph::Dominators;
use crate::heap::RootReason;

/// Adds the types of which much is there. Without a sidecar no roots are known, and nothing can be said.
pub(super) fn add(kinds: &Kinds<'_>, dominators: &Dominators, threshold: u64, found: &mut Vec<Finding>) {
    let view = kinds.view();
    let heap = view.heap();
    if !heap.roots().iter().any(|root| matches!(root.reason, RootReason::Sidecar(_))) {
        return;
    }
    let mut by_type: HashMap<u32, Vec<(u32, u64)>> = HashMap::new();
    for root in heap.roots().iter().filter(|root| !matches!(root.reason, RootReason::Sidecar(_))) {
        let node = root.node;
        let is_top = view.is_live(node) && dominators.is_reached(node) && dominators.dominator(node).is_none();
        let is_data = !kinds.is_program(node) && !kinds.is_leaf_type(view.type_id(node));
        // Dicts of classes in C, of their subclasses, copies of those of modules in C, and that of the interned strings only
        // the interpreter knows.
        let is_its_own = kinds.type_name(node) == "dict" && root.reason != RootReason::Cycle;
        if is_top && is_data && !is_its_own {
            by_type.entry(view.type_id(node)).or_default().push((node, dominators.retained(node).bytes));
        }
    }
    for members in by_type.into_values().filter(|members| members.len() >= MANY) {
        let amount = contents::amount(dominators, &members);
        let Some(&(node, largest)) = members.iter().max_by_key(|&&(node, bytes)| (bytes, std::cmp::Reverse(node)))
        else {
            continue;
        };
        if amount.bytes < threshold || largest > amount.bytes / 2 {
            continue;
        }
        let contents = contents::of(kinds, dominators, &members);
        found.push(Finding { node, kind: SuspectKind::Unreached, amount, contents, also: Vec::new() });
    }
}

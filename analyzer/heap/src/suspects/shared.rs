//! Containers whose objects others hold, too: a cache with its entries in a dict and in a list of the latest.
//!
//! None of them dominates the objects, so that the walk down the tree passes them by.

use std::collections::{BTreeMap, HashMap};

use super::contents;
use super::explore::MANY;
use super::{Finding, Kinds, SuspectKind};
use crate::graph::Dominators;

/// Adds containers that are not suspects yet, and those that share their objects with one that is.
pub(super) fn add(kinds: &Kinds<'_>, dominators: &Dominators, threshold: u64, found: &mut Vec<Finding>) {
    let view = kinds.view();
    let places: Vec<u32> = found.iter().map(|suspect| suspect.node).collect();
    let mut sharing: Vec<(Finding, Vec<u32>)> = Vec::new();
    for node in view.objects().filter(|&node| view.heap().edges(node).len() >= MANY && dominators.is_reached(node)) {
        if kinds.is_program(node) || places.iter().any(|&place| dominators.dominates(place, node)) {
            continue;
        }
        let members = members(kinds, dominators, node, threshold);
        if members.len() < MANY || kinds.is_namespace(node) {
            continue;
        }
        let amount = contents::amount(dominators, &members);
        let contents = contents::of(kinds, dominators, &members);
        let suspect = Finding { node, kind: SuspectKind::Shared, amount, contents, also: Vec::new() };
        sharing.push((suspect, members.into_iter().map(|(member, _)| member).collect()));
    }
    sharing.sort_by_key(|(suspect, _)| (std::cmp::Reverse(suspect.amount.bytes), suspect.node));
    found.extend(merged(sharing));
}

/// Of the objects of the type that keeps most of what the container does not alone keep: each once, with its bytes.
/// Nothing if it is less than the threshold.
fn members(kinds: &Kinds<'_>, dominators: &Dominators, node: u32, threshold: u64) -> Vec<(u32, u64)> {
    let view = kinds.view();
    // In order: of equals the same one is found each time.
    let mut by_type: BTreeMap<u32, Vec<(u32, u64)>> = BTreeMap::new();
    view.children(node, |child| {
        if view.is_live(child) && !kinds.is_program(child) && dominators.dominator(child) != Some(node) {
            let entry = by_type.entry(view.type_id(child)).or_default();
            entry.push((child, dominators.retained(child).bytes));
        }
    });
    let mut best = (0, Vec::new());
    for (_, mut members) in by_type {
        // What leads back to the container is not in it.
        members.sort_unstable();
        members.dedup();
        members.retain(|&(member, _)| !dominators.dominates(member, node));
        let sum = contents::sum(&members);
        let largest = members.iter().map(|&(_, bytes)| bytes).max().unwrap_or(0);
        if sum > best.0 && largest <= sum / 2 {
            best = (sum, members);
        }
    }
    if best.0 < threshold { Vec::new() } else { best.1 }
}

/// Containers with much the same members become one suspect: the one with the most of them, the others named beside it.
fn merged(sharing: Vec<(Finding, Vec<u32>)>) -> Vec<Finding> {
    let mut holder: HashMap<u32, usize> = HashMap::new();
    let mut suspects: Vec<Finding> = Vec::new();
    for (suspect, members) in sharing {
        let mut votes: HashMap<usize, usize> = HashMap::new();
        for member in &members {
            if let Some(&at) = holder.get(member) {
                *votes.entry(at).or_default() += 1;
            }
        }
        match votes.into_iter().max_by_key(|&(at, votes)| (votes, std::cmp::Reverse(at))) {
            Some((at, votes)) if votes * 2 > members.len() => suspects[at].also.push(suspect.node),
            _ => {
                members.iter().for_each(|&member| {
                    holder.entry(member).or_insert(suspects.len());
                });
                suspects.push(suspect);
            }
        }
    }
    suspects
}

//! Threads that are in the same function, and what its variables keep: each keeps little, all of them much. Every frame is
//! a root, so that the walk down the tree meets them one by one.

use std::collections::BTreeMap;

use super::contents;
use super::explore::MANY;
use super::{Contents, Finding, Kinds, SuspectKind, TypeGroup};
use crate::graph::Dominators;

/// Adds the functions that many threads are in, by the sidecar's word.
pub(super) fn add(kinds: &Kinds<'_>, dominators: &Dominators, threshold: u64, found: &mut Vec<Finding>) {
    let view = kinds.view();
    let threads = view.heap().meta().into_iter().flat_map(|meta| &meta.threads);
    let mut by_function: BTreeMap<(&str, &str), Vec<(u32, u64)>> = BTreeMap::new();
    for frame in threads.flat_map(|thread| &thread.frames) {
        if let Some(node) = view.node_of(frame.address).filter(|&node| dominators.is_reached(node)) {
            let frames = by_function.entry((&frame.file, &frame.function)).or_default();
            frames.push((node, dominators.retained(node).bytes));
        }
    }
    for mut frames in by_function.into_values() {
        // A damaged sidecar may name one twice.
        frames.sort_unstable();
        frames.dedup();
        let amount = contents::amount(dominators, &frames);
        let largest = frames.iter().map(|&(node, bytes)| (bytes, std::cmp::Reverse(node))).max();
        let Some((most, std::cmp::Reverse(node))) = largest else { continue };
        if frames.len() < MANY || amount.bytes < threshold || most > amount.bytes / 2 {
            continue;
        }
        let variables = frames.iter().flat_map(|&(frame, _)| dominators.children(Some(frame)));
        let variables: Vec<(u32, u64)> = variables.map(|child| (child, dominators.retained(child).bytes)).collect();
        let group = TypeGroup { type_id: view.type_id(node), count: frames.len() as u64, bytes: amount.bytes };
        let inner = contents::of(kinds, dominators, &variables).members;
        let contents =
            Contents { members: Some(group), inner, total: frames.len() as u64, types: 1, ..Contents::default() };
        found.push(Finding { node, kind: SuspectKind::Threads, amount, contents, also: Vec::new() });
    }
}

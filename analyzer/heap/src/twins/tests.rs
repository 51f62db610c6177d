//! Equal parts and bags against their definitions, on dominators found by deleting each object in turn.

use std::sync::Arc;

use fixedbitset::FixedBitSet;
use proptest::prelude::*;

use super::alike::{Bag, bags, similarity};
use super::fingerprint::Fingerprints;
use crate::graph::{Dominators, kept_by};
use crate::heap::View;
use crate::heap::testing::{heap_of_edges, node_edges};

/// By definition: what goes when a node goes, itself included.
fn kept(view: &View, node: u32) -> FixedBitSet {
    let mut gone = FixedBitSet::with_capacity(view.node_bound() as usize);
    gone.insert(node as usize);
    kept_by(view, &gone)
}

/// Nodes that the node dominates with nothing in between.
fn children(kept: &[FixedBitSet], node: usize) -> Vec<usize> {
    let others: Vec<usize> = kept[node].ones().filter(|&other| other != node).collect();
    let is_between = |other: usize| others.iter().any(|&middle| middle != other && kept[middle].contains(other));
    others.iter().copied().filter(|&other| !is_between(other)).collect()
}

/// A part in full, as text: equal parts have equal texts.
fn text(view: &View, kept: &[FixedBitSet], node: usize) -> String {
    let kind = |node: u32| if view.is_live(node) { view.type_name(view.type_id(node)) } else { "" };
    let mut refs: Vec<&str> = Vec::new();
    view.children(node as u32, |child| {
        if view.is_live(child) {
            refs.push(kind(child));
        }
    });
    refs.sort_unstable();
    let mut parts: Vec<String> = children(kept, node).into_iter().map(|child| text(view, kept, child)).collect();
    parts.sort();
    format!("({} {refs:?} {parts:?})", kind(node as u32))
}

proptest! {
    #[test]
    fn fingerprints_are_equal_if_parts_are((nodes, edges) in node_edges(10)) {
        let view = View::new(Arc::new(heap_of_edges(nodes, &edges)));
        let dominators = Dominators::of(&view);
        let found = Fingerprints::of(&view, &dominators);
        let kept: Vec<FixedBitSet> = (0..nodes).map(|node| kept(&view, node)).collect();
        let texts: Vec<String> = (0..nodes as usize).map(|node| text(&view, &kept, node)).collect();
        for a in 0..nodes as usize {
            for b in 0..nodes as usize {
                prop_assert_eq!(found.are_equal(&[a as u32, b as u32]), texts[a] == texts[b], "{} {}", a, b);
            }
        }
        for group in found.groups(&view, &dominators) {
            prop_assert!(group.len() > 1);
            prop_assert!(group.iter().all(|&node| texts[node as usize] == texts[group[0] as usize]));
        }
    }

    #[test]
    fn a_bag_has_everything_below_a_part_once((nodes, edges) in node_edges(10)) {
        let view = View::new(Arc::new(heap_of_edges(nodes, &edges)));
        let dominators = Dominators::of(&view);
        for node in 0..nodes {
            let bag = bags(&view, &dominators, node).shape;
            let count: u64 = bag.values().map(|&count| u64::from(count)).sum();
            prop_assert_eq!(count + 1, kept(&view, node).count_ones(..) as u64);
        }
    }

    #[test]
    fn similarity_is_what_is_common_over_all(a in prop::collection::vec(0..6u64, 0..12), b in prop::collection::vec(0..6u64, 0..12)) {
        let bag = |items: &[u64]| {
            let mut bag = Bag::new();
            items.iter().for_each(|&item| *bag.entry(item).or_default() += 1);
            bag
        };
        let count = |items: &[u64], item| items.iter().filter(|&&other| other == item).count();
        let common: usize = (0..6).map(|item| count(&a, item).min(count(&b, item))).sum();
        let all = a.len() + b.len() - common;
        match similarity(&bag(&a), &bag(&b)) {
            Some(percent) => prop_assert!((percent - 100.0 * common as f64 / all as f64).abs() < 1e-9),
            None => prop_assert_eq!(all, 0),
        }
    }
}

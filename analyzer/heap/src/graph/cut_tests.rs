//! Cuts against brute force: drop every reference and every two, and see who is still reached.

use std::sync::Arc;

use fixedbitset::FixedBitSet;
use proptest::prelude::*;

use super::{Dominators, cut, reached_without};
use crate::heap::View;
use crate::heap::testing::{heap_of_edges, node_edges};

/// How many of the wanted still are reached when these references are gone.
fn left(view: &View, wanted: &FixedBitSet, dropped: &[u32]) -> usize {
    let mut view = view.clone();
    dropped.iter().for_each(|&edge| {
        view.delete_edge(edge);
    });
    reached_without(&view, &FixedBitSet::new()).intersection_count(wanted)
}

fn edges(view: &View) -> Vec<u32> {
    (0..view.edge_bound()).filter(|&edge| view.edge(edge).is_some_and(|edge| view.is_live(edge.child))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn no_other_reference_frees_more((nodes, node_edges) in node_edges(10), wanted in prop::collection::vec(0..10u32, 1..4)) {
        let view = View::new(Arc::new(heap_of_edges(nodes, &node_edges)));
        let mut set = FixedBitSet::with_capacity(nodes as usize);
        set.extend(wanted.iter().filter(|&&node| node < nodes).map(|&node| node as usize));
        let all = left(&view, &set, &[]);
        let best = edges(&view).into_iter().map(|edge| all - left(&view, &set, &[edge])).max().unwrap_or(0);
        let found = cut::single(&view, &Dominators::of(&view), &set, |_| true);
        prop_assert_eq!(found.map_or(0, |found| found.matching as usize), best);
        if let Some(found) = found {
            prop_assert_eq!(all - left(&view, &set, &[found.edge.id]), best);
        }
    }

    #[test]
    fn no_smaller_set_frees_all(
        (nodes, node_edges) in node_edges(8),
        wanted in prop::collection::vec(0..8u32, 1..3),
        fixed in prop::collection::vec(any::<bool>(), 20),
    ) {
        let view = View::new(Arc::new(heap_of_edges(nodes, &node_edges)));
        let mut set = FixedBitSet::with_capacity(nodes as usize);
        set.extend(wanted.iter().filter(|&&node| node < nodes).map(|&node| node as usize));
        let can_drop = |edge: u32| fixed.get(edge as usize).copied().unwrap_or(true);
        let free: Vec<u32> = edges(&view).into_iter().filter(|&edge| can_drop(edge)).collect();
        let found = cut::smallest(&view, &set, 16, |edge| can_drop(edge.id));
        match found {
            Err(cut::NoCut::Impossible) => prop_assert!(left(&view, &set, &free) > 0),
            Err(cut::NoCut::TooMany) => prop_assert!(free.len() > 16),
            Ok(found) => {
                let ids: Vec<u32> = found.iter().map(|edge| edge.id).collect();
                prop_assert!(ids.iter().all(|&edge| can_drop(edge)));
                prop_assert_eq!(left(&view, &set, &ids), 0);
                if ids.len() > 1 {
                    prop_assert!(free.iter().all(|&edge| left(&view, &set, &[edge]) > 0));
                }
                if ids.len() > 2 {
                    let pairs = free.iter().flat_map(|&a| free.iter().map(move |&b| [a, b]));
                    prop_assert!(pairs.into_iter().all(|pair| left(&view, &set, &pair) > 0));
                }
            }
        }
    }
}

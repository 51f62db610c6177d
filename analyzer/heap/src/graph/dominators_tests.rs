//! Dominators against brute force: take an object away and see who is still reached.

use std::sync::Arc;

use fixedbitset::FixedBitSet;
use proptest::prelude::*;

use super::{Amount, Dominators, amount_of, kept_by, reached_without};
use crate::heap::View;
use crate::heap::testing::{heap_of_edges, node_edges};

fn view(nodes: u32, edges: &[(u32, u32)]) -> View {
    View::new(Arc::new(heap_of_edges(nodes, edges)))
}

fn only(node: u32) -> FixedBitSet {
    let mut set = FixedBitSet::with_capacity(node as usize + 1);
    set.insert(node as usize);
    set
}

/// Everything the tree says, against deleting each object in turn.
fn check(view: &View) -> Result<(), TestCaseError> {
    let found = Dominators::of(view);
    let reached = reached_without(view, &FixedBitSet::new());
    prop_assert_eq!(found.total(), amount_of(view, &reached));
    let kept: Vec<FixedBitSet> = (0..view.node_bound()).map(|node| kept_by(view, &only(node))).collect();
    for node in 0..view.node_bound() {
        let own = &kept[node as usize];
        prop_assert_eq!(found.is_reached(node), reached.contains(node as usize));
        prop_assert_eq!(found.retained(node), amount_of(view, own));
        let mut subtree = FixedBitSet::with_capacity(view.node_bound() as usize);
        subtree.extend(found.subtree(Some(node)).iter().map(|&node| node as usize));
        prop_assert_eq!(&subtree, own);
        // Of those that take this one along, the nearest is the one that takes the fewest.
        let dominators =
            (0..view.node_bound()).filter(|&other| other != node && kept[other as usize].contains(node as usize));
        let nearest = dominators.min_by_key(|&other| kept[other as usize].count_ones(..));
        prop_assert_eq!(found.dominator(node), nearest);
        for other in 0..view.node_bound() {
            prop_assert_eq!(found.dominates(node, other), own.contains(other as usize));
        }
        let children: Vec<u32> = found.children(Some(node)).collect();
        let mut expected: Vec<u32> =
            (0..view.node_bound()).filter(|&other| found.dominator(other) == Some(node)).collect();
        expected.sort_unstable_by_key(|&child| found.subtree(None).iter().position(|&other| other == child));
        prop_assert_eq!(children, expected);
    }
    let top: Vec<u32> = found.children(None).collect();
    let sum: u64 = top.iter().map(|&node| found.retained(node).objects).sum();
    prop_assert_eq!(sum, found.total().objects);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn they_are_what_deleting_shows((nodes, edges) in node_edges(14)) {
        check(&view(nodes, &edges))?;
    }

    #[test]
    fn the_changes_of_a_session_count(
        (nodes, edges) in node_edges(10),
        gone in prop::collection::vec(0..12u32, 0..3),
        cut in prop::collection::vec(0..20u32, 0..6),
        added in prop::collection::vec((0..10u64, 0..10u64), 0..3),
        unrooted in prop::collection::vec(0..10u32, 0..2),
    ) {
        let mut view = view(nodes, &edges);
        cut.iter().for_each(|&edge| { view.delete_edge(edge.min(view.edge_bound())); });
        gone.iter().for_each(|&node| { view.delete_object(node); });
        unrooted.iter().for_each(|&node| { view.delete_root(node); });
        added.iter().for_each(|&(parent, child)| { view.add_edge(16 * (parent + 1), 16 * (child + 1)); });
        check(&view)?;
    }
}

#[test]
fn a_chain_of_a_million_links() {
    use std::fmt::Write;
    let links = 1_000_000u32;
    let mut text = String::new();
    for link in 1..=links {
        let next = if link == links { String::new() } else { (link + 1).to_string() };
        writeln!(text, "{{\"address\": {link}, \"type\": \"link\", \"size\": 2, \"refs\": [{next}]}}").unwrap();
    }
    let view = View::new(Arc::new(crate::heap::Heap::from_text(&text).unwrap()));
    let found = Dominators::of(&view);
    assert_eq!(found.retained(0), Amount { objects: u64::from(links), bytes: 2 * u64::from(links) });
    assert_eq!(found.retained(links - 1), Amount { objects: 1, bytes: 2 });
    assert_eq!(found.dominator(links - 1), Some(links - 2));
}

#[test]
fn nothing_dominates_nothing() {
    let found = Dominators::of(&view(1, &[]));
    assert_eq!((found.dominator(0), found.is_reached(0)), (None, true));
    assert_eq!(
        (found.retained(7), found.subtree(Some(7)).len(), found.children(Some(7)).count()),
        (Amount::default(), 0, 0)
    );
    let mut emptied = view(1, &[]);
    emptied.delete_object(0);
    let found = Dominators::of(&emptied);
    assert_eq!((found.total(), found.children(None).count()), (Amount::default(), 0));
}

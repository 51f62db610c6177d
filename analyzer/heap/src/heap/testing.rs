//! Small random heaps for tests.

use proptest::prelude::*;

use super::Heap;

/// A heap of `nodes` objects; object i has address 16·(i + 1), size i + 1 and type `t0`…`t2`.
pub(crate) fn heap_of_edges(nodes: u32, edges: &[(u32, u32)]) -> Heap {
    let mut text = String::new();
    for node in 0..nodes {
        let refs: Vec<String> = edges.iter().filter(|e| e.0 == node).map(|e| (16 * (e.1 + 1)).to_string()).collect();
        text += &format!(
            "{{\"address\": {}, \"type\": \"t{}\", \"size\": {}, \"refs\": [{}]}}\n",
            16 * (node + 1),
            node % 3,
            node + 1,
            refs.join(", ")
        );
    }
    Heap::from_text(&text).unwrap()
}

/// A number of nodes below `max` and edges among them, some of them repeated, some of them dangling.
pub(crate) fn node_edges(max: u32) -> impl Strategy<Value = (u32, Vec<(u32, u32)>)> {
    (1..max).prop_flat_map(move |nodes| {
        (Just(nodes), prop::collection::vec((0..nodes, 0..nodes + 2), 0..(2 * max as usize)))
    })
}

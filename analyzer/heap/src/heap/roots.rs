//! The children of the virtual root (address 0): a set of objects from which everything in the dump can be reached.
//!
//! They are the roots that the sidecar names; every object nobody refers to; and, for each group of objects that refer
//! to each other in a circle and that nothing outside of it reaches, the one that comes first in the file.
//!
//! One of the objects without a referrer has a name all the same: the interpreter's dict of interned strings. From CPython
//! 3.14 on the collector tracks every dict from its making, so that a dump finds this one; before, a dict of nothing but
//! strings was not tracked.
//!
//! The last kind needs no strongly connected components. Go through the unreached objects in file order and from each
//! that is still unvisited (a *start*) visit all it reaches. Nothing enters such a circle from outside, so that its
//! first object must have been a start. A start that is none of these can be reached from a circle with a *later*
//! start: had the circle come earlier, it would have been visited. So a second pass over the starts, the last one
//! first, that skips what is visited by then, meets exactly one object of each circle.

use fixedbitset::FixedBitSet;

use super::Heap;

/// A child of the virtual root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Root {
    /// The object.
    pub node: u32,
    /// Why it is a root; [`Heap::root_label`] has it in words.
    pub reason: RootReason,
}

/// Why an object is a child of the virtual root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RootReason {
    /// The sidecar names it: position in its list of roots.
    Sidecar(u32),
    /// It is the interpreter's dict of interned strings: no object refers to it, and each value in it is its own key.
    Interned,
    /// No object refers to it: C code holds it, or it is garbage the collector has not met yet.
    NoReferrer,
    /// Only objects it reaches itself refer to it, and nothing outside reaches them.
    Cycle,
}

/// Sorted by node, each once; if there are several reasons, the first in the order of [`RootReason`].
pub(super) fn find(heap: &Heap) -> Vec<Root> {
    let mut reached = Reached { heap, visited: FixedBitSet::with_capacity(heap.len() as usize), queue: Vec::new() };
    let mut roots = Vec::new();
    let mut known = FixedBitSet::with_capacity(heap.len() as usize);
    let mut add = |node: u32, reason| {
        if !known.put(node as usize) {
            roots.push(Root { node, reason });
        }
    };
    for (i, root) in heap.meta().iter().flat_map(|meta| &meta.roots).enumerate() {
        let nodes = root.addresses.iter().filter_map(|&address| heap.node_of(address));
        nodes.filter(|&node| node < heap.len()).for_each(|node| add(node, RootReason::Sidecar(i as u32)));
    }
    let parentless = (0..heap.len()).filter(|&node| heap.edges_into(node).is_empty());
    let parentless: Vec<u32> = parentless.collect();
    // The sidecar's word comes first.
    let interned = (!is_interned_named(heap)).then(|| interned(heap, &parentless)).flatten();
    interned.into_iter().for_each(|node| add(node, RootReason::Interned));
    parentless.into_iter().for_each(|node| add(node, RootReason::NoReferrer));
    for root in &roots {
        reached.visit(root.node);
    }
    let circles = unreached_circles(&mut reached);
    roots.extend(circles.into_iter().map(|node| Root { node, reason: RootReason::Cycle }));
    roots.sort_unstable_by_key(|root| root.node);
    roots
}

/// What the root is called that is the interpreter's dict of interned strings.
pub(super) const INTERNED: &str = "interned strings";
/// An interpreter that has only started has more.
const FEWEST_INTERNED: u64 = 100;

fn is_interned_named(heap: &Heap) -> bool {
    heap.meta().is_some_and(|meta| meta.roots.iter().any(|root| root.label == INTERNED))
}

/// The dict of interned strings, if it is among the objects that nobody refers to. There is one in an interpreter; should C
/// code have a table of its own that looks the same, the larger one is taken.
fn interned(heap: &Heap, parentless: &[u32]) -> Option<u32> {
    let (dict, text) = (heap.type_by_name("dict")?, heap.type_by_name("str")?);
    let is_its_own_key = |pair: &[u32]| pair[0] == pair[1] && pair[0] < heap.len() && heap.type_id(pair[0]) == text;
    let is_interned = |node: &u32| {
        let all = heap.referents(*node);
        let in_pairs = heap.length(*node).and_then(|length| length.checked_mul(2)) == Some(all.len() as u64);
        in_pairs && all.chunks_exact(2).all(is_its_own_key)
    };
    let is_large = |&node: &u32| heap.length(node).is_some_and(|length| length >= FEWEST_INTERNED);
    let tables = parentless.iter().copied().filter(|&node| heap.type_id(node) == dict);
    tables.filter(is_large).filter(is_interned).max_by_key(|&node| (heap.length(node), std::cmp::Reverse(node)))
}

fn unreached_circles(reached: &mut Reached<'_>) -> Vec<u32> {
    if reached.visited.is_full() {
        return Vec::new();
    }
    let before = reached.visited.clone();
    let starts: Vec<u32> = (0..reached.heap.len()).filter(|&node| reached.visit(node)).collect();
    reached.visited = before;
    starts.into_iter().rev().filter(|&start| reached.visit(start)).collect()
}

struct Reached<'a> {
    heap: &'a Heap,
    visited: FixedBitSet,
    queue: Vec<u32>,
}

impl Reached<'_> {
    /// Visits a node and all it reaches; false if it was visited already.
    fn visit(&mut self, node: u32) -> bool {
        if self.visited.put(node as usize) {
            return false;
        }
        self.queue.push(node);
        while let Some(node) = self.queue.pop() {
            for &child in self.heap.referents(node) {
                if child < self.heap.len() && !self.visited.put(child as usize) {
                    self.queue.push(child);
                }
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use heapsee_format::meta;
    use proptest::prelude::*;

    use super::super::testing::{heap_of_edges, node_edges};
    use super::*;

    fn roots(nodes: u32, edges: &[(u32, u32)]) -> Vec<(u32, RootReason)> {
        heap_of_edges(nodes, edges).roots().iter().map(|root| (root.node, root.reason)).collect()
    }

    #[test]
    fn one_of_each_circle() {
        use RootReason::{Cycle, NoReferrer};
        // 0 → 1; 2 ⇄ 3 → 4 ⇄ 5; 6 ↺; the second circle comes first in the file in the next.
        assert_eq!(
            roots(7, &[(0, 1), (2, 3), (3, 2), (3, 4), (4, 5), (5, 4), (6, 6)]),
            [(0, NoReferrer), (2, Cycle), (6, Cycle)]
        );
        assert_eq!(roots(4, &[(0, 1), (1, 0), (3, 2), (2, 3), (3, 0)]), [(2, Cycle)]);
    }

    #[test]
    fn the_sidecar_comes_first() {
        let lines = r#"{"address": 16, "type": "a", "size": 1, "refs": [32]}
            {"address": 32, "type": "a", "size": 1, "refs": [16, 48]}
            {"address": 48, "type": "a", "size": 1, "refs": [999]}"#;
        let root =
            |label: &str, addresses: &[u64]| meta::Root { label: label.to_owned(), addresses: addresses.to_vec() };
        let roots = vec![root("sys.modules", &[32, 999, 1]), root("builtins", &[48, 32])];
        let heap = Heap::from_text_with_meta(lines, Some(meta::Meta { roots, ..meta::Meta::default() })).unwrap();
        let labels: Vec<(u32, &str)> = heap.roots().iter().map(|root| (root.node, heap.root_label(root))).collect();
        assert_eq!(labels, [(1, "sys.modules"), (2, "builtins")]);
    }

    /// A dict that nobody refers to, with as many texts as its own keys; then another dict of the same kind, half as large.
    fn tables(texts: u64, more: &str) -> String {
        let of = |address: u64, texts: u64| {
            let refs: Vec<u64> = (0..texts).flat_map(|i| [1000 + i, 1000 + i]).collect();
            format!(
                "{{\"address\": {address}, \"type\": \"dict\", \"size\": 1, \"len\": {texts}, \"refs\": {refs:?}}}\n"
            )
        };
        let text = |i: u64| format!("{{\"address\": {}, \"type\": \"str\", \"size\": 1, \"refs\": []}}\n", 1000 + i);
        of(16, texts / 2) + &of(32, texts) + &(0..texts).map(text).collect::<String>() + more
    }

    #[test]
    fn interned_strings_are_a_root_with_a_name() {
        let labels = |text: &str, meta: Option<meta::Meta>| -> Vec<(u64, String)> {
            let heap = Heap::from_text_with_meta(text, meta).unwrap();
            let named = heap.interned().map(|node| heap.address(node));
            assert_eq!(named.is_some(), heap.roots().iter().any(|root| heap.root_label(root) == INTERNED));
            heap.roots().iter().map(|root| (heap.address(root.node), heap.root_label(root).to_owned())).collect()
        };
        let nobody = "no referrer in the dump".to_owned();
        assert_eq!(labels(&tables(200, ""), None), [(16, nobody.clone()), (32, INTERNED.to_owned())]);
        // Few entries; somebody refers to it; a value that is not its key; keys that are no texts.
        assert_eq!(labels(&tables(50, ""), None), [(16, nobody.clone()), (32, nobody.clone())]);
        let held = "{\"address\": 48, \"type\": \"x\", \"size\": 1, \"refs\": [16, 32]}\n";
        assert_eq!(labels(&tables(200, held), None), [(48, nobody.clone())]);
        assert_eq!(labels(&tables(200, "").replace("[1000, 1000", "[1000, 1001"), None)[1].1, nobody);
        assert_eq!(labels(&tables(200, "").replace("\"str\"", "\"Name\""), None)[1].1, nobody);
        // The sidecar knows it.
        let roots = vec![meta::Root { label: INTERNED.to_owned(), addresses: vec![16] }];
        let told = labels(&tables(200, ""), Some(meta::Meta { roots, ..meta::Meta::default() }));
        assert_eq!(told, [(16, INTERNED.to_owned()), (32, nobody)]);
    }

    proptest! {
        #[test]
        fn they_reach_everything_and_none_is_superfluous((nodes, edges) in node_edges(12)) {
            let heap = heap_of_edges(nodes, &edges);
            let reach = |from: u32| {
                let mut reached = Reached { heap: &heap, visited: FixedBitSet::with_capacity(nodes as usize), queue: Vec::new() };
                reached.visit(from);
                reached.visited
            };
            let mut all = FixedBitSet::with_capacity(nodes as usize);
            for root in heap.roots() {
                all.union_with(&reach(root.node));
                for other in heap.roots() {
                    prop_assert!(root == other || !reach(other.node).contains(root.node as usize));
                }
            }
            prop_assert!(all.is_full());
        }
    }
}

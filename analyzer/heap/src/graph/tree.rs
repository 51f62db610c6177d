//! One way from a root to every object, all of them together as a tree: what a place in the heap is.
//!
//! A plain breadth-first search takes whatever is shortest, though it leads through a frame or a function's globals.
//! Here some beginnings come before others, and objects may have a *reluctance*: a way avoids reluctant objects if it
//! can, then it is short. What references are called it does not say.

use crate::heap::{RootReason, View};

/// The most reluctant there is.
pub const MOST_RELUCTANT: u8 = 3;
const BUCKETS: usize = MOST_RELUCTANT as usize + 1;
/// In `edges`: no root reaches the node.
const UNREACHED: u32 = u32::MAX;
/// In `edges`: the node is where a way begins.
const START: u32 = u32::MAX - 1;

/// Which of several ways to an object that are as good as each other counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Among {
    /// By the referent that an object has first: file order.
    First,
    /// By the one that it has last: what was put there last, or the first element of a list.
    Last,
}

/// A way from a root to each object that one reaches.
pub struct Tree {
    /// By node: the last reference of its way.
    edges: Vec<u32>,
    /// By node: where that reference comes from; itself where a way begins.
    parents: Vec<u32>,
    /// Everything that is reached, each behind its parent.
    order: Vec<u32>,
}

impl Tree {
    /// The shortest ways of a view, in time linear in its references. What the sidecar names comes first, whatever the
    /// length of the way: modules before the frames of threads, and these before objects that are roots only because
    /// nothing in the dump refers to them.
    pub fn of(view: &View) -> Tree {
        Tree::grow(view, groups(view), |_| 0, Among::First)
    }

    /// Ways that a person would take, in time linear in the references. `reluctance` says how unwilling to go through an
    /// object, or to begin with it, up to [`MOST_RELUCTANT`]; it is told whether the object is a beginning.
    pub fn preferring(view: &View, among: Among, reluctance: impl Fn(u32, bool) -> u8) -> Tree {
        let mut beginnings: [Vec<u32>; BUCKETS] = Default::default();
        for root in view.roots() {
            beginnings[usize::from(reluctance(root, true).min(MOST_RELUCTANT))].push(root);
        }
        Tree::grow(view, beginnings, |node| reluctance(node, false), among)
    }

    /// Searches all ways at once: what is in `waiting[0]`, and all it reaches without reluctance, before `waiting[1]`.
    fn grow(view: &View, mut waiting: [Vec<u32>; BUCKETS], reluctance: impl Fn(u32) -> u8, among: Among) -> Tree {
        let bound = view.node_bound() as usize;
        let mut tree = Tree { edges: vec![UNREACHED; bound], parents: vec![0; bound], order: Vec::new() };
        let mut met = Vec::new();
        for bucket in 0..BUCKETS {
            // The others were met by a less reluctant way and only wait to be gone through.
            waiting[bucket].retain(|&node| view.is_live(node));
            for &node in &waiting[bucket] {
                tree.meet(node, node, START);
            }
            let mut next = 0;
            while let Some(&node) = waiting[bucket].get(next) {
                next += 1;
                view.edges_from(node, |edge| met.extend(view.holds(edge).then_some((edge.child, edge.id))));
                if among == Among::Last {
                    met.reverse();
                }
                for (child, edge) in met.drain(..) {
                    if view.is_live(child) && tree.meet(child, node, edge) {
                        let reluctant = usize::from(reluctance(child).min(MOST_RELUCTANT));
                        waiting[reluctant.max(bucket)].push(child);
                    }
                }
            }
            waiting[bucket] = Vec::new();
        }
        tree
    }

    /// Whether the node was not met before.
    fn meet(&mut self, node: u32, parent: u32, edge: u32) -> bool {
        let known = &mut self.edges[node as usize];
        let is_new = *known == UNREACHED;
        if is_new {
            *known = edge;
            self.parents[node as usize] = parent;
            self.order.push(node);
        }
        is_new
    }

    /// Every object that is reached, each behind the one its way comes from.
    pub fn order(&self) -> &[u32] {
        &self.order
    }

    /// The object a way comes from and the reference it takes; `None` where it begins, or if no root reaches the node.
    pub fn parent(&self, node: u32) -> Option<(u32, u32)> {
        let edge = *self.edges.get(node as usize)?;
        (edge < START).then(|| (self.parents[node as usize], edge))
    }

    /// Whether a root reaches the node.
    pub fn is_reached(&self, node: u32) -> bool {
        self.edges.get(node as usize).is_some_and(|&edge| edge != UNREACHED)
    }

    /// The way to a node, from a root, both ends included. Empty if no root reaches it.
    pub fn path(&self, node: u32) -> Vec<u32> {
        if !self.is_reached(node) {
            return Vec::new();
        }
        let mut path = vec![node];
        let mut at = node;
        while let Some((parent, _)) = self.parent(at) {
            path.push(parent);
            at = parent;
        }
        path.reverse();
        path
    }
}

/// The roots in the order in which ways from them are preferred.
fn groups(view: &View) -> [Vec<u32>; BUCKETS] {
    let heap = view.heap();
    let mut groups: [Vec<u32>; BUCKETS] = Default::default();
    let mut named: Vec<(u32, u32)> = Vec::new();
    for root in heap.roots().iter().filter(|root| view.is_root(root.node)) {
        match root.reason {
            RootReason::Sidecar(_) if heap.root_label(root).starts_with("thread ") => groups[1].push(root.node),
            RootReason::Sidecar(place) => named.push((place, root.node)),
            RootReason::Interned | RootReason::NoReferrer | RootReason::Cycle => groups[2].push(root.node),
        }
    }
    named.sort_unstable();
    groups[0] = named.into_iter().map(|(_, node)| node).collect();
    // What a session has made a root.
    groups[2].extend(view.roots().filter(|&node| heap.roots().binary_search_by_key(&node, |root| root.node).is_err()));
    groups
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use fixedbitset::FixedBitSet;
    use heapsee_format::meta;
    use proptest::prelude::*;

    use super::super::path;
    use super::*;
    use crate::heap::Heap;
    use crate::heap::testing::{heap_of_edges, node_edges};

    #[test]
    fn names_come_before_threads_and_threads_before_what_nobody_refers_to() {
        // 3 can be reached from the module in two steps, from the thread in one; 4 from the thread and from an orphan.
        let text = "{\"address\": 16, \"type\": \"orphan\", \"size\": 1, \"refs\": [80]}\n\
            {\"address\": 32, \"type\": \"frame\", \"size\": 1, \"refs\": [64, 96]}\n\
            {\"address\": 48, \"type\": \"module\", \"size\": 1, \"refs\": [112]}\n\
            {\"address\": 64, \"type\": \"x\", \"size\": 1, \"refs\": []}\n\
            {\"address\": 80, \"type\": \"x\", \"size\": 1, \"refs\": []}\n\
            {\"address\": 96, \"type\": \"x\", \"size\": 1, \"refs\": [80]}\n\
            {\"address\": 112, \"type\": \"x\", \"size\": 1, \"refs\": [64]}\n";
        let root = |label: &str, address| meta::Root { label: label.to_owned(), addresses: vec![address] };
        let roots = vec![root("thread 1", 32), root("sys.modules", 48)];
        let heap = Heap::from_text_with_meta(text, Some(meta::Meta { roots, ..meta::Meta::default() })).unwrap();
        let view = View::new(Arc::new(heap));
        let tree = Tree::of(&view);
        let path = |node| tree.path(node).into_iter().map(|node| view.address(node)).collect::<Vec<_>>();
        assert_eq!(path(3), [48, 112, 64]);
        assert_eq!(path(4), [32, 96, 80]);
        assert_eq!(path(0), [16]);
    }

    proptest! {
        #[test]
        fn each_way_is_a_shortest_one((nodes, edges) in node_edges(14), deleted in prop::collection::vec(0u32..14, 0..3)) {
            let mut view = View::new(Arc::new(heap_of_edges(nodes, &edges)));
            for node in deleted {
                view.delete_object(node);
            }
            let tree = Tree::of(&view);
            let set = |nodes: Vec<u32>| {
                let mut set = FixedBitSet::with_capacity(view.node_bound() as usize);
                set.extend(nodes.into_iter().map(|node| node as usize));
                set
            };
            let roots = set(view.roots().collect());
            for node in 0..nodes {
                let way = tree.path(node);
                let shortest = path(&view, &roots, &set(vec![node]), false, |_| {}).unwrap_or_default();
                prop_assert_eq!(way.len(), shortest.len());
                prop_assert_eq!(tree.is_reached(node), !way.is_empty());
                for pair in way.windows(2) {
                    let (parent, edge) = tree.parent(pair[1]).unwrap();
                    prop_assert_eq!(parent, pair[0]);
                    let edge = view.edge(edge).unwrap();
                    prop_assert_eq!((edge.parent, edge.child), (pair[0], pair[1]));
                }
            }
        }
    }
}

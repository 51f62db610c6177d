//! A depth-first search from the virtual root: the order in which objects are met, and whence.
//!
//! What it is for are the dominators, whose algorithm speaks of nodes by these numbers.

use crate::heap::View;

/// Stands for the virtual root where a node is called for.
pub(super) const ROOT: u32 = u32::MAX;

/// Numbers in the order of meeting; the virtual root's is 0.
pub(super) struct DepthFirst {
    /// By node; 0 if it was not met.
    numbers: Vec<u32>,
    /// By number.
    nodes: Vec<u32>,
    /// By number: the number of whence it was met; 0 for the virtual root itself.
    parents: Vec<u32>,
}

impl DepthFirst {
    pub(super) fn of(view: &View) -> Self {
        let mut search = DepthFirst {
            numbers: vec![0; view.node_bound() as usize],
            nodes: Vec::with_capacity(view.counts().objects as usize + 1),
            parents: Vec::with_capacity(view.counts().objects as usize + 1),
        };
        search.nodes.push(ROOT);
        search.parents.push(0);
        let mut waiting = Vec::new();
        for root in view.roots().filter(|&root| view.is_live(root)) {
            search.from(view, root, &mut waiting);
        }
        search
    }

    fn from(&mut self, view: &View, root: u32, waiting: &mut Vec<u32>) {
        // Who is being visited, and from where on in `waiting` its children stand.
        let mut open = vec![(0, waiting.len())];
        waiting.push(root);
        while let Some(&(parent, start)) = open.last() {
            if waiting.len() == start {
                open.pop();
                continue;
            }
            let Some(node) = waiting.pop() else { break };
            if self.numbers[node as usize] != 0 {
                continue;
            }
            let number = self.nodes.len() as u32;
            self.numbers[node as usize] = number;
            self.nodes.push(node);
            self.parents.push(parent);
            let start = waiting.len();
            view.children(node, |child| {
                if self.numbers[child as usize] == 0 && view.is_live(child) {
                    waiting.push(child);
                }
            });
            if waiting.len() > start {
                open.push((number, start));
            }
        }
    }

    /// How many were met, the virtual root included.
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// The number of a node, if it was met.
    #[inline]
    pub(super) fn number(&self, node: u32) -> Option<u32> {
        Some(self.numbers[node as usize]).filter(|&number| number != 0)
    }

    /// The node with a number.
    #[inline]
    pub(super) fn node(&self, number: u32) -> u32 {
        self.nodes[number as usize]
    }

    /// The number of whence a node was met.
    #[inline]
    pub(super) fn parent(&self, number: u32) -> u32 {
        self.parents[number as usize]
    }

    /// The same for all numbers.
    pub(super) fn parents(&self) -> &[u32] {
        &self.parents
    }
}

//! Dominators: who alone keeps what; and retained sizes, which follow from them.
//!
//! An object *dominates* another if every way from the roots to the other leads through it: without it the other would
//! go. The nearest one is the *immediate dominator*; these make a tree below the virtual root, and an object's
//! *retained size* is what its part of that tree weighs: what would be freed if the object went.
//!
//! The algorithm is the semi-NCA of Georgiadis, Tarjan and Werneck ("Finding Dominators in Practice", 2006), with
//! explicit stacks throughout: a leak may well be a chain of millions of links. What is kept are 24 bytes a node.
//!
//! It knows nothing of types and names, and does not say what is suspicious.

use super::Amount;
use super::depth_first::{DepthFirst, ROOT};
use crate::heap::View;

/// Where in the tree an object is that no root reaches.
const NOWHERE: u32 = 0;

/// The dominator tree of a view, as it was when it was asked for.
pub struct Dominators {
    /// By node: its immediate dominator; `ROOT` for the virtual root.
    dominators: Vec<u32>,
    /// By node: its place in `tree`; `NOWHERE` if no root reaches it.
    places: Vec<u32>,
    /// The nodes as the tree's preorder: what an object dominates stands behind it without a gap. First the virtual root.
    tree: Vec<u32>,
    /// By place: objects in the subtree, and bytes.
    objects: Vec<u32>,
    bytes: Vec<u64>,
}

impl Dominators {
    /// Of everything that the roots of the view reach, in time nearly linear in the number of references.
    pub fn of(view: &View) -> Dominators {
        let search = DepthFirst::of(view);
        let idoms = immediate(view, &search);
        Dominators::from_immediate(view, &search, &idoms)
    }

    /// `idoms` by number of the search; a dominator's number is always the lower one.
    fn from_immediate(view: &View, search: &DepthFirst, idoms: &[u32]) -> Dominators {
        let count = idoms.len();
        let mut sizes = vec![1u32; count];
        for number in (1..count).rev() {
            sizes[idoms[number] as usize] += sizes[number];
        }
        // A child's subtree goes behind those of its elder siblings.
        let mut next = vec![1u32; count];
        let mut tree = vec![ROOT; count];
        let mut places = vec![NOWHERE; view.node_bound() as usize];
        let mut dominators = vec![ROOT; view.node_bound() as usize];
        let mut objects = vec![count as u32; count];
        for number in 1..count {
            let free = &mut next[idoms[number] as usize];
            let place = *free;
            *free += sizes[number];
            next[number] = place + 1;
            let node = search.node(number as u32);
            tree[place as usize] = node;
            objects[place as usize] = sizes[number];
            places[node as usize] = place;
            dominators[node as usize] = search.node(idoms[number]);
        }
        let bytes = retained_bytes(view, &tree, &objects);
        Dominators { dominators, places, tree, objects, bytes }
    }

    /// The immediate dominator of a node: `None` if it is the virtual root, or if no root reaches the node.
    pub fn dominator(&self, node: u32) -> Option<u32> {
        self.dominators.get(node as usize).copied().filter(|&dominator| dominator != ROOT)
    }

    /// Whether some root reaches the node.
    pub fn is_reached(&self, node: u32) -> bool {
        self.place(node) != NOWHERE
    }

    fn place(&self, node: u32) -> u32 {
        self.places.get(node as usize).copied().unwrap_or(NOWHERE)
    }

    /// What would go if the node went: itself and all it dominates. Nothing if no root reaches it.
    pub fn retained(&self, node: u32) -> Amount {
        match self.place(node) {
            NOWHERE => Amount::default(),
            place => self.amount(place),
        }
    }

    /// Everything that the roots reach.
    pub fn total(&self) -> Amount {
        let all = self.amount(NOWHERE);
        Amount { objects: all.objects - 1, ..all }
    }

    fn amount(&self, place: u32) -> Amount {
        Amount { objects: u64::from(self.objects[place as usize]), bytes: self.bytes[place as usize] }
    }

    /// The node and all it dominates, the node first, everybody in front of what it dominates. All that is reached if
    /// `None`; empty if no root reaches the node.
    pub fn subtree(&self, node: Option<u32>) -> &[u32] {
        let place = match node {
            None => return &self.tree[1..],
            Some(node) => self.place(node) as usize,
        };
        if place == 0 { &[] } else { &self.tree[place..place + self.objects[place] as usize] }
    }

    /// Whether every way from a root to `other` leads through `node`. Each node dominates itself.
    pub fn dominates(&self, node: u32, other: u32) -> bool {
        let (place, other) = (self.place(node), self.place(other));
        place != NOWHERE && (place..place + self.objects[place as usize]).contains(&other)
    }

    /// The nodes whose immediate dominator is this one; those of the virtual root if `None`.
    pub fn children(&self, node: Option<u32>) -> impl Iterator<Item = u32> + '_ {
        let place = node.map_or(0, |node| self.place(node)) as usize;
        let end = if node.is_some() && place == 0 { 0 } else { place + self.objects[place] as usize };
        let mut next = place + 1;
        std::iter::from_fn(move || {
            let child = (next < end).then_some(next)?;
            next += self.objects[child] as usize;
            Some(self.tree[child])
        })
    }
}

/// By place of the tree: the sizes of the subtree.
fn retained_bytes(view: &View, tree: &[u32], objects: &[u32]) -> Vec<u64> {
    let most = most_bytes(view, tree);
    // The sum up to each place, exclusive; then the difference of two.
    let mut sum = 0u64;
    let mut before: Vec<u64> = Vec::with_capacity(tree.len() + 1);
    before.push(0);
    for &node in tree {
        before.push(sum);
        if node != ROOT {
            sum += view.size(node).min(most);
        }
    }
    before.push(sum);
    // before[p + 1] is the sum in front of place p. Places behind the current one are still sums.
    for place in 0..tree.len() {
        let end = place + objects[place] as usize;
        before[place] = before[end + 1] - before[place + 1];
    }
    before.truncate(tree.len());
    before
}

/// No object counts for more bytes than these, so that no sum of sizes overflows: a dump may say anything of them.
fn most_bytes(view: &View, tree: &[u32]) -> u64 {
    let mut sizes = tree.iter().filter(|&&node| node != ROOT).map(|&node| view.size(node));
    let fits = sizes.try_fold(0u64, u64::checked_add).is_some();
    if fits { u64::MAX } else { u64::MAX / tree.len() as u64 }
}

/// The immediate dominators, by number of the search; that of the virtual root (number 0) is itself.
fn immediate(view: &View, search: &DepthFirst) -> Vec<u32> {
    let mut semi = semidominators(view, search);
    // The dominator is the nearest common ancestor, in the tree built so far, of parent and semidominator.
    for number in 1..semi.len() {
        let mut dominator = search.parent(number as u32);
        while dominator > semi[number] {
            dominator = semi[dominator as usize];
        }
        semi[number] = dominator;
    }
    semi
}

/// The semidominators, by number of the search.
fn semidominators(view: &View, search: &DepthFirst) -> Vec<u32> {
    let count = search.len();
    let mut forest = Forest::of(search);
    let mut semi = vec![0u32; count];
    for number in (1..count as u32).rev() {
        let node = search.node(number);
        let mut lowest = if view.is_root(node) { 0 } else { search.parent(number) };
        if lowest != 0 {
            view.parents(node, |parent| {
                // Below the root there is nothing.
                if lowest == 0 {
                    return;
                }
                if let Some(parent) = search.number(parent) {
                    lowest = lowest.min(if parent < number { parent } else { forest.lowest(parent, number) });
                }
            });
        }
        semi[number as usize] = lowest;
        forest.link(number, lowest);
    }
    semi
}

/// The part of the search tree that is done with, and the lowest semidominators on its ways, with paths compressed.
struct Forest {
    ancestors: Vec<u32>,
    lowest: Vec<u32>,
    way: Vec<u32>,
}

impl Forest {
    fn of(search: &DepthFirst) -> Self {
        Forest { ancestors: search.parents().to_vec(), lowest: vec![u32::MAX; search.len()], way: Vec::new() }
    }

    fn link(&mut self, number: u32, semi: u32) {
        self.lowest[number as usize] = semi;
    }

    /// The lowest semidominator from `from` upwards to the last node above `done`.
    fn lowest(&mut self, from: u32, done: u32) -> u32 {
        let mut at = from;
        while self.ancestors[at as usize] > done {
            self.way.push(at);
            at = self.ancestors[at as usize];
        }
        let mut found = self.lowest[at as usize];
        let top = self.ancestors[at as usize];
        while let Some(below) = self.way.pop() {
            found = found.min(self.lowest[below as usize]);
            self.lowest[below as usize] = found;
            self.ancestors[below as usize] = top;
        }
        found
    }
}

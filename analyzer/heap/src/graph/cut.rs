//! Cuts: the fewest references without which no root reaches some objects.
//!
//! One reference: the dominator tree says which objects hang by a single one. Several: the smallest cut equals the
//! largest flow (Ford and Fulkerson, 1956), found here one augmenting way at a time; the cut taken is the one nearest to
//! the objects. A caller says which references can be dropped at all: nobody drops a module's `__dict__`.

use std::collections::HashMap;

use fixedbitset::FixedBitSet;

use super::Dominators;
use crate::heap::{Edge, View};

/// A reference, and how many bytes and objects of those asked for hang by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Single {
    /// The reference.
    pub edge: Edge,
    /// Objects asked for that go.
    pub matching: u64,
}

/// The one reference whose loss takes the most of `wanted` along; of equals the one that takes the least besides.
pub fn single(
    view: &View,
    dominators: &Dominators,
    wanted: &FixedBitSet,
    can_drop: impl Fn(Edge) -> bool,
) -> Option<Single> {
    let tree = dominators.subtree(None);
    let mut before = Vec::with_capacity(tree.len() + 1);
    before.push(0u32);
    for (i, &node) in tree.iter().enumerate() {
        before.push(before[i] + u32::from(wanted.contains(node as usize)));
    }
    let mut candidates: Vec<(u32, u64, u32)> = Vec::new();
    for (i, &node) in tree.iter().enumerate() {
        let objects = dominators.retained(node).objects;
        let matching = before[i + objects as usize] - before[i];
        if matching > 0 && !view.is_root(node) {
            candidates.push((matching, objects, node));
        }
    }
    candidates.sort_unstable_by_key(|&(matching, objects, node)| (std::cmp::Reverse(matching), objects, node));
    candidates.into_iter().find_map(|(matching, _, node)| {
        let edge = only_way_in(view, dominators, node).filter(|&edge| can_drop(edge))?;
        Some(Single { edge, matching: u64::from(matching) })
    })
}

/// The reference to a node if there is one only that does not come from what the node dominates.
fn only_way_in(view: &View, dominators: &Dominators, node: u32) -> Option<Edge> {
    let (mut found, mut count) = (None, 0);
    view.edges_to(node, |edge| {
        if view.holds(edge) && dominators.is_reached(edge.parent) && !dominators.dominates(node, edge.parent) {
            found = Some(edge);
            count += 1;
        }
    });
    found.filter(|_| count == 1)
}

/// Why there is no cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoCut {
    /// Some way has no reference on it that can be dropped.
    Impossible,
    /// It would take more references than were allowed.
    TooMany,
}

/// The fewest references, at most `most`, without which no root reaches any of `wanted`: those nearest to these.
pub fn smallest(
    view: &View,
    wanted: &FixedBitSet,
    most: usize,
    can_drop: impl Fn(Edge) -> bool,
) -> Result<Vec<Edge>, NoCut> {
    let mut flow = Flow {
        view,
        wanted,
        can_drop,
        used: HashMap::new(),
        touched: FixedBitSet::with_capacity(view.node_bound() as usize),
    };
    let mut value = 0;
    while let Some(way) = flow.way() {
        if value == most {
            return Err(NoCut::TooMany);
        }
        if !flow.push(&way) {
            return Err(NoCut::Impossible);
        }
        value += 1;
    }
    Ok(flow.cut())
}

/// How an augmenting way comes to a node.
#[derive(Clone, Copy)]
enum Step {
    /// Along a reference.
    Along(Edge),
    /// Against a reference that has flow.
    Against(Edge),
}

struct Flow<'a, F> {
    view: &'a View,
    wanted: &'a FixedBitSet,
    can_drop: F,
    /// By id: references with flow, and how much.
    used: HashMap<u32, (Edge, u32)>,
    /// The nodes that flow leads to.
    touched: FixedBitSet,
}

impl<F: Fn(Edge) -> bool> Flow<'_, F> {
    fn is_full(&self, edge: Edge) -> bool {
        self.used.contains_key(&edge.id) && (self.can_drop)(edge)
    }

    /// A way from the roots to one of the wanted on which more can flow: breadth first, so a shortest one.
    fn way(&self) -> Option<Vec<Step>> {
        let mut met_from = vec![0u32; self.view.node_bound() as usize];
        let mut level: Vec<u32> = Vec::new();
        for root in self.view.roots().filter(|&root| self.view.is_live(root)) {
            if met_from[root as usize] == 0 {
                met_from[root as usize] = root + 1;
                level.push(root);
            }
        }
        let mut next = Vec::new();
        while !level.is_empty() {
            if let Some(&end) = level.iter().find(|&&node| self.wanted.contains(node as usize)) {
                return Some(self.trace(&met_from, end));
            }
            for &node in &level {
                self.steps(node, |step| {
                    let to = match step {
                        Step::Along(edge) => edge.child,
                        Step::Against(edge) => edge.parent,
                    };
                    if met_from[to as usize] == 0 && self.view.is_live(to) {
                        met_from[to as usize] = node + 1;
                        next.push(to);
                    }
                });
            }
            std::mem::swap(&mut level, &mut next);
            next.clear();
        }
        None
    }

    /// Where more can flow to from a node.
    fn steps(&self, node: u32, mut f: impl FnMut(Step)) {
        self.view.edges_from(node, |edge| {
            if self.view.holds(edge) && (self.used.is_empty() || !self.is_full(edge)) {
                f(Step::Along(edge));
            }
        });
        if self.touched.contains(node as usize) {
            self.view.edges_to(node, |edge| {
                if self.used.contains_key(&edge.id) {
                    f(Step::Against(edge));
                }
            });
        }
    }

    fn trace(&self, met_from: &[u32], end: u32) -> Vec<Step> {
        let mut way = Vec::new();
        let mut at = end;
        while met_from[at as usize] != at + 1 {
            let from = met_from[at as usize] - 1;
            let mut found = None;
            self.steps(from, |step| {
                let to = match step {
                    Step::Along(edge) => edge.child,
                    Step::Against(edge) => edge.parent,
                };
                if to == at && found.is_none() {
                    found = Some(step);
                }
            });
            way.extend(found);
            at = from;
        }
        way
    }

    /// Lets one more flow along the way; false if nothing on it can be dropped.
    fn push(&mut self, way: &[Step]) -> bool {
        let limited = way.iter().any(|&step| match step {
            Step::Along(edge) => (self.can_drop)(edge),
            Step::Against(_) => true,
        });
        for &step in way {
            match step {
                Step::Along(edge) => {
                    self.used.entry(edge.id).or_insert((edge, 0)).1 += 1;
                    self.touched.insert(edge.child as usize);
                }
                Step::Against(edge) => {
                    let entry = self.used.entry(edge.id).or_insert((edge, 1));
                    entry.1 -= 1;
                    if entry.1 == 0 {
                        self.used.remove(&edge.id);
                    }
                }
            }
        }
        limited
    }

    /// The full references that lead to where nothing but the wanted can still be reached from, against the flow.
    fn cut(&self) -> Vec<Edge> {
        // Who still comes to the wanted where more could flow: a search backwards from these.
        let mut reaches = FixedBitSet::with_capacity(self.view.node_bound() as usize);
        let mut waiting: Vec<u32> =
            self.wanted.ones().map(|node| node as u32).filter(|&node| self.view.is_live(node)).collect();
        waiting.iter().for_each(|&node| reaches.insert(node as usize));
        while let Some(node) = waiting.pop() {
            let mut meet = |other: u32| {
                if !reaches.put(other as usize) {
                    waiting.push(other);
                }
            };
            let mut back = Vec::new();
            self.view.edges_to(node, |edge| {
                if self.view.holds(edge) && !self.is_full(edge) {
                    back.push(edge.parent);
                }
            });
            if !self.used.is_empty() {
                self.view.edges_from(node, |edge| {
                    if self.used.contains_key(&edge.id) {
                        back.push(edge.child);
                    }
                });
            }
            back.into_iter().for_each(&mut meet);
        }
        let full = self.used.values().map(|&(edge, _)| edge).filter(|&edge| self.is_full(edge));
        let mut cut: Vec<Edge> = full
            .filter(|edge| reaches.contains(edge.child as usize) && !reaches.contains(edge.parent as usize))
            .collect();
        cut.sort_unstable_by_key(|edge| edge.id);
        cut
    }
}

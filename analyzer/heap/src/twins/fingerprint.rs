//! Which parts of the heap are equal.
//!
//! Every object's fingerprint is made of its type, length, name and value, of the types and values of what it refers to,
//! and of the fingerprints of what it dominates, in no particular order. So an order of elements, and the way parts
//! refer to each other, do not count. 64 bits: of ten million objects two unequal ones agree once in 300,000 dumps.

use std::hash::{DefaultHasher, Hash, Hasher};

use rayon::prelude::*;

use super::LEAST_OBJECTS;
use crate::graph::Dominators;
use crate::heap::{Value, View};

/// Of every object that the roots reach.
pub(super) struct Fingerprints {
    /// By node.
    of: Vec<u64>,
}

impl Fingerprints {
    pub(super) fn of(view: &View, dominators: &Dominators) -> Fingerprints {
        let order = dominators.subtree(None);
        let mut shallow = vec![0u64; view.node_bound() as usize];
        for &node in order {
            shallow[node as usize] = content(view, node);
        }
        // Sums of mixed hashes do not depend on the order.
        let mut sums = vec![0u64; view.node_bound() as usize];
        let mut of = vec![0u64; view.node_bound() as usize];
        for &node in order.iter().rev() {
            let mut refs = 0u64;
            view.children(node, |child| {
                if view.is_live(child) {
                    refs = refs.wrapping_add(mix(shallow[child as usize], 1));
                }
            });
            let own = mix(shallow[node as usize] ^ mix(refs, 2) ^ mix(sums[node as usize], 3), 4);
            of[node as usize] = own;
            if let Some(dominator) = dominators.dominator(node) {
                let sum = &mut sums[dominator as usize];
                *sum = sum.wrapping_add(mix(own, 5));
            }
        }
        Fingerprints { of }
    }

    /// Whether all of these parts are equal, given by their first objects.
    pub(super) fn are_equal(&self, nodes: &[u32]) -> bool {
        nodes.windows(2).all(|pair| self.of[pair[0] as usize] == self.of[pair[1] as usize])
    }

    /// Equal parts, two or more, unless they are nothing but parts of larger equal parts.
    pub(super) fn groups(&self, view: &View, dominators: &Dominators) -> Vec<Vec<u32>> {
        // Most objects are too small to be a part: what is left is sorted, for a table of all would not fit a cache.
        let large = dominators.subtree(None).iter().filter(|&&node| dominators.retained(node).objects >= LEAST_OBJECTS);
        let mut parts: Vec<(u64, u32)> = large.map(|&node| (self.of[node as usize], node)).collect();
        parts.par_sort_unstable();
        let mut counts = vec![0u32; self.of.len()];
        let runs = || parts.chunk_by(|one, other| one.0 == other.0);
        for run in runs() {
            run.iter().for_each(|&(_, node)| counts[node as usize] = run.len() as u32);
        }
        let count = |node: u32| counts[node as usize];
        let is_part =
            |node: u32| dominators.dominator(node).is_some_and(|outer| count(outer) > 1 && count(outer) >= count(node));
        let whole = |run: &[(u64, u32)]| -> Vec<u32> {
            run.iter().map(|&(_, node)| node).filter(|&node| !is_part(node)).collect()
        };
        let mut groups: Vec<Vec<u32>> =
            runs().filter(|run| run.len() > 1).map(whole).filter(|nodes| nodes.len() > 1).collect();
        groups.sort();
        // A part of something that is there once cannot be equal to itself; types are compared once more all the same.
        groups.retain(|nodes| nodes.iter().all(|&node| view.type_id(node) == view.type_id(nodes[0])));
        groups
    }
}

/// Type, length, name and value of an object.
pub(super) fn content(view: &View, node: u32) -> u64 {
    let mut hasher = DefaultHasher::new();
    (view.type_id(node), view.length(node), view.name(node)).hash(&mut hasher);
    match view.value(node) {
        Some(Value::Int(value)) => (1, value).hash(&mut hasher),
        Some(Value::Text(text)) => (2, text).hash(&mut hasher),
        None => {}
    }
    hasher.finish()
}

/// Stirs a hash (the finaliser of splitmix64), in several unrelated ways.
pub(super) fn mix(hash: u64, way: u64) -> u64 {
    let mut x = hash.wrapping_add(way.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

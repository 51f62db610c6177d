//! What is in the heap more than once: large parts that are equal, or nearly so, and are held by different owners.
//!
//! A part is an object with all it alone keeps: a subtree of the dominator tree. [`find`] looks for parts of equal
//! content (`fingerprint`), and for large ones that are alike without being equal (`alike`). What is equal and has no
//! parts (strings and the like) is `report::duplicates`' business.

mod alike;
mod fingerprint;
#[cfg(test)]
mod tests;

use crate::graph::{Amount, Dominators};
use crate::suspects::Kinds;

pub use alike::Alike;
use alike::Search;
use fingerprint::Fingerprints;

/// Smaller parts are no twins: an object and what it is described by.
const LEAST_OBJECTS: u64 = 3;
/// What keeps at least this much of a part, in percent, is the same part.
const MOST_OF_IT: u64 = 90;

/// Parts that are alike.
#[derive(Clone, Debug, PartialEq)]
pub struct Twins {
    /// The first objects of the parts, the largest part first.
    pub members: Vec<u32>,
    /// How alike the two least alike of the compared ones are; none if they are equal.
    pub alike: Option<Alike>,
    /// What all but the largest keep.
    pub spare: Amount,
}

/// All twins with at least `least_bytes` to spare, the most first.
pub fn find(kinds: &Kinds<'_>, dominators: &Dominators, least_bytes: u64) -> Vec<Twins> {
    let view = kinds.view();
    let fingerprints = Fingerprints::of(view, dominators);
    let near = Search::new(kinds, dominators, least_bytes).run().into_iter();
    let near = near.map(|(members, alike)| {
        let alike = (!fingerprints.are_equal(&members)).then_some(alike);
        twins(dominators, members, alike)
    });
    let mut found: Vec<Twins> = near.collect();
    for members in fingerprints.groups(view, dominators) {
        let twins = twins(dominators, members, None);
        let is_inside = found.iter().any(|other| {
            let is_in = |&node: &u32| other.members.iter().any(|&member| dominators.dominates(member, node));
            twins.members.iter().all(is_in)
        });
        let overlaps = |other: &Twins| twins.members.iter().any(|&node| dominators.dominates(node, other.members[0]));
        if twins.spare.bytes >= least_bytes
            && !kinds.is_program(twins.members[0])
            && !is_inside
            && !found.iter().any(overlaps)
        {
            found.push(twins);
        }
    }
    found.sort_by_key(|twins| (std::cmp::Reverse(twins.spare.bytes), twins.members[0]));
    found
}

/// Members in order, and what they come to.
fn twins(dominators: &Dominators, mut members: Vec<u32>, alike: Option<Alike>) -> Twins {
    members.sort_by_key(|&node| (std::cmp::Reverse(dominators.retained(node).bytes), node));
    let mut spare = Amount::default();
    members[1..].iter().for_each(|&node| spare += dominators.retained(node));
    Twins { members, alike, spare }
}

/// Whether a part is about all there is in a larger one.
fn is_nearly_all(inner: u64, outer: u64) -> bool {
    u128::from(inner) * 100 >= u128::from(outer) * u128::from(MOST_OF_IT)
}

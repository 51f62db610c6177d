//! Objects that a few places hold together, though they are not the members of one container: records that a dict has by
//! name, wrapped in entries, and another by day, in small lists.
//!
//! In the dominator tree such objects hang from a namespace that is above all their holders, each by itself, and keep
//! little each. What tells that they belong together is which of the things in namespaces lead to them: those that the same
//! few lead to are a pile, and it goes when all of these go.

use std::collections::{BTreeMap, HashSet};

use fixedbitset::FixedBitSet;

use super::contents;
use super::explore::MANY;
use super::{Finding, Kinds, SuspectKind};
use crate::graph::Dominators;

/// What more things than these lead to is in use all over the program.
const MOST: usize = 4;
/// What keeps more than one part in this of a pile is a place of its own.
const LARGE: u64 = 10;

/// Adds the piles that are no suspects yet, in place of what is told of one of their holders alone.
pub(super) fn add(kinds: &Kinds<'_>, dominators: &Dominators, threshold: u64, found: &mut Vec<Finding>) {
    let held = Held::of(kinds, dominators);
    let mut told: HashSet<u32> = HashSet::new();
    for (holders, members) in held.piles(threshold) {
        let places = held.places(&holders, &members);
        let bytes = contents::sum(&members);
        let is_larger = |other: &Finding| places.contains(&other.node) && other.amount.bytes / 2 > bytes;
        if found.iter().any(is_larger) || places.iter().any(|place| told.contains(place)) {
            continue;
        }
        found.retain(|other| !places.contains(&other.node) && !is_in(dominators, &members, other.node));
        found.push(Finding {
            node: places[0],
            kind: SuspectKind::Shared,
            amount: contents::amount(dominators, &members),
            contents: contents::of(kinds, dominators, &telling(kinds, &members)),
            also: places[1..].to_vec(),
        });
        told.extend(places);
    }
}

/// Without the numbers and texts, if all else keeps more: they are what finds it, or part of it.
fn telling(kinds: &Kinds<'_>, members: &[(u32, u64)]) -> Vec<(u32, u64)> {
    let is_leaf = |&&(member, _): &&(u32, u64)| kinds.is_leaf_type(kinds.view().type_id(member));
    let (leaves, rest): (Vec<_>, Vec<_>) = members.iter().partition(is_leaf);
    if contents::sum(&rest) > contents::sum(&leaves) { rest } else { members.to_vec() }
}

/// Whether one of the members, which are in order, keeps the node.
fn is_in(dominators: &Dominators, members: &[(u32, u64)], node: u32) -> bool {
    let mut above = std::iter::successors(Some(node), |&node| dominators.dominator(node));
    above.any(|node| members.binary_search_by_key(&node, |&(member, _)| member).is_ok())
}

/// The things that lead to an object, in order: none yet, a few, or too many to tell.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Holders {
    count: usize,
    nodes: [u32; MOST],
}

impl Holders {
    fn nodes(&self) -> &[u32] {
        &self.nodes[..self.count.min(MOST)]
    }

    fn is_few(&self) -> bool {
        self.count <= MOST
    }

    /// Whether it was not among them, nor were there too many.
    fn insert(&mut self, node: u32) -> bool {
        let Err(at) = self.nodes().binary_search(&node) else { return false };
        if !self.is_few() {
            return false;
        }
        if self.count < MOST {
            self.nodes[at..=self.count].rotate_right(1);
            self.nodes[at] = node;
        }
        self.count += 1;
        true
    }

    /// Whether that made a difference.
    fn join(&mut self, other: &Holders) -> bool {
        if !other.is_few() {
            return self.is_few() && std::mem::replace(self, *other) != *other;
        }
        let before = self.count;
        other.nodes().iter().for_each(|&node| _ = self.insert(node));
        self.count > before
    }
}

/// What hangs from the namespaces in the dominator tree but is in none of them, and what leads to it.
struct Held<'a, 'v> {
    kinds: &'a Kinds<'v>,
    dominators: &'a Dominators,
    objects: Vec<u32>,
    /// By node: its place in `objects` and one more, or nothing.
    numbers: Vec<u32>,
    /// Of each of `objects`.
    holders: Vec<Holders>,
}

impl<'a, 'v> Held<'a, 'v> {
    fn of(kinds: &'a Kinds<'v>, dominators: &'a Dominators) -> Held<'a, 'v> {
        let (named, objects) = hanging(kinds, dominators);
        let mut numbers = vec![0; kinds.view().node_bound() as usize];
        objects.iter().zip(1..).for_each(|(&node, number)| numbers[node as usize] = number);
        let holders = vec![Holders::default(); objects.len()];
        let mut held = Held { kinds, dominators, objects, numbers, holders };
        held.spread(&named);
        held
    }

    /// From the things that are in a namespace to what they lead to, and on from that until nothing is new: to no object
    /// more often than there can be holders.
    fn spread(&mut self, named: &[u32]) {
        let mut holders = std::mem::take(&mut self.holders);
        for &top in named {
            self.leads_to(top, |_, at| _ = holders[at].insert(top));
        }
        let mut waiting: Vec<usize> = (0..holders.len()).collect();
        let mut waits = FixedBitSet::with_capacity(holders.len());
        waits.insert_range(..);
        while let Some(at) = waiting.pop() {
            waits.remove(at);
            let own = holders[at];
            self.leads_to(self.objects[at], |_, other| {
                if holders[other].join(&own) && !waits.put(other) {
                    waiting.push(other);
                }
            });
        }
        self.holders = holders;
    }

    /// The objects to which something in a subtree of the dominator tree refers, with what refers to them.
    fn leads_to(&self, top: u32, mut f: impl FnMut(u32, usize)) {
        for &node in self.dominators.subtree(Some(top)) {
            self.kinds.view().children(node, |child| {
                let number = self.numbers[child as usize];
                if number > 0 && child != top {
                    f(node, number as usize - 1);
                }
            });
        }
    }

    /// What the same few lead to, if it is many objects and enough bytes: the most bytes first.
    fn piles(&self, threshold: u64) -> Vec<(Holders, Vec<(u32, u64)>)> {
        let mut piles: BTreeMap<Holders, Vec<(u32, u64)>> = BTreeMap::new();
        for (&node, holders) in self.objects.iter().zip(&self.holders).filter(|(_, holders)| holders.is_few()) {
            piles.entry(*holders).or_default().push((node, self.dominators.retained(node).bytes));
        }
        for members in piles.values_mut() {
            let all = contents::sum(members);
            members.retain(|&(_, bytes)| bytes <= all / LARGE);
            members.sort_unstable();
        }
        piles.retain(|_, members| members.len() >= MANY && contents::sum(members) >= threshold);
        let mut piles: Vec<_> = piles.into_iter().collect();
        piles.sort_by_key(|(_, members)| std::cmp::Reverse(contents::sum(members)));
        piles
    }

    /// Where in each of the holders the pile is: what all references to it from there have in common above them. What keeps
    /// most by itself comes first.
    fn places(&self, holders: &Holders, members: &[(u32, u64)]) -> Vec<u32> {
        let is_member = |at: usize| members.binary_search_by_key(&self.objects[at], |&(member, _)| member).is_ok();
        let place = |&top: &u32| {
            let mut place = None;
            self.leads_to(top, |from, at| {
                if is_member(at) {
                    place = Some(self.above_both(place.unwrap_or(from), from));
                }
            });
            self.owner(place.unwrap_or(top))
        };
        let mut places: Vec<u32> = holders.nodes().iter().map(place).collect();
        places.sort_by_key(|&place| (std::cmp::Reverse(self.dominators.retained(place).bytes), place));
        places
    }

    /// The nearest that is above both or one of them. Both are in the same subtree.
    fn above_both(&self, one: u32, other: u32) -> u32 {
        let mut above = std::iter::successors(Some(one), |&node| self.dominators.dominator(node));
        above.find(|&node| node == other || self.dominators.dominates(node, other)).unwrap_or(one)
    }

    /// Whose attributes these are, if they are.
    fn owner(&self, place: u32) -> u32 {
        let owner = self.dominators.dominator(place).filter(|_| self.kinds.is_namespace(place));
        owner.unwrap_or(place)
    }
}

/// What hangs from the namespaces, or from no object, in the dominator tree: what is in a namespace or a root, and the rest.
fn hanging(kinds: &Kinds<'_>, dominators: &Dominators) -> (Vec<u32>, Vec<u32>) {
    let view = kinds.view();
    let bound = view.node_bound() as usize;
    let (mut passed, mut named) = (FixedBitSet::with_capacity(bound), FixedBitSet::with_capacity(bound));
    let mut hanging = Vec::new();
    // In the tree's order a dominator comes before what it dominates.
    for &node in dominators.subtree(None) {
        if dominators.dominator(node).is_some_and(|above| !passed.contains(above as usize)) {
            continue;
        }
        if kinds.is_namespace(node) {
            passed.insert(node as usize);
            view.children(node, |child| named.insert(child as usize));
        } else {
            hanging.push(node);
        }
    }
    hanging.into_iter().partition(|&node| named.contains(node as usize) || view.is_root(node))
}

//! Counting objects and bytes by where they hang: what reports with "top places" have in common.

use std::collections::HashMap;
use std::hash::Hash;

use serde::Serialize;

use crate::graph::{Amount, Tree};
use crate::heap::View;
use crate::naming::{Expression, NOWHERE, Names, Places, expression, type_of};

/// Where every object of a view hangs.
pub struct Whereabouts {
    /// A way from a root to each object.
    pub tree: Tree,
    /// What those ways have in common.
    pub places: Places,
    /// By node.
    of: Vec<u32>,
}

impl Whereabouts {
    /// Of a view.
    pub fn of(view: &View) -> Whereabouts {
        let tree = Tree::of(view);
        let mut places = Places::default();
        let of = places.assign(view, &tree);
        Whereabouts { tree, places, of }
    }

    /// The place of an object.
    pub fn place(&self, node: u32) -> u32 {
        self.of.get(node as usize).copied().unwrap_or(NOWHERE)
    }

    /// A place in words.
    pub fn text(&self, place: u32) -> Expression {
        text_of(&self.places, place)
    }

    /// The way to one object as an expression.
    pub fn path(&self, view: &View, node: u32) -> Expression {
        let path = self.tree.path(node);
        expression(view, &path, &Names::new(view).along(&path))
    }
}

/// A place in words.
pub fn text_of(places: &Places, place: u32) -> Expression {
    if place == NOWHERE { Expression::words("nothing that a root reaches") } else { places.expression(place) }
}

/// Objects that have something in common, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Group {
    /// The place: a path with `[*]` for any element.
    pub path: String,
    /// The type of the objects.
    #[serde(rename = "type")]
    pub type_name: String,
    /// How many, and how many bytes it is about.
    #[serde(flatten)]
    pub amount: Amount,
    /// The address of the one with most of them.
    pub largest: u64,
}

#[derive(Clone, Copy)]
struct Counted {
    amount: Amount,
    largest: u32,
    largest_bytes: u64,
}

/// Amounts by some key.
pub struct Tally<K> {
    groups: HashMap<K, Counted>,
    /// All of it.
    pub total: Amount,
}

impl<K> Default for Tally<K> {
    fn default() -> Self {
        Tally { groups: HashMap::new(), total: Amount::default() }
    }
}

impl<K: Eq + Hash + Copy + Ord> Tally<K> {
    /// Counts an object.
    pub fn add(&mut self, key: K, node: u32, bytes: u64) {
        let new = Counted { amount: Amount::default(), largest: node, largest_bytes: bytes };
        let group = self.groups.entry(key).or_insert(new);
        if bytes > group.largest_bytes {
            (group.largest, group.largest_bytes) = (node, bytes);
        }
        let one = Amount { objects: 1, bytes };
        group.amount += one;
        self.total += one;
    }

    /// The keys with most bytes, with the object that has most of them.
    pub fn most(&self, limit: usize) -> Vec<(K, Amount, u32)> {
        let mut groups: Vec<_> = self.groups.iter().map(|(&key, group)| (key, group.amount, group.largest)).collect();
        groups.sort_unstable_by_key(|&(key, amount, _)| (std::cmp::Reverse((amount.bytes, amount.objects)), key));
        groups.truncate(limit);
        groups
    }
}

impl Tally<u32> {
    /// The places with most bytes, if the keys are places, by what `text` calls them. Places that differ only in the types on the way are one.
    pub fn groups(&self, view: &View, text: impl Fn(u32) -> String, limit: usize) -> Vec<Group> {
        let mut groups: Vec<Group> = Vec::new();
        let mut known: HashMap<(String, &str), usize> = HashMap::new();
        for (place, amount, largest) in self.most(usize::MAX) {
            let key = (text(place), type_of(view, largest));
            match known.get(&key) {
                Some(&at) => groups[at].amount += amount,
                None => {
                    let type_name = key.1.to_owned();
                    groups.push(Group { path: key.0.clone(), type_name, amount, largest: view.address(largest) });
                    known.insert(key, groups.len() - 1);
                }
            }
        }
        // Stable: of equals the one with the largest part stays in front.
        groups.sort_by_key(|group| std::cmp::Reverse((group.amount.bytes, group.amount.objects)));
        groups.truncate(limit);
        groups
    }
}

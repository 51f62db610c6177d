//! Which large parts of the heap are nearly the same.
//!
//! Two parts are compared as bags: how many objects of a type there are below which other types (the *shape*), and how
//! often each string and number is in them (the *content*). Of two bags the similarity is what they have in common
//! over what either has (weighted Jaccard). Parts in each other are not compared, nor parts of quite different size.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use super::fingerprint::{content, mix};
use crate::graph::Dominators;
use crate::heap::View;
use crate::suspects::Kinds;

/// How alike two parts are, in percent.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Alike {
    /// Types, below which types, how many.
    pub shape_percent: f64,
    /// Strings, bytes and ints; none if there are none in either.
    pub content_percent: Option<f64>,
}

/// Parts of less alike shapes are no twins.
const LEAST_SHAPE: f64 = 90.0;
/// Nor are parts of so simple a shape that half of the world has it, unless as much of their content is the same.
const LEAST_CONTENT: f64 = 50.0;
/// A shape with fewer kinds of links is simple.
const RICH: usize = 8;
/// Elements of one collection are alike by nature; only if this much is the same are they twins.
const LEAST_CONTENT_OF_ELEMENTS: f64 = 90.0;
/// The smaller of two has at least this much of the larger, in percent.
const LEAST_SIZE: u64 = 70;
/// With how many of about the same size a part is compared.
const NEIGHBOURS: usize = 8;
/// How much is looked at, in times of the whole heap.
const WORK: u64 = 24;

/// How often each thing is there.
pub(super) type Bag = HashMap<u64, u32>;

/// What is compared of a part.
pub(super) struct Bags {
    pub(super) shape: Bag,
    pub(super) content: Bag,
}

pub(super) struct Search<'a> {
    kinds: &'a Kinds<'a>,
    dominators: &'a Dominators,
    least_bytes: u64,
    bags: HashMap<u32, Rc<Bags>>,
    work: u64,
}

impl<'a> Search<'a> {
    pub(super) fn new(kinds: &'a Kinds<'a>, dominators: &'a Dominators, least_bytes: u64) -> Self {
        Search { kinds, dominators, least_bytes, bags: HashMap::new(), work: 0 }
    }

    /// Parts that are alike, outermost ones only, with how alike the least alike of them are.
    pub(super) fn run(mut self) -> Vec<(Vec<u32>, Alike)> {
        let mut accepted: Vec<(u32, u32, Alike)> = Vec::new();
        for (a, b) in self.pairs() {
            let is_in = |&(outer, other, _): &(u32, u32, Alike)| {
                let both = |x, y| self.dominators.dominates(outer, x) && self.dominators.dominates(other, y);
                both(a, b) || both(b, a)
            };
            if accepted.iter().any(is_in) {
                continue;
            }
            if self.work > WORK * u64::from(self.kinds.view().node_bound()) {
                break;
            }
            if let Some(alike) = self.compare(a, b) {
                accepted.push((a, b, alike));
            }
        }
        clusters(&accepted)
    }

    /// Pairs worth comparing, the largest first and outer ones before inner ones.
    fn pairs(&self) -> Vec<(u32, u32)> {
        let bytes = |node: u32| self.dominators.retained(node).bytes;
        let chains = Chains::of(self.kinds, self.dominators, self.least_bytes);
        // Of two chains the objects of one type: of an instance's rather than of a container's, and inner ones.
        let mut best: BTreeMap<(u32, u32), (bool, u32, u32)> = BTreeMap::new();
        for mut nodes in chains.by_type() {
            nodes.sort_by_key(|&(node, _)| (std::cmp::Reverse(bytes(node)), node));
            for (i, &(a, one)) in nodes.iter().enumerate() {
                let apart =
                    |&&(b, _): &&(u32, u32)| !self.dominators.dominates(a, b) && !self.dominators.dominates(b, a);
                let near = |&&(b, _): &&(u32, u32)| {
                    u128::from(bytes(b)) * 100 >= u128::from(bytes(a)) * u128::from(LEAST_SIZE)
                };
                for &(b, other) in nodes[i + 1..].iter().take_while(near).filter(apart).take(NEIGHBOURS) {
                    let found = (!self.kinds.is_container(a), a, b);
                    let key = (one.min(other), one.max(other));
                    let known = best.entry(key).or_insert(found);
                    if (found.0, bytes(known.1)) > (known.0, bytes(a)) {
                        *known = found;
                    }
                }
            }
        }
        let mut pairs: Vec<(u32, u32)> = best.into_values().map(|(_, a, b)| (a, b)).collect();
        pairs.sort_by_key(|&(a, b)| (std::cmp::Reverse((bytes(b), bytes(a))), a, b));
        pairs
    }

    fn compare(&mut self, a: u32, b: u32) -> Option<Alike> {
        let (one, other) = (self.bags(a), self.bags(b));
        let shape_percent = similarity(&one.shape, &other.shape)?;
        let content_percent = similarity(&one.content, &other.content);
        let rich = one.shape.len() >= RICH && other.shape.len() >= RICH;
        let content = content_percent.unwrap_or(0.0);
        let is_element = self
            .dominators
            .dominator(a)
            .is_some_and(|holder| self.dominators.dominator(b) == Some(holder) && self.kinds.is_container(holder));
        let is_twin = match is_element {
            true => content >= LEAST_CONTENT_OF_ELEMENTS,
            false => rich || content >= LEAST_CONTENT,
        };
        (shape_percent >= LEAST_SHAPE && is_twin).then_some(Alike { shape_percent, content_percent })
    }

    fn bags(&mut self, node: u32) -> Rc<Bags> {
        if let Some(bags) = self.bags.get(&node) {
            return Rc::clone(bags);
        }
        let bags = Rc::new(bags(self.kinds.view(), self.dominators, node));
        self.work += self.dominators.retained(node).objects;
        self.bags.insert(node, Rc::clone(&bags));
        bags
    }
}

/// Large parts that are about the same: a store, its attributes, the one dict in these. Each such chain counts once.
struct Chains<'a> {
    kinds: &'a Kinds<'a>,
    /// Every large part with the first object of its chain, outer ones first.
    parts: Vec<(u32, u32)>,
}

impl<'a> Chains<'a> {
    fn of(kinds: &'a Kinds<'a>, dominators: &Dominators, least_bytes: u64) -> Self {
        let mut firsts: HashMap<u32, u32> = HashMap::new();
        let mut parts = Vec::new();
        for &node in dominators.subtree(None) {
            let kept = dominators.retained(node);
            if kept.bytes < least_bytes || kept.objects < super::LEAST_OBJECTS || kinds.is_program(node) {
                continue;
            }
            let outer = dominators.dominator(node).and_then(|outer| firsts.get(&outer).copied());
            let enough = |first| super::is_nearly_all(kept.bytes, dominators.retained(first).bytes);
            let first = outer.filter(|&first| enough(first)).unwrap_or(node);
            firsts.insert(node, first);
            parts.push((node, first));
        }
        Chains { kinds, parts }
    }

    /// By type: of each chain the innermost object of the type.
    fn by_type(&self) -> Vec<Vec<(u32, u32)>> {
        let mut innermost: BTreeMap<(u32, u32), u32> = BTreeMap::new();
        for &(node, first) in &self.parts {
            innermost.insert((self.kinds.view().type_id(node), first), node);
        }
        let mut by_type: BTreeMap<u32, Vec<(u32, u32)>> = BTreeMap::new();
        for ((kind, first), node) in innermost {
            by_type.entry(kind).or_default().push((node, first));
        }
        by_type.into_values().collect()
    }
}

/// Of everything below a part's first object.
pub(super) fn bags(view: &View, dominators: &Dominators, root: u32) -> Bags {
    let mut bags = Bags { shape: Bag::new(), content: Bag::new() };
    for &node in dominators.subtree(Some(root)).iter().skip(1) {
        let kind = |node: u32| u64::from(view.type_id(node)) + 1;
        // The types of the object, of what it hangs from, and of what that hangs from, as far as that is in the part.
        let parent = dominators.dominator(node).unwrap_or(root);
        let above = if parent == root { None } else { dominators.dominator(parent) };
        let link = mix(kind(node), 1) ^ mix(kind(parent), 2) ^ mix(above.map_or(0, kind), 3);
        *bags.shape.entry(link).or_default() += 1;
        if view.value(node).is_some() {
            *bags.content.entry(content(view, node)).or_default() += 1;
        }
    }
    bags
}

/// What two bags have in common over what either has, in percent; none if there is nothing in either.
pub(super) fn similarity(a: &Bag, b: &Bag) -> Option<f64> {
    let (mut common, mut all) = (0u64, 0u64);
    for (key, &count) in a {
        let other = b.get(key).copied().unwrap_or(0);
        common += u64::from(count.min(other));
        all += u64::from(count.max(other));
    }
    all += b.iter().filter(|(key, _)| !a.contains_key(key)).map(|(_, &count)| u64::from(count)).sum::<u64>();
    (all > 0).then(|| 100.0 * common as f64 / all as f64)
}

/// Pairs that have a part in common are one cluster.
fn clusters(pairs: &[(u32, u32, Alike)]) -> Vec<(Vec<u32>, Alike)> {
    let mut clusters: Vec<(Vec<u32>, Alike)> = Vec::new();
    for &(a, b, alike) in pairs {
        let mut joined = (vec![a, b], alike);
        let (apart, touching): (Vec<_>, Vec<_>) =
            clusters.into_iter().partition(|(nodes, _)| !nodes.contains(&a) && !nodes.contains(&b));
        clusters = apart;
        for (nodes, other) in touching {
            joined.0.extend(nodes);
            joined.1 = less(joined.1, other);
        }
        joined.0.sort_unstable();
        joined.0.dedup();
        clusters.push(joined);
    }
    clusters
}

fn less(a: Alike, b: Alike) -> Alike {
    Alike {
        shape_percent: a.shape_percent.min(b.shape_percent),
        content_percent: match (a.content_percent, b.content_percent) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        },
    }
}

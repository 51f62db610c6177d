//! The walk down the dominator tree: to containers that fan out, and to chains.

use std::collections::{BTreeMap, HashMap};

use super::contents::{self, Contents, sum};
use super::{Finding, Kinds, SuspectKind};
use crate::graph::{Amount, Dominators};
use crate::naming::{EdgeName, Fold, fold};

/// With this many members anything fans out, whatever is in it; a container with few if they are alike.
pub(super) const MANY: usize = 32;
const SOME: usize = 3;
/// A child with more than this part of what its parent keeps is where to go on: percent.
const MOST: u64 = 70;
/// Fewer repeats do not make a chain.
const CHAIN: usize = 16;
/// A member with so many times what its neighbours keep is looked at on its own.
const OUTLIER: u64 = 50;

struct Walk<'a, 'v> {
    kinds: &'a Kinds<'v>,
    dominators: &'a Dominators,
    threshold: u64,
    /// Who is to be looked at, and whether a chain that leads here has been looked for already.
    waiting: Vec<(u32, bool)>,
    found: Vec<Finding>,
}

/// A stretch of a way in which each link keeps the next.
struct Run {
    /// Its first object's place on the way.
    start: usize,
    /// The place behind its last object.
    end: usize,
    /// The types of a link.
    link: Vec<u32>,
    /// How many further types the first object of a link has here and there.
    others: u64,
}

pub(super) fn explore(kinds: &Kinds<'_>, dominators: &Dominators, threshold: u64) -> Vec<Finding> {
    let mut walk = Walk { kinds, dominators, threshold, waiting: Vec::new(), found: Vec::new() };
    walk.wait_for_children(None, |_| true);
    while let Some((node, looked)) = walk.waiting.pop() {
        // Interned strings are the names of the program: their dict is as large as there is code.
        let is_interned = kinds.view().interned() == Some(node);
        if kinds.type_name(node) == "code" || (!looked && walk.chain(node)) || (!is_interned && walk.container(node)) {
            continue;
        }
        walk.wait_for_children(Some(node), |_| true);
    }
    walk.found
}

impl Walk<'_, '_> {
    fn bytes(&self, node: u32) -> u64 {
        self.dominators.retained(node).bytes
    }

    /// Those children are looked at next that keep enough.
    fn wait_for_children(&mut self, node: Option<u32>, wanted: impl Fn(u32) -> bool) {
        let kept = node.map_or(u64::MAX, |node| self.bytes(node));
        let children = self.dominators.children(node).filter(|&child| wanted(child));
        let enough =
            children.filter_map(|child| Some((child, self.bytes(child))).filter(|&(_, bytes)| bytes >= self.threshold));
        let enough: Vec<(u32, bool)> = enough.map(|(child, bytes)| (child, goes_on(bytes, kept))).collect();
        self.waiting.extend(enough);
    }

    /// The way down from a node as long as one child keeps most of what its parent keeps. The last links of a chain keep
    /// little: types that have been on the way may go on.
    fn descent(&self, node: u32) -> Vec<u32> {
        let mut way = vec![node];
        let (mut at, mut kept) = (node, self.bytes(node));
        loop {
            let children = || self.dominators.children(Some(at)).map(|child| (self.bytes(child), child));
            let on = children().max().filter(|&(bytes, _)| goes_on(bytes, kept));
            match on.or_else(|| children().filter(|&(_, child)| self.is_link(&way, child)).max()) {
                Some((bytes, child)) => {
                    way.push(child);
                    (at, kept) = (child, bytes);
                }
                None => return way,
            }
        }
    }

    fn is_link(&self, way: &[u32], child: u32) -> bool {
        let type_of = |node: u32| self.kinds.view().type_id(node);
        let is_object = !self.kinds.is_container(child) && !self.kinds.is_leaf_type(type_of(child));
        way.len() > CHAIN && is_object && way.iter().rev().take(CHAIN).any(|&node| type_of(node) == type_of(child))
    }

    /// Looks for a chain on the way down from a node; what is beside and behind it is looked at later.
    fn chain(&mut self, head: u32) -> bool {
        let way = self.descent(head);
        let types: Vec<u32> = way.iter().map(|&node| self.kinds.view().type_id(node)).collect();
        let Some(run) = self.alike(&way, &types).or_else(|| self.alike_in_name(&way, &types)) else { return false };
        let Run { start, end, link, others } = run;
        let links = (end - start).div_ceil(link.len()) as u64;
        let whole = self.dominators.retained(way[start]);
        let rest = way.get(end).map_or(Amount::default(), |&node| self.dominators.retained(node));
        let amount = Amount { objects: whole.objects - rest.objects, bytes: whole.bytes - rest.bytes };
        let contents = Contents::of_chain(&link, links, amount.bytes);
        let kind = SuspectKind::Chain { link, links, others };
        self.found.push(Finding { node: way[start], kind, amount, contents, also: Vec::new() });
        for above in way[..start].iter().zip(&way[1..]) {
            self.wait_for_children(Some(*above.0), |child| child != *above.1);
        }
        self.waiting.extend(way.get(end).filter(|&&node| self.bytes(node) >= self.threshold).map(|&node| (node, true)));
        true
    }

    /// The stretch of a way on which the same types follow each other again and again.
    fn alike(&self, way: &[u32], types: &[u32]) -> Option<Run> {
        let best = self.longest(way, fold(types))?;
        let link = &types[best.start..best.start + best.period];
        let (start, link) = self.begin(best.start, link);
        let end = start + (start..way.len()).take_while(|&at| types[at] == link[(at - start) % link.len()]).count();
        Some(Run { start, end, link, others: 0 })
    }

    /// The stretch on which references of the same names do, though the types differ: an exception's `__context__`, the
    /// event before an event. Of each place in a link the type that is there most often stands for all.
    fn alike_in_name(&self, way: &[u32], types: &[u32]) -> Option<Run> {
        if way.len() <= CHAIN {
            return None;
        }
        let names = self.kinds.names().along(way);
        let best = self.longest(way, fold(&names))?;
        let is_given = |name: &EdgeName| matches!(name, EdgeName::Attribute(_) | EdgeName::Key(_)) && !name.is_dict();
        if !names[best.start..best.start + best.period].iter().any(is_given) {
            return None;
        }
        let end = best.start + best.period * best.times;
        let kinds = (0..best.period).map(|place| tally(types[best.start..end].iter().skip(place).step_by(best.period)));
        let kinds: Vec<BTreeMap<u32, usize>> = kinds.collect();
        let most = |kinds: &BTreeMap<u32, usize>| kinds.iter().max_by_key(|&(_, count)| count).map(|(&kind, _)| kind);
        let link: Vec<u32> = kinds.iter().filter_map(most).collect();
        let (start, link) = self.begin(best.start, &link);
        let others = kinds[start - best.start].len() as u64 - 1;
        Some(Run { start, end, link, others })
    }

    /// What repeats often enough and keeps most of all that does.
    fn longest(&self, way: &[u32], folds: Vec<Fold>) -> Option<Fold> {
        let behind = |at: usize| way.get(at).map_or(0, |&node| self.bytes(node));
        let kept = |fold: &Fold| behind(fold.start) - behind(fold.start + fold.period * fold.times);
        folds.into_iter().filter(|fold| fold.times >= CHAIN && kept(fold) >= self.threshold).max_by_key(kept)
    }

    /// A link begins with an object of the application, if there is one in it: not with the dict that leads there.
    fn begin(&self, start: usize, link: &[u32]) -> (usize, Vec<u32>) {
        let ahead = link.iter().position(|&type_id| !self.kinds.is_container_type(type_id)).unwrap_or(0);
        (start + ahead, [&link[ahead..], &link[..ahead]].concat())
    }

    /// Whether it is a container that fans out, or big in itself; then it is a suspect.
    fn container(&mut self, node: u32) -> bool {
        let own = self.kinds.view().size(node).min(self.bytes(node));
        let members = if self.kinds.type_name(node) == "module" {
            self.state_of_module(node)
        } else if self.kinds.is_namespace(node) {
            Vec::new()
        } else {
            self.members(node)
        };
        let (mut members, outliers) = self.without_outliers(members);
        let mut fans_out = self.fans_out(node, &members) && sum(&members) + own >= self.threshold;
        if !fans_out && let Some(linked) = self.linked(node) {
            (members, fans_out) = (linked, true);
        }
        let mut amount = contents::amount(self.dominators, &members);
        amount = Amount { objects: amount.objects + 1, bytes: amount.bytes + own };
        if !fans_out && own < self.threshold {
            return false;
        }
        let contents = contents::of(self.kinds, self.dominators, &contents::values(self.kinds, node, &members));
        let kind = if fans_out { SuspectKind::Container } else { SuspectKind::Object };
        self.found.push(Finding { node, kind, amount, contents, also: Vec::new() });
        let members: std::collections::HashSet<u32> = members.iter().map(|&(member, _)| member).collect();
        self.wait_for_children(Some(node), |child| outliers.contains(&child) || !members.contains(&child));
        true
    }

    /// What a container refers to and alone keeps, each once, and the bytes that each keeps.
    fn members(&self, node: u32) -> Vec<(u32, u64)> {
        let mut members = Vec::new();
        self.kinds.view().children(node, |child| {
            if self.dominators.dominator(child) == Some(node) && child != node {
                members.push((child, self.bytes(child)));
            }
        });
        members.sort_unstable();
        members.dedup();
        members
    }

    /// What a module in C keeps beside its dict: what is registered with it, for instance.
    fn state_of_module(&self, node: u32) -> Vec<(u32, u64)> {
        let mut members = self.members(node);
        members.retain(|&(member, _)| !self.kinds.is_namespace(member));
        members
    }

    /// A few members may keep far more than all others: they are not what piles up.
    fn without_outliers(&self, members: Vec<(u32, u64)>) -> (Vec<(u32, u64)>, Vec<u32>) {
        let mut bytes: Vec<u64> = members.iter().map(|&(_, bytes)| bytes).collect();
        bytes.sort_unstable();
        let median = bytes.get(bytes.len() * 3 / 4).copied().unwrap_or(0);
        let is_outlier = |bytes: u64| bytes >= self.threshold && bytes >= OUTLIER.saturating_mul(median);
        let (outliers, members): (Vec<_>, Vec<_>) = members.into_iter().partition(|&(_, bytes)| is_outlier(bytes));
        (members, outliers.into_iter().map(|(member, _)| member).collect())
    }

    /// Objects that a node alone keeps though it does not refer to them: they are linked with each other, in a ring or
    /// both ways.
    fn linked(&self, node: u32) -> Option<Vec<(u32, u64)>> {
        if self.kinds.is_namespace(node) {
            return None;
        }
        let view = self.kinds.view();
        let mut by_type: BTreeMap<u32, Vec<(u32, u64)>> = BTreeMap::new();
        for child in self.dominators.children(Some(node)) {
            if !self.kinds.is_program(child) && !self.kinds.is_leaf_type(view.type_id(child)) {
                by_type.entry(view.type_id(child)).or_default().push((child, self.bytes(child)));
            }
        }
        let linked = by_type.into_values().filter(|members| members.len() >= MANY);
        linked.max_by_key(|members| sum(members)).filter(|members| sum(members) >= self.threshold)
    }

    fn fans_out(&self, node: u32, members: &[(u32, u64)]) -> bool {
        let heaviest = members.iter().map(|&(_, bytes)| bytes).max().unwrap_or(0);
        let sum = sum(members);
        let is_container = self.kinds.is_container(node) || self.kinds.view().length(node).is_some();
        if is_container && !members.is_empty() && heaviest < self.threshold {
            // Nowhere further down is there enough.
            return true;
        }
        if members.len() < SOME || heaviest > sum / 100 * MOST {
            return false;
        }
        if members.len() >= MANY {
            return true;
        }
        // An object with a dozen attributes is no container.
        let mut by_type: HashMap<u32, (usize, u64)> = HashMap::new();
        for &(member, bytes) in members {
            let entry = by_type.entry(self.kinds.view().type_id(member)).or_default();
            *entry = (entry.0 + 1, entry.1 + bytes);
        }
        let alike = by_type.into_values().any(|(count, bytes)| count >= SOME && bytes >= sum / 100 * MOST);
        alike && is_container
    }
}

/// How often each is there.
fn tally<'a>(types: impl Iterator<Item = &'a u32>) -> BTreeMap<u32, usize> {
    let mut counts = BTreeMap::new();
    types.for_each(|&kind| *counts.entry(kind).or_default() += 1);
    counts
}

/// Whether a child keeps so much that the way leads through it.
fn goes_on(child: u64, parent: u64) -> bool {
    child > parent / 2
}

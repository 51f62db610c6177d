//! What is in a container: the type that makes up most of it, and what those objects are filled with.

use std::collections::{HashMap, HashSet};

use super::{Kinds, calls};
use crate::graph::{Amount, Dominators};
use crate::naming::is_dict_type;

/// How deep containers in containers are looked into.
const DEEPEST: usize = 6;

/// Types that stand for what is in them, beside the built-in containers and calls: among them the contexts of tasks.
const WRAPPERS: [&str; 9] = [
    "cell",
    "functools._HashedSeq",
    "_HashedSeq",
    "_contextvars.Context",
    "Context",
    "hamt",
    "hamt_bitmap_node",
    "hamt_array_node",
    "hamt_collision_node",
];

/// Objects of one type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeGroup {
    /// Their type.
    pub type_id: u32,
    /// How many.
    pub count: u64,
    /// What they keep together.
    pub bytes: u64,
}

/// What piles up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// The type that keeps most; none if the place is empty.
    pub members: Option<TypeGroup>,
    /// If that type is a container or the like: what most of it is filled with. If its objects keep others of their kind,
    /// all of these.
    pub inner: Option<TypeGroup>,
    /// If it is a type of calls that wait: the function that most of them run.
    pub calls: Option<String>,
    /// How many there are of all types, numbers and texts aside if there is anything else.
    pub total: u64,
    /// Of how many types.
    pub types: u64,
}

impl Contents {
    /// Of a chain: the type that its links begin with.
    pub(super) fn of_chain(link: &[u32], links: u64, bytes: u64) -> Contents {
        let members = link.first().map(|&type_id| TypeGroup { type_id, count: links, bytes });
        Contents { members, total: links, types: 1, ..Contents::default() }
    }

    /// The count of what is most telling.
    pub fn count(&self) -> u64 {
        self.members.as_ref().map_or(0, |group| group.count)
    }
}

/// What members keep together. Some may keep others, so that what they keep is counted again and again.
pub(super) fn sum(members: &[(u32, u64)]) -> u64 {
    members.iter().fold(0, |sum, &(_, bytes)| sum.saturating_add(bytes))
}

/// The same, in objects too.
pub(super) fn amount(dominators: &Dominators, members: &[(u32, u64)]) -> Amount {
    let objects = members.iter().map(|&(member, _)| dominators.retained(member).objects).sum();
    Amount { objects, bytes: sum(members) }
}

/// Of the members of a dict, its values if they keep more than its keys: then the keys are only what finds them.
pub(super) fn values(kinds: &Kinds<'_>, node: u32, members: &[(u32, u64)]) -> Vec<(u32, u64)> {
    if !is_dict_type(kinds.type_name(node)) {
        return members.to_vec();
    }
    let view = kinds.view();
    let mut all = Vec::new();
    view.children(node, |child| all.push(child));
    if view.length(node).and_then(|length| length.checked_mul(2)) != Some(all.len() as u64) {
        return members.to_vec();
    }
    let keys: HashSet<u32> = all.into_iter().step_by(2).collect();
    let (keys, values): (Vec<_>, Vec<_>) = members.iter().partition(|(member, _)| keys.contains(member));
    if sum(&values) > sum(&keys) { values } else { members.to_vec() }
}

/// Of the members of a place, with what each keeps.
pub(super) fn of(kinds: &Kinds<'_>, dominators: &Dominators, members: &[(u32, u64)]) -> Contents {
    let Some(group) = largest(kinds, members) else {
        return Contents::default();
    };
    let inner = below(kinds, dominators, &group, members).or_else(|| inner(kinds, dominators, &group, members));
    let leaf = kinds.is_leaf_type(group.type_id);
    let types = members.iter().map(|&(member, _)| kinds.view().type_id(member));
    let mut types: Vec<u32> = types.filter(|&type_id| leaf || !kinds.is_leaf_type(type_id)).collect();
    let total = types.len() as u64;
    types.sort_unstable();
    types.dedup();
    let calls = calls::most_called(kinds, members, group.type_id);
    Contents { members: Some(group), inner, calls, total, types: types.len() as u64 }
}

/// The type whose objects keep most.
fn largest(kinds: &Kinds<'_>, members: &[(u32, u64)]) -> Option<TypeGroup> {
    let mut groups: HashMap<u32, TypeGroup> = HashMap::new();
    for &(member, bytes) in members {
        let type_id = kinds.view().type_id(member);
        let group = groups.entry(type_id).or_insert(TypeGroup { type_id, count: 0, bytes: 0 });
        group.count += 1;
        group.bytes = group.bytes.saturating_add(bytes);
    }
    groups.into_values().max_by_key(|group| (group.bytes, group.count, std::cmp::Reverse(group.type_id)))
}

/// Objects that keep others of their kind, as in a tree: how many there are in all. None if these are all, or most.
fn below(kinds: &Kinds<'_>, dominators: &Dominators, outer: &TypeGroup, members: &[(u32, u64)]) -> Option<TypeGroup> {
    let view = kinds.view();
    if kinds.is_container_type(outer.type_id) || kinds.is_leaf_type(outer.type_id) {
        return None;
    }
    let alike = |node: &u32| view.type_id(*node) == outer.type_id;
    let tops = members.iter().map(|(member, _)| member).filter(|&member| alike(member));
    let count = tops.map(|&top| dominators.subtree(Some(top)).iter().filter(|&node| alike(node)).count() as u64).sum();
    (count > outer.count * 2).then_some(TypeGroup { type_id: outer.type_id, count, bytes: outer.bytes })
}

/// Looks into containers, and what else stands for what is in it, until there is something that says more.
fn inner(kinds: &Kinds<'_>, dominators: &Dominators, outer: &TypeGroup, members: &[(u32, u64)]) -> Option<TypeGroup> {
    let view = kinds.view();
    let mut level: Vec<(u32, u64)> = members.to_vec();
    let (mut group, mut best) = (outer.clone(), None);
    for _ in 0..DEEPEST {
        let type_name = view.type_name(group.type_id);
        let is_wrapper = WRAPPERS.contains(&type_name) || calls::is_call(type_name);
        if !kinds.is_container_type(group.type_id) && !is_wrapper {
            break;
        }
        let alike = level.iter().filter(|&&(node, _)| view.type_id(node) == group.type_id);
        let children = alike.flat_map(|&(node, _)| dominators.children(Some(node)));
        level = children.map(|child| (child, dominators.retained(child).bytes)).collect();
        let Some(next) = largest(kinds, &level).filter(|next| next.bytes >= group.bytes / 3) else { break };
        group = next;
        let says_more = group.type_id != outer.type_id && !kinds.is_leaf_type(group.type_id);
        // A text in a call, or a call in a container, is less than what it is in, or has in it.
        if says_more && !kinds.is_container_type(group.type_id) && !WRAPPERS.contains(&view.type_name(group.type_id)) {
            best = Some(group.clone());
        }
    }
    best
}

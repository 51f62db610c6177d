//! Large, but probably meant to be: what libraries keep in tables, and a handful of objects.
//!
//! A dump cannot know what was meant. What it can tell is whose a place is, and what a leak never looks like: a leak piles
//! up many objects of a kind. A document that was parsed, a few large tables or many single objects of types of their
//! own, in a module of a library, are what such libraries are for. Growth between two dumps outweighs all of this.

use super::explore::MANY;
use super::{Finding, Kinds, SuspectKind};
use crate::graph::Dominators;

/// So few members must keep one part in this of the heap …
const FEW_SHARE: u64 = 10;
/// … or this much.
const FEW_BYTES: u64 = 8_000_000;
/// A place is plain data if all but one part in this of its bytes are.
const REST: u64 = 20;
/// So many places that are alike are tables.
const ALIKE: usize = 3;
/// Why such a place may be meant to be large.
const TABLE: &str = "it is plain data of a library, laid out like a table or a parsed document";

/// A place to judge.
pub struct Candidate<'a> {
    /// What has piled up.
    pub finding: &'a Finding,
    /// The way that leads to it.
    pub way: &'a [u32],
    /// The package whose module it is in, if that is an installed one or Python itself.
    pub library: Option<String>,
    /// Whether it is part of an object of a library that keeps the latest only, by the name of its class: an `LRUCache`.
    pub is_limited: bool,
}

/// Why each place may be meant to be large; nothing if it looks like a leak.
pub fn reasons(kinds: &Kinds<'_>, dominators: &Dominators, places: &[Candidate<'_>]) -> Vec<Option<&'static str>> {
    let plain = |place: &Candidate<'_>| place.library.is_some() && is_plain(kinds, dominators, place.finding);
    let plain: Vec<bool> = places.iter().map(plain).collect();
    let likeness = |(place, &plain): (&Candidate<'_>, &bool)| {
        let members = place.finding.contents.members.as_ref()?.type_id;
        plain.then(|| (place.library.clone(), kinds.type_name(place.finding.node), members))
    };
    let all: Vec<_> = places.iter().zip(&plain).map(likeness).collect();
    // A leak is not in many places of a library at once; tables that are alike by what is in them are.
    let is_one_of_many = |one: &Option<_>| one.is_some() && all.iter().filter(|&other| other == one).count() >= ALIKE;
    let judged = places.iter().zip(&plain).zip(&all);
    judged
        .map(|((place, &plain), one)| reason(kinds, dominators, place, plain).or(is_one_of_many(one).then_some(TABLE)))
        .collect()
}

fn reason(kinds: &Kinds<'_>, dominators: &Dominators, place: &Candidate<'_>, plain: bool) -> Option<&'static str> {
    let suspect = place.finding;
    if !suspect.kind.traits().may_be_intended {
        return None;
    }
    let total = dominators.total().bytes;
    let contents = &suspect.contents;
    let few = contents.total < MANY as u64;
    let tree = contents.inner.is_some();
    if few && !tree && suspect.kind != SuspectKind::Object && suspect.amount.bytes < (total / FEW_SHARE).min(FEW_BYTES)
    {
        return Some("it has only a few members, and they are not much of the heap");
    }
    // Ways lead through a frame only if there is no other.
    let is_local = place.way.first().is_some_and(|&node| kinds.type_name(node) == "frame");
    if is_local && !tree && (few || suspect.kind == SuspectKind::Object) {
        return Some("it is what a function has in hand that is running, and goes when that returns");
    }
    if place.is_limited {
        return Some("it is part of a library's cache that keeps the latest only, up to a limit");
    }
    place.library.as_ref()?;
    if contents.types * 2 > contents.total && contents.total >= MANY as u64 {
        return Some("nearly each of its members has a type of its own, which is how libraries keep singletons");
    }
    let mixed = contents.types > 1 && contents.count() * 2 < contents.total;
    let like_a_table = few || mixed || suspect.kind == SuspectKind::Object || is_in_document(kinds, place.way);
    (like_a_table && plain).then_some(TABLE)
}

/// Whether the place is in a container that is in a container, and no attribute of anything is between them.
fn is_in_document(kinds: &Kinds<'_>, way: &[u32]) -> bool {
    let Some((_, above)) = way.split_last() else { return false };
    let is_plain = |&&node: &&u32| kinds.is_container(node) && !kinds.is_namespace(node);
    above.iter().rev().take_while(is_plain).count() >= 2
}

/// Whether what a place keeps is numbers, texts and built-in containers.
fn is_plain(kinds: &Kinds<'_>, dominators: &Dominators, suspect: &Finding) -> bool {
    let view = kinds.view();
    let is_plain = |type_id: u32| kinds.is_container_type(type_id) || kinds.is_leaf_type(type_id);
    let below = dominators.subtree(Some(suspect.node)).iter();
    let rest: u64 = below.filter(|&&node| !is_plain(view.type_id(node))).map(|&node| view.size(node)).sum();
    // Members of places that share them are not below.
    let members = suspect.contents.members.as_ref().is_some_and(|group| !is_plain(group.type_id));
    !members && rest <= dominators.retained(suspect.node).bytes / REST
}

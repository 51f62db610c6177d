//! Objects that are there more than once with the same content.

use std::collections::HashMap;

use serde::Serialize;

use super::equal::Equal;
use super::tally::Whereabouts;
use crate::graph::Amount;
use crate::heap::View;
use crate::naming::{Expression, is_dict_type, literal, type_of};

/// The `schema` of this version.
pub const SCHEMA: &str = "heapsee.duplicates/1";

/// Everything that is there more than once.
///
/// ```
/// # use std::sync::Arc;
/// use heapsee_heap::answers::duplicates::Duplicates;
/// use heapsee_heap::heap::{Heap, View};
///
/// // A list of two equal texts.
/// let heap = Heap::from_text(
///     r#"{"address": 16, "type": "list", "size": 64, "len": 2, "refs": [32, 48]}
///        {"address": 32, "type": "str", "size": 1000, "len": 3, "value": "abc", "refs": []}
///        {"address": 48, "type": "str", "size": 1000, "len": 3, "value": "abc", "refs": []}"#,
/// )?;
/// let view = View::new(Arc::new(heap));
/// let duplicates = Duplicates::of(&view, 10);
/// assert_eq!((duplicates.group_count, duplicates.groups[0].count_there), (1, 2));
/// # Ok::<(), heapsee_heap::heap::TextError>(())
/// ```
#[derive(Debug, Serialize)]
pub struct Duplicates {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// Copies beyond the first, by type, most bytes first. Sizes are shallow: nothing is counted twice.
    pub types: Vec<TypeCopies>,
    /// The contents with most bytes in copies.
    pub groups: Vec<Copies>,
    /// How many contents there are more than once.
    pub group_count: usize,
    /// What a reader should know, a sentence each.
    pub notes: Vec<String>,
}

/// The copies of one type.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct TypeCopies {
    /// Its name.
    #[serde(rename = "type")]
    pub type_name: String,
    /// Whether one object could stand for all of them: it cannot if they may change.
    pub shareable: bool,
    /// Copies beyond the first.
    #[serde(flatten)]
    pub spare: Amount,
}

/// One content.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Copies {
    /// The type.
    #[serde(rename = "type")]
    pub type_name: String,
    /// The content, as far as the dump says.
    pub value: String,
    /// Objects with it.
    pub count: u64,
    /// What all but the largest of them take, shallow.
    pub spare_bytes: u64,
    /// Whether the dump has all of the content; else size and beginning agree.
    pub certain: bool,
    /// Whether one object could stand for all.
    pub shareable: bool,
    /// Where most of them hang.
    pub path: Expression,
    /// How many of them hang there.
    pub count_there: u64,
    /// The address of one.
    pub example: u64,
}

/// What there is of one content.
#[derive(Clone, Copy, Default)]
struct Members {
    count: u64,
    bytes: u64,
    largest: u64,
}

/// Equal objects of a view, by the first of each.
pub struct Grouped<'v> {
    view: &'v View,
    equal: Equal<'v>,
    /// Only contents that are there more than once, most bytes in copies first.
    groups: Vec<(u32, Members)>,
}

impl Members {
    fn spare(self) -> u64 {
        self.bytes.saturating_sub(self.largest)
    }
}

impl<'v> Grouped<'v> {
    /// Of a view; of its lists, sets and dicts, too, if `mutable_too`.
    pub fn of(view: &'v View, mutable_too: bool) -> Grouped<'v> {
        let equal = Equal::of(view, mutable_too);
        let mut members: HashMap<u32, Members> = HashMap::new();
        for node in view.objects() {
            // Most objects equal nothing else: only those that do are worth an entry.
            let first = equal.first(node);
            if first == node {
                continue;
            }
            let size = view.size(first);
            let found = members.entry(first).or_insert(Members { count: 1, bytes: size, largest: size });
            let size = view.size(node);
            *found = Members {
                count: found.count + 1,
                bytes: found.bytes.saturating_add(size),
                largest: found.largest.max(size),
            };
        }
        let mut groups: Vec<(u32, Members)> = members.into_iter().collect();
        groups.sort_unstable_by_key(|&(first, members)| (std::cmp::Reverse((members.spare(), members.count)), first));
        Grouped { view, equal, groups }
    }

    /// Copies beyond the first, all types together.
    pub fn total(&self) -> Amount {
        self.groups.iter().fold(Amount::default(), |sum, (_, members)| Amount {
            objects: sum.objects + members.count - 1,
            bytes: sum.bytes.saturating_add(members.spare()),
        })
    }

    fn types(&self) -> Vec<TypeCopies> {
        let mut types: HashMap<u32, Amount> = HashMap::new();
        for &(first, members) in &self.groups {
            let spare = types.entry(self.view.type_id(first)).or_default();
            spare.objects += members.count - 1;
            spare.bytes = spare.bytes.saturating_add(members.spare());
        }
        let row = |(id, spare)| {
            let type_name = self.view.type_name(id).to_owned();
            TypeCopies { shareable: is_shareable(&type_name), type_name, spare }
        };
        let mut types: Vec<TypeCopies> = types.into_iter().map(row).collect();
        types.sort_by(|a, b| (b.spare.bytes, &a.type_name).cmp(&(a.spare.bytes, &b.type_name)));
        types
    }

    /// The contents with most bytes in copies.
    pub fn most(&self, whereabouts: &Whereabouts, limit: usize) -> Vec<Copies> {
        let shown = &self.groups[..limit.min(self.groups.len())];
        let mut places: HashMap<u32, HashMap<u32, u64>> =
            shown.iter().map(|&(first, _)| (first, HashMap::new())).collect();
        for node in self.view.objects() {
            if let Some(counts) = places.get_mut(&self.equal.first(node)) {
                *counts.entry(whereabouts.place(node)).or_default() += 1;
            }
        }
        let copies = |&(first, members): &(u32, Members)| {
            let counts = places.get(&first).into_iter().flatten();
            let most = counts.max_by_key(|&(&place, &count)| (count, std::cmp::Reverse(place)));
            let (place, count_there) = most.map_or((crate::naming::NOWHERE, 0), |(&place, &count)| (place, count));
            let type_name = type_of(self.view, first).to_owned();
            Copies {
                value: content(self.view, first),
                count: members.count,
                spare_bytes: members.spare(),
                certain: self.equal.is_certain(first),
                shareable: is_shareable(&type_name),
                type_name,
                path: whereabouts.text(place),
                count_there,
                example: self.view.address(first),
            }
        };
        shown.iter().map(copies).collect()
    }
}

impl Duplicates {
    /// Of a view, at most `limit` contents.
    pub fn of(view: &View, limit: usize) -> Duplicates {
        let grouped = Grouped::of(view, true);
        let groups = grouped.most(&Whereabouts::of(view), limit);
        let mut notes = Vec::new();
        if groups.iter().any(|group| !group.certain) {
            notes.push(
                "of long values the dump has only the beginning: those marked ≈ agree in it, and in size".to_owned(),
            );
        }
        let values = view.heap().meta().map(|meta| meta.snapshot.values.as_str());
        if values == Some("none") {
            notes.push("the dump was written without values: equal strings cannot be told".to_owned());
        }
        Duplicates { schema: SCHEMA, types: grouped.types(), groups, group_count: grouped.groups.len(), notes }
    }
}

fn is_shareable(type_name: &str) -> bool {
    !matches!(type_name, "list" | "set" | "dict")
}

/// How many elements of a container are written out.
const ELEMENTS: usize = 4;

/// The content as Python would write it, cut short.
fn content(view: &View, node: u32) -> String {
    let type_name = type_of(view, node);
    let (open, close) = match type_name {
        "set" if view.length(node) == Some(0) => return "set()".to_owned(),
        "tuple" => ("(", ")"),
        "list" => ("[", "]"),
        "set" | "dict" => ("{", "}"),
        "frozenset" => ("frozenset({", "})"),
        "frozendict" => ("frozendict({", "})"),
        _ => return literal(view, node),
    };
    let mut all = Vec::new();
    view.children(node, |child| all.push(child));
    let write = |&node: &u32| match type_of(view, node) {
        "str" | "bytes" | "int" | "bool" | "NoneType" => literal(view, node),
        other => format!("<{other}>"),
    };
    let mut texts: Vec<String> = if is_dict_type(type_name) {
        all.chunks(2).take(ELEMENTS).map(|pair| pair.iter().map(write).collect::<Vec<_>>().join(": ")).collect()
    } else {
        all.iter().take(ELEMENTS).map(write).collect()
    };
    if all.len() > ELEMENTS * if is_dict_type(type_name) { 2 } else { 1 } {
        texts.push("…".to_owned());
    }
    let comma = if type_name == "tuple" && texts.len() == 1 { "," } else { "" };
    format!("{open}{}{comma}{close}", texts.join(", "))
}

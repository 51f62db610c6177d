//! Memory that could be had without letting go of anything: room that containers do not use, containers without
//! content, attribute dicts where `__slots__` would do, copies of the same value, numbers in boxes.
//!
//! Each kind counts for itself; an object may be in two of them (an empty list with room for elements), so they do not
//! add up. What a copy of a container would take is CPython's own rule (`layout`).

use serde::Serialize;

use super::duplicates::{Copies, Grouped};
use super::layout;
use super::tally::{Group, Tally, Whereabouts};
use crate::graph::Amount;
use crate::heap::{Edge, View};
use crate::naming::{Names, type_of};

/// The `schema` of this version.
pub const SCHEMA: &str = "heapsee.waste/1";

/// Shorter lists of numbers are not worth another type.
const LEAST_NUMBERS: u64 = 8;
/// A dict with more referrers than this is not looked at as the attributes of an object: it is shared.
const MOST_OWNERS: usize = 1;

/// What could be saved, and where.
///
/// ```
/// # use std::sync::Arc;
/// use heapsee_heap::answers::waste::Waste;
/// use heapsee_heap::heap::{Heap, View};
///
/// // A list of two equal texts.
/// let heap = Heap::from_text(
///     r#"{"address": 16, "type": "list", "size": 64, "len": 2, "refs": [32, 48]}
///        {"address": 32, "type": "str", "size": 1000, "len": 3, "value": "abc", "refs": []}
///        {"address": 48, "type": "str", "size": 1000, "len": 3, "value": "abc", "refs": []}"#,
/// )?;
/// let view = View::new(Arc::new(heap));
/// let waste = Waste::of(&view, 10);
/// assert_eq!(waste.heap.bytes, 2064);
/// assert!(waste.kinds.iter().any(|kind| kind.total.bytes == 1000), "one of the two texts would do");
/// # Ok::<(), heapsee_heap::heap::TextError>(())
/// ```
#[derive(Debug, Serialize)]
pub struct Waste {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// Everything in the dump, for comparison.
    pub heap: Amount,
    /// Kinds of waste, most bytes first.
    pub kinds: Vec<KindOfWaste>,
    /// What a reader should know, a sentence each.
    pub notes: Vec<String>,
}

/// One kind.
#[derive(Debug, Serialize)]
pub struct KindOfWaste {
    /// `over_allocated`, `empty_containers`, `attribute_dicts`, `duplicates` or `boxed_numbers`.
    pub kind: &'static str,
    /// What is counted, and what to do about it, in words.
    pub explanation: &'static str,
    /// Objects concerned, and bytes that could be saved.
    #[serde(flatten)]
    pub total: Amount,
    /// Where most of it is.
    pub places: Vec<Group>,
    /// The values with most bytes in copies; for `duplicates` only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<Copies>,
}

#[derive(Default)]
struct Found {
    over_allocated: Tally<u32>,
    empty: Tally<u32>,
    attributes: Tally<u32>,
    boxed: Tally<u32>,
    /// Containers whose size no known rule gives.
    unknown: u64,
}

impl Waste {
    /// Of a view, with at most `limit` places of each kind.
    pub fn of(view: &View, limit: usize) -> Waste {
        let whereabouts = Whereabouts::of(view);
        let found = Found::of(view, &whereabouts);
        let kind = |kind, explanation, tally: &Tally<u32>| KindOfWaste {
            kind,
            explanation,
            total: tally.total,
            places: tally.groups(view, |place| whereabouts.text(place).to_string(), limit),
            values: Vec::new(),
        };
        let mut kinds = vec![
            kind("over_allocated", OVER_ALLOCATED, &found.over_allocated),
            kind("empty_containers", EMPTY, &found.empty),
            kind("boxed_numbers", BOXED, &found.boxed),
            attribute_dicts(view, &whereabouts, &found.attributes, limit),
        ];
        let grouped = Grouped::of(view, false);
        kinds.push(KindOfWaste {
            kind: "duplicates",
            explanation: DUPLICATES,
            total: grouped.total(),
            places: Vec::new(),
            values: grouped.most(&whereabouts, limit),
        });
        kinds.sort_by_key(|kind| std::cmp::Reverse(kind.total.bytes));
        let counts = view.counts();
        let heap = Amount { objects: counts.objects, bytes: counts.bytes };
        Waste { schema: SCHEMA, heap, kinds, notes: notes(&found) }
    }
}

const OVER_ALLOCATED: &str = "room that lists, dicts and sets do not use, mostly after deletions: a copy (list(x), \
                              dict(x), set(x)) made when they have stopped changing gives it back";
const EMPTY: &str = "lists, dicts and sets without elements: make them when the first element comes, or use None or ()";
const BOXED: &str = "ints and floats that only one list or tuple of numbers holds: array.array or numpy keep them in 8 \
                     bytes each";
const ATTRIBUTES: &str = "dicts that hold the attributes of instances, by class: with __slots__ an attribute takes 8 \
                          bytes and there is no dict";
const DUPLICATES: &str = "strings, bytes, ints and tuples that are there more than once: keep one (sys.intern, a cache of \
                          values) and let all refer to it";

fn notes(found: &Found) -> Vec<String> {
    let mut notes = Vec::new();
    if found.unknown > 0 {
        let are = if found.unknown == 1 { "container has a size" } else { "containers have sizes" };
        let text = "that 64-bit CPython 3.8 to 3.15 does not give: not looked at for unused room";
        notes.push(format!("{} {are} {text}", found.unknown));
    }
    notes
}

/// Rows are classes here, each with the place where most of its bytes are.
fn attribute_dicts(view: &View, whereabouts: &Whereabouts, tally: &Tally<u32>, limit: usize) -> KindOfWaste {
    let row = |(type_id, amount, dict): (u32, Amount, u32)| Group {
        path: whereabouts.text(whereabouts.place(dict)).to_string(),
        type_name: view.type_name(type_id).to_owned(),
        amount,
        largest: view.address(dict),
    };
    let places = tally.most(limit).into_iter().map(row).collect();
    KindOfWaste { kind: "attribute_dicts", explanation: ATTRIBUTES, total: tally.total, places, values: Vec::new() }
}

impl Found {
    fn of(view: &View, whereabouts: &Whereabouts) -> Found {
        let mut found = Found::default();
        let names = Names::new(view);
        for node in view.objects() {
            let Some(length) = view.length(node).filter(|_| view.interned() != Some(node)) else { continue };
            let size = view.size(node);
            let place = whereabouts.place(node);
            let tight = match type_of(view, node) {
                "list" => layout::tight_list(size, length),
                "set" => layout::tight_set(size, length),
                "dict" => match owner(&names, node) {
                    Some(owner) => {
                        found.attributes.add(view.type_id(owner), node, size.saturating_sub(8 * length.min(size)));
                        continue;
                    }
                    None => layout::tight_dict(size, length),
                },
                "tuple" => {
                    found.numbers(view, node, place, length);
                    continue;
                }
                _ => continue,
            };
            match tight {
                Some(tight) if size > tight => found.over_allocated.add(place, node, size - tight),
                Some(_) => {}
                None => found.unknown += 1,
            }
            if length == 0 {
                found.empty.add(place, node, size);
            } else if type_of(view, node) == "list" {
                found.numbers(view, node, place, length);
            }
        }
        found
    }

    /// Counts a list or tuple if it holds nothing but numbers; of these, those it holds alone.
    fn numbers(&mut self, view: &View, node: u32, place: u32, length: u64) {
        if length < LEAST_NUMBERS {
            return;
        }
        let mut elements = Vec::new();
        let mut all = true;
        view.children(node, |child| {
            all &= matches!(type_of(view, child), "int" | "float") && fits(view, child);
            elements.push(child);
        });
        if !all {
            return;
        }
        elements.sort_unstable();
        elements.dedup();
        let alone = elements.into_iter().filter(|&element| {
            let mut alone = !view.is_root(element);
            view.parents(element, |parent| alone &= parent == node);
            alone
        });
        let bytes = alone.fold(0u64, |sum, element| sum.saturating_add(view.size(element)));
        if bytes > 0 {
            self.boxed.add(place, node, bytes);
        }
    }
}

/// Whether a number needs no more than 64 bits.
fn fits(view: &View, node: u32) -> bool {
    type_of(view, node) == "float" || matches!(view.value(node), Some(crate::heap::Value::Int(_)))
}

/// The instance whose attributes a dict holds, if that is all it is for.
fn owner(names: &Names<'_>, dict: u32) -> Option<u32> {
    let view = names.view();
    let mut edges: Vec<Edge> = Vec::new();
    view.edges_to(dict, |edge| {
        if edges.len() <= MOST_OWNERS {
            edges.push(edge);
        }
    });
    let &[edge] = &edges[..] else { return None };
    let holder = type_of(view, edge.parent);
    // Those that can have no __slots__.
    let is_other = matches!(
        holder,
        "dict"
            | "list"
            | "tuple"
            | "set"
            | "cell"
            | "frame"
            | "module"
            | "function"
            | "type"
            | "generator"
            | "coroutine"
            | "classmethod"
            | "staticmethod"
            | "property"
            | "method"
    );
    // Classes of C's making have a module in front of their names, and so have functools.partial's attributes.
    // What has a name is a class, whatever its metaclass is called.
    let can = !is_other && !holder.contains('.') && view.name(edge.parent).is_none() && names.edge(edge).is_dict();
    can.then_some(edge.parent)
}

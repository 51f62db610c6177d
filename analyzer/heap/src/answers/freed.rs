//! What would be freed if some references were dropped.

use std::collections::BTreeMap;

use fixedbitset::FixedBitSet;
use serde::Serialize;

use crate::graph::{self, Amount};
use crate::heap::View;

/// The `schema` of this version.
pub const SCHEMA: &str = "heapsee.gc/1";

/// What a collection after the cut would free.
///
/// ```
/// # use std::sync::Arc;
/// use fixedbitset::FixedBitSet;
/// use heapsee_heap::answers::freed::Freed;
/// use heapsee_heap::heap::{Heap, View};
///
/// // A list of two equal texts.
/// let heap = Heap::from_text(
///     r#"{"address": 16, "type": "list", "size": 64, "len": 2, "refs": [32, 48]}
///        {"address": 32, "type": "str", "size": 1000, "len": 3, "value": "abc", "refs": []}
///        {"address": 48, "type": "str", "size": 1000, "len": 3, "value": "abc", "refs": []}"#,
/// )?;
/// let view = View::new(Arc::new(heap));
/// let freed = Freed::without(&view, &FixedBitSet::from_iter([0]));
/// assert_eq!((freed.freed.objects, freed.freed.bytes), (3, 2064));
/// # Ok::<(), heapsee_heap::heap::TextError>(())
/// ```
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Freed {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// References dropped, those of the virtual root included.
    pub dropped_refs: u64,
    /// Before.
    pub before: Amount,
    /// What goes.
    pub freed: Amount,
    /// What goes, by type, most bytes first.
    pub types: Vec<FreedType>,
}

/// One type.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct FreedType {
    /// Its name.
    #[serde(rename = "type")]
    pub name: String,
    /// What of it goes.
    #[serde(flatten)]
    pub freed: Amount,
}

impl Freed {
    /// Drops every reference to these objects and collects, all of it in a copy of the view.
    pub fn without(view: &View, objects: &FixedBitSet) -> Freed {
        let mut cut = view.clone();
        let mut dropped_refs = 0;
        for node in objects.ones().map(|node| node as u32) {
            let mut edges = Vec::new();
            cut.edges_to(node, |edge| edges.push(edge.id));
            dropped_refs += edges.into_iter().map(|edge| u64::from(cut.delete_edge(edge))).sum::<u64>();
            dropped_refs += u64::from(cut.delete_root(node));
        }
        let unmarked = graph::gc(&cut, |_, _| {}).unmarked;
        let mut by_type: BTreeMap<&str, Amount> = BTreeMap::new();
        let mut freed = Amount::default();
        for node in unmarked.ones().map(|node| node as u32) {
            for amount in [&mut freed, by_type.entry(view.type_name(view.type_id(node))).or_default()] {
                *amount += Amount { objects: 1, bytes: view.size(node) };
            }
        }
        let types = by_type.into_iter().map(|(name, freed)| FreedType { name: name.to_owned(), freed });
        let mut types: Vec<FreedType> = types.collect();
        types.sort_by_key(|row| std::cmp::Reverse(row.freed.bytes));
        let counts = view.counts();
        let before = Amount { objects: counts.objects, bytes: counts.bytes };
        Freed { schema: SCHEMA, dropped_refs, before, freed, types }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::heap::Heap;

    #[test]
    fn what_nothing_else_holds_goes() {
        // 1 → 2 → 3 → 2 and 1 → 4; 3 → 4.
        let line = |address: u64, kind: &str, refs: &[u64]| {
            format!("{{\"address\": {address}, \"type\": \"{kind}\", \"size\": {address}, \"refs\": {refs:?}}}\n")
        };
        let text = line(1, "a", &[2, 2, 4]) + &line(2, "b", &[3]) + &line(3, "c", &[2, 4]) + &line(4, "b", &[]);
        let view = View::new(Arc::new(Heap::from_text(&text).unwrap()));
        let without = |nodes: &[usize]| {
            let mut set = FixedBitSet::with_capacity(4);
            set.extend(nodes.iter().copied());
            Freed::without(&view, &set)
        };
        let amount = |objects, bytes| Amount { objects, bytes };
        let row = |name: &str, freed| FreedType { name: name.to_owned(), freed };
        let found = without(&[1]);
        assert_eq!((found.dropped_refs, found.before, found.freed), (3, amount(4, 10), amount(2, 5)));
        assert_eq!(found.types, [row("c", amount(1, 3)), row("b", amount(1, 2))]);
        assert_eq!(without(&[0]).freed, amount(4, 10), "a root has the virtual root's reference only");
        assert_eq!(without(&[]).freed, amount(0, 0));
        assert_eq!(view.counts().objects, 4, "the view stays as it was");
    }
}

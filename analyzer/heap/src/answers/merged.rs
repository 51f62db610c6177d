//! The shortest ways to many objects at once, merged where they go through the same types: not which object holds each,
//! but through what kinds of objects all of them are held.

use std::collections::HashMap;

use fixedbitset::FixedBitSet;
use serde::Serialize;

use crate::heap::View;
use crate::naming::{fold, folded_text};

/// The `schema` of this version.
pub const SCHEMA: &str = "heapsee.merged-paths/1";

/// All ways, merged.
///
/// ```
/// # use std::sync::Arc;
/// use fixedbitset::FixedBitSet;
/// use heapsee_heap::answers::merged::Merged;
/// use heapsee_heap::heap::{Heap, View};
///
/// // A list of two equal texts.
/// let heap = Heap::from_text(
///     r#"{"address": 16, "type": "list", "size": 64, "len": 2, "refs": [32, 48]}
///        {"address": 32, "type": "str", "size": 1000, "len": 3, "value": "abc", "refs": []}
///        {"address": 48, "type": "str", "size": 1000, "len": 3, "value": "abc", "refs": []}"#,
/// )?;
/// let view = View::new(Arc::new(heap));
/// let (list, texts) = (FixedBitSet::from_iter([0]), FixedBitSet::from_iter([1, 2]));
/// let merged = Merged::find(&view, &list, &texts, &FixedBitSet::with_capacity(3));
/// assert_eq!((merged.wanted, merged.reached, merged.branches[0].type_name.as_str()), (2, 2, "list"));
/// # Ok::<(), heapsee_heap::heap::TextError>(())
/// ```
#[derive(Debug, Serialize)]
pub struct Merged {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// How many objects were looked for.
    pub wanted: u64,
    /// How many of them a way leads to.
    pub reached: u64,
    /// Each behind the one it hangs from.
    pub branches: Vec<Branch>,
}

/// Objects of one type that are met after the same types.
#[derive(Debug, PartialEq, Serialize)]
pub struct Branch {
    /// Place of the branch that leads here; none where ways begin.
    pub parent: Option<usize>,
    /// The type.
    #[serde(rename = "type")]
    pub type_name: String,
    /// How many objects ways go through here, ends included.
    pub objects: u64,
    /// How many of the objects looked for are here or further on.
    pub ends: u64,
    /// The sum of their sizes.
    pub bytes: u64,
}

impl Merged {
    /// Ways from any of `from` to each of `to`, not through `avoid`.
    pub fn find(view: &View, from: &FixedBitSet, to: &FixedBitSet, avoid: &FixedBitSet) -> Merged {
        let (order, parents) = spread(view, from, |node| avoid.contains(node) && !to.contains(node));
        let mut needed = to.clone();
        needed.grow(view.node_bound() as usize);
        for (&node, &parent) in order.iter().zip(&parents).rev() {
            if needed.contains(node as usize) && parent != node {
                needed.insert(parent as usize);
            }
        }
        let mut merged = Merged { schema: SCHEMA, wanted: to.count_ones(..) as u64, reached: 0, branches: Vec::new() };
        let mut known: HashMap<(Option<usize>, u32), usize> = HashMap::new();
        let mut place: HashMap<u32, usize> = HashMap::new();
        for (&node, &parent) in order.iter().zip(&parents).filter(|&(&node, _)| needed.contains(node as usize)) {
            let parent = if parent == node { None } else { place.get(&parent).copied() };
            let at = *known.entry((parent, view.type_id(node))).or_insert(merged.branches.len());
            if at == merged.branches.len() {
                let type_name = view.type_name(view.type_id(node)).to_owned();
                merged.branches.push(Branch { parent, type_name, objects: 0, ends: 0, bytes: 0 });
            }
            place.insert(node, at);
            let branch = &mut merged.branches[at];
            branch.objects += 1;
            if to.contains(node as usize) {
                branch.ends += 1;
                branch.bytes = branch.bytes.saturating_add(view.size(node));
                merged.reached += 1;
            }
        }
        merged.sum_up();
        merged
    }

    fn sum_up(&mut self) {
        for at in (0..self.branches.len()).rev() {
            let Branch { parent, ends, bytes, .. } = self.branches[at];
            if let Some(parent) = parent {
                self.branches[parent].ends += ends;
                self.branches[parent].bytes = self.branches[parent].bytes.saturating_add(bytes);
            }
        }
    }

    /// The branches as lines: how deep a line is, its types (as far as nothing branches off, repeats folded) and the
    /// branch it ends in. What leads to most comes first.
    pub fn lines(&self) -> Vec<(usize, String, &Branch)> {
        let mut children: Vec<Vec<usize>> = vec![Vec::new(); self.branches.len()];
        let mut pending = Vec::new();
        for (at, branch) in self.branches.iter().enumerate() {
            match branch.parent {
                Some(parent) => children[parent].push(at),
                None => pending.push((0, at)),
            }
        }
        let by_ends = |branches: &mut Vec<(usize, usize)>| branches.sort_by_key(|&(_, at)| self.branches[at].ends);
        by_ends(&mut pending);
        let mut lines = Vec::new();
        while let Some((depth, mut at)) = pending.pop() {
            let mut types = vec![self.branches[at].type_name.as_str()];
            while let [only] = children[at][..]
                && self.branches[only].ends == self.branches[at].ends
            {
                at = only;
                types.push(&self.branches[at].type_name);
            }
            lines.push((depth, folded_text(&types, &fold(&types), " → "), &self.branches[at]));
            let mut next: Vec<(usize, usize)> = children[at].iter().map(|&child| (depth + 1, child)).collect();
            by_ends(&mut next);
            pending.extend(next);
        }
        lines
    }
}

/// Every object that `from` reaches, breadth first, each with the one it was met from (itself where the search begins).
fn spread(view: &View, from: &FixedBitSet, avoided: impl Fn(usize) -> bool) -> (Vec<u32>, Vec<u32>) {
    let mut met = FixedBitSet::with_capacity(view.node_bound() as usize);
    let (mut order, mut parents) = (Vec::new(), Vec::new());
    for node in from.ones().map(|node| node as u32).filter(|&node| view.is_live(node)) {
        met.insert(node as usize);
        order.push(node);
        parents.push(node);
    }
    let mut next = 0;
    while let Some(&node) = order.get(next) {
        view.children(node, |child| {
            if view.is_live(child) && !avoided(child as usize) && !met.put(child as usize) {
                order.push(child);
                parents.push(node);
            }
        });
        next += 1;
    }
    (order, parents)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::heap::Heap;

    type Line = (usize, String, u64, u64);

    /// A list of two caches, each a dict with three sessions; one session held by a frame besides; one by nothing.
    /// The answer: wanted, reached; depth, types, ends and bytes of each line.
    fn merged(avoid: &[usize]) -> (u64, u64, Vec<Line>) {
        let line = |address: u64, kind: &str, refs: &[u64]| {
            format!("{{\"address\": {address}, \"type\": \"{kind}\", \"size\": {address}, \"refs\": {refs:?}}}\n")
        };
        let text = line(1, "list", &[2, 3])
            + &line(2, "Cache", &[4])
            + &line(3, "Cache", &[5])
            + &line(4, "dict", &[7, 8, 9])
            + &line(5, "dict", &[9, 10, 11])
            + &line(6, "frame", &[11])
            + &(7..12).map(|address| line(address, "Session", &[])).collect::<String>()
            + &line(12, "Session", &[]);
        let view = View::new(Arc::new(Heap::from_text(&text).unwrap()));
        let set = |nodes: &[usize]| {
            let mut set = FixedBitSet::with_capacity(12);
            set.extend(nodes.iter().copied());
            set
        };
        let found = Merged::find(&view, &set(&[0, 5]), &set(&[6, 7, 8, 9, 10, 11]), &set(avoid));
        let lines = found.lines().into_iter().map(|(depth, types, branch)| (depth, types, branch.ends, branch.bytes));
        let lines = lines.collect();
        (found.wanted, found.reached, lines)
    }

    #[test]
    fn ways_through_the_same_types_are_one() {
        let held_by_caches = (0, "list → Cache → dict → Session".to_owned(), 4, 7 + 8 + 9 + 10);
        assert_eq!(merged(&[]), (6, 5, vec![held_by_caches, (0, "frame → Session".to_owned(), 1, 11)]));
        assert_eq!(merged(&[3, 4]).2, [(0, "frame → Session".to_owned(), 1, 11)]);
        assert_eq!(merged(&[0, 3, 4, 5]).1, 1, "where ways begin is not avoided");
    }
}

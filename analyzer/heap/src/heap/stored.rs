//! A heap as sections of plain bytes, and a heap from such sections: what an index file holds.
//!
//! Where the sections lie, and whether they are what was once written, is the business of `load`. Here every number in
//! them is checked before anything goes by it, so that whatever they hold, no answer is out of bounds. All are read when
//! first asked for. Those that can be computed from others (referrers, roots, orders) are, if they are not there or make
//! no sense; for the others the dump is read again.

use std::borrow::Cow;
use std::io;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use heapsee_format::meta::Meta;

use super::address::AddressIndex;
use super::assemble::LIMIT;
use super::columns::{Columns, Parts};
use super::edges::Reverse;
use super::rows::Narrow;
use super::text::Texts;
use super::{ByType, Heap, Root, RootReason, Source, shares};

/// Where sections come from. `None` is a section that is not there or not what was written.
pub trait Sections: Send + Sync {
    /// How many bytes a section has, if it is there.
    fn length(&self, name: &str) -> Option<u64>;
    /// A section of bytes.
    fn bytes(&self, name: &str) -> Option<Vec<u8>>;
    /// A section of numbers.
    fn u32s(&self, name: &str) -> Option<Vec<u32>>;
    /// A section of wider numbers.
    fn u64s(&self, name: &str) -> Option<Vec<u64>>;
    /// The heap itself, from the dump that the sections were made of, since one of them is of no use. Its numbers are
    /// those that go with the sections. An error if the dump is not there any more, or not what it was.
    fn reread(&self) -> Result<Heap, Lost>;
}

/// Why nothing can be said of a heap any more: its index turned out damaged, and its dump has gone or changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Lost(pub String);

/// A section to be written.
pub type Section<'a> = (&'static str, Cow<'a, [u8]>);

/// What is known of a heap besides its sections.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Numbers {
    pub(super) objects: u64,
    pub(super) edges: u64,
    /// Addresses without a line.
    pub(super) dangling: u64,
    pub(super) types: u64,
    pub(super) dangling_edges: u32,
    pub(super) total_size: u64,
    pub(super) repeated: u64,
}

/// Sidecar's roots are numbered from here on.
const FIRST_SIDECAR_ROOT: u32 = 3;

impl Heap {
    /// The numbers that go with [`Heap::sections`].
    pub fn numbers(&self) -> Numbers {
        self.columns.numbers.clone()
    }

    /// Everything there is to know about the heap but for its sidecar and source.
    pub fn sections(&self) -> io::Result<Vec<Section<'_>>> {
        let columns = &self.columns;
        let mut sections = vec![
            numbers("addresses", columns.addresses()),
            numbers("types", columns.types()),
            ("texts", Cow::Borrowed(&columns.texts().bytes)),
            numbers("text_starts", &columns.texts().starts),
            numbers("edge_starts", columns.edge_starts()),
            numbers("children", columns.children()),
            numbers("dangling", columns.dangling()),
            ("type_names", Cow::Owned(serde_json::to_vec(&columns.type_names)?)),
            numbers("index_nodes", self.index().in_order()),
            ("index_blocks", Cow::Owned(bytemuck::cast_slice(&self.index().blocks()).to_vec())),
            numbers("into_starts", self.reverse().starts()),
            numbers("into", self.reverse().into()),
            numbers("by_type", self.objects_by_type().nodes()),
            ("roots", Cow::Owned(bytemuck::cast_slice(&roots_as_numbers(self.roots())).to_vec())),
        ];
        for (low, wide, column) in
            [("sizes", "sizes_wide", columns.sizes()), ("lengths", "lengths_wide", columns.lengths())]
        {
            sections.push(numbers(low, column.low()));
            sections.push((wide, Cow::Owned(bytemuck::cast_slice(&column.wide()).to_vec())));
        }
        Ok(sections)
    }

    /// The heap that these sections and numbers were made of; `None` if they cannot be of one heap. No column is read
    /// before it is looked at.
    pub fn from_sections(
        sections: Box<dyn Sections>,
        numbers: &Numbers,
        meta: Option<Meta>,
        source: Source,
    ) -> Option<Heap> {
        if !lengths_fit(&*sections, numbers) {
            return None;
        }
        let type_names: Vec<String> = serde_json::from_slice(&sections.bytes("type_names")?).ok()?;
        if type_names.len() as u64 != numbers.types {
            return None;
        }
        // Objects have a type, and references come from objects.
        if (numbers.objects > 0 && numbers.types == 0) || (numbers.edges > 0 && numbers.objects == 0) {
            return None;
        }
        let columns = Columns::new(numbers.clone(), type_names, Parts::default(), Some(sections));
        Some(Heap::of(columns, OnceLock::new(), meta, source))
    }

    pub(super) fn stored_index(&self) -> Option<AddressIndex> {
        let stored = self.columns.stored.as_deref()?;
        let nodes = stored.u32s("index_nodes")?;
        let fits = nodes.len() == self.len() as usize && all_below(&nodes, self.len());
        fits.then(|| AddressIndex::from_blocks(&stored.u64s("index_blocks")?, nodes)).flatten()
    }

    pub(super) fn stored_reverse(&self) -> Option<Reverse> {
        let stored = self.columns.stored.as_deref()?;
        let (starts, into) = (stored.u32s("into_starts")?, stored.u32s("into")?);
        let edges = self.edge_count();
        let fits = starts.len() == self.node_count() as usize + 1
            && is_ascending(&starts)
            && starts.last() == Some(&edges)
            && into.len() == edges as usize
            && all_below(&into, edges);
        fits.then(|| Reverse::from_parts(&self.columns, starts, into))
    }

    pub(super) fn stored_by_type(&self) -> Option<ByType> {
        let nodes = self.columns.stored.as_deref()?.u32s("by_type")?;
        let fits = nodes.len() == self.len() as usize && all_below(&nodes, self.len());
        fits.then(|| super::assemble::by_type_of(&self.columns, nodes))
    }

    pub(super) fn stored_roots(&self) -> Option<Vec<Root>> {
        let numbers = self.columns.stored.as_deref()?.u32s("roots")?;
        let roots: Vec<Root> = numbers.chunks_exact(2).map(|pair| root(pair[0], pair[1])).collect();
        let fits = numbers.len().is_multiple_of(2)
            && roots.windows(2).all(|pair| pair[0].node < pair[1].node)
            && roots.last().is_none_or(|last| last.node < self.len());
        fits.then_some(roots)
    }
}

fn numbers<'a, T: bytemuck::NoUninit>(name: &'static str, column: &'a [T]) -> Section<'a> {
    (name, Cow::Borrowed(bytemuck::cast_slice(column)))
}

fn roots_as_numbers(roots: &[Root]) -> Vec<u32> {
    let numbers = roots.iter().flat_map(|root| {
        let reason = match root.reason {
            RootReason::NoReferrer => 0,
            RootReason::Cycle => 1,
            RootReason::Interned => 2,
            RootReason::Sidecar(at) => at.saturating_add(FIRST_SIDECAR_ROOT),
        };
        [root.node, reason]
    });
    numbers.collect()
}

fn root(node: u32, reason: u32) -> Root {
    let reason = match reason {
        0 => RootReason::NoReferrer,
        1 => RootReason::Cycle,
        2 => RootReason::Interned,
        other => RootReason::Sidecar(other - FIRST_SIDECAR_ROOT),
    };
    Root { node, reason }
}

/// The lengths that these numbers ask for, in bytes. What the others are may be seen when they are read.
fn lengths_fit(sections: &dyn Sections, numbers: &Numbers) -> bool {
    let Numbers { objects, edges, dangling, .. } = *numbers;
    let nodes = objects.saturating_add(dangling);
    let is = |name: &str, count: u64, width: u64| sections.length(name) == count.checked_mul(width);
    nodes <= LIMIT
        && edges <= LIMIT
        && is("addresses", objects, 8)
        && ["types", "sizes", "lengths"].iter().all(|name| is(name, objects, 4))
        && is("text_starts", objects + 1, 8)
        && is("edge_starts", objects + 1, 4)
        && is("children", edges, 4)
        && is("dangling", dangling, 8)
        && ["texts", "sizes_wide", "lengths_wide"].iter().all(|name| sections.length(name).is_some())
}

/// The columns, each from its sections; `None` if these are damaged or lead out of another column. Their lengths are
/// known to be right.
impl Columns {
    pub(super) fn stored_addresses(&self, stored: &dyn Sections) -> Option<Vec<u64>> {
        stored.u64s("addresses")
    }

    pub(super) fn stored_types(&self, stored: &dyn Sections) -> Option<Vec<u32>> {
        stored.u32s("types").filter(|types| all_below(types, self.type_names.len() as u32))
    }

    pub(super) fn stored_sizes(&self, stored: &dyn Sections) -> Option<Narrow> {
        Some(Narrow::from_parts(stored.u32s("sizes")?, &stored.u64s("sizes_wide")?))
    }

    pub(super) fn stored_lengths(&self, stored: &dyn Sections) -> Option<Narrow> {
        Some(Narrow::from_parts(stored.u32s("lengths")?, &stored.u64s("lengths_wide")?))
    }

    pub(super) fn stored_texts(&self, stored: &dyn Sections) -> Option<Texts> {
        let texts = Texts { bytes: stored.bytes("texts")?, starts: stored.u64s("text_starts")? };
        let fits = texts.starts.last() == Some(&(texts.bytes.len() as u64)) && is_ascending(&texts.starts);
        fits.then_some(texts)
    }

    pub(super) fn stored_edge_starts(&self, stored: &dyn Sections) -> Option<Vec<u32>> {
        let starts = stored.u32s("edge_starts")?;
        let fits = starts.last() == Some(&(self.numbers.edges as u32)) && is_ascending(&starts);
        fits.then_some(starts)
    }

    pub(super) fn stored_children(&self, stored: &dyn Sections) -> Option<Vec<u32>> {
        let nodes = self.numbers.objects + self.numbers.dangling;
        stored.u32s("children").filter(|children| all_below(children, nodes as u32))
    }

    pub(super) fn stored_dangling(&self, stored: &dyn Sections) -> Option<Vec<u64>> {
        stored.u64s("dangling")
    }
}

/// Numbers looked at by one thread in one go.
const PIECE: usize = 1 << 16;

fn all_below(numbers: &[u32], bound: u32) -> bool {
    // The highest, not the first that is too high: the compiler makes far better code of it.
    let highest = |piece: &[u32]| piece.iter().fold(0, |highest, &number| highest.max(number));
    let is_below = |piece: &[u32]| piece.is_empty() || highest(piece) < bound;
    if numbers.len() <= PIECE { is_below(numbers) } else { shares::all(numbers.chunks(PIECE).collect(), is_below) }
}

fn is_ascending<T: PartialOrd + Sync>(numbers: &[T]) -> bool {
    let ascends = |piece: &[T]| piece.windows(2).fold(true, |so_far, pair| so_far & (pair[0] <= pair[1]));
    let last = numbers.len().saturating_sub(1);
    let piece = |i: usize| &numbers[i * PIECE..((i + 1) * PIECE).min(last) + 1];
    if numbers.len() <= PIECE {
        ascends(numbers)
    } else {
        shares::all((0..last.div_ceil(PIECE)).collect(), |i| ascends(piece(i)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_and_order_are_seen_wherever_they_break() {
        for length in [0, 1, 2, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE + 3] {
            let mut numbers: Vec<u32> = (0..length as u32).collect();
            assert!(is_ascending(&numbers) && all_below(&numbers, length as u32), "{length}");
            for at in [0, 1, PIECE - 1, PIECE, 2 * PIECE, length.saturating_sub(2)] {
                if at + 1 < length {
                    let old = std::mem::replace(&mut numbers[at], length as u32);
                    assert!(!is_ascending(&numbers) && !all_below(&numbers, length as u32), "{length} {at}");
                    numbers[at] = old;
                }
            }
        }
    }

    #[test]
    fn roots_come_back() {
        use RootReason::{Cycle, Interned, NoReferrer, Sidecar};
        let reasons = [NoReferrer, Cycle, Interned, Sidecar(0), Sidecar(7)];
        let roots: Vec<Root> = (0..5).map(|i| Root { node: i, reason: reasons[i as usize] }).collect();
        let numbers = roots_as_numbers(&roots);
        assert_eq!(numbers.chunks(2).map(|pair| root(pair[0], pair[1])).collect::<Vec<_>>(), roots);
    }
}

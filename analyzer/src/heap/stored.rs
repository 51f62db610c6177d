//! A heap as sections of plain bytes, and a heap from such sections: what an index file holds.
//!
//! Where the sections lie, and whether they are what was once written, is the business of `load`. Here every number in
//! them is checked before anything goes by it, so that whatever they hold, no answer is out of bounds. Sections that can
//! be computed from others (referrers, roots, orders) are read when first asked for, and computed if they are not there
//! or make no sense.

use std::borrow::Cow;
use std::io;
use std::sync::OnceLock;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use heapsee_format::meta::Meta;

use super::address::AddressIndex;
use super::assemble::{Columns, LIMIT};
use super::edges::Reverse;
use super::rows::Narrow;
use super::text::Texts;
use super::{ByType, Heap, Root, RootReason, Source};

/// Where sections come from. `None` is a section that is not there or not what was written.
pub trait Sections: Send + Sync {
    /// A section of bytes.
    fn bytes(&self, name: &str) -> Option<Vec<u8>>;
    /// A section of numbers.
    fn u32s(&self, name: &str) -> Option<Vec<u32>>;
    /// A section of wider numbers.
    fn u64s(&self, name: &str) -> Option<Vec<u64>>;
}

/// A section to be written.
pub type Section<'a> = (&'static str, Cow<'a, [u8]>);

/// What is known of a heap besides its sections.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Numbers {
    dangling_edges: u32,
    total_size: u64,
    repeated: u64,
}

/// Sidecar's roots are numbered from here on.
const FIRST_SIDECAR_ROOT: u32 = 2;

impl Heap {
    /// The numbers that go with [`Heap::sections`].
    pub fn numbers(&self) -> Numbers {
        let columns = &self.columns;
        let (dangling_edges, repeated) = (columns.dangling_edges, columns.repeated);
        Numbers { dangling_edges, total_size: columns.total_size, repeated }
    }

    /// Everything there is to know about the heap but for its sidecar and source.
    pub fn sections(&self) -> io::Result<Vec<Section<'_>>> {
        let columns = &self.columns;
        let mut sections = vec![
            numbers("addresses", &columns.addresses),
            numbers("types", &columns.types),
            ("texts", Cow::Borrowed(&columns.texts.bytes)),
            numbers("text_starts", &columns.texts.starts),
            numbers("edge_starts", &columns.edge_starts),
            numbers("children", &columns.children),
            numbers("dangling", &columns.dangling),
            ("type_names", Cow::Owned(serde_json::to_vec(&columns.type_names)?)),
            numbers("index_nodes", self.index().in_order()),
            ("index_blocks", Cow::Owned(bytemuck::cast_slice(&self.index().blocks()).to_vec())),
            numbers("into_starts", self.reverse().starts()),
            numbers("into", self.reverse().into()),
            numbers("by_type", self.objects_by_type().nodes()),
            ("roots", Cow::Owned(bytemuck::cast_slice(&roots_as_numbers(self.roots())).to_vec())),
        ];
        for (low, wide, column) in
            [("sizes", "sizes_wide", &columns.sizes), ("lengths", "lengths_wide", &columns.lengths)]
        {
            sections.push(numbers(low, column.low()));
            sections.push((wide, Cow::Owned(bytemuck::cast_slice(&column.wide()).to_vec())));
        }
        Ok(sections)
    }

    /// The heap that these sections and numbers were made of; `None` if they are not of one heap.
    pub fn from_sections(
        sections: Box<dyn Sections>,
        numbers: &Numbers,
        meta: Option<Meta>,
        source: Source,
    ) -> Option<Heap> {
        let columns = columns(&*sections, numbers)?;
        let mut heap = Heap::of(columns, OnceLock::new(), meta, source);
        heap.stored = Some(sections);
        Some(heap)
    }

    pub(super) fn stored_index(&self) -> Option<AddressIndex> {
        let stored = self.stored.as_deref()?;
        let nodes = stored.u32s("index_nodes")?;
        let fits = nodes.len() == self.len() as usize && all_below(&nodes, self.len());
        fits.then(|| AddressIndex::from_blocks(&stored.u64s("index_blocks")?, nodes)).flatten()
    }

    pub(super) fn stored_reverse(&self) -> Option<Reverse> {
        let stored = self.stored.as_deref()?;
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
        let nodes = self.stored.as_deref()?.u32s("by_type")?;
        let fits = nodes.len() == self.len() as usize && all_below(&nodes, self.len());
        fits.then(|| super::assemble::by_type_of(&self.columns, nodes))
    }

    pub(super) fn stored_roots(&self) -> Option<Vec<Root>> {
        let numbers = self.stored.as_deref()?.u32s("roots")?;
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
        other => RootReason::Sidecar(other - FIRST_SIDECAR_ROOT),
    };
    Root { node, reason }
}

fn columns(sections: &dyn Sections, numbers: &Numbers) -> Option<Columns> {
    let type_names: Vec<String> = serde_json::from_slice(&sections.bytes("type_names")?).ok()?;
    let types_by_name = type_names.iter().enumerate().map(|(id, name)| (name.clone(), id as u32)).collect();
    let texts = Texts { bytes: sections.bytes("texts")?, starts: sections.u64s("text_starts")? };
    let columns = Columns {
        addresses: sections.u64s("addresses")?,
        types: sections.u32s("types")?,
        sizes: Narrow::from_parts(sections.u32s("sizes")?, &sections.u64s("sizes_wide")?),
        lengths: Narrow::from_parts(sections.u32s("lengths")?, &sections.u64s("lengths_wide")?),
        texts,
        edge_starts: sections.u32s("edge_starts")?,
        children: sections.u32s("children")?,
        dangling: sections.u64s("dangling")?,
        dangling_edges: numbers.dangling_edges,
        type_names,
        types_by_name,
        total_size: numbers.total_size,
        repeated: numbers.repeated,
    };
    fit_together(&columns).then_some(columns)
}

/// Whether no column leads out of another.
fn fit_together(columns: &Columns) -> bool {
    let (objects, dangling) = (columns.addresses.len(), columns.dangling.len());
    let nodes = objects as u64 + dangling as u64;
    let texts = &columns.texts;
    nodes <= LIMIT
        && columns.children.len() as u64 <= LIMIT
        && [columns.types.len(), columns.sizes.len(), columns.lengths.len()].iter().all(|&length| length == objects)
        && [texts.starts.len(), columns.edge_starts.len()].iter().all(|&length| length == objects + 1)
        && texts.starts.last() == Some(&(texts.bytes.len() as u64))
        && columns.edge_starts.last() == Some(&(columns.children.len() as u32))
        && is_ascending(&texts.starts)
        && is_ascending(&columns.edge_starts)
        && all_below(&columns.types, columns.type_names.len() as u32)
        && all_below(&columns.children, nodes as u32)
}

/// Numbers looked at by one thread in one go.
const PIECE: usize = 1 << 16;

fn all_below(numbers: &[u32], bound: u32) -> bool {
    // The highest, not the first that is too high: the compiler makes far better code of it.
    let highest = |piece: &[u32]| piece.iter().fold(0, |highest, &number| highest.max(number));
    let is_below = |piece: &[u32]| piece.is_empty() || highest(piece) < bound;
    if numbers.len() <= PIECE { is_below(numbers) } else { numbers.par_chunks(PIECE).all(is_below) }
}

fn is_ascending<T: PartialOrd + Sync>(numbers: &[T]) -> bool {
    let ascends = |piece: &[T]| piece.windows(2).fold(true, |so_far, pair| so_far & (pair[0] <= pair[1]));
    let last = numbers.len().saturating_sub(1);
    let piece = |i: usize| &numbers[i * PIECE..((i + 1) * PIECE).min(last) + 1];
    if numbers.len() <= PIECE {
        ascends(numbers)
    } else {
        (0..last.div_ceil(PIECE)).into_par_iter().all(|i| ascends(piece(i)))
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
        let reasons = [RootReason::NoReferrer, RootReason::Cycle, RootReason::Sidecar(0), RootReason::Sidecar(7)];
        let roots: Vec<Root> = (0..4).map(|i| Root { node: i, reason: reasons[i as usize] }).collect();
        let numbers = roots_as_numbers(&roots);
        assert_eq!(numbers.chunks(2).map(|pair| root(pair[0], pair[1])).collect::<Vec<_>>(), roots);
    }
}

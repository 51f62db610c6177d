//! The columns of a heap: all there from the start, or read from an index one by one, each when first looked at.
//!
//! A column of the index that is not what was written, or makes no sense, is taken from the dump, which is then read
//! again, once. So whoever looks at a column need not know where it is from, and what nobody looks at costs nothing.
//! If the dump is of no use either, the column is blank and the heap is lost: an error that every look at a cell could
//! end in would be paid for always, one that is asked for before an answer is passed on costs nothing.
//! How sections become columns is the business of `stored`.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};

use super::rows::Narrow;
use super::stored::{Lost, Numbers, Sections};
use super::text::Texts;

/// The columns of a dump. Plain arrays of fixed-width integers and one of bytes.
pub(super) struct Columns {
    pub numbers: Numbers,
    pub type_names: Vec<String>,
    pub types_by_name: HashMap<String, u32>,
    pub parts: Parts,
    /// Where the columns are read from that are not there yet.
    pub stored: Option<Box<dyn Sections>>,
    /// The columns of the dump itself, if a section was damaged. Each is taken out at most once.
    reread: Mutex<Option<Parts>>,
    /// Why there are blank columns, if there are.
    pub lost: OnceLock<Lost>,
}

/// What may be missing as long as nobody has looked at it.
#[derive(Default)]
pub(super) struct Parts {
    pub addresses: OnceLock<Vec<u64>>,
    pub types: OnceLock<Vec<u32>>,
    pub sizes: OnceLock<Narrow>,
    pub lengths: OnceLock<Narrow>,
    pub texts: OnceLock<Texts>,
    pub edge_starts: OnceLock<Vec<u32>>,
    pub children: OnceLock<Vec<u32>>,
    pub dangling: OnceLock<Vec<u64>>,
}

impl Columns {
    pub(super) fn new(
        numbers: Numbers,
        type_names: Vec<String>,
        parts: Parts,
        stored: Option<Box<dyn Sections>>,
    ) -> Columns {
        let types_by_name = type_names.iter().enumerate().map(|(id, name)| (name.clone(), id as u32)).collect();
        Columns { numbers, type_names, types_by_name, parts, stored, reread: Mutex::default(), lost: OnceLock::new() }
    }

    #[inline]
    pub(super) fn addresses(&self) -> &[u64] {
        self.part(|parts| &parts.addresses, |parts| &mut parts.addresses, Columns::stored_addresses).as_slice()
    }

    #[inline]
    pub(super) fn types(&self) -> &[u32] {
        self.part(|parts| &parts.types, |parts| &mut parts.types, Columns::stored_types).as_slice()
    }

    #[inline]
    pub(super) fn sizes(&self) -> &Narrow {
        self.part(|parts| &parts.sizes, |parts| &mut parts.sizes, Columns::stored_sizes)
    }

    #[inline]
    pub(super) fn lengths(&self) -> &Narrow {
        self.part(|parts| &parts.lengths, |parts| &mut parts.lengths, Columns::stored_lengths)
    }

    #[inline]
    pub(super) fn texts(&self) -> &Texts {
        self.part(|parts| &parts.texts, |parts| &mut parts.texts, Columns::stored_texts)
    }

    /// One more than there are objects: the edges of object i are `edge_starts[i]..edge_starts[i + 1]`.
    #[inline]
    pub(super) fn edge_starts(&self) -> &[u32] {
        self.part(|parts| &parts.edge_starts, |parts| &mut parts.edge_starts, Columns::stored_edge_starts).as_slice()
    }

    /// The node that each edge leads to.
    #[inline]
    pub(super) fn children(&self) -> &[u32] {
        self.part(|parts| &parts.children, |parts| &mut parts.children, Columns::stored_children).as_slice()
    }

    /// Addresses referred to without a line, ascending: the nodes from `objects` on.
    #[inline]
    pub(super) fn dangling(&self) -> &[u64] {
        self.part(|parts| &parts.dangling, |parts| &mut parts.dangling, Columns::stored_dangling).as_slice()
    }

    #[inline]
    fn part<T: Default>(
        &self,
        of: fn(&Parts) -> &OnceLock<T>,
        of_mut: fn(&mut Parts) -> &mut OnceLock<T>,
        read: fn(&Columns, &dyn Sections) -> Option<T>,
    ) -> &T {
        let cell = of(&self.parts);
        match cell.get() {
            Some(part) => part,
            None => self.fetch(cell, of_mut, read),
        }
    }

    #[cold]
    fn fetch<'a, T: Default>(
        &'a self,
        cell: &'a OnceLock<T>,
        of_mut: fn(&mut Parts) -> &mut OnceLock<T>,
        read: fn(&Columns, &dyn Sections) -> Option<T>,
    ) -> &'a T {
        cell.get_or_init(|| match self.stored.as_deref() {
            Some(stored) => read(self, stored).unwrap_or_else(|| self.reread_part(stored, of_mut)),
            // Only an index has columns that are not there yet.
            None => T::default(),
        })
    }

    #[cold]
    fn reread_part<T: Default>(&self, stored: &dyn Sections, of_mut: fn(&mut Parts) -> &mut OnceLock<T>) -> T {
        let mut reread = self.reread.lock().unwrap_or_else(PoisonError::into_inner);
        let parts = reread.get_or_insert_with(|| match stored.reread() {
            Ok(heap) => heap.columns.parts,
            Err(lost) => {
                let _ = self.lost.set(lost);
                Parts::blank(&self.numbers)
            }
        });
        of_mut(parts).take().unwrap_or_default()
    }
}

impl Parts {
    /// Columns of the right lengths that lead nowhere out of bounds. Most are zeros, which take no memory before they are
    /// written to.
    fn blank(numbers: &Numbers) -> Parts {
        let (objects, dangling) = (numbers.objects as usize, numbers.dangling as usize);
        let mut edge_starts = vec![numbers.edges as u32; objects + 1];
        edge_starts[0] = 0;
        Parts {
            // No two are the same, and none is that of the virtual root.
            addresses: OnceLock::from((1..=objects as u64).collect::<Vec<_>>()),
            dangling: OnceLock::from((1..=dangling as u64).map(|i| objects as u64 + i).collect::<Vec<_>>()),
            types: OnceLock::from(vec![0; objects]),
            sizes: OnceLock::from(Narrow::from_parts(vec![0; objects], &[])),
            lengths: OnceLock::from(Narrow::from_parts(vec![0; objects], &[])),
            texts: OnceLock::from(Texts { bytes: Vec::new(), starts: vec![0; objects + 1] }),
            edge_starts: OnceLock::from(edge_starts),
            children: OnceLock::from(vec![0; numbers.edges as usize]),
        }
    }
}

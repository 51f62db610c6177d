//! One dump in memory: immutable columns, and what a session has changed on top of them.
//!
//! [`Heap`] is the dump as it was written; [`View`] is a heap plus a session's deletions, additions and marks. Both
//! speak of *nodes* (`u32`): `0..len()` are the objects in the order of the file; from `len()` on come the *dangling*
//! addresses, referred to by somebody but without a line of their own. And of *edges* (`u32`): the references in the
//! order of the file, repeats kept.
//!
//! It does not read files (`load` does) and does not search (`graph` does).

mod address;
mod assemble;
mod cells;
mod columns;
mod edges;
mod roots;
mod rows;
mod session;
pub(crate) mod shares;
mod stored;
#[cfg(test)]
pub(crate) mod testing;
mod text;
mod view;
#[cfg(test)]
mod view_tests;

use std::borrow::Cow;
use std::ops::Range;
use std::sync::OnceLock;

use heapsee_format::meta::Meta;

pub use assemble::TooLarge;
pub use cells::{CellValue, Cells};
pub use roots::{Root, RootReason};
pub use rows::Rows;
pub use session::ImportError;
pub use stored::{Lost, Numbers, Section, Sections};
pub use view::{Counts, Edge, View};

use address::AddressIndex;
use columns::Columns;
use edges::Reverse;

/// What an object holds, as far as the dump says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// An integer of 64 bits.
    Int(i64),
    /// Anything else: the text of a string, a frame's code name, `True`, an integer beyond 64 bits.
    Text(Cow<'a, str>),
}

/// Where a heap came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// The file, as it was named.
    pub path: std::path::PathBuf,
    /// Its size on disk.
    pub file_size: u64,
    /// When it was last changed, if the file system tells.
    pub modified: Option<std::time::SystemTime>,
    /// Bytes of text: more than `file_size` if it is compressed.
    pub text_size: u64,
    /// CRC-32 of the text.
    pub text_sum: u32,
    /// SHA-256 of its beginning, its end and its length, known before anything else is: tells dumps apart.
    /// Empty if it was read from a pipe.
    pub fingerprint: String,
    /// Lines that are no objects and were skipped.
    pub broken_lines: u64,
    /// What a person should know about how it was read, a line each.
    pub warnings: Vec<String>,
}

impl Source {
    /// Tells this dump from every other, one that was changed anywhere included; empty if it was read from a pipe.
    pub fn identity(&self) -> String {
        if self.fingerprint.is_empty() { String::new() } else { format!("{}-{:08x}", self.fingerprint, self.text_sum) }
    }
}

/// The objects of a heap sorted by the name of their type, then in file order: for grouping without sorting.
#[derive(Clone, Debug, Default)]
pub struct ByType {
    /// All objects.
    nodes: Vec<u32>,
    /// Type ids in the order of their names.
    types: Vec<u32>,
    /// For each type id, its part of `nodes`.
    ranges: Vec<Range<u32>>,
}

impl ByType {
    /// All objects, sorted by type name (bytewise), then in file order.
    pub fn nodes(&self) -> &[u32] {
        &self.nodes
    }

    /// The type ids sorted by name.
    pub fn types(&self) -> &[u32] {
        &self.types
    }

    /// Where in [`ByType::nodes`] the objects of a type are; empty if there is no such type.
    pub fn range(&self, type_id: u32) -> Range<usize> {
        let range = self.ranges.get(type_id as usize).cloned().unwrap_or(0..0);
        range.start as usize..range.end as usize
    }

    /// The objects of one type in file order.
    pub fn of_type(&self, type_id: u32) -> &[u32] {
        &self.nodes[self.range(type_id)]
    }
}

/// One dump: immutable.
///
/// What only some commands need (referrers, roots, the order by type) is computed when first asked for, and kept. A heap
/// from an index has nothing in memory at first: everything is read when it is first asked for.
pub struct Heap {
    columns: Columns,
    index: OnceLock<AddressIndex>,
    meta: Option<Box<Meta>>,
    source: Source,
    reverse: OnceLock<Reverse>,
    roots: OnceLock<Vec<Root>>,
    by_type: OnceLock<ByType>,
}

impl Heap {
    /// A heap from the lines of a dump: for tests and examples. Lines that are no objects are an error.
    ///
    /// ```
    /// let heap = heapsee_heap::heap::Heap::from_text(
    ///     r#"{"address": 16, "type": "list", "size": 64, "len": 1, "refs": [32]}
    ///        {"address": 32, "type": "str", "size": 50, "len": 1, "value": "x", "refs": []}"#,
    /// )?;
    /// assert_eq!(heap.len(), 2);
    /// # Ok::<(), heapsee_heap::heap::TextError>(())
    /// ```
    pub fn from_text(lines: &str) -> Result<Heap, TextError> {
        Heap::from_text_with_meta(lines, None)
    }

    /// As [`Heap::from_text`], with a sidecar.
    pub fn from_text_with_meta(lines: &str, meta: Option<Meta>) -> Result<Heap, TextError> {
        let mut rows = Rows::default();
        let mut refs = Vec::new();
        for (number, line) in lines.lines().enumerate() {
            refs.clear();
            let parsed = heapsee_format::tolerant::parse(line.as_bytes(), &mut refs)
                .map_err(|error| TextError::Line { number: number + 1, error })?;
            if let Some(parsed) = parsed {
                rows.push(&parsed, &refs);
            }
        }
        let source = Source { text_size: lines.len() as u64, ..Source::default() };
        Ok(Heap::from_rows(vec![rows], meta, source)?)
    }

    /// A heap from the rows of its file, in file order.
    pub fn from_rows(parts: Vec<Rows>, meta: Option<Meta>, source: Source) -> Result<Heap, TooLarge> {
        let (columns, index) = assemble::assemble(parts)?;
        Ok(Heap::of(columns, OnceLock::from(index), meta, source))
    }

    fn of(columns: Columns, index: OnceLock<AddressIndex>, meta: Option<Meta>, source: Source) -> Heap {
        let meta = meta.map(Box::new);
        let (reverse, roots, by_type) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
        Heap { columns, index, meta, source, reverse, roots, by_type }
    }

    /// Number of objects.
    pub fn len(&self) -> u32 {
        self.columns.numbers.objects as u32
    }

    /// Whether there are no objects.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of nodes: objects and dangling addresses.
    pub fn node_count(&self) -> u32 {
        self.len() + self.columns.numbers.dangling as u32
    }

    /// How many lines told of an address that an earlier line had told of. The first line counts, as in meliae's loader.
    pub fn repeated_lines(&self) -> u64 {
        self.columns.numbers.repeated
    }

    /// The address of a node.
    pub fn address(&self, node: u32) -> u64 {
        match self.columns.addresses().get(node as usize) {
            Some(&address) => address,
            None => self.columns.dangling()[(node - self.len()) as usize],
        }
    }

    /// The node at exactly this address, dangling ones included.
    pub fn node_of(&self, address: u64) -> Option<u32> {
        self.index().get(address).or_else(|| {
            let at = self.columns.dangling().binary_search(&address).ok()?;
            Some(self.len() + at as u32)
        })
    }

    /// All objects in the order of their addresses.
    pub fn by_address(&self) -> &[u32] {
        self.index().in_order()
    }

    /// The type of an object: an id in `0..type_count()`.
    pub fn type_id(&self, node: u32) -> u32 {
        self.columns.types()[node as usize]
    }

    /// Number of types, told apart by name.
    pub fn type_count(&self) -> u32 {
        self.columns.type_names.len() as u32
    }

    /// The name of a type.
    pub fn type_name(&self, type_id: u32) -> &str {
        &self.columns.type_names[type_id as usize]
    }

    /// The id of the type with this name.
    pub fn type_by_name(&self, name: &str) -> Option<u32> {
        self.columns.types_by_name.get(name).copied()
    }

    /// The objects sorted by the name of their type.
    #[inline]
    pub fn objects_by_type(&self) -> &ByType {
        self.by_type.get_or_init(|| self.stored_by_type().unwrap_or_else(|| assemble::by_type(&self.columns)))
    }

    /// Shallow size in bytes.
    pub fn size(&self, node: u32) -> u64 {
        self.columns.sizes().get(node)
    }

    /// Sum of all shallow sizes. Saturates.
    pub fn total_size(&self) -> u64 {
        self.columns.numbers.total_size
    }

    /// `len` of an object: characters or elements.
    pub fn length(&self, node: u32) -> Option<u64> {
        self.columns.lengths().get_optional(node)
    }

    /// The name of a module, function or type.
    pub fn name(&self, node: u32) -> Option<Cow<'_, str>> {
        self.columns.texts().get(node).name()
    }

    /// What the object holds.
    pub fn value(&self, node: u32) -> Option<Value<'_>> {
        self.columns.texts().get(node).value()
    }

    /// Number of references, repeats counted.
    pub fn edge_count(&self) -> u32 {
        self.columns.numbers.edges as u32
    }

    /// Number of references to addresses without a line.
    pub fn dangling_edge_count(&self) -> u32 {
        self.columns.numbers.dangling_edges
    }

    /// The references of a node, in file order. Empty for a dangling one.
    #[inline]
    pub fn edges(&self, node: u32) -> Range<u32> {
        match self.columns.edge_starts().get(node as usize..node as usize + 2) {
            Some(&[start, end]) => start..end,
            _ => 0..0,
        }
    }

    /// The nodes that `edges(node)` lead to, in the same order.
    #[inline]
    pub fn referents(&self, node: u32) -> &[u32] {
        let edges = self.edges(node);
        &self.columns.children()[edges.start as usize..edges.end as usize]
    }

    /// Where an edge leads to.
    #[inline]
    pub fn edge_child(&self, edge: u32) -> u32 {
        self.columns.children()[edge as usize]
    }

    /// Where an edge comes from.
    #[inline]
    pub fn edge_parent(&self, edge: u32) -> u32 {
        self.reverse().parents[edge as usize]
    }

    /// The edges that lead to a node, in ascending order.
    #[inline]
    pub fn edges_into(&self, node: u32) -> &[u32] {
        self.reverse().edges_into(node)
    }

    /// What the virtual root refers to, in file order: everything is reachable from these.
    pub fn roots(&self) -> &[Root] {
        self.roots.get_or_init(|| self.stored_roots().unwrap_or_else(|| roots::find(self)))
    }

    /// Why a root is one, in words: the sidecar's label, or what is known without.
    pub fn root_label(&self, root: &Root) -> &str {
        match root.reason {
            RootReason::Sidecar(i) => match self.meta().and_then(|meta| meta.roots.get(i as usize)) {
                Some(root) => &root.label,
                None => "sidecar",
            },
            RootReason::Interned => roots::INTERNED,
            RootReason::NoReferrer => "no referrer in the dump",
            RootReason::Cycle => "cycle with no referrer in the dump",
        }
    }

    /// The interpreter's dict of interned strings, if it is in the dump (CPython 3.14 and later).
    pub fn interned(&self) -> Option<u32> {
        self.roots().iter().find(|root| self.root_label(root) == roots::INTERNED).map(|root| root.node)
    }

    /// Whether a referent of the dict of interned strings has other referrers. The dict does not keep such a string: its
    /// references are not counted, and with the last of the others the string goes.
    #[inline]
    pub(super) fn is_held_beside_interned(&self, text: u32) -> bool {
        // The dict refers to each string twice.
        self.edges_into(text).len() > 2
    }

    /// The sidecar, if the dump has one.
    pub fn meta(&self) -> Option<&Meta> {
        self.meta.as_deref()
    }

    /// Where the heap came from.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Whether what was said of the heap so far is true. A heap from an index reads its columns when they are first looked
    /// at; if one turns out damaged by then and the dump cannot be read in its place, all answers are within bounds and
    /// mean nothing. Whoever passes answers on asks before, and after they were made.
    #[inline]
    pub fn intact(&self) -> Result<(), Lost> {
        self.columns.lost.get().map_or(Ok(()), |lost| Err(lost.clone()))
    }

    fn reverse(&self) -> &Reverse {
        let make = || Reverse::of(&self.columns, self.node_count());
        self.reverse.get_or_init(|| self.stored_reverse().unwrap_or_else(make))
    }

    fn index(&self) -> &AddressIndex {
        let make = || AddressIndex::new(self.columns.addresses()).0;
        self.index.get_or_init(|| self.stored_index().unwrap_or_else(make))
    }
}

/// Why [`Heap::from_text`] found no heap.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    /// A line is not an object.
    #[error("line {number}: {error}")]
    Line {
        /// Counted from 1.
        number: usize,
        /// What is wrong with it.
        error: heapsee_format::tolerant::LineError,
    },
    /// More than the ids can count.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
}

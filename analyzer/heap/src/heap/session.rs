//! The changes of a session as bytes, to be kept in its database and applied to the same dump again.
//!
//! A magic number and version, then zstd over little-endian sections, each a count and that many items. Nothing read
//! is believed: a count is no reason to allocate, and ids are checked against the heap.

use std::sync::Arc;

use fixedbitset::FixedBitSet;

use super::view::{Changes, View};
use super::{CellValue, Cells, Heap};

const MAGIC: &[u8; 8] = b"hpsview\x01";

/// Why changes cannot be applied.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// Not written by [`View::export`] of this version.
    #[error("the changes were not written by this version of heapsee")]
    Version,
    /// Cut off, or otherwise not what was written.
    #[error("the changes are damaged: {0}")]
    Damaged(&'static str),
    /// Changes of another dump.
    #[error("the changes belong to another dump ({theirs} objects and references; this one has {ours})")]
    OtherDump {
        /// Objects and references of the dump they were made on.
        theirs: String,
        /// Those of this one.
        ours: String,
    },
}

impl View {
    /// All changes and marks, compressed. An error only where zstd cannot have the memory it needs.
    pub fn export(&self) -> std::io::Result<Vec<u8>> {
        let mut out = Vec::new();
        write_changes(&mut out, self.heap(), &self.changes);
        let mut bytes = MAGIC.to_vec();
        zstd::stream::copy_encode(out.as_slice(), &mut bytes, 1)?;
        Ok(bytes)
    }

    /// The view that [`View::export`] was called on; `heap` must be of the same dump.
    pub fn import(heap: Arc<Heap>, bytes: &[u8]) -> Result<View, ImportError> {
        let compressed = bytes.strip_prefix(MAGIC).ok_or(ImportError::Version)?;
        let bytes = zstd::stream::decode_all(compressed).map_err(|_| ImportError::Damaged("not a zstd frame"))?;
        let mut reader = Reader { rest: &bytes };
        let changes = read_changes(&mut reader, &heap)?;
        Ok(View::with_changes(heap, changes))
    }
}

fn write_changes(out: &mut Vec<u8>, heap: &Heap, changes: &Changes) {
    [heap.len(), heap.node_count(), heap.edge_count(), heap.type_count()].iter().for_each(|&n| put_u32(out, n));
    put_u64s(out, &changes.addresses);
    put_u32(out, changes.type_names.len() as u32);
    changes.type_names.iter().for_each(|name| put_text(out, name));
    put_bits(out, &changes.deleted);
    put_bits(out, &changes.cut);
    put_u32(out, changes.objects.len() as u32);
    for (&node, (cells, type_id)) in &changes.objects {
        put_u32(out, node);
        put_u32(out, *type_id);
        put_cells(out, cells);
    }
    put_u32(out, changes.added.len() as u32);
    for edge in &changes.added {
        let (parent, child) = edge.unwrap_or((u32::MAX, u32::MAX));
        put_u32(out, parent);
        put_u32(out, child);
    }
    put_u32s(out, &changes.cut_roots.iter().copied().collect::<Vec<u32>>());
    put_u32s(out, &changes.added_roots.iter().copied().collect::<Vec<u32>>());
    put_u32s(out, &changes.marks);
}

fn read_changes(reader: &mut Reader<'_>, heap: &Heap) -> Result<Changes, ImportError> {
    let theirs = [reader.u32()?, reader.u32()?, reader.u32()?, reader.u32()?];
    let ours = [heap.len(), heap.node_count(), heap.edge_count(), heap.type_count()];
    if theirs != ours {
        let text = |counts: [u32; 4]| format!("{} / {}", counts[0], counts[2]);
        return Err(ImportError::OtherDump { theirs: text(theirs), ours: text(ours) });
    }
    let mut changes = Changes { addresses: reader.list(Reader::u64)?, ..Changes::default() };
    let bound = u64::from(heap.node_count()) + changes.addresses.len() as u64;
    let bound = u32::try_from(bound).map_err(|_| ImportError::Damaged("too many nodes"))?;
    for (i, &address) in changes.addresses.iter().enumerate() {
        if heap.node_of(address).is_some() || changes.nodes.insert(address, heap.node_count() + i as u32).is_some() {
            return Err(ImportError::Damaged("an added address is not new"));
        }
    }
    changes.type_names = reader.list(Reader::text)?;
    changes.deleted = Arc::new(reader.bits(bound)?);
    changes.cut = Arc::new(reader.bits(heap.edge_count())?);
    let types = heap.type_count() + changes.type_names.len() as u32;
    let objects = reader.list(|reader| Ok((reader.below(bound)?, reader.below(types)?, reader.cells()?)))?;
    changes.objects = objects.into_iter().map(|(node, type_id, cells)| (node, (cells, type_id))).collect();
    for (i, edge) in reader.list(|reader| Ok((reader.u32()?, reader.u32()?)))?.into_iter().enumerate() {
        changes.added.push(None);
        if edge == (u32::MAX, u32::MAX) {
            continue;
        }
        if edge.0 >= bound || edge.1 >= bound {
            return Err(ImportError::Damaged("an added reference leads nowhere"));
        }
        let id = heap.edge_count() + i as u32;
        changes.added[i] = Some(edge);
        changes.added_from.entry(edge.0).or_default().push(id);
        changes.added_to.entry(edge.1).or_default().push(id);
    }
    changes.cut_roots = reader.list(|reader| reader.below(bound))?.into_iter().collect();
    changes.added_roots = reader.list(|reader| reader.below(bound))?.into_iter().collect();
    changes.marks = Arc::new(reader.list(Reader::u32)?);
    if changes.marks.len() > bound as usize || !reader.rest.is_empty() {
        return Err(ImportError::Damaged("there is more than there should be"));
    }
    Ok(changes)
}

fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn put_u32s(out: &mut Vec<u8>, values: &[u32]) {
    put_u32(out, values.len() as u32);
    values.iter().for_each(|&value| put_u32(out, value));
}

fn put_u64s(out: &mut Vec<u8>, values: &[u64]) {
    put_u32(out, values.len() as u32);
    values.iter().for_each(|&value| put_u64(out, value));
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_u32(out, text.len() as u32);
    out.extend_from_slice(text.as_bytes());
}

/// Length in bits, then the positions of the ones: zstd makes little of either that or the words.
fn put_bits(out: &mut Vec<u8>, bits: &FixedBitSet) {
    put_u32(out, bits.len() as u32);
    put_u32s(out, &bits.ones().map(|bit| bit as u32).collect::<Vec<u32>>());
}

fn put_cells(out: &mut Vec<u8>, cells: &Cells) {
    put_text(out, &cells.type_name);
    put_u64(out, cells.size);
    put_option(out, cells.length.as_ref(), |out, &length| put_u64(out, length));
    put_option(out, cells.name.as_ref(), |out, name| put_text(out, name));
    put_option(out, cells.value.as_ref(), |out, value| match value {
        CellValue::Int(value) => {
            out.push(0);
            put_u64(out, value.cast_unsigned());
        }
        CellValue::Text(text) => {
            out.push(1);
            put_text(out, text);
        }
    });
}

fn put_option<T>(out: &mut Vec<u8>, value: Option<&T>, put: impl Fn(&mut Vec<u8>, &T)) {
    out.push(u8::from(value.is_some()));
    if let Some(value) = value {
        put(out, value);
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], ImportError> {
        let (bytes, rest) = self.rest.split_first_chunk::<N>().ok_or(ImportError::Damaged("they end too early"))?;
        self.rest = rest;
        Ok(*bytes)
    }

    fn u32(&mut self) -> Result<u32, ImportError> {
        Ok(u32::from_le_bytes(self.bytes()?))
    }

    fn u64(&mut self) -> Result<u64, ImportError> {
        Ok(u64::from_le_bytes(self.bytes()?))
    }

    fn below(&mut self, bound: u32) -> Result<u32, ImportError> {
        let value = self.u32()?;
        if value < bound { Ok(value) } else { Err(ImportError::Damaged("an id is too high")) }
    }

    /// A count and that many items; every item takes bytes, so a wrong count ends at the end of the bytes.
    fn list<T>(&mut self, item: impl Fn(&mut Self) -> Result<T, ImportError>) -> Result<Vec<T>, ImportError> {
        let count = self.u32()?;
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(item(self)?);
        }
        Ok(items)
    }

    fn text(&mut self) -> Result<String, ImportError> {
        let length = self.u32()? as usize;
        let (text, rest) = self.rest.split_at_checked(length).ok_or(ImportError::Damaged("they end too early"))?;
        self.rest = rest;
        String::from_utf8(text.to_vec()).map_err(|_| ImportError::Damaged("text is not UTF-8"))
    }

    /// At most `bound` bits.
    fn bits(&mut self, bound: u32) -> Result<FixedBitSet, ImportError> {
        let length = self.u32()?;
        if length > bound {
            return Err(ImportError::Damaged("a set is too large"));
        }
        let mut bits = FixedBitSet::with_capacity(length as usize);
        for bit in self.list(|reader| reader.below(length))? {
            bits.insert(bit as usize);
        }
        Ok(bits)
    }

    fn option<T>(&mut self, item: impl Fn(&mut Self) -> Result<T, ImportError>) -> Result<Option<T>, ImportError> {
        match self.bytes()? {
            [0] => Ok(None),
            [1] => item(self).map(Some),
            _ => Err(ImportError::Damaged("neither present nor absent")),
        }
    }

    fn cells(&mut self) -> Result<Cells, ImportError> {
        Ok(Cells {
            type_name: self.text()?,
            size: self.u64()?,
            length: self.option(Self::u64)?,
            name: self.option(Self::text)?,
            value: self.option(|reader| match reader.bytes()? {
                [0] => Ok(CellValue::Int(reader.u64()?.cast_signed())),
                [1] => Ok(CellValue::Text(reader.text()?)),
                _ => Err(ImportError::Damaged("an unknown kind of value")),
            })?,
        })
    }
}

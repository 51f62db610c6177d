//! A part of a file as columns: what one worker makes of the lines it has parsed.
//!
//! Addresses are not yet resolved and types only interned within the part; `assemble` joins the parts.

use std::collections::HashMap;

use heapsee_format::parse::Line;

use super::text::push_record;

/// A column of integers that rarely need more than 32 bits; those that do stand aside.
#[derive(Clone, Debug, Default)]
pub(super) struct Narrow {
    low: Vec<u32>,
    /// Rows that do not fit, in ascending order.
    wide: Vec<(u32, u64)>,
}

/// In `low`: there is no number.
const NONE: u32 = u32::MAX;
/// In `low`: the number is in `wide`.
const WIDE: u32 = u32::MAX - 1;

impl Narrow {
    pub(super) fn with_capacity(rows: usize) -> Self {
        Narrow { low: Vec::with_capacity(rows), wide: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.low.len()
    }

    pub(super) fn low(&self) -> &[u32] {
        &self.low
    }

    /// The rows that do not fit, each followed by its number.
    pub(super) fn wide(&self) -> Vec<u64> {
        self.wide.iter().flat_map(|&(row, value)| [u64::from(row), value]).collect()
    }

    /// What [`Narrow::low`] and [`Narrow::wide`] gave.
    pub(super) fn from_parts(low: Vec<u32>, wide: &[u64]) -> Narrow {
        Narrow { low, wide: wide.chunks_exact(2).map(|pair| (pair[0] as u32, pair[1])).collect() }
    }

    #[inline]
    pub(super) fn push(&mut self, value: Option<u64>) {
        let low = match value {
            None => NONE,
            Some(value) => match u32::try_from(value) {
                Ok(low) if low < WIDE => low,
                _ => {
                    self.wide.push((self.low.len() as u32, value));
                    WIDE
                }
            },
        };
        self.low.push(low);
    }

    pub(super) fn get_optional(&self, row: u32) -> Option<u64> {
        match *self.low.get(row as usize)? {
            NONE => None,
            WIDE => self.wide.binary_search_by_key(&row, |&(row, _)| row).ok().map(|at| self.wide[at].1),
            low => Some(u64::from(low)),
        }
    }

    pub(super) fn get(&self, row: u32) -> u64 {
        self.get_optional(row).unwrap_or(0)
    }

    /// Appends the rows of another column.
    pub(super) fn append(&mut self, other: &Narrow) {
        let offset = self.low.len() as u32;
        self.wide.extend(other.wide.iter().map(|&(row, value)| (row + offset, value)));
        self.low.extend_from_slice(&other.low);
    }

    fn take(&mut self) -> Narrow {
        Narrow { low: take(&mut self.low), wide: take(&mut self.wide) }
    }
}

/// The rows of a part of a file.
#[derive(Default)]
pub struct Rows {
    pub(super) addresses: Vec<u64>,
    pub(super) types: Vec<u32>,
    pub(super) sizes: Narrow,
    pub(super) lengths: Narrow,
    /// Where each row's record in `texts` ends.
    pub(super) text_ends: Vec<u32>,
    pub(super) texts: Vec<u8>,
    /// Where each row's references in `refs` end.
    pub(super) ref_ends: Vec<u32>,
    pub(super) refs: Vec<u64>,
    /// Undecoded type names, by the ids in `types`.
    pub(super) type_names: Vec<Box<[u8]>>,
    type_ids: HashMap<Box<[u8]>, u32>,
    /// Ids met lately, by a cheap hash of the name: spares most lookups in `type_ids`.
    recent_types: Vec<u32>,
}

const RECENT_TYPES: usize = 256;

impl Rows {
    /// Bytes that they take.
    pub fn memory(&self) -> u64 {
        let words = self.types.len() + self.text_ends.len() + self.ref_ends.len();
        let narrow = self.sizes.low.len() + self.lengths.low.len();
        let wide = 2 * (self.sizes.wide.len() + self.lengths.wide.len());
        let long = self.addresses.len() + self.refs.len() + wide;
        (4 * (words + narrow) + 8 * long + self.texts.len()) as u64
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.addresses.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.addresses.is_empty()
    }

    /// Appends an object and its references.
    pub fn push(&mut self, line: &Line<'_>, refs: &[u64]) {
        self.refs.extend_from_slice(refs);
        self.push_parsed(line);
    }

    /// The list that a parser may append an object's references to, before [`Rows::push_parsed`].
    pub fn refs_mut(&mut self) -> &mut Vec<u64> {
        &mut self.refs
    }

    /// Appends an object whose references already stand at the end of [`Rows::refs_mut`].
    ///
    /// A part must stay below 4 G of text and of references.
    #[inline]
    pub fn push_parsed(&mut self, line: &Line<'_>) {
        let type_id = self.intern(line.type_name.bytes);
        self.addresses.push(line.address);
        self.types.push(type_id);
        self.sizes.push(Some(line.size));
        self.lengths.push(line.len);
        push_record(&mut self.texts, line);
        self.text_ends.push(self.texts.len() as u32);
        self.ref_ends.push(self.refs.len() as u32);
    }

    #[inline]
    fn intern(&mut self, name: &[u8]) -> u32 {
        self.recent_types.resize(RECENT_TYPES, 0);
        let slot = cheap_hash(name);
        let recent = self.recent_types[slot];
        if self.type_names.get(recent as usize).is_some_and(|known| **known == *name) {
            return recent;
        }
        let id = self.intern_slowly(name);
        self.recent_types[slot] = id;
        id
    }

    fn intern_slowly(&mut self, name: &[u8]) -> u32 {
        if let Some(&id) = self.type_ids.get(name) {
            return id;
        }
        let id = self.type_names.len() as u32;
        self.type_names.push(name.into());
        self.type_ids.insert(name.into(), id);
        id
    }

    /// The same rows without some, which are given in ascending order. Addresses are not taken along: whoever knows of
    /// rows to be dropped has them already.
    pub(super) fn without(&self, dropped: &[u32]) -> Rows {
        let mut kept = Rows::default();
        let mut dropped = dropped.iter().copied().peekable();
        let (mut text_start, mut ref_start) = (0, 0);
        for row in 0..self.types.len() {
            let (text_end, ref_end) = (self.text_ends[row] as usize, self.ref_ends[row] as usize);
            if dropped.next_if_eq(&(row as u32)).is_none() {
                let type_id = kept.intern(&self.type_names[self.types[row] as usize]);
                kept.types.push(type_id);
                kept.sizes.push(Some(self.sizes.get(row as u32)));
                kept.lengths.push(self.lengths.get_optional(row as u32));
                kept.texts.extend_from_slice(&self.texts[text_start..text_end]);
                kept.text_ends.push(kept.texts.len() as u32);
                kept.refs.extend_from_slice(&self.refs[ref_start..ref_end]);
                kept.ref_ends.push(kept.refs.len() as u32);
            }
            (text_start, ref_start) = (text_end, ref_end);
        }
        kept
    }

    /// Moves all rows out, into columns no larger than they need to be. What stays behind is empty but keeps its room
    /// for the next part: growing columns anew for each would cost about as much as filling them.
    pub fn take(&mut self) -> Rows {
        self.recent_types.clear();
        self.type_ids.clear();
        Rows {
            addresses: take(&mut self.addresses),
            types: take(&mut self.types),
            sizes: self.sizes.take(),
            lengths: self.lengths.take(),
            text_ends: take(&mut self.text_ends),
            texts: take(&mut self.texts),
            ref_ends: take(&mut self.ref_ends),
            refs: take(&mut self.refs),
            type_names: std::mem::take(&mut self.type_names),
            ..Rows::default()
        }
    }
}

fn take<T: Copy>(column: &mut Vec<T>) -> Vec<T> {
    let taken = column.as_slice().to_vec();
    column.clear();
    taken
}

/// A slot of `recent_types`; collisions cost time only.
#[inline]
fn cheap_hash(name: &[u8]) -> usize {
    let ends = match name {
        [] => 0,
        [first, .., before, last] => usize::from(*first) ^ usize::from(*before) << 2 ^ usize::from(*last) << 4,
        [first, ..] => usize::from(*first),
    };
    (ends ^ name.len() << 3) % RECENT_TYPES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_any_width() {
        let values =
            [None, Some(0), Some(u64::from(WIDE) - 1), Some(u64::from(WIDE)), Some(u64::from(NONE)), Some(u64::MAX)];
        let mut one = Narrow::default();
        values.iter().for_each(|&value| one.push(value));
        let mut two = one.clone();
        two.append(&one);
        for (row, &value) in values.iter().chain(&values).enumerate() {
            assert_eq!(two.get_optional(row as u32), value);
        }
        assert_eq!(two.get_optional(12), None);
    }
}

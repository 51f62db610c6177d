//! Joining the parts of a file into the columns of a heap: ids, types, resolved references.
//!
//! The parts are given up one column at a time, so that a heap being read never stands in memory twice.

use std::collections::HashMap;
use std::sync::OnceLock;

use heapsee_format::text::decode;
use rayon::prelude::*;

use super::ByType;
use super::address::AddressIndex;
use super::columns::{Columns, Parts};
use super::rows::{Narrow, Rows};
use super::stored::Numbers;
use super::text::Texts;

/// The heap has more objects or references than the ids can count.
#[derive(Debug, thiserror::Error)]
#[error("the dump has {count} {what}; at most {limit} can be read")]
pub struct TooLarge {
    /// How many there are.
    pub count: u64,
    /// Of what.
    pub what: &'static str,
    /// How many there may be.
    pub limit: u64,
}

/// Ids stay below this, so that sums of them and a few marks above them fit.
pub(super) const LIMIT: u64 = u32::MAX as u64 - 16;

pub(super) fn assemble(mut parts: Vec<Rows>) -> Result<(Columns, AddressIndex), TooLarge> {
    check("objects", parts.iter().map(Rows::len))?;
    let mut addresses = join(&mut parts, |part| &mut part.addresses);
    let (mut index, repeated) = AddressIndex::new(&addresses);
    if !repeated.is_empty() {
        drop_rows(&mut parts, &mut addresses, &repeated);
        index = AddressIndex::new(&addresses).0;
    }
    let type_names = join_types(&mut parts);
    let edge_starts = join_edge_starts(&mut parts)?;
    let (children, dangling) = resolve(&mut parts, &index, addresses.len() as u32);
    let dangling_edges = children.iter().filter(|&&child| child as usize >= addresses.len()).count() as u32;
    check("objects and addresses without a line", [addresses.len(), dangling.len()].into_iter())?;
    let sizes = join_narrow(&mut parts, |part| &mut part.sizes);
    let total_size = (0..addresses.len() as u32).fold(0u64, |sum, node| sum.saturating_add(sizes.get(node)));
    let numbers = Numbers {
        objects: addresses.len() as u64,
        edges: children.len() as u64,
        dangling: dangling.len() as u64,
        types: type_names.len() as u64,
        dangling_edges,
        total_size,
        repeated: repeated.len() as u64,
    };
    let parts = Parts {
        types: OnceLock::from(join(&mut parts, |part| &mut part.types)),
        lengths: OnceLock::from(join_narrow(&mut parts, |part| &mut part.lengths)),
        texts: OnceLock::from(join_texts(&mut parts)),
        addresses: OnceLock::from(addresses),
        sizes: OnceLock::from(sizes),
        edge_starts: OnceLock::from(edge_starts),
        children: OnceLock::from(children),
        dangling: OnceLock::from(dangling),
    };
    let columns = Columns::new(numbers, type_names, parts, None);
    Ok((columns, index))
}

fn check(what: &'static str, counts: impl Iterator<Item = usize>) -> Result<usize, TooLarge> {
    let count = counts.fold(0u64, |sum, count| sum.saturating_add(count as u64));
    if count > LIMIT { Err(TooLarge { count, what, limit: LIMIT }) } else { Ok(count as usize) }
}

/// Moves one column of every part into a single one.
fn join<T: Copy>(parts: &mut [Rows], column: impl Fn(&mut Rows) -> &mut Vec<T>) -> Vec<T> {
    let rows = parts.iter_mut().map(|part| column(part).len()).sum();
    let mut joined = Vec::with_capacity(rows);
    for part in parts {
        joined.extend_from_slice(&std::mem::take(column(part)));
    }
    joined
}

fn join_narrow(parts: &mut [Rows], column: impl Fn(&mut Rows) -> &mut Narrow) -> Narrow {
    let rows = parts.iter_mut().map(|part| column(part).len()).sum();
    let mut joined = Narrow::with_capacity(rows);
    for part in parts {
        joined.append(&std::mem::take(column(part)));
    }
    joined
}

fn join_texts(parts: &mut [Rows]) -> Texts {
    let rows: usize = parts.iter().map(|part| part.text_ends.len()).sum();
    let mut texts = Texts { bytes: Vec::new(), starts: Vec::with_capacity(rows + 1) };
    texts.bytes.reserve_exact(parts.iter().map(|part| part.texts.len()).sum());
    texts.starts.push(0);
    for part in parts {
        let offset = texts.bytes.len() as u64;
        texts.starts.extend(std::mem::take(&mut part.text_ends).iter().map(|&end| offset + u64::from(end)));
        texts.bytes.extend_from_slice(&std::mem::take(&mut part.texts));
    }
    texts
}

fn join_edge_starts(parts: &mut [Rows]) -> Result<Vec<u32>, TooLarge> {
    check("references", parts.iter().map(|part| part.refs.len()))?;
    let rows: usize = parts.iter().map(|part| part.ref_ends.len()).sum();
    let mut starts = Vec::with_capacity(rows + 1);
    starts.push(0);
    let mut offset = 0;
    for part in parts {
        starts.extend(std::mem::take(&mut part.ref_ends).iter().map(|&end| offset + end));
        offset += part.refs.len() as u32;
    }
    Ok(starts)
}

/// Takes rows (given as positions in the whole file, ascending) out of the parts and out of `addresses`.
fn drop_rows(parts: &mut [Rows], addresses: &mut Vec<u64>, dropped: &[usize]) {
    let mut dropped_here = vec![Vec::new(); parts.len()];
    let mut rest = dropped;
    let mut offset = 0;
    for (part, here) in parts.iter().zip(&mut dropped_here) {
        let end = offset + part.types.len();
        let (inside, behind) = rest.split_at(rest.partition_point(|&row| row < end));
        here.extend(inside.iter().map(|&row| (row - offset) as u32));
        (rest, offset) = (behind, end);
    }
    for (part, here) in parts.iter_mut().zip(&dropped_here) {
        if !here.is_empty() {
            *part = part.without(here);
        }
    }
    let mut dropped = dropped.iter().peekable();
    let mut row = 0;
    addresses.retain(|_| {
        row += 1;
        dropped.next_if_eq(&&(row - 1)).is_none()
    });
}

/// Gives types ids that hold for all parts, in the order in which the file first names them.
fn join_types(parts: &mut [Rows]) -> Vec<String> {
    let mut names = Vec::new();
    let mut ids = HashMap::new();
    let mut translations = Vec::new();
    for part in parts.iter() {
        let translation = part.type_names.iter().map(|raw| {
            *ids.entry(decode(raw).into_owned()).or_insert_with_key(|name: &String| {
                names.push(name.clone());
                names.len() as u32 - 1
            })
        });
        translations.push(translation.collect::<Vec<u32>>());
    }
    parts.par_iter_mut().zip(translations).for_each(|(part, translation)| {
        part.types.iter_mut().for_each(|id| *id = translation[*id as usize]);
    });
    names
}

/// Turns the addresses referred to into nodes. Addresses without a line become nodes from `objects` on, in order.
fn resolve(parts: &mut [Rows], index: &AddressIndex, objects: u32) -> (Vec<u32>, Vec<u64>) {
    let edges = parts.iter().map(|part| part.refs.len()).sum();
    let mut children = vec![0; edges];
    let mut slices = Vec::with_capacity(parts.len());
    let mut rest = children.as_mut_slice();
    for part in parts.iter() {
        let (slice, behind) = rest.split_at_mut(part.refs.len());
        slices.push(slice);
        rest = behind;
    }
    // Per part: which of its edges dangle, and where to.
    let mut strays: Vec<Vec<(u32, u64)>> = parts
        .par_iter_mut()
        .zip(slices.par_iter_mut())
        .map(|(part, children)| resolve_part(&std::mem::take(&mut part.refs), index, children))
        .collect();
    let mut dangling: Vec<u64> = strays.iter().flatten().map(|&(_, address)| address).collect();
    dangling.sort_unstable();
    dangling.dedup();
    slices.par_iter_mut().zip(strays.par_iter_mut()).for_each(|(children, strays)| {
        for &mut (edge, address) in strays {
            // The sorted list has every stray's address.
            children[edge as usize] = objects + dangling.partition_point(|&known| known < address) as u32;
        }
    });
    (children, dangling)
}

fn resolve_part(refs: &[u64], index: &AddressIndex, children: &mut [u32]) -> Vec<(u32, u64)> {
    let mut strays = Vec::new();
    for (edge, (&address, child)) in refs.iter().zip(children).enumerate() {
        match index.get(address) {
            Some(node) => *child = node,
            None => strays.push((edge as u32, address)),
        }
    }
    strays
}

/// Sorts by counting: types by name first, then every object to its type's place.
pub(super) fn by_type(columns: &Columns) -> ByType {
    let mut sorted = by_type_of(columns, vec![0; columns.types().len()]);
    let mut next: Vec<u32> = sorted.ranges.iter().map(|range| range.start).collect();
    for (node, &id) in columns.types().iter().enumerate() {
        let next = &mut next[id as usize];
        sorted.nodes[*next as usize] = node as u32;
        *next += 1;
    }
    sorted
}

/// The order by type if its `nodes` are sorted already.
pub(super) fn by_type_of(columns: &Columns, nodes: Vec<u32>) -> ByType {
    let mut types: Vec<u32> = (0..columns.type_names.len() as u32).collect();
    types.sort_unstable_by_key(|&id| &columns.type_names[id as usize]);
    let mut counts = vec![0u32; types.len()];
    for &id in columns.types() {
        counts[id as usize] += 1;
    }
    let mut ranges = vec![0..0; types.len()];
    let mut start = 0;
    for &id in &types {
        let end = start + counts[id as usize];
        ranges[id as usize] = start..end;
        start = end;
    }
    ByType { nodes, types, ranges }
}

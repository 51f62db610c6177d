//! From an address to its node, some fifteen million times while a dump is read.
//!
//! Python's allocator packs objects densely, on 16-byte boundaries. So a bitmap with one bit for each possible place
//! is small, and the number of bits before an address (its rank) says which of all addresses it is, in order. Blocks of
//! 256 places are found by hashing; blocks without an object do not exist, so that no distribution of addresses,
//! hostile or not, needs more than one block an object.

/// Places in a block: four words of 64 bits.
const BLOCK_SHIFT: u32 = 8;
/// No more low bits are shifted out, even if all are zero.
const MOST_SHIFT: u32 = 4;
/// In the directory: no block.
const FREE: u32 = u32::MAX;

#[derive(Clone)]
struct Block {
    /// Which block: an address without its lowest bits.
    key: u64,
    bits: [u64; 4],
    /// How many addresses there are in earlier blocks.
    rank: u32,
    /// And in this one's earlier words.
    before: [u8; 4],
}

/// All addresses of a heap, and which node each is.
pub(super) struct AddressIndex {
    /// How many low bits are zero in every address.
    shift: u32,
    /// Sorted by key.
    blocks: Vec<Block>,
    /// Open addressing: hash of a key to an index in `blocks`.
    directory: Vec<u32>,
    /// Nodes in the order of their addresses.
    nodes: Vec<u32>,
}

impl AddressIndex {
    /// The index of `addresses`, and which of them (positions in ascending order) repeat an earlier one. The index is
    /// of use only if none does.
    pub(super) fn new(addresses: &[u64]) -> (AddressIndex, Vec<usize>) {
        let any = addresses.iter().fold(0, |any, &address| any | address);
        let shift = any.trailing_zeros().min(MOST_SHIFT);
        let blocks = empty_blocks(addresses, shift);
        let directory = directory(&blocks);
        let mut index = AddressIndex { shift, blocks, directory, nodes: Vec::new() };
        let repeated = index.set_bits(addresses);
        if repeated.is_empty() {
            index.set_ranks();
            index.set_nodes(addresses);
        }
        (index, repeated)
    }

    /// The node at an address.
    #[inline]
    pub(super) fn get(&self, address: u64) -> Option<u32> {
        self.nodes.get(self.rank(address)? as usize).copied()
    }

    /// The blocks as numbers: first how many bits are shifted out, then key and bits of each.
    pub(super) fn blocks(&self) -> Vec<u64> {
        let blocks = self.blocks.iter().flat_map(|block| std::iter::once(block.key).chain(block.bits));
        std::iter::once(u64::from(self.shift)).chain(blocks).collect()
    }

    /// What [`AddressIndex::blocks`] and [`AddressIndex::in_order`] gave.
    pub(super) fn from_blocks(numbers: &[u64], nodes: Vec<u32>) -> Option<AddressIndex> {
        let (&shift, blocks) = numbers.split_first()?;
        let shift = u32::try_from(shift).ok().filter(|&shift| shift <= MOST_SHIFT)?;
        let block = |numbers: &[u64]| {
            let (&key, bits) = numbers.split_first()?;
            Some(Block { key, bits: *bits.first_chunk()?, rank: 0, before: [0; 4] })
        };
        let blocks: Vec<Block> = blocks.chunks(5).map(block).collect::<Option<_>>()?;
        let addresses: usize = blocks.iter().flat_map(|block| block.bits).map(|bits| bits.count_ones() as usize).sum();
        if addresses != nodes.len() {
            return None;
        }
        let directory = directory(&blocks);
        let mut index = AddressIndex { shift, blocks, directory, nodes };
        index.set_ranks();
        Some(index)
    }

    /// How many addresses are lower than this one, if it is one of them.
    #[inline]
    fn rank(&self, address: u64) -> Option<u32> {
        let place = address >> self.shift;
        if place << self.shift != address {
            return None;
        }
        let block = &self.blocks[self.block(place >> BLOCK_SHIFT)?];
        let (word, mask) = word_and_mask(place);
        let bits = block.bits[word];
        if bits & mask == 0 {
            return None;
        }
        Some(block.rank + u32::from(block.before[word]) + (bits & (mask - 1)).count_ones())
    }

    /// All nodes in the order of their addresses.
    pub(super) fn in_order(&self) -> &[u32] {
        &self.nodes
    }

    #[inline]
    fn block(&self, key: u64) -> Option<usize> {
        let mut slot = slot(key, self.directory.len());
        loop {
            let at = self.directory[slot];
            if at == FREE {
                return None;
            }
            if self.blocks[at as usize].key == key {
                return Some(at as usize);
            }
            slot = (slot + 1) & (self.directory.len() - 1);
        }
    }

    fn set_bits(&mut self, addresses: &[u64]) -> Vec<usize> {
        let mut repeated = Vec::new();
        for (i, &address) in addresses.iter().enumerate() {
            let place = address >> self.shift;
            let Some(at) = self.block(place >> BLOCK_SHIFT) else { continue };
            let (word, mask) = word_and_mask(place);
            let bits = &mut self.blocks[at].bits[word];
            if *bits & mask != 0 {
                repeated.push(i);
            }
            *bits |= mask;
        }
        repeated
    }

    fn set_ranks(&mut self) {
        let mut rank = 0;
        for block in &mut self.blocks {
            block.rank = rank;
            let mut before = 0;
            for (word, bits) in block.bits.iter().enumerate() {
                // At most 3 × 64 come before the last word.
                block.before[word] = before as u8;
                before += bits.count_ones();
            }
            rank += before;
        }
    }

    fn set_nodes(&mut self, addresses: &[u64]) {
        self.nodes = vec![0; addresses.len()];
        for (node, &address) in addresses.iter().enumerate() {
            if let Some(rank) = self.rank(address) {
                self.nodes[rank as usize] = node as u32;
            }
        }
    }
}

/// One block without bits for each that some address is in.
fn empty_blocks(addresses: &[u64], shift: u32) -> Vec<Block> {
    let mut keys: Vec<u64> = Vec::new();
    for &address in addresses {
        let key = address >> shift >> BLOCK_SHIFT;
        // Neighbours in the file are often neighbours in memory: this leaves far fewer to sort.
        if keys.last() != Some(&key) {
            keys.push(key);
        }
    }
    keys.sort_unstable();
    keys.dedup();
    keys.into_iter().map(|key| Block { key, bits: [0; 4], rank: 0, before: [0; 4] }).collect()
}

fn directory(blocks: &[Block]) -> Vec<u32> {
    // At least half of it stays free, so that every search ends, and soon.
    let size = (blocks.len() * 2).next_power_of_two().max(2);
    let mut directory = vec![FREE; size];
    for (at, block) in blocks.iter().enumerate() {
        let mut slot = slot(block.key, size);
        while directory[slot] != FREE {
            slot = (slot + 1) & (size - 1);
        }
        directory[slot] = at as u32;
    }
    directory
}

/// Where to begin looking for `key`; `size` is a power of two.
#[inline]
fn slot(key: u64, size: usize) -> usize {
    (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize & (size - 1)
}

#[inline]
fn word_and_mask(place: u64) -> (usize, u64) {
    ((place >> 6 & 3) as usize, 1 << (place & 63))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::collections::hash_map::Entry;

    use proptest::prelude::*;

    use super::*;

    fn check(addresses: &[u64], others: &[u64]) {
        let mut known = HashMap::new();
        let mut repeated = Vec::new();
        let mut unique = Vec::new();
        for (i, &address) in addresses.iter().enumerate() {
            match known.entry(address) {
                Entry::Occupied(_) => repeated.push(i),
                Entry::Vacant(entry) => {
                    entry.insert(unique.len() as u32);
                    unique.push(address);
                }
            }
        }
        assert_eq!(AddressIndex::new(addresses).1, repeated);
        let (index, none) = AddressIndex::new(&unique);
        assert_eq!(none, Vec::<usize>::new());
        for &address in unique.iter().chain(others) {
            assert_eq!(index.get(address), known.get(&address).copied(), "{address}");
        }
        let mut sorted: Vec<u32> = (0..unique.len() as u32).collect();
        sorted.sort_by_key(|&node| unique[node as usize]);
        assert_eq!(index.in_order(), sorted);
    }

    #[test]
    fn the_ends_of_the_address_space() {
        check(&[], &[0, 1, u64::MAX]);
        check(&[0], &[1, 16, u64::MAX]);
        check(&[u64::MAX, 0], &[1, u64::MAX - 1]);
    }

    proptest! {
        #[test]
        fn as_a_hash_map_does(
            dense in prop::collection::vec(0u64..2000, 0..200),
            sparse in prop::collection::vec(any::<u64>(), 0..50),
            alignment in 0u32..6,
        ) {
            let addresses: Vec<u64> = dense.iter().chain(&sparse).map(|address| address << alignment).collect();
            let others: Vec<u64> = addresses.iter().flat_map(|a| [a ^ 1, a ^ 16, a.wrapping_add(4096)]).collect();
            check(&addresses, &others);
        }
    }
}

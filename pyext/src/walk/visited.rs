//! Which addresses have been met: one bit for every 16 bytes of address space that holds objects.
//!
//! No object is smaller than 16 bytes, so two objects never share a bit, wherever they lie. A hash set would take ten
//! times the memory, and most of the walk's time in cache misses.

/// Addresses of user space are below this: 47 bits on x86-64, 48 on aarch64.
const ADDRESS_BITS: u32 = 48;
/// A leaf covers 1 MiB.
const LEAF_BITS: u32 = 20;
/// A branch covers 4 GiB.
const BRANCH_BITS: u32 = 32;
const LEAF_WORDS: usize = 1 << (LEAF_BITS - 4 - 6);
const BRANCH_LEAVES: usize = 1 << (BRANCH_BITS - LEAF_BITS);
const BRANCHES: usize = 1 << (ADDRESS_BITS - BRANCH_BITS);

type Leaf = [u64; LEAF_WORDS];
type Branch = Vec<Option<Box<Leaf>>>;

/// A set of addresses of objects.
pub struct Visited {
    branches: Vec<Branch>,
}

impl Visited {
    /// An empty set.
    pub fn new() -> Visited {
        Visited { branches: vec![Branch::new(); BRANCHES] }
    }

    /// Whether an object could be there at all.
    pub fn is_plausible(address: u64) -> bool {
        address.is_multiple_of(8) && (4096..1 << ADDRESS_BITS).contains(&address)
    }

    /// Adds a plausible address; true if it is new.
    pub fn insert(&mut self, address: u64) -> bool {
        let branch = &mut self.branches[(address >> BRANCH_BITS) as usize];
        if branch.is_empty() {
            branch.resize(BRANCH_LEAVES, None);
        }
        let leaf =
            branch[(address >> LEAF_BITS) as usize % BRANCH_LEAVES].get_or_insert_with(|| Box::new([0; LEAF_WORDS]));
        let bit = address >> 4;
        let word = &mut leaf[(bit >> 6) as usize % LEAF_WORDS];
        let mask = 1 << (bit & 63);
        let is_new = *word & mask == 0;
        *word |= mask;
        is_new
    }
}

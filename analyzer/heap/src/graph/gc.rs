//! Marking what can be reached from the virtual root, breadth first.

use fixedbitset::FixedBitSet;

use crate::heap::View;

/// What a marking found.
pub struct Gc {
    /// How many objects were marked at each depth; depth 0 are the roots.
    pub levels: Vec<u64>,
    /// By node: the depth at which it was met, `u32::MAX` if it was not. For [`View::set_marks`].
    pub marks: Vec<u32>,
    /// The objects that were not met. For [`View::delete_objects`].
    pub unmarked: FixedBitSet,
}

/// Marks everything that the virtual root reaches. `on_level` is told depth and number of objects as each depth is done.
pub fn gc(view: &View, mut on_level: impl FnMut(u32, u64)) -> Gc {
    let bound = view.node_bound() as usize;
    let mut marks = vec![u32::MAX; bound];
    let mut level: Vec<u32> = Vec::new();
    for root in view.roots().filter(|&root| view.is_live(root)) {
        if marks[root as usize] == u32::MAX {
            marks[root as usize] = 0;
            level.push(root);
        }
    }
    let mut levels = Vec::new();
    let mut next = Vec::new();
    while !level.is_empty() {
        let depth = levels.len() as u32;
        levels.push(level.len() as u64);
        on_level(depth, level.len() as u64);
        for &node in &level {
            view.children(node, |child| {
                if marks[child as usize] == u32::MAX && view.is_live(child) {
                    marks[child as usize] = depth + 1;
                    next.push(child);
                }
            });
        }
        std::mem::swap(&mut level, &mut next);
        next.clear();
    }
    let mut unmarked = FixedBitSet::with_capacity(bound);
    for node in view.objects().filter(|&node| marks[node as usize] == u32::MAX) {
        unmarked.insert(node as usize);
    }
    Gc { levels, marks, unmarked }
}

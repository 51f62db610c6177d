//! The shortest way from any of some objects to any of some others.

use fixedbitset::FixedBitSet;

use crate::heap::View;

/// Finds a shortest path from a node in `from` to one in `to`: along references, or against them if `reversed`.
///
/// The path has both ends; an object in both sets is a path of one. `None` if there is none. `on_level` is told how
/// many objects each step newly met. Which of several shortest paths it is depends on file order alone.
pub fn path(
    view: &View,
    from: &FixedBitSet,
    to: &FixedBitSet,
    reversed: bool,
    mut on_level: impl FnMut(u64),
) -> Option<Vec<u32>> {
    // By node: whence it was met, plus 1; itself for where the search starts; 0 if it was not met.
    let mut met_from = vec![0u32; view.node_bound() as usize];
    let mut level: Vec<u32> = Vec::new();
    for node in from.ones().map(|node| node as u32).filter(|&node| view.is_live(node)) {
        met_from[node as usize] = node + 1;
        level.push(node);
    }
    let mut next = Vec::new();
    while !level.is_empty() {
        if let Some(&end) = level.iter().find(|&&node| to.contains(node as usize)) {
            return Some(trace(&met_from, end));
        }
        for &node in &level {
            let meet = |other: u32| {
                if met_from[other as usize] == 0 && view.is_live(other) {
                    met_from[other as usize] = node + 1;
                    next.push(other);
                }
            };
            if reversed { view.parents(node, meet) } else { view.children(node, meet) }
        }
        on_level(next.len() as u64);
        std::mem::swap(&mut level, &mut next);
        next.clear();
    }
    None
}

/// The way back from `end` to where the search started, turned round.
fn trace(met_from: &[u32], end: u32) -> Vec<u32> {
    let mut path = vec![end];
    let mut node = end;
    while met_from[node as usize] != node + 1 {
        node = met_from[node as usize] - 1;
        path.push(node);
    }
    path.reverse();
    path
}

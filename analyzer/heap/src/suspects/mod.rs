//! What holds the memory: the few places where objects pile up, found without a question being asked.
//!
//! In the dominator tree a leak is a *container* that fans out into many objects of a kind, or a *chain* in which each
//! object keeps the next. [`find`] walks the tree from the virtual root to where it fans out, adds containers that share
//! their objects with others, piles that a few places hold together, and leaves out what every Python process has. What
//! comes of it is data: the words are made in `report`.

mod calls;
mod contents;
mod explore;
mod intended;
mod kind;
mod kinds;
mod known;
mod ordinary;
mod remade;
mod shared;
#[cfg(test)]
mod tests;
mod threads;
mod together;
mod unreached;

use crate::graph::{Among, Amount, Dominators, MOST_RELUCTANT, Tree};
use crate::heap::RootReason;

pub use contents::{Contents, TypeGroup};
pub use intended::{Candidate, reasons};
pub(crate) use kind::Keeping;
pub use kind::SuspectKind;
pub use kinds::Kinds;
pub use known::better_known;
pub use ordinary::is_ordinary;

/// Below this, nobody need look.
const LEAST_BYTES: u64 = 750_000;
/// In a heap of this size; in larger ones more goes unnoticed, but not in proportion.
const SMALL_HEAP: u64 = 25_000_000;

/// A place where memory piles up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The container, the big object, or the first link of the chain.
    pub node: u32,
    /// What kind of a place it is.
    pub kind: SuspectKind,
    /// What would go with what piles up, as far as the dominator tree tells; the place itself included.
    pub amount: Amount,
    /// What piles up.
    pub contents: Contents,
    /// Other containers that hold the same objects.
    pub also: Vec<u32>,
}

/// What may matter in a heap of this size: 0.75 MB in one of 25 MB and less, 2.6 MB in 300 MB, 9.5 MB in 4 GB.
pub fn threshold(total: Amount) -> u64 {
    let times_larger = total.bytes.max(SMALL_HEAP) as f64 / SMALL_HEAP as f64;
    (LEAST_BYTES as f64 * times_larger.sqrt()) as u64
}

/// All places in which at least `threshold` bytes have piled up, the most bytes first.
pub fn find(kinds: &Kinds<'_>, dominators: &Dominators, threshold: u64) -> Vec<Finding> {
    let mut found = explore::explore(kinds, dominators, threshold);
    shared::add(kinds, dominators, threshold, &mut found);
    together::add(kinds, dominators, threshold, &mut found);
    unreached::add(kinds, dominators, threshold, &mut found);
    threads::add(kinds, dominators, threshold, &mut found);
    remade::add(kinds, dominators, threshold, &mut found);
    found.sort_by_key(|suspect| (std::cmp::Reverse(suspect.amount.bytes), suspect.node));
    found
}

/// Ways from the roots as a person would name them: from `sys.modules` if possible, through frames only if need be.
pub fn ways(kinds: &Kinds<'_>) -> Tree {
    let view = kinds.view();
    let heap = view.heap();
    let through = |node: u32| match kinds.type_name(node) {
        "frame" | "generator" | "coroutine" | "async_generator" | "traceback" => 2,
        "function" | "cell" | "method" | "builtin_function_or_method" | "code" => 1,
        _ => 0,
    };
    Tree::preferring(view, Among::Last, |node, begins| {
        if !begins {
            return through(node);
        }
        let found = heap.roots().binary_search_by_key(&node, |root| root.node).ok().map(|at| &heap.roots()[at]);
        match found {
            Some(root) if heap.root_label(root) == "sys.modules" => 0,
            Some(root) if matches!(root.reason, RootReason::Sidecar(_)) => through(node).max(1),
            _ => MOST_RELUCTANT,
        }
    })
}

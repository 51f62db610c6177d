//! The retained size of a set: what goes when several objects go together.
//!
//! That is more than the sum of what each retains: what two of them hold, and nobody else, goes only with both. It
//! takes a search of its own, a set at a time; single objects are what [`Dominators`](super::Dominators) are for.

use fixedbitset::FixedBitSet;

use super::Amount;
use crate::heap::View;

/// By node: whether the roots still reach it when every way through `gone` is closed.
pub fn reached_without(view: &View, gone: &FixedBitSet) -> FixedBitSet {
    let mut reached = FixedBitSet::with_capacity(view.node_bound() as usize);
    let mut waiting = Vec::new();
    let enter = |node: u32, reached: &mut FixedBitSet| {
        view.is_live(node) && !gone.contains(node as usize) && !reached.put(node as usize)
    };
    for root in view.roots() {
        if enter(root, &mut reached) {
            waiting.push(root);
        }
        while let Some(node) = waiting.pop() {
            view.children(node, |child| {
                if enter(child, &mut reached) {
                    waiting.push(child);
                }
            });
        }
    }
    reached
}

/// The objects that go when all of `gone` go: those, and what they alone keep, of all that the roots reach.
pub fn kept_by(view: &View, gone: &FixedBitSet) -> FixedBitSet {
    let mut kept = reached_without(view, &FixedBitSet::new());
    kept.difference_with(&reached_without(view, gone));
    kept
}

/// Objects and bytes of a set of objects.
pub fn amount_of(view: &View, nodes: &FixedBitSet) -> Amount {
    let mut amount = Amount::default();
    nodes.ones().for_each(|node| amount += Amount { objects: 1, bytes: view.size(node as u32) });
    amount
}

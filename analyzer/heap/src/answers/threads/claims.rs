//! What threads hold: what could not be reached without their frames, by thread and by frame.

use std::collections::HashMap;

use fixedbitset::FixedBitSet;

use crate::graph::{Amount, reached_without};
use crate::heap::View;

/// By node: nobody's, or what everybody reaches anyway.
const NOBODY: u32 = u32::MAX;
/// By node: of several threads.
const SEVERAL: u32 = u32::MAX - 1;

/// Which thread alone holds what.
pub(super) struct Claims<'v> {
    view: &'v View,
    /// By frame: its thread.
    frames: HashMap<u32, u32>,
    /// By node: the thread that alone holds it.
    holders: Vec<u32>,
}

impl<'v> Claims<'v> {
    /// Of threads, each given by its frames.
    pub(super) fn of(view: &'v View, threads: &[Vec<u32>]) -> Claims<'v> {
        let mut gone = FixedBitSet::with_capacity(view.node_bound() as usize);
        let mut frames = HashMap::new();
        for (thread, nodes) in threads.iter().enumerate() {
            for &node in nodes {
                gone.insert(node as usize);
                frames.insert(node, thread as u32);
            }
        }
        let free = reached_without(view, &gone);
        let mut claims = Claims { view, frames, holders: vec![NOBODY; view.node_bound() as usize] };
        for (thread, nodes) in threads.iter().enumerate() {
            claims.claim(thread as u32, nodes, &free);
        }
        claims
    }

    fn claim(&mut self, thread: u32, frames: &[u32], free: &FixedBitSet) {
        let mut seen = FixedBitSet::with_capacity(self.view.node_bound() as usize);
        let mut waiting = frames.to_vec();
        while let Some(node) = waiting.pop() {
            // A frame is its own thread's, whoever else refers to it, and so is what hangs from it.
            let is_others = self.frames.get(&node).is_some_and(|&owner| owner != thread);
            if is_others || free.contains(node as usize) || !self.view.is_live(node) || seen.put(node as usize) {
                continue;
            }
            let holder = &mut self.holders[node as usize];
            *holder = if *holder == NOBODY { thread } else { SEVERAL };
            self.view.children(node, |child| waiting.push(child));
        }
    }

    /// What a thread alone holds.
    pub(super) fn of_thread(&self, thread: u32) -> Amount {
        self.sum(|holder| holder == thread)
    }

    /// What threads hold together, and nobody else.
    pub(super) fn of_several(&self) -> Amount {
        self.sum(|holder| holder == SEVERAL)
    }

    fn sum(&self, is: impl Fn(u32) -> bool) -> Amount {
        let mut sum = Amount::default();
        for node in self.view.objects().filter(|&node| is(self.holders[node as usize])) {
            sum += Amount { objects: 1, bytes: self.view.size(node) };
        }
        sum
    }

    /// What a frame holds of what its thread alone holds, unless it is in `taken`: into which it goes. With what each of
    /// the objects it refers to brings, the most first.
    pub(super) fn take(&self, frame: u32, taken: &mut FixedBitSet) -> (Amount, Vec<(u32, Amount)>) {
        let Some(&thread) = self.frames.get(&frame) else { return (Amount::default(), Vec::new()) };
        let mut whole = self.take_from(frame, thread, taken, false);
        let mut parts = Vec::new();
        self.view.children(frame, |child| parts.push((child, Amount::default())));
        for (child, amount) in &mut parts {
            *amount = self.take_from(*child, thread, taken, true);
            whole += *amount;
        }
        parts.retain(|(_, amount)| amount.objects > 0);
        parts.sort_by_key(|&(child, amount)| (std::cmp::Reverse(amount.bytes), child));
        (whole, parts)
    }

    /// An object, and all it leads to without another frame if `deeply`.
    fn take_from(&self, start: u32, thread: u32, taken: &mut FixedBitSet, deeply: bool) -> Amount {
        let mut amount = Amount::default();
        let mut waiting = vec![start];
        while let Some(node) = waiting.pop() {
            let is_own = self.holders.get(node as usize) == Some(&thread);
            let is_other_frame = deeply && self.frames.contains_key(&node);
            if !is_own || is_other_frame || taken.put(node as usize) {
                continue;
            }
            amount += Amount { objects: 1, bytes: self.view.size(node) };
            if deeply {
                self.view.children(node, |child| waiting.push(child));
            }
        }
        amount
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::graph::kept_by;
    use crate::heap::testing::{heap_of_edges, node_edges};

    fn set(view: &View, nodes: &[u32]) -> FixedBitSet {
        let mut set = FixedBitSet::with_capacity(view.node_bound() as usize);
        set.extend(nodes.iter().map(|&node| node as usize));
        set
    }

    proptest! {
        /// What a thread alone holds goes when its frames go; with all others' frames gone before, so does what it shares
        /// with them.
        #[test]
        fn as_if_frames_were_deleted((nodes, edges) in node_edges(12), split in 1..4u32) {
            let mut view = View::new(Arc::new(heap_of_edges(nodes, &edges)));
            let last = nodes.min(4);
            let threads: Vec<Vec<u32>> = vec![(0..split.min(last)).collect(), (split.min(last)..last).collect()];
            for node in 0..last {
                view.add_root(node);
            }
            let claims = Claims::of(&view, &threads);
            for (thread, frames) in threads.iter().enumerate() {
                let kept = kept_by(&view, &set(&view, frames));
                let bytes: u64 = kept.ones().map(|node| view.size(node as u32)).sum();
                prop_assert_eq!(claims.of_thread(thread as u32).bytes, bytes);
                let mut taken = FixedBitSet::with_capacity(view.node_bound() as usize);
                let sum: u64 = frames.iter().map(|&frame| claims.take(frame, &mut taken).0.bytes).sum();
                prop_assert_eq!(sum, bytes, "frames have all of it");
            }
            let kept = kept_by(&view, &set(&view, &threads.concat()));
            let bytes: u64 = kept.ones().map(|node| view.size(node as u32)).sum();
            prop_assert_eq!(claims.of_thread(0).bytes + claims.of_thread(1).bytes + claims.of_several().bytes, bytes);
        }
    }
}

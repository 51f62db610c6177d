//! One way from the roots to every object: of all ways one that a person would take.
//!
//! A plain breadth-first search takes whatever is shortest, though it leads through a frame or a function's globals. Here
//! objects have a *reluctance*: a way avoids reluctant objects if it can, then it is short.

use crate::heap::View;

/// The most reluctant there is.
pub const MOST_RELUCTANT: u8 = 3;

/// A way to every object that the roots reach.
pub struct Ways {
    /// By node: whence it was met, plus 1; itself for a root; 0 if no root reaches it.
    met_from: Vec<u32>,
}

impl Ways {
    /// Searches all ways at once. `reluctance` says how unwilling to go through an object, or to begin with it, up to
    /// [`MOST_RELUCTANT`]; it is told whether the object is a beginning. Of equals, the referent that an object has last
    /// comes first: what was put there last, or the first element of a list.
    pub fn find(view: &View, reluctance: impl Fn(u32, bool) -> u8) -> Ways {
        let mut met_from = vec![0u32; view.node_bound() as usize];
        let mut waiting: [Vec<u32>; MOST_RELUCTANT as usize + 1] = Default::default();
        for root in view.roots().filter(|&root| view.is_live(root)) {
            waiting[reluctance(root, true).min(MOST_RELUCTANT) as usize].push(root);
        }
        let (mut level, mut children) = (Vec::new(), Vec::new());
        for bucket in 0..waiting.len() {
            level.append(&mut waiting[bucket]);
            // These are beginnings, or were met by a less reluctant way and only wait to be gone through.
            for &node in level.iter() {
                if met_from[node as usize] == 0 {
                    met_from[node as usize] = node + 1;
                }
            }
            let mut next = Vec::new();
            while !level.is_empty() {
                for &node in &level {
                    view.children(node, |child| children.push(child));
                    for child in children.drain(..).rev() {
                        if met_from[child as usize] == 0 && view.is_live(child) {
                            met_from[child as usize] = node + 1;
                            let reluctant = reluctance(child, false).min(MOST_RELUCTANT) as usize;
                            if reluctant > bucket { waiting[reluctant].push(child) } else { next.push(child) }
                        }
                    }
                }
                std::mem::swap(&mut level, &mut next);
                next.clear();
            }
        }
        Ways { met_from }
    }

    /// The objects on the way, the root first and the node last; empty if no root reaches it.
    pub fn to(&self, node: u32) -> Vec<u32> {
        let mut way = Vec::new();
        let mut at = node;
        loop {
            match self.met_from.get(at as usize).copied().unwrap_or(0) {
                0 => return Vec::new(),
                from => {
                    way.push(at);
                    if from == at + 1 {
                        break;
                    }
                    at = from - 1;
                }
            }
        }
        way.reverse();
        way
    }
}

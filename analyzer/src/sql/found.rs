//! The hidden columns of `obj`: what is found out about an object rather than written in the dump.
//!
//! Some need one look at its references, others the whole graph: those are found for all objects when the first is asked
//! for, and kept as long as the view stays as it is. Which column shows what is in
//! [`super::columns`].

use std::sync::OnceLock;

use heapsee_heap::graph::{self, Dominators, Tree};
use heapsee_heap::heap::{RootReason, View};
use heapsee_heap::owner::Owners;

/// What is found about all objects of one view.
#[derive(Default)]
pub struct Found {
    dominators: OnceLock<Dominators>,
    depths: OnceLock<Vec<u32>>,
    places: OnceLock<Places>,
}

/// Where objects are held.
struct Places {
    owners: Owners,
    /// By node: place in `threads`, plus one.
    thread_of: Vec<u32>,
    threads: Vec<String>,
}

impl Found {
    fn dominators(&self, view: &View) -> &Dominators {
        self.dominators.get_or_init(|| Dominators::of(view))
    }

    /// The bytes that would go with an object; nothing if no root reaches it.
    pub fn retained(&self, view: &View, node: u32) -> Option<i64> {
        let dominators = self.dominators(view);
        dominators.is_reached(node).then(|| i64::try_from(dominators.retained(node).bytes).unwrap_or(i64::MAX))
    }

    /// The nearest object without which it would go, by address; 0 for the virtual root.
    pub fn dominator(&self, view: &View, node: u32) -> Option<i64> {
        let dominators = self.dominators(view);
        let address = || dominators.dominator(node).map_or(0, |dominator| view.address(dominator).cast_signed());
        dominators.is_reached(node).then(address)
    }

    /// How many references lead from the virtual root to the object, by the shortest way.
    pub fn distance(&self, view: &View, node: u32) -> Option<i64> {
        let depths = self.depths.get_or_init(|| graph::gc(view, |_, _| {}).marks);
        depths.get(node as usize).filter(|&&depth| depth != u32::MAX).map(|&depth| i64::from(depth) + 1)
    }

    /// The module that the object belongs to, or is held by.
    pub fn module(&self, view: &View, node: u32) -> Option<String> {
        self.places(view).owners.module(node).map(str::to_owned)
    }

    /// The package of that module.
    pub fn package(&self, view: &View, node: u32) -> Option<String> {
        let owners = &self.places(view).owners;
        owners.package(node).map(|package| owners.packages()[package as usize].name.clone())
    }

    /// The thread that holds the object, if one does: `thread` and its name.
    pub fn thread(&self, view: &View, node: u32) -> Option<String> {
        let places = self.places(view);
        let place = places.thread_of.get(node as usize)?.checked_sub(1)?;
        places.threads.get(place as usize).cloned()
    }

    fn places(&self, view: &View) -> &Places {
        self.places.get_or_init(|| {
            let tree = Tree::of(view);
            let owners = Owners::of(view, &tree);
            let (threads, thread_of) = threads(view, &tree);
            Places { owners, thread_of, threads }
        })
    }
}

/// The threads whose frames are roots, and for every object the one whose frames alone hold it, as far as the ways of
/// the tree tell: it prefers every other way.
fn threads(view: &View, tree: &Tree) -> (Vec<String>, Vec<u32>) {
    let mut threads: Vec<String> = Vec::new();
    let mut thread_of = vec![0; view.node_bound() as usize];
    for &node in tree.order() {
        thread_of[node as usize] = match tree.parent(node) {
            Some((parent, _)) => thread_of[parent as usize],
            None => match thread(view, node) {
                Some(label) => {
                    let known = threads.iter().position(|known| known == label);
                    known.unwrap_or_else(|| {
                        threads.push(label.to_owned());
                        threads.len() - 1
                    }) as u32
                        + 1
                }
                None => 0,
            },
        };
    }
    (threads, thread_of)
}

fn thread(view: &View, node: u32) -> Option<&str> {
    let roots = view.heap().roots();
    let root = &roots[roots.binary_search_by_key(&node, |root| root.node).ok()?];
    let label = view.heap().root_label(root);
    (matches!(root.reason, RootReason::Sidecar(_)) && label.starts_with("thread ")).then_some(label)
}

/// How many references lead to an object, the virtual root's included.
pub fn referrers(view: &View, node: u32) -> i64 {
    let mut count = i64::from(view.is_root(node));
    view.edges_to(node, |_| count += 1);
    count
}

/// How many references lead away from an object.
pub fn referents(view: &View, node: u32) -> i64 {
    let mut count = 0;
    view.edges_from(node, |_| count += 1);
    count
}

/// Why it is a child of the virtual root.
pub fn root(view: &View, node: u32) -> Option<String> {
    if !view.is_root(node) {
        return None;
    }
    let roots = view.heap().roots();
    let found = roots.binary_search_by_key(&node, |root| root.node).ok();
    Some(found.map_or("pinned", |at| view.heap().root_label(&roots[at])).to_owned())
}

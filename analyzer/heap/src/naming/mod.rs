//! What references are called: dict keys, attributes, indexes; and a path as one Python expression.
//!
//! A dump has no names for references. What there is to go by are the order in which CPython's `tp_traverse` functions
//! visit things, the keys that dicts and instances list with their values, and what the sidecar knows of types. Where
//! these do not settle a name there is none: a wrong name is worse than a missing one. Nothing here searches or prints.

mod edge;
mod expression;
mod fold;
mod kinds;
mod literal;
mod place;
mod repr;
mod shape;
#[cfg(test)]
mod tests;

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use fixedbitset::FixedBitSet;
use rustc_hash::FxHashMap;

use crate::heap::{Edge, Heap, View};

pub use edge::EdgeName;
pub(crate) use expression::text_of_key;
pub use expression::{Expression, expression, root_name};
pub use fold::{Fold, fold, folded_text};
pub use literal::{is_dict_type, literal, type_of, whole_text};
pub use place::{NOWHERE, Places};
pub use repr::{plain, repr};

use shape::Layout;

/// Finds the names of a view's references.
pub struct Names<'v> {
    view: &'v View,
    known: Rc<Known>,
    /// By the node of a text: the attribute that it is the name of.
    attributes: RefCell<FxHashMap<u32, Option<Rc<str>>>>,
}

/// Programs have fewer attributes than these.
const MOST_ATTRIBUTES: usize = 1 << 16;

/// What was found out on the way, so that it need not be found out again: for views of the same heap.
#[derive(Default)]
pub struct Known {
    /// By the node of a type.
    layouts: RefCell<HashMap<u32, Rc<Layout>>>,
    /// The object last asked about, and where among its references its type is.
    own_type: Cell<Option<(u32, Option<usize>)>>,
    /// The types that the sidecar names.
    types: OnceCell<FixedBitSet>,
}

impl Known {
    /// Whether the sidecar says that an object is a type.
    fn is_type(&self, heap: &Heap, node: u32) -> bool {
        let find = || {
            let types = heap.meta().into_iter().flat_map(|meta| meta.types.keys());
            types.filter_map(|&address| heap.node_of(address).map(|node| node as usize)).collect()
        };
        self.types.get_or_init(find).contains(node as usize)
    }
}

impl<'v> Names<'v> {
    /// For the references of this view.
    pub fn new(view: &'v View) -> Names<'v> {
        Names::knowing(view, Rc::default())
    }

    /// The same, going on with what is known.
    pub fn knowing(view: &'v View, known: Rc<Known>) -> Names<'v> {
        Names { view, known, attributes: RefCell::default() }
    }

    /// The view.
    pub fn view(&self) -> &'v View {
        self.view
    }

    /// The attribute that a text is the name of, as it stands behind the dot.
    fn attribute(&self, node: u32) -> Option<Rc<str>> {
        if let Some(found) = self.attributes.borrow().get(&node) {
            return found.clone();
        }
        let found: Option<Rc<str>> = literal::attribute(self.view, node).map(Rc::from);
        let mut attributes = self.attributes.borrow_mut();
        if attributes.len() < MOST_ATTRIBUTES {
            attributes.insert(node, found.clone());
        }
        found
    }

    /// What the reference is called.
    pub fn edge(&self, edge: Edge) -> EdgeName {
        let heap = self.view.heap();
        let own = heap.edges(edge.parent);
        if own.contains(&edge.id) {
            kinds::name(self, edge.parent, (edge.id - own.start) as usize)
        } else {
            // Added by a session: in the dump it is nothing.
            EdgeName::Unknown
        }
    }

    /// The reference between two objects; if there are several, the one with the most telling name.
    pub fn between(&self, parent: u32, child: u32) -> Option<EdgeName> {
        let mut found = Vec::new();
        // A dict may have a million entries and a value one referrer, or a class a million instances.
        if self.view.heap().edges_into(child).len() < self.view.heap().edges(parent).len() {
            self.view.edges_to(child, |edge| found.extend((edge.parent == parent).then_some(edge)));
        } else {
            self.view.edges_from(parent, |edge| found.extend((edge.child == child).then_some(edge)));
        }
        // The first of equals, in the order of the dump.
        found.into_iter().map(|edge| self.edge(edge)).min_by_key(EdgeName::rank)
    }

    /// The names of the references along a path of objects, one fewer than there are objects.
    pub fn along(&self, path: &[u32]) -> Vec<EdgeName> {
        path.windows(2).map(|pair| self.between(pair[0], pair[1]).unwrap_or(EdgeName::Unknown)).collect()
    }
}

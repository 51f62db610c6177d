//! What the answers about a dump have in common: the kinds of its objects, who keeps what, and a way to each.

use std::cell::OnceCell;

use crate::graph::{Dominators, Tree};
use crate::heap::View;
use crate::naming::{Expression, expression};
use crate::suspects::{self, Kinds};

use super::words::percent;

/// A view that is being looked into.
pub struct Study<'v> {
    /// The view.
    pub view: &'v View,
    /// What kind of thing each object is.
    pub kinds: Kinds<'v>,
    /// Who alone keeps what.
    pub dominators: Dominators,
    ways: OnceCell<Tree>,
}

impl<'v> Study<'v> {
    /// Of a view.
    pub fn of(view: &'v View) -> Self {
        Study { view, kinds: Kinds::of(view), dominators: Dominators::of(view), ways: OnceCell::new() }
    }

    /// A way to an object from a root, as a person would name it; empty if no root reaches it.
    pub fn way(&self, node: u32) -> Vec<u32> {
        suspects::better_known(&self.kinds, self.ways.get_or_init(|| suspects::ways(&self.kinds)).path(node))
    }

    /// The same as a Python expression, as far as there is one.
    pub fn path(&self, node: u32) -> Expression {
        self.expression(&self.way(node))
    }

    /// A way as a Python expression.
    pub fn expression(&self, way: &[u32]) -> Expression {
        expression(self.view, way, &self.kinds.names().along(way))
    }

    /// The module that a way leads through first, by itself or by a class of it.
    pub fn module_on(&self, way: &[u32]) -> Option<String> {
        way.iter().find_map(|&node| match self.kinds.type_name(node) {
            "module" => self.view.name(node).map(|name| name.into_owned()),
            _ => self.kinds.module_of(node).map(str::to_owned),
        })
    }

    /// Bytes in percent of all that the roots reach.
    pub fn share(&self, bytes: u64) -> f64 {
        percent(bytes, self.dominators.total().bytes)
    }
}

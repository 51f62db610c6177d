//! Which references to drop so that some objects go, and what that frees: checked by dropping them in a copy.

use fixedbitset::FixedBitSet;
use serde::Serialize;

use super::study::Study;
use crate::graph::cut::{self, NoCut};
use crate::graph::{self, Amount, amount_of, kept_by};
use crate::heap::Edge;
use crate::naming::{EdgeName, Expression, expression};

/// The `schema` of this version.
pub const SCHEMA: &str = "heapsee.cut/1";

/// What to drop.
///
/// ```
/// # use std::sync::Arc;
/// use fixedbitset::FixedBitSet;
/// use heapsee_heap::answers::cut::Cut;
/// use heapsee_heap::answers::study::Study;
/// use heapsee_heap::heap::{Heap, View};
///
/// // A list of two equal texts.
/// let heap = Heap::from_text(
///     r#"{"address": 16, "type": "list", "size": 64, "len": 2, "refs": [32, 48]}
///        {"address": 32, "type": "str", "size": 1000, "len": 3, "value": "abc", "refs": []}
///        {"address": 48, "type": "str", "size": 1000, "len": 3, "value": "abc", "refs": []}"#,
/// )?;
/// let view = View::new(Arc::new(heap));
/// let text = FixedBitSet::from_iter([1]);
/// let cut = Cut::of(&Study::of(&view), "address = 32", &text, 16);
/// let best = cut.best.as_ref().expect("there is one reference to drop");
/// assert_eq!((best.refs.len(), best.frees.bytes), (1, 1000));
/// # Ok::<(), heapsee_heap::heap::TextError>(())
/// ```
#[derive(Debug, Serialize)]
pub struct Cut {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// The condition that says which objects are to go.
    pub condition: String,
    /// The objects that are to go and that roots reach.
    pub matching: Amount,
    /// The matching objects and what nobody else keeps: what would go if they did.
    pub retained: Amount,
    /// The one reference that frees most of them; none if each is held in several ways.
    pub best: Option<Choice>,
    /// The fewest references that free all of them; none if that takes too many, or cannot be.
    pub all: Option<Choice>,
    /// Why there is no `all`.
    pub why_not: Option<&'static str>,
}

/// References to drop, and what goes then.
#[derive(Debug, Serialize)]
pub struct Choice {
    /// The references.
    pub refs: Vec<Dropped>,
    /// Everything that goes.
    pub frees: Amount,
    /// Of it, the objects asked for.
    pub frees_matching: Amount,
}

/// A reference to drop.
#[derive(Debug, PartialEq, Serialize)]
pub struct Dropped {
    /// An expression that ends with the reference, where it can.
    pub expression: Expression,
    /// Who refers.
    pub parent: u64,
    /// Its type.
    pub parent_type: String,
    /// What the reference is called.
    pub edge: String,
    /// Who is referred to.
    pub child: u64,
    /// Its type.
    pub child_type: String,
    /// What to type in the shell to drop it.
    pub sql: String,
}

impl Cut {
    /// For objects that a condition has found; no set with more than `most` references.
    pub fn of(study: &Study<'_>, condition: &str, wanted: &FixedBitSet, most: usize) -> Cut {
        let mut reached = wanted.clone();
        wanted
            .ones()
            .filter(|&node| !study.dominators.is_reached(node as u32))
            .for_each(|node| reached.set(node, false));
        let can_drop = |edge: Edge| can_drop(study, edge);
        let single = cut::single(study.view, &study.dominators, &reached, can_drop).map(|found| vec![found.edge]);
        let best = single.as_ref().map(|edges| Choice::of(study, &reached, edges));
        let is_whole = best.as_ref().is_some_and(|best| best.frees_matching == amount_of(study.view, &reached));
        // Nothing takes fewer references than one.
        let smallest = match single {
            Some(edges) if is_whole => Ok(edges),
            _ => cut::smallest(study.view, &reached, most, can_drop),
        };
        let (all, why_not) = match smallest {
            Ok(edges) => (Some(Choice::of(study, &reached, &edges)), None),
            Err(NoCut::TooMany) => (None, Some("it takes more references than --max-refs allows")),
            Err(NoCut::Impossible) => (None, Some("the interpreter, a module or C code holds some of them directly")),
        };
        Cut {
            schema: SCHEMA,
            condition: condition.to_owned(),
            matching: amount_of(study.view, &reached),
            retained: amount_of(study.view, &kept_by(study.view, &reached)),
            best,
            all,
            why_not,
        }
    }
}

/// Whether a program can drop a reference: not those that make a module a module, an instance an instance, or a key one.
fn can_drop(study: &Study<'_>, edge: Edge) -> bool {
    if study.kinds.type_name(edge.child) == "module" && study.kinds.is_namespace(edge.parent) {
        return false;
    }
    match study.kinds.names().edge(edge) {
        EdgeName::KeyItself(_) => false,
        EdgeName::Attribute(name) => {
            !matches!(name.as_str(), "__dict__" | "__class__" | "__mro__" | "__bases__" | "__base__")
        }
        EdgeName::Part(_) => !study.kinds.is_program(edge.parent),
        EdgeName::Key(_) | EdgeName::Index(_) | EdgeName::Item | EdgeName::Unknown => true,
    }
}

impl Choice {
    /// Drops the references in a copy of the view and collects there.
    fn of(study: &Study<'_>, wanted: &FixedBitSet, edges: &[Edge]) -> Choice {
        let mut without = study.view.clone();
        edges.iter().for_each(|edge| {
            without.delete_edge(edge.id);
        });
        let mut gone = graph::gc(&without, |_, _| {}).unmarked;
        // What no root reached before is not freed by this.
        let unreached: Vec<usize> = gone.ones().filter(|&node| !study.dominators.is_reached(node as u32)).collect();
        unreached.into_iter().for_each(|node| gone.set(node, false));
        let frees = amount_of(study.view, &gone);
        gone.intersect_with(wanted);
        let refs = edges.iter().map(|&edge| Dropped::of(study, edge)).collect();
        Choice { refs, frees, frees_matching: amount_of(study.view, &gone) }
    }
}

impl Dropped {
    fn of(study: &Study<'_>, edge: Edge) -> Dropped {
        let name = study.kinds.names().edge(edge);
        let mut way = study.way(edge.parent);
        let mut names = study.kinds.names().along(&way);
        way.push(edge.child);
        names.push(name.clone());
        let (parent, child) = (study.view.address(edge.parent), study.view.address(edge.child));
        Dropped {
            expression: expression(study.view, &way, &names),
            parent,
            parent_type: study.kinds.type_name(edge.parent).to_owned(),
            edge: name.to_string(),
            child,
            child_type: study.kinds.type_name(edge.child).to_owned(),
            sql: format!("delete from ref where parent = {parent} and child = {child}"),
        }
    }
}

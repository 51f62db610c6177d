//! Ways from some objects to others: which, and what they are called.

use fixedbitset::FixedBitSet;
use serde::Serialize;

use super::object::Object;
use crate::graph;
use crate::heap::View;
use crate::naming::{EdgeName, Expression, Names, expression, fold, folded_text, root_name};

/// The `schema` of this version.
pub const SCHEMA: &str = "heapsee.path/1";

/// What to look for.
pub struct Search<'a> {
    /// Where paths start.
    pub from: &'a FixedBitSet,
    /// Where they end.
    pub to: &'a FixedBitSet,
    /// Whether they go against the references.
    pub reversed: bool,
    /// No path leads through these.
    pub avoid: &'a FixedBitSet,
    /// How many are wanted.
    pub most: usize,
}

/// The paths that were found, the shortest first.
///
/// ```
/// # use std::sync::Arc;
/// use fixedbitset::FixedBitSet;
/// use heapsee_heap::answers::path::{Paths, Search};
/// use heapsee_heap::heap::{Heap, View};
///
/// // A list of two equal texts. CPython visits the elements of a list from the last one on.
/// let heap = Heap::from_text(
///     r#"{"address": 16, "type": "list", "size": 64, "len": 2, "refs": [32, 48]}
///        {"address": 32, "type": "str", "size": 1000, "len": 3, "value": "abc", "refs": []}
///        {"address": 48, "type": "str", "size": 1000, "len": 3, "value": "abc", "refs": []}"#,
/// )?;
/// let view = View::new(Arc::new(heap));
/// let (list, text) = (FixedBitSet::from_iter([0]), FixedBitSet::from_iter([2]));
/// let search = Search { from: &list, to: &text, reversed: false, avoid: &FixedBitSet::with_capacity(3), most: 1 };
/// let paths = Paths::find(&view, &search);
/// assert_eq!(paths.paths[0].expression.to_string(), "<list at 0x10>[0]");
/// # Ok::<(), heapsee_heap::heap::TextError>(())
/// ```
#[derive(Debug, Serialize)]
pub struct Paths {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// Empty if there is none.
    pub paths: Vec<Path>,
}

/// One path, from the object that holds to the one that is held, whatever the direction of the search.
#[derive(Debug, PartialEq, Serialize)]
pub struct Path {
    /// One Python expression, where it can be one, with repeating links folded.
    pub expression: Expression,
    /// The types along the path, with repeating links folded.
    pub types: String,
    /// Every object.
    pub steps: Vec<Step>,
}

/// One object of a path.
#[derive(Debug, PartialEq, Serialize)]
pub struct Step {
    /// What the reference from the object before is called; none for the first.
    pub edge: Option<EdgeName>,
    /// The same as it stands in an expression; what the sidecar calls the root, for the first.
    pub text: String,
    /// The object.
    #[serde(flatten)]
    pub object: Object,
}

impl Paths {
    /// Searches. Of several paths each reaches the held object by another last reference.
    pub fn find(view: &View, search: &Search<'_>) -> Paths {
        let mut view = view.clone();
        let mut avoided = search.avoid.clone();
        avoided.difference_with(search.from);
        avoided.difference_with(search.to);
        view.delete_objects(&avoided);
        let mut paths = Vec::new();
        while paths.len() < search.most {
            let found = graph::path(&view, search.from, search.to, search.reversed, |_| {});
            let Some(mut nodes) = found else { break };
            if search.reversed {
                nodes.reverse();
            }
            paths.push(Path::of(&view, &nodes));
            let &[.., holder, held] = &nodes[..] else { break };
            let mut last = Vec::new();
            view.edges_to(held, |edge| last.extend((edge.parent == holder).then_some(edge.id)));
            last.into_iter().for_each(|edge| {
                view.delete_edge(edge);
            });
        }
        Paths { schema: SCHEMA, paths }
    }
}

impl Path {
    /// Of nodes, the one that holds first.
    pub fn of(view: &View, nodes: &[u32]) -> Path {
        let names = Names::new(view).along(nodes);
        let expression = expression(view, nodes, &names);
        let first = nodes.first().map(|&node| (None, root_name(view, node).unwrap_or_default()));
        let rest = names.into_iter().map(|name| (Some(name.clone()), name.to_string()));
        let steps = first.into_iter().chain(rest).zip(nodes);
        let steps: Vec<Step> =
            steps.map(|((edge, text), &node)| Step { edge, text, object: Object::of(view, node) }).collect();
        let types: Vec<&str> = steps.iter().map(|step| step.object.type_name.as_str()).collect();
        let types = folded_text(&types, &fold(&types), " → ");
        Path { expression, types, steps }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::super::heap::Heap;
    use super::*;

    fn view() -> View {
        let line = |address: u64, kind: &str, refs: &[u64]| {
            let len = if kind == "list" { format!("\"len\": {}, ", refs.len()) } else { String::new() };
            format!("{{\"address\": {address}, \"type\": \"{kind}\", \"size\": 8, {len}\"refs\": {refs:?}}}\n")
        };
        let text = line(1, "list", &[2, 3, 4]) + &line(2, "list", &[5]) + &line(3, "cell", &[5]) + &line(4, "x", &[3]);
        View::new(Arc::new(Heap::from_text(&(text + &line(5, "held", &[]))).unwrap()))
    }

    fn find(from: usize, to: usize, reversed: bool, avoid: &[usize], most: usize) -> Vec<(String, Vec<u64>)> {
        let set = |nodes: &[usize]| {
            let mut set = FixedBitSet::with_capacity(5);
            set.extend(nodes.iter().copied());
            set
        };
        let (from, to, avoid) = (set(&[from]), set(&[to]), set(avoid));
        let search = Search { from: &from, to: &to, reversed, avoid: &avoid, most };
        let paths = Paths::find(&view(), &search).paths.into_iter();
        paths
            .map(|path| (path.expression.to_string(), path.steps.iter().map(|step| step.object.address).collect()))
            .collect()
    }

    #[test]
    fn several_paths_differ_in_what_holds_the_object() {
        let expect = [
            ("<list at 0x1>[2][0]".to_owned(), vec![1, 2, 5]),
            ("<list at 0x1>[1].cell_contents".to_owned(), vec![1, 3, 5]),
        ];
        assert_eq!(find(0, 4, false, &[], 9), expect);
        assert_eq!(find(4, 0, true, &[], 9), expect, "from holder to held, whichever way the search went");
        assert_eq!(find(0, 4, false, &[], 1), expect[..1]);
    }

    #[test]
    fn what_is_avoided_is_gone_round() {
        assert_eq!(find(0, 4, false, &[1], 9).len(), 1);
        assert_eq!(find(0, 4, false, &[1, 2], 9), []);
        assert_eq!(find(0, 4, false, &[0, 4, 1], 9).len(), 1, "the ends are never avoided");
        assert_eq!(find(4, 0, false, &[], 9), []);
        assert_eq!(find(4, 4, false, &[], 9), [("<held at 0x5>".to_owned(), vec![5])]);
    }
}

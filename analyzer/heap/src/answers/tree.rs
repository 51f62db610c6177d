//! The dominator tree, to walk down: what keeps what.

use serde::Serialize;

use super::object::Object;
use super::study::Study;
use crate::graph::Amount;
use crate::heap::RootReason;
use crate::naming::Expression;

/// The `schema` of this version.
pub const SCHEMA: &str = "heapsee.tree/1";

/// A part of the tree.
///
/// ```
/// # use std::sync::Arc;
/// use heapsee_heap::answers::study::Study;
/// use heapsee_heap::answers::tree::{Extent, Tree};
/// use heapsee_heap::heap::{Heap, View};
///
/// // A list of two equal texts.
/// let heap = Heap::from_text(
///     r#"{"address": 16, "type": "list", "size": 64, "len": 2, "refs": [32, 48]}
///        {"address": 32, "type": "str", "size": 1000, "len": 3, "value": "abc", "refs": []}
///        {"address": 48, "type": "str", "size": 1000, "len": 3, "value": "abc", "refs": []}"#,
/// )?;
/// let view = View::new(Arc::new(heap));
/// let tree = Tree::of(&Study::of(&view), Some(0), Extent { depth: 1, most: 8 });
/// assert_eq!(tree.path.map(|path| path.to_string()).as_deref(), Some("<list at 0x10>"));
/// # Ok::<(), heapsee_heap::heap::TextError>(())
/// ```
#[derive(Debug, Serialize)]
pub struct Tree {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// All that the roots reach.
    pub heap: Amount,
    /// An expression that leads to the top of this part; none for the virtual root.
    pub path: Option<Expression>,
    /// The top; none for the virtual root.
    pub top: Option<Branch>,
    /// What the virtual root's children are, if the top is that.
    pub below: Below,
}

/// An object, and what it alone keeps.
#[derive(Debug, Serialize)]
pub struct Branch {
    /// The object.
    #[serde(flatten)]
    pub object: Object,
    /// What the reference to it from the object above is called; empty if it is kept by way of others.
    pub edge: String,
    /// What would go with it.
    pub retained_bytes: u64,
    /// The same in objects.
    pub objects: u64,
    /// `retained_bytes` in percent of the heap.
    pub share: f64,
    /// What is directly below it in the tree.
    pub below: Below,
}

/// Children in the tree, the biggest first.
#[derive(Debug, Default, Serialize)]
pub struct Below {
    /// The first of them; empty below the depth that was asked for.
    pub branches: Vec<Branch>,
    /// How many are not among these.
    pub left_out: usize,
    /// What those keep.
    pub left_out_bytes: u64,
}

/// How much of the tree.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// Levels below the top.
    pub depth: u32,
    /// Children of each object.
    pub most: usize,
}

impl Tree {
    /// Of an object, or of all.
    pub fn of(study: &Study<'_>, node: Option<u32>, extent: Extent) -> Tree {
        let (path, top, below) = match node {
            None => (None, None, below(study, None, extent)),
            Some(node) => (Some(study.path(node)), Some(branch(study, None, node, extent)), Below::default()),
        };
        Tree { schema: SCHEMA, heap: study.dominators.total(), path, top, below }
    }
}

fn branch(study: &Study<'_>, above: Option<u32>, node: u32, extent: Extent) -> Branch {
    let amount = study.dominators.retained(node);
    let edge = match above {
        Some(above) => study.kinds.names().between(above, node).map(|edge| edge.to_string()),
        None => root_label(study, node),
    };
    Branch {
        object: Object::of(study.view, node),
        edge: edge.unwrap_or_default(),
        retained_bytes: amount.bytes,
        objects: amount.objects,
        share: study.share(amount.bytes),
        below: below(study, Some(node), extent),
    }
}

/// What the virtual root calls a child that it has a name for.
fn root_label(study: &Study<'_>, node: u32) -> Option<String> {
    let heap = study.view.heap();
    let at = heap.roots().binary_search_by_key(&node, |root| root.node).ok()?;
    let root = &heap.roots()[at];
    matches!(root.reason, RootReason::Sidecar(_) | RootReason::Interned).then(|| heap.root_label(root).to_owned())
}

fn below(study: &Study<'_>, node: Option<u32>, extent: Extent) -> Below {
    let bytes = |node: u32| study.dominators.retained(node).bytes;
    let mut children: Vec<u32> = study.dominators.children(node).collect();
    children.sort_by_key(|&child| (std::cmp::Reverse(bytes(child)), child));
    let shown = if extent.depth == 0 { 0 } else { extent.most.min(children.len()) };
    let rest = &children[shown..];
    let deeper = Extent { depth: extent.depth.saturating_sub(1), ..extent };
    Below {
        branches: children[..shown].iter().map(|&child| branch(study, node, child, deeper)).collect(),
        left_out: rest.len(),
        left_out_bytes: rest.iter().map(|&child| bytes(child)).sum(),
    }
}

//! The biggest dominators: which objects, types or modules keep most.

use serde::Serialize;

use super::study::Study;
use crate::graph::Amount;
use crate::naming::Expression;

/// The `schema` of this version.
pub const SCHEMA: &str = "heapsee.top/1";

/// A child that keeps more than this part of what its parent keeps is the same finding: percent.
const SAME: u64 = 90;

/// What the rows stand for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// Single objects.
    #[default]
    Object,
    /// Types.
    Type,
    /// Modules.
    Module,
}

/// The rows, the biggest first.
///
/// ```
/// # use std::sync::Arc;
/// use heapsee_heap::answers::study::Study;
/// use heapsee_heap::answers::top::{By, Top};
/// use heapsee_heap::heap::{Heap, View};
///
/// // A list of two equal texts.
/// let heap = Heap::from_text(
///     r#"{"address": 16, "type": "list", "size": 64, "len": 2, "refs": [32, 48]}
///        {"address": 32, "type": "str", "size": 1000, "len": 3, "value": "abc", "refs": []}
///        {"address": 48, "type": "str", "size": 1000, "len": 3, "value": "abc", "refs": []}"#,
/// )?;
/// let view = View::new(Arc::new(heap));
/// let top = Top::of(&Study::of(&view), By::Object, Some(1));
/// assert_eq!((top.items[0].type_name.as_str(), top.items[0].retained_bytes), ("list", 2064));
/// # Ok::<(), heapsee_heap::heap::TextError>(())
/// ```
#[derive(Debug, Serialize)]
pub struct Top {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// What the rows stand for.
    pub by: By,
    /// All that the roots reach.
    pub heap: Amount,
    /// The rows.
    pub items: Vec<Item>,
    /// How many more there are.
    pub left_out: usize,
}

/// One row.
#[derive(Debug, Serialize)]
pub struct Item {
    /// The address of the object; none for a type.
    pub address: Option<u64>,
    /// The type.
    #[serde(rename = "type")]
    pub type_name: String,
    /// For a type: how many objects it has.
    pub instances: Option<u64>,
    /// Bytes of the object itself, or of all objects of the type.
    pub size: u64,
    /// What would go with it. For a type: what its objects keep, each alone; together they may keep more.
    pub retained_bytes: u64,
    /// The same in objects.
    pub objects: u64,
    /// `retained_bytes` in percent of the heap.
    pub share: f64,
    /// An expression that leads to the object; for a module its name; none for a type.
    pub path: Option<Expression>,
    /// Where the way down ends on which one object keeps nearly all of what the object before keeps, if it goes on.
    pub leads_to: Option<End>,
}

/// The end of a way down the tree.
#[derive(Debug, Serialize)]
pub struct End {
    /// Its address.
    pub address: u64,
    /// Its type.
    #[serde(rename = "type")]
    pub type_name: String,
    /// What would go with it.
    pub retained_bytes: u64,
    /// An expression that leads to it.
    pub path: Expression,
}

impl Top {
    /// At most `most` rows.
    pub fn of(study: &Study<'_>, by: By, most: Option<usize>) -> Top {
        let most = most.unwrap_or(usize::MAX);
        let (items, count) = match by {
            By::Object => objects(study, most),
            By::Type => types(study, most),
            By::Module => modules(study, most),
        };
        let left_out = count - items.len();
        Top { schema: SCHEMA, by, heap: study.dominators.total(), items, left_out }
    }
}

fn item(study: &Study<'_>, node: u32, amount: Amount, path: Expression) -> Item {
    Item {
        address: Some(study.view.address(node)),
        type_name: study.kinds.type_name(node).to_owned(),
        instances: None,
        size: study.view.size(node),
        retained_bytes: amount.bytes,
        objects: amount.objects,
        share: study.share(amount.bytes),
        path: Some(path),
        leads_to: None,
    }
}

/// Objects that do not merely stand below one that keeps nearly the same.
fn objects(study: &Study<'_>, most: usize) -> (Vec<Item>, usize) {
    let bytes = |node: u32| study.dominators.retained(node).bytes;
    let is_news =
        |&node: &u32| study.dominators.dominator(node).is_none_or(|above| !is_same(bytes(node), bytes(above)));
    let mut nodes: Vec<u32> = study.dominators.subtree(None).iter().copied().filter(is_news).collect();
    let count = nodes.len();
    nodes.sort_by_key(|&node| (std::cmp::Reverse(bytes(node)), node));
    nodes.truncate(most);
    let items = nodes.into_iter().map(|node| {
        let mut item = item(study, node, study.dominators.retained(node), study.path(node));
        let end = end(study, node);
        item.leads_to = (end != node).then(|| End {
            address: study.view.address(end),
            type_name: study.kinds.type_name(end).to_owned(),
            retained_bytes: bytes(end),
            path: study.path(end),
        });
        item
    });
    (items.collect(), count)
}

fn is_same(child: u64, parent: u64) -> bool {
    u128::from(child) * 100 > u128::from(parent) * u128::from(SAME)
}

fn end(study: &Study<'_>, node: u32) -> u32 {
    let bytes = |node: u32| study.dominators.retained(node).bytes;
    let mut at = node;
    while let Some(child) = study.dominators.children(Some(at)).find(|&child| is_same(bytes(child), bytes(at))) {
        at = child;
    }
    at
}

/// For each type the objects that no other object of the type keeps.
fn types(study: &Study<'_>, most: usize) -> (Vec<Item>, usize) {
    let (view, dominators) = (study.view, &study.dominators);
    let mut rows = vec![(Amount::default(), 0u64, 0u64); view.type_count() as usize];
    // By type: up to which place of the tree an object of it keeps all.
    let mut covered = vec![0usize; rows.len()];
    for (place, &node) in dominators.subtree(None).iter().enumerate() {
        let type_id = view.type_id(node) as usize;
        let row = &mut rows[type_id];
        row.1 += 1;
        row.2 = row.2.saturating_add(view.size(node));
        if place >= covered[type_id] {
            let amount = dominators.retained(node);
            row.0 += amount;
            covered[type_id] = place + amount.objects as usize;
        }
    }
    let mut rows: Vec<(usize, (Amount, u64, u64))> =
        rows.into_iter().enumerate().filter(|(_, row)| row.1 > 0).collect();
    let count = rows.len();
    rows.sort_by_key(|(type_id, row)| (std::cmp::Reverse(row.0.bytes), *type_id));
    rows.truncate(most);
    let items = rows.into_iter().map(|(type_id, (amount, instances, size))| Item {
        address: None,
        type_name: view.type_name(type_id as u32).to_owned(),
        instances: Some(instances),
        size,
        retained_bytes: amount.bytes,
        objects: amount.objects,
        share: study.share(amount.bytes),
        path: None,
        leads_to: None,
    });
    (items.collect(), count)
}

/// What each module alone keeps: the module and its dict, whoever else may refer to that.
fn modules(study: &Study<'_>, most: usize) -> (Vec<Item>, usize) {
    let dominators = &study.dominators;
    let kept = |dict: u32, module: u32| {
        let (mut amount, dict) = (dominators.retained(module), (dict, dominators.retained(dict)));
        if !dominators.dominates(module, dict.0) {
            amount += dict.1;
        }
        amount
    };
    let modules = study.kinds.modules().filter(|&(_, module)| dominators.is_reached(module));
    let mut rows: Vec<(Amount, u32)> = modules.map(|(dict, module)| (kept(dict, module), module)).collect();
    let count = rows.len();
    rows.sort_by_key(|(amount, module)| (std::cmp::Reverse(amount.bytes), *module));
    rows.truncate(most);
    let name = |module: u32| study.view.name(module).unwrap_or_default().into_owned();
    (
        rows.into_iter()
            .map(|(amount, module)| item(study, module, amount, Expression::words(&name(module))))
            .collect(),
        count,
    )
}

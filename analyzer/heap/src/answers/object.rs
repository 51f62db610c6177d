//! One object, and what refers to it or what it refers to.

use serde::{Serialize, Serializer};

use crate::graph;
use crate::heap::{Edge, Value, View};
use crate::naming::{EdgeName, Expression, Names, expression};

/// The `schema` of [`Info`].
pub const INFO_SCHEMA: &str = "heapsee.info/1";
/// The `schema` of [`Refs`].
pub const REFS_SCHEMA: &str = "heapsee.refs/1";

/// The cells of an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Object {
    /// Its address.
    pub address: u64,
    /// The name of its type; empty for an address that objects refer to but that has no line in the dump.
    #[serde(rename = "type")]
    pub type_name: String,
    /// Its name, if it is a module, a function or a type.
    pub name: Option<String>,
    /// What it holds, as far as the dump says.
    #[serde(serialize_with = "text_or_number")]
    pub value: Option<ObjectValue>,
    /// Shallow size in bytes.
    pub size: u64,
    /// Characters or elements.
    pub len: Option<u64>,
}

/// What an object holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ObjectValue {
    /// An integer of 64 bits.
    Int(i64),
    /// Anything else.
    Text(String),
}

fn text_or_number<S: Serializer>(value: &Option<ObjectValue>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        None => serializer.serialize_none(),
        Some(ObjectValue::Int(value)) => serializer.serialize_i64(*value),
        Some(ObjectValue::Text(text)) => serializer.serialize_str(text),
    }
}

impl Object {
    /// The object at a node.
    pub fn of(view: &View, node: u32) -> Object {
        let address = view.address(node);
        if !view.is_live(node) {
            return Object { address, type_name: String::new(), name: None, value: None, size: 0, len: None };
        }
        let value = view.value(node).map(|value| match value {
            Value::Int(value) => ObjectValue::Int(value),
            Value::Text(text) => ObjectValue::Text(text.into_owned()),
        });
        Object {
            address,
            type_name: view.type_name(view.type_id(node)).to_owned(),
            name: view.name(node).map(|name| name.into_owned()),
            value,
            size: view.size(node),
            len: view.length(node),
        }
    }

    /// Its name, or what it holds, for a person.
    pub fn caption(&self) -> String {
        match (&self.name, &self.value) {
            (Some(name), _) => name.clone(),
            (None, Some(ObjectValue::Int(value))) => value.to_string(),
            (None, Some(ObjectValue::Text(text))) => text.clone(),
            (None, None) => String::new(),
        }
    }
}

/// A reference and the object at its other end.
#[derive(Debug, Serialize)]
pub struct Reference {
    /// What the reference is called.
    pub edge: EdgeName,
    /// The same as it stands in an expression.
    pub text: String,
    /// The other object.
    #[serde(flatten)]
    pub object: Object,
}

impl Reference {
    fn of(names: &Names<'_>, edge: Edge, other: u32) -> Reference {
        let name = names.edge(edge);
        Reference { text: name.to_string(), edge: name, object: Object::of(names.view(), other) }
    }
}

/// References of one object, in the order of the dump.
///
/// ```
/// # use std::sync::Arc;
/// use heapsee_heap::answers::object::Refs;
/// use heapsee_heap::heap::{Heap, View};
///
/// // A list of two equal texts. CPython visits the elements of a list from the last one on.
/// let heap = Heap::from_text(
///     r#"{"address": 16, "type": "list", "size": 64, "len": 2, "refs": [32, 48]}
///        {"address": 32, "type": "str", "size": 1000, "len": 3, "value": "abc", "refs": []}
///        {"address": 48, "type": "str", "size": 1000, "len": 3, "value": "abc", "refs": []}"#,
/// )?;
/// let view = View::new(Arc::new(heap));
/// let refs = Refs::of(&view, 0, false, Some(1));
/// assert_eq!((refs.count, refs.refs.len()), (2, 1));
/// # Ok::<(), heapsee_heap::heap::TextError>(())
/// ```
#[derive(Debug, Serialize)]
pub struct Refs {
    /// [`REFS_SCHEMA`].
    pub schema: &'static str,
    /// The object.
    pub object: Object,
    /// Whether these are the references to it rather than its own.
    pub parents: bool,
    /// How many there are.
    pub count: usize,
    /// The first of them.
    pub refs: Vec<Reference>,
}

impl Refs {
    /// At most `limit` references of `node`, or to it.
    pub fn of(view: &View, node: u32, parents: bool, limit: Option<usize>) -> Refs {
        let names = Names::new(view);
        let mut edges = Vec::new();
        if parents {
            view.edges_to(node, |edge| edges.push(edge))
        } else {
            view.edges_from(node, |edge| edges.push(edge))
        }
        let shown = edges.iter().take(limit.unwrap_or(usize::MAX));
        let refs = shown.map(|&edge| Reference::of(&names, edge, if parents { edge.parent } else { edge.child }));
        let refs = refs.collect();
        Refs { schema: REFS_SCHEMA, object: Object::of(view, node), parents, count: edges.len(), refs }
    }
}

/// One object, what keeps it, and what is around it.
///
/// ```
/// # use std::sync::Arc;
/// use heapsee_heap::answers::object::Info;
/// use heapsee_heap::heap::{Heap, View};
///
/// // A list of two equal texts. CPython visits the elements of a list from the last one on.
/// let heap = Heap::from_text(
///     r#"{"address": 16, "type": "list", "size": 64, "len": 2, "refs": [32, 48]}
///        {"address": 32, "type": "str", "size": 1000, "len": 3, "value": "abc", "refs": []}
///        {"address": 48, "type": "str", "size": 1000, "len": 3, "value": "abc", "refs": []}"#,
/// )?;
/// let view = View::new(Arc::new(heap));
/// let info = Info::of(&view, 1);
/// assert_eq!((info.object.caption(), info.referrers), ("abc".to_owned(), 1));
/// assert_eq!(info.held_by.map(|path| path.to_string()).as_deref(), Some("<list at 0x10>[1]"));
/// # Ok::<(), heapsee_heap::heap::TextError>(())
/// ```
#[derive(Debug, Serialize)]
pub struct Info {
    /// [`INFO_SCHEMA`].
    pub schema: &'static str,
    /// The object.
    pub object: Object,
    /// Why it is a root, if it is one.
    pub root: Option<String>,
    /// A shortest way to it from a root, as a Python expression where it can be one; none if no root reaches it.
    pub held_by: Option<Expression>,
    /// How many references lead to it.
    pub referrers: usize,
    /// How many references it has.
    pub referents: usize,
}

impl Info {
    /// Of an object.
    pub fn of(view: &View, node: u32) -> Info {
        let set = |nodes: &mut dyn Iterator<Item = u32>| {
            let mut set = fixedbitset::FixedBitSet::with_capacity(view.node_bound() as usize);
            nodes.for_each(|node| set.insert(node as usize));
            set
        };
        let roots = set(&mut view.roots());
        let path = graph::path(view, &roots, &set(&mut std::iter::once(node)), false, |_| {});
        let held_by = path.map(|path| expression(view, &path, &Names::new(view).along(&path)));
        let heap = view.heap();
        let root = heap.roots().iter().find(|root| root.node == node && view.is_root(node));
        let (mut referrers, mut referents) = (0, 0);
        view.edges_to(node, |_| referrers += 1);
        view.edges_from(node, |_| referents += 1);
        Info {
            schema: INFO_SCHEMA,
            object: Object::of(view, node),
            root: root.map(|root| heap.root_label(root).to_owned()),
            held_by,
            referrers,
            referents,
        }
    }
}

//! Places: what many objects have in common in the way they are held, `sys.modules['app'].cache[*].tags`.
//!
//! A path as [`expression`](super::expression) writes it is of one object of one dump. A place is the same for all
//! elements of a container and for all links of a chain, and it is the same in every dump of a program: indexes and keys
//! that are data (numbers, long or numbered names, keys of large dicts) become `[*]`, a link that repeats leads back to
//! where it was, and a frame has no line or thread. Places of several dumps share one [`Places`].

use rustc_hash::FxHashMap;

use super::expression::{Expression, Link as Written, Start, attribute_of_key, start};
use super::literal::{is_dict_type, type_of};
use super::{EdgeName, Names};
use crate::graph::Tree;
use crate::heap::{Edge, View};

/// Instead of a place: no root reaches the object.
pub const NOWHERE: u32 = u32::MAX;

/// The keys of larger dicts are data.
const MOST_NAMED_KEYS: u64 = 64;
/// Longer keys are data.
const LONGEST_KEY: usize = 40;
/// As many digits in a row are data.
const DIGITS: usize = 3;
/// How many links back a repetition is looked for.
const LOOK_BACK: usize = 16;

/// Any element.
const ANY: &str = "[*]";
/// The attributes of an object.
const DICT: &str = ".__dict__";

/// Numbers for texts.
#[derive(Default)]
struct Interner {
    ids: FxHashMap<Box<str>, u32>,
    texts: Vec<Box<str>>,
}

impl Interner {
    fn id(&mut self, text: &str) -> u32 {
        if let Some(&id) = self.ids.get(text) {
            return id;
        }
        let id = self.texts.len() as u32;
        self.ids.insert(text.into(), id);
        self.texts.push(text.into());
        id
    }

    fn text(&self, id: u32) -> &str {
        &self.texts[id as usize]
    }
}

#[derive(Clone, Copy)]
struct Place {
    /// The place it hangs from; itself where a path begins.
    parent: u32,
    label: u32,
    kind: u32,
    /// Whether a link that repeats was found to lead here.
    repeats: bool,
}

/// The places of one or more dumps.
#[derive(Default)]
pub struct Places {
    places: Vec<Place>,
    index: FxHashMap<(u32, u32, u32), u32>,
    /// Where a link leads: most lead where another one has led.
    known: FxHashMap<(u32, u32, u32), u32>,
    labels: Interner,
    kinds: Interner,
}

impl Places {
    /// How many there are; ids are below it, and a place's id is above that of the place it hangs from.
    pub fn len(&self) -> u32 {
        self.places.len() as u32
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The place it hangs from; none where a path begins.
    pub fn parent(&self, place: u32) -> Option<u32> {
        let parent = self.places[place as usize].parent;
        (parent != place).then_some(parent)
    }

    /// The name of the type of the objects there.
    pub fn type_name(&self, place: u32) -> &str {
        self.kinds.text(self.places[place as usize].kind)
    }

    /// Whether it is any element of a container.
    pub fn is_any(&self, place: u32) -> bool {
        self.labels.text(self.places[place as usize].label) == ANY
    }

    /// The key of a dict in the last link, if it is one that may turn out to be data.
    pub fn has_key(&self, place: u32) -> bool {
        let label = self.labels.text(self.places[place as usize].label);
        label.starts_with('[') && label != ANY
    }

    /// The same place with its last link made `[*]`, below `parent`.
    pub fn any_below(&mut self, place: u32, parent: u32) -> u32 {
        let kind = self.places[place as usize].kind;
        let label = self.labels.id(ANY);
        self.find(parent, label, kind)
    }

    /// The same place below another one.
    pub fn moved(&mut self, place: u32, parent: u32) -> u32 {
        let Place { label, kind, .. } = self.places[place as usize];
        self.find(parent, label, kind)
    }

    /// In Python, as far as there is an expression; `…` where a link leads back.
    pub fn expression(&self, place: u32) -> Expression {
        let mut links = Vec::new();
        let mut at = place;
        loop {
            let Place { parent, label, kind, repeats } = self.places[at as usize];
            let text = self.labels.text(label);
            let kind = if text.ends_with(['→', '?']) { format!(" {}", self.kinds.text(kind)) } else { String::new() };
            let link = format!("{}{kind}{}", text.trim_end_matches('?'), if repeats { "(…)" } else { "" });
            // The label of a key is the key in brackets.
            let key = text.strip_prefix("['").filter(|_| link == text).and_then(|rest| rest.strip_suffix("']"));
            links.push(key.map_or(Written::Text(link), |key| Written::Key(format!("'{key}'"))));
            if parent == at {
                break;
            }
            at = parent;
        }
        let start = links.pop().map_or(String::new(), |start| start.to_string());
        links.reverse();
        Expression::of(start, links)
    }

    /// The place of every object of a view, by node; [`NOWHERE`] for those no root reaches.
    pub fn assign(&mut self, view: &View, tree: &Tree) -> Vec<u32> {
        let mut of = vec![NOWHERE; view.node_bound() as usize];
        let mut links = Links::of(view, self);
        for &node in tree.order() {
            let kind = links.kind(node, self);
            of[node as usize] = match tree.parent(node) {
                None => self.start(view, node, kind),
                Some((parent, id)) => {
                    let above = of[parent as usize];
                    let is_attributes = self.places[above as usize].label == links.dict;
                    let link = links.label(Edge { id, parent, child: node }, is_attributes, self);
                    self.below(above, link, links.dict, kind)
                }
            };
        }
        of
    }

    fn start(&mut self, view: &View, node: u32, kind: u32) -> u32 {
        let text = match start(view, node) {
            Some(Start::Frame(frame)) => frame.without_line(),
            Some(Start::Text(text)) => text,
            None => format!("<{} without a referrer>", type_of(view, node)),
        };
        match text.strip_suffix(DICT) {
            Some(object) => {
                let module = self.kinds.id("module");
                let object = self.root(object, module);
                let label = self.labels.id(DICT);
                self.find(object, label, kind)
            }
            None => self.root(&text, kind),
        }
    }

    fn root(&mut self, text: &str, kind: u32) -> u32 {
        let label = self.labels.id(text);
        self.find(NOWHERE, label, kind)
    }

    fn below(&mut self, parent: u32, link: Link, dict: u32, kind: u32) -> u32 {
        let Place { parent: owner, label: above, .. } = self.places[parent as usize];
        if above == dict && link.label == dict {
            // Those of a thread, of a `threading.local`.
            return parent;
        }
        let parent = if link.of_owner { owner } else { parent };
        let key = (parent, link.label, kind);
        if let Some(&place) = self.known.get(&key) {
            return place;
        }
        // Every object may have attributes: that is no repetition, what is in them may be one.
        let place = match self.repeated(parent, link.label, kind).filter(|_| link.label != dict) {
            Some(place) => {
                self.places[place as usize].repeats = true;
                place
            }
            None => self.find(parent, link.label, kind),
        };
        self.known.insert(key, place);
        place
    }

    /// A place at most a few links up that was reached by the same link to the same type.
    fn repeated(&self, parent: u32, label: u32, kind: u32) -> Option<u32> {
        let mut at = parent;
        for _ in 0..LOOK_BACK {
            let place = self.places[at as usize];
            if place.parent == at {
                return None;
            }
            if (place.label, place.kind) == (label, kind) {
                return Some(at);
            }
            at = place.parent;
        }
        None
    }

    fn find(&mut self, parent: u32, label: u32, kind: u32) -> u32 {
        let next = self.places.len() as u32;
        *self.index.entry((parent, label, kind)).or_insert_with(|| {
            let parent = if parent == NOWHERE { next } else { parent };
            self.places.push(Place { parent, label, kind, repeats: false });
            next
        })
    }
}

/// What the last link of a place is called.
#[derive(Clone, Copy)]
struct Link {
    label: u32,
    /// Whether it hangs from the object whose attributes the parent is.
    of_owner: bool,
}

/// The references of a view's tree. Most of them are called like others before: no name is made for these.
struct Links<'v> {
    names: Names<'v>,
    /// By type of the view: the same among the kinds of all dumps, and what its references are.
    kinds: Vec<Option<u32>>,
    holders: Vec<Holder>,
    any: u32,
    dict: u32,
    /// By the node of a text, and whether it names an attribute, and a module: what the value at this key is called.
    keys: FxHashMap<(u32, bool, bool), Link>,
}

/// What an object's type says of what it refers to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holder {
    /// Elements.
    Sequence,
    /// Keys and values.
    Dict,
    /// Anything.
    Other,
}

impl<'v> Links<'v> {
    fn of(view: &'v View, places: &mut Places) -> Links<'v> {
        let holder = |type_id| match view.type_name(type_id) {
            "list" | "tuple" | "set" | "frozenset" | "collections.deque" => Holder::Sequence,
            name if is_dict_type(name) => Holder::Dict,
            _ => Holder::Other,
        };
        Links {
            names: Names::new(view),
            kinds: vec![None; view.type_count() as usize],
            holders: (0..view.type_count()).map(holder).collect(),
            any: places.labels.id(ANY),
            dict: places.labels.id(DICT),
            keys: FxHashMap::default(),
        }
    }

    /// The type of an object, as the places of all dumps know it.
    fn kind(&mut self, node: u32, places: &mut Places) -> u32 {
        let view = self.names.view();
        let type_id = view.type_id(node);
        *self.kinds[type_id as usize].get_or_insert_with(|| places.kinds.id(view.type_name(type_id)))
    }

    /// What a reference is called. `is_attributes`: the parent is the `__dict__` of an object.
    fn label(&mut self, edge: Edge, is_attributes: bool, places: &mut Places) -> Link {
        let view = self.names.view();
        let any = Link { label: self.any, of_owner: false };
        let is_module = type_of(view, edge.child) == "module";
        let holder = self.holders[view.type_id(edge.parent) as usize];
        if holder == Holder::Sequence && !is_module {
            return any;
        }
        let is_large = view.length(edge.parent).is_some_and(|length| length > MOST_NAMED_KEYS);
        let key = if holder == Holder::Dict { self.key(edge) } else { None };
        if is_large && !is_attributes && !is_module && key.is_some() {
            return any;
        }
        // Of keys that are texts there are few, and each has many values.
        let key = key.filter(|&key| type_of(view, key) == "str").map(|key| (key, is_attributes, is_module));
        if let Some(&link) = key.and_then(|key| self.keys.get(&key)) {
            return link;
        }
        let (text, of_owner) = self.text(edge, is_attributes, is_module, is_large);
        let link = Link { label: places.labels.id(&text), of_owner };
        self.keys.extend(key.map(|key| (key, link)));
        link
    }

    fn text(&self, edge: Edge, is_attributes: bool, is_module: bool, is_large: bool) -> (String, bool) {
        let view = self.names.view();
        match self.names.edge(edge) {
            EdgeName::Key(key) if is_attributes => match attribute_of_key(&key) {
                Some(name) => (format!(".{name}"), true),
                None => (key_label(&key), false),
            },
            EdgeName::Key(key) if is_module => (format!("[{key}]"), false),
            EdgeName::Key(_) if is_large => (ANY.to_owned(), false),
            EdgeName::Key(key) => (key_label(&key), false),
            // Where no key is known, a module at least has a name.
            EdgeName::Item if is_module => {
                (format!("[…] → module {}", view.name(edge.child).unwrap_or_default()), false)
            }
            EdgeName::Index(_) | EdgeName::Item => (ANY.to_owned(), false),
            edge if edge.is_dict() => (DICT.to_owned(), false),
            EdgeName::Attribute(name) => (format!(".{name}"), false),
            EdgeName::KeyItself(_) => (" → key?".to_owned(), false),
            EdgeName::Part(words) => (format!(" → {words}?"), false),
            EdgeName::Unknown => (" →".to_owned(), false),
        }
    }

    /// The key whose value the reference is, of a dict that lists keys and values in turn.
    fn key(&self, edge: Edge) -> Option<u32> {
        let heap = self.names.view().heap();
        let own = heap.edges(edge.parent);
        let in_turn = heap.length(edge.parent)?.checked_mul(2)? == own.len() as u64;
        let is_value = in_turn && own.contains(&edge.id) && (edge.id - own.start) % 2 == 1;
        is_value.then(|| heap.edge_child(edge.id - 1))
    }
}

fn key_label(key: &str) -> String {
    let is_name = key.starts_with('\'') && key.len() <= LONGEST_KEY && longest_number(key) < DIGITS;
    if is_name { format!("[{key}]") } else { ANY.to_owned() }
}

fn longest_number(text: &str) -> usize {
    text.split(|c: char| !c.is_ascii_digit()).map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::heap::Heap;

    /// The places of some objects, by address.
    fn places(text: &str) -> Vec<(u64, String)> {
        let view = View::new(Arc::new(Heap::from_text(text).unwrap()));
        let mut places = Places::default();
        let of = places.assign(&view, &Tree::of(&view));
        view.objects().map(|node| (view.address(node), places.expression(of[node as usize]).to_string())).collect()
    }

    fn line(address: u64, kind: &str, more: &str, refs: &[u64]) -> String {
        format!("{{\"address\": {address}, \"type\": \"{kind}\", \"size\": 8, {more}\"refs\": {refs:?}}}\n")
    }

    fn key(address: u64, value: &str) -> String {
        line(address, "str", &format!("\"len\": {}, \"value\": \"{value}\", ", value.len()), &[])
    }

    fn dict(address: u64, refs: &[u64]) -> String {
        line(address, "dict", &format!("\"len\": {}, ", refs.len() / 2), refs)
    }

    #[test]
    fn keys_that_are_data_are_any_key() {
        let text = dict(16, &[32, 160, 48, 176, 64, 192])
            + &key(32, "name")
            + &key(48, "user-12345")
            + &line(64, "int", "\"value\": 7, ", &[])
            + &line(160, "x", "", &[])
            + &line(176, "x", "", &[])
            + &line(192, "x", "", &[]);
        let found: Vec<String> = places(&text).into_iter().map(|(_, place)| place).collect();
        let root = "<dict without a referrer>";
        assert_eq!(found[4..], [format!("{root}['name']"), format!("{root}[*]"), format!("{root}[*]")]);
        assert_eq!(found[1], format!("{root} → key str"));
    }

    #[test]
    fn keys_of_large_dicts_are_data_unless_they_are_modules() {
        let refs: Vec<u64> = (0..100).flat_map(|i| [1000 + 16 * i, 9000 + 16 * i]).collect();
        let mut text = dict(16, &refs);
        for i in 0..100 {
            text += &key(1000 + 16 * i, &format!("k{}", (b'a' + i as u8 % 26) as char));
            text += &line(9000 + 16 * i, if i == 0 { "module" } else { "x" }, "", &[]);
        }
        let found = places(&text);
        let of = |address| found.iter().find(|(other, _)| *other == address).unwrap().1.as_str();
        assert_eq!(of(9000), "<dict without a referrer>['ka']");
        assert_eq!((of(9016), of(9032)), ("<dict without a referrer>[*]", "<dict without a referrer>[*]"));
    }

    #[test]
    fn a_chain_of_any_length_has_few_places() {
        let mut text = line(1, "list", "\"len\": 1, ", &[16]);
        let next = key(8, "next");
        for i in 0..500u64 {
            let (node, attributes) = (16 + 32 * i, 32 + 32 * i);
            text += &line(node, "Node", "", &[attributes]);
            text += &dict(attributes, if i < 499 { vec![8, node + 32] } else { vec![] }.as_slice());
        }
        let found = places(&(text + &next));
        let mut distinct: Vec<&str> = found.iter().map(|(_, place)| place.as_str()).collect();
        distinct.sort_unstable();
        distinct.dedup();
        assert!(distinct.len() < 10, "{distinct:?}");
        assert!(distinct.contains(&"<list without a referrer>[*].next(…)"), "{distinct:?}");
    }
}

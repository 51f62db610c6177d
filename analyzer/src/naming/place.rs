//! Places: what many objects have in common in the way they are held, `sys.modules['app'].cache[*].tags`.
//!
//! A path as [`expression`](super::expression) writes it is of one object of one dump. A place is the same for all
//! elements of a container and for all links of a chain, and it is the same in every dump of a program: indexes and keys
//! that are data (numbers, long or numbered names, keys of large dicts) become `[*]`, a link that repeats leads back to
//! where it was, and a frame has no line or thread. Places of several dumps share one [`Places`].

use std::collections::HashMap;

use super::expression::attribute_of_key;
use super::literal::type_of;
use super::{EdgeName, Names, root_name};
use crate::graph::Tree;
use crate::heap::View;

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
    ids: HashMap<Box<str>, u32>,
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
    index: HashMap<(u32, u32, u32), u32>,
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
    pub fn expression(&self, place: u32) -> String {
        let mut links = Vec::new();
        let mut at = place;
        loop {
            let Place { parent, label, kind, repeats } = self.places[at as usize];
            let text = self.labels.text(label);
            let kind = if text.ends_with(['→', '?']) { format!(" {}", self.kinds.text(kind)) } else { String::new() };
            links.push(format!("{}{kind}{}", text.trim_end_matches('?'), if repeats { "(…)" } else { "" }));
            if parent == at {
                break;
            }
            at = parent;
        }
        links.reverse();
        links.concat()
    }

    /// The place of every object of a view, by node; [`NOWHERE`] for those no root reaches.
    pub fn assign(&mut self, view: &View, tree: &Tree) -> Vec<u32> {
        let names = Names::new(view);
        let mut of = vec![NOWHERE; view.node_bound() as usize];
        for &node in tree.order() {
            let kind = self.kinds.id(type_of(view, node));
            of[node as usize] = match tree.parent(node) {
                None => self.start(view, node, kind),
                Some((parent, edge)) => {
                    let link = Link { names: &names, parent, edge, node };
                    self.below(of[parent as usize], &link, kind)
                }
            };
        }
        of
    }

    fn start(&mut self, view: &View, node: u32, kind: u32) -> u32 {
        let text = match root_name(view, node) {
            Some(name) => without_line(&name),
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

    fn below(&mut self, parent: u32, link: &Link<'_>, kind: u32) -> u32 {
        let is_attributes = self.labels.text(self.places[parent as usize].label) == DICT;
        let (label, of_owner) = link.label(is_attributes);
        if is_attributes && label == DICT {
            // Those of a thread, of a `threading.local`.
            return parent;
        }
        let parent = if of_owner { self.places[parent as usize].parent } else { parent };
        // Every object may have attributes: that is no repetition, what is in them may be one.
        let may_repeat = label != DICT;
        let label = self.labels.id(&label);
        match self.repeated(parent, label, kind).filter(|_| may_repeat) {
            Some(place) => {
                self.places[place as usize].repeats = true;
                place
            }
            None => self.find(parent, label, kind),
        }
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

/// A reference of the tree.
struct Link<'a> {
    names: &'a Names<'a>,
    parent: u32,
    edge: u32,
    node: u32,
}

impl Link<'_> {
    /// What the last link of a place is called, and whether it hangs from the object whose attributes the parent is.
    fn label(&self, is_attributes: bool) -> (String, bool) {
        let view = self.names.view();
        let parent_type = type_of(view, self.parent);
        let is_module = type_of(view, self.node) == "module";
        let is_large = view.length(self.parent).is_some_and(|length| length > MOST_NAMED_KEYS);
        // Most objects are elements; no name need be made for them.
        match parent_type {
            "list" | "tuple" | "set" | "frozenset" | "collections.deque" if !is_module => {
                return (ANY.to_owned(), false);
            }
            "dict" if is_large && !is_attributes && !is_module && self.is_value() => return (ANY.to_owned(), false),
            _ => {}
        }
        let Some(edge) = view.edge(self.edge) else { return (" →".to_owned(), false) };
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
                (format!("[…] → module {}", view.name(self.node).unwrap_or_default()), false)
            }
            EdgeName::Index(_) | EdgeName::Item => (ANY.to_owned(), false),
            edge if edge.is_dict() => (DICT.to_owned(), false),
            EdgeName::Attribute(name) => (format!(".{name}"), false),
            EdgeName::KeyItself(_) => (" → key?".to_owned(), false),
            EdgeName::Part(words) => (format!(" → {words}?"), false),
            EdgeName::Unknown => (" →".to_owned(), false),
        }
    }

    /// Whether the reference is the value of an entry of a dict, which lists keys and values in turn.
    fn is_value(&self) -> bool {
        let own = self.names.view().heap().edges(self.parent);
        own.contains(&self.edge) && (self.edge - own.start) % 2 == 1
    }
}

fn key_label(key: &str) -> String {
    let is_name = key.starts_with('\'') && key.len() <= LONGEST_KEY && longest_number(key) < DIGITS;
    if is_name { format!("[{key}]") } else { ANY.to_owned() }
}

fn longest_number(text: &str) -> usize {
    text.split(|c: char| !c.is_ascii_digit()).map(str::len).max().unwrap_or(0)
}

/// `<frame f() at app.py:12, thread 7>` without what differs from dump to dump.
fn without_line(name: &str) -> String {
    let Some((call, place)) = name.strip_prefix("<frame ").and_then(|rest| rest.split_once(" at ")) else {
        return name.to_owned();
    };
    let file = place.split([':', ',']).next().unwrap_or_default();
    format!("<frame {call} at {file}>")
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
        view.objects().map(|node| (view.address(node), places.expression(of[node as usize]))).collect()
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

//! Which objects are equal to each other, as far as the dump tells, though they are not the same object.
//!
//! Strings, bytes and integers are equal if type, length and value are; of longer ones the dump has only the beginning,
//! so that these are equal *probably* (size and beginning agree). Tuples, frozensets and frozendicts are equal if
//! their elements are. Lists, sets and dicts are what they are only for now: they count as equal to nothing but
//! themselves, unless asked for. Floats have no value in a dump, and instances no equality.

use std::hash::{DefaultHasher, Hash, Hasher};

use rustc_hash::FxHashMap;

use crate::heap::{Value, View};
use crate::naming::{is_dict_type, type_of};

/// Not yet looked at.
const UNKNOWN: u32 = u32::MAX;
/// Its elements are being looked at.
const OPEN: u32 = u32::MAX - 1;

/// What makes objects of a type equal.
#[derive(Clone, Copy)]
enum Rule {
    /// Their value.
    Value,
    /// Their elements.
    Elements,
    /// Nothing.
    Identity,
}

/// For every object, the first one that equals it.
pub struct Equal<'v> {
    view: &'v View,
    /// By type.
    rules: Vec<Rule>,
    first: Vec<u32>,
    /// By hash of what makes objects equal.
    index: FxHashMap<u64, u32>,
}

impl<'v> Equal<'v> {
    /// Of a view; of its lists, sets and dicts, too, if `mutable_too`.
    pub fn of(view: &'v View, mutable_too: bool) -> Equal<'v> {
        let rule = |type_id| match view.type_name(type_id) {
            "str" | "bytes" | "int" | "unicode" | "long" => Rule::Value,
            "tuple" | "frozenset" | "frozendict" => Rule::Elements,
            "list" | "set" | "dict" if mutable_too => Rule::Elements,
            _ => Rule::Identity,
        };
        let rules = (0..view.type_count()).map(rule).collect();
        let first = vec![UNKNOWN; view.node_bound() as usize];
        let mut equal = Equal { view, rules, first, index: FxHashMap::default() };
        let mut open = Vec::new();
        for node in view.objects() {
            open.push(node);
            equal.resolve(&mut open);
        }
        equal
    }

    /// The first object that equals this one, in file order of when it was found: itself if there is no other.
    pub fn first(&self, node: u32) -> u32 {
        match self.first.get(node as usize) {
            Some(&first) if first < OPEN => first,
            _ => node,
        }
    }

    /// Whether the dump has all of what was compared.
    pub fn is_certain(&self, node: u32) -> bool {
        match self.view.value(node) {
            Some(Value::Text(text)) => {
                self.view.length(node).is_none_or(|length| length <= text.chars().count() as u64)
            }
            _ => true,
        }
    }

    /// Elements come before what holds them; what is found to hold itself is equal to nothing else.
    fn resolve(&mut self, open: &mut Vec<u32>) {
        while let Some(&node) = open.last() {
            match self.first[node as usize] {
                UNKNOWN => match self.rules[self.view.type_id(node) as usize] {
                    Rule::Elements => {
                        self.first[node as usize] = OPEN;
                        self.view.children(node, |child| {
                            if self.view.is_live(child) && self.first[child as usize] == UNKNOWN {
                                open.push(child);
                            }
                        });
                    }
                    Rule::Value => {
                        self.first[node as usize] = self.atom(node);
                        open.pop();
                    }
                    Rule::Identity => {
                        self.first[node as usize] = node;
                        open.pop();
                    }
                },
                OPEN => {
                    self.first[node as usize] = self.container(node);
                    open.pop();
                }
                _ => {
                    open.pop();
                }
            }
        }
    }

    fn atom(&mut self, node: u32) -> u32 {
        let view = self.view;
        let Some(value) = view.value(node) else { return node };
        let mut hasher = DefaultHasher::new();
        (view.type_id(node), view.length(node)).hash(&mut hasher);
        match &value {
            Value::Int(value) => value.hash(&mut hasher),
            Value::Text(text) => text.hash(&mut hasher),
        }
        let first = *self.index.entry(hasher.finish()).or_insert(node);
        let same = || {
            (view.type_id(first), view.length(first)) == (view.type_id(node), view.length(node))
                && view.value(first).as_ref() == Some(&value)
                && (self.is_certain(node) || view.size(first) == view.size(node))
        };
        if first == node || same() { first } else { node }
    }

    fn container(&mut self, node: u32) -> u32 {
        // A dump that does not list all elements (an untracked or torn one) says nothing about equality.
        let Some(elements) = self.elements(node) else { return node };
        let mut hasher = DefaultHasher::new();
        (self.view.type_id(node), &elements).hash(&mut hasher);
        let first = *self.index.entry(hasher.finish()).or_insert(node);
        let same = || self.view.type_id(first) == self.view.type_id(node) && self.elements(first) == Some(elements);
        if first == node || same() { first } else { node }
    }

    /// What an object holds, each element by the first that equals it; in no particular order where Python has none.
    fn elements(&self, node: u32) -> Option<Vec<(u32, u32)>> {
        let mut found = Vec::new();
        self.view.children(node, |child| found.push(self.first(child)));
        let length = self.view.length(node)? as usize;
        let kind = type_of(self.view, node);
        if found.len() != if is_dict_type(kind) { length.checked_mul(2)? } else { length } {
            return None;
        }
        let mut elements: Vec<(u32, u32)> = match kind {
            _ if is_dict_type(kind) => found.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect(),
            _ => found.into_iter().map(|element| (element, 0)).collect(),
        };
        if is_dict_type(kind) || matches!(kind, "set" | "frozenset") {
            elements.sort_unstable();
        }
        Some(elements)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::heap::Heap;

    /// Objects that may hold each other, themselves included.
    #[derive(Clone, Debug)]
    enum Kind {
        Str(u8),
        Int(u8),
        Other,
        Tuple(Vec<usize>),
        Frozenset(Vec<usize>),
        List(Vec<usize>),
    }

    fn kinds() -> impl Strategy<Value = Vec<Kind>> {
        let refs = || prop::collection::vec(0..10usize, 0..3);
        let kind = prop_oneof![
            (0..3u8).prop_map(Kind::Str),
            (0..3u8).prop_map(Kind::Int),
            Just(Kind::Other),
            refs().prop_map(Kind::Tuple),
            refs().prop_map(Kind::Frozenset),
            refs().prop_map(Kind::List),
        ];
        prop::collection::vec(kind, 10)
    }

    fn view(kinds: &[Kind]) -> View {
        let mut text = String::new();
        for (i, kind) in kinds.iter().enumerate() {
            let address = 16 * (i + 1);
            let line = |name: &str, more: &str, refs: &[usize]| {
                let refs: Vec<usize> = refs.iter().map(|i| 16 * (i + 1)).collect();
                format!("{{\"address\": {address}, \"type\": \"{name}\", \"size\": 8, {more}\"refs\": {refs:?}}}\n")
            };
            text += &match kind {
                Kind::Str(c) => line("str", &format!("\"len\": 1, \"value\": \"{c}\", "), &[]),
                Kind::Int(n) => line("int", &format!("\"value\": {n}, "), &[]),
                Kind::Other => line("Thing", "", &[]),
                Kind::Tuple(refs) => line("tuple", &format!("\"len\": {}, ", refs.len()), refs),
                Kind::Frozenset(refs) => line("frozenset", &format!("\"len\": {}, ", refs.len()), refs),
                Kind::List(refs) => line("list", &format!("\"len\": {}, ", refs.len()), refs),
            };
        }
        View::new(Arc::new(Heap::from_text(&text).unwrap()))
    }

    /// Does it lead to no ring? Python itself comes to no end where one is compared with its like.
    fn ends(kinds: &[Kind], node: usize, mutable_too: bool, depth: usize) -> bool {
        let elements = match &kinds[node] {
            Kind::Tuple(elements) | Kind::Frozenset(elements) => elements,
            Kind::List(elements) if mutable_too => elements,
            _ => return true,
        };
        depth > 0 && elements.iter().all(|&element| ends(kinds, element, mutable_too, depth - 1))
    }

    /// By definition; both have to end.
    fn are_equal(kinds: &[Kind], a: usize, b: usize, mutable_too: bool) -> bool {
        let all = |a: &[usize], b: &[usize]| {
            a.len() == b.len() && a.iter().zip(b).all(|(&a, &b)| are_equal(kinds, a, b, mutable_too))
        };
        a == b
            || match (&kinds[a], &kinds[b]) {
                (Kind::Str(a), Kind::Str(b)) | (Kind::Int(a), Kind::Int(b)) => a == b,
                (Kind::Tuple(a), Kind::Tuple(b)) => all(a, b),
                (Kind::List(a), Kind::List(b)) if mutable_too => all(a, b),
                (Kind::Frozenset(a), Kind::Frozenset(b)) => match (&a[..], &b[..]) {
                    (&[a, c], &[b, d]) => all(&[a, c], &[b, d]) || all(&[a, c], &[d, b]),
                    _ => all(a, b),
                },
                _ => false,
            }
    }

    proptest! {
        #[test]
        fn as_by_definition(kinds in kinds(), mutable_too: bool) {
            let view = view(&kinds);
            let equal = Equal::of(&view, mutable_too);
            for a in 0..kinds.len() {
                for b in 0..kinds.len() {
                    let found = equal.first(a as u32) == equal.first(b as u32);
                    if [a, b].iter().all(|&node| ends(&kinds, node, mutable_too, kinds.len())) {
                        prop_assert_eq!(found, are_equal(&kinds, a, b, mutable_too), "{} {}", a, b);
                    }
                }
            }
        }
    }

    #[test]
    fn long_values_are_equal_probably() {
        let line = |address, size, length| {
            format!(
                "{{\"address\": {address}, \"type\": \"str\", \"size\": {size}, \"len\": {length}, \"value\": \"ab\", \"refs\": []}}\n"
            )
        };
        let text = line(16, 51, 2) + &line(32, 200, 151) + &line(48, 200, 151) + &line(64, 300, 151) + &line(80, 51, 2);
        let view = View::new(Arc::new(Heap::from_text(&text).unwrap()));
        let equal = Equal::of(&view, false);
        let firsts: Vec<u32> = (0..5).map(|node| equal.first(node)).collect();
        assert_eq!(firsts, [0, 1, 1, 3, 0]);
        assert_eq!([equal.is_certain(0), equal.is_certain(1)], [true, false]);
    }
}

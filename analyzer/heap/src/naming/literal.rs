//! Objects as Python literals, to stand between the brackets of a subscript.

use super::repr::quoted;
use crate::heap::{Value, View};

/// Longer tuples are not written out.
const LONGEST_TUPLE: usize = 4;

/// The attribute that a `str` object is the name of, as it stands behind the dot. `setattr` takes any text for a name: one
/// that is no identifier (`x-y`) is a key of `__dict__` only.
pub fn attribute(view: &View, node: u32) -> Option<String> {
    let is_text = matches!(type_of(view, node), "str" | "unicode");
    let identifier = whole_text(view, node).filter(|text| is_identifier(text));
    is_text.then(|| identifier.unwrap_or_else(|| format!("__dict__[{}]", literal(view, node))))
}

/// Whether a text can stand behind a dot.
pub fn is_identifier(text: &str) -> bool {
    let mut characters = text.chars();
    let starts = characters.next().is_some_and(|c| c == '_' || c.is_alphabetic());
    starts && characters.all(|c| c == '_' || c.is_alphanumeric())
}

/// Whether the objects of a built-in type refer to keys and values, in pairs. `frozendict` is one since CPython 3.15.
pub fn is_dict_type(type_name: &str) -> bool {
    matches!(type_name, "dict" | "frozendict")
}

/// The text of a `str` object, if the dump has all of it.
pub fn whole_text(view: &View, node: u32) -> Option<String> {
    if !view.is_live(node) || !matches!(type_of(view, node), "str" | "unicode") {
        return None;
    }
    match view.value(node)? {
        Value::Text(text) if view.length(node).is_none_or(|length| length == text.chars().count() as u64) => {
            Some(text.into_owned())
        }
        _ => None,
    }
}

/// The name of an object's type; nothing for an address without an object.
pub fn type_of(view: &View, node: u32) -> &str {
    if view.is_live(node) { view.type_name(view.type_id(node)) } else { "" }
}

/// How Python would write the object, as far as the dump knows.
pub fn literal(view: &View, node: u32) -> String {
    let cut = |text: &str| {
        if view.length(node).is_some_and(|length| length > text.chars().count() as u64) { "…" } else { "" }
    };
    match (type_of(view, node), view.is_live(node).then(|| view.value(node)).flatten()) {
        ("str" | "unicode", Some(Value::Text(text))) => quoted("", &format!("{text}{}", cut(&text))),
        ("bytes", Some(Value::Text(text))) => quoted("b", &format!("{text}{}", cut(&text))),
        ("int" | "long" | "bool", Some(Value::Int(value))) => value.to_string(),
        ("int" | "long" | "bool", Some(Value::Text(text))) => text.into_owned(),
        ("NoneType", _) => "None".to_owned(),
        ("tuple", _) => plain_tuple(view, node).unwrap_or_else(|| anonymous(view, node)),
        ("type" | "function" | "module", _) => match view.name(node) {
            Some(name) => format!("<{} {name}>", type_of(view, node)),
            None => anonymous(view, node),
        },
        _ => anonymous(view, node),
    }
}

/// A short tuple of texts and numbers, such as keys of caches are; none if it is another.
fn plain_tuple(view: &View, node: u32) -> Option<String> {
    let all = view.heap().referents(node);
    let whole = (1..=LONGEST_TUPLE).contains(&all.len()) && view.length(node) == Some(all.len() as u64);
    let is_plain = |&node: &u32| matches!(type_of(view, node), "str" | "bytes" | "int" | "bool" | "NoneType");
    if !whole || !all.iter().all(is_plain) {
        return None;
    }
    // Tuples are visited from the last element to the first.
    let items: Vec<String> = all.iter().rev().map(|&node| literal(view, node)).collect();
    Some(if items.len() == 1 { format!("({},)", items[0]) } else { format!("({})", items.join(", ")) })
}

/// An object of which nothing is known but type and address.
pub fn anonymous(view: &View, node: u32) -> String {
    match type_of(view, node) {
        "" => format!("<no object at {:#x}>", view.address(node)),
        type_name => format!("<{type_name} at {:#x}>", view.address(node)),
    }
}

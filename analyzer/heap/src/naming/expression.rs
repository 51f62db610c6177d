//! A path as one Python expression, as far as there is one.

use heapsee_format::meta::Meta;

use super::EdgeName;
use super::fold::{fold, folded_text};
use super::literal::{anonymous, is_identifier, type_of};
use crate::heap::{RootReason, View};

/// The text that leads to the last object of a path from its first, given the names of the references between them.
/// Repeating links are folded. Where no expression leads on, an arrow says what comes next.
pub fn expression(view: &View, path: &[u32], edges: &[EdgeName]) -> String {
    let Some(&first) = path.first() else { return String::new() };
    let root = root_name(view, first).unwrap_or_else(|| anonymous(view, first));
    let (start, mut dict) = match root.strip_suffix(".__dict__") {
        Some(object) => (object, true),
        None => (root.as_str(), false),
    };
    let mut pieces = Vec::new();
    for ((edge, &node), &from) in edges.iter().zip(&path[1..]).zip(path) {
        // A class gives out the function itself: `Store.load` is what is in the staticmethod.
        if type_of(view, from) == "staticmethod" && matches!(edge, EdgeName::Attribute(name) if name == "__func__") {
            continue;
        }
        let (piece, is_dict) = piece(view, edge, node, std::mem::take(&mut dict));
        pieces.extend(piece);
        dict = is_dict;
    }
    if dict {
        pieces.push(".__dict__".to_owned());
    }
    let texts: Vec<&str> = pieces.iter().map(String::as_str).collect();
    format!("{start}{}", folded_text(&texts, &fold(&texts), ""))
}

/// What a reference adds to an expression, and whether the object it leads to is a `__dict__` not yet spoken of.
/// `in_dict` says that the object it comes from is one.
fn piece(view: &View, edge: &EdgeName, node: u32, in_dict: bool) -> (Option<String>, bool) {
    // The attributes of a `threading.local` are in a dict of a dict: one for each thread.
    if edge.is_dict() {
        return (None, true);
    }
    let dict = if in_dict { ".__dict__" } else { "" };
    let piece = match edge {
        EdgeName::Key(key) if in_dict => match attribute_of_key(key) {
            Some(name) => format!(".{name}"),
            None => format!("{dict}{edge}"),
        },
        // Where no key is known, a module at least has a name.
        EdgeName::Item if type_of(view, node) == "module" => format!("{dict}{edge} → {}", named(view, node)),
        EdgeName::Attribute(_) | EdgeName::Key(_) | EdgeName::Index(_) | EdgeName::Item => format!("{dict}{edge}"),
        EdgeName::KeyItself(_) | EdgeName::Part(_) => format!("{dict} → {edge}: {}", named(view, node)),
        EdgeName::Unknown => format!("{dict} → {}", named(view, node)),
    };
    (Some(piece), false)
}

/// The name in a quoted key, if it is one that can stand behind a dot.
pub(super) fn attribute_of_key(key: &str) -> Option<&str> {
    let name = key.strip_prefix('\'')?.strip_suffix('\'')?;
    is_identifier(name).then_some(name)
}

/// An object in passing: its type, without the address, so that repeats can be seen.
fn named(view: &View, node: u32) -> String {
    let type_name = type_of(view, node);
    match view.is_live(node).then(|| view.name(node)).flatten() {
        Some(name) => format!("{type_name} {name}"),
        None => type_name.to_owned(),
    }
}

/// What a root is called that has a name: the sidecar's word, or what it is known to be.
pub fn root_name(view: &View, node: u32) -> Option<String> {
    let heap = view.heap();
    let at = heap.roots().binary_search_by_key(&node, |root| root.node).ok()?;
    let root = &heap.roots()[at];
    let (RootReason::Sidecar(_) | RootReason::Interned) = root.reason else { return None };
    let label = heap.root_label(root);
    if let Some(frame) = heap.meta().and_then(|meta| frame_name(meta, heap.address(node))) {
        return Some(frame);
    }
    // An expression speaks for itself; anything else says of what kind the object is.
    let is_expression = label
        .split('.')
        .all(|part| !part.is_empty() && part.chars().all(|c| c == '_' || c.is_alphanumeric()) && label.contains('.'));
    Some(if is_expression { label.to_owned() } else { format!("<{} of {label}>", type_of(view, node)) })
}

/// The call a thread's frame stands for.
fn frame_name(meta: &Meta, address: u64) -> Option<String> {
    let of_thread = |thread: &heapsee_format::meta::Thread| {
        let frame = thread.frames.iter().find(|frame| frame.address == address)?;
        let file = frame.file.rsplit('/').next().unwrap_or_default();
        let line = frame.line.map(|line| format!(":{line}")).unwrap_or_default();
        Some(format!("<frame {}() at {file}{line}, thread {}>", frame.function, thread.ident))
    };
    meta.threads.iter().find_map(of_thread)
}

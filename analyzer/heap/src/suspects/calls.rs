//! What a call that waits will run: the function behind a task, a generator, a bound method, a scheduled callback.
//!
//! Types such as `Task` say nothing of whose objects they are; the function does. It is looked for in what such an object
//! refers to, as far as that is of such a type itself.

use std::collections::{BTreeMap, HashSet};

use super::Kinds;
use crate::naming::whole_text;

/// Types whose objects stand for a call, beside suspended ones; `_Info` is what `weakref.finalize` has of each.
const CALLS: [&str; 7] = ["method", "functools.partial", "_asyncio.Task", "Handle", "TimerHandle", "Timer", "_Info"];
/// What they run in the end.
const FUNCTIONS: [&str; 2] = ["function", "builtin_function_or_method"];
/// What has its frame, and its names, in itself.
const SUSPENDED: [&str; 3] = ["generator", "coroutine", "async_generator"];
/// How far the function may be: a handle, its arguments, a partial, a method.
const FURTHEST: usize = 5;
/// No more objects are looked at for one call.
const MOST: usize = 64;
/// As many members speak for all.
const SAMPLE: usize = 500;

/// Whether objects of this type stand for a call.
pub(super) fn is_call(type_name: &str) -> bool {
    CALLS.contains(&type_name) || SUSPENDED.contains(&type_name)
}

/// The function that most of some objects run, if it is the same one in more than half of them.
pub(super) fn most_called(kinds: &Kinds<'_>, members: &[(u32, u64)], type_id: u32) -> Option<String> {
    let view = kinds.view();
    if !is_call(view.type_name(type_id)) {
        return None;
    }
    let alike: Vec<u32> = members.iter().map(|&(node, _)| node).filter(|&node| view.type_id(node) == type_id).collect();
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    let looked_at = alike.iter().step_by(alike.len().div_ceil(SAMPLE).max(1));
    let count = looked_at.len();
    looked_at.filter_map(|&node| called(kinds, node)).for_each(|name| *names.entry(name).or_default() += 1);
    let (name, times) = names.into_iter().max_by_key(|&(_, times)| times)?;
    (times * 2 > count).then_some(name)
}

/// The function of one call. Of several the furthest: a library's own callback is given the application's to call.
fn called(kinds: &Kinds<'_>, node: u32) -> Option<String> {
    let view = kinds.view();
    let (mut level, mut found) = (vec![node], None);
    let mut seen = HashSet::from([node]);
    for distance in 0..FURTHEST {
        let mut next = Vec::new();
        for &node in &level {
            let type_name = kinds.type_name(node);
            if SUSPENDED.contains(&type_name) {
                found = suspended(kinds, node).or(found);
            } else if FUNCTIONS.contains(&type_name) {
                found = view.name(node).map(|name| name.into_owned()).or(found);
            } else {
                view.children(node, |child| {
                    // In a dict there are the attributes, where they are not in the object.
                    let is_plain = |name| name == "tuple" || (name == "dict" && distance == 0);
                    let leads_on = |name| is_call(name) || FUNCTIONS.contains(&name) || is_plain(name);
                    let on = view.is_live(child) && leads_on(kinds.type_name(child));
                    if on && seen.len() < MOST && seen.insert(child) {
                        next.push(child);
                    }
                });
            }
        }
        level = next;
    }
    found
}

/// The name of a generator or coroutine: its own qualified name, or that of the frame in it.
fn suspended(kinds: &Kinds<'_>, node: u32) -> Option<String> {
    let view = kinds.view();
    let mut found = None;
    view.edges_from(node, |edge| {
        if found.is_none() && view.is_live(edge.child) {
            found = match kinds.type_name(edge.child) {
                "frame" => view.value(edge.child).map(|name| crate::naming::plain(name).into_owned()),
                "str" if kinds.names().edge(edge).to_string() == ".__qualname__" => whole_text(view, edge.child),
                _ => None,
            };
        }
    });
    found
}

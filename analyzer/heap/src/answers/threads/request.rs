//! Which request a frame or task is about, as far as a WSGI environment or an ASGI scope tells.

use crate::heap::{Value, View};
use crate::naming::type_of;

/// Of the first of these variables that is such a dict: `GET /path?query`.
pub(super) fn among(view: &View, variables: &[u32]) -> Option<String> {
    variables.iter().find_map(|&node| match type_of(view, node) {
        "dict" => of_dict(view, node),
        // A variable that an inner function uses, too.
        "cell" => {
            let mut content = None;
            view.children(node, |child| content = Some(child));
            content.filter(|&node| type_of(view, node) == "dict").and_then(|node| of_dict(view, node))
        }
        _ => None,
    })
}

/// Of a task or greenlet: among the variables of what it waits for, from outside in.
pub(super) fn of_task(view: &View, task: u32) -> Option<String> {
    let (mut waiting, mut seen) = (vec![task], vec![task]);
    while let Some(node) = waiting.pop() {
        let mut variables = Vec::new();
        view.children(node, |child| variables.push(child));
        if let Some(found) = among(view, &variables) {
            return Some(found);
        }
        for child in variables.into_iter().rev() {
            let is_running = matches!(type_of(view, child), "coroutine" | "frame" | "generator" | "async_generator");
            if is_running && seen.len() < MOST_RUNNING && !seen.contains(&child) {
                seen.push(child);
                waiting.push(child);
            }
        }
    }
    None
}

/// No more coroutines and frames wait for each other.
const MOST_RUNNING: usize = 200;

fn of_dict(view: &View, dict: u32) -> Option<String> {
    let mut all = Vec::new();
    view.children(dict, |child| all.push(child));
    let find = |key: &str| {
        let pair = all.chunks_exact(2).find(|pair| text(view, pair[0]).is_some_and(|text| text == key))?;
        text(view, pair[1])
    };
    let (method, path, query) = match find("PATH_INFO") {
        Some(path) => (find("REQUEST_METHOD")?, path, find("QUERY_STRING")),
        None => {
            let kind = find("type").filter(|kind| kind == "http" || kind == "websocket")?;
            (find("method").unwrap_or(kind), find("path")?, find("query_string"))
        }
    };
    let query = query.filter(|query| !query.is_empty()).map(|query| format!("?{query}")).unwrap_or_default();
    Some(format!("{method} {path}{query}"))
}

fn text(view: &View, node: u32) -> Option<String> {
    if !view.is_live(node) || !matches!(type_of(view, node), "str" | "bytes") {
        return None;
    }
    match view.value(node)? {
        Value::Text(text) => Some(text.into_owned()),
        Value::Int(_) => None,
    }
}

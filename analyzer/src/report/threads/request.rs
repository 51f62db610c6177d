//! Which request a frame or task is about, as far as a WSGI environment or an ASGI scope tells.

use crate::heap::{Value, View};
use crate::naming::type_of;

/// Of the first of these objects that is such a dict: `GET /path?query`.
pub(super) fn among(view: &View, nodes: impl IntoIterator<Item = u32>) -> Option<String> {
    nodes.into_iter().filter(|&node| type_of(view, node) == "dict").find_map(|node| of_dict(view, node))
}

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

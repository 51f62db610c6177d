//! A path as one Python expression, as far as there is one.

use std::fmt;

use heapsee_format::meta::Meta;
use serde::{Serialize, Serializer};

use super::EdgeName;
use super::fold::{Fold, fold, folded_text};
use super::literal::{anonymous, is_identifier, type_of};
use crate::heap::{RootReason, View};

/// The dict of all modules.
const MODULES: &str = "sys.modules";

/// A path from a root to an object: where it begins, and what each reference adds. Its text is a Python expression, as
/// far as there is one; where no expression leads on, an arrow says what comes next.
///
/// Ask it for what you want to know of a path: nothing is to be read out of the text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Expression {
    start: Start,
    /// Of links that repeat, those of the first time: a leak may be a chain of millions.
    links: Vec<Link>,
    /// What repeats in `links`, from the first link to the last.
    folds: Vec<Fold>,
}

/// Where a path begins.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Start {
    /// The call of a thread.
    Frame(Frame),
    /// Anything else, as it is written.
    Text(String),
}

impl Default for Start {
    fn default() -> Start {
        Start::Text(String::new())
    }
}

/// A call that a thread is in, as a root is called by it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Frame {
    /// The function's name.
    pub function: String,
    /// The name of its file, without the folder.
    pub file: String,
    /// The line it is at.
    pub line: Option<u32>,
    /// The thread, by Python's number.
    pub thread: u64,
}

impl Frame {
    /// `worker() at app.py:12`
    fn call(&self) -> String {
        let line = self.line.map(|line| format!(":{line}")).unwrap_or_default();
        format!("{}() at {}{line}", self.function, self.file)
    }

    /// What the same call is in every thread and every dump.
    pub fn without_line(&self) -> String {
        format!("<frame {}() at {}>", self.function, self.file)
    }
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<frame {}, thread {}>", self.call(), self.thread)
    }
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Start::Frame(frame) => write!(f, "{frame}"),
            Start::Text(text) => write!(f, "{text}"),
        }
    }
}

/// What one reference adds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Link {
    /// `.name`
    Attribute(String),
    /// `['name']`; the key as Python writes it.
    Key(String),
    /// Anything else, as it is written.
    Text(String),
}

impl Link {
    /// Whether it is the key `name`.
    fn is_key(&self, name: &str) -> bool {
        matches!(self, Link::Key(key) if text_of_key(key) == Some(name))
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Link::Attribute(name) => write!(f, ".{name}"),
            Link::Key(key) => write!(f, "[{key}]"),
            Link::Text(text) => write!(f, "{text}"),
        }
    }
}

impl Expression {
    /// Whether nothing leads anywhere.
    pub fn is_empty(&self) -> bool {
        *self == Expression::default()
    }

    /// What is no path, in words.
    pub fn words(text: &str) -> Expression {
        Expression { start: Start::Text(text.to_owned()), ..Expression::default() }
    }

    /// Of these parts; the links are written one by one.
    pub(super) fn of(start: String, links: Vec<Link>) -> Expression {
        let folds = (0..links.len()).map(|start| Fold { start, period: 1, times: 1 }).collect();
        Expression { start: Start::Text(start), links, folds }
    }

    /// Of these parts; links that repeat are written once.
    fn folded(start: Start, links: Vec<Link>) -> Expression {
        let mut folds = fold(&links);
        let mut links = links.into_iter();
        let mut kept = Vec::new();
        for fold in &mut folds {
            fold.start = kept.len();
            kept.extend(links.by_ref().take(fold.period));
            links.by_ref().take(fold.period * (fold.times - 1)).for_each(drop);
        }
        Expression { start, links: kept, folds }
    }

    /// The module that the path begins with, if it does.
    fn module(&self) -> Option<&str> {
        let is_alone = self.folds.first().is_none_or(|first| (first.period, first.times) == (1, 1));
        match (&self.start, self.links.first()) {
            (Start::Text(text), Some(Link::Key(key))) if text == MODULES && is_alone => text_of_key(key),
            _ => None,
        }
    }

    /// How a person would name the place: `a.b.c` for `sys.modules['a.b'].c`; anything else as it is.
    pub fn place(&self) -> String {
        match self.module() {
            Some(module) => self.written(module, 1),
            None => self.to_string(),
        }
    }

    /// `worker() at app.py:12`, if it begins with a call; else all of it.
    pub fn call(&self) -> String {
        match &self.start {
            Start::Frame(frame) => frame.call(),
            Start::Text(_) => self.to_string(),
        }
    }

    /// Whether it leads through this attribute of this module.
    pub fn leads_through(&self, module: &str, attribute: &str) -> bool {
        // Without a sidecar nothing says what `sys.modules` is: then the module is a key of some dict.
        let is_there =
            |pair: &[Link]| pair[0].is_key(module) && matches!(&pair[1], Link::Attribute(name) if name == attribute);
        self.links.windows(2).any(is_there)
    }

    /// From `start` on, without the first `skipped` folds.
    fn written(&self, start: &str, skipped: usize) -> String {
        let texts: Vec<String> = self.links.iter().map(Link::to_string).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        format!("{start}{}", folded_text(&texts, &self.folds[skipped..], ""))
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written(&self.start.to_string(), 0))
    }
}

impl Serialize for Expression {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The path of these objects, given the names of the references between them.
pub fn expression(view: &View, path: &[u32], edges: &[EdgeName]) -> Expression {
    let Some(&first) = path.first() else { return Expression::default() };
    let start = start(view, first).unwrap_or_else(|| Start::Text(anonymous(view, first)));
    let (start, mut dict) = match start {
        Start::Text(text) => match text.strip_suffix(".__dict__") {
            Some(object) => (Start::Text(object.to_owned()), true),
            None => (Start::Text(text), false),
        },
        frame @ Start::Frame(_) => (frame, false),
    };
    let mut links = Vec::new();
    for ((edge, &node), &from) in edges.iter().zip(&path[1..]).zip(path) {
        // A class gives out the function itself: `Store.load` is what is in the staticmethod.
        if type_of(view, from) == "staticmethod" && matches!(edge, EdgeName::Attribute(name) if name == "__func__") {
            continue;
        }
        // The attributes of a `threading.local` are in a dict of a dict: one for each thread.
        if edge.is_dict() {
            dict = true;
            continue;
        }
        links.push(link(view, edge, node, std::mem::take(&mut dict)));
    }
    if dict {
        links.push(Link::Attribute("__dict__".to_owned()));
    }
    Expression::folded(start, links)
}

/// What a reference adds to an expression; `in_dict` says that it comes from a `__dict__` that was not written yet.
fn link(view: &View, edge: &EdgeName, node: u32, in_dict: bool) -> Link {
    let dict = if in_dict { ".__dict__" } else { "" };
    let text = match edge {
        EdgeName::Key(key) if in_dict => match attribute_of_key(key) {
            Some(name) => return Link::Attribute(name.to_owned()),
            None => format!("{dict}{edge}"),
        },
        EdgeName::Key(key) => return Link::Key(key.clone()),
        EdgeName::Attribute(name) if !in_dict => return Link::Attribute(name.clone()),
        // Where no key is known, a module at least has a name.
        EdgeName::Item if type_of(view, node) == "module" => format!("{dict}{edge} → {}", named(view, node)),
        EdgeName::Attribute(_) | EdgeName::Index(_) | EdgeName::Item => format!("{dict}{edge}"),
        EdgeName::KeyItself(_) | EdgeName::Part(_) => format!("{dict} → {edge}: {}", named(view, node)),
        EdgeName::Unknown => format!("{dict} → {}", named(view, node)),
    };
    Link::Text(text)
}

/// The text that a key is, if it is written as a plain one.
pub(crate) fn text_of_key(key: &str) -> Option<&str> {
    key.strip_prefix('\'')?.strip_suffix('\'')
}

/// The name in a quoted key, if it is one that can stand behind a dot.
pub(super) fn attribute_of_key(key: &str) -> Option<&str> {
    let name = text_of_key(key)?;
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
    start(view, node).map(|start| start.to_string())
}

/// The same as the beginning of a path.
pub(super) fn start(view: &View, node: u32) -> Option<Start> {
    let heap = view.heap();
    let at = heap.roots().binary_search_by_key(&node, |root| root.node).ok()?;
    let root = &heap.roots()[at];
    let (RootReason::Sidecar(_) | RootReason::Interned) = root.reason else { return None };
    let label = heap.root_label(root);
    if let Some(frame) = heap.meta().and_then(|meta| frame(meta, heap.address(node))) {
        return Some(Start::Frame(frame));
    }
    // An expression speaks for itself; anything else says of what kind the object is.
    let is_expression = label
        .split('.')
        .all(|part| !part.is_empty() && part.chars().all(|c| c == '_' || c.is_alphanumeric()) && label.contains('.'));
    Some(Start::Text(if is_expression { label.to_owned() } else { format!("<{} of {label}>", type_of(view, node)) }))
}

/// The call a thread's frame stands for.
fn frame(meta: &Meta, address: u64) -> Option<Frame> {
    let of_thread = |thread: &heapsee_format::meta::Thread| {
        let frame = thread.frames.iter().find(|frame| frame.address == address)?;
        Some(Frame {
            function: frame.function.clone(),
            file: frame.file.rsplit('/').next().unwrap_or_default().to_owned(),
            line: frame.line,
            thread: thread.ident,
        })
    };
    meta.threads.iter().find_map(of_thread)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(start: &str, links: &[Link]) -> Expression {
        Expression::folded(Start::Text(start.to_owned()), links.to_vec())
    }

    fn key(name: &str) -> Link {
        Link::Key(format!("'{name}'"))
    }

    fn attribute(name: &str) -> Link {
        Link::Attribute(name.to_owned())
    }

    #[test]
    fn places_begin_with_the_module() {
        let links = [key("my.app"), attribute("_x"), key("a")];
        assert_eq!(path(MODULES, &links).place(), "my.app._x['a']");
        assert_eq!(path(MODULES, &links).to_string(), "sys.modules['my.app']._x['a']");
        assert_eq!(path(MODULES, &links[..1]).place(), "my.app");
        assert_eq!(path(MODULES, &[Link::Key("('a', 'b')".to_owned())]).place(), "sys.modules[('a', 'b')]");
        let frame = Frame { function: "main".to_owned(), file: "a.py".to_owned(), line: Some(3), thread: 1 };
        let links = vec![Link::Text(" → local of main(): list".to_owned())];
        let local = Expression::folded(Start::Frame(frame), links);
        assert_eq!(local.place(), "<frame main() at a.py:3, thread 1> → local of main(): list");
        assert_eq!(local.call(), "main() at a.py:3");
    }

    #[test]
    fn an_attribute_of_a_module_is_found() {
        let cache = |start: &str, links: &[Link]| path(start, links).leads_through("linecache", "cache");
        assert!(cache(MODULES, &[key("linecache"), attribute("cache")]));
        assert!(cache("<dict at 0x10>", &[key("modules"), key("linecache"), attribute("cache")]));
        let line = [key("linecache"), attribute("cache"), key("/usr/lib/a.py"), Link::Text("[2]".to_owned())];
        assert!(cache(MODULES, &line));
        assert!(!cache(MODULES, &[key("my.linecache"), attribute("cache")]));
        assert!(!cache(MODULES, &[key("app"), attribute("cache")]));
    }

    #[test]
    fn links_that_repeat_are_kept_once() {
        let mut links = vec![Link::Key("'a.b'".to_owned()), attribute("first")];
        links.extend((0..100_000).flat_map(|_| [attribute("head"), attribute("next")]));
        let path = Expression::folded(Start::Text(MODULES.to_owned()), links);
        assert_eq!(path.links.len(), 4);
        assert_eq!(path.to_string(), "sys.modules['a.b'].first(.head.next) ×100000");
        assert_eq!(path.place(), "a.b.first(.head.next) ×100000");
        assert!(path.leads_through("a.b", "first"));
    }

    #[test]
    fn a_key_that_repeats_is_no_module() {
        let path = Expression::folded(Start::Text(MODULES.to_owned()), vec![Link::Key("'a'".to_owned()); 3]);
        assert_eq!(path.to_string(), "sys.modules(['a']) ×3");
        assert_eq!(path.place(), path.to_string());
    }
}

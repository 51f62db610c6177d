//! Which reference is which, by the kind of object that refers: what each `tp_traverse` of CPython visits, in its order.
//!
//! References that are not set are left out by all of them, so the position alone seldom tells; what the referent is
//! has to agree.

use std::rc::Rc;

use super::literal::{is_dict_type, literal, type_of, whole_text};
use super::shape::{Base, Layout};
use super::{EdgeName, Names};
use crate::heap::View;

/// Where a function's defaults are at most.
const LAST_DEFAULTS: usize = 3;
/// What a function may have for an attribute, and not for an annotation.
const NO_ANNOTATIONS: [&str; 6] = ["bool", "int", "float", "list", "dict", "set"];
/// References that can be inline attributes and their names: CPython keeps up to 30 inline, this is generous.
const MOST_INLINE: usize = 512;

/// What is called for: one reference of one object of the dump.
struct Asked<'a> {
    names: &'a Names<'a>,
    view: &'a View,
    node: u32,
    /// Everything the object refers to.
    all: &'a [u32],
    position: usize,
    child: u32,
}

/// The name of the reference at `position` among those of `node`.
pub(super) fn name(names: &Names<'_>, node: u32, position: usize) -> EdgeName {
    let view = names.view();
    let all = view.heap().referents(node);
    let asked = Asked { names, view, node, all, position, child: all[position] };
    asked.by_type(view.heap().type_name(view.heap().type_id(node)))
}

fn attribute(name: &str) -> EdgeName {
    EdgeName::Attribute(name.to_owned())
}

fn part(words: &str) -> EdgeName {
    EdgeName::Part(words.to_owned())
}

impl Asked<'_> {
    fn by_type(&self, type_name: &str) -> EdgeName {
        match type_name {
            "dict" => self.entry(self.all.len()),
            "list" | "tuple" if self.length() == Some(self.all.len()) => self.element(self.all.len()),
            "list" | "tuple" => EdgeName::Unknown,
            "set" | "frozenset" => part("member"),
            "cell" => attribute("cell_contents"),
            "functools.partial" => self.of_partial(),
            "collections.deque" => self.of_deque(),
            "functools._lru_cache_wrapper" => self.of_lru_cache(),
            "_asyncio.Task" if self.is_its_coroutine() => attribute("get_coro()"),
            _ if self.is_type(self.node) => self.of_type(),
            // A class written in Python may have any of the names below; its instances refer to it.
            _ if self.own_type().is_some() => self.of_instance(type_name),
            // `dict` is above, as the type that there is most of.
            _ if is_dict_type(type_name) => self.entry(self.all.len()),
            "module" => self.of_module(),
            "function" => self.of_function(),
            "method" | "instancemethod" => self.by_position(&["__func__", "__self__"]),
            "builtin_function_or_method" if !self.is("str") => attribute("__self__"),
            "frame" => self.of_frame("f_"),
            "generator" => self.of_frame("gi_"),
            "coroutine" => self.of_frame("cr_"),
            "async_generator" => self.of_frame("ag_"),
            "staticmethod" | "classmethod" if self.position == 0 => attribute("__func__"),
            "property" => self.by_position(&["fget"]),
            "weakref" | "weakref.ReferenceType" | "weakref.weakref" => part("callback of the weak reference"),
            "mappingproxy" => part("the mapping"),
            // From 3.15 on; among its parts is the namespace in which the import stands.
            "lazy_import" => part("part of the lazy import"),
            _ => self.of_instance_of_c(type_name),
        }
    }

    /// A module in C visits its own state first.
    fn of_module(&self) -> EdgeName {
        if self.is_last_dict() { attribute("__dict__") } else { part("state of the module") }
    }

    fn is_last_dict(&self) -> bool {
        self.all.iter().rposition(|&node| type_of(self.view, node) == "dict") == Some(self.position)
    }

    fn is(&self, type_name: &str) -> bool {
        type_of(self.view, self.child) == type_name
    }

    fn is_type(&self, node: u32) -> bool {
        self.names.known.is_type(self.view.heap(), node)
            || matches!(type_of(self.view, node), "type" | "abc.ABCMeta" | "ABCMeta")
    }

    fn by_position(&self, names: &[&str]) -> EdgeName {
        names.get(self.position).map_or(EdgeName::Unknown, |name| attribute(name))
    }

    fn length(&self) -> Option<usize> {
        self.view.heap().length(self.node).and_then(|length| usize::try_from(length).ok())
    }

    /// One of `count` references at the beginning, which are `key, value, …`, or (meliae on Python 3, where all keys
    /// are strings) values alone.
    fn entry(&self, count: usize) -> EdgeName {
        match self.length() {
            Some(entries) if count == entries.saturating_mul(2) => {
                let key = self.all[self.position & !1];
                if !self.position.is_multiple_of(2) && self.is_attributes_of_thread(key) {
                    return EdgeName::by_thread();
                }
                let key_text = literal(self.view, key);
                if self.position.is_multiple_of(2) { EdgeName::KeyItself(key_text) } else { EdgeName::Key(key_text) }
            }
            Some(entries) if count == entries => EdgeName::Item,
            _ => EdgeName::Unknown,
        }
    }

    /// Whether the value at this key holds a thread's attributes of a `threading.local`: the key stands for the thread.
    fn is_attributes_of_thread(&self, key: u32) -> bool {
        let is_local = |node: u32| type_of(self.view, node) == "_thread._local" || self.is_of_local(node);
        match type_of(self.view, key) {
            "_thread._localdummy" => true,
            "weakref" | "weakref.ReferenceType" if self.is("dict") => {
                let mut found = false;
                self.view.parents(self.node, |parent| found = found || is_local(parent));
                found
            }
            _ => false,
        }
    }

    /// Whether the class of an object is derived from `threading.local`.
    fn is_of_local(&self, node: u32) -> bool {
        let heap = self.view.heap();
        let classes = heap.referents(node).iter().filter(|&&class| self.is_type(class));
        let mut layouts = classes.map(|&class| Layout::of(heap.meta(), heap.address(class)));
        layouts.any(|layout| layout.base == Base::Local)
    }

    /// One of the elements of a sequence, which end at position `end` and are visited from the last to the first.
    fn element(&self, end: usize) -> EdgeName {
        match self.length().and_then(|length| end.checked_sub(length)) {
            Some(start) if self.position >= start => EdgeName::Index((end - 1 - self.position) as u64),
            _ => EdgeName::Unknown,
        }
    }

    /// Code, globals, the module's name, defaults, keyword defaults, docstring, name; then attributes, closure and more.
    fn of_function(&self) -> EdgeName {
        match type_of(self.view, self.child) {
            "code" => attribute("__code__"),
            "tuple" if self.position <= LAST_DEFAULTS + 1 => attribute("__defaults__"),
            "tuple" if self.only_refers_to(self.child, "cell") => attribute("__closure__"),
            "dict" if self.is_behind_globals() => attribute("__builtins__"),
            "dict" if self.is_namespace() => {
                let first = self.all.iter().position(|&node| type_of(self.view, node) == "dict");
                attribute(if first == Some(self.position) { "__globals__" } else { "__builtins__" })
            }
            "dict" if self.position <= LAST_DEFAULTS + 1 => attribute("__kwdefaults__"),
            "dict" if self.is_behind_name() && !self.may_be_annotations() => attribute("__dict__"),
            // What makes the annotations when they are asked for (3.14). Nothing else that a function visits is one.
            "function" => attribute("__annotate__"),
            _ => part("part of the function"),
        }
    }

    /// From 3.10 the second dict a function visits is that of its builtins, whatever is in it.
    fn is_behind_globals(&self) -> bool {
        let old = self.view.heap().meta().is_some_and(|meta| {
            let minor =
                meta.python.version.strip_prefix("3.").and_then(|rest| rest.split('.').next()?.parse::<u32>().ok());
            minor.is_some_and(|minor| minor < 10)
        });
        let is_dict = |node: &u32| type_of(self.view, *node) == "dict";
        let first = self.all.iter().position(is_dict);
        !old && first.is_some_and(|first| first + 1 == self.position)
    }

    /// Whether what is referred to before is the function's name: what follows are its attributes, if it has any.
    fn is_behind_name(&self) -> bool {
        let before = self.position.checked_sub(1).and_then(|at| whole_text(self.view, self.all[at]));
        before.is_some() && before.as_deref() == self.view.name(self.node).as_deref()
    }

    /// Whether a dict behind the name can be that of the annotations. Not if these, or the closure that stands between,
    /// are still to come; nor with a value that annotations do not have (they have types, texts and what `typing` makes).
    fn may_be_annotations(&self) -> bool {
        let mut behind = self.all[self.position + 1..].iter();
        let comes_before = behind.any(|&node| match type_of(self.view, node) {
            "dict" => true,
            "tuple" => self.only_refers_to(node, "cell"),
            _ => false,
        });
        let mut values = self.view.heap().referents(self.child).iter().skip(1).step_by(2);
        !comes_before && !values.any(|&node| NO_ANNOTATIONS.contains(&type_of(self.view, node)))
    }

    fn only_refers_to(&self, node: u32, type_name: &str) -> bool {
        let all = self.view.heap().referents(node);
        !all.is_empty() && all.iter().all(|&node| type_of(self.view, node) == type_name)
    }

    /// Whether the referent is the dict of a module: one of its first entries is `__name__`.
    fn is_namespace(&self) -> bool {
        let first = self.view.heap().referents(self.child).iter().step_by(2).take(8);
        first.into_iter().any(|&key| whole_text(self.view, key).is_some_and(|text| text == "__name__"))
    }

    /// Of a frame, or of a generator, which has one in it.
    fn of_frame(&self, prefix: &str) -> EdgeName {
        match type_of(self.view, self.child) {
            "frame" if prefix == "f_" => attribute("f_back"),
            "frame" => attribute(&format!("{prefix}frame")),
            "code" => attribute(&format!("{prefix}code")),
            "dict" if self.is_namespace() => attribute("f_globals"),
            _ => match self.suspended_names().filter(|_| prefix != "f_") {
                Some((at, _)) if at == self.position => attribute("__name__"),
                Some((at, _)) if at + 1 == self.position => attribute("__qualname__"),
                Some((_, name)) => EdgeName::Part(format!("local of {name}()")),
                None => EdgeName::Part(match self.view.heap().value(self.node) {
                    Some(name) => format!("local of {}()", crate::naming::plain(name)),
                    None => "local of the frame".to_owned(),
                }),
            },
        }
    }

    /// From 3.11 a generator has its frame in itself, and in front of that its name and qualified name: where the first of
    /// these is, and what it says.
    fn suspended_names(&self) -> Option<(usize, String)> {
        let is_text = |at: usize| self.all.get(at).is_some_and(|&node| type_of(self.view, node) == "str");
        let at = (0..2).find(|&at| is_text(at) && is_text(at + 1))?;
        Some((at, whole_text(self.view, self.all[at])?))
    }

    /// Whether the referent is the only one of a task that can be its coroutine.
    fn is_its_coroutine(&self) -> bool {
        let can_be = |node: &u32| matches!(type_of(self.view, *node), "coroutine" | "generator");
        can_be(&self.child) && self.all.iter().filter(|&node| can_be(node)).count() == 1
    }

    /// What `ContextVar.set` gives back.
    fn of_token(&self) -> EdgeName {
        match type_of(self.view, self.child) {
            "_contextvars.Context" | "Context" => part("context of the token"),
            "_contextvars.ContextVar" | "ContextVar" => attribute("var"),
            _ => attribute("old_value"),
        }
    }

    fn of_partial(&self) -> EdgeName {
        match type_of(self.view, self.child) {
            "tuple" => attribute("args"),
            "dict" => attribute("keywords"),
            _ if self.is_type(self.child) && self.all.len() > 3 && self.position == 0 => attribute("__class__"),
            _ => attribute("func"),
        }
    }

    /// What `functools.lru_cache` made of a function: with a limit it visits keys and results, and always the dict of the
    /// cache and the function, one behind the other; its attributes last.
    fn of_lru_cache(&self) -> EdgeName {
        let is = |at: usize, type_name| self.all.get(at).is_some_and(|&node| type_of(self.view, node) == type_name);
        let beside = |at: usize, type_name| is(at + 1, type_name) || (at > 0 && is(at - 1, type_name));
        let cache = (0..self.all.len()).rev().find(|&at| is(at, "dict") && beside(at, "function"));
        match type_of(self.view, self.child) {
            "dict" if cache == Some(self.position) => part("cache of lru_cache"),
            "dict" if self.position + 1 == self.all.len() => attribute("__dict__"),
            "function" if beside(self.position, "dict") => attribute("__wrapped__"),
            _ if self.own_type() == Some(self.position) => attribute("__class__"),
            _ if cache.is_some_and(|cache| self.position < cache) => part("key or result in the cache"),
            _ => EdgeName::Unknown,
        }
    }

    fn of_deque(&self) -> EdgeName {
        if self.own_type() == Some(self.position) {
            attribute("__class__")
        } else {
            // A deque visits its type first or last, and its elements in their order.
            EdgeName::Index((self.position - usize::from(self.own_type() == Some(0))) as u64)
        }
    }

    fn of_type(&self) -> EdgeName {
        match type_of(self.view, self.child) {
            "dict" => attribute("__dict__"),
            // Only the method resolution order begins with the class itself.
            "tuple" if self.view.heap().referents(self.child).contains(&self.node) => attribute("__mro__"),
            "tuple" => attribute("__bases__"),
            _ if self.own_type() == Some(self.position) => attribute("__class__"),
            _ if self.is_type(self.child) => attribute("__base__"),
            _ => part("part of the type"),
        }
    }

    /// Where among the references the object's own type is.
    fn own_type(&self) -> Option<usize> {
        let last = &self.names.known.own_type;
        match last.get() {
            Some((node, found)) if node == self.node => found,
            _ => {
                let heap = self.view.heap();
                let own = heap.type_name(heap.type_id(self.node));
                let is_own = |node| self.is_type(node) && self.view.name(node).is_some_and(|name| name == own);
                let found = self.all.iter().rposition(|&node| is_own(node));
                last.set(Some((self.node, found)));
                found
            }
        }
    }

    fn of_instance(&self, type_name: &str) -> EdgeName {
        let Some(own_type) = self.own_type() else { return EdgeName::Unknown };
        if own_type == self.position {
            return attribute("__class__");
        }
        let layout = self.layout(own_type);
        let length = self.length();
        let mut start = 0;
        if let (Base::Dict, Some(length)) = (layout.base, length) {
            start = length.saturating_mul(2).min(own_type);
            if self.position < start {
                return self.entry(start);
            }
        }
        // Elements follow the type; a traverse that forgot it had it added behind them.
        let mut end = own_type;
        if let (Base::Sequence, Some(length)) = (layout.base, length) {
            let behind = own_type + 1 == self.all.len();
            let elements_end = if behind { own_type } else { self.all.len() };
            end = if behind { own_type.saturating_sub(length) } else { own_type };
            if self.position >= end {
                return self.element(elements_end);
            }
        }
        if self.position >= end {
            return self.of_base(layout.base);
        }
        self.slot_or_attribute(&layout, !type_name.contains('.'), start, end)
    }

    fn layout(&self, own_type: usize) -> Rc<Layout> {
        let node = self.all[own_type];
        let make = || {
            let mut layout = Layout::of(self.view.heap().meta(), self.view.address(node));
            let mut classes = layout.line.iter().filter_map(|&address| self.view.heap().node_of(address));
            layout.has_dict = classes.any(|class| self.gives_dict(class));
            Rc::new(layout)
        };
        Rc::clone(self.names.known.layouts.borrow_mut().entry(node).or_insert_with(make))
    }

    /// Whether a class is one that gives its instances a `__dict__`: then it has a descriptor of that name.
    fn gives_dict(&self, class: u32) -> bool {
        let heap = self.view.heap();
        let dicts = heap.referents(class).iter().filter(|&&node| type_of(self.view, node) == "dict");
        let mut keys = dicts.flat_map(|&dict| heap.referents(dict).iter().step_by(2));
        keys.any(|&key| whole_text(self.view, key).is_some_and(|text| text == "__dict__"))
    }

    /// Between `start` and `end` there are slots, then attributes: as pairs, or one dict.
    fn slot_or_attribute(&self, layout: &Layout, is_python: bool, start: usize, end: usize) -> EdgeName {
        let (position, slots) = (self.position - start, &layout.slots);
        let rest = &self.all[start..end];
        let Some(attributes) = rest.get(slots.len()..) else {
            // Not all slots are set, and it is not known which.
            return part("slot");
        };
        if attributes.is_empty()
            && layout.has_dict
            && rest.last().is_some_and(|&node| type_of(self.view, node) == "dict")
        {
            // Either a slot that holds a dict, or a slot is not set and this is the `__dict__`.
            return part("slot");
        }
        let is_dict = attributes.len() == 1 && type_of(self.view, attributes[0]) == "dict";
        // Without the sidecar nothing says that there are inline attributes; only instances of classes written in Python
        // (their names have no module in front) have them; and none has more than a few dozen.
        let inline = if layout.known && is_python && attributes.len() <= MOST_INLINE { attributes } else { &[] };
        let name = |node: u32| self.names.attribute(node);
        let is_whole = inline.len() == attributes.len() && inline.len().is_multiple_of(2);
        let are_pairs = is_whole && inline.iter().step_by(2).all(|&node| name(node).is_some());
        let name_at = |at: usize| inline.get(at & !1).and_then(|&node| name(node)).filter(|_| are_pairs);
        match position.checked_sub(slots.len()).map(|at| (at, name_at(at))) {
            None if is_dict || are_pairs => attribute(&slots[position]),
            Some(_) if is_dict => attribute("__dict__"),
            Some((at, Some(name))) if at.is_multiple_of(2) => EdgeName::KeyItself(name.to_string()),
            Some((_, Some(name))) => EdgeName::Attribute(name.to_string()),
            _ if self.is_only_dict(rest) => attribute("__dict__"),
            _ => EdgeName::Unknown,
        }
    }

    /// Whether this reference is the only one to a dict: then it is the object's attributes, whatever the others are.
    fn is_only_dict(&self, all: &[u32]) -> bool {
        self.is("dict") && all.iter().filter(|&&node| type_of(self.view, node) == "dict").take(2).count() == 1
    }

    fn of_base(&self, base: Base) -> EdgeName {
        match (base, type_of(self.view, self.child)) {
            (Base::Exception, "tuple") => attribute("args"),
            (Base::Exception, "dict") => attribute("__dict__"),
            (Base::Exception, "traceback") => attribute("__traceback__"),
            (Base::Exception, "list") => attribute("__notes__"),
            (Base::Local, "dict") if self.is_last_dict() => EdgeName::by_thread(),
            _ => EdgeName::Unknown,
        }
    }

    /// Of an object whose type is not among its references: a class of C's making, or a dump that left types out.
    fn of_instance_of_c(&self, type_name: &str) -> EdgeName {
        match type_name {
            "collections.OrderedDict" | "collections.defaultdict" | "OrderedDict" | "defaultdict" => {
                let entries = self.length().map_or(0, |length| length.saturating_mul(2)).min(self.all.len());
                if self.position < entries { self.entry(entries) } else { EdgeName::Unknown }
            }
            "_thread._local" if self.is("dict") && self.is_last_dict() => EdgeName::by_thread(),
            // Others have a class `Token`, too.
            "_contextvars.Token" => self.of_token(),
            "Token" if self.all.iter().any(|&node| type_of(self.view, node) == "ContextVar") => self.of_token(),
            "traceback" if self.is("frame") => attribute("tb_frame"),
            "traceback" if self.is("traceback") => attribute("tb_next"),
            _ if self.is_only_dict(self.all) => attribute("__dict__"),
            _ => EdgeName::Unknown,
        }
    }
}

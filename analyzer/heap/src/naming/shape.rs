//! How the references of a class's instances are laid out, as far as the sidecar tells.
//!
//! `subtype_traverse` of CPython, which nearly every class written in Python has, visits the slots (the class's own
//! first, then its bases'; those not set are left out), then the attributes, then the type, then what the base type in
//! C visits. In place of the attributes a dump has `name, value, name, value, …` if they are stored inline, else the
//! `__dict__`. A subclass of dict has its entries in front of all.

use heapsee_format::meta::{Meta, Type};

use super::literal::is_dict_type;

/// What the instances of one type have in common.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// The slots' names in the order they are visited.
    pub slots: Vec<String>,
    /// The built-in type it derives from, if that decides what else there is.
    pub base: Base,
    /// Whether the sidecar knows the type: else slots may be missing from `slots`.
    pub known: bool,
    /// The type and its bases, by address.
    pub line: Vec<u64>,
    /// Whether instances can have a `__dict__`.
    pub has_dict: bool,
}

/// A built-in base type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Base {
    /// None that matters here.
    #[default]
    Other,
    /// Entries in front.
    Dict,
    /// Elements at the end, the last one first.
    Sequence,
    /// `args`, `__traceback__` and so on at the end.
    Exception,
    /// `threading.local`: at the end a dict with the attributes of each thread.
    Local,
}

/// No class has more bases in a row; a sidecar that says so is wrong.
const DEEPEST: usize = 200;

impl Layout {
    /// Of the instances of the type at this address.
    pub fn of(meta: Option<&Meta>, type_address: u64) -> Layout {
        let mut layout = Layout::default();
        let types = meta.map(|meta| &meta.types);
        let mut next = Some(type_address);
        for _ in 0..DEEPEST {
            let Some((address, found)) = next.and_then(|address| Some((address, types?.get(&address)?))) else { break };
            layout.line.push(address);
            layout.known = true;
            layout.slots.extend(found.slots.iter().cloned());
            layout.base = base_of(found).unwrap_or(layout.base);
            next = found.base;
        }
        layout
    }
}

fn base_of(found: &Type) -> Option<Base> {
    match (found.module.as_str(), found.qualname.as_str()) {
        ("builtins", name) if is_dict_type(name) => Some(Base::Dict),
        ("builtins", "list" | "tuple") => Some(Base::Sequence),
        ("builtins", "BaseException") => Some(Base::Exception),
        ("_thread", "_local") => Some(Base::Local),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(module: &str, qualname: &str, base: Option<u64>, slots: &[&str]) -> Type {
        let slots = slots.iter().map(|&slot| slot.to_owned()).collect();
        Type { module: module.to_owned(), qualname: qualname.to_owned(), base, slots }
    }

    fn meta<const N: usize>(types: [(u64, Type); N]) -> Meta {
        Meta { types: types.into(), ..Meta::default() }
    }

    #[test]
    fn slots_of_the_class_come_before_those_of_its_bases() {
        let meta = meta([
            (1, kind("app", "Point", Some(2), &["x", "_Point__hidden"])),
            (2, kind("app", "Base", Some(3), &["a"])),
            (3, kind("builtins", "tuple", Some(4), &[])),
            (4, kind("builtins", "object", None, &[])),
        ]);
        let layout = Layout::of(Some(&meta), 1);
        assert_eq!(layout.slots, ["x", "_Point__hidden", "a"]);
        assert_eq!((layout.base, layout.known), (Base::Sequence, true));
        assert_eq!(Layout::of(Some(&meta), 9), Layout::default());
        assert_eq!(Layout::of(None, 1), Layout::default());
    }

    #[test]
    fn a_circle_of_bases_ends() {
        let meta = meta([(1, kind("app", "A", Some(2), &[])), (2, kind("app", "B", Some(1), &[]))]);
        assert!(Layout::of(Some(&meta), 1).known);
    }
}

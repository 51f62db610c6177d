//! The name to look for in the source: the attribute that a place hangs from, and the file of whoever has it.
//!
//! A dump has no source, and no names of what a function's code refers to: which line appends cannot be told from it.
//! The attribute can, and so can the file of the module, or of the class of the object, that has it. From CPython 3.13 on
//! a class knows the line that it begins at.

use serde::Serialize;

use super::super::study::Study;
use crate::heap::{Value, View};
use crate::naming::{EdgeName, text_of_key, type_of, whole_text};
use crate::owner::{Modules, PackageKind};

/// An attribute that the application, or a package, gave to a module, a class or an instance.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Attribute {
    /// Its name.
    pub name: String,
    /// The module that has it, or in which the class that has it was made.
    pub module: String,
    /// That class.
    pub class: Option<String>,
    /// The module's file.
    pub file: Option<String>,
    /// The line of it in which the class begins, if the class knows (CPython 3.13).
    pub line: Option<u32>,
}

/// The last attribute on a way that is the application's own; if there is none, the last of an installed package.
pub(super) fn last(study: &Study<'_>, modules: &Modules<'_>, way: &[u32]) -> Option<Attribute> {
    let names = study.kinds.names().along(way);
    let mut best: Option<Attribute> = None;
    for at in (0..names.len()).rev() {
        let Some(found) = attribute(study, modules, way, &names, at) else { continue };
        match modules.package(&found.module).kind {
            PackageKind::Application => return Some(found),
            PackageKind::Distribution => best = best.or(Some(found)),
            PackageKind::StandardLibrary => {}
        }
    }
    best
}

/// The reference at `at` of a way, if it is an attribute.
fn attribute(
    study: &Study<'_>,
    modules: &Modules<'_>,
    way: &[u32],
    names: &[EdgeName],
    at: usize,
) -> Option<Attribute> {
    let (name, holder) = match &names[at] {
        EdgeName::Attribute(name) => (name.as_str(), way[at]),
        // A module or class has its attributes in a dict, and so may an instance.
        EdgeName::Key(key) if at > 0 && names[at - 1].is_dict() => (text_of_key(key)?, way[at - 1]),
        _ => return None,
    };
    if name.starts_with("__") {
        return None;
    }
    let (module, class) = match study.kinds.type_name(holder) {
        "module" => (study.view.name(holder)?.into_owned(), None),
        _ => {
            let class = study.kinds.module_of(holder).map_or_else(|| study.kinds.class_of(holder), |_| Some(holder))?;
            (study.kinds.module_of(class)?.to_owned(), Some(class))
        }
    };
    let file = modules.file(&module).map(str::to_owned);
    let line = class.and_then(|class| first_line(study.view, class));
    let class = class.and_then(|class| study.view.name(class)).map(|name| name.into_owned());
    Some(Attribute { name: name.to_owned(), module, class, file, line })
}

/// What a class says of where it begins.
fn first_line(view: &View, class: u32) -> Option<u32> {
    let mut dicts = Vec::new();
    view.children(class, |child| dicts.extend((type_of(view, child) == "dict").then_some(child)));
    let mut found = None;
    for dict in dicts {
        let mut all = Vec::new();
        view.children(dict, |child| all.push(child));
        let pair = all.chunks_exact(2).find(|pair| whole_text(view, pair[0]).as_deref() == Some("__firstlineno__"));
        found = found.or(pair.filter(|pair| type_of(view, pair[1]) == "int").and_then(|pair| view.value(pair[1])));
    }
    match found {
        Some(Value::Int(line)) => u32::try_from(line).ok(),
        _ => None,
    }
}

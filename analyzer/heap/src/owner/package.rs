//! Which package a module is of: a distribution from PyPI, the standard library, or the application itself.

use std::collections::HashMap;

use heapsee_format::meta::Distribution;
use serde::Serialize;

use crate::heap::{Value, View};
use crate::naming::{type_of, whole_text};

/// A package.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Package {
    /// The distribution's name, or that of the topmost module.
    pub name: String,
    /// The distribution's version, if known.
    pub version: Option<String>,
    /// Where it is from.
    pub kind: PackageKind,
}

/// Where a package is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PackageKind {
    /// Installed.
    Distribution,
    /// Python's own.
    StandardLibrary,
    /// Anything else: what the process was started for.
    Application,
}

impl std::fmt::Display for PackageKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            PackageKind::Distribution => "distribution",
            PackageKind::StandardLibrary => "standard library",
            PackageKind::Application => "application",
        })
    }
}

/// The modules of a view.
pub struct Modules<'v> {
    view: &'v View,
    /// By topmost name: where it is from, as far as the modules of that name say.
    kinds: HashMap<String, PackageKind>,
    /// By the dict of a module: its name.
    by_dict: HashMap<u32, String>,
    /// By name: the file a module was made from.
    files: HashMap<String, String>,
}

impl<'v> Modules<'v> {
    /// Looks at all modules.
    pub fn of(view: &'v View) -> Modules<'v> {
        let mut modules = Modules { view, kinds: HashMap::new(), by_dict: HashMap::new(), files: HashMap::new() };
        let nodes = view.type_by_name("module").map(|id| view.heap().objects_by_type().of_type(id)).unwrap_or_default();
        for &node in nodes.iter().filter(|&&node| view.is_live(node)) {
            let Some(name) = view.name(node) else { continue };
            view.children(node, |child| {
                if type_of(view, child) == "dict" {
                    modules.by_dict.insert(child, name.to_string());
                    let (file, kind) = origin(view, child);
                    if let Some(kind) = kind {
                        // A package's own module comes before its submodules only by chance; any of them will do.
                        modules.kinds.entry(top(&name).to_owned()).or_insert(kind);
                    }
                    modules.files.extend(file.map(|file| (name.to_string(), file)));
                }
            });
        }
        modules
    }

    /// The file that a module was made from, if the dump has its whole name.
    pub fn file(&self, module: &str) -> Option<&str> {
        self.files.get(module).map(String::as_str)
    }

    /// The module whose globals a function has.
    pub(super) fn of_function(&self, view: &View, node: u32) -> Option<String> {
        let mut found = None;
        view.children(node, |child| {
            if found.is_none() {
                found = self.by_dict.get(&child).cloned();
            }
        });
        found
    }

    /// The package that a module of this name is of.
    pub fn package(&self, module: &str) -> Package {
        let top = top(module);
        if let Some(found) = distribution(self.view, module) {
            let version = Some(found.version.clone()).filter(|version| !version.is_empty());
            return Package { name: found.name.clone(), version, kind: PackageKind::Distribution };
        }
        match self.kinds.get(top).copied() {
            Some(PackageKind::StandardLibrary) => standard_library(),
            // Types of C code may name a module that is none, and some of the interpreter's own modules have no file. By
            // convention these have an underscore in front; `__main__` has two.
            None if matches!(top, "builtins" | "sys" | "types") => standard_library(),
            None if top.starts_with('_') && !top.starts_with("__") => standard_library(),
            kind => Package { name: top.to_owned(), version: None, kind: kind.unwrap_or(PackageKind::Application) },
        }
    }
}

/// The distribution that a module came with, if the sidecar knows one.
pub fn distribution<'v>(view: &'v View, module: &str) -> Option<&'v Distribution> {
    view.heap().meta()?.distributions.get(top(module))
}

fn standard_library() -> Package {
    Package { name: "standard library".to_owned(), version: None, kind: PackageKind::StandardLibrary }
}

/// The topmost module of a dotted name.
fn top(module: &str) -> &str {
    module.split('.').next().unwrap_or_default()
}

/// A module's file, and where it is from, by what its dict says of its file and its loader.
fn origin(view: &View, dict: u32) -> (Option<String>, Option<PackageKind>) {
    let mut all = Vec::new();
    view.children(dict, |child| all.push(child));
    let text = |node: u32| match view.is_live(node).then(|| view.value(node)).flatten() {
        Some(Value::Text(text)) => Some(text.into_owned()),
        _ => None,
    };
    let mut loader = None;
    for pair in all.chunks_exact(2) {
        match text(pair[0]).as_deref() {
            Some("__file__") => {
                let kind = text(pair[1]).map(|file| kind_of_file(&file));
                return (whole_text(view, pair[1]), kind);
            }
            Some("__loader__") => {
                let name = view.is_live(pair[1]).then(|| view.name(pair[1])).flatten();
                // Modules that are part of the interpreter have no file.
                let is_python = matches!(name.as_deref(), Some("BuiltinImporter" | "FrozenImporter"));
                loader = is_python.then_some(PackageKind::StandardLibrary);
            }
            _ => {}
        }
    }
    (None, loader)
}

fn kind_of_file(file: &str) -> PackageKind {
    if file.contains("/site-packages/") || file.contains("/dist-packages/") {
        PackageKind::Distribution
    } else if ["/lib/python3", "/lib/python2", "/lib64/python3", "/lib64/python2"].iter().any(|lib| file.contains(lib))
    {
        PackageKind::StandardLibrary
    } else {
        PackageKind::Application
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_say_where_a_module_is_from() {
        assert_eq!(kind_of_file("/usr/lib/python3.11/json/__init__.py"), PackageKind::StandardLibrary);
        assert_eq!(kind_of_file("/usr/lib/python3.11/lib-dynload/_json.so"), PackageKind::StandardLibrary);
        assert_eq!(kind_of_file("/venv/lib/python3.11/site-packages/django/apps.py"), PackageKind::Distribution);
        assert_eq!(kind_of_file("/usr/lib/python3/dist-packages/yaml/__init__.py"), PackageKind::Distribution);
        assert_eq!(kind_of_file("/srv/app/wsgi.py"), PackageKind::Application);
    }
}

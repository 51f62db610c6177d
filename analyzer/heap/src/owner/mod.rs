//! Whose memory an object is: which module and which package.
//!
//! Modules, functions and classes are their module's; an instance is that of the module its class is from, unless that is
//! the standard library, whose containers serve everybody. Anything else is its holder's: the nearest owned object on
//! the way from a root (`graph::Tree`). So every object that a root reaches has one owner at most, and what packages
//! have adds up. It says nothing of what would be freed: see `graph::kept_by`.

mod classes;
mod package;

use std::collections::HashMap;

use fixedbitset::FixedBitSet;

use crate::graph::Tree;
use crate::heap::View;
use crate::naming::type_of;

pub use classes::Classes;
pub use package::{Modules, Package, PackageKind, distribution};

/// Nobody.
const NOBODY: u32 = u32::MAX;

/// The owner of every object of a view.
pub struct Owners {
    /// Names of modules.
    modules: Vec<Box<str>>,
    /// By module: its package.
    package_of: Vec<u32>,
    packages: Vec<Package>,
    /// By node: the module it is of, by itself.
    own: Vec<u32>,
    /// By node: the module it is of, or its holder is.
    held: Vec<u32>,
}

impl Owners {
    /// Of what the tree reaches.
    pub fn of(view: &View, tree: &Tree) -> Owners {
        let mut owners = Owners {
            modules: Vec::new(),
            package_of: Vec::new(),
            packages: Vec::new(),
            own: vec![NOBODY; view.node_bound() as usize],
            held: vec![NOBODY; view.node_bound() as usize],
        };
        owners.find_own(view);
        for &node in tree.order() {
            let own = owners.own[node as usize];
            owners.held[node as usize] = match tree.parent(node) {
                Some((parent, _)) if own == NOBODY => owners.held[parent as usize],
                _ => own,
            };
        }
        owners
    }

    fn find_own(&mut self, view: &View) {
        let modules = Modules::of(view);
        let classes = Classes::of(view);
        let mut known: HashMap<String, u32> = HashMap::new();
        let mut packages: HashMap<Package, u32> = HashMap::new();
        let mut module = |name: &str, owners: &mut Owners| {
            if let Some(&id) = known.get(name) {
                return id;
            }
            let package = modules.package(name);
            let next = owners.packages.len() as u32;
            let package_id = *packages.entry(package.clone()).or_insert(next);
            if package_id == next {
                owners.packages.push(package);
            }
            let id = owners.modules.len() as u32;
            owners.modules.push(name.into());
            owners.package_of.push(package_id);
            known.insert(name.to_owned(), id);
            id
        };
        // By type, where all objects of it have the same owner.
        let mut of_all: Vec<Option<u32>> = vec![None; view.type_count() as usize];
        for node in view.objects() {
            let type_id = view.type_id(node);
            if let Some(own) = of_all[type_id as usize] {
                self.own[node as usize] = own;
                continue;
            }
            let (name, is_instance) = match type_of(view, node) {
                "module" => (view.name(node).map(|name| name.into_owned()), false),
                "function" => (modules.of_function(view, node), false),
                _ => match classes.module_of_class(node) {
                    Some(module) => (Some(module.to_owned()), false),
                    None => (classes.module_of_instance(view, node).map(str::to_owned), true),
                },
            };
            let own = name.map_or(NOBODY, |name| {
                let id = module(&name, self);
                let package = &self.packages[self.package_of[id as usize] as usize];
                if is_instance && package.kind == PackageKind::StandardLibrary { NOBODY } else { id }
            });
            self.own[node as usize] = own;
            if is_instance && classes.are_alike(type_id) {
                of_all[type_id as usize] = Some(own);
            }
        }
    }

    /// The module an object belongs to, or its holder does.
    pub fn module(&self, node: u32) -> Option<&str> {
        self.modules.get(*self.held.get(node as usize)? as usize).map(|name| &**name)
    }

    /// The package an object belongs to, or its holder does: a place in [`Owners::packages`].
    pub fn package(&self, node: u32) -> Option<u32> {
        self.package_of.get(*self.held.get(node as usize)? as usize).copied()
    }

    /// All packages there are.
    pub fn packages(&self) -> &[Package] {
        &self.packages
    }

    /// The objects that are a package's by themselves: its modules, functions, classes and their instances.
    pub fn own(&self, package: u32) -> FixedBitSet {
        let mut own = FixedBitSet::with_capacity(self.own.len());
        for (node, &module) in self.own.iter().enumerate() {
            if self.package_of.get(module as usize) == Some(&package) {
                own.insert(node);
            }
        }
        own
    }
}

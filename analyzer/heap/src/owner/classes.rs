//! Which module a class is from, and with it its instances.

use std::collections::HashMap;

use crate::heap::View;
use crate::naming::type_of;

/// The classes of a view.
pub struct Classes<'v> {
    /// By node of a class: its module.
    modules: HashMap<u32, &'v str>,
    /// By type of instances: the classes of that name.
    of_type: Vec<Vec<u32>>,
    /// By type: whether objects of it are classes.
    of_classes: Vec<bool>,
}

impl<'v> Classes<'v> {
    /// As the sidecar knows them.
    pub fn of(view: &'v View) -> Classes<'v> {
        let count = view.type_count() as usize;
        let (of_type, of_classes) = (vec![Vec::new(); count], vec![false; count]);
        let mut classes = Classes { modules: HashMap::new(), of_type, of_classes };
        let types = view.heap().meta().into_iter().flat_map(|meta| &meta.types);
        for (&address, found) in types {
            let Some(node) = view.node_of(address).filter(|&node| view.is_live(node)) else { continue };
            classes.modules.insert(node, found.module.as_str());
            classes.of_classes[view.type_id(node) as usize] = true;
            // Instances of classes in C have the module in front of the name.
            let name = view.name(node).unwrap_or_default();
            let long = format!("{}.{name}", found.module);
            let ids = [view.type_by_name(&name), view.type_by_name(&long)];
            ids.into_iter().flatten().for_each(|id| classes.of_type[id as usize].push(node));
        }
        classes
    }

    /// The module that a class was made in.
    pub fn module_of_class(&self, node: u32) -> Option<&'v str> {
        self.modules.get(&node).copied()
    }

    /// The class of an object. If several have the same name, the object says which.
    pub fn class_of(&self, view: &View, node: u32) -> Option<u32> {
        match &self.of_type[view.type_id(node) as usize][..] {
            [] => None,
            &[class] => Some(class),
            several => {
                let mut found = None;
                view.children(node, |child| {
                    if several.contains(&child) {
                        found = Some(child);
                    }
                });
                found
            }
        }
    }

    /// Whether all objects of a type are instances of one class, so that what is true of one is of all.
    pub(super) fn are_alike(&self, type_id: u32) -> bool {
        self.of_type[type_id as usize].len() <= 1 && !self.of_classes[type_id as usize]
    }

    /// The module of the class of an object. What the sidecar left out may still have it in front of its type's name.
    pub(super) fn module_of_instance<'a>(&'a self, view: &'a View, node: u32) -> Option<&'a str> {
        if self.of_type[view.type_id(node) as usize].is_empty() {
            return type_of(view, node).rsplit_once('.').map(|(module, _)| module);
        }
        self.class_of(view, node).and_then(|class| self.module_of_class(class))
    }
}

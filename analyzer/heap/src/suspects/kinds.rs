//! What kind of thing an object is: the program itself, a namespace, or data.
//!
//! Every process has modules, classes, functions and code, and namespaces that hold them. Data that piles up there has
//! a container of its own. The kinds are told by type names, as CPython has them, and by what refers to what.

use std::collections::HashMap;

use fixedbitset::FixedBitSet;

use crate::graph::{Amount, Dominators};
use crate::heap::View;
use crate::naming::Names;
use crate::owner::Classes;

/// Types whose objects are modules and classes; metaclasses of the program are found.
const PROGRAM: [&str; 5] = ["module", "type", "abc.ABCMeta", "ABCMeta", "EnumMeta"];

/// What modules and classes are made of.
const PARTS: [&str; 16] = [
    "function",
    "builtin_function_or_method",
    "code",
    "method_descriptor",
    "wrapper_descriptor",
    "classmethod_descriptor",
    "getset_descriptor",
    "member_descriptor",
    "method-wrapper",
    "classmethod",
    "staticmethod",
    "property",
    "mappingproxy",
    "cell",
    "_abc_data",
    "_abc._abc_data",
];

/// Types without referents of their own.
const LEAVES: [&str; 12] = [
    "str",
    "bytes",
    "int",
    "float",
    "bool",
    "NoneType",
    "complex",
    "unicode",
    "long",
    "bytearray",
    "ellipsis",
    "range",
];

/// Built-in containers: what is in them says more of them than their type.
const CONTAINERS: [&str; 13] = [
    "dict",
    "frozendict",
    "list",
    "tuple",
    "set",
    "frozenset",
    "collections.deque",
    "collections.OrderedDict",
    "collections.defaultdict",
    "OrderedDict",
    "defaultdict",
    "deque",
    "mappingproxy",
];

/// An object to which more objects refer than these is not asked whose `__dict__` it is.
const MOST_REFERRERS: usize = 8;

/// The kinds of a view's objects.
pub struct Kinds<'v> {
    names: Names<'v>,
    classes: Classes<'v>,
    /// By type: whether its objects are part of the program.
    program: Vec<bool>,
    leaf: Vec<bool>,
    container: Vec<bool>,
    /// The dicts of modules and classes, the dict of all modules, and that of the interned strings.
    namespaces: FixedBitSet,
    /// By the dict of a module, the module.
    modules: HashMap<u32, u32>,
}

impl<'v> Kinds<'v> {
    /// Looks at all modules and classes.
    pub fn of(view: &'v View) -> Kinds<'v> {
        let by_name = |names: &[&str]| -> Vec<bool> {
            (0..view.type_count()).map(|type_id| names.contains(&view.type_name(type_id))).collect()
        };
        let mut program = by_name(&PROGRAM);
        program.iter_mut().zip(by_name(&PARTS)).for_each(|(program, part)| *program |= part);
        for &address in view.heap().meta().iter().flat_map(|meta| meta.types.keys()) {
            // The type of a class is a metaclass: all of its objects are classes.
            if let Some(node) = view.node_of(address).filter(|&node| view.is_live(node)) {
                program[view.type_id(node) as usize] = true;
            }
        }
        let mut kinds = Kinds {
            names: Names::new(view),
            classes: Classes::of(view),
            program,
            leaf: by_name(&LEAVES),
            container: by_name(&CONTAINERS),
            namespaces: FixedBitSet::with_capacity(view.node_bound() as usize),
            modules: HashMap::new(),
        };
        kinds.find_namespaces();
        kinds
    }

    fn find_namespaces(&mut self) {
        let view = self.view();
        let dict = view.type_by_name("dict");
        let module = view.type_by_name("module");
        let has_one = |node: &u32| self.is_program(*node) && !PARTS.contains(&self.type_name(*node));
        let (mut found, mut modules) = (Vec::new(), HashMap::new());
        for node in view.objects().filter(has_one) {
            let mut dicts = Vec::new();
            view.children(node, |child| {
                if view.is_live(child) && Some(view.type_id(child)) == dict {
                    dicts.push(child);
                }
            });
            // A module in C may have dicts in its state, in front of its own; functions refer to their module's.
            let is_module = Some(view.type_id(node)) == module;
            let own = if is_module { dicts.last() } else { dicts.first() };
            found.extend(own.copied());
            modules.extend(own.filter(|_| is_module).map(|&dict| (dict, node)));
        }
        self.modules = modules;
        let heap = view.heap();
        let modules = heap.roots().iter().filter(|root| heap.root_label(root) == "sys.modules");
        found.extend(modules.map(|root| root.node));
        found.extend(view.interned());
        self.namespaces.extend(found.into_iter().map(|node| node as usize));
    }

    /// The names of references.
    pub fn names(&self) -> &Names<'v> {
        &self.names
    }

    /// The view.
    pub fn view(&self) -> &'v View {
        self.names.view()
    }

    /// The name of an object's type.
    pub fn type_name(&self, node: u32) -> &'v str {
        self.view().type_name(self.view().type_id(node))
    }

    /// Whether an object is part of the program: a module, a class, a function, or what these are made of.
    pub fn is_program(&self, node: u32) -> bool {
        self.program[self.view().type_id(node) as usize]
    }

    /// Whether objects of a type are numbers, texts or the like.
    pub fn is_leaf_type(&self, type_id: u32) -> bool {
        self.leaf[type_id as usize]
    }

    /// Whether an object is of a built-in container type.
    pub fn is_container(&self, node: u32) -> bool {
        self.is_container_type(self.view().type_id(node))
    }

    /// Whether a type is a built-in container.
    pub fn is_container_type(&self, type_id: u32) -> bool {
        self.container[type_id as usize]
    }

    /// All modules, each with its dict: `(dict, module)`.
    pub fn modules(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.modules.iter().map(|(&dict, &module)| (dict, module))
    }

    /// The module whose dict this is.
    pub fn module_of_namespace(&self, dict: u32) -> Option<u32> {
        self.modules.get(&dict).copied()
    }

    /// The name of the module that a class was made in; none for anything else, and for the classes of Python itself.
    pub fn module_of(&self, class: u32) -> Option<&'v str> {
        self.classes.module_of_class(class).filter(|&module| module != "builtins")
    }

    /// The class of an object, if the sidecar knows it.
    pub fn class_of(&self, node: u32) -> Option<u32> {
        self.classes.class_of(self.view(), node)
    }

    /// The name of the module that the class of an object was made in; none for the classes of Python itself.
    pub fn module_of_class(&self, node: u32) -> Option<&'v str> {
        self.class_of(node).and_then(|class| self.module_of(class))
    }

    /// What the program itself takes: modules, classes, functions, code, and the texts, numbers and tables that these alone
    /// keep.
    pub fn program(&self, dominators: &Dominators) -> Amount {
        let view = self.view();
        let mut amount = Amount::default();
        // In the tree's order a dominator comes before what it dominates.
        let mut program = FixedBitSet::with_capacity(view.node_bound() as usize);
        for &node in dominators.subtree(None) {
            let below = dominators.dominator(node).is_some_and(|above| program.contains(above as usize));
            let plain = self.leaf[view.type_id(node) as usize] || self.type_name(node) == "tuple";
            if self.is_program(node) || self.namespaces.contains(node as usize) || (below && plain) {
                program.insert(node as usize);
                amount += Amount { objects: 1, bytes: view.size(node) };
            }
        }
        amount
    }

    /// Whether the referents of an object have each a name of their own that the program gave them: the attributes of a
    /// module, a class or an instance.
    pub fn is_namespace(&self, node: u32) -> bool {
        if self.namespaces.contains(node as usize) || self.is_program(node) {
            return true;
        }
        let view = self.view();
        if view.type_name(view.type_id(node)) != "dict" {
            return false;
        }
        let mut referrers = Vec::new();
        view.parents(node, |parent| referrers.push(parent));
        referrers.len() <= MOST_REFERRERS
            && referrers.iter().any(|&parent| self.names.between(parent, node).is_some_and(|edge| edge.is_dict()))
    }
}

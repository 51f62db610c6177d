//! What becomes of values: written, hashed, or left out; and which texts are names and stay in any case.
//!
//! A dump of which nothing can be read is of no use: the names that the program's own code uses (of types, attributes,
//! variables, functions, modules) are its structure, and stay. They are found by where they are, not by what they look
//! like: a password in the source is a constant, and no name. Everything else that a str, bytes object or int holds goes.

use std::collections::{HashMap, HashSet};
use std::hash::BuildHasherDefault;

use heapsee_format::line::{Charset, LineWriter};
use heapsee_format::salted::{Salt, ValueKind};

use super::types::AddressHasher;
use crate::cpython::peek::{self, Seen};
use crate::cpython::unicode::Characters;
use crate::cpython::{Object, TypeObject, dict, inline_values};

/// What becomes of values.
#[derive(Clone, Debug, Default)]
pub enum Values {
    /// They are written, cut to meliae's length.
    #[default]
    Full,
    /// A salted hash stands for each.
    Hash(Salt),
    /// They are left out.
    None,
}

type Addresses = HashSet<u64, BuildHasherDefault<AddressHasher>>;

/// The strs that are names.
#[derive(Default)]
pub struct Names {
    strs: Addresses,
    codes: Addresses,
    /// Types that have been looked at; false: it is none.
    types: HashMap<u64, bool, BuildHasherDefault<AddressHasher>>,
    /// The names of modules as texts: a module has its name in several objects.
    modules: HashSet<String>,
}

impl Names {
    /// Takes what `object`, one that the collector tracks, or a frame, knows of names.
    pub fn learn(&mut self, object: Object<'_>) {
        let ty = object.ty();
        if !self.learn_type(ty) {
            return;
        }
        if let Some(ty) = object.as_type() {
            self.learn_type(ty);
        } else if ty.is_function() {
            self.learn_code(object.function_code());
            object.function_globals().into_iter().for_each(|globals| self.learn_keys(globals));
        } else if ty.is_frame() {
            self.learn_code(object.frame_code());
        } else if ty.derives_from_module()
            && let Some(namespace) = object.module_dict()
        {
            self.learn_keys(namespace);
        }
    }

    /// Takes the keys of `sys.modules`.
    pub fn learn_modules(&mut self, modules: Object<'_>) {
        self.learn_keys(modules);
        self.modules.extend(dict::entries(modules).filter_map(|(name, _)| name.str_value()));
    }

    /// Returns whether it is a type at all: damaged memory may name anything as its type.
    fn learn_type(&mut self, ty: TypeObject<'_>) -> bool {
        let address = ty.object().address();
        if let Some(&is_type) = self.types.get(&address) {
            return is_type;
        }
        let is_type = peek::type_at(address) != Seen::Nonsense;
        self.types.insert(address, is_type);
        if !is_type {
            return false;
        }
        for class in ty.mro() {
            let Some(namespace) = class.namespace() else { continue };
            self.learn_keys(namespace);
            // From 3.14 on there are none until somebody asks, and then under the other name.
            for name in ["__annotations__", "__annotations_cache__"] {
                if let Some(annotations) = class.own_attribute(name).filter(|found| found.ty().is_dict()) {
                    self.learn_keys(annotations);
                }
            }
        }
        self.strs.extend(inline_values::shared_names(ty).map(Object::address));
        true
    }

    fn learn_keys(&mut self, namespace: Object<'_>) {
        self.strs.extend(dict::entries(namespace).map(|(key, _)| key.address()));
    }

    /// A code object and those in it: functions that have not been made yet.
    fn learn_code(&mut self, code: Option<Object<'_>>) {
        let mut pending: Vec<Object<'_>> = code.into_iter().collect();
        while let Some(code) = pending.pop() {
            if !self.codes.insert(code.address()) {
                continue;
            }
            self.strs.extend(code.code_identifiers().map(Object::address));
            self.strs.extend([code.code_name(), code.code_filename()].into_iter().flatten().map(Object::address));
            pending.extend(code.code_constants().filter(|constant| constant.ty().is_code()));
        }
    }

    fn has(&self, text: Object<'_>) -> bool {
        self.strs.contains(&text.address())
    }

    fn has_module(&self, name: Object<'_>) -> bool {
        self.has(name) || name.str_value().is_some_and(|name| self.modules.contains(&name))
    }
}

/// Writes values as it is allowed to.
pub struct Writer<'s> {
    pub values: &'s Values,
    pub names: Names,
}

impl Writer<'_> {
    /// A str's value.
    pub fn text(&self, object: Object<'_>, characters: Characters<'_>, charset: Charset, line: &mut LineWriter<'_>) {
        match self.values {
            Values::Hash(salt) if !self.names.has(object) => line.hidden_value(hash_text(salt, characters)),
            Values::None if !self.names.has(object) => {}
            _ => line.text(characters.iter(), charset),
        }
    }

    /// The value of a bytes object.
    pub fn bytes(&self, bytes: &[u8], line: &mut LineWriter<'_>) {
        match self.values {
            Values::Full => line.text(bytes.iter().map(|&byte| u32::from(byte)), Charset::Latin1),
            Values::Hash(salt) => line.hidden_value(salt.hash(ValueKind::Bytes, |take| take(bytes))),
            Values::None => {}
        }
    }

    /// An int's value.
    pub fn int(&self, value: i64, line: &mut LineWriter<'_>) {
        match self.values {
            Values::Full => line.int(value),
            Values::Hash(salt) => line.hidden_value(salt.hash(ValueKind::Int, |take| take(&value.to_le_bytes()))),
            Values::None => {}
        }
    }

    /// A module's name.
    pub fn module(&self, name: Object<'_>, line: &mut LineWriter<'_>) {
        self.name(name, self.names.has_module(name), line);
    }

    /// A function's name.
    pub fn function(&self, name: Object<'_>, line: &mut LineWriter<'_>) {
        self.name(name, self.names.has(name), line);
    }

    fn name(&self, name: Object<'_>, is_known: bool, line: &mut LineWriter<'_>) {
        let Some(characters) = name.characters() else { return };
        match self.values {
            Values::Hash(salt) if !is_known => line.hidden_name(hash_text(salt, characters)),
            Values::None if !is_known => {}
            _ => line.name(characters.iter()),
        }
    }
}

fn hash_text(salt: &Salt, characters: Characters<'_>) -> u64 {
    match characters {
        Characters::One(chars) => salt.hash(ValueKind::Text1, |take| take(chars)),
        Characters::Two(chars) => {
            salt.hash(ValueKind::Text2, |take| chars.iter().for_each(|code| take(&code.to_le_bytes())))
        }
        Characters::Four(chars) => {
            salt.hash(ValueKind::Text4, |take| chars.iter().for_each(|code| take(&code.to_le_bytes())))
        }
    }
}

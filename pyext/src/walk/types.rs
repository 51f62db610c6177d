//! What a walk knows of each type it has met: found out once, used for every instance.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use heapsee_format::line;
use pyo3::ffi;

use super::around::Around;
use crate::cpython::TypeObject;
use crate::cpython::peek::{self, Seen};
use crate::cpython::sizeof::Sizer;

/// What decides how an object's line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineShape {
    /// `dict` or `frozendict` itself.
    Dict,
    /// A subclass of one of them.
    DictSubclass,
    /// list, tuple or a subclass: has `len`.
    Sequence,
    /// set, frozenset or a subclass.
    Set,
    /// `str` itself.
    Str,
    /// A subclass of str.
    StrSubclass,
    /// bytes or a subclass.
    Bytes,
    /// int or a subclass, but not bool.
    Int,
    /// bool.
    Bool,
    /// A module.
    Module,
    /// A Python function.
    Function,
    /// A type.
    Type,
    /// A frame.
    Frame,
    /// Anything else.
    Other,
}

/// A type as its instances need it.
pub struct TypeInfo<'h> {
    /// The type.
    pub ty: TypeObject<'h>,
    /// Its name as lines have it.
    pub encoded_name: Vec<u8>,
    /// How lines of its instances look.
    pub kind: LineShape,
    /// How the size of its instances is found.
    pub sizer: Sizer,
    /// Whether instances refer to it: it was made at run time.
    pub is_heap_type: bool,
    /// Whether instances are stepped around.
    pub is_skipped: bool,
    /// Instances met so far.
    pub instances: u64,
}

/// All types met so far.
#[derive(Default)]
pub struct Types<'h> {
    infos: Vec<TypeInfo<'h>>,
    /// None: what is there is no type.
    index: HashMap<u64, Option<u32>, BuildHasherDefault<AddressHasher>>,
}

impl<'h> Types<'h> {
    /// What is known of a type; counts an instance. `None`: it is none, so what names it as its type is no object.
    pub fn of(&mut self, ty: TypeObject<'h>, around: &Around) -> Option<&TypeInfo<'h>> {
        let address = ty.object().address();
        let index = (*self.index.entry(address).or_insert_with(|| {
            if peek::type_at(address) == Seen::Nonsense {
                return None;
            }
            self.infos.push(TypeInfo { is_skipped: around.skips_type(ty), ..TypeInfo::new(ty) });
            Some(self.infos.len() as u32 - 1)
        }))?;
        let info = &mut self.infos[index as usize];
        info.instances += 1;
        Some(info)
    }

    /// Names of the types whose instances were stepped around.
    pub fn skipped(&self) -> Vec<String> {
        self.infos.iter().filter(|info| info.is_skipped).map(|info| info.ty.tp_name().to_owned()).collect()
    }

    /// How many instances of the type at `address` were met.
    pub fn instances(&self, address: u64) -> u64 {
        self.index.get(&address).copied().flatten().map_or(0, |index| self.infos[index as usize].instances)
    }
}

impl<'h> TypeInfo<'h> {
    /// Looks at a type.
    pub fn new(ty: TypeObject<'h>) -> TypeInfo<'h> {
        let mut encoded_name = Vec::new();
        line::encode_name(&mut encoded_name, ty.tp_name().chars().map(u32::from));
        TypeInfo {
            ty,
            encoded_name,
            kind: LineShape::of(ty),
            sizer: Sizer::of(ty),
            is_heap_type: ty.is_heap_type(),
            is_skipped: false,
            instances: 0,
        }
    }
}

impl LineShape {
    fn of(ty: TypeObject<'_>) -> LineShape {
        let has = |flag| ty.has_flag(flag);
        if has(ffi::Py_TPFLAGS_DICT_SUBCLASS) {
            if ty.is_dict() { LineShape::Dict } else { LineShape::DictSubclass }
        } else if has(ffi::Py_TPFLAGS_UNICODE_SUBCLASS) {
            if ty.is_str() { LineShape::Str } else { LineShape::StrSubclass }
        } else if has(ffi::Py_TPFLAGS_LIST_SUBCLASS) || has(ffi::Py_TPFLAGS_TUPLE_SUBCLASS) {
            LineShape::Sequence
        } else if has(ffi::Py_TPFLAGS_BYTES_SUBCLASS) {
            LineShape::Bytes
        } else if has(ffi::Py_TPFLAGS_LONG_SUBCLASS) {
            if ty.is_bool() { LineShape::Bool } else { LineShape::Int }
        } else if has(ffi::Py_TPFLAGS_TYPE_SUBCLASS) {
            LineShape::Type
        } else if ty.is_frame() {
            LineShape::Frame
        } else if ty.is_function() {
            LineShape::Function
        } else if ty.derives_from_module() {
            LineShape::Module
        } else if ty.derives_from_set() {
            LineShape::Set
        } else if ty.derives_from_frozendict() {
            if ty.is_frozendict() { LineShape::Dict } else { LineShape::DictSubclass }
        } else {
            LineShape::Other
        }
    }
}

/// Hashes an address: one multiplication. Addresses are not chosen by anybody who would want them to collide.
#[derive(Default)]
pub struct AddressHasher(u64);

impl Hasher for AddressHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u64(&mut self, address: u64) {
        // Fibonacci hashing; the table takes the high bits for its tags and the low ones for its place.
        let product = (self.0 ^ address).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = product ^ (product >> 32);
    }
}

//! `cpython/object.h`: types, their names, bases, method resolution order, slots.

use std::ffi::{CStr, c_ulong};

use pyo3::ffi;

use super::dict;
use super::{Object, TypeObject};

/// `Py_TPFLAGS_MANAGED_DICT` (3.11): the instance's dict or inline values hang before the object.
#[cfg(Py_3_11)]
pub const TPFLAGS_MANAGED_DICT: c_ulong = 1 << 4;

/// `Py_TPFLAGS_INLINE_VALUES` (3.13; no type had this flag before): the values lie in the instance itself.
pub const TPFLAGS_INLINE_VALUES: c_ulong = 1 << 2;

impl<'h> TypeObject<'h> {
    /// `tp_base`.
    pub fn base(self) -> Option<TypeObject<'h>> {
        // SAFETY: a type keeps its base alive, and that is a type.
        unsafe {
            self.object()
                .field(self.raw().tp_base.cast())
                .map(|base| TypeObject::from_ptr_unchecked(base, base.as_ptr().cast()))
        }
    }

    /// Whether the type is `ancestor` or derives from it by way of `tp_base`.
    pub(super) fn derives_from(self, ancestor: *mut ffi::PyTypeObject) -> bool {
        std::iter::successors(Some(self), |ty| ty.base()).any(|ty| ty.is(ancestor))
    }

    /// The types to look an attribute up in, in order. Types that are not ready yet have none.
    pub fn mro(self) -> impl Iterator<Item = TypeObject<'h>> {
        let mro = self.raw().tp_mro;
        let len = if mro.is_null() {
            0
        } else {
            // SAFETY: tp_mro is null or a tuple.
            unsafe { ffi::PyTuple_GET_SIZE(mro) }
        };
        (0..len).filter_map(move |i| {
            // SAFETY: within the tuple, whose items it keeps alive.
            unsafe { self.object().field(ffi::PyTuple_GET_ITEM(mro, i)) }?.as_type()
        })
    }

    /// The type's own namespace.
    pub fn namespace(self) -> Option<Object<'h>> {
        // From 3.12 the dict of a static builtin type belongs to the interpreter; PyType_GetDict knows where. The
        // reference it returns is given back at once: the type keeps its dict alive. Not so for other types: their
        // dicts' pages would be copied in a forked heap for nothing but that.
        #[cfg(Py_3_12)]
        let dict = if self.raw().tp_dict.is_null() {
            // SAFETY: a type; the dict stays alive after the decref.
            unsafe {
                let dict = ffi::PyType_GetDict(self.object().as_ptr().cast());
                if !dict.is_null() {
                    ffi::Py_DECREF(dict);
                }
                dict
            }
        } else {
            self.raw().tp_dict
        };
        #[cfg(not(Py_3_12))]
        let dict = self.raw().tp_dict;
        // SAFETY: a type keeps its dict alive.
        unsafe { self.object().field(dict) }
    }

    /// What the type's own namespace has under `name`.
    pub fn own_attribute(self, name: &str) -> Option<Object<'h>> {
        dict::entries(self.namespace()?).find(|(key, _)| key.str_equals(name)).map(|(_, value)| value)
    }

    /// `tp_name`: for a type made in Python its `__name__`, for one made in C usually `module.name`.
    pub fn tp_name(self) -> &'h str {
        let name = self.raw().tp_name;
        if name.is_null() {
            return "?";
        }
        // SAFETY: tp_name is a C string that lives as long as its type.
        unsafe { CStr::from_ptr(name) }.to_str().unwrap_or("?")
    }

    /// `__module__`, without running code: what the namespace or `tp_name` say.
    pub fn module(self) -> String {
        if self.is_heap_type()
            && let Some(module) = self.own_attribute("__module__")
            && let Some(module) = module.str_value()
        {
            return module;
        }
        self.tp_name().rsplit_once('.').map_or("builtins", |(module, _)| module).to_owned()
    }

    /// `__qualname__`.
    pub fn qualname(self) -> String {
        if self.is_heap_type() {
            // SAFETY: heap types have this structure; it keeps its qualname alive.
            let qualname =
                unsafe { self.object().field((*self.object().as_ptr().cast::<ffi::PyHeapTypeObject>()).ht_qualname) };
            if let Some(qualname) = qualname.and_then(Object::str_value) {
                return qualname;
            }
        }
        self.tp_name().rsplit('.').next().unwrap_or_default().to_owned()
    }

    /// The names of the `__slots__` that this type itself adds, in the order its traverse visits them.
    pub fn slots(self) -> Vec<String> {
        // SAFETY: a member's name is a C string.
        let names =
            self.members().filter(|member| !member.name.is_null()).map(|member| unsafe { CStr::from_ptr(member.name) });
        names.map(|name| name.to_string_lossy().into_owned()).collect()
    }

    /// How many slots of `object`, an instance of this type, are set: their values are what its traverse visits first.
    ///
    /// `subtype_traverse` in CPython's typeobject.c visits the slots of the type and of those of its bases that are
    /// traversed in the same way, before anything else. Of a type with another traverse the answer means nothing.
    pub fn slots_in_use(self, object: Object<'h>) -> usize {
        let traverse = |ty: TypeObject<'_>| ty.raw().tp_traverse.map(|traverse| traverse as usize);
        let own = traverse(self);
        std::iter::successors(Some(self), |ty| ty.base())
            .take_while(|&ty| traverse(ty) == own)
            .flat_map(TypeObject::members)
            // SAFETY: the member says where in an instance its pointer is.
            .filter(|member| unsafe {
                !object.as_ptr().byte_offset(member.offset).cast::<*mut ffi::PyObject>().read().is_null()
            })
            .count()
    }

    /// The members that hold an object and that this type itself adds: its `__slots__`.
    ///
    /// A type made by a `class` statement has its member definitions behind its structure, `ob_size` of them
    /// (`PyHeapType_GET_MEMBERS`); `traverse_slots` in CPython's typeobject.c goes over them in the same order.
    fn members(self) -> impl Iterator<Item = &'h ffi::PyMemberDef> {
        let count = if self.is_heap_type() { self.object().ob_size() } else { 0 };
        let offset = self.object().ty().raw().tp_basicsize;
        (0..count)
            // SAFETY: the members lie behind the structure, which is tp_basicsize of the metatype long.
            .map(move |i| unsafe { &*self.object().as_ptr().byte_offset(offset).cast::<ffi::PyMemberDef>().offset(i) })
            .filter(|member| member.type_code == ffi::Py_T_OBJECT_EX)
    }
}

/// Which of CPython's own types it is, or derives from.
impl TypeObject<'_> {
    /// `dict` itself.
    pub fn is_dict(self) -> bool {
        self.is(&raw mut ffi::PyDict_Type)
    }

    /// `frozendict` itself (3.15).
    pub fn is_frozendict(self) -> bool {
        #[cfg(Py_3_15)]
        return self.is(&raw mut ffi::PyFrozenDict_Type);
        #[cfg(not(Py_3_15))]
        return false;
    }

    /// `frozendict` or a subclass (3.15): like a dict inside, but none, and with no flag that says so.
    pub fn derives_from_frozendict(self) -> bool {
        #[cfg(Py_3_15)]
        return self.derives_from(&raw mut ffi::PyFrozenDict_Type);
        #[cfg(not(Py_3_15))]
        return false;
    }

    /// `str` itself.
    pub fn is_str(self) -> bool {
        self.is(&raw mut ffi::PyUnicode_Type)
    }

    /// `bool`.
    pub fn is_bool(self) -> bool {
        self.is(&raw mut ffi::PyBool_Type)
    }

    /// `types.FrameType`.
    pub fn is_frame(self) -> bool {
        self.is(&raw mut ffi::PyFrame_Type)
    }

    /// `types.CodeType`.
    pub fn is_code(self) -> bool {
        self.is(&raw mut ffi::PyCode_Type)
    }

    /// `types.FunctionType`.
    pub fn is_function(self) -> bool {
        self.is(&raw mut ffi::PyFunction_Type)
    }

    /// `collections.OrderedDict` or a subclass.
    pub fn derives_from_ordered_dict(self) -> bool {
        unsafe extern "C" {
            static mut PyODict_Type: ffi::PyTypeObject;
        }
        self.derives_from(&raw mut PyODict_Type)
    }

    /// A module type.
    pub fn derives_from_module(self) -> bool {
        self.derives_from(&raw mut ffi::PyModule_Type)
    }

    /// `set`, `frozenset` or a subclass.
    pub fn derives_from_set(self) -> bool {
        self.derives_from(&raw mut ffi::PySet_Type) || self.derives_from(&raw mut ffi::PyFrozenSet_Type)
    }
}

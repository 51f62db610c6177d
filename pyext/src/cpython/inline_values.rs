//! `internal/pycore_object.h`, `internal/pycore_dict.h`: attributes kept without a dict (from 3.11).
//!
//! An instance of an ordinary class keeps its attributes' values in an array; the names are in keys that all
//! instances share. A dict comes into being only when somebody asks for `__dict__`. Where the array is:
//! * 3.11: a pointer four words before the object; the dict's is three words before it;
//! * 3.12: one pointer three words before the object, tagged in its low bit when it is the array's;
//! * 3.13: in the object itself, behind its structure, with a header; the dict's pointer three words before it.

use std::mem::offset_of;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyType};

use super::{Object, StillHeap, TypeObject, dict, fits, peek};

/// `struct _dictkeysobject`, up to its index.
#[repr(C)]
struct Keys {
    refcnt: isize,
    log2_size: u8,
    log2_index_bytes: u8,
    kind: u8,
    version: u32,
    usable: isize,
    nentries: isize,
    indices: [u8; 0],
}

/// `PyDictUnicodeEntry`.
#[repr(C)]
struct UnicodeEntry {
    key: *mut ffi::PyObject,
    value: *mut ffi::PyObject,
}

/// `struct _dictvalues` of 3.13.
#[cfg(Py_3_13)]
#[repr(C)]
struct ValuesHeader {
    capacity: u8,
    size: u8,
    embedded: u8,
    valid: u8,
    values: [*mut ffi::PyObject; 0],
}

/// The structures above for [`super::layout`].
pub(super) fn layout() -> impl Iterator<Item = (&'static str, &'static str, usize)> {
    [
        ("struct _dictkeysobject", "dk_log2_index_bytes", offset_of!(Keys, log2_index_bytes)),
        ("struct _dictkeysobject", "dk_kind", offset_of!(Keys, kind)),
        ("struct _dictkeysobject", "dk_usable", offset_of!(Keys, usable)),
        ("struct _dictkeysobject", "dk_nentries", offset_of!(Keys, nentries)),
        ("struct _dictkeysobject", "dk_indices", offset_of!(Keys, indices)),
        ("PyDictUnicodeEntry", "me_key", offset_of!(UnicodeEntry, key)),
        ("PyDictUnicodeEntry", "me_value", offset_of!(UnicodeEntry, value)),
        #[cfg(Py_3_13)]
        ("struct _dictvalues", "capacity", offset_of!(ValuesHeader, capacity)),
        #[cfg(Py_3_13)]
        ("struct _dictvalues", "size", offset_of!(ValuesHeader, size)),
        #[cfg(Py_3_13)]
        ("struct _dictvalues", "valid", offset_of!(ValuesHeader, valid)),
        #[cfg(Py_3_13)]
        ("struct _dictvalues", "values", offset_of!(ValuesHeader, values)),
    ]
    .into_iter()
}

/// Whether this interpreter's traverse of an instance whose values have been made a dict visits that dict. Releases of one
/// minor version differ: see [`calibrate`].
static TRAVERSE_VISITS_DICT: AtomicBool = AtomicBool::new(cfg!(Py_3_14));

/// `DictKeysKind`: keys shared by instances.
const SPLIT: u8 = 2;

/// The attribute values of an instance.
#[derive(Clone, Copy)]
pub struct InlineValues<'h> {
    owner: Object<'h>,
    keys: *const Keys,
    values: *const *mut ffi::PyObject,
    capacity: usize,
    /// Indexes into `values` in the order of assignment: `used` bytes, `step` apart.
    order: *const u8,
    step: isize,
    used: usize,
    /// Bytes of the array that are not part of the object's own memory.
    extra_size: u64,
    /// The dict that has been made of them.
    dict: Option<Object<'h>>,
}

impl<'h> Object<'h> {
    /// The inline attribute values, if the object keeps its attributes that way. From 3.13 it may go on to do so when a
    /// dict has been made of them: see [`InlineValues::dict`].
    pub fn inline_values(self, ty: TypeObject<'h>) -> Option<InlineValues<'h>> {
        let may_have = ty.has_flag(super::typeobject::TPFLAGS_MANAGED_DICT) && ty.is_heap_type();
        if !may_have || !fits::INSTANCES.holds() {
            return None;
        }
        // SAFETY: a heap type has this structure.
        let keys = unsafe { (*ty.object().as_ptr().cast::<ffi::PyHeapTypeObject>()).ht_cached_keys }.cast::<Keys>();
        // SAFETY: keys that are not null are shared keys that the type keeps alive.
        if keys.is_null() || unsafe { (*keys).kind } != SPLIT {
            return None;
        }
        // SAFETY: the flag says what lies before (3.13: behind) the object; the keys belong to it.
        unsafe { self.read_values(ty, keys) }
    }

    #[cfg(not(Py_3_13))]
    unsafe fn read_values(self, _ty: TypeObject<'h>, keys: *const Keys) -> Option<InlineValues<'h>> {
        let words = self.as_ptr().cast::<usize>();
        // SAFETY: the caller has seen the flag, so the words before the object are as the module's text says; before
        // the array stand the number of used entries and the size of that prefix, and the order behind them.
        unsafe {
            #[cfg(not(Py_3_12))]
            let array = *words.sub(4);
            #[cfg(Py_3_12)]
            let array = {
                let tagged = *words.sub(3);
                if tagged & 1 == 0 { 0 } else { tagged.wrapping_add(1) }
            };
            let array = array as *const u8;
            if array.is_null() {
                return None;
            }
            let prefix = usize::from(*array.sub(1));
            let used = usize::from(*array.sub(2));
            let capacity = usize::try_from((*keys).usable + (*keys).nentries).unwrap_or(0);
            Some(InlineValues {
                owner: self,
                keys,
                values: array.cast(),
                capacity,
                order: array.sub(3),
                step: -1,
                used,
                extra_size: (prefix + capacity * size_of::<usize>()) as u64,
                dict: None,
            })
        }
    }

    #[cfg(Py_3_13)]
    unsafe fn read_values(self, ty: TypeObject<'h>, keys: *const Keys) -> Option<InlineValues<'h>> {
        if !ty.has_flag(super::typeobject::TPFLAGS_INLINE_VALUES) {
            return None;
        }
        // SAFETY: the caller has seen that there is a managed dict's pointer, this function that the values lie
        // behind the structure.
        unsafe {
            let dict = *self.as_ptr().cast::<*mut ffi::PyObject>().sub(3);
            let values = self.as_ptr().byte_offset(ty.raw().tp_basicsize).cast::<ValuesHeader>();
            if (*values).valid == 0 {
                return None;
            }
            let array = (&raw const (*values).values).cast::<*mut ffi::PyObject>();
            let capacity = usize::from((*values).capacity);
            Some(InlineValues {
                owner: self,
                keys,
                values: array,
                capacity,
                order: array.add(capacity).cast(),
                step: 1,
                used: usize::from((*values).size),
                extra_size: 0,
                dict: self.field(dict),
            })
        }
    }
}

impl<'h> InlineValues<'h> {
    /// Bytes that the values take outside of the object's own memory: what `sys.getsizeof` does not count.
    ///
    /// The length of an array is not kept. CPython shortens new ones a little with every instance that a class gets;
    /// that of the newest is what is counted for all, as `sys.getsizeof` itself counts a dict that has such an array.
    pub fn extra_size(&self) -> u64 {
        self.extra_size
    }

    /// The dict that has been made of the values, if one has: it holds them for as long as both live, and the object
    /// holds it.
    pub fn dict(&self) -> Option<Object<'h>> {
        self.dict
    }

    /// What a traverse visits for the attributes, in its order: the values, or in newer releases the dict that has been
    /// made of them.
    pub fn as_traversed(&self) -> impl Iterator<Item = Object<'h>> {
        let dict = self.dict.filter(|_| TRAVERSE_VISITS_DICT.load(Relaxed));
        let values = if dict.is_some() { 0 } else { self.capacity };
        // SAFETY: within the array, whose values the owner keeps alive.
        dict.into_iter().chain((0..values).filter_map(|i| unsafe { self.owner.field(*self.values.add(i)) }))
    }

    /// Names and values, in the order in which the attributes were first assigned.
    pub fn pairs(&self) -> impl Iterator<Item = (Object<'h>, Object<'h>)> {
        (0..self.used.min(self.capacity)).filter_map(|i| {
            // SAFETY: `used` bytes of order are there; an index is within both arrays, which are as long.
            unsafe {
                let index = usize::from(*self.order.offset(self.step * isize::try_from(i).ok()?));
                if index >= self.capacity || index >= usize::try_from((*self.keys).nentries).ok()? {
                    return None;
                }
                let entry = entries(self.keys).add(index);
                Some((self.owner.field((*entry).key)?, self.owner.field(*self.values.add(index))?))
            }
        })
    }
}

/// The names of the attributes that instances of `ty` share.
pub fn shared_names<'h>(ty: TypeObject<'h>) -> impl Iterator<Item = Object<'h>> {
    // SAFETY: a heap type has this structure; keys that are not null are shared keys that the type keeps alive.
    let keys = unsafe {
        let of_heap_type = || (*ty.object().as_ptr().cast::<ffi::PyHeapTypeObject>()).ht_cached_keys.cast::<Keys>();
        if ty.is_heap_type() && fits::INSTANCES.holds() { of_heap_type() } else { std::ptr::null_mut() }
    };
    // SAFETY: as above; of split keys the entries have names.
    let len = unsafe { if keys.is_null() || (*keys).kind != SPLIT { 0 } else { (*keys).nentries } };
    // SAFETY: within the entries; the type keeps the names alive.
    (0..len).filter_map(move |i| unsafe { ty.object().field((*entries(keys).offset(i)).key) })
}

/// `DK_UNICODE_ENTRIES`: the entries lie behind the index.
///
/// # Safety
/// `keys` are live shared keys.
unsafe fn entries(keys: *const Keys) -> *const UnicodeEntry {
    // SAFETY: the caller's promise.
    unsafe {
        let index = (&raw const (*keys).indices).cast::<u8>();
        index.add(1usize << (*keys).log2_index_bytes).cast()
    }
}

/// Whether instances are laid out as this module believes. Seen on some that every process has: the `__spec__` of a
/// module begins with the module's name and the loader, both of which the module's namespace holds as well. Nothing is made
/// for it; where no such instance keeps its attributes without a dict, nothing is known, and so nothing believed.
pub fn fit(modules: Object<'_>) -> bool {
    dict::entries(modules).any(|(_, module)| module.ty().derives_from_module() && spec_fits(module) == Some(true))
}

/// `None`: this module says nothing of it.
fn spec_fits(module: Object<'_>) -> Option<bool> {
    let namespace = module.module_dict()?;
    let member =
        |wanted: &str| dict::entries(namespace).find(|(key, _)| key.str_equals(wanted)).map(|(_, found)| found);
    let spec = member("__spec__").filter(|spec| spec.ty().tp_name() == "ModuleSpec")?;
    let values = spec.inline_values(spec.ty())?;
    let mut pairs = values.pairs();
    let mut begins_with = |name: &str, expected: Object<'_>| {
        pairs.next().is_some_and(|(key, value)| value == expected && is_named(key, name))
    };
    Some(begins_with("name", member("__name__")?) && begins_with("loader", member("__loader__")?))
}

/// Whether what is believed to be an attribute's name is a str, and that one.
fn is_named(key: Object<'_>, name: &str) -> bool {
    let ty = peek::word_at(key.address() + offset_of!(ffi::PyObject, ob_type) as u64);
    match ty {
        Ok(ty) => ty == Some((&raw const ffi::PyUnicode_Type).addr() as u64) && key.str_equals(name),
        // Nobody lets us look: that its value is the expected one must do.
        Err(peek::Refused) => true,
    }
}

/// Asks this interpreter what its release does where releases differ: what a traverse visits of an instance whose
/// attributes have been made a dict.
///
/// # Errors
/// A class or its instance cannot be made.
pub fn calibrate(py: Python<'_>) -> PyResult<()> {
    let instance = probe(py)?;
    instance.setattr("attribute", PyList::empty(py))?;
    let dict = instance.getattr("__dict__")?;
    // SAFETY: the GIL is held, and nothing below runs Python code.
    let heap = unsafe { StillHeap::assume() };
    let mut found = Vec::new();
    // SAFETY: the instance lives.
    if let Some(object) = unsafe { Object::from_ptr(&heap, instance.as_ptr()) } {
        object.traverse(&mut found);
    }
    TRAVERSE_VISITS_DICT.store(found.iter().any(|referent| referent.as_ptr() == dict.as_ptr()), Relaxed);
    Ok(())
}

/// An instance of an ordinary class.
fn probe(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    py.get_type::<PyType>().call1(("Probe", (), pyo3::types::PyDict::new(py)))?.call0()
}

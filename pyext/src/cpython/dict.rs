//! `dictobject.h`: the entries of a dict, whatever its table's shape; from 3.15 on also those of a `frozendict`.
//!
//! Wherever this module says dict it means both: their structures begin alike, and CPython's functions take either.

use pyo3::ffi;

use super::Object;

/// The live entries of `dict` (or of an instance of a subclass), in the table's order: insertion order.
///
/// `PyDict_Next` knows all shapes of table (general, string keys, split) and does no more than read.
pub fn entries<'h>(dict: Object<'h>) -> impl Iterator<Item = (Object<'h>, Object<'h>)> {
    let mut position = 0;
    std::iter::from_fn(move || {
        let (mut key, mut value) = (std::ptr::null_mut(), std::ptr::null_mut());
        // SAFETY: a dict that holds still; an entry is kept alive by it. PyDict_Next refuses what is no dict.
        unsafe {
            if ffi::PyDict_Next(dict.as_ptr(), &raw mut position, &raw mut key, &raw mut value) == 0 {
                return None;
            }
            Some((dict.field(key)?, dict.field(value)?))
        }
    })
}

/// `len()` of a dict, its own, not that of a subclass.
pub fn len(dict: Object<'_>) -> u64 {
    // SAFETY: callers ask only dicts; ma_used is part of the public structure.
    u64::try_from(unsafe { (*dict.as_ptr().cast::<ffi::PyDictObject>()).ma_used }).unwrap_or(0)
}

/// What a dict's own traverse visits of `dict`: what a subclass's traverse visits as its base's part.
pub fn traverse_as_dict<'h>(dict: Object<'h>, found: &mut Vec<Object<'h>>) {
    // SAFETY: reading a static type's function.
    let traverse = unsafe { (*base(dict)).tp_traverse };
    if let Some(traverse) = traverse {
        dict.traverse_with(traverse, found);
    }
}

/// Which of CPython's own types `dict` is an instance of.
fn base(_dict: Object<'_>) -> *mut ffi::PyTypeObject {
    #[cfg(Py_3_15)]
    if _dict.ty().derives_from_frozendict() {
        return &raw mut ffi::PyFrozenDict_Type;
    }
    &raw mut ffi::PyDict_Type
}

//! The layouts mirrored in this folder as numbers, for the tests, which ask each CPython's own headers for the same. Each
//! structure is listed where it is mirrored.

use std::mem::offset_of;

use pyo3::ffi;

use super::{frame, gc, inline_values, runtime};

/// `(structure, field, offset in bytes)`, named as CPython's headers name them.
pub fn table() -> Vec<(&'static str, &'static str, usize)> {
    let mut table = vec![
        // Those are PyO3's, and unsafe code here relies on them as well.
        ("PyTypeObject", "tp_basicsize", offset_of!(ffi::PyTypeObject, tp_basicsize)),
        ("PyTypeObject", "tp_flags", offset_of!(ffi::PyTypeObject, tp_flags)),
        ("PyTypeObject", "tp_traverse", offset_of!(ffi::PyTypeObject, tp_traverse)),
        ("PyTypeObject", "tp_mro", offset_of!(ffi::PyTypeObject, tp_mro)),
        ("PyHeapTypeObject", "ht_qualname", offset_of!(ffi::PyHeapTypeObject, ht_qualname)),
        ("PyHeapTypeObject", "ht_cached_keys", offset_of!(ffi::PyHeapTypeObject, ht_cached_keys)),
        ("PyDictObject", "ma_used", offset_of!(ffi::PyDictObject, ma_used)),
        ("PySetObject", "used", offset_of!(ffi::PySetObject, used)),
        ("PyFunctionObject", "func_globals", offset_of!(ffi::PyFunctionObject, func_globals)),
        ("PyFunctionObject", "func_code", offset_of!(ffi::PyFunctionObject, func_code)),
        ("PyFunctionObject", "func_name", offset_of!(ffi::PyFunctionObject, func_name)),
        ("PyMethodDescrObject", "d_method", offset_of!(ffi::PyMethodDescrObject, d_method)),
        ("PyMemberDef", "offset", offset_of!(ffi::PyMemberDef, offset)),
    ];
    table.extend(gc::layout());
    table.extend(runtime::layout());
    table.extend(frame::layout());
    table.extend(inline_values::layout());
    table
}

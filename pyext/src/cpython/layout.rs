//! The layouts mirrored in this folder: which of them fit this interpreter, and all as numbers, for the tests, which ask
//! each CPython's own headers for the same.

use std::mem::offset_of;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use pyo3::ffi;

use super::frame::Code;
#[cfg(Py_3_11)]
use super::frame::{FrameObject, InterpreterFrame};
use super::gc;
#[cfg(Py_3_13)]
use super::inline_values::Values;
#[cfg(Py_3_11)]
use super::inline_values::{Keys, UnicodeEntry};
use super::runtime;

/// A layout that was checked when the walker was made; what depends on one that does not fit does without.
pub struct Fits(AtomicBool);

/// Of frames that run, and of code objects: see [`super::frame`].
pub static FRAMES: Fits = Fits(AtomicBool::new(true));
/// Of instances that keep their attributes without a dict: see [`super::inline_values`].
pub static INSTANCES: Fits = Fits(AtomicBool::new(true));
/// Nothing is believed to fit, as on a CPython that nobody has seen yet: for tests of what is then done.
pub static FORGOTTEN: AtomicBool = AtomicBool::new(false);

impl Fits {
    /// Whether the layout may be relied on.
    pub fn holds(&self) -> bool {
        self.0.load(Relaxed)
    }

    /// Says whether it may, once that is known.
    pub fn set(&self, fits: bool) {
        self.0.store(fits && !FORGOTTEN.load(Relaxed), Relaxed);
    }
}

/// `(structure, field, offset in bytes)`, named as CPython's headers name them.
pub fn table() -> Vec<(&'static str, &'static str, usize)> {
    let mut table = vec![
        ("PyCodeObject", "co_filename", offset_of!(Code, filename)),
        ("PyCodeObject", "co_name", offset_of!(Code, name)),
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
    #[cfg(not(Py_3_11))]
    table.push(("PyCodeObject", "co_code", offset_of!(Code, code_to_cellvars)));
    #[cfg(Py_3_11)]
    table.extend([
        ("PyCodeObject", "co_consts", offset_of!(Code, consts_names_exceptiontable)),
        ("PyCodeObject", "co_localsplusnames", offset_of!(Code, localsplusnames_kinds)),
        ("struct _dictkeysobject", "dk_log2_index_bytes", offset_of!(Keys, log2_index_bytes)),
        ("struct _dictkeysobject", "dk_kind", offset_of!(Keys, kind)),
        ("struct _dictkeysobject", "dk_usable", offset_of!(Keys, usable)),
        ("struct _dictkeysobject", "dk_nentries", offset_of!(Keys, nentries)),
        ("struct _dictkeysobject", "dk_indices", offset_of!(Keys, indices)),
        ("PyDictUnicodeEntry", "me_key", offset_of!(UnicodeEntry, key)),
        ("PyDictUnicodeEntry", "me_value", offset_of!(UnicodeEntry, value)),
        ("PyCodeObject", "co_nlocalsplus", offset_of!(Code, nlocalsplus)),
        ("struct _frame", "f_frame", offset_of!(FrameObject, frame)),
        ("_PyInterpreterFrame", "f_locals", offset_of!(InterpreterFrame, locals)),
        ("_PyInterpreterFrame", "frame_obj", offset_of!(InterpreterFrame, frame_obj)),
        ("_PyInterpreterFrame", "owner", offset_of!(InterpreterFrame, owner)),
        ("_PyInterpreterFrame", "localsplus", offset_of!(InterpreterFrame, localsplus)),
    ]);
    #[cfg(all(Py_3_11, not(Py_3_12)))]
    table.extend([
        ("_PyInterpreterFrame", "f_func", offset_of!(InterpreterFrame, func)),
        ("_PyInterpreterFrame", "f_code", offset_of!(InterpreterFrame, code)),
    ]);
    #[cfg(Py_3_12)]
    table.extend([
        ("_PyInterpreterFrame", "f_funcobj", offset_of!(InterpreterFrame, func)),
        (
            "_PyInterpreterFrame",
            if cfg!(Py_3_13) { "f_executable" } else { "f_code" },
            offset_of!(InterpreterFrame, code),
        ),
    ]);
    #[cfg(all(Py_3_11, not(Py_3_14)))]
    table.push(("_PyInterpreterFrame", "stacktop", offset_of!(InterpreterFrame, stacktop)));
    #[cfg(Py_3_14)]
    table.push(("_PyInterpreterFrame", "stackpointer", offset_of!(InterpreterFrame, stackpointer)));
    #[cfg(Py_3_13)]
    table.extend([
        ("struct _dictvalues", "capacity", offset_of!(Values, capacity)),
        ("struct _dictvalues", "size", offset_of!(Values, size)),
        ("struct _dictvalues", "valid", offset_of!(Values, valid)),
        ("struct _dictvalues", "values", offset_of!(Values, values)),
    ]);
    table
}

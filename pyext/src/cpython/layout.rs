//! The layouts mirrored in this folder, as numbers: for the tests, which ask each CPython's own headers for the same.

use std::mem::offset_of;

use super::frame::Code;
#[cfg(Py_3_11)]
use super::frame::{FrameObject, InterpreterFrame};
#[cfg(Py_3_11)]
use super::inline_values::Keys;
#[cfg(Py_3_13)]
use super::inline_values::Values;

/// `(structure, field, offset in bytes)`, named as CPython's headers name them.
pub fn table() -> Vec<(&'static str, &'static str, usize)> {
    #[cfg_attr(not(Py_3_11), expect(unused_mut, reason = "what follows is for later versions"))]
    let mut table = vec![
        ("PyCodeObject", "co_filename", offset_of!(Code, filename)),
        ("PyCodeObject", "co_name", offset_of!(Code, name)),
    ];
    #[cfg(Py_3_11)]
    table.extend([
        ("struct _dictkeysobject", "dk_log2_index_bytes", offset_of!(Keys, log2_index_bytes)),
        ("struct _dictkeysobject", "dk_kind", offset_of!(Keys, kind)),
        ("struct _dictkeysobject", "dk_usable", offset_of!(Keys, usable)),
        ("struct _dictkeysobject", "dk_nentries", offset_of!(Keys, nentries)),
        ("struct _dictkeysobject", "dk_indices", offset_of!(Keys, indices)),
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

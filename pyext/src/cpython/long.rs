//! `longobject.h`: the value of an int.

use pyo3::ffi;

use super::Object;

/// The value of an int (or of an instance of a subclass), if it fits.
///
/// Of an int, `PyLong_AsLongLongAndOverflow` reads the digits and no more: no error is set for one that is too large.
pub fn value(int: Object<'_>) -> Option<i64> {
    if !int.ty().has_flag(ffi::Py_TPFLAGS_LONG_SUBCLASS) {
        return None;
    }
    let mut overflow = 0;
    // SAFETY: the flag says it is an int.
    let value = unsafe { ffi::PyLong_AsLongLongAndOverflow(int.as_ptr(), &raw mut overflow) };
    (overflow == 0).then_some(value)
}

/// Whether a bool is `True`.
pub fn is_true(object: Object<'_>) -> bool {
    // SAFETY: reading a static's address.
    object.as_ptr() == unsafe { ffi::Py_True() }
}

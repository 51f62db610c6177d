//! `cpython/funcobject.h`: what a Python function is made of.

use pyo3::ffi;

use super::Object;

impl<'h> Object<'h> {
    /// `__name__` of a Python function.
    pub fn function_name(self) -> Option<Object<'h>> {
        // SAFETY: callers ask only functions; a function keeps its name alive.
        unsafe { self.field((*self.as_ptr().cast::<ffi::PyFunctionObject>()).func_name) }
    }

    /// The code of a Python function.
    pub fn function_code(self) -> Option<Object<'h>> {
        // SAFETY: callers ask only functions; a function keeps its code alive.
        unsafe { self.field((*self.as_ptr().cast::<ffi::PyFunctionObject>()).func_code) }
    }

    /// The namespace in which a Python function runs.
    pub fn function_globals(self) -> Option<Object<'h>> {
        // SAFETY: as above, of its globals.
        unsafe { self.field((*self.as_ptr().cast::<ffi::PyFunctionObject>()).func_globals) }
    }
}

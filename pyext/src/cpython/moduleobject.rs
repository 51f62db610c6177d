//! `moduleobject.h`: a module's namespace and name.

use pyo3::ffi;

use super::{Object, dict};

impl<'h> Object<'h> {
    /// The namespace of a module.
    pub fn module_dict(self) -> Option<Object<'h>> {
        // SAFETY: callers ask only modules; a module keeps its dict alive.
        unsafe { self.field(ffi::PyModule_GetDict(self.as_ptr())) }
    }

    /// `__name__` of a module, as its dict has it.
    pub fn module_name(self) -> Option<Object<'h>> {
        dict::entries(self.module_dict()?).find(|(key, _)| key.str_equals("__name__")).map(|(_, name)| name)
    }
}

//! `objimpl.h`: keeping the collector from running while a heap is looked at. Does not know its lists (see [`super::gc`]).

#[cfg(Py_3_10)]
use pyo3::ffi;
use pyo3::prelude::*;

/// The collector's switches. None of them runs Python code, whatever the `gc` module's names stand for by now.
#[derive(Clone, Copy)]
pub struct Collector {
    #[cfg(not(Py_3_10))]
    functions: functions::Functions,
}

/// Keeps the collector off while it lives.
pub struct CollectorOff {
    collector: Collector,
    was_on: bool,
}

impl Collector {
    /// Finds the switches.
    ///
    /// # Errors
    /// A `gc` module that is not CPython's.
    #[cfg_attr(Py_3_10, expect(clippy::unnecessary_wraps, reason = "3.9 has to look for them"))]
    pub fn new(_py: Python<'_>) -> PyResult<Collector> {
        Ok(Collector {
            #[cfg(not(Py_3_10))]
            functions: functions::Functions::find(_py)?,
        })
    }

    /// Switches the collector off, until the guard is dropped.
    ///
    /// # Safety
    /// Until then this thread may use the interpreter: it holds the GIL, or this is a forked copy with one thread.
    pub unsafe fn off(self) -> CollectorOff {
        // SAFETY: the caller's promise.
        let was_on = unsafe { self.disable() };
        CollectorOff { collector: self, was_on }
    }

    /// Returns whether it was on.
    #[cfg(Py_3_10)]
    unsafe fn disable(self) -> bool {
        // SAFETY: the caller may use the interpreter.
        unsafe { ffi::PyGC_Disable() != 0 }
    }

    #[cfg(Py_3_10)]
    unsafe fn enable(self) {
        // SAFETY: the caller may use the interpreter.
        unsafe { ffi::PyGC_Enable() };
    }

    #[cfg(not(Py_3_10))]
    unsafe fn disable(self) -> bool {
        // SAFETY: the caller may use the interpreter.
        unsafe {
            let was_on = self.functions.is_enabled.call();
            self.functions.disable.call();
            was_on
        }
    }

    #[cfg(not(Py_3_10))]
    unsafe fn enable(self) {
        // SAFETY: the caller may use the interpreter.
        unsafe { self.functions.enable.call() };
    }
}

impl Drop for CollectorOff {
    fn drop(&mut self) {
        if self.was_on {
            // SAFETY: whoever made the guard has promised that the interpreter may be used while it lives.
            unsafe { self.collector.enable() };
        }
    }
}

/// What 3.9 has no C API for: the functions behind `gc.disable`, `gc.enable`, `gc.isenabled`, from the definition of
/// the module, which nobody replaces.
#[cfg(not(Py_3_10))]
mod functions {
    use std::ffi::CStr;

    use pyo3::exceptions::PyRuntimeError;
    use pyo3::ffi;
    use pyo3::prelude::*;

    /// The three functions.
    #[derive(Clone, Copy)]
    pub struct Functions {
        pub disable: Function,
        pub enable: Function,
        pub is_enabled: Function,
    }

    /// A function of the `gc` module that takes no arguments and looks at none, its module included.
    #[derive(Clone, Copy)]
    pub struct Function(ffi::PyCFunction);

    impl Functions {
        pub fn find(py: Python<'_>) -> PyResult<Functions> {
            let gc = py.import("gc")?;
            // SAFETY: a module; its definition is static and ends with an entry without a name.
            let find = |name: &CStr| unsafe {
                let definition = ffi::PyModule_GetDef(gc.as_ptr());
                let mut method = if definition.is_null() { std::ptr::null_mut() } else { (*definition).m_methods };
                while !method.is_null() && !(*method).ml_name.is_null() {
                    if CStr::from_ptr((*method).ml_name) == name && (*method).ml_flags == ffi::METH_NOARGS {
                        return Ok(Function((*method).ml_meth.PyCFunction));
                    }
                    method = method.add(1);
                }
                ffi::PyErr_Clear();
                Err(PyRuntimeError::new_err("the module gc is not CPython's own: heapsee cannot walk this heap"))
            };
            Ok(Functions { disable: find(c"disable")?, enable: find(c"enable")?, is_enabled: find(c"isenabled")? })
        }
    }

    impl Function {
        /// Calls the function; true if it returned `True`.
        ///
        /// # Safety
        /// This thread may use the interpreter.
        pub unsafe fn call(self) -> bool {
            // SAFETY: the functions return True, False or None.
            unsafe {
                let result = (self.0)(std::ptr::null_mut(), std::ptr::null_mut());
                if result.is_null() {
                    ffi::PyErr_Clear();
                    return false;
                }
                let is_true = result == ffi::Py_True();
                ffi::Py_DECREF(result);
                is_true
            }
        }
    }
}

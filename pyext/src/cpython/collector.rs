//! `objimpl.h`: keeping the collector from running while a heap is looked at.

use pyo3::prelude::*;

use super::gc::Lists;
use switch::{Before, Switch};

/// The collector's switch. It runs no Python code, whatever the `gc` module's names stand for by now.
#[derive(Clone, Copy)]
pub struct Collector(Switch);

/// Keeps the collector off while it lives.
pub struct CollectorOff {
    switch: Switch,
    before: Before,
}

impl Collector {
    /// Finds the switch. Nothing is made or imported where the collector's lists are known.
    ///
    /// # Errors
    /// A `gc` module that is not CPython's.
    pub fn new(py: Python<'_>, lists: Option<&Lists>) -> PyResult<Collector> {
        Switch::find(py, lists).map(Collector)
    }

    /// Switches the collector off, until the guard is dropped.
    ///
    /// # Safety
    /// Until then this thread may use the interpreter: it holds the GIL, or this is a forked copy with one thread.
    pub unsafe fn off(self) -> CollectorOff {
        // SAFETY: the caller's promise.
        CollectorOff { switch: self.0, before: unsafe { self.0.off() } }
    }
}

impl Drop for CollectorOff {
    fn drop(&mut self) {
        // SAFETY: the caller of `off` has promised that the interpreter may be used while it lives.
        unsafe { self.switch.back(self.before) };
    }
}

/// From 3.10 on, CPython has functions for it.
#[cfg(Py_3_10)]
mod switch {
    use pyo3::ffi;
    use pyo3::prelude::*;

    use super::Lists;

    /// Nothing has to be found.
    #[derive(Clone, Copy)]
    pub struct Switch;

    /// Whether the collector was on.
    #[derive(Clone, Copy)]
    pub struct Before(bool);

    impl Switch {
        /// There is nothing to be found.
        #[expect(clippy::unnecessary_wraps, reason = "3.9 has to look for it")]
        pub fn find(_py: Python<'_>, _lists: Option<&Lists>) -> PyResult<Switch> {
            Ok(Switch)
        }

        /// Switches it off.
        ///
        /// # Safety
        /// This thread may use the interpreter.
        pub unsafe fn off(self) -> Before {
            // SAFETY: the caller's promise.
            Before(unsafe { ffi::PyGC_Disable() != 0 })
        }

        /// Has it as it was before.
        ///
        /// # Safety
        /// This thread may use the interpreter.
        pub unsafe fn back(self, Before(was_on): Before) {
            if was_on {
                // SAFETY: the caller's promise.
                unsafe { ffi::PyGC_Enable() };
            }
        }
    }
}

/// What 3.9 has no C API for.
#[cfg(not(Py_3_10))]
mod switch {
    use std::ffi::CStr;

    use pyo3::exceptions::PyRuntimeError;
    use pyo3::ffi;
    use pyo3::prelude::*;

    use super::Lists;

    /// How the collector is switched off.
    #[derive(Clone, Copy)]
    pub enum Switch {
        /// By the threshold of its first generation, at this address: at 0 it does not begin.
        Threshold(usize),
        /// By functions, where nobody knows where that is.
        Functions(Functions),
    }

    /// What was before the collector was switched off.
    #[derive(Clone, Copy)]
    pub enum Before {
        /// The threshold.
        Threshold(i32),
        /// Whether the collector was on.
        On(bool),
    }

    impl Switch {
        /// Finds the better way that there is.
        pub fn find(py: Python<'_>, lists: Option<&Lists>) -> PyResult<Switch> {
            Ok(match lists {
                Some(lists) => Switch::Threshold(lists.threshold()),
                None => Switch::Functions(Functions::find(py)?),
            })
        }

        /// Switches it off.
        ///
        /// # Safety
        /// This thread may use the interpreter.
        pub unsafe fn off(self) -> Before {
            // SAFETY: the caller's promise; the collector's state lives as long as the interpreter.
            unsafe {
                match self {
                    Switch::Threshold(at) => Before::Threshold((at as *mut i32).replace(0)),
                    Switch::Functions(functions) => {
                        let was_on = functions.is_enabled.call();
                        functions.disable.call();
                        Before::On(was_on)
                    }
                }
            }
        }

        /// Has it as it was before.
        ///
        /// # Safety
        /// This thread may use the interpreter.
        pub unsafe fn back(self, before: Before) {
            // SAFETY: as in `off`, which has given `before`.
            unsafe {
                match (self, before) {
                    (Switch::Threshold(at), Before::Threshold(threshold)) => (at as *mut i32).write(threshold),
                    (Switch::Functions(functions), Before::On(true)) => {
                        functions.enable.call();
                    }
                    _ => {}
                }
            }
        }
    }

    /// The functions behind `gc.disable`, `gc.enable`, `gc.isenabled`, from the definition of the module, which nobody
    /// replaces.
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
        /// Finds them.
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

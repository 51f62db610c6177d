//! `internal/pycore_gc.h`: the lists in which the collector keeps what it tracks.
//!
//! A tracked object has a header of two words before it, which links it into the list of its generation. The lists'
//! heads lie in the interpreter's state, at an offset that differs between versions and builds. It need not be known:
//! a newly tracked object is the last of the young list, so its next is that list's head, and the others follow at
//! fixed distances.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyList;

use super::{Object, StillHeap};

/// `PyGC_Head`. The low two bits of both words are the collector's flags.
#[repr(C)]
struct Head {
    next: usize,
    prev: usize,
}

/// `struct gc_generation`.
#[repr(C)]
struct Generation {
    head: Head,
    threshold: i32,
    count: i32,
}

/// The start of what `struct _gc_runtime_state` has from its first generation on, up to 3.13.
#[cfg(not(Py_3_14))]
#[repr(C)]
struct Generations {
    generations: [Generation; 3],
    generation0: usize,
    permanent: Generation,
}

/// The same in 3.14: young, two spaces of the old one, permanent.
#[cfg(Py_3_14)]
#[repr(C)]
struct Generations {
    generations: [Generation; 3],
    permanent: Generation,
}

const FLAGS: usize = 3;
const HEAD_SIZE: usize = size_of::<Head>();

/// Where the lists of an interpreter begin: three generations and the permanent one (`gc.freeze()`).
#[derive(Clone, Copy, Debug)]
pub struct Lists {
    heads: [usize; 4],
}

impl Lists {
    /// Finds the lists; `None` if memory is not laid out as expected.
    pub fn find(py: Python<'_>) -> Option<Lists> {
        let newest = PyList::empty(py);
        let header = newest.as_ptr().addr().checked_sub(HEAD_SIZE)?;
        // SAFETY: a list was just made, so it is tracked and has a header.
        let young = unsafe { (*(header as *const Head)).next } & !FLAGS;
        let base = young as *const Generations;
        if young == 0 || !base.is_aligned() {
            return None;
        }
        // SAFETY: the young list's head is the first generation of the collector's state; what follows it there is
        // part of the same structure in every version, so it may be read, and is trusted only after the check below.
        let lists = unsafe {
            #[cfg(not(Py_3_14))]
            if (*base).generation0 != young {
                return None;
            }
            Lists {
                heads: [
                    young,
                    (&raw const (*base).generations[1].head).addr(),
                    (&raw const (*base).generations[2].head).addr(),
                    (&raw const (*base).permanent.head).addr(),
                ],
            }
        };
        lists.hold_together(py).then_some(lists)
    }

    /// Whether each head is linked from both sides, and the permanent list is as long as `gc.get_freeze_count()` says.
    fn hold_together(&self, py: Python<'_>) -> bool {
        let linked = self.heads.iter().all(|&head| {
            // SAFETY: `find` reads only from the collector's state; the links of a true head are headers. A false
            // one is caught by the first test that differs: its words must point to headers that point back.
            unsafe {
                let Head { next, prev } = *(head as *const Head);
                let (next, prev) = (next & !FLAGS, prev & !FLAGS);
                next != 0
                    && prev != 0
                    && (*(next as *const Head)).prev & !FLAGS == head
                    && (*(prev as *const Head)).next & !FLAGS == head
            }
        });
        linked && self.freeze_count(py).is_ok_and(|count| count == self.list(self.heads[3]).count())
    }

    fn freeze_count(&self, py: Python<'_>) -> PyResult<usize> {
        py.import("gc")?.call_method0("get_freeze_count")?.extract()
    }

    /// Every object in the lists.
    pub fn objects<'h>(&self, heap: &'h StillHeap) -> impl Iterator<Item = Object<'h>> {
        // SAFETY: behind every header of a list lies a live object.
        self.heads
            .into_iter()
            .flat_map(|head| self.list(head))
            .filter_map(|header| unsafe { Object::from_ptr(heap, (header + HEAD_SIZE) as *mut ffi::PyObject) })
    }

    /// The headers of one list.
    fn list(&self, head: usize) -> impl Iterator<Item = usize> + use<> {
        let mut at = head;
        std::iter::from_fn(move || {
            // SAFETY: starts at a head that `find` has checked and follows the links of a list that holds still.
            at = unsafe { (*(at as *const Head)).next } & !FLAGS;
            (at != head && at != 0).then_some(at)
        })
    }
}

/// Switches the collector off while it lives, by calling what `gc.disable` is in C: no Python code runs.
pub struct CollectorOff {
    enable: Option<Switch>,
}

/// One of the `gc` module's functions without arguments.
#[derive(Clone, Copy)]
struct Switch {
    function: ffi::PyCFunction,
    module: *mut ffi::PyObject,
}

/// The `gc` module's `disable`, `enable` and `isenabled`, looked up once.
pub struct CollectorSwitches {
    disable: Switch,
    enable: Switch,
    is_enabled: Switch,
}

// SAFETY: the pointers are to the gc module and its functions, which are never freed, and used only with the GIL.
unsafe impl Send for CollectorSwitches {}
// SAFETY: as above.
unsafe impl Sync for CollectorSwitches {}

impl CollectorSwitches {
    /// Looks the functions up.
    ///
    /// # Errors
    /// A `gc` module that is not CPython's.
    pub fn new(py: Python<'_>) -> PyResult<CollectorSwitches> {
        let gc = py.import("gc")?;
        let switch = |name: &str| -> PyResult<Switch> {
            let function = gc.getattr(name)?;
            // SAFETY: the check comes before the reads; the module keeps its functions alive, and it is never
            // unloaded (the reference below is given away for good).
            unsafe {
                if ffi::PyCFunction_Check(function.as_ptr()) == 0 {
                    return Err(pyo3::exceptions::PyRuntimeError::new_err(format!("gc.{name} has been replaced")));
                }
                let module = ffi::PyCFunction_GetSelf(function.as_ptr());
                let found = ffi::PyCFunction_GetFunction(function.as_ptr());
                std::mem::forget(function);
                found.map(|function| Switch { function, module }).ok_or_else(|| PyErr::fetch(py))
            }
        };
        Ok(CollectorSwitches {
            disable: switch("disable")?,
            enable: switch("enable")?,
            is_enabled: switch("isenabled")?,
        })
    }

    /// Switches the collector off, until the guard is dropped.
    pub fn off(&self, _heap: &StillHeap) -> CollectorOff {
        // SAFETY: a StillHeap is made only where this thread may use the interpreter.
        unsafe {
            let was_on = self.is_enabled.call();
            self.disable.call();
            CollectorOff { enable: was_on.then_some(self.enable) }
        }
    }
}

impl Switch {
    /// Calls the function; true if it returned `True`.
    ///
    /// # Safety
    /// This thread may use the interpreter.
    unsafe fn call(self) -> bool {
        // SAFETY: METH_NOARGS functions of the gc module, which return True, False or None.
        unsafe {
            let result = (self.function)(self.module, std::ptr::null_mut());
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

impl Drop for CollectorOff {
    fn drop(&mut self) {
        if let Some(enable) = self.enable {
            // SAFETY: made while this thread could use the interpreter, and bound to the same piece of code.
            unsafe { enable.call() };
        }
    }
}

//! `internal/pycore_gc.h`: the lists in which the collector keeps what it tracks.
//!
//! A tracked object has a header of two words before it, which links it into the list of its generation. The lists'
//! heads lie in the interpreter's state, at an offset that differs between versions and builds. It need not be known:
//! a newly tracked object is the last of the young list, so its next is that list's head, and the others follow at
//! fixed distances.

use std::mem::offset_of;

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

/// The layouts above for [`super::layout`]; those of the collector's state count from its first generation on.
pub(super) fn layout() -> impl Iterator<Item = (&'static str, &'static str, usize)> {
    [
        ("PyGC_Head", "_gc_next", offset_of!(Head, next)),
        ("PyGC_Head", "_gc_prev", offset_of!(Head, prev)),
        ("struct gc_generation", "threshold", offset_of!(Generation, threshold)),
        ("struct gc_generation", "count", offset_of!(Generation, count)),
        #[cfg(not(Py_3_14))]
        ("struct _gc_runtime_state", "generation0", offset_of!(Generations, generation0)),
        ("struct _gc_runtime_state", "permanent_generation", offset_of!(Generations, permanent)),
    ]
    .into_iter()
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

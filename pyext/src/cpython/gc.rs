//! `internal/pycore_gc.h`: the lists in which the collector keeps what it tracks.
//!
//! A tracked object has a header of two words before it, which links it into the list of its generation. The lists'
//! heads lie in the interpreter's state, at an offset that differs between versions and builds. It need not be known:
//! four heads that stand at distances which are one of two, each linked from both sides, are found by looking. Nothing is
//! made for that, and nothing imported: it can be done in a copy of a process that knows nothing of heapsee.

use std::mem::offset_of;

use pyo3::ffi;
use pyo3::prelude::*;

use super::peek;
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
#[repr(C)]
struct Apart {
    generations: [Generation; 3],
    generation0: usize,
    permanent: Generation,
}

/// The same from 3.14 on. The three are generations again from 3.14.5 on; before, they were young and two spaces of the
/// old. An object is in one of them in either case, and new ones go to the first.
#[repr(C)]
struct InARow {
    generations: [Generation; 3],
    permanent: Generation,
}

/// The layouts above for [`super::layout`]; those of the collector's state count from its first generation on.
pub(super) fn layout() -> impl Iterator<Item = (&'static str, &'static str, usize)> {
    let permanent = if cfg!(Py_3_14) { offset_of!(InARow, permanent) } else { offset_of!(Apart, permanent) };
    [
        ("PyGC_Head", "_gc_next", offset_of!(Head, next)),
        ("PyGC_Head", "_gc_prev", offset_of!(Head, prev)),
        ("struct gc_generation", "threshold", offset_of!(Generation, threshold)),
        ("struct gc_generation", "count", offset_of!(Generation, count)),
        #[cfg(not(Py_3_14))]
        ("struct _gc_runtime_state", "generation0", offset_of!(Apart, generation0)),
        ("struct _gc_runtime_state", "permanent_generation", permanent),
    ]
    .into_iter()
}

const FLAGS: usize = 3;
const HEAD_SIZE: usize = size_of::<Head>();

/// How far into the interpreter's state its collector is looked for.
const REACH: usize = 1 << 16;

/// Where the lists of an interpreter begin: three generations and the permanent one (`gc.freeze()`).
#[derive(Clone, Copy, Debug)]
pub struct Lists {
    heads: [usize; 4],
}

impl Lists {
    /// Finds the lists in the state of the interpreter; `None` if memory is not laid out as expected.
    pub fn find(_py: Python<'_>) -> Option<Lists> {
        // SAFETY: this thread may use the interpreter.
        let state = unsafe { ffi::PyInterpreterState_Get() }.addr();
        // What cannot be a link need not be looked at any further: most words are no addresses.
        let may_be_head =
            |&at: &usize| word(at).is_some_and(|next| next != 0 && next.is_multiple_of(align_of::<Head>()));
        let heads = (state..state + REACH).step_by(size_of::<usize>()).filter(may_be_head);
        // SAFETY: `at` looks before it believes, and no list of the collector changes while this thread has the GIL.
        heads.filter_map(|at| unsafe { Lists::at(at, None) }).find(Lists::hold_objects)
    }

    /// Whether what the lists begin with are objects, as far as the kernel lets us look.
    fn hold_objects(&self) -> bool {
        self.heads.into_iter().filter_map(|head| self.list(head).next()).all(|header| {
            let ty = word(header + HEAD_SIZE + offset_of!(ffi::PyObject, ob_type));
            ty.is_some_and(|ty| peek::may_be_type(ty as u64))
        })
    }

    /// The lists of a collector whose young list's head is at `young`, if they hold together and the permanent one is
    /// `frozen` long, where that is known. Which layout it is does not go by the version that this was built for: an
    /// extension built for one release runs on the others of that minor version, and the collector has changed between
    /// them.
    ///
    /// # Safety
    /// Nobody changes memory that can be read at `young`, nor lists that begin there.
    pub unsafe fn at(young: usize, frozen: Option<usize>) -> Option<Lists> {
        if young == 0 || !young.is_multiple_of(align_of::<Apart>()) {
            return None;
        }
        // In a row, that word would lead to a frozen object or to the permanent list's own head.
        let is_apart = word(young + offset_of!(Apart, generation0)) == Some(young);
        let permanent = if is_apart { offset_of!(Apart, permanent) } else { offset_of!(InARow, permanent) };
        let generation = |i: usize| young + i * size_of::<Generation>();
        let lists = Lists { heads: [generation(0), generation(1), generation(2), young + permanent] };
        let holds = lists.heads.into_iter().all(is_linked)
            && frozen.is_none_or(|frozen| frozen == lists.list(lists.heads[3]).count());
        holds.then_some(lists)
    }

    /// Every object in the lists.
    pub fn objects<'h>(&self, heap: &'h StillHeap) -> impl Iterator<Item = Object<'h>> {
        // SAFETY: behind every header of a list lies a live object.
        self.heads
            .into_iter()
            .flat_map(|head| self.list(head))
            .filter_map(|header| unsafe { Object::from_ptr(heap, (header + HEAD_SIZE) as *mut ffi::PyObject) })
    }

    /// Where the threshold of the first generation stands: at 0 nothing is collected.
    #[cfg(not(Py_3_10))]
    pub(super) fn threshold(&self) -> usize {
        self.heads[0] + offset_of!(Generation, threshold)
    }

    /// Where the objects of each list lie, for [`crate::api`]'s tests.
    pub fn addresses(&self) -> [Vec<usize>; 4] {
        self.heads.map(|head| self.list(head).map(|header| header + HEAD_SIZE).collect())
    }

    /// The headers of one list.
    fn list(&self, head: usize) -> impl Iterator<Item = usize> + use<> {
        let mut at = head;
        std::iter::from_fn(move || {
            // SAFETY: starts at a head that `at` has checked and follows the links of a list that holds still.
            at = unsafe { (*(at as *const Head)).next } & !FLAGS;
            (at != head && at != 0).then_some(at)
        })
    }
}

/// Whether the head is linked from both sides.
fn is_linked(head: usize) -> bool {
    let links =
        |at: usize| Some((word(at + offset_of!(Head, next))? & !FLAGS, word(at + offset_of!(Head, prev))? & !FLAGS));
    links(head).is_some_and(|(next, prev)| {
        links(next).is_some_and(|(_, back)| back == head) && links(prev).is_some_and(|(on, _)| on == head)
    })
}

/// The word at an address that may be none: of a collector that nobody has seen yet, what is taken for a list may be
/// anything.
fn word(address: usize) -> Option<usize> {
    if !address.is_multiple_of(align_of::<usize>()) {
        return None;
    }
    match peek::word_at(address as u64) {
        Ok(word) => word.and_then(|word| usize::try_from(word).ok()),
        // SAFETY: an aligned word, of which the kernel has just said that it can be read.
        Err(peek::Refused) => peek::is_readable(address).then(|| unsafe { *(address as *const usize) }),
    }
}

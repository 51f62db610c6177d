//! `cpython/pystate.h`: the interpreter's threads with their frames, and the dicts from which everything is reachable.

use pyo3::ffi;
use pyo3::prelude::*;

use super::frame;
use super::{Object, StillHeap, dict};

/// What is known of the interpreter before any walk. Addresses are kept as numbers: they say where, not who owns.
pub struct Interpreter {
    state: usize,
    sys_dict: usize,
    state_dict: usize,
    ident_at: Option<IdentAt>,
}

/// Where a thread state keeps its thread's ids: found by looking, since its structure differs in every version.
#[derive(Clone, Copy)]
struct IdentAt {
    /// Words from the start of the structure to `thread_id`.
    word: usize,
    /// Whether the next word is the kernel's id (from 3.11).
    native_follows: bool,
}

/// A thread's frames, innermost first; strong references, given back by [`Threads::release`].
pub struct HeldThread {
    /// `threading.get_ident()`, where known.
    pub ident: u64,
    /// The kernel's id, where known.
    pub native_id: Option<u64>,
    frames: Vec<*mut ffi::PyObject>,
}

/// All threads that run Python at a moment.
#[derive(Default)]
pub struct Threads(Vec<HeldThread>);

/// Dicts from which everything is reachable, as addresses.
pub struct RootDicts {
    /// `sys.modules`.
    pub modules: usize,
    others: [(&'static str, usize); 3],
}

impl Interpreter {
    /// Looks at the interpreter that this thread runs in. Makes nothing there.
    pub fn new(py: Python<'_>, heap: &StillHeap) -> Interpreter {
        // SAFETY: this thread holds the GIL, so it has a thread state and that an interpreter.
        let state = unsafe { ffi::PyInterpreterState_Get() };
        Interpreter { state: state.addr(), sys_dict: sys_dict(heap), state_dict: 0, ident_at: IdentAt::find(py) }
    }

    /// Takes the interpreter's own dict for a root. CPython makes one where there was none before.
    pub fn take_state_dict(&mut self, _py: Python<'_>) {
        // SAFETY: the GIL is held; the reference is borrowed.
        self.state_dict = unsafe { ffi::PyInterpreterState_GetDict(self.state as *mut ffi::PyInterpreterState) }.addr();
    }

    /// A thread state of the interpreter's, whosever.
    pub fn any_thread_state(&self) -> *mut ffi::PyThreadState {
        // SAFETY: an interpreter has a list of thread states as long as it lives; this reads its head.
        unsafe { ffi::PyInterpreterState_ThreadHead(self.state as *mut ffi::PyInterpreterState) }
    }

    /// Whether threads can be told by their ids.
    pub fn knows_thread_ids(&self) -> bool {
        self.ident_at.is_some()
    }

    /// Holds the frames of all threads. From 3.11 this makes the frame objects that nobody had asked for yet, as
    /// `sys._current_frames()` does.
    pub fn hold_threads(&self, _py: Python<'_>) -> Threads {
        let mut threads = Vec::new();
        // SAFETY: with the GIL held the list of thread states does not change and no thread runs Python; the frames
        // returned are new references.
        unsafe {
            let mut state = ffi::PyInterpreterState_ThreadHead(self.state as *mut ffi::PyInterpreterState);
            while !state.is_null() {
                let mut frames = Vec::new();
                let mut frame = ffi::PyThreadState_GetFrame(state);
                while !frame.is_null() {
                    frames.push(frame.cast());
                    frame = ffi::PyFrame_GetBack(frame);
                }
                if !frames.is_empty() {
                    let (ident, native_id) = self.ident_at.map_or((0, None), |at| at.read(state));
                    threads.push(HeldThread { ident, native_id, frames });
                }
                state = ffi::PyThreadState_Next(state);
            }
        }
        Threads(threads)
    }

    /// The dicts from which everything is reachable.
    pub fn root_dicts(&self, _py: Python<'_>) -> RootDicts {
        // SAFETY: the GIL is held; both are borrowed references, kept as addresses.
        unsafe {
            RootDicts {
                modules: ffi::PyImport_GetModuleDict().addr(),
                others: [
                    ("sys.__dict__", self.sys_dict),
                    ("builtins.__dict__", ffi::PyEval_GetBuiltins().addr()),
                    ("interpreter", self.state_dict),
                ],
            }
        }
    }
}

/// The modules by name: `sys.modules`.
pub fn modules(heap: &StillHeap) -> Option<Object<'_>> {
    // SAFETY: who has a `StillHeap` may use the interpreter; the reference is borrowed.
    unsafe { Object::from_ptr(heap, ffi::PyImport_GetModuleDict()) }
}

/// The namespace of `sys`; 0: somebody has taken it from the modules.
fn sys_dict(heap: &StillHeap) -> usize {
    let mut entries = modules(heap).into_iter().flat_map(dict::entries);
    let sys = entries.find(|(name, _)| name.str_equals("sys")).map(|(_, sys)| sys);
    let namespace = sys.filter(|sys| sys.ty().derives_from_module()).and_then(Object::module_dict);
    namespace.map_or(0, |namespace| namespace.as_ptr().addr())
}

impl RootDicts {
    /// The dicts that are there, with their names.
    pub fn objects<'h>(&self, heap: &'h StillHeap) -> impl Iterator<Item = (&'static str, Object<'h>)> {
        [("sys.modules", self.modules)].into_iter().chain(self.others).filter_map(|(label, address)| {
            // SAFETY: read from the interpreter at the moment at which the heap was stopped.
            unsafe { Object::from_ptr(heap, address as *mut ffi::PyObject) }.map(|object| (label, object))
        })
    }
}

impl IdentAt {
    /// Looks for this thread's own id in its own thread state.
    fn find(_py: Python<'_>) -> Option<IdentAt> {
        /// The structure is longer than that in every version, and has both ids well before.
        const WORDS: usize = 32;
        // SAFETY: asks the C library who this thread is.
        let ident = usize::try_from(unsafe { ffi::PyThread_get_thread_ident() }).ok()?;
        // SAFETY: the GIL is held; the first words of the present thread's state may be read.
        let words = unsafe { std::slice::from_raw_parts(ffi::PyThreadState_Get().cast::<usize>(), WORDS) };
        let word = words.iter().position(|&word| word == ident)?;
        // SAFETY: gettid has no preconditions.
        let native = usize::try_from(unsafe { nix::libc::gettid() }).ok();
        let native_follows = cfg!(Py_3_11) && words.get(word + 1).copied() == native;
        Some(IdentAt { word, native_follows })
    }

    /// # Safety
    /// `state` is a live thread state.
    unsafe fn read(self, state: *mut ffi::PyThreadState) -> (u64, Option<u64>) {
        // SAFETY: `find` has read the same words of such a structure.
        unsafe {
            let words = state.cast::<usize>();
            let native = self.native_follows.then(|| *words.add(self.word + 1) as u64);
            (*words.add(self.word) as u64, native)
        }
    }
}

impl HeldThread {
    /// The frames, innermost first.
    pub fn frames<'h>(&self, heap: &'h StillHeap) -> impl Iterator<Item = Object<'h>> {
        // SAFETY: strong references are held.
        self.frames.iter().filter_map(|&frame| unsafe { Object::from_ptr(heap, frame) })
    }
}

impl Threads {
    /// The threads.
    pub fn iter(&self) -> impl Iterator<Item = &HeldThread> {
        self.0.iter()
    }

    /// Gives the frames back.
    pub fn release(self, _py: Python<'_>) {
        for frame in self.0.into_iter().flat_map(|thread| thread.frames) {
            // SAFETY: held since `hold_threads`, and the GIL is held.
            unsafe { ffi::Py_DECREF(frame) };
        }
    }
}

/// Whether running frames are laid out as [`frame`] believes.
pub fn frames_fit(heap: &StillHeap, threads: &Threads) -> bool {
    threads
        .iter()
        .flat_map(|thread| thread.frames(heap))
        .all(|frame| frame::layout_fits(frame, |name| !name.is_empty()))
}

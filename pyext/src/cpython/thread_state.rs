//! `internal/pycore_pystate.h`: which thread state is the present one, for code that runs without the GIL.
//!
//! Much of CPython's API reads the present thread state. A thread without the GIL has none, and may not ask for one; in
//! a forked copy of a process whose GIL could not be had, its only thread has to be given one all the same. Up to 3.11
//! a global says which is present, and `PyThreadState_Swap` sets it. From 3.12 a thread-local variable does, and the
//! function waits for the GIL: so the variable's place is found by looking, and set directly. From 3.15 a second variable
//! says which interpreter is the present one, and most of CPython reads that; it is found and set in the same way.

use pyo3::ffi;
use pyo3::prelude::*;

/// Where threads keep their present thread state.
#[derive(Clone, Copy)]
pub struct Variable {
    #[cfg(Py_3_12)]
    state: usize,
    #[cfg(Py_3_15)]
    interpreter: usize,
}

/// The present thread's variable.
#[derive(Clone, Copy)]
pub struct PresentState {
    #[cfg(Py_3_12)]
    state: *mut usize,
    #[cfg(Py_3_15)]
    interpreter: *mut usize,
}

#[cfg(not(Py_3_12))]
impl Variable {
    /// There is nothing to be found.
    #[expect(clippy::unnecessary_wraps, reason = "later versions have to look for it")]
    pub fn find(_py: Python<'_>) -> Option<Variable> {
        Some(Variable {})
    }

    /// See the module's text.
    #[expect(clippy::unnecessary_wraps, reason = "later versions may have none")]
    pub fn of_this_thread(self) -> Option<PresentState> {
        Some(PresentState {})
    }
}

#[cfg(not(Py_3_12))]
impl PresentState {
    /// Makes `state` the present one.
    ///
    /// # Safety
    /// This is a forked copy with one thread; `state` is one of its interpreter's.
    pub unsafe fn set(self, state: *mut ffi::PyThreadState) {
        // SAFETY: up to 3.11 this stores the pointer and no more; nobody else runs here (the caller).
        unsafe { ffi::PyThreadState_Swap(state) };
    }
}

#[cfg(Py_3_12)]
impl Variable {
    /// Looks for the present thread state among the thread-local variables of the module that CPython is in: the word
    /// that holds it with the GIL, and does not without. In the same way for the interpreter.
    pub fn find(py: Python<'_>) -> Option<Variable> {
        // SAFETY: the GIL is held.
        let state = unsafe { ffi::PyThreadState_Get() }.addr();
        Some(Variable {
            state: find_word(py, state)?,
            #[cfg(Py_3_15)]
            // SAFETY: the GIL is held.
            interpreter: find_word(py, unsafe { ffi::PyInterpreterState_Get() }.addr())?,
        })
    }

    /// The variable of the present thread. Takes the loader's lock: not for a forked copy.
    pub fn of_this_thread(self) -> Option<PresentState> {
        let words = tls::block()?.words();
        let place = |word: usize| (word < words.len).then(|| words.start.wrapping_add(word).cast_mut());
        Some(PresentState {
            state: place(self.state)?,
            #[cfg(Py_3_15)]
            interpreter: place(self.interpreter)?,
        })
    }
}

/// The one thread-local word that is `value` while this thread has the GIL, and something else while it has not.
#[cfg(Py_3_12)]
fn find_word(py: Python<'_>, value: usize) -> Option<usize> {
    let words = tls::block()?.words();
    let (start, len) = (words.start.addr(), words.len);
    // SAFETY: the words are this thread's own, and it reads them itself.
    let holding = |at: &usize| unsafe { (start as *const usize).add(*at).read_volatile() } == value;
    let mut found: Vec<usize> = (0..len).filter(holding).collect();
    py.detach(|| found.retain(|at| !holding(at)));
    match found[..] {
        [one] => Some(one),
        _ => None,
    }
}

#[cfg(Py_3_12)]
impl PresentState {
    /// Makes `state` the present one.
    ///
    /// # Safety
    /// This is a forked copy with one thread, the copy of the one that the place was looked up for; `state` is one of
    /// its interpreter's.
    pub unsafe fn set(self, state: *mut ffi::PyThreadState) {
        // SAFETY: `find` has seen that these words are where CPython keeps both; the thread is the same (the caller).
        unsafe {
            self.state.write_volatile(state.addr());
            #[cfg(Py_3_15)]
            self.interpreter.write_volatile(ffi::PyThreadState_GetInterpreter(state).addr());
        }
    }
}

/// The thread-local variables of the module (program or library) that CPython is in.
#[cfg(Py_3_12)]
mod tls {
    use std::ffi::{c_int, c_void};

    use pyo3::ffi;

    /// A module's thread-local variables, as the present thread has them.
    #[derive(Clone, Copy)]
    pub struct Block {
        start: usize,
        size: usize,
    }

    /// The same in whole words.
    pub struct Words {
        pub start: *const usize,
        pub len: usize,
    }

    impl Block {
        /// Those of its words that are whole.
        pub fn words(self) -> Words {
            let start = self.start.next_multiple_of(size_of::<usize>());
            let len = (self.start + self.size).saturating_sub(start) / size_of::<usize>();
            Words { start: start as *const usize, len }
        }
    }

    /// The block, if the module has one and this thread has it already.
    pub fn block() -> Option<Block> {
        let mut block: Option<Block> = None;
        // SAFETY: `look` is given the place it expects, and keeps it no longer than the call.
        unsafe { libc::dl_iterate_phdr(Some(look), (&raw mut block).cast()) };
        block.filter(|block| block.start != 0)
    }

    unsafe extern "C" fn look(info: *mut libc::dl_phdr_info, _size: usize, found: *mut c_void) -> c_int {
        // SAFETY: the loader describes a module with as many headers as it says, and `block` passes its place.
        unsafe {
            let info = &*info;
            let headers = std::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum));
            let address = ffi::PyThreadState_Get as *const () as u64;
            let holds = |header: &libc::Elf64_Phdr| {
                let start = info.dlpi_addr.wrapping_add(header.p_vaddr);
                header.p_type == libc::PT_LOAD && (start..start.wrapping_add(header.p_memsz)).contains(&address)
            };
            if !headers.iter().any(holds) {
                return 0;
            }
            if let Some(header) = headers.iter().find(|header| header.p_type == libc::PT_TLS) {
                let size = usize::try_from(header.p_memsz).unwrap_or(0);
                *found.cast::<Option<Block>>() = Some(Block { start: info.dlpi_tls_data.addr(), size });
            }
            1
        }
    }
}

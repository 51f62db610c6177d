//! `internal/pycore_runtime.h`: whether a signal waits for the main thread, which alone runs handlers written in Python.
//!
//! CPython's own handler, on whatever thread the kernel has chosen, only sets a flag, in another place in each version.
//! What is mirrored of `_PyRuntime` begins at `main_thread`; nothing is believed unless the main thread's id stands there.

use std::sync::atomic::Ordering::Relaxed;

use pyo3::prelude::*;

use super::fits;
use version::{MAIN_THREAD, Runtime};

/// Up to 3.11 the flag is the runtime's.
#[cfg(not(Py_3_12))]
mod version {
    use std::mem::offset_of;
    use std::sync::atomic::{AtomicI32, Ordering::Relaxed};

    /// From the beginning of the structure to `main_thread`, where it is known.
    pub const MAIN_THREAD: Option<usize> = Some(if cfg!(Py_3_11) { 80 } else { 72 });

    /// `_PyRuntimeState` from `main_thread` on, up to the flag.
    #[repr(C)]
    pub struct Runtime {
        pub main_thread: libc::pthread_t,
        exitfuncs: [usize; 32],
        nexitfuncs: i64,
        signals_pending: AtomicI32,
    }

    impl Runtime {
        /// Does a signal wait for the main thread?
        pub fn signal_waits(&self) -> bool {
            self.signals_pending.load(Relaxed) == 1
        }
    }

    /// What is mirrored, for the tests.
    pub fn layout(main_thread: usize) -> Vec<(&'static str, &'static str, usize)> {
        vec![("_PyRuntimeState", "ceval.signals_pending", main_thread + offset_of!(Runtime, signals_pending))]
    }
}

/// In 3.12 it is that of the signals, behind structures of the C library, which differ by machine.
#[cfg(all(Py_3_12, not(Py_3_13)))]
mod version {
    use std::mem::offset_of;
    use std::sync::atomic::{AtomicI32, Ordering::Relaxed};

    /// See above.
    pub const MAIN_THREAD: Option<usize> = if cfg!(target_arch = "x86_64") { Some(64) } else { None };

    /// See above.
    #[repr(C)]
    pub struct Runtime {
        pub main_thread: libc::pthread_t,
        xidregistry_to_wakeup: [u64; 180],
        is_tripped: AtomicI32,
    }

    impl Runtime {
        /// Does a signal wait for the main thread?
        pub fn signal_waits(&self) -> bool {
            self.is_tripped.load(Relaxed) == 1
        }
    }

    /// What is mirrored, for the tests.
    pub fn layout(main_thread: usize) -> Vec<(&'static str, &'static str, usize)> {
        vec![("_PyRuntimeState", "signals.is_tripped", main_thread + offset_of!(Runtime, is_tripped))]
    }
}

/// From 3.13 on it is a bit of the main thread's state.
#[cfg(Py_3_13)]
mod version {
    use std::mem::offset_of;
    use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering::Relaxed};

    /// See above.
    pub const MAIN_THREAD: Option<usize> = Some(match () {
        () if cfg!(Py_3_15) => 960,
        () if cfg!(Py_3_14) => 832,
        () => 656,
    });
    /// `_PY_SIGNALS_PENDING_BIT`
    const SIGNALS_PENDING: usize = 1 << 1;

    /// See above.
    #[repr(C)]
    pub struct Runtime {
        pub main_thread: libc::pthread_t,
        main_tstate: AtomicPtr<ThreadState>,
    }

    /// `struct _ts`, up to the word with the flag.
    #[repr(C)]
    struct ThreadState {
        prev_next_interp: [usize; 3],
        eval_breaker: AtomicUsize,
    }

    impl Runtime {
        /// Does a signal wait for the main thread?
        pub fn signal_waits(&self) -> bool {
            // SAFETY: null, or the main thread's state, which lives as long as the interpreter.
            let state = unsafe { self.main_tstate.load(Relaxed).as_ref() };
            state.is_some_and(|state| state.eval_breaker.load(Relaxed) & SIGNALS_PENDING != 0)
        }
    }

    /// What is mirrored, for the tests.
    pub fn layout(main_thread: usize) -> Vec<(&'static str, &'static str, usize)> {
        vec![
            ("_PyRuntimeState", "main_tstate", main_thread + offset_of!(Runtime, main_tstate)),
            ("PyThreadState", "eval_breaker", offset_of!(ThreadState, eval_breaker)),
        ]
    }
}

/// Where CPython says that a signal waits for the main thread.
#[derive(Clone, Copy)]
pub struct Signals(&'static Runtime);

impl Signals {
    /// Looks for it; `None` where it is not known, and on other threads than the main one.
    pub fn find(_py: Python<'_>) -> Option<Signals> {
        let main_thread = MAIN_THREAD.filter(|_| !fits::FORGOTTEN.load(Relaxed))?;
        // SAFETY: the name is a C string; CPython is loaded and stays so.
        let start = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"_PyRuntime".as_ptr()) };
        if start.is_null() {
            return None;
        }
        // SAFETY: CPython's structure is longer than what is mirrored of it, and lives as long as the process.
        let runtime = unsafe { &*start.byte_add(main_thread).cast::<Runtime>() };
        // SAFETY: none has preconditions. By number: older C libraries have no function for it.
        let (own, is_main) =
            unsafe { (libc::pthread_self(), libc::syscall(libc::SYS_gettid) == i64::from(libc::getpid())) };
        (is_main && runtime.main_thread == own).then_some(Signals(runtime))
    }

    /// Does one wait? Not to be asked while the interpreter ends.
    pub fn wait(self) -> bool {
        self.0.signal_waits()
    }
}

/// For [`super::layout`].
pub(super) fn layout() -> Vec<(&'static str, &'static str, usize)> {
    let Some(main_thread) = MAIN_THREAD else { return Vec::new() };
    let mut table = version::layout(main_thread);
    table.push(("_PyRuntimeState", "main_thread", main_thread));
    table
}

//! Forks of the worker that are not ours: `os.fork`, multiprocessing, a pre-forking server's, in Python or in C.
//!
//! A fork copies the memory and one thread: our watcher is gone in the child, our locks are as they were, the control
//! page is the parent's. `pthread_atfork` sees every `fork(3)`, also those that Python does not see (uWSGI's).
//! The handlers hold our locks over the fork, so that the child finds what they guard whole, and then re-arm the child.
//! Raw `clone`, as our own snapshot uses it, and `vfork` do not come here.

use std::cell::UnsafeCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicI32, Ordering::Relaxed};
use std::sync::{MutexGuard, OnceLock};

use crate::gate;
use crate::state::{self, State};

type Guards = (MutexGuard<'static, ()>, MutexGuard<'static, State>);

struct Held(UnsafeCell<Option<Guards>>);

// SAFETY: written by `prepare` after it has taken both locks and emptied before they are released, so only their
// holder (in the parent, or its copy in the child) touches it.
unsafe impl Sync for Held {}

static HELD: Held = Held(UnsafeCell::new(None));

/// The thread that is inside Python's own fork (0: none); see [`python_fork_begins`].
static PYTHON_FORK: AtomicI32 = AtomicI32::new(0);

/// What arms a forked child: see [`watch_forks`].
static REARM: OnceLock<fn(&mut State)> = OnceLock::new();

/// Has every later fork call `rearm` in its child, with everything locked, while the child has one thread. Does something
/// once only: there is no taking it back.
pub fn watch_forks(rearm: fn(&mut State)) {
    // Set before the handlers are in place: a fork may come at once.
    if REARM.set(rearm).is_ok() {
        // SAFETY: the three functions are of the wanted signature, never unwind, and stay loaded: CPython never
        // unloads an extension module.
        unsafe { libc::pthread_atfork(Some(prepare), Some(in_parent), Some(in_child)) };
    }
}

/// Python is about to fork on this thread (`os.register_at_fork(before=…)`): the child's interpreter will be usable
/// only after [`python_fork_is_over`] has been called there.
pub fn python_fork_begins() {
    PYTHON_FORK.store(thread_id(), Relaxed);
}

/// Python's fork is over, in the parent or in the child.
pub fn python_fork_is_over() {
    PYTHON_FORK.store(0, Relaxed);
    state::lock().forks.python_ready = true;
    state::notify();
}

fn thread_id() -> i32 {
    // SAFETY: gettid has no precondition. By number: older C libraries have no function for it.
    unsafe { libc::syscall(libc::SYS_gettid) as i32 }
}

extern "C" fn prepare() {
    let mut guards = (gate::hold(), state::lock());
    guards.1.forks.by_python = PYTHON_FORK.load(Relaxed) == thread_id();
    // SAFETY: both locks are held: nobody else is between prepare and in_parent.
    unsafe { *HELD.0.get() = Some(guards) };
}

extern "C" fn in_parent() {
    // SAFETY: this thread's prepare took the locks.
    drop(unsafe { (*HELD.0.get()).take() });
}

extern "C" fn in_child() {
    // SAFETY: this thread's prepare took the locks, and the child has no other thread.
    let guards = unsafe { (*HELD.0.get()).take() };
    if let Some((_gate, mut state)) = guards {
        // A fork by Python has its interpreter repaired after this handler; a fork in C does not tell it anything.
        state.forks.python_ready = !state.forks.by_python;
        // Whatever goes wrong, the application's child must go on; it is then not armed, and says so.
        if let Some(rearm) = REARM.get() {
            let _ = catch_unwind(AssertUnwindSafe(|| rearm(&mut state)));
        }
    }
}

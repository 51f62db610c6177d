//! The handler's way to wake the watcher: a POSIX semaphore.
//!
//! Not an eventfd, because a descriptor is not safe in somebody else's process: a worker that turns itself into a daemon
//! closes every descriptor it finds, and the handler would then write into whatever file got the number next.
//! `sem_post` is one of the few calls POSIX allows in a signal handler, and an idle `sem_wait` costs no wake-up.

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;

struct Semaphore(UnsafeCell<MaybeUninit<libc::sem_t>>);

// SAFETY: after `reset`, the object is touched only through sem_post and sem_wait, which are made for many threads.
unsafe impl Sync for Semaphore {}

static WAKE: Semaphore = Semaphore(UnsafeCell::new(MaybeUninit::zeroed()));

/// Makes the semaphore new, with nothing posted. Only while no thread of this process waits on it.
pub fn reset() {
    // SAFETY: the place is a static's; nobody uses it meanwhile (this function's contract). A semaphore holds no
    // resource, so the old one (of a forked parent, or of a watcher that has ended) needs no destruction.
    unsafe { libc::sem_init(WAKE.0.get().cast(), 0, 0) };
}

/// Wakes the watcher. Async-signal-safe; changes `errno` only on overflow.
pub fn post() {
    // SAFETY: initialised by `reset` before the handler and the watcher exist; before that it is all zeroes, which is
    // what a semaphore with nothing posted and nobody waiting looks like.
    unsafe { libc::sem_post(WAKE.0.get().cast()) };
}

/// Waits to be woken. May return for no reason: the caller looks for one.
pub fn wait() {
    // SAFETY: as in `post`.
    unsafe { libc::sem_wait(WAKE.0.get().cast()) };
}

//! A second chance for signals of the application's that came right after ours.
//!
//! While the main thread has not yet taken our signal, the kernel gives the next one to another thread. CPython's handler
//! there sets a flag and leaves the rest to the main thread; but that one, asleep in a system call which our handler does
//! not end (`SA_RESTART`), does not look at the flag before it wakes by itself. So after our signal the watcher looks at the
//! flag, and if it is set has our handler called on the main thread once more, this time without `SA_RESTART`. That ends the
//! system call as the other signal would have, had the kernel given it to the main thread: the application sees nothing
//! that it would not see without us.

use std::io;
use std::mem::size_of;
use std::sync::atomic::{AtomicBool, Ordering::*};
use std::thread;
use std::time::Duration;

use crate::signal_action::{self, Handler};
use crate::state;

/// When to look, counted from one look to the next: the other thread's handler runs within that time, if it is to run.
pub const LOOKS: [Duration; 3] = [Duration::from_millis(10), Duration::from_millis(100), Duration::from_secs(1)];
/// How long the main thread may take to be woken: it does nothing else before.
const WAKING: Duration = Duration::from_millis(100);
const STEP: Duration = Duration::from_millis(1);

/// The main thread has got the nudge that is under way.
static GOT: AtomicBool = AtomicBool::new(false);

/// Nudges the main thread if a signal waits for it.
pub fn look() {
    let state = state::lock();
    if state.shutting_down || !state.installed.signals.is_some_and(|signals| signals.wait()) {
        return;
    }
    if let Some(handler) = state.installed.handler.as_ref().filter(|handler| signal_action::is_alone(handler)) {
        nudge(handler);
    }
}

/// With the state locked: whoever takes the handler out, or forks, waits until it is over.
fn nudge(handler: &Handler) {
    GOT.store(false, Relaxed);
    if signal_action::set_restarts(handler, false).is_ok() && send(handler).is_ok() {
        let mut waited = Duration::ZERO;
        while !GOT.load(Acquire) && waited < WAKING {
            thread::sleep(STEP);
            waited += STEP;
        }
    }
    // The only error is a signal that does not exist, and this one did.
    let _ = signal_action::set_restarts(handler, true);
}

/// To the thread that the kernel prefers, which is Python's main thread (see [`crate::cpython::runtime`]).
fn send(handler: &Handler) -> io::Result<()> {
    /// The kernel's `siginfo_t` as `sigqueue` fills it in.
    #[repr(C)]
    struct Queued {
        signal: i32,
        errno: i32,
        code: i32,
        padding: i32,
        pid: i32,
        uid: u32,
        value: usize,
        rest: [u64; 12],
    }
    const _: () = assert!(size_of::<Queued>() == size_of::<libc::siginfo_t>());
    // SAFETY: getpid and getuid have no precondition.
    let (pid, uid) = unsafe { (libc::getpid(), libc::getuid()) };
    let (signal, code) = (signal_action::signal(handler), libc::SI_QUEUE);
    let queued = Queued { signal, errno: 0, code, padding: 0, pid, uid, value: mark(), rest: [0; 12] };
    // SAFETY: the structure is as long as the kernel expects, and it only reads it.
    match unsafe { libc::syscall(libc::SYS_rt_tgsigqueueinfo, pid, pid, signal, &raw const queued) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Is this signal a nudge, and no request? Async-signal-safe.
pub fn is_one(info: &libc::siginfo_t) -> bool {
    // SAFETY: for this code the kernel has filled in pid and value.
    let is_ours = info.si_code == libc::SI_QUEUE
        && unsafe { info.si_pid() == libc::getpid() && info.si_value().sival_ptr.addr() == mark() };
    if is_ours {
        GOT.store(true, Release);
    }
    is_ours
}

/// What nobody else sends along.
fn mark() -> usize {
    (&raw const GOT).addr()
}

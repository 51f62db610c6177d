//! The signal handler: which signals count, and what it leaves for the watcher.
//!
//! Only a signal somebody *sent* counts: a profiler's `ITIMER_PROF` raises SIGPROF thousands of times a second. How the
//! handler gets in and out is [`crate::signal_action`]'s business.

use std::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering::*};

use heapsee_format::control::ControlPage;

use super::{nudge, wake};
use crate::snapshot::Sender;
use crate::{clock, control};

/// The process whose handler may act, 0: none. A forked child that is not armed yet is another.
static ARMED_PID: AtomicI32 = AtomicI32::new(0);
/// The forked child that was sent signals before it was armed, and how many. Apart from the rest, because the memory of
/// a child that is not armed may still be its parent's (`vfork`).
static EARLY_PID: AtomicI32 = AtomicI32::new(0);
static EARLY: AtomicU64 = AtomicU64::new(0);
/// One of the three below: whether a request waits for the watcher.
static PENDING: AtomicU32 = AtomicU32::new(NOTHING);
const NOTHING: u32 = 0;
/// A handler is just noting down who asks.
const NOTING: u32 = 1;
/// A request waits.
const WAITING: u32 = 2;
static SENDER_PID: AtomicU32 = AtomicU32::new(0);
static SENDER_UID: AtomicU32 = AtomicU32::new(0);
static REQUESTED_AT: AtomicU64 = AtomicU64::new(0);

/// What the kernel shows as the uid of a sender whose uid this user namespace does not know (a root outside of a
/// rootless container). The kernel has let it signal us, so it is privileged over us.
const OVERFLOW_UID: u32 = 65534;

/// From now on the handler acts in this process.
pub fn arm() {
    ARMED_PID.store(pid(), SeqCst);
}

/// [`arm`] in a forked child, which has a page of its own by now. It has caught the signal ever since the fork: what
/// came meanwhile counts.
pub fn arm_in_child(page: &ControlPage) {
    forget_request();
    arm();
    if EARLY_PID.swap(0, Relaxed) != pid() {
        return;
    }
    let early = EARLY.load(Relaxed);
    let merged = early - u64::from(PENDING.compare_exchange(NOTHING, WAITING, AcqRel, Relaxed).is_ok());
    page.signals.fetch_add(early, Relaxed);
    page.signals_merged.fetch_add(merged, Relaxed);
    wake::post(page);
}

/// From now on the handler does nothing but count.
pub fn disarm() {
    ARMED_PID.store(0, SeqCst);
}

/// Where no watcher is: a request that waits was for one that has ended.
pub fn forget_request() {
    PENDING.store(NOTHING, Relaxed);
}

/// The request that waits, if one does. It goes on waiting until [`request_taken`].
pub fn request() -> Option<Sender> {
    (PENDING.load(Acquire) == WAITING).then(|| Sender {
        pid: SENDER_PID.load(Relaxed),
        uid: SENDER_UID.load(Relaxed),
        at_ns: REQUESTED_AT.load(Relaxed),
    })
}

/// The dump for the waiting request has a number now, or there will be none: the next signal is a new request.
pub fn request_taken() {
    PENDING.store(NOTHING, Release);
}

/// Runs in the signal handler. The registry preserves `errno` around it. Async-signal-safe: it reads and writes atomics,
/// and calls getpid, getuid, clock_gettime and futex.
pub fn on_signal(info: &libc::siginfo_t) {
    if nudge::is_one(info) {
        return;
    }
    let Some(page) = control::page() else { return };
    let (own, armed) = (pid(), ARMED_PID.load(Relaxed));
    if armed == 0 || !is_asked_for(info) {
        page.signals_ignored.fetch_add(1, Relaxed);
        return;
    }
    if armed != own {
        // The page is still the parent's.
        if EARLY_PID.swap(own, Relaxed) != own {
            EARLY.store(0, Relaxed);
            remember_sender(info);
        }
        EARLY.fetch_add(1, Relaxed);
        return;
    }
    page.signals.fetch_add(1, Relaxed);
    if page.takes_signals_in() || PENDING.compare_exchange(NOTHING, NOTING, AcqRel, Relaxed).is_err() {
        page.signals_merged.fetch_add(1, Relaxed);
        return;
    }
    remember_sender(info);
    PENDING.store(WAITING, Release);
    wake::post(page);
}

/// For a signal that [`is_asked_for`].
fn remember_sender(info: &libc::siginfo_t) {
    // SAFETY: is_asked_for has seen one of the codes for which the kernel fills in pid and uid.
    let (pid, uid) = unsafe { (info.si_pid(), info.si_uid()) };
    SENDER_PID.store(pid as u32, Relaxed);
    SENDER_UID.store(uid, Relaxed);
    REQUESTED_AT.store(clock::now_ns(), Relaxed);
}

/// Was it sent by somebody (not raised by a timer), and by somebody who may?
fn is_asked_for(info: &libc::siginfo_t) -> bool {
    if !matches!(info.si_code, libc::SI_USER | libc::SI_QUEUE | libc::SI_TKILL) {
        return false;
    }
    // SAFETY: for these codes the kernel fills in the uid; getuid and geteuid have no precondition.
    let (sender, own, effective) = unsafe { (info.si_uid(), libc::getuid(), libc::geteuid()) };
    [0, own, effective, OVERFLOW_UID].contains(&sender)
}

fn pid() -> i32 {
    // SAFETY: getpid has no precondition and is async-signal-safe.
    unsafe { libc::getpid() }
}
